"""Whether somebody is to be told of an alert now, and why: decisions, not deliveries."""

from __future__ import annotations

from nanwatch.alerts.inhibition import is_inhibited
from nanwatch.model.alert import SEVERITIES, Alert, Reason


def decide(alert: Alert, now: float | None, repeat_interval: float) -> Reason | None:
    """Return why *alert* is to be told at *now* (Unix seconds), or None.

    First when it fires, again when it grew worse, when it ended, and after each *repeat_interval* in seconds
    while it fires. Nobody is told of one that is suppressed; nor that it ended, if nobody had been told that it
    began, or if it was inhibited then: what stood for it speaks for it. One that was acknowledged is quiet until
    it ends, and that is told; so is the end of one that was silenced after it had been told.
    """
    if alert.state == "pending":
        return None
    told = alert.notified
    if alert.state == "resolved":
        was_known = told not in (None, "resolved") or (told is None and alert.acknowledged_at is not None)
        return "resolved" if was_known and not is_inhibited(alert) else None
    if alert.suppressed:
        return None
    if told is None or told == "resolved":
        return "first"
    if SEVERITIES.index(alert.severity) > SEVERITIES.index(told):
        return "escalated"
    if alert.severity == "info" or now is None or alert.notified_at is None:
        return None
    return "repeated" if now - alert.notified_at >= repeat_interval else None


def mark_told(alert: Alert, now: float | None) -> None:
    """Remember that *alert* was told at *now* as it is."""
    alert.notified = "resolved" if alert.state == "resolved" else alert.severity
    alert.notified_at = now


def acknowledge(alert: Alert, now: float) -> None:
    """Keep *alert* quiet until it ends; then its end is told, and what comes after it is a new alert."""
    alert.acknowledged_at = now


def unacknowledge(alert: Alert) -> None:
    """Take an acknowledgement back; what else keeps the alert quiet still does."""
    alert.acknowledged_at = None
    alert.suppressed = tuple(reason for reason in alert.suppressed if reason != "acknowledged")
