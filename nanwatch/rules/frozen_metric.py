"""frozen_metric: the validation metrics are the same to the last digit, epoch after epoch, while training goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

from nanwatch.config import FrozenMetric
from nanwatch.model.alert import Finding
from nanwatch.model.names import direction_of, is_training, is_validation, plain
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import recent_rows

_LEAST, _MOST = 0.01, 0.99
"""A share beyond these has reached its end, and may stay there in good health."""
_PATIENT = 2
"""Times as many epochs are asked for where the metrics have few digits, and as any repeat that passed had."""
_CHANGES = 2
"""So often a metric that only a bar shows must have changed before: until it is measured again, bars show it on."""


class Rule:
    """Fires at the third epoch with the same metrics, resolves when one of them moves.

    Seen where the weights are NaN and the last good values are printed again. Metrics at their end (0 or 1) do
    not count. Where few digits are printed it takes twice as many epochs, and more than twice as many as were
    the same before: a small validation set has few values to give, and a bar shows old ones until there are new.
    """

    name = "frozen_metric"
    wakes = Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: FrozenMetric) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        recent = recent_rows(run)
        if not _ends_the_same(recent):
            return  # as nearly always: then nobody need look at hundreds of epochs
        rows = [(e, m) for e in recent if (m := _measured(e))]
        *before, same = [[*group] for _, group in groupby(rows, key=lambda item: item[1])] or [[]]
        if len(same) < max(2, self.settings.epochs):
            return
        first, last, metrics = same[0][0], same[-1][0], same[-1][1]
        able = {name: value for name, value in metrics.items() if _can_move(value)}
        if not able or len(same) < self._needed(able, before, _is_told(last)):
            return
        values = ", ".join(f"{name} {value:.4g}" for name, value in [*able.items()][:3])
        yield Finding(
            self.name, "warning",
            f"validation is the same to the last digit {len(same)} times in a row, since epoch {first.epoch}: {values}",
            f"since {first.epoch}", last.epoch, None, run.offset,
            {"since_epoch": first.epoch, "epochs": len(same), **dict([*able.items()][:6])},
        )  # fmt: skip

    def _needed(self, able: dict[str, float], before: list[list[tuple[Epoch, dict[str, float]]]], told: bool) -> float:
        """Return how many epochs must be the same before that means something."""
        digits = sum(len(f"{value:.6g}".lstrip("-0.").replace(".", "")) for value in able.values())
        many = digits >= self.settings.digits
        if not told and len(before) < _CHANGES:
            return math.inf
        least = self.settings.epochs * (1 if many else _PATIENT)
        return least if many and told else max(least, _PATIENT * max(map(len, before), default=0) + 1)


def _ends_the_same(rows: list[Epoch]) -> bool:
    """Tell whether the last two of *rows* of which anything was measured measured the same."""
    last: dict[str, float] = {}
    for row in reversed(rows):
        measured = _measured(row)
        if measured and last:
            return measured == last
        last = measured or last
    return False


def _measured(row: Epoch) -> dict[str, float]:
    """Return what was measured of the epoch, not of its training, nor what is but printed with it."""
    found = {n: v for n, v in row.metrics.items() if math.isfinite(v) and (direction_of(n) or is_validation(n))}
    told = [plain(n) for n in found if is_validation(n)]
    return {n: v for n, v in found.items() if is_validation(n) or not (is_training(n) or _has_twin(n, told))}


def _has_twin(name: str, validated: list[str]) -> bool:
    """Tell whether *name* is that of a training metric, because its validation's is told too: `acc` and `val_acc`."""
    return any(other.endswith(plain(name)) for other in validated)


def _is_told(row: Epoch) -> bool:
    """Tell whether the epoch's metrics come from a line of their own, not from a bar alone."""
    return row.validated or bool(row.means) or not row.batch


def _can_move(value: float) -> bool:
    return _LEAST < abs(value) < _MOST or abs(value) > 1
