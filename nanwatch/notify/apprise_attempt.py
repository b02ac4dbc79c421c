"""One attempt to deliver through Apprise: until when it may last, what was heard during it, and what became of it."""

from __future__ import annotations

import re
import smtplib
import time

from nanwatch.notify.answers import causes, kind_of_reply, kind_of_status, meaning, one_line, too_late
from nanwatch.notify.base import Outcome
from nanwatch.redaction import Redactor

QUOTED = 120
"""Characters of a reason that are taken from what the other side says."""
_ALSO_LATER = frozenset({409, 421, 423})
_ALSO_REFUSED = frozenset({414, 415, 431})
"""Statuses that some of the many services have beside the usual ones."""
_LOCKED_OUT = re.compile(
    r"(?i)invalid_auth|not_authed|account_inactive|token_(?:revoked|expired)|missing_scope|no_permission|"
    r"channel_not_found|not_in_channel|is_archived|chat not found|bot was (?:blocked|kicked)|user is deactivated"
)
"""How services say with a status that means something else that they do not let us in."""


class Stop(OSError):
    """Keeps a plugin from sending more: the time is up, or the other side has said "later" already."""


class Attempt:
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
        return too_late(self._timeout)

    def seconds_left(self) -> float:
        """Return how long the next request may take.

        Raises:
            Stop: there shall be none.
        """
        left = self._end - time.monotonic()
        if left <= 0 or any(found.kind == "later" for found in self._found):
            raise Stop
        return left

    def answered(self, status: int, said: str, retry_after: float | None) -> None:
        """Take note of the answer to an HTTP request."""
        said = self._quoted(said)
        reason = f"{status} from the server" + (f": {said}" if said else "")
        if 200 <= status < 300:
            self._heard = f"{reason} (not what it says when it takes a message)"
        elif _LOCKED_OUT.search(said):
            self._found.append(Outcome("rejected", reason))
        elif 300 <= status < 400:
            self._found.append(Outcome("rejected", f"{status} from the server: it has moved to another address"))
        else:
            kind = kind_of_status(status, _ALSO_LATER, _ALSO_REFUSED)
            self._found.append(Outcome(kind, reason, retry_after if kind == "later" else None))

    def commanded(self, command: str) -> None:
        """Take note of a command to a mail server."""
        self._command = command.lower()

    def replied(self, code: int, said: str) -> None:
        """Take note of a mail server's reply."""
        kind = kind_of_reply(code, self._command)
        if kind is not None:
            said = self._quoted(said)
            self._found.append(Outcome(kind, f"{code} from the mail server" + (f": {said}" if said else "")))

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
        return one_line(self._redact(text))[:QUOTED]


def _fault(error: Exception) -> Outcome | None:
    """Return what *error* means; without a reason: that the time was up; None: a reply has told it already."""
    told = (Stop, smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)
    chain = list(causes(error))
    if any(isinstance(cause, told) for cause in chain):
        return None
    for cause in chain:
        if found := _of_requests(cause) or meaning(cause):
            return found
    if isinstance(error, UnicodeError):
        return Outcome("refused", "it cannot be written as the service wants it")
    return Outcome("later", f"no proper answer ({type(error).__name__})")


def _of_requests(cause: BaseException) -> Outcome | None:
    """Return what an error of requests means: that the time was up, or that it could not be sent at all."""
    from requests import exceptions

    if isinstance(cause, exceptions.Timeout):
        return Outcome("later")
    if isinstance(cause, exceptions.InvalidURL | exceptions.InvalidHeader | exceptions.MissingSchema | OverflowError):
        return Outcome("rejected", "its address or its headers are none that can be sent")
    return None
