"""goal: the metric has reached what the config asks for, or can no longer."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import Goal
from nanwatch.model.alert import Finding
from nanwatch.model.names import direction_of, plain, role_of
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import measured

_TREND = 10
_HALF = 0.5
_HOPE = 2.0
"""Times the trend: below that the goal is given up."""


class Rule:
    """News when the goal is reached; and when, past half of the run, twice its present trend would not reach it.

    A goal without a metric's name is one for the primary metric, unless that is a training loss.
    """

    name = "goal"
    wakes = Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: Goal) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        goal = self.settings.value
        name = None if goal is None else _metric(run, self.settings.metric)
        values = [] if name is None else _values(run, name)
        if goal is None or name is None or not values:
            return
        sign = (1 if run.primary_rises else -1) if name == run.primary_metric else direction_of(name) or 1
        reached = next(((at, value) for at, value in values if sign * (value - goal) >= 0), None)
        if reached is not None:
            at, value = reached
            unit = "step" if run.epoch is None else "epoch"
            yield Finding(
                self.name, "info", f"{name} reached {value:.4g} at {unit} {at:,}, the goal is {goal:.4g}", "reached",
                None if run.epoch is None else at, None, run.offset, {"metric": name, "goal": goal, "value": value},
            )  # fmt: skip
            return
        best, hoped = _outlook(run, values, sign)
        if hoped is not None and sign * (hoped - goal) < 0:
            yield Finding(
                self.name, "info",
                f"{name} will hardly reach {goal:.4g}: best {best:.4g}, by the end {hoped:.4g} at twice its trend",
                "out of reach", values[-1][0], None, run.offset,
                {"metric": name, "goal": goal, "best": best, "hoped": round(hoped, 6)},
            )  # fmt: skip


def _metric(run: Run, wanted: str) -> str | None:
    """Return the name under which the run shows the metric that is *wanted*, or None where it does not.

    A training loss must be asked for: runs are judged by it only until they measure something better.
    """
    if not wanted:
        return run.primary_metric if run.primary_metric and role_of(run.primary_metric) != "loss" else None
    shown = {plain(name): name for name in (*run.losses, *run.metrics)}
    return shown.get(plain(wanted))


def _values(run: Run, name: str) -> list[tuple[int, float]]:
    """Return what was measured of *name* by epoch, or by step where there are none; the best first seen stays."""
    best = run.best
    if name == run.primary_metric:
        found = [(e.epoch, e.value) for e in measured(run)]
        if best is not None and best.epoch is not None and (not found or best.epoch < found[0][0]):
            found.insert(0, (best.epoch, best.value))
    elif run.epoch is None:
        found = [(run.step or 0, run.metrics[name])] if name in run.metrics else []
    else:
        rows = [run.table[epoch] for epoch in sorted(run.table) if epoch >= 0]
        found = [(e.epoch, v) for e in rows for v in (_measured(e).get(name),) if v is not None]
    return [(at, value) for at, value in found if math.isfinite(value)]


def _measured(row: Epoch) -> dict[str, float]:
    """Return what is known of the epoch as a whole: what its bar shows under way is none of it."""
    if row.done:
        return {**row.losses, **row.means, **row.metrics}
    return row.metrics if row.validated else {}


def _outlook(run: Run, values: list[tuple[int, float]], sign: int) -> tuple[float, float | None]:
    """Return the best value, and what it may become by the end of the run, if more than half of it is over."""
    best = max((v for _, v in values), key=lambda v: sign * v)
    left = (run.epochs or 0) - values[-1][0] - (run.first_epoch == 0)
    if not run.epochs or run.epoch is None or left > _HALF * run.epochs or len(values) <= _TREND:
        return best, None
    earlier = max((v for _, v in values[:-_TREND]), key=lambda v: sign * v)
    gain = max(0.0, sign * (best - earlier)) / (values[-1][0] - values[-_TREND - 1][0] or 1)
    return best, best + sign * _HOPE * gain * max(0, left)
