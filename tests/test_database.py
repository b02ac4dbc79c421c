"""The file behind the store: what is wrong with it is told and survived, and nothing is ever thrown away."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from nanwatch import database, schema, sqlitefile
from nanwatch.database import Database
from nanwatch.errors import UsageError
from nanwatch.holding import HeldByAnother, hold, holder
from nanwatch.schema import APPLICATION_ID, MIGRATIONS, SCHEMA, TABLES
from tests.support.command import ROOT, TIMEOUT

PAGE = 4096
FILLER = "x" * 400
PRELUDE = """
import os, resource, sys
from pathlib import Path
from nanwatch import database, schema, sqlitefile
from nanwatch.database import Database
from nanwatch.holding import hold, holder
def say(*words): print(*words, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is to be."""
    return tmp_path / "state" / "nanwatch.db"


@pytest.fixture
def said() -> list[str]:
    """Return the list that gets what a database says."""
    return []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def put(db: Database, *names: str, value: str = "") -> None:
    """Write a fact of each name."""
    rows = [(name, value) for name in names]
    db.write(lambda c: c.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", rows))


def names(db: Database) -> list[str]:
    """Return the names of the facts, in the order in which they were written."""
    return db.read(lambda c: [name for (name,) in c.execute("SELECT name FROM fact ORDER BY rowid")])


def ask(db: Database | sqlite3.Connection, alert: str) -> None:
    """Ask for an alert to be acknowledged, as people do."""
    query = "INSERT INTO request (alert, acknowledged_at) VALUES (?, 1.0)"
    if isinstance(db, Database):
        db.write(lambda c: c.execute(query, (alert,)))
    else:
        db.execute(query, (alert,))


def asked(db: Database) -> list[str]:
    """Return what was asked for and not answered."""
    return db.read(lambda c: [alert for (alert,) in c.execute("SELECT alert FROM request ORDER BY number")])


def silence(db: Database | sqlite3.Connection, comment: str) -> None:
    """Set a silence without an end, as people do."""
    query = (
        "INSERT INTO silence (rule, run, severity, starts_at, ends_at, comment, created_by) "
        "VALUES ('*', '*', 'critical', 0, NULL, ?, 'me')"
    )
    if isinstance(db, Database):
        db.write(lambda c: c.execute(query, (comment,)))
    else:
        db.execute(query, (comment,))


def silences(db: Database) -> list[tuple[str, float | None]]:
    """Return the comment and the end of each silence."""
    return db.read(lambda c: c.execute("SELECT comment, ends_at FROM silence ORDER BY number").fetchall())


def version(db: Database) -> int:
    """Return the version of the schema."""
    return db.read(lambda c: int(c.execute("PRAGMA user_version").fetchone()[0]))


def set_aside(path: Path) -> list[Path]:
    """Return the files that were set aside, without those that SQLite keeps beside them."""
    return sorted(p for p in path.parent.glob(f"{path.name}.*") if not p.name.endswith(("-wal", "-shm", "-journal")))


def many(db: Database, count: int = 2000) -> list[str]:
    """Fill some two hundred pages with facts; return their names."""
    numbered = [f"row {i:05}" for i in range(count)]
    put(db, *numbered, value=FILLER)
    return numbered


def damage(path: Path, marker: str) -> None:
    """Overwrite the page that holds *marker* first with what is no page (a row's name and value are side by side)."""
    overwrite(path, path.read_bytes().index(marker.encode()) // PAGE + 1)


def overwrite(path: Path, page: int) -> None:
    """Overwrite a page, counted from one."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def other(path: Path) -> closing[sqlite3.Connection]:
    """Connect to the file as another process does."""
    return closing(sqlite3.connect(path, 5.0, isolation_level=None, check_same_thread=False))


@contextmanager
def process(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run *script* in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as started:  # fmt: skip
        try:
            yield started
        finally:
            started.kill()


def heard(started: subprocess.Popen[str]) -> str:
    """Return the next line that a process says."""
    assert started.stdout is not None
    return started.stdout.readline().rstrip("\n")


def tell(started: subprocess.Popen[str]) -> None:
    """Let a process that waits for a line go on."""
    assert started.stdin is not None
    started.stdin.write("\n")
    started.stdin.flush()


# -- the schema


def test_a_new_file_has_the_schema_and_says_whose_it_is(path: Path) -> None:
    """A new file bears the application's id and the schema's version, and has every table."""
    with closing(Database(path)) as db:
        assert db.read(lambda c: c.execute("PRAGMA application_id").fetchone()) == (APPLICATION_ID,)
        assert version(db) == len(MIGRATIONS)
        found = db.read(lambda c: {name for (name,) in c.execute("SELECT name FROM sqlite_master WHERE type='table'")})
        assert found - {"sqlite_sequence"} == set(TABLES)
        assert not db.was_replaced()
        assert not db.was_torn()
        assert not db.degraded


@pytest.mark.parametrize(("network", "mode"), [(False, "wal"), (True, "truncate")])
def test_a_network_file_system_gets_no_shared_memory(path: Path, network: bool, mode: str) -> None:
    """The journal is WAL, and a plain one that is truncated on a network file system; the rows outlast either."""
    for _ in range(2):
        with closing(Database(path, network=network)) as db:
            assert db.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == (mode,)
            put(db, "kept")
            assert (path.parent / "nanwatch.db-shm").exists() != network
    with closing(Database(path, network=not network)) as db:
        assert names(db) == ["kept"]


def test_an_older_schema_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of an older version gets the steps that it lacks, triggers too, and keeps its rows."""
    with closing(Database(path)) as db:
        put(db, "old")
    step = (
        "ALTER TABLE fact ADD COLUMN note TEXT NOT NULL DEFAULT 'a;b';"
        "CREATE TRIGGER noted AFTER INSERT ON fact BEGIN UPDATE fact SET note = 'new;' WHERE name = new.name; END"
    )
    monkeypatch.setattr(schema, "MIGRATIONS", (SCHEMA, step, "CREATE TABLE further (a)"))
    with closing(Database(path)) as db:
        assert version(db) == 3
        db.write(lambda c: c.execute("INSERT INTO fact (name, value) VALUES ('new', '')"))
        assert db.read(lambda c: c.execute("SELECT name, note FROM fact").fetchall()) == [
            ("old", "a;b"),
            ("new", "new;"),
        ]


@pytest.mark.parametrize("fault", ["INSERT INTO fact VALUES ('old', '')", "SELECT * FROM nothing", "CREATE TABEL x"])
def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A file whose migration fails at its last step is as it was before the first, and is refused in one line."""
    with closing(Database(path)) as db:
        put(db, "old")
    before = path.read_bytes()
    monkeypatch.setattr(schema, "MIGRATIONS", (SCHEMA, "CREATE TABLE further (a)", f"DROP TABLE log;{fault}"))
    with pytest.raises(UsageError, match=r"nanwatch\.db: ") as told:
        Database(path)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == before
    monkeypatch.undo()
    with closing(Database(path)) as db:
        assert names(db) == ["old"]
        assert version(db) == len(MIGRATIONS)


def test_a_newer_schema_is_refused_and_not_touched(path: Path, said: list[str]) -> None:
    """A file of a newer version is refused in one line, whatever the journal, and is not changed by a byte."""
    with closing(Database(path)) as db:
        db.write(lambda c: c.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}"))
    before = path.read_bytes()
    for network in (False, True):
        with pytest.raises(UsageError, match=r"nanwatch\.db: written by a newer nanwatch \(schema \d+; known: \d+\)$"):
            Database(path, network=network, say=said.append)
        assert path.read_bytes() == before
    assert (said, set_aside(path)) == ([], [])


def test_processes_that_start_at_once_make_one_store(path: Path) -> None:
    """Whoever opens a store that is just being made waits for it, and all work with the same file."""
    script = """
sys.stdin.readline()
db = Database(Path(sys.argv[1]), network=sys.argv[2] == "True")
db.write(lambda c: c.execute("INSERT INTO request (alert) VALUES ('a')"))
db.close()
"""
    for network in (False, True):
        target = path.with_name(f"{network}.db")
        with ExitStack() as stack:
            running = [stack.enter_context(process(script, target, network)) for _ in range(4)]
            for each in running:
                tell(each)
            assert [each.wait(TIMEOUT) for each in running] == [0] * len(running)
        with closing(Database(target, network=network)) as db:
            assert asked(db) == ["a"] * len(running)
        assert set_aside(target) == []


# -- files that are none of ours, and damaged ones


def _sqlite_file(path: Path, application: int = 0, statement: str = "CREATE TABLE mine (a)") -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {application}")
        db.execute(statement)
        db.commit()


FOREIGN: dict[str, Callable[[Path], object]] = {
    "text": lambda p: p.write_text("dear diary\n" * 1000),
    "short text": lambda p: p.write_text("dear diary\n"),
    "zeros": lambda p: p.write_bytes(bytes(20_000)),
    "another's tables": _sqlite_file,
    "another's id": lambda p: _sqlite_file(p, 0x12345678),
    "another's id, without tables": lambda p: _sqlite_file(p, 0x12345678, "PRAGMA user_version = 0"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_that_is_no_store_is_set_aside_unchanged(path: Path, said: list[str], kind: str) -> None:
    """A file of somebody else is moved to another name with every byte, that is said, and a new store begins."""
    path.parent.mkdir()
    FOREIGN[kind](path)
    before = path.read_bytes()
    with closing(Database(path, say=said.append)) as db:
        put(db, "new")
        assert [db.was_replaced(), db.was_torn()] == [True, True]
        assert [db.was_replaced(), db.was_torn()] == [False, False]
    (aside,) = set_aside(path)
    assert aside.read_bytes() == before
    (line,) = said
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    assert line.endswith(f"; set aside as {aside.name}, 0 rows saved from it")
    with closing(Database(path, say=said.append)) as db:
        assert names(db) == ["new"]
        assert not db.was_replaced()


def test_a_foreign_file_keeps_what_sqlite_keeps_beside_it(path: Path) -> None:
    """What another program had written last is still in its log of writes, which moves along unread."""
    path.parent.mkdir()
    script = """
import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("CREATE TABLE mine (a)")
os._exit(0)
"""
    with process(script, path) as writer:
        assert writer.wait(TIMEOUT) == 0
    files = [path, path.with_name(f"{path.name}-wal")]
    before = [file.read_bytes() for file in files]
    Database(path).close()
    (aside,) = set_aside(path)
    assert [p.read_bytes() for p in (aside, aside.with_name(f"{aside.name}-wal"))] == before
    with other(aside) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


@pytest.mark.parametrize("network", [False, True])
def test_damage_found_at_the_start_costs_only_what_it_covers(path: Path, said: list[str], network: bool) -> None:
    """The rows on both sides of a page of garbage are in the new file, in their order; the old file is kept."""
    with closing(Database(path, network=network)) as db:
        written = many(db)
        ask(db, "asked")
    damage(path, "row 01000xxx")
    before = path.read_bytes()
    with closing(Database(path, network=network, say=said.append)) as db:
        found = names(db)
        assert found == sorted(found)
        assert {written[0], written[-1]} < set(found)
        assert len(written) - 12 < len(found) < len(written)
        assert asked(db) == ["asked"]
        assert [db.was_replaced(), db.was_torn(), db.was_replaced(), db.was_torn()] == [True, True, False, False]
    (aside,) = set_aside(path)
    assert aside.read_bytes() == before
    assert said == [said[0]]
    assert f"; set aside as {aside.name}, {len(found) + 1:,} rows saved from it" in said[0]


@pytest.mark.parametrize("act", ["read", "write"])
def test_damage_that_shows_later_is_survived(path: Path, said: list[str], act: str) -> None:
    """A page that breaks while the file is open costs its rows only, and what was asked for is answered."""
    with closing(Database(path)) as db:
        written = many(db)
    with closing(Database(path, say=said.append)) as db:
        damage(path, "row 01000xxx")
        if act == "write":
            db.write(lambda c: c.execute("UPDATE fact SET value = 'y'"))
        found = names(db)
        assert {written[0], written[-1]} < set(found)
        assert len(written) - 12 < len(found) < len(written)
        assert [db.was_replaced(), db.was_torn(), db.was_replaced(), db.was_torn()] == [True, True, False, False]
        put(db, "new")
    assert len(said) == 1
    assert len(set_aside(path)) == 1
    with closing(Database(path)) as db:
        assert names(db) == [*found, "new"]


def test_damage_to_no_row_is_not_torn(path: Path) -> None:
    """Where every row could be saved, it is known who was told of what."""
    with closing(Database(path)) as db:
        db.write(lambda c: c.execute("INSERT INTO log VALUES ('a', 'b', 'index me not', 1, '')"))
        db.write(lambda c: c.execute("INSERT INTO alert VALUES ('a', 'only indexed', 'r', 'firing', ?, 1)", (FILLER,)))
    with other(path) as raw:
        root = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alert_by_log'").fetchone()[0]
    overwrite(path, root)
    with closing(Database(path)) as db:
        assert [db.was_replaced(), db.was_torn()] == [True, False]
        assert db.read(lambda c: c.execute("SELECT log FROM alert").fetchall()) == [("only indexed",)]


def test_what_was_torn_once_is_not_whole_again(path: Path) -> None:
    """A second file that breaks, and is saved whole, does not hide that the first one was not."""
    with closing(Database(path)) as db:
        many(db)
    with closing(Database(path)) as db:
        damage(path, "row 01000xxx")
        names(db)
        db.read(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        root = db.read(
            lambda c: c.execute("SELECT rootpage FROM sqlite_master WHERE name='alert_by_log'").fetchone()[0]
        )
        overwrite(path, root)
        db.read(lambda c: c.execute("SELECT log FROM alert INDEXED BY alert_by_log").fetchall())
        assert len(set_aside(path)) == 2
        assert [db.was_replaced(), db.was_torn()] == [True, True]


def test_a_header_of_garbage_leaves_nothing_to_save(path: Path) -> None:
    """A file without its first page is set aside whole."""
    with closing(Database(path)) as db:
        put(db, "lost")
    damage(path, "SQLite format 3")
    with closing(Database(path)) as db:
        assert names(db) == []
        assert [db.was_replaced(), db.was_torn()] == [True, True]


def test_a_store_without_a_table_is_damaged(path: Path) -> None:
    """A store that lacks a table that it must have is set aside, and the rest of it is saved."""
    with closing(Database(path)) as db:
        put(db, "kept")
        db.write(lambda c: c.execute("DROP TABLE news"))
    with closing(Database(path)) as db:
        assert names(db) == ["kept"]
        assert [db.was_replaced(), db.was_torn()] == [True, True]


def test_a_damaged_store_of_an_older_version_is_saved_and_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be read of an older schema goes through the same steps as a sound file."""
    with closing(Database(path)) as db:
        written = many(db)
    damage(path, "row 01000xxx")
    step = "ALTER TABLE fact ADD COLUMN note TEXT NOT NULL DEFAULT 'none'"
    monkeypatch.setattr(schema, "MIGRATIONS", (SCHEMA, step))
    with closing(Database(path)) as db:
        assert len(written) - 12 < len(names(db)) < len(written)
        assert db.read(lambda c: c.execute("SELECT DISTINCT note FROM fact").fetchall()) == [("none",)]


def test_news_whose_message_is_lost_waits_again(path: Path) -> None:
    """News that was put into a message which is damaged waits for another, and no number is given twice."""
    with closing(Database(path)) as db:
        rows = [(f"message {i:03} {FILLER}",) for i in range(100)]
        db.write(
            lambda c: c.executemany("INSERT INTO delivery (destination, message, created_at) VALUES ('d', ?, 0)", rows)
        )
        db.write(
            lambda c: c.execute(
                "INSERT INTO news (destination, alert, reason, created_at, due, delivery, outcome) "
                "SELECT 'd', 'a', 'first', 0, 0, number, 'formed' FROM delivery"
            )
        )
    damage(path, "message 050")
    with closing(Database(path)) as db:
        lost = 100 - db.read(lambda c: int(c.execute("SELECT count(*) FROM delivery").fetchone()[0]))
        waiting = "SELECT count(*), count(delivery) FROM news WHERE outcome = 'waiting'"
        assert 0 < lost < 12
        assert db.read(lambda c: c.execute(waiting).fetchone()) == (lost, 0)
        query = "INSERT INTO delivery (destination, message, created_at) VALUES ('d', '', 0)"
        assert db.write(lambda c: c.execute(query).lastrowid) == 101


def test_text_that_is_damaged_hides_no_other_row(path: Path) -> None:
    """Bytes that are no text, where SQLite cannot notice them, spoil one value only."""
    with closing(Database(path)) as db:
        put(db, "one", "other", value="spoilt")
    path.write_bytes(path.read_bytes().replace(b"spoilt", b"sp\xffilt", 1))
    with closing(Database(path)) as db:
        values = dict(db.read(lambda c: c.execute("SELECT * FROM fact").fetchall()))
        assert sorted(values.values()) == ["spoilt", "sp\ufffdilt"]


def test_the_journal_of_a_broken_file_is_not_taken_for_that_of_the_new_one(path: Path) -> None:
    """All that belongs to a file that is set aside goes with it."""
    with closing(Database(path, network=True)) as db:
        put(db, "lost")
    path.write_text("garbage" * 1000)
    journal = path.with_name(f"{path.name}-journal")
    journal.write_bytes(b"rest of a journal")
    with closing(Database(path, network=True)) as db:
        put(db, "new")
        (aside,) = set_aside(path)
        assert aside.read_text() == "garbage" * 1000
        assert names(db) == ["new"]


@pytest.mark.parametrize("network", [False, True])
def test_a_kill_leaves_the_last_whole_transaction(path: Path, network: bool) -> None:
    """After SIGKILL in the middle of a change the file opens with all that was committed before, and only that."""
    script = """
def cut(c):
    c.execute("PRAGMA cache_spill = 1")
    c.execute("PRAGMA cache_size = 5")
    c.executemany("INSERT INTO fact VALUES (?, ?)", [(f"cut {i}", "x" * 1000) for i in range(500)])
    os.kill(os.getpid(), 9)
db = Database(Path(sys.argv[1]), network=sys.argv[2] == "True")
db.write(lambda c: c.executemany("INSERT INTO fact VALUES (?, ?)", [(f"row {i}", "x" * 1000) for i in range(500)]))
db.write(cut)
"""
    with process(script, path, network) as writer:
        assert writer.wait(TIMEOUT) == -signal.SIGKILL
    with closing(Database(path, network=network)) as db:
        assert names(db) == [f"row {i}" for i in range(500)]
        assert not db.was_replaced()


def test_a_file_that_is_deleted_under_us_is_made_anew(path: Path, said: list[str]) -> None:
    """Where somebody deletes the file, the next change writes all that is known into a new one."""
    with closing(Database(path, say=said.append)) as db:
        put(db, "before")
        path.unlink()
        put(db, "after")
        assert not db.degraded
        with other(path) as raw:
            assert raw.execute("SELECT name FROM fact ORDER BY rowid").fetchall() == [("before",), ("after",)]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(said) == 2


def test_a_file_that_another_process_sets_aside_is_left_for_the_new_one(path: Path) -> None:
    """Where another process finds the damage first, the change goes to the new file, beside what it was asked."""
    with closing(Database(path)) as first:
        written = many(first)
        ask(first, "before")
        first.changed_outside()
        first.read(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        damage(path, "row 01000xxx")
        with closing(Database(path)) as second:
            assert second.was_replaced()
            ask(second, "after")
            put(first, "seen by both")
            assert {written[0], written[-1], "seen by both"} < set(names(second))
            assert names(first) == names(second)
            assert asked(first) == ["before", "after"]
            assert first.changed_outside()
        assert len(set_aside(path)) == 1


# -- a disk that takes nothing


def fill_up(db: Database) -> None:
    """Let SQLite find the disk full, for as long as this connection is used."""
    db.read(lambda c: c.execute("PRAGMA max_page_count = 1").fetchall())


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return what decides whether the disk is tried again at the next change."""
    monkeypatch.setattr(database, "_RETURN_S", float("inf"))
    return lambda is_there: monkeypatch.setattr(database, "_RETURN_S", 0.0 if is_there else float("inf"))


@pytest.mark.parametrize("network", [False, True])
def test_on_a_full_disk_all_goes_on_in_memory(
    path: Path, said: list[str], room: Callable[[bool], None], network: bool
) -> None:
    """Changes that the disk does not take are seen, are reported as kept in memory only, and get there later."""
    with closing(Database(path, network=network, say=said.append)) as db:
        written = many(db, 100)
        fill_up(db)
        many(db, 400)
        assert len(names(db)) == 400
        assert db.degraded == "the store is kept in memory only: database or disk is full"
        put(db, "later")
        db.write(lambda c: c.execute("DELETE FROM fact WHERE name = 'row 00000'"))
        with other(path) as raw:
            assert raw.execute("SELECT count(*) FROM fact").fetchone() == (len(written),)
        room(True)
        put(db, "last")
        assert not db.degraded
        expected = [*(f"row {i:05}" for i in range(1, 400)), "later", "last"]
        assert sorted(names(db)) == sorted(expected)
        assert db.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("truncate" if network else "wal",)
        assert not db.was_replaced()
        with other(path) as raw:
            assert raw.execute("SELECT count(*) FROM fact").fetchone() == (len(expected),)
    assert [line.split(": ", 1)[1] for line in said] == [
        "database or disk is full; going on in memory until it can be written again", "written again",
    ]  # fmt: skip


def test_what_is_in_memory_goes_to_the_disk_at_the_end(path: Path, room: Callable[[bool], None]) -> None:
    """A store that is closed is written if that is possible by then."""
    room(False)
    db = Database(path)
    fill_up(db)
    many(db, 400)
    db.close()
    with closing(Database(path)) as again:
        assert len(names(again)) == 400


def test_a_file_that_becomes_read_only_counts_as_a_full_disk(path: Path, room: Callable[[bool], None]) -> None:
    """Where nothing may be written any more, all goes on in memory too."""
    with closing(Database(path)) as db:
        db.read(lambda c: c.execute("PRAGMA query_only = 1"))
        put(db, "a")
        assert "readonly" in db.degraded
        assert names(db) == ["a"]
        room(True)
        put(db, "b")
        assert not db.degraded


def test_what_people_ask_meanwhile_is_kept(path: Path, room: Callable[[bool], None]) -> None:
    """What others write into the file while we are in memory holds, and what we answered is not asked again."""
    with closing(Database(path)) as db:
        for alert in ("answered before", "answered meanwhile", "open"):
            ask(db, alert)
        db.write(lambda c: c.execute("DELETE FROM request WHERE number = 1"))
        for comment in ("ended by others", "ended by us", "holds"):
            silence(db, comment)
        fill_up(db)
        many(db, 100)
        assert db.degraded
        db.changed_outside()
        with other(path) as raw:
            ask(raw, "asked by others")
            silence(raw, "set by others")
            raw.execute("UPDATE silence SET ends_at = 7 WHERE comment = 'ended by others'")
        assert not db.changed_outside()
        db.write(lambda c: c.execute("DELETE FROM request WHERE alert = 'answered meanwhile'"))
        db.write(lambda c: c.execute("UPDATE silence SET ends_at = 8 WHERE comment = 'ended by us'"))
        ask(db, "asked by us")
        silence(db, "set by us")
        room(True)
        put(db, "back")
        assert db.changed_outside()
        assert not db.changed_outside()
        assert asked(db) == ["open", "asked by others", "asked by us"]
        assert silences(db) == [
            ("ended by others", 7), ("ended by us", 8), ("holds", None), ("set by others", None), ("set by us", None),
        ]  # fmt: skip


@pytest.mark.parametrize("found", ["nothing", "garbage", "another store"])
def test_whatever_became_of_the_file_meanwhile_all_is_written(
    path: Path, room: Callable[[bool], None], found: str
) -> None:
    """Where the file was deleted, broken or made anew to gain room, what is in memory is written all the same."""
    with closing(Database(path)) as db:
        ask(db, "asked before")
        ask(db, "answered meanwhile")
        silence(db, "before")
        fill_up(db)
        put(db, "kept", value=FILLER * 100)
        db.write(lambda c: c.execute("DELETE FROM request WHERE number = 2"))
        for file in path.parent.iterdir():
            file.unlink()
        if found == "garbage":
            path.write_text("garbage" * 1000)
        elif found == "another store":
            with closing(Database(path.with_name("new"))) as another:
                ask(another, "asked later")
                ask(another, "asked last")
                silence(another, "later")
            path.with_name("new").rename(path)
        room(True)
        put(db, "last")
        assert not db.degraded
        assert names(db) == ["kept", "last"]
        others = found == "another store"
        assert sorted(asked(db)) == ["asked before", "asked last", "asked later"][: 3 if others else 1]
        assert sorted(silences(db)) == [("before", None), ("later", None)][: 2 if others else 1]
        assert len(set_aside(path)) == (found == "garbage")
        with other(path) as raw:
            assert raw.execute("SELECT count(*) FROM fact").fetchone() == (2,)


def test_no_number_is_given_twice(path: Path, room: Callable[[bool], None]) -> None:
    """What was deleted keeps its number, through a full disk and back."""
    insert = "INSERT INTO delivery (destination, message, created_at) VALUES ('d', ?, 0)"
    given: list[int | None] = []

    def add_and_delete(text: str) -> None:
        given.append(db.write(lambda c: c.execute(insert, (text,)).lastrowid))
        db.write(lambda c: c.execute("DELETE FROM delivery"))

    with closing(Database(path)) as db:
        add_and_delete("")
        fill_up(db)
        add_and_delete(FILLER * 100)
        assert db.degraded
        add_and_delete("")
        room(True)
        add_and_delete("")
        assert not db.degraded
        add_and_delete("")
    assert given == [1, 2, 3, 4, 5]


def test_a_store_in_memory_stays_there_while_the_file_is_in_use(
    path: Path, room: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt to go back that fails changes nothing but the reason that is reported."""
    monkeypatch.setattr(sqlitefile, "_BUSY_S", 0.0)
    with closing(Database(path)) as db:
        fill_up(db)
        put(db, "a", value=FILLER * 100)
        room(True)
        with other(path) as raw:
            raw.execute("BEGIN IMMEDIATE")
            put(db, "b")
            assert "locked" in db.degraded
        put(db, "c")
        assert not db.degraded
        assert names(db) == ["a", "b", "c"]


def test_a_limit_on_the_size_of_files_is_a_full_disk(path: Path) -> None:
    """A write that the system refuses goes to memory, and to the file once the limit is lifted."""
    script = """
database._RETURN_S = float("inf")
db = Database(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
def add(name): db.write(lambda c: c.execute("INSERT INTO fact VALUES (?, ?)", (name, "x" * 50_000)))
for i in range(10): add(f"n{i}")
say(db.degraded)
say(db.read(lambda c: c.execute("SELECT count(*) FROM fact").fetchone()[0]))
database._RETURN_S = 0.0
add("still full")
say(db.degraded)
sys.stdin.readline()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
add("last")
say(db.degraded)
db.close()
"""
    with process(script, path) as writer:
        assert "disk I/O error" in heard(writer)
        assert heard(writer) == "10"
        assert "disk I/O error" in heard(writer)
        with other(path) as raw:
            ask(raw, "meanwhile")
        tell(writer)
        assert heard(writer) == ""
        assert writer.wait(TIMEOUT) == 0
    with closing(Database(path)) as db:
        assert names(db) == [*(f"n{i}" for i in range(10)), "still full", "last"]
        assert asked(db) == ["meanwhile"]


def fill_disk(folder: Path) -> Path:
    """Fill the disk of *folder* to the last byte; return the file that did."""
    ballast = folder / "ballast"
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with pytest.raises(OSError, match="No space"):  # noqa: PT012 - until it is full
        while True:
            os.write(file, bytes(PAGE))
    os.close(file)
    return ballast


@pytest.mark.parametrize("network", [False, True])
def test_a_disk_that_is_really_full(disk: Path, said: list[str], room: Callable[[bool], None], network: bool) -> None:
    """A full disk loses nothing: neither what was there, nor what came while it was full."""
    path = disk / "nanwatch.db"
    with closing(Database(path, network=network, say=said.append)) as db:
        written = many(db, 50)
        ballast = fill_disk(disk)
        put(db, "first", value=FILLER * 100)
        assert db.degraded
        ballast.unlink()
        put(db, "second")
        assert db.degraded
        room(True)
        put(db, "third")
        assert not db.degraded
        assert names(db) == [*written, "first", "second", "third"]
    with closing(Database(path, network=network)) as db:
        assert names(db) == [*written, "first", "second", "third"]
        assert not db.was_replaced()


@pytest.mark.parametrize("was_killed", [False, True])
def test_a_full_disk_at_the_start_is_no_damage(
    disk: Path, said: list[str], room: Callable[[bool], None], was_killed: bool
) -> None:
    """A store that is opened on a full disk is read and goes on in memory; it is not taken for a broken one."""
    path = disk / "nanwatch.db"
    with closing(Database(path)) as db:
        written = many(db, 50)
    if was_killed:
        script = """
db = Database(Path(sys.argv[1]))
db.write(lambda c: c.execute("INSERT INTO fact VALUES ('in the log of writes', '')"))
os._exit(0)
"""
        written.append("in the log of writes")
        with process(script, path) as writer:
            assert writer.wait(TIMEOUT) == 0
        path.with_name(f"{path.name}-shm").unlink()
    ballast = fill_disk(disk)
    with closing(Database(path, say=said.append)) as db:
        assert db.degraded
        assert names(db) == written
        put(db, "new")
        assert set_aside(path) == []
        ballast.unlink()
        room(True)
        put(db, "last")
        assert not db.degraded
        assert not db.was_replaced()
    with closing(Database(path)) as db:
        assert names(db) == [*written, "new", "last"]
    assert len(said) == 2


def test_a_broken_file_on_a_full_disk_goes_on_in_memory(
    disk: Path, said: list[str], room: Callable[[bool], None]
) -> None:
    """What can be saved of a broken file is kept in memory until the disk has room for a new one."""
    path = disk / "nanwatch.db"
    with closing(Database(path)) as db:
        written = many(db, 200)
    with closing(Database(path, say=said.append)) as db:
        damage(path, "row 00100xxx")
        ballast = fill_disk(disk)
        found = names(db)
        assert len(written) - 12 < len(found) < len(written)
        assert db.degraded
        ballast.unlink()
        room(True)
        put(db, "last")
        assert not db.degraded
        assert [db.was_replaced(), db.was_torn()] == [True, True]
    with closing(Database(path)) as db:
        assert names(db) == [*found, "last"]
    assert len(set_aside(path)) == 1


# -- permissions


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every user reaches."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def refusal(path: Path) -> str:
    """Return what somebody who is not root is told when he opens *path*."""
    script = """
from nanwatch.errors import UsageError
from nanwatch.holding import HeldByAnother, hold, holder
from nanwatch.schema import APPLICATION_ID, MIGRATIONS, SCHEMA, TABLES
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    Database(Path(sys.argv[1])).close()
except UsageError as error:
    say(error)
else:
    say("opened")
"""
    with process(script, path) as opener:
        told = heard(opener)
        assert opener.wait(TIMEOUT) == 0
    return told


def test_a_file_that_may_not_be_written_is_refused(open_folder: Path) -> None:
    """A store that one may read only, or that lies where one may not write, is refused in one line; not set aside."""
    path = open_folder / "nanwatch.db"
    Database(path).close()
    path.chmod(0o444)
    before = path.read_bytes()
    assert refusal(path) == f"{path}: permission denied"
    assert refusal(open_folder / "new" / "nanwatch.db") == f"{open_folder}/new/nanwatch.db: permission denied"
    path.chmod(0o666)
    assert refusal(path) == f"{path}: attempt to write a readonly database"  # in this folder
    assert path.read_bytes() == before
    assert {p.name for p in open_folder.iterdir()} <= {"nanwatch.db", "nanwatch.db-shm", "nanwatch.db-wal"}


@pytest.mark.parametrize("way", ["folder", "file as folder"])
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path, way: str) -> None:
    """A folder in the file's place, or a file in the folder's place, is told in one line."""
    path = tmp_path / "a" / "nanwatch.db"
    if way == "folder":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("")
    with pytest.raises(UsageError, match=r"^/.*nanwatch\.db: .*$"):
        Database(path)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_reads_the_store(tmp_path: Path, umask: int, said: list[str]) -> None:
    """Folder and files are the owner's alone whatever the umask, and a new file that replaces one is so too."""
    folder = tmp_path / "state"
    path = folder / "nanwatch.db"
    old = os.umask(umask)
    try:
        with hold(folder), closing(Database(path)) as db:
            put(db, "a")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
            assert modes == dict.fromkeys(["daemon.lock", "nanwatch.db", "nanwatch.db-shm", "nanwatch.db-wal"], 0o600)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        path.write_text("garbage" * 1000)
        path.chmod(0o644)
        Database(path, say=said.append).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(old)


# -- others at the same file


@pytest.mark.parametrize("network", [False, True])
def test_a_change_waits_for_the_one_of_another_process(path: Path, network: bool) -> None:
    """While another connection holds a write transaction, a change waits, and then both are there."""
    with closing(Database(path, network=network)) as db, other(path) as raw:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO fact VALUES ('theirs', '')")
        writer = threading.Thread(target=put, args=(db, "ours"))
        writer.start()
        writer.join(0.05)
        assert writer.is_alive()
        raw.execute("COMMIT")
        writer.join(TIMEOUT)
        assert names(db) == ["theirs", "ours"]
        assert not db.degraded


def test_a_start_waits_for_whoever_reads(path: Path) -> None:
    """A store that is opened while another process reads it with another journal waits for that to end."""
    Database(path, network=True).close()
    opened: list[Database] = []
    with other(path) as raw:
        raw.execute("BEGIN")
        raw.execute("SELECT * FROM fact").fetchall()
        starter = threading.Thread(target=lambda: opened.append(Database(path)))
        starter.start()
        starter.join(0.05)
        assert starter.is_alive()
        raw.execute("COMMIT")
        starter.join(TIMEOUT)
    (db,) = opened
    assert db.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    db.close()


@pytest.mark.parametrize("network", [False, True])
def test_a_store_that_is_in_use_for_too_long_is_not_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    """A file that another process does not let go of is an error, at the start and later, and stays where it is."""
    monkeypatch.setattr(sqlitefile, "_BUSY_S", 0.0)
    with closing(Database(path, network=network)) as db:
        with other(path) as raw:
            raw.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                put(db, "a")
            assert not db.degraded
            if network:
                with pytest.raises(UsageError, match="locked"):
                    Database(path, network=network)
            raw.execute("ROLLBACK")
        put(db, "b")
        assert names(db) == ["b"]
    assert set_aside(path) == []


@pytest.mark.parametrize("network", [False, True])
def test_only_changes_of_others_are_changes_outside(path: Path, network: bool) -> None:
    """The first look says yes, since nobody knows; then only what another connection has written does, once."""
    with closing(Database(path, network=network)) as db:
        assert db.changed_outside()
        put(db, "ours")
        many(db, 100)
        assert not db.changed_outside()
        with other(path) as raw:
            ask(raw, "theirs")
            put(db, "ours again")
            assert db.changed_outside()
            assert not db.changed_outside()
            raw.execute("SELECT * FROM fact").fetchall()
            assert not db.changed_outside()
    with closing(Database(path, network=network)) as db:
        assert db.changed_outside()


def test_after_another_file_is_used_others_may_have_written(path: Path) -> None:
    """A change that another process made before the file was replaced does not go unnoticed, nor one after that."""
    with closing(Database(path)) as db:
        many(db)
        db.changed_outside()
        with other(path) as raw:
            ask(raw, "before")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path, "row 01000xxx")
        names(db)
        assert db.was_replaced()
        assert db.changed_outside()
        assert not db.changed_outside()
        assert asked(db) == ["before"]
        with other(path) as raw:
            ask(raw, "after")
        assert db.changed_outside()


# -- transactions and threads


def test_a_change_that_fails_leaves_nothing(path: Path) -> None:
    """An error in the middle of a change undoes what came before it, whatever the error is."""
    with closing(Database(path)) as db:

        def fail(error: BaseException) -> Callable[[sqlite3.Connection], None]:
            def change(c: sqlite3.Connection) -> None:
                c.execute("INSERT INTO fact VALUES ('half', '')")
                raise error

            return change

        for error in (ValueError("a defect"), KeyboardInterrupt(), sqlite3.IntegrityError("made up")):
            with pytest.raises(type(error)):
                db.write(fail(error))
            assert names(db) == []
        assert not db.degraded
        put(db, "whole")
        assert names(db) == ["whole"]


def test_only_durable_changes_wait_for_the_disk(path: Path) -> None:
    """A change that must outlast a power failure is synchronised; another one, which can be had again, is not."""
    with closing(Database(path)) as db:

        def level(c: sqlite3.Connection) -> int:
            return int(c.execute("PRAGMA synchronous").fetchone()[0])

        assert [db.write(level), db.write(level, durable=False), db.write(level, durable=True)] == [2, 1, 2]


def test_threads_share_the_connection(path: Path) -> None:
    """Many threads that read and write at once raise nothing, lose nothing, and never see half a change."""
    errors: list[BaseException] = []
    with closing(Database(path)) as db:
        start = threading.Barrier(12)

        def write(who: int) -> None:
            for i in range(40):
                put(db, f"{who} {i} a", f"{who} {i} b")

        def read(_: int) -> None:
            for _ in range(40):
                assert len(names(db)) % 2 == 0

        def guarded(act: Callable[[int], None], who: int) -> None:
            start.wait()
            try:
                act(who)
            except BaseException as error:  # noqa: BLE001 - told by the test
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(act, who)) for who in range(6) for act in (write, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        assert errors == []
        assert len(set(names(db))) == 6 * 40 * 2


def test_the_disk_may_fill_up_while_threads_write(path: Path, room: Callable[[bool], None]) -> None:
    """Nothing is lost when threads write while the disk fills up and is emptied again, several times."""
    room(True)
    errors: list[BaseException] = []
    with closing(Database(path)) as db:

        def write(who: int) -> None:
            try:
                for i in range(30):
                    if i % 10 == who:
                        fill_up(db)
                    put(db, f"{who} {i}", value=FILLER * 20)
            except BaseException as error:  # noqa: BLE001 - told by the test
                errors.append(error)

        threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
        assert errors == []
        put(db, "last")
        assert not db.degraded
    with closing(Database(path)) as db:
        assert set(names(db)) == {f"{who} {i}" for who in range(4) for i in range(30)} | {"last"}


# -- who holds the store


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    """One process holds the store; a second one is told its number, its machine and since when, until it is over."""
    folder = tmp_path / "state"
    assert holder(folder) is None
    with hold(folder):
        words = holder(folder)
        assert words is not None
        assert f"process {os.getpid()} on " in words
        with pytest.raises(
            HeldByAnother, match=f"another daemon is running: process {os.getpid()} on .* since "
        ) as told:
            hold(folder).__enter__()
        assert told.value.exit_code == 4
        assert holder(folder) == words
    assert holder(folder) is None
    with hold(folder):
        pass


def test_the_store_is_let_go_when_its_block_fails(tmp_path: Path) -> None:
    """An error does not leave the store held."""
    with pytest.raises(ValueError, match="defect"), hold(tmp_path):
        raise ValueError("defect")
    assert holder(tmp_path) is None


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    """A process holds the store against others for as long as it lives, however it ends."""
    script = """
with hold(Path(sys.argv[1])):
    say("held")
    sys.stdin.readline()
"""
    with process(script, tmp_path) as first:
        assert heard(first) == "held"
        words = holder(tmp_path)
        assert words is not None
        assert words.startswith(f"process {first.pid} on ")
        with pytest.raises(HeldByAnother, match=f"process {first.pid} on "):
            hold(tmp_path).__enter__()
        first.kill()
        first.wait(TIMEOUT)
        assert holder(tmp_path) is None
        with hold(tmp_path):
            assert f"process {os.getpid()} on " in (holder(tmp_path) or "")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"text"', "{}", '{"pid": 1}', "\xff\xfe", json.dumps({"pid": 1, "host": "h", "since": 1e300}),
     '{"pid": 1, "host": "h", "since": NaN}', '{"pid": 1, "host": "h", "since": "noon"}'],
)  # fmt: skip
def test_a_lock_file_of_garbage_still_locks(tmp_path: Path, content: str) -> None:
    """Whatever the lock file holds, it tells whether somebody holds the store, and the next one writes it anew."""
    file = tmp_path / "daemon.lock"
    file.write_bytes(content.encode("latin-1"))
    assert holder(tmp_path) is None
    with file.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert holder(tmp_path) == "a process that does not say who it is"
        with pytest.raises(HeldByAnother, match="does not say who it is"):
            hold(tmp_path).__enter__()
    with hold(tmp_path):
        assert f"process {os.getpid()} on " in (holder(tmp_path) or "")


def test_people_who_look_are_not_in_the_way(tmp_path: Path) -> None:
    """A daemon starts while others ask who holds the store, and those who ask at once all hear that nobody does."""
    (tmp_path / "daemon.lock").write_text("")
    with (tmp_path / "daemon.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert holder(tmp_path) is None
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with hold(tmp_path):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT)


def test_a_full_disk_does_not_keep_the_store_from_being_held(disk: Path) -> None:
    """On a full disk the store is held without a word about the holder."""
    fill_disk(disk)
    with hold(disk):
        assert holder(disk) == "a process that does not say who it is"
    assert holder(disk) is None


def test_a_folder_that_cannot_be_held_is_a_wrong_setting(tmp_path: Path) -> None:
    """A folder that cannot be made is refused in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="/file/state: not a directory"):
        hold(tmp_path / "file" / "state").__enter__()
