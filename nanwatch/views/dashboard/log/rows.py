"""Bytes of a log -> rows as a terminal would have shown them, without anything that a terminal obeys."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from rich.cells import get_character_cell_size

from nanwatch.model.words import printable

SHOWN = 1000
"""Characters of a row that are kept for the screen."""

_CHUNK = 1024
_MOST_COLUMNS = 8192
_MOST_ROWS = 400
_MOST_MARKS = 3
_TAB = 8
_VARIATION = re.compile("[\ufe00-\ufe0f\u034f\u115f\u1160\u3164\uffa0]")
_NARROW = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0391-\u03c9\u0410-\u044f\u2010-\u2027\u2190-\u22ff\u2500-\u25fc\u2800-\u28ff]*"
)
"""Characters that surely fill one column each."""

_SPECIAL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_TOKEN = re.compile(
    rb"[^\x00-\x1f\x7f]+"  # text
    rb"|\x1b\[([0-?]*)[ -/]*([@-~])"  # CSI: colours, cursor
    rb"|\x1b[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?"  # OSC, DCS: title, hyperlink, clipboard
    rb"|\x1b[ -/]*[0-~]?"
    rb"|[\x00-\x1f\x7f]"
)
_NAN = re.compile(r"(?<![A-Za-z_])(?:nan|inf(?:inity)?)(?![A-Za-z_])", re.IGNORECASE)
_ERROR = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|Traceback \(most|\w(?:Error|Exception)\b|out of memory")
_WARNING = re.compile(r"\bwarn(?:ing)?\b|\wWarning\b|non-finite|overflow", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its `text`, printable and at most `SHOWN` characters, of which `more` characters follow.

    `offset` is the row's place, unique in the log; `start` and `end` are the bytes of its group. The rows of one
    group have the offsets start, start + 1 ... `trouble` is `nan`, `error`, `warning` or empty. `is_redrawn` tells
    that the group holds superseded redraws, `is_cut` that it was too long and begins or ends at an arbitrary byte.
    """

    offset: int
    start: int
    end: int
    text: str
    more: int = 0
    trouble: str = ""
    is_redrawn: bool = False
    is_cut: bool = False


def inert(text: str) -> str:
    """Return *text*, tabs expanded, without controls, escapes, bidi overrides, and what has no width of its own."""
    if "\t" in text:
        text = text.expandtabs(_TAB)
    if text.isascii() and text.isprintable():
        return text
    text = _VARIATION.sub("", text)
    return "".join(printable(text[at : at + _CHUNK]) for at in range(0, len(text), _CHUNK))


def trouble(text: str) -> str:
    """Return `nan`, `error`, `warning` or nothing: what the row *text* tells of."""
    if _NAN.search(text):
        return "nan"
    if _ERROR.search(text):
        return "error"
    return "warning" if _WARNING.search(text) else ""


def is_plain(data: bytes) -> bool:
    """Tell whether *data*, one line without its end, holds nothing that moves a cursor."""
    return _SPECIAL.search(data) is None


@dataclass(slots=True)
class _Line:
    """The cells of one row, and the byte each was written by."""

    cells: list[str] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)

    def write(self, column: int, cells: list[str], source: int) -> None:
        lack = column - len(self.cells)
        if lack > 0:
            self.cells += [" "] * lack
            self.sources += [-1] * lack
        end = column + len(cells)
        self._part(column)
        self._part(end)
        self.cells[column:end] = cells
        self.sources[column:end] = [source] * len(cells)

    def _part(self, column: int) -> None:
        """Leave nothing of a wide character that something else begins in the middle of."""
        if 0 < column < len(self.cells) and self.cells[column] == "":
            self.cells[column - 1 : column + 1] = [" ", " "]

    def erase(self, first: int, last: int) -> None:
        self._part(first)
        self._part(last)
        if last >= len(self.cells):
            del self.cells[first:], self.sources[first:]
            return
        self.cells[first:last] = [" "] * (last - first)
        self.sources[first:last] = [-1] * (last - first)


class Screen:
    """A terminal as wide as need be that shows one group; `is_redrawn` tells whether something was overwritten.

    Where *is_tail* says that the group's beginning is not known, the cursor may go above the first row.
    """

    def __init__(self, data: bytes, base: int = 0, is_tail: bool = False) -> None:
        self.is_redrawn = False
        self._lines = [_Line()]
        self._row = self._column = 0
        self._is_tail = is_tail
        self._visits: list[tuple[int, _Line]] = [(base, self._lines[0])]
        for found in _TOKEN.finditer(data):
            self._obey(found, base + found.start())

    @property
    def texts(self) -> list[str]:
        """The rows, cleaned."""
        return [inert("".join(line.cells)).rstrip() for line in self._lines]

    def row_of(self, source: int) -> int:
        """Return the number of the row in which the cursor stood at the byte *source*."""
        line = self._visits[max(0, bisect_right(self._visits, source, key=lambda visit: visit[0]) - 1)][1]
        return next((number for number, other in enumerate(self._lines) if other is line), 0)

    def shows(self, low: int, high: int) -> bool:
        """Tell whether something that the bytes from *low* to *high* wrote can still be seen."""
        return any(low <= source < high for line in self._lines for source in line.sources)

    def _obey(self, found: re.Match[bytes], source: int) -> None:
        token = found[0]
        first = token[0]
        if first >= 0x20:
            self._put(token.decode("utf-8", "replace"), source)
        elif found[2] is not None:
            self._csi(found[1], found[2], source)
        elif first == 13:
            self._column = 0
        elif first == 10:
            self._move_to(self._row + 1, source)
            self._column = 0
        elif first == 8:
            self._column = max(0, self._column - 1)
        elif first == 9:
            self._column = (self._column // _TAB + 1) * _TAB

    def _put(self, text: str, source: int) -> None:
        room = _MOST_COLUMNS - self._column
        cells = self._cells(text[: max(0, room)])
        line = self._lines[self._row]
        if self._column < len(line.cells):
            self.is_redrawn = True
        line.write(self._column, cells, source)
        self._column += len(cells)

    def _cells(self, text: str) -> list[str]:
        """Return what each column holds: nothing in the second of a wide character, marks with their letter."""
        if text.isascii() or _NARROW.fullmatch(text):
            return list(text)
        cells: list[str] = []
        for char in text:
            width = get_character_cell_size(char)
            if width:
                cells += [char] if width == 1 else [char, ""]
            elif cells and len(cells[-1]) < _MOST_MARKS:
                cells[-1 if cells[-1] or len(cells) < 2 else -2] += char
        return cells

    def _csi(self, parameters: bytes, final: bytes, source: int) -> None:
        head = parameters.partition(b";")[0][:4]
        number = int(head) if head.isdigit() else 0
        count = number or 1
        line = self._lines[self._row]
        if final in b"AF":
            self._move_to(self._row - count, source)
        elif final in b"BE":
            self._move_to(min(self._row + count, len(self._lines) - 1), source)
        elif final == b"C":
            self._column = min(self._column + count, _MOST_COLUMNS)
        elif final == b"D":
            self._column = max(0, self._column - count)
        elif final == b"G":
            self._column = min(count - 1, _MOST_COLUMNS)
        elif final == b"X":
            line.erase(self._column, self._column + count)
        elif final in b"KJ":
            self._erase(line, number)
            if final == b"J" and number == 0:
                del self._lines[self._row + 1 :]
        if final in b"EFH":
            self._column = 0

    def _erase(self, line: _Line, which: int) -> None:
        if line.cells and which != 1:
            self.is_redrawn = True
        first = self._column if which == 0 else 0
        line.erase(first, self._column + 1 if which == 1 else len(line.cells))

    def _move_to(self, row: int, source: int) -> None:
        if row < 0 and self._is_tail and len(self._lines) < _MOST_ROWS:
            self._lines[:0] = [_Line() for _ in range(-row)]
        self._row = max(0, row)
        while self._row >= len(self._lines):
            self._lines.append(_Line())
        self._visits.append((source + 1, self._lines[self._row]))
