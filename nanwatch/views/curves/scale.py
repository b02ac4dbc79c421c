"""The y axis: what range it shows, linear or logarithmic, and its round labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from nanwatch.model.curve import Bucket
from nanwatch.views.words import number

_LARGEST = 1e300
"""Values beyond are drawn as this: differences of larger ones overflow."""


class Label(NamedTuple):
    """A round value of the y axis: its row (0 is the lowest) and its text."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` over rows; `is_log` tells that equal distances are equal ratios.

    Where all values are alike, `constant` is that value: it lies in the middle, and no other is worth a label.
    """

    low: float
    high: float
    is_log: bool = False
    constant: float | None = None

    def rows(self, count: int) -> tuple[float, float]:
        """Return (k, d): value v (or its logarithm) lies in row k * v + d of *count*, counted from below."""
        low, high = self._bounds()
        k = (count - 1) / (high - low)
        return k, -low * k

    def labels(self, rows: int) -> list[Label]:
        """Return round values for *rows* of the screen, from below, at most one every second row."""
        low, high = self._bounds()
        if self.constant is not None:
            return [Label(rows // 2, number(self.constant))]
        wanted = max(2, min(8, rows // 3))
        values = self._decades(wanted) if self.is_log else []
        for finer in (wanted, 2 * wanted, 4 * wanted):
            if len(values) < 2:
                values = round_values(self.low, self.high, finer)
        found: dict[int, Label] = {}
        for value in values:
            place = math.log10(value) if self.is_log and value > 0 else value
            if (self.is_log and value <= 0) or not low <= place <= high:
                continue
            row = round((place - low) / (high - low) * (rows - 1))
            if not found or row - max(found) >= (2 if rows > 3 else 1):
                found[row] = Label(row, value_text(value, values))
        return list(found.values())

    def _bounds(self) -> tuple[float, float]:
        return (math.log10(self.low), math.log10(self.high)) if self.is_log else (self.low, self.high)

    def _decades(self, wanted: int) -> list[float]:
        """Return 1, 2, 5, 10, ... or, where they are too many, powers of ten."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        if last - first > 2 * wanted:
            step = -(-(last - first) // wanted)
            return [_power(1, n) for n in range(first, last + 1) if n % step == 0]
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [_power(f, n) for n in range(first, last + 1) for f in factors]
            values = [v for v in values if self.low <= v <= self.high]
            if len(values) <= wanted + 1:
                break
        return values


def scale_of(buckets: Sequence[Bucket], is_log: bool = False, is_clipped: bool = False) -> tuple[Scale, int]:
    """Return a scale that shows *buckets*, and how many of them go beyond it: none, unless outliers are clipped."""
    lows = [max(-_LARGEST, b.low) for b in buckets if math.isfinite(b.low)]
    highs = [min(_LARGEST, b.high) for b in buckets if math.isfinite(b.high)]
    if not lows:
        return Scale(0.0, 1.0), 0
    clipped = 0
    low, high = min(lows), max(highs)
    if is_clipped:
        bottom, top = _usual(lows, highs)
        low, high = max(low, bottom), min(high, top)
        clipped = sum(1 for a, b in zip(lows, highs, strict=True) if a < low or b > high)
    if is_log and high > 0:
        return _log_scale(low, high, lows), clipped
    return Scale(*_widened(low, high), constant=low if low == high else None), clipped


def _log_scale(low: float, high: float, lows: list[float]) -> Scale:
    if low <= 0:
        low = min((v for v in lows if v > 0), default=high)
    low = max(low, 1e-300)
    high = max(low, high)
    is_constant = low == high == max(lows)
    return (
        Scale(low, high, True) if high > low * 1.0001 else Scale(low / 2, high * 2, True, low if is_constant else None)
    )


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that is not empty, a constant in its middle."""
    low, high = max(-_LARGEST, min(_LARGEST, low)), max(-_LARGEST, min(_LARGEST, high))
    if high - low > max(1e-9 * max(abs(low), abs(high)), 1e-290):
        return low, high
    margin = max(abs(low) / 2, 1e-280) if low else 1.0
    return low - margin, high + margin


def _usual(lows: list[float], highs: list[float]) -> tuple[float, float]:
    """Return the range beyond which a value is an outlier: 96 % of the values, and as much again around them."""
    values = sorted([*lows, *highs])
    cut = len(values) // 50
    bottom, top = values[cut], values[-1 - cut]
    room = (top / 2 - bottom / 2) or max(abs(top), 1e-280)
    return bottom - room, top + room


def round_values(low: float, high: float, wanted: int) -> list[float]:
    """Return about *wanted* multiples of 1, 2 or 5 times a power of ten within *low* and *high*."""
    least = (high - low) / max(1, wanted)
    power = math.floor(math.log10(least))
    for factor, more in ((1, 0), (2, 0), (5, 0), (1, 1)):
        step = _power(factor, power + more)
        if step >= least * 0.8:
            break
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [float(f"{n * step:.12g}") for n in range(first, min(last, first + 4 * wanted) + 1)]
    return values or [float(f"{(low + high) / 2:.4g}")]


def value_text(value: float, among: Sequence[float]) -> str:
    """Return *value* as briefly as it can be told from the others of an axis."""
    largest = max(abs(v) for v in among)
    gaps = [abs(b - a) for a, b in pairwise(among) if b != a]
    gap = min([*gaps, *(abs(v) for v in among if v and not gaps)], default=1.0) or 1.0
    if value == 0:
        return "0"
    if largest >= 1e6 or largest < 1e-3 or (gap < 1e-4 and not largest < 1):
        digits = max(0, min(6, math.floor(math.log10(abs(value))) - math.floor(math.log10(gap) + 1e-9)))
        return _scientific(value, digits)
    if abs(value) < 1e-4:
        return _scientific(value, 0)
    places = max(0, min(6, -math.floor(math.log10(min(gap, abs(value))) + 1e-9)))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if places and not gaps else text


def _scientific(value: float, digits: int) -> str:
    head, _, power = f"{value:.{digits}e}".partition("e")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return f"{head}e{int(power)}"


def _power(factor: int, power: int) -> float:
    """Return factor * 10 ** power, as exact as a float can be."""
    return float(f"{factor}e{power}")
