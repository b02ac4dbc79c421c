"""nan_burst: three within a hundred, or twenty in a row."""

from __future__ import annotations

import math

import pytest

from nanwatch.config import NanBurst
from nanwatch.model.event import BatchDone, EpochStarted, Event
from tests.support.logs import bars, findings, lines, told


def epoch(number: int, nan: set[int], batches: int = 400, upto: int | None = None) -> list[Event]:
    """Return the batches of an epoch, those in *nan* with a NaN loss."""
    return [
        BatchDone(b, epoch=number, batch=b, batches=batches, losses={"loss": math.nan if b in nan else 0.5})
        for b in range(1, (upto or batches) + 1)
    ]


@pytest.mark.parametrize("nan", [{10, 11, 12}, {10, 60, 109}, {1, 200, 250, 299}, set(range(300, 320))])
def test_fires(nan: set[int]) -> None:
    """Three non-finite batches within a hundred are a burst, wherever they stand."""
    (finding,) = findings("nan_burst", *epoch(3, nan))
    assert (finding.severity, finding.epoch, finding.key) == ("critical", 3, "epoch 3")
    assert finding.evidence["nan_batches"] == len(nan)
    assert finding.evidence["onset_batch"] == finding.offset == min(nan)


@pytest.mark.parametrize("nan", [set(), {10}, {10, 11}, {10, 60, 110}, {1, 101, 201, 301}])
def test_look_alikes(nan: set[int]) -> None:
    """Two, or many that stand apart, are no burst."""
    assert not findings("nan_burst", *epoch(3, nan))


def test_resolves() -> None:
    """It is over with its epoch."""
    assert findings("nan_burst", *epoch(1, {1, 2, 3}))
    assert not findings("nan_burst", *epoch(1, {1, 2, 3}), EpochStarted(1, 2))


def test_a_running_mean_that_stays_nan() -> None:
    """Twenty batches without a finite one are a burst even where three within a hundred are not asked for."""
    settings = NanBurst(within=1)
    assert not findings("nan_burst", *epoch(1, set(range(10, 29))), settings=settings)
    assert findings("nan_burst", *epoch(1, set(range(10, 30))), settings=settings)


@pytest.mark.parametrize(
    ("batches", "nan", "fires"),
    [(1, {7}, True), (2, {7, 106}, True), (2, {7, 107}, False), (3, {7, 8}, False), (5, {1, 30, 60, 90, 100}, True),
     (5, {1, 30, 60, 90, 101}, False), (5, {1, 2, 3, 4}, False), (0, {7}, True), (0, set(), False)],
)  # fmt: skip
def test_the_number_of_batches(batches: int, nan: set[int], fires: bool) -> None:
    """How many within how many is the config's to say."""
    assert bool(findings("nan_burst", *epoch(1, nan), settings=NanBurst(batches=batches))) is fires


def test_the_projection() -> None:
    """It says how many there will be by the end of the epoch if it goes on like this."""
    (finding,) = findings("nan_burst", *epoch(4, {10, 20, 30, 40}, batches=1000, upto=100))
    assert finding.evidence["projected"] == 40
    assert "about 40 by its end" in finding.message


def test_from_the_log() -> None:
    """Raw bytes: critical at the third NaN batch, resolved with the epoch; two stay silent."""
    log = bars(1, "0.5", "nan", "0.4", "nan", "nan", "0.4") + bars(2, "0.4", "nan", "nan")
    assert told(log, "nan_burst") == [("nan_burst", "critical", 1, 5), ("nan_burst", "resolved", 1, 5)]


def test_a_line_an_epoch() -> None:
    """Where an epoch is told by one line, three in a row without a finite loss are a burst; two are not."""
    log = lines([f"Epoch {n}: Loss: {'nan' if n > 1 else 0.5} | IoU: 0.5" for n in range(1, 5)])
    assert told(log, "nan_burst") == [("nan_burst", "critical", 2, 1)]
    assert told(log[: log.rindex(b"Epoch 4")], "nan_burst") == []
