"""What a reader of a log does: search, filter, go to alerts, marks and lines, and what runs on behind it. No screen."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.index import LineIndex
from nanwatch.views.dashboard.log.pattern import Pattern, Trouble
from nanwatch.views.dashboard.log.rows import Row
from nanwatch.views.dashboard.log.search import Scan
from nanwatch.views.dashboard.log.times import first_from, time_of
from nanwatch.views.dashboard.log.view import LogView, Place

_SMALL = 64 * 1024 * 1024
"""A log of so many bytes is looked through for trouble at once, to mark it on the scrollbar; a larger one if asked."""

_COUNTED = 4 * 1024 * 1024
_PLACE = re.compile(r"(?:(?P<percent>\d+(?:\.\d+)?) ?%|@(?P<offset>\d+)|(?P<line>[\d,_]+))\Z")

Run = Callable[[int, Callable[[], bool], Callable[[], None]], None]
"""Works on a descriptor until it is done or cancelled, and tells of each step."""


class Job(NamedTuple):
    """Something for a thread to do; of one name only the latest is wanted."""

    name: str
    subject: object
    run: Run


class _Wish(NamedTuple):
    """A hit that one wants to go to as soon as it is known, and then on by `more` hits."""

    scan: Scan
    offset: int
    is_forward: bool
    more: int = 0


class Desk:
    """Reads one log. `note` is what is to be said once, `search` and `hidden_by` the scans that are in use."""

    def __init__(self, path: Path, alerts: Sequence[tuple[int, str]]) -> None:
        self.file = LogFile(path)
        self.view = LogView(self.file)
        self.alerts = sorted(alerts)
        self.bookmarks: list[int] = []
        self.note = self.file.problem
        self.event = ""
        self._reset()

    def _reset(self) -> None:
        self.index = LineIndex()
        self.search: Scan | None = None
        self.hidden_by: Scan | None = None
        self.trouble: Scan | None = None
        self._wish: _Wish | None = None
        self._home: Place | None = None
        self._unseen = (self.view.unseen_from, 0)
        if 0 < self.file.size <= _SMALL:
            self.trouble = self._scan_for(Trouble(self.file.encoding))

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    # -- what goes on behind

    def jobs(self) -> Iterator[Job]:
        """Yield what is left for threads to do."""
        if self.index.counted_to < self.file.size:
            index, size = self.index, self.file.size
            yield Job("index", index, lambda fd, stop, _: index.extend(fd, size, stop))
        scans = {"search": self.search, "filter": self.hidden_by, "trouble": self.trouble}
        seen: list[Scan] = []
        for name, scan in scans.items():
            if scan is not None and not scan.is_complete and scan not in seen:
                seen.append(scan)
                yield Job(name, scan, scan.run)

    def advanced(self) -> bool:
        """Take in what a thread has found; tell whether something else is to be seen."""
        found = self._go_wished()
        if self.view.is_filtered:
            return self.view.grown() or found
        return found

    def poll(self) -> bool:
        """Look at the file anew; tell whether what is seen changed."""
        what = self.file.refresh()
        if not what:
            return False
        if what == "grown":
            for scan in (self.search, self.hidden_by, self.trouble):
                if scan is not None and scan.size < self.file.size:
                    scan.grow(self.file.size)
            return self.view.grown()
        self.event = {"cut": "shorter than before: read anew", "opened": ""}.get(what, what)
        if what in ("cut", "rotated", "opened", "returned"):
            self.view.set_filter(None)
            self.bookmarks.clear()
            if what != "opened":
                self.alerts = []
            self.view.start_anew()
            self._reset()
        return True

    @property
    def unseen(self) -> int:
        """How many lines were added since one stopped following; a lower bound while much is added at once."""
        start, count = self._unseen
        if start < self.view.unseen_from or self.view.is_following:
            start, count = self.view.unseen_from, 0
        data = self.file.read(start, min(self.file.size - start, _COUNTED))
        self._unseen = (start + len(data), count + data.count(b"\n"))
        return 0 if self.view.is_following else self._unseen[1]

    def _scan(self, text: str) -> Scan:
        return self._scan_for(Pattern(text, self.file.encoding))

    def _scan_for(self, pattern: Pattern) -> Scan:
        row = self.view.row
        return Scan(pattern, row.start if row else 0, self.file.size)

    # -- going to hits

    def find(self, text: str) -> None:
        """Search for *text* from the cursor on; nothing ends the search."""
        self._wish = None
        self.search = self._scan(text) if text else None
        if self.search is not None:
            self.note = self.search.pattern.note
            row = self.view.row
            self.wish(self.search, row.start - 1 if row else 0, is_forward=True)

    def next_hit(self, is_forward: bool) -> None:
        """Go to the next hit of the search."""
        if self.search is None:
            self.note = "nothing was searched: press / first"
            return
        self._next(self.search, is_forward)

    def next_trouble(self, is_forward: bool) -> None:
        """Go to the next row with a NaN, a warning or an error."""
        self._next(self._trouble(), is_forward)

    def _trouble(self) -> Scan:
        if self.trouble is None:
            self.trouble = self._scan_for(Trouble(self.file.encoding))
        return self.trouble

    def _next(self, scan: Scan, is_forward: bool) -> None:
        row, wish = self.view.row, self._wish
        if wish is not None and wish.scan is scan and wish.is_forward == is_forward:
            self._wish = wish._replace(more=wish.more + 1)
        elif row is not None:
            self.wish(scan, row.end - 1 if is_forward else row.start, is_forward)

    def wish(self, scan: Scan, offset: int, is_forward: bool) -> None:
        """Go to the next hit of *scan* from *offset*, now or as soon as it is known."""
        self._wish = _Wish(scan, offset, is_forward)
        self._go_wished()

    def _go_wished(self) -> bool:
        if self._wish is None:
            return False
        scan, offset, is_forward, more = self._wish
        hit = scan.find(offset, is_forward)
        if hit is None:
            return False
        self._wish = None
        if hit < 0:
            self._say("not found" if scan is self.search else "no warning, no NaN")
            return True
        if (hit <= offset) if is_forward else (hit >= offset):
            self._say("searched on from the " + ("start" if is_forward else "end"))
        self._leave()
        self._go_byte(hit)
        if more:
            self._wish = _Wish(scan, hit, is_forward, more - 1)
            self._go_wished()
        return True

    def _say(self, text: str) -> None:
        self.note = f"{self.note}; {text}" if self.note else text

    @property
    def is_waiting(self) -> bool:
        """Tell whether a hit is still looked for."""
        return self._wish is not None

    # -- going elsewhere

    def visit(self, offset: int) -> None:
        """Go to what the byte *offset* wrote, for one who comes from elsewhere: nothing of before can be undone."""
        self.leave()
        self.search = None
        if self.hidden_by is not None:
            self._hide(None)
        self.note = self.event = ""
        self._home = self.view.place
        self.view.show_byte(min(offset, max(0, self.file.size - 1)))

    def leave(self) -> None:
        """End the visit: be again where one was before it."""
        self._wish = None
        self.view.forget_places()
        if self._home is not None:
            self.view.return_to(self._home)
            self._home = None

    def jump(self, offset: int) -> None:
        """Go to what the byte *offset* wrote, and remember where one was."""
        self.view.remember()
        self._wish = None
        self.view.show_byte(min(offset, max(0, self.file.size - 1)))

    def next_alert(self, is_forward: bool) -> None:
        """Go to the next alert's row."""
        row = self.view.row
        offsets = [offset for offset, _ in self.alerts]
        if row is None or not offsets:
            self.note = "no alert points into this log"
            return
        at = bisect_left(offsets, row.end) if is_forward else bisect_left(offsets, row.start) - 1
        self.jump(offsets[at % len(offsets)])

    def toggle_mark(self) -> None:
        """Mark the row at the cursor, or take its mark away."""
        row = self.view.row
        if row is None:
            return
        if row.offset in self.bookmarks:
            self.bookmarks.remove(row.offset)
        else:
            insort(self.bookmarks, row.offset)

    def next_mark(self, is_forward: bool) -> None:
        """Go to the next marked row."""
        row = self.view.row
        if row is None or not self.bookmarks:
            self.note = "nothing is marked: m marks a row"
            return
        marks = self.bookmarks
        at = bisect_right(marks, row.offset) if is_forward else bisect_left(marks, row.offset) - 1
        self._leave()
        self.view.pin(marks[at % len(marks)])
        self.view.go(marks[at % len(marks)])

    def go_to(self, text: str) -> None:
        """Go to a line (`31142`), a share (`50%`), a byte (`@81204`) or a time (`14:01`)."""
        time = time_of(text.strip())
        found = _PLACE.match(text.strip())
        if time is not None:
            self._go_time(time)
        elif found is None:
            self.note = "a line (31142), a share (50%), a byte (@81204) or a time (14:01) is needed"
        elif found["percent"]:
            self._leave()
            self.view.go_share(float(found["percent"]) / 100)
        elif found["offset"]:
            self.jump(int(found["offset"]))
        else:
            self._go_line(int(re.sub("[,_]", "", found["line"])))

    def _go_line(self, line: int) -> None:
        offset = self.index.offset_of(self.file.fd, line)
        if offset is None or offset >= self.file.size:
            is_counted = self.index.counted_to >= self.file.size
            self.note = f"the log has {self.index.total:,} lines" + (
                "" if is_counted else " as far as they are counted"
            )
            return
        self._leave()
        self.view.pin(offset)
        self.view.go(offset)

    def _go_time(self, time: bytes) -> None:
        offset = first_from(self.file.read, self.file.size, time)
        if offset is None:
            self.note = f"no line holds {time.decode()} or a later time"
            return
        self._leave()
        self._go_byte(offset)

    def _go_byte(self, offset: int) -> None:
        """Go to the row that holds the byte *offset*, whatever is hidden."""
        row = self.view.reader.holding(offset)
        if row is not None:
            self.view.pin(row.offset)
            self.view.go(row.offset)

    def _leave(self) -> None:
        """Remember where one was, once for a row of jumps."""
        if not self.view.has_jumped:
            self.view.remember()
        self.view.has_jumped = True

    # -- what is seen

    def toggle_trouble(self) -> None:
        """Show only rows with NaN, warnings and errors, or all again."""
        trouble = self._trouble()
        self._hide(None if self.hidden_by is trouble else trouble)

    def filter(self, text: str) -> None:
        """Show only the rows that hold *text*, or all if there is none."""
        scan = self._scan(text) if text else None
        self.note = scan.pattern.note if scan is not None else ""
        self._hide(scan)

    def _hide(self, scan: Scan | None) -> None:
        self.hidden_by = scan
        self.view.set_filter(scan)

    def undo(self) -> bool:
        """Take back the last jump, or else the filter, or else the search; tell whether there was one."""
        if self._wish is not None:
            self._wish = None
        elif self.view.go_back():
            pass
        elif self.hidden_by is not None:
            self._hide(None)
        elif self.search is not None:
            self.search = None
        else:
            return False
        return True

    def alert_of(self, row: Row) -> str:
        """Return the severity of the alert that points at *row*, or nothing; that it finished is no trouble."""
        at = bisect_left(self.alerts, row.start, key=lambda alert: alert[0])
        is_here = at < len(self.alerts) and self.alerts[at][0] < row.end
        return self.alerts[at][1] if is_here and self.alerts[at][1] != "info" else ""

    def number_of(self, row: Row) -> int | None:
        """Return the number of the line in which *row* begins; None while it is not counted."""
        return self.index.line_of(self.file.fd, row.start)
