"""The user's terminal, and the one that is made for a command in its place."""

from __future__ import annotations

import fcntl
import os
import termios
from contextlib import suppress
from typing import Any

_INPUT, _OUTPUT, _LOCAL, _CHARACTERS = 0, 1, 3, 6
"""Where the modes stand in what `tcgetattr` returns."""
_COOKED_INPUT = (
    termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL
    | termios.IXON
)  # fmt: skip
_COOKED_LOCAL = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN

_END_OF_INPUT = b"\x04"


class Terminal:
    """A pseudo-terminal for a command, joined to the user's terminal as far as there is one.

    The command's terminal does not process output: what the command writes comes to us, and goes into the log,
    as it wrote it. The user's terminal still does, while what is typed there goes to the command's terminal
    untouched, which makes a signal of a Ctrl-C. It is left alone while we are in the background.
    """

    def __init__(self) -> None:
        self._keyboard = 0 if os.isatty(0) else None
        self._screen = next((fd for fd in (1, 0, 2) if os.isatty(fd)), None)
        self._before: list[Any] | None = None
        self._may_read = self._is_lost = False
        self.master, self.slave = os.openpty()
        modes = termios.tcgetattr(self.slave if self._screen is None else self._screen)
        modes[_OUTPUT] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        os.set_blocking(self.master, False)
        self._resize()

    @property
    def stdin(self) -> int | None:
        """What the command gets as its standard input; None for our own, which is no terminal."""
        return None if self._keyboard is None else self.slave

    @property
    def keyboard(self) -> int | None:
        """Where to read what the user types; None if it is not for us to read."""
        return self._keyboard if self._may_read else None

    @property
    def is_gone(self) -> bool:
        """Whether the user's terminal was closed."""
        if self._screen is None:
            return False
        try:
            termios.tcgetattr(self._screen)
        except termios.error:
            return True
        return False

    def become_controlling(self) -> None:
        """Make this the terminal of the session that the calling process, a child of ours, has just begun."""
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def adapt(self) -> None:
        """Take the keyboard if we are in the foreground now, and the window's present size."""
        self._resize()
        self._may_read = self._is_ours() and not self._is_lost
        if self._keyboard is None or not self._may_read:
            return
        with suppress(termios.error):  # closed meanwhile
            self._before = self._before or termios.tcgetattr(self._keyboard)
            modes = termios.tcgetattr(self._keyboard)
            modes[_INPUT] &= ~_COOKED_INPUT
            modes[_LOCAL] &= ~_COOKED_LOCAL
            modes[_CHARACTERS][termios.VMIN], modes[_CHARACTERS][termios.VTIME] = 1, 0
            termios.tcsetattr(self._keyboard, termios.TCSADRAIN, modes)

    def lose_keyboard(self) -> None:
        """Take note that the user's terminal was closed, and tell a command that waits for input that it ends."""
        self._is_lost = True
        self.type(_END_OF_INPUT)

    def type(self, data: bytes) -> None:
        """Pass on what was typed; what is typed 64 KB ahead of a command that does not read is lost."""
        with suppress(BlockingIOError, OSError):  # nobody reads it any more
            os.write(self.master, data)

    def close(self) -> None:
        """Give the user's terminal back as it was."""
        os.close(self.master)
        if self._keyboard is not None and self._before is not None and self._is_ours():
            with suppress(termios.error):  # closed meanwhile
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)

    def _resize(self) -> None:
        if self._screen is not None:
            with suppress(termios.error):  # closed meanwhile
                termios.tcsetwinsize(self.master, termios.tcgetwinsize(self._screen))

    def _is_ours(self) -> bool:
        """Tell whether we may change the terminal: to do it from the background would stop us."""
        try:
            return self._keyboard is not None and os.tcgetpgrp(self._keyboard) in (0, os.getpgrp())
        except OSError:  # it controls no session of ours
            return True
