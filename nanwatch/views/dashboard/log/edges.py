"""The edges of groups in a log, found from any byte in bounded time, whatever stands between newlines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict

from nanwatch.views.dashboard.log.cutting import (
    HORIZON,
    LONGEST_MOVE,
    after_newlines,
    after_redraws,
    after_settled,
    has_cursor_up,
)
from nanwatch.views.dashboard.log.file import LogFile

CELL = 4 * 1024 * 1024
"""In so many bytes, counted from the file's start, a group begins: where none does, one is cut there."""

GLUED = 256 * 1024
"""The same, for lines that are glued together by cursor movements."""

_WINDOW = 16 * 1024
_WIDEST = 1024 * 1024
_CACHED_PARTS = 64


class Edges:
    """Tells where the groups of *file* begin: lines, or with *every_redraw* frames."""

    def __init__(self, file: LogFile, every_redraw: bool) -> None:
        self._every_redraw = every_redraw
        self._file = file
        self._glued: OrderedDict[int, list[int]] = OrderedDict()
        self._firsts: dict[int, int] = {}
        self._upward: dict[int, bool] = {}

    def forget(self) -> None:
        """Drop what is known: the file is another one."""
        self._glued.clear()
        self._firsts.clear()
        self._upward.clear()

    def start_of(self, offset: int) -> int:
        """Return where the group that holds *offset* begins."""
        cell = offset // CELL
        start = -1 if self._firsts.get(cell) == -1 else self._last_start(cell * CELL, offset + 1)
        if start >= 0:
            return start
        if cell == 0:
            return 0
        cut = self._cut_of(cell)
        if 0 <= cut <= offset:
            return cut
        start = -1 if self._firsts.get(cell - 1) == -1 else self._last_start((cell - 1) * CELL, cell * CELL)
        return start if start >= 0 else max(0, self._cut_of(cell - 1))

    def _last_start(self, low: int, high: int) -> int:
        """Return the last beginning from *low* to before *high*, -1 if there is none."""
        step = _WINDOW
        while high > low:
            floor = max(low, high - step)
            starts = self._starts(floor, high)
            if starts:
                return starts[-1]
            high, step = floor, min(step * 4, _WIDEST)
        return -1

    def _first_start(self, low: int, high: int) -> int:
        """Return the first beginning from *low* to before *high*, -1 if there is none."""
        step = _WINDOW
        while low < high:
            ceiling = min(high, low + step)
            starts = self._starts(low, ceiling)
            if starts:
                return starts[0]
            low, step = ceiling, min(step * 4, _WIDEST)
        return -1

    def next_start(self, start: int) -> int:
        """Return where the group after the one that begins at *start* does: the file's size if it is the last."""
        size = self._file.size
        own = start // CELL
        if self._firsts.get(own) != -1:
            found = self._first_start(start + 1, min((own + 1) * CELL, size))
            if found >= 0:
                return found
        for cell in range(own + 1, (size - 1) // CELL + 1):
            found = max(self._first_in(cell), self._cut_of(cell))
            if found >= 0:
                return found
        return size

    def _first_in(self, cell: int) -> int:
        """Return where the first group begins in *cell*, -1 if none does."""
        first = self._firsts.get(cell)
        if first is None:
            high = (cell + 1) * CELL
            first = self._first_start(cell * CELL, min(high, self._file.size))
            if high + HORIZON + LONGEST_MOVE <= self._file.size:
                self._firsts[cell] = first
        return first

    def _cut_of(self, cell: int) -> int:
        """Return where a group is cut in *cell*: -1 unless the cell is complete and no group begins in it."""
        if cell == 0 or (cell + 1) * CELL > self._file.size or self._first_in(cell) >= 0:
            return -1
        return self._torn_at(cell * CELL)

    def _torn_at(self, low: int) -> int:
        """Return where to cut near *low*: behind a `\\r` if there is one, never within a character."""
        data = self._file.read(low, HORIZON)
        redraw = data.find(b"\r")
        if redraw >= 0:
            return low + redraw + 1
        return low + next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)

    def _starts(self, low: int, high: int) -> list[int]:
        """Return where groups begin from *low* to before *high*, which lie in one cell."""
        if self._every_redraw:
            base = max(0, low - 2)
            data = self._file.read(base, high - base + 1)
            return [base + at for at in after_redraws(data, low - base, high - base)]
        base = max(0, low - 1)
        data = self._file.read(base, high - base)
        if b"\n" not in data or not self._moves_up(low - HORIZON, high + HORIZON + LONGEST_MOVE):
            return [base + at for at in after_newlines(data, low - base, high - base)]
        starts: list[int] = []
        for part in range(low // GLUED, (high - 1) // GLUED + 1):
            starts += self._glued_starts(part)
        return starts[bisect_left(starts, low) : bisect_right(starts, high - 1)]

    def _moves_up(self, low: int, high: int) -> bool:
        """Tell whether a cursor may move up somewhere from *low* to before *high*."""
        for block in range(max(0, low) // HORIZON, (min(high, self._file.size) - 1) // HORIZON + 1):
            moves = self._upward.get(block)
            if moves is None:
                data = self._file.read(block * HORIZON, HORIZON + LONGEST_MOVE)
                moves = has_cursor_up(data)
                if len(data) == HORIZON + LONGEST_MOVE:
                    self._upward[block] = moves
            if moves:
                return True
        return False

    def _glued_starts(self, part: int) -> list[int]:
        """Return where groups begin in the *part* of the file of `GLUED` bytes, in which cursors move up."""
        known = self._glued.get(part)
        if known is not None:
            return known
        low, high = part * GLUED, (part + 1) * GLUED
        base = max(0, low - HORIZON)
        data = self._file.read(base, high + HORIZON + LONGEST_MOVE - base)
        starts = [base + at for at in after_settled(data) if low <= base + at < high]
        if not starts and high <= self._file.size:
            starts = [base + at for at in after_newlines(data, low - base, high - base, most=1)]
        if base + len(data) == high + HORIZON + LONGEST_MOVE:
            self._glued[part] = starts
            if len(self._glued) > _CACHED_PARTS:
                self._glued.popitem(last=False)
        return starts

    def is_torn(self, at: int) -> bool:
        """Tell whether a group was cut at *at* because it was too long."""
        if at == 0:
            return False
        before = self._file.read(at - 1, 1)
        if before == b"\n":
            return bool(self._glued) and not self._is_settled(at)
        return not (self._every_redraw and before == b"\r")

    def _is_settled(self, at: int) -> bool:
        base = max(0, at - HORIZON)
        data = self._file.read(base, at + HORIZON + LONGEST_MOVE - base)
        return not has_cursor_up(data) or at - base in after_settled(data)
