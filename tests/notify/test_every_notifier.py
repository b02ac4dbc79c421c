"""What holds for every notifier: whatever goes wrong, nobody sees a secret, and nothing is raised or printed."""

from __future__ import annotations

import base64
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from nanwatch.errors import UsageError
from nanwatch.model.news import Message
from nanwatch.notify.base import Notifier
from nanwatch.notify.via_alertmanager import AlertmanagerNotifier
from nanwatch.notify.via_apprise import AppriseNotifier
from nanwatch.notify.via_command import CommandNotifier
from nanwatch.redaction import RedactingFormatter, Redactor
from tests.notify.making import NOON, news
from tests.support.servers import Answer, MailServer, WebServer, refusing_port

Place = tuple[str, str]
"""A URL with a gap for an address, and the address."""
SENT = Message("k3y", "firing", "critical", "CRIT 73 NaN losses", "73 NaN losses", "gpu-a3", NOON, (news(),))
PART = 7
"""Characters of a secret in a row that are already too many."""
HOOK = """
import os, sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], os.environ["HOOK_TOKEN"].encode(), timeout=5).close()
except OSError as error:
    sys.exit(f"cannot post: {error}")
"""


@dataclass(frozen=True)
class Kind:
    """A kind of notifier: its URL, with and without TLS, at an address; its secrets; and URLs of it that are broken."""

    name: str
    plain: str
    tls: str
    secrets: tuple[str, ...]
    broken: tuple[str, ...] = ()
    make: Callable[[str, str, float], Notifier] = AppriseNotifier
    has_mail: bool = False


def command(name: str, url: str, timeout: float) -> Notifier:
    """Return a notifier that runs a program; it posts to *url* with a token of its environment."""
    return CommandNotifier(name, (sys.executable, "-c", HOOK, url), timeout)


SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TOKEN = "tk_AgQdq7mVBoFD37zQ"
KINDS = [
    Kind(
        "slack", SLACK, SLACK, ("T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"),
        (f"{SLACK}-$$$", "slack://T1JJ3T3L2/A1BRTD4JD", f"slck://{SLACK[8:]}", SLACK[8:]),
    ),
    Kind(
        "ntfy", f"ntfy://{{address}}/topic?token={TOKEN}", f"ntfys://{{address}}/topic?token={TOKEN}", (TOKEN,),
        (f"://h/t?token={TOKEN}", f"nfty://h/t?token={TOKEN}", f"ntfy://h/t?token={TOKEN}&mode=x"),
    ),
    Kind(
        "json", "json://hooker:p4ss@{address}/hook/s3cr3t-path", "jsons://hooker:p4ss@{address}/hook/s3cr3t-path",
        ("p4ss", "s3cr3t-path"), ("json://hooker:p4ss@/s3cr3t-path", "jsn://hooker:p4ss@h/s3cr3t-path"),
    ),
    Kind(
        "mailto", "mailto://hooker:p4ss@{address}?from=a@example.org&to=b@example.org",
        "mailtos://hooker:p4ss@{address}?from=a@example.org&to=b@example.org&mode=starttls", ("p4ss",),
        ("mailto://hooker:p4ss@", "mailto://hooker:p4ss@host?mode=wrong"), has_mail=True,
    ),
    Kind(
        "alertmanager", "http://hooker:p4ss@{address}", "https://hooker:p4ss@{address}", ("p4ss",),
        ("https://hooker:p4ss@", "ftp://hooker:p4ss@host", "http://hooker:p4ss@host:port/"), AlertmanagerNotifier,
    ),
    Kind("command", "http://{address}/hook", "https://{address}/hook", (TOKEN,), make=command),
]  # fmt: skip


@contextmanager
def refused_connection(kind: Kind) -> Iterator[Place]:
    """A port that refuses connections."""
    with refusing_port() as port:
        yield kind.plain, f"127.0.0.1:{port}"


@contextmanager
def wrong_login(kind: Kind) -> Iterator[Place]:
    """A server that lets nobody in, and repeats what it was told."""
    with _server(kind, 401, f"535 5.7.8 not with {' '.join(kind.secrets)}") as server:
        yield kind.plain, server.address


@contextmanager
def server_error(kind: Kind) -> Iterator[Place]:
    """A server that is broken, and repeats what it was told."""
    with _server(kind, 500, f"451 4.3.0 broken by {' '.join(kind.secrets)}") as server:
        yield kind.plain, server.address


@contextmanager
def untrusted_certificate(kind: Kind) -> Iterator[Place]:
    """A server whose certificate nobody vouches for."""
    with MailServer(tls=True) if kind.has_mail else WebServer(tls=True) as server:
        yield kind.tls, server.address


def _server(kind: Kind, status: int, reply: str) -> MailServer | WebServer:
    if kind.has_mail:
        return MailServer(at_auth=reply) if status == 401 else MailServer(at_data=reply)
    spoken = " ".join([*kind.secrets, *_encoded(kind)])
    return WebServer(Answer(status, {"WWW-Authenticate": "Basic"}, json.dumps({"error": f"not {spoken}"}).encode()))


TROUBLES = [refused_connection, wrong_login, server_error, untrusted_certificate]


def _encoded(kind: Kind) -> list[str]:
    """Return the login of *kind*, if it has one, as it is sent."""
    logins = ("hooker:p4ss", "\0hooker\0p4ss", "p4ss") if "p4ss" in kind.secrets else ()
    return [base64.b64encode(login.encode()).decode().rstrip("=") for login in logins]


def _assert_hidden(kind: Kind, where: str, text: str) -> None:
    """Fail where *text* holds a secret of *kind*, or a part of it."""
    for secret in [*kind.secrets, *_encoded(kind)]:
        parts = {secret[i : i + PART] for i in range(max(1, len(secret) - PART + 1))}
        assert not [part for part in parts if part in text], where


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return a list that gets the text of every record that any logger hands to any handler."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    def note(_: logging.Logger, record: logging.LogRecord) -> None:
        texts.append(f"{record.name} {record.getMessage()} {record.args}")

    monkeypatch.setattr(logging.Logger, "callHandlers", note)
    return texts


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proxies of the machine out of the way, and give the program its token."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HOOK_TOKEN", TOKEN)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_secrets_stay_secret(
    kind: Kind,
    trouble: Callable[[Kind], AbstractContextManager[Place]],
    records: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After any failure no part of a secret is in the reason, in a log record, on the screen, or in a repr."""
    with trouble(kind) as (url, address):
        _direct_slack(monkeypatch, f"{'https' if trouble is untrusted_certificate else 'http'}://{address}")
        notifier = kind.make(f"ops/{kind.name}", url.format(address=address), 10.0)
        outcome = notifier.send(SENT)
    assert outcome.kind != "sent"
    assert outcome.reason
    assert "\n" not in outcome.reason
    for where, text in {
        "reason": outcome.reason,
        "repr": repr(notifier) + repr(outcome) + notifier.name,
        "logs": "\n".join(records),
        "screen": "".join(capfd.readouterr()),
    }.items():
        _assert_hidden(kind, where, text)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_secrets_stay_out_of_tracebacks(kind: Kind) -> None:
    """A traceback that quotes the URL, or what is sent, holds no secret once it is formatted for a log."""
    url = kind.plain.format(address="127.0.0.1:8080")
    known = [TOKEN] if kind.make is command else [url]
    formatter = RedactingFormatter("%(message)s", None, Redactor(known))
    try:
        int(f"{url} {kind.secrets} {_encoded(kind)}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "cannot post to %s", (url,), sys.exc_info())
    text = formatter.format(record)
    assert "Traceback" in text
    _assert_hidden(kind, "traceback", text)


@pytest.mark.parametrize(
    ("kind", "url"),
    [(kind, url) for kind in KINDS for url in kind.broken],
    ids=lambda value: getattr(value, "name", ""),
)
def test_broken_urls_keep_secrets(kind: Kind, url: str, records: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """The error of a config with a broken URL tells no part of its secrets, and nothing else does."""
    with pytest.raises(UsageError) as caught:
        kind.make(f"ops/{kind.name}", url, 10.0)
    assert caught.value.__cause__ is None
    for text in (str(caught.value), repr(caught.value), "\n".join(records), "".join(capfd.readouterr())):
        _assert_hidden(kind, "error", text)


def _direct_slack(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let Slack be at *url*: its own URL holds no address."""
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", url)
