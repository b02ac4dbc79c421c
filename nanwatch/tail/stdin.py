"""A pipe -> bytes: `train.py 2>&1 | nanwatch tail -`. No rotation, no offset to come back to, one end."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from pathlib import Path

from nanwatch.model.frame import Chunk


class StdinFollower:
    """Follows a file descriptor to its end, without ever blocking in `poll`.

    `at_end` is True once the writer has closed its side; `problem` says why reading failed.
    """

    def __init__(self, fd: int = 0, *, chunk_size: int = 1 << 18) -> None:
        self.path = Path("-")
        self.at_end = False
        self.problem: str | None = None
        self.size = 0
        self._fd = fd
        self._chunk_size = chunk_size

    def poll(self) -> Iterator[Chunk]:
        """Yield everything that is readable now; the offset counts from the first byte."""
        while not self.at_end and self.wait(0):
            try:
                data = os.read(self._fd, self._chunk_size)
            except BlockingIOError:
                return  # another reader of the same pipe was faster
            except OSError as error:
                self.problem, self.at_end = (error.strerror or "cannot be read").lower(), True
                return
            if not data:
                self.at_end = True
                return
            self.size += len(data)
            yield Chunk(self.size - len(data), data)

    def wait(self, timeout: float) -> bool:
        """Wait up to *timeout* seconds; return whether there is something to read (the end included)."""
        if self.at_end:
            return True
        try:
            readable, _, _ = select.select([self._fd], [], [], timeout)
        except (OSError, ValueError) as error:  # closed by the caller, or not a descriptor at all
            self.problem, self.at_end = str(error), True
            return True
        return bool(readable)
