"""goal: the metric has reached what was asked for, or can no longer."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import Config, Goal, Rules
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import BatchDone, EpochDone, EpochStarted, Event, ValidationDone
from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from tests.support.logs import cod_story, findings


def epochs(*values: float, metric: str = "IoU", epochs: int = 30, first: int = 1) -> list[Event]:
    """Return epochs that ended with *values*."""
    return [EpochDone(n, n, epochs, metrics={metric: v}) for n, v in enumerate(values, start=first)]


def found(value: float | None, *events: Event, metric: str = "") -> list[Finding]:
    """Return what the rule finds where this is the goal."""
    return findings("goal", *events, settings=Goal(value=value, metric=metric))


def test_fires() -> None:
    """With the first epoch that reached it, be it the first of all, whatever comes then."""
    (finding,) = found(0.6, *epochs(0.5, 0.6, 0.7, 0.1))
    assert (finding.severity, finding.key, finding.epoch) == ("info", "reached", 2)
    assert finding.message == "IoU reached 0.6 at epoch 2, the goal is 0.6"
    assert finding.evidence == {"metric": "IoU", "goal": 0.6, "value": 0.6}
    assert found(0.5, *epochs(0.5, first=0))[0].epoch == 0


def test_fires_for_a_falling_metric() -> None:
    """A loss reaches its goal from above."""
    assert not found(0.3, *epochs(0.31, metric="val_loss"))
    assert found(0.3, *epochs(0.31, 0.3, metric="val_loss"))[0].epoch == 2


@pytest.mark.parametrize("name", ["recall", "Recall", " RECALL "])
def test_fires_for_another_metric(name: str) -> None:
    """One that is not the primary one, in any case."""
    events = [EpochDone(n, n, metrics={"IoU": 0.1, "recall": v}) for n, v in [(1, 0.5), (2, 0.9), (3, 0.4)]]
    (finding,) = found(0.8, *events, metric=name)
    assert (finding.epoch, finding.evidence["metric"]) == (2, "recall")


def test_fires_by_steps() -> None:
    """Without epochs, the step is told."""
    events = [ValidationDone(s, step=s, metrics={"val_loss": 5000 / s, "val_acc": s / 2000}) for s in (1000, 2000)]
    assert found(2.5, *events, metric="val_loss")[0].message == "val_loss reached 2.5 at step 2,000, the goal is 2.5"
    assert found(0.9, *events)[0].message == "val_acc reached 1 at step 2,000, the goal is 0.9"


def test_fires_long_after() -> None:
    """A goal that was reached stays so, though the history has been forgotten."""
    events = epochs(0.1, 0.7, *[0.5] * 700, epochs=900)
    assert found(0.6, *events)[0].epoch == 2
    assert found(0.6, *events, metric="iou")[0].epoch == 2


def test_fires_out_of_reach() -> None:
    """Past half of the run, when twice its trend is not enough."""
    slow = [0.6 + n / 1000 for n in range(15)]
    (finding,) = found(0.7, *epochs(*slow))
    assert (finding.severity, finding.key, finding.epoch) == ("info", "out of reach", 15)
    assert finding.message == "IoU will hardly reach 0.7: best 0.614, by the end 0.644 at twice its trend"
    assert not found(0.7, *epochs(*slow[:14]))
    assert not found(0.643, *epochs(*slow))
    assert found(0.7, *epochs(*slow, epochs=31, first=0)) == []


def test_resolves() -> None:
    """What was out of reach is so no longer when it is reached after all, or the trend is better."""
    assert found(0.7, *epochs(*[0.5] * 20))[0].key == "out of reach"
    assert found(0.7, *epochs(*[0.5] * 20, 0.7))[0].key == "reached"
    assert not found(0.7, *epochs(*[0.5] * 20, 0.65))


@pytest.mark.parametrize(
    "events",
    [
        [],
        epochs(0.5),
        epochs(math.nan),
        epochs(0.5, 0.4, metric="loss"),
        [EpochDone(1, 1, losses={"loss": 0.5})],
        [BatchDone(1, epoch=1, batch=5, batches=9, losses={"loss": 0.5})],
        [BatchDone(1, epoch=1, batch=5, batches=9, losses={"loss": 0.5}), EpochStarted(2, 2)],
    ],
)
def test_look_alikes(events: list[Event]) -> None:
    """Nothing measured, not there yet, no number, and a training loss that nobody named."""
    assert not found(0.6, *events)


def test_look_alikes_under_way() -> None:
    """A named training loss counts when its epoch is over; what a bar shows before is that of a batch."""
    first = BatchDone(1, epoch=1, batch=5, batches=9, losses={"loss": 0.5})
    assert not found(0.6, first, metric="loss")
    assert found(0.6, first, EpochStarted(2, 2), metric="loss")[0].epoch == 1
    assert not found(None, *epochs(0.9))
    assert not found(0.1, *epochs(0.9), metric="mIoU")


def test_from_the_log() -> None:
    """Raw bytes: the best epoch of the story is told once."""
    config = Config(rules=Rules(goal=Goal(value=0.641)))
    told = [n for _, n in LogPipeline("x.log", config).feed(Chunk(0, cod_story()[0])) if isinstance(n, Alert)]
    assert [(a.state, a.epoch) for a in told if a.rule == "goal"] == [("firing", 88)]
