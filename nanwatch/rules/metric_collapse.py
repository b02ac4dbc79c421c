"""metric_collapse: the primary metric has lost most of what it had."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import MetricCollapse
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import measured, spot, when


class Rule:
    """Fires when a rising metric is below half of its best, which was at least 0.1; resolves when it is back."""

    name = "metric_collapse"
    wakes = Change.METRICS | Change.EPOCH

    def __init__(self, settings: MetricCollapse) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        best, history = run.best, measured(run)
        if best is None or not run.primary_rises or not history or best.value < self.settings.least_best:
            return
        last = history[-1]
        if math.isfinite(last.value) and last.value >= best.value * self.settings.share:
            return
        yield Finding(
            self.name, "critical",
            f"{best.metric} collapsed to {last.value:.4g}, its best was {best.value:.4g}{when(run, best.epoch)}",
            "", *spot(run, last.epoch), last.offset,
            {"metric": best.metric, "value": last.value, "best": best.value, "best_epoch": best.epoch},
        )  # fmt: skip
