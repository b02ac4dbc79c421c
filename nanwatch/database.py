"""The file behind the store: SQLite, set aside where it is broken, and left for memory while the disk takes nothing."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
_LOOK_S = 2.0
"""Others who only look who holds the lock are gone by then: it takes them microseconds."""
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_DISK = _FULL | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_SUFFIXES = ("", "-wal", "-shm", "-journal")

SCHEMA = """
CREATE TABLE log (
    path TEXT PRIMARY KEY, position TEXT NOT NULL, state TEXT NOT NULL, grew_at REAL NOT NULL, run TEXT NOT NULL
);
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
_ASKED = ("silence", "request")
"""What other processes write into the file: what people ask for."""
_ENDS_AT = 5
"""The column of a silence's end, which may be set later."""


class HeldByAnother(NanwatchError):
    """Another daemon holds the store."""

    exit_code = 4


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the store in *folder* for this process alone, for as long as the process lives or the block lasts.

    Raises:
        HeldByAnother: somebody else does; says who.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{folder}: {(error.strerror or 'cannot be used').lower()}") from None
    try:
        _lock_alone(lock, folder)
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        with suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(lock, 0)
            os.pwrite(lock, json.dumps(who).encode(), 0)
        yield
    finally:
        os.close(lock)


def _lock_alone(lock: int, folder: Path) -> None:
    until = time.monotonic() + _LOOK_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = holder(folder)
            if who or time.monotonic() > until:
                raise HeldByAnother(f"another daemon is running: {who or 'unknown'}, with {folder}") from None
            time.sleep(0.001)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be locked ({(error.strerror or 'no reason given').lower()})") from None


def holder(folder: Path) -> str | None:
    """Return who holds the store in *folder*, in words, or None when nobody does."""
    try:
        with (folder / "daemon.lock").open(encoding="utf-8") as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # whoever else looks is not in the way
                return None
            who = json.load(file)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who["since"]))
            return f"process {who['pid']} on {who['host']} since {since}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "a process that does not say who it is"


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
        self._use(self._open())

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
                if not _is(error, _BROKEN) or self._left_disk is not None:
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
                if _is(error, _BROKEN):
                    self._replace(error)
                elif not (_is(error, _NO_DISK) and self._leave_disk(str(error))):
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
        with _transaction(self._db):
            return change(self._db)

    # -- the file

    def _use(self, db: sqlite3.Connection) -> None:
        """Work with *db* from now on."""
        self._db, self._version = db, None
        if self._left_disk is None:
            self._file = _identity(self.path)
        else:
            self._asked = _readable(db, "request")[0]

    def _open(self) -> sqlite3.Connection:
        self._create()
        try:
            problem = _problem(self.path)
            return self._set_aside(problem) if problem else self._open_disk()
        except sqlite3.DatabaseError as error:
            with suppress(sqlite3.DatabaseError):
                if _is(error, _FULL):
                    return self._open_in_memory(error)
            raise UsageError(f"{self.path}: {error}") from None

    def _create(self) -> None:
        """Make an empty file that only its owner may read, unless there is one.

        Raises:
            UsageError: that is not possible, or the file that is there cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Never opened a second time beside SQLite: closing it would drop the locks that SQLite holds.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            if not self.path.exists():
                raise UsageError(f"{self.path}: {(error.strerror or 'cannot be made').lower()}") from None
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise UsageError(f"{self.path}: permission denied")

    def _connect(self) -> sqlite3.Connection:
        return _connect(self.path)

    def _open_disk(self) -> sqlite3.Connection:
        db = self._connect()
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Bring the schema up to date, in one transaction; a file of a newer version is not touched."""
        if _version(db) < len(MIGRATIONS):
            with _transaction(db):
                _migrate(db, len(MIGRATIONS))
        if (version := _version(db)) > len(MIGRATIONS):
            raise UsageError(f"{self.path}: written by a newer nanwatch (schema {version}; known: {len(MIGRATIONS)})")
        _set_journal(db, "truncate" if self._network else "wal")

    # -- a file that cannot be used

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        with suppress(sqlite3.DatabaseError):
            self._db.close()
        self._use(self._set_aside(str(error)))

    def _set_aside(self, problem: str) -> sqlite3.Connection:
        """Keep the file that cannot be used under another name; open a new one with what can be saved of it."""
        try:
            old = _rename(self.path)
        except OSError as error:
            return self._start_in_memory(self.path, f"{problem}; it cannot be set aside: {error.strerror}")
        try:
            self._create()
            db = self._connect()
            try:
                saved = self._salvage(old, db)
                self._prepare(db)
            except BaseException:
                db.close()
                raise
        except (UsageError, sqlite3.DatabaseError) as error:
            return self._start_in_memory(old, f"{problem}; set aside as {old.name}; {error}")
        self._say(f"{self.path}: {problem}; set aside as {old.name}, {saved:,} rows saved from it")
        return db

    def _salvage(self, old: Path, db: sqlite3.Connection) -> int:
        """Copy the rows of *old* that can still be read into *db*; return how many."""
        try:
            with closing(_connect(old, "ro")) as source:
                saved, is_whole = (0, False) if _foreign(source) else _transfer(source, db)
        except sqlite3.DatabaseError as error:
            if not _is(error, _BROKEN | {sqlite3.SQLITE_READONLY}):
                raise
            saved, is_whole = 0, False
        self._replaced, self._torn = True, self._torn or not is_whole
        return saved

    # -- a disk that takes nothing

    def _open_in_memory(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Begin in memory with what the file holds, which can be read though not a byte can be written."""
        memory = _connect(None)
        with closing(self._connect()) as disk:
            disk.execute("PRAGMA locking_mode = EXCLUSIVE")  # the only way without the file of shared memory
            if _foreign(disk) or _version(disk) > len(MIGRATIONS) or not _transfer(disk, memory)[1]:
                raise UsageError(f"{self.path}: {error}")
        self._stay_in_memory(str(error))
        return memory

    def _start_in_memory(self, old: Path, why: str) -> sqlite3.Connection:
        memory = _connect(None)
        self._salvage(old, memory)
        self._prepare(memory)
        self._stay_in_memory(why)
        return memory

    def _leave_disk(self, why: str) -> bool:
        """Go on in memory; return False, and change nothing, where the disk cannot be read either."""
        memory = _connect(None)
        if not _transfer(self._db, memory)[1]:
            memory.close()
            return False
        self._db.close()
        self._stay_in_memory(why)
        self._use(memory)
        return True

    def _follow(self) -> None:
        """Go to the file that is now at the path, or make one there, with all that is known."""
        if self._leave_disk("it was moved or deleted"):
            self._return_to_disk(now=True)
        else:
            self._db.close()
            self._use(self._open())
            self._replaced = self._torn = True

    def _stay_in_memory(self, why: str) -> None:
        self._left_disk, self._why = time.monotonic(), why
        self._say(f"{self.path}: {why}; going on in memory until it can be written again")

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
        self._left_disk = None
        self._use(disk)
        self._say(f"{self.path}: written again")

    def _merged(self) -> sqlite3.Connection:
        """Write what is in memory into the file, but for what people have asked for through it meanwhile."""
        self._create()
        if _problem(self.path):
            _rename(self.path)
            self._create()
        disk = self._open_disk()
        try:
            with _transaction(disk):
                for table in (table for table in TABLES if table not in _ASKED):
                    disk.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
                    _fill(disk, table, _readable(self._db, table)[0])
                _merge_silences(disk, self._db)
                _merge_requests(disk, self._db, self._asked)
                _raise_sequences(disk, {t: n for t, n in _sequences(self._db).items() if t not in _ASKED})
        except BaseException:
            disk.close()
            raise
        return disk

    def _is_elsewhere(self) -> bool:
        """Tell whether the file at the path is no longer the one that is open (without WAL, SQLite tells it)."""
        return self._left_disk is None and not self._network and _identity(self.path) != self._file


def _connect(path: Path | None, mode: str = "rw") -> sqlite3.Connection:
    address = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(address, _BUSY_S, isolation_level=None, check_same_thread=False, uri=True)
    db.text_factory = lambda data: data.decode(errors="replace")  # a damaged text must not hide the rows beside it
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _is(error: sqlite3.DatabaseError, codes: set[int]) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in codes


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


# -- what a file is


def _problem(path: Path) -> str:
    """Return why the file at *path* is no store to go on with, or nothing. Nothing is written if that can be."""
    try:
        return _problem_in(path, "ro")
    except sqlite3.DatabaseError as error:
        if not _is(error, {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}):
            raise
    return _problem_in(path, "rw")  # a transaction that was cut short has to be rolled back first


def _problem_in(path: Path, mode: str) -> str:
    try:
        with closing(_connect(path, mode)) as db:
            return _foreign(db) or _damaged(db)
    except sqlite3.DatabaseError as error:
        if _is(error, _BROKEN):
            return str(error)
        raise


def _foreign(db: sqlite3.Connection) -> str:
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    return "" if application == APPLICATION_ID or not (application or tables) else "not a store of nanwatch"


def _damaged(db: sqlite3.Connection) -> str:
    told = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if told != "ok":
        return f"damaged ({told.splitlines()[-1]})"
    lost = set(TABLES) - _tables(db) if _version(db) == len(MIGRATIONS) else set()
    return f"damaged (no table {min(lost)})" if lost else ""


def _tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _migrate(db: sqlite3.Connection, to: int) -> None:
    """Bring the schema to version *to*, within the transaction that is open."""
    for number in range(_version(db), to):  # asked within the transaction: another process may have been faster
        for statement in _statements(MIGRATIONS[number]):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {number + 1}")


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _set_journal(db: sqlite3.Connection, mode: str) -> None:
    """Set the journal mode. WAL needs shared memory, which no network file system gives."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            db.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:  # for this one SQLite does not wait itself
            if not _is(error, {sqlite3.SQLITE_BUSY}) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _rename(path: Path) -> Path:
    """Give the file at *path*, and what SQLite keeps beside it, a name under which nobody uses it."""
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**6:06}")
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return aside


# -- from one file to another


def _transfer(source: sqlite3.Connection, target: sqlite3.Connection) -> tuple[int, bool]:
    """Copy what can be read of *source* into the empty *target*; return how many rows, and whether they are all."""
    version = min(_version(source), len(MIGRATIONS))
    saved, is_whole = 0, True
    with _transaction(target):
        _migrate(target, version)
        for table in sorted(_tables(target) - {"sqlite_sequence"}):
            rows, is_readable = _readable(source, table, _columns(target, table))
            filled = _fill(target, table, rows)
            saved, is_whole = saved + filled, is_whole and is_readable and filled == len(rows)
        if version:
            _raise_sequences(target, _sequences(source))
        _migrate(target, len(MIGRATIONS))
        if not is_whole:  # a message that is lost is made anew
            target.execute(
                "UPDATE news SET outcome = 'waiting', delivery = NULL "
                "WHERE outcome = 'formed' AND delivery NOT IN (SELECT number FROM delivery)"
            )
    return saved, is_whole


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _readable(db: sqlite3.Connection, table: str, columns: Iterable[str] = "*") -> tuple[list[list[object]], bool]:
    """Return the rows that can be read, from either end up to the damage, and whether they are all."""
    found: dict[int, list[object]] = {}
    for order in ("ASC", "DESC"):
        query = f"SELECT rowid, {', '.join(columns)} FROM {table} ORDER BY rowid {order}"  # noqa: S608
        try:
            for rowid, *row in db.execute(query):
                found[rowid] = row
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError:
            continue
        return [found[rowid] for rowid in sorted(found)], order == "ASC"
    return [found[rowid] for rowid in sorted(found)], False


def _fill(db: sqlite3.Connection, table: str, rows: Iterable[list[object]]) -> int:
    """Write *rows*; return how many of them are such as the table takes."""
    filled = 0
    for row in rows:
        with suppress(sqlite3.IntegrityError):  # damage may have made something else of it
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
            filled += 1
    return filled


def _sequences(db: sqlite3.Connection) -> dict[str, int]:
    """Return the highest number that was ever given in each table."""
    rows, _ = _readable(db, "sqlite_sequence", ("name", "seq"))
    return {str(name): seq for name, seq in rows if isinstance(seq, int)}


def _raise_sequences(db: sqlite3.Connection, sequences: dict[str, int]) -> None:
    for item in sequences.items():
        db.execute("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", item)
        query = (
            "INSERT INTO sqlite_sequence SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)"
        )
        db.execute(query, (*item, item[0]))


def _merge_silences(disk: sqlite3.Connection, memory: sqlite3.Connection) -> None:
    """Add to *disk* what was set in *memory*, and end what was ended there."""
    for row in _readable(memory, "silence")[0]:
        number, ends_at = row[0], row[_ENDS_AT]
        _add(disk, "silence", row, without=_ENDS_AT)
        if ends_at is not None:
            query = "UPDATE silence SET ends_at = ? WHERE number = ? AND (ends_at IS NULL OR ends_at > ?)"
            disk.execute(query, (ends_at, number, ends_at))


def _merge_requests(disk: sqlite3.Connection, memory: sqlite3.Connection, before: list[list[object]]) -> None:
    """Add to *disk* what was asked in *memory*; of what was asked *before*, drop what was answered there."""
    rows = _readable(memory, "request")[0]
    for row in (row for row in before if row not in rows):
        disk.execute("DELETE FROM request WHERE number = ? AND alert = ? AND acknowledged_at IS ?", row)
    for row in rows:
        _add(disk, "request", row)


def _add(db: sqlite3.Connection, table: str, row: list[object], without: int | None = None) -> None:
    """Add *row*, under a new number where another row has its own, unless it is there (*without* a column: alike)."""
    there = db.execute(f"SELECT * FROM {table} WHERE number = ?", row[:1]).fetchone()  # noqa: S608
    if there is not None:
        if all(one == other for i, (one, other) in enumerate(zip(row, there, strict=True)) if i != without):
            return
        row = [None, *row[1:]]
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
