"""deadline: the run will not be done in time."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import Config, Deadline, Moment, Rules
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import BatchDone, EpochDone, Event, Failure, Interrupted, RunFinished
from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.deadline import Rule
from tests.support.logs import bars, fold

HOUR = 3600.0
START = 1e9


def found(hours: float, *events: Event, at: float = 10.0, **state: object) -> list[Finding]:
    """Return what the rule finds so many *hours* after the start, where the run should be done *at* the tenth."""
    run = fold(*events).current
    for name, value in state.items():
        setattr(run, name, value)
    return list(Rule(Deadline(at=Moment(START + at * HOUR))).evaluate(run, START + hours * HOUR))


def epoch(number: int, hours: float = 1.0, epochs: int = 12) -> EpochDone:
    """Return an epoch that took so long."""
    return EpochDone(1, number, epochs, losses={"loss": 0.5}, seconds=hours * HOUR)


def batch(number: int, rate: float) -> BatchDone:
    """Return a line of one of 36,000 batches that tells its rate."""
    return BatchDone(1, epoch=1, epochs=1, batch=number, batches=36_000, rate=rate, losses={"loss": 0.5})


def test_fires() -> None:
    """When what is left takes longer than until then."""
    (finding,) = found(1.0, epoch(1))
    assert (finding.severity, finding.epoch) == ("warning", 1)
    assert finding.message == "will be done 2 h late: the deadline is in 9 h"
    assert finding.evidence == {"late_seconds": 7200, "eta_seconds": 39600}
    (finding,) = found(11.0, epoch(9))
    assert finding.message == "will be done 4 h late: the deadline was 60 minutes ago"


def test_fires_without_knowing_the_end() -> None:
    """A run that does not tell how long it means to train is late when the time has come."""
    event = EpochDone(1, 3, losses={"loss": 0.5})
    assert not found(9.9, event)
    (finding,) = found(10.5, event)
    assert finding.message == "is not done: the deadline was 30 minutes ago"
    assert finding.evidence == {"late_seconds": 1800, "eta_seconds": None}


def test_resolves() -> None:
    """When it will be in time, or is over."""
    assert not found(2.0, epoch(1, hours=1.0), epoch(2, hours=0.1))
    for end in (RunFinished(9), Failure(9, "oom", "boom"), Interrupted(9)):
        assert not found(11.0, epoch(1), end)


@pytest.mark.parametrize(
    ("hours", "event"),
    [
        (1.0, epoch(4)),
        (1.0, epoch(3)),
        (1.0, EpochDone(1, 3, losses={"loss": 0.5})),
        (11.0, epoch(12)),
        (1.0, batch(9, math.nan)),
    ],
)
def test_look_alikes(hours: float, event: Event) -> None:
    """In time, just in time, no ETA yet, all epochs done, and a speed that is none."""
    assert not found(hours, event)


def test_look_alikes_without_a_run_or_a_clock() -> None:
    """Before the training, in a replay, and without a deadline."""
    assert not found(11.0)
    assert not list(Rule(Deadline(at=Moment(START))).evaluate(fold(epoch(1)).current, None))
    assert not list(Rule(Deadline()).evaluate(fold(epoch(1)).current, START))


def test_a_speed_that_wavers() -> None:
    """The usual speed counts, not the one of the moment."""
    usual = [batch(n, 1.1) for n in range(100, 120)]
    assert not found(0.5, *usual)
    assert not found(0.5, *usual, batch(121, 0.2))
    assert found(0.5, *[batch(n, 1.0) for n in range(100, 120)], batch(121, 9.0))


def test_an_epoch_under_way() -> None:
    """What is told once an epoch is not late because the next one is not told yet."""
    events = [epoch(3)]
    assert not found(1.9, *events, silence=0.9 * HOUR)
    assert found(3.5, *events, silence=2.5 * HOUR)


def test_from_the_log() -> None:
    """Live, as time goes by: late, and in time again when another epoch is done."""
    pipeline = LogPipeline("x.log", Config(rules=Rules(deadline=Deadline(at=Moment(START + 20)))))
    data = bars(1, "0.5", "0.5", "0.5", "0.5", total=8)
    list(pipeline.feed(Chunk(0, data), START))
    (told,) = [n for _, n in pipeline.tick(START + 1) if isinstance(n, Alert)]
    assert (told.rule, told.state, told.message) == (
        "deadline", "firing", "will be done 17 seconds late: the deadline is in 19 seconds"
    )  # fmt: skip
    later = bars(5, "0.5", "0.5", "0.5", "0.5", total=8)
    list(pipeline.feed(Chunk(len(data), later), START + 2))
    assert [a.rule for a in pipeline.firing] == []
