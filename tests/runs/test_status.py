"""What a run is doing: what it said of itself first, then how long its log has been silent."""

from __future__ import annotations

import pytest

from nanwatch.model.event import BatchDone, Event, Failure, Hyperparameters, Interrupted, RunFinished
from nanwatch.runs.status import SILENT, status_of
from tests.support.logs import fold

BATCH = BatchDone(1, epoch=1, batch=1, losses={"loss": 1.0})


@pytest.mark.parametrize(
    ("events", "silence", "status"),
    [
        ([], None, "unknown"),
        ([], 5.0, "unknown"),
        ([], SILENT * 9, "unknown"),
        ([Hyperparameters(1, {"lr": "1"})], 5.0, "running"),
        ([BATCH], None, "running"),
        ([BATCH], SILENT, "running"),
        ([BATCH], SILENT + 1, "stalled"),
        ([BatchDone(1, step=3, losses={"loss": 1.0})], SILENT + 1, "stalled"),
        ([BATCH, RunFinished(2)], SILENT * 9, "finished"),
        ([BATCH, Interrupted(2)], SILENT * 9, "interrupted"),
        ([BATCH, Failure(2, "exception", "boom")], SILENT * 9, "failed"),
        ([BATCH, Failure(2, "oom", "boom")], None, "failed"),
        ([BATCH, Failure(2, "killed", "Killed")], None, "crashed"),
        ([BATCH, RunFinished(2), Failure(3, "exception", "boom")], None, "failed"),
        ([Failure(2, "exception", "boom")], None, "failed"),
    ],
)
def test_status(events: list[Event], silence: float | None, status: str) -> None:
    """A run is what it says of itself, else stalled after ten silent minutes, else running."""
    assert status_of(fold(*events).current, silence) == status
