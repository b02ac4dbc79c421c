"""Random histories of a log against a model: see histories.py, which plays thousands of them from the command line."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.tail.histories import HISTORY, Histories

TestHistories = Histories.TestCase
TestHistories.__doc__ = "No readable byte is lost and none is read twice, whatever happens to the file."
TestHistories.settings = settings(
    HISTORY,
    max_examples=int(os.environ.get("NANWATCH_HISTORIES", "150")),
    derandomize=True,
    database=None,
)
