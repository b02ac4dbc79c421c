"""Destinations that do as they are told, and a courier to them on simulated time: for tests of deliveries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nanwatch.clock import Clock, ManualClock
from nanwatch.config import NotifySettings, Receiver
from nanwatch.database import Change, Database, T
from nanwatch.delivery import Courier, Terms
from nanwatch.model.alert import Reason
from nanwatch.model.news import AlertFacts, Message, News, RunFacts
from nanwatch.notify.base import Notifier, Outcome
from nanwatch.notify.receivers import Destination
from nanwatch.notify.routing import hears
from nanwatch.notify.schedule import due_at
from nanwatch.store import FILE, Store, Told
from tests.notify.making import NOON, alert_facts, run_facts

TIMEOUT = 20.0
"""Seconds that a test waits for what it expects."""
HOST = "gpu-a3"
RECEIVER = Receiver("phone", rate_limit=0)
"""Hears of everything, as soon as it can."""
SENT, DOWN = Outcome("sent"), Outcome("later", "connection refused")
REJECTED, REFUSED = Outcome("rejected", "HTTP 401"), Outcome("refused", "HTTP 400")

Answer = Outcome | BaseException | Callable[[Message], Outcome]


@dataclass(frozen=True)
class Attempt:
    """A message as it came, when (Unix seconds), and what was answered; None: an exception."""

    at: float
    message: Message
    outcome: Outcome | None


class Endpoint:
    """A notifier that records what it is to send. Each of *answers* answers one message, the last all that follow.

    An exception is raised, a function is called. `answers` may be changed at any time. `attempts` holds what came.
    """

    def __init__(
        self,
        clock: Clock,
        *answers: Answer,
        style: Literal["grouped", "single", "state"] = "grouped",
        refresh_s: float = 60.0,
        name: str = "phone/test",
    ) -> None:
        self.name, self.refresh_s = name, refresh_s
        self.style: Literal["grouped", "single", "state"] = style
        self.answers: list[Answer] = list(answers) or [SENT]
        self.attempts: list[Attempt] = []
        self._clock, self._grew = clock, threading.Condition()

    def send(self, message: Message) -> Outcome:
        """Record *message* and answer it."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        at = self._clock.now()
        if isinstance(answer, BaseException):
            self._record(Attempt(at, message, None))
            raise answer
        outcome = answer if isinstance(answer, Outcome) else answer(message)
        self._record(Attempt(at, message, outcome))
        return outcome

    def answer(self, *answers: Answer) -> None:
        """Answer like this from now on."""
        self.answers[:] = answers

    @property
    def taken(self) -> list[Attempt]:
        """The messages that it took."""
        return [attempt for attempt in self.attempts if attempt.outcome and attempt.outcome.kind == "sent"]

    @property
    def told(self) -> list[tuple[str, ...]]:
        """The rules of the alerts in each message that it took."""
        return [tuple(news.alert.rule for news in attempt.message.news) for attempt in self.taken]

    @property
    def news(self) -> list[tuple[str, Reason]]:
        """The alerts' ids that it took, each with the reason."""
        return [(n.alert.id, reason) for a in self.taken for n in a.message.news for reason in n.reasons]

    def wait_for(self, n: int = 1) -> list[Attempt]:
        """Return the attempts once there are *n* or more."""
        with self._grew:
            came = self._grew.wait_for(lambda: len(self.attempts) >= n, TIMEOUT)
        assert came, f"{len(self.attempts)} of {n} came"
        return self.attempts

    def _record(self, attempt: Attempt) -> None:
        with self._grew:
            self.attempts.append(attempt)
            self._grew.notify_all()


class _Hasty(Database):
    """A database that waits for no disk: nothing in simulated time outlasts a power failure."""

    def write(self, change: Change[T], *, durable: bool = True) -> T:  # noqa: ARG002
        """Do all of *change* or nothing of it."""
        return super().write(change, durable=False)


class Desk:
    """A store in *folder*, its clock, and a courier to *endpoint* that works as often as it asks to.

    `began` is when all of it began; `ids` are the ids of the alerts that were told, by rule and run.
    """

    def __init__(
        self,
        folder: Path,
        *answers: Answer,
        style: Literal["grouped", "single", "state"] = "grouped",
        receiver: Receiver = RECEIVER,
        settings: NotifySettings = NotifySettings(),  # noqa: B008 - a tuple that nobody changes
        began: float = NOON,
    ) -> None:
        self.clock, self.began = ManualClock(began), began
        self.endpoint = Endpoint(self.clock, *answers, style=style)
        self.store = Store(_Hasty(folder / FILE))
        self.receiver, self.settings = receiver, settings
        self.looks = 0
        self.use(self.endpoint)

    def use(self, notifier: Notifier) -> None:
        """Let a new courier work, over the same store, through *notifier*."""
        terms = Terms(self.settings, HOST, self.clock, lambda: 0.5)
        self.courier = Courier(Destination(self.receiver, notifier), self.store, terms)
        self.name = notifier.name

    def restart(self) -> None:
        """Let a new courier go on over the same store, as after a start of the daemon."""
        self.use(self.endpoint)

    @property
    def passed(self) -> float:
        """Seconds that have passed, whatever the clock was set to."""
        return self.clock.steady()

    def tell(self, rule: str = "nan_burst", reason: Reason = "first", *, log: str = "unet", **changes: Any) -> str:
        """Tell the destination of an alert, if it hears of it; return the alert's id.

        The alert of a rule in a log is always the same, and the keyword arguments are its fields.
        """
        now = self.clock.now()
        run, alert = alert_of(rule, reason, log, now, **changes)
        hears_of = hears(
            self.receiver, rule=rule, severity=alert.severity, run_id=run.id, log=run.log, tags=(), reason=reason
        )
        due = due_at(alert.severity, reason, now, self.settings, self.receiver.quiet_hours)
        told = [Told(self.name, alert.id, reason, due)] if hears_of else []
        self.store.save((), [run], [(run, alert)], told, now)
        return alert.id

    def change(self, rule: str = "nan_burst", *, log: str = "unet", **changes: Any) -> None:
        """Change what is known of an alert, without any news of it."""
        run, alert = alert_of(rule, "first", log, self.clock.now(), **changes)
        self.store.save((), [run], [(run, alert)], (), self.clock.now())

    def work(self, seconds: float = 0.0) -> float:
        """Let the courier work for *seconds*, whenever it asks to; return the seconds that it would wait on."""
        end = self.passed + seconds
        while True:
            pause = self.courier.work()
            self.looks += 1
            left = end - self.passed
            if pause > left:
                self.clock.advance(max(0.0, left))  # the endpoint may have taken longer than that
                return pause - max(0.0, left)
            self.clock.advance(pause)

    @property
    def times(self) -> list[float]:
        """When messages were attempted, in seconds since it began."""
        return [attempt.at - self.began for attempt in self.endpoint.attempts]

    def outcomes(self) -> dict[str, int]:
        """Return how many pieces of news there are of each outcome."""
        query = "SELECT outcome, count(*) FROM news GROUP BY 1"
        return dict(self.store.database.read(lambda db: db.execute(query).fetchall()))


def alert_of(rule: str, reason: Reason, log: str, now: float, **changes: Any) -> tuple[RunFacts, AlertFacts]:
    """Return the alert of *rule* in *log* that somebody is told of for *reason*, and its run."""
    state = {"state": "resolved", "resolved_at": now, "told": "resolved"} if reason == "resolved" else {}
    facts = {"id": f"{rule}@{log}", "noticed_at": now, "told": changes.get("severity", "critical")} | state | changes
    return run_facts(f"/data/{log}.log"), alert_facts(rule, **facts)


def news_of(attempts: Sequence[Attempt]) -> list[News]:
    """Return all that *attempts* tell, in order."""
    return [news for attempt in attempts for news in attempt.message.news]
