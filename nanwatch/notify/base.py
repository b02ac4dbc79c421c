"""What every notifier is: something that delivers one message to one destination and says what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from nanwatch.model.news import Message

Kind = Literal["sent", "later", "rejected", "refused"]
KIND_WORDS: dict[Kind, str] = {
    "sent": "sent", "later": "not delivered", "rejected": "not let in", "refused": "message refused",
}  # fmt: skip
"""How each is told to a person."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery: `sent`, or why not.

    `later`: the other side is down, busy or slow, so try again. `rejected`: it does not let us in (a wrong token, a
    wrong address); nothing will get through until somebody mends the config. `refused`: it does not take this one
    message. `reason` is one line for a person and holds no secret; `retry_after` are the seconds that the other side
    asked for.
    """

    kind: Kind
    reason: str = ""
    retry_after: float | None = None


class Notifier(Protocol):
    """Delivers to one destination. `send` blocks, is called by one thread at a time, and never raises.

    `name` is shown to people: the receiver's name and the kind of service (`phone/ntfy`). `style` says what a message
    holds: `grouped`, what belongs together; `single`, one alert; `state`, all that fires (sent again every
    `refresh_s` seconds, because the other side forgets).
    """

    name: str
    style: Literal["grouped", "single", "state"]
    refresh_s: float

    def send(self, message: Message) -> Outcome:
        """Deliver *message*; return what became of it within the time that the notifier allows itself."""
        ...
