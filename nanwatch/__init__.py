"""nanwatch: watches training logs and says what went wrong, since when, and how bad."""

__version__ = "0.1.0"
