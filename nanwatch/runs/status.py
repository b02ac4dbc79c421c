"""What a run is doing, from what its log says and from the alerts that its silence raised."""

from __future__ import annotations

from collections.abc import Iterable

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run, Status


def status_of(run: Run, alerts: Iterable[Alert] = ()) -> Status:
    """Return the run's status; *alerts* are its own."""
    if run.failure is not None:
        return "crashed" if run.failure.kind == "killed" else "failed"
    if run.interrupted is not None:
        return "interrupted"
    if run.finished is not None:
        return "finished"
    if run.epoch is None and run.step is None and not run.hyperparameters:
        return "unknown"
    firing = {a.rule for a in alerts if a.state == "firing"}
    if "process_gone" in firing:
        return "crashed"
    return "stalled" if "stall" in firing else "running"
