"""Where one is in a log and what is seen there: the top row, the cursor, following, the way back. No screen."""

from __future__ import annotations

from typing import NamedTuple

from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.reader import Reader
from nanwatch.views.dashboard.log.rows import Row
from nanwatch.views.dashboard.log.search import Scan
from nanwatch.views.dashboard.log.walk import Filtered, Walk

_END = 1 << 62
_MOST_PLACES = 50


class Place(NamedTuple):
    """Somewhere one was."""

    every_redraw: bool
    is_forced: bool
    top: int
    cursor: int
    is_following: bool


class LogView:
    """Shows `height` rows of *file* from `top` on; `cursor` is the offset of the row that is pointed at.

    `has_jumped` tells that one came here by a jump, and has not moved since; `is_forced` that each redraw is shown only
    because something that was drawn over is looked at.
    """

    def __init__(self, file: LogFile) -> None:
        self.file = file
        self.height = 1
        self.top = self.cursor = self.column = 0
        self.every_redraw = self.is_forced = False
        self.is_following = True
        self.unseen_from = 0
        self.has_jumped = False
        self._is_placed = False
        self.rows: list[Row] = []
        self._readers = (Reader(file), Reader(file, every_redraw=True))
        self._filter: Filtered | None = None
        self._places: list[Place] = []
        self.go_end()

    @property
    def reader(self) -> Reader:
        """The reader of the mode that is on."""
        return self._readers[self.every_redraw]

    @property
    def walk(self) -> Walk:
        """What gives the rows: the reader, or the filter."""
        return self._filter or self.reader

    @property
    def row(self) -> Row | None:
        """The row at the cursor."""
        return self.walk.at(self.cursor)

    @property
    def is_filtered(self) -> bool:
        """Tell whether rows are left out."""
        return self._filter is not None

    # -- moving

    def move(self, count: int) -> None:
        """Move the cursor by *count* rows; any way up stops following."""
        self._is_placed = False
        self.has_jumped = False
        if count > 0:
            rows = self.walk.forward(self.cursor, count + 1)
            self.cursor = rows[-1].offset if rows else 0
        elif count < 0:
            self.stop_following()
            rows = self.walk.backward(self.cursor, -count)
            self.cursor = rows[0].offset if rows else self.cursor
        self._follow_cursor()

    def scroll(self, count: int) -> None:
        """Move what is seen by *count* rows; the cursor stays on its row while that is seen."""
        self._is_placed = False
        self.has_jumped = False
        if count < 0:
            self.stop_following()
            rows = self.walk.backward(self.top, -count)
            self.top = rows[0].offset if rows else self.top
        else:
            rows = self.walk.forward(self.top, count + 1)
            self.top = min(rows[-1].offset, self._last_top()) if rows else 0
        self.look()
        if self.rows:
            self.cursor = min(max(self.cursor, self.rows[0].offset), self.rows[-1].offset)

    def point(self, place: int) -> None:
        """Put the cursor on a row that is seen."""
        self._is_placed = False
        self.has_jumped = False
        if place < self.cursor:
            self.stop_following()
        self.cursor = place

    def page(self, pages: float) -> None:
        """Move the cursor, and what is seen with it, by *pages*."""
        count = round(pages * self.height)
        before = self.cursor
        self.scroll(count)
        self.cursor = before
        self.move(count)

    def go_start(self) -> None:
        """Go to the first row."""
        self._is_placed = False
        self.stop_following()
        rows = self.walk.forward(0, 1)
        self.top = self.cursor = rows[0].offset if rows else 0
        self.look()

    def go_end(self) -> None:
        """Go to the last row."""
        self._is_placed = False
        rows = self.walk.backward(_END, self.height)
        self.top, self.cursor = (rows[0].offset, rows[-1].offset) if rows else (0, 0)
        self.unseen_from = self.file.size
        self.look()

    def go(self, place: int) -> None:
        """Put the row at *place* a third down the screen, and the cursor on it."""
        self.stop_following()
        self._is_placed = True
        row = self.walk.at(place)
        self.cursor = row.offset if row else 0
        above = self.walk.backward(self.cursor, self.height // 3)
        self.top = min(above[0].offset if above else self.cursor, self._last_top())
        self.look()

    def go_share(self, share: float) -> None:
        """Let the row at this *share* of the log's bytes be the first that is seen: 1 is the end."""
        if share >= 1:
            self.stop_following()
            self.go_end()
            return
        self.stop_following()
        row = self.reader.holding(int(max(0.0, share) * self.file.size))
        row = self.walk.at(row.offset) if row else None
        self.top = self.cursor = min(row.offset if row else 0, self._last_top())
        self.look()

    def show_byte(self, offset: int) -> None:
        """Go to the row that the byte *offset* wrote; where a redraw drew over it, to that redraw itself."""
        self._unforce()
        if not self.every_redraw and not self.is_seen(offset):
            self._set_mode(True)
            self.is_forced = True
        self.pin(offset)
        row = self.reader.holding(offset)
        self.go(row.offset if row else 0)

    def is_seen(self, offset: int) -> bool:
        """Tell whether what the frame at the byte *offset* wrote is still seen as a terminal shows it."""
        frame = self._readers[True].holding(offset)
        return frame is None or self._readers[False].shows(frame.start, frame.end)

    def _follow_cursor(self) -> None:
        self.look()
        if not self.rows or self.cursor < self.top:
            self.top = self.cursor
            self.look()
        elif self.cursor > self.rows[-1].offset:
            above = self.walk.backward(self.cursor, self.height - 1)
            self.top = above[0].offset if above and self.height > 1 else self.cursor
            self.look()

    def _last_top(self) -> int:
        rows = self.walk.backward(_END, self.height)
        return rows[0].offset if rows else 0

    # -- looking

    def look(self) -> bool:
        """Read the rows that are seen; tell whether they changed."""
        before = self.rows
        self.rows = self.walk.forward(self.top, self.height)
        if self.rows and self.is_filtered:
            self.top = self.rows[0].offset
        return self.rows != before

    def resize(self, height: int) -> None:
        """Show *height* rows."""
        self.height = max(1, height)
        if self.is_following:
            self.go_end()
        elif self._is_placed:
            self.go(self.cursor)
        else:
            self.top = min(self.top, self._last_top())
            self._follow_cursor()

    def follow(self) -> None:
        """Go to the end, and stay there as the log grows."""
        self._unforce()
        self.is_following = True
        self.go_end()

    def stop_following(self) -> None:
        """Stay here from now on; what is added is counted from here."""
        if self.is_following:
            self.is_following = False
            self.unseen_from = self.file.size

    def grown(self) -> bool:
        """Take in that the log grew; tell whether what is seen changed."""
        if self.is_following:
            before = self.rows
            self.go_end()
            return self.rows != before
        return self.look()

    def start_anew(self) -> None:
        """Take in that the log is another one, or shorter."""
        for reader in self._readers:
            reader.forget()
        self._places.clear()
        if self.is_following or self.top >= self.file.size:
            self.go_end()
        else:
            self.go(self.cursor)

    # -- modes

    def set_every_redraw(self, is_on: bool) -> None:
        """Show each redraw as a row, or rows as a terminal does; the cursor stays on its bytes."""
        row = self.reader.at(self.cursor)
        was_following = self.is_following
        self._set_mode(is_on)
        self.is_forced = False
        if row is None:
            return
        found = self.reader.holding(row.end - 1 if is_on else row.start)
        self.go(found.offset if found else 0)
        if was_following:
            self.follow()

    def _set_mode(self, every_redraw: bool) -> None:
        self.every_redraw = every_redraw
        if self._filter:
            self._filter = Filtered(self.reader, self._filter.scan, self._filter.pinned)

    def _unforce(self) -> None:
        """Show rows as a terminal does again, unless a person asked for each redraw."""
        if self.is_forced:
            self.is_forced = False
            self._set_mode(False)

    def set_filter(self, scan: Scan | None) -> None:
        """Leave out the rows without a hit of *scan*, but for the cursor's; None shows all."""
        row = self.reader.at(self.cursor)
        self._filter = Filtered(self.reader, scan, row.offset if row else 0) if scan is not None else None
        was_following = self.is_following
        self.go(self.cursor)
        if was_following:
            self.follow()

    def pin(self, offset: int) -> None:
        """Let the row at *offset* through the filter."""
        if self._filter:
            self._filter = Filtered(self.reader, self._filter.scan, offset)

    def remember(self) -> None:
        """Keep this place, to come back to it."""
        self._places = [*self._places[-_MOST_PLACES:], self.place]

    @property
    def place(self) -> Place:
        """Where one is."""
        return Place(self.every_redraw, self.is_forced, self.top, self.cursor, self.is_following)

    def forget_places(self) -> None:
        """Keep no place to come back to."""
        self._places.clear()
        self.has_jumped = False

    def go_back(self) -> bool:
        """Return to the place that was kept last; tell whether there was one."""
        if not self._places:
            return False
        self.return_to(self._places.pop())
        return True

    def return_to(self, place: Place) -> None:
        """Go where one was."""
        self.has_jumped = self._is_placed = False
        every_redraw, self.is_forced, self.top, self.cursor, self.is_following = place
        self._set_mode(every_redraw)
        self.pin(self.cursor)
        if self.is_following:
            self.go_end()
        else:
            self.look()
