"""loss_explosion: a training loss is many times what it was."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from nanwatch.config import LossExplosion
from nanwatch.model.alert import Finding
from nanwatch.model.event import BatchDone, EpochDone, EpochStarted, Event, RunResumed, StageChanged
from tests.support.logs import bars, findings, lines, some, told

NAN = math.nan


def epoch(number: int, *losses: float, name: str = "loss", every: int = 1) -> list[Event]:
    """Return the batches of an epoch of which one in *every* is printed, each with its loss."""
    total = every * len(losses)
    return [
        BatchDone(every * n, epoch=number, batch=every * n, batches=total, losses={name: loss})
        for n, loss in enumerate(losses, start=1)
    ]


def steps(first: int, *losses: float, every: int = 1) -> list[Event]:
    """Return batches of a run that only counts steps, from step *first* on."""
    return [BatchDone(n, step=first + every * n, losses={"loss": loss}) for n, loss in enumerate(losses)]


def ends(*losses: float, name: str = "loss") -> list[Event]:
    """Return the own lines of epochs that ended with *losses*."""
    return [EpochDone(n, n, losses={name: loss}) for n, loss in enumerate(losses, start=1)]


def found(events: Iterable[Event], settings: LossExplosion | None = None) -> list[Finding]:
    """Return the findings after *events*."""
    return findings("loss_explosion", *events, settings=settings or LossExplosion())


CALM = epoch(1, *[0.9] * 200)


def test_fires_within_an_epoch() -> None:
    """Ten of a hundred batches at ten times the usual loss are told while the epoch goes on."""
    assert not found([*CALM, *epoch(2, *[0.2] * 100, *[15.3] * 9)])
    (finding,) = found([*CALM, *epoch(2, *[0.2] * 100, *[15.3] * 9, 16.0)])
    assert (finding.severity, finding.epoch, finding.batch, finding.offset, finding.key) == (
        "critical", 2, 101, 101, "epoch 2",
    )  # fmt: skip
    assert finding.evidence == {"loss": "loss", "usual": 0.2, "value": 16.0, "batches": 10}
    assert finding.message == "loss 0.2 -> 16 in batch 101 of epoch 2, 80 times"


def test_fires_with_an_epochs_own_line() -> None:
    """An epoch is held against the median of those before it, of which there must be two."""
    (finding,) = found(ends(0.2241, 0.2238, 0.2234, 15.3))
    assert (finding.severity, finding.epoch, finding.batch, finding.key) == ("critical", 4, None, "epoch 4")
    assert finding.evidence == {"loss": "loss", "usual": 0.2238, "value": 15.3, "batches": None}
    assert "0.2238 -> 15.3 in epoch 4" in finding.message
    assert found(ends(0.2, 0.2, 15.3))
    assert not found(ends(0.2, 15.3))


def test_fires_in_a_run_that_counts_steps() -> None:
    """It is told with its step, however many steps lie between two lines."""
    for every in (1, 10, 100):
        calm = steps(1, *[2.1] * 200, every=every)
        onset = 1 + 200 * every
        assert not found([*calm, *steps(onset, *[90.0] * 9, every=every)])
        (finding,) = found([*calm, *steps(onset, *[90.0] * 10, every=every)])
        assert (finding.epoch, finding.batch, finding.key) == (None, onset, "")
        assert f"in step {onset:,}" in finding.message


def test_fires_where_few_batches_are_printed() -> None:
    """An epoch that prints fewer than ten is judged by its last three, once it is over."""
    calm = [event for n in (1, 2, 3) for event in epoch(n, *[0.5] * 5, every=50)]
    bad = epoch(4, 0.5, 0.5, *[20.0] * 3, every=50)
    assert not found([*calm, *bad])
    (finding,) = found([*calm, *bad, EpochStarted(9, 5)])
    assert (finding.epoch, finding.batch) == (4, 150)
    assert not found([*calm, *epoch(4, 20.0, 20.0, 20.0, 0.5, 0.5, every=50), EpochStarted(9, 5)])
    assert not found([*calm, *epoch(4, 20.0, 20.0, 0.5, 0.5, 20.0, every=50), EpochStarted(9, 5)])


def test_the_anchor() -> None:
    """Epoch and batch of the onset stay while it goes on, within the epoch and in those after it."""
    begun = [*CALM, *epoch(2, *[0.2] * 100, *[15.3] * 50)]
    for more in ([], epoch(3, 15.3), epoch(3, *[15.3] * 80), [*epoch(3, *[15.3] * 80), *epoch(4, *[15.3] * 80)]):
        (finding,) = found([*begun, *more])
        assert (finding.epoch, finding.batch, finding.key) == (2, 101, "epoch 2")
    (finding,) = found(ends(0.2, 0.2, 0.2, 15.3, 14.0, 13.0))
    assert (finding.epoch, finding.key) == (4, "epoch 4")


def test_resolves() -> None:
    """It is over when an epoch has ended well: not with its first batches, nor with NaN."""
    begun = [*CALM, *epoch(2, *[15.3] * 20, *[0.5] * 80)]
    assert found(begun)
    assert found([*begun, *epoch(3, *[0.5] * 200)])
    assert not found([*begun, *epoch(3, *[0.5] * 200), EpochStarted(9, 4)])
    assert found([*begun, *epoch(3, *[NAN] * 200), EpochStarted(9, 4)])
    assert not found(ends(0.2, 0.2, 0.2, 15.3, 0.3))


def test_resolves_without_epochs() -> None:
    """Where there are no epochs, it is over when a hundred steps were well."""
    begun = [*steps(1, *[2.1] * 200), *steps(201, *[90.0] * 20)]
    assert found([*begun, *steps(221, *[2.1] * 100)])
    assert not found([*begun, *steps(221, *[2.1] * 101)])


@pytest.mark.parametrize(
    ("settings", "losses", "fires"),
    [
        (LossExplosion(), [9.0] * 10, True),
        (LossExplosion(times=50), [9.0] * 10, False),
        (LossExplosion(times=40), [9.0] * 10, True),
        (LossExplosion(batches=12), [9.0] * 11, False),
        (LossExplosion(batches=12), [9.0] * 12, True),
        (LossExplosion(batches=3), [9.0] * 3, True),
        (LossExplosion(batches=1), [9.0], True),
        (LossExplosion(batches=40), [9.0] * 39, False),
        (LossExplosion(batches=40), [9.0] * 40, True),
        (LossExplosion(batches=3), [9.0, *[0.2] * 40, 9.0, *[0.2] * 57, 9.0], True),
        (LossExplosion(batches=3), [9.0, *[0.2] * 40, 9.0, *[0.2] * 58, 9.0], False),
        (LossExplosion(batches=3, within=101), [9.0, *[0.2] * 40, 9.0, *[0.2] * 58, 9.0], True),
        (LossExplosion(least_share=20), [9.0] * 10, False),
        (LossExplosion(least_share=9), [9.0] * 10, True),
    ],
)
def test_thresholds(settings: LossExplosion, losses: list[float], fires: bool) -> None:
    """How many times, in how many of how many batches, and what is noise, is the config's to say."""
    assert bool(found([*CALM, *epoch(2, *[0.2] * 100, *losses)], settings)) is fires


def test_thresholds_of_an_epochs_own_line() -> None:
    """An epoch's own line is held against the same thresholds."""
    assert not found(ends(0.2, 0.2, 0.2, 1.9))
    assert found(ends(0.2, 0.2, 0.2, 1.1), LossExplosion(times=5))
    assert not found(ends(0.6931, 1e-4, 1e-4, 1e-4, 1e-4, 2e-2))
    assert found(ends(0.6931, 1e-4, 1e-4, 1e-4, 1e-4, 2e-2), LossExplosion(least_share=0.001))


@pytest.mark.parametrize(
    "events",
    [
        [],
        epoch(1, *[9.2] * 5, *[95.0] * 94, *[2.1] * 100),
        [*CALM, *epoch(2, *[0.5] * 100, 700.0, *[0.5] * 100)],
        [*CALM, *epoch(2, *[70.0, *[0.5] * 150, 70.0, *[0.5] * 99] * 7), EpochStarted(9, 3)],
        [*CALM, *epoch(2, *[0.5] * 199, 70.0), EpochStarted(9, 3)],
        ends(1.2, -0.1, -0.2, 0.1, -4.1, 3.9),
        ends(0.6931, 1e-2, 1e-4, 1e-4, 1e-4, 1e-4, 1e-3),
        ends(0.6, 0.3, 0.2, 1.5),
        ends(0.2, 0.2, 0.2, NAN),
        ends(2.0, 1.7, 1.5, 412.0, name="val_loss"),
    ],
    ids=["nothing", "first batches", "one odd batch", "odd batches apart", "an odd last batch", "negative by design",
         "near zero", "restart", "NaN", "validation"],
)  # fmt: skip
def test_look_alikes(events: list[Event]) -> None:
    """What is high for a moment, by nature, or on other data is no explosion."""
    assert not found(events)


def test_several_losses() -> None:
    """Of several losses, the one that grew most is told, and only one that outgrew the others."""

    def several(number: int, **losses: float) -> list[Event]:
        return [BatchDone(n, epoch=number, batch=n, batches=200, losses=losses) for n in range(1, 201)]

    calm = several(1, box=1.0, obj_loss=0.05, cls_loss=3.0)
    (finding,) = found([*calm, *several(2, box=1.0, obj_loss=4.5, cls_loss=40.0)])
    assert finding.evidence["loss"] == "obj_loss"
    assert not found([*calm, *several(2, box=1.0, obj_loss=2.0, cls_loss=3.0)])


def test_another_stage() -> None:
    """What was usual in the stage before is no measure."""
    assert found([*ends(0.06, 0.04, 0.03), EpochDone(9, 4, losses={"loss": 3.1})])
    assert not found([*ends(0.06, 0.04, 0.03), StageChanged(8), EpochDone(9, 4, losses={"loss": 3.1})])


def test_an_epoch_that_is_repeated() -> None:
    """A run that goes back is held against the epochs before that one, not against how far it had been."""
    run = [*epoch(1, *[2.0] * 200), *epoch(2, *[0.9] * 200), *epoch(3, *[0.05] * 200), RunResumed(9, 2)]
    assert not found([*run, *epoch(2, *[0.9] * 200), *epoch(3, *[0.9] * 200)])
    (finding,) = found([*run, *epoch(2, *[25.0] * 200)])
    assert (finding.epoch, finding.evidence["usual"]) == (2, 2.0)


def test_from_the_log() -> None:
    """Raw bytes: told within the bar, over when the epoch after it has ended; one odd batch stays silent."""
    calm = bars(1, *["0.5000"] * 30) + bars(2, *["0.4000"] * 30)
    bad = bars(3, *["0.4000"] * 5, *["15.3000"] * 25)
    log = calm + bad + bars(4, *["0.4500"] * 30) + bars(5, *["0.4000"] * 30)
    assert some(told(log, "loss_explosion")) == [("critical", 3), ("resolved", 3)]
    assert told(calm + bars(3, *["0.4000"] * 15, "15.3000", *["0.4000"] * 14), "loss_explosion") == []
    said = lines([f"Epoch {n}: Loss: {x} | LR: 0.0001" for n, x in enumerate([0.22, 0.22, 15.3, 0.3], start=1)])
    assert told(said, "loss_explosion") == [
        ("loss_explosion", "critical", 3, None),
        ("loss_explosion", "resolved", 3, None),
    ]


def test_a_loss_that_stays_up_is_not_over() -> None:
    """However long it lasts, what has exploded never becomes what is usual."""
    log = lines([f"Epoch {n}: Loss: {0.5 if n < 10 else 50.0} | IoU: 0.5" for n in range(1, 60)])
    assert [change[1] for change in told(log, "loss_explosion")] == ["critical"]
