"""Who is to be told of which alert: news for the outbox, silences and acknowledgements, and what is only history."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanwatch.alerts.dispatch import decide, mark_told
from nanwatch.clock import Clock
from nanwatch.config import Config
from nanwatch.facts import alert_id
from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.notify.receivers import Destination
from nanwatch.notify.routing import hears, tags_of
from nanwatch.notify.schedule import due_at
from nanwatch.store import Request, Told
from nanwatch.watch import Watch

log = logging.getLogger("nanwatch.daemon")


@dataclass(slots=True)
class Batch:
    """What is to be saved at once: news, the alerts that changed (by their ids), and the requests that are answered."""

    news: list[Told] = field(default_factory=list)
    alerts: dict[str, tuple[Run, Alert]] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.news or self.alerts or self.answered)


class Telling:
    """Decides for each alert whether somebody is told, and collects that in `batch`.

    What stood in a log before nanwatch knew it may be history. A log that has not grown for `daemon.history` is
    *stale*: nobody is told of it until it grows again. At the very first start, a log is *hushed* until it is read
    to its end: then what fires is told, and what is over is not.
    """

    def __init__(self, clock: Clock, known: Iterable[Path], stale: Iterable[Path], *, is_first_start: bool) -> None:
        self._clock = clock
        self._known, self._stale = set(known), set(stale)
        self._hushed: set[Path] = set()
        self._is_first_start = is_first_start
        self._config, self._destinations = Config(), list[Destination]()
        self.batch = Batch()

    def use(self, config: Config, destinations: Sequence[Destination]) -> None:
        """Decide by *config* from now on, for these *destinations*."""
        self._config, self._destinations = config, list(destinations)

    def take(self, run: Run, alert: Alert, watch: Watch) -> None:
        """Take note of *alert*, which has changed."""
        path, now = Path(run.log), self._clock.now()
        self.batch.alerts[alert_id(run.log, alert.id)] = run, alert
        if path not in self._known:
            self._meet(path, now, watch)
        if self._is_stale(path, now):
            mark_told(alert, now)
        elif path not in self._hushed:
            self._tell(run, alert, now)

    def look_again(self, watch: Watch) -> None:
        """Tell what goes on firing, is no longer silenced, or is no history any more, although nothing changed."""
        now = self._clock.now()
        if watch.is_live:
            self._hushed.clear()
        for path, pipeline in watch.pipelines.items():
            if path in self._hushed or self._is_stale(path, now):
                continue
            is_old = now - watch.grew_at(path) > self._config.daemon.history
            for alert in pipeline.firing:
                is_done_with = is_old or (pipeline.has_ended and alert.severity != "critical")
                if alert.notified is None or not is_done_with:
                    self._tell(pipeline.runs[-1], alert, now)

    def doubt(self, watch: Watch) -> None:
        """Take nothing that fires for told: nobody knows any more, and a lost alert is worse than a second one."""
        for path, pipeline in watch.pipelines.items():
            for alert in pipeline.firing if path not in self._stale else ():
                alert.notified = None

    def answer(self, requests: Iterable[Request], watch: Watch) -> None:
        """Acknowledge the alerts that people have asked for, or take that back."""
        firing = {
            alert_id(str(path), alert.id): (pipeline, alert)
            for path, pipeline in watch.pipelines.items()
            for alert in pipeline.firing
        }
        for request in requests:
            self.batch.answered.append(request.number)
            if request.alert not in firing:
                log.warning("alert %s is not acknowledged: it does not fire", request.alert)
                continue
            pipeline, alert = firing[request.alert]
            pipeline.acknowledge(alert.id, request.acknowledged_at)
            self.batch.alerts[request.alert] = pipeline.runs[-1], alert

    def _meet(self, path: Path, now: float, watch: Watch) -> None:
        """Decide what is history of a log that is new to the store."""
        self._known.add(path)
        self._stale.add(path)
        if not self._is_stale(path, now) and self._is_first_start and not watch.is_live:
            self._hushed.add(path)

    def _is_stale(self, path: Path, now: float) -> bool:
        """Tell whether a log that was stale still is."""
        if path not in self._stale:
            return False
        try:
            grew_at = path.stat().st_mtime
        except OSError:  # it went away just now
            grew_at = now
        if now - grew_at <= self._config.daemon.history:
            self._stale.discard(path)
        return path in self._stale

    def _tell(self, run: Run, alert: Alert, now: float) -> None:
        reason = decide(alert, now, self._config.alerts.repeat_interval)
        if reason is None:
            return
        mark_told(alert, now)
        identity = alert_id(run.log, alert.id)
        self.batch.alerts[identity] = run, alert
        tags = tags_of(alert.rule, run.id, run.log, self._config.tags)
        for destination in self._destinations:
            receiver = destination.receiver
            if hears(
                receiver, rule=alert.rule, severity=alert.severity, run_id=run.id, log=run.log, tags=tags, reason=reason
            ):  # fmt: skip
                due = due_at(alert.severity, reason, now, self._config.notify, receiver.quiet_hours)
                self.batch.news.append(Told(destination.name, identity, reason, due))
