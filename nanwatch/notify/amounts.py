"""How messages word numbers, counts and times."""

from __future__ import annotations

import math
import time

_LONGEST_TEXT = 200
_EXACT = 10**15
_AGES_S = 1e9


def number(value: float | str, group: str = ",") -> str:
    """Return four telling digits, a whole number in full with *group* between thousands, or a text as it is."""
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, int) and abs(value) < _EXACT:
        return f"{value:{group}}"
    return f"{float(value):.4g}"


def plural(count: float, word: str, words: str) -> str:
    """Return `1 step` or `1,200 steps`."""
    return f"{count:,.0f} {word if count == 1 else words}"


def duration(seconds: float) -> str:
    """Return `45 s`, `22 min`, `3 h 25 min`, or `2 d 4 h`."""
    if not math.isfinite(seconds) or seconds >= _AGES_S:
        return "ages"
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(at: float) -> str:
    """Return the local time of *at* (Unix seconds) with its date and its zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"
