"""From memory back into the file, beside what people have asked for through it meanwhile."""

from __future__ import annotations

import sqlite3

from nanwatch.salvage import fill, raise_sequences, readable, sequences
from nanwatch.schema import TABLES

_ASKED = ("silence", "request")
"""What other processes write into the file: what people ask for."""
_ENDS_AT = 5
"""The column of a silence's end, which may be set later."""


def merge(memory: sqlite3.Connection, disk: sqlite3.Connection, asked: list[list[object]]) -> None:
    """Write *memory* into *disk*, within the transaction that is open; *asked* are the requests it began with."""
    for table in (table for table in TABLES if table not in _ASKED):
        disk.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        fill(disk, table, readable(memory, table)[0])
    _merge_silences(disk, memory)
    _merge_requests(disk, memory, asked)
    raise_sequences(disk, {t: n for t, n in sequences(memory).items() if t not in _ASKED})


def _merge_silences(disk: sqlite3.Connection, memory: sqlite3.Connection) -> None:
    """Add to *disk* what was set in *memory*, and end what was ended there."""
    for row in readable(memory, "silence")[0]:
        number, ends_at = row[0], row[_ENDS_AT]
        _add(disk, "silence", row, without=_ENDS_AT)
        if ends_at is not None:
            query = "UPDATE silence SET ends_at = ? WHERE number = ? AND (ends_at IS NULL OR ends_at > ?)"
            disk.execute(query, (ends_at, number, ends_at))


def _merge_requests(disk: sqlite3.Connection, memory: sqlite3.Connection, before: list[list[object]]) -> None:
    """Add to *disk* what was asked in *memory*; of what was asked *before*, drop what was answered there."""
    rows = readable(memory, "request")[0]
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
