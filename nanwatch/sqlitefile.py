"""A file of SQLite: making it, connecting to it, its transactions and its errors, whatever it holds."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanwatch.errors import UsageError

BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
NO_DISK = FULL | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_BUSY_S = 10.0
_SUFFIXES = ("", "-wal", "-shm", "-journal")


def connect(path: Path | None, mode: str = "rw") -> sqlite3.Connection:
    """Connect to the file at *path*, or (with None) to memory."""
    address = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(address, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, uri=True)
    db.text_factory = lambda data: data.decode(errors="replace")  # a damaged text must not hide the rows beside it
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do all of the block or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def has_code(error: sqlite3.DatabaseError, codes: set[int]) -> bool:
    """Tell whether *error* is one of *codes*, whatever its extension."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in codes


def create(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one.

    Raises:
        UsageError: that is not possible, or the file that is there cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Never opened a second time beside SQLite: closing it would drop the locks that SQLite holds.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if not path.exists():
            raise UsageError(f"{path}: {(error.strerror or 'cannot be made').lower()}") from None
    if not os.access(path, os.R_OK | os.W_OK):
        raise UsageError(f"{path}: permission denied")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from another one there; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def set_journal(db: sqlite3.Connection, mode: str) -> None:
    """Set the journal mode. WAL needs shared memory, which no network file system gives."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:  # for this one SQLite does not wait itself
            if not has_code(error, {sqlite3.SQLITE_BUSY}) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def rename(path: Path) -> Path:
    """Give the file at *path*, and what SQLite keeps beside it, a name under which nobody uses it."""
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**6:06}")
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside
