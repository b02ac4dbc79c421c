"""oom_recovered: the trainer ran out of memory and went on with less."""

from __future__ import annotations

from nanwatch.model.event import BatchDone, EpochStarted, Failure, Recovery
from tests.support.logs import bars, capture, findings, told

BATCH = BatchDone(1, epoch=3, batch=7, batches=9)


def test_fires() -> None:
    """It says what the trainer said, and how often in this epoch."""
    (finding,) = findings("oom_recovered", BATCH, Recovery(4, "oom", "first"), Recovery(5, "oom", "reducing to 8"))
    assert (finding.severity, finding.epoch, finding.offset, finding.key) == ("warning", 3, 5, "epoch 3")
    assert "reducing to 8" in finding.message
    assert finding.evidence == {"times": 2}


def test_a_failure_after_which_training_goes_on() -> None:
    """Running out of memory and training on is a recovery, whether the trainer says so or not."""
    assert findings("oom_recovered", BATCH, Failure(5, "oom", "CUDA out of memory"), BatchDone(9, epoch=3, batch=1))


def test_resolves() -> None:
    """It is over with the epoch."""
    assert not findings("oom_recovered", BATCH, Recovery(5, "oom", "again"), EpochStarted(9, 4))


def test_look_alikes() -> None:
    """Recovering from NaN, and running out of memory for good, are other rules' business."""
    assert not findings("oom_recovered", BATCH, Recovery(5, "nan", "again"))
    assert not findings("oom_recovered", BATCH, Failure(5, "oom", "CUDA out of memory"))


def test_from_the_log() -> None:
    """Raw bytes: a trainer that halves its batch after running out of memory is warned of once."""
    log = capture("ultralytics/v8n_8.4.190_redirect_oom_recovers")
    assert [word for _, word, _, _ in told(log, "oom_recovered")] == ["warning", "resolved"]
    assert told(log, "oom") == []
    assert told(bars(1, "0.5", "0.4"), "oom_recovered") == []
