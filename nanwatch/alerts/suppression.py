"""Whom nobody is told of, and why: silences, acknowledgements, inhibition. It is a flag, never a state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from nanwatch.alerts.inhibition import inhibitors
from nanwatch.model.alert import SEVERITIES, Alert, Severity, Silence


class Silenceable(Protocol):
    """What a silence asks of an alert."""

    @property
    def rule(self) -> str:
        """The rule's name."""
        ...

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        ...


def is_silenced(alert: Silenceable, run: str, silence: Silence, now: float | None) -> bool:
    """Tell whether *silence* holds at *now* and matches *alert* of the run with this id.

    Where no clock tells the time, a silence holds only if it has no beginning and no end.
    """
    if now is None:
        holds = silence.starts_at is None and silence.ends_at is None
    else:
        holds = (silence.starts_at is None or silence.starts_at <= now) and (
            silence.ends_at is None or now < silence.ends_at
        )
    return (
        holds
        and fnmatchcase(alert.rule, silence.rule)
        and fnmatchcase(run, silence.run)
        and SEVERITIES.index(alert.severity) <= SEVERITIES.index(silence.severity)
    )


def reasons(
    alert: Alert, run: str, firing: Iterable[Alert], silences: Sequence[Silence], now: float | None
) -> tuple[str, ...]:
    """Return why nobody is told of *alert* now, each reason once, or nothing."""
    found = [f"silenced: {s.comment}" if s.comment else "silenced" for s in silences if is_silenced(alert, run, s, now)]
    if alert.acknowledged_at is not None and alert.state == "firing":
        found.append("acknowledged")
    return tuple(dict.fromkeys((*found, *inhibitors(alert, firing))))


def suppress(alerts: Iterable[Alert], run: str, silences: Sequence[Silence], now: float | None) -> None:
    """Write the reasons into every one of *alerts* that fires."""
    firing = [a for a in alerts if a.state == "firing"]
    for alert in firing:
        alert.suppressed = reasons(alert, run, firing, silences, now)
