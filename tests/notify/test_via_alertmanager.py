"""Delivery to an Alertmanager: what is posted, what its answers mean, and that no password is ever told."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from nanwatch.clock import ManualClock
from nanwatch.errors import UsageError
from nanwatch.model.news import Message, News
from nanwatch.notify.via_alertmanager import AlertmanagerNotifier
from tests.notify.making import NOON, news
from tests.support.servers import Answer, WebServer, certificate_file, refusing_port

CLOCK = ManualClock(NOON + 10)
LABELS = {
    "alertname": "NanwatchNanBurst",
    "rule": "nan_burst",
    "severity": "critical",
    "run": "/data/unet-iou-v3.log",
    "log": "/data/unet-iou-v3.log",
    "host": "gpu-a3",
    "tags": "",
}


@pytest.fixture
def server() -> Iterator[WebServer]:
    """Return a server that takes every alert."""
    with WebServer() as server:
        yield server


def notifier(url: str, *, timeout: float = 10.0) -> AlertmanagerNotifier:
    """Return a notifier for *url* to whom it is ten seconds past noon."""
    return AlertmanagerNotifier("ops/alertmanager", url, timeout, CLOCK)


def message(*told: News, created_at: float = NOON + 10) -> Message:
    """Return the message that tells of *told*."""
    return Message("k", "firing", "critical", "CRIT", "", "gpu-a3", created_at, told)


def posted(server: WebServer, *told: News, created_at: float = NOON + 10) -> list[dict[str, Any]]:
    """Return the alerts that are posted for *told*."""
    assert notifier(server.url).send(message(*told, created_at=created_at)).kind == "sent"
    return [alert for request in server.requests for alert in request.json()]


def times(alert: dict[str, Any]) -> tuple[float, float]:
    """Return when *alert* starts and ends, in seconds from noon."""
    start, end = (datetime.fromisoformat(alert[name]).timestamp() - NOON for name in ("startsAt", "endsAt"))
    return start, end


def test_an_alert_that_fires_lasts_for_fifteen_minutes(server: WebServer) -> None:
    """It has all its labels, began when the alert did, and ends by itself if it is not posted again."""
    (alert,) = posted(server, news())
    assert alert["labels"] == LABELS
    assert times(alert) == (0.0, 10.0 + 900.0)
    assert server.requests[0].path == "/api/v2/alerts"


def test_annotations_tell_where_it_is(server: WebServer) -> None:
    """They are texts; what is not known is left out."""
    (alert,) = posted(server, news(evidence={"nans": 3, "share": 0.0556, "loss": float("nan"), "none": None}))
    assert alert["annotations"] == {
        "summary": "nan_burst says so",
        "description": "epoch 4, batch 32\nevidence: nans 3, share 0.0556, loss nan\nlast clean epoch: 3",
        "id": "0a1b2c3d4e5f",
        "log_line": "1203",
        "log_offset": "8812345",
        "epoch": "4",
        "batch": "32",
        "last_clean_epoch": "3",
    }
    (bare,) = posted(server, news(epoch=None, batch=None, offset=None, line=None, run={"last_clean_epoch": None}))[1:]
    assert set(bare["annotations"]) == {"summary", "description", "id"}


def test_tags_are_one_label(server: WebServer) -> None:
    """They stand in it with commas between them."""
    (alert,) = posted(server, news(tags=("prod", "vision")))
    assert alert["labels"]["tags"] == "prod,vision"


@pytest.mark.parametrize(("rule", "name"), [("oom", "NanwatchOom"), ("low-IoU.v2", "NanwatchLowIoUV2")])
def test_the_name_is_the_rules_in_camel_case(server: WebServer, rule: str, name: str) -> None:
    """Names of users' own rules are no exception."""
    (alert,) = posted(server, news(rule))
    assert (alert["labels"]["alertname"], alert["labels"]["rule"]) == (name, rule)


def test_an_alert_that_is_over_ends_when_it_did(server: WebServer) -> None:
    """It ends when it was resolved, or now where that is not known."""
    over = posted(
        server,
        news(log="a", state="resolved", resolved_at=NOON + 4, reasons=("resolved",)),
        news(log="b", state="resolved", reasons=("resolved",)),
    )
    assert [times(alert) for alert in over] == [(0.0, 4.0), (0.0, 10.0)]


def test_an_alert_that_nobody_heard_of_before_it_ended_is_still_told(server: WebServer) -> None:
    """It fires for two minutes more."""
    (alert,) = posted(server, news(state="resolved", resolved_at=NOON + 4, reasons=("first", "resolved")))
    assert times(alert) == (0.0, 10.0 + 120.0)


@pytest.mark.parametrize("started_at", [NOON + 3600, float("nan"), float("inf"), -5.0, None])
def test_a_time_that_cannot_be_is_replaced(server: WebServer, started_at: float | None) -> None:
    """Where the log's clock is wrong the alert began when it was noticed; it never ends before it begins."""
    alerts = posted(
        server,
        news(log="a", started_at=started_at),
        news(log="b", started_at=started_at, state="resolved", resolved_at=NOON - 60, reasons=("resolved",)),
    )
    assert [times(alert) for alert in alerts] == [(0.0, 910.0), (0.0, 0.0)]


def test_an_old_message_does_not_end_what_fires(server: WebServer) -> None:
    """An alert lasts from when it is posted, not from when the message was made."""
    (alert,) = posted(server, news(started_at=NOON - 7200), created_at=NOON - 3600)
    assert times(alert) == (-7200.0, 910.0)


@pytest.mark.parametrize(("told", "former"), [("warning", "warning"), ("info", "info"), (None, "warning")])
def test_an_escalation_ends_the_alert_of_the_former_severity(server: WebServer, told: str | None, former: str) -> None:
    """A label that changes makes another alert, so the one that people know is ended."""
    now, before = posted(server, news("grad_skip", told=told, reasons=("escalated",)))
    assert (now["labels"]["severity"], times(now)[1]) == ("critical", 910.0)
    assert before["labels"] == now["labels"] | {"severity": former}
    assert times(before)[1] == 10.0


def test_the_same_labels_are_posted_once(server: WebServer) -> None:
    """Two epochs' alerts of one rule are one alert there: the end of one does not end the other."""
    (alert,) = posted(
        server,
        news("nan_loss", id="1", epoch=3, state="resolved", resolved_at=NOON + 4, reasons=("resolved",)),
        news("nan_loss", id="2", epoch=4),
        news("nan_loss", id="3", epoch=5, state="resolved", resolved_at=NOON + 9, reasons=("first", "resolved")),
    )
    assert (alert["annotations"]["epoch"], times(alert)[1]) == ("4", 910.0)


def test_hostile_text_is_inert(server: WebServer) -> None:
    """Neither control characters nor halves of characters are posted."""
    (alert,) = posted(server, news(log="/x/\x1b[31m\udcff\n.log", message="a\x00\x07b\u202e", evidence={"x": "\r\n"}))
    texts = [*alert["labels"].values(), *alert["annotations"].values()]
    assert all(text.replace("\n", "").isprintable() for text in texts)
    assert "\n" not in alert["annotations"]["summary"]


def test_nothing_to_tell_is_no_request(server: WebServer) -> None:
    """A message without news is sent at once."""
    assert posted(server) == []
    assert server.requests == []


def test_many_alerts_are_posted_in_portions(server: WebServer) -> None:
    """At most 256 go into a request, and none is lost."""
    alerts = posted(server, *(news(log=f"run-{n}") for n in range(600)))
    assert {alert["labels"]["run"] for alert in alerts} == {f"run-{n}" for n in range(600)}
    assert [len(request.json()) for request in server.requests] == [256, 256, 88]


@pytest.mark.parametrize(
    ("path", "asked"), [("/", "/api"), ("/am", "/am/api"), ("/a b/", None), ("/ä/", "/%C3%A4/api")]
)
def test_the_address_may_have_a_path(server: WebServer, path: str, asked: str | None) -> None:
    """With or without a slash at its end; with a space it is no address."""
    if asked is None:
        with pytest.raises(UsageError):
            notifier(server.url + path)
        return
    assert notifier(server.url + path).send(message(news())).kind == "sent"
    assert server.requests[0].path == f"{asked}/v2/alerts"


def test_user_and_password_go_into_the_header(server: WebServer) -> None:
    """They are decoded from the address and are not part of what is asked for."""
    with_login = server.url.replace("://", "://me:s%40cret%2F@")
    assert notifier(with_login).send(message(news())).kind == "sent"
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"me:s@cret/").decode()
    assert "@" not in request.headers["Host"]


@pytest.mark.parametrize(
    "url", ["", "alerts:9093", "ftp://me:s3cretly@x", "http://", "http://me:s3cretly@x:port", "http://[me:s3cretly", "http://x\n"]
)  # fmt: skip
def test_what_is_no_address_is_said_without_repeating_it(url: str) -> None:
    """The error says what is expected, and holds nothing of what was given."""
    with pytest.raises(UsageError) as caught:
        notifier(url)
    assert "s3cretly" not in str(caught.value)
    assert "not the address of an Alertmanager" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "sent"), (400, "refused"), (413, "refused"), (422, "refused"), (401, "rejected"), (403, "rejected"),
     (404, "rejected"), (405, "rejected"), (302, "rejected"), (307, "rejected"), (429, "later"), (408, "later"),
     (500, "later"), (502, "later"), (503, "later")],
)  # fmt: skip
def test_the_answer_says_what_became_of_it(server: WebServer, status: int, kind: str) -> None:
    """Redirections are not followed: the password is not meant for another address."""
    server.answers = [Answer(status, {"Location": f"{server.url}/elsewhere"})]
    outcome = notifier(server.url).send(message(news()))
    assert outcome.kind == kind
    assert (str(status) in outcome.reason) is (kind != "sent")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'"start time must be\\n before end time"', ": start time must be before end time"),
        (b'{"code": 400, "message": "no\\u001b[31mpe"}', ": nope"),
        (b"<html><title>Bad</title>\r\nplease</html>", ": Bad please"),
        (b"z" * 9000, ": " + "z" * 200),
        (b'{"message": 3}', ""),
        (b"[" * 4000, ": " + "[" * 200),
        (b"", ""),
    ],
)
def test_a_refusal_repeats_the_servers_words(server: WebServer, body: bytes, said: str) -> None:
    """They are cut and made inert."""
    server.answers = [Answer(400, body=body)]
    assert notifier(server.url).send(message(news())).reason == f"HTTP 400 Bad Request{said}"


def test_a_refused_portion_does_not_keep_the_others_back(server: WebServer) -> None:
    """All portions are posted; the message counts as refused."""
    server.answers = [Answer(400)]
    assert notifier(server.url).send(message(*(news(log=f"run-{n}") for n in range(300)))).kind == "refused"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        (format_datetime(datetime.fromtimestamp(NOON + 40, UTC), usegmt=True), 30.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_busy_server_says_when_to_come_back(server: WebServer, header: str, seconds: float | None) -> None:
    """In seconds or as a date."""
    server.answers = [Answer(429, {"Retry-After": header})]
    assert notifier(server.url).send(message(news())).retry_after == seconds


def test_nobody_there_is_tried_again() -> None:
    """A refused connection is no reason to give up, and its reason names no password."""
    with refusing_port() as port:
        outcome = notifier(f"http://me:s3cretly@127.0.0.1:{port}").send(message(news()))
    assert (outcome.kind, outcome.reason) == ("later", "connection refused")


def test_a_name_that_cannot_be_is_rejected() -> None:
    """No name server will ever know it."""
    assert notifier(f"http://{'x' * 70}.invalid").send(message(news())).kind == "rejected"


@pytest.mark.parametrize(
    ("head", "drip", "kind"),
    [(b"", b"", "later"), (b"", b"H", "later"), (b"HTTP/1.1 400 Bad\r\nContent-Length: 9999\r\n\r\n", b"x", "refused")],
)  # fmt: skip
def test_a_slow_server_is_not_waited_for(head: bytes, drip: bytes, kind: str) -> None:
    """Neither one that is silent nor one that speaks a letter at a time; what it has said by then counts."""
    stop = threading.Event()

    def speak(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.sendall(head)
            while not stop.wait(0.05):
                connection.sendall(drip)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=speak, args=(server,))
        thread.start()
        started = time.monotonic()
        outcome = notifier(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.4).send(message(news()))
        stop.set()
        thread.join()
    assert outcome.kind == kind
    assert kind == "refused" or outcome.reason == "no answer within 0.4 s"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 999999\r\n\r\n"])
def test_who_does_not_speak_http_is_tried_again(answer: bytes) -> None:
    """Something else may listen there for a while."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=speak)
        thread.start()
        outcome = notifier(f"http://127.0.0.1:{server.getsockname()[1]}").send(message(news()))
        thread.join()
    assert outcome.kind == "later"
    assert outcome.reason


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is posted and the reason says why, until the system is told to trust it."""
    with WebServer(tls=True) as server:
        outcome = notifier(server.url).send(message(news()))
        assert outcome.kind == "later"
        assert outcome.reason.startswith("its certificate is not trusted: ")
        assert server.requests == []
        with certificate_file() as trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            assert notifier(server.url).send(message(news())).kind == "sent"


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_drips_headers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    """Over HTTPS too."""
    with WebServer(Answer(drip=True), tls=tls) as server, certificate_file() as trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        outcome = notifier(server.url, timeout=0.4).send(message(news()))
    assert (outcome.kind, outcome.reason) == ("later", "no answer within 0.4 s")


def test_this_machine_is_asked_without_a_proxy(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is for others; for those it is used."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with refusing_port() as port:
        assert notifier(f"http://127.0.0.1:{port}").send(message(news())).kind == "later"
    assert server.requests == []
    assert notifier("http://alerts.example.org").send(message(news())).kind == "sent"
    assert server.requests[0].path == "http://alerts.example.org/api/v2/alerts"


def test_a_test_message_is_an_alert_of_its_own(server: WebServer) -> None:
    """It ends by itself after two minutes."""
    test = Message("k", "test", "info", "a test", "the body", "gpu-a3", NOON + 10)
    assert notifier(server.url).send(test).kind == "sent"
    (alert,) = server.requests[0].json()
    assert alert["labels"] == {"alertname": "NanwatchTest", "severity": "info", "host": "gpu-a3"}
    assert alert["annotations"] == {"summary": "a test", "description": "the body"}
    assert times(alert) == (10.0, 10.0 + 120.0)
