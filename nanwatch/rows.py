"""What the rows of the store hold, and how values become cells and come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nanwatch.model.alert import Reason, Silence
from nanwatch.model.health import HEALTH_KINDS, DestinationHealth
from nanwatch.model.news import NEWS_KINDS, AlertFacts, Message, RunFacts
from nanwatch.statecodec import BadState, load
from nanwatch.tail.identity import Position

_KINDS: Mapping[str, type[Any]] = NEWS_KINDS | HEALTH_KINDS


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


def to_cell(value: Any) -> Any:
    """Return *value* as SQLite takes it: text with bytes that are none (paths of logs may hold them) goes as bytes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="surrogatepass")
    return value


def from_cell(value: Any) -> Any:
    """Return the value that a cell holds."""
    return value.decode(errors="surrogatepass") if isinstance(value, bytes) else value


def load_facts(text: str | None) -> object:
    """Return the facts that *text* holds; None when there are none, or none that this version can read."""
    try:
        return load(text or "", _KINDS)
    except BadState:
        return None
