"""What throws a run back: restored checkpoints, those that are not saved, failures that it recovers from."""

from __future__ import annotations

import pytest

from nanwatch.model.event import (
    BatchDone,
    CheckpointSaved,
    CheckpointSkipped,
    EpochDone,
    EpochStarted,
    Event,
    Interrupted,
    Recovery,
    RunResumed,
    SessionStarted,
)
from nanwatch.model.run import Change, Rollback, Run
from nanwatch.runs.fold import LogRuns
from tests.support.logs import fold


def batch(epoch: int, number: int) -> BatchDone:
    """Return a batch, at an offset that tells which."""
    return BatchDone(1000 * epoch + number, epoch=epoch, batch=number, batches=900, losses={"loss": 1.0})


def thrown_back(*events: Event) -> list[tuple[int, int, int | None, str]]:
    """Return from which epoch to which, at which batch, and with what words, a run of nine epochs was thrown back."""
    run = fold(batch(1, 900), batch(5, 900), batch(9, 30), *events).current
    return [(b.from_epoch, b.to_epoch, b.batch, b.said) for b in run.rollbacks]


@pytest.mark.parametrize("event", [batch(5, 1), batch(5, 45), EpochStarted(7, 5)])
def test_the_counter_goes_back(event: Event) -> None:
    """A frame at an epoch's beginning, or its header, shows that a checkpoint was restored."""
    assert thrown_back(event) == [(9, 5, 30, "")]


@pytest.mark.parametrize(
    "events",
    [
        (batch(9, 31),),
        (batch(10, 1),),
        (batch(5, 46),),
        (batch(1, 1),),
        (EpochDone(7, 8, metrics={"IoU": 0.5}),),
        (RunResumed(7), batch(5, 1)),
        (SessionStarted(7, resumed=True), batch(5, 1)),
        (SessionStarted(7), batch(5, 1)),
        (Interrupted(7), batch(5, 1)),
    ],
)
def test_look_alikes(events: tuple[Event, ...]) -> None:
    """Going on, late frames and lines of the epoch before, runs that start over, and resumes, are none."""
    assert thrown_back(*events) == []


def test_back_to_an_epoch_before_the_log_began() -> None:
    """Only the first epoch of all, and the log's own, are taken for a start."""
    for epoch, count in ((4, 1), (7, 0), (1, 0), (0, 0)):
        run = fold(batch(7, 900), batch(9, 30), batch(epoch, 1)).current
        assert len(run.rollbacks) == count, epoch


def test_a_trainer_that_counts_from_zero() -> None:
    """Epoch 1 is its second one."""
    assert len(fold(batch(0, 900), batch(4, 30), batch(1, 1)).current.rollbacks) == 1
    assert len(fold(batch(0, 900), batch(4, 30), batch(0, 1)).current.rollbacks) == 0


def test_a_recovery_from_nan() -> None:
    """It is one that the trainer announces; where to, the next frame may tell."""
    words = "Loss NaN/Inf detected,\trecovering"
    assert thrown_back(Recovery(7, "nan", words)) == [(9, 9, 30, "Loss NaN/Inf detected, recovering")]
    assert thrown_back(Recovery(7, "nan", "")) == [(9, 9, 30, "recovering")]
    assert thrown_back(Recovery(7, "nan", words), batch(5, 1)) == [(9, 5, 30, "Loss NaN/Inf detected, recovering")]
    assert thrown_back(Recovery(7, "oom", "smaller batch")) == []


def test_each_time_counts() -> None:
    """A run that is thrown back again has another one, up to a bound."""
    again: list[Event] = [event for _ in range(99) for event in (batch(5, 1), batch(9, 30))]
    found = thrown_back(*again)
    assert len(found) == 32
    assert set(found) == {(9, 5, 30, "")}


def test_a_recovery_is_remembered() -> None:
    """Each is kept with the epoch in which it was, up to a bound."""
    run = fold(batch(3, 1), *(Recovery(n, "oom", f"{n}") for n in range(50))).current
    assert len(run.recoveries) == 32
    assert (run.recoveries[-1].kind, run.recoveries[-1].message, run.recoveries[-1].epoch) == ("oom", "49", 3)
    assert fold(Recovery(1, "nan", "x")).current.rollbacks == []


def test_checkpoints_are_counted_by_epoch() -> None:
    """Those of the best weights do not count: they may well fail to come."""
    run = fold(batch(1, 9), CheckpointSaved(2), CheckpointSaved(3, "x.pt"), CheckpointSaved(4, best=True)).current
    assert run.table[1].saves == 2
    assert fold(CheckpointSaved(1)).current.table == {}


def skipped(message: str) -> Run:
    """Return a run whose trainer said so instead of saving."""
    return fold(batch(1, 9), CheckpointSkipped(77, message)).current


def test_a_checkpoint_that_is_not_saved() -> None:
    """The trainer's words are kept until it saves again."""
    run = skipped("Skipping checkpoint save:\tEMA contains NaN")
    assert (run.unsaved, run.unsaved_offset) == ("Skipping checkpoint save: EMA contains NaN", 77)
    assert skipped("").unsaved == "checkpoint not saved"
    saved = fold(batch(1, 9), CheckpointSkipped(77, "x"), CheckpointSaved(78, best=True)).current
    assert (saved.unsaved, saved.unsaved_offset) == ("", None)


@pytest.mark.parametrize("reason", ["val_loss did not improve", "no improvement", "not the best", "IoU is not better"])
def test_a_checkpoint_that_need_not_be_saved(reason: str) -> None:
    """What is skipped because nothing improved is no news."""
    assert skipped(f"Skipping checkpoint: {reason}").unsaved == ""


def test_changes_are_told() -> None:
    """Each kind wakes its rules."""
    runs = LogRuns("x.log")
    runs.apply(batch(1, 900))
    runs.apply(batch(9, 30))
    assert runs.apply(batch(5, 1)) & Change.ROLLBACK
    assert runs.apply(Recovery(1, "nan", "x")) & Change.ROLLBACK & ~Change.FAILURE
    assert runs.apply(Recovery(1, "oom", "x")) == Change.FAILURE
    assert runs.apply(CheckpointSkipped(1, "x")) == Change.CHECKPOINT
    assert runs.apply(CheckpointSkipped(1, "not the best")) == Change.NOTHING
    assert runs.current.rollbacks[0] == Rollback(9, 5, 30, 5001)
