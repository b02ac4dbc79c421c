"""Delivery through Apprise: what really goes out, what the answers mean, and how long it may take."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from typing import Any

import pytest

from nanwatch.errors import UsageError
from nanwatch.model.news import Message, News
from nanwatch.notify.base import Outcome
from nanwatch.notify.via_apprise import AppriseNotifier, kind_of
from tests.notify.making import NOON, news
from tests.support.servers import Answer, MailServer, Request, WebServer, refusing_port, silent_port

TOKENS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TITLE = "CRIT 73 NaN losses, unet_iou_v3, epoch 4/50"
BODY = "73 NaN losses since batch 32\n  loss_nan  73\nHost   gpu-a3"
HOSTILE = "@everyone @here <!channel> <@U123> <b>x</b> <https://evil.example|click> [a](http://evil.example) ||s|| `c`"


def message(*told: News, title: str = TITLE, body: str = BODY, **changes: Any) -> Message:
    """Return a critical message that tells of *told*."""
    facts: dict[str, Any] = {
        "key": "k3y",
        "kind": "firing",
        "severity": "critical",
        "host": "gpu-a3",
        "created_at": NOON,
    }
    return Message(**(facts | changes), title=title, body=body, news=told)


def send(url: str, sent: Message | None = None, *, timeout: float = 10.0) -> Outcome:
    """Return what becomes of *sent* at *url*."""
    return AppriseNotifier(f"ops/{kind_of(url)}", url, timeout).send(sent or message())


def only(server: WebServer) -> Request:
    """Return the one request that came."""
    (request,) = server.requests
    return request


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proxies of the machine out of the way."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[WebServer]:
    """Return a server that takes everything."""
    with WebServer() as server:
        yield server


@pytest.fixture
def chats(monkeypatch: pytest.MonkeyPatch, server: WebServer) -> WebServer:
    """Return a server to which Slack, Discord and Telegram are directed."""
    from apprise.plugins.discord import NotifyDiscord
    from apprise.plugins.slack import NotifySlack
    from apprise.plugins.telegram import NotifyTelegram

    monkeypatch.setattr(NotifySlack, "webhook_url", f"{server.url}/services")
    monkeypatch.setattr(NotifySlack, "api_url", server.url + "/api/{}")
    monkeypatch.setattr(NotifyDiscord, "notify_url", f"{server.url}/webhooks")
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{server.url}/bot")
    server.answers = [Answer(body=b"ok")]
    return server


# -- what goes out


def test_slack(chats: WebServer) -> None:
    """Slack gets one request with title and body as plain text, and the colour of the severity."""
    assert send(f"slack://{TOKENS}") == Outcome("sent")
    request = only(chats)
    payload = request.json()
    assert request.path == f"/services/{TOKENS}"
    assert payload["mrkdwn"] is False
    assert (payload["attachments"][0]["title"], payload["attachments"][0]["text"]) == (TITLE, BODY)
    assert payload["attachments"][0]["color"] == "#A32037"
    assert "icon_url" not in payload


def test_slack_by_its_own_address(chats: WebServer) -> None:
    """The address that Slack shows may be used as it is."""
    url = f"https://hooks.slack.com/services/{TOKENS}"
    assert kind_of(url) == "slack"
    assert send(url) == Outcome("sent")
    assert only(chats).path == f"/services/{TOKENS}"


def test_discord(chats: WebServer) -> None:
    """Discord gets the title with its markup escaped, and the body as a block of code."""
    chats.answers = [Answer(204)]
    assert send("discord://1234567/abcdef") == Outcome("sent")
    payload = only(chats).json()
    assert payload["content"] == f"{TITLE.replace('_', chr(92) + '_')}\r\n```\n{BODY}\n```"
    assert payload["flags"] == 4


def test_telegram(chats: WebServer) -> None:
    """Telegram gets the title in bold and the body below it, without a preview of links."""
    assert send("tgram://123456789:abcdefg_hijklmnop/12315544/") == Outcome("sent")
    payload = only(chats).json()
    assert payload["text"].startswith(f"<b>{TITLE}</b>\r\n73 NaN losses")
    assert payload["disable_web_page_preview"] is True


@pytest.mark.parametrize(
    ("options", "changes", "priority"),
    [
        ("", {}, "max"),
        ("", {"severity": "warning"}, "high"),
        ("", {"severity": "info"}, "low"),
        ("", {"kind": "resolved"}, "low"),
        ("", {"kind": "test", "severity": "info"}, None),
        ("&priority=min", {}, "min"),
    ],
)
def test_ntfy(server: WebServer, options: str, changes: dict[str, Any], priority: str | None) -> None:
    """ntfy gets topic, title and message, and a priority from the severity unless the URL sets one."""
    assert send(f"ntfy://{server.address}/topic?token=tk_secret12{options}", message(**changes)) == Outcome("sent")
    request = only(server)
    assert request.json() == {"topic": "topic", "title": TITLE, "message": BODY}
    assert request.headers["Authorization"] == "Bearer tk_secret12"
    assert request.headers["X-Priority"] == priority


def test_json(server: WebServer) -> None:
    """A JSON webhook gets the type, a login, and the message's key for telling repetitions."""
    assert send(f"json://me:pass@{server.address}/hook?+X-Own=1") == Outcome("sent")
    request = only(server)
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.json() | {"attachments": []} == {
        "version": "1.0", "title": TITLE, "message": BODY, "attachments": [], "type": "failure",
    }  # fmt: skip
    assert request.headers["Idempotency-Key"] == "k3y"
    assert request.headers["X-Own"] == "1"
    assert request.headers["Authorization"] == "Basic bWU6cGFzcw=="


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "failure"),
        ({"severity": "warning"}, "warning"),
        ({"severity": "info"}, "info"),
        ({"kind": "resolved"}, "success"),
    ],
)
def test_type(server: WebServer, changes: dict[str, Any], kind: str) -> None:
    """The severity, or that all of it is over, becomes Apprise's type."""
    send(f"json://{server.address}", message(**changes))
    assert only(server).json()["type"] == kind


def test_mail() -> None:
    """A mail is plain text with the title as its subject; mails about one alert refer to one thread."""
    fired, over = news(), news(state="resolved", reasons=("resolved",))
    with MailServer() as server:
        url = f"mailto://me:pass@{server.address}?from=nanwatch@example.org&to=ops@example.org"
        assert send(url, message(fired)) == send(url, message(over, key="other", kind="resolved")) == Outcome("sent")
    first, second = (mail.message() for mail in server.mails)
    assert (first["Subject"], first["To"], first["X-Nanwatch-Key"]) == (TITLE, "ops@example.org", "k3y")
    assert first.get_content_type() == "text/plain"
    assert first.get_content().splitlines() == BODY.splitlines()
    assert first["References"] == second["References"] != ""
    assert first["Message-ID"] != second["Message-ID"]
    assert server.logins == [("me", "pass"), ("me", "pass")]


@pytest.mark.parametrize(
    "options", ["", "?format=markdown", "?format=html", "?emojis=yes", "?format=markdown&emojis=yes"]
)
@pytest.mark.parametrize(
    "url", [f"slack://{TOKENS}", "discord://1234567/abcdef", "tgram://123456789:abcdefg_hijkl/123/"]
)
def test_hostile_words(chats: WebServer, url: str, options: str) -> None:
    """What a log says mentions nobody, links nowhere and formats nothing in a chat, whatever the URL's options are."""
    send(url + options, message(title=f"CRIT {HOSTILE}", body=HOSTILE))
    payload = only(chats).json()
    text = str(payload)
    assert not any(live in text for live in ("@everyone", "@here", "<!channel", "<@U", "<b>x", "<https", "<a "))
    assert "embeds" not in payload
    assert "allow_mentions" not in payload
    assert payload.get("content", "").count("`") in (0, 6)


@pytest.mark.parametrize(
    ("url", "most"),
    [(f"slack://{TOKENS}", 35_000), ("discord://1234567/abcdef", 2000), ("tgram://123456789:abcdefg_hijkl/1/", 4096)],
)
def test_long(chats: WebServer, url: str, most: int) -> None:
    """A message longer than a chat takes loses its last lines, says so, and still is one request."""
    body = "\n".join(f"line {n} of <{n}> & more" for n in range(3000))
    assert send(url, message(body=body)).kind == "sent"
    payload = only(chats).json()
    text = payload.get("text") or payload.get("content") or payload["attachments"][0]["text"]
    assert most * 0.9 < len(text) <= most
    assert "… and 2" in text
    assert "more lines" in text


@pytest.mark.parametrize("body", ["\n".join("x" * 40 for _ in range(200)), "\n".join(["é" * 40] * 200), "漢" * 9000])
def test_long_for_a_lock_screen(server: WebServer, body: str) -> None:
    """ntfy gets no more than stays a message there, in bytes and as JSON; one endless line is cut within."""
    assert send(f"ntfy://{server.address}/topic", message(body=body)) == Outcome("sent")
    request = only(server)
    assert "…" in request.json()["message"]
    assert len(request.json()["message"].encode()) <= 4096
    assert 3500 < len(request.body) <= 8000


# -- what became of it


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "sent"), (204, "sent"),
        (301, "rejected"), (401, "rejected"), (403, "rejected"), (404, "rejected"), (410, "rejected"),
        (400, "refused"), (413, "refused"), (415, "refused"), (422, "refused"),
        (408, "later"), (429, "later"), (500, "later"), (502, "later"), (503, "later"),
    ],
)  # fmt: skip
def test_status(server: WebServer, status: int, kind: str) -> None:
    """An HTTP status tells what became of a message, after one request."""
    server.answers = [Answer(status, {"Location": f"{server.url}/elsewhere"} if status == 301 else {})]
    outcome = send(f"json://{server.address}")
    assert outcome.kind == kind
    assert outcome.reason.startswith("" if kind == "sent" else f"{status} from the server")
    assert only(server).method == "POST"


def test_redirects_are_not_followed(server: WebServer) -> None:
    """Neither the words nor the password go to another address than the one that was given."""
    server.answers = [Answer(302, {"Location": f"{server.url}/elsewhere"}), Answer()]
    assert send(f"json://me:pass@{server.address}").reason == "302 from the server: it has moved to another address"
    assert only(server).path == "/"


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(429, {"Retry-After": "17"}), 17.0),
        (Answer(503, {"Retry-After": "2.5"}), 2.5),
        (Answer(429, {"Retry-After": formatdate(time.time() - 60, usegmt=True)}), 0.0),
        (Answer(429, {"Retry-After": "9" * 300}), 86_400.0),
        (Answer(429, {"Retry-After": "soon"}), None),
        (Answer(429, {}, b'{"message": "slow down", "retry_after": 0.75}'), 0.75),
        (Answer(429, {}, b'{"description": "slow down", "parameters": {"retry_after": 30}}'), 30.0),
        (Answer(429), None),
    ],
)
def test_retry_after(server: WebServer, answer: Answer, seconds: float | None) -> None:
    """The time for which a server asks is passed on, however it says it."""
    server.answers = [answer]
    outcome = send(f"json://{server.address}")
    assert (outcome.kind, outcome.retry_after) == ("later", seconds)
    assert len(server.requests) == 1


def test_retry_after_a_date(server: WebServer) -> None:
    """The time for which a server asks may be a date."""
    server.answers = [Answer(429, {"Retry-After": formatdate(time.time() + 120, usegmt=True)})]
    asked = send(f"json://{server.address}").retry_after
    assert asked is not None
    assert 100 < asked <= 120


@pytest.mark.parametrize(
    "answer", [Answer(429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"}), Answer(500)]
)
def test_nothing_is_hammered(chats: WebServer, answer: Answer) -> None:
    """A service that says "later" gets no second request and is not waited for, whatever its plugin or its URL want."""
    chats.answers = [answer]
    notifier = AppriseNotifier("ops/discord", "discord://1234567/abcdef?retry=5&wait=5", 5.0)
    start = time.monotonic()
    assert (notifier.send(message()).kind, notifier.send(message()).kind) == ("later", "later")
    assert len(chats.requests) == 2
    assert time.monotonic() - start < 3


def test_optional_is_no_excuse(server: WebServer) -> None:
    """`optional=yes` does not make a failure a success."""
    server.answers = [Answer(500)]
    assert send(f"json://{server.address}?optional=yes").kind == "later"


def test_words_of_the_server(server: WebServer) -> None:
    """What the server says is wrong is part of the reason, as one line; a page for a browser is not."""
    server.answers = [
        Answer(403, body=b'{"code": 40301, "error": "forbidden\\n\\u001b[31m for you"}'),
        Answer(403, body=b"<html><body>Forbidden</body></html>"),
    ]
    assert send(f"ntfy://{server.address}/topic").reason == "403 from the server: forbidden for you"
    assert send(f"ntfy://{server.address}/topic").reason == "403 from the server"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"ok": false, "error": "invalid_auth"}', "rejected"),
        (b'{"ok": false, "error": "internal_error"}', "later"),
        (b"<html>Log in to the hotel</html>", "later"),
    ],
)
def test_success_that_is_none(chats: WebServer, body: bytes, kind: str) -> None:
    """A service may refuse with the status 200: then its words decide."""
    chats.answers = [Answer(body=body)]
    outcome = send("slack://xoxb-1234-1234-abc124/#alerts")
    assert outcome.kind == kind
    assert outcome.reason.startswith("200 from the server")


def test_nobody_answers_the_door() -> None:
    """A port where nobody listens may be served later."""
    with refusing_port() as port:
        assert send(f"json://127.0.0.1:{port}") == Outcome("later", "connection refused")
        assert send(f"mailto://me:pass@127.0.0.1:{port}?from=a@example.org") == Outcome("later", "connection refused")


def test_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no name server knows may be known later."""
    import socket

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert send("json://alerts.invalid") == Outcome("later", "name or service not known")


def test_untrusted_certificate() -> None:
    """A certificate that nobody vouches for may be mended later; it is not accepted unless the URL says so."""
    with WebServer(tls=True) as server:
        assert send(f"jsons://{server.address}") == Outcome("later", "the server's certificate is not trusted")
        assert server.requests == []
        assert send(f"jsons://{server.address}?verify=no") == Outcome("sent")


def test_no_tls_at_all(server: WebServer) -> None:
    """A server that speaks no TLS may learn it."""
    outcome = send(f"jsons://{server.address}")
    assert outcome.kind == "later"
    assert outcome.reason.startswith("no secure connection: ")


def test_closed_without_an_answer(server: WebServer) -> None:
    """A connection that ends without an answer leaves open what became of the message: it is sent again."""
    server.answers = [Answer(close=True)]
    assert send(f"json://{server.address}") == Outcome("later", "the connection was closed without an answer")


@pytest.mark.parametrize("scheme", ["json", "jsons", "mailto", "mailtos"])
def test_silence(scheme: str) -> None:
    """A server that accepts and never says a word holds nobody up longer than the timeout."""
    with silent_port() as port:
        start = time.monotonic()
        outcome = send(f"{scheme}://me:pass@127.0.0.1:{port}?from=a@example.org", timeout=0.5)
        assert outcome == Outcome("later", "no answer within 0.5 s")
        assert time.monotonic() - start < 3


def test_endless_answer(server: WebServer) -> None:
    """A server that talks on and on is left to itself when the time is up; the next message starts afresh."""
    server.answers = [Answer(drip=True), Answer()]
    notifier = AppriseNotifier("ops/json", f"json://{server.address}?cto=60&rto=60", 0.5)
    start = time.monotonic()
    assert notifier.send(message()) == Outcome("later", "no answer within 0.5 s")
    assert time.monotonic() - start < 3
    assert notifier.send(message()) == Outcome("sent")


def test_many_endless_answers(server: WebServer) -> None:
    """No more than three messages hang at once: then it says so at once."""
    server.answers = [Answer(drip=True)]
    notifier = AppriseNotifier("ops/json", f"json://{server.address}", 0.2)
    reasons = [notifier.send(message()).reason for _ in range(4)]
    assert reasons == ["no answer within 0.2 s"] * 3 + ["3 earlier messages still wait for an answer"]
    server.release()


@pytest.mark.parametrize(
    ("replies", "kind", "code"),
    [
        ({"at_auth": "535 5.7.8 bad login"}, "rejected", "535"),
        ({"at_auth": "454 4.7.0 not now"}, "later", "454"),
        ({"at_mail": "530 5.7.0 log in first"}, "rejected", "530"),
        ({"at_mail": "550 5.1.0 no such sender"}, "rejected", "550"),
        ({"at_rcpt": "550 5.1.1 no such user"}, "rejected", "550"),
        ({"at_rcpt": "451 4.7.1 greylisted"}, "later", "451"),
        ({"at_data": "554 5.6.0 looks like spam"}, "refused", "554"),
        ({"at_data": "552 5.3.4 too big"}, "refused", "552"),
        ({"at_data": "452 4.2.2 disk full"}, "later", "452"),
    ],
)
def test_mail_replies(replies: dict[str, str], kind: str, code: str) -> None:
    """A mail server's reply, and what it replies to, tells what became of a mail."""
    with MailServer(**replies) as server:  # type: ignore[arg-type]
        outcome = send(f"mailto://me:pass@{server.address}?from=a@example.org&to=b@example.org")
    assert outcome.kind == kind
    assert outcome.reason.startswith(f"{code} from the mail server: ")
    assert server.mails == []


def test_mail_without_the_encryption_it_wants() -> None:
    """A mail is not sent in the open where the URL wants it encrypted."""
    with MailServer() as server:
        url = f"mailtos://me:pass@{server.address}?from=a@example.org&mode=starttls"
        assert send(url) == Outcome("rejected", "STARTTLS extension not supported by server.")
    with MailServer(tls=True) as server:
        url = f"mailtos://me:pass@{server.address}?from=a@example.org&mode=starttls"
        assert send(url) == Outcome("later", "the server's certificate is not trusted")
        assert server.logins == []


def test_header_that_is_none() -> None:
    """What can never be sent stays wrong until somebody mends it."""
    outcome = send("json://127.0.0.1/?+X-Own=a%0Ab")
    assert outcome == Outcome("rejected", "its address or its headers are none that can be sent")


@pytest.mark.parametrize("length", range(90, 125))
def test_secret_at_the_end_of_a_quotation(server: WebServer, length: int) -> None:
    """Where the server's words are cut, no half of a secret is left."""
    server.answers = [Answer(403, body=b"x" * length + b" s3cr3t-path")]
    assert "s3c" not in send(f"json://{server.address}/s3cr3t-path").reason


# -- the URL, and the rest of the process


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ntfys://h/t", "ntfy"), ("mailtos://h", "mailto"), ("JSONS://h", "json"), ("slack://a/b/c", "slack"),
        ("sns://a", "sns"), ("tgram://a/b", "tgram"), ("https://discord.com/api/webhooks/1/2", "discord"),
        ("https://example.org/x", "http"), ("xoxb-no-scheme", "unknown"), ("", "unknown"),
    ],
)  # fmt: skip
def test_kind(url: str, kind: str) -> None:
    """A service is shown by its scheme, which is the same with TLS."""
    assert kind_of(url) == kind


def test_kinds_of_all_services() -> None:
    """Every scheme that Apprise knows is either shown as it is, or as the one without TLS."""
    from apprise.manager_plugins import NotificationManager

    AppriseNotifier("warm-up", "json://localhost", 1.0)
    manager: Any = NotificationManager
    known = set(manager().schemas())
    wrong = {scheme for scheme in known if kind_of(f"{scheme}://x") not in known and scheme not in ("http", "https")}
    assert wrong == set()


@pytest.mark.parametrize(
    "url",
    [
        "slack://wrong-token-here",
        "nonsense://abc123secret",
        "abc123secret",
        "json://",
        "mailto://abc123secret",
        "ntfy://host:99999/abc123secret",
    ],
)
def test_broken_url(url: str) -> None:
    """A URL that Apprise cannot read is an error of the config, which names the kind of service and nothing else."""
    with pytest.raises(UsageError) as caught:
        AppriseNotifier("ops/x", url, 1.0)
    assert str(caught.value) in {
        f"{kind_of(url)}: Apprise cannot read this URL",
        f"{kind_of(url)}: this URL names nobody to send to",
    }
    assert caught.value.__cause__ is None


def test_others_are_not_heard(server: WebServer) -> None:
    """Requests and mails that others in this process send go their usual way."""
    import smtplib

    import requests

    send(f"json://{server.address}")
    server.answers = [Answer(500)]
    assert requests.get(server.url, timeout=5).status_code == 500
    with MailServer() as mail, closing(smtplib.SMTP("127.0.0.1", mail.port, timeout=5)) as client:
        assert client.noop()[0] == 250


def test_nothing_is_logged(
    server: WebServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither a success nor a failure writes to a log or a screen."""
    caplog.set_level(logging.DEBUG)
    server.answers = [Answer(), Answer(500)]
    assert [send(f"json://me:pass@{server.address}/hook").kind for _ in range(2)] == ["sent", "later"]
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_import_is_lazy() -> None:
    """Apprise is loaded when a notifier is made, not before."""
    code = (
        "import sys; from nanwatch.notify.via_apprise import kind_of; kind_of('slack://a/b/c');"
        "sys.exit('apprise' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
