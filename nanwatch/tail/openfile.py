"""A file that is being read: how far, what it looked like, and whether it still is what it was."""

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
    find_moved,
    fingerprint,
    rotated_from,
)
from nanwatch.tail.room import Room

_SETTLED_S = 2.0
"""Times younger than this may hide a second change (the coarsest clocks of file systems tick this slowly)."""

_ZEROS = b"\0" * FINGERPRINT

Signature = tuple[int, int, int]


def signature(status: os.stat_result) -> Signature:
    """Return what changes when a file does: its size and both times."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


class OpenFile:
    """How far one file was handed out, and what was there; *log* is the path for which it is read.

    Its descriptor may be taken by the *room*. Then it is opened again when it is read, under the name that it
    has by then, as long as it can be known again.
    """

    def __init__(self, path: Path | str, room: Room, log: Path | None = None) -> None:
        self.path = Path(path)
        self._log = log or self.path
        self._room = room
        self._fd: int | None = room.open(path)
        self.status = os.fstat(self._fd)
        self.key: FileKey = (self.status.st_dev, self.status.st_ino)
        self.mtime_ns = self.status.st_mtime_ns
        self.deadline = 0.0
        self.restart()
        mode = self.status.st_mode
        if not stat.S_ISREG(mode):
            self.close()
            raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "")
        room.enter(self)

    @property
    def fd(self) -> int:
        """The descriptor; raise FileNotFoundError where it was let go and the file is not to be found again."""
        if self._fd is None:
            self._fd = self._open_again()
            self._room.enter(self)
        return self._fd

    def let_go(self) -> None:
        """Close the descriptor, but know the place."""
        self._room.leave(self)
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
        self._fd = None

    def close(self) -> None:
        """Give the descriptor back."""
        self.let_go()

    def look(self) -> None:
        """Take `status` anew; raise FileNotFoundError where the file is not to be found any more."""
        if self._fd is None:
            with suppress(OSError):
                status = self.path.stat()
                if (status.st_dev, status.st_ino) == self.key:
                    self.status = status
                    return
        self.status = os.fstat(self.fd)

    def restart(self) -> None:
        """Begin again at byte 0, and look at the next chance."""
        self.offset, self.head, self.before = 0, b"", b""
        self.seen: Signature | None = None
        self._young: tuple[Signature, float] | None = None

    def resume(self, position: Position) -> None:
        """Go on at *position*, which must have been found to match."""
        self.offset, self.mtime_ns = position.offset, position.mtime_ns
        self.head = os.pread(self.fd, position.head_size, 0)
        self.before = os.pread(self.fd, position.before_size, position.offset - position.before_size)

    def stirred(self) -> bool:
        """Return whether `status` differs from what it was when the file was last read to its end."""
        return signature(self.status) != self.seen

    def settle(self, now: float, steady: float) -> None:
        """Note that all that `status` tells of was read; it was taken before reading, at *now* and *steady*."""
        self.mtime_ns = self.status.st_mtime_ns
        found = signature(self.status)
        is_old = now - self.status.st_ctime > _SETTLED_S
        if not is_old:  # a server's clock, or one that was set, may say so for hours
            if self._young is None or self._young[0] != found:
                self._young = (found, steady)
            is_old = steady - self._young[1] > _SETTLED_S
        self.seen = found if is_old else None

    def head_holds(self) -> bool:
        """Return whether the file still begins as it did."""
        return os.pread(self.fd, len(self.head), 0) == self.head

    def is_cut(self) -> bool:
        """Return whether what was read is not all there any more, as after a truncation."""
        try:
            self.look()
            return self.status.st_size < self.offset or self.read(0) is None
        except OSError:
            return False

    def read(self, size: int) -> bytes | None:
        """Return up to *size* bytes to be accepted; None when the bytes before them are not those of before."""
        if not self.offset:
            self._skip_zeros()
        lead = len(self.before)
        data = os.pread(self.fd, lead + size, self.offset - lead)
        if not lead:
            return data
        return data[lead:] if data.startswith(self.before) else None

    def accept(self, data: bytes) -> None:
        """Note that *data*, which was read, is handed out now."""
        if len(self.head) < FINGERPRINT and self.offset == len(self.head):
            self.head += data[: FINGERPRINT - len(self.head)]
        self.before = (self.before + data if len(data) < FINGERPRINT else data)[-FINGERPRINT:]
        self.offset += len(data)
        self._room.touch(self)

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

    def _open_again(self) -> int:
        """Open the file under its name, or the one that it has now; a name that is new must be proven by content."""
        with suppress(FileNotFoundError, NotADirectoryError):
            fd = self._room.open(self.path)
            if self._is_key_of(fd):
                return fd
            os.close(fd)
        moved = find_moved(self._log, self.key)
        if moved is not None:
            fd = self._room.open(moved)
            if self._is_key_of(fd) and self._is_proven(fd, moved):
                self.path = moved
                return fd
            os.close(fd)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _is_key_of(self, fd: int) -> bool:
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == self.key

    def _is_proven(self, fd: int, path: Path) -> bool:
        """Return whether *fd* holds what was read, or bears a rotated name: the inode's number may be reused."""
        if not self.offset:
            return rotated_from(path.name) == self._log.name
        before = os.pread(fd, len(self.before), self.offset - len(self.before))
        return before == self.before and os.pread(fd, len(self.head), 0) == self.head

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
