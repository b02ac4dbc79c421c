"""Python tracebacks, in any trainer's log: from `Traceback (most recent call last)` to the exception's line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nanwatch.model.event import Event, Failure, Interrupted

_BEGIN = re.compile(r"Traceback \(most recent call last\)")
_RANK = re.compile(r"^\s*(?:\[(?:rank)?\d+\]:|\d+:|\(\w+ pid=\d+[^)]*\)|E\s{3,})\s?")
_INNER = re.compile(r"^(?:\s|[│╭╰┃]|During handling of the above|The above exception was|Traceback|\[Previous line)")
_EXCEPTION = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?::\s*(?P<text>.*))?$")
_MEMORY = re.compile(r"(?i)out of memory|OutOfMemory|OOM when allocating|RESOURCE_EXHAUSTED")
_LONGEST = 2000
_HARMLESS = ("Exception ignored in", "--- Logging error ---")
"""What stands before a traceback that ends nothing: Python tells it, and goes on."""


@dataclass(slots=True)
class TracebackState:
    """Where a traceback that is being read began, how many lines it has had, and whether it ends nothing."""

    offset: int = -1
    lines: int = 0
    is_harmless: bool = False


class TracebackReader:
    """Joins the lines of a traceback and tells how it ended."""

    def __init__(self, state: TracebackState | None = None) -> None:
        self.state = state or TracebackState()

    @property
    def reading(self) -> bool:
        """Whether a traceback has begun and its exception has not been told."""
        return self.state.offset >= 0

    def begin(self, text: str, offset: int) -> int | None:
        """Begin if a traceback begins in *text*; return where in *text*, or None."""
        if text.startswith(_HARMLESS):
            self.state.is_harmless = True
        match = _BEGIN.search(text)
        if match is None:
            return None
        self.state.offset, self.state.lines = offset, 0
        return match.start()

    def drop(self) -> None:
        """Forget a traceback that was cut off: the process is gone."""
        self.state.offset, self.state.is_harmless = -1, False

    def read(self, text: str, offset: int) -> list[Event] | None:
        """Return the events of the next line, or None when it is none of the traceback's."""
        state = self.state
        state.lines += 1
        line = _RANK.sub("", text, count=1)
        if _BEGIN.search(line):
            state.offset, state.lines = offset, 0
            return []
        if not line or _INNER.match(line):
            if state.lines > _LONGEST:
                state.offset = -1
            return []
        match = _EXCEPTION.match(line)
        if match is None or not _is_exception(match["name"]):
            if state.lines > 3 and not line[:1].isalpha():
                return None  # another speaker between two lines of the traceback
            state.offset = -1
            return None
        begun, state.offset = state.offset, -1
        harmless, state.is_harmless = state.is_harmless, False
        return [] if harmless else [_ending(match["name"], line, begun)]


def _is_exception(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return last[:1].isupper() or "." in name


def _ending(name: str, line: str, offset: int) -> Event:
    last = name.rsplit(".", 1)[-1]
    if last == "KeyboardInterrupt":
        return Interrupted(offset, line)
    return Failure(offset, "oom" if _MEMORY.search(line) else "exception", line[:500])
