"""Alerts as version 2 of Alertmanager's API takes them: labels, annotations, when they start and when they end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nanwatch.model.alert import SEVERITIES
from nanwatch.model.news import AlertFacts, Message, News

_LIFE = 15 * 60.0
"""Seconds that an alert is told to last: it ends by itself when nobody says any more that it fires."""
_BRIEF = 2 * 60.0
"""Seconds that an alert still lasts that has ended before anybody was told: people hear of it all the same."""
_LONGEST = 1000


def posted_alerts(message: Message, now: float) -> list[dict[str, Any]]:
    """Return the alerts of *message* as JSON at the Unix time *now*, each set of labels once.

    Where one alert has ended and another one with its labels has not, it has not.
    """
    if message.kind == "test":
        return [_test(message, now).as_json()]
    by_labels: dict[tuple[str, ...], _Posted] = {}
    for news in message.news:
        for posted in _posted(news, message.host, now):
            labels = tuple(posted.labels.values())
            by_labels[labels] = max(by_labels.get(labels, posted), posted, key=lambda p: (p.ends, p.starts))
    return [posted.as_json() for posted in by_labels.values()]


@dataclass(frozen=True, slots=True)
class _Posted:
    """An alert as it is posted; two with the same labels are one alert for an Alertmanager."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    ends: float

    def as_json(self) -> dict[str, Any]:
        """Return the object that the API takes."""
        return {
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": _iso(self.starts),
            "endsAt": _iso(self.ends),
        }


def _test(message: Message, now: float) -> _Posted:
    labels = {"alertname": "NanwatchTest", "severity": message.severity, "host": message.host}
    return _Posted(labels, {"summary": message.title, "description": message.body}, now, now + _BRIEF)


def _posted(news: News, host: str, now: float) -> Iterator[_Posted]:
    alert = news.alert
    starts = _moment(alert.started_at, _moment(alert.noticed_at, now, now), now)
    labels, annotations = _labels(news, host), _annotations(news)
    yield _Posted(labels, annotations, starts, max(starts, _ends(news, now)))
    if "escalated" in news.reasons and (former := _former_severity(alert)):
        yield _Posted(labels | {"severity": former}, annotations, starts, max(starts, now))


def _ends(news: News, now: float) -> float:
    if not news.is_over:
        return now + _LIFE
    if "first" in news.reasons:
        return now + _BRIEF
    return _moment(news.alert.resolved_at, now, now)


def _moment(at: float | None, otherwise: float, now: float) -> float:
    """Return *at*, or *otherwise* where it is not known or not a time before *now*: clocks of logs may be wrong."""
    return at if at is not None and 0 <= at <= now else otherwise


def _former_severity(alert: AlertFacts) -> str | None:
    """Return the severity that the alert had until it escalated: a label that changes makes another alert."""
    lower = SEVERITIES[: SEVERITIES.index(alert.severity)]
    return alert.told if alert.told in lower else next(reversed(lower), None)


def _labels(news: News, host: str) -> dict[str, str]:
    """Return what tells one alert from another and stays the same for all of its life."""
    return {
        "alertname": _camel_case(news.alert.rule),
        "rule": _inert(news.alert.rule),
        "severity": news.alert.severity,
        "run": _inert(news.run.id),
        "log": _inert(news.run.log),
        "host": _inert(host),
        "tags": ",".join(map(_inert, news.alert.tags)),
    }


def _annotations(news: News) -> dict[str, str]:
    alert = news.alert
    facts = {
        "id": alert.id,
        "log_line": alert.line,
        "log_offset": alert.offset,
        "epoch": alert.epoch,
        "batch": alert.batch,
        "last_clean_epoch": news.run.last_clean_epoch,
        "last_clean_checkpoint": (news.run.weights.last_clean if news.run.weights is not None else "") or None,
    }
    told = {"summary": _inert(alert.message), "description": _description(news)}
    return told | {name: _inert(str(value)) for name, value in facts.items() if value is not None}


def _description(news: News) -> str:
    alert, run = news.alert, news.run
    evidence = ", ".join(f"{name} {_number(value)}" for name, value in alert.evidence.items() if value is not None)
    lines = [
        ", ".join(f"{what} {n}" for what, n in (("epoch", alert.epoch), ("batch", alert.batch)) if n is not None),
        f"evidence: {evidence}" if evidence else "",
        "" if run.last_clean_epoch is None else f"last clean epoch: {run.last_clean_epoch}",
    ]
    return "\n".join(_inert(line) for line in lines if line)


def _number(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _camel_case(rule: str) -> str:
    return "Nanwatch" + "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", rule))


def _inert(text: str) -> str:
    """Return *text* without control characters and halves of characters, as long as anybody needs it."""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
