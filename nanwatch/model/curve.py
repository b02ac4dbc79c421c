"""What one figure did over a run, in bounded memory: for plots, never for judging."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from typing import NamedTuple

CAPACITY = 512
"""Buckets of a curve. When they are full, each takes twice as many batches."""


_FAR = 1000


class Bucket(NamedTuple):
    """What a figure did from position `start` up to, not including, `end` (batches since the run began).

    `low` and `high` are NaN where every value was non-finite; `last` is the last finite value; `non_finite` counts
    the others. `offset` is the byte in the log of the first non-finite value, else of the first one.
    """

    start: int
    end: int
    low: float
    high: float
    last: float
    non_finite: int
    offset: int


class Curve:
    """The lowest, highest and last value of each bucket of positions. Positions that come again replace the old."""

    __slots__ = ("_bad", "_far", "_high", "_last", "_low", "_offset", "width")

    def __init__(self) -> None:
        self.width = 1
        self._far = 0
        self._low = array("d")
        self._high = array("d")
        self._last = array("d")
        self._bad = array("L")
        self._offset = array("q")

    def __len__(self) -> int:
        """Return how many buckets there are, empty ones too."""
        return len(self._low)

    @property
    def end(self) -> int:
        """The position after the last bucket."""
        return len(self._low) * self.width

    def add(self, position: int, value: float, offset: int) -> None:
        """Take *value*, told at byte *offset*, as the figure's value at *position* (0 or more).

        A position that is absurdly far ahead is believed only when another one follows it: one garbled number must
        not squeeze all that was known into a corner.
        """
        if position > _FAR * max(self.end, CAPACITY):
            is_doubted, self._far = position < self._far or not self._far, position
            if is_doubted:
                return
        while position >= CAPACITY * self.width:
            self._halve()
        place = position // self.width
        if place >= len(self._low):
            self._grow(place + 1)
        if self._offset[place] < 0:
            self._offset[place] = offset
        if not math.isfinite(value):
            if not self._bad[place]:
                self._offset[place] = offset
            self._bad[place] += 1
            return
        low, high = self._low[place], self._high[place]
        if not low <= value:
            self._low[place] = value
        if not high >= value:
            self._high[place] = value
        self._last[place] = value

    def rewind(self, position: int) -> None:
        """Forget what was at *position* and after it: the trainer does it again."""
        place = max(0, -(-position // self.width))
        for column in (self._low, self._high, self._last, self._bad, self._offset):
            del column[place:]

    def buckets(self) -> Iterator[Bucket]:
        """Yield what the figure did, oldest first; positions of which nothing is known are left out."""
        rows = zip(self._low, self._high, self._last, self._bad, self._offset, strict=True)
        for place, (low, high, last, bad, offset) in enumerate(rows):
            if offset >= 0:
                start = place * self.width
                yield Bucket(start, start + self.width, low, high, last, bad, offset)

    def copy(self) -> Curve:
        """Return a curve that later values do not change."""
        other = Curve()
        other.width = self.width
        for name in ("_low", "_high", "_last", "_bad", "_offset"):
            setattr(other, name, getattr(self, name)[:])
        return other

    def _grow(self, size: int) -> None:
        more = size - len(self._low)
        for column in (self._low, self._high, self._last):
            column.extend([math.nan] * more)
        self._bad.extend([0] * more)
        self._offset.extend([-1] * more)

    def _halve(self) -> None:
        """Let each bucket take twice as many positions."""
        if len(self._low) % 2:
            self._grow(len(self._low) + 1)
        pairs = list(zip(*[iter(range(len(self._low)))] * 2, strict=True))
        low, high, last, bad, offset = self._low, self._high, self._last, self._bad, self._offset
        self._low = array("d", (_least(low[a], low[b]) for a, b in pairs))
        self._high = array("d", (-_least(-high[a], -high[b]) for a, b in pairs))
        self._last = array("d", (last[a] if math.isnan(last[b]) else last[b] for a, b in pairs))
        self._offset = array("q", (_telling(offset, bad, a, b) for a, b in pairs))
        self._bad = array("L", (bad[a] + bad[b] for a, b in pairs))
        self.width *= 2


def _least(a: float, b: float) -> float:
    return b if math.isnan(a) or b < a else a


def _telling(offset: array[int], bad: array[int], a: int, b: int) -> int:
    """Return the offset to keep of two buckets: that of the first non-finite value, else of the first value."""
    if offset[a] < 0 or (bad[b] and not bad[a]):
        return offset[b]
    return offset[a]
