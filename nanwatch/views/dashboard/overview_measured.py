"""What a run measured: its losses and metrics, with what they were and what is better or worse."""

from __future__ import annotations

import math

from nanwatch.model.names import direction_of, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.views.dashboard.overview_rows import SPARK, Figures, Row, mark_of, one, spark_of
from nanwatch.views.dashboard.overview_signs import spark
from nanwatch.views.health import losses_of
from nanwatch.views.page import Role, Span
from nanwatch.views.words import clean, number, pad, plural

_MOST_LOSSES, _MOST_METRICS = 12, 8


def loss_rows(figures: Figures) -> list[Row]:
    """Return each loss: its value, the last finite one where it is none, and what it was."""
    run = figures.run
    values = losses_shown(run)
    rows = [Row(name, _loss(figures, name, value)) for name, value in list(values.items())[:_MOST_LOSSES]]
    if len(values) > _MOST_LOSSES:
        rows.append(Row("", [one(f"and {len(values) - _MOST_LOSSES} more losses: key 2 draws them", "quiet")]))
    return rows


def losses_shown(run: Run) -> dict[str, float]:
    """Return the losses that have a row of their own: of the epoch in progress, or else of the run."""
    row = run.current
    return run.losses if row is None or not row.losses else losses_of(row)


def _loss(figures: Figures, name: str, value: float) -> list[list[Span]]:
    items = [one(pad(number(value, aligned=True), 9), "" if math.isfinite(value) else "critical")]
    items += spark_of(figures, name)
    if not math.isfinite(value):
        last = _last_finite(figures, name)
        items += [one(last)] if last else []
    return items


def _last_finite(figures: Figures, name: str) -> str:
    """Return `last finite 0.3127, 12 batches ago`, from the curve or the epochs before."""
    curve = figures.curve(name)
    found = [] if curve is None else [b for b in curve.buckets() if math.isfinite(b.last)]
    if found and curve is not None:
        ago = max(0, figures.run.position - found[-1].start)
        passed = plural(ago, "step") if figures.run.epoch is None else plural(ago, "batch", "batches")
        return f"last finite {number(found[-1].last)}, {'about ' if curve.width > 1 else ''}{passed} ago"
    rows = sorted(figures.run.table.values(), key=lambda e: -e.epoch)
    told = ((losses_of(e).get(name), e.epoch) for e in rows if e.epoch >= 0)
    return next((f"last finite {number(v)} in epoch {e}" for v, e in told if v is not None and math.isfinite(v)), "")


def metric_rows(figures: Figures) -> list[Row]:
    """Return the primary metric with its best, and the others, with arrows for better and worse."""
    run, rows = figures.run, list[Row]()
    primary = run.primary_metric
    if primary is not None and run.evaluations:
        is_twice = primary in losses_shown(run)
        label = f"{primary}, {'epoch' if run.epoch is not None else 'eval'}" if is_twice else primary
        rows.append(Row(label, _primary(figures), mark_of(figures.view, "metric_collapse", "metric_decline")))
    names = [n for n in run.metrics if role_of(n) in ("loss", "metric") and n != primary and n not in run.losses]
    others = []
    for name in names[:_MOST_METRICS]:
        series = [e.metrics[name] for e in _told(run, name)] or [run.metrics[name]]
        others.append([Span(f"{clean(name)} "), *_moved(figures, series[-2:], direction_of(name))])
    rows.append(Row("others" if rows else "metrics", others))
    final = [n for n in run.final_metrics if role_of(n) in ("loss", "metric")]
    final.sort(key=lambda n: n != primary)
    rows.append(Row("final", [one(f"{clean(n)} {number(run.final_metrics[n])}") for n in final[:4]]))
    return rows


def _told(run: Run, name: str) -> list[Epoch]:
    return [e for e in sorted(run.table.values(), key=lambda e: e.epoch) if e.epoch >= 0 and name in e.metrics]


def _primary(figures: Figures) -> list[list[Span]]:
    run = figures.run
    now, best = run.evaluations[-1], run.best
    unit = "epoch" if run.epoch is not None else "step"
    items = [_moved(figures, [e.value for e in run.evaluations[-2:]], 1 if run.primary_rises else -1)]
    values = [e.value for e in run.evaluations[-SPARK:]]
    items += [spark(values, figures.signs)] if len(values) > 2 else []
    is_best = best is not None and best.epoch == now.epoch
    items.append(one(f"at {unit} {now.epoch:,}{', its best' if is_best else ''}", "" if is_best else "quiet"))
    if best is not None and not is_best:
        at = "" if best.epoch is None else f" at {unit} {best.epoch:,}"
        items.append(one(f"best {figures.about}{number(best.value)}{at}"))
    return items


def _moved(figures: Figures, values: list[float], sign: int) -> list[Span]:
    """Return `0.6242 -> 0.0022 v worse`: the value before, the value, and what that means."""
    now = values[-1]
    role: Role = "" if math.isfinite(now) else "critical"
    if len(values) < 2 or repr(now) == repr(values[0]):
        return [Span(number(now) + (" =" if len(values) > 1 else ""), role)]
    text, change = figures.page.arrows(f"{number(values[0])} -> {number(now)}"), sign * (now - values[0])
    is_worse = math.isnan(now) or change < 0
    if not sign or not (is_worse or change > 0):
        return [Span(text, role)]
    glyphs = figures.page.glyphs
    return [Span(text, role), Span(f" {glyphs.worse} worse" if is_worse else f" {glyphs.better} better")]
