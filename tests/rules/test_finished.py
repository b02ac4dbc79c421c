"""finished: news, not trouble."""

from __future__ import annotations

import math

from nanwatch.model.event import (
    BatchDone,
    EpochDone,
    Event,
    Failure,
    Interrupted,
    RunFinished,
    RunResumed,
    ValidationDone,
)
from tests.support.logs import bars, capture, findings, told

EPOCHS: list[Event] = [EpochDone(n, n, metrics={"IoU": v}) for n, v in [(1, 0.5), (2, 0.6), (3, 0.55)]]


def test_fires() -> None:
    """It says what came of it: the best value and whether there was NaN."""
    (finding,) = findings("finished", *EPOCHS, RunFinished(9))
    assert (finding.severity, finding.offset, finding.epoch) == ("info", 9, 3)
    assert finding.message == "finished, best IoU 0.6 at epoch 2, no NaN"
    bad = BatchDone(5, epoch=4, batch=1, losses={"loss": math.nan})
    assert findings("finished", *EPOCHS, bad, RunFinished(9))[0].message.endswith(", 1 NaN batch")
    steps = ValidationDone(1, step=250, metrics={"val_acc": 0.7})
    assert findings("finished", steps, RunFinished(9))[0].message == "finished, best val_acc 0.7 at step 250, no NaN"


def test_look_alikes() -> None:
    """A run that goes on, was stopped or failed has not finished."""
    assert not findings("finished", *EPOCHS)
    assert not findings("finished", *EPOCHS, Interrupted(9))
    assert not findings("finished", *EPOCHS, RunFinished(8), Failure(9, "exception", "boom"))


def test_resolves_when_training_goes_on() -> None:
    """The news is withdrawn when the same run is resumed."""
    assert not findings("finished", *EPOCHS, RunFinished(8), RunResumed(9, 4), EpochDone(10, 4, metrics={"IoU": 0.6}))


def test_from_the_log() -> None:
    """Raw bytes: said by the trainer, or shown by a last epoch that is complete when nobody writes any more."""
    log = bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.4", "0.3", epochs=2)
    assert [word for _, word, _, _ in told(log + b"Training complete in 3m\n", "finished")] == ["info"]
    assert [word for _, word, _, _ in told(log, "finished")] == ["info"]
    assert told(bars(1, "0.5", "0.4", epochs=2), "finished") == []
    assert told(capture("ultralytics/v8n_8.3.200_redirect"), "finished")[0][:2] == ("finished", "info")
