"""metric_decline: the primary metric gets worse, epoch after epoch."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import MetricDecline
from nanwatch.model.alert import Finding
from nanwatch.model.event import EpochDone
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
    """One better epoch ends it."""
    assert found(0.6, 0.5, 0.4, 0.3)
    assert not found(0.6, 0.5, 0.4, 0.3, 0.31)


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
        (),
    ],
)
def test_look_alikes(values: tuple[float, ...]) -> None:
    """A plateau, a zigzag, a gap of NaN, a change too small to mean anything, and noise near zero stay silent."""
    assert not found(*values)


def test_thresholds() -> None:
    """The number of epochs and both shares come from the config."""
    assert found(0.6, 0.5, settings=MetricDecline(epochs=1))
    assert found(0.6, 0.59, 0.58, 0.57, settings=MetricDecline(critical_percent=1.0))[0].severity == "critical"
    assert not found(0.6, 0.59, 0.58, 0.57, settings=MetricDecline(min_percent=10.0))


def test_from_the_log() -> None:
    """Raw bytes: told at the third worse epoch, over at the first better one."""
    values = [0.60, 0.62, 0.61, 0.60, 0.595, 0.63]
    log = lines([f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate(values, start=1)])
    assert [(word, epoch) for _, word, epoch, _ in told(log, "metric_decline")] == [("warning", 5), ("resolved", 5)]
    healthy = lines(
        [f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate(sorted(values), start=1)]
    )
    assert told(healthy, "metric_decline") == []
