"""Line numbers: how many newlines stand before each block, counted in the background and carried on as a log grows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

from nanwatch.views.dashboard.log.file import read_at

BLOCK = 1024 * 1024
"""Bytes for which one count is kept: eight bytes of memory each."""

_NEAR = 64 * 1024
_MOST_KNOWN = 4096


class LineIndex:
    """Counts newlines up to `counted_to`; a thread may carry it on while others ask.

    Line numbers count from 1.
    """

    def __init__(self) -> None:
        self._before = array("Q", [0])  # newlines before the block of that number, as far as it is known
        self._rest = (0, 0)  # bytes and newlines of the block that the file ends in
        self._last = (0, 0)
        self._known: dict[int, int] = {}  # lines by the offsets that were asked for
        self._is_torn = False

    @property
    def counted_to(self) -> int:
        """The byte up to which newlines are counted."""
        return (len(self._before) - 1) * BLOCK + self._rest[0]

    @property
    def lines(self) -> int:
        """Newlines before `counted_to`."""
        return self._before[-1] + self._rest[1]

    @property
    def total(self) -> int:
        """Lines up to `counted_to`, with one that has no end yet."""
        return self.lines + self._is_torn

    def extend(self, fd: int, size: int, is_cancelled: Callable[[], bool]) -> None:
        """Count on up to *size* in the file *fd*, until *is_cancelled*."""
        while self.counted_to < size and not is_cancelled():
            begin = (len(self._before) - 1) * BLOCK
            data = read_at(fd, begin, min(BLOCK, size - begin))
            if len(data) <= self._rest[0]:
                return
            count = data.count(b"\n")
            self._is_torn = not data.endswith(b"\n")
            if len(data) == BLOCK:
                self._rest = (0, 0)
                self._before.append(self._before[-1] + count)
            else:
                self._rest = (len(data), count)
                return

    def line_of(self, fd: int, offset: int) -> int | None:
        """Return the number of the line that holds *offset*; None where it is not counted yet."""
        block = offset // BLOCK
        if block >= len(self._before) or offset > self.counted_to:
            return None
        known = self._known.get(offset)
        if known is not None:
            return known
        near, line = self._last
        if near <= offset < near + _NEAR and line:
            line += read_at(fd, near, offset - near).count(b"\n")
        else:
            line = self._before[block] + read_at(fd, block * BLOCK, offset - block * BLOCK).count(b"\n") + 1
        self._last = (offset, line)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[offset] = line
        return line

    def offset_of(self, fd: int, line: int) -> int | None:
        """Return where *line* begins; None where that is not counted yet, or there is no such line."""
        if line <= 1:
            return 0
        if line > self.lines + 1:
            return None
        block = bisect_left(self._before, line - 1) - 1
        data = read_at(fd, block * BLOCK, BLOCK)
        at = -1
        for _ in range(line - 1 - self._before[block]):
            at = data.find(b"\n", at + 1)
            if at < 0:
                return None
        return block * BLOCK + at + 1
