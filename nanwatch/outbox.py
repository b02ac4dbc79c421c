"""The outbox: news that waits, the messages that it is put into, and the destinations that they go to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from nanwatch.database import Database
from nanwatch.model.health import DestinationHealth
from nanwatch.model.news import AlertFacts, Message, RunFacts
from nanwatch.rows import DestinationState, Pending, Row, Told, load_facts
from nanwatch.statecodec import dump


class Outbox:
    """The operations on news and deliveries; every method is one transaction, safe from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def waiting(self, destination: str) -> list[Row]:
        """Return the news that waits to be put into messages to *destination*, oldest first."""
        query = (
            "SELECT news.number, reason, alert.facts, run.facts, created_at, due FROM news "
            "JOIN alert ON alert.id = news.alert JOIN run ON run.id = alert.run "
            "WHERE destination = ? AND outcome = 'waiting' ORDER BY news.number"
        )
        found = []
        for number, reason, alert, run, created_at, due in self._all(query, destination):
            alert_facts, run_facts = load_facts(alert), load_facts(run)
            if isinstance(alert_facts, AlertFacts) and isinstance(run_facts, RunFacts):
                found.append(Row(number, reason, alert_facts, run_facts, created_at, due))
        return found

    def hasten(self, news: Iterable[Told]) -> None:
        """Let *news* that still waits be due when it says, and not later."""
        query = (
            "UPDATE news SET due = ? WHERE destination = ? AND alert = ? AND reason = ? "
            "AND outcome = 'waiting' AND due > ?"
        )
        rows = [(told.due, told.destination, told.alert, told.reason, told.due) for told in news]
        self.database.write(lambda db: db.executemany(query, rows))

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
        found = [(number, load_facts(text), at, n) for number, text, at, n in self._all(query, destination)]
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
            health = load_facts(text)
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
        """Return the names of the destinations of which anything is known: those of the last config, at least."""
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

    def mend(self) -> tuple[int, int]:
        """Take up what another version has left; return how many messages are made anew, and how much news is lost.

        A message that this version cannot read is made again of its news. News of an alert that it cannot read is
        given up.
        """
        messages = self._all("SELECT number, message FROM delivery WHERE outcome = 'pending'")
        torn = [(number,) for number, text in messages if not isinstance(load_facts(text), Message)]
        anew = {number for (number,) in torn}
        rows = self._all(
            "SELECT news.number, delivery, alert.facts, run.facts FROM news LEFT JOIN alert ON alert.id = news.alert "
            "LEFT JOIN run ON run.id = alert.run WHERE outcome IN ('waiting', 'formed')"
        )
        lost = [
            (number,) for number, delivery, alert, run in rows
            if (delivery is None or delivery in anew)  # the other messages are still good
            and not (isinstance(load_facts(alert), AlertFacts) and isinstance(load_facts(run), RunFacts))
        ]  # fmt: skip

        def change(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE news SET outcome = 'waiting', delivery = NULL WHERE delivery = ?", torn)
            db.executemany("DELETE FROM delivery WHERE number = ?", torn)
            db.executemany("UPDATE news SET outcome = 'given up' WHERE number = ? AND outcome = 'waiting'", lost)

        if torn or lost:
            self.database.write(change)
        return len(torn), len(lost)

    def _all(self, query: str, *values: object) -> list[Any]:
        return self.database.read(lambda db: db.execute(query, values).fetchall())


def _put_destination(db: sqlite3.Connection, state: DestinationState) -> None:
    row = (state.health.name, state.failures, state.attempted_at, dump(state.health))
    db.execute("INSERT OR REPLACE INTO destination VALUES (?, ?, ?, ?)", row)
