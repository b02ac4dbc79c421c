"""frozen_metric: the validation metrics are the same to the last digit, epoch after epoch, while training goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import FrozenMetric
from nanwatch.model.alert import Finding
from nanwatch.model.names import is_training, role_of
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import recent_rows

_LEAST, _MOST = 0.01, 0.99
"""A share beyond these has reached its end, and may stay there in good health."""
_PATIENT = 2
"""Times as many epochs are asked for where the metrics have few digits."""


class Rule:
    """Fires at the third epoch with the same metrics, resolves when one of them moves.

    Seen where the weights are NaN and the last good values are printed again. Metrics at their end (0 or 1) do
    not count, and where few digits are printed it takes twice as many epochs.
    """

    name = "frozen_metric"
    wakes = Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: FrozenMetric) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        rows = [(e, m) for e in recent_rows(run) if (m := _measured(e))]
        if not rows:
            return
        last = rows[-1][1]
        same = [row for row, _ in _tail_of(rows, last)]
        able = {name: value for name, value in last.items() if _can_move(value)}
        digits = sum(len(f"{value:.6g}".lstrip("-0.").replace(".", "")) for value in able.values())
        needed = self.settings.epochs * (1 if digits >= self.settings.digits else _PATIENT)
        if not able or len(same) < max(2, needed):
            return
        names = ", ".join(f"{name} {value:.4g}" for name, value in list(able.items())[:3])
        yield Finding(
            self.name, "warning", f"the same metrics to the last digit for {len(same)} epochs, since {same[0].epoch}: {names}",
            f"since {same[0].epoch}", same[-1].epoch, None, run.offset,
            {"since_epoch": same[0].epoch, "epochs": len(same), **dict(list(able.items())[:6])},
        )  # fmt: skip


def _measured(row: Epoch) -> dict[str, float]:
    """Return what was measured of the epoch, not of its training."""
    found = {n: v for n, v in row.metrics.items() if role_of(n) in ("metric", "loss") and not is_training(n)}
    return {n: v for n, v in found.items() if math.isfinite(v)}


def _tail_of(rows: list[tuple[Epoch, dict[str, float]]], last: dict[str, float]) -> list[tuple[Epoch, dict[str, float]]]:
    start = len(rows)
    while start and rows[start - 1][1] == last:
        start -= 1
    return rows[start:]


def _can_move(value: float) -> bool:
    return _LEAST < abs(value) < _MOST or abs(value) > 1
