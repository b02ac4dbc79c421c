"""grad_skip: guards and loss scalers that skip optimizer steps."""

from __future__ import annotations

import pytest

from nanwatch.config import GradSkip
from nanwatch.model.event import BatchDone, EpochStarted, Event, StepSkipped
from tests.support.logs import bars, findings, told


def epoch(*skips: int, kind: str = "guard", batches: int = 5000) -> list[Event]:
    """Return an epoch in which the steps of the batches *skips* are skipped."""
    events: list[Event] = []
    for n in skips:
        events += [BatchDone(n, epoch=1, batch=n, batches=batches, losses={"loss": 0.5}), StepSkipped(n, kind)]
    return events


def test_fires() -> None:
    """One step that a guard skipped is a warning, with its batch."""
    (finding,) = findings("grad_skip", *epoch(32))
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("warning", 1, 32, 32)
    assert finding.message.startswith("1 optimizer step skipped in epoch 1")


@pytest.mark.parametrize(("apart", "severity"), [(100, "critical"), (120, "warning")])
def test_critical_when_dense(apart: int, severity: str) -> None:
    """Ten within a thousand batches are critical."""
    (finding,) = findings("grad_skip", *epoch(*range(apart, 11 * apart, apart)))
    assert finding.severity == severity


def test_a_scaler_may_adjust_itself() -> None:
    """A loss scaler skips a step or two of every run; the third in an epoch is told."""
    assert not findings("grad_skip", *epoch(1, 2, kind="scaler"))
    assert findings("grad_skip", *epoch(1, 2, 3, kind="scaler"))
    assert findings("grad_skip", *epoch(1, kind="scaler"), settings=GradSkip(scaler=1))
    assert findings("grad_skip", *epoch(1, kind="scaler"), StepSkipped(9))


@pytest.mark.parametrize(("apart", "fires"), [(10, True), (49, True), (50, False), (2000, False)])
def test_a_scaler_that_tries_larger_scales(apart: int, fires: bool) -> None:
    """Its skips count only if three stand within a hundred batches; a guard's among them always counts."""
    skips = epoch(*range(apart, 6 * apart, apart), kind="scaler", batches=20_000)
    assert bool(findings("grad_skip", *skips)) is fires
    assert findings("grad_skip", *skips, StepSkipped(9))


def test_resolves() -> None:
    """It is over with its epoch; where there are no epochs, after a hundred steps that were not skipped."""
    assert not findings("grad_skip", *epoch(32), EpochStarted(40, 2))
    run: list[Event] = [BatchDone(1, step=50, losses={"loss": 0.5}), StepSkipped(2)]
    assert findings("grad_skip", *run, BatchDone(3, step=150, losses={"loss": 0.5}))
    assert not findings("grad_skip", *run, BatchDone(3, step=151, losses={"loss": 0.5}))


def test_look_alikes() -> None:
    """Clean batches, and an epoch after one with skips, stay silent."""
    assert not findings("grad_skip")
    assert not findings("grad_skip", BatchDone(1, epoch=1, batch=1, losses={"loss": 0.5}))
    assert not findings("grad_skip", *epoch(32), BatchDone(1, epoch=2, batch=1, losses={"loss": 0.5}))


def test_from_the_log() -> None:
    """Raw bytes: a guard's line warns; lines that merely speak of skipping do not."""
    guard = b"WARNING: Non-finite gradient detected (norm=nan), skipping optimizer step\n"
    log = bars(1, "0.5", "0.4", "0.3") + guard + bars(2, "0.4", "0.3")
    assert told(log, "grad_skip")[0][:3] == ("grad_skip", "warning", 1)
    assert [word for _, word, _, _ in told(log, "grad_skip")] == ["warning", "resolved"]
    quiet = b"skipping 3 corrupt images\nskip connections: on\nskipped 2 rows with NaN values\n" + bars(1, "0.5", "0.4")
    assert told(quiet, "grad_skip") == []


def test_a_scaler_in_the_log() -> None:
    """Raw bytes: one adjustment of the loss scale is normal, a row of them is not."""
    overflow = b"Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0\n"
    assert told(bars(1, "0.5", "0.4") + overflow, "grad_skip") == []
    assert told(bars(1, "0.5", "0.4") + overflow * 3, "grad_skip")[0][:2] == ("grad_skip", "warning")
