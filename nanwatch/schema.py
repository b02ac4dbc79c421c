"""The schema of the store, how one version leads to the next, and whether a file has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

APPLICATION_ID = 0x6E616E77  # "nanw": so that a file of another program is known as such

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


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the schema that *db* has; 0 when it has none yet."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def latest() -> int:
    """Return the version that this program writes."""
    return len(MIGRATIONS)


def tables_of(db: sqlite3.Connection) -> set[str]:
    """Return the names of all tables of *db*."""
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def columns_of(db: sqlite3.Connection, table: str) -> list[str]:
    """Return the names of the columns of *table*, in order."""
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def migrate(db: sqlite3.Connection, to: int) -> None:
    """Bring the schema to version *to*, within the transaction that is open."""
    for number in range(version_of(db), to):  # asked within the transaction: another process may have been faster
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


def foreign(db: sqlite3.Connection) -> str:
    """Return why *db* is no store, or nothing."""
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = db.execute("PRAGMA application_id").fetchone()[0]
    return "" if application == APPLICATION_ID or not (application or tables) else "not a store of nanwatch"


def damaged(db: sqlite3.Connection) -> str:
    """Return what is wrong with a store, or nothing."""
    told = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    if told != "ok":
        return f"damaged ({told.splitlines()[-1]})"
    lost = set(TABLES) - tables_of(db) if version_of(db) == latest() else set()
    return f"damaged (no table {min(lost)})" if lost else ""
