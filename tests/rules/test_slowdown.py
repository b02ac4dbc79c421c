"""slowdown: batches take more than twice as long as they usually do."""

from __future__ import annotations

import pytest

from nanwatch.config import Slowdown
from nanwatch.model.alert import Finding
from nanwatch.model.event import RunFinished
from nanwatch.model.run import Run, Stretch
from nanwatch.rules.slowdown import Rule
from tests.support.logs import fold, told

USUAL = [(100, 0.2)] * 5


def found(*paces: tuple[int, float], settings: Slowdown | None = None, epoch: int | None = 3) -> list[Finding]:
    """Return what the rule finds where stretches of so many batches took so many seconds a batch."""
    run, at = Run("x", "x"), 0
    for count, seconds in paces:
        at += count
        run.stretches.append(Stretch(count, seconds, epoch, at, 1000 + at))
    return list(Rule(settings or Slowdown()).evaluate(run, None))


def test_fires() -> None:
    """At the second slow stretch, with where that began."""
    assert not found(*USUAL, (300, 0.6))
    (finding,) = found(*USUAL, (300, 0.6), (100, 1.0))
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("warning", 3, 800, 1800)
    assert finding.message == "5 -> 1.43 batches/s for 400 batches, up to batch 900 of epoch 3"
    assert finding.evidence == {"usual_rate": 5.0, "rate": 1.4286, "batches": 400}


def test_fires_in_one_unit() -> None:
    """What takes longer than a second is told in seconds, before and after."""
    assert "2 -> 6 s a batch" in found(*[(100, 2.0)] * 5, (100, 6.0), (100, 6.0))[0].message
    assert "1.25 -> 0.333 batches/s" in found(*[(100, 0.8)] * 5, (100, 3.0), (100, 3.0))[0].message
    assert "up to step 700" in found(*USUAL, (100, 1.0), (100, 1.0), epoch=None)[0].message


def test_resolves() -> None:
    """With one stretch as fast as before, and when the slower speed has become the usual one."""
    assert not found(*USUAL, (300, 0.6), (300, 0.6), (10, 0.3))
    assert not found(*USUAL, *[(300, 0.6)] * 6)


@pytest.mark.parametrize(
    "paces",
    [
        [],
        [(300, 0.6)] * 5,
        [(100, 0.2)] * 4 + [(300, 0.6)] * 2,
        [*USUAL, (100, 0.6), (99, 0.6)],
        [*USUAL, (300, 0.4), (300, 0.4)],
        [(300, 2.0), *USUAL],
        [*USUAL, (300, 9.0), (100, 0.2), (300, 9.0)],
        [*USUAL, (300, 0.01), (300, 0.01)],
    ],
)
def test_look_alikes(paces: list[tuple[int, float]]) -> None:
    """Too little known, too few batches, half as fast only, a slow first epoch, single slow stretches, more speed."""
    assert not found(*paces)


def test_look_alikes_at_the_end() -> None:
    """A run that has ended is no longer slow."""
    run = fold(RunFinished(1)).current
    run.stretches = [Stretch(n, s, 3, 1, 1) for n, s in [*USUAL, (300, 0.6), (300, 0.6)]]
    assert not list(Rule(Slowdown()).evaluate(run, None))


def test_thresholds() -> None:
    """The share of the usual speed and the number of batches come from the config."""
    assert found(*USUAL, (100, 0.3), (100, 0.3), settings=Slowdown(share=0.8))
    assert not found(*USUAL, (300, 0.6), (300, 0.6), settings=Slowdown(batches=601))


def test_from_the_log() -> None:
    """Epochs of a bar tell their time; the second slow one is told when it is over, and the next fast one ends it."""
    clocks = ["01:00"] * 5 + ["02:30"] * 2 + ["01:00"] * 2
    log = "".join(
        f"\rEpoch {n}/9: 100%|##########| 300/300 [{clock}<00:00,  1.00it/s, loss=0.5]\n"
        for n, clock in enumerate(clocks, start=1)
    )
    assert told(log.encode(), "slowdown") == [("slowdown", "warning", 6, 300), ("slowdown", "resolved", 6, 300)]
