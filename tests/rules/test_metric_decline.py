"""metric_decline: the primary metric gets worse, epoch after epoch."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import MetricDecline
from nanwatch.model.alert import Finding
from nanwatch.model.event import CheckpointSaved, EpochDone, StageChanged, ValidationDone
from tests.support.logs import findings, lines, told


def found(*values: float, metric: str = "IoU", settings: MetricDecline | None = None) -> list[Finding]:
    """Return the findings after epochs that ended with *values*."""
    events = [EpochDone(n, n, metrics={metric: v}) for n, v in enumerate(values, start=1)]
    return findings("metric_decline", *events, settings=settings or MetricDecline())


def test_fires_at_the_third_fall() -> None:
    """Two falls are noise, three in a row are a decline."""
    assert not found(0.6, 0.6413, 0.6371, 0.6362)
    (finding,) = found(0.6, 0.6413, 0.6371, 0.6362, 0.6348)
    assert (finding.severity, finding.epoch, finding.offset) == ("warning", 5, 5)
    assert finding.evidence["since_epoch"] == 3
    assert (finding.evidence["best"], finding.evidence["best_epoch"]) == (0.6413, 2)
    assert "0.6413 -> 0.6348" in finding.message


def test_critical_beyond_five_percent() -> None:
    """A fall of more than 5 % of the best is critical."""
    assert found(0.6, 0.59, 0.58, 0.571)[0].severity == "warning"
    assert found(0.6, 0.59, 0.58, 0.569)[0].severity == "critical"


def test_resolves() -> None:
    """It is over when half of what was lost is regained, and goes on until then."""
    assert found(0.6, 0.5, 0.4, 0.3)
    (finding,) = found(0.6, 0.5, 0.4, 0.3, 0.44)
    assert "0.6000 -> 0.3000, now 0.4400" in finding.message
    assert not found(0.6, 0.5, 0.4, 0.3, 0.45)
    assert found(0.6, 0.5, 0.4, 0.3, 0.2, 0.39)
    assert not found(0.6, 0.5, 0.4, 0.3, 0.2, 0.4)


def test_a_falling_metric_declines_by_rising() -> None:
    """A validation loss gets worse upwards."""
    assert found(0.3, 0.4, 0.5, 0.6, metric="val_loss")[0].message.startswith("val_loss rose")
    assert not found(0.6, 0.5, 0.4, 0.3, metric="val_loss")


@pytest.mark.parametrize(
    "values",
    [
        (0.5, 0.5, 0.5, 0.5, 0.5),
        (0.6, 0.5, 0.5, 0.4, 0.3),
        (0.6, 0.5, 0.55, 0.5, 0.45),
        (0.6, 0.5, 0.4),
        (0.6, math.nan, 0.5, 0.4),
        (0.60000, 0.59999, 0.59998, 0.59997),
        (0.009, 0.008, 0.007, 0.006),
        (0.6, 0.5, -1.0, 0.4),
        (),
    ],
)
def test_look_alikes(values: tuple[float, ...]) -> None:
    """A plateau, a zigzag, gaps, a change too small to mean anything, and noise near zero stay silent."""
    assert not found(*values)


def test_a_gap_ends_no_decline() -> None:
    """An epoch that measured nothing, and says -1, is passed over; a falling metric may well be -1."""
    assert found(0.6, 0.59, -1.0, 0.58, 0.57)[0].message.startswith("IoU fell 3 epochs in a row, 0.6000 -> 0.5700")
    assert found(-2.0, -1.5, -1.0, -0.5, metric="val_loss")[0].evidence["percent_of_best"] == 75.0


def test_a_restart_of_the_learning_rate() -> None:
    """What follows a learning rate that was set up is no decline; how far up is the config's to say."""
    rates = [0.001, 0.0015, 0.001, 0.0005]
    events = [EpochDone(n, n, metrics={"IoU": 0.7 - n / 100}, lr=lr) for n, lr in enumerate(rates, start=1)]
    assert findings("metric_decline", *events)
    assert not findings("metric_decline", *events, settings=MetricDecline(restart=1.5))


def test_another_stage() -> None:
    """A decline must lie within one stage of the training."""
    before = [EpochDone(n, n, metrics={"IoU": 0.7 - n / 100}) for n in (1, 2, 3)]
    after = [EpochDone(n, n, metrics={"IoU": 0.7 - n / 100}) for n in (5, 6, 7, 8)]
    assert not findings("metric_decline", *before, StageChanged(4), CheckpointSaved(4), *after[:3])
    (finding,) = findings("metric_decline", *before, StageChanged(4), *after)
    assert finding.evidence["since_epoch"] == 6


def test_without_epochs() -> None:
    """A run that only counts steps is told with its step."""
    events = [ValidationDone(n, step=100 * n, metrics={"val_loss": n / 10}) for n in (1, 2, 3, 4)]
    (finding,) = findings("metric_decline", *events)
    assert (finding.epoch, finding.batch) == (None, 400)
    assert "rose 3 times in a row" in finding.message
    assert "best 0.1000 at step 100" in finding.message


def test_thresholds() -> None:
    """The number of epochs and both shares come from the config."""
    assert found(0.6, 0.5, settings=MetricDecline(epochs=1))
    assert found(0.6, 0.59, 0.58, 0.57, settings=MetricDecline(critical_percent=1.0))[0].severity == "critical"
    assert not found(0.6, 0.59, 0.58, 0.57, settings=MetricDecline(min_percent=10.0))


def test_from_the_log() -> None:
    """Raw bytes: told at the third worse epoch, over when what was lost is regained."""
    values = [0.60, 0.62, 0.61, 0.60, 0.595, 0.63]
    log = lines([f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate(values, start=1)])
    assert [(word, epoch) for _, word, epoch, _ in told(log, "metric_decline")] == [("warning", 5), ("resolved", 5)]
    healthy = lines(
        [f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate(sorted(values), start=1)]
    )
    assert told(healthy, "metric_decline") == []
