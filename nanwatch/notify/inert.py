"""Hostile text made harmless: what a log says may be shown anywhere, and is obeyed by nobody."""

from __future__ import annotations

import re

from nanwatch.model.words import printable

LONGEST_FIELD = 600
"""Characters of a line, or of what stands in it."""
_LIVE = re.compile(r"[@<](?=\S)|\](?=\()|\|(?=\|)")
"""What services take for a mention, a link, or text to be hidden: `@everyone`, `<!channel>`, `[a](b)`, `||a||`."""
_JOINER = "\u2060"


def inert(text: str, most: int = LONGEST_FIELD) -> str:
    """Return *text* as one line of at most *most* characters that no screen, chat or mail program obeys.

    Controls, bidi overrides and towers of marks go; a word joiner after each sign that begins a mention or a link
    keeps it readable and dead. The joiners are not counted. Twice inert is once inert.
    """
    kept = printable(text)
    if len(kept) > most:
        kept = f"{kept[: most - 1]}…"
    return _LIVE.sub(rf"\g<0>{_JOINER}", kept.replace("`", "'"))
