"""Alerts for tests of what becomes of them."""

from __future__ import annotations

from typing import Any

from nanwatch.model.alert import Alert, Severity


def alert(rule: str = "nan_loss", severity: Severity = "warning", key: str = "", **changes: Any) -> Alert:
    """Return an alert that fires; keyword arguments are further fields."""
    made = Alert("0a1b", rule, key, severity, "firing", "m", 4, 32, 1000, 17, {}, 100.0)
    for name, value in changes.items():
        setattr(made, name, value)
    return made
