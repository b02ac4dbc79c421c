"""What a loss usually is, and the batches that exceed it: learned from what is read whatever is passed over."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.event import BatchDone, EpochStarted, Event, StageChanged
from nanwatch.model.run import Change, Peak, Run
from nanwatch.runs.fold import LogRuns
from tests.support.logs import fold
from tests.support.repeatable import repeatable


def bar(batch: int, loss: float, epoch: int = 1) -> BatchDone:
    """Return a frame of a bar."""
    return BatchDone(batch, epoch=epoch, batch=batch, batches=900, losses={"loss": loss}, bar=True)


def line(batch: int, loss: float, epoch: int = 1) -> BatchDone:
    """Return a line."""
    return BatchDone(batch, epoch=epoch, batch=batch, batches=900, losses={"loss": loss})


def usual(*more: Event) -> Run:
    """Return a run whose loss was 0.2 for an epoch, and what came then."""
    return fold(*(bar(n, 0.2) for n in range(1, 100)), EpochStarted(500, 2), *more).current


def test_the_ceiling_is_ten_times_the_usual() -> None:
    """It stands when an epoch is over."""
    run = usual()
    assert run.ceilings == {"loss": pytest.approx(2.0)}
    assert run.first_losses == {"loss": 0.2}


def test_the_ceiling_of_a_long_epoch_stands_before_its_end() -> None:
    """After a hundred batches the loss has shown what is usual."""
    assert fold(*(bar(n, 0.2) for n in range(1, 100))).current.ceilings == {}
    assert fold(*(bar(n, 0.2) for n in range(1, 101))).current.ceilings == {"loss": pytest.approx(2.0)}


def test_a_spike() -> None:
    """A batch above the ceiling is kept with what the loss was before, and is not learned from."""
    run = usual(bar(7, 1.9, epoch=2), bar(8, 15.3, epoch=2), bar(9, 15.1, epoch=2))
    assert run.table[2].peaks == {"loss": Peak(8, 8, run.ceilings["loss"] / 10, 15.3, 2, [8, 9])}
    assert max(run.recent["loss"]) == 0.2


def test_a_batch_that_is_drawn_twice_is_one_spike() -> None:
    """Its highest value counts."""
    run = usual(bar(8, 15.3, epoch=2), bar(8, 15.4, epoch=2))
    assert (run.table[2].peaks["loss"].batches, run.table[2].peaks["loss"].highest) == (1, 15.4)


def test_the_batches_of_spikes_are_bounded() -> None:
    """All are counted, the latest are kept."""
    peak = usual(*(bar(n, 15.0, epoch=2) for n in range(1, 100))).table[2].peaks["loss"]
    assert peak.batches == 99
    assert peak.last == [*range(84, 100)]


def test_bars_are_learned_from_by_samples() -> None:
    """Where a ceiling stands, frames may be passed over: only samples, and lines, are learned from."""
    runs = LogRuns("x.log")
    for n in range(1, 101):
        runs.apply(bar(n, 0.2))
    runs.apply(bar(101, 0.9))
    assert 0.9 not in runs.current.recent["loss"]
    runs.apply(bar(102, 0.8), is_sample=True)
    runs.apply(line(103, 0.7))
    assert runs.current.recent["loss"][-2:] == [0.8, 0.7]


def test_values_that_are_no_number_are_not_learned() -> None:
    """Neither NaN nor infinity moves the ceiling or is a spike."""
    run = usual(bar(8, math.nan, epoch=2), bar(9, math.inf, epoch=2))
    assert run.ceilings == {"loss": pytest.approx(2.0)}
    assert run.table[2].peaks == {}


def test_a_loss_around_zero_has_no_spikes() -> None:
    """A loss that may be negative, or is zero, has no usual size."""
    events = [bar(n, 0.1 * (-1) ** n) for n in range(1, 120)]
    assert fold(*events, bar(121, 9.0)).current.table[1].peaks == {}
    zero = fold(*(bar(n, 0.0) for n in range(1, 120))).current
    assert zero.ceilings == {}


def test_an_epoch_that_showed_few_losses_tells_no_ceiling() -> None:
    """Its last batch may have been a lucky one: a ceiling takes four values."""
    few = [event for e in (1, 2, 3) for event in (EpochStarted(10 * e, e), bar(1, 0.2, epoch=e))]
    assert fold(*few[:2], EpochStarted(99, 9)).current.ceilings == {}
    assert fold(*few, EpochStarted(99, 9)).current.ceilings == {"loss": pytest.approx(2.0)}


def test_an_epoch_of_the_stage_before_is_not_learned_from() -> None:
    """It ends after the stage has changed, and belongs to the one before."""
    runs = LogRuns("x.log")
    events: list[Event] = [*(bar(n, 0.2) for n in range(1, 9)), StageChanged(500), EpochStarted(600, 2)]
    for event in events:
        runs.apply(event)
    assert (runs.current.recent, runs.current.ceilings) == ({}, {})


def test_another_stage_has_other_losses() -> None:
    """What was usual before it is no measure now."""
    run = usual(StageChanged(600), bar(8, 15.3, epoch=2))
    assert run.ceilings == {}
    assert run.table[2].peaks == {}
    assert run.recent == {"loss": [15.3]}


def test_spikes_without_epochs() -> None:
    """They stand in the nameless row of the run."""
    steps = [BatchDone(s, step=s, losses={"loss": 0.2}) for s in range(1, 150)]
    run = fold(*steps, BatchDone(150, step=150, losses={"loss": 9.0})).current
    assert run.table[-1].peaks["loss"].batch == 150


def test_a_spike_wakes_the_rules() -> None:
    """It is told as one, and a usual value is not."""
    runs = LogRuns("x.log")
    for n in range(1, 120):
        runs.apply(bar(n, 0.2))
    assert not runs.apply(bar(120, 0.3)) & Change.PEAK
    assert runs.apply(bar(121, 9.0)) & Change.PEAK


@given(st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=60))
@repeatable
def test_the_ceiling_lies_above_the_usual(values: list[float]) -> None:
    """Ten times some of the values that were learned from, whatever they are."""
    run = fold(*(line(n, v) for n, v in enumerate(values, start=101))).current
    assert len(run.recent["loss"]) <= 16
    assert 10 * min(values) <= run.ceilings["loss"] * 1.0001
    assert run.ceilings["loss"] <= 10 * max(values) * 1.0001
