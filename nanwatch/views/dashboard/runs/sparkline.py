"""A course in a few cells: blocks as high as its values, and a cross wherever one was not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nanwatch.model.curve import Curve


class Marks(NamedTuple):
    """The signs of a sparkline, lowest first, and that of a value that is not finite."""

    blocks: str
    bad: str


class Bad(NamedTuple):
    """Where a run counted what was not finite: bit b of `mask` stands for position `start` + b."""

    start: int
    mask: int


class Course(NamedTuple):
    """What a figure did, from 0 up to `end`: `samples` of (position, last finite value or NaN, was one not finite).

    It has as many as `steps` different places; `bad` are those that the samples do not show.
    """

    samples: Sequence[tuple[int, float, bool]]
    end: int
    steps: int
    bad: Sequence[Bad] = ()


UNICODE_MARKS = Marks("▁▂▃▄▅▆▇█", "×")
ASCII_MARKS = Marks(".:-=+*#", "x")


def course_of_curve(curve: Curve) -> Course:
    """Return the course of a figure by batch."""
    samples = [(start, last, bool(bad)) for start, _, _, _, last, bad, _ in curve.buckets()]
    return Course(samples, max(1, curve.end), len(curve))


def course_of_values(values: Iterable[float], bad: Iterable[bool]) -> Course:
    """Return the course of a figure by epoch or evaluation; *bad* tells where others were not finite."""
    samples = [
        (place, value if math.isfinite(value) else math.nan, is_bad or not math.isfinite(value))
        for place, (value, is_bad) in enumerate(zip(values, bad, strict=True))
    ]
    return Course(samples, max(1, len(samples)), len(samples))


def sparkline(course: Course, cells: int, marks: Marks) -> str:
    """Return *course* in at most *cells*; what was passed over is as before, blank only what comes before the first."""
    columns, end = max(1, min(cells, course.steps)), course.end
    values, bad = [math.nan] * columns, [False] * columns
    for position, value, is_bad in course.samples:
        place = position * columns // end
        if is_bad:
            bad[place] = True
        if value == value:  # not NaN, asked in the fastest way
            values[place] = value
    for item in course.bad:
        _mark(bad, item, end)
    known = [value for value in values if not math.isnan(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    signs, block = [], " "
    for value, is_bad in zip(values, bad, strict=True):
        if value == value:
            block = _block(value, low, high, marks.blocks)
        signs.append(marks.bad if is_bad else block)
    return "".join(signs)


def _mark(columns: list[bool], bad: Bad, end: int) -> None:
    """Note in which of the *columns*, which reach up to *end*, something is bad."""
    for place in range(len(columns)):
        begin = max(0, -(-place * end // len(columns)) - bad.start)
        stop = min(bad.mask.bit_length(), -(-(place + 1) * end // len(columns)) - bad.start)
        if stop > begin and (bad.mask >> begin) & ((1 << (stop - begin)) - 1):
            columns[place] = True


def _block(value: float, low: float, high: float, blocks: str) -> str:
    """Return the block for *value*; halves are subtracted, as the whole span may be too large a number."""
    span = high / 2 - low / 2
    if not span > 0:
        return blocks[len(blocks) // 2]
    return blocks[min(len(blocks) - 1, int((value / 2 - low / 2) / span * len(blocks)))]
