"""Secrets: texts of the config that nobody may see, where they come from, and how they are kept out of sight."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanwatch.errors import UsageError

if TYPE_CHECKING:
    from logging import LogRecord

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"
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


class Secret:
    """A text that is never shown: the config's own words, `${VARIABLE}` in them, or `file:PATH` for a file's content.

    `place` says where in the config it stands. What it stands for is asked for only when it is needed.
    """

    __slots__ = ("_folder", "_text", "place")

    def __init__(self, text: str, place: str = "", folder: str = ".") -> None:
        self._text, self.place, self._folder = text, place, folder

    def reveal(self) -> str:
        """Return the text itself.

        Raises:
            UsageError: the environment variable is not set, or the file cannot be read.
        """
        if self._text.startswith(_FILE):
            return self._read(self._text[len(_FILE) :])
        return _VARIABLE.sub(self._variable, self._text)

    @property
    def is_literal(self) -> bool:
        """Whether the config itself holds the secret."""
        return not self._text.startswith(_FILE) and not _VARIABLE.search(self._text)

    def __repr__(self) -> str:
        return f"Secret({self.place})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self._folder) == (other._text, other._folder)

    def __hash__(self) -> int:
        return hash((self._text, self._folder))

    def _variable(self, match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            raise UsageError(f"{self.place}: the environment variable {match[1]} is not set")
        return value

    def _read(self, name: str) -> str:
        path = Path(self._folder) / name
        try:
            path = Path(self._folder) / Path(name).expanduser()
            text = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"{self.place}: {path}: {(error.strerror or 'cannot be read').lower()}") from None
        except UnicodeDecodeError:
            raise UsageError(f"{self.place}: {path}: not a text file") from None
        except (RuntimeError, ValueError):  # a home that nobody has, or a name that no file can have
            raise UsageError(f"{self.place}: {path}: not the name of a file") from None
        if len(text.splitlines()) != 1:
            raise UsageError(f"{self.place}: {path}: {'more than one line' if text else 'empty'}")
        return text


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


def __getattr__(name: str) -> Any:
    """Make `RedactingFormatter` when it is first asked for: importing `logging` would slow down every command."""
    if name != "RedactingFormatter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from logging import Formatter

    class RedactingFormatter(Formatter):
        """Formats log records and redacts the whole text, that of the exception included.

        `redactor` may be replaced at any time: it is asked for each record.
        """

        def __init__(
            self, fmt: str | None = None, datefmt: str | None = None, redactor: Redactor | None = None
        ) -> None:
            super().__init__(fmt, datefmt)
            self.redactor = redactor or Redactor()

        def format(self, record: LogRecord) -> str:
            """Return the text of *record* without any secret."""
            return self.redactor(super().format(record))

    RedactingFormatter.__qualname__ = name
    return globals().setdefault(name, RedactingFormatter)


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
    from urllib.parse import unquote_plus

    for option in query.split("&"):
        name, _, value = option.partition("=")
        if name.lower() not in _SETTINGS:
            yield value
            yield from _SEPARATORS.split(unquote_plus(value))


def _worth_hiding(texts: Iterable[str], *, is_password: bool = False) -> set[str]:
    """Return those of *texts* that may be secrets, in every way in which they may be written."""
    from urllib.parse import unquote  # only where messages are sent: every command reads the config

    found: set[str] = set()
    for text in texts:
        plain = unquote(text)
        is_harmless = plain.lower() in _COMMON or (not is_password and _HARMLESS.fullmatch(plain))
        if not is_harmless and len(plain) >= (_SHORTEST_PASSWORD if is_password else _SHORTEST):
            found |= {text} | _spellings(plain)
    return found


def _spellings(plain: str) -> set[str]:
    """Return *plain* as it is, percent-encoded, and within quotation marks of JSON and of Python."""
    import json
    from urllib.parse import quote, quote_plus

    encoded = {quote(plain), quote(plain, safe=""), quote_plus(plain)}
    lower = {re.sub("%..", lambda code: code[0].lower(), text) for text in encoded}
    return {plain, json.dumps(plain)[1:-1], repr(plain)[1:-1]} | encoded | lower


def _logins(user: str, password: str) -> set[str]:
    """Return how a login is sent: as HTTP's basic authentication, and as SMTP's PLAIN and LOGIN."""
    from base64 import b64encode
    from urllib.parse import unquote

    name, word = unquote(user), unquote(password)
    sent = [text.encode("utf-8", "replace") for text in (f"{name}:{word}", f"\0{name}\0{word}", word)]
    with suppress(UnicodeEncodeError):
        sent.append(f"{name}:{word}".encode("latin-1"))
    return {b64encode(data).decode().rstrip("=") for data in sent}
