"""A report on a terminal, through Rich: titles, tables and lists within the width; colour only repeats the words."""

from __future__ import annotations

import io
import re

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from nanwatch.views.page import inert
from nanwatch.views.report import page as data
from nanwatch.views.report.page import Cell, Command, Fact, Facts, Items, Paragraph, Part, Report, ReportPage, Section

_STYLES: dict[data.Tone, str] = {"": "", "critical": "bold red", "warning": "yellow", "good": "green", "quiet": "dim"}
_MARKS = {"critical": "X", "warning": "!", "unknown": "?", "ok": "."}
_NARROWEST, _INDENT = 40, 2
"""Cells of a page at least, and before what stands under a title."""
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""")
_SHORT = 32
"""Cells of a text that stands beside others."""
_READABLE = 30
"""Cells that a column of sentences needs."""
_GAP = 3
"""Cells between two columns."""


def render_terminal(report: Report, width: int, color: bool, ascii_only: bool = False) -> str:
    """Return *report* as text no wider than *width*; *ascii_only* draws lines and arrows that every terminal has."""
    painter = _Painter(max(_NARROWEST, width), ascii_only)
    out = io.StringIO()
    console = Console(
        file=out, width=max(_NARROWEST, width), force_terminal=color, color_system="standard" if color else None,
        no_color=not color, markup=False, highlight=False, emoji=False, legacy_windows=False, _environ={},
    )  # fmt: skip
    console.print(painter.text(report.title, "bold"), painter.text(report.remark, "dim"), sep="\n")
    for section in report.sections:
        console.print(painter.section(section))
    for page in report.pages:
        console.print(painter.page(page, is_alone=len(report.pages) == 1))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


class _Painter:
    """Draws the parts of a report with the signs that the terminal has."""

    def __init__(self, width: int, is_ascii: bool) -> None:
        self._room = width - _INDENT
        self._is_ascii = is_ascii
        self._arrow = " -> " if is_ascii else " → "

    def text(self, text: str, style: str = "") -> Text:
        """Return *text* with nothing in it that a terminal or Rich obeys."""
        return Text(inert(text.replace(" -> ", self._arrow)), style)

    def page(self, page: ReportPage, is_alone: bool) -> RenderableType:
        """Return one run."""
        head = Text.assemble((f"{_MARKS.get(page.health, '?')} ", _STYLES[page.tone]))
        if not is_alone:
            head.append_text(self.text(page.name, "bold")).append("  ")
        head.append_text(self.text(page.headline, "" if page.tone == "good" else _STYLES[page.tone]))
        return Group("", head, *(self.section(section) for section in page.sections if not section.is_drawn))

    def section(self, section: Section) -> RenderableType:
        """Return a section under its title."""
        body: list[RenderableType] = []
        for part in section.parts:
            body += [*([""] if body else []), Padding(self._part(part), (0, 0, 0, _INDENT))]
        return Group("", self.text(section.title, "bold"), *body)

    def _part(self, part: Part) -> RenderableType:
        match part:
            case Paragraph(text, tone):
                return self.text(text, _STYLES[tone])
            case Facts(rows):
                return self._pairs([(fact.label, fact) for fact in rows])
            case Items(rows, is_ordered):
                return self._pairs([(f"{n}." if is_ordered else "-", fact) for n, fact in enumerate(rows, 1)], True)
            case data.Table():
                return self._table(part)
            case Command(text):
                return Group(*(self.text(line, "bold") for line in shell_lines(f"$ {text}", self._room)))
            case data.Charts():
                return Group()

    def _pairs(self, rows: list[tuple[str, Fact]], with_label: bool = False) -> RenderableType:
        grid = Grid.grid(padding=(0, 2 if not with_label else 1, 0, 0))
        grid.add_column(style="dim" if not with_label else "", no_wrap=True)
        grid.add_column(overflow="fold")
        for mark, fact in rows:
            label = f"{fact.label}: " if with_label and fact.label else ""
            notes = [Padding(self.text(note), (0, 0, 0, _INDENT)) for note in fact.notes]
            grid.add_row(self.text(mark), Group(self.text(label + fact.text, _STYLES[fact.tone]), *notes))
        return grid

    def _table(self, table: data.Table) -> RenderableType:
        if _is_prose(table, self._room):
            return self._blocks(table)
        lines = box.ASCII2 if self._is_ascii else box.SIMPLE_HEAD
        grid = Grid(box=lines, show_edge=False, pad_edge=False, padding=(0, 1), header_style="dim")
        shown = _fitting(table, self._room)
        for n in shown:
            justify: JustifyMethod = "right" if n in table.numbers else "left"
            grid.add_column(self.text(table.heads[n]), justify=justify, overflow="fold")
        for row in table.rows:
            grid.add_row(*(self._cell(row[n]) for n in shown))
        parts: list[RenderableType] = [self.text(table.title, "bold")] if table.title else []
        parts.append(grid)
        left = [table.heads[n] for n in range(len(table.heads)) if n not in shown]
        remarks = [*([table.remark] if table.remark else []), *([f"no room for {', '.join(left)}"] if left else [])]
        parts += [self.text(f"({'; '.join(remarks)})", "dim")] if remarks else []
        return Group(*parts)

    def _blocks(self, table: data.Table) -> RenderableType:
        """Return each row as a block: what is short on a line, and each longer text below it."""
        parts: list[RenderableType] = [self.text(table.title, "bold")] if table.title else []
        for row in table.rows:
            first, *others = [cell for cell in row if cell.text not in ("", "-")]
            short = [cell for cell in others if cell_len(cell.text) <= _SHORT]
            line = Text("  ").join([self.text(first.text, _STYLES[first.tone] or "bold"), *map(self._cell, short)])
            long = [Padding(self._cell(cell), (0, 0, 0, _INDENT)) for cell in others if cell not in short]
            parts += [line, *long]
        return Group(*parts, *([self.text(f"({table.remark})", "dim")] if table.remark else []))

    def _cell(self, cell: Cell) -> Text:
        return self.text(cell.text, _STYLES[cell.tone])


def _is_prose(table: data.Table, room: int) -> bool:
    """Tell whether the other columns leave too little room for the longest text: nobody reads a word a line."""
    if table.numbers or not table.rows:
        return False
    widths = [max(cell_len(row[n].text) for row in table.rows) for n in range(len(table.heads))]
    whole = sum(widths) + _GAP * len(widths)
    return whole > room and room - (whole - max(widths)) < _READABLE


def _fitting(table: data.Table, room: int) -> list[int]:
    """Return the columns for which there is room: figures are never broken, the last ones give way."""
    shown = list(range(len(table.heads)))
    columns = [(table.heads[n], *(row[n].text for row in table.rows)) for n in shown]
    needed = [max(map(_longest_word, texts)) for texts in columns]
    while len(shown) > 2 and sum(needed[n] for n in shown) + _GAP * (len(shown) - 1) > room:
        last = max((n for n in shown[1:] if n in table.numbers), default=None)
        if last is None:
            break
        shown.remove(last)
    return shown


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def shell_lines(command: str, width: int) -> list[str]:
    """Return *command* in lines that a shell still takes as one, broken only between its words."""
    lines = [""]
    for word in _WORD.findall(command):
        if lines[-1] and cell_len(lines[-1]) + cell_len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append("  ")
        lines[-1] += f" {word}" if lines[-1].strip() else word
    return lines
