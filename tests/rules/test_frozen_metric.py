"""frozen_metric: validation gives the same to the last digit, again and again."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import FrozenMetric
from nanwatch.model.alert import Finding
from nanwatch.model.event import BatchDone, EpochDone, EpochStarted, Event, RunFinished
from tests.support.logs import findings, lines, told

FOUR = {"P": 0.612, "R": 0.521, "mAP50": 0.604, "mAP50-95": 0.351}


def found(*measured: dict[str, float], settings: FrozenMetric | None = None) -> list[Finding]:
    """Return what the rule finds after epochs whose lines told so much."""
    events = [EpochDone(n, n, losses={"loss": 1 / n}, metrics=m) for n, m in enumerate(measured, start=1)]
    return findings("frozen_metric", *events, settings=settings)


def of_bars(*values: float) -> list[Finding]:
    """Return what the rule finds after epochs whose bars, and nothing else, showed these values."""
    events: list[Event] = []
    for epoch, value in enumerate(values, start=1):
        shown = {} if math.isnan(value) else {"val_map": value}
        events += [
            BatchDone(epoch, epoch=epoch, batch=b, batches=2, losses={"loss": 1.0}, metrics=shown, bar=True)
            for b in (1, 2)
        ]
    return findings("frozen_metric", *events, EpochStarted(99, len(values) + 1))


def test_fires() -> None:
    """At the third time, with the epoch in which that began."""
    assert not found({"IoU": 0.3}, FOUR, FOUR)
    (finding,) = found({"IoU": 0.3}, FOUR, FOUR, FOUR)
    assert (finding.severity, finding.epoch, finding.offset, finding.key) == ("warning", 4, 4, "since 2")
    assert finding.message == (
        "validation is the same to the last digit 3 times in a row, since epoch 2: P 0.612, R 0.521, mAP50 0.604"
    )
    assert finding.evidence == {"since_epoch": 2, "epochs": 3, **FOUR}


def test_fires_while_the_training_moves() -> None:
    """A metric whose name is also a validation's is the training's."""
    epochs = [{"accuracy": 0.1 * n, "train_f1": 0.1 * n, "val_accuracy": 0.8123, "val_loss": 0.4123} for n in (1, 2, 3)]
    assert found(*epochs)[0].message.endswith("since epoch 1: val_accuracy 0.8123, val_loss 0.4123")


def test_fires_from_the_first_epoch_on() -> None:
    """Weights that never move are as dead."""
    assert found(FOUR, FOUR, FOUR)


@pytest.mark.parametrize(("value", "epochs"), [(0.6413, 6), (0.641312, 3), (64.13, 6), (27.4131, 3)])
def test_fires_by_digits(value: float, epochs: int) -> None:
    """Where few digits are printed, twice as many epochs must be the same."""
    same = [{"IoU": value}] * epochs
    assert not found({"IoU": 0.3}, *same[1:])
    assert found({"IoU": 0.3}, *same)


def test_fires_where_bars_had_shown_something_else_each_time() -> None:
    """A bar's own history tells that it is measured in each epoch."""
    assert not of_bars(0.312345, 0.312346, 0.312347, 0.312347)
    assert of_bars(0.312345, 0.312346, 0.312347, 0.312347, 0.312347)


def test_resolves() -> None:
    """When one of them moves by a digit."""
    assert found(FOUR, FOUR, FOUR)
    assert not found(FOUR, FOUR, FOUR, {**FOUR, "R": 0.522})


ZERO = dict.fromkeys(FOUR, 0.0)


@pytest.mark.parametrize(
    "measured",
    [
        [],
        [ZERO] * 9,
        [dict.fromkeys(FOUR, 1.0)] * 9,
        [dict.fromkeys(FOUR, -1.0)] * 9,
        [dict.fromkeys(FOUR, math.nan)] * 9,
        [{"accuracy": 99.9}, *[{"accuracy": 100.0}] * 5],
        [{**FOUR, "val_loss": 0.3 + n} for n in range(9)],
        [{"train_acc": 0.811234, "beta": 0.512345}] * 9,
        [{}] * 9,
        [{"acc": 0.7}] + [{"acc": 0.9333}] * 4 + [{"acc": 0.9667}] * 8,
    ],
)
def test_look_alikes(measured: list[dict[str, float]]) -> None:
    """Metrics at their end, losses that move, settings, and a small validation set that repeats itself."""
    assert not found(*measured)


def test_look_alikes_in_bars() -> None:
    """Until the next validation a bar shows the last one on."""
    none = [math.nan] * 4
    assert not of_bars(*none, *[0.312345] * 5)
    assert not of_bars(*none, *[0.312345] * 5, *[0.412345] * 5, *[0.512345] * 10)
    assert of_bars(*none, *[0.312345] * 5, *[0.412345] * 5, *[0.512345] * 11)


def test_thresholds() -> None:
    """How many epochs, and how many digits, comes from the config."""
    assert found(FOUR, FOUR, settings=FrozenMetric(epochs=2))
    assert not found(FOUR, settings=FrozenMetric(epochs=1))
    assert found(*[{"IoU": 0.6413}] * 3, settings=FrozenMetric(digits=4))


def test_the_end_changes_nothing() -> None:
    """A run that finished with frozen metrics is no better for it."""
    events = [EpochDone(n, n, metrics=FOUR) for n in (1, 2, 3)]
    assert findings("frozen_metric", *events, RunFinished(9))


def test_from_the_log() -> None:
    """Raw bytes: told at the sixth epoch, over with the first one that differs."""
    values = [0.6411, *[0.6413] * 6, 0.6414]
    log = lines([f"Epoch {n}: Loss: 0.2 | IoU: {v:.4f} | LR: 0.0001" for n, v in enumerate(values, start=1)])
    assert told(log, "frozen_metric") == [("frozen_metric", "warning", 7, None), ("frozen_metric", "resolved", 7, None)]
