"""Helpers that tests and tools share."""
