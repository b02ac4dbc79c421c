"""What a run is doing: what it said of itself first, then what its silence made of it."""

from __future__ import annotations

import pytest

from nanwatch.alerts.lifecycle import Alerts
from nanwatch.model.alert import Finding, Mark
from nanwatch.model.event import BatchDone, Event, Failure, Hyperparameters, Interrupted, RunFinished
from nanwatch.runs.status import status_of
from tests.support.logs import fold

BATCH = BatchDone(1, epoch=1, batch=1, losses={"loss": 1.0})


@pytest.mark.parametrize(
    ("events", "fires", "status"),
    [
        ([], [], "unknown"),
        ([], ["stall"], "unknown"),
        ([Hyperparameters(1, {"lr": "1"})], [], "running"),
        ([BATCH], [], "running"),
        ([BATCH], ["nan_burst"], "running"),
        ([BATCH], ["stall"], "stalled"),
        ([BATCH], ["stall", "process_gone"], "crashed"),
        ([BatchDone(1, step=3, losses={"loss": 1.0})], ["stall"], "stalled"),
        ([BATCH, RunFinished(2)], ["stall"], "finished"),
        ([BATCH, Interrupted(2)], ["stall"], "interrupted"),
        ([BATCH, Failure(2, "exception", "boom")], ["stall"], "failed"),
        ([BATCH, Failure(2, "oom", "boom")], [], "failed"),
        ([BATCH, Failure(2, "killed", "Killed")], [], "crashed"),
        ([BATCH, RunFinished(2), Failure(3, "exception", "boom")], [], "failed"),
        ([Failure(2, "exception", "boom")], [], "failed"),
    ],
)
def test_status(events: list[Event], fires: list[str], status: str) -> None:
    """A run is what it says of itself, else crashed or stalled where that alert fires, else running."""
    life = Alerts()
    for rule in fires:
        life.update(rule, [Finding(rule, "critical", "m")], Mark())
    assert status_of(fold(*events).current, life.history) == status


def test_an_alert_that_is_over_says_nothing() -> None:
    """When the log speaks again, the run runs."""
    life = Alerts()
    life.update("stall", [Finding("stall", "critical", "m")], Mark())
    life.update("stall", [], Mark())
    assert status_of(fold(BATCH).current, life.history) == "running"
