"""What a run is doing, from its state and from how long its log has been silent."""

from __future__ import annotations

from nanwatch.model.run import Run, Status

SILENT = 600.0
"""Seconds without a byte after which a run that shows no end is called stalled."""


def status_of(run: Run, silence: float | None) -> Status:
    """Return the run's status; *silence* is the time in seconds since its log last grew, None if unknown."""
    if run.failure is not None:
        return "crashed" if run.failure.kind == "killed" else "failed"
    if run.interrupted is not None:
        return "interrupted"
    if run.finished is not None:
        return "finished"
    if run.epoch is None and run.step is None and not run.hyperparameters:
        return "unknown"
    if silence is not None and silence > SILENT:
        return "stalled"
    return "running"
