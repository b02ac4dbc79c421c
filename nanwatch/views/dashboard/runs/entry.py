"""What the list of runs knows of each run: how it stands, and the figures that it is shown, sorted and filtered by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nanwatch.model.alert import Alert
from nanwatch.model.names import is_validation
from nanwatch.model.outlook import eta_of
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.rules.words import loss_row
from nanwatch.views.folding import main_loss
from nanwatch.views.health import firing, health, kept_quiet

Standing = Literal["critical", "warning", "unknown", "silenced", "ok", "unread", "seen"]
STANDINGS: tuple[Standing, ...] = ("critical", "warning", "unknown", "silenced", "ok", "unread", "seen")
"""Worst first; what somebody has seen (acknowledged) comes last."""

_BAD_ENDS = ("failed", "crashed", "stalled")
MAIN_LOSSES = ("loss", "train_loss", "total_loss")
"""What trainers call the loss that stands for all."""
_LIVE_S = 60.0
"""Seconds of silence up to which a log is surely going on."""
_GAPS = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A run in the list: its log, its short name, what is known of it, and how it stands."""

    path: Path
    name: str
    snapshot: Snapshot
    standing: Standing

    @property
    def view(self) -> RunView | None:
        """The run, or None as long as nothing was read."""
        return self.snapshot.view

    @property
    def told(self) -> RunView | None:
        """The run as it is now; None as long as only its past was read, or nothing of it was understood yet."""
        return None if _is_unread(self.snapshot) else self.snapshot.view

    @property
    def told_run(self) -> Run | None:
        """What is known of the run as it is now, or None."""
        told = self.told
        return None if told is None or told.status == "unknown" else told.run

    @property
    def status(self) -> str:
        """What the run is doing, or its log: `missing`, `denied`, `unreadable`, `empty`, or `reading` at the start."""
        snapshot = self.snapshot
        if snapshot.problem is not None:
            return _problem_word(snapshot.problem)
        if snapshot.view is None or _is_unread(snapshot):
            return "empty" if snapshot.grew_at is not None and not snapshot.size else "reading"
        return "reading" if _is_doubtful(snapshot.view, snapshot) else snapshot.view.status

    @property
    def is_finished(self) -> bool:
        """Whether the run has reached its end."""
        return self.told is not None and self.told.status == "finished"

    @property
    def is_rough(self) -> bool:
        """Whether the log was not read to its end yet, so that counts are no more than a beginning."""
        return self.snapshot.is_estimate or self.snapshot.is_history


def entry_of(path: Path, name: str, snapshot: Snapshot) -> Entry:
    """Return the entry for *snapshot* under its short *name*."""
    return Entry(path, name, snapshot, standing_of(snapshot))


def standing_of(snapshot: Snapshot) -> Standing:
    """Return how a run stands, and whether somebody has already taken note of what is wrong."""
    view = snapshot.view
    if view is None or _is_unread(snapshot):
        return "unread" if snapshot.problem is None else "unknown"
    if not firing(view) and (quiet := quieted(view)):
        if any("acknowledged" in alert.suppressed for alert in quiet):
            return "seen"
        if health(view) == "ok" or view.status in _BAD_ENDS:
            return "silenced"
    worst = health(view)
    if worst == "ok" and snapshot.problem is None and _is_doubtful(view, snapshot):
        return "unread"
    return "unknown" if worst == "ok" and snapshot.problem is not None else worst


def quieted(view: RunView) -> list[Alert]:
    """Return the alerts of weight that fire and that somebody silenced or acknowledged."""
    return [alert for alert in kept_quiet(view) if alert.severity != "info"]


def acknowledged(view: RunView) -> list[Alert]:
    """Return the alerts that fire and that somebody acknowledged."""
    return [alert for alert in view.alerts if alert.state == "firing" and "acknowledged" in alert.suppressed]


def has_firing(entry: Entry, severity: str) -> bool:
    """Tell whether an alert of this severity fires that nobody took note of, or the run's end is as bad."""
    view = entry.told
    return view is not None and (entry.standing == severity or any(a.severity == severity for a in firing(view)))


def _is_unread(snapshot: Snapshot) -> bool:
    """Tell whether nothing is known of the log's present: what is not known then is neither well nor unknown."""
    view = snapshot.view
    if view is None or (snapshot.is_history and not snapshot.is_estimate):
        return True
    return view.status == "unknown" and (snapshot.is_history or not snapshot.read)


def _is_doubtful(view: RunView, snapshot: Snapshot) -> bool:
    """Tell whether a run only seems to be going on: its log has ended, and its end alone was looked at."""
    is_silent = view.silence is None or view.silence > _LIVE_S
    return snapshot.is_history and view.status == "running" and is_silent


def _problem_word(problem: str) -> str:
    if "missing" in problem or "no such" in problem or "gone" in problem:
        return "missing"
    return "denied" if "denied" in problem or "permitted" in problem else "unreadable"


# -- figures


def _of_view(read: Callable[[RunView], float | None]) -> Callable[[Entry], float | None]:
    def figure(entry: Entry) -> float | None:
        view = entry.told
        return None if view is None or view.status == "unknown" else read(view)

    return figure


def _done_of_epoch(view: RunView) -> float | None:
    run = view.run
    if run.epoch is not None:
        if not run.batches or run.batch is None:
            return None
        return min(1.0, run.batch / run.batches)
    return min(1.0, run.step / run.steps) if run.step is not None and run.steps else None


def _time_left(entry: Entry) -> float | None:
    view = entry.told
    if view is None or entry.status != "running" or (view.silence or 0.0) > _patience(view.run):
        return None
    left = eta_of(view.run)
    return left if left is not None and math.isfinite(left) else None


def is_silent(entry: Entry, now: float) -> bool:
    """Tell whether the log has not grown for so long that nothing can be said of how fast the run is."""
    run, grew_at = entry.told_run, entry.snapshot.grew_at
    return run is not None and grew_at is not None and now - grew_at > _patience(run)


def _patience(run: Run) -> float:
    """Return the seconds of silence that are usual in a log: a minute, or several gaps, or as long as ever before."""
    gap = 1 / run.rate if run.rate else 0.0
    if run.batch is None and run.step is None:  # a line an epoch
        times = [row.seconds for row in run.table.values() if row.seconds]
        gap = max(gap, sum(times) / len(times) if times else 0.0)
    return max(_LIVE_S, _GAPS * gap, run.longest_silence)


def _loss(view: RunView) -> float | None:
    """Return the main loss; of a run that tells none, the error that it is to make small."""
    loss, run = main_loss(view), view.run
    if loss is None and run.evaluations and not run.primary_rises:
        return run.evaluations[-1].value
    return loss


def vram_change(view: RunView) -> float | None:
    """Return by how many GB the VRAM jumped against the epochs before, or None where it did not."""
    found = [a.evidence.get("change_gb") for a in view.alerts if a.rule == "vram_jump" and a.state == "firing"]
    known = [change for change in found if isinstance(change, int | float)]
    return known[-1] if known else None


def _skips(view: RunView) -> float | None:
    row = loss_row(view.run)
    return None if row is None and not view.run.grad_skips else view.run.grad_skips


def validation_loss(run: Run) -> float | None:
    """Return the latest loss on data that the run is not trained on, or None."""
    row = run.current
    for values in (row.metrics if row is not None else {}, row.losses if row is not None else {}, run.metrics):
        for name, value in values.items():
            if is_validation(name) and "loss" in name.lower():
                return value
    return None


def _metric(view: RunView) -> float | None:
    return view.run.evaluations[-1].value if view.run.evaluations else None


FIGURES: Mapping[str, Callable[[Entry], float | None]] = {
    "nan": _of_view(lambda v: v.run.nan_batches),
    "epoch": _of_view(lambda v: v.run.epoch if v.run.epoch is not None else v.run.step),
    "loss": _of_view(_loss),
    "progress": _of_view(_done_of_epoch),
    "eta": _time_left,
    "vram": _of_view(lambda v: v.run.vram_gb or None),
    "batch": _of_view(lambda v: v.run.batch),
    "metric": _of_view(_metric),
    "speed": _of_view(lambda v: v.run.rate),
    "skips": _of_view(_skips),
    "lr": _of_view(lambda v: v.run.lr),
    "val": _of_view(lambda v: validation_loss(v.run)),
}
"""The figures of a run by the names under which it can be sorted and filtered; None where it has none."""
