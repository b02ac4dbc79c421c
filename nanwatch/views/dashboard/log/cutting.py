"""Where a group of rows begins: the smallest run of bytes that a terminal shows as settled rows.

The rules look at a bounded neighbourhood only, so that a position is a beginning or not, from wherever one comes.
"""

from __future__ import annotations

import re

HORIZON = 32 * 1024
"""Bytes over which a cursor-up glues lines together; a terminal's screen holds less."""

LONGEST_MOVE = 8
"""Bytes of the longest escape sequence that is looked at here."""

_MOST_UP = 100
_UP = re.compile(rb"\x1b\[\d{0,3}[AF]")
_TEXT = rb"[^\n\x1b]{0,4000}(?:\x1b\[[\d;]{0,20}[Km][^\n\x1b]{0,4000}){0,6}"  # shorter than the horizon
_MOVE = re.compile(
    rb"(?:\n" + _TEXT + rb"(?P<back>\x1b\[1?A)" + _TEXT + rb"){2,}"  # the redraws of nested bars: down and up again
    rb"|\n|\x1b\[(?P<count>\d{0,3})(?P<move>[ABEF])"
)
_BREAK = re.compile(rb"[\n\r]")


def has_cursor_up(data: bytes) -> bool:
    """Tell whether something in *data* moves the cursor to an earlier row."""
    return b"\x1b[" in data and _UP.search(data) is not None


def after_newlines(data: bytes, low: int, high: int, most: int | None = None) -> list[int]:
    """Return the positions behind newlines from *low* to before *high* in *data*, the first *most* of them."""
    starts: list[int] = []
    at = data.find(b"\n", max(0, low - 1), max(0, high - 1))
    while at >= 0 and len(starts) != most:
        starts.append(at + 1)
        at = data.find(b"\n", at + 1, high - 1)
    return starts


def after_redraws(data: bytes, low: int, high: int) -> list[int]:
    """Return where frames begin from *low* to before *high*: behind a newline, or a `\\r` that begins to overwrite."""
    if data.find(b"\r", max(0, low - 1), high) < 0:
        return after_newlines(data, low, high)
    ends = (found.end() for found in _BREAK.finditer(data, max(0, low - 1), max(0, high - 1)))
    return [end for end in ends if _begins_frame(data, end)]


def _begins_frame(data: bytes, at: int) -> bool:
    """Tell whether a frame begins behind the newline or `\\r` before *at*: an empty one is none."""
    if data[at - 1] == 10:
        return True
    return at >= 2 and data[at - 2] != 10 and data[at : at + 1] not in (b"\r", b"\n")


def after_settled(data: bytes) -> list[int]:
    """Return the positions behind newlines of *data* that lead to a fresh row above which nothing reaches later.

    Looks at what lies within `HORIZON` bytes before and behind a position.
    """
    row = 0
    settled: list[tuple[int, int]] = []  # row and position of those that nothing has reached above so far
    deep: list[tuple[int, int]] = []  # rows that were reached and left again, and when: rows decrease, times grow
    for found in _MOVE.finditer(data):
        at, move = found.start(), found["move"]
        if found["back"] is not None:
            first = _UP.search(data, at)
            _unsettle(settled, row, first.start() if first else at)
            _deepen(deep, row + 1, found.start("back"))
        elif move is None:
            row += 1
            while deep and deep[-1][0] < row:
                deep.pop()
            if not deep or deep[-1][1] < at - HORIZON:
                settled.append((row, at + 1))
        else:
            count = min(int(found["count"] or 1) or 1, _MOST_UP)
            if move in b"BE":
                row += count
                continue
            _deepen(deep, row, at)
            row -= count
            _unsettle(settled, row, at)
    return [position for _, position in settled]


def _deepen(deep: list[tuple[int, int]], row: int, at: int) -> None:
    """Note that *row* was left upward at *at*."""
    while deep and deep[-1][0] <= row:
        deep.pop()
    deep.append((row, at))


def _unsettle(settled: list[tuple[int, int]], row: int, at: int) -> None:
    """Drop those above which the cursor got when it moved up to *row* at *at*."""
    while settled and settled[-1][0] > row and at - settled[-1][1] <= HORIZON:
        settled.pop()
