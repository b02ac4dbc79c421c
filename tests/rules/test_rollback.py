"""rollback: the trainer restored a checkpoint, whether it says so or not."""

from __future__ import annotations

import pytest

from nanwatch.model.alert import Finding
from nanwatch.model.event import BatchDone, Event, Recovery, RunResumed
from tests.support.logs import bars, capture, findings, told


def batch(epoch: int, number: int) -> BatchDone:
    """Return a batch, at an offset that tells which."""
    return BatchDone(1000 * epoch + number, epoch=epoch, batch=number, batches=900, losses={"loss": 1.0})


def found(*events: Event) -> list[Finding]:
    """Return what the rule finds where a run has come to batch 30 of epoch 9, and then this happens."""
    return findings("rollback", batch(1, 900), batch(8, 900), batch(9, 30), *events)


def test_fires() -> None:
    """With both epochs, and where it was thrown back."""
    (finding,) = found(batch(5, 1))
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("warning", 9, 30, 5001)
    assert finding.message == "went back from epoch 9 at batch 30 to epoch 5, and did not say why"
    assert finding.evidence == {"from_epoch": 9, "to_epoch": 5, "times": 1}


def test_fires_with_what_the_trainer_says() -> None:
    """At once when it says so, with the epoch that it goes back to when that is known."""
    (finding,) = found(Recovery(7, "nan", "Loss NaN/Inf detected"))
    assert finding.message == "began epoch 9 again at batch 30: Loss NaN/Inf detected"
    (finding,) = found(Recovery(7, "nan", "Loss NaN/Inf detected"), batch(7, 1))
    assert finding.message == "went back from epoch 9 at batch 30 to epoch 7: Loss NaN/Inf detected"
    assert len(found(Recovery(7, "nan", "x" * 5000))[0].message) < 200


def test_fires_once_for_each_epoch() -> None:
    """A loop is one finding that counts; another epoch is another one."""
    (finding,) = found(batch(5, 1), batch(9, 60), batch(6, 1))
    assert finding.message == "went back from epoch 9 at batch 60 to epoch 6, 2 times, and did not say why"
    assert (finding.batch, finding.offset, finding.evidence["times"]) == (30, 5001, 2)
    assert [(f.key, f.epoch) for f in found(batch(5, 1), batch(6, 40), batch(3, 1))] == [("epoch 9", 9), ("epoch 6", 6)]


def test_resolves() -> None:
    """When the run is past where it was; each by itself."""
    assert found(batch(5, 1), batch(9, 899))
    assert not found(batch(5, 1), batch(10, 1))
    assert [f.epoch for f in found(batch(5, 1), batch(6, 40), batch(3, 1), batch(7, 1))] == [9]


@pytest.mark.parametrize(
    "events",
    [
        (),
        (batch(9, 29),),
        (batch(10, 1),),
        (batch(8, 899), batch(9, 31)),
        (RunResumed(7), batch(5, 1)),
        (batch(1, 1),),
        (Recovery(7, "oom", "smaller batch"),),
    ],
)
def test_look_alikes(events: tuple[Event, ...]) -> None:
    """Going on, late frames, resumes, runs that start over, and other recoveries."""
    assert not found(*events)


def test_from_the_log() -> None:
    """Raw bytes: a bar that goes back; and the genuine log of a trainer that recovers from NaN by itself."""
    log = b"".join(bars(epoch, "0.5", "0.5", "0.5") for epoch in (1, 2, 3, 2, 3, 4))
    assert told(log, "rollback") == [("rollback", "warning", 3, 3), ("rollback", "resolved", 3, 3)]
    genuine = told(capture("ultralytics/v8n_8.3.235_tee_nan_recovers"), "rollback")
    assert [(word, epoch) for _, word, epoch, _ in genuine] == [("warning", 3), ("resolved", 3)]
    assert told(capture("custom_cod/cod_redirect_interrupt_resume"), "rollback") == []
