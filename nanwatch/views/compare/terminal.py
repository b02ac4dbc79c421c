"""A comparison on a terminal or in a pipe: tables and curves within its width, colours where they are allowed."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.views.compare.charts import overlay_lines
from nanwatch.views.compare.content import Block
from nanwatch.views.compare.tables import laid_out, parts_that_fit
from nanwatch.views.page import Line, Page, Span, render
from nanwatch.views.words import plural

_ROWS = 24
"""Rows of a table, at most."""
_CHART_HEIGHT, _CHART_WIDTH = 14, 120


def render_terminal(title: str, blocks: Sequence[Block], page: Page, color: bool) -> str:
    """Return the comparison as text."""
    lines = [page.bound(Line([Span(title, "title")]))]
    for block in blocks:
        lines += [Line([]), *_block(block, page)]
    return render(lines, page, color)


def _block(block: Block, page: Page) -> list[Line]:
    found = [page.bound(Line([Span(f" {block.title}", "title")]))] if block.title else []
    if block.rows:
        for heads, rows in parts_that_fit(block.heads, block.rows[:_ROWS], page):
            found += laid_out(heads, rows, page)
    if len(block.rows) > _ROWS:
        rest = plural(len(block.rows) - _ROWS, "more row")
        found += page.prose(f"and {rest}, which -o FILE.md and --json have", "quiet", indent=1)
    for remark in block.remarks:
        found += page.prose(remark, "" if not block.rows else "quiet", indent=1)
    if block.chart is not None:
        found += overlay_lines(block.chart, min(page.width, _CHART_WIDTH), _CHART_HEIGHT, page.glyphs).lines
    return found
