"""Rows of a log forward, backward and at any byte offset, in bounded time whatever stands between newlines."""

from __future__ import annotations

from collections import OrderedDict

from nanwatch.views.dashboard.log.cutting import HORIZON, has_cursor_up
from nanwatch.views.dashboard.log.edges import Edges
from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.rows import SHOWN, Row, Screen, inert, is_plain, trouble
from nanwatch.views.dashboard.log.walk import Group, Walk

_WHOLE = 64 * 1024
_TAIL = 16 * 1024
_HEAD = 8 * 1024
_CACHED = 4096


class Reader(Walk):
    """Reads *file* as a terminal shows it, or with *every_redraw* each frame as a row of its own."""

    def __init__(self, file: LogFile, every_redraw: bool = False) -> None:
        self.every_redraw = every_redraw
        self._file = file
        self._groups: OrderedDict[int, Group] = OrderedDict()
        self._edges = Edges(file, every_redraw)
        self._size = file.size

    # -- rows

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self._file.size

    def first(self, place: int) -> Group | None:
        """Return the group that holds *place*; the last where it lies beyond the end."""
        return self.group_of(place)

    def following(self, group: Group) -> Group | None:
        """Return the group behind *group*."""
        return self._group_from(group.end) if group.end < self._file.size else None

    def preceding(self, group: Group) -> Group | None:
        """Return the group before *group*."""
        return self.group_of(group.start - 1) if group.start > 0 else None

    def holding(self, offset: int) -> Row | None:
        """Return the row that was being written at the byte *offset*; None if the file is empty."""
        group = self.group_of(offset)
        if group is None:
            return None
        if len(group.rows) == 1:
            return group.rows[0]
        screen, _ = self._screen(group.start, group.end)
        return group.rows[min(screen.row_of(offset), len(group.rows) - 1)]

    def shows(self, low: int, high: int) -> bool:
        """Tell whether what the bytes from *low* to *high* wrote is still seen in the row that holds them."""
        group = self.group_of(low)
        if group is None or self.every_redraw or not any(row.is_redrawn for row in group.rows):
            return True
        screen, _ = self._screen(group.start, group.end)
        return screen.shows(low, min(high, group.end))

    def group_of(self, offset: int) -> Group | None:
        """Return the group that holds the byte *offset*; the last where it lies beyond the end."""
        self._forget_what_grew()
        size = self._file.size
        if size <= 0:
            return None
        return self._group_from(self._edges.start_of(min(max(0, offset), size - 1)))

    def _group_from(self, start: int) -> Group:
        """Return the group that begins at *start*."""
        group = self._groups.get(start)
        if group is None:
            group = self._groups[start] = self._group(start, self._edges.next_start(start))
            if len(self._groups) > _CACHED:
                self._groups.popitem(last=False)
        else:
            self._groups.move_to_end(start)
        return group

    def whole(self, row: Row, most: int) -> str:
        """Return all of the text of *row*, read from at most *most* bytes of a long line."""
        group = self.group_of(row.start)
        size = row.end - row.start
        if group is not None and not row.is_redrawn and len(group.rows) == 1 and size > _WHOLE:
            return inert(self._text(row.start, self._file.read(row.start, min(size, most)).rstrip(b"\r\n")))
        texts = self._screen(row.start, row.end)[0].texts
        return texts[min(max(0, row.offset - row.start), len(texts) - 1)]

    def forget(self) -> None:
        """Drop what is known: the file is another one."""
        self._groups.clear()
        self._edges.forget()
        self._size = self._file.size

    def _forget_what_grew(self) -> None:
        size, before = self._file.size, self._size
        if size == before:
            return
        self._size = size
        if size < before:
            self.forget()
            return
        for start in [start for start, group in self._groups.items() if group.end > before - HORIZON]:
            del self._groups[start]

    # -- what a group shows

    def _group(self, start: int, end: int) -> Group:
        is_cut = self._edges.is_torn(start) or (end < self._file.size and self._edges.is_torn(end))
        size = end - start
        if size > _WHOLE and not self._is_bar(end):
            return Group(start, end, (self._long(start, end, is_cut),))
        if size <= _WHOLE:
            body = self._file.read(start, size).rstrip(b"\r\n")
            if is_plain(body):
                return Group(start, end, (self._row(start, start, end, inert(self._text(start, body)), False, is_cut),))
        screen, is_tail = self._screen(start, end)
        is_redrawn = screen.is_redrawn or is_tail
        rows = [self._row(start + n, start, end, text, is_redrawn, is_cut) for n, text in enumerate(screen.texts)]
        return Group(start, end, tuple(rows[:size]))

    def _row(self, offset: int, start: int, end: int, text: str, is_redrawn: bool, is_cut: bool) -> Row:
        shown = text[:SHOWN]
        return Row(offset, start, end, shown, len(text) - len(shown), trouble(shown), is_redrawn, is_cut)

    def _long(self, start: int, end: int, is_cut: bool) -> Row:
        """Return the row of a long line, of which only the beginning is read."""
        text = inert(self._text(start, self._file.read(start, _HEAD)))[:SHOWN]
        tail = self._file.read(end - 2, 2)
        more = max(0, end - start - len(tail) + len(tail.rstrip(b"\r\n")) - len(text.encode("utf-8", "replace")))
        return Row(start, start, end, text, more, trouble(text), False, is_cut)

    def _is_bar(self, end: int) -> bool:
        """Tell whether what ends at *end* was redrawn last."""
        tail = self._file.read(max(0, end - _TAIL), _TAIL).rstrip(b"\r\n")
        return b"\r" in tail or has_cursor_up(tail)

    def _screen(self, start: int, end: int) -> tuple[Screen, bool]:
        """Return the terminal that shows the group, and whether only its end was looked at."""
        is_tail = end - start > _WHOLE
        base = end - _TAIL if is_tail else start
        data = self._file.read(base, end - base)
        if is_tail:
            skip = min((at for at in (data.find(b"\r"), data.find(b"\n")) if at >= 0), default=-1) + 1
            skip = max(skip, _wiped(data))
            base, data = base + skip, data[skip:]
        if data.endswith(b"\n"):
            data = data[:-1]
        if self._file.encoding != "utf-8":
            data = self._text(base, data).encode("utf-8", "replace")
        return Screen(data, base, is_tail or self._edges.is_torn(start)), is_tail

    def _text(self, offset: int, data: bytes) -> str:
        """Return the characters of *data*, the bytes at *offset*."""
        encoding = self._file.encoding
        if encoding == "utf-8":
            return data.decode("utf-8", "replace")
        data = data[offset % 2 :]
        return data[: len(data) // 2 * 2].decode(encoding, "replace").rstrip("\r\n")


def _wiped(data: bytes) -> int:
    """Return where the redraw of *data* begins that wiped all before it off its row, 0 if none surely did."""
    if b"\n" in data[:-1] or has_cursor_up(data):
        return 0
    return max(0, data.rfind(b"\r", 0, max(0, data.rfind(b"\x1b[K"))))
