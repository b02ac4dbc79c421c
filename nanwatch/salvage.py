"""From one file to another: what can be read of a damaged one, with its numbers, in the schema of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from nanwatch.schema import columns_of, foreign, latest, migrate, tables_of, version_of
from nanwatch.sqlitefile import BROKEN, connect, has_code, transaction


class Saved(NamedTuple):
    """How many rows went over, and whether they are all that there were."""

    rows: int
    is_whole: bool


def salvage(old: Path, target: sqlite3.Connection) -> Saved:
    """Copy the rows of *old* that can still be read into the empty *target*."""
    try:
        with closing(connect(old, "ro")) as source:
            return Saved(0, False) if foreign(source) else transfer(source, target)
    except sqlite3.DatabaseError as error:
        if not has_code(error, BROKEN | {sqlite3.SQLITE_READONLY}):
            raise
        return Saved(0, False)


def transfer(source: sqlite3.Connection, target: sqlite3.Connection) -> Saved:
    """Copy what can be read of *source* into the empty *target*."""
    version = min(version_of(source), latest())
    saved, is_whole = 0, True
    with transaction(target):
        migrate(target, version)
        for table in sorted(tables_of(target) - {"sqlite_sequence"}):
            rows, is_readable = readable(source, table, columns_of(target, table))
            filled = fill(target, table, rows)
            saved, is_whole = saved + filled, is_whole and is_readable and filled == len(rows)
        if version:
            raise_sequences(target, sequences(source))
        migrate(target, latest())
        if not is_whole:  # a message that is lost is made anew
            target.execute(
                "UPDATE news SET outcome = 'waiting', delivery = NULL "
                "WHERE outcome = 'formed' AND delivery NOT IN (SELECT number FROM delivery)"
            )
    return Saved(saved, is_whole)


def readable(db: sqlite3.Connection, table: str, columns: Iterable[str] = "*") -> tuple[list[list[object]], bool]:
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


def fill(db: sqlite3.Connection, table: str, rows: Iterable[list[object]]) -> int:
    """Write *rows*; return how many of them are such as the table takes."""
    filled = 0
    for row in rows:
        with suppress(sqlite3.IntegrityError):  # damage may have made something else of it
            db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
            filled += 1
    return filled


def sequences(db: sqlite3.Connection) -> dict[str, int]:
    """Return the highest number that was ever given in each table."""
    rows, _ = readable(db, "sqlite_sequence", ("name", "seq"))
    return {str(name): seq for name, seq in rows if isinstance(seq, int)}


def raise_sequences(db: sqlite3.Connection, numbers: dict[str, int]) -> None:
    """Let no number be given again that was given up to *numbers*, by table."""
    for item in numbers.items():
        db.execute("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", item)
        query = (
            "INSERT INTO sqlite_sequence SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)"
        )
        db.execute(query, (*item, item[0]))
