"""The outbox at work: a courier for each destination takes its news from the store and writes what became of it.

Couriers know nothing of logs, and following knows nothing of them: a dead endpoint delays nobody but itself.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nanwatch.clock import Clock
from nanwatch.config import NotifySettings
from nanwatch.model.news import Message, News
from nanwatch.notify.base import Outcome
from nanwatch.notify.grouping import Waiting, drop_covered, group, merge, message_key, ready, take_due
from nanwatch.notify.receivers import Destination
from nanwatch.notify.render import compose
from nanwatch.notify.routing import hears
from nanwatch.notify.schedule import rejected_at, retry_at, room_at
from nanwatch.store import DestinationState, Pending, Row, Store

_LONGEST_PAUSE_S = 30.0
"""So often a courier looks up in any case: the clock may have been set."""
_REFUSALS = 3
"""After so many refusals of one message it is given up, and the next one is tried."""
_AT_ONCE = 5
"""So many messages are formed in one go; more than that become a digest."""
_HOUR_S = 3600.0

log = logging.getLogger("nanwatch.delivery")


@dataclass(frozen=True, slots=True)
class Terms:
    """What all couriers share: the settings, what this machine is called, and the clock."""

    settings: NotifySettings
    host: str
    clock: Clock
    jitter: Callable[[], float] = random.random


class Courier:
    """Delivers to one destination, in order. While that fails, nothing is added: what waits meanwhile is merged."""

    def __init__(self, destination: Destination, store: Store, terms: Terms) -> None:
        self.name = destination.name
        self._receiver, self._notifier = destination.receiver, destination.notifier
        self._store, self._terms = store, terms

    def work(self) -> float:
        """Deliver what is due; return in how many seconds to look again."""
        now = self._terms.clock.now()
        state = self._store.destination(self.name)
        if (blocked := _blocked_for(state, now)) > 0:
            return blocked
        if self._notifier.style == "state":
            return self._send_state(state, now)
        pending = self._store.pending(self.name)
        if not pending:
            return self._form(now)
        self._deliver(pending[0], state)
        return 0.0

    # -- messages

    def _form(self, now: float) -> float:
        """Put the news that is due into messages; return the seconds until there may be more."""
        kept = self._waiting(now)
        due = take_due(kept, now)
        if not due:
            return min((w.due - now for w in kept), default=_LONGEST_PAUSE_S)
        sent = self._store.sent_times(self.name, now - _HOUR_S)
        is_critical = any(w.news.alert.severity == "critical" and not w.news.is_over for w in due)
        room = room_at(sent, now, self._receiver.rate_limit, is_critical)
        if room > now:
            return room - now
        style: Literal["grouped", "single"] = "single" if self._notifier.style == "single" else "grouped"
        messages = ready(group(due, style, self._room(len(sent))), now)
        self._store.form(self.name, [(self._compose(m, now), _numbers(m)) for m in messages], (), now)
        return 0.0

    def _room(self, sent: int) -> int:
        limit = self._receiver.rate_limit
        return max(1, min(_AT_ONCE, limit - sent)) if limit else _AT_ONCE

    def _waiting(self, now: float) -> list[Waiting]:
        """Return the news that waits, without what need not be told."""
        merged = merge([self._timely(row, now) for row in self._store.waiting(self.name)])
        kept, covered = drop_covered(merged)
        unknown = [w for w in kept if w.news.reasons == ("resolved",) and not self._was_told(w)]
        if covered or unknown:
            self._store.form(self.name, (), _numbers([*covered, *unknown]), now)
        return [w for w in kept if w not in unknown]

    def _was_told(self, waiting: Waiting) -> bool:
        return self._store.was_told(self.name, waiting.news.alert.id)

    def _timely(self, row: Row, now: float) -> Row:
        """Return *row* with a due time that a clock which was set back cannot have moved out of reach."""
        is_of_the_future = row.created_at > now
        return row._replace(due=min(row.due, now + self._terms.settings.group_wait)) if is_of_the_future else row

    def _compose(self, waiting: Sequence[Waiting], now: float) -> Message:
        news = [w.news for w in waiting]
        # With the numbers of the news, or else one repetition would look like the other.
        told = [(f"{w.news.alert.id} {w.ids}", reason) for w in waiting for reason in w.news.reasons]
        key = message_key(self._terms.host, self.name, told)
        return compose(news, key=key, host=self._terms.host, now=now)

    def _deliver(self, item: Pending, state: DestinationState) -> None:
        outcome = self._send(item.message)
        now = self._terms.clock.now()
        is_hopeless = outcome.kind == "refused" and item.attempts + 1 >= _REFUSALS
        if outcome.kind == "sent":
            what = "sent"
        elif is_hopeless or now - item.created_at > self._terms.settings.give_up:
            what = "given up"
            log.error("%s: gave up %r: %s", self.name, item.message.title, outcome.reason)
        else:
            what = "pending"
        new = self._after(state, outcome, now)
        if what == "given up":
            new = new._replace(health=replace(new.health, given_up=new.health.given_up + 1))
        self._store.settle(item.number, what, new, now)

    # -- state

    def _send_state(self, state: DestinationState, now: float) -> float:
        """Tell all that fires; return the seconds until that is to be told again."""
        kept = self._waiting(now)
        due = take_due(kept, now)
        known = {w.news.alert.id for w in due}
        others = [
            News(alert, run, ()) for run, alert in self._store.alerts() if alert.told and alert.id not in known
            and hears(self._receiver, rule=alert.rule, severity=alert.severity, run_id=run.id, log=run.log,
                      tags=alert.tags, reason="first")
        ]  # fmt: skip
        last = state.health.last_sent_at
        refresh = 0.0 if last is None or last > now else last + self._notifier.refresh_s - now
        if not due and (refresh > 0 or not others):
            return min([w.due - now for w in kept] + ([refresh] if others else []), default=_LONGEST_PAUSE_S)
        news = [w.news for w in due] + others
        outcome = self._send(compose(news, key="", host=self._terms.host, now=now))
        now = self._terms.clock.now()
        old = [w for w in due if now - w.created_at > self._terms.settings.give_up]
        settled, what = (due, "sent") if outcome.kind == "sent" else (old, "given up")
        self._store.settle_news(_numbers(settled), what, self._after(state, outcome, now, counts=bool(due)))
        return 0.0

    # -- what became of it

    def _send(self, message: Message) -> Outcome:
        try:
            return self._notifier.send(message)
        except Exception as error:
            log.exception("%s: defect in the notifier", self.name)
            return Outcome("later", f"defect: {type(error).__name__}")

    def _after(self, state: DestinationState, outcome: Outcome, now: float, counts: bool = True) -> DestinationState:
        """Return what is known of the destination after *outcome*; say what a person should know."""
        health = state.health
        if outcome.kind == "sent":
            if state.failures:
                log.info("%s: delivers again, after %d failures", self.name, state.failures)
            health = replace(health, sent=health.sent + counts, last_sent_at=now, last_reason="", next_at=None)
            return DestinationState(0, now, health)
        failures = state.failures + 1
        jitter = self._terms.jitter()
        if outcome.kind == "later":
            next_at = retry_at(failures, now, outcome.retry_after, jitter)
        else:
            next_at = rejected_at(failures, now, jitter)
        level = logging.ERROR if outcome.kind == "rejected" else logging.WARNING
        is_news = failures == 1 or outcome.reason != health.last_reason
        log.log(
            level if is_news else logging.DEBUG, "%s: not delivered (%s): %s; next attempt in %.0f s",
            self.name, outcome.kind, outcome.reason, next_at - now,
        )  # fmt: skip
        health = replace(
            health, failed=health.failed + 1, last_failed_at=now, last_reason=outcome.reason, next_at=next_at
        )
        return DestinationState(failures, now, health)


class Deliveries:
    """The couriers, each on a thread of its own. *after* are those that they take over from."""

    def __init__(
        self, destinations: Sequence[Destination], store: Store, terms: Terms, after: Deliveries | None = None
    ) -> None:
        before = {} if after is None else {thread.name: thread for thread in after.threads}
        self._stopping = threading.Event()
        self._wakes: list[threading.Event] = []
        self.threads: list[threading.Thread] = []
        for destination in destinations:
            wake = threading.Event()
            courier = Courier(destination, store, terms)
            arguments = (courier, wake, before.get(destination.name))
            thread = threading.Thread(target=self._run, args=arguments, name=destination.name, daemon=True)
            self._wakes.append(wake)
            self.threads.append(thread)

    def start(self) -> None:
        """Begin to deliver."""
        for thread in self.threads:
            thread.start()

    def wake(self) -> None:
        """Let every courier look into the store now."""
        for wake in self._wakes:
            wake.set()

    def stop(self) -> None:
        """Let every courier end after the delivery under way."""
        self._stopping.set()
        self.wake()

    def join(self, timeout: float, clock: Clock) -> bool:
        """Wait for the couriers to end, *timeout* seconds at most; return whether all have."""
        until = clock.steady() + timeout
        for thread in self.threads:
            thread.join(max(0.0, until - clock.steady()))
        return not any(thread.is_alive() for thread in self.threads)

    def _run(self, courier: Courier, wake: threading.Event, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it may be delivering what we would deliver again
        while not self._stopping.is_set():
            wake.clear()
            try:
                pause = courier.work()
            except sqlite3.Error as error:
                log.error("%s: the store cannot be used: %s", courier.name, error)  # noqa: TRY400 - one line says it
                pause = _LONGEST_PAUSE_S
            except Exception:  # a defect in one courier must not end the others, nor itself
                log.exception("%s: defect", courier.name)
                pause = _LONGEST_PAUSE_S
            if pause > 0:
                wake.wait(min(pause, _LONGEST_PAUSE_S))


def _blocked_for(state: DestinationState, now: float) -> float:
    """Return for how many seconds nothing is tried, after a failure."""
    next_at = state.health.next_at
    is_of_the_future = state.attempted_at is not None and state.attempted_at > now  # the clock was set back
    return 0.0 if not state.failures or next_at is None or is_of_the_future else next_at - now


def _numbers(waiting: Sequence[Waiting]) -> list[int]:
    return [number for w in waiting for number in w.ids]
