"""Faults of destinations, in figures: how often a dead one is tried, how few messages follow, and that none is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from nanwatch.config import Receiver
from nanwatch.model.news import Message
from nanwatch.notify.base import Outcome
from nanwatch.notify.via_apprise import AppriseNotifier
from tests.support.endpoints import DOWN, REFUSED, REJECTED, SENT, Answer, Desk
from tests.support.servers import Answer as Reply
from tests.support.servers import WebServer, refusing_port

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ALERTS = 200
PHONE = Receiver("phone")
"""As it is where the config says nothing else: 30 messages an hour."""

Report = Callable[[str, "Fault"], None]
HEAD = ("fault", "alerts", "for", "attempts", "messages after", "all told after", "log lines")


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[object, ...]]]:
    """Return the rows of a table, which is printed in the end."""
    rows: list[tuple[object, ...]] = []
    yield rows
    table = [tuple(map(str, row)) for row in [HEAD, *rows]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print()
    for row in table:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Fault:
    """A destination that fails while alerts fire, and then works again. `seconds` is how long it fails."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        self.desk = Desk(folder, *answers, receiver=PHONE)
        self.ids: list[str] = []
        self.seconds, self.attempts = 0.0, 0

    def last(self, seconds: float = DAY, alerts: int = ALERTS) -> None:
        """Let it last for *seconds*, while *alerts* fire at even distances."""
        for n in range(alerts):
            self.fire(("critical", "warning", "info")[n % 3])
            self.desk.work(seconds * (n + 1) / alerts - self.desk.passed)
        self.end()

    def fire(self, severity: str = "critical") -> None:
        """Let another alert fire, in a run of its own."""
        n = len(self.ids)
        self.ids.append(self.desk.tell(f"rule{n % 7}", log=f"run{n}", severity=severity))

    def end(self) -> None:
        """Take note of how long it has lasted, and how many attempts were made."""
        self.seconds, self.attempts = self.desk.passed, len(self.desk.endpoint.attempts)

    def recover(self) -> None:
        """Let the destination take everything for half a day."""
        self.desk.endpoint.answer(SENT)
        self.desk.work(DAY / 2)

    @property
    def messages(self) -> int:
        """How many messages it took."""
        return len(self.desk.endpoint.taken)

    @property
    def delay(self) -> float:
        """Seconds from its recovery until all was told."""
        return self.desk.times[-1] - self.seconds

    @property
    def gaps(self) -> list[float]:
        """The seconds between attempts while it failed."""
        times = self.desk.times[: self.attempts]
        return [after - before for before, after in pairwise(times)]

    def is_told_once(self) -> bool:
        """Tell whether each alert was told, and only once."""
        return sorted(self.desk.endpoint.news) == sorted((alert, "first") for alert in self.ids)


@pytest.fixture
def report(rows: list[tuple[object, ...]], caplog: pytest.LogCaptureFixture) -> Callable[[str, Fault], None]:
    """Return what takes note of a fault's figures."""

    def add(name: str, fault: Fault) -> None:
        lines = sum(record.levelno >= logging.WARNING for record in caplog.records)
        told_after = f"{fault.delay / MINUTE:.1f} min" if fault.delay > 0 else "at once"
        period = f"{fault.seconds / HOUR:.0f} h" if fault.seconds >= HOUR else f"{fault.seconds:.0f} s"
        rows.append((name, len(fault.ids), period, fault.attempts, fault.messages, told_after, lines))

    return add


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said to a person."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- faults that are played


def test_down_for_a_day(tmp_path: Path, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A day's outage costs some hundred attempts and one line in the log; then few messages tell every alert once."""
    fault = Fault(tmp_path, DOWN)
    fault.last()
    fault.recover()
    report("down", fault)
    assert fault.attempts <= 120
    assert fault.messages <= 6
    assert fault.is_told_once()
    assert fault.delay <= 20 * MINUTE
    assert len(warnings(caplog)) == 1


def test_down_now_and_then(tmp_path: Path, report: Report) -> None:
    """A destination that takes only every third message is told everything once, in order."""
    fault = Fault(tmp_path, *[DOWN, DOWN, SENT] * 2000)
    fault.last()
    fault.recover()
    report("down two times of three", fault)
    assert fault.is_told_once()
    assert fault.attempts <= 3 * ALERTS + 3
    assert fault.delay <= MINUTE


def test_hanging_for_a_day(tmp_path: Path, report: Report) -> None:
    """A destination that lets each attempt run into its time limit is tried no more often than a dead one."""

    def hang(_: Message) -> Outcome:
        fault.desk.clock.advance(30)
        return Outcome("later", "no answer within 30 s")

    fault = Fault(tmp_path, hang)
    fault.last()
    fault.recover()
    report("hangs, 30 s each", fault)
    assert fault.attempts <= 120
    assert fault.is_told_once()


def test_rejected_for_a_day(tmp_path: Path, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A token that is not accepted is tried ten times a day at most, and reported once; nothing is lost."""
    fault = Fault(tmp_path, REJECTED)
    fault.last()
    fault.desk.store.reset_destinations()  # as at a reload, once the token is mended
    fault.recover()
    report("token rejected", fault)
    assert fault.attempts <= 10
    assert fault.messages <= 6
    assert fault.is_told_once()
    assert len(warnings(caplog)) == 1


def test_one_message_is_refused(tmp_path: Path, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A message that is refused for good is given up within ten minutes, and everything else is told."""

    def refuse_the_first(message: Message) -> Outcome:
        return REFUSED if any(news.alert.id == "rule0@run0" for news in message.news) else SENT

    fault = Fault(tmp_path, refuse_the_first)
    fault.last()
    fault.recover()
    fault.ids.remove("rule0@run0")
    report("one message refused", fault)
    assert fault.is_told_once()
    assert fault.desk.times[2] < 10 * MINUTE
    assert [line for line in warnings(caplog) if "gave up" in line] == warnings(caplog)[1:]


def test_killed_after_every_message(tmp_path: Path, report: Report) -> None:
    """A daemon that is killed after each sending, before that is written, repeats each message once by its key."""
    fault = Fault(tmp_path)
    desk = fault.desk
    for _ in range(20):
        fault.fire()
        desk.endpoint.answer(KeyboardInterrupt(), SENT)
        with pytest.raises(KeyboardInterrupt):
            desk.work(HOUR)
        desk.restart()
        desk.work(HOUR)
    fault.end()
    report("killed after each sending", fault)
    keys = [attempt.message.key for attempt in desk.endpoint.attempts]
    assert keys[::2] == keys[1::2]
    assert len(set(keys)) == 20
    assert fault.is_told_once()


# -- real servers, simulated time


def apprise(address: str, timeout: float = 10.0) -> AppriseNotifier:
    """Return a notifier that posts JSON to *address* (`json://host:port`), with a secret in its URL."""
    return AppriseNotifier("phone/json", f"{address}/s3cr3t-t0k3n/", timeout)


def reasons(fault: Fault) -> set[str]:
    """Return why it was not delivered, in words."""
    return {a.outcome.reason for a in fault.desk.endpoint.attempts if a.outcome and a.outcome.kind != "sent"}


def test_nobody_listens(tmp_path: Path, report: Report) -> None:
    """A port that refuses connections for a day is tried some hundred times, and few messages follow."""
    with refusing_port() as port:
        fault = Fault(tmp_path, apprise(f"json://127.0.0.1:{port}").send)
        fault.last()
    fault.recover()
    report("connection refused (real)", fault)
    assert reasons(fault) == {"connection refused"}
    assert fault.attempts <= 120
    assert fault.messages <= 6
    assert fault.is_told_once()


def test_always_500(tmp_path: Path, report: Report) -> None:
    """A server that answers 500 for a day gets some hundred requests, all with the key of the first message."""
    with WebServer(Reply(500)) as server:
        fault = Fault(tmp_path, apprise(f"json://{server.address}").send)
        fault.last()
        requests = list(server.requests)
    fault.recover()
    report("HTTP 500 (real)", fault)
    assert len(requests) == fault.attempts <= 120
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert fault.messages <= 6
    assert fault.is_told_once()


def test_429_with_retry_after(tmp_path: Path, report: Report) -> None:
    """A server that asks for two minutes is never asked sooner."""
    with WebServer(Reply(429, {"Retry-After": "120"})) as server:
        fault = Fault(tmp_path, apprise(f"json://{server.address}").send)
        fault.last(HOUR, 30)
    fault.recover()
    report("HTTP 429, Retry-After 120 (real)", fault)
    assert min(fault.gaps) == pytest.approx(120)
    assert fault.attempts <= 12
    assert fault.messages <= 6
    assert fault.is_told_once()


def test_401(tmp_path: Path, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A server that answers 401 for a day gets ten requests at most, and no line of the log holds the address."""
    with WebServer(Reply(401)) as server:
        fault = Fault(tmp_path, apprise(f"json://{server.address}").send)
        fault.last()
        assert len(server.requests) == fault.attempts <= 10
    fault.desk.store.reset_destinations()
    fault.recover()
    report("HTTP 401 (real)", fault)
    (line,) = warnings(caplog)
    assert "not let in" in line
    assert "s3cr3t" not in caplog.text
    assert fault.is_told_once()


def test_it_refuses_tls(tmp_path: Path, report: Report, caplog: pytest.LogCaptureFixture) -> None:
    """A server whose certificate nobody trusts gets no message; that is said, tried on, and nothing is lost."""
    with WebServer(tls=True) as server:
        fault = Fault(tmp_path, apprise(f"jsons://{server.address}").send)
        fault.last(DAY / 8, 50)
        assert server.requests == []
    fault.recover()
    report("untrusted certificate (real)", fault)
    assert reasons(fault) == {"the server's certificate is not trusted"}
    assert fault.attempts <= 25
    assert fault.is_told_once()
    assert "s3cr3t" not in caplog.text


def test_it_never_answers(tmp_path: Path, report: Report) -> None:
    """A server that never answers holds each attempt for its time limit and no longer."""
    with WebServer(Reply(hang=True)) as server:
        fault = Fault(tmp_path, apprise(f"json://{server.address}", 1.0).send)
        began = time.monotonic()
        fault.last(12.0, 1)
        took = time.monotonic() - began
        assert len(server.requests) == fault.attempts
    fault.recover()
    report("never answers, limit 1 s (real)", fault)
    assert fault.attempts == 2
    assert reasons(fault) == {"no answer within 1 s"}
    assert 2.0 <= took <= 5.0
    assert fault.is_told_once()
