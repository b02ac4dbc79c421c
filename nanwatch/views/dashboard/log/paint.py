"""Rows, marks and figures of the log viewer -> strips of styled text; what a style means, a sign or a word says too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from nanwatch.views.dashboard.log.pattern import Pattern
from nanwatch.views.dashboard.log.rows import Row

StyleOf = Callable[[str], Style]
"""Gives the style of a role: `nan`, `error`, `warning`, `muted`, `hit`, `cursor`, `status` or `text`."""


class Signs(NamedTuple):
    """The signs that are not ASCII where the terminal can show them."""

    cursor: str = "›"
    nan: str = "×"
    track: str = "│"
    thumb: str = "█"
    more: str = "…"
    before: str = "…"
    down: str = "↓"
    cut: str = "~"


ASCII_SIGNS = Signs(">", "x", "|", "#", ">", "<", "v", "~")


class Look(NamedTuple):
    """What a painted row depends on beside itself."""

    width: int
    column: int
    number: str
    is_cursor: bool
    mark: str
    alert: str


def trouble_sign(trouble: str, signs: Signs) -> str:
    """Return the sign of a row's trouble: NaN, `X` error or critical alert, `!` warning, a blank for none."""
    return {"nan": signs.nan, "error": "X", "critical": "X", "warning": "!"}.get(trouble, " ")


def paint_row(row: Row, look: Look, signs: Signs, pattern: Pattern | None, style_of: StyleOf) -> Strip:
    """Return *row* as `look.width` cells: cursor or mark, trouble, line number, text from `look.column` on."""
    trouble = look.alert or row.trouble
    base = style_of("text")
    role = "error" if trouble == "critical" else trouble
    head = Segment(
        (signs.cursor if look.is_cursor else look.mark or " ") + trouble_sign(trouble, signs),
        base + style_of(role) if role else base,
    )
    number = Segment(look.number, base + style_of("muted"))
    muted = base + style_of("muted")
    text = Strip([*_pieces(row.text, pattern, base, style_of), *_ends(row, signs, muted)])
    room = max(0, look.width - cell_len(head.text) - cell_len(number.text))
    strip = Strip([head, number, *_cut(row, text, look.column, room, signs, muted)]).adjust_cell_length(
        look.width, base
    )
    return strip.apply_style(style_of("cursor")) if look.is_cursor else strip


def _pieces(text: str, pattern: Pattern | None, base: Style, style_of: StyleOf) -> list[Segment]:
    spans = pattern.spans(text) if pattern else []
    if not spans:
        return [Segment(text, base)]
    hit = base + style_of("hit")
    segments, at = [], 0
    for begin, end in spans:
        segments += [Segment(text[at:begin], base), Segment(text[begin:end], hit)]
        at = end
    return [*segments, Segment(text[at:], base)]


def _cut(row: Row, text: Strip, column: int, room: int, signs: Signs, muted: Style) -> Strip:
    """Return the *room* cells of *text* from *column* on; where it goes on beyond them, a sign says so."""
    pieces: list[Segment] = []
    begin, end = column, column + room
    if column and room and text.cell_length:
        pieces.append(Segment(signs.before, muted))
        begin += cell_len(signs.before)
    mark = ""
    if text.cell_length > end:
        mark = _beyond(row, text, end, signs)
        mark = mark if cell_len(mark) <= end - begin else signs.more[: end - begin]
    return Strip([*pieces, *text.crop(begin, end - cell_len(mark)), Segment(mark, muted)])


def _beyond(row: Row, text: Strip, end: int, signs: Signs) -> str:
    """Return the sign that *text* goes on at the cell *end*, with the number of characters where there are many."""
    if not row.more:
        return signs.more
    mark = signs.more
    for _ in range(2):  # the number takes room itself
        hidden = max(0, len(row.text) - len(text.crop(0, max(0, end - cell_len(mark))).text))
        mark = f"{signs.more}+{row.more + hidden:,}"
    return mark


def _ends(row: Row, signs: Signs, style: Style) -> list[Segment]:
    told = f"{signs.more}+{row.more:,}" if row.more else ""
    told += f" {signs.cut} cut: the line goes on" if row.is_cut else ""
    return [Segment(told, style)] if told else []


def paint_line(pieces: Sequence[tuple[str, str]], width: int, style_of: StyleOf) -> Strip:
    """Return texts with their roles as one line of *width* cells."""
    base = style_of("status")
    strip = Strip([Segment(text, base + style_of(role) if role else base) for text, role in pieces])
    return strip.adjust_cell_length(width, base)


class Sheet:
    """One whole row, wrapped, as it is laid over the log."""

    def __init__(self, text: str, width: int, height: int, what: str) -> None:
        width = max(1, width)
        self.text, self.what, self.height = text, what, max(1, height)
        if text.isascii():
            self.lines = [text[at : at + width] for at in range(0, len(text), width)] or [""]
        else:
            self.lines = chop_cells(text, width) or [""]
        self.top = 0

    def scroll(self, count: int) -> None:
        """Move by *count* lines, no farther than there are."""
        self.top = max(0, min(self.top + count, len(self.lines) - self.height))

    def paint(self, y: int, width: int, style_of: StyleOf) -> Strip:
        """Return the line *y* of what is seen."""
        line = self.lines[self.top + y] if self.top + y < len(self.lines) else ""
        base = style_of("text")
        return Strip([Segment(line, base)]).adjust_cell_length(width, base)
