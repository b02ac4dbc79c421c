"""Curves on the screen: what can be plotted of a run, how it is drawn in cells, and the panel that shows it."""
