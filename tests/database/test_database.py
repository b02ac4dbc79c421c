"""The store's connection among processes and threads: changes wait, are whole, and are noticed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nanwatch import sqlitefile
from nanwatch.database import Database
from nanwatch.errors import UsageError
from tests.database.files import (
    ask,
    asked,
    damage,
    many,
    names,
    other,
    put,
    set_aside,
)  # fmt: skip
from tests.support.command import TIMEOUT

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
