"""A disk that takes nothing: all goes on in memory, and is written once the disk takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nanwatch import sqlitefile
from nanwatch.database import Database
from tests.database.files import (
    FILLER,
    ask,
    asked,
    damage,
    fill_disk,
    fill_up,
    heard,
    many,
    names,
    other,
    process,
    put,
    set_aside,
    silence,
    silences,
    tell,
)  # fmt: skip
from tests.support.command import TIMEOUT


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
