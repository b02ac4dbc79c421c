"""Lines of a body: wrapped for an e-mail, labelled, inert, and as many as services take."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from nanwatch.notify.inert import inert, printable

MOST_BYTES = 8000
"""Beyond that, services cut a message themselves or refuse it."""
_WIDTH = 72
_LABEL = 7


def wrap(text: str, indent: str = "") -> list[str]:
    """Return *text* in lines of 72 columns, those after the first behind *indent*; a long word keeps its line."""
    # A percent sign stays with its number: `join` makes the no-break space an ordinary one again.
    text = printable(text).replace(" %", "\N{NO-BREAK SPACE}%")
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def field(label: str, text: str) -> list[str]:
    """Return `label  text` in as many lines as it takes; nothing where there is no text."""
    return wrap(f"{label:<{_LABEL}}{text}", " " * _LABEL) if text else []


def join(lines: Iterable[str]) -> str:
    """Return *lines* as a text that nobody obeys."""
    return "\n".join(inert(line) for line in lines)


def size(lines: Iterable[str]) -> int:
    """Return how many bytes *lines* take."""
    return len(join(lines).encode())


def bounded(lines: Sequence[str]) -> str:
    """Return *lines*, without those before the last one that are too many, and how many these are."""
    text = join(lines)
    kept = len(lines) - 1
    while len(text.encode()) > MOST_BYTES and kept > 1:
        kept -= 1
        text = join([*lines[:kept], f"and {len(lines) - 1 - kept} more lines", lines[-1]])
    return text
