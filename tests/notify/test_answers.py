"""What answers mean: statuses, codes of mail servers, waits that are asked for, errors, and words of any kind."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.utils import formatdate

import pytest

from nanwatch.notify.answers import (
    causes,
    json_or,
    kind_of_reply,
    kind_of_status,
    meaning,
    one_line,
    retry_after,
    too_late,
)
from nanwatch.notify.base import Outcome
from tests.notify.making import NOON


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [((408, 425, 429, 500, 503, 599), "later"), ((400, 413, 422), "refused"), ((302, 401, 404, 409, 415), "rejected")],
)
def test_statuses(statuses: tuple[int, ...], kind: str) -> None:
    """A status says whether to come back, whether this message is at fault, or whether all of them are."""
    assert {kind_of_status(status) for status in statuses} == {kind}


def test_statuses_that_a_caller_knows_better() -> None:
    """What else means the same is the caller's to say."""
    assert kind_of_status(409, frozenset({409}), frozenset({415})) == "later"
    assert kind_of_status(415, frozenset({409}), frozenset({415})) == "refused"


@pytest.mark.parametrize(
    ("code", "command", "kind"),
    [
        (250, "data", None), (354, "data", None), (451, "rcpt", "later"), (421, "ehlo", "later"),
        (550, "rcpt", "rejected"), (535, "auth", "rejected"), (554, "data", "refused"), (552, "mail", "refused"),
        (502, "ehlo", None), (500, "quit", None),
    ],
)  # fmt: skip
def test_replies_of_a_mail_server(code: int, command: str, kind: str | None) -> None:
    """A reply means what its code says, after a mail's own content the mail is at fault, and a greeting may fail."""
    assert kind_of_reply(code, command) == kind


@pytest.mark.parametrize(
    ("header", "told", "seconds"),
    [
        ("17", (), 17.0), (" 2.5 ", (), 2.5), ("-5", (), 0.0), ("9" * 300, (), 86_400.0), ("nan", (), None),
        ("inf", (30,), 30.0), (None, (None, 0.75), 0.75), ("", ("soon",), None), ("soon", (), None),
        (formatdate(NOON + 40, usegmt=True), (), 40.0), (formatdate(NOON - 40, usegmt=True), (), 0.0),
        (formatdate(NOON + 1e6, usegmt=True), (), 86_400.0),
    ],
)  # fmt: skip
def test_waits(header: str | None, told: tuple[object, ...], seconds: float | None) -> None:
    """A wait is a number or a date, a day at most, and what is neither is none."""
    assert retry_after(header, NOON, *told) == seconds


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TimeoutError(), Outcome("later")),
        (ConnectionRefusedError(111, "Connection refused"), Outcome("later", "connection refused")),
        (socket.gaierror(-2, "Name or service not known"), Outcome("later", "name or service not known")),
        (ssl.SSLCertVerificationError(1, "x"), Outcome("later", "the server's certificate is not trusted")),
        (ConnectionResetError("x"), Outcome("later", "the connection was closed without an answer")),
        (smtplib.SMTPNotSupportedError("no\nSTARTTLS"), Outcome("rejected", "no STARTTLS")),
        (OSError("x"), None),
        (ValueError("x"), None),
    ],
)
def test_errors(error: Exception, outcome: Outcome | None) -> None:
    """An error of a connection may come right by itself; one of which nothing is known says nothing."""
    assert meaning(error) == outcome


def test_causes() -> None:
    """The innermost cause comes first, wherever an error keeps it, and a circle has an end."""
    inner, outer = OSError("inner"), ValueError("outer")
    middle = RuntimeError(inner)
    outer.__cause__, inner.__context__ = middle, outer
    assert list(causes(outer)) == [inner, middle, outer]


def test_json_or_something_else() -> None:
    """What is no JSON, or JSON without end, is told otherwise."""
    assert [json_or(text, "-") for text in ('{"a": 1}', "a", "[" * 100_000)] == [{"a": 1}, "-", "-"]


def test_words_are_one_line() -> None:
    """Escape sequences and controls are gone, white space is one space, and the end is cut off."""
    assert one_line("a\x1b[31m red\x1b]0;title\x07\r\n\tline\x00 ") == "a red line"
    assert one_line("z" * 900) == "z" * 200


def test_too_late() -> None:
    """No answer in time is told with the time."""
    assert too_late(0.5) == Outcome("later", "no answer within 0.5 s")
