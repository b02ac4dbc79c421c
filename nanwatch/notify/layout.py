"""Lines of a body: wrapped for an e-mail, labelled, inert, and as many as services take."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from nanwatch.model.words import printable
from nanwatch.notify.inert import inert

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


def bounded(lines: Sequence[str], most: int, last: int) -> list[str]:
    """Return *lines* in *most* bytes: so many of those before the *last* ones as are too many become their count."""
    head, end, kept = lines[:-last], lines[-last:], len(lines) - last
    found = list(lines)
    while size(found) > most and kept > 1:
        kept -= 1
        found = [*head[:kept], f"and {len(head) - kept} more lines", *end]
    return found
