"""The signals that come while a command runs: noted for the one who waits, and passed on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
NOTED = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGCONT)
Handler = Callable[[int, FrameType | None], object] | int | None


class Signals:
    """Within its `with` block, signals end nothing here; `wake` becomes readable at each, see `come`.

    What was ignored when we started stays ignored, here and in the command (`nohup`, a script's `&`).
    """

    def __init__(self) -> None:
        self._forward: Callable[[int], None] | None = None
        self._early: list[int] = []
        self._handlers: dict[int, Handler] = {}
        self.wake = self._noted = self._fd_before = -1

    def __enter__(self) -> Self:
        self.wake, self._noted = os.pipe()
        for fd in (self.wake, self._noted):
            os.set_blocking(fd, False)
        self._fd_before = signal.set_wakeup_fd(self._noted, warn_on_full_buffer=False)
        for number in NOTED:
            self._handlers[number] = signal.signal(number, _note)
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._received)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self.wake)
        os.close(self._noted)

    def forward_to(self, forward: Callable[[int], None]) -> None:
        """Give *forward* each signal that is to be passed on, from the first that came."""
        self._forward = forward
        for number in self._early:
            forward(number)

    def come(self) -> set[int]:
        """Return which signals have come since this was asked before."""
        return set(os.read(self.wake, 4096))

    def _received(self, number: int, _: FrameType | None) -> None:
        # In the handler itself, for the loop may be waiting for a reader of the output.
        if self._forward is None:
            self._early.append(number)
        else:
            self._forward(number)


def _note(*_: object) -> None:
    """Do nothing: that there is a handler makes the system tell `wake`."""
