"""The file behind the store: SQLite, set aside where it is broken, and left for memory while the disk takes nothing."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from nanwatch.errors import NanwatchError, UsageError

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]

APPLICATION_ID = 0x6E616E77  # "nanw": so that a file of another program is known as such
_BUSY_S = 10.0
_RETURN_S = 15.0
"""Seconds after which it is tried to go back to a disk that was full."""
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_DISK = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}

SCHEMA = """
CREATE TABLE log (path TEXT PRIMARY KEY, position TEXT NOT NULL, state TEXT NOT NULL, grew_at REAL NOT NULL);
CREATE TABLE run (id TEXT PRIMARY KEY, log TEXT NOT NULL, facts TEXT NOT NULL);
CREATE TABLE alert (
    id TEXT PRIMARY KEY, log TEXT NOT NULL, run TEXT NOT NULL, state TEXT NOT NULL, facts TEXT NOT NULL,
    changed_at REAL NOT NULL
);
CREATE INDEX alert_by_log ON alert (log);
CREATE TABLE news (
    number INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, alert TEXT NOT NULL, reason TEXT NOT NULL,
    created_at REAL NOT NULL, due REAL NOT NULL, delivery INTEGER, outcome TEXT NOT NULL DEFAULT 'waiting'
);
CREATE INDEX news_by_outcome ON news (destination, outcome);
CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL, message TEXT NOT NULL,
    created_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT 'pending',
    settled_at REAL
);
CREATE INDEX delivery_by_outcome ON delivery (destination, outcome);
CREATE TABLE destination (
    name TEXT PRIMARY KEY, failures INTEGER NOT NULL DEFAULT 0, attempted_at REAL, facts TEXT NOT NULL
);
CREATE TABLE silence (
    number INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, run TEXT NOT NULL, severity TEXT NOT NULL,
    starts_at REAL NOT NULL, ends_at REAL, comment TEXT NOT NULL, created_by TEXT NOT NULL
);
CREATE TABLE request (number INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, acknowledged_at REAL);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

MIGRATIONS: tuple[str, ...] = (SCHEMA,)
"""What leads from each version of the schema to the next; the first begins with an empty file."""

TABLES = ("fact", "log", "run", "alert", "destination", "silence", "request", "delivery", "news")


class HeldByAnother(NanwatchError):
    """Another daemon holds the store."""

    exit_code = 4


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the store in *folder* for this process alone, for as long as the process lives or the block lasts.

    Raises:
        HeldByAnother: somebody else does; says who.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "daemon.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HeldByAnother(f"another daemon is running: {holder(folder) or 'unknown'}, with {folder}") from None
        with suppress(OSError):  # on a full disk it is held all the same
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
            file.flush()
        yield


def holder(folder: Path) -> str | None:
    """Return who holds the store in *folder*, in words, or None when nobody does."""
    try:
        with (folder / "daemon.lock").open("r+", encoding="utf-8") as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
            file.seek(0)
            who = json.load(file)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who["since"]))
            return f"process {who['pid']} on {who['host']} since {since}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that does not say who it is"


class Database:
    """One connection, shared by threads in turns.

    A broken file is set aside, and what can be read of it goes on in a new one. While the disk takes nothing, all
    goes on in memory, and back to the disk as soon as it takes it. *say* is told of either, a line each.
    """

    def __init__(self, path: Path, *, network: bool = False, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self._network = network
        self._say = say
        self._lock = threading.RLock()
        self._replaced = self._torn = False
        self._version = 0
        self._left_disk: float | None = None
        self._why = ""
        self._db = self._open()

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
        """Tell whether another process has written since this was last asked."""
        version = self.read(lambda db: int(db.execute("PRAGMA data_version").fetchone()[0]))
        changed, self._version = version != self._version, version
        return changed

    def read(self, query: Change[T]) -> T:
        """Return what *query* finds."""
        with self._lock:
            try:
                return query(self._db)
            except sqlite3.DatabaseError as error:
                if not _is(error, _BROKEN):
                    raise
                self._replace(error)
                return query(self._db)

    def write(self, change: Change[T], *, durable: bool = True) -> T:
        """Do all of *change* or nothing of it; with *durable*, it outlasts a power failure too."""
        with self._lock:
            self._return_to_disk()
            try:
                return self._commit(change, durable)
            except sqlite3.DatabaseError as error:
                if _is(error, _BROKEN):
                    self._replace(error)
                elif _is(error, _NO_DISK) and self._left_disk is None:
                    self._leave_disk(error)
                else:
                    raise
                return self._commit(change, durable)

    def close(self) -> None:
        """Close the file; what is in memory only goes there if it can."""
        with self._lock:
            self._return_to_disk(now=True)
            self._db.close()

    # -- transactions

    def _commit(self, change: Change[T], durable: bool) -> T:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = change(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    # -- the file

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise UsageError(f"{self.path}: {(error.strerror or 'cannot be opened').lower()}") from None
        db = self._connect()
        try:
            problem = _foreign(db) or _damaged(db)
        except sqlite3.DatabaseError as error:
            problem = str(error)
        if problem:
            db.close()
            return self._set_aside(problem)
        try:
            self._prepare(db)
        except sqlite3.OperationalError as error:
            db.close()
            raise UsageError(f"{self.path}: {error}") from None
        return db

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, _BUSY_S, isolation_level=None, check_same_thread=False)

    def _prepare(self, db: sqlite3.Connection) -> None:
        # WAL needs shared memory, which no network file system gives.
        db.execute(f"PRAGMA journal_mode = {'TRUNCATE' if self._network else 'WAL'}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            db.close()
            raise UsageError(f"{self.path}: written by a newer nanwatch (schema {version}; known: {len(MIGRATIONS)})")
        for number, script in list(enumerate(MIGRATIONS, 1))[version:]:
            header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            try:
                db.executescript(f"BEGIN IMMEDIATE; {script}; {header} COMMIT;")
            except sqlite3.DatabaseError:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _set_aside(self, problem: str) -> sqlite3.Connection:
        """Keep the file that cannot be used under another name; open a new one with what can be saved of it."""
        aside = self.path.with_name(f"{self.path.name}.{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**6:06}")
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = self._connect()
        self._prepare(db)
        saved, is_whole = _salvage(aside, db)
        self._replaced, self._torn = True, not is_whole
        self._say(f"{self.path}: {problem}; set aside as {aside.name}, {saved:,} rows saved from it")
        return db

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        with suppress(sqlite3.DatabaseError):
            self._db.close()
        self._db = self._set_aside(str(error))

    # -- a disk that takes nothing

    def _leave_disk(self, error: sqlite3.DatabaseError) -> None:
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.backup(memory)
        self._db.close()
        self._db, self._left_disk, self._why = memory, time.monotonic(), str(error)
        self._say(f"{self.path}: {error}; going on in memory until it can be written again")

    def _return_to_disk(self, now: bool = False) -> None:
        if self._left_disk is None or (not now and time.monotonic() - self._left_disk < _RETURN_S):
            return
        self._left_disk = time.monotonic()
        try:
            with closing(self._connect()) as disk:
                _keep_requests(disk, self._db)
                self._db.backup(disk)
                if not self._network:
                    disk.execute("PRAGMA journal_mode = WAL")
            db = self._connect()
            db.execute("SELECT count(*) FROM fact").fetchone()
        except sqlite3.DatabaseError as error:
            self._why = str(error)
            return
        self._db.close()
        self._db, self._left_disk = db, None
        self._say(f"{self.path}: written again")


def _is(error: sqlite3.DatabaseError, codes: set[int]) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in codes


def _foreign(db: sqlite3.Connection) -> str:
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    return "" if application == APPLICATION_ID or not tables else "not a store of nanwatch"


def _damaged(db: sqlite3.Connection) -> str:
    told = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if told == "ok" else f"damaged ({told.splitlines()[-1]})"


def _salvage(old: Path, db: sqlite3.Connection) -> tuple[int, bool]:
    """Copy the rows of *old* that can still be read into *db*; return how many, and whether they are all."""
    try:
        with closing(sqlite3.connect(f"{old.absolute().as_uri()}?mode=ro", uri=True)) as source:
            if _foreign(source) or source.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
                return 0, False
            copied = [_copy(source, db, table) for table in TABLES]
    except sqlite3.DatabaseError:
        return 0, False
    return sum(n for n, _ in copied), all(is_whole for _, is_whole in copied)


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, table: str) -> tuple[int, bool]:
    saved = 0
    try:
        for row in source.execute(f"SELECT * FROM {table}"):  # noqa: S608 - names of our own
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
            saved += 1
    except sqlite3.DatabaseError:  # what comes after the damage cannot be reached
        return saved, False
    return saved, True


def _keep_requests(disk: sqlite3.Connection, memory: sqlite3.Connection) -> None:
    """Take over what people have asked for through the file meanwhile."""
    for table in ("silence", "request"):
        for row in disk.execute(f"SELECT * FROM {table}"):  # noqa: S608 - names of our own
            memory.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
