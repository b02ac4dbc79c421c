"""A service that is killed again and again while logs grow: nothing is lost, and nothing is told twice."""
