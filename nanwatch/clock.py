"""Where the time comes from: the core never asks the system, it is given a clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time as seconds since the Unix epoch."""

    def now(self) -> float:
        """Return the current time in seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the system's time in seconds."""
        return time.time()


class ManualClock:
    """A clock that moves only when told to: for tests and replays."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def now(self) -> float:
        """Return the time that was set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by *seconds*."""
        self._now += seconds
