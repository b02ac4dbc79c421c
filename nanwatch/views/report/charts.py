"""The plots of a report as data: each figure's line and band over epochs, its NaN, and the alerts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves.figures import Figure, Kind, Source, figures, source_of
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.report.alerts import onset_of
from nanwatch.views.report.page import AlertMark, BadMark, Chart, Charts, Point, Section
from nanwatch.views.words import clean, number, plural

_MOST: dict[Kind, int] = {"loss": 6, "validation": 4, "metric": 6, "VRAM": 1, "speed": 1, "lr": 1, "gradient": 1}
"""So many charts of a kind are drawn; the others of it are named."""
_COLUMNS = 120
"""NaN are counted in so many columns of a chart."""


def charts_section(snapshot: Snapshot) -> Section | None:
    """Return the plots of a run, or None where none was asked for."""
    charts = _charts(snapshot) if snapshot.curves else ()
    return Section("Plots", (Charts(charts),)) if charts else None


def _charts(snapshot: Snapshot) -> tuple[Chart, ...]:
    """Return the charts in a telling order; figures that say nothing are left out."""
    source = source_of(snapshot)
    if source is None or snapshot.view is None:
        return ()
    axis, alerts = source.extent, snapshot.view.alerts
    marks = tuple(sorted(_alert_marks(alerts, source, axis)))
    return tuple(chart for figure in _chosen(source) if (chart := _chart(figure, axis, marks)).points or chart.bad)


def _chosen(source: Source) -> Iterator[Figure]:
    left = dict(_MOST)
    for figure in figures(source):
        if not figure.is_void and left.get(figure.kind, 0):
            left[figure.kind] -= 1
            yield figure


def _chart(figure: Figure, axis: Axis, marks: tuple[AlertMark, ...]) -> Chart:
    series = figure.series()
    points = tuple(_points(series, axis))
    bad = tuple(_bad_marks(series, axis))
    return Chart(
        figure.title, _words(figure, points, series), axis.unit, axis.start, axis.end, points, series.is_sparse,
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


def _words(figure: Figure, points: Sequence[Point], series: Series) -> str:
    """Return what the chart shows, for whoever does not see it."""
    values = [(p.value, p.low, p.high) for p in points if p.value is not None]
    parts = []
    if values:
        lows = [low for _, low, _ in values if low is not None]
        highs = [high for _, _, high in values if high is not None]
        parts.append(f"last {number(values[-1][0])}, lowest {number(min(lows))}, highest {number(max(highs))}")
    if series.non_finite:
        parts.append(f"{series.non_finite:,} NaN" if values else f"nothing but NaN: {series.non_finite:,}")
    del figure
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
