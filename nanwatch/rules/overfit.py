"""overfit: the validation loss rises while the training loss falls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from nanwatch.config import Overfit
from nanwatch.model.alert import Finding
from nanwatch.model.names import direction_of, is_validation, plain, role_of
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import recent_rows


class Rule:
    """News after five such epochs in a row, resolves when one is not. Off unless it is asked for."""

    name = "overfit"
    wakes = Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: Overfit) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        count = self.settings.epochs
        rows = [(e, *_losses(e)) for e in recent_rows(run, 4 * count)]
        told = [(e, train, val) for e, train, val in rows if train is not None and val is not None]
        if len(told) <= count:
            return
        last = told[-(count + 1) :]
        if not all(b[1] < a[1] and b[2] > a[2] for a, b in pairwise(last)):
            return
        (first, train, val), (row, train_now, val_now) = last[0], last[-1]
        yield Finding(
            self.name, "info",
            f"validation loss rose {val:.4g} -> {val_now:.4g} while training loss fell {train:.4g} -> {train_now:.4g}, "
            f"{count} epochs in a row", "", row.epoch, None, run.offset,
            {"since_epoch": first.epoch, "val_loss": val_now, "train_loss": train_now},
        )  # fmt: skip


def _losses(row: Epoch) -> tuple[float | None, float | None]:
    """Return the epoch's training and validation loss, the first of each that is told."""
    values = {**row.losses, **row.means, **row.metrics}
    found = {name: value for name, value in values.items() if _is_loss(name) and math.isfinite(value)}
    train = next((value for name, value in found.items() if not is_validation(name)), None)
    return train, next((value for name, value in found.items() if is_validation(name)), None)


def _is_loss(name: str) -> bool:
    """Tell whether *name* is a loss, of the training or of a validation (whose role is that of a metric)."""
    return direction_of(name) < 0 and (role_of(name) == "loss" or (is_validation(name) and "loss" in plain(name)))
