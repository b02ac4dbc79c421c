"""metric_collapse: most of what the metric had is gone at once."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import MetricCollapse
from nanwatch.model.alert import Finding
from nanwatch.model.event import EpochDone
from tests.support.logs import cod_story, findings, lines, told


def found(*values: float, metric: str = "IoU", settings: MetricCollapse | None = None) -> list[Finding]:
    """Return the findings after epochs that ended with *values*."""
    events = [EpochDone(n, n, metrics={metric: v}) for n, v in enumerate(values, start=1)]
    return findings("metric_collapse", *events, settings=settings or MetricCollapse())


@pytest.mark.parametrize("last", [0.0022, 0.32, 0.0, math.nan])
def test_fires(last: float) -> None:
    """Below half of the best, or no number at all, is a collapse."""
    (finding,) = found(0.5, 0.6413, 0.64, last)
    assert (finding.severity, finding.epoch, finding.offset) == ("critical", 4, 4)
    assert (finding.evidence["best"], finding.evidence["best_epoch"]) == (0.6413, 2)
    assert "0.6413 at epoch 2" in finding.message


def test_resolves() -> None:
    """It is over when the metric is back above half of its best."""
    assert found(0.6, 0.1)
    assert not found(0.6, 0.1, 0.31)


@pytest.mark.parametrize("values", [(0.6, 0.31), (0.09, 0.001), (0.6,), (), (0.2, 0.4, 0.6), (0.6, -1.0)])
def test_look_alikes(values: tuple[float, ...]) -> None:
    """A mere decline, a metric that never was anything, and an epoch that measured nothing stay silent."""
    assert not found(*values)


def test_a_falling_metric_cannot_collapse() -> None:
    """A validation loss that falls by half is good news."""
    assert not found(0.9, 0.3, metric="val_loss")


def test_thresholds() -> None:
    """Share and least best come from the config."""
    assert found(0.6, 0.5, settings=MetricCollapse(share=0.9))
    assert found(0.05, 0.01, settings=MetricCollapse(least_best=0.01))


def test_from_the_log() -> None:
    """Raw bytes: 0.6413 -> 0.0022 is told at epoch 98, and a healthy run is not."""
    assert told(cod_story()[0], "metric_collapse") == [("metric_collapse", "critical", 98, None)]
    log = lines([f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate([0.6, 0.01, 0.6], start=1)])
    assert [word for _, word, _, _ in told(log, "metric_collapse")] == ["critical", "resolved"]
    assert told(lines(["Epoch 1: Loss: 0.2 | IoU: 0.6", "Epoch 2: Loss: 0.3 | IoU: 0.4"]), "metric_collapse") == []
