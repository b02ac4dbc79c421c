"""Messages of news, for tests of their words."""

from __future__ import annotations

from typing import Any

from nanwatch.model.news import Message, News
from nanwatch.notify import render
from tests.notify.making import NOON, news

HOST = "gpu-a3"


def compose(*items: News, now: float = NOON + 60) -> Message:
    """Return the message that tells of *items*."""
    return render.compose(items, key="k", host=HOST, now=now)


def over(rule: str = "stall", seconds: float = 720, **changes: Any) -> News:
    """Return that an alert ended *seconds* after it began."""
    fields: dict[str, Any] = {"reasons": ("resolved",), "started_at": NOON - seconds, "resolved_at": NOON}
    return news(rule, state="resolved", **(fields | changes))
