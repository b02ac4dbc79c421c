"""One Apprise plugin, told to do nothing on its own, and a message as it shows and takes it."""

from __future__ import annotations

import json
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from nanwatch.errors import UsageError
from nanwatch.model.news import Message
from nanwatch.notify.apprise_hearing import listen

_LIVE = re.compile(r"[@<](?=[^\s\u2060])")
"""What begins a mention or a tag, unless a word joiner has ended it already."""
_MARKUP = re.compile(r"([\\*_~|\[\]#])")
_NTFY_BYTES = 3600
"""Above 4096, and above 8000 as JSON, a message to ntfy becomes a file that nobody sees on a lock screen."""
_TITLE_TAGS = 24
_NO_PREVIEW = 4
_THREADS = 10
_PRIORITIES = {"critical": "max", "warning": "high", "info": "low"}
_TYPES = {"critical": "failure", "warning": "warning", "info": "info"}


class Service:
    """A plugin that does one thing for each message: no retries, no sleeping, no splitting, no redirects."""

    def __init__(self, url: str, kind: str, timeout: float) -> None:
        self._kind = kind
        self._apprise, self._plugin, options = _open(url, kind, timeout)
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


def _open(url: str, kind: str, timeout: float) -> tuple[Any, Any, dict[str, Any]]:
    """Return Apprise with the one plugin of *url*, the plugin, and the options of *url* that were understood."""
    listen()
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
