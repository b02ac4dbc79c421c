"""What the list of runs knows of each run: how it stands, and the figures that it is shown, sorted and filtered by."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nanwatch.model.alert import Alert
from nanwatch.model.names import is_validation, role_of
from nanwatch.model.outlook import eta_of
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.rules.words import loss_row
from nanwatch.views.folding import main_loss
from nanwatch.views.health import firing, health, kept_quiet
from nanwatch.views.listing import short_names
from nanwatch.views.words import clean

Standing = Literal["critical", "warning", "unknown", "silenced", "ok", "unread", "seen"]
STANDINGS: tuple[Standing, ...] = ("critical", "warning", "unknown", "silenced", "ok", "unread", "seen")
"""Worst first; what somebody has seen (acknowledged) comes last."""

_BAD_ENDS = ("failed", "crashed", "stalled")
_MAIN = ("loss", "train_loss", "total_loss")


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
    def status(self) -> str:
        """What the run is doing, or its log: `missing`, `denied`, `unreadable`, `empty`, or `reading` at the start."""
        snapshot = self.snapshot
        if snapshot.problem is not None:
            return _problem_word(snapshot.problem)
        if snapshot.view is None or _is_unread(snapshot):
            return "empty" if snapshot.grew_at is not None and not snapshot.size else "reading"
        return snapshot.view.status

    @property
    def is_finished(self) -> bool:
        """Whether the run has reached its end."""
        return self.snapshot.view is not None and self.snapshot.view.status == "finished"

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
    return "unknown" if worst == "ok" and snapshot.problem is not None else worst


def quieted(view: RunView) -> list[Alert]:
    """Return the alerts of weight that fire and that somebody silenced or acknowledged."""
    return [alert for alert in kept_quiet(view) if alert.severity != "info"]


def acknowledged(view: RunView) -> list[Alert]:
    """Return the alerts that fire and that somebody acknowledged."""
    return [alert for alert in view.alerts if alert.state == "firing" and "acknowledged" in alert.suppressed]


def has_firing(entry: Entry, severity: str) -> bool:
    """Tell whether an alert of this severity fires that nobody took note of, or the run's end is as bad."""
    view = entry.view
    return view is not None and (entry.standing == severity or any(a.severity == severity for a in firing(view)))


def names_of(paths: Collection[Path]) -> dict[Path, str]:
    """Return the short names of logs: without the folders and the ending that all share, each one once."""
    known = [path for path in paths if str(path) != "-"]
    found = {path: "stdin" for path in paths if str(path) == "-"}
    if len(known) == 1:
        parts = known[0].parts
        return found | {known[0]: clean("/".join(parts[-2:]).lstrip("/"))}
    views = [_named(str(path)) for path in known]
    short = short_names(views)
    times: dict[str, int] = {}
    for path, view in zip(known, views, strict=True):
        name = short[id(view)]
        times[name] = times.get(name, 0) + 1
        found[path] = name if times[name] == 1 else f"{name} ({times[name]})"
    return found


def _named(log: str) -> RunView:
    return RunView(Run(log, log), [], "unknown", None)


def _is_unread(snapshot: Snapshot) -> bool:
    """Tell whether not a byte was read: what is not known then is no unknown format."""
    return snapshot.view is None or (snapshot.view.status == "unknown" and not snapshot.read)


def _problem_word(problem: str) -> str:
    if "missing" in problem or "no such" in problem or "gone" in problem:
        return "missing"
    return "denied" if "denied" in problem or "permitted" in problem else "unreadable"


# -- figures


def _of_view(read: Callable[[RunView], float | None]) -> Callable[[Entry], float | None]:
    def figure(entry: Entry) -> float | None:
        view = entry.view
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
    left = eta_of(entry.view.run) if entry.view is not None and entry.status == "running" else None
    return left if left is not None and math.isfinite(left) else None


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
    "loss": _of_view(main_loss),
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


def main_curve(snapshot: Snapshot) -> str | None:
    """Return the name of the curve that stands for all: the one called loss, else the first loss there is."""
    names = list(snapshot.curves)
    for name in names:
        if name.lower() in _MAIN:
            return name
    told = [] if snapshot.view is None else [n for n in snapshot.view.run.losses if n in snapshot.curves]
    losses = told or [n for n in names if role_of(n) == "loss"]
    return losses[0] if losses else None
