"""A report as Markdown that reads well as plain text too: tables, lists and commands; no HTML, no link, no image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from nanwatch.views.report.page import (
    Charts,
    Command,
    Fact,
    Facts,
    Items,
    Paragraph,
    Part,
    Report,
    ReportPage,
    Section,
    Table,
)
from nanwatch.views.words import pad

_PART = r"[^\s`|(),;\[\]]*"
_LINKED = re.compile(rf"{_PART}(?:://|www\.|@|#\w|GH-\d|\w\.[^\W\d_]{{2}}){_PART}", re.IGNORECASE)
"""What a renderer may make a link of, or a mention of somebody: it is shown as code, in which nothing has a meaning.

To some, `last.pt` is a site in Portugal.
"""
_BEHIND = ".:!?'\""
"""What may stand behind such a word without being a part of it."""
_OBEYED = re.compile(r"[\\`*\[\]<>|~$#]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START = re.compile(r"(?:[-+=:](?=\s|[-+=:]|$)|(?<=\d)[.)])")
_NUMBERED = re.compile(r"\d{1,9}(?=[.)])")
_WIDEST = 40
"""Cells up to which columns are filled with blanks, so that they line up in plain text."""


def render_markdown(report: Report) -> str:
    """Return *report* as Markdown."""
    lines = [f"# {escaped(report.title)}", "", line_of(report.remark), ""]
    for section in report.sections:
        lines += _section(section, 2)
    for page in report.pages:
        lines += _page(page, is_alone=len(report.pages) == 1)
    return "\n".join(lines).rstrip("\n") + "\n"


def escaped(text: str) -> str:
    """Return *text*, one line of printable characters, as Markdown shows it: character by character."""
    text = text.replace(" -> ", " → ")
    parts, end = [], 0
    for found in _LINKED.finditer(text):
        word = found[0].rstrip(_BEHIND)
        parts += [_OBEYED.sub(r"\\\g<0>", text[end : found.start()]), f"`{word}`"]
        end = found.start() + len(word)
    parts.append(_OBEYED.sub(r"\\\g<0>", text[end:]))
    return "".join(parts)


def line_of(text: str) -> str:
    """Return *text* escaped for the beginning of a line, where more has a meaning."""
    shown = escaped(text)
    number = _NUMBERED.match(shown)
    place = 0 if number is None else number.end()
    return f"{shown[:place]}\\{shown[place:]}" if _AT_START.match(shown, place) else shown


def _page(page: ReportPage, is_alone: bool) -> Iterator[str]:
    level = 2 if is_alone else 3
    if not is_alone:
        yield from (f"## {escaped(page.name)}", "")
    yield from (f"**{page.health.upper()}**: {escaped(page.headline)}", "")
    for section in (section for section in page.sections if not section.is_drawn):
        yield from _section(section, level)


def _section(section: Section, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {escaped(section.title)}", "")
    for part in section.parts:
        yield from _part(part)
        yield ""


def _part(part: Part) -> Iterable[str]:
    match part:
        case Paragraph(text):
            return [line_of(text)]
        case Facts(rows):
            return [line for fact in rows for line in _item(fact, "-")]
        case Items(rows, is_ordered):
            marks = (f"{place}." if is_ordered else "-" for place in range(1, len(rows) + 1))
            return [line for fact, mark in zip(rows, marks, strict=True) for line in _item(fact, mark)]
        case Table():
            return _table(part)
        case Command(text):
            fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
            return [f"{fence}sh", text, fence]
        case Charts():
            return []


def _item(fact: Fact, mark: str) -> Iterator[str]:
    head = f"**{escaped(fact.label)}**: {escaped(fact.text)}" if fact.label else line_of(fact.text)
    yield f"{mark} {head}"
    for note in fact.notes:
        yield f"{' ' * len(mark)} - {line_of(note)}"


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield from (f"**{escaped(table.title)}**", "")
    rows = [[escaped(head) for head in table.heads], *([escaped(cell.text) for cell in row] for row in table.rows)]
    widths = [max(3, *(cell_len(row[n]) for row in rows)) for n in range(len(table.heads))]
    rule = ["-" * (min(_WIDEST, width) - 1) + (":" if n in table.numbers else "-") for n, width in enumerate(widths)]
    yield _row(rows[0], widths, table)
    yield f"| {' | '.join(rule)} |"
    for row in rows[1:]:
        yield _row(row, widths, table)
    if table.remark:
        yield from ("", f"({escaped(table.remark)})")


def _row(cells: list[str], widths: list[int], table: Table) -> str:
    filled = [pad(text, min(_WIDEST, widths[n]), right=n in table.numbers) for n, text in enumerate(cells)]
    return f"| {' | '.join(filled)} |"
