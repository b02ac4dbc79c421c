"""Where the time comes from: the core never asks the system, it is given a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time as seconds since the Unix epoch."""

    def now(self) -> float:
        """Return the current time in seconds."""
        ...

    def steady(self) -> float:
        """Return seconds that nobody can set, for intervals: they stand still while the machine is suspended."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the system's time in seconds."""
        return time.time()

    def steady(self) -> float:
        """Return the system's monotonic seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when told to: for tests and replays."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._steady = 0.0

    def now(self) -> float:
        """Return the time that was set."""
        return self._now

    def steady(self) -> float:
        """Return the seconds that have passed."""
        return self._steady

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._now += seconds
        self._steady += seconds

    def step(self, seconds: float) -> None:
        """Set the clock by *seconds*, forward or back, while no time passes."""
        self._now += seconds


_SLEWED_S = 5.0
"""A clock that is gently put right gains or loses less than this between two looks."""


class StepDetector:
    """Notices that the clock was set, or that the machine was suspended: both times, nobody waited so long."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now, self._steady = clock.now(), clock.steady()

    def step(self) -> float:
        """Return by how many seconds the clock was set since this was last asked; 0.0 if it was not."""
        now, steady = self._clock.now(), self._clock.steady()
        step = (now - self._now) - (steady - self._steady)
        self._now, self._steady = now, steady
        return step if abs(step) > _SLEWED_S else 0.0
