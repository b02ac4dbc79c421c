"""The store's connection: kept through a file that breaks, moves or is on a full disk, where memory stands in for it.

`opening` makes the connection, `schema` says what is in it, `salvage` and `merging` carry it from one to another.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from nanwatch.errors import UsageError
from nanwatch.merging import merge
from nanwatch.opening import Opened, copy_to_memory, open_sound_file, open_store_file, replace_file
from nanwatch.salvage import readable
from nanwatch.sqlitefile import BROKEN, NO_DISK, has_code, identity, transaction

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]

_RETURN_S = 15.0
"""Seconds after which it is tried to go back to a disk that was full."""


class Database:
    """One connection, shared by threads in turns.

    A broken file is set aside, and what can be read of it goes on in a new one. While the disk takes nothing, all
    goes on in memory, and back to the disk as soon as it takes it. *say* is told of either, a line each.

    Raises:
        UsageError: the file cannot be used, though nothing is wrong with its content.
    """

    def __init__(self, path: Path, *, network: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._network = network
        self._say = say
        self._lock = threading.RLock()
        self._replaced = self._torn = False
        self._version: int | None = None
        self._left_disk: float | None = None
        self._why = ""
        self._file: tuple[int, int] | None = None
        self._asked: list[list[object]] = []
        self._use(open_store_file(path, network))

    @property
    def degraded(self) -> str:
        """Why nothing reaches the disk now, or nothing."""
        return f"the store is kept in memory only: {self._why}" if self._left_disk is not None else ""

    def was_replaced(self) -> bool:
        """Tell, once, whether the file was set aside, so that all that is known should be written again."""
        replaced, self._replaced = self._replaced, False
        return replaced

    def was_torn(self) -> bool:
        """Tell, once, whether not all that the file held could be saved: nobody knows who was told of what."""
        torn, self._torn = self._torn, False
        return torn

    def changed_outside(self) -> bool:
        """Tell whether another process has written, or may have, since this was last asked."""
        version = self.read(lambda db: int(db.execute("PRAGMA data_version").fetchone()[0]))
        changed, self._version = version != self._version, version
        return changed

    def read(self, query: Change[T]) -> T:
        """Return what *query* finds."""
        with self._lock:
            try:
                return query(self._db)
            except sqlite3.DatabaseError as error:
                if not has_code(error, BROKEN) or self._left_disk is not None:
                    raise
                self._replace(error)
                return query(self._db)

    def write(self, change: Change[T], *, durable: bool = True) -> T:
        """Do all of *change* or nothing of it; with *durable*, it outlasts a power failure too."""
        with self._lock:
            self._return_to_disk()
            if self._is_elsewhere():
                self._follow()
            try:
                return self._commit(change, durable)
            except sqlite3.DatabaseError as error:
                if self._left_disk is not None:
                    raise
                if has_code(error, BROKEN):
                    self._replace(error)
                elif not (has_code(error, NO_DISK) and self._leave_disk(str(error))):
                    raise
                return self._commit(change, durable)

    def close(self) -> None:
        """Close the file; what is in memory only goes there if it can."""
        with self._lock:
            self._return_to_disk(now=True)
            if self._left_disk is not None:
                self._say(f"{self.path}: {self._why}; what was kept in memory only is lost")
            self._db.close()

    def _commit(self, change: Change[T], durable: bool) -> T:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        with transaction(self._db):
            return change(self._db)

    def _use(self, opened: Opened) -> None:
        """Work with *opened* from now on."""
        self._db, self._version = opened.db, None
        if opened.saved is not None:
            self._replaced, self._torn = True, self._torn or not opened.saved.is_whole
        if opened.why_memory is None:
            self._left_disk, self._file = None, identity(self.path)
        else:
            self._left_disk, self._why = time.monotonic(), opened.why_memory
            self._asked = readable(self._db, "request")[0]
        if opened.notice:
            self._say(f"{self.path}: {opened.notice}")

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Go on in a new file, with what can be saved of the broken one."""
        with suppress(sqlite3.DatabaseError):
            self._db.close()
        self._use(replace_file(self.path, self._network, str(error)))

    def _leave_disk(self, why: str) -> bool:
        """Go on in memory; return False, and change nothing, where the disk cannot be read either."""
        memory = copy_to_memory(self._db)
        if memory is None:
            return False
        self._db.close()
        self._use(Opened.in_memory(memory, why))
        return True

    def _return_to_disk(self, now: bool = False) -> None:
        if self._left_disk is None or (not now and time.monotonic() - self._left_disk < _RETURN_S):
            return
        self._left_disk = time.monotonic()
        try:
            disk = self._merged()
        except (OSError, UsageError, sqlite3.DatabaseError) as error:
            self._why = str(error)
            return
        self._db.close()
        self._use(Opened(disk, notice="written again"))

    def _merged(self) -> sqlite3.Connection:
        """Write what is in memory into the file, but for what people have asked for through it meanwhile."""
        disk = open_sound_file(self.path, self._network)
        try:
            with transaction(disk):
                merge(self._db, disk, self._asked)
        except BaseException:
            disk.close()
            raise
        return disk

    def _is_elsewhere(self) -> bool:
        """Tell whether the file at the path is no longer the one that is open (without WAL, SQLite tells it)."""
        return self._left_disk is None and not self._network and identity(self.path) != self._file

    def _follow(self) -> None:
        """Go to the file that is now at the path, or make one there, with all that is known."""
        if self._leave_disk("it was moved or deleted"):
            self._return_to_disk(now=True)
        else:
            self._db.close()
            self._use(open_store_file(self.path, self._network))
            self._replaced = self._torn = True
