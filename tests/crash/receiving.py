"""Where the messages arrive: a program that appends to a file, a web server, a mail server; slow at random."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanwatch.model.news import Message
from tests.crash.writing import Change
from tests.support.servers import Answer, MailServer, Request, WebServer

_SCRIPT = """\
#!/bin/sh
# Takes up to 50 ms before and after it has taken note, by the number of its process.
sleep "0.0$(($$ % 6))"
cat >> {told}
echo >> {bell}
sleep "0.0$(($$ / 6 % 6))"
"""


@dataclass(frozen=True)
class Arrival:
    """A message that arrived at a destination: its key, and what it tells."""

    key: str
    told: tuple[Change, ...]


class CommandInbox:
    """The program of a command receiver, `script`, and what it took note of; *arrived* is set each time."""

    def __init__(self, folder: Path, arrived: threading.Event) -> None:
        self.script, self._told, bell = folder / "receive.sh", folder / "told.jsonl", folder / "bell"
        self.script.write_text(_SCRIPT.format(told=self._told, bell=bell))
        self.script.chmod(0o755)
        self._told.touch()
        os.mkfifo(bell)
        self._bell = os.open(bell, os.O_RDWR)  # so that nobody waits for the other side
        threading.Thread(target=self._listen, args=(arrived,), daemon=True).start()

    def arrivals(self, _sent: Mapping[str, Message]) -> list[Arrival]:
        """Return what arrived, in order; each line says all of it."""
        return [_of_command(json.loads(line)) for line in self._told.read_text().splitlines()]

    def _listen(self, arrived: threading.Event) -> None:
        while os.read(self._bell, 1):
            arrived.set()


class HookInbox(WebServer):
    """The web server of a JSON webhook: *arrived* is set as each request comes, and the answer takes its time."""

    def __init__(self, arrived: threading.Event, dice: random.Random) -> None:
        super().__init__()
        self._arrived, self._dice = arrived, dice

    def take(self, request: Request) -> Answer:
        """Record *request*, and answer after up to 50 ms."""
        answer = super().take(request)
        self._arrived.set()
        threading.Event().wait(self._dice.uniform(0, 0.05))
        return answer

    def arrivals(self, sent: Mapping[str, Message]) -> list[Arrival]:
        """Return what arrived, in order; *sent* are all messages by their keys."""
        return [_of_key(str(request.headers["Idempotency-Key"]), sent) for request in list(self.requests)]


class MailInbox(MailServer):
    """The mail server of an e-mail receiver."""

    def arrivals(self, sent: Mapping[str, Message]) -> list[Arrival]:
        """Return what arrived, in order; *sent* are all messages by their keys."""
        return [_of_key(str(mail.message()["X-Nanwatch-Key"]), sent) for mail in list(self.mails)]


Inbox = CommandInbox | HookInbox | MailInbox


def changes_of(message: Message) -> tuple[Change, ...]:
    """Return what *message* tells."""
    return tuple((news.alert.id, reason) for news in message.news for reason in news.reasons)


def _of_command(payload: dict[str, Any]) -> Arrival:
    return Arrival(payload["key"], tuple((payload["alert"]["id"], reason) for reason in payload["reasons"]))


def _of_key(key: str, sent: Mapping[str, Message]) -> Arrival:
    return Arrival(key, changes_of(sent[key]) if key in sent else ())
