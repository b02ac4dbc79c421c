"""The schema of the store: made, migrated, and refused where it is newer."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from nanwatch import schema
from nanwatch.database import Database
from nanwatch.errors import UsageError
from nanwatch.schema import APPLICATION_ID, MIGRATIONS, SCHEMA, TABLES
from tests.database.files import (
    asked,
    names,
    process,
    put,
    set_aside,
    tell,
    version,
)  # fmt: skip
from tests.support.command import TIMEOUT


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
