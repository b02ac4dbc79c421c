"""What is to come: the end of the run against its deadline, the metric against its goal, how many NaN there will be."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import Config
from nanwatch.model.alert import Alert
from nanwatch.model.outlook import eta_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.words import duration
from nanwatch.rules.words import loss_row, projection
from nanwatch.views.health import RunView, firing
from nanwatch.views.report.page import Fact, Facts, Section
from nanwatch.views.words import clean, moment, number, rough, whole_percent


def outlook_section(view: RunView, config: Config, now: float) -> Section | None:
    """Return what can be told of the rest of the run at *now*, or None for one that has none."""
    rows = [*_end(view, now), *_deadline(view, config, now), *_goal(view, config), *_projections(view.run)]
    return Section("Outlook", (Facts(tuple(rows)),)) if rows else None


def _end(view: RunView, now: float) -> Iterator[Fact]:
    run = view.run
    if view.status != "running":
        return
    if run.epoch is not None and run.batches and run.batch is not None and run.rate and math.isfinite(run.rate):
        yield Fact("epoch ends", f"in {duration(max(0, run.batches - run.batch) / run.rate)}")
    left = eta_of(run)
    if left is not None and math.isfinite(left):
        yield Fact("run ends", f"in {duration(left)} ({moment(now + left, now)}), at its present speed")


def _deadline(view: RunView, config: Config, now: float) -> Iterator[Fact]:
    at = config.rules.deadline.at
    if not at or view.status == "finished":
        return
    alert = _alert(view, "deadline")
    left = eta_of(view.run)
    if alert is not None:
        text = clean(alert.message)
    elif left is None or not math.isfinite(left) or view.status != "running":
        text = "not known whether it will be met"
    else:
        text = f"will be met, with {duration(max(0.0, at - now - left))} to spare"
    yield Fact("deadline", f"{moment(at, now)}: {text}", "" if alert is None else "warning")


def _goal(view: RunView, config: Config) -> Iterator[Fact]:
    goal, run = config.rules.goal, view.run
    if goal.value is None:
        return
    told = [a for a in view.alerts if a.rule == "goal" and a.state != "pending"]
    if told:
        is_lost = told[-1].key == "out of reach"
        yield Fact("goal", clean(told[-1].message), "warning" if is_lost else "good")
        return
    name = clean(goal.metric or run.primary_metric or "the metric")
    best = run.best if run.best is not None and goal.metric in ("", run.best.metric) else None
    so_far = "" if best is None else f", best so far {number(best.value)}"
    yield Fact("goal", f"{name} {number(goal.value)}: not reached yet{so_far}")


def _projections(run: Run) -> Iterator[Fact]:
    row = loss_row(run)
    if row is None:
        return
    yield from _projected("NaN", row, row.nan_batches)
    yield from _projected("steps skipped", row, row.grad_skips)


def _projected(label: str, row: Epoch, count: int) -> Iterator[Fact]:
    end = projection(row, count)
    if end is not None and row.batches and end > count:
        seen = whole_percent(row.batch / row.batches)
        text = f"about {rough(end)} by the end of epoch {row.epoch}, if it goes on so ({count:,} in {seen} of it)"
        yield Fact(label, text, "critical" if label == "NaN" else "warning")


def _alert(view: RunView, rule: str) -> Alert | None:
    return next((a for a in firing(view) if a.rule == rule), None)
