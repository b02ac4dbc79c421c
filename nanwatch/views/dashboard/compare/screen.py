"""The screen on which runs are compared: their curves above, their epochs and what differs below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.compare.tables import difference_table, epoch_table
from nanwatch.views.dashboard.compare.view import CompareView, chart_lines
from nanwatch.views.dashboard.curves.axis_keys import AxisKeys
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.panel import Key, glyphs_of
from nanwatch.views.page import Line, Page, Span

_SIDE_BY_SIDE = 150
"""Columns from which the two tables stand beside one another."""


class Canvas(LinesView, inherit_bindings=False):
    """Lines that are drawn to fit, and do not scroll."""

    DEFAULT_CSS = "Canvas { overflow: hidden hidden; }"


class CompareScreen(AxisKeys[CompareView], Screen[None]):
    """Two to six runs, by name, over one another and side by side."""

    DEFAULT_CSS = """
    CompareScreen {
        background: $background;
        #compare-chart { height: 55%; min-height: 5; }
        #compare-tables { height: 1fr; }
        #compare-epochs { width: 1fr; }
        #compare-differences { width: 1fr; display: none; }
        #compare-keys { height: 1; }
        &.-wide #compare-differences { display: block; }
        &.-big #compare-chart { height: 1fr; }
        &.-big #compare-tables { display: none; }
    }
    """

    KEYS: tuple[Key, ...] = (
        Key("j k", "figure"), Key("h l", "cursor"), Key("+ - 0", "zoom"), Key("L", "log scale"),
        Key("t", "by batch or epoch"), Key("pgdn pgup", "scroll the table"), Key("z", "chart only"),
        Key("~", "smooth"), Key("c", "clip outliers"), Key("esc", "back"),
    )  # fmt: skip

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "figure(1)", "Next figure", show=False),
        Binding("k,up", "figure(-1)", "Previous figure", show=False),
        Binding("h,left", "cursor(-1)", "Cursor to the left", show=False),
        Binding("l,right", "cursor(1)", "Cursor to the right", show=False),
        Binding("shift+left", "cursor(-10)", "Cursor far to the left", show=False),
        Binding("shift+right", "cursor(10)", "Cursor far to the right", show=False),
        Binding("plus,equals_sign", "zoom(True)", "Zoom in", show=False),
        Binding("minus", "zoom(False)", "Zoom out", show=False),
        Binding("0", "whole", "Show everything", show=False),
        Binding("L", "flip('is_log')", "Logarithmic or linear", show=False),
        Binding("t", "flip('is_by_epoch')", "By batch or by epoch", show=False),
        Binding("tilde", "flip('smoothing')", "Smooth", show=False),
        Binding("c", "flip('is_clipped')", "Clip outliers", show=False),
        Binding("z", "big", "Chart only", show=False),
        Binding("pagedown,ctrl+d", "scroll_table(0.5)", "Table down", show=False),
        Binding("pageup,ctrl+u", "scroll_table(-0.5)", "Table up", show=False),
        Binding("escape,q", "back", "Back", show=False),
    ]

    def __init__(self, snapshots: Sequence[tuple[str, Snapshot]], *, is_ascii: bool = False) -> None:
        super().__init__()
        self.view = CompareView()
        self.view.show(snapshots)
        self._glyphs = glyphs_of(is_ascii)

    def compose(self) -> ComposeResult:
        """Lay out the chart, the tables and the line of keys."""
        yield Canvas(id="compare-chart")
        with Horizontal(id="compare-tables"):
            yield LinesView(id="compare-epochs")
            yield LinesView(id="compare-differences")
        yield Canvas(id="compare-keys")

    def on_mount(self) -> None:
        """Let the keys go to the screen itself."""
        for view in self.query(LinesView):
            view.can_focus = False
        self.call_after_refresh(self.repaint)

    def on_resize(self, event: events.Resize) -> None:
        """Fit everything to the new size."""
        self.set_class(event.size.width >= _SIDE_BY_SIDE, "-wide")
        self.call_after_refresh(self.repaint)

    def update(self, snapshots: Sequence[tuple[str, Snapshot]]) -> None:
        """Show other snapshots of the runs; only what changed is painted."""
        self.view.show(snapshots)
        self.repaint()

    def repaint(self) -> None:
        """Draw what is to be seen now."""
        if not self.is_mounted or not self.size.width:
            return
        chart = self.query_one("#compare-chart", LinesView)
        chart.show_lines(chart_lines(self.view, *chart.size, self._glyphs))
        self._fill_tables()
        keys = self.query_one("#compare-keys", LinesView)
        keys.show_lines([self._key_line(keys.size.width)])

    def _fill_tables(self) -> None:
        epochs = self.query_one("#compare-epochs", LinesView)
        others = self.query_one("#compare-differences", LinesView)
        chosen, is_wide = self.view.chosen, self.has_class("-wide")
        page = self._page(epochs)
        lines = [] if chosen is None else epoch_table(self.view.runs, chosen, page)
        head, body = ([], lines) if len(lines) < 2 else (lines[:1], lines[1:])
        if is_wide:
            others.show_lines(difference_table(self.view.runs, self._page(others)))
        else:
            body = [*body, Line([]), *difference_table(self.view.runs, page)]
        epochs.show_lines(body, head)

    def _page(self, view: LinesView) -> Page:
        """Return what lines must fit into, with room for a scrollbar."""
        return Page(max(1, view.container_size.width - 1), self._glyphs)

    def _key_line(self, width: int) -> Line:
        spans: list[Span] = []
        for key in self.KEYS:
            item = [Span(f" {key.key}", "title"), Span(f" {key.does} ", "quiet")]
            if sum(len(span.text) for span in [*spans, *item]) > width:
                break
            spans += item
        return Line(spans)

    # -- keys

    def action_figure(self, by: int) -> None:
        """Compare another figure."""
        self.view.choose(by)
        self.repaint()

    def action_big(self) -> None:
        """Show the chart alone, or the tables too."""
        self.toggle_class("-big")
        self.call_after_refresh(self.repaint)

    def action_scroll_table(self, pages: float) -> None:
        """Scroll the table of epochs (and the other one with it)."""
        for view in (self.query_one("#compare-epochs", LinesView), self.query_one("#compare-differences", LinesView)):
            view.action_page(pages)

    def action_back(self) -> None:
        """Take back cursor and zoom, or leave."""
        if self.view.undo():
            self.repaint()
        else:
            self.dismiss()
