"""Curves as text: which figures a run has, their series, and plots of them in braille; no screen is needed."""
