"""Redaction: what keeps secrets out of sight, and what must stay readable."""

from __future__ import annotations

import base64
import json
import logging
import sys
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nanwatch.redaction import _COMMON, RedactingFormatter, Redactor

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts?format=markdown&overflow=split"


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        (SLACK, ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "tiiajkdnlazkcoxridevi7fq"]),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk", ["A1BRTD4JD", "TIiajkdnlazk"]),
        ("tgram://123456789:AAabcdefgh_ij/12315544", ["AAabcdefgh_ij"]),
        ("discord://1234567890/abcDEF_123-xyz?avatar=no", ["abcDEF_123-xyz"]),
        ("ntfys://tk_abcdefg@ntfy.example.org/my-topic", ["tk_abcdefg", "my-topic"]),
        ("ntfy://host/topic1?token=tk_abcdefg", ["tk_abcdefg", "topic1"]),
        ("json://host/?+Authorization=Bearer%20abc123xyz", ["Bearer abc123xyz", "abc123xyz", "Bearer%20abc123xyz"]),
        ("json://host/hook/eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", ["eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"]),
        ("mailto://train:ab1c@mail.example.org", ["ab1c", "train:ab1c"]),
        ("mailto://train:8423@mail.example.org", ["8423"]),
        ("https://ops:p%40ss%2Fw%C3%A9rd@host:9093", ["p%40ss%2Fw%C3%A9rd", "p%40ss%2fw%c3%a9rd", "p@ss/wérd"]),
        ("json://me:p@ss@host", ["p@ss"]),
        ("https://token123@host/", ["token123"]),
        ("bare-token-123", ["bare-token-123"]),
        ("abcd", ["abcd"]),
    ],
)  # fmt: skip
def test_redacted(url: str, hidden: list[str]) -> None:
    """The URL as a whole, and each of its secrets, is replaced wherever and however it is written."""
    redact = Redactor([url])
    assert redact(f"GET {url} failed").count("***") >= 1
    for secret in [url, *hidden]:
        for text in (f"x: {secret}!", f"/{secret}/", f"'{secret}'"):
            assert secret not in redact(text)
            assert "***" in redact(text)


@pytest.mark.parametrize("password", ["ab1c", "hünter2", "p@ss:w/rd"])
def test_redacted_logins(password: str) -> None:
    """A login is replaced as HTTP and SMTP send it, too."""
    redact = Redactor([f"json://me:{quote(password, safe='')}@host"])
    for login in (f"me:{password}", f"\0me\0{password}", password):
        sent = base64.b64encode(login.encode()).decode()
        assert sent.rstrip("=") not in redact(f"Authorization: Basic {sent}")
    assert password not in redact(json.dumps({"password": password}))


@pytest.mark.parametrize(
    "url",
    [
        SLACK, "http://alerts.example.org:9093", "json://me:ab1c@gpu-a3:8080/hook", "ntfy://nanwatch", "mailto://a:b@localhost",
        "https://ops:password@alerts.example.org:9093/alertmanager", "json://127.0.0.1:8080/?priority=high&verify=no",
    ],
)  # fmt: skip
def test_readable(url: str) -> None:
    """Names of hosts and services, ports, schemes, settings and common words stay readable."""
    text = (
        "slack: 503 from http://alerts.example.org:9093, gpu-a3:8080, 127.0.0.1:8080, localhost, ntfy, alertmanager, "
        "markdown, split, high; nanwatch: the password of a hook is wrong, error 401, mailto, services, #alerts"
    )
    assert Redactor([url])(text) == text


def test_short_secrets_are_words() -> None:
    """A short password is replaced where it is a word of its own, not within others."""
    assert Redactor(["mailto://me:loss@host"])("loss=loss, losses, box_loss") == "***=***, losses, box_***"


def test_nothing_to_hide() -> None:
    """Without secrets every text stays as it is."""
    assert Redactor()("anything") == Redactor([""])("anything") == "anything"


@given(st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=8, max_size=30))
def test_any_password(password: str) -> None:
    """A password that is no common word is hidden, whatever it is made of: plain, percent-encoded, and as JSON."""
    assume(password.lower() not in _COMMON)
    redact = Redactor([f"json://me:{quote(password, safe='')}@example.org/hook"])
    for shown in (password, quote(password), quote(password, safe=""), json.dumps(password)[1:-1]):
        assert redact(f"[{shown}]") == "[***]"


def test_formatter() -> None:
    """A formatted log record holds no secret: not in its message, its arguments, or the text of its exception."""
    formatter = RedactingFormatter("%(levelname)s %(message)s", None, Redactor(["json://me:hunter22@host"]))
    assert isinstance(formatter, logging.Formatter)
    try:
        int("hunter22")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "tried %s", ("hunter22",), sys.exc_info())
    text = formatter.format(record)
    assert text.startswith("ERROR tried ***\nTraceback")
    assert text.endswith("ValueError: invalid literal for int() with base 10: '***'")
    assert "hunter22" not in text


def test_formatter_learns() -> None:
    """After a reload the formatter hides what is secret then."""
    formatter = RedactingFormatter("%(message)s")
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "new-token-1", (), None)
    assert formatter.format(record) == "new-token-1"
    formatter.redactor = Redactor(["new-token-1"])
    assert formatter.format(record) == "***"
