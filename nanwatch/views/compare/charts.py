"""Curves of several runs over one another, with a legend of their values; no screen is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.views.compare.runs import Compared, best_of
from nanwatch.views.curves.charts import value_of
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.plot import Chart, draw, fitted, frame_of
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.curves.settings import Settings
from nanwatch.views.page import Line, Role, Span
from nanwatch.views.words import ASCII, Glyphs, cut_middle, number


class Overlay(NamedTuple):
    """One figure of several runs over the part of the axis that is seen; `stats` stand first beside its title."""

    runs: Sequence[Compared]
    figure: Figure
    axis: Axis
    settings: Settings
    cursor: float | None = None
    stats: tuple[Span, ...] = ()

    def lines(self) -> list[tuple[Compared, Series]]:
        """Return each run with its line; one that counts otherwise than the axis has an empty one."""
        found = []
        for run in self.runs:
            fits = run.source is not None and run.source.has_epochs == (self.axis.unit == "epoch")
            series = run.series(self.figure.name, self.settings.is_by_epoch) if fits else Series(run.name, [])
            found.append((run, series))
        return found


class Drawn(NamedTuple):
    """The lines of a chart, and how many columns its plot has."""

    lines: list[Line]
    columns: int


def overlay_lines(overlay: Overlay, width: int, height: int, glyphs: Glyphs) -> Drawn:
    """Return the chart and its legend: *height* lines of *width* cells."""
    lines = overlay.lines()
    legend = _packed([_legend(overlay, run, series, glyphs) for run, series in lines], width)
    legend = legend[: max(1, height // 3)] if height > 4 else []
    settings = overlay.settings
    is_sparse = all(series.is_sparse for _, series in lines if series.buckets)
    axis = overlay.axis._replace(batches=None) if is_sparse else overlay.axis
    stats = list(overlay.stats)
    if is_sparse and axis.unit == "epoch":
        stats.append(Span("by epoch", "quiet"))
    if overlay.cursor is not None:
        is_named = axis.batches or is_sparse or axis.unit == "step"
        stats.append(Span(f"cursor {axis.name(overlay.cursor) if is_named else f'e{overlay.cursor:.2f}'}"))
    chart = Chart(
        overlay.figure.title, [series for _, series in lines], axis, stats, (), settings.is_log, settings.smoothing,
        settings.is_clipped, overlay.cursor,
    )  # fmt: skip
    drawn = draw(chart, width, height - len(legend), glyphs)
    columns = frame_of(chart, width, height - len(legend)).columns
    return Drawn([*drawn[:1], *(fitted(line, width) for line in legend), *drawn[1:]], columns)


def _legend(overlay: Overlay, run: Compared, series: Series, glyphs: Glyphs) -> list[Span]:
    """Return a run's letter, name and values."""
    head = Span(f"{run.letter} {cut_middle(run.name, 24, glyphs.more)}", run.role)
    spans = [head, *_values(overlay, run, series)]
    if series.non_finite:
        spans.append(Span(f" {series.non_finite:,} NaN {'x' if glyphs == ASCII else '×'}", "critical"))
    return spans


def _values(overlay: Overlay, run: Compared, series: Series) -> list[Span]:
    if run.source is None:
        return [Span(" nothing read yet", "quiet")]
    if run.source.has_epochs != (overlay.axis.unit == "epoch"):
        return [Span(f" counts {'epochs' if run.source.has_epochs else 'steps'}: not drawn", "quiet")]
    if overlay.figure.name not in run.figures:
        return [Span(" does not tell it", "quiet")]
    if overlay.cursor is not None:
        return [Span(f" {value_of(series, series.at(overlay.cursor))}")]
    figure = run.figures[overlay.figure.name]
    now = figure.now if figure.now is not None and not series.is_sparse else None
    if now is None:
        now = series.buckets[-1].last if series.buckets else None
    role: Role = "critical" if now is not None and not math.isfinite(now) else ""
    best = best_of(run.points(overlay.figure.name) or series.buckets, figure.sign)
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
