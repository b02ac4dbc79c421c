"""The signs of which bars, sparklines and rules are made, where the terminal can show them and where it cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from nanwatch.model.curve import Curve
from nanwatch.views.page import Role, Span

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Signs(NamedTuple):
    """What a bar is made of, a sparkline (`bad`: not finite), and what parts things."""

    full: str
    empty: str
    steps: str
    bad: str
    dot: str
    rule: str
    wall: str
    here: str
    left: str
    right: str


_UNICODE = Signs("▓", "░", "▁▂▃▄▅▆▇█", "×", "·", "─", "│", "▸", "‹", "›")
_ASCII = Signs("#", ".", "_.:-=+*#", "x", "-", "-", "|", ">", "<", ">")


def signs_of(is_ascii: bool) -> Signs:
    """Return the signs that the terminal can show."""
    return _ASCII if is_ascii else _UNICODE


def bar(share: float, cells: int, signs: Signs) -> list[Span]:
    """Return a bar of *cells* that is full as far as *share* (0 to 1) tells: only all of it is full."""
    done = min(cells, int(max(0.0, share) * cells + 1e-9))
    return [Span(signs.full * done, "running"), Span(signs.empty * (cells - done), "quiet")]


def spark(values: Sequence[float | None], signs: Signs, role: Role = "quiet") -> list[Span]:
    """Return a cell for each of *values*: its height, the sign for what is not finite, a blank for None."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if not finite and not any(v is not None for v in values):
        return []
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    text = "".join(_step(v, low, high, signs) for v in values)
    return [
        Span("".join(run), "critical" if is_bad else role) for is_bad, run in groupby(text, lambda c: c == signs.bad)
    ]


def _step(value: float | None, low: float, high: float, signs: Signs) -> str:
    if value is None:
        return " "
    if not math.isfinite(value):
        return signs.bad
    scaled = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0  # halves: no overflow
    return signs.steps[min(len(signs.steps) - 1, int(scaled * len(signs.steps)))]


def sampled(curve: Curve, cells: int) -> list[float | None]:
    """Return at most *cells* values of *curve*, oldest first: NaN where one was not finite, None where it is unknown.

    A cell has the last finite value of its stretch.
    """
    found = list(curve.buckets())
    if not found or cells < 1:
        return []
    first, span = found[0].start, found[-1].end - found[0].start
    cells = min(cells, max(1, span // curve.width))
    values: list[float | None] = [None] * cells
    for bucket in found:
        place = (bucket.start - first) * cells // span
        value = values[place]
        if bucket.non_finite or (value is not None and math.isnan(value)):
            values[place] = math.nan
        elif not math.isnan(bucket.last):
            values[place] = bucket.last
    return values


def size(count: float) -> str:
    """Return a number of bytes: `3.2 G`, `410 k`, `12 B`."""
    for unit, letter in _UNITS:
        if count >= unit:
            return f"{count / unit:.3g} {letter}" if count / unit < 999.5 else f"{count / unit:,.0f} {letter}"
    return f"{count:.0f} B"
