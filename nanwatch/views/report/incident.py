"""Where a run went wrong: its bad epoch, the last good one before it, the best and the latest."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nanwatch.model.alert import Alert
from nanwatch.model.run import Epoch, Run
from nanwatch.rules.words import clean_before
from nanwatch.views.health import RunView, firing
from nanwatch.views.words import whole_percent

_ENDS = frozenset({"stall", "crash", "oom", "process_gone", "interrupted"})
"""Rules that tell of the end of a run, and of no figure in it."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Where a run went wrong: in epoch `bad`; `good` is the last one that did not, `best` that of the best metric.

    `is_end` tells that nothing is known to be wrong with that epoch but that the run ended or fell silent in it.
    """

    bad: Epoch
    good: Epoch | None
    best: Epoch | None
    latest: Epoch | None
    is_end: bool = False

    @property
    def shown(self) -> list[tuple[Epoch, str]]:
        """The epochs to put side by side, in order, and what each of them is."""
        clean_one = "last clean" if self.bad.nan_batches or self.bad.grad_skips else "before"
        words = [
            (self.best, "best"),
            (self.good, clean_one),
            (self.bad, "last" if self.is_end else "bad"),
            (self.latest, "latest"),
        ]
        found: dict[int, tuple[Epoch, str]] = {}
        for row, word in words:
            if row is not None:
                known = found.get(row.epoch)
                found[row.epoch] = (row, word if known is None else f"{known[1]}, {word}")
        return [found[epoch] for epoch in sorted(found)]


def incident_of(view: RunView) -> Incident | None:
    """Return where the run went wrong, or None where no alert names an epoch that is known."""
    run = view.run
    alerts = [a for a in _gravest(view) if a.epoch is not None and a.epoch in run.table]
    if not alerts or alerts[0].epoch is None:
        return None
    bad = run.table[alerts[0].epoch]
    is_end = all(a.rule in _ENDS for a in alerts if a.epoch == bad.epoch) and not bad.nan_batches
    return Incident(bad, _good(run, bad), _best(run, bad), _latest(run, bad), is_end)


def named(run: Run, row: Epoch, word: str) -> str:
    """Return *word* for an epoch, and how much of it is done where it goes on."""
    if row.epoch == run.epoch and not row.done and row.batches and row.batch < row.batches:
        return f"{word}, {whole_percent(row.batch / row.batches)} done"
    return word


def _gravest(view: RunView) -> list[Alert]:
    """Return the alerts of the worst kind that there is, the earliest first: what fires goes before what is over."""
    told = firing(view)
    over = [a for a in view.alerts if a.state == "resolved" and a.severity == "critical"]
    for kind in ([a for a in told if a.severity == "critical"], told, over):
        if kind:
            return sorted(kind, key=lambda a: (a.epoch if a.epoch is not None else math.inf, a.batch or 0))
    return []


def rows_of(run: Run) -> list[Epoch]:
    """Return the epochs up to the present one, in order."""
    rows = (row for row in run.table.values() if row.epoch >= 0 and (run.epoch is None or row.epoch <= run.epoch))
    return sorted(rows, key=lambda row: row.epoch)


def _good(run: Run, bad: Epoch) -> Epoch | None:
    if bad.nan_batches or bad.grad_skips:
        before = clean_before(run, bad)
        return None if before is None else run.table[before]
    return max((row for row in rows_of(run) if row.epoch < bad.epoch), key=lambda row: row.epoch, default=None)


def _best(run: Run, bad: Epoch) -> Epoch | None:
    best = run.best
    return None if best is None or best.epoch is None or best.epoch >= bad.epoch else run.table.get(best.epoch)


def _latest(run: Run, bad: Epoch) -> Epoch | None:
    done = [row for row in rows_of(run) if row.epoch > bad.epoch and (row.done or row.nan_batches)]
    return done[-1] if done else None
