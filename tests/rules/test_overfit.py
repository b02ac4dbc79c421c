"""overfit: the validation loss rises while the training loss falls."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import Config, Overfit, Rules
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import EpochDone
from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from tests.support.logs import findings, lines

FALLS = (0.9, 0.8, 0.7, 0.6)
RISES = (0.5, 0.6, 0.7, 0.8)


def found(
    train: tuple[float, ...], val: tuple[float, ...], names: tuple[str, str] = ("loss", "val_loss")
) -> list[Finding]:
    """Return what the rule finds after epochs that ended with these losses."""
    events = [
        EpochDone(n, n, losses={names[0]: a}, metrics={names[1]: b})
        for n, (a, b) in enumerate(zip(train, val, strict=True), 1)
    ]
    return findings("overfit", *events, settings=Overfit(enabled=True, epochs=3))


def test_fires() -> None:
    """After three such epochs in a row."""
    (finding,) = found(FALLS, RISES)
    assert (finding.severity, finding.epoch) == ("info", 4)
    assert finding.message == "validation loss rose 0.5 -> 0.8 while training loss fell 0.9 -> 0.6, 3 epochs in a row"
    assert finding.evidence == {"since_epoch": 1, "val_loss": 0.8, "train_loss": 0.6}


@pytest.mark.parametrize("names", [("train_loss", "val_loss"), ("box_loss", "val/box_loss"), ("loss", "eval_loss")])
def test_fires_whatever_the_losses_are_called(names: tuple[str, str]) -> None:
    """A validation loss is known by its name."""
    assert found(FALLS, RISES, names)


def test_resolves() -> None:
    """With one epoch that is different."""
    assert not found((*FALLS, 0.5), (*RISES, 0.79))
    assert not found((*FALLS, 0.61), (*RISES, 0.9))


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ((), ()),
        (FALLS[:3], RISES[:3]),
        (RISES, RISES),
        (FALLS, FALLS),
        (RISES, FALLS),
        (FALLS, (0.5, 0.6, 0.6, 0.7)),
        (FALLS, (0.5, 0.6, math.nan, 0.7)),
    ],
)
def test_look_alikes(train: tuple[float, ...], val: tuple[float, ...]) -> None:
    """Too few epochs, losses that go the same way, and ones that stand still."""
    assert not found(train, val)


def test_look_alikes_of_metrics() -> None:
    """An accuracy that falls is another rule's."""
    assert not found(FALLS, (0.8, 0.7, 0.6, 0.5), ("loss", "val_acc"))
    assert not found(FALLS, RISES, ("train_loss", "loss"))


def test_from_the_log() -> None:
    """Raw bytes: it is news where it is asked for."""
    log = lines(
        [f"Epoch {n}/9 - loss: {a} - val_loss: {b}" for n, (a, b) in enumerate(zip(FALLS, RISES, strict=True), 1)]
    )
    config = Config(rules=Rules(overfit=Overfit(enabled=True, epochs=3)))
    told = [n for _, n in LogPipeline("x.log", config).feed(Chunk(0, log)) if isinstance(n, Alert)]
    assert [(a.rule, a.state, a.epoch) for a in told if a.rule == "overfit"] == [("overfit", "firing", 4)]
    assert not [n for _, n in LogPipeline("x.log").feed(Chunk(0, log)) if isinstance(n, Alert) and n.rule == "overfit"]
