"""A comparison on a terminal or in a pipe: tables and curves within its width, colours where they are allowed."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.views.compare.charts import overlay_lines
from nanwatch.views.compare.content import Block
from nanwatch.views.compare.tables import laid_out, parts_that_fit
from nanwatch.views.page import Line, Page, Role, Span, inert, render
from nanwatch.views.words import plural

_ROWS = 24
"""Rows of a table, at most."""
_CHART_HEIGHT, _CHART_WIDTH = 14, 120
_COLORS: dict[Role, str] = {
    "series1": "36", "series2": "33", "series3": "32", "series4": "35", "series5": "34", "series6": "31",
    "title": "1", "critical": "1;31", "warning": "33", "quiet": "2",
}  # fmt: skip
"""The runs' own colours and those that stand in one line with them: a page without curves has none for runs."""


def render_terminal(title: str, blocks: Sequence[Block], page: Page, color: bool) -> str:
    """Return the comparison as text."""
    lines = [page.bound(Line([Span(title, "title")]))]
    for block in blocks:
        lines += [Line([]), *_block(block, page)]
    return "".join(_rendered(line, page, color) for line in lines)


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


def _rendered(line: Line, page: Page, color: bool) -> str:
    """Return a line in the page's colours, and in the runs' own."""
    if not color or not any(span.role.startswith("series") for span in line.spans):
        return render([line], page, color)
    spans = [(inert(span.text), _COLORS.get(span.role)) for span in page.bound(line).spans]
    return "".join(f"\x1b[{code}m{text}\x1b[0m" if code else text for text, code in spans).rstrip() + "\n"
