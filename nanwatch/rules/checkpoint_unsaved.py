"""checkpoint_unsaved: weights are no longer written, as the trainer says or as its silence tells."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import CheckpointUnsaved
from nanwatch.model.alert import Finding
from nanwatch.model.names import direction_of
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import quoted, recent_rows


class Rule:
    """Fires when the trainer says that it skips saving, or when a run that saved each epoch stops to.

    What it says holds until an epoch has passed of which it does not say so. Checkpoints that are written only
    when they are the best do not count, whether they are called so or not: they may well fail to come.
    """

    name = "checkpoint_unsaved"
    wakes = Change.CHECKPOINT | Change.EPOCH | Change.END

    def __init__(self, settings: CheckpointUnsaved) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        rows = recent_rows(run)
        last = max((e.epoch for e in rows if e.saves), default=None)
        if run.unsaved and _is_recent(run, rows):
            since = f" (last saved in epoch {last})" if last is not None else ""
            yield Finding(
                self.name, "warning", f"{quoted(run.unsaved, 160)}{since}", "said", run.epoch, None, run.unsaved_offset,
                {"last_saved_epoch": last},
            )  # fmt: skip
            return
        missing = self._missing([e for e in rows if e is not run.current])
        if missing and not (run.current is not None and run.current.saves):
            yield Finding(
                self.name, "warning",
                f"no checkpoint saved for {len(missing)} epochs; until epoch {last} each was saved", "silent",
                missing[-1].epoch, None, run.offset, {"last_saved_epoch": last, "epochs": len(missing)},
            )  # fmt: skip

    def _missing(self, ended: list[Epoch]) -> list[Epoch]:
        """Return the latest of the epochs that have *ended* that were not saved though each before them was."""
        count = next((n for n, e in enumerate(reversed(ended)) if e.saves), len(ended))
        missing, before = ended[len(ended) - count :], ended[: len(ended) - count][-self.settings.epochs :]
        if count < max(1, self.settings.missing) or len(before) < self.settings.epochs:
            return []
        if not all(e.saves for e in before) or _saves_the_best(ended, before[0].epoch):
            return []
        return missing


def _is_recent(run: Run, rows: list[Epoch]) -> bool:
    """Tell whether no whole epoch has passed since the trainer said that it did not save."""
    later = [e for e in rows if e.offset > (run.unsaved_offset or 0)]
    return len(later) < 2


def _saves_the_best(ended: list[Epoch], since: int) -> bool:
    """Tell whether from epoch *since* on exactly those epochs were saved that were the best so far in some value."""
    saved = [e.epoch for e in ended if e.saves and e.epoch >= since]
    names = {name for e in ended for name in (*e.metrics, *e.losses) if direction_of(name)}
    return any([epoch for epoch in _records(ended, name) if epoch >= since] == saved for name in names)


def _records(ended: list[Epoch], name: str) -> Iterator[int]:
    """Yield the epochs in which the value of *name* was better than in any before."""
    best = -math.inf
    for row in ended:
        value = direction_of(name) * {**row.losses, **row.means, **row.metrics}.get(name, math.nan)
        if value > best:
            best = value
            yield row.epoch
