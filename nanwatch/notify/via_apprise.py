"""Delivery through Apprise: one message through one URL, within a time limit."""

from __future__ import annotations

import re
from threading import Thread
from typing import Literal

from nanwatch.model.news import Message
from nanwatch.notify.answers import one_line
from nanwatch.notify.apprise_attempt import Attempt
from nanwatch.notify.apprise_hearing import hear
from nanwatch.notify.apprise_service import Service
from nanwatch.notify.base import Outcome
from nanwatch.redaction import Redactor

_SCHEME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9+.-]{0,31})://")
_ENDS_IN_S = frozenset({
    "46elks", "aprs", "bulksms", "bulkvs", "burstsms", "d7sms", "dbus", "elks", "httpsms", "kumulos", "pushplus",
    "serwersms", "ses", "sns", "sogs", "strmlabs", "victorops", "voipms", "windows", "wxteams", "xmatters",
})  # fmt: skip
"""Services whose name ends so: with all others it means the same over TLS."""
_OWN_ADDRESSES = {
    "hooks.slack.com": "slack", "discord.com": "discord", "discordapp.com": "discord", "ntfy.sh": "ntfy",
}  # fmt: skip
_MOST_HANGING = 3


class AppriseNotifier:
    """Sends each message through one Apprise URL: one request to each of its targets, and none after a "later".

    `timeout` in seconds holds for all of it. What hangs longer is left to itself, and to a fresh start.
    """

    style: Literal["grouped", "single", "state"] = "grouped"
    refresh_s = 0.0

    def __init__(self, name: str, url: str, timeout: float) -> None:
        self.name, self._url, self._timeout = name, url, timeout
        self._redact = Redactor([url])
        self._service = self._open()
        self._hanging: list[Thread] = []

    def __repr__(self) -> str:
        return f"AppriseNotifier({self.name!r})"

    def send(self, message: Message) -> Outcome:
        """Deliver *message*; return what became of it."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= _MOST_HANGING:
            return Outcome("later", f"{len(self._hanging)} earlier messages still wait for an answer")
        attempt = Attempt(self._timeout, self._redact)
        thread = Thread(target=_deliver, args=(self._service, message, attempt), name=self.name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            return Outcome("later", one_line(str(error)))
        thread.join(self._timeout)
        if thread.is_alive():
            self._hanging.append(thread)
            self._service = self._open()
            return attempt.too_late()
        found = attempt.outcome()
        return Outcome(found.kind, self._redact(found.reason), found.retry_after)

    def _open(self) -> Service:
        return Service(self._url, kind_of(self._url), self._timeout)


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


def _deliver(service: Service, message: Message, attempt: Attempt) -> None:
    """Send *message*, and take note in *attempt* of all that happens."""
    hear(attempt)  # in this thread, which ends with the attempt
    try:
        attempt.is_sent = service.send(message)
    except Exception as error:  # noqa: BLE001 - plugins are many, and a message that fails must not end the daemon
        attempt.failed(error)
