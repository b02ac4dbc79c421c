"""The log as a file that others write: reads at offsets, and notices growth, truncation, rotation and loss.

Nothing is mapped into memory: a file that shrinks would kill the process.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class LogFile:
    """One log, open for reading as long as it lives; `size` is what was last seen of it.

    `problem` says in a short phrase why nothing new can be read, or is empty. `encoding` is `utf-8`, or UTF-16 where
    the file's first bytes say so. A file that is gone keeps showing what it held.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.problem = ""
        self.encoding = "utf-8"
        self._fd = -1
        self._identity = (0, 0)
        self._lock = threading.Lock()
        self.refresh()

    @property
    def is_open(self) -> bool:
        """Tell whether there is something to read."""
        return self._fd >= 0

    @property
    def fd(self) -> int:
        """The descriptor of the open file, -1 if there is none; it changes when the log is rotated."""
        return self._fd

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def duplicate(self) -> int:
        """Return a descriptor of the same open file to a thread, which closes it; -1 if there is none."""
        with self._lock:
            return os.dup(self._fd) if self._fd >= 0 else -1

    def read(self, offset: int, size: int) -> bytes:
        """Return up to *size* bytes at *offset*; less at the end, nothing where it cannot be read."""
        return read_at(self._fd, offset, size)

    def refresh(self) -> str:
        """Look at the file anew; return `grown`, `cut`, `rotated`, `returned`, `gone`, `denied` ..., or nothing."""
        try:
            found = self.path.stat()
        except OSError as error:
            return self._trouble(error)
        identity = (found.st_dev, found.st_ino)
        if self._fd < 0 or identity != self._identity:
            return self._open(identity)
        returned = bool(self.problem)
        self.problem = ""
        return self._measure() or ("returned" if returned else "")

    def _open(self, identity: tuple[int, int]) -> str:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            return self._trouble(error)
        was_open, had_problem = self._fd >= 0, bool(self.problem)
        self.close()
        self._fd, self._identity, self.problem = fd, identity, ""
        self.size = _size_of(fd)
        self.encoding = _MARKS.get(self.read(0, 2), "utf-8")
        if was_open:
            return "rotated"
        return "returned" if had_problem else "opened"

    def _measure(self) -> str:
        size, before = _size_of(self._fd), self.size
        self.size = size
        if before == 0 and size:
            self.encoding = _MARKS.get(self.read(0, 2), "utf-8")
        return "grown" if size > before else "cut" if size < before else ""

    def _trouble(self, error: OSError) -> str:
        before = self.problem
        if isinstance(error, FileNotFoundError):
            self.problem = "file gone, waiting for it"
        elif isinstance(error, PermissionError):
            self.problem = "permission denied"
        else:
            self.problem = f"cannot be read: {error.strerror or error}"
        if self.problem == before:
            return ""
        return {"file gone, waiting for it": "gone", "permission denied": "denied"}.get(self.problem, self.problem)


def read_at(fd: int, offset: int, size: int) -> bytes:
    """Return up to *size* bytes at *offset* of *fd*; what fails to be read is not there."""
    if fd < 0 or size <= 0 or offset < 0:
        return b""
    try:
        data = os.pread(fd, size, offset)
        while 0 < len(data) < size:
            more = os.pread(fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
    except OSError:  # a directory, a pipe, a network mount that went away: the next look at the path says which
        return b""
    return data


def _size_of(fd: int) -> int:
    try:
        return os.fstat(fd).st_size
    except OSError:
        return 0
