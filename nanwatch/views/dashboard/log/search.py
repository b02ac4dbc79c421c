"""A scan of the whole log for a pattern, from one place outward, that a thread carries on and a view asks meanwhile."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable

from nanwatch.views.dashboard.log.file import read_at
from nanwatch.views.dashboard.log.pattern import Pattern

BLOCK = 64 * 1024
"""Bytes matched at a time: matching holds the interpreter, and a screen must not wait for more."""

OVERLAP = 64 * 1024
"""Bytes by which a block is read on, to the end of its last line: what a longer line holds there is not found."""

MOST_HITS = 1_000_000

_LONGEST_TORN = 4096


class Scan:
    """Hits of *pattern*, byte offsets in their order, in the bytes from `low` to before `high` of `size`.

    One hit is kept for each line or redraw. `is_full` tells that there were more than are kept.
    """

    def __init__(self, pattern: Pattern, origin: int, size: int) -> None:
        self.pattern = pattern
        self.low = self.high = min(max(0, origin), size) // BLOCK * BLOCK
        self.size = size
        self.is_full = False
        self._origin = self.low
        self._ahead = array("Q")
        self._behind = array("Q")  # before the origin: from there backward

    @property
    def is_complete(self) -> bool:
        """Tell whether everything was looked at."""
        return self.is_full or (self.low == 0 and self.high >= self.size)

    @property
    def share(self) -> float:
        """How much of the log was looked at, from 0 to 1."""
        return 1.0 if self.is_complete else (self.high - self.low) / max(1, self.size)

    def __len__(self) -> int:
        """Hits so far."""
        return len(self._ahead) + len(self._behind)

    def run(self, fd: int, is_cancelled: Callable[[], bool], tell: Callable[[], None]) -> None:
        """Look outward from the origin, forward and backward in turn, until all is seen or *is_cancelled*.

        *tell* is called after each step.
        """
        while not self.is_complete and not is_cancelled():
            self.step(fd)
            tell()

    def step(self, fd: int) -> None:
        """Look at one block more on either side."""
        if self.high < self.size:
            end = min((self.high // BLOCK + 1) * BLOCK, self.size)
            hits = self._hits(fd, self.high, end)
            last = self._ahead[-1] if self._ahead else -1
            self._ahead.extend(hit for hit in hits if hit > last)
            self.high = end
        if self.low > 0:
            begin = self.low - BLOCK
            self._behind.extend(reversed(self._hits(fd, begin, self.low)))
            self.low = begin
        self.is_full = len(self) >= MOST_HITS

    def grow(self, size: int) -> None:
        """Let the log be of *size* bytes: what is new, and the end of the last line, is yet to be looked at."""
        self.high = max(self._origin, min(self.high, self.size - _LONGEST_TORN))
        self.size = size

    def _hits(self, fd: int, begin: int, end: int) -> list[int]:
        """Return the hits from *begin* to before *end*; a match may reach beyond, and a line may begin before."""
        before = min(begin, OVERLAP)
        data = read_at(fd, begin - before, end - begin + before + OVERLAP)
        head = data.rfind(b"\n", 0, before)
        redraw = data.rfind(b"\r", max(0, head), before)
        first = max(head, redraw) + 1 if max(head, redraw) >= 0 else before
        tail = data.find(b"\n", before + end - begin)
        data = data[first : tail if tail >= 0 else len(data)]
        base = begin - before + first
        return [base + at for at in self.pattern.find(data) if begin <= base + at < end]

    # -- asking

    def after(self, offset: int) -> int | None:
        """Return the first hit behind *offset*, None if none is known."""
        behind = self._behind
        at = bisect_left(behind, -offset, key=lambda hit: -hit) - 1
        if at >= 0:
            return behind[at]
        at = bisect_right(self._ahead, offset)
        return self._ahead[at] if at < len(self._ahead) else None

    def before(self, offset: int) -> int | None:
        """Return the last hit before *offset*, None if none is known."""
        at = bisect_left(self._ahead, offset) - 1
        if at >= 0:
            return self._ahead[at]
        behind = self._behind
        at = bisect_right(behind, -offset, key=lambda hit: -hit)
        return behind[at] if at < len(behind) else None

    def find(self, offset: int, is_forward: bool) -> int | None:
        """Return the next hit from *offset*, round the end if need be; -1 if there is none, None if not known yet."""
        hit = self.after(offset) if is_forward else self.before(offset)
        is_known = self.low <= offset + 1 and offset <= self.high
        if hit is not None and (is_known or self.is_complete):
            return hit
        if not self.is_complete:
            return None
        hit = self.after(-1) if is_forward else self.before(self.size + 1)
        return -1 if hit is None else hit

    def count_before(self, offset: int) -> int:
        """Return how many hits are known before *offset*."""
        behind = len(self._behind) - bisect_right(self._behind, -offset, key=lambda hit: -hit)
        return behind + bisect_left(self._ahead, offset)

    def has_hit(self, low: int, high: int) -> bool:
        """Tell whether there is a hit from *low* to before *high*."""
        found = self.after(low - 1)
        return found is not None and found < high
