"""The service: follows what the config names, decides who is told, and keeps it all in the store.

One thread reads and decides; the couriers (`nanwatch.delivery`) deliver. What was read, what it showed and who is to
be told of it are saved together, so a kill at any moment loses nothing and repeats at most what was under way.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from nanwatch import __version__
from nanwatch.clock import Clock
from nanwatch.config import Config
from nanwatch.delivery import Deliveries, Terms
from nanwatch.doubts import doubts
from nanwatch.errors import UsageError
from nanwatch.facts import weights_facts
from nanwatch.keeping import Keeping
from nanwatch.model.alert import Alert
from nanwatch.model.health import Health
from nanwatch.model.run import Run
from nanwatch.notify.receivers import Destination, open_destinations, secrets_of
from nanwatch.redaction import Redactor
from nanwatch.rules.base import make_rules
from nanwatch.scanning import Scanning
from nanwatch.store import Store, Told
from nanwatch.tail.discover import Discovery
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import open_wake
from nanwatch.telling import Batch, Telling
from nanwatch.watch import Kept, Watch
from nanwatch.weighing import Weighing

_TURN_S = 1.0
"""So long one look may take: then what it showed is saved, and signals are answered."""
_HEALTH_S = 5.0
_PRUNE_S = 3600.0
_DRAIN_S = 3.0
_NATIVE_S, _POLLED_S = 10.0, 2.0
"""Seconds after which every log is looked at anyway, where events wake us and where they cannot."""

log = logging.getLogger("nanwatch.daemon")


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a config asks for, built before anything that runs is touched."""

    config: Config
    destinations: list[Destination]
    redactor: Redactor


def set_up(config: Config) -> Setup:
    """Build what *config* asks for.

    Raises:
        UsageError: something in it cannot be had; nothing was changed.
    """
    if "-" in config.logs:
        raise UsageError("logs: standard input can only be followed by nanwatch tail -")
    make_rules(config.rules)
    destinations = open_destinations(config.receivers, host_of(config))
    return Setup(config, destinations, Redactor(secrets_of(config.receivers)))


def host_of(config: Config) -> str:
    """Return what this machine is called in messages."""
    return config.notify.host or socket.gethostname()


class Service:
    """Follows, decides and saves, a `step` at a time.

    *load* reads the config, at first and for a reload; *redact* is given what must not be shown of it.

    Raises:
        UsageError: the config cannot be used.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        store: Store,
        clock: Clock,
        redact: Callable[[Redactor], None] = lambda _: None,
    ) -> None:
        self._load, self._store, self._clock, self._redact = load, store, clock, redact
        setup = set_up(load())
        redact(setup.redactor)
        self._started_at = clock.now()
        self._stopping = self._reloading = False
        self._looked_at = self._told_at = self._pruned_at = float("-inf")
        self._problems: set[str] = set()
        self._bytes_before = self._frames_before = 0
        self._keeping = Keeping(store, clock)
        self._weighing = Weighing(Scanning(clock), setup.config.checkpoints)
        kept, again = self._keeping.kept()
        stale = {path for path, log in kept.items() if _is_stale(path, log, clock.now() - setup.config.daemon.history)}
        is_first = self._is_first_start = not store.has_looked
        hushed = again | (kept.keys() - stale if is_first else set())
        self._telling = Telling(clock, kept.keys() | again, stale, hushed, is_first=is_first, weigh=self._weigh)
        anew, lost = store.mend()
        if anew or lost:
            log.error("of another version: %d messages are made anew, %d pieces of news are lost", anew, lost)
        self._use(setup, kept, None)

    # -- life

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; reload at SIGHUP."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        tell_manager("READY=1")
        while not self._stopping:
            if self._reloading:
                self._reloading = False
                self.reload()
            self.step(_TURN_S)
        tell_manager("STOPPING=1")
        self.close()

    def step(self, timeout: float = 0.0) -> None:
        """Wait up to *timeout* seconds for something new; take note of what it tells, and save it."""
        asked = self._has_been_asked()
        for run, notice in self._watch.look(timeout):
            if isinstance(notice, Alert):
                self._telling.take(run, notice, self._watch)
        released = self._take_weights()
        if self._watch.clock_step:
            log.warning("the clock was set by %+.0f s, or the machine was suspended", self._watch.clock_step)
        steady = self._clock.steady()
        if self._has_been_asked() or asked:
            self._told_at = float("-inf")  # before a courier tells what somebody has just silenced
        if steady - self._told_at >= _TURN_S:
            self._told_at = steady
            self._telling.look_again(self._watch)
        is_saved = self._save()
        if is_saved and released and self._try(lambda: self._store.hasten(released)):
            self._deliveries.wake()
        if is_saved and self._is_first_start and self._watch.is_live:
            self._is_first_start = not self._try(lambda: self._store.note_look(self._clock.now()))
        if steady - self._looked_at >= _HEALTH_S:
            self._looked_at = steady
            self._look_after_itself()

    def close(self) -> None:
        """Save what was read, let the deliveries under way end, close everything."""
        self._deliveries.stop()
        self._weighing.close()
        self._keeping.hurry()
        self._save()
        self._watch.close()
        if not self._deliveries.join(_DRAIN_S, self._clock):
            log.warning("stopped while a delivery was under way; it will be repeated")
        now = self._clock.now()
        self._try(lambda: self._store.set_health(replace(self._health(now), stopped_at=now)))
        self._store.database.close()
        log.info("stopped")

    def reload(self) -> bool:
        """Read the config anew and go on with it, or with the old one where it cannot be used; return which."""
        try:
            setup = set_up(self._load())
        except UsageError as error:
            log.error("not reloaded, the old config stays in force: %s", error)  # noqa: TRY400 - one line says it
            return False
        self._keeping.hurry()
        if not self._save() or not self._try(self._store.reset_destinations):
            log.error("not reloaded, the old config stays in force")
            return False
        # From here on nothing can fail.
        kept = {path: kept for path in self._watch.pipelines if (kept := self._watch.keep(path)) is not None}
        self._watch.close()
        self._deliveries.stop()
        self._redact(setup.redactor)
        self._bytes_before, self._frames_before = self._have_read()
        self._use(setup, kept, self._deliveries)
        log.info("reloaded")
        return True

    def _use(self, setup: Setup, kept: dict[Path, Kept], before: Deliveries | None) -> None:
        """Work by *setup* from now on; go on with the logs *kept*, and take over the deliveries of *before*."""
        self.config = setup.config
        discovery = Discovery(self.config.logs)
        gone = [path for path in kept if not discovery.may_find(path)]
        self._forget(gone)
        self._watch = self._open_watch(discovery, {path: log for path, log in kept.items() if path not in gone})
        self._telling.use(setup.config, setup.destinations)
        self._weighing.use(setup.config.checkpoints)
        self._try(self._ask_people)
        self._try(lambda: self._telling.compare(self._watch, self._store.alerts()))
        terms = Terms(setup.config.notify, host_of(setup.config), self._clock, redact=setup.redactor)
        self._deliveries = Deliveries(setup.destinations, self._store, terms, before)
        names = [destination.name for destination in setup.destinations]
        self._try(lambda: self._welcome(names))
        self._deliveries.start()
        log.info("following %s; telling %s", ", ".join(setup.config.logs), ", ".join(names) or "nobody")
        if not names:
            log.warning("nobody is told: the config names no receiver")
        for doubt in doubts(setup.config, setup.destinations):
            log.warning("%s", doubt)

    def _welcome(self, names: list[str]) -> None:
        """Tell the destinations that are new what fires; give up what waits for those that are gone."""
        for name in self._store.give_up(names, self._clock.now()):
            log.error("%s: no longer in the config; what waited for it is given up", name)
        self._telling.tell_new(self._watch, set(names) - self._store.known_destinations())
        if self._save():
            self._store.set_destinations(names)

    def _forget(self, paths: list[Path]) -> None:
        if paths and self._try(lambda: self._keeping.forget(paths)):
            self._telling.forget(paths)

    def _open_watch(self, discovery: Discovery, kept: dict[Path, Kept]) -> Watch:
        discovery.scan()
        wake = open_wake(discovery.folders())
        if wake.note:
            log.warning("%s", wake.note)
        tailer = Tailer(
            self.config.logs, wake, recheck_s=_NATIVE_S if wake.kind == "native" else _POLLED_S,
            positions={path: log.position for path, log in kept.items()}, clock=self._clock,
        )  # fmt: skip
        return Watch(tailer, self.config, self._clock, kept=kept, turn_s=_TURN_S, is_service=True)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of a handler
        self._stopping = True

    def _on_reload(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._reloading = True

    # -- what it does at each step

    def _has_been_asked(self) -> bool:
        """Take over what people have asked for since the last step; return whether they have."""
        changed: list[bool] = []
        self._try(lambda: changed.append(self._store.database.changed_outside()))
        return any(changed) and self._try(self._ask_people)

    def _try(self, what: Callable[[], object]) -> bool:
        """Do something with the store; return whether it could be done, and say why not."""
        try:
            what()
        except sqlite3.Error as error:
            log.error("the store cannot be used: %s", error)  # noqa: TRY400 - one line says it
            return False
        return True

    def _ask_people(self) -> None:
        """Take over the silences and acknowledgements that people have set through the store."""
        now = self._clock.now()
        set_by_people = (stored.silence for stored in self._store.silences())
        holding = [s for s in set_by_people if s.ends_at is None or s.ends_at > now]
        self._watch.silence([*self.config.alerts.silences, *holding])
        self._telling.answer(self._store.requests(), self._watch)

    def _weigh(self, run: Run, alert: Alert) -> bool:
        """Have the checkpoints of *run* looked through if *alert* is worth it; return whether that is under way."""
        pipeline = self._watch.pipeline(Path(run.log))
        return self._weighing.ask(run, alert, [] if pipeline is None else pipeline.alerts_of(run))

    def _take_weights(self) -> list[Told]:
        """Take what was found in checkpoints; return the news that need wait for it no longer."""
        released = []
        for run, weights in self._weighing.poll():
            if weights is not None:
                self._keeping.note_weights(run, weights_facts(weights))
            released += self._telling.release(run.id)
        return released

    def _save(self) -> bool:
        """Save what is due; return whether it could be saved."""
        if self._store.database.was_replaced():
            if self._store.database.was_torn():
                self._telling.doubt(self._watch)
            self._keeping.save_all_next(self._watch)
        batch = self._telling.batch
        if not self._keeping.save(self._watch, batch, self.config.tags):
            return False
        self._telling.batch = Batch()
        if batch.news:
            self._deliveries.wake()
        return True

    def _look_after_itself(self) -> None:
        """Say what cannot be read, forget what is gone, and write down how the daemon fares."""
        now, steady = self._clock.now(), self._clock.steady()
        if gone := self._watch.forget_gone():
            log.info("no longer followed, since they are gone: %s", ", ".join(map(str, gone)))
            self._forget(gone)
        idle = {f"{pattern}: no log yet" for pattern in self._watch.idle}
        problems = {*self._watch.problems, *idle}
        for problem in sorted(problems - self._problems):
            log.log(logging.INFO if problem in idle else logging.WARNING, "%s", problem)
        self._problems = problems
        if steady - self._pruned_at >= _PRUNE_S and self._try(lambda: self._store.prune(now)):
            self._pruned_at = steady
        self._try(lambda: self._store.set_health(self._health(now)))

    def _have_read(self) -> tuple[int, int]:
        """Return how many bytes and frames were read since the start."""
        frames = sum(pipeline.frames for pipeline in self._watch.pipelines.values())
        return self._bytes_before + self._watch.bytes_read, self._frames_before + frames

    def _health(self, now: float) -> Health:
        watch, logs = self._watch, self._watch.logs
        bytes_read, frames = self._have_read()
        return Health(
            pid=os.getpid(), host=host_of(self.config), version=__version__, started_at=self._started_at, seen_at=now,
            config=self.config.path or "", followed=len(logs), bytes_behind=sum(f.bytes_behind for f in logs),
            bytes_read=bytes_read, frames=frames, wake=watch.wake_kind, problems=tuple(sorted(self._problems)[:20]),
            degraded=self._store.database.degraded,
        )  # fmt: skip


def _is_stale(path: Path, kept: Kept, old: float) -> bool:
    """Tell whether a log last grew before *old*, and not since it was last read."""
    try:
        return kept.grew_at < old and path.stat().st_mtime <= kept.grew_at + 1.0
    except OSError:
        return kept.grew_at < old


def tell_manager(state: str) -> None:
    """Tell the service manager (systemd) that asked for it how the service stands."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
        except OSError as error:
            log.warning("the service manager cannot be told: %s", error.strerror)
