"""A comparison as Markdown: its tables as GitHub reads them, its curves as text; nothing of a log is markup in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nanwatch.views.compare.charts import overlay_lines
from nanwatch.views.compare.content import Block
from nanwatch.views.page import Page, render
from nanwatch.views.report.markdown import escaped, line_of
from nanwatch.views.words import UNICODE

_CHART = (100, 16)
"""Columns and lines of a chart."""


def render_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Return the comparison as Markdown."""
    lines = [f"# {escaped(title)}", ""]
    for block in blocks:
        lines += _block(block)
    return "\n".join(lines).rstrip("\n") + "\n"


def _block(block: Block) -> Iterator[str]:
    if block.title:
        yield from (f"## {escaped(block.title)}", "")
    if block.rows:
        rows = [[escaped(cell.text.strip()) for cell in row] for row in (block.heads, *block.rows)]
        yield from (_row(rows[0]), _row(["---", *("---:" for _ in rows[0][1:])]), *map(_row, rows[1:]), "")
    for remark in block.remarks:
        yield from (line_of(remark), "")
    if block.chart is not None:
        page = Page(_CHART[0], UNICODE)
        # Indented, for no text within can end that; a fence could be closed by a name.
        yield from (
            f"    {line}"
            for line in render(overlay_lines(block.chart, *_CHART, UNICODE).lines, page, False).splitlines()
        )
        yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
