"""plateau: the primary metric has not become better for a long time."""

from __future__ import annotations

import pytest

from nanwatch.config import Config, Plateau, Rules
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import EpochDone, ValidationDone
from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from tests.support.logs import findings, lines


def found(*values: float, metric: str = "IoU", every: int = 1, epochs: int = 3) -> list[Finding]:
    """Return what the rule finds after epochs, *every* so many of them measured, that ended with *values*."""
    events = [EpochDone(n * every, n * every, metrics={metric: v}) for n, v in enumerate(values, start=1)]
    return findings("plateau", *events, settings=Plateau(enabled=True, epochs=epochs))


def test_fires() -> None:
    """After three epochs without a better value; an equal one is none."""
    (finding,) = found(0.5, 0.6, 0.59, 0.6, 0.58)
    assert (finding.severity, finding.epoch, finding.offset) == ("info", 5, 5)
    assert finding.message == "IoU has not been better than 0.6 for 3 epochs, since epoch 2"
    assert finding.evidence == {"metric": "IoU", "best": 0.6, "best_epoch": 2, "epochs": 3}


def test_fires_by_epochs() -> None:
    """Epochs count, not how many of them were measured."""
    assert not found(0.6, 0.5, every=5, epochs=6)
    assert found(0.6, 0.5, 0.5, every=5, epochs=6)


def test_fires_by_evaluations() -> None:
    """Where there are no epochs, evaluations count."""
    events = [ValidationDone(s, step=s, losses={"val_loss": v}) for s, v in [(1000, 2.5), (2000, 2.6), (3000, 2.7)]]
    (finding,) = findings("plateau", *events, settings=Plateau(enabled=True, epochs=2))
    assert finding.epoch is None
    assert finding.message == "val_loss has not been better than 2.5 for 2 evaluations, since step 1,000"


def test_resolves() -> None:
    """With a better value."""
    assert found(0.6, 0.5, 0.5, 0.5)
    assert not found(0.6, 0.5, 0.5, 0.5, 0.61)
    assert not found(0.3, 0.5, 0.5, 0.5, 0.29, metric="val_loss")


@pytest.mark.parametrize("values", [(), (0.6,), (0.6, 0.5, 0.5), (0.1, 0.2, 0.3, 0.4), (0.6, -1.0, -1.0, -1.0)])
def test_look_alikes(values: tuple[float, ...]) -> None:
    """Too short a time, progress, and epochs that measured nothing."""
    assert not found(*values)


def test_from_the_log() -> None:
    """Raw bytes: it is news where it is asked for, and over with the best epoch of all."""
    log = lines([f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate([0.6, 0.5, 0.5, 0.7], 1)])
    config = Config(rules=Rules(plateau=Plateau(enabled=True, epochs=2)))
    told = [n for _, n in LogPipeline("x.log", config).feed(Chunk(0, log)) if isinstance(n, Alert)]
    assert [(a.rule, a.state, a.epoch) for a in told if a.rule == "plateau"] == [("plateau", "resolved", 3)] * 2
    quiet = LogPipeline("x.log").feed(Chunk(0, log))
    assert not [n for _, n in quiet if isinstance(n, Alert) and n.rule == "plateau"]
