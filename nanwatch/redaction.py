"""Redaction: keeps secrets, whole and in parts, out of every text that somebody may see."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from logging import Formatter, LogRecord
from urllib.parse import quote, quote_plus, unquote, unquote_plus

_SEPARATORS = re.compile(r"[/:@?&=,;#\s]+")
_SHORTEST = 6
"""Parts of a URL shorter than this are no secrets that can be told from other words."""
_SHORTEST_PASSWORD = 4
_UNMISTAKABLE = 8
"""Characters from which on a secret is replaced within longer words too."""
_HARMLESS = re.compile(r"localhost|(?:[a-z0-9-]{1,30}\.)+[a-z]{2,12}\.?|[\d.]+|\[[0-9a-f:]+\]?")
"""Hosts, ports and ids; what has points and capital letters may be a token."""
_WITH_HOST = frozenset({
    "http", "https", "json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "smtp", "smtps",
})  # fmt: skip
"""Schemes with a host's name where others may have a token."""
_SETTINGS = frozenset({
    "auth", "blocks", "cto", "emojis", "footer", "format", "image", "method", "mode", "optional", "overflow",
    "priority", "redirect", "retry", "rto", "store", "tz", "verify", "wait",
})  # fmt: skip
"""Options of a URL whose values are no secrets."""
_COMMON = frozenset({
    "alertmanager", "alerts", "apprise", "basic", "bearer", "channel", "channels", "discord", "error", "errors",
    "false", "form", "forms", "general", "hook", "hooks", "http", "https", "json", "jsons", "localhost", "mail",
    "mailto", "mailtos", "message", "messages", "nanwatch", "none", "notifications", "notify", "ntfy", "ntfys",
    "null", "password", "port", "secret", "server", "services", "slack", "smtp", "teams", "telegram", "test",
    "token", "training", "triggers", "true", "user", "warning", "webhook", "webhooks", "workflows",
})  # fmt: skip
"""Words that stand in addresses and everywhere else: nobody learns a secret from one of them."""


class Redactor:
    """Replaces known secrets, whole and in parts, in any text that somebody may see.

    A secret is a URL or a bare token. Of a URL it knows the password and the tokens, plain, percent-encoded, as JSON,
    and as HTTP and SMTP send them in base64; names of hosts, ports, schemes and settings stay readable.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found: set[str] = set()
        for secret in secrets:
            found |= _forms_of(secret)
        ordered = sorted(found, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(_as_pattern, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return *text* with `***` in place of every secret."""
        return text if self._pattern is None else self._pattern.sub("***", text)


class RedactingFormatter(Formatter):
    """Formats log records and redacts the whole text, that of the exception included.

    `redactor` may be replaced at any time: it is asked for each record.
    """

    def __init__(self, fmt: str | None = None, datefmt: str | None = None, redactor: Redactor | None = None) -> None:
        super().__init__(fmt, datefmt)
        self.redactor = redactor or Redactor()

    def format(self, record: LogRecord) -> str:
        """Return the text of *record* without any secret."""
        return self.redactor(super().format(record))


def _as_pattern(form: str) -> str:
    """Return the pattern of *form*: a short one counts only where it is a word of its own."""
    if len(form) >= _UNMISTAKABLE:
        return f"(?i:{re.escape(form)})"  # services and libraries put hosts, and what stands there, in lower case
    return rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"


def _forms_of(secret: str) -> set[str]:
    """Return every text in which *secret*, or a part of it, might be seen."""
    secret = secret.strip()
    scheme, is_url, rest = secret.partition("://")
    if not is_url:
        return _worth_hiding({secret}, is_password=True) | _worth_hiding(_SEPARATORS.split(secret))
    login, host, path, query = _split(rest)
    user, _, password = login.partition(":")
    parts = _worth_hiding(_SEPARATORS.split(path))
    parts |= _worth_hiding(_values(query))
    if scheme.lower() not in _WITH_HOST:
        parts |= _worth_hiding(_SEPARATORS.split(host))
    if password:
        parts |= _worth_hiding({password}, is_password=True) | _logins(user, password)
    else:
        parts |= _worth_hiding({user})
    return parts | {secret} if parts else parts


def _split(rest: str) -> tuple[str, str, str, str]:
    """Return the login, the host and port, the path, and the query of what follows `://`."""
    address, _, query = rest.partition("?")
    authority, _, path = address.partition("/")
    login, _, host = authority.rpartition("@")
    return login, host, path, query


def _values(query: str) -> Iterator[str]:
    """Yield the values of a URL's options that are no mere settings, whole and in parts."""
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if name.lower() not in _SETTINGS:
            yield value
            yield from _SEPARATORS.split(unquote_plus(value))


def _worth_hiding(texts: Iterable[str], *, is_password: bool = False) -> set[str]:
    """Return those of *texts* that may be secrets, in every way in which they may be written."""
    found: set[str] = set()
    for text in texts:
        plain = unquote(text)
        is_harmless = plain.lower() in _COMMON or (not is_password and _HARMLESS.fullmatch(plain))
        if not is_harmless and len(plain) >= (_SHORTEST_PASSWORD if is_password else _SHORTEST):
            found |= {text} | _spellings(plain)
    return found


def _spellings(plain: str) -> set[str]:
    """Return *plain* as it is, percent-encoded, and within quotation marks of JSON and of Python."""
    encoded = {quote(plain), quote(plain, safe=""), quote_plus(plain)}
    lower = {re.sub("%..", lambda code: code[0].lower(), text) for text in encoded}
    return {plain, json.dumps(plain)[1:-1], repr(plain)[1:-1]} | encoded | lower


def _logins(user: str, password: str) -> set[str]:
    """Return how a login is sent: as HTTP's basic authentication, and as SMTP's PLAIN and LOGIN."""
    name, word = unquote(user), unquote(password)
    sent = [text.encode("utf-8", "replace") for text in (f"{name}:{word}", f"\0{name}\0{word}", word)]
    with suppress(UnicodeEncodeError):
        sent.append(f"{name}:{word}".encode("latin-1"))
    return {b64encode(data).decode().rstrip("=") for data in sent}
