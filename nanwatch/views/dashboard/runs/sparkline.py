"""A curve in a few cells: blocks as high as its values, and a cross wherever one was not finite."""

from __future__ import annotations

import math
from typing import NamedTuple

from nanwatch.model.curve import Curve


class Marks(NamedTuple):
    """The signs of a sparkline, lowest first, and that of a value that is not finite."""

    blocks: str
    bad: str


UNICODE_MARKS = Marks("▁▂▃▄▅▆▇█", "×")
ASCII_MARKS = Marks(".:-=+*#", "x")


def sparkline(curve: Curve, cells: int, marks: Marks) -> str:
    """Return *curve* in at most *cells*, a cell for as many batches as it takes; blanks where nothing is known."""
    columns, end = max(1, min(cells, len(curve))), max(1, curve.end)
    values, bad = [math.nan] * columns, [False] * columns
    for start, _, _, _, last, non_finite, _ in curve.buckets():
        place = start * columns // end
        if non_finite:
            bad[place] = True
        if last == last:  # not NaN, asked in the fastest way
            values[place] = last
    known = [value for value in values if not math.isnan(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    return "".join(
        marks.bad if is_bad else " " if math.isnan(value) else _block(value, low, high, marks.blocks)
        for value, is_bad in zip(values, bad, strict=True)
    )


def _block(value: float, low: float, high: float, blocks: str) -> str:
    """Return the block for *value*; halves are subtracted, as the whole span may be too large a number."""
    span = high / 2 - low / 2
    if not span > 0:
        return blocks[len(blocks) // 2]
    return blocks[min(len(blocks) - 1, int((value / 2 - low / 2) / span * len(blocks)))]
