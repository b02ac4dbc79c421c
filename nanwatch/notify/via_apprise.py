"""Delivery through Apprise: one message through one URL, within a time limit, and what the other side says to it."""

from __future__ import annotations

import json
import logging
import math
import re
import smtplib
import socket
import ssl
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from functools import cache, wraps
from hashlib import blake2b
from threading import Thread
from typing import Any, Literal

from nanwatch.errors import UsageError
from nanwatch.model.news import Message
from nanwatch.notify.base import Outcome
from nanwatch.notify.via_command import one_line
from nanwatch.secret import Redactor

_SCHEME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+.-]{0,31})://")
_ENDS_IN_S = frozenset({
    "46elks", "aprs", "bulksms", "bulkvs", "burstsms", "d7sms", "dbus", "elks", "httpsms", "kumulos", "pushplus",
    "serwersms", "ses", "sns", "sogs", "strmlabs", "victorops", "voipms", "windows", "wxteams", "xmatters",
})  # fmt: skip
"""Services whose name ends so: with all others it means the same over TLS."""
_OWN_ADDRESSES = {
    "hooks.slack.com": "slack", "discord.com": "discord", "discordapp.com": "discord", "ntfy.sh": "ntfy",
}  # fmt: skip
_LIVE = re.compile(r"[@<](?=[^\s\u2060])")
"""What begins a mention or a tag, unless a word joiner has ended it already."""
_MARKUP = re.compile(r"([\\*_~|\[\]#])")
_NTFY_BYTES = 3600
"""Above 4096, and above 8000 as JSON, a message to ntfy becomes a file that nobody sees on a lock screen."""
_TITLE_TAGS = 24
_NO_PREVIEW = 4
_THREADS = 10
_MOST_HANGING = 3
_LONGEST_WAIT = 86_400.0
_READ = 4096
_QUOTED = 120

_PRIORITIES = {"critical": "max", "warning": "high", "info": "low"}
_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}
_REFUSED = frozenset({400, 413, 414, 415, 422, 431})
_LATER = frozenset({408, 409, 421, 423, 425, 429})
_LOCKED_OUT = re.compile(
    r"(?i)invalid_auth|not_authed|account_inactive|token_(?:revoked|expired)|missing_scope|no_permission|"
    r"channel_not_found|not_in_channel|is_archived|chat not found|bot was (?:blocked|kicked)|user is deactivated"
)
"""How services say with a status that means something else that they do not let us in."""
_OF_THE_MAIL = "data"


class AppriseNotifier:
    """Sends each message through one Apprise URL: one request to each of its targets, and none after a "later".

    `timeout` in seconds holds for all of it. What hangs longer is left to itself, and to a fresh start.
    """

    style: Literal["grouped", "single", "state"] = "grouped"
    refresh_s = 0.0

    def __init__(self, name: str, url: str, timeout: float) -> None:
        self.name, self._url, self._timeout = name, url, timeout
        self._redact = Redactor([url])
        self._service = _Service(url, timeout)
        self._hanging: list[Thread] = []

    def __repr__(self) -> str:
        return f"AppriseNotifier({self.name!r})"

    def send(self, message: Message) -> Outcome:
        """Deliver *message*; return what became of it."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= _MOST_HANGING:
            return Outcome("later", f"{len(self._hanging)} earlier messages still wait for an answer")
        attempt = _Attempt(self._timeout, self._redact)
        thread = Thread(target=_deliver, args=(self._service, message, attempt), name=self.name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            return Outcome("later", one_line(str(error)))
        thread.join(self._timeout)
        if thread.is_alive():
            self._hanging.append(thread)
            self._service = _Service(self._url, self._timeout)
            return attempt.too_late()
        found = attempt.outcome()
        return Outcome(found.kind, self._redact(found.reason), found.retry_after)


def kind_of(url: str) -> str:
    """Return the short name of the service of *url*, for display: its scheme, the same with TLS as without."""
    found = _SCHEME.match(url)
    if found is None:
        return "unknown"
    scheme = found[1].lower()
    if scheme in ("http", "https"):
        host = re.split(r"[/?#:]", url[found.end() :].lower(), maxsplit=1)[0]
        return _OWN_ADDRESSES.get(host, "http")
    return scheme[:-1] if scheme.endswith("s") and scheme not in _ENDS_IN_S else scheme


# -- the service


class _Service:
    """One Apprise plugin, told to do nothing on its own: no retries, no sleeping, no splitting, no redirects."""

    def __init__(self, url: str, timeout: float) -> None:
        self._kind = kind_of(url)
        self._apprise, self._plugin, options = _open(url, timeout, self._kind)
        self._has_priority = "priority" in options
        self._headers = getattr(self._plugin, "headers", None)

    def send(self, message: Message) -> bool:
        """Send *message*; return whether the service took it."""
        from apprise import NotifyFormat, NotifyType

        self._mark(message)
        title, body = self._worded(message)
        kind = "success" if message.kind == "resolved" else _TYPES[message.severity]
        return bool(
            self._apprise.notify(
                body=body, title=title, notify_type=NotifyType(kind), body_format=NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        )  # fmt: skip

    def _mark(self, message: Message) -> None:
        """Give *message* its key and its priority, where the service has a place for them."""
        if isinstance(self._headers, dict):
            self._plugin.headers = self._headers | _marks(message, self._kind)
        if self._kind == "ntfy" and not self._has_priority and message.kind != "test":
            self._plugin.priority = "low" if message.kind == "resolved" else _PRIORITIES[message.severity]

    def _worded(self, message: Message) -> tuple[str, str]:
        """Return title and body as this service shows them: dead text, as much as it takes."""
        title, body = _dead(message.title), _dead(message.body or message.title)
        if self._kind == "discord":  # takes any text for Markdown, but not within a block of code
            title, body = _MARKUP.sub(r"\\\1", title.replace("`", "'")), body.replace("`", "'")
            body = _fitted(body, self._room(title), self._size)
            return title, f"```\n{body}\n```"
        return title, _fitted(body, self._room(title), self._size)

    def _room(self, title: str) -> int:
        """Return how much of a body goes into one message."""
        if self._kind == "ntfy":
            return 2 * _NTFY_BYTES
        is_joined = self._plugin.title_maxlen <= 0 or getattr(self._plugin, "overflow_amalgamate_title", False)
        return int(self._plugin.body_maxlen) - (len(title) + _TITLE_TAGS if is_joined else 0)

    def _size(self, body: str) -> int:
        """Return how much *body* is once Apprise has put it into the service's own format."""
        if self._kind == "ntfy":
            return max(2 * len(body.encode()), len(json.dumps(body)))
        from apprise import NotifyFormat, conversion

        convert: Any = conversion.convert_between
        shown_as = self._plugin.resolve_format(NotifyFormat.TEXT)
        return len(self._plugin.dialect_convert(convert(NotifyFormat.TEXT, shown_as, body), shown_as))


def _open(url: str, timeout: float, kind: str) -> tuple[Any, Any, dict[str, Any]]:
    """Return Apprise with the one plugin of *url*, the plugin, and the options of *url* that were understood."""
    _listen()
    from apprise import Apprise

    _load_plugins()
    asset, options = _asset(), _options(url)
    options.pop("format", None)  # as text: what Markdown and HTML make of a log's words is not theirs to say
    own = {"retry": 0, "wait": 0, "optional": False, "overflow": "upstream", "emojis": False}
    limits = {name: min(_seconds(options.get(name), timeout), timeout) for name in ("cto", "rto")}
    plugin: Any = Apprise.instantiate({**options, **own, **limits}, asset=asset) if options else None
    if plugin is None or not 0 < (plugin.port or 1) < 1 << 16:
        raise UsageError(f"{kind}: Apprise cannot read this URL")
    if not len(plugin):
        raise UsageError(f"{kind}: this URL names nobody to send to")
    plugin.throttle = _no_throttle
    if kind == "discord" and plugin.flags is None:
        plugin.flags = _NO_PREVIEW
    if not plugin.verify_certificate:
        _accept_unverified()
    apprise = Apprise(asset=asset)
    apprise.add(plugin)
    return apprise, plugin, options


def _options(url: str) -> dict[str, Any]:
    """Return what Apprise reads in *url*; nothing where it cannot."""
    from apprise import plugins

    read: Any = plugins.url_to_dict
    try:
        return read(url) or {}
    except Exception:  # noqa: BLE001 - what a plugin stumbles over may hold the secret: say no more than that it did
        return {}


def _asset() -> Any:
    """Return how Apprise presents itself: as nanwatch, without pictures from elsewhere, without files of its own."""
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="nanwatch", app_desc="nanwatch", image_url_mask="", image_url_logo="", async_mode=False,
        interpret_emojis=False, interpret_escapes=False, secure_logging=True, pgp_autogen=False, pem_autogen=False,
        http_redirects=False, service_timeout=0,
    )  # fmt: skip


def _load_plugins() -> None:
    """Load the plugins, which Apprise does when it is first asked for one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'imghdr' is deprecated", DeprecationWarning)
        _options("json://localhost")


def _accept_unverified() -> None:
    """Keep urllib3 from warning of what the config asks for (`verify=no`)."""
    from urllib3.exceptions import InsecureRequestWarning

    warnings.simplefilter("ignore", InsecureRequestWarning)


def _seconds(value: object, otherwise: float) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return otherwise
    return seconds if seconds > 0 else otherwise


def _no_throttle(*_: object, **__: object) -> None:
    """Wait for nobody: who sends is told to come later, and decides itself when."""


# -- the words


def _marks(message: Message, kind: str) -> dict[str, str]:
    """Return the headers by which a receiver knows a message again; mails of the same alerts make one thread."""
    if kind != "mailto":
        return {"Idempotency-Key": message.key}
    ids = dict.fromkeys(news.alert.id for news in message.news)
    roots = [f"<{blake2b(id_.encode(), digest_size=16).hexdigest()}@nanwatch.invalid>" for id_ in list(ids)[:_THREADS]]
    return {"X-Nanwatch-Key": message.key} | ({"References": " ".join(roots)} if roots else {})


def _dead(text: str) -> str:
    """Return *text* without anything that a chat takes for a mention or a tag."""
    return _LIVE.sub("\\g<0>\u2060", text)


def _fitted(text: str, most: int, size: Callable[[str], int]) -> str:
    """Return as many lines of *text* as *size* lets into *most*, and how many there are more."""
    if size(text) <= most:
        return text
    lines = text.split("\n")

    def first(n: int) -> str:
        return "\n".join([*lines[:n], f"… and {len(lines) - n} more lines"])

    n = bisect_right(range(len(lines)), most, key=lambda n: size(first(n))) - 1
    if n > 0:
        return first(n)
    return text[: max(0, bisect_right(range(len(text)), most, key=lambda n: size(f"{text[:n]}…")) - 1)] + "…"


# -- one attempt, and what is heard during it


class _Stop(OSError):
    """Keeps a plugin from sending more: the time is up, or the other side has said "later" already."""


class _Attempt:
    """One delivery: until when it may last, what the other side answered, and what went wrong."""

    def __init__(self, timeout: float, redact: Redactor) -> None:
        self.is_sent = False
        self._timeout, self._end, self._redact = timeout, time.monotonic() + timeout, redact
        self._found: list[Outcome] = []
        self._heard = ""
        self._complaint = ""
        self._command = ""

    def outcome(self) -> Outcome:
        """Return what became of it: if several things went wrong, what may still come right counts most."""
        if self.is_sent:
            return Outcome("sent")
        for kind in ("later", "rejected", "refused"):
            for found in self._found:
                if found.kind == kind:
                    return found
        if self._heard:
            return Outcome("rejected" if _LOCKED_OUT.search(self._heard) else "later", self._heard)
        return Outcome("later", self._complaint or "Apprise could not send it")

    def too_late(self) -> Outcome:
        """Return that no answer came in time."""
        return Outcome("later", f"no answer within {self._timeout:g} s")

    def seconds_left(self) -> float:
        """Return how long the next request may take.

        Raises:
            _Stop: there shall be none.
        """
        left = self._end - time.monotonic()
        if left <= 0 or any(found.kind == "later" for found in self._found):
            raise _Stop
        return left

    def answered(self, status: int, said: str, retry_after: float | None) -> None:
        """Take note of the answer to an HTTP request."""
        said = self._quoted(said)
        reason = f"{status} from the server" + (f": {said}" if said else "")
        if 200 <= status < 300:
            self._heard = f"{reason} (not what it says when it takes a message)"
        elif _LOCKED_OUT.search(said):
            self._found.append(Outcome("rejected", reason))
        elif status >= 500 or status in _LATER:
            self._found.append(Outcome("later", reason, retry_after))
        elif 300 <= status < 400:
            self._found.append(Outcome("rejected", f"{status} from the server: it has moved to another address"))
        else:
            self._found.append(Outcome("refused" if status in _REFUSED else "rejected", reason))

    def commanded(self, command: str) -> None:
        """Take note of a command to a mail server."""
        self._command = command.lower()

    def replied(self, code: int, said: str) -> None:
        """Take note of a mail server's reply."""
        said = self._quoted(said)
        reason = f"{code} from the mail server" + (f": {said}" if said else "")
        if 400 <= code < 500:
            self._found.append(Outcome("later", reason))
        elif code >= 500 and self._command not in ("ehlo", "rset", "quit"):
            is_of_the_mail = code == 552 or self._command == _OF_THE_MAIL
            self._found.append(Outcome("refused" if is_of_the_mail else "rejected", reason))

    def failed(self, error: Exception) -> None:
        """Take note of an error."""
        found = _fault(error)
        if found is not None:
            self._found.append(found if found.reason else self.too_late())

    def complained(self, text: str) -> None:
        """Take note of what Apprise itself says."""
        self._complaint = self._quoted(text)

    def _quoted(self, text: str) -> str:
        """Return the start of *text* as a line; secrets go first, lest half of one is left at its end."""
        return one_line(self._redact(text))[:_QUOTED]


_current: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
"""The attempt of the thread that runs; without one, everything goes its usual way."""


def _deliver(service: _Service, message: Message, attempt: _Attempt) -> None:
    """Send *message*, and take note in *attempt* of all that happens."""
    _current.set(attempt)  # for this thread, which ends with the attempt
    try:
        attempt.is_sent = service.send(message)
    except Exception as error:  # noqa: BLE001 - plugins are many, and a message that fails must not end the daemon
        attempt.failed(error)


@cache
def _listen() -> None:
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


def _allowed(attempt: _Attempt) -> float:
    """Return the seconds left, or raise what every plugin expects of a request that cannot be made."""
    from requests import ConnectionError as NotConnected

    try:
        return attempt.seconds_left()
    except _Stop as stop:
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


# -- what answers and errors mean


def _told(content: bytes) -> dict[str, Any]:
    """Return the object that a server answers; its plain words as the `message` of one."""
    text = content.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = "" if "<" in text[:_QUOTED] else text  # not a page for a browser
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
    """Return the seconds that a server asks for in its header, as a number or a date, or in its answer."""
    header = str(headers.get("Retry-After") or "").strip()
    parameters = told.get("parameters")
    asked = [header, told.get("retry_after"), parameters.get("retry_after") if isinstance(parameters, dict) else None]
    for value in asked:
        try:
            seconds = float(str(value))
        except ValueError:
            continue
        if math.isfinite(seconds):
            return min(max(0.0, seconds), _LONGEST_WAIT)
    try:
        return min(max(0.0, parsedate_to_datetime(header).timestamp() - time.time()), _LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None


def _fault(error: Exception) -> Outcome | None:
    """Return what *error* means; without a reason: that the time was up; None: a reply has told it already."""
    causes = list(_causes(error))
    if any(
        isinstance(cause, _Stop | smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused) for cause in causes
    ):
        return None
    for cause in causes:
        if found := _meaning(cause):
            return found
    if isinstance(error, UnicodeError):
        return Outcome("refused", "it cannot be written as the service wants it")
    return Outcome("later", f"no proper answer ({type(error).__name__})")


def _meaning(cause: BaseException) -> Outcome | None:
    """Return what a single error means, the wrappings of others left aside."""
    from requests import exceptions

    never_sent = (exceptions.InvalidURL, exceptions.InvalidHeader, exceptions.MissingSchema, OverflowError)
    if isinstance(cause, TimeoutError | exceptions.Timeout):
        return Outcome("later")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Outcome("later", "the server's certificate is not trusted")
    if isinstance(cause, ssl.SSLError):
        return Outcome(
            "later", f"no secure connection: {one_line(cause.reason or 'refused').lower().replace('_', ' ')}"
        )
    if isinstance(cause, never_sent):
        return Outcome("rejected", "its address or its headers are none that can be sent")
    if isinstance(cause, smtplib.SMTPNotSupportedError) or type(cause) is smtplib.SMTPException:
        return Outcome("rejected", one_line(str(cause)))  # no login, or no encryption, that both sides know
    if isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno and cause.strerror):
        return Outcome("later", one_line(str(cause.strerror)).lower())
    if isinstance(cause, ConnectionError | smtplib.SMTPServerDisconnected):
        return Outcome("later", "the connection was closed without an answer")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
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
