"""How the faces word numbers, times and names, and how they keep hostile text inert and within its cells."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.words import age as age
from nanwatch.model.words import brief_duration, printable
from nanwatch.model.words import plural as plural
from nanwatch.model.words import speed as speed

_VARIATION = re.compile("[\ufe00-\ufe0f]")
_LONGEST = 1000


class Glyphs(NamedTuple):
    """The few signs that are not ASCII where the terminal can show them."""

    arrow: str
    more: str
    better: str
    worse: str


UNICODE = Glyphs("→", "…", "▴", "▾")
ASCII = Glyphs("->", "...", "^", "v")


# -- text


def clean(text: str) -> str:
    """Return *text* as one line without what a terminal obeys: escapes, controls, bidi, lone surrogates."""
    text = text[:_LONGEST]
    if text.isascii() and text.isprintable():
        return text.strip()
    return " ".join(printable(_VARIATION.sub("", text)).split())


def take(text: Iterable[str], cells: int) -> list[str]:
    """Return the first characters of *text*, as many as fit in *cells*."""
    kept = []
    for char in text:
        cells -= cell_len(char)
        if cells < 0:
            break
        kept.append(char)
    return kept


def cut_middle(text: str, cells: int, more: str) -> str:
    """Return *text* in at most *cells*: what is too long loses its middle, for names differ at their ends."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(more)
    if room < 2:
        return "".join(take(text, max(0, cells)))
    tail = take(reversed(text), room - room // 2)
    return "".join(take(text, room // 2)) + more + "".join(reversed(tail))


def cut_end(text: str, cells: int, more: str) -> str:
    """Return *text* in at most *cells*: what is too long loses its last words, never half a number."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(more)
    if room < 1:
        return "".join(take(text, max(0, cells)))
    head = "".join(take(text, room))
    if not text[len(head)].isspace() and " " in head.strip():
        head = head[: head.rindex(" ")]
    return head.rstrip(" ;,:(") + more


def pad(text: str, cells: int, right: bool = False) -> str:
    """Return *text* filled with blanks to *cells*."""
    blanks = " " * (cells - cell_len(text))
    return blanks + text if right else text + blanks


def wrap(text: str, cells: int) -> list[str]:
    """Return *text* broken between words into lines of at most *cells*; a longer word is broken too."""
    lines = [""]
    for word in text.split():
        while cell_len(word) > cells:
            if lines[-1]:
                lines.append("")
            head = "".join(take(word, cells)) or word[0]
            lines[-1], word = head, word[len(head) :]
            lines.append("")
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > cells:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [line for line in lines if line]


# -- numbers


def number(value: float | None, aligned: bool = False) -> str:
    """Return four telling digits of *value*; *aligned* keeps trailing zeros, so that columns line up."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    size = abs(value)
    if size >= 99_999.5:
        return f"{value:.2e}"
    if 0 < size < 0.001:
        return f"{value:.3g}"
    places = 4 if size < 0.99995 else max(0, 3 - int(f"{size:.3e}".partition("e")[2]))
    text = f"{value:.{places}f}"
    return text if aligned or "." not in text else text.rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """Return a rate, with two digits where it is small: `0.97 %`, `30 %`; only all of it is `100 %`."""
    value = 100 * share
    if 0 < value < 0.01:
        return "<0.01 %"
    if value < 9.95:
        return f"{value:.2g} %"
    return f"{value if value >= 100 else min(99, round(value)):.0f} %"


def whole_percent(share: float) -> str:
    """Return `3 %`: how far something has come."""
    return f"{math.floor(100 * share + 1e-9)} %"


def rough(count: float) -> str:
    """Return a projection in two digits, for it knows no more: 398 is `400`."""
    if count < 100:
        return f"{count:,.0f}"
    step = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{round(count / step) * step:,}"


def size_words(count: int) -> str:
    """Return `812 bytes` or `41.2 MB`: three telling digits."""
    if count < 1000:
        return plural(count, "byte")
    value, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


# -- times

duration = brief_duration
"""How long something takes, as it fits into a cell."""


def moment(at: float, now: float) -> str:
    """Return the local time *at*, with as much of the date as is needed to understand it *now*."""
    try:
        then, here = time.localtime(at), time.localtime(now)
    except (OverflowError, OSError, ValueError):
        return "far away"
    if then[:3] == here[:3]:
        return time.strftime("%H:%M", then)
    if 0 <= at - now < 6 * 86_400:
        return time.strftime("%a %H:%M", then)
    return f"{then.tm_mday} " + time.strftime("%b %H:%M" if then.tm_year == here.tm_year else "%b %Y", then)
