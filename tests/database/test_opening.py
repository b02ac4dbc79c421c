"""A file that is broken, another's or not to be had: nothing is ever thrown away, and the rest is saved."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nanwatch import schema
from nanwatch.database import Database
from nanwatch.errors import UsageError
from nanwatch.holding import hold
from nanwatch.schema import SCHEMA
from tests.database.files import (
    FILLER,
    ask,
    asked,
    damage,
    heard,
    many,
    names,
    other,
    overwrite,
    process,
    put,
    set_aside,
)  # fmt: skip
from tests.support.command import TIMEOUT

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
import urllib.parse  # what pathlib loads late, and nobody else may read
from nanwatch.errors import UsageError
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
