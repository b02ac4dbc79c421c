"""How many logs may be held open at once: where that is few, those that grew longest ago give their descriptor back."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_SPARE = 128
"""Left for everything else, where so many may be open: events, a store, connections."""

_AT_ONCE = 8
"""So many descriptors are given back when the system has none left: the next log needs one, too."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""The errors that mean that no more files may be open."""


class Holder(Protocol):
    """What holds a descriptor that it can do without."""

    def let_go(self) -> None:
        """Close the descriptor; it is opened again when it is needed."""
        ...


class Room:
    """The descriptors that logs hold together, at most *limit* of them (None: as many as the system allows)."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._holders: dict[Holder, None] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def open(self, path: Path | str) -> int:
        """Open *path* for reading; where the system has no descriptor left, others are closed for it."""
        while True:
            try:
                # Not blocking: should the name have become a pipe meanwhile, open() must not wait for its writer.
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError as error:
                if error.errno not in EXHAUSTED or not self._holders:
                    raise
            self.relieve()

    def relieve(self) -> None:
        """Give some descriptors back for good, when the system has none left."""
        self.limit = max(1, len(self._holders) - _AT_ONCE)
        self._shrink(self.limit)

    def enter(self, holder: Holder) -> None:
        """Count *holder*, the last one to be closed."""
        if self.limit is not None:
            self._shrink(self.limit - 1)
        self._holders[holder] = None

    def touch(self, holder: Holder) -> None:
        """Note that *holder* is in use: others are closed before it."""
        if holder in self._holders:
            del self._holders[holder]
            self._holders[holder] = None

    def leave(self, holder: Holder) -> None:
        """Count *holder* no more."""
        self._holders.pop(holder, None)

    def make(self, logs: int) -> None:
        """Raise the system's soft limit for *logs* and their rotated files, and keep below what it is then."""
        with suppress(ImportError, OSError, ValueError):
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            wanted = 2 * logs + _SPARE
            if soft != resource.RLIM_INFINITY and soft < wanted:
                soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            if soft != resource.RLIM_INFINITY:
                self.limit = max(1, soft - min(_SPARE, soft // 2))
                self._shrink(self.limit)

    def _shrink(self, size: int) -> None:
        while len(self._holders) > max(0, size):
            next(iter(self._holders)).let_go()
