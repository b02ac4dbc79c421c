"""Deliveries: order, waits, retries, what is given up, what is told once, and clocks that are set meanwhile."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.clock import SystemClock
from nanwatch.config import Duration, NotifySettings, QuietHours
from nanwatch.delivery import Courier, Deliveries, Terms
from nanwatch.model.alert import Reason
from nanwatch.model.news import Message
from nanwatch.notify.base import Outcome
from nanwatch.notify.receivers import Destination
from nanwatch.store import Store, Told, open_store
from tests.notify.making import NOON
from tests.support.endpoints import (
    DOWN,
    HOST,
    RECEIVER,
    REFUSED,
    REJECTED,
    SENT,
    TIMEOUT,
    Desk,
    Endpoint,
    alert_of,
    news_of,
)
from tests.support.repeatable import repeatable

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NIGHT = RECEIVER._replace(quiet_hours=QuietHours(22 * 60, 7 * 60))
TEN_AT_NIGHT = NOON + 10 * HOUR
SEVEN = NOON + 19 * HOUR
WARNING: dict[str, Any] = {"severity": "warning"}
INFO: dict[str, Any] = {"severity": "info"}


@pytest.fixture(autouse=True, scope="module")
def _utc() -> Iterator[None]:
    """Local time is UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk that delivers."""
    return Desk(tmp_path)


def errors(caplog: pytest.LogCaptureFixture, level: int = logging.ERROR) -> list[str]:
    """Return what was said at this level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


# -- what is told together, and when


def test_an_alert_is_told_once(desk: Desk) -> None:
    """One alert is one message, which is sent once and holds the alert."""
    desk.tell()
    desk.work(DAY)
    assert desk.endpoint.told == [("nan_burst",)]
    assert desk.times == [5.0]
    assert desk.outcomes() == {"sent": 1}
    assert desk.store.destination(desk.name).health.sent == 1


def test_nothing_is_sent_without_news(desk: Desk) -> None:
    """Where there is no news, nothing is sent, and the courier looks again half a minute later."""
    assert desk.work() == 30
    assert desk.endpoint.attempts == []


def test_group_wait(desk: Desk) -> None:
    """What is not critical waits for half a minute, and what comes meanwhile in the same run goes along."""
    desk.tell("slowdown", **WARNING)
    desk.work(20)
    desk.tell("grad_skip", **WARNING)
    desk.work(HOUR)
    assert desk.times == [30.0]
    assert sorted(desk.endpoint.told[0]) == ["grad_skip", "slowdown"]


def test_critical_sooner(desk: Desk) -> None:
    """A critical alert waits for five seconds and takes along what waits of its run, but not of other runs."""
    desk.tell("slowdown", **WARNING)
    desk.tell("grad_skip", log="other", **WARNING)
    desk.work(2)
    desk.tell("nan_burst")
    desk.work(HOUR)
    assert desk.endpoint.told == [("nan_burst", "slowdown"), ("grad_skip",)]
    assert desk.times == [7.0, 30.0]


def test_order(desk: Desk) -> None:
    """Messages go out in the order of their news."""
    for n in range(8):
        desk.tell(f"rule{n}", log=f"run{n}")
        desk.work(MINUTE)
    assert desk.endpoint.told == [(f"rule{n}",) for n in range(8)]


def test_the_worst_first(desk: Desk) -> None:
    """Of what is due at once, the message with the worst goes out first."""
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(26)
    desk.tell("nan_burst", log="b")
    desk.clock.advance(4)
    desk.clock.advance(1)
    desk.work(HOUR)
    assert desk.endpoint.told == [("nan_burst",), ("slowdown",)]


def test_many_runs_are_one_message(desk: Desk) -> None:
    """The same trouble of three runs or more is one message."""
    for n in range(20):
        desk.tell("crash", log=f"run{n}")
    desk.work(HOUR)
    assert desk.endpoint.told == [("crash",) * 20]


def test_a_digest_of_very_many(desk: Desk) -> None:
    """What would be more than five messages at once is one."""
    for n in range(9):
        desk.tell(f"rule{n}", log=f"run{n}")
    desk.work(HOUR)
    assert [len(told) for told in desk.endpoint.told] == [9]


def test_single_style(tmp_path: Path) -> None:
    """Where a message holds one alert, each alert is a message, however many they are."""
    desk = Desk(tmp_path, style="single")
    for n in range(20):
        desk.tell("crash", log=f"run{n}")
    desk.work(HOUR)
    assert desk.endpoint.told == [("crash",)] * 20
    assert set(desk.times) == {5.0}


def test_began_and_ended_in_one(desk: Desk) -> None:
    """What has ended before anybody was told is one message that says both."""
    desk.tell(**WARNING)
    desk.work(10)
    desk.tell(reason="resolved", **WARNING)
    desk.work(HOUR)
    (news,) = news_of(desk.endpoint.taken)
    assert news.reasons == ("first", "resolved")
    assert news.is_over
    assert desk.times == [30.0]


def test_resolution_is_told_to_those_who_know(desk: Desk) -> None:
    """That an alert ended is told to a destination that was told that it began."""
    desk.tell()
    desk.work(HOUR)
    desk.tell(reason="resolved")
    desk.work(HOUR)
    assert [reason for _, reason in desk.endpoint.news] == ["first", "resolved"]


def test_resolution_is_not_told_to_others(desk: Desk) -> None:
    """That an alert ended is not told to a destination that never heard of it."""
    desk.tell(reason="resolved")
    desk.work(HOUR)
    assert desk.endpoint.attempts == []
    assert desk.outcomes() == {"covered": 1}


def test_resolution_after_what_was_given_up(tmp_path: Path) -> None:
    """That an alert ended is not told where its beginning was given up."""
    desk = Desk(tmp_path, REFUSED)
    desk.tell()
    desk.work(HOUR)
    desk.endpoint.answer(SENT)
    desk.tell(reason="resolved")
    desk.work(HOUR)
    assert desk.endpoint.taken == []


@pytest.mark.parametrize("suppressed", ["acknowledged", "inhibited by crash"])
def test_suppressed_before_it_was_told(desk: Desk, suppressed: str) -> None:
    """What is acknowledged or inhibited before it was due is not told."""
    desk.tell()
    desk.work(2)
    desk.change(suppressed=(suppressed,))
    desk.work(HOUR)
    assert desk.endpoint.attempts == []
    assert desk.outcomes() == {"covered": 1}


@pytest.mark.parametrize("suppressed", ["silenced", "silenced: known"])
def test_silenced_before_it_was_told(desk: Desk, suppressed: str) -> None:
    """What is silenced before it was due waits for the end of the silence."""
    desk.tell()
    desk.work(2)
    desk.change(suppressed=(suppressed,))
    desk.work(HOUR)
    assert desk.endpoint.attempts == []
    assert desk.outcomes() == {"waiting": 1}
    desk.change(suppressed=())
    desk.work(MINUTE)
    assert len(desk.endpoint.taken) == 1


def test_repetitions_have_keys_of_their_own(desk: Desk) -> None:
    """Two repetitions of the same alert are two messages with different keys."""
    reasons: list[Reason] = ["first", "repeated", "repeated"]
    for reason in reasons:
        desk.tell(reason=reason)
        desk.work(HOUR)
    assert len({attempt.message.key for attempt in desk.endpoint.taken}) == 3


# -- while a destination fails


def test_head_of_line(tmp_path: Path) -> None:
    """While a destination fails only the first message is tried; what waits meanwhile is merged into few."""
    desk = Desk(tmp_path, DOWN)
    for n in range(30):
        desk.tell("crash", log=f"run{n}")
        desk.work(10 * MINUTE)
    tried = {attempt.message.key for attempt in desk.endpoint.attempts}
    assert len(tried) == 1
    desk.endpoint.answer(SENT)
    desk.work(HOUR)
    assert [len(told) for told in desk.endpoint.told] == [1, 29]
    assert sorted(desk.endpoint.news) == sorted((f"crash@run{n}", "first") for n in range(30))


def test_what_ends_meanwhile(tmp_path: Path) -> None:
    """What begins and ends while a destination fails is told once, as over; what changes is told as it is then."""
    desk = Desk(tmp_path, DOWN)
    desk.tell("crash", log="head")
    desk.work(MINUTE)
    desk.tell("stall", **WARNING)
    desk.tell("slowdown", severity="info")
    desk.work(HOUR)
    desk.tell("stall", "resolved", **WARNING)
    desk.tell("slowdown", "escalated", **WARNING)
    desk.work(HOUR)
    desk.endpoint.answer(SENT)
    desk.work(HOUR)
    told = {news.alert.rule: news for news in news_of(desk.endpoint.taken)}
    assert told["stall"].is_over
    assert told["slowdown"].alert.severity == "warning"
    assert len(desk.endpoint.taken) == 2


def test_the_same_key_on_every_attempt(tmp_path: Path) -> None:
    """A message keeps its key and its words on every attempt, whoever makes it."""
    desk = Desk(tmp_path, DOWN)
    desk.tell()
    desk.work(HOUR)
    desk.restart()
    desk.work(HOUR)
    desk.endpoint.answer(SENT)
    desk.work(HOUR)
    messages = {(a.message.key, a.message.title, a.message.body) for a in desk.endpoint.attempts}
    assert len(desk.endpoint.attempts) > 8
    assert len(messages) == 1
    assert len(desk.endpoint.taken) == 1


def test_a_kill_between_sending_and_writing(tmp_path: Path) -> None:
    """A message that was sent when the process died is sent again, with the same key, and then no more."""
    desk = Desk(tmp_path, KeyboardInterrupt(), SENT)
    desk.tell()
    with pytest.raises(KeyboardInterrupt):
        desk.work(HOUR)
    desk.store.database.close()
    desk.store = open_store(tmp_path)
    desk.restart()
    desk.work(HOUR)
    first, second = desk.endpoint.attempts
    assert first.message == second.message


def test_retries_grow(tmp_path: Path) -> None:
    """Attempts are 5 s apart, then twice as much each time, up to 15 minutes."""
    desk = Desk(tmp_path, DOWN)
    desk.tell()
    desk.work(2 * HOUR)
    gaps = [after - before for before, after in pairwise(desk.times)]
    assert gaps[:8] == [5, 10, 20, 40, 80, 160, 320, 640]
    assert set(gaps[8:]) == {900}


def test_a_restart_does_not_shorten_the_wait(tmp_path: Path) -> None:
    """A new courier over the same store does not try before the old one would have."""
    desk = Desk(tmp_path, DOWN)
    desk.tell()
    desk.work(HOUR)
    n, wait = len(desk.endpoint.attempts), desk.work()
    desk.restart()
    assert desk.work() == pytest.approx(wait)
    assert len(desk.endpoint.attempts) == n


def test_retry_after(tmp_path: Path) -> None:
    """A destination that asks for a while is left alone for as long."""
    desk = Desk(tmp_path, Outcome("later", "HTTP 429", 120.0), Outcome("later", "HTTP 429", 2.0), SENT)
    desk.tell()
    desk.work(HOUR)
    assert desk.times == [5, 125, 135]


def test_rejected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A destination that lets nobody in is reported once as an error, and asked after 10 min, 1 h, then every 3 h."""
    desk = Desk(tmp_path, REJECTED)
    desk.tell()
    desk.work(12 * HOUR)
    assert errors(caplog) == ["phone/test: not let in: HTTP 401; next attempt in 600 s"]
    assert desk.times == [5, 605, 605 + HOUR, 605 + 4 * HOUR, 605 + 7 * HOUR, 605 + 10 * HOUR]
    assert desk.store.destination(desk.name).health.last_reason == "HTTP 401"


def test_rejected_for_another_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a destination rejects for another reason than before is reported again."""
    desk = Desk(tmp_path, DOWN, DOWN, REJECTED, Outcome("rejected", "HTTP 404"))
    desk.tell()
    desk.work(DAY)
    assert [line.split(";")[0] for line in errors(caplog)] == [
        "phone/test: not let in: HTTP 401",
        "phone/test: not let in: HTTP 404",
    ]


def test_rejected_after_an_outage(tmp_path: Path) -> None:
    """A first rejection is asked about after 10 minutes, however often the destination was down before it."""
    desk = Desk(tmp_path, *[DOWN] * 6, REJECTED, SENT)
    desk.tell()
    desk.work(HOUR)
    assert desk.times[-1] - desk.times[-2] == 600
    assert len(desk.endpoint.taken) == 1


def test_mended(tmp_path: Path) -> None:
    """After a reset, as at a reload, a rejected destination is tried at once."""
    desk = Desk(tmp_path, REJECTED)
    desk.tell()
    desk.work(5 * HOUR)
    desk.endpoint.answer(SENT)
    desk.store.reset_destinations()
    desk.work()
    assert len(desk.endpoint.taken) == 1
    assert desk.store.destination(desk.name).health.next_at is None


def test_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A message that is refused three times is given up, and the next one goes out at once."""
    desk = Desk(tmp_path, REFUSED, REFUSED, REFUSED, SENT)
    desk.tell("oom", log="a")
    desk.tell("crash", log="b")
    desk.work(HOUR)
    assert desk.endpoint.told == [("crash",)]
    assert desk.times == [5, 165, 485, 485]
    assert [line for line in errors(caplog) if "gave up" in line and "HTTP 400" in line] == errors(caplog)
    assert desk.outcomes() == {"given up": 1, "sent": 1}
    assert desk.store.destination(desk.name).health.given_up == 1


def test_refused_after_an_outage(tmp_path: Path) -> None:
    """Attempts at a destination that was down do not count as refusals."""
    desk = Desk(tmp_path, *[DOWN] * 6, REFUSED, REFUSED, SENT)
    desk.tell()
    desk.work(HOUR)
    assert desk.outcomes() == {"sent": 1}


def test_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be delivered for three days is given up with an error, and what came after it is tried on."""
    desk = Desk(tmp_path, DOWN)
    desk.tell("oom", log="a")
    desk.work(DAY)
    desk.tell("crash", log="b")
    desk.work(2 * DAY - HOUR)
    assert errors(caplog) == []
    desk.work(2 * HOUR)
    (line,) = errors(caplog)
    assert line.startswith("phone/test: gave up ")
    assert line.endswith(": connection refused")
    assert desk.outcomes() == {"given up": 1, "formed": 1}
    desk.endpoint.answer(SENT)
    desk.work(HOUR)
    assert desk.endpoint.told == [("crash",)]


def test_not_given_up_after_a_long_sleep(tmp_path: Path) -> None:
    """A machine that was suspended for days does not give up a message because the network is not back at once."""
    desk = Desk(tmp_path, DOWN, DOWN, SENT)
    desk.tell()
    desk.work(5)
    desk.clock.step(7 * DAY)
    desk.work(HOUR)
    assert desk.outcomes() == {"sent": 1}


def test_it_delivers_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An outage is two lines in the log, however long: that it began, and that it ended."""
    caplog.set_level(logging.INFO)
    desk = Desk(tmp_path, *[DOWN] * 20, SENT)
    desk.tell()
    desk.work(DAY)
    assert [record.getMessage() for record in caplog.records] == [
        "phone/test: not delivered: connection refused; next attempt in 5 s",
        "phone/test: delivers again, after 20 failures",
    ]


def test_a_notifier_with_a_defect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A notifier that raises is reported, tried again, and loses nothing."""
    desk = Desk(tmp_path, ZeroDivisionError("once"), ValueError("twice"), SENT)
    desk.tell()
    desk.work(HOUR)
    assert desk.times == [5, 10, 20]
    assert errors(caplog) == ["phone/test: defect in the notifier"] * 2
    assert desk.outcomes() == {"sent": 1}


# -- a store that cannot be used


def test_what_was_sent_and_not_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent while the store could not be written is written down later, and not sent again."""
    desk.tell()
    desk.work(5.0 - 1e-3)
    desk.clock.advance(1e-3)
    write, locked = desk.store.database.write, sqlite3.OperationalError("database is locked")

    def fail(*_: object, **__: object) -> None:
        raise locked

    desk.courier.work()  # puts it into a message
    monkeypatch.setattr(desk.store.database, "write", fail)
    for _ in range(100):
        with pytest.raises(sqlite3.OperationalError):
            desk.work()
        desk.clock.advance(30)
    monkeypatch.setattr(desk.store.database, "write", write)
    desk.work(HOUR)
    assert len(desk.endpoint.attempts) == 1
    assert desk.outcomes() == {"sent": 1}


def test_news_that_cannot_be_formed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no message can be put into the store, none is sent, and then each once."""
    desk.tell()
    desk.clock.advance(MINUTE)

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(desk.store.database, "write", fail)
        with pytest.raises(sqlite3.OperationalError):
            desk.work()
    assert desk.endpoint.attempts == []
    desk.work(HOUR)
    assert len(desk.endpoint.taken) == 1


# -- quiet hours


def test_quiet_hours(tmp_path: Path) -> None:
    """At night only what is critical is told; the rest waits for the morning and is one message."""
    desk = Desk(tmp_path, receiver=NIGHT, began=TEN_AT_NIGHT)
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(HOUR)
    desk.tell("crash", log="b")
    desk.work(HOUR)
    desk.tell("finished", log="c", **INFO)
    desk.tell("finished", log="d", **INFO)
    desk.tell("finished", log="e", **INFO)
    desk.work(DAY)
    assert desk.endpoint.told == [("crash",), ("slowdown",), ("finished",) * 3]
    assert [attempt.at for attempt in desk.endpoint.taken] == [TEN_AT_NIGHT + HOUR + 5, SEVEN, SEVEN]


def test_an_outage_into_the_quiet_hours(tmp_path: Path) -> None:
    """What could not be delivered in the evening does not go out at night."""
    desk = Desk(tmp_path, DOWN, receiver=NIGHT, began=TEN_AT_NIGHT - HOUR)
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(MINUTE)
    desk.tell("grad_skip", log="b", **WARNING)
    desk.work(2 * HOUR)
    desk.endpoint.answer(SENT)
    desk.work(DAY)
    assert {attempt.at for attempt in desk.endpoint.taken} == {SEVEN}
    assert desk.endpoint.told == [("slowdown",), ("grad_skip",)]


def test_an_outage_with_something_critical(tmp_path: Path) -> None:
    """What is critical does not wait at night for what is in front of it: that goes out first."""
    desk = Desk(tmp_path, DOWN, receiver=NIGHT, began=TEN_AT_NIGHT - HOUR)
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(2 * HOUR)
    desk.endpoint.answer(SENT)
    desk.tell("crash", log="b")
    desk.work(HOUR)
    assert desk.endpoint.told == [("slowdown",), ("crash",)]
    assert desk.endpoint.taken[-1].at == TEN_AT_NIGHT + HOUR + 5


def test_a_full_hour_before_the_quiet_hours(tmp_path: Path) -> None:
    """What the rate limit put off into the night waits for the morning."""
    desk = Desk(tmp_path, receiver=NIGHT._replace(rate_limit=1), began=TEN_AT_NIGHT - HOUR / 2)
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(MINUTE)
    desk.tell("slowdown", log="b", **WARNING)
    desk.work(DAY)
    assert [attempt.at for attempt in desk.endpoint.taken] == [desk.began + 30, SEVEN]


# -- the rate limit


def most_in_an_hour(times: list[float]) -> int:
    """Return how many of *times* lie in the fullest hour."""
    return max((sum(t <= other < t + HOUR for other in times) for t in times), default=0)


def test_rate_limit(tmp_path: Path) -> None:
    """No more messages go out in an hour than allowed; what is more waits and is told together."""
    desk = Desk(tmp_path, receiver=RECEIVER._replace(rate_limit=4))
    for n in range(180):
        desk.tell(f"rule{n}", log=f"run{n}", **WARNING)
        desk.work(MINUTE)
    desk.work(2 * HOUR)
    assert most_in_an_hour(desk.times) == 4
    assert len(desk.endpoint.taken) <= 16
    assert len(desk.endpoint.news) == len(set(desk.endpoint.news)) == 180


def test_rate_limit_of_single_messages(tmp_path: Path) -> None:
    """Where a message holds one alert, no more go out in an hour than allowed, however many come at once."""
    desk = Desk(tmp_path, style="single", receiver=RECEIVER._replace(rate_limit=10))
    for n in range(35):
        desk.tell("slowdown", log=f"run{n}", **WARNING)
    desk.work(5 * HOUR)
    assert most_in_an_hour(desk.times) == 10
    assert len(desk.endpoint.taken) == 35
    assert desk.times[-1] == pytest.approx(3 * HOUR + 30)


@pytest.mark.parametrize("style", ["grouped", "single"])
def test_critical_beyond_the_rate_limit(tmp_path: Path, style: str) -> None:
    """Beyond the limit, what is critical goes out once a minute."""
    limited = RECEIVER._replace(rate_limit=2)
    desk = Desk(tmp_path, style="single" if style == "single" else "grouped", receiver=limited)
    for n in range(10):
        desk.tell("crash", log=f"run{n}")
        desk.work(20)
    desk.work(20 * MINUTE)
    gaps = [after - before for before, after in pairwise(desk.times)]
    assert min(gaps[2:]) >= MINUTE
    assert len(desk.endpoint.news) == 10
    assert desk.times[-1] < 10 * MINUTE


def test_only_the_critical_beyond_the_rate_limit(tmp_path: Path) -> None:
    """Where a message holds one alert, what is not critical keeps the limit although something critical waits."""
    desk = Desk(tmp_path, style="single", receiver=RECEIVER._replace(rate_limit=1))
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(MINUTE)
    for n in range(3):
        desk.tell("slowdown", log=f"b{n}", **WARNING)
    desk.tell("crash", log="b0")
    desk.work(50 * MINUTE)
    assert desk.endpoint.told == [("slowdown",), ("crash",)]


def test_something_critical_while_the_hour_is_full(tmp_path: Path) -> None:
    """A courier that waits for room looks again when something critical is due."""
    desk = Desk(tmp_path, receiver=RECEIVER._replace(rate_limit=1))
    desk.tell("slowdown", log="a", **WARNING)
    desk.work(10 * MINUTE)
    desk.tell("grad_skip", log="b", **WARNING)
    desk.work(5 * MINUTE)
    desk.tell("crash", log="c")
    desk.work(HOUR / 2)
    assert desk.times == [30, 15 * MINUTE + 5]


happenings = st.lists(
    st.tuples(
        st.floats(0, 1800), st.integers(0, 5), st.integers(0, 3), st.sampled_from(["info", "warning", "critical"])
    ),
    max_size=25,
)


@settings(repeatable, max_examples=10)
@given(happenings, st.integers(1, 4), st.sampled_from(["grouped", "single"]))
def test_limits_and_losses(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[float, int, int, str]], limit: int, style: str
) -> None:
    """Whatever happens when, each alert is told once, and what is not critical keeps the limit in every hour."""
    receiver = RECEIVER._replace(rate_limit=limit)
    desk = Desk(tmp_path_factory.mktemp("desk"), style="single" if style == "single" else "grouped", receiver=receiver)
    ids = set()
    for number, (pause, run, rule, severity) in enumerate(told):
        ids.add(desk.tell(f"rule{rule}-{number}", log=f"run{run}", severity=severity))
        desk.work(pause)
    desk.work(HOUR * 30)
    assert sorted(alert for alert, _ in desk.endpoint.news) == sorted(ids)
    critical = [a.at for a in desk.endpoint.taken if a.message.severity == "critical"]
    everything = [a.at for a in desk.endpoint.taken]
    for attempt in desk.endpoint.taken:
        before = [at for at in everything[: desk.endpoint.taken.index(attempt)] if at > attempt.at - HOUR]
        assert len(before) < limit or (attempt.at in critical and attempt.at - before[-1] >= MINUTE)
    desk.store.database.close()


# -- destinations that are told the state


@pytest.fixture
def state(tmp_path: Path) -> Desk:
    """Return a desk whose destination is told all that fires."""
    return Desk(tmp_path, style="state")


def rules_told(desk: Desk) -> list[list[str]]:
    """Return the rules in each message, in their own order."""
    return [sorted(told) for told in desk.endpoint.told]


def test_state_of_nothing(state: Desk) -> None:
    """Where nothing ever fired, nothing is sent."""
    state.work(DAY)
    assert state.endpoint.attempts == []


def test_state_is_refreshed(state: Desk) -> None:
    """All that fires is told again every minute, and the news with the first of them."""
    state.tell("crash", log="a")
    state.work(10)
    state.tell("slowdown", log="b", **WARNING)
    state.work(5 * MINUTE)
    assert rules_told(state) == [["crash"]] + [["crash", "slowdown"]] * 5
    assert state.times == [5, 40, 100, 160, 220, 280]
    assert state.endpoint.news == [("crash@a", "first"), ("slowdown@b", "first")]


def test_state_tells_an_end_once(state: Desk) -> None:
    """What is over is told once, and nothing is sent when nothing fires any more."""
    state.tell()
    state.work(MINUTE)
    state.tell(reason="resolved")
    state.work(HOUR)
    assert [news.is_over for news in news_of(state.endpoint.taken)].count(True) == 1
    assert state.times[-1] == 90
    assert state.outcomes() == {"sent": 2}


def test_state_of_what_it_hears(tmp_path: Path) -> None:
    """Only what the receiver hears of is told, at a refresh too."""
    desk = Desk(tmp_path, style="state", receiver=RECEIVER._replace(min_severity="warning", runs=("*unet*",)))
    desk.tell("slowdown", **INFO)
    desk.tell("grad_skip", log="other", **WARNING)
    desk.tell("crash")
    desk.work(10 * MINUTE)
    assert set(desk.endpoint.told) == {("crash",)}


def test_state_while_it_fails(tmp_path: Path) -> None:
    """A state that was not taken is told again, with all that came meanwhile."""
    desk = Desk(tmp_path, DOWN, style="state")
    desk.tell("crash", log="a")
    desk.work(HOUR)
    desk.tell("oom", log="b")
    desk.work(HOUR)
    desk.endpoint.answer(SENT)
    desk.work(20 * MINUTE)
    assert len(desk.endpoint.attempts) < 40
    assert rules_told(desk)[0] == ["crash", "oom"]
    assert desk.outcomes() == {"sent": 2}


def test_state_that_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """News of the state that cannot be delivered for three days is given up with an error."""
    desk = Desk(tmp_path, DOWN, style="state")
    desk.tell()
    desk.work(3 * DAY + HOUR)
    (line,) = errors(caplog)
    assert "gave up" in line
    assert desk.outcomes() == {"given up": 1}
    assert desk.store.destination(desk.name).health.given_up == 1


def test_state_that_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where something in it is refused, the state is told every minute all the same, and its news given up."""
    desk = Desk(tmp_path, REFUSED, style="state")
    desk.tell()
    desk.work(10 * MINUTE)
    assert desk.times == [5 + MINUTE * n for n in range(10)]
    assert len(errors(caplog)) == 1
    assert desk.outcomes() == {"given up": 1}


@pytest.mark.parametrize("suppressed", ["silenced", "acknowledged", "inhibited by crash"])
def test_state_of_what_was_to_be_quiet(state: Desk, suppressed: str) -> None:
    """What was suppressed before anybody was told is told by no refresh either."""
    state.tell("crash", log="a")
    state.tell("slowdown", log="b", **WARNING)
    state.change("slowdown", log="b", suppressed=(suppressed,), **WARNING)
    state.work(10 * MINUTE)
    assert set(state.endpoint.told) == {("crash",)}


def test_state_of_what_is_silenced_later(state: Desk) -> None:
    """What was told goes on to be told as firing when it is silenced: it has not ended."""
    state.tell("crash")
    state.work(MINUTE)
    state.change("crash", suppressed=("silenced",))
    state.work(MINUTE)
    assert rules_told(state) == [["crash"]] * 2


def test_state_in_quiet_hours(tmp_path: Path) -> None:
    """What waits for the end of the quiet hours is told by no refresh before."""
    desk = Desk(tmp_path, style="state", receiver=NIGHT, began=SEVEN - 2 * HOUR)
    desk.tell("crash", log="a")
    desk.tell("slowdown", log="b", **WARNING)
    desk.work(HOUR)
    assert set(desk.endpoint.told) == {("crash",)}
    desk.work(2 * HOUR)
    first = next(attempt.at for attempt in desk.endpoint.taken if len(attempt.message.news) == 2)
    assert first == SEVEN


# -- a clock that is set


STEPS = pytest.mark.parametrize("step", [HOUR, -HOUR])


@STEPS
def test_clock_set_in_the_group_wait(desk: Desk, step: float) -> None:
    """News that waits when the clock is set goes out no later than it would have."""
    desk.tell(**WARNING)
    desk.work(10)
    desk.clock.step(step)
    desk.work(20)
    assert len(desk.endpoint.taken) == 1


@STEPS
@pytest.mark.parametrize("outcome", [DOWN, REJECTED, Outcome("later", "HTTP 429", 2 * HOUR)])
def test_clock_set_while_it_fails(tmp_path: Path, step: float, outcome: Outcome) -> None:
    """A clock that is set costs one attempt at most, and no attempt is later than it would have been."""
    desk, untouched = Desk(tmp_path / "a", outcome), Desk(tmp_path / "b", outcome)
    for one in (desk, untouched):
        one.tell()
        one.work(2 * HOUR)
    wait = untouched.work()
    before = len(desk.endpoint.attempts)
    assert before == len(untouched.endpoint.attempts)
    desk.clock.step(step)
    desk.work(wait)
    assert 1 <= len(desk.endpoint.attempts) - before <= 2
    desk.endpoint.answer(SENT)
    desk.work(4 * HOUR)
    assert desk.outcomes() == {"sent": 1}


@pytest.mark.parametrize("step", [HOUR, -HOUR, -10 * MINUTE])
def test_clock_set_long_after_an_attempt(tmp_path: Path, step: float) -> None:
    """A wait of two hours that a destination asked for is over after two hours, however the clock is set in it."""
    desk = Desk(tmp_path, Outcome("later", "HTTP 429", 2 * HOUR), SENT)
    desk.tell()
    desk.work(5 + 1.5 * HOUR)
    desk.clock.step(step)
    desk.work(HOUR / 2)
    assert len(desk.endpoint.taken) == 1


@STEPS
def test_clock_set_while_the_hour_is_full(tmp_path: Path, step: float) -> None:
    """A clock that is set makes a full hour no longer than an hour, and two of them no fuller than two."""
    desk = Desk(tmp_path, receiver=RECEIVER._replace(rate_limit=3))
    for n in range(10):
        desk.tell(f"rule{n}", log=f"run{n}", **WARNING)
        desk.work(MINUTE)
    assert len(desk.endpoint.taken) == 3
    desk.clock.step(step)
    desk.work(HOUR)
    assert 3 < len(desk.endpoint.taken) <= 6
    assert len(desk.endpoint.news) == len(set(desk.endpoint.news)) == 10


@pytest.mark.parametrize(("step", "told_at"), [(2 * HOUR, SEVEN), (-HOUR, SEVEN), (-2 * HOUR, TEN_AT_NIGHT - HOUR)])
def test_clock_set_in_the_quiet_hours(tmp_path: Path, step: float, told_at: float) -> None:
    """What waits for the morning goes out when the clock shows it, or at once where it shows the day again."""
    desk = Desk(tmp_path, receiver=NIGHT, began=TEN_AT_NIGHT + HOUR / 2)
    desk.tell(**WARNING)
    desk.work(HOUR / 2)
    desk.clock.step(step)
    desk.work(DAY)
    assert [attempt.at for attempt in desk.endpoint.taken] == [told_at]


@STEPS
def test_clock_set_between_refreshes(state: Desk, step: float) -> None:
    """A state is told a minute later at the latest, whatever the clock is set to."""
    state.tell()
    state.work(30)
    state.clock.step(step)
    state.work(10 * MINUTE)
    assert 11 <= len(state.endpoint.taken) <= 12


def test_a_clock_that_was_wrong_at_the_start(tmp_path: Path) -> None:
    """News of a time before the clock was set right, years ago or ahead, goes out at once."""
    for number, began in enumerate((1000.0, NOON + 10 * 365 * DAY)):
        desk = Desk(tmp_path / str(number), began=began)
        desk.tell(**WARNING)
        desk.work(1)
        desk.clock.step(NOON - began)
        desk.work()
        assert len(desk.endpoint.taken) == 1


# -- threads

AT_ONCE = NotifySettings(group_wait=Duration(0), group_wait_critical=Duration(0))


class Hall:
    """Deliveries on threads to several endpoints, over one store."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.store: Store = open_store(folder)
        self.terms = Terms(AT_ONCE, HOST, self.clock, lambda: 0.5)
        self.opened: list[Deliveries] = []

    def open(self, *endpoints: Endpoint, after: Deliveries | None = None) -> Deliveries:
        """Return deliveries to *endpoints*, begun."""
        destinations = [Destination(RECEIVER, endpoint) for endpoint in endpoints]
        deliveries = Deliveries(destinations, self.store, self.terms, after)
        deliveries.start()
        self.opened.append(deliveries)
        return deliveries

    def endpoint(self, name: str, *answers: Outcome | Callable[[Message], Outcome]) -> Endpoint:
        """Return an endpoint with this name."""
        return Endpoint(self.clock, *answers, name=name)

    def tell(self, *endpoints: Endpoint, rule: str = "crash", log: str = "unet") -> None:
        """Tell *endpoints* of an alert."""
        now = self.clock.now()
        run, alert = alert_of(rule, "first", log, now)
        told = [Told(endpoint.name, alert.id, "first", now) for endpoint in endpoints]
        self.store.save((), [run], [(run, alert)], told, now)

    def close(self) -> None:
        """End everything."""
        for deliveries in self.opened:
            deliveries.stop()
        assert all(deliveries.join(TIMEOUT, self.clock) for deliveries in self.opened)
        self.store.database.close()


class Hanging:
    """An answer that does not come before `released`; `reached` says that it is waited for."""

    def __init__(self, outcome: Outcome = SENT) -> None:
        self.outcome = outcome
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, _: Message) -> Outcome:
        self.reached.set()
        assert self.released.wait(TIMEOUT)
        return self.outcome


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """Return a hall that is closed in the end."""
    hall = Hall(tmp_path)
    yield hall
    hall.close()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """Return an answer that hangs until the end of the test at the latest."""
    hanging = Hanging()
    yield hanging
    hanging.released.set()


def test_a_hanging_destination_delays_no_other(hall: Hall, hanging: Hanging) -> None:
    """While a destination hangs, the others deliver."""
    slow, quick, other = hall.endpoint("slow", hanging), hall.endpoint("quick"), hall.endpoint("other")
    deliveries = hall.open(slow, quick, other)
    for n in range(3):
        hall.tell(slow, quick, other, log=f"run{n}")
        deliveries.wake()
        quick.wait_for(n + 1)
        other.wait_for(n + 1)
    assert hanging.reached.wait(TIMEOUT)
    assert slow.attempts == []
    hanging.released.set()
    slow.wait_for(1)


def test_wake(hall: Hall) -> None:
    """News goes out as soon as the couriers are woken, and not when they would have looked by themselves."""
    endpoint = hall.endpoint("phone")
    deliveries = hall.open(endpoint)
    began = time.monotonic()
    for n in range(5):
        hall.tell(endpoint, log=f"run{n}")
        deliveries.wake()
        endpoint.wait_for(n + 1)
    assert time.monotonic() - began < 10


def test_stop(hall: Hall) -> None:
    """Couriers that wait end at once."""
    deliveries = hall.open(*(hall.endpoint(f"d{n}") for n in range(5)))
    deliveries.stop()
    assert deliveries.join(TIMEOUT, hall.clock)


def test_stop_while_a_destination_hangs(hall: Hall, hanging: Hanging) -> None:
    """Nobody waits longer for a hanging destination than asked to, and it ends after its delivery."""
    endpoint = hall.endpoint("slow", hanging)
    hall.tell(endpoint, log="a")
    deliveries = hall.open(endpoint)
    assert hanging.reached.wait(TIMEOUT)
    hall.tell(endpoint, log="b")
    deliveries.stop()
    began = time.monotonic()
    assert not deliveries.join(0.1, hall.clock)
    assert time.monotonic() - began < TIMEOUT / 2
    hanging.released.set()
    assert deliveries.join(TIMEOUT, hall.clock)
    assert len(endpoint.attempts) == 1


def test_takeover(hall: Hall, hanging: Hanging) -> None:
    """At a reload, what the old courier is about to deliver is not delivered by the new one too."""
    old = hall.endpoint("phone", hanging)
    hall.tell(old, log="a")
    before = hall.open(old)
    assert hanging.reached.wait(TIMEOUT)
    before.stop()
    new, other = hall.endpoint("phone"), hall.endpoint("other")
    hall.tell(new, other, log="b")
    hall.open(new, other, after=before)
    other.wait_for(1)
    assert new.attempts == []
    hanging.released.set()
    new.wait_for(1)
    assert [attempt.message.news[0].alert.id for attempt in old.attempts + new.attempts] == ["crash@a", "crash@b"]


def test_takeover_twice(hall: Hall, hanging: Hanging) -> None:
    """Reloads in quick succession deliver nothing twice."""
    old = hall.endpoint("phone", hanging)
    hall.tell(old)
    first = hall.open(old)
    assert hanging.reached.wait(TIMEOUT)
    first.stop()
    between = hall.endpoint("phone")
    second = hall.open(between, after=first)
    second.stop()
    new, marker = hall.endpoint("phone"), hall.endpoint("marker")
    third = hall.open(new, marker, after=second)
    hanging.released.set()
    hall.tell(new, log="b")
    third.wake()
    new.wait_for(1)
    assert between.attempts == []
    assert [len(e.attempts) for e in (old, new)] == [1, 1]


def test_takeover_from_one_that_fails(hall: Hall) -> None:
    """What fails by the old settings after a reload does not keep the new ones from being tried at once."""
    hanging = Hanging(REJECTED)
    old = hall.endpoint("phone", hanging)
    hall.tell(old)
    before = hall.open(old)
    assert hanging.reached.wait(TIMEOUT)
    before.stop()
    hall.store.reset_destinations()
    new = hall.endpoint("phone")
    hall.open(new, after=before)
    hanging.released.set()
    new.wait_for(1)
    assert [attempt.message.key for attempt in old.attempts] == [attempt.message.key for attempt in new.attempts]


class _Broken(Courier):
    """A courier that cannot work at first."""

    failures: tuple[Exception, ...] = (sqlite3.OperationalError("disk I/O error"), ZeroDivisionError("a defect"))

    def work(self) -> float:
        if self.failures:
            error, *rest = self.failures
            self.failures = tuple(rest)
            raise error
        return super().work()


def test_a_courier_goes_on(hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Errors of the store and defects are reported, and the courier goes on."""
    monkeypatch.setattr("nanwatch.delivery.Courier", _Broken)
    monkeypatch.setattr("nanwatch.delivery._LONGEST_PAUSE_S", 0.01)
    endpoint = hall.endpoint("phone")
    hall.tell(endpoint)
    hall.open(endpoint)
    endpoint.wait_for(1)
    assert errors(caplog) == ["phone: the store cannot be used: disk I/O error", "phone: defect"]
