"""What rules, faces and messages word alike: text that no screen obeys, counts, speeds, and spans of time."""

from __future__ import annotations

import math
import re

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?|\x9b[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor; a cut one too
    # OSC, DCS, APC: titles, links, the clipboard. One that never ends, or was cut, lasts as long as the line.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[\]PX^_][^\x07\x1b\n\x90\x98\x9c-\x9f]*"
    r"|\x1b[ -/]*[0-~]?"
)
_LONGEST_READ = 2400
_MOST_MARKS = 2
_FIRST_MARK = "\u0300"
_AGES_S = 1e9
_MOST_DAYS = 9999


# -- text


def printable(text: str) -> str:
    """Return the beginning of *text* as one line without controls, escapes, bidi overrides and towers of marks."""
    text = _ESCAPE.sub("", text[:_LONGEST_READ])
    if text.isascii() and text.isprintable():
        return text
    return _without_towers("".join(c if c.isprintable() else " " if c.isspace() else "" for c in text))


def _without_towers(text: str) -> str:
    """Leave at most two combining marks on a letter."""
    if text.isascii():
        return text
    from unicodedata import category  # most logs never need its tables

    kept, marks = [], 0
    for char in text:
        has_no_width = char >= _FIRST_MARK and (category(char)[0] == "M" or _is_jamo(char))
        marks = marks + 1 if has_no_width else 0
        if marks <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def _is_jamo(char: str) -> bool:
    """Tell whether *char* is a Hangul vowel or final: a letter, yet without a width of its own."""
    return "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"


# -- counts


def plural(count: float, word: str, words: str | None = None) -> str:
    """Return `1 epoch`, or `1,200 epochs`."""
    whole = count if isinstance(count, int) else round(count)
    return f"{whole:,} {word if count == 1 else words or word + 's'}"


def speed(rate: float | None) -> str | None:
    """Return `2.2 it/s`, or `1.9 s/it` where a batch takes longer than a second; None where it is not known."""
    if not rate or not math.isfinite(rate):
        return None
    return f"{rate:.3g} it/s" if rate >= 1 else f"{1 / rate:.3g} s/it"


# -- spans of time: each face in its own style, of the same seconds


def brief_duration(seconds: float) -> str:
    """Return `42s`, `41m`, `7h12`, `1d19h`, `140d`, as it fits into a cell: never more than is worth knowing."""
    if not math.isfinite(seconds) or seconds > _MOST_DAYS * 86_400:
        return "ages"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}"
    days, hours = divmod(whole // 3600, 24)
    return f"{days}d{hours:02d}h" if days < 100 else f"{days}d"


def age(seconds: float) -> str:
    """Return an age in one unit: `2s`, `17m`, `6h`, `3d`."""
    whole = max(0, int(seconds)) if math.isfinite(seconds) else 0
    for size, unit in ((86_400 * 2, "d"), (3600, "h"), (60, "m")):
        if whole >= size:
            return f"{whole // (86_400 if unit == 'd' else size)}{unit}"
    return f"{whole}s"


def duration(seconds: float) -> str:
    """Return `45 s`, `22 min`, `3 h 25 min`, or `2 d 4 h`, as a message has room for."""
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


def spoken_duration(seconds: float) -> str:
    """Return `22 minutes`, `90 seconds`, `3 h 5 min` or `2.0 days`, as a sentence says it."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{seconds / 86400:.1f} days"
