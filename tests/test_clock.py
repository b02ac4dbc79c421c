"""Clocks: the time that can be set, and the seconds that nobody can set."""

from __future__ import annotations

import pytest

from nanwatch.clock import ManualClock, StepDetector, SystemClock


def test_the_systems_clock_goes_forward() -> None:
    """Both of its times do."""
    clock = SystemClock()
    first, then = clock.steady(), clock.now()
    assert clock.steady() >= first
    assert clock.now() >= then - 1.0


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 6.0, -6.0])
def test_a_clock_that_is_set_is_noticed_once(seconds: float) -> None:
    """By how much is told, whatever time passed meanwhile."""
    clock = ManualClock(1000.0)
    steps = StepDetector(clock)
    clock.advance(50.0)
    assert steps.step() == 0.0
    clock.advance(1.0)
    clock.step(seconds)
    assert steps.step() == pytest.approx(seconds)
    assert steps.step() == 0.0


def test_a_clock_that_is_put_right_gently_is_not() -> None:
    """Seconds that come or go little by little are no step."""
    clock = ManualClock(1000.0)
    steps = StepDetector(clock)
    for _ in range(100):
        clock.advance(1.0)
        clock.step(0.5)
        assert steps.step() == 0.0
