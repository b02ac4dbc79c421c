"""stall: a silence that this run's own rhythm does not explain."""

from __future__ import annotations

import pytest

from nanwatch.config import Rules, Stall
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import (
    BatchDone,
    EpochDone,
    EpochStarted,
    Event,
    Failure,
    Hyperparameters,
    Interrupted,
    RunFinished,
    RunResumed,
    ValidationDone,
)
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process, Run, Stretch
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.stall import Rule, patience_of
from tests.support.logs import bars, fold

MINUTE = 60.0


def batch(number: int = 3, **more: object) -> BatchDone:
    """Return a batch of epoch 101."""
    return BatchDone(5, epoch=101, batch=number, batches=10, losses={"loss": 0.2}, **more)  # type: ignore[arg-type]


def lines(count: int, seconds: float | None = None) -> list[Event]:
    """Return the lines of a trainer that prints one an epoch."""
    return [EpochDone(n, n, losses={"loss": 0.2}, seconds=seconds) for n in range(1, count + 1)]


def silent(minutes: float, *events: Event, settings: Stall | None = None, **state: object) -> list[Finding]:
    """Return what the rule finds of a run that *events* made, after so many minutes of silence."""
    run = made(*events, **state)
    run.silence = minutes * MINUTE
    return list(Rule(settings or Stall()).evaluate(run, None))


def made(*events: Event, **state: object) -> Run:
    """Return a run that *events* made, and of which *state* is known."""
    run = fold(*events).current
    for name, value in state.items():
        setattr(run, name, value)
    return run


def patience(*events: Event, **state: object) -> float:
    """Return the minutes of silence that say nothing yet."""
    return patience_of(made(*events, **state), Rules().stall) / MINUTE


# -- what it says


def test_fires() -> None:
    """After ten minutes, with the place and all that is known of the process."""
    assert not silent(10, batch())
    process = Process(1999742, "python", 0.0, 99.6)
    (finding,) = silent(22, batch(), process=process, is_held=True, longest_silence=3.0)
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("critical", 101, 3, 5)
    assert finding.message == (
        "alive, pid 1999742, 100 % CPU, silent for 22 minutes at 30 % of epoch 101 (longest healthy silence: 3 seconds)"
    )
    assert finding.evidence == {
        "silence_seconds": 1320, "patience_seconds": 600, "longest_silence_seconds": 3.0, "percent_of_epoch": 30,
        "pid": 1999742, "cpu_percent": 100, "held_open": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("process", "is_held", "words"),
    [
        (None, None, "silent for"),
        (None, True, "silent for"),
        (None, False, "no process holds the log open, silent for"),
        (Process(7, "python", 0.0), True, "alive, pid 7, silent for"),
        (Process(7, "python", 0.0, 0.2), True, "alive, pid 7, 0 % CPU, silent for"),
        (Process(7, "python", 0.0, alive=False), True, "pid 7 has exited, silent for"),
    ],
)
def test_fires_with_what_is_known_of_the_process(process: Process | None, is_held: bool | None, words: str) -> None:
    """It works without that knowledge too."""
    (finding,) = silent(22, batch(), process=process, is_held=is_held)
    assert finding.message.startswith(words)


def test_resolves() -> None:
    """With the next byte the silence is over."""
    assert silent(22, batch())
    assert not silent(0, batch())


# -- what is no stall


@pytest.mark.parametrize(
    "events",
    [
        (),
        (batch(), RunFinished(9)),
        (batch(), Failure(9, "exception", "boom")),
        (batch(), Interrupted(9)),
    ],
)
def test_look_alikes(events: tuple[Event, ...]) -> None:
    """A log without training, and a run that has ended, may be silent for ever."""
    assert not silent(1e6, *events)


def test_look_alikes_without_a_clock() -> None:
    """A replay knows of no silence."""
    assert not list(Rule(Stall()).evaluate(fold(batch()).current, None))


# -- how long a silence may last


@pytest.mark.parametrize(
    ("events", "minutes"),
    [
        ([Hyperparameters(1, {"epochs": "5"})], 30),
        ([EpochStarted(1, 101, 150)], 30),
        ([batch(0, bar=True)], 30),
        ([batch(1)], 10),
        ([BatchDone(1, step=500, losses={"loss": 0.2})], 10),
        ([batch(), RunResumed(9)], 30),
        (lines(3), 30),
        (lines(3, seconds=1800.0), 150),
        ([batch(10, elapsed=2400.0)], 40),
        ([batch(10, elapsed=2400.0), ValidationDone(9, metrics={"IoU": 0.5})], 10),
        ([batch(10, rate=10 / 1800, bar=True)], 30),
        ([batch(10, rate=10 / 1800)], 150),
        ([batch(10, elapsed=1e6)], 120),
        ([batch(9, epochs=101)], 10),
        ([batch(10, epochs=101)], 30),
        ([BatchDone(1, step=500, steps=500, losses={"loss": 0.2})], 30),
    ],
)
def test_what_a_log_tells_of_its_rhythm(events: list[Event], minutes: float) -> None:
    """Ten minutes; more before and after the training, between lines, and until an epoch's validation is told."""
    assert patience(*events) == pytest.approx(minutes)


@pytest.mark.parametrize(
    ("silence", "pause", "minutes"), [(100.0, 100.0, 10), (180.0, 180.0, 15), (1.0, 1500.0, 37.5), (1.0, 300.0, 10)]
)
def test_what_was_watched(silence: float, pause: float, minutes: float) -> None:
    """Five times the longest healthy silence; half as long again as one that ended by itself."""
    assert patience(batch(), longest_silence=silence, longest_pause=pause) == minutes


def test_lines_that_tell_how_many_batches_they_are_apart() -> None:
    """The rate of a line tells the time since the one before."""
    stretches = [Stretch(1000, 0.3, 101, n, n) for n in (1, 2, 3)]
    assert patience(batch(), stretches=stretches) == 25
    assert patience(batch(bar=True, elapsed=9.0), stretches=stretches) == 10  # a bar's frames lie closer


def test_the_age_of_the_process() -> None:
    """Where nothing was watched yet, it tells how long an epoch takes that is told by one line."""
    process = Process(7, "python", 1000.0)
    told = {"process": process, "grew_at": 1000.0 + 90 * MINUTE}
    assert patience(*lines(3), **told) == 150
    assert patience(*lines(3), **told, longest_pause=2.0, longest_silence=2.0) == 150
    assert patience(*lines(3), **told, longest_pause=600.0, longest_silence=600.0) == 50
    assert patience(*lines(3), **told, resumes=1) == 135  # which of the lines are this session's?
    assert patience(batch(), **told) == 10


def test_output_that_came_at_once() -> None:
    """What is block-buffered comes in one moment; the next may take as long as the process did for this one."""
    process = Process(7, "python", 1000.0)
    told = {"started_at": 9.0, "updated_at": 9.0, "process": process, "grew_at": 1000.0 + 60 * MINUTE}
    assert patience(*lines(90), **told) == 90
    assert patience(batch(), **told) == 90
    assert patience(batch(), **told, longest_pause=1.0) == 10
    assert patience(*lines(90, seconds=60.0), started_at=9.0, updated_at=9.0) == 135


def test_thresholds() -> None:
    """The silence, its multiple and the start come from the config."""
    settings = Stall(silence=type(Stall().silence)(60), times=2.0, startup=type(Stall().startup)(120))
    assert silent(1.1, batch(), settings=settings)
    assert not silent(1.1, batch(), settings=settings, longest_silence=40.0)
    assert silent(1.4, batch(), settings=settings, longest_silence=40.0)
    assert silent(2.1, EpochStarted(1, 101, 150), settings=settings)


def test_from_the_log() -> None:
    """A bar that stands still is told at its place, and its next frame ends that."""
    pipeline = LogPipeline("x.log")
    data = bars(1, "0.5", "0.5", "0.5", "0.5", total=8)[:-1]
    list(pipeline.feed(Chunk(0, data), 1000.0))
    list(pipeline.catch_up(1000.0))
    assert [n for _, n in pipeline.tick(1500.0)] == []
    (told,) = [n for _, n in pipeline.tick(1700.0) if isinstance(n, Alert)]
    assert (told.rule, told.epoch, told.batch, told.started_at) == ("stall", 1, 4, 1700.0)
    assert told.message == "silent for 12 minutes at 50 % of epoch 1"
    (told,) = [n for _, n in pipeline.feed(Chunk(len(data), b"\r"), 1800.0) if isinstance(n, Alert)]
    assert (told.rule, told.state, told.resolved_at) == ("stall", "resolved", 1800.0)
