"""Passes a command's output on, and what is typed to it, until it has ended."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable

from nanwatch.launch.child import Child
from nanwatch.launch.signals import Signals
from nanwatch.launch.sink import LogFile, Sink
from nanwatch.launch.terminal import Terminal

_AT_ONCE = 1 << 16
_GRACE_S = 0.5
"""For how long output is waited for, once the command has ended, from children of it that live on."""
_MOST_AFTER = 4 << 20
"""Bytes that are read after the grace from those that print without a pause; more than any pipe holds."""


class Relay:
    """Moves bytes between a command, the log and the user: to the log first, for others read it while we wait.

    Where the user's side does not take its output, the command waits, as it would without us. `is_mid_line` tells
    whether the output left a line without its end where stderr stands, such as a progress bar.
    """

    def __init__(self, child: Child, log: LogFile, signals: Signals, terminal: Terminal | None) -> None:
        self._child, self._log, self._signals, self._terminal = child, log, signals, terminal
        self._selector = selectors.DefaultSelector()
        self._outputs: set[int] = set()
        self._ended_at: float | None = None
        self._read_after = 0
        self.is_mid_line = False
        self._keyboard: int | None = None
        self._selector.register(signals.wake, selectors.EVENT_READ, self._signalled)
        if terminal is not None:
            self._listen(terminal.master, Sink(1, "standard output"))
            self._adapt(terminal)
            return
        for stream, sink in (
            (child.process.stdout, Sink(1, "standard output")),
            (child.process.stderr, Sink(2, "standard error")),
        ):
            if stream is not None:
                self._listen(stream.fileno(), sink)

    def run(self) -> int:
        """Pass everything on; return how the command ended: its exit code, or minus the signal that killed it."""
        with self._selector:
            while not self._is_over():
                ready = self._selector.select(self._patience())
                if not ready and self._ended_at is not None:
                    break
                for key, _ in ready:
                    key.data()
        return self._child.close()

    def _is_over(self) -> bool:
        if self._ended_at is None and self._child.has_ended():
            self._ended_at = time.monotonic()
        if self._ended_at is None:
            return False
        return not self._outputs or (self._patience() == 0.0 and self._read_after > _MOST_AFTER)

    def _patience(self) -> float | None:
        return None if self._ended_at is None else max(0.0, self._ended_at + _GRACE_S - time.monotonic())

    def _listen(self, fd: int, sink: Sink) -> None:
        self._outputs.add(fd)
        self._selector.register(fd, selectors.EVENT_READ, self._passing(fd, sink))

    def _passing(self, fd: int, sink: Sink) -> Callable[[], None]:
        is_beside_stderr = sink.is_beside_stderr

        def pass_on() -> None:
            data = _read(fd)
            if data is None:
                return
            if not data:
                self._outputs.discard(fd)
                self._selector.unregister(fd)
                return
            self._read_after += len(data) if self._ended_at is not None else 0
            self._log.write(data)
            sink.write(data)
            if is_beside_stderr:
                self.is_mid_line = sink.last != b"\n"

        return pass_on

    def _signalled(self) -> None:
        come = self._signals.come()
        if self._terminal is not None and come & {signal.SIGWINCH, signal.SIGCONT}:
            self._adapt(self._terminal)

    def _adapt(self, terminal: Terminal) -> None:
        terminal.adapt()
        keyboard = terminal.keyboard
        if keyboard == self._keyboard:
            return
        if self._keyboard is not None:
            self._selector.unregister(self._keyboard)
        if keyboard is not None:
            self._selector.register(keyboard, selectors.EVENT_READ, lambda: self._typed(terminal, keyboard))
        self._keyboard = keyboard

    def _typed(self, terminal: Terminal, keyboard: int) -> None:
        data = _read(keyboard)
        if data:
            terminal.type(data)
        elif data is not None:
            terminal.lose_keyboard()
            self._adapt(terminal)


def _read(fd: int) -> bytes | None:
    """Return what there is to read; nothing at its end, None where there is nothing yet."""
    try:
        return os.read(fd, _AT_ONCE)
    except BlockingIOError:
        return None
    except OSError:  # a terminal ends like this
        return b""
