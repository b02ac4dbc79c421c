"""Findings, and alerts: findings with a life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
State = Literal["pending", "firing", "resolved"]
Evidence = Mapping[str, float | int | str | None]
Reason = Literal["first", "escalated", "resolved", "repeated"]
"""Why somebody is told of an alert."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule holds now. `key` tells apart findings of one rule that live side by side (one an epoch)."""

    rule: str
    severity: Severity
    message: str
    key: str = ""
    epoch: int | None = None
    batch: int | None = None
    offset: int | None = None
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in a run: Unix seconds (None where no clock tells), the epoch, and the batches since the run began."""

    time: float | None = None
    epoch: int = 0
    position: int = 0


@dataclass(slots=True)
class Alert:
    """A finding with a life: pending until it has held, then firing until its finding is gone, then resolved.

    `id` is the same whenever the same log is read. `started_at` and `resolved_at` are Unix seconds, None where
    neither a clock nor the log tells them. `since` is when the finding began to hold, `cleared` when it was last
    gone while the alert still fires. `suppressed` are the reasons why nobody is told of it now; `notified` is the
    severity that was last told (None: nobody was told yet), `notified_at` when.
    """

    id: str
    rule: str
    key: str
    severity: Severity
    state: State
    message: str
    epoch: int | None
    batch: int | None
    offset: int | None
    line: int | None
    evidence: dict[str, float | int | str | None]
    started_at: float | None
    resolved_at: float | None = None
    since: Mark = Mark()
    cleared: Mark | None = None
    suppressed: tuple[str, ...] = ()
    acknowledged_at: float | None = None
    notified: Severity | Literal["resolved"] | None = None
    notified_at: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of alerts that match, from `starts_at` until `ends_at` (Unix seconds; None: no end).

    `rule` and `run` are shell patterns over the rule's name and the run's id; `severity` is the highest that is
    kept quiet.
    """

    rule: str = "*"
    run: str = "*"
    severity: Severity = "critical"
    starts_at: float | None = None
    ends_at: float | None = None
    comment: str = ""
