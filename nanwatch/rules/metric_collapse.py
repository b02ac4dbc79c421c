"""metric_collapse: the primary metric has lost most of what it had."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import MetricCollapse
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run


class Rule:
    """Fires when a rising metric is below half of its best, which was at least 0.1; resolves when it is back."""

    name = "metric_collapse"
    wakes = Change.METRICS | Change.EPOCH

    def __init__(self, settings: MetricCollapse) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        best, history = run.best, run.evaluations
        if best is None or not run.primary_rises or not history or best.value < self.settings.least_best:
            return
        last = history[-1]
        if math.isfinite(last.value) and last.value >= best.value * self.settings.share:
            return
        at = "" if best.epoch is None else f" at epoch {best.epoch}"
        yield Finding(
            self.name, "critical", f"{best.metric} collapsed to {last.value:.4g}, its best was {best.value:.4g}{at}",
            "", last.epoch, None, last.offset,
            {"metric": best.metric, "value": last.value, "best": best.value, "best_epoch": best.epoch},
        )  # fmt: skip
