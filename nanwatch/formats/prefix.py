"""What a logging library puts before a message: a time, a level, a logger's name."""

from __future__ import annotations

import re
from datetime import datetime

_TIME = re.compile(
    r"^\s*[\[(]?(?:(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|\d\d/\d\d(?:/\d{4})? \d\d:\d\d:\d\d[^\]\s]*(?: [\w.]+(?=\]))?"
    r"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d(?:[.,]\d+)?)"
    r"[\])]?[:,]?\s*(?:[-|]\s+)?"
)
_LEVEL = re.compile(r"^[^{}]{0,60}?\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\b[\])]?(?:[\s|:>\-]+|$)")
_LEVEL_FIRST = re.compile(r"^(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]+:\s*")
_PLACE = re.compile(r"^(?:[\w.<>]+:[\w.<>]+:\d+|[\w./]+\.py:\d+\]?|[\w.]+)\s+(?:[-|]|\])\s+")


def split_prefix(text: str) -> tuple[float | None, str]:
    """Return the time that a log line bears (Unix seconds, or None) and its message.

    A time without a zone is this machine's local time.
    """
    match = _TIME.match(text)
    if match is None:
        return None, _LEVEL_FIRST.sub("", text, count=1)
    rest = text[match.end() :]
    level = _LEVEL.match(rest)
    if level:
        rest = rest[level.end() :]
        rest = _PLACE.sub("", rest, count=1) if not re.match(r"(?:train|valid|test)\b", rest) else rest
    return _timestamp(match["iso"]), rest


def _timestamp(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.replace(",", ".")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
