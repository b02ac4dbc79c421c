"""process_gone: who wrote the log has exited, and the log shows no end."""

from __future__ import annotations

import pytest

from nanwatch.config import Switch
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import BatchDone, Event, Failure, Hyperparameters, Interrupted, RunFinished, RunResumed
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.process_gone import Rule
from tests.support.logs import bars, fold

BATCH = BatchDone(5, epoch=101, batch=3, batches=10, losses={"loss": 0.2})
GONE = Process(7, "python", 1.0, alive=False)


def found(*events: Event, **state: object) -> list[Finding]:
    """Return what the rule finds of a run that *events* made, and of which *state* is known."""
    run = fold(*events).current
    for name, value in state.items():
        setattr(run, name, value)
    return list(Rule(Switch()).evaluate(run, 9.0))


def test_fires() -> None:
    """At once, with the place and the process."""
    (finding,) = found(BATCH, process=GONE, is_held=False)
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("critical", 101, 3, 5)
    assert finding.message == "gone without a word at 30 % of epoch 101: pid 7 (python) has exited"
    assert finding.evidence == {"pid": 7, "command": "python"}
    assert found(Hyperparameters(1, {"epochs": "5"}), process=GONE)


@pytest.mark.parametrize(
    ("silence", "longest", "count"), [(0.0, 0.0, 0), (60.0, 0.0, 0), (61.0, 0.0, 1), (61.0, 90.0, 0), (91.0, 90.0, 1)]
)
def test_fires_though_another_one_holds_the_log(silence: float, longest: float, count: int) -> None:
    """A worker that is left behind is silent; one that has taken over writes."""
    assert len(found(BATCH, process=GONE, is_held=True, silence=silence, longest_silence=longest)) == count


def test_resolves() -> None:
    """It ends when the process is seen again, or another one has taken its place."""
    assert not found(BATCH, process=Process(7, "python", 1.0), is_held=True)
    assert not found(BATCH, process=None, is_held=False)


@pytest.mark.parametrize(
    "events",
    [
        (),
        (BATCH, RunFinished(9)),
        (BATCH, Failure(9, "oom", "boom")),
        (BATCH, Interrupted(9)),
    ],
)
def test_look_alikes(events: tuple[Event, ...]) -> None:
    """A log without training, and a run that told of its end."""
    assert not found(*events, process=GONE, is_held=False)


def test_look_alikes_while_another_one_resumes() -> None:
    """However long its start takes."""
    assert not found(BATCH, RunResumed(9), process=GONE, is_held=True, silence=900.0)
    assert found(BATCH, RunResumed(9), process=GONE, is_held=False, silence=900.0)


def test_from_the_log() -> None:
    """A process that held the log is missed with the next look, and forgotten when the log grows."""
    pipeline = LogPipeline("x.log")
    data = bars(1, "0.5", "0.5", "0.5", "0.5", total=8)
    list(pipeline.feed(Chunk(0, data), 1000.0))
    assert [n for _, n in pipeline.tick(1001.0, None, [Process(7, "python", 1.0)], has_looked=True)] == []
    assert [n for _, n in pipeline.tick(1002.0, None, [], has_looked=False)] == []
    (told,) = [n for _, n in pipeline.tick(1003.0, None, [], has_looked=True) if isinstance(n, Alert)]
    assert (told.rule, told.state, told.epoch, told.batch) == ("process_gone", "firing", 1, 4)
    (told,) = [n for _, n in pipeline.feed(Chunk(len(data), data), 1900.0) if isinstance(n, Alert)]
    assert (told.rule, told.state, told.resolved_at) == ("process_gone", "resolved", 1900.0)
