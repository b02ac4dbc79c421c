"""What the daemon remembers: each operation is all or nothing, and outlasts whatever reopens the store."""

from __future__ import annotations

import math
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch import database
from nanwatch.errors import UsageError
from nanwatch.model.alert import Reason, Silence
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, Message, RunFacts
from nanwatch.store import FILE, DestinationState, Pending, Request, SavedLog, Store, StoredSilence, Told, open_store
from nanwatch.tail.identity import Position
from tests.notify.making import NOON, alert_facts, news, run_facts
from tests.support.command import TIMEOUT
from tests.support.repeatable import repeatable

DAY = 86400.0
LOG = "/data/unet-iou-v3.log"
ODD_PATHS = [
    "logs/\udcff.log", "logs/\udc80\udcfe/a b.log", "/data/тренировка ✓ 🙂.log", "/a\nb\x1b[31m.log",
    "/'; DROP TABLE log;", "/" + "x" * 4000, "", "/a\0b",
]  # fmt: skip
POSITION = Position(device=64, inode=7, offset=12_345, head="ab", before="cd", head_size=256, before_size=256)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open an empty store."""
    with closing_store(tmp_path) as opened:
        yield opened


class closing_store:  # noqa: N801 - used as a function
    """Open the store in *folder* for a block."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(folder)

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.database.close()


def now_and_later(store: Store) -> Iterator[Store]:
    """Yield the store as it is, and then the one that is opened after it was closed."""
    yield store
    store.database.close()
    with closing_store(store.database.path.parent) as again:
        yield again


def saved_log(path: str = LOG, **changes: Any) -> SavedLog:
    """Return how far a log was read."""
    return replace(SavedLog(path, POSITION, '{"state": 1}', NOON), **changes)


def told(alert: str = "a", destination: str = "mail", reason: Reason = "first", due: float = NOON) -> Told:
    """Return that a destination is to be told of an alert."""
    return Told(destination, alert, reason, due)


def save(
    store: Store, *alerts: AlertFacts, news: Sequence[Told] = (), log: str = LOG, now: float = NOON, **changes: Any
) -> None:
    """Save a log, its run and *alerts*, and who is to be told."""
    run = run_facts(log)
    store.save([saved_log(log)], [run], [(run, alert) for alert in alerts], news, now, **changes)


def message(key: str = "k", **changes: Any) -> Message:
    """Return a message of one piece of news."""
    return replace(Message(key, "firing", "critical", "title", "body", "gpu-01", NOON, (news(),)), **changes)


def state(name: str = "mail", failures: int = 0, **health: Any) -> DestinationState:
    """Return what is known of a destination after an attempt at noon."""
    return DestinationState(failures, NOON, DestinationHealth(name, **health))


def form(store: Store, *numbers: int, destination: str = "mail", now: float = NOON) -> int:
    """Put news into one message; return the number of its delivery."""
    store.form(destination, [(message(), numbers)], (), now)
    return store.pending(destination)[-1].number


def waiting(store: Store, destination: str = "mail") -> list[tuple[str, str]]:
    """Return the alert and the reason of each piece of news that waits."""
    return [(row.alert.id, row.reason) for row in store.waiting(destination)]


def count(store: Store, table: str) -> int:
    """Return how many rows a table has."""
    query = f"SELECT count(*) FROM {table}"  # noqa: S608 - names of our own
    return store.database.read(lambda db: int(db.execute(query).fetchone()[0]))


# -- what the daemon saw


def test_a_store_knows_whether_a_daemon_has_looked(tmp_path: Path) -> None:
    """Opening it is no look; its folder is made."""
    for _ in range(2):
        with closing_store(tmp_path / "deep" / "state") as store:
            assert not store.has_looked
            assert store.database.path == tmp_path / "deep" / "state" / FILE
    with closing_store(tmp_path / "deep" / "state") as store:
        store.note_look(NOON)
        assert store.has_looked
    with closing_store(tmp_path / "deep" / "state") as store:
        assert store.has_looked


def test_an_empty_store_knows_nothing(store: Store) -> None:
    """Every question to an empty store has an answer."""
    assert not any([store.logs(), store.runs(), store.alerts(), store.alerts(firing=False)])
    assert not any([store.silences(), store.requests(), store.waiting("mail"), store.pending("mail")])
    assert not any([store.sent_times("mail", 0.0), store.destinations(), store.give_up([], NOON)])
    assert not store.was_told("mail", "a")
    assert not store.end_silence(1, NOON)
    assert store.destination("mail") == DestinationState(0, None, DestinationHealth("mail"))
    assert store.destinations(["mail"]) == [DestinationHealth("mail")]
    assert store.health() is None
    store.forget([LOG])
    store.prune(NOON)
    store.reset_destinations()
    store.settle(7, "sent", state(), NOON)


def test_what_was_saved_comes_back(store: Store) -> None:
    """Logs, runs and alerts come back as they were saved last, in the order in which they came first."""
    earlier = replace(POSITION, inode=2**63 + 5, offset=2**60)
    logs = [saved_log(), saved_log("/b.log", position=replace(POSITION, earlier=(earlier,)), grew_at=0.125)]
    runs = [run_facts(), run_facts("/b.log", epoch=None, losses={"a": 1e308})]
    alerts = [(runs[0], alert_facts(id="a")), (runs[1], alert_facts(id="b")), (runs[0], alert_facts(id="c"))]
    store.save(logs, runs, alerts, (), NOON)
    assert (store.logs(), store.runs(), store.alerts()) == (logs, runs, alerts)
    logs[0], runs[0] = saved_log(state="later", grew_at=NOON + 1), run_facts(epoch=9)
    alerts = [
        (runs[0], alert_facts(id="a", severity="warning")),
        (runs[1], alert_facts(id="b", state="resolved")),
        (runs[0], alert_facts(id="c")),
    ]
    store.save(logs[:1], runs[:1], alerts[:2], (), NOON + 1)
    for opened in now_and_later(store):
        assert (opened.logs(), opened.runs()) == (logs, runs)
        assert opened.alerts() == [alerts[0], alerts[2]]
        assert opened.alerts(firing=False) == alerts


@pytest.mark.parametrize("path", ODD_PATHS)
def test_any_path_of_a_log_comes_back(store: Store, path: str) -> None:
    """A path may hold bytes that are no text, quotes, line ends, or thousands of characters."""
    others = [p for p in ODD_PATHS if p != path]
    for other in others:
        save(store, alert_facts(id=other.encode(errors="replace").hex()), log=other)
    save(store, alert_facts(id="odd"), news=[told("odd")], log=path)
    save(store, alert_facts(id="odd"), log=path)
    for opened in now_and_later(store):
        assert sorted(log.path for log in opened.logs()) == sorted(ODD_PATHS)
        assert [run.log for run in opened.runs()] == [*others, path]
        assert opened.alerts()[-1] == (run_facts(path), alert_facts(id="odd"))
        assert [row.run.log for row in opened.waiting("mail")] == [path]
        form(opened, opened.waiting("mail")[0].number)
        opened.forget([path])
        assert sorted(log.path for log in opened.logs()) == sorted(others)
        assert len(opened.alerts()) == len(others)
        save(opened, alert_facts(id="odd"), news=[told("odd")], log=path)


def test_facts_come_back_whatever_they_hold(store: Store) -> None:
    """NaN, infinities, huge numbers and odd text are the same after a round trip."""
    text = "\udcff \ud800 \0 \x1b]0;x\x07 🙂 \u2028 ~ " + "long " * 1000
    losses = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "tiny": 5e-324, "~": 1.0, text: -0.0}
    run = run_facts(losses=losses, step=10**40, epoch=-(2**63), primary_metric=text)
    alert = alert_facts(id="a", message=text, evidence={"n": 2**64, "x": math.nan, "none": None, "t": text})
    store.save([saved_log(state=text)], [run], [(run, alert)], [told()], NOON)
    number = store.waiting("mail")[0].number
    store.form("mail", [(message(body=text, title=text), [number])], (), NOON)
    store.set_health(Health(pid=1, host=text, version="v", started_at=math.inf, seen_at=0.0, bytes_read=2**80))
    for opened in now_and_later(store):
        ((found_run, found_alert),) = opened.alerts()
        assert repr((found_run, found_alert)) == repr((run, alert))
        assert opened.logs()[0].state == text
        assert opened.pending("mail")[0].message == message(body=text, title=text)
        health = opened.health()
        assert health is not None
        assert (health.host, health.started_at, health.bytes_read) == (text, math.inf, 2**80)


def test_a_state_of_megabytes_is_kept(store: Store) -> None:
    """A pipeline's state may be large."""
    big = "x" * 5_000_000
    store.save([saved_log(state=big)], (), (), (), NOON)
    assert store.logs()[0].state == big


def test_what_this_version_cannot_read_counts_as_unknown(store: Store) -> None:
    """Positions and facts of another version, or damaged ones, hide nothing else."""
    save(store, alert_facts(id="a"), log="/a.log", news=[told("a")])
    save(store, alert_facts(id="b"), log="/b.log", news=[told("b")])
    form(store, store.waiting("mail")[0].number)
    form(store, store.waiting("mail")[0].number)
    store.settle(99, "sent", state(), NOON)
    bad = ["", "[]", "{}", "{", "null", "7", '{"~":"Other","v":[]}', '{"~":"RunFacts","v":[1]}', '"\\ud800"']
    for text in bad:

        def spoil(db: sqlite3.Connection, text: str = text) -> None:
            db.execute("UPDATE log SET position = ? WHERE path = '/a.log'", (text,))
            db.execute("UPDATE alert SET facts = ? WHERE id = 'a'", (text,))
            db.execute("UPDATE delivery SET message = ? WHERE number = 1", (text,))
            db.execute("UPDATE destination SET facts = ?", (text,))
            db.execute("INSERT OR REPLACE INTO fact VALUES ('health', ?)", (text,))

        store.database.write(spoil)
        assert [log.path for log in store.logs()] == ["/b.log"]
        assert [alert.id for _, alert in store.alerts()] == ["b"]
        assert [item.number for item in store.pending("mail")] == [2]
        assert store.destination("mail") == DestinationState(0, None, DestinationHealth("mail"))
        assert store.health() is None


@pytest.mark.parametrize("table", ["log", "run", "alert", "news", "request"])
def test_a_save_that_fails_leaves_nothing(store: Store, table: str) -> None:
    """When any part of a save fails, no part of it is there, and the next one works."""
    store.ask("a", NOON)
    act = "DELETE" if table == "request" else "INSERT"
    trigger = f"CREATE TRIGGER fault BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, 'made up'); END"
    store.database.write(lambda db: db.execute(trigger))
    with pytest.raises(sqlite3.IntegrityError, match="made up"):
        save(store, alert_facts(id="a"), news=[told()], answered=[1])
    assert [count(store, name) for name in ("log", "run", "alert", "news", "request")] == [0, 0, 0, 0, 1]
    store.database.write(lambda db: db.execute("DROP TRIGGER fault"))
    save(store, alert_facts(id="a"), news=[told()], answered=[1])
    assert [count(store, name) for name in ("log", "run", "alert", "news", "request")] == [1, 1, 1, 1, 0]


def test_a_wrong_value_in_the_middle_leaves_nothing(store: Store) -> None:
    """A value that SQLite refuses undoes the rows that came before it."""
    with pytest.raises(sqlite3.Error):
        save(store, alert_facts(id="a"), news=[told("a"), told("a", due=math.nan)])
    assert [count(store, name) for name in ("log", "run", "alert", "news")] == [0, 0, 0, 0]


def test_only_a_save_with_news_waits_for_the_disk(store: Store) -> None:
    """Whom to tell must outlast a power failure; how far a log was read can be read again."""

    def level() -> int:
        return store.database.read(lambda db: int(db.execute("PRAGMA synchronous").fetchone()[0]))

    save(store, alert_facts(id="a"), news=[told("a")])
    assert level() == 2
    save(store, alert_facts(id="a"))
    assert level() == 1
    form(store, store.waiting("mail")[0].number)
    assert level() == 2


def test_a_log_that_is_forgotten_fires_no_more(store: Store) -> None:
    """The alerts of a log that is followed no more do not fire, but news of them that waits is still told."""
    save(store, alert_facts(id="a"), log="/a.log", news=[told("a")])
    save(store, alert_facts(id="b"), log="/b.log")
    store.forget(["/a.log", "/unknown.log"])
    assert [alert.id for _, alert in store.alerts()] == ["b"]
    assert [run.log for run in store.runs()] == ["/b.log"]
    assert waiting(store) == [("a", "first")]
    save(store, alert_facts(id="a"), log="/a.log")
    assert [alert.id for _, alert in store.alerts()] == ["a", "b"]


def save_run(store: Store, run: str, *alerts: AlertFacts, log: str = LOG, current: bool = True) -> RunFacts:
    """Save *alerts* of a run, which (with *current*) is the one that the log is in now."""
    facts = run_facts(log, id=run)
    store.save([saved_log(log, run=run)] if current else (), [facts], [(facts, alert) for alert in alerts], (), NOON)
    return facts


def test_alerts_of_a_former_run_fire_no_more(store: Store) -> None:
    """When a log begins its next run, what fired in the run before is over; other logs are not concerned."""
    save_run(store, "r1", alert_facts(id="former"))
    save_run(store, "o1", alert_facts(id="other"), log="/other.log")
    current = save_run(store, "r2", alert_facts(id="current"))
    assert [alert.id for _, alert in store.alerts()] == ["other", "current"]
    assert [alert.id for _, alert in store.alerts(firing=False)] == ["former", "other", "current"]
    save_run(store, "r1", alert_facts(id="late"), current=False)
    assert [alert.id for _, alert in store.alerts()] == ["other", "current", "late"]
    store.save([saved_log(run="r2")], [current], (), (), NOON)
    for opened in now_and_later(store):
        assert [alert.id for _, alert in opened.alerts()] == ["other", "current"]


def test_a_log_that_names_no_run_ends_no_alert(store: Store) -> None:
    """As long as nobody knows which run a log is in, every alert of it fires on, and every run of it is current."""
    runs = [save_run(store, name, alert_facts(id=name), current=False) for name in ("r1", "r2")]
    store.save([saved_log()], (), (), (), NOON)
    assert [alert.id for _, alert in store.alerts()] == ["r1", "r2"]
    assert store.runs() == runs
    assert store.logs() == [saved_log()]


def test_only_the_current_run_of_a_log_is_asked_for(store: Store) -> None:
    """`runs` gives one run of each log that names its run, and none of a log that is forgotten or not known."""
    save_run(store, "r1")
    second = save_run(store, "r2")
    other = save_run(store, "r1 of other", log="/other.log")
    save_run(store, "gone", log="/gone.log")
    save_run(store, "unknown", log="/unknown.log", current=False)
    store.forget(["/gone.log"])
    for opened in now_and_later(store):
        assert opened.runs() == [second, other]
        assert [log.run for log in opened.logs()] == ["r2", "r1 of other"]


@pytest.mark.parametrize("run", ["/runs/\udcff#2", "'; DROP TABLE run; #", "", "/r\0n"])
def test_any_name_of_a_run_comes_back(store: Store, run: str) -> None:
    """A run is named after its log, whose path may hold bytes that are no text."""
    save_run(store, "former", alert_facts(id="former"))
    current = save_run(store, run, alert_facts(id="current"))
    assert store.logs() == [saved_log(run=run)]
    assert current in store.runs()
    assert "current" in [alert.id for _, alert in store.alerts()]


# -- what people ask for


def test_silences_are_set_and_ended(store: Store) -> None:
    """A silence holds until somebody ends it, once; its number is never given again."""
    forever = Silence(rule="nan_*", run="/data/\udcff*", severity="warning", starts_at=NOON, comment="лог 'x'")
    timed = Silence(starts_at=NOON, ends_at=NOON + 60)
    numbers = [store.add_silence(forever, "me\udcff"), store.add_silence(timed, "you")]
    assert store.silences() == [
        StoredSilence(numbers[0], forever, "me\udcff"), StoredSilence(numbers[1], timed, "you"),
    ]  # fmt: skip
    assert store.end_silence(numbers[0], NOON + 5)
    assert not store.end_silence(numbers[0], NOON + 6)
    assert not store.end_silence(numbers[1], NOON + 60)
    assert not store.end_silence(99, NOON)
    assert [s.silence.ends_at for s in store.silences()] == [NOON + 5, NOON + 60]
    store.prune(NOON + 31 * DAY)
    assert store.silences() == []
    assert store.add_silence(timed, "me") not in numbers


def test_requests_wait_until_they_are_answered(store: Store) -> None:
    """What people ask for is there, oldest first, until a save says that it was answered."""
    store.ask("a", NOON)
    store.ask("a", None)
    store.ask("b", NOON + 1)
    first, second, third = store.requests()
    assert (first[1:], second[1:], third[1:]) == (("a", NOON), ("a", None), ("b", NOON + 1))
    save(store, answered=[first.number, third.number, 99])
    assert store.requests() == [second]
    store.ask("c", NOON)
    assert store.requests()[-1] == Request(third.number + 1, "c", NOON)


# -- the outbox


def test_news_is_formed_into_messages_and_sent(store: Store) -> None:
    """News waits, is formed into a message, and is settled with it: sent."""
    save(store, alert_facts(id="a"), alert_facts(id="b"), news=[told("a"), told("b", due=NOON + 30), told("a", "chat")])
    rows = store.waiting("mail")
    assert [(r.alert.id, r.reason, r.run, r.created_at, r.due) for r in rows] == [
        ("a", "first", run_facts(), NOON, NOON), ("b", "first", run_facts(), NOON, NOON + 30),
    ]  # fmt: skip
    assert store.was_told("mail", "a")
    assert store.destinations(["mail", "chat"])[0].waiting == 2
    store.form("mail", [(message("one"), [rows[0].number]), (message("two"), [rows[1].number])], (), NOON + 1)
    assert store.waiting("mail") == []
    assert store.destinations(["mail"])[0].waiting == 2
    one, two = store.pending("mail")
    assert (one.message, one.created_at, one.attempts) == (message("one"), NOON + 1, 0)
    failed = state(failures=1, failed=1, last_failed_at=NOON, last_reason="no route", next_at=NOON + 9)
    store.settle(one.number, "pending", failed, NOON + 2)
    assert store.pending("mail") == [one._replace(attempts=1), two]
    assert store.destination("mail") == failed
    store.settle(one.number, "sent", state(sent=1), NOON + 3)
    assert store.pending("mail") == [two]
    assert store.sent_times("mail", NOON) == [NOON + 3]
    assert store.sent_times("mail", NOON + 3) == store.sent_times("chat", NOON) == []
    assert store.destinations(["mail"]) == [DestinationHealth("mail", sent=1, waiting=1)]
    assert waiting(store, "chat") == [("a", "first")]
    assert store.was_told("mail", "a")


@pytest.mark.parametrize(
    ("outcome", "was_told"),
    [("waiting", True), ("formed", True), ("sent", True), ("given up", False), ("covered", False)],
)
def test_whoever_was_told_is_told_the_end(store: Store, outcome: str, was_told: bool) -> None:
    """A destination was told of an alert when news that it began waits, is formed or was sent; not of its end."""
    save(store, alert_facts(id="a"), news=[told("a")])
    number = store.waiting("mail")[0].number
    if outcome == "covered":
        store.form("mail", (), [number], NOON)
    elif outcome != "waiting":
        delivery = form(store, number)
        if outcome != "formed":
            store.settle(delivery, outcome, state(), NOON)
    assert store.was_told("mail", "a") is was_told
    assert not store.was_told("chat", "a")
    save(store, alert_facts(id="b", state="resolved"), news=[told("b", reason="resolved")])
    assert not store.was_told("mail", "b")


def test_news_without_a_message_of_its_own_is_settled(store: Store) -> None:
    """A destination that is told the whole state takes news as it is."""
    save(store, alert_facts(id="a"), alert_facts(id="b"), news=[told("a"), told("b")])
    first, second = store.waiting("mail")
    store.settle_news([first.number], "sent", state(sent=1))
    assert store.waiting("mail") == [second]
    assert store.was_told("mail", "a")
    assert store.destination("mail").health.sent == 1


def test_forming_is_all_or_nothing(store: Store) -> None:
    """When a message cannot be written, its news waits on, and nothing counts as covered."""
    save(store, alert_facts(id="a"), alert_facts(id="b"), news=[told("a"), told("b")])
    rows = store.waiting("mail")
    bad: Any = object()
    with pytest.raises(TypeError):
        store.form("mail", [(message(), [rows[0].number]), (bad, [])], [rows[1].number], NOON)
    assert store.waiting("mail") == rows
    assert store.pending("mail") == []


def test_what_waits_for_a_destination_that_is_gone_is_given_up(store: Store) -> None:
    """News and messages for destinations that the config no longer names are given up; the others wait on."""
    save(store, alert_facts(id="a"), news=[told("a", name) for name in ("mail", "chat", "gone", "formed")])
    form(store, store.waiting("formed")[0].number, destination="formed")
    store.form("bare", [(message(), [])], (), NOON)
    assert sorted(store.give_up(["mail", "chat"], NOON)) == ["bare", "formed", "gone"]
    assert store.give_up(["mail", "chat"], NOON) == []
    assert [waiting(store, name) for name in ("mail", "chat", "gone")] == [[("a", "first")]] * 2 + [[]]
    assert store.pending("formed") == store.pending("bare") == []
    assert [store.was_told(name, "a") for name in ("mail", "gone", "formed")] == [True, False, False]
    assert store.sent_times("formed", 0.0) == []


def test_destinations_are_tried_anew_after_a_change_of_settings(store: Store) -> None:
    """Failures are forgotten, what became of the messages is not."""
    store.settle_news([], "sent", state("chat", failures=5, failed=5, next_at=NOON + 999))
    store.settle_news([], "sent", state("mail", failures=1, failed=1))
    store.reset_destinations()
    assert store.destination("chat") == DestinationState(
        0, None, DestinationHealth("chat", failed=5, next_at=NOON + 999)
    )
    assert [health.name for health in store.destinations()] == ["chat", "mail"]


def test_exactly_the_destinations_of_the_config_are_known(store: Store) -> None:
    """A destination is known from when the config names it until it does not; what became of its messages stays."""
    assert store.known_destinations() == set()
    store.set_destinations(["mail", "chat", "mail"])
    assert store.known_destinations() == {"mail", "chat"}
    assert store.destinations() == [DestinationHealth("chat"), DestinationHealth("mail")]
    store.settle_news([], "sent", state("mail", failures=2, sent=3))
    store.set_destinations(iter(["pager", "mail"]))
    for opened in now_and_later(store):
        assert opened.known_destinations() == {"mail", "pager"}
        assert opened.destination("mail") == state("mail", failures=2, sent=3)
        assert opened.destination("chat") == DestinationState(0, None, DestinationHealth("chat"))
    with closing_store(store.database.path.parent) as opened:
        opened.set_destinations([])
        assert opened.known_destinations() == set()


def test_a_destination_that_comes_back_is_new(store: Store) -> None:
    """What became of messages to a destination that left the config is forgotten."""
    store.set_destinations(["mail"])
    store.settle_news([], "sent", state("mail", failures=2, sent=3))
    store.set_destinations([])
    store.set_destinations(["mail"])
    assert store.destination("mail") == DestinationState(0, None, DestinationHealth("mail"))


def test_a_change_of_destinations_is_all_or_nothing(store: Store) -> None:
    """When a new destination cannot be written, those that left are still known."""
    store.set_destinations(["mail"])
    trigger = "CREATE TRIGGER fault BEFORE INSERT ON destination BEGIN SELECT RAISE(ABORT, 'made up'); END"
    store.database.write(lambda db: db.execute(trigger))
    with pytest.raises(sqlite3.IntegrityError, match="made up"):
        store.set_destinations(["chat"])
    assert store.known_destinations() == {"mail"}


def test_how_the_daemon_fares_is_told(store: Store) -> None:
    """What the daemon last said about itself is what others read."""
    health = Health(pid=7, host="gpu-01", version="1", started_at=NOON, seen_at=NOON + 5, problems=("a", "b"))
    store.set_health(replace(health, seen_at=NOON))
    store.set_health(health)
    with closing_store(store.database.path.parent) as other:
        assert other.health() == health


# -- what another version has left


OTHERS = ["", "[]", "{}", "null", '{"~":"Other","v":[]}', '{"~":"Message","v":[1]}', '{"~":"RunFacts","v":[1]}']


def spoil(store: Store, query: str, *values: object) -> None:
    """Change rows as another version may have written them."""
    store.database.write(lambda db: db.execute(query, values))


def fill_outbox(store: Store) -> None:
    """Let news 1 and 2 be in message 1, 3 in message 2, 4 wait, 5 be sent with message 3; alerts `a` to `e`."""
    for name in "abcde":
        save(store, alert_facts(id=name), news=[told(name)], log=f"/{name}.log")
    form(store, 1, 2)
    form(store, 3)
    store.settle(form(store, 5), "sent", state(sent=1), NOON)


def outbox(store: Store) -> list[tuple[int, int | None, str]]:
    """Return the number, the delivery and the outcome of all news."""
    return store.database.read(lambda db: db.execute("SELECT number, delivery, outcome FROM news").fetchall())


OUTBOX = [(1, 1, "formed"), (2, 1, "formed"), (3, 2, "formed"), (4, None, "waiting"), (5, 3, "sent")]


def content(store: Store) -> list[str]:
    """Return every row of the file."""
    return store.database.read(lambda db: list(db.iterdump()))


def test_what_can_be_read_is_not_mended(store: Store) -> None:
    """A store of this version is left as it is."""
    assert store.mend() == (0, 0)
    fill_outbox(store)
    before = content(store)
    assert store.mend() == (0, 0)
    assert content(store) == before


@pytest.mark.parametrize("text", OTHERS)
def test_a_message_of_another_version_is_made_anew(store: Store, text: str) -> None:
    """Its news waits again, and the message is gone; other messages, other news and what was sent stay as they are."""
    fill_outbox(store)
    kept = store.pending("mail")[1]
    spoil(store, "UPDATE delivery SET message = ? WHERE number = 1", text)
    assert store.mend() == (1, 0)
    assert outbox(store) == [(1, None, "waiting"), (2, None, "waiting"), *OUTBOX[2:]]
    for opened in now_and_later(store):
        assert opened.pending("mail") == [kept]
        assert waiting(opened) == [("a", "first"), ("b", "first"), ("d", "first")]
        assert opened.destination("mail").health.sent == 1
        assert opened.mend() == (0, 0)
    with closing_store(store.database.path.parent) as opened:
        assert form(opened, 1, 2) == 4
        assert [item.number for item in opened.pending("mail")] == [2, 4]


def test_a_message_that_is_settled_is_not_made_anew(store: Store) -> None:
    """What was sent is not sent again, though its text cannot be read any more."""
    fill_outbox(store)
    spoil(store, "UPDATE delivery SET message = '' WHERE number = 3")
    before = content(store)
    assert store.mend() == (0, 0)
    assert content(store) == before


@pytest.mark.parametrize(
    "query", ["UPDATE alert SET facts = ? WHERE id = 'd'", "UPDATE run SET facts = ? WHERE log = '/d.log'"]
)
@pytest.mark.parametrize("text", OTHERS)
def test_news_that_cannot_be_read_is_given_up(store: Store, query: str, text: str) -> None:
    """News that waits, of an alert or a run of another version, is given up once, and only that."""
    fill_outbox(store)
    spoil(store, query, text)
    assert store.mend() == (0, 1)
    assert outbox(store) == [*OUTBOX[:3], (4, None, "given up"), OUTBOX[4]]
    assert not store.was_told("mail", "d")
    assert len(store.pending("mail")) == 2
    assert store.mend() == (0, 0)


@pytest.mark.parametrize("query", ["DELETE FROM alert WHERE id = 'd'", "DELETE FROM run WHERE log = '/d.log'"])
def test_news_of_which_nothing_is_left_is_given_up(store: Store, query: str) -> None:
    """News whose alert or run is missing would wait forever."""
    fill_outbox(store)
    spoil(store, query)
    assert store.mend() == (0, 1)
    assert outbox(store)[3] == (4, None, "given up")


def test_a_message_that_can_be_read_needs_no_news(store: Store) -> None:
    """A message is delivered though the alert that it tells of cannot be read any more, and nothing counts as lost."""
    fill_outbox(store)
    spoil(store, "UPDATE alert SET facts = '' WHERE id IN ('a', 'c', 'e')")
    before = content(store)
    assert store.mend() == (0, 0)
    assert content(store) == before


def test_of_a_message_that_is_lost_what_can_be_read_is_told(store: Store) -> None:
    """Where neither a message nor some of its news can be read, the rest of its news waits again."""
    fill_outbox(store)
    spoil(store, "UPDATE delivery SET message = '' WHERE number < 3")
    spoil(store, "UPDATE alert SET facts = '' WHERE id IN ('b', 'c')")
    assert store.mend() == (2, 2)
    assert outbox(store) == [(1, None, "waiting"), (2, None, "given up"), (3, None, "given up"), *OUTBOX[3:]]
    assert store.pending("mail") == []
    assert waiting(store) == [("a", "first"), ("d", "first")]
    assert store.mend() == (0, 0)


def test_mending_is_all_or_nothing(store: Store) -> None:
    """When it cannot be done, nothing is changed, and the next attempt does it."""
    fill_outbox(store)
    spoil(store, "UPDATE delivery SET message = '' WHERE number = 1")
    spoil(store, "CREATE TRIGGER fault BEFORE DELETE ON delivery BEGIN SELECT RAISE(ABORT, 'made up'); END")
    with pytest.raises(sqlite3.IntegrityError, match="made up"):
        store.mend()
    assert outbox(store) == OUTBOX
    spoil(store, "DROP TRIGGER fault")
    assert store.mend() == (1, 0)


# -- what is dropped


def test_what_was_settled_long_ago_is_dropped(store: Store) -> None:
    """After a month nothing is left of an alert that ended, nor of a log that is followed no more."""
    save(store, alert_facts(id="a"), news=[told("a")])
    store.settle(form(store, store.waiting("mail")[0].number), "sent", state(), NOON)
    save(store, alert_facts(id="a", state="resolved"))
    store.forget([LOG])
    store.prune(NOON + 29 * DAY)
    assert [count(store, name) for name in ("news", "delivery", "alert", "run")] == [1, 1, 1, 1]
    store.prune(NOON + 31 * DAY)
    assert [count(store, name) for name in ("news", "delivery", "alert", "run")] == [0, 0, 0, 0]


def test_former_runs_are_dropped_with_their_alerts(store: Store) -> None:
    """A run is kept while its log is in it or an alert of it is remembered; a log that names no run keeps all."""
    save_run(store, "bare")
    save_run(store, "told", alert_facts(id="a"))
    current = save_run(store, "now")
    save_run(store, "any 1", log="/any.log", current=False)
    save_run(store, "any 2", log="/any.log", current=False)
    store.save([saved_log("/any.log")], (), (), (), NOON)
    save_run(store, "gone", log="/gone.log")
    store.forget(["/gone.log"])

    def kept() -> list[str]:
        return store.database.read(lambda db: [name for (name,) in db.execute("SELECT id FROM run ORDER BY rowid")])

    store.prune(NOON + DAY)
    assert kept() == ["told", "now", "any 1", "any 2"]
    store.prune(NOON + 31 * DAY)
    assert kept() == ["now", "any 1", "any 2"]
    assert store.runs()[0] == current
    assert count(store, "alert") == 0


def test_what_is_not_settled_is_never_dropped(store: Store) -> None:
    """Whatever fires, waits, is under way or holds is kept, however old it is."""
    save(store, alert_facts(id="fires"), log="/fires.log")
    save(store, alert_facts(id="waits", state="resolved"), news=[told("waits")], log="/waits.log")
    save(store, alert_facts(id="formed", state="resolved"), news=[told("formed", "chat")], log="/formed.log")
    form(store, store.waiting("chat")[0].number, destination="chat")
    store.forget(["/waits.log", "/formed.log"])
    number = store.add_silence(Silence(starts_at=NOON), "me")
    store.ask("fires", NOON)
    store.prune(NOON + 400 * DAY)
    assert [alert.id for _, alert in store.alerts()] == ["fires"]
    assert {alert.id for _, alert in store.alerts(firing=False)} == {"fires", "waits", "formed"}
    assert waiting(store) == [("waits", "first")]
    assert len(store.pending("chat")) == len(store.requests()) == len(store.logs()) == 1
    assert [stored.number for stored in store.silences()] == [number]


def test_the_end_of_an_alert_is_told_however_long_it_fired(store: Store) -> None:
    """Who was told that an alert began is known until its end was told, even after a month."""
    save(store, alert_facts(id="a"), news=[told("a")])
    store.settle(form(store, store.waiting("mail")[0].number), "sent", state(), NOON)
    later = NOON + 60 * DAY
    store.prune(later)
    assert store.was_told("mail", "a")
    save(store, alert_facts(id="a", state="resolved"), news=[told("a", reason="resolved", due=later)], now=later)
    store.prune(later + DAY)
    assert store.was_told("mail", "a")
    store.settle(form(store, store.waiting("mail")[0].number, now=later), "sent", state(), later)
    store.prune(later + 31 * DAY)
    assert count(store, "news") == count(store, "alert") == 0


# -- others, threads, size


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    """A store of a newer version is refused in one line."""
    with closing_store(tmp_path) as store:
        store.database.write(lambda db: db.execute("PRAGMA user_version = 99"))
    with pytest.raises(UsageError, match="written by a newer nanwatch"):
        open_store(tmp_path)


def test_a_command_and_the_daemon_share_a_store(store: Store) -> None:
    """What a command asks for reaches the daemon, and its own writing is no news to it."""
    store.database.changed_outside()
    with closing_store(store.database.path.parent) as command:
        save(store, alert_facts(id="a"))
        assert [alert.id for _, alert in command.alerts()] == ["a"]
        assert not store.database.changed_outside()
        command.ask("a", NOON)
        assert store.database.changed_outside()
        assert [request.alert for request in store.requests()] == ["a"]


def test_couriers_and_the_daemon_work_at_once(store: Store) -> None:
    """News that one thread saves while others deliver is told to each destination exactly once."""
    destinations, batches = ["a", "b", "c"], 25
    delivered: dict[str, list[str]] = {name: [] for name in destinations}
    errors: list[BaseException] = []

    def courier(name: str) -> None:
        try:
            while len(delivered[name]) < batches:
                for row in store.waiting(name):
                    store.form(name, [(message(row.alert.id), [row.number])], (), NOON)
                for item in store.pending(name):
                    delivered[name].append(item.message.key)
                    store.settle(item.number, "sent", state(name, sent=len(delivered[name])), NOON)
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    threads = [threading.Thread(target=courier, args=(name,), daemon=True) for name in destinations]
    for thread in threads:
        thread.start()
    for i in range(batches):
        save(store, alert_facts(id=f"{i}"), news=[told(f"{i}", name) for name in destinations])
    for thread in threads:
        thread.join(TIMEOUT)
    assert errors == []
    assert delivered == {name: [str(i) for i in range(batches)] for name in destinations}
    assert [health.sent for health in store.destinations()] == [batches] * 3
    assert [health.waiting for health in store.destinations()] == [0] * 3


def test_thousands_of_runs_and_alerts_are_quick(store: Store) -> None:
    """What a status page asks of a store with thousands of rows does not take long."""
    size = 3000
    logs = [saved_log(f"/{i}.log") for i in range(size)]
    pairs = [(run_facts(log.path), alert_facts(id=f"{i:012}")) for i, log in enumerate(logs)]
    store.save(logs, [run for run, _ in pairs], pairs, [told(alert.id) for _, alert in pairs], NOON)
    begun = time.perf_counter()
    assert (len(store.logs()), len(store.runs())) == (size, size)
    rows = store.waiting("mail")
    assert len(rows) == size
    assert store.was_told("mail", pairs[-1][1].id)
    store.form("mail", [(message(), [row.number for row in rows])], (), NOON)
    store.settle(store.pending("mail")[0].number, "sent", state(), NOON)
    store.prune(NOON + 31 * DAY)
    assert store.alerts() == pairs
    assert time.perf_counter() - begun < 5.0  # a tenth of that on an idle machine


# -- against a model


PATHS = ["/a.log", "logs/\udcff.log"]
IDS = ["0", "1", "2", "3"]
DESTINATIONS = ["mail", "chat"]


@dataclass
class Entry:
    """A piece of news in the model."""

    number: int
    destination: str
    alert: str
    reason: Reason
    due: float
    outcome: str = "waiting"
    delivery: int | None = None


@dataclass
class Model:
    """What a store should hold, in plain lists."""

    logs: dict[str, SavedLog] = field(default_factory=dict)
    runs: dict[str, RunFacts] = field(default_factory=dict)
    alerts: dict[str, tuple[str, AlertFacts, str]] = field(default_factory=dict)
    news: list[Entry] = field(default_factory=list)
    deliveries: list[tuple[str, Pending, str]] = field(default_factory=list)
    silences: list[StoredSilence] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    asked: int = 0

    def save(self, path: str, epoch: int, alerts: dict[str, Any], told: list[Told], answered: int) -> None:
        self.logs[path] = saved_log(path, state=str(epoch))
        self.runs[path] = run_facts(path, epoch=epoch)
        for name, alert_state in alerts.items():
            self.alerts[name] = path, alert_facts(id=name, state=alert_state), alert_state
        self.news += [
            Entry(len(self.news) + 1 + i, t.destination, t.alert, t.reason, t.due) for i, t in enumerate(told)
        ]
        self.requests = [request for request in self.requests if request.number != answered]

    def of(self, destination: str, *outcomes: str) -> list[Entry]:
        return [n for n in self.news if n.destination == destination and n.outcome in outcomes]

    def answers(self) -> dict[str, Any]:
        """Return what the store should answer to every question."""
        pairs = [(self.runs[path], facts, state) for path, facts, state in self.alerts.values()]
        return {
            "logs": list(self.logs.values()),
            "runs": [run for path, run in self.runs.items() if path in self.logs],
            "firing": [(run, facts) for run, facts, state in pairs if state == "firing"],
            "alerts": [(run, facts) for run, facts, _ in pairs],
            "silences": self.silences,
            "requests": self.requests,
            "waiting": [
                [(n.number, n.reason, self.alerts[n.alert][1], n.due) for n in self.of(name, "waiting")]
                for name in DESTINATIONS
            ],
            "told": [
                [
                    any(n.alert == alert and n.reason != "resolved" for n in self.of(name, "waiting", "formed", "sent"))
                    for alert in IDS
                ]
                for name in DESTINATIONS
            ],
            "pending": [
                [p for to, p, outcome in self.deliveries if (to, outcome) == (name, "pending")] for name in DESTINATIONS
            ],
            "counts": [len({n.alert for n in self.of(name, "waiting", "formed")}) for name in DESTINATIONS],
        }


def answers(store: Store) -> dict[str, Any]:
    """Return what the store answers to every question."""
    return {
        "logs": sorted(store.logs(), key=lambda log: PATHS.index(log.path)),
        "runs": sorted(store.runs(), key=lambda run: PATHS.index(run.log)),
        "firing": store.alerts(),
        "alerts": store.alerts(firing=False),
        "silences": store.silences(),
        "requests": store.requests(),
        "waiting": [[(r.number, r.reason, r.alert, r.due) for r in store.waiting(name)] for name in DESTINATIONS],
        "told": [[store.was_told(name, alert) for alert in IDS] for name in DESTINATIONS],
        "pending": [store.pending(name) for name in DESTINATIONS],
        "counts": [health.waiting for health in store.destinations(DESTINATIONS)],
    }


class Both:
    """A store and its model, which are told the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_store(folder)
        self.model = Model()

    def save(
        self, path: str, epoch: int, alerts: dict[str, Any], tell: list[tuple[str, Reason]], answered: int
    ) -> None:
        alerts = {name: s for name, s in alerts.items() if self.model.alerts.get(name, (path,))[0] == path}
        due = [Told(to, name, reason, NOON + epoch) for to, reason in tell for name in alerts]
        run = run_facts(path, epoch=epoch)
        pairs = [(run, alert_facts(id=name, state=s)) for name, s in alerts.items()]
        self.store.save([saved_log(path, state=str(epoch))], [run], pairs, due, NOON, [answered])
        self.model.save(path, epoch, alerts, due, answered)

    def forget(self, path: str) -> None:
        self.store.forget([path])
        self.model.logs.pop(path, None)
        for name, (log, facts, now) in self.model.alerts.items():
            if log == path and now == "firing":
                self.model.alerts[name] = log, facts, "forgotten"

    def silence(self, rule: str) -> None:
        silence = Silence(rule=rule, starts_at=NOON)
        number = self.store.add_silence(silence, "me")
        self.model.silences.append(StoredSilence(number, silence, "me"))

    def unsilence(self, which: int, at: int) -> None:
        number, when = which + 1, NOON + at
        holding = [s for s in self.model.silences if s.number == number and (s.silence.ends_at or math.inf) > when]
        assert self.store.end_silence(number, when) == bool(holding)
        self.model.silences = [
            s._replace(silence=replace(s.silence, ends_at=when)) if s in holding else s for s in self.model.silences
        ]

    def ask(self, alert: str, at: float | None) -> None:
        self.store.ask(alert, at)
        self.model.asked += 1
        self.model.requests.append(Request(self.model.asked, alert, at))

    def form(self, destination: str, covered: int) -> None:
        waits = self.model.of(destination, "waiting")
        dropped, taken = waits[:covered], waits[covered:]
        self.store.form(
            destination, [(message(str(n.number)), [n.number]) for n in taken], [n.number for n in dropped], NOON
        )
        for n in dropped:
            n.outcome = "covered"
        for n in taken:
            n.outcome, n.delivery = "formed", len(self.model.deliveries) + 1
            pending = Pending(n.delivery, message(str(n.number)), NOON, 0)
            self.model.deliveries.append((destination, pending, "pending"))

    def settle(self, which: int, outcome: str) -> None:
        if which >= len(self.model.deliveries):
            return
        destination, pending, before = self.model.deliveries[which]
        if before != "pending":
            return
        self.store.settle(pending.number, outcome, state(destination), NOON)
        self.model.deliveries[which] = destination, pending._replace(attempts=pending.attempts + 1), outcome
        for n in self.model.news:
            if n.delivery == pending.number and outcome != "pending":
                n.outcome = outcome

    def give_up(self, kept: str) -> None:
        gone = {n.destination for n in self.model.news if n.outcome in ("waiting", "formed")} - {kept}
        assert set(self.store.give_up([kept], NOON)) == gone
        for n in self.model.news:
            if n.destination in gone and n.outcome in ("waiting", "formed"):
                n.outcome = "given up"
        self.model.deliveries = [
            (to, p, "given up" if to in gone and outcome == "pending" else outcome)
            for to, p, outcome in self.model.deliveries
        ]

    def reopen(self) -> None:
        self.store.database.close()
        self.store = open_store(self.folder)

    def fill_disk(self) -> None:
        """Let the disk be full until it is opened anew."""
        self.store.database.read(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())


def _step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[Both], object]]:
    return st.tuples(*arguments).map(lambda values: lambda both: getattr(both, name)(*values))


_destinations = st.sampled_from(DESTINATIONS)
_steps = st.one_of(
    _step(
        "save", st.sampled_from(PATHS), st.integers(0, 3),
        st.dictionaries(st.sampled_from(IDS), st.sampled_from(["firing", "resolved"]), max_size=3),
        st.lists(st.tuples(_destinations, st.sampled_from(["first", "resolved", "repeated"])), max_size=2),
        st.integers(1, 4),
    ),
    _step("forget", st.sampled_from(PATHS)),
    _step("silence", st.sampled_from(["*", "nan_*"])),
    _step("unsilence", st.integers(0, 3), st.integers(1, 3)),
    _step("ask", st.sampled_from(IDS), st.sampled_from([NOON, None])),
    _step("form", _destinations, st.integers(0, 1)),
    _step("settle", st.integers(0, 4), st.sampled_from(["sent", "pending", "given up"])),
    _step("give_up", _destinations),
    _step("reopen"),
    _step("fill_disk"),
)  # fmt: skip


@settings(repeatable, max_examples=30)
@given(steps=st.lists(_steps, min_size=5, max_size=20), room_after=st.integers(0, 20))
def test_a_store_agrees_with_plain_lists(steps: list[Callable[[Both], object]], room_after: int) -> None:
    """Whatever is done in whatever order, with restarts and full disks between, the store answers as lists would."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_RETURN_S", math.inf)
        both = Both(Path(folder))
        for i, step in enumerate(steps):
            if i == room_after:
                patch.setattr(database, "_RETURN_S", 0.0)
            step(both)
            expected = both.model.answers()
            for name in ("logs", "runs"):
                expected[name].sort(key=lambda item: PATHS.index(item.path if isinstance(item, SavedLog) else item.log))
            assert answers(both.store) == expected
        both.reopen()
        assert answers(both.store)["alerts"] == both.model.answers()["alerts"]
        assert not both.store.database.was_replaced()
        both.store.database.close()
