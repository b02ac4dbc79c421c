"""The command as a process: how it is started, and which of our signals it gets."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from nanwatch.launch.sink import say
from nanwatch.launch.terminal import Terminal

_OF_THE_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


class Child:
    """A command that runs, with `terminal` under a pseudo-terminal, without it with pipes.

    With a terminal of its own it leads a session. With pipes it leads a process group, so that a signal comes
    once, through us; but where our standard input is a terminal it stays in our group, as only the terminal's
    foreground group may read from it, and gets the keyboard's signals from there.
    """

    def __init__(self, command: Sequence[str], terminal: Terminal | None = None) -> None:
        self._terminal = terminal
        self._shares_group = terminal is None and os.isatty(0)
        if terminal is None:
            both = os.path.samestat(os.fstat(1), os.fstat(2))  # through one pipe their order is kept
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if both else subprocess.PIPE, bufsize=0,
                process_group=None if self._shares_group else 0, env=_unbuffered(os.environ),
            )  # fmt: skip
            return
        try:
            self.process = subprocess.Popen(
                command, stdin=terminal.stdin, stdout=terminal.slave, stderr=terminal.slave,
                start_new_session=True, preexec_fn=terminal.become_controlling,  # noqa: PLW1509 - we have one thread
            )  # fmt: skip
        finally:
            os.close(terminal.slave)

    def has_ended(self) -> bool:
        """Tell whether the command itself has ended, be its children still alive."""
        return self.process.poll() is not None

    def close(self) -> int:
        """Wait for the command's end, read no more of it, and return how it ended."""
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return self.process.wait()

    def send(self, number: int) -> None:
        """Pass a signal of ours on, unless the command has it already or is not meant by it.

        A hang-up is not, where our terminal has been closed: the training goes on without it.
        """
        if self.process.returncode is not None:
            return
        if self._terminal is not None and number == signal.SIGHUP and self._terminal.is_gone:
            return
        if self._shares_group and number in _OF_THE_KEYBOARD and _in_foreground():
            return
        try:
            if self._shares_group:
                os.kill(self.process.pid, number)
            else:
                os.killpg(self.process.pid, number)
        except ProcessLookupError:  # it has just ended
            return
        except PermissionError:
            say(f"{signal.Signals(number).name} could not be passed on: the command belongs to another user")


def _unbuffered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return *environment* in which Python writes at once, also into a pipe, unless it says otherwise.

    Through 8 KB of buffer a NaN would be told an hour late, and the last words of a killed run never.
    """
    return {"PYTHONUNBUFFERED": "1", **environment}


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # the terminal was closed
        return False
