"""The learning rate as a log shows it: now, when the run was last well, and whether it was raised."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

from nanwatch.diagnose.aspects import Facts, rows_of
from nanwatch.model.snapshot import RunView
from nanwatch.rules.words import clean_before

_RAISED = 1.5
"""A learning rate that grew by so much from one epoch to the next, after it had been falling, was raised."""
_FEW = 3


def lr_facts(view: RunView, clean: int | None) -> Facts:
    """Return the learning rate that the log shows, that of when it was last well, and whether it was raised.

    It was well in epoch *clean*, but where NaN began before that, in the epoch before them: later, a schedule may
    have ended.
    """
    run = view.run
    bad = next((row for row in rows_of(run) if row.nan_batches or row.grad_skips), None)
    well = clean if bad is None else clean_before(run, bad)
    clean = well if clean is None or (well is not None and well < clean) else clean
    rates = [(row.epoch, row.lr) for row in rows_of(run) if _is_rate(row.lr) and row.epoch >= 0]
    facts: Facts = {"shows_lr": bool(rates) or _is_rate(run.lr)}
    at = [lr for epoch, lr in rates if clean is not None and epoch <= clean]
    facts |= {"lr_now": run.lr if _is_rate(run.lr) else None, "lr_when_clean": at[-1] if at else None}
    facts["lr_clean_epoch"] = clean
    raised = max(_raises(rates), default=None)
    facts |= dict.fromkeys(("lr_raise", "lr_raised_epoch", "lr_raised_from", "lr_raised_to"))
    facts["lr_was_raised"] = False if len(rates) > _FEW else None
    if raised is not None:
        factor, epoch, old, new = raised
        facts |= {"lr_was_raised": True, "lr_raise": factor, "lr_raised_epoch": epoch}
        facts |= {"lr_raised_from": old, "lr_raised_to": new}
    return facts


def _raises(rates: Iterable[tuple[int, float | None]]) -> Iterable[tuple[float, int, float, float]]:
    """Yield each raise as factor, epoch, old and new value; what still warms up is none."""
    has_fallen = False
    for (_, old), (epoch, new) in pairwise(rates):
        if not old or not new:
            continue
        if has_fallen and new >= _RAISED * old:
            yield new / old, epoch, old, new
        has_fallen = has_fallen or new < old


def _is_rate(lr: float | None) -> bool:
    return lr is not None and math.isfinite(lr) and lr > 0
