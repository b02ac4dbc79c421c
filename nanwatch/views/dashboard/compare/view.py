"""What the comparison shows: one figure of all runs over one another, and what its keys do to that."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.compare.charts import Overlay, overlay_lines
from nanwatch.views.compare.runs import Compared, compared, shared_axis, shared_figures
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.plot import fitted
from nanwatch.views.curves.series import Series
from nanwatch.views.dashboard.curves.view import AxisView
from nanwatch.views.page import Line, Span
from nanwatch.views.words import Glyphs


class CompareView(AxisView):
    """Runs, the figure that is chosen, and the part of the axis that is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Compared] = []
        self.figures: list[Figure] = []

    def show(self, snapshots: Sequence[tuple[str, Snapshot]]) -> None:
        """Take other snapshots; the figure and what is seen of it stay."""
        self.runs = compared(snapshots)
        self.figures = shared_figures(self.runs)
        self.extend(shared_axis(self.runs))

    @property
    def chosen(self) -> Figure | None:
        """The figure that is compared."""
        found = next((f for f in self.figures if f.name == self.settings.chosen), None)
        return found or (self.figures[0] if self.figures else None)

    def choose(self, by: int) -> None:
        """Go to a figure further down or up."""
        chosen = self.chosen
        if chosen is not None:
            place = self.figures.index(chosen) + by
            self.settings.chosen = self.figures[max(0, min(len(self.figures) - 1, place))].name

    def move(self, columns: int) -> None:
        """Move the cursor: from point to point where every run has one an epoch."""
        series = [line for _, line in self.lines() if line.buckets]
        if series and all(line.is_sparse for line in series):
            self.step_points(max(series, key=lambda line: len(line.buckets)), columns)
        else:
            self.step(columns)

    def lines(self) -> list[tuple[Compared, Series]]:
        """Return each run with its line; one that counts otherwise than the axis has an empty one."""
        chosen = self.chosen
        return [] if chosen is None else self._overlay(chosen).lines()

    def _overlay(self, figure: Figure, *stats: Span) -> Overlay:
        return Overlay(self.runs, figure, self.axis, self.settings, self.cursor, stats)

    def drawn(self, width: int, height: int, glyphs: Glyphs) -> list[Line]:
        """Return the chart and its legend, and remember how wide its plot is."""
        chosen = self.chosen
        if chosen is None or width < 1 or height < 1:
            return [fitted(Line([Span(" No figure to compare yet.", "quiet")]), width)][:height]
        place = Span(f"{self.figures.index(chosen) + 1} of {len(self.figures)}", "quiet")
        found = overlay_lines(self._overlay(chosen, place), width, height, glyphs)
        self.columns = found.columns
        return found.lines


def chart_lines(view: CompareView, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the chart and its legend: *height* lines of *width* cells."""
    return view.drawn(width, height, glyphs)
