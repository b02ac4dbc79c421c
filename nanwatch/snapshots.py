"""Live runs -> snapshots: copies for the faces, which live in threads of their own."""

from __future__ import annotations

import copy
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from nanwatch.model.curve import Curve
from nanwatch.model.event import BatchDone, Event, StepSkipped
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.curves import RunCurves
from nanwatch.runs.status import status_of

_COPIED = (
    "losses", "metrics", "evaluations", "final_metrics", "skip_positions", "stretches", "rollbacks",
    "hyperparameters", "recoveries", "saved",
)  # fmt: skip
"""What of a run the faces look into, and what changes in place."""
_UNSEEN = ("lines", "recent", "first_losses", "ceilings", "carried", "unsure")
_ROW_PARTS = ("losses", "means", "metrics", "nan_last", "skip_kinds")
_NO_EPOCH = -1
"""The row of a run that tells no epochs."""


class Snapshots:
    """The snapshots of one log: what did not change since the last one is shared with it."""

    def __init__(self, path: Path, pipeline: LogPipeline) -> None:
        self.path = path
        self.pipeline = pipeline
        self._number = 0
        self._curves = RunCurves()
        self._copied_curves: dict[str, Curve] = {}
        self._last: Run | None = None
        self._touched: set[int] | None = None
        self._curves_changed = True

    def note(self, run: Run, event: Event) -> None:
        """Take note of an event that was just applied to *run*."""
        if run.number != self._number:
            self._number, self._curves, self._last = run.number, RunCurves(), None
        self._curves.note(run, event)
        self._curves_changed = True
        if not isinstance(event, BatchDone | StepSkipped):
            self._touched = None  # it may concern any epoch
        elif self._touched is not None and run.epoch is not None:
            self._touched.add(run.epoch)

    def _take(self, grew_at: float | None, now: float) -> RunView:
        """Return the current run as it stands at *now*; its log last grew at *grew_at*."""
        run = self.pipeline.runs[-1]
        alerts = [copy.copy(alert) for alert in self.pipeline.alerts_of(run)]
        taken = _copy_run(run, {} if self._last is None or self._touched is None else self._last.table, self._touched)
        self._last, self._touched = taken, {_NO_EPOCH}
        silence = None if grew_at is None else max(0.0, now - grew_at)
        return RunView(taken, alerts, status_of(run, alerts), silence)

    def _take_curves(self) -> dict[str, Curve]:
        """Return the curves of the current run as they stand."""
        if self._curves_changed:
            self._copied_curves, self._curves_changed = self._curves.copy(), False
        return self._copied_curves

    def snapshot(self, grew_at: float | None, now: float, size: int, read: int) -> Snapshot:
        """Return the log as it stands: of *size* bytes, *read* ones were read."""
        view = self._take(grew_at, now)
        return Snapshot(self.path, view, self._take_curves(), grew_at, size, read, number=view.run.number)


def _copy_run(run: Run, known: dict[int, Epoch], touched: Set[int] | None) -> Run:
    """Return a copy of *run*; rows that are *known* from before are shared, unless they were *touched* since."""
    taken = copy.copy(run)
    for name in _COPIED:
        setattr(taken, name, copy.copy(getattr(run, name)))
    for name in _UNSEEN:
        setattr(taken, name, {})
    taken.process = copy.copy(run.process)
    changed = run.table.keys() if touched is None else touched
    taken.table = {
        number: known[number] if number in known and number not in changed else _copy_row(row)
        for number, row in run.table.items()
    }
    return taken


def _copy_row(row: Epoch) -> Epoch:
    taken = copy.copy(row)
    for name in _ROW_PARTS:
        setattr(taken, name, copy.copy(getattr(row, name)))
    taken.peaks = {name: replace(peak, last=list(peak.last)) for name, peak in row.peaks.items()}
    return taken
