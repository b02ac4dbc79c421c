"""crash: the log tells of an error that ended the run."""

from __future__ import annotations

import pytest

from nanwatch.model.event import BatchDone, Event, Failure, Interrupted, ProcessExited, RunFinished
from tests.support.logs import bars, capture, findings, told

BATCH = BatchDone(1, epoch=3, batch=1234, batches=9000)
ERROR = (
    b'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    main()\nValueError: bad shape\n'
)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Failure(5, "exception", "ValueError: bad shape"), "crashed in epoch 3, batch 1,234: ValueError: bad shape"),
        (Failure(5, "killed", "Killed"), "killed in epoch 3, batch 1,234: Killed"),
        (Failure(5, "nccl", "Watchdog caught"), "crashed in epoch 3, batch 1,234: Watchdog caught"),
        (ProcessExited(5, 1), "crashed in epoch 3, batch 1,234: exit code 1"),
        (ProcessExited(5, 137), "killed in epoch 3, batch 1,234: exit code 137"),
    ],
)
def test_fires(event: Event, words: str) -> None:
    """It says how and where the run ended, with the exception's own line."""
    (finding,) = findings("crash", BATCH, event)
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("critical", 3, 1234, 5)
    assert finding.message == words


def test_before_the_first_epoch() -> None:
    """A run that never began can crash too."""
    (finding,) = findings("crash", Failure(5, "exception", "boom"))
    assert (finding.epoch, finding.message) == (None, "crashed: boom")


def test_a_long_message_is_cut() -> None:
    """An exception that prints a whole tensor does not fill the screen."""
    assert len(findings("crash", Failure(5, "exception", "x" * 5000))[0].message) < 250


def test_resolves() -> None:
    """It is over when training goes on."""
    assert not findings("crash", BATCH, Failure(5, "exception", "boom"), BatchDone(9, epoch=4, batch=1))


@pytest.mark.parametrize(
    "event",
    [Failure(5, "oom", "boom"), Interrupted(5, "^C"), RunFinished(5), ProcessExited(5, 0), ProcessExited(5, 130)],
)
def test_look_alikes(event: Event) -> None:
    """Running out of memory, Ctrl-C and a good end are no crash."""
    assert not findings("crash", BATCH, event)


def test_from_the_log() -> None:
    """Raw bytes: a traceback at the end is a crash, one in a data worker that was caught and trained on is over."""
    assert told(bars(1, "0.5", "0.4") + ERROR, "crash") == [("crash", "critical", 1, 2)]
    assert [word for _, word, _, _ in told(bars(1, "0.5") + ERROR + bars(2, "0.5"), "crash")] == [
        "critical",
        "resolved",
    ]
    assert told(bars(1, "0.5") + b"KeyboardInterrupt\n", "crash") == []


def test_from_genuine_logs() -> None:
    """Raw bytes of real trainings: one that crashed says so, one that was stopped by hand does not."""
    assert told(capture("ultralytics/v8n_8.4.190_redirect_traceback"), "crash")
    assert told(capture("ultralytics/v8n_8.3.100_pty_interrupted"), "crash") == []
