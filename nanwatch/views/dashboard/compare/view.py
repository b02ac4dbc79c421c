"""What the comparison shows: one figure of all runs over one another, and what its keys do to that."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.compare.runs import Compared, best_of, compared, shared_axis, shared_figures
from nanwatch.views.curves.charts import value_of
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.plot import Chart, draw, fitted, frame_of
from nanwatch.views.curves.series import Series
from nanwatch.views.dashboard.curves.view import AxisView
from nanwatch.views.page import Line, Role, Span
from nanwatch.views.words import ASCII, Glyphs, cut_middle, number


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
        chosen, found = self.chosen, []
        for run in self.runs:
            fits = run.source is not None and run.source.has_epochs == (self.extent.unit == "epoch")
            series = run.series(chosen.name, self.settings.is_by_epoch) if chosen and fits else Series(run.name, [])
            found.append((run, series))
        return found


def chart_lines(view: CompareView, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the chart and its legend: *height* lines of *width* cells."""
    chosen = view.chosen
    if chosen is None or width < 1 or height < 1:
        return [fitted(Line([Span(" No figure to compare yet.", "quiet")]), width)][:height]
    lines = view.lines()
    legend = _packed([_legend(view, run, series, glyphs) for run, series in lines], width)
    legend = legend[: max(1, height // 3)] if height > 4 else []
    settings = view.settings
    is_sparse = all(series.is_sparse for _, series in lines if series.buckets)
    axis = view.axis._replace(batches=None) if is_sparse else view.axis
    place = view.figures.index(chosen) + 1
    stats = [Span(f"{place} of {len(view.figures)}", "quiet")]
    if is_sparse and axis.unit == "epoch":
        stats.append(Span("by epoch", "quiet"))
    if view.cursor is not None:
        name = axis.name(view.cursor) if axis.batches or is_sparse or axis.unit == "step" else f"e{view.cursor:.2f}"
        stats.append(Span(f"cursor {name}"))
    chart = Chart(
        chosen.title, [series for _, series in lines], axis, stats, (), settings.is_log, settings.smoothing,
        settings.is_clipped, view.cursor,
    )  # fmt: skip
    view.columns = frame_of(chart, width, height - len(legend)).columns
    drawn = draw(chart, width, height - len(legend), glyphs)
    return [*drawn[:1], *(fitted(line, width) for line in legend), *drawn[1:]]


def _legend(view: CompareView, run: Compared, series: Series, glyphs: Glyphs) -> list[Span]:
    """Return a run's letter, name and values."""
    head = Span(f"{run.letter} {cut_middle(run.name, 24, glyphs.more)}", run.role)
    spans = [head, *_values(view, run, series)]
    if series.non_finite:
        spans.append(Span(f" {series.non_finite:,} NaN {'x' if glyphs == ASCII else '×'}", "critical"))
    return spans


def _values(view: CompareView, run: Compared, series: Series) -> list[Span]:
    chosen = view.chosen
    if run.source is None:
        return [Span(" nothing read yet", "quiet")]
    if run.source.has_epochs != (view.extent.unit == "epoch"):
        return [Span(f" counts {'epochs' if run.source.has_epochs else 'steps'}: not drawn", "quiet")]
    if chosen is None or chosen.name not in run.figures:
        return [Span(" does not tell it", "quiet")]
    if view.cursor is not None:
        return [Span(f" {value_of(series, series.at(view.cursor))}")]
    figure = run.figures[chosen.name]
    now = figure.now if figure.now is not None and not series.is_sparse else None
    if now is None:
        now = series.buckets[-1].last if series.buckets else None
    role: Role = "critical" if now is not None and not math.isfinite(now) else ""
    best = best_of(run.points(chosen.name) or series.buckets, figure.sign)
    found = [Span(f" {number(now)}", role)]
    return found if best is None else [*found, Span(f" best {number(best.last)}", "quiet")]


def _packed(items: Sequence[Sequence[Span]], width: int) -> list[Line]:
    """Return the items in lines, as many in each as fit."""
    lines: list[list[Span]] = [[]]
    for item in items:
        used = sum(cell_len(span.text) for span in lines[-1])
        if used and used + 2 + sum(cell_len(span.text) for span in item) > width:
            lines.append([])
        lines[-1] += [*([Span("  ")] if lines[-1] else []), *item]
    return [Line(spans) for spans in lines if spans]
