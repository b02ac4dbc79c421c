"""Delivery to an Alertmanager: every alert that fires, as version 2 of its API takes it, again before it expires."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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
from nanwatch.model.alert import SEVERITIES
from nanwatch.model.news import AlertFacts, Message, News
from nanwatch.notify.base import Outcome
from nanwatch.notify.via_command import one_line
from nanwatch.secret import Redactor

_LIFE = 15 * 60.0
"""Seconds that an alert is told to last: it ends by itself when nobody says any more that it fires."""
_BRIEF = 2 * 60.0
"""Seconds that an alert still lasts that has ended before anybody was told: people hear of it all the same."""
_AT_ONCE = 256
_LONGEST_REPLY = 4096
_LONGEST = 1000
_LATER = frozenset({408, 425, 429})
_REFUSED = frozenset({400, 413, 422})


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
        for alerts in _portions(_alerts(message, max(message.created_at, self._clock.now()))):
            outcome = self._post(alerts, end - time.monotonic())
            if outcome.kind in ("later", "rejected"):
                return outcome
            if outcome.kind == "refused":
                refused = refused or outcome
        return refused or Outcome("sent")

    def _post(self, alerts: list[dict[str, Any]], seconds: float) -> Outcome:
        too_late = Outcome("later", f"no answer within {self._timeout:g} s")
        if seconds <= 0:
            return too_late
        request = Request(self._url, json.dumps(alerts).encode(), self._headers)  # noqa: S310 - HTTP was checked
        sockets = _Sockets()
        guard = Timer(seconds, sockets.cut)
        guard.daemon = True
        guard.start()
        try:
            return self._exchange(request, sockets, seconds)
        except (OSError, HTTPException) as error:
            return too_late if sockets.were_cut or _is_timeout(error) else Outcome("later", _reason(error))
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


# -- alerts as the API takes them


@dataclass(frozen=True, slots=True)
class _Posted:
    """An alert as it is posted; two with the same labels are one alert for an Alertmanager."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts: float
    ends: float

    def as_json(self) -> dict[str, Any]:
        """Return the object that the API takes."""
        return {
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": _iso(self.starts),
            "endsAt": _iso(self.ends),
        }


def _alerts(message: Message, now: float) -> list[dict[str, Any]]:
    """Return each set of labels once: where one alert has ended and another one has not, it has not."""
    if message.kind == "test":
        return [_test(message, now).as_json()]
    by_labels: dict[tuple[str, ...], _Posted] = {}
    for news in message.news:
        for posted in _posted(news, message.host, now):
            labels = tuple(posted.labels.values())
            by_labels[labels] = max(by_labels.get(labels, posted), posted, key=lambda p: (p.ends, p.starts))
    return [posted.as_json() for posted in by_labels.values()]


def _test(message: Message, now: float) -> _Posted:
    labels = {"alertname": "NanwatchTest", "severity": message.severity, "host": message.host}
    return _Posted(labels, {"summary": message.title, "description": message.body}, now, now + _BRIEF)


def _posted(news: News, host: str, now: float) -> Iterator[_Posted]:
    alert = news.alert
    starts = _moment(alert.started_at, _moment(alert.noticed_at, now, now), now)
    labels, annotations = _labels(news, host), _annotations(news)
    yield _Posted(labels, annotations, starts, max(starts, _ends(news, now)))
    if "escalated" in news.reasons and (former := _former_severity(alert)):
        yield _Posted(labels | {"severity": former}, annotations, starts, max(starts, now))


def _ends(news: News, now: float) -> float:
    if not news.is_over:
        return now + _LIFE
    if "first" in news.reasons:
        return now + _BRIEF
    return _moment(news.alert.resolved_at, now, now)


def _moment(at: float | None, otherwise: float, now: float) -> float:
    """Return *at*, or *otherwise* where it is not known or not a time before *now*: clocks of logs may be wrong."""
    return at if at is not None and 0 <= at <= now else otherwise


def _former_severity(alert: AlertFacts) -> str | None:
    """Return the severity that the alert had until it escalated: a label that changes makes another alert."""
    lower = SEVERITIES[: SEVERITIES.index(alert.severity)]
    return alert.told if alert.told in lower else next(reversed(lower), None)


def _labels(news: News, host: str) -> dict[str, str]:
    """Return what tells one alert from another and stays the same for all of its life."""
    return {
        "alertname": _camel_case(news.alert.rule),
        "rule": _inert(news.alert.rule),
        "severity": news.alert.severity,
        "run": _inert(news.run.id),
        "log": _inert(news.run.log),
        "host": _inert(host),
        "tags": ",".join(map(_inert, news.alert.tags)),
    }


def _annotations(news: News) -> dict[str, str]:
    alert = news.alert
    facts = {
        "id": alert.id,
        "log_line": alert.line,
        "log_offset": alert.offset,
        "epoch": alert.epoch,
        "batch": alert.batch,
        "last_clean_epoch": news.run.last_clean_epoch,
    }
    told = {"summary": _inert(alert.message), "description": _description(news)}
    return told | {name: _inert(str(value)) for name, value in facts.items() if value is not None}


def _description(news: News) -> str:
    alert, run = news.alert, news.run
    evidence = ", ".join(f"{name} {_number(value)}" for name, value in alert.evidence.items() if value is not None)
    lines = [
        ", ".join(f"{what} {n}" for what, n in (("epoch", alert.epoch), ("batch", alert.batch)) if n is not None),
        f"evidence: {evidence}" if evidence else "",
        "" if run.last_clean_epoch is None else f"last clean epoch: {run.last_clean_epoch}",
    ]
    return "\n".join(_inert(line) for line in lines if line)


def _number(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _camel_case(rule: str) -> str:
    return "Nanwatch" + "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", rule))


def _inert(text: str) -> str:
    """Return *text* without control characters and halves of characters, as long as anybody needs it."""
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


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
    if reply.code in _LATER or reply.code >= 500:
        return Outcome("later", reason, _retry_after(reply.headers.get("Retry-After"), now))
    return Outcome("refused" if reply.code in _REFUSED else "rejected", reason)


def _said(text: str) -> str:
    """Return the server's own words: a JSON string, the message of a JSON object, or plain text."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = re.sub(r"<[^<>]*>", " ", text)
    if isinstance(told, dict):
        told = told.get("message", told.get("error", ""))
    return one_line(told) if isinstance(told, str) else ""


def _retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, which may be a number or a date."""
    header = (header or "").strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _is_timeout(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), TimeoutError)


def _reason(error: Exception) -> str:
    """Return in a line why there was no answer."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return one_line(f"its certificate is not trusted: {cause.verify_message}")
    if isinstance(cause, OSError) and cause.strerror:
        return one_line(cause.strerror.lower())
    return one_line(f"no proper answer: {type(cause).__name__}")
