"""Delivery to an Alertmanager: every alert that fires, as version 2 of its API takes it, again before it expires."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from threading import Timer
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from nanwatch.clock import Clock, SystemClock
from nanwatch.errors import UsageError
from nanwatch.model.news import Message
from nanwatch.notify.alertmanager_alerts import posted_alerts
from nanwatch.notify.answers import json_or, kind_of_status, one_line, retry_after, system_words, too_late
from nanwatch.notify.base import Outcome
from nanwatch.redaction import Redactor

_AT_ONCE = 256
_LONGEST_REPLY = 4096


class AlertmanagerNotifier:
    """Posts the state of all alerts to the Alertmanager at `url`, which groups, silences and sends them on.

    `url` may hold a path in front of the API, and user and password; it is never shown. `timeout` in seconds is for
    a message as a whole.

    Raises:
        UsageError: the address is not one of HTTP.
    """

    style: Literal["grouped", "single", "state"] = "state"
    refresh_s = 60.0

    def __init__(self, name: str, url: str, timeout: float, clock: Clock | None = None) -> None:
        self.name, self._timeout, self._clock = name, timeout, clock or SystemClock()
        parts = _split(url)
        host = parts.netloc.rpartition("@")[2]
        self._url = f"{parts.scheme}://{host}{quote(parts.path.rstrip('/'), safe='/%')}/api/v2/alerts"
        self._headers = {"Content-Type": "application/json", "User-Agent": "nanwatch"} | _login(parts)
        self._redact = Redactor([url])
        self._proxies: dict[str, str] | None = {} if _is_loopback(parts.hostname or "") else None

    def send(self, message: Message) -> Outcome:
        """Post all alerts of *message*; what is refused does not keep the rest from being posted."""
        end = time.monotonic() + self._timeout
        refused: Outcome | None = None
        for alerts in _portions(posted_alerts(message, max(message.created_at, self._clock.now()))):
            outcome = self._post(alerts, end - time.monotonic())
            if outcome.kind in ("later", "rejected"):
                return outcome
            if outcome.kind == "refused":
                refused = refused or outcome
        return refused or Outcome("sent")

    def _post(self, alerts: list[dict[str, Any]], seconds: float) -> Outcome:
        if seconds <= 0:
            return too_late(self._timeout)
        request = Request(self._url, json.dumps(alerts).encode(), self._headers)  # noqa: S310 - HTTP was checked
        sockets = _Sockets()
        guard = Timer(seconds, sockets.cut)
        guard.daemon = True
        guard.start()
        try:
            return self._exchange(request, sockets, seconds)
        except (OSError, HTTPException) as error:
            is_late = sockets.were_cut or _is_timeout(error)
            return too_late(self._timeout) if is_late else Outcome("later", _reason(error))
        except ValueError:  # only a name that no name server could know: its text might hold the address
            return Outcome("rejected", "the host's name cannot be looked up")
        finally:
            guard.cancel()

    def _exchange(self, request: Request, sockets: _Sockets, seconds: float) -> Outcome:
        over = _Https(sockets) if self._url.startswith("https:") else _Http(sockets)
        opener = build_opener(ProxyHandler(self._proxies), _Stay, over)
        try:
            with opener.open(request, timeout=seconds):
                pass
            if sockets.were_cut:  # headers that break off look like headers that end
                raise TimeoutError
            return Outcome("sent")
        except HTTPError as reply:
            with reply:
                return _refusal(reply, self._clock.now(), self._redact)


def _portions(alerts: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    return (alerts[i : i + _AT_ONCE] for i in range(0, len(alerts), _AT_ONCE))


# -- the address


def _split(url: str) -> SplitResult:
    """Return the parts of *url*; the error does not repeat it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not url.isprintable() or " " in url:
        raise UsageError("not the address of an Alertmanager, such as http://alerts.example.org:9093")
    return parts


def _login(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# -- the exchange


class _Stay(HTTPRedirectHandler):
    """Follows nobody elsewhere: neither the alerts nor the password are meant for another address."""

    def redirect_request(self, *_: Any) -> None:
        """Return that there is no other request."""


class _Sockets:
    """What one request goes over, to be cut when its time is up, however slowly the other side still talks."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self.were_cut = False

    def add(self, one: socket.socket) -> None:
        """Remember *one*: a connection forgets its own before the answer has been read."""
        self._open.append(one)
        if self.were_cut:
            self.cut()

    def cut(self) -> None:
        """End the exchange: who waits for it gets an error, or what has been said so far."""
        self.were_cut = True
        for one in self._open:
            with suppress(OSError):  # it has ended by itself
                one.shutdown(socket.SHUT_RDWR)


class _HttpConnection(HTTPConnection):
    """A connection that can be cut."""

    def __init__(self, host: str, sockets: _Sockets, **options: Any) -> None:
        super().__init__(host, **options)
        self._sockets = sockets

    def connect(self) -> None:
        """Connect to the server."""
        super().connect()
        self._sockets.add(self.sock)


class _HttpsConnection(HTTPSConnection):
    """A connection that can be cut."""

    def __init__(self, host: str, sockets: _Sockets, **options: Any) -> None:
        super().__init__(host, **options)
        self._sockets = sockets

    def connect(self) -> None:
        """Connect to the server, which must prove who it is."""
        super().connect()
        self._sockets.add(self.sock)


class _Http(HTTPHandler):
    """Opens connections that can be cut."""

    def __init__(self, sockets: _Sockets) -> None:
        super().__init__()
        self._sockets = sockets

    def http_open(self, req: Request) -> HTTPResponse:
        """Open an HTTP address."""
        return self.do_open(partial(_HttpConnection, sockets=self._sockets), req)


class _Https(HTTPSHandler):
    """Opens connections that can be cut, to servers that prove who they are."""

    def __init__(self, sockets: _Sockets) -> None:
        self._verifying = ssl.create_default_context()
        super().__init__(context=self._verifying)
        self._sockets = sockets

    def https_open(self, req: Request) -> HTTPResponse:
        """Open an HTTPS address."""
        return self.do_open(partial(_HttpsConnection, sockets=self._sockets), req, context=self._verifying)


# -- what became of it


def _refusal(reply: HTTPError, now: float, redact: Redactor) -> Outcome:
    """Return what an answer other than success means; its words may repeat what they were sent."""
    said = _said(redact(reply.read(_LONGEST_REPLY).decode("utf-8", "replace")))
    reason = one_line(redact(f"HTTP {reply.code} {reply.reason}")) + (f": {said}" if said else "")
    kind = kind_of_status(reply.code)
    asked = retry_after(reply.headers.get("Retry-After"), now) if kind == "later" else None
    return Outcome(kind, reason, asked)


def _said(text: str) -> str:
    """Return the server's own words: a JSON string, the message of a JSON object, or plain text."""
    told = json_or(text, re.sub(r"<[^<>]*>", " ", text))
    if isinstance(told, dict):
        told = told.get("message", told.get("error", ""))
    return one_line(told) if isinstance(told, str) else ""


def _is_timeout(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), TimeoutError)


def _reason(error: Exception) -> str:
    """Return in a line why there was no answer."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return one_line(f"its certificate is not trusted: {cause.verify_message}")
    if isinstance(cause, OSError) and cause.strerror:
        return system_words(cause)
    return one_line(f"no proper answer: {type(cause).__name__}")
