"""The list of runs: what it says of each, in which order, and the widget that shows it."""
