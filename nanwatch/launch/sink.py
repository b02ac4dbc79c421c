"""Where output goes: the user's screen or pipe, and the log; trouble with either never reaches the command."""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from pathlib import Path

from nanwatch.errors import UsageError
from nanwatch.views.terminal import printable

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO})
"""Nobody reads any more: the pipe's reader has ended, the terminal was closed, there never was one."""


def say(text: str) -> None:
    """Print one line for the user on stderr."""
    with suppress(OSError):  # where nobody hears it, nobody needs it
        os.write(2, f"nanwatch: {printable(text)}\n".encode(errors="replace"))


def end_line() -> None:
    """End the line that stands on stderr, so that what is said next begins a new one."""
    with suppress(OSError):
        os.write(2, b"\n")


class LogExists(UsageError):
    """The log is there already."""


class Sink:
    """Takes output at once. The first failure is told, and each later output is tried again; see `lost`.

    `last` is the last byte that was written, at first a newline.
    A pipe or terminal that goes away is given up in silence, as nobody is left there.
    """

    def __init__(self, fd: int, name: str, gone: frozenset[int] = _GONE) -> None:
        self.name = name
        self.lost = 0
        self.last = b"\n"
        self._fd = fd
        self._gone = gone
        self._has_told = False
        self._is_open = True

    @property
    def is_beside_stderr(self) -> bool:
        """Whether what is written here stands where stderr does: the same terminal, file or pipe."""
        is_same = os.path.samestat(os.fstat(self._fd), os.fstat(2))
        return is_same or (os.isatty(self._fd) and os.isatty(2))

    def write(self, data: bytes) -> int:
        """Write all of *data* if it can be; return how much of it was written."""
        written = self._put(data)
        self.lost += len(data) - written
        return written

    def _put(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest and self._is_open:
            try:
                written = os.write(self._fd, rest)
                rest, self.last = rest[written:], bytes(rest[written - 1 : written]) or self.last
            except BlockingIOError:  # somebody made the terminal that we share non-blocking
                select.select([], [self._fd], [])
            except OSError as error:
                self._failed(error)
                break
        return len(data) - len(rest)

    def _failed(self, error: OSError) -> None:
        if error.errno in self._gone:
            self._is_open = False
        elif not self._has_told:
            self._has_told = True
            say(f"{self.name}: {error.strerror}: output is missing there; the command goes on")


class LogFile(Sink):
    """The log of a command: what it printed, byte for byte, and a last line of ours.

    Raises:
        LogExists: the log is there already, and not to be appended to.
        UsageError: the log cannot be made.
    """

    def __init__(self, path: Path, append: bool = False) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | (0 if append else os.O_EXCL)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, flags, 0o666)
        except FileExistsError:
            raise LogExists(f"{path} is there already (--append adds to it)") from None
        except OSError as error:
            raise UsageError(f"log {path}: {(error.strerror or str(error)).lower()}") from error
        super().__init__(fd, str(path), frozenset())
        self.path = path
        size = os.fstat(fd).st_size
        self._is_new = size == 0
        self.last = os.pread(fd, 1, size - 1) if size else b"\n"
        self._is_torn = True

    def write(self, data: bytes) -> int:
        """Write *data*, on a new line where something is missing before it."""
        has_room = not self._is_torn or self.last == b"\n" or self._put(b"\n") > 0
        written = self._put(data) if has_room else 0
        self.lost += len(data) - written
        self._is_torn = written < len(data)
        return written

    def close(self, line: str) -> None:
        """Write the last *line*, on a line of its own, and tell how much of the log is missing."""
        lost = self.lost
        self._is_torn = True
        self.write(f"{line}\n".encode())
        try:
            os.close(self._fd)
        except OSError as error:  # a network's disk tells only now that it is full
            self._failed(error)
        if lost:
            say(f"{self.path}: {lost:,} bytes could not be written")

    def discard(self) -> None:
        """Close the log of a command that never ran; one that was made for it goes."""
        os.close(self._fd)
        if self._is_new:
            self.path.unlink(missing_ok=True)
