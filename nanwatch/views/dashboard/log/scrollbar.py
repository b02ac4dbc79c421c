"""The log's scrollbar: one column, proportional to bytes, that also shows where NaN, alerts, hits and marks are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment

from nanwatch.views.dashboard.log.paint import Signs, StyleOf, trouble_sign
from nanwatch.views.dashboard.log.search import Scan


class Seen(NamedTuple):
    """The bytes that are seen, of `size`."""

    low: int
    high: int
    size: int


class Marks(NamedTuple):
    """What is marked beside the log: offsets in their order."""

    alerts: Sequence[tuple[int, str]]
    bookmarks: Sequence[int]
    hits: Scan | None
    trouble: Scan | None


def paint_bar(y: int, height: int, seen: Seen, marks: Marks, signs: Signs, style_of: StyleOf) -> Segment:
    """Return the cell *y* of the bar: the worst sign of its bytes, on the thumb or the track."""
    low, high = seen.size * y // height, seen.size * (y + 1) // height
    is_thumb = seen.size > 0 and seen.low < max(high, low + 1) and seen.high > low
    sign, role = _mark(low, max(high, low + 1), marks, signs)
    style = style_of("text") + style_of(role or "muted")
    if not sign:
        return Segment(signs.thumb if is_thumb else signs.track, style)
    return Segment(sign, style + style_of("cursor") if is_thumb else style)


def _mark(low: int, high: int, marks: Marks, signs: Signs) -> tuple[str, str]:
    found = [severity for _, severity in marks.alerts[_at(marks.alerts, low) : _at(marks.alerts, high)]]
    for severity in ("critical", "nan", "error", "warning"):
        if severity in found:
            return trouble_sign(severity, signs), "error" if severity == "critical" else severity
    if bisect_left(marks.bookmarks, low) < bisect_left(marks.bookmarks, high):
        return "m", "hit"
    if marks.hits is not None and marks.hits.has_hit(low, high):
        return "/", "hit"
    if marks.trouble is not None and marks.trouble.has_hit(low, high):
        return "!", "warning"
    return "", ""


def _at(alerts: Sequence[tuple[int, str]], offset: int) -> int:
    return bisect_left(alerts, offset, key=lambda alert: alert[0])
