"""Where in a log a time of day stands: found by halves, since a log's times rise from line to line."""

from __future__ import annotations

import re
from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""Gives up to so many bytes at an offset."""

_HEAD = 40
"""Characters of a line that its time stands in."""
_WINDOW = 256 * 1024
"""Bytes that are looked through for a line with a time, at most."""
_WANTED = re.compile(r"(\d?\d):(\d\d)(?::(\d\d))?\Z")
_TIME = re.compile(rb"(?<![\d:])(\d\d:[0-5]\d:[0-5]\d)(?![\d:])")


def time_of(text: str) -> bytes | None:
    """Return `14:01:58` for *text* that is a time (`14:01:58`, `9:05`); None if it is none."""
    found = _WANTED.match(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        return None
    return f"{int(found[1]):02}:{found[2]}:{found[3] or '00'}".encode()


def first_from(read: Read, size: int, wanted: bytes) -> int | None:
    """Return where the first line begins that holds *wanted* or a later time; None if none does.

    Takes it that times rise, as they do within one day.
    """
    low, high, best = 0, size, None
    while low < high:
        middle = (low + high) // 2
        found = _timed(read, middle, high)
        if found is None:
            high = middle
        elif found[1] < wanted:
            low = found[0] + 1
        else:
            best, high = found[0], middle
    return best


def _timed(read: Read, begin: int, end: int) -> tuple[int, bytes] | None:
    """Return the first line with a time that begins from *begin* to before *end*: its offset and its time."""
    data = read(max(0, begin - 1), min(_WINDOW, end - begin) + _HEAD + 1)
    base = max(0, begin - 1)
    at = 0 if begin == 0 else data.find(b"\n") + 1
    while (begin == 0 or at > 0) and base + at < end and at < len(data):
        found = _TIME.search(data, at, min(_end(data, at), at + _HEAD))
        if found is not None:
            return base + at, found[1]
        at = data.find(b"\n", at) + 1
        if at == 0:
            return None
    return None


def _end(data: bytes, at: int) -> int:
    end = data.find(b"\n", at)
    return end if end >= 0 else len(data)
