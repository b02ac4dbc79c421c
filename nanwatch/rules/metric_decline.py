"""metric_decline: the primary metric got worse epoch after epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from nanwatch.config import MetricDecline
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Evaluation, Run


class Rule:
    """Fires at the third worse epoch in a row, critical beyond 5 % of the best; resolves when it gets better."""

    name = "metric_decline"
    wakes = Change.METRICS | Change.EPOCH

    def __init__(self, settings: MetricDecline) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        count = self.settings.epochs
        history = run.evaluations[-(count + 1) :]
        if run.best is None or len(history) <= count or run.primary_metric is None:
            return
        values = [e.value for e in history]
        if not all(math.isfinite(v) for v in values):
            return
        sign = 1 if run.primary_rises else -1
        if not all(sign * (a - b) > 0 for a, b in pairwise(values)):
            return
        scale = abs(run.best.value)
        loss = sign * (run.best.value - values[-1])
        fall = sign * (values[0] - values[-1])
        if fall < scale * self.settings.min_percent / 100 or (run.primary_rises and scale < self.settings.noise):
            return
        share = loss / scale if scale else math.inf
        verb = "fell" if run.primary_rises else "rose"
        history = _whole_decline(run, sign)
        values = [e.value for e in history]
        first = history[1].epoch
        best = f"{run.best.value:.4f}" + ("" if run.best.epoch is None else f" at epoch {run.best.epoch}")
        yield Finding(
            self.name, "critical" if share > self.settings.critical_percent / 100 else "warning",
            f"{run.primary_metric} {verb} {len(history) - 1} epochs in a row, "
            f"{values[0]:.4f} -> {values[-1]:.4f} (best {best})",
            "", history[-1].epoch, None, history[-1].offset,
            {
                "metric": run.primary_metric, "since_epoch": first, "from": values[0], "to": values[-1],
                "best": run.best.value, "best_epoch": run.best.epoch, "percent_of_best": round(100 * share, 2),
            },
        )  # fmt: skip


def _whole_decline(run: Run, sign: int) -> list[Evaluation]:
    """Return the evaluations from the last one before the decline to the latest."""
    history = run.evaluations
    start = len(history) - 1
    while start > 0 and sign * (history[start - 1].value - history[start].value) > 0:
        start -= 1
    return history[start:]
