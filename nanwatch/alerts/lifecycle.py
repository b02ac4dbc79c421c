"""Turns what holds now into alerts with a life: firing, escalated, resolved."""

from __future__ import annotations

from collections.abc import Iterable

from nanwatch.model.alert import SEVERITIES, Alert, Finding

_HISTORY = 2000


class Alerts:
    """The alerts of one run, oldest first. An alert is known by its rule and the finding's key."""

    def __init__(self, history: list[Alert] | None = None) -> None:
        self.history = history if history is not None else []
        self._firing = {(a.rule, a.key): a for a in self.history if a.state == "firing"}

    def update(self, rule: str, findings: Iterable[Finding], now: float | None) -> list[Alert]:
        """Compare what *rule* finds now with what fires; return the alerts that began, grew worse or ended."""
        changed = []
        found = {(f.rule, f.key): f for f in findings}
        for key, finding in found.items():
            alert = self._firing.get(key)
            if alert is None:
                alert = self._begin(finding, now)
                changed.append(alert)
            elif _renew(alert, finding):
                changed.append(alert)
        gone = [key for key in self._firing if key[0] == rule and key not in found] if self._firing else []
        for key in gone:
            alert = self._firing.pop(key)
            alert.state, alert.resolved_at = "resolved", now
            changed.append(alert)
        return changed

    def _begin(self, finding: Finding, now: float | None) -> Alert:
        alert = Alert(
            finding.rule, finding.key, finding.severity, "firing", finding.message, finding.epoch, finding.batch,
            finding.offset, dict(finding.evidence), now,
        )  # fmt: skip
        self._firing[finding.rule, finding.key] = alert
        self.history.append(alert)
        if len(self.history) > _HISTORY:
            ended = next((i for i, a in enumerate(self.history) if a.state == "resolved"), 0)
            del self.history[ended]
        return alert


def _renew(alert: Alert, finding: Finding) -> bool:
    """Bring the alert's words and numbers up to date; return whether it grew worse."""
    alert.message, alert.evidence = finding.message, dict(finding.evidence)
    worse = SEVERITIES.index(finding.severity) > SEVERITIES.index(alert.severity)
    if worse:
        alert.severity = finding.severity
    return worse
