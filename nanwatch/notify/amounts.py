"""How messages word numbers and moments."""

from __future__ import annotations

import time

_LONGEST_TEXT = 200
_EXACT = 10**15


def number(value: float | str, group: str = ",") -> str:
    """Return four telling digits, a whole number in full with *group* between thousands, or a text as it is."""
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, int) and abs(value) < _EXACT:
        return f"{value:{group}}"
    return f"{float(value):.4g}"


def moment(at: float) -> str:
    """Return the local time of *at* (Unix seconds) with its date and its zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"
