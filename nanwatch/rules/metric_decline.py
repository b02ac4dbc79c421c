"""metric_decline: the primary metric got worse epoch after epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from nanwatch.config import MetricDecline
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Evaluation, Run
from nanwatch.rules.words import is_of_stage, measured, spot, when

_FAR = 128


class Rule:
    """Fires at the third worse epoch in a row, critical beyond 5 % of the best; resolves when half is regained."""

    name = "metric_decline"
    wakes = Change.METRICS | Change.EPOCH

    def __init__(self, settings: MetricDecline) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        best, sign = run.best, 1 if run.primary_rises else -1
        history = [e for e in measured(run)[-_FAR:] if is_of_stage(run, e)]
        fall = self._latest_fall(history, sign)
        if best is None or fall is None or _is_regained(fall, history, sign) or self._is_noise(run, fall, sign):
            return
        if self._is_restart(run, fall):
            return
        now_at = history[-1]
        scale = abs(best.value)
        share = sign * (best.value - now_at.value) / scale if scale else math.inf
        before, last = fall[0], fall[-1]
        verb = "fell" if run.primary_rises else "rose"
        often = f"{len(fall) - 1} {'times' if run.epoch is None else 'epochs'} in a row"
        after = f", now {now_at.value:.4f}" if now_at is not last else ""
        yield Finding(
            self.name, "critical" if share > self.settings.critical_percent / 100 else "warning",
            f"{best.metric} {verb} {often}, {before.value:.4f} -> {last.value:.4f}{after} "
            f"(best {best.value:.4f}{when(run, best.epoch)})",
            "", *spot(run, now_at.epoch), now_at.offset,
            {
                "metric": best.metric, "since_epoch": fall[1].epoch, "from": before.value, "to": now_at.value,
                "best": best.value, "best_epoch": best.epoch, "percent_of_best": round(100 * share, 2),
            },
        )  # fmt: skip

    def _latest_fall(self, history: list[Evaluation], sign: int) -> list[Evaluation] | None:
        """Return the latest fall that is long enough, from the value before it to its last one."""
        end = len(history) - 1
        while end >= max(1, self.settings.epochs):
            start = end
            while start > 0 and sign * (history[start - 1].value - history[start].value) > 0:
                start -= 1
            if end - start >= max(1, self.settings.epochs):
                return history[start : end + 1]
            end = start if start < end else end - 1
        return None

    def _is_noise(self, run: Run, fall: list[Evaluation], sign: int) -> bool:
        scale = abs(run.best.value) if run.best is not None else 0.0
        if run.primary_rises and scale < self.settings.noise:
            return True
        return sign * (fall[0].value - fall[-1].value) < scale * self.settings.min_percent / 100

    def _is_restart(self, run: Run, fall: list[Evaluation]) -> bool:
        """Tell whether the fall began where the learning rate was set up again, as warm restarts do."""
        rows = [run.table.get(item.epoch) for item in fall]
        rates = [row.lr for row in rows if row is not None and row.lr]
        return any(new >= self.settings.restart * old for old, new in pairwise(rates))


def _is_regained(fall: list[Evaluation], history: list[Evaluation], sign: int) -> bool:
    """Tell whether half of what was lost came back."""
    later = [e.value for e in history if e.epoch > fall[-1].epoch and math.isfinite(e.value)]
    lowest = min(sign * v for v in (fall[-1].value, *later))
    half = (sign * fall[0].value + lowest) / 2
    return any(sign * v >= half for v in later)
