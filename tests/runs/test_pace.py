"""How fast batches come, in stretches that do not depend on which frames were passed over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from nanwatch.model.event import BatchDone, EpochStarted, Event, StageChanged
from nanwatch.model.run import Change, Run, Stretch
from nanwatch.runs.fold import LogRuns
from tests.support.logs import fold


def bar(batch: int, elapsed: float | None, epoch: int = 1) -> BatchDone:
    """Return a frame of a bar."""
    return BatchDone(batch, epoch=epoch, batch=batch, batches=900, elapsed=elapsed, losses={"loss": 1.0}, bar=True)


def line(batch: int, rate: float | None, epoch: int = 1) -> BatchDone:
    """Return a line that tells its rate."""
    return BatchDone(batch, epoch=epoch, batch=batch, batches=900, rate=rate, losses={"loss": 1.0})


def sampled(*events: Event) -> Run:
    """Return the run that *events* make when each of them is a sample."""
    runs = LogRuns("x.log")
    for event in events:
        runs.apply(event, is_sample=True)
    return runs.current


def paces(run: Run) -> Sequence[tuple[int, float]]:
    """Return how many batches each stretch has, and the seconds that each of them took."""
    return [(s.batches, s.seconds) for s in run.stretches]


def test_a_stretch_of_a_bar() -> None:
    """It reaches from one sample to the next."""
    run = sampled(bar(100, 20.0), bar(300, 80.0))
    assert run.stretches == [Stretch(100, 0.2, 1, 100, 100), Stretch(200, 0.3, 1, 300, 300)]


def test_frames_that_may_be_passed_over_tell_nothing() -> None:
    """Only what is read in any case is measured: samples, and an epoch's last frame."""
    run = fold(bar(100, 20.0), bar(300, 80.0), bar(900, 180.0), EpochStarted(9, 2)).current
    assert paces(run) == [(900, 0.2)]


def test_a_stretch_takes_ten_seconds() -> None:
    """Bars tell whole seconds: shorter ones would be guessed."""
    assert paces(sampled(bar(100, 9.0), bar(120, 11.0))) == [(120, 11 / 120)]
    assert paces(sampled(bar(100, None), bar(120, None))) == []


def test_each_epoch_begins_anew() -> None:
    """The bar of the next epoch begins at nothing."""
    run = sampled(bar(900, 180.0), bar(100, 50.0, epoch=2))
    assert paces(run) == [(900, 0.2), (100, 0.5)]


@pytest.mark.parametrize("again", [bar(3, 1.0), bar(1, 0.0)])
def test_an_epoch_that_is_repeated_begins_anew(again: BatchDone) -> None:
    """Nothing is measured across the step back."""
    run = sampled(bar(500, 100.0), again, bar(103, 21.0))
    assert paces(run)[0] == (500, 0.2)
    assert paces(run)[1][1] == pytest.approx(0.2, rel=0.05)


def test_lines_that_tell_their_rate() -> None:
    """Each stands for the batches since the line before."""
    run = fold(line(100, 5.0), line(200, 2.0), line(50, 4.0, epoch=2)).current
    assert paces(run) == [(100, 0.2), (100, 0.5), (50, 0.25)]


@pytest.mark.parametrize("rate", [None, 0.0, -1.0, math.inf, math.nan])
def test_rates_that_are_none(rate: float | None) -> None:
    """They tell nothing."""
    assert paces(fold(line(100, rate)).current) == []


def test_lines_by_step() -> None:
    """Without epochs, positions are steps."""
    run = fold(*(BatchDone(s, step=s, rate=10.0, losses={"loss": 1.0}) for s in (100, 200))).current
    assert run.stretches[1:] == [Stretch(100, 0.1, None, 200, 200)]


def test_a_stretch_wakes_the_rules() -> None:
    """A change of pace is told, and nothing where there is none."""
    runs = LogRuns("x.log")
    assert not runs.apply(bar(100, 20.0)) & Change.PACE
    assert runs.apply(bar(200, 40.0), is_sample=True) & Change.PACE
    assert runs.apply(line(300, 3.0)) & Change.PACE
    assert not runs.apply(line(300, 3.0)) & Change.PACE


def test_another_stage_has_its_own_pace() -> None:
    """What was measured before it goes."""
    run = fold(line(100, 5.0), StageChanged(101), line(200, 2.0)).current
    assert paces(run) == [(100, 0.5)]
    assert paces(fold(bar(900, 180.0), StageChanged(901), EpochStarted(902, 2)).current) == []


def test_stretches_are_bounded() -> None:
    """Only the latest are kept."""
    run = fold(*(line(n, 5.0) for n in range(1, 900))).current
    assert len(run.stretches) == 64
    assert run.stretches[-1].batch == 899
