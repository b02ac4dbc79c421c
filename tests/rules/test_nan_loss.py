"""nan_loss: told once an epoch, with the first batch."""

from __future__ import annotations

import math

import pytest

from nanwatch.model.event import BatchDone, EpochStarted, Event
from tests.support.logs import bars, findings, told

NAN = math.nan


def epoch(number: int, *losses: float) -> list[Event]:
    """Return the batches of an epoch."""
    return [BatchDone(9, epoch=number, batch=b, batches=9, losses={"loss": x}) for b, x in enumerate(losses, start=1)]


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_fires(bad: float) -> None:
    """One batch whose loss is not finite is enough."""
    (finding,) = findings("nan_loss", *epoch(1, 1.0, 0.9), *epoch(2, 0.8, bad, 0.7, bad))
    assert (finding.severity, finding.epoch, finding.batch, finding.offset, finding.key) == (
        "warning",
        2,
        2,
        9,
        "epoch 2",
    )
    assert finding.evidence == {"nan_batches": 2, "last_clean_epoch": 1}
    assert "batch 2 of epoch 2" in finding.message
    assert "epoch 1 was clean" in finding.message


def test_resolves() -> None:
    """A finite loss in the same epoch ends nothing; the next epoch does."""
    assert findings("nan_loss", *epoch(1, NAN, 1.0, 1.0))
    assert not findings("nan_loss", *epoch(1, NAN, 1.0, 1.0), EpochStarted(1, 2))


def test_look_alikes() -> None:
    """Finite losses, NaN metrics and NaN among the settings stay silent."""
    assert not findings("nan_loss", *epoch(1, 1.0, 0.0, 1e30))
    assert not findings("nan_loss", BatchDone(1, epoch=1, batch=1, losses={"loss": 1.0}, metrics={"IoU": NAN}))
    assert not findings("nan_loss")


def test_hidden_nan() -> None:
    """A loss that is printed as 0.0 beside a gradient norm of nan is said to be hidden."""
    (finding,) = findings("nan_loss", BatchDone(1, epoch=1, batch=3, losses={"loss": 0.0}, grad_norm=NAN))
    assert "0.0" in finding.message
    assert "nan" in finding.message


def test_without_epochs() -> None:
    """A run that only counts steps is told with its step."""
    (finding,) = findings(
        "nan_loss", *(BatchDone(1, step=s, losses={"loss": NAN if s == 40 else 1.0}) for s in (30, 40, 50))
    )
    assert (finding.epoch, finding.batch, finding.key) == (None, 40, "")
    assert "step 40" in finding.message


def test_from_the_log() -> None:
    """Raw bytes: it fires at the batch, resolves with the epoch, and fires again in another."""
    log = bars(1, "0.5", "0.4", "nan", "0.4") + bars(2, "0.4", "0.3") + bars(3, "inf", "0.3", "0.3")
    assert told(log, "nan_loss") == [
        ("nan_loss", "warning", 1, 3),
        ("nan_loss", "resolved", 1, 3),
        ("nan_loss", "warning", 3, 1),
    ]
    quiet = b"model: nano, city: Nanjing, optimizer: Nadam\nval_iou: nan\nnan handling: skip\n" + bars(1, "0.5", "0.4")
    assert told(quiet, "nan_loss") == []
