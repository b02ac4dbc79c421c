"""Opening the store: what comes of a file that is new, sound, broken or another's, or that the disk cannot take."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from nanwatch.errors import UsageError
from nanwatch.salvage import Saved, salvage, transfer
from nanwatch.schema import damaged, foreign, latest, migrate, version_of
from nanwatch.sqlitefile import BROKEN, FULL, connect, create, has_code, rename, set_journal, transaction


class Opened(NamedTuple):
    """A connection to go on with: why it is one to memory (else None), what is to be said, what was saved (if so)."""

    db: sqlite3.Connection
    why_memory: str | None = None
    notice: str = ""
    saved: Saved | None = None

    @classmethod
    def in_memory(cls, db: sqlite3.Connection, why: str, saved: Saved | None = None) -> Opened:
        """Return that *db*, in memory, stands in for the file."""
        return cls(db, why, f"{why}; going on in memory until it can be written again", saved)


def open_store_file(path: Path, network: bool) -> Opened:
    """Open the file at *path*, or what goes on in its place; with *network*, it is on a network file system.

    Raises:
        UsageError: the file cannot be used, though nothing is wrong with its content.
    """
    create(path)
    try:
        problem = _problem(path)
        return replace_file(path, network, problem) if problem else Opened(_open_disk(path, network))
    except sqlite3.DatabaseError as error:
        with suppress(sqlite3.DatabaseError):
            if has_code(error, FULL):
                return _copy_in_memory(path, str(error))
        raise UsageError(f"{path}: {error}") from None


def replace_file(path: Path, network: bool, problem: str) -> Opened:
    """Keep the file that cannot be used under another name; open a new one with what can be saved of it."""
    try:
        old = rename(path)
    except OSError as error:
        return _start_in_memory(path, path, f"{problem}; it cannot be set aside: {error.strerror}")
    try:
        create(path)
        db = connect(path)
        try:
            saved = salvage(old, db)
            _prepare(db, path, network)
        except BaseException:
            db.close()
            raise
    except (UsageError, sqlite3.DatabaseError) as error:
        return _start_in_memory(path, old, f"{problem}; set aside as {old.name}; {error}")
    return Opened(db, None, f"{problem}; set aside as {old.name}, {saved.rows:,} rows saved from it", saved)


def open_sound_file(path: Path, network: bool) -> sqlite3.Connection:
    """Open the file at *path*, or a new one: a broken one is set aside, and nothing of it is needed."""
    create(path)
    if _problem(path):
        rename(path)
        create(path)
    return _open_disk(path, network)


def copy_to_memory(db: sqlite3.Connection) -> sqlite3.Connection | None:
    """Return a copy of *db* in memory; None when not all of it can be read."""
    memory = connect(None)
    if transfer(db, memory).is_whole:
        return memory
    memory.close()
    return None


def _open_disk(path: Path, network: bool) -> sqlite3.Connection:
    db = connect(path)
    try:
        _prepare(db, path, network)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path, network: bool = False) -> None:
    """Bring the schema up to date, in one transaction; a file of a newer version is not touched."""
    if version_of(db) < latest():
        with transaction(db):
            migrate(db, latest())
    if (version := version_of(db)) > latest():
        raise UsageError(f"{path}: written by a newer nanwatch (schema {version}; known: {latest()})")
    set_journal(db, "truncate" if network else "wal")


def _copy_in_memory(path: Path, why: str) -> Opened:
    """Begin in memory with what the file holds, which can be read though not a byte can be written."""
    with closing(connect(path)) as disk:
        disk.execute("PRAGMA locking_mode = EXCLUSIVE")  # the only way without the file of shared memory
        is_ours = not foreign(disk) and version_of(disk) <= latest()
        memory = copy_to_memory(disk) if is_ours else None
        if memory is None:
            raise UsageError(f"{path}: {why}")
    return Opened.in_memory(memory, why)


def _start_in_memory(path: Path, old: Path, why: str) -> Opened:
    """Begin in memory with what can be saved of *old*."""
    memory = connect(None)
    saved = salvage(old, memory)
    _prepare(memory, path)
    return Opened.in_memory(memory, why, saved)


def _problem(path: Path) -> str:
    """Return why the file at *path* is no store to go on with, or nothing. Nothing is written if that can be."""
    try:
        return _problem_in(path, "ro")
    except sqlite3.DatabaseError as error:
        if not has_code(error, {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}):
            raise
    return _problem_in(path, "rw")  # a transaction that was cut short has to be rolled back first


def _problem_in(path: Path, mode: str) -> str:
    try:
        with closing(connect(path, mode)) as db:
            return foreign(db) or damaged(db)
    except sqlite3.DatabaseError as error:
        if has_code(error, BROKEN):
            return str(error)
        raise
