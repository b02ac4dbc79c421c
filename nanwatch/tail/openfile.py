"""A file that is open for reading: where it is read, what it looked like, and whether it still is what it was."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from nanwatch.tail.identity import (
    FINGERPRINT,
    FileKey,
    Position,
    fingerprint,
)

_SETTLED_S = 2.0
"""Times younger than this may hide a second change (the coarsest clocks of file systems tick this slowly)."""

_ZEROS = b"\0" * FINGERPRINT

Signature = tuple[int, int, int]


def signature(status: os.stat_result) -> Signature:
    """Return what changes when a file does: its size and both times."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


class OpenFile:
    """One open descriptor: how far it was handed out, and what was there."""

    def __init__(self, path: Path | str) -> None:
        # Not blocking: should the name have become a pipe meanwhile, open() must not wait for its writer.
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        self.status = os.fstat(self.fd)
        self.key: FileKey = (self.status.st_dev, self.status.st_ino)
        self.mtime_ns = self.status.st_mtime_ns
        self.deadline = 0.0
        self.restart()
        mode = self.status.st_mode
        if not stat.S_ISREG(mode):
            self.close()
            raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "")

    def restart(self) -> None:
        """Begin again at byte 0, and look at the next chance."""
        self.offset, self.head, self.before = 0, b"", b""
        self.seen: Signature | None = None

    def resume(self, position: Position) -> None:
        """Go on at *position*, which must have been found to match."""
        self.offset = position.offset
        self.head = os.pread(self.fd, position.head_size, 0)
        self.before = os.pread(self.fd, position.before_size, position.offset - position.before_size)

    def stirred(self) -> bool:
        """Return whether `status` differs from what it was when the file was last read to its end."""
        return signature(self.status) != self.seen

    def settle(self, now: float) -> None:
        """Note that all that `status` tells of was read; it was taken before reading, at *now*."""
        self.mtime_ns = self.status.st_mtime_ns
        self.seen = signature(self.status) if now - self.status.st_ctime > _SETTLED_S else None

    def head_holds(self) -> bool:
        """Return whether the file still begins as it did."""
        return os.pread(self.fd, len(self.head), 0) == self.head

    def read(self, size: int) -> bytes | None:
        """Hand out up to *size* bytes; None when the bytes before them are not those of before."""
        if not self.offset:
            self._skip_zeros()
        lead = len(self.before)
        data = os.pread(self.fd, lead + size, self.offset - lead)
        if lead:
            if not data.startswith(self.before):
                return None
            data = data[lead:]
        if len(self.head) < FINGERPRINT and self.offset == len(self.head):
            self.head += data[: FINGERPRINT - len(self.head)]
        self.before = (self.before + data if len(data) < FINGERPRINT else data)[-FINGERPRINT:]
        self.offset += len(data)
        return data

    def _skip_zeros(self) -> None:
        if os.pread(self.fd, 16, 0) != _ZEROS[:16]:
            return
        with suppress(OSError):  # no hole, or nothing but a hole
            self.offset = os.lseek(self.fd, 0, os.SEEK_DATA)
        while block := os.pread(self.fd, 1 << 16, self.offset):
            rest = len(block.lstrip(b"\0"))
            self.offset += len(block) - rest
            if rest:
                break
        self.head = self.before = _ZEROS[: self.offset]

    def position(self, earlier: tuple[Position, ...] = ()) -> Position:
        """Describe the place that was reached."""
        return Position(
            *self.key,
            offset=self.offset,
            head=fingerprint(self.head),
            before=fingerprint(self.before),
            head_size=len(self.head),
            before_size=len(self.before),
            size=self.status.st_size,
            mtime_ns=self.mtime_ns,
            earlier=earlier,
        )

    def close(self) -> None:
        """Give the descriptor back."""
        with suppress(OSError):
            os.close(self.fd)
