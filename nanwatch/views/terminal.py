"""What the terminal is, and text that cannot harm it."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

_PATIENCE = 0.3
"""Seconds before progress is shown: what is done by then needs none."""


def printable(text: str) -> str:
    """Return *text* without anything that a terminal would act on."""
    return "".join(c if c.isprintable() else "?" for c in text)


def size() -> tuple[int, int | None]:
    """Return the width, and the height if something limits it.

    Under `watch` stdout is a pipe, and COLUMNS and LINES tell the screen. A terminal scrolls: no limit.
    """
    columns, lines = os.environ.get("COLUMNS", ""), os.environ.get("LINES", "")
    if sys.stdout.isatty():
        width = os.get_terminal_size(sys.stdout.fileno()).columns
        return int(columns) if columns.isdecimal() and int(columns) else width or 80, None
    width = int(columns) if columns.isdecimal() and int(columns) else 80
    return width, int(lines) if lines.isdecimal() and int(lines) else None


def has_color(stream: TextIO, wanted: bool = False) -> bool:
    """Tell whether to colour: on a terminal that can, unless NO_COLOR says otherwise, or where it is asked for."""
    if os.environ.get("NO_COLOR"):
        return False
    return wanted or (stream.isatty() and os.environ.get("TERM", "dumb") != "dumb")


def is_unicode(stream: TextIO) -> bool:
    """Tell whether *stream* takes more than ASCII; a plain C locale that somebody chose says that it does not."""
    chosen = next((os.environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(n)), "")
    if chosen in ("C", "POSIX"):
        return False
    return (stream.encoding or "ascii").lower().replace("-", "") in ("utf8", "utf16", "utf8sig")


class Progress:
    """A line on stderr, while a big log is being read, if a terminal is there to show it."""

    def __init__(self) -> None:
        self.shown = False
        self._next = time.monotonic() + _PATIENCE

    def __call__(self, log: str, done: int, size: int) -> None:
        """Show how much of *log* has been read, ten times a second at most."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 0.1
        share = f"{100 * done // size} %" if size else ""
        print(f"\r\x1b[Kreading {printable(log)}  {share}  ({done / 1e6:,.0f} of {size / 1e6:,.0f} MB)",
              end="", file=sys.stderr, flush=True)  # fmt: skip
        self.shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self.shown = False
