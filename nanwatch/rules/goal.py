"""goal: the metric has reached what the config asks for, or can no longer."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import Goal
from nanwatch.model.alert import Finding
from nanwatch.model.names import direction_of
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import recent_rows

_TREND = 10
_HALF = 0.5
_HOPE = 2.0
"""Times the trend: below that the goal is given up."""


class Rule:
    """News when the goal is reached; and when, past half of the run, twice its present trend would not reach it."""

    name = "goal"
    wakes = Change.METRICS | Change.EPOCH

    def __init__(self, settings: Goal) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        goal, name = self.settings.value, self.settings.metric or run.primary_metric
        if goal is None or name is None:
            return
        values = _values(run, name)
        if not values:
            return
        sign = (1 if run.primary_rises else -1) if name == run.primary_metric else direction_of(name) or 1
        reached = next(((epoch, value) for epoch, value in values if sign * (value - goal) >= 0), None)
        if reached is not None:
            epoch, value = reached
            yield Finding(
                self.name, "info", f"{name} reached {value:.4g} at epoch {epoch}, the goal is {goal:.4g}", "reached",
                epoch, None, run.offset, {"metric": name, "goal": goal, "value": value},
            )  # fmt: skip
            return
        best, hoped = _outlook(run, values, sign)
        if hoped is not None and sign * (hoped - goal) < 0:
            epoch = values[-1][0]
            yield Finding(
                self.name, "info",
                f"{name} is out of reach of its goal {goal:.4g}: best {best:.4g}, at best {hoped:.4g} by the end",
                "out of reach", epoch, None, run.offset,
                {"metric": name, "goal": goal, "best": best, "hoped": round(hoped, 6)},
            )  # fmt: skip


def _values(run: Run, name: str) -> list[tuple[int, float]]:
    if name == run.primary_metric:
        found = [(e.epoch, e.value) for e in run.evaluations]
    else:
        found = [(e.epoch, v) for e in recent_rows(run) for v in ({**e.losses, **e.metrics}.get(name),) if v is not None]
    return [(epoch, value) for epoch, value in found if math.isfinite(value)]


def _outlook(run: Run, values: list[tuple[int, float]], sign: int) -> tuple[float, float | None]:
    """Return the best value, and what it may become by the end of the run, if more than half of it is over."""
    best = max((v for _, v in values), key=lambda v: sign * v)
    left = (run.epochs or 0) - values[-1][0]
    if not run.epochs or left > _HALF * run.epochs or len(values) <= _TREND:
        return best, None
    earlier = max((v for _, v in values[:-_TREND]), key=lambda v: sign * v)
    gain = max(0.0, sign * (best - earlier)) / (values[-1][0] - values[-_TREND - 1][0] or 1)
    return best, best + sign * _HOPE * gain * max(0, left)
