"""News in words: the message that somebody reads on a phone, in a chat or as an e-mail."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.model.alert import SEVERITIES
from nanwatch.model.news import Message, News
from nanwatch.notify.amounts import moment
from nanwatch.notify.body import body
from nanwatch.notify.inert import inert
from nanwatch.notify.layout import join, wrap
from nanwatch.notify.names import short_name
from nanwatch.notify.phrases import began_and_ended
from nanwatch.notify.title import fit, title
from nanwatch.notify.wording import weight_of

__all__ = ["compose", "short_name", "test_message"]


def compose(news: Sequence[News], *, key: str, host: str, now: float) -> Message:
    """Return the message that tells of *news* at *now* (Unix seconds), the worst first.

    What began and ended before anybody was told is as urgent as if it still fired.
    """
    ordered = sorted(news, key=_urgency)
    pressing = [item.alert.severity for item in ordered if not _is_settled(item)]
    told = pressing or [item.alert.severity for item in ordered]
    return Message(
        key=key,
        kind="firing" if pressing else "resolved",
        severity=max(told, key=SEVERITIES.index, default="info"),
        title=inert(title(ordered, host)),
        body=body(ordered, host, now),
        host=host,
        created_at=now,
        news=tuple(news),
    )


def test_message(receiver: str, host: str, now: float, key: str) -> Message:
    """Return a message that tells nothing but that *receiver* can be reached from *host*."""
    lines = wrap(f"This is a test of the receiver {receiver}, sent by nanwatch on {host}. Nothing to do.")
    return Message(
        key=key,
        kind="test",
        severity="info",
        title=inert(fit("TEST of receiver", receiver, host)),
        body=join([*lines, f"Sent   {moment(now)}"]),
        host=host,
        created_at=now,
    )


def _is_settled(item: News) -> bool:
    """Tell whether an alert is over of which people have been told before."""
    return item.is_over and not began_and_ended(item)


def _urgency(item: News) -> tuple[bool, int, bool, int, float]:
    """Return what sorts the most urgent first: what is to be known, the severe, what fires, the weighty, the oldest."""
    alert = item.alert
    severity = -SEVERITIES.index(alert.severity)
    return _is_settled(item), severity, item.is_over, weight_of(alert.rule), alert.noticed_at
