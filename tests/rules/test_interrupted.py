"""interrupted: somebody or something stopped the run."""

from __future__ import annotations

import pytest

from nanwatch.model.event import BatchDone, Event, Failure, Interrupted, ProcessExited, RunFinished
from tests.support.logs import bars, capture, findings, told

BATCH = BatchDone(1, epoch=3, batch=7, batches=10, losses={"loss": 0.5})


@pytest.mark.parametrize(
    "event",
    [
        Interrupted(5, "^C"),
        Interrupted(5, "KeyboardInterrupt"),
        Interrupted(5, "Detected KeyboardInterrupt, attempting graceful shutdown ..."),
        Interrupted(5, "Training interrupted by user"),
        Interrupted(5, "Received SIGINT, stopping"),
        Interrupted(5, "caught signal 2"),
        Interrupted(5),
        ProcessExited(5, 130),
    ],
)
def test_fires_as_news(event: Event) -> None:
    """What was done by hand is no trouble."""
    (finding,) = findings("interrupted", BATCH, event)
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("info", 3, 7, 5)
    assert finding.message.startswith("interrupted at 70 % of epoch 3: ")


@pytest.mark.parametrize(
    "event",
    [
        Interrupted(5, "Terminated"),
        Interrupted(5, "Received SIGTERM, saving a checkpoint"),
        Interrupted(5, "got signal 15"),
        Interrupted(
            5, "slurmstepd: error: *** JOB 4242 ON node7 CANCELLED AT 2024-05-01T10:00:00 DUE TO TIME LIMIT ***"
        ),
        ProcessExited(5, 143),
    ],
)
def test_fires_as_a_warning(event: Event) -> None:
    """What a scheduler did, somebody may not know."""
    (finding,) = findings("interrupted", BATCH, event)
    assert (finding.severity, finding.offset) == ("warning", 5)


@pytest.mark.parametrize(
    ("progress", "where"),
    [
        ([], "at its start"),
        ([BatchDone(1, epoch=2, losses={"loss": 0.5})], "in epoch 2"),
        ([BatchDone(1, step=1200, steps=5000, losses={"loss": 0.5})], "at step 1,200 of 5,000"),
        ([BatchDone(1, epoch=3, batch=10, batches=10)], "at the end of epoch 3"),
    ],
)
def test_says_how_far_it_was(progress: list[Event], where: str) -> None:
    """It says how far the run was, in the words of its counters."""
    (finding,) = findings("interrupted", *progress, Interrupted(5, "^C"))
    assert finding.message == f"interrupted {where}: ^C"


def test_resolves() -> None:
    """It is over when training goes on."""
    assert not findings("interrupted", BATCH, Interrupted(5, "^C"), BatchDone(9, epoch=4, batch=1, batches=10))


@pytest.mark.parametrize(
    "event",
    [Failure(5, "exception", "boom"), Failure(5, "killed", "Killed"), RunFinished(5), ProcessExited(5, 0),
     ProcessExited(5, 137)],
)  # fmt: skip
def test_look_alikes(event: Event) -> None:
    """A crash, a kill and a good end are other rules' business."""
    assert not findings("interrupted")
    assert not findings("interrupted", BATCH, event)


def test_a_long_message_is_cut() -> None:
    """What the trainer said does not fill the screen."""
    assert len(findings("interrupted", BATCH, Interrupted(5, "SIGTERM " * 500))[0].message) < 250


def test_from_the_log() -> None:
    """Raw bytes: Ctrl-C is news, a time limit a warning, both are over when the run is resumed, a notice is neither."""
    log = bars(1, "0.5", "0.4", epochs=3)
    limit = b"slurmstepd: error: *** JOB 42 ON node7 CANCELLED AT 2024-05-01T10:00:00 DUE TO TIME LIMIT ***\n"
    assert [word for _, word, _, _ in told(log + b"^C\n" + bars(2, "0.4"), "interrupted")] == ["info", "resolved"]
    assert [word for _, word, _, _ in told(log + limit + bars(2, "0.4"), "interrupted")] == ["warning", "resolved"]
    assert told(log + b"this job will be interrupted at 23:00\n" + bars(2, "0.4"), "interrupted") == []


def test_from_genuine_logs() -> None:
    """Raw bytes of real trainings: one that was stopped by hand says so, one that crashed does not."""
    assert told(capture("ultralytics/v8n_8.3.100_pty_interrupted"), "interrupted")[0][:3] == ("interrupted", "info", 3)
    assert told(capture("ultralytics/v8n_8.4.190_redirect_traceback"), "interrupted") == []
