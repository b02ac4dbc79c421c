"""Figures as charts: their statistics in words, and the alerts on their axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nanwatch.model.alert import Alert
from nanwatch.model.curve import Bucket
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves.figures import Figure, Source
from nanwatch.views.curves.plot import Chart, Mark
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.curves.settings import Settings
from nanwatch.views.page import Span
from nanwatch.views.words import ASCII, Glyphs, number, whole_percent


def chart_of(
    figure: Figure, series: Series, axis: Axis, settings: Settings, cursor: float | None, glyphs: Glyphs
) -> Chart:
    """Return the chart of *figure*, of which *series* is what is plotted."""
    constant = constant_of(series)
    stats = [read_out(series, cursor, glyphs)] if cursor is not None else last(figure, series)
    if constant is not None and cursor is None:
        stats = [Span(f"constant {number(constant)}")]
    if series.non_finite:
        sign = "x" if glyphs == ASCII else "×"
        stats.append(Span(f"{series.non_finite:,} NaN {sign}", "critical"))
    if series.is_sparse and not settings.is_by_epoch and axis.unit == "epoch":
        unknown = figure.has_batches and figure.source.batches is None
        stats.append(Span("by epoch: no batches known" if unknown else "by epoch", "quiet"))
    elif settings.is_by_epoch and not series.is_sparse and axis.unit == "epoch":
        stats.append(Span("by batch", "quiet"))
    seen = axis._replace(batches=None) if series.is_sparse else axis
    more = [] if constant is not None else extremes(figure, series, axis)
    return Chart(
        figure.title, [series], seen, stats, more, settings.is_log, settings.smoothing, settings.is_clipped, cursor
    )


def last(figure: Figure, series: Series) -> list[Span]:
    """Return what the figure is at present; if that is no number, also the last one that was."""
    finite = next((b.last for b in reversed(series.buckets) if math.isfinite(b.last)), None)
    now = figure.now
    if now is None or series.is_sparse:
        now = series.buckets[-1].last if series.buckets else None
    if now is None:
        return []
    if math.isfinite(now):
        return [Span(f"last {number(now)}")]
    was = [] if finite is None else [Span(f"finite {number(finite)}")]
    return [Span(f"last {number(now)}", "critical"), *was]


def constant_of(series: Series) -> float | None:
    """Return the value that *series* has throughout; None where it has several, or one that is not finite."""
    values = {value for b in series.buckets for value in (b.low, b.high, b.last)}
    value = values.pop() if len(values) == 1 and len(series.buckets) > 1 else math.nan
    return value if math.isfinite(value) and not series.non_finite else None


def extremes(figure: Figure, series: Series, axis: Axis) -> list[Span]:
    """Return the best value and where it was, or the lowest and the highest."""
    finite = [b for b in series.buckets if math.isfinite(b.low)]
    if not finite:
        return []
    lowest, highest = min(finite, key=lambda b: b.low), max(finite, key=lambda b: b.high)
    told = figure.source.run.best
    if told is not None and told.metric == figure.name:
        at = "" if told.epoch is None else f" {'e' if axis.unit == 'epoch' else 'step '}{told.epoch:,}"
        return [Span(f"best {number(told.value)}{at}", "quiet")]
    if figure.kind in ("metric", "validation") and figure.sign:
        best = highest if figure.sign > 0 else lowest
        at = axis._replace(batches=None).name(series.middle(best))
        return [Span(f"best {number(best.high if figure.sign > 0 else best.low)} {at}", "quiet")]
    return [Span(f"min {number(lowest.low)}", "quiet"), Span(f"max {number(highest.high)}", "quiet")]


def value_of(series: Series, bucket: Bucket | None) -> str:
    """Return a bucket in words: `0.3391`, `0.31 to 0.36`, `12 NaN`, or both."""
    if bucket is None:
        return "-"
    bad = f"{series.bad_of(bucket):,} NaN" if series.bad_of(bucket) else ""
    if not math.isfinite(bucket.low):
        return number(bucket.last) if math.isinf(bucket.last) else bad or "nan"
    text = number(bucket.low)
    if number(bucket.high) != text:
        text = f"{text} to {number(bucket.high)}"
    return f"{text}, {bad}" if bad else text


def read_out(series: Series, cursor: float, glyphs: Glyphs) -> Span:
    """Return the value at the cursor, for a title."""
    bar = "|" if glyphs == ASCII else "│"
    return Span(f"{bar} {value_of(series, series.at(cursor))}", "title")


def marks_of(alerts: Sequence[Alert], source: Source) -> list[Mark]:
    """Return where the alerts stand: `X` critical, `!` warning; those that are over are quiet."""
    found = []
    for alert in alerts:
        if alert.severity == "info" or alert.state == "pending":
            continue
        sign = "X" if alert.severity == "critical" else "!"
        is_firing = alert.state == "firing"
        found.append(Mark(_place(alert, source), sign, alert.severity if is_firing else "quiet"))
    return found


def _place(alert: Alert, source: Source) -> float:
    if source.has_epochs and alert.epoch is not None:
        batch = max(0, alert.batch - source.first) if alert.batch is not None and source.batches else 0
        return alert.epoch + min(batch / (source.batches or 1), 1 - 1e-6)
    place = alert.since.position if alert.batch is None or source.has_epochs else alert.batch
    return source.origin + place * source.unit


def reading(snapshot: Snapshot) -> str:
    """Return `history 38 %` while the log's past is still being read, or why else the curves are not whole."""
    if snapshot.is_estimate:
        return "only the log's end was read"
    if not snapshot.size and snapshot.grew_at is not None and not snapshot.curves:
        return "the log is empty so far"
    if not snapshot.is_history:
        return ""
    return f"history {whole_percent(min(1.0, snapshot.read / snapshot.size))}" if snapshot.size else "history"


def tsv(figure: Figure, series: Series, axis: Axis) -> str:
    """Return a figure as a table: where, the lowest, highest and last value, and how many were not finite."""
    head = "from\tto\tlow\thigh\tlast\tnon_finite"
    rows = [
        "\t".join((
            _cell(series.origin + b.start * series.unit, axis), _cell(series.origin + b.end * series.unit, axis),
            repr(b.low), repr(b.high), repr(b.last), str(series.bad_of(b)),
        ))
        for b in series.buckets
    ]  # fmt: skip
    return "\n".join([f"# {figure.title}", head, *rows]) + "\n"


def _cell(x: float, axis: Axis) -> str:
    return axis.name(x).replace(",", "")
