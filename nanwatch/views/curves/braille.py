"""Dots in cells: 2 x 4 of them in each, as braille or, where that cannot be shown, as ASCII."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nanwatch.model.curve import Bucket
from nanwatch.views.curves.scale import Scale
from nanwatch.views.page import Role, Span

ROLES: tuple[Role, ...] = (
    "", "series1", "series2", "series3", "series4", "series5", "series6",
    "quiet", "critical", "warning", "chosen", "title",
)  # fmt: skip
CODES: dict[Role, int] = {role: code for code, role in enumerate(ROLES)}

_LEFT, _RIGHT = (0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08)
"""The bits of a cell's dots, from below."""
_RUNS = re.compile(rb"(.)\1*", re.DOTALL)
_APART = 5
"""Columns of dots from one bucket to the next from which on a line, not a band, joins them."""
_BRAILLE = " " + "".join(chr(0x2800 + bits) for bits in range(1, 256))


def _ascii_sign(bits: int) -> str:
    if not bits:
        return " "
    if bits.bit_count() > 5:
        return "*"
    below, above = bits & 0xE4, bits & 0x1B
    return ":" if below and above else "." if below else "'"


_ASCII = "".join(_ascii_sign(bits) for bits in range(256))


def _spans(bits: tuple[int, ...]) -> list[list[int]]:
    """Return the bits of the dots from a to b of a column, for each a and b."""
    return [[sum(bits[a : b + 1]) for b in range(4)] for a in range(4)]


_COLUMN = (_spans(_LEFT), _spans(_RIGHT))

Band = tuple[int, int]
"""The lowest and the highest dot of a column."""


class Raster:
    """A box of cells, row 0 at the bottom, in which columns of dots are set; the last one to draw owns the cell."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.dots = [bytearray(width) for _ in range(height)]
        self.owners = [bytearray(width) for _ in range(height)]

    def draw(self, bands: Sequence[Band | None], owner: Role, is_over: bool = False) -> None:
        """Fill each of the 2 * width columns of dots; *is_over* clears other owners' dots from the cells it needs."""
        code = CODES[owner]
        dots, owners = self.dots, self.owners
        for column, band in enumerate(bands):
            if band is None:
                continue
            low, high = band
            x, masks = column >> 1, _COLUMN[column & 1]
            first, last = low >> 2, high >> 2
            for row in range(first, last + 1):
                bits = masks[low & 3 if row == first else 0][high & 3 if row == last else 3]
                if is_over and owners[row][x] != code:
                    dots[row][x] = 0
                dots[row][x] |= bits
                owners[row][x] = code

    def spans(self, row: int, is_ascii: bool, over: dict[int, tuple[str, Role]], letters: str = "") -> list[Span]:
        """Return a row as text; *over* holds signs that stand above dots, *letters* draw series instead of ASCII."""
        codes = self.owners[row]
        text = self.dots[row].decode("latin-1").translate(_ASCII if is_ascii else _BRAILLE)
        if over or (is_ascii and letters):
            text, codes = _changed(text, bytearray(codes), over, letters if is_ascii else "")
        return [
            Span(text[m.start() : m.end()], ROLES[codes[m.start()]])
            for m in _RUNS.finditer(codes)
        ]  # fmt: skip


def _changed(text: str, codes: bytearray, over: dict[int, tuple[str, Role]], letters: str) -> tuple[str, bytearray]:
    signs = list(text)
    if letters:
        signs = [
            letters[code - 1] if sign != " " and 0 < code <= len(letters) else sign
            for sign, code in zip(signs, codes, strict=True)
        ]
    for column, (sign, role) in over.items():
        signs[column] = sign or signs[column]
        codes[column] = CODES[role]
    return "".join(signs), codes


class _Place(NamedTuple):
    """Where a bucket lies in the dots; *is_whole* tells that all of its values were finite."""

    column: int
    low: int
    high: int
    last: int
    is_whole: bool


def bands_of(
    buckets: Sequence[Bucket], scale: Scale, x: tuple[float, float], columns: int, rows: int, is_sparse: bool = False
) -> list[Band | None]:
    """Return the dots of each of *columns* columns, *rows* dots high: lowest to highest value, joined to a line.

    Position p lies in column x[0] * p + x[1]. The line is broken where values are not finite. With *is_sparse*
    each bucket makes a knot in it.
    """
    lows, highs = [rows] * columns, [-1] * columns
    previous: _Place | None = None
    for place in _placed(buckets, scale, x, rows):
        if place is None:
            previous = None
            continue
        column, low, high, _, is_whole = place
        if previous is not None and is_whole and column > previous.column:
            _bridge(lows, highs, previous, place)
        for c in (column, column + 1) if is_sparse else (column,):
            if 0 <= c < columns:
                lows[c] = min(lows[c], low)
                highs[c] = max(highs[c], min(rows - 1, high + 1) if is_sparse else high)
        previous = place if is_whole else None
    return [(low, high) if high >= 0 else None for low, high in zip(lows, highs, strict=True)]


def _placed(buckets: Sequence[Bucket], scale: Scale, x: tuple[float, float], rows: int) -> Iterator[_Place | None]:
    """Yield where each bucket lies; None where nothing of it was finite."""
    k, d = scale.rows(rows)
    top, half, right = rows - 1, x[0] / 2, x[1] + 1e-9
    for start, end, low, high, last, bad, _ in buckets:
        if not math.isfinite(low):
            yield None
            continue
        if scale.is_log:
            low, high, last = _logarithm(low, scale), _logarithm(high, scale), _logarithm(last, scale)
        bottom, peak, latest = k * low + d + 0.5, k * high + d + 0.5, k * last + d + 0.5
        yield _Place(
            math.floor((start + end) * half + right),
            0 if bottom < 0 else top if bottom > top else int(bottom),
            0 if peak < 0 else top if peak > top else int(peak),
            0 if latest < 0 else top if latest > top else int(latest),
            not bad,
        )


def _logarithm(value: float, scale: Scale) -> float:
    return math.log10(max(scale.low, value))


def _bridge(lows: list[int], highs: list[int], a: _Place, b: _Place) -> None:
    """Join two columns: a straight band between them, and no gap from one column to the next.

    Where they are far apart, it is a line from the last value of the one to that of the other.
    """
    columns, gap = len(lows), b.column - a.column
    start, end = ((a.low, a.high), (b.low, b.high)) if gap < _APART else ((a.last, a.last), (b.last, b.last))
    first, before = max(a.column + 1, 0), start
    if first > a.column + 1:
        before = _between(start, end, (first - 1 - a.column) / gap)
    for c in range(first, min(b.column, columns - 1) + 1):
        here = end if c == b.column else _between(start, end, (c - a.column) / gap)
        left, right = _touching(before, here)
        if c and highs[c - 1] >= 0:
            lows[c - 1], highs[c - 1] = min(lows[c - 1], left[0]), max(highs[c - 1], left[1])
        lows[c], highs[c] = min(lows[c], right[0]), max(highs[c], right[1])
        before = here


def _between(a: Band, b: Band, part: float) -> Band:
    return int(a[0] + (b[0] - a[0]) * part + 0.5), int(a[1] + (b[1] - a[1]) * part + 0.5)


def _touching(a: Band, b: Band) -> tuple[Band, Band]:
    """Return two neighbouring bands, so long that no blank dot lies between them."""
    if b[0] > a[1] + 1:
        middle = (a[1] + b[0]) // 2
        return (a[0], middle), (middle + 1, b[1])
    if a[0] > b[1] + 1:
        middle = (b[1] + a[0]) // 2
        return (middle + 1, a[1]), (b[0], middle)
    return a, b
