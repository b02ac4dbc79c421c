"""The bytes of a pickle, wherever it lies in a file, block by block."""

from __future__ import annotations

from typing import BinaryIO

from nanwatch.checkpoints.base import BadFile
from nanwatch.checkpoints.records import Blob

_LONGEST_LINE = 1 << 16
_BLOCK = 1 << 16


class Stream:
    """The bytes of a pickle, `size` of them from `offset` of a file on, read block by block."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file = file
        self._next, self._end = offset, offset + size
        self._block = b""
        self._at = 0

    @property
    def offset(self) -> int:
        """Where the next byte lies in the file."""
        return self._next - len(self._block) + self._at

    def read(self, size: int) -> bytes:
        """Return exactly *size* bytes.

        Raises:
            BadFile: there are not so many.
        """
        if len(self._block) - self._at < size:
            self._fill(size)
        piece = self._block[self._at : self._at + size]
        self._at += size
        return piece

    def _fill(self, size: int) -> None:
        rest = self._block[self._at :]
        if size > len(rest) + self._end - self._next:
            raise BadFile("truncated", "its pickle ends early")
        self._file.seek(self._next)
        more = self._file.read(min(max(_BLOCK, size), self._end - self._next))
        self._next += len(more)
        self._block, self._at = rest + more, 0
        if len(self._block) < size:
            raise BadFile("truncated", "its pickle ends early")

    def line(self, encoding: str = "utf-8") -> str:
        """Return the rest of the line, which Python's oldest protocol ends its arguments with."""
        end = self._block.find(b"\n", self._at)
        while end < 0:
            if len(self._block) - self._at > _LONGEST_LINE:
                raise BadFile("corrupted", "a line of its pickle does not end")
            self._fill(len(self._block) - self._at + 1)
            end = self._block.find(b"\n", self._at)
        return self.read(end + 1 - self._at)[:-1].decode(encoding, "replace")

    def skip(self, size: int) -> Blob:
        """Pass over *size* bytes."""
        blob = Blob(self.offset, size)
        inside = len(self._block) - self._at
        if size > inside + self._end - self._next:
            raise BadFile("truncated", "its pickle ends early")
        if size <= inside:
            self._at += size
        else:
            self._next += size - inside
            self._block, self._at = b"", 0
        return blob
