"""What the daemon remembers: offsets, runs, alerts and the outbox, moved together in one transaction.

The daemon writes what it saw and whom it concerns (`save`); deliveries take it from here and write what became of it.
Commands (`daemon status`, `ack`, `silence`) read and write the same file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from nanwatch.database import Database
from nanwatch.model.alert import Reason, Silence
from nanwatch.model.health import HEALTH_KINDS, DestinationHealth, Health
from nanwatch.model.news import NEWS_KINDS, AlertFacts, Message, RunFacts
from nanwatch.statecodec import BadState, dump, load
from nanwatch.tail.identity import Position

FILE = "nanwatch.db"
_KINDS: dict[str, type[Any]] = NEWS_KINDS | HEALTH_KINDS
_KEPT_S = 30 * 86400.0
"""What is settled is kept for so long, for people who ask what happened."""


@dataclass(frozen=True, slots=True)
class SavedLog:
    """How far a log was read, the pipeline's state there (as text), when the log last grew, and its current run."""

    path: str
    position: Position
    state: str
    grew_at: float
    run: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A destination is to be told of an alert, for this reason, at `due` at the earliest."""

    destination: str
    alert: str
    reason: Reason
    due: float


class Row(NamedTuple):
    """A piece of news that waits, with what it is about."""

    number: int
    reason: Reason
    alert: AlertFacts
    run: RunFacts
    created_at: float
    due: float


class Pending(NamedTuple):
    """A message that is formed and not delivered yet."""

    number: int
    message: Message
    created_at: float
    attempts: int


class StoredSilence(NamedTuple):
    """A silence that somebody has set, and its number."""

    number: int
    silence: Silence
    created_by: str


class Request(NamedTuple):
    """Somebody acknowledges an alert, or (with None) takes that back."""

    number: int
    alert: str
    acknowledged_at: float | None


class DestinationState(NamedTuple):
    """What is known of a destination: failures in a row, when it was last tried, and what became of its messages."""

    failures: int
    attempted_at: float | None
    health: DestinationHealth


class Store:
    """The operations on the database; every method is one transaction, safe from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database

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
                found.append(SavedLog(_text(path), place, _text(state), grew_at, _text(run)))
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
            (_cell(s.path), json.dumps(s.position.to_json()), _cell(s.state), s.grew_at, _cell(s.run)) for s in logs
        ]
        current = [(_cell(s.path), _cell(s.run)) for s in logs if s.run]
        run_rows = [(_cell(run.id), _cell(run.log), dump(run)) for run in runs]
        alert_rows = [(a.id, _cell(run.log), _cell(run.id), a.state, dump(a), now) for run, a in alerts]
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
        gone = [(_cell(path),) for path in paths]

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

    def mend(self) -> tuple[int, int]:
        """Take up what another version has left; return how many messages are made anew, and how much news is lost.

        A message that this version cannot read is made again of its news. News of an alert that it cannot read is
        given up.
        """
        messages = self._all("SELECT number, message FROM delivery WHERE outcome = 'pending'")
        torn = [(number,) for number, text in messages if not isinstance(_load(text), Message)]
        rows = self._all(
            "SELECT news.number, alert.facts, run.facts FROM news LEFT JOIN alert ON alert.id = news.alert "
            "LEFT JOIN run ON run.id = alert.run WHERE outcome IN ('waiting', 'formed')"
        )
        lost = [
            (number,) for number, alert, run in rows
            if not isinstance(_load(alert), AlertFacts) or not isinstance(_load(run), RunFacts)
        ]  # fmt: skip

        def change(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE news SET outcome = 'waiting', delivery = NULL WHERE delivery = ?", torn)
            db.executemany("DELETE FROM delivery WHERE number = ?", torn)
            db.executemany("UPDATE news SET outcome = 'given up' WHERE number = ? AND outcome = 'waiting'", lost)

        if torn or lost:
            self.database.write(change)
        return len(torn), len(lost)

    def runs(self) -> list[RunFacts]:
        """Return the current runs of the logs that are followed, as they were last saved."""
        query = (
            "SELECT facts FROM run JOIN log ON log.path = run.log AND log.run IN ('', run.id) ORDER BY run.rowid"
        )
        return [run for (text,) in self._all(query) if isinstance(run := _load(text), RunFacts)]

    def alerts(self, *, firing: bool = True) -> list[tuple[RunFacts, AlertFacts]]:
        """Return the alerts that fire now, or (without *firing*) all that are remembered, oldest first."""
        where = "WHERE alert.state = 'firing'" if firing else ""
        query = f"SELECT run.facts, alert.facts FROM alert JOIN run ON run.id = alert.run {where} ORDER BY alert.rowid"  # noqa: S608
        found = [(_load(run), _load(alert)) for run, alert in self._all(query)]
        return [(r, a) for r, a in found if isinstance(r, RunFacts) and isinstance(a, AlertFacts)]

    # -- what people ask for

    def silences(self) -> list[StoredSilence]:
        """Return every silence that was set, oldest first, ended ones too."""
        query = (
            "SELECT number, rule, run, severity, starts_at, ends_at, comment, created_by FROM silence ORDER BY number"
        )
        rows = [[_text(cell) for cell in row] for row in self._all(query)]
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
        cells = [_cell(value) for value in row]
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

    # -- the outbox

    def waiting(self, destination: str) -> list[Row]:
        """Return the news that waits to be put into messages to *destination*, oldest first."""
        query = (
            "SELECT news.number, reason, alert.facts, run.facts, created_at, due FROM news "
            "JOIN alert ON alert.id = news.alert JOIN run ON run.id = alert.run "
            "WHERE destination = ? AND outcome = 'waiting' ORDER BY news.number"
        )
        found = []
        for number, reason, alert, run, created_at, due in self._all(query, destination):
            alert_facts, run_facts = _load(alert), _load(run)
            if isinstance(alert_facts, AlertFacts) and isinstance(run_facts, RunFacts):
                found.append(Row(number, reason, alert_facts, run_facts, created_at, due))
        return found

    def was_told(self, destination: str, alert: str) -> bool:
        """Tell whether *destination* was, or is about to be, told that an alert began."""
        query = (
            "SELECT 1 FROM news WHERE destination = ? AND alert = ? AND reason != 'resolved' "
            "AND outcome IN ('waiting', 'formed', 'sent') LIMIT 1"
        )
        return bool(self._all(query, destination, alert))

    def concerns(self, destination: str, alert: str) -> bool:
        """Tell whether *destination* was ever to be told of an alert, whatever became of that."""
        query = "SELECT 1 FROM news WHERE destination = ? AND alert = ? AND outcome != 'covered' LIMIT 1"
        return bool(self._all(query, destination, alert))

    def form(
        self, destination: str, messages: Sequence[tuple[Message, Sequence[int]]], covered: Iterable[int], now: float
    ) -> None:
        """Put news into *messages*, each with the numbers of its news; *covered* news needs no message."""

        def change(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE news SET outcome = 'covered' WHERE number = ?", [(n,) for n in covered])
            for message, numbers in messages:
                query = "INSERT INTO delivery (destination, message, created_at) VALUES (?, ?, ?)"
                made = db.execute(query, (destination, dump(message), now)).lastrowid
                rows = [(made, n) for n in numbers]
                db.executemany("UPDATE news SET outcome = 'formed', delivery = ? WHERE number = ?", rows)

        self.database.write(change)

    def pending(self, destination: str) -> list[Pending]:
        """Return the messages to *destination* that are not delivered yet, oldest first."""
        query = (
            "SELECT number, message, created_at, attempts FROM delivery "
            "WHERE destination = ? AND outcome = 'pending' ORDER BY number"
        )
        found = [(number, _load(text), at, n) for number, text, at, n in self._all(query, destination)]
        return [Pending(number, m, at, n) for number, m, at, n in found if isinstance(m, Message)]

    def sent_times(self, destination: str, since: float) -> list[float]:
        """Return when messages to *destination* were sent, since a time."""
        query = "SELECT settled_at FROM delivery WHERE destination = ? AND outcome = 'sent' AND settled_at > ?"
        return [at for (at,) in self._all(query, destination, since)]

    def settle(self, delivery: int, outcome: str, state: DestinationState, now: float) -> None:
        """Write what became of a delivery: `sent`, `given up`, or `pending` still."""

        def change(db: sqlite3.Connection) -> None:
            settled_at = None if outcome == "pending" else now
            query = "UPDATE delivery SET attempts = attempts + 1, outcome = ?, settled_at = ? WHERE number = ?"
            db.execute(query, (outcome, settled_at, delivery))
            if settled_at is not None:
                db.execute("UPDATE news SET outcome = ? WHERE delivery = ?", (outcome, delivery))
            _put_destination(db, state)

        self.database.write(change)

    def settle_news(self, numbers: Iterable[int], outcome: str, state: DestinationState) -> None:
        """Write what became of news that goes to *state*'s destination without a message of its own."""

        def change(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE news SET outcome = ? WHERE number = ?", [(outcome, n) for n in numbers])
            _put_destination(db, state)

        self.database.write(change)

    def destination(self, name: str) -> DestinationState:
        """Return what is known of the destination with this name."""
        rows = self._all("SELECT failures, attempted_at, facts FROM destination WHERE name = ?", name)
        for failures, attempted_at, text in rows:
            health = _load(text)
            if isinstance(health, DestinationHealth):
                return DestinationState(failures, attempted_at, health)
        return DestinationState(0, None, DestinationHealth(name))

    def destinations(self, names: Iterable[str] | None = None) -> list[DestinationHealth]:
        """Return what became of the messages to each destination (those of *names*, else all that were ever used)."""
        if names is None:
            names = [name for (name,) in self._all("SELECT name FROM destination ORDER BY name")]
        query = "SELECT destination, count(DISTINCT alert) FROM news WHERE outcome IN ('waiting', 'formed') GROUP BY 1"
        waiting = dict(self._all(query))
        return [replace(self.destination(name).health, waiting=waiting.get(name, 0)) for name in names]

    def give_up(self, known: Iterable[str], now: float) -> list[str]:
        """Give up what waits for destinations that are none of *known* any more; return their names."""
        kept = set(known)
        query = (
            "SELECT destination FROM news WHERE outcome IN ('waiting', 'formed') "
            "UNION SELECT destination FROM delivery WHERE outcome = 'pending'"
        )
        gone = [name for (name,) in self._all(query) if name not in kept]

        def change(db: sqlite3.Connection) -> None:
            for name in gone:
                db.execute(
                    "UPDATE news SET outcome = 'given up' WHERE destination = ? AND outcome IN ('waiting', 'formed')",
                    (name,),
                )
                db.execute(
                    "UPDATE delivery SET outcome = 'given up', settled_at = ? "
                    "WHERE destination = ? AND outcome = 'pending'", (now, name),
                )  # fmt: skip

        if gone:
            self.database.write(change)
        return gone

    def known_destinations(self) -> set[str]:
        """Return the names of all destinations that were ever in the config."""
        return {name for (name,) in self._all("SELECT name FROM destination")}

    def set_destinations(self, names: Iterable[str]) -> None:
        """Let exactly *names* be known from now on; what became of messages to others is forgotten."""
        wanted = list(names)

        def change(db: sqlite3.Connection) -> None:
            known = {name for (name,) in db.execute("SELECT name FROM destination")}
            db.executemany("DELETE FROM destination WHERE name = ?", [(name,) for name in known - set(wanted)])
            for name in wanted:
                if name not in known:
                    _put_destination(db, DestinationState(0, None, DestinationHealth(name)))

        self.database.write(change)

    def reset_destinations(self) -> None:
        """Let every destination be tried at once: its settings may have been mended."""
        self.database.write(lambda db: db.execute("UPDATE destination SET failures = 0, attempted_at = NULL"))

    # -- how the daemon fares

    def health(self) -> Health | None:
        """Return how the daemon fared when it last said so."""
        text = self._fact("health")
        found = _load(text) if text else None
        return found if isinstance(found, Health) else None

    def set_health(self, health: Health) -> None:
        """Write how the daemon fares."""
        self.database.write(lambda db: _put(db, "health", dump(health)), durable=False)

    def _fact(self, name: str) -> str | None:
        rows = self._all("SELECT value FROM fact WHERE name = ?", name)
        return rows[0][0] if rows else None

    def _all(self, query: str, *values: object) -> list[Any]:
        return self.database.read(lambda db: db.execute(query, values).fetchall())


def open_store(folder: Path, **options: Any) -> Store:
    """Open the store in *folder*, making it if there is none; *options* are those of `Database`."""
    return Store(Database(folder / FILE, **options))


def _cell(value: Any) -> Any:
    """Return *value* as SQLite takes it: text with bytes that are none (paths of logs may hold them) goes as bytes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="surrogatepass")
    return value


def _text(value: Any) -> Any:
    return value.decode(errors="surrogatepass") if isinstance(value, bytes) else value


def _put_rows(table: str, key: str, *others: str) -> str:
    """Return the statement that adds a row, or changes the one that is there, which keeps its place among the rest."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    marks = ", ".join("?" * (1 + len(others)))
    return f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {changes}"  # noqa: S608


def _load(text: str) -> object:
    try:
        return load(text, _KINDS)
    except BadState:
        return None


def _put(db: sqlite3.Connection, name: str, value: object) -> None:
    db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, str(value)))


def _put_destination(db: sqlite3.Connection, state: DestinationState) -> None:
    row = (state.health.name, state.failures, state.attempted_at, dump(state.health))
    db.execute("INSERT OR REPLACE INTO destination VALUES (?, ?, ?, ?)", row)
