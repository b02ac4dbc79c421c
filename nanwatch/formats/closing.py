"""The line with which `nanwatch run` closes a log: how it is written, and how it is read in any trainer's log."""

from __future__ import annotations

import re
import signal

from nanwatch.model.event import Event, Failure, ProcessExited

_HEAD = "[nanwatch] ended: "
_MEMORY = ", out of memory (the kernel's OOM killer)"
_CLOSING = re.compile(
    re.escape(_HEAD) + r"(?P<how>exit code (?P<code>\d{1,3})|killed by signal (?P<signal>\d{1,2}) \([A-Z0-9+?]{1,16}\))"
    rf"(?P<memory>{re.escape(_MEMORY)})? after \d{{1,9}} (?:s|min|h \d\d min|d \d\d h)",
    re.ASCII,
)
_SIGNALLED = 128
"""What a shell adds to a signal's number to tell it as an exit code."""


def exit_code(status: int) -> int:
    """Return the exit code that a shell tells for *status*: the code itself, or minus the signal that killed."""
    return status if status >= 0 else _SIGNALLED - status


def closing_line(status: int, seconds: float, out_of_memory: bool = False) -> str:
    """Return the line, without its newline, for a command that ended with *status* after so many seconds.

    *status* is the exit code, or minus the number of the signal that killed it.
    """
    how = f"exit code {status}" if status >= 0 else f"killed by signal {-status} ({_name(-status)})"
    return f"{_HEAD}{how}{_MEMORY if out_of_memory else ''} after {_duration(seconds)}"


def read_closing(text: str, offset: int) -> list[Event] | None:
    """Return the events of a closing line, or None where *text* is anything else, be it more than that line."""
    if not text.startswith(_HEAD):
        return None
    match = _CLOSING.fullmatch(text)
    if match is None:
        return None
    number = int(match["signal"] or 0)
    exited = ProcessExited(offset, int(match["code"]) if match["code"] else _SIGNALLED + number, match["how"])
    if match["memory"]:
        told = f"{match['how']} by the kernel's OOM killer: the host's memory ran out, not the GPU's"
        return [Failure(offset, "oom", told), exited]
    return [exited]


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal bears no name
        return "?"


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"
