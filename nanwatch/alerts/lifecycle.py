"""Turns what holds now into alerts with a life: pending, firing, escalated, resolved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b

from nanwatch.config import Hold, Life
from nanwatch.model.alert import SEVERITIES, Alert, Finding, Mark, Severity

_HISTORY = 2000
_AT_ONCE = Life()


class Alerts:
    """The alerts of one run, oldest first. An alert is known by its rule and the finding's key.

    A finding that must hold for a while is pending until it has; one that is gone may keep its alert firing for
    a while. `number` tells the runs of one log apart; alerts bear the same ids whenever the log is read again.
    """

    def __init__(self, history: list[Alert] | None = None, number: int = 1) -> None:
        self._all = history if history is not None else []
        self._number = number
        self._open = {(a.rule, a.key): a for a in self._all if a.state != "resolved"}

    @property
    def state(self) -> list[Alert]:
        """Everything to be remembered, oldest first: pending alerts too."""
        return self._all

    @property
    def history(self) -> list[Alert]:
        """The alerts that fire or have fired, oldest first."""
        return [a for a in self._all if a.state != "pending"]

    @property
    def firing(self) -> list[Alert]:
        """The alerts that fire now, oldest first."""
        return [a for a in self._open.values() if a.state == "firing"]

    @property
    def pending(self) -> list[Alert]:
        """The alerts that wait until they have held for long enough."""
        return [a for a in self._open.values() if a.state == "pending"]

    @property
    def waiting(self) -> list[Alert]:
        """The alerts to be looked at as time goes by: pending ones, and those that fire though they are gone."""
        return [a for a in self._open.values() if a.state == "pending" or a.cleared is not None]

    def update(
        self,
        rule: str,
        findings: Iterable[Finding],
        now: Mark,
        life: Life = _AT_ONCE,
        line_of: Callable[[int], int | None] = lambda _: None,
    ) -> list[Alert]:
        """Compare what *rule* finds at *now* with what is known; return the alerts that began, grew worse or ended.

        *line_of* tells the line number of an offset that a finding names.
        """
        changed = []
        found = {f.key: f for f in findings}
        for key, finding in found.items():
            severity = life.severity or finding.severity
            alert = self._open.get((rule, key))
            if alert is None:
                alert = self._begin(finding, now, line_of)
            worse = _renew(alert, finding, severity)
            if alert.state == "pending":
                if _has_lasted(alert.since, now, life.hold):
                    alert.state, alert.started_at = "firing", now.time
                    changed.append(alert)
            elif worse:
                changed.append(alert)
        if self._open:
            changed += self._clear(rule, found, now, life)
        return changed

    def close(self, now: Mark) -> list[Alert]:
        """End what is open at *now*, since another run has begun; return the alerts that ended. News stays."""
        ended = []
        for alert in [a for a in self._open.values() if a.severity != SEVERITIES[0] or a.state == "pending"]:
            del self._open[alert.rule, alert.key]
            if alert.state == "pending":
                self._all.remove(alert)
            else:
                alert.state, alert.resolved_at, alert.cleared = "resolved", now.time, None
                ended.append(alert)
        return ended

    def forget(self, rules: Collection[str]) -> None:
        """End what was open of a rule that is none of *rules* any more: nobody will ask it again."""
        for alert in [a for a in self._open.values() if a.rule not in rules]:
            del self._open[alert.rule, alert.key]
            if alert.state == "pending":
                self._all.remove(alert)
            else:
                alert.state, alert.cleared = "resolved", None

    def shift_time(self, seconds: float) -> None:
        """Move the times by which open alerts wait: the clock was set by so many *seconds*."""
        for alert in self._open.values():
            alert.since = _shifted(alert.since, seconds)
            if alert.cleared is not None:
                alert.cleared = _shifted(alert.cleared, seconds)
            if alert.notified_at is not None:
                alert.notified_at += seconds

    def _clear(self, rule: str, found: Mapping[str, Finding], now: Mark, life: Life) -> list[Alert]:
        ended = []
        for alert in [a for a in self._open.values() if a.rule == rule and a.key not in found]:
            if alert.state == "pending":  # it was never news
                del self._open[rule, alert.key]
                self._all.remove(alert)
                continue
            alert.cleared = alert.cleared or now
            if _has_lasted(alert.cleared, now, life.keep):
                del self._open[rule, alert.key]
                alert.state, alert.resolved_at = "resolved", now.time
                ended.append(alert)
        return ended

    def _begin(self, finding: Finding, now: Mark, line_of: Callable[[int], int | None]) -> Alert:
        again = sum(a.rule == finding.rule and a.key == finding.key and a.offset == finding.offset for a in self._all)
        place = f"{self._number} {finding.rule} {finding.key} {finding.offset} {again}"
        line = None if finding.offset is None else line_of(finding.offset)
        alert = Alert(
            blake2b(place.encode(), digest_size=6).hexdigest(), finding.rule, finding.key, SEVERITIES[0], "pending",
            finding.message, finding.epoch, finding.batch, finding.offset, line, {}, None, since=now,
        )  # fmt: skip
        self._open[finding.rule, finding.key] = alert
        self._all.append(alert)
        if len(self._all) > _HISTORY:
            over = next((i for i, a in enumerate(self._all) if a.state == "resolved"), None)
            if over is None:  # so many that fire are told apart by nobody
                self._open.pop((self._all[0].rule, self._all[0].key))
            del self._all[over or 0]
        return alert


def _renew(alert: Alert, finding: Finding, severity: Severity) -> bool:
    """Bring the alert's words and numbers up to date; return whether it grew worse."""
    alert.message, alert.evidence, alert.cleared = finding.message, dict(finding.evidence), None
    worse = SEVERITIES.index(severity) > SEVERITIES.index(alert.severity)
    if worse:
        alert.severity = severity
    return worse


def _shifted(mark: Mark, seconds: float) -> Mark:
    return mark if mark.time is None else replace(mark, time=mark.time + seconds)


def _has_lasted(since: Mark, now: Mark, hold: Hold) -> bool:
    """Tell whether *hold* has passed since then; where no clock tells the time, a time has always passed."""
    match hold.unit:
        case "epochs":
            return now.epoch - since.epoch >= hold.amount
        case "batches":
            return now.position - since.position >= hold.amount
        case "seconds":
            return since.time is None or now.time is None or now.time - since.time >= hold.amount
