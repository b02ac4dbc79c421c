"""When people are told: waits, quiet hours, retries and rates, as Unix times that are computed, never waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nanwatch.config import NotifySettings, QuietHours
from nanwatch.model.alert import Reason, Severity

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_DAY_MINUTES = 1440
_FIRST_RETRY_S, _LONGEST_RETRY_S = 5.0, 900.0
_DOUBLINGS = 8
"""After so many, a retry waits for as long as it ever does."""
_REJECTED_S = (600.0, 3600.0, 3 * 3600.0)
_CRITICAL_GAP_S = 60.0


def quiet_until(hours: QuietHours | None, now: float) -> float | None:
    """Return the Unix time at which the quiet hours that hold at *now* end, or None where none hold.

    They hold while the local clock shows a time from their start on and before their end: where it is set forward
    over the end they end there and then, and what it shows twice is quiet twice.
    """
    if hours is None or (left := _seconds_left(hours, now)) is None:
        return None
    at = now // 1
    while (changed := _next_change(at, at + left)) is not None:
        at, left = changed, _seconds_left(hours, changed)
        if left is None:
            return at
    return at + left


def due_at(
    severity: Severity, reason: Reason, created_at: float, settings: NotifySettings, hours: QuietHours | None
) -> float:
    """Return the Unix time at which a piece of news of *created_at* is to be told at the earliest.

    Critical alerts that begin or grew worse wait for less, and not for the end of the quiet hours.
    """
    if severity == "critical" and reason in ("first", "escalated"):
        return created_at + settings.group_wait_critical
    at = created_at + settings.group_wait
    end = quiet_until(hours, at)
    return at if end is None else end


def retry_at(failures: int, now: float, retry_after: float | None, jitter: float) -> float:
    """Return when to try again after so many *failures* in a row: 5 s, doubling up to 15 minutes.

    *jitter* from 0 to 1 makes it up to 20 % sooner or later. *retry_after* are the seconds that the other side asked
    for, of which a day at most is granted.
    """
    wait = min(_FIRST_RETRY_S * 2 ** min(max(failures, 1) - 1, _DOUBLINGS), _LONGEST_RETRY_S)
    return now + max(_spread(wait, jitter), min(retry_after or 0.0, _DAY))


def rejected_at(failures: int, now: float, jitter: float) -> float:
    """Return when to ask again where we were not let in *failures* times: after 10 minutes, an hour, then 3 hours.

    *jitter* from 0 to 1 makes it up to 20 % sooner or later.
    """
    return now + _spread(_REJECTED_S[min(max(failures, 1), len(_REJECTED_S)) - 1], jitter)


def room_at(sent: Sequence[float], now: float, limit: int, is_critical: bool) -> float:
    """Return when the next message may go to a destination that takes *limit* an hour; 0: as many as come.

    *sent* are the Unix times of the messages before it, in any order. A critical one waits for a minute at most
    after the latest of them. Times in the future mean that the clock was set back, and do not count.
    """
    recent = sorted(at for at in sent if at <= now < at + _HOUR)
    if limit <= 0 or len(recent) < limit:
        return now
    free = recent[-limit] + _HOUR
    return min(free, max(now, recent[-1] + _CRITICAL_GAP_S)) if is_critical else free


def clamped(due: float, now: float, longest: float) -> float:
    """Return *due*, but never more than *longest* seconds after *now*: the clock may have been set back."""
    return min(due, now + longest)


def _seconds_left(hours: QuietHours, now: float) -> int | None:
    """Return how many seconds the local clock is before the end of *hours*, or None if it shows none of them."""
    local = time.localtime(now)
    minute = local.tm_hour * 60 + local.tm_min
    length = (hours.end - hours.start) % _DAY_MINUTES
    passed = (minute - hours.start) % _DAY_MINUTES
    return (length - passed) * _MINUTE - min(local.tm_sec, _MINUTE - 1) if passed < length else None


def _next_change(start: float, end: float) -> float | None:
    """Return the first whole second after *start* and up to *end* at which local time was set, or None.

    A day holds one such change at most.
    """
    before = time.localtime(start).tm_gmtoff
    if time.localtime(end).tm_gmtoff == before:
        return None
    low, high = int(start), int(end)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if time.localtime(middle).tm_gmtoff == before else (low, middle)
    return float(high)


def _spread(wait: float, jitter: float) -> float:
    return wait * (1 + (2 * jitter - 1) / 5)
