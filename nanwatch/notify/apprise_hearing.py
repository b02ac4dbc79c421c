"""What passes through requests, smtplib and Apprise's log while a message is sent, told to the attempt to send it."""

from __future__ import annotations

import logging
import smtplib
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any

from nanwatch.notify.answers import json_or, retry_after
from nanwatch.notify.apprise_attempt import QUOTED, Attempt, Stop

_READ = 4096

_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""The attempt of the thread that runs; without one, everything goes its usual way."""


def hear(attempt: Attempt) -> None:
    """Tell *attempt* from now on what this thread hears."""
    _current.set(attempt)


@cache
def listen() -> None:
    """Hear what passes through requests, smtplib and Apprise's log while there is an attempt."""
    import requests

    sessions: Any = requests.Session
    sessions.send = _hearing_http(sessions.send)
    sessions.prepare_request = _hearing("prepare_request", sessions.prepare_request)
    for name in ("connect", "starttls", "login", "sendmail", "putcmd", "getreply"):
        setattr(smtplib.SMTP, name, _hearing(name, getattr(smtplib.SMTP, name)))
    logging.getLogger("apprise").addFilter(_overhear)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its records hold addresses, which hold tokens


def _overhear(record: logging.LogRecord) -> bool:
    """Keep what Apprise says for the attempt, and from everybody else: it may hold secrets."""
    attempt = _current.get()
    if attempt is not None and record.levelno >= logging.WARNING:
        attempt.complained(record.getMessage())
    return False


def _hearing_http(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def heard(session: Any, request: Any, **options: Any) -> Any:
        attempt = _current.get()
        if attempt is None:
            return send(session, request, **options)
        options["timeout"] = _within(options.get("timeout"), _allowed(attempt))
        try:
            response = send(session, request, **options)
        except Exception as error:
            attempt.failed(error)
            raise
        told = {} if options.get("stream") else _told(response.content[:_READ])
        attempt.answered(response.status_code, _quote(told), _retry_after(response.headers, told))
        return response

    return heard


def _allowed(attempt: Attempt) -> float:
    """Return the seconds left, or raise what every plugin expects of a request that cannot be made."""
    from requests import ConnectionError as NotConnected

    try:
        return attempt.seconds_left()
    except Stop as stop:
        raise NotConnected from stop


def _within(timeout: object, seconds: float) -> object:
    """Return *timeout*, as requests takes it, but no longer than *seconds*."""
    if isinstance(timeout, tuple):
        return tuple(_within(part, seconds) for part in timeout)
    return min(timeout, seconds) if isinstance(timeout, int | float) else seconds


def _hearing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def heard(client: Any, *arguments: Any, **options: Any) -> Any:
        attempt = _current.get()
        if attempt is None:
            return call(client, *arguments, **options)
        if name == "putcmd":
            attempt.commanded(str(arguments[0]) if arguments else "")
        try:
            result = call(client, *arguments, **options)
        except Exception as error:
            attempt.failed(error)
            raise
        if name == "getreply":
            attempt.replied(result[0], bytes(result[1]).decode("utf-8", "replace"))
        return result

    return heard


def _told(content: bytes) -> dict[str, Any]:
    """Return the object that a server answers; its plain words as the `message` of one."""
    text = content.decode("utf-8", "replace")
    told = json_or(text, "" if "<" in text[:QUOTED] else text)  # not a page for a browser
    return told if isinstance(told, dict) else {"message": told} if isinstance(told, str) else {}


def _quote(told: dict[str, Any]) -> str:
    """Return what the server says is wrong."""
    for name in ("description", "error", "message", "detail"):
        said = told.get(name)
        said = said.get("message") if isinstance(said, dict) else said
        if isinstance(said, str) and said.strip():
            return said
    return ""


def _retry_after(headers: Any, told: dict[str, Any]) -> float | None:
    """Return the seconds that a server asks for in its header or in its answer."""
    parameters = told.get("parameters")
    inner = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return retry_after(headers.get("Retry-After"), time.time(), told.get("retry_after"), inner)
