"""What the other side's answer means as an outcome: an HTTP status, a mail server's code, an error, and its words."""

from __future__ import annotations

import json
import math
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator, Set
from email.utils import parsedate_to_datetime
from typing import Any

from nanwatch.notify.base import Kind, Outcome

_LATER = frozenset({408, 425, 429})
_REFUSED = frozenset({400, 413, 422})
_OF_THE_CONNECTION = frozenset({"ehlo", "rset", "quit"})
_OF_THE_MAIL = "data"
_TOO_BIG = 552
_LONGEST_WAIT = 86_400.0
_LONGEST_LINE = 200
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


def kind_of_status(status: int, also_later: Set[int] = frozenset(), also_refused: Set[int] = frozenset()) -> Kind:
    """Return what an HTTP *status* other than success means; what else means the same is the caller's to say."""
    if status >= 500 or status in _LATER or status in also_later:
        return "later"
    return "refused" if status in _REFUSED or status in also_refused else "rejected"


def kind_of_reply(code: int, command: str) -> Kind | None:
    """Return what a mail server's *code* after *command* means; None: nothing went wrong that matters."""
    if 400 <= code < 500:
        return "later"
    if code < 500 or command in _OF_THE_CONNECTION:
        return None
    return "refused" if code == _TOO_BIG or command == _OF_THE_MAIL else "rejected"


def retry_after(header: str | None, now: float, *told: object) -> float | None:
    """Return the seconds, a day at most, that a Retry-After *header* asks for, as a number or a date.

    *told* are other places where the answer may have a number.
    """
    header = (header or "").strip()
    for asked in (header, *told):
        try:
            seconds = float(str(asked))
        except ValueError:
            continue
        if math.isfinite(seconds):
            return _granted(seconds)
    try:
        return _granted(parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def too_late(timeout: float) -> Outcome:
    """Return that no answer came within *timeout* seconds."""
    return Outcome("later", f"no answer within {timeout:g} s")


def json_or(text: str, otherwise: str) -> Any:
    """Return the JSON that *text* is, or *otherwise* where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def one_line(text: str) -> str:
    """Return the start of *text* as one line, 200 characters without escape sequences and controls."""
    text = "".join(c if c.isprintable() else " " for c in _ESCAPE.sub("", text))
    return " ".join(text.split())[:_LONGEST_LINE]


def system_words(error: OSError) -> str:
    """Return in a line what the system says is wrong."""
    return one_line(str(error.strerror)).lower()


def meaning(error: BaseException) -> Outcome | None:
    """Return what a single error of a connection means; without a reason: that the time was up; None: nothing known."""
    if isinstance(error, TimeoutError):
        return Outcome("later")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Outcome("later", "the server's certificate is not trusted")
    if isinstance(error, ssl.SSLError):
        words = one_line(error.reason or "refused").lower().replace("_", " ")
        return Outcome("later", f"no secure connection: {words}")
    if isinstance(error, smtplib.SMTPNotSupportedError) or type(error) is smtplib.SMTPException:
        return Outcome("rejected", one_line(str(error)))  # no login, or no encryption, that both sides know
    if isinstance(error, socket.gaierror) or (isinstance(error, OSError) and error.errno and error.strerror):
        return Outcome("later", system_words(error))
    if isinstance(error, ConnectionError | smtplib.SMTPServerDisconnected):
        return Outcome("later", "the connection was closed without an answer")
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and all that led to it, the innermost first."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if not any(cause is other for other in seen):
            seen.append(cause)
            inner = [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
            waiting += [other for other in inner if isinstance(other, BaseException)]
    yield from reversed(seen)


def _granted(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_WAIT)
