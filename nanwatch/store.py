"""What the daemon remembers: offsets, runs, alerts and the outbox, moved together in one transaction.

The daemon writes what it saw and whom it concerns (`save`); deliveries take it from here and write what became of it.
Commands (`daemon status`, `ack`, `silence`) read and write the same file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nanwatch.database import Database
from nanwatch.model.alert import Silence
from nanwatch.model.health import Health
from nanwatch.model.news import AlertFacts, RunFacts
from nanwatch.outbox import Outbox
from nanwatch.rows import (
    DestinationState,
    Pending,
    Request,
    Row,
    SavedLog,
    StoredSilence,
    Told,
    from_cell,
    load_facts,
    to_cell,
)
from nanwatch.statecodec import dump
from nanwatch.tail.identity import Position

__all__ = [
    "FILE", "DestinationState", "Pending", "Request", "Row", "SavedLog", "Store", "StoredSilence", "Told", "open_store",
]  # fmt: skip

FILE = "nanwatch.db"
_KEPT_S = 30 * 86400.0
"""What is settled is kept for so long, for people who ask what happened."""


class Store(Outbox):
    """The outbox, with what the daemon saw and what people ask for; every method is one transaction too."""

    @property
    def has_looked(self) -> bool:
        """Whether a daemon has read all that stood in its logs at the very first start."""
        return self._fact("looked_at") is not None

    def note_look(self, now: float) -> None:
        """Take note that it has."""
        self.database.write(lambda db: _put(db, "looked_at", now))

    # -- what the daemon saw

    def logs(self) -> list[SavedLog]:
        """Return every log that is known; what this version cannot read counts as unknown."""
        rows = self.database.read(
            lambda db: db.execute("SELECT path, position, state, grew_at, run FROM log ORDER BY rowid").fetchall()
        )
        found = []
        for path, position, state, grew_at, run in rows:
            try:
                place = Position.from_json(json.loads(position))
                found.append(SavedLog(from_cell(path), place, from_cell(state), grew_at, from_cell(run)))
            except ValueError:
                continue
        return found

    def save(
        self,
        logs: Iterable[SavedLog],
        runs: Iterable[RunFacts],
        alerts: Iterable[tuple[RunFacts, AlertFacts]],
        news: Sequence[Told],
        now: float,
        answered: Iterable[int] = (),
    ) -> None:
        """Write how far *logs* were read, what that showed, and who is to be told; *answered* requests go."""
        logs = list(logs)
        log_rows = [
            (to_cell(s.path), json.dumps(s.position.to_json()), to_cell(s.state), s.grew_at, to_cell(s.run))
            for s in logs
        ]
        current = [(to_cell(s.path), to_cell(s.run)) for s in logs if s.run]
        run_rows = [(to_cell(run.id), to_cell(run.log), dump(run)) for run in runs]
        alert_rows = [(a.id, to_cell(run.log), to_cell(run.id), a.state, dump(a), now) for run, a in alerts]
        news_rows = [(t.destination, t.alert, t.reason, now, t.due) for t in news]

        def change(db: sqlite3.Connection) -> None:
            db.executemany(_put_rows("log", "path", "position", "state", "grew_at", "run"), log_rows)
            db.executemany(_put_rows("run", "id", "log", "facts"), run_rows)
            db.executemany(_put_rows("alert", "id", "log", "run", "state", "facts", "changed_at"), alert_rows)
            db.executemany(
                "INSERT INTO news (destination, alert, reason, created_at, due) VALUES (?, ?, ?, ?, ?)", news_rows
            )
            db.executemany("DELETE FROM request WHERE number = ?", [(number,) for number in answered])
            # News of a former run, such as that it finished, fires no more.
            over = "UPDATE alert SET state = 'resolved' WHERE log = ? AND run != ? AND state = 'firing'"
            db.executemany(over, current)

        self.database.write(change, durable=bool(news_rows))

    def forget(self, paths: Iterable[str]) -> None:
        """Forget logs that are followed no more, with their alerts; news of them that waits is still delivered."""
        gone = [(to_cell(path),) for path in paths]

        def change(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM log WHERE path = ?", gone)
            db.executemany("UPDATE alert SET state = 'forgotten' WHERE log = ? AND state = 'firing'", gone)

        self.database.write(change)

    def prune(self, now: float) -> None:
        """Drop what was settled long ago."""
        old = (now - _KEPT_S,)

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM delivery WHERE outcome != 'pending' AND settled_at < ?", old)
            # What was told of an alert is needed for as long as its end may have to be told.
            db.execute(
                "DELETE FROM news WHERE outcome NOT IN ('waiting', 'formed') AND created_at < ? AND alert NOT IN "
                "(SELECT id FROM alert WHERE state = 'firing' "
                "UNION SELECT alert FROM news WHERE outcome IN ('waiting', 'formed'))",
                old,
            )
            db.execute("DELETE FROM silence WHERE ends_at < ?", old)
            db.execute(
                "DELETE FROM alert WHERE state != 'firing' AND changed_at < ? AND id NOT IN (SELECT alert FROM news)",
                old,
            )
            db.execute(
                "DELETE FROM run WHERE id NOT IN (SELECT run FROM alert) "
                "AND NOT EXISTS (SELECT 1 FROM log WHERE log.path = run.log AND log.run IN ('', run.id))"
            )

        self.database.write(change)

    def runs(self) -> list[RunFacts]:
        """Return the current runs of the logs that are followed, as they were last saved."""
        query = "SELECT facts FROM run JOIN log ON log.path = run.log AND log.run IN ('', run.id) ORDER BY run.rowid"
        return [run for (text,) in self._all(query) if isinstance(run := load_facts(text), RunFacts)]

    def alerts(self, *, firing: bool = True) -> list[tuple[RunFacts, AlertFacts]]:
        """Return the alerts that fire now, or (without *firing*) all that are remembered, oldest first."""
        where = "WHERE alert.state = 'firing'" if firing else ""
        query = f"SELECT run.facts, alert.facts FROM alert JOIN run ON run.id = alert.run {where} ORDER BY alert.rowid"  # noqa: S608
        found = [(load_facts(run), load_facts(alert)) for run, alert in self._all(query)]
        return [(r, a) for r, a in found if isinstance(r, RunFacts) and isinstance(a, AlertFacts)]

    # -- what people ask for

    def silences(self) -> list[StoredSilence]:
        """Return every silence that was set, oldest first, ended ones too."""
        query = (
            "SELECT number, rule, run, severity, starts_at, ends_at, comment, created_by FROM silence ORDER BY number"
        )
        rows = [[from_cell(cell) for cell in row] for row in self._all(query)]
        return [StoredSilence(row[0], Silence(*row[1:7]), row[7]) for row in rows]

    def add_silence(self, silence: Silence, created_by: str) -> int:
        """Set *silence*; return its number."""
        row = (
            silence.rule, silence.run, silence.severity, silence.starts_at, silence.ends_at, silence.comment, created_by
        )  # fmt: skip
        query = (
            "INSERT INTO silence (rule, run, severity, starts_at, ends_at, comment, created_by) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        cells = [to_cell(value) for value in row]
        return self.database.write(lambda db: db.execute(query, cells).lastrowid or 0)

    def end_silence(self, number: int, now: float) -> bool:
        """End a silence now; return whether there was one that still held."""
        query = "UPDATE silence SET ends_at = ? WHERE number = ? AND (ends_at IS NULL OR ends_at > ?)"
        return self.database.write(lambda db: db.execute(query, (now, number, now)).rowcount > 0)

    def ask(self, alert: str, acknowledged_at: float | None) -> None:
        """Ask the daemon to acknowledge an alert, or (with None) to take that back."""
        query = "INSERT INTO request (alert, acknowledged_at) VALUES (?, ?)"
        self.database.write(lambda db: db.execute(query, (alert, acknowledged_at)))

    def requests(self) -> list[Request]:
        """Return what was asked and not answered yet, oldest first."""
        return [
            Request(*row) for row in self._all("SELECT number, alert, acknowledged_at FROM request ORDER BY number")
        ]

    # -- how the daemon fares

    def health(self) -> Health | None:
        """Return how the daemon fared when it last said so."""
        text = self._fact("health")
        found = load_facts(text) if text else None
        return found if isinstance(found, Health) else None

    def set_health(self, health: Health) -> None:
        """Write how the daemon fares."""
        self.database.write(lambda db: _put(db, "health", dump(health)), durable=False)

    def _fact(self, name: str) -> str | None:
        rows = self._all("SELECT value FROM fact WHERE name = ?", name)
        return rows[0][0] if rows else None


def open_store(folder: Path, **options: Any) -> Store:
    """Open the store in *folder*, making it if there is none; *options* are those of `Database`."""
    return Store(Database(folder / FILE, **options))


def _put_rows(table: str, key: str, *others: str) -> str:
    """Return the statement that adds a row, or changes the one that is there, which keeps its place among the rest."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    marks = ", ".join("?" * (1 + len(others)))
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changes}"  # noqa: S608


def _put(db: sqlite3.Connection, name: str, value: object) -> None:
    db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, str(value)))
