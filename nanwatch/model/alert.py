"""Findings, and alerts: findings with a life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
Evidence = Mapping[str, float | int | str | None]


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


@dataclass(slots=True)
class Alert:
    """A finding with a life: firing until its finding is gone, then resolved. Times are Unix seconds."""

    rule: str
    key: str
    severity: Severity
    state: Literal["firing", "resolved"]
    message: str
    epoch: int | None
    batch: int | None
    offset: int | None
    evidence: dict[str, float | int | str | None]
    started_at: float | None
    resolved_at: float | None = None
