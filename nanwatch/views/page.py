"""Lines of text with roles instead of colours, laid out in cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rich.cells import cell_len

from nanwatch.views.words import Glyphs, cut_end, cut_middle, pad, wrap

Role = Literal[
    "", "title", "critical", "warning", "running", "finished", "quiet",
    "series1", "series2", "series3", "series4", "series5", "series6", "chosen",
]  # fmt: skip
"""What a text means; the dashboard draws curves in the series' own."""

_COLORS: dict[Role, str] = {
    "title": "1", "critical": "1;31", "warning": "33", "running": "36", "finished": "32", "quiet": "2",
    "series1": "36", "series2": "33", "series3": "32", "series4": "35", "series5": "34", "series6": "31",
}  # fmt: skip
"""Colours that every terminal has and every theme makes readable; what is well has the default colour.

Written by hand, as Rich's console would double the time that the summary takes to start.
"""


class Span(NamedTuple):
    """Text that has one role."""

    text: str
    role: Role = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; where room is short, the lines of the highest *rank* go first."""

    spans: Sequence[Span]
    rank: int = 0

    @property
    def cells(self) -> int:
        """The width of the line on a terminal."""
        return sum(cell_len(span.text) for span in self.spans)


class Page(NamedTuple):
    """What the lines have to fit into, and the signs they may use."""

    width: int
    glyphs: Glyphs

    def prose(self, text: str, role: Role = "", mark: Span | None = None, indent: int = 2, rank: int = 0) -> list[Line]:
        """Return *text*, wrapped; *mark* stands before its first line."""
        hang = indent + (0 if mark is None else cell_len(mark.text) + 1)
        lines = wrap(self.arrows(text), max(1, self.width - hang))
        found = []
        for number, line in enumerate(lines):
            head = [Span(" " * hang)]
            if mark is not None and number == 0:
                head = [Span(" " * indent), mark, Span(" ")]
            found.append(Line([*head, Span(line, role)], rank))
        return found

    def items(self, label: str, items: Iterable[Span], rank: int = 0, indent: int = 2, column: int = 10) -> list[Line]:
        """Return *items* two blanks apart after *label*; only one longer than a line is broken."""
        start = indent + max(column, cell_len(label) + 1 if label else 0)
        room = max(1, self.width - start)
        lines = [[Span(" " * indent + pad(label, start - indent), "quiet")]]
        used = 0
        for item in items:
            text = self.arrows(item.text)
            for piece in [text] if cell_len(text) <= room else wrap(text, room):
                if used and used + 2 + cell_len(piece) > room:
                    lines.append([Span(" " * start)])
                    used = 0
                lines[-1].append(Span(f"  {piece}" if used else piece, item.role))
                used += cell_len(piece) + (2 if used else 0)
        return [Line(spans, rank) for spans in lines]

    def arrows(self, text: str) -> str:
        """Return *text* with the arrows that the terminal can show."""
        return text.replace(" -> ", f" {self.glyphs.arrow} ")

    def name(self, text: str, cells: int) -> str:
        """Return a name in at most *cells*, cut in its middle."""
        return cut_middle(text, cells, self.glyphs.more)

    def bound(self, line: Line) -> Line:
        """Return *line* within the page's width: the last guard, for the narrowest."""
        if line.cells <= self.width:
            return line
        room, spans = self.width, []
        for span in line.spans:
            text = cut_end(span.text, room, self.glyphs.more)
            spans.append(Span(text, span.role))
            room -= cell_len(text)
            if text != span.text:
                break
        return Line(spans, line.rank)


def shorten(lines: list[Line], limit: int | None, keep: int = 0) -> list[Line]:
    """Return *lines* without those of the highest ranks (above *keep*), so that they are at most *limit*."""
    kept = list(lines)
    while limit is not None and len(kept) > limit:
        worst = max(line.rank for line in kept)
        if worst <= keep:
            break
        last = max(n for n, line in enumerate(kept) if line.rank == worst)
        del kept[last]
    return kept


def render(lines: list[Line], page: Page, color: bool) -> str:
    """Return the page as text; the only escapes in it are the colours that this puts there."""
    shown = []
    for line in lines:
        spans = [(inert(span.text), _COLORS.get(span.role) if color else None) for span in page.bound(line).spans]
        while spans and not spans[-1][0].rstrip():
            spans.pop()
        if spans:
            spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
        shown.append("".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for text, code in spans) + "\n")
    return "".join(shown)


def inert(text: str) -> str:
    """Return *text* without what is not printable: the last guard, after every word was cleaned."""
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())
