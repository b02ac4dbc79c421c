"""What people asked for, shared with the daemon through its store: acknowledgements and silences of the dashboard."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nanwatch.errors import NanwatchError
from nanwatch.holding import holder, user_name
from nanwatch.model.alert import Silence
from nanwatch.store import FILE, Store, open_store


@dataclass(frozen=True, slots=True)
class Wishes:
    """What holds now: the silences, and the ids (among all logs) of the alerts that are acknowledged."""

    silences: tuple[Silence, ...] = ()
    acknowledged: frozenset[str] = frozenset()


class Sharing:
    """The store in *folder*, opened when there is something to be read or written, and looked at again when it changed.

    Where it cannot be used, people's wishes hold in this process only, and `problem` says why. *is_remote* tells
    whether the folder is on a network file system.
    """

    def __init__(self, folder: Path, is_remote: Callable[[Path], bool] = lambda _: False) -> None:
        self.folder = folder
        self.problem = ""
        self._is_remote = is_remote
        self._store: Store | None = None
        self._wishes = Wishes()
        self._has_written = False
        self._file: tuple[int, int] | None = None

    @property
    def daemon(self) -> str | None:
        """The daemon that runs, in words, or None."""
        return holder(self.folder)

    def look(self, now: float) -> Wishes:
        """Return what people have asked for and what still holds at *now*."""
        file = self._identity()
        if self._store is not None and file != self._file:  # it was replaced or removed: what it held is not asked for
            self.close()
        if self._store is None and file is not None:
            self._open()
        store = self._store
        if store is not None:
            self._try(lambda: self._read(store, now))
        return self._wishes

    def acknowledge(self, alert: str, at: float | None) -> bool:
        """Ask for the alert with this id to be kept quiet from *at* (None: no longer); return whether it is written."""
        return self._write(lambda store: store.ask(alert, at))

    def silence(self, silence: Silence) -> bool:
        """Set *silence*; return whether it is written."""
        return self._write(lambda store: store.add_silence(silence, user_name()))

    def end_silences(self, ends: Callable[[Silence], bool], now: float) -> None:
        """End the silences for which *ends* holds."""
        self._write(lambda store: [store.end_silence(s.number, now) for s in store.silences() if ends(s.silence)])

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.database.close()
            self._store, self._wishes = None, Wishes()

    def _read(self, store: Store, now: float) -> None:
        changed = store.database.changed_outside() or self._has_written
        if not changed and not self._expires(now):
            return
        self._has_written = False
        silences = tuple(s.silence for s in store.silences() if s.silence.ends_at is None or s.silence.ends_at > now)
        known = {a.id for _, a in store.alerts() if "acknowledged" in a.suppressed}
        for request in store.requests():
            known = known - {request.alert} if request.acknowledged_at is None else known | {request.alert}
        self._wishes = Wishes(silences, frozenset(known))

    def _expires(self, now: float) -> bool:
        return any(s.ends_at is not None and s.ends_at <= now for s in self._wishes.silences)

    def _write(self, change: Callable[[Store], object]) -> bool:
        if self._store is None:
            self._open()
        store = self._store
        if store is None or not self._try(lambda: change(store)):
            return False
        self.problem, self._has_written = store.database.degraded, True
        self._file = self._identity()
        return not self.problem

    def _open(self) -> None:
        try:
            self._store = open_store(self.folder, network=self._is_remote(self.folder))
            self._file = self._identity()
        except (NanwatchError, OSError, sqlite3.Error) as error:
            self.problem = str(error)

    def _identity(self) -> tuple[int, int] | None:
        """Return the device and inode of the store's file, or None where there is none that may be looked at."""
        try:
            status = (self.folder / FILE).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problem = f"{self.folder / FILE}: {(error.strerror or 'cannot be used').lower()}"
            return None
        return status.st_dev, status.st_ino

    def _try(self, what: Callable[[], object]) -> bool:
        try:
            what()
        except sqlite3.Error as error:
            self.problem = f"{self.folder / FILE}: {error}"
            return False
        return True
