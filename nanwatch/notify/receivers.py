"""Receivers of the config -> destinations: one notifier for each address, with a name that holds no secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nanwatch.config import Receiver
from nanwatch.errors import UsageError
from nanwatch.notify.base import Notifier


@dataclass(frozen=True, slots=True)
class Destination:
    """One place where messages go: what it is told is the receiver's choice, how it gets there the notifier's."""

    receiver: Receiver
    notifier: Notifier

    @property
    def name(self) -> str:
        """The receiver's name and the kind of service."""
        return self.notifier.name


def open_destinations(receivers: Sequence[Receiver], host: str) -> list[Destination]:
    """Return every destination of *receivers*; *host* is what this machine is called.

    Raises:
        UsageError: an address cannot be read, or a secret is not there; says where, and never what it was.
    """
    return [Destination(receiver, notifier) for receiver in receivers for notifier in _notifiers(receiver, host)]


def secrets_of(receivers: Sequence[Receiver]) -> list[str]:
    """Return every secret in the open, to be kept out of what is shown.

    Raises:
        UsageError: a secret is not there.
    """
    return [secret.reveal() for r in receivers for secret in (*r.urls, *r.alertmanager)]


def _notifiers(receiver: Receiver, host: str) -> Iterator[Notifier]:
    # Each is imported only where it is used: Apprise alone costs more than all the rest.
    seen: Counter[str] = Counter()

    def name(kind: str) -> str:
        seen[kind] += 1
        return f"{receiver.name}/{kind}" + (f"-{seen[kind]}" if seen[kind] > 1 else "")

    if receiver.urls:
        from nanwatch.notify.via_apprise import AppriseNotifier, kind_of
    for secret in receiver.urls:
        url = secret.reveal()
        try:
            yield AppriseNotifier(name(kind_of(url)), url, receiver.timeout)
        except UsageError as error:
            raise UsageError(f"{secret.place}: {error}") from None
    if receiver.command:
        from nanwatch.notify.via_command import CommandNotifier

        yield CommandNotifier(name("command"), receiver.command, receiver.timeout, host)
    if receiver.alertmanager:
        from nanwatch.notify.via_alertmanager import AlertmanagerNotifier
    for secret in receiver.alertmanager:
        try:
            yield AlertmanagerNotifier(name("alertmanager"), secret.reveal(), receiver.timeout)
        except UsageError as error:
            raise UsageError(f"{secret.place}: {error}") from None
