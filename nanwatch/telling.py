"""Who is to be told of which alert: news for the outbox, silences and acknowledgements, and what is only history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nanwatch.alerts.dispatch import decide, mark_told
from nanwatch.clock import Clock
from nanwatch.config import Config
from nanwatch.facts import alert_facts, alert_id
from nanwatch.model.alert import Alert, Reason
from nanwatch.model.news import AlertFacts, RunFacts
from nanwatch.model.run import Run
from nanwatch.notify.receivers import Destination
from nanwatch.notify.routing import hears, tags_of
from nanwatch.notify.schedule import due_at
from nanwatch.store import Request, Told
from nanwatch.watch import Watch

log = logging.getLogger("nanwatch.daemon")


@dataclass(slots=True)
class Batch:
    """What is to be saved at once: news, the alerts that changed (by their ids, or as facts), and answered requests."""

    news: list[Told] = field(default_factory=list)
    facts: list[tuple[RunFacts, AlertFacts]] = field(default_factory=list)
    alerts: dict[str, tuple[Run, Alert]] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.news or self.facts or self.alerts or self.answered)


class Telling:
    """Decides for each alert whether somebody is told, and collects that in `batch`.

    What stood in a log before nanwatch knew it may be history. A log that has not grown for `daemon.history` is
    *stale*: nobody is told of it until it grows again. A log is *hushed* at the very first start, or when what was
    known of it cannot be read any more, until all logs are read to their end: then what fires is told, unless
    somebody knows already, and what is over is not. *weigh* is asked of each alert that is told; it tells whether the
    run's checkpoints are being looked through for it: a critical message waits for that, a while.
    """

    def __init__(
        self, clock: Clock, known: Iterable[Path], stale: Iterable[Path], hushed: Iterable[Path], *, is_first: bool,
        weigh: Callable[[Run, Alert], bool] = lambda _run, _alert: False,
    ) -> None:  # fmt: skip
        self._clock, self._weigh = clock, weigh
        self._known, self._stale, self._hushed = set(known), set(stale), set(hushed)
        self._is_first = is_first
        self._suppressed: dict[str, tuple[str, ...]] = {}
        self._before: dict[str, tuple[RunFacts, AlertFacts]] = {}
        self._config, self._destinations = Config(), list[Destination]()
        self._held: dict[str, list[Told]] = {}
        self.batch = Batch()

    def use(self, config: Config, destinations: Sequence[Destination]) -> None:
        """Decide by *config* from now on, for these *destinations*."""
        self._config, self._destinations = config, list(destinations)

    def release(self, run_id: str) -> list[Told]:
        """Let no news of this run wait for its checkpoints any longer; return what did, due when it else were."""
        return self._held.pop(run_id, [])

    def take(self, run: Run, alert: Alert, watch: Watch) -> None:
        """Take note of *alert*, which has changed."""
        path, now = Path(run.log), self._clock.now()
        self._note(run, alert)
        if path not in self._known:
            self._meet(path, now, watch)
        if self._is_stale(path, now):
            mark_told(alert, now)
        elif path not in self._hushed:
            self._tell(run, alert, now)

    def look_again(self, watch: Watch) -> None:
        """Tell what goes on firing, is no longer silenced, or is no history any more, although nothing changed.

        What is silenced, or no longer, is saved: the couriers ask the store.
        """
        now = self._clock.now()
        if watch.is_live:
            self._end_hush(watch)
        for path, pipeline in watch.pipelines.items():
            for alert in pipeline.firing:
                if alert.suppressed != self._suppressed.get(alert_id(str(path), alert.id), ()):
                    self._note(pipeline.runs[-1], alert)
            if path in self._hushed or (path in self._stale and path not in watch.changed) or self._is_stale(path, now):
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

    def compare(self, watch: Watch, stored: Iterable[tuple[RunFacts, AlertFacts]]) -> None:
        """End the *stored* alerts that fire no more: their rule was taken out of the config, or renamed.

        Those of hushed logs are kept in mind instead: whoever was told of them need not be told again.
        """
        firing = {alert_id(str(p), a.id) for p, pipeline in watch.pipelines.items() for a in pipeline.firing}
        for run, facts in stored:
            path = Path(run.log)
            if path in self._hushed:
                self._before[facts.id] = run, facts
            elif facts.id not in firing and watch.pipeline(path) is not None:
                over = replace(facts, state="resolved", resolved_at=self._clock.now())
                self.batch.facts.append((run, over))
                if facts.told is not None:
                    self._queue(run.id, run.log, over, "resolved", self._destinations)

    def tell_new(self, watch: Watch, names: Collection[str]) -> None:
        """Tell the destinations with these *names*, which are new, what fires and others know already."""
        chosen = [destination for destination in self._destinations if destination.name in names]
        for path, pipeline in watch.pipelines.items() if chosen else ():
            run = pipeline.runs[-1]
            for alert in pipeline.firing if path not in self._stale else ():
                if alert.notified is not None and not alert.suppressed:
                    self._note(run, alert)
                    facts = alert_facts(alert, run.log, 0.0, tags_of(alert.rule, run.id, run.log, self._config.tags))
                    self._queue(run.id, run.log, facts, "first", chosen)

    def forget(self, paths: Iterable[Path]) -> None:
        """Forget logs that are followed no more."""
        gone = set(paths)
        self._known -= gone
        self._stale -= gone
        self._hushed -= gone

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
            pipeline.acknowledge(alert.id, request.acknowledged_at, self._clock.now())
            self._note(pipeline.runs[-1], alert)

    def _note(self, run: Run, alert: Alert) -> None:
        """Let *alert* be saved as it is now."""
        identity = alert_id(run.log, alert.id)
        self.batch.alerts[identity] = run, alert
        if alert.state == "firing":
            self._suppressed[identity] = alert.suppressed
        else:
            self._suppressed.pop(identity, None)

    def _meet(self, path: Path, now: float, watch: Watch) -> None:
        """Decide what is history of a log that is new to the store."""
        self._known.add(path)
        self._stale.add(path)
        if not self._is_stale(path, now) and self._is_first and not watch.is_live:
            self._hushed.add(path)

    def _end_hush(self, watch: Watch) -> None:
        """Take for told, in logs that were hushed, what people were told when they were known."""
        for path in self._hushed if self._before else ():
            pipeline = watch.pipeline(path)
            for alert in pipeline.firing if pipeline is not None else ():
                before = self._before.get(alert_id(str(path), alert.id))
                if before is not None and pipeline is not None:
                    alert.notified, alert.notified_at = before[1].told, self._clock.now()  # type: ignore[assignment]
                    if "acknowledged" in before[1].suppressed:
                        pipeline.acknowledge(alert.id, self._clock.now(), self._clock.now())
        self._hushed.clear()
        self._is_first = False
        known_before, self._before = self._before, {}
        self.compare(watch, known_before.values())

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
        self._note(run, alert)
        tags = tags_of(alert.rule, run.id, run.log, self._config.tags)
        waits = reason != "resolved" and self._weigh(run, alert) and alert.severity == "critical"
        facts = alert_facts(alert, run.log, now, tags)
        self._queue(run.id, run.log, facts, reason, self._destinations, holds=waits)

    def _queue(
        self, run_id: str, log_path: str, alert: AlertFacts, reason: Reason, chosen: Iterable[Destination], *,
        holds: bool = False,
    ) -> None:  # fmt: skip
        """Let those of the *chosen* destinations be told of *alert* that hear of it; *holds*: in a while."""
        now = self._clock.now()
        for destination in chosen:
            receiver = destination.receiver
            if hears(
                receiver, rule=alert.rule, severity=alert.severity, run_id=run_id, log=log_path, tags=alert.tags,
                reason=reason,
            ):  # fmt: skip
                due = due_at(alert.severity, reason, now, self._config.notify, receiver.quiet_hours)
                told = Told(destination.name, alert.id, reason, due)
                held_until = now + self._config.checkpoints.wait
                if holds and due < held_until:
                    self._held.setdefault(run_id, []).append(told)
                    told = replace(told, due=held_until)
                self.batch.news.append(told)
