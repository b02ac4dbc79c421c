"""A run -> probable causes with evidence, and advice; the knowledge is data."""
