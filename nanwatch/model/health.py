"""How the daemon itself fares: what it follows, how far behind it is, and what became of its deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Health:
    """The daemon as it was at `seen_at`. Times are Unix seconds.

    `followed` counts logs, `bytes_behind` what they hold that was not read yet, `bytes_read` and `frames` what was
    read since the start. `wake` is how it learns of growth (`native`, `polling`), `problems` what cannot be read,
    `degraded` what it does without (empty: nothing). `stopped_at` is when it was stopped on purpose.
    """

    pid: int
    host: str
    version: str
    started_at: float
    seen_at: float
    config: str = ""
    followed: int = 0
    bytes_behind: int = 0
    bytes_read: int = 0
    frames: int = 0
    wake: str = ""
    problems: tuple[str, ...] = ()
    degraded: str = ""
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True)
class DestinationHealth:
    """What became of the messages to one destination: counts, and the last delivery that worked or failed.

    `waiting` counts alerts that it has still to be told of, `next_at` is when the next attempt is due.
    """

    name: str
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    waiting: int = 0
    last_sent_at: float | None = None
    last_failed_at: float | None = None
    last_reason: str = ""
    next_at: float | None = None


HEALTH_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Health, DestinationHealth)}
"""The types above by name, for the state codec."""
