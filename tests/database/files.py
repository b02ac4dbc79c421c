"""Files of the store for tests: filled, damaged, used by other processes, on a disk that is full."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nanwatch.database import Database
from tests.support.command import ROOT

PAGE = 4096
FILLER = "x" * 400
PRELUDE = """
import os, resource, sys
from pathlib import Path
from nanwatch import database
from nanwatch.database import Database
from nanwatch.holding import hold, holder
def say(*words): print(*words, flush=True)
"""


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
    return closing(sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False))


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


def fill_up(db: Database) -> None:
    """Let SQLite find the disk full, for as long as this connection is used."""
    db.read(lambda c: c.execute("PRAGMA max_page_count = 1").fetchall())


def fill_disk(folder: Path) -> Path:
    """Fill the disk of *folder* to the last byte; return the file that did."""
    ballast = folder / "ballast"
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with pytest.raises(OSError, match="No space"):  # noqa: PT012 - until it is full
        while True:
            os.write(file, bytes(PAGE))
    os.close(file)
    return ballast
