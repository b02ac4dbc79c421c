"""The plots of a report as data: each figure's line and band over epochs, its NaN, and the alerts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves.figures import Figure, Kind, Source, figures, source_of
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.report.alerts import onset_of
from nanwatch.views.report.page import AlertMark, BadMark, Chart, Charts, Point, Section
from nanwatch.views.words import clean, cut_end, number, plural

_MOST: dict[Kind, int] = {"loss": 6, "validation": 4, "metric": 6, "VRAM": 1, "speed": 1, "lr": 1, "gradient": 1}
"""So many charts of a kind are drawn; the others of it are named."""
_NAMED = 12
"""So many figures that are not drawn are named."""
_LONGEST_NAME = 40
_COLUMNS = 120
"""NaN are counted in so many columns of a chart."""


def charts_section(snapshot: Snapshot) -> Section | None:
    """Return the plots of a run in a telling order, or None where there is nothing to plot.

    Without curves, values are by epoch. Figures that say nothing are left out.
    """
    source = source_of(snapshot)
    if source is None or snapshot.view is None:
        return None
    chosen, left = _chosen(source)
    titles = _titles(chosen)
    axis = source.extent
    marks = tuple(sorted(_alert_marks(snapshot.view.alerts, source, axis)))
    found = [_chart(figure, title, axis, marks) for figure, title in zip(chosen, titles, strict=True)]
    charts = tuple(chart for chart in found if chart.bad or len(chart.points) > chart.is_sparse)
    return Section("Plots", (Charts(charts, _not_drawn(left)),)) if charts else None


def _chosen(source: Source) -> tuple[list[Figure], list[Figure]]:
    """Return the figures to draw, and those for which there is no room."""
    room, chosen, left = dict(_MOST), list[Figure](), list[Figure]()
    for figure in figures(source):
        if not figure.is_void and figure.kind in room:
            has_room = room[figure.kind] > 0
            room[figure.kind] -= has_room
            (chosen if has_room else left).append(figure)
    return chosen, left


def _not_drawn(left: Sequence[Figure]) -> str:
    """Return the names of the figures for which there was no room."""
    if not left:
        return ""
    names = ", ".join(cut_end(figure.title, _LONGEST_NAME, "...") for figure in left[:_NAMED])
    more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
    return f"Not drawn, for want of room: {names}{more}"


def _titles(chosen: Sequence[Figure]) -> list[str]:
    """Return what the figures are called; of `loss` and `Loss`, which is of a batch and which of an epoch."""
    known = Counter(figure.title.lower() for figure in chosen)
    ways = ("each batch", "each epoch")
    return [
        figure.title if known[figure.title.lower()] < 2 else f"{figure.title} ({ways[figure.is_by_epoch(False)]})"
        for figure in chosen
    ]


def _chart(figure: Figure, title: str, axis: Axis, marks: tuple[AlertMark, ...]) -> Chart:
    series = figure.series()
    points = tuple(_points(series, axis))
    bad = tuple(_bad_marks(series, axis))
    return Chart(
        title, _words(points, series), axis.unit, axis.start, axis.end, points, series.is_sparse,
        bad, marks,
    )  # fmt: skip


def _points(series: Series, axis: Axis) -> Iterator[Point]:
    """Yield the figure's values; one without a value stands where nothing was finite, and breaks the line."""
    for bucket in series.buckets:
        x = bucket.start if series.is_sparse else series.middle(bucket)
        where = axis.name(x)
        if math.isfinite(bucket.low) and math.isfinite(bucket.last):
            yield Point(x, bucket.last, bucket.low, bucket.high, where)
        else:
            yield Point(x, None, None, None, where)


def _bad_marks(series: Series, axis: Axis) -> Iterator[BadMark]:
    """Yield where values were not finite, the neighbours of a column together."""
    counts: dict[int, int] = {}
    first: dict[int, float] = {}
    for x, count in _bad_places(series):
        column = min(_COLUMNS - 1, max(0, axis.column(x, _COLUMNS)))
        counts[column] = counts.get(column, 0) + count
        first.setdefault(column, x)
    for column, count in counts.items():
        yield BadMark(first[column], count, axis.name(first[column]))


def _bad_places(series: Series) -> Iterator[tuple[float, int]]:
    if series.bad is not None:
        for start, batches, bits in series.bad:
            for place, bit in enumerate(reversed(f"{bits:b}")):
                if bit == "1":
                    yield series.origin + (start + min(place, batches - 1)) * series.unit, 1
        return
    for bucket in series.buckets:
        if count := series.bad_of(bucket):
            yield bucket.start if series.is_sparse else series.middle(bucket), count


def _words(points: Sequence[Point], series: Series) -> str:
    """Return what the chart shows, for whoever does not see it."""
    values = [(p.value, p.low, p.high) for p in points if p.value is not None]
    parts = []
    if values:
        lows = [low for _, low, _ in values if low is not None]
        highs = [high for _, _, high in values if high is not None]
        parts.append(f"last {number(values[-1][0])}, lowest {number(min(lows))}, highest {number(max(highs))}")
    if series.non_finite:
        parts.append(f"{series.non_finite:,} NaN" if values else f"nothing but NaN: {series.non_finite:,}")
    return "; ".join(parts) or plural(0, "value")


def _alert_marks(alerts: Sequence[Alert], source: Source, axis: Axis) -> Iterator[AlertMark]:
    for alert in alerts:
        if alert.state == "pending" or alert.severity == "info":
            continue
        x = _place(alert, source.run, axis)
        if x is not None and axis.start <= x <= axis.end:
            yield AlertMark(x, alert.severity, f"{clean(alert.rule)}: {clean(alert.message)}")


def _place(alert: Alert, run: Run, axis: Axis) -> float | None:
    """Return where on the axis an alert stands, or None if it does not say."""
    batch = onset_of(alert)
    if run.epoch is None:
        return None if batch is None else float(batch)
    if alert.epoch is None:
        return None
    within = 0.0 if batch is None or not axis.batches else max(0, batch - axis.first) / axis.batches
    return alert.epoch + min(1.0, within)
