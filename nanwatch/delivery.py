"""The outbox at work: a courier for each destination takes its news from the store and writes what became of it.

Couriers know nothing of logs, and following knows nothing of them: a dead endpoint delays nobody but itself.
"""

from __future__ import annotations

import logging
import math
import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from nanwatch.clock import Clock
from nanwatch.config import NotifySettings
from nanwatch.model.news import AlertFacts, Message, News
from nanwatch.notify.base import KIND_WORDS, Kind, Outcome
from nanwatch.notify.grouping import Waiting, drop_covered, group, merge, message_key, ready, take_due
from nanwatch.notify.receivers import Destination
from nanwatch.notify.render import compose
from nanwatch.notify.routing import hears
from nanwatch.notify.schedule import quiet_until, rejected_at, retry_at, room_at
from nanwatch.store import DestinationState, Pending, Row, Store

_LONGEST_PAUSE_S = 30.0
"""So often a courier looks up in any case: the clock may have been set."""
_REFUSALS = 3
"""After so many refusals of one message it is given up, and the next one is tried."""
_REFUSED_DOUBLINGS = 5
"""What was refused is tried again as if so many attempts had failed before: for minutes, and not for seconds."""
_LEAST_ATTEMPTS = 3
"""However old, a message is not given up before: the machine may have been suspended, or its clock been set."""
_AT_ONCE = 5
"""So many messages are formed in one go; more than that become a digest."""
_HOUR_S = 3600.0

log = logging.getLogger("nanwatch.delivery")


@dataclass(frozen=True, slots=True)
class Terms:
    """What all couriers share: the settings, what this machine is called, the clock, and what nobody may see."""

    settings: NotifySettings
    host: str
    clock: Clock
    jitter: Callable[[], float] = random.random
    redact: Callable[[str], str] = str


class Courier:
    """Delivers to one destination, in order. While that fails, nothing is added: what waits meanwhile is merged."""

    def __init__(self, destination: Destination, store: Store, terms: Terms) -> None:
        self.name = destination.name
        self._receiver, self._notifier = destination.receiver, destination.notifier
        self._store, self._terms = store, terms
        self._again_at = math.inf  # by the steady clock, which nobody sets
        self._failed: tuple[Kind, int] = ("sent", 0)  # how the last attempts failed, and how many in a row did so
        self._unwritten: Callable[[], None] | None = None
        self._is_afresh = False

    def begin_afresh(self) -> None:
        """Forget how the deliveries before failed: the settings may have been mended since."""
        self._is_afresh = True

    def work(self) -> float:
        """Deliver what is due; return in how many seconds to look again.

        Raises:
            sqlite3.Error: the store cannot be used; what was delivered is written down next time, not sent again.
        """
        if self._unwritten is not None:
            self._write(self._unwritten)
        now = self._terms.clock.now()
        state = self._state()
        if (blocked := self._blocked_for(state, now)) > 0:
            return blocked
        if self._notifier.style == "state":
            return self._send_state(state, now)
        pending = self._store.pending(self.name)
        if not pending:
            return self._form(now)
        if (held := self._held_for(pending, now)) > 0:
            return held
        self._deliver(pending[0], state)
        return 0.0

    def _state(self) -> DestinationState:
        state = self._store.destination(self.name)
        return state._replace(failures=0, attempted_at=None) if self._is_afresh else state

    def _blocked_for(self, state: DestinationState, now: float) -> float:
        """Return for how many seconds nothing is tried, after a failure."""
        next_at = state.health.next_at
        is_of_the_future = state.attempted_at is not None and state.attempted_at > now  # the clock was set back
        if not state.failures or next_at is None or is_of_the_future:
            return 0.0
        return min(next_at - now, self._again_at - self._terms.clock.steady())

    # -- messages

    def _form(self, now: float) -> float:
        """Put the news that is due into messages; return the seconds until there may be more."""
        kept = self._waiting(now)
        due = take_due(kept, now)
        if not due:
            return min((w.due - now for w in kept), default=_LONGEST_PAUSE_S)
        limit = self._receiver.rate_limit
        sent = [at for at in self._store.sent_times(self.name, now - _HOUR_S) if at <= now]
        critical = [w for w in due if w.due <= now and w.news.alert.severity == "critical" and _is_new(w)]
        room = room_at(sent, now, limit, bool(critical))
        if room > now:
            return min([room, *(w.due for w in kept if w.due > now)]) - now
        free = limit - len(sent) if limit else _AT_ONCE
        at_most = max(1, min(_AT_ONCE, free))
        if self._notifier.style == "single":
            messages = group(due if free > 0 else critical, "single")
        else:
            messages = group(due, "grouped", at_most)
        formed = [(self._compose(m, now), _numbers(m)) for m in ready(messages, now)[:at_most]]
        self._store.form(self.name, formed, (), now)
        return 0.0

    def _waiting(self, now: float) -> list[Waiting]:
        """Return the news that waits, without what need not be told."""
        quiet_end = quiet_until(self._receiver.quiet_hours, now)
        merged = merge([_timely(row, now, quiet_end) for row in self._store.waiting(self.name)])
        kept, covered = drop_covered(merged)
        told = [w for w in kept if w.news.reasons != ("resolved",) or self._was_told(w.news.alert)]
        gone = set(_numbers(kept)) - set(_numbers(told)) | set(_numbers(covered))
        if gone:
            self._store.form(self.name, (), gone, now)
        return told

    def _was_told(self, alert: AlertFacts) -> bool:
        return self._store.was_told(self.name, alert.id)

    def _held_for(self, pending: Sequence[Pending], now: float) -> float:
        """Return for how many seconds the quiet hours hold messages that were formed before them."""
        end = quiet_until(self._receiver.quiet_hours, now)
        if end is None or any(_is_urgent(news) for item in pending for news in item.message.news):
            return 0.0
        # What is urgent waits behind them, and the order is kept.
        return min([end, *(w.due for w in self._waiting(now) if _is_urgent(w.news))]) - now

    def _compose(self, waiting: Sequence[Waiting], now: float) -> Message:
        news = [w.news for w in waiting]
        # With the numbers of the news, or else one repetition would look like the other.
        told = [(f"{w.news.alert.id} {w.ids}", reason) for w in waiting for reason in w.news.reasons]
        key = message_key(self._terms.host, self.name, told)
        return compose(news, key=key, host=self._terms.host, now=now)

    def _deliver(self, item: Pending, state: DestinationState) -> None:
        outcome = self._send(item.message)
        now = self._terms.clock.now()
        new = self._after(state, outcome, now)
        is_old = now - item.created_at > self._terms.settings.give_up and item.attempts + 1 >= _LEAST_ATTEMPTS
        if outcome.kind == "sent":
            what = "sent"
        elif is_old or self._is_refused():
            what, new = "given up", self._give_up(item.message.title, outcome, new)
        else:
            what = "pending"
        self._write(partial(self._store.settle, item.number, what, new, now))

    # -- state

    def _send_state(self, state: DestinationState, now: float) -> float:
        """Tell all that fires; return the seconds until that is to be told again."""
        kept = self._waiting(now)
        due = take_due(kept, now)
        others = self._others(due)
        last = state.health.last_sent_at
        refresh = 0.0 if last is None or last > now else last + self._notifier.refresh_s - now
        if not due and (refresh > 0 or not others):
            return min([w.due - now for w in kept] + ([refresh] if others else []), default=_LONGEST_PAUSE_S)
        message = compose([w.news for w in due] + others, key="", host=self._terms.host, now=now)
        outcome = self._send(message)
        now = self._terms.clock.now()
        new = self._after(state, outcome, now, counts=bool(due))
        if outcome.kind == "sent":
            settled, what = due, "sent"
        else:
            old = [w for w in due if now - w.created_at > self._terms.settings.give_up]
            settled, what = due if self._is_refused() else old, "given up"
            new = self._give_up(message.title, outcome, new) if settled else new
        self._write(partial(self._store.settle_news, _numbers(settled), what, new))
        return 0.0

    def _others(self, due: Sequence[Waiting]) -> list[News]:
        """Return what fires and is not *due*: what was told of before, not what was to be quiet or is to wait."""
        untold = {row.alert.id for row in self._store.waiting(self.name) if row.reason == "first"}
        known = untold | {w.news.alert.id for w in due}
        return [
            News(alert, run, ()) for run, alert in self._store.alerts() if alert.id not in known
            and hears(self._receiver, rule=alert.rule, severity=alert.severity, run_id=run.id, log=run.log,
                      tags=alert.tags, reason="first")
            and self._store.concerns(self.name, alert.id)
        ]  # fmt: skip

    # -- what became of it

    def _send(self, message: Message) -> Outcome:
        try:
            outcome = self._notifier.send(message)
            return replace(outcome, reason=self._terms.redact(outcome.reason))  # a command may give any secret away
        except Exception as error:
            log.exception("%s: defect in the notifier", self.name)
            return Outcome("later", f"defect: {type(error).__name__}")

    def _write(self, what: Callable[[], None]) -> None:
        """Write down what became of a delivery; if that fails, it is the first thing to be done next time."""
        self._unwritten = what
        what()
        self._unwritten = None

    def _after(self, state: DestinationState, outcome: Outcome, now: float, counts: bool = True) -> DestinationState:
        """Return what is known of the destination after *outcome*; say what a person should know."""
        health = state.health
        kind, times = self._failed
        self._failed = outcome.kind, times + 1 if outcome.kind == kind else 1
        self._is_afresh = False
        if outcome.kind == "sent":
            if state.failures:
                log.info("%s: delivers again, after %d failures", self.name, state.failures)
            health = replace(health, sent=health.sent + counts, last_sent_at=now, last_reason="", next_at=None)
            return DestinationState(0, now, health)
        failures = state.failures + 1
        next_at = self._next_at(failures, outcome, now)
        self._again_at = self._terms.clock.steady() + next_at - now
        level = logging.ERROR if outcome.kind == "rejected" else logging.WARNING
        is_news = failures == 1 or outcome.reason != health.last_reason
        log.log(
            level if is_news else logging.DEBUG, "%s: %s: %s; next attempt in %.0f s",
            self.name, KIND_WORDS[outcome.kind], outcome.reason, next_at - now,
        )  # fmt: skip
        health = replace(
            health, failed=health.failed + 1, last_failed_at=now, last_reason=outcome.reason, next_at=next_at
        )
        return DestinationState(failures, now, health)

    def _next_at(self, failures: int, outcome: Outcome, now: float) -> float:
        """Return when to try again after so many *failures* in a row, the last of them with *outcome*."""
        jitter, (_, alike) = self._terms.jitter(), self._failed
        if outcome.kind == "rejected":
            return rejected_at(alike, now, jitter)
        if outcome.kind == "refused" and self._notifier.style == "state":
            return now + self._notifier.refresh_s  # the rest of the state was taken, and would be forgotten
        if outcome.kind == "refused":
            return retry_at(_REFUSED_DOUBLINGS + alike, now, None, jitter)
        return retry_at(failures, now, outcome.retry_after, jitter)

    def _is_refused(self) -> bool:
        kind, times = self._failed
        return kind == "refused" and times >= _REFUSALS

    def _give_up(self, title: str, outcome: Outcome, state: DestinationState) -> DestinationState:
        """Say that a message is given up; return what is known of the destination then."""
        log.error("%s: gave up %r: %s", self.name, title, outcome.reason)
        health = replace(state.health, given_up=state.health.given_up + 1)
        is_over = self._is_refused() and self._notifier.style != "state"
        if self._is_refused():
            self._failed = "sent", 0
        if is_over:  # what comes next may well be taken
            return DestinationState(0, state.attempted_at, replace(health, next_at=None))
        return state._replace(health=health)


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
            before.join()  # it may be delivering what we would deliver again, and fail by the old settings
            courier.begin_afresh()
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


def _timely(row: Row, now: float, quiet_end: float | None) -> Row:
    """Return *row* with the time at which it is due, by a clock that may have been set since it was made.

    What is late, because others were in front of it, waits for the end of the quiet hours too.
    """
    due = now if row.created_at > now else row.due
    if quiet_end is not None and due <= now and not _is_urgent(News(row.alert, row.run, (row.reason,))):
        due = quiet_end
    return row._replace(due=due)


def _is_urgent(news: News) -> bool:
    """Tell whether *news* is told in quiet hours too."""
    return news.alert.severity == "critical" and not {"first", "escalated"}.isdisjoint(news.reasons)


def _numbers(waiting: Sequence[Waiting]) -> list[int]:
    return [number for w in waiting for number in w.ids]


def _is_new(waiting: Waiting) -> bool:
    """Tell whether something has begun or goes on: not merely the end of what was told before."""
    return not waiting.news.is_over or "first" in waiting.news.reasons
