"""When what the daemon knows goes into the store, and how it comes back from there."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from nanwatch.clock import Clock
from nanwatch.config import Tag
from nanwatch.facts import alert_facts, alert_id, run_facts
from nanwatch.model.alert import Alert
from nanwatch.model.news import AlertFacts, RunFacts, WeightsFacts
from nanwatch.model.run import Run
from nanwatch.notify.routing import tags_of
from nanwatch.pipeline import LogPipeline, dump_state, load_state
from nanwatch.runs.status import status_of
from nanwatch.store import SavedLog, Store
from nanwatch.telling import Batch
from nanwatch.watch import Kept, Watch

_SAVE_S, _SAVE_SHARE = 10.0, 0.05
"""How far logs were read is saved so often, but that may take no more than this share of the time."""

log = logging.getLogger("nanwatch.daemon")


class Keeping:
    """Saves at once what concerns people, with the logs that it came from; the other logs now and then.

    A log's offset, its pipeline's state, its alerts and the news of them are always saved together.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._dirty: set[Path] = set()
        self._saved_at: float | None = None
        self._save_every = _SAVE_S
        self._saved: set[Path] = set()
        self._noticed: dict[str, dict[str, float]] = {}
        self._weights: dict[str, dict[str, WeightsFacts]] = {}
        self._weighed: dict[str, Run] = {}
        for known in store.runs():
            if known.weights is not None:
                self._weights.setdefault(known.log, {})[known.id] = known.weights
        for run, alert in store.alerts():
            self._noticed.setdefault(run.log, {})[alert.id] = alert.noticed_at

    def kept(self) -> tuple[dict[Path, Kept], set[Path]]:
        """Return the logs that the store knows, to go on with; and those that are to be read again.

        These are of another version, whose state cannot be read.
        """
        found, again = {}, set()
        for saved in self._store.logs():
            state = load_state(saved.state)
            if state is None:
                log.info("%s: is read again, since its state is of another version", saved.path)
                again.add(Path(saved.path))
            else:
                found[Path(saved.path)] = Kept(saved.position, state, saved.grew_at)
        self._saved = set(found)
        return found, again

    def forget(self, paths: Iterable[Path]) -> None:
        """Forget logs that are followed no more, here and in the store."""
        for path in (gone := list(paths)):
            self._noticed.pop(str(path), None)
            self._weights.pop(str(path), None)
            self._saved.discard(path)
            self._dirty.discard(path)
        self._store.forget(map(str, gone))

    def note_weights(self, run: Run, weights: WeightsFacts) -> None:
        """Take note of what the checkpoints of *run* hold, and let the next `save` save that."""
        self._weights.setdefault(run.log, {})[run.id] = weights
        self._weighed[run.id] = run  # by now another may have begun in its log
        self._dirty.add(Path(run.log))
        self.hurry()

    def hurry(self) -> None:
        """Let the next `save` save all that has changed."""
        self._saved_at = None

    def save_all_next(self, watch: Watch) -> None:
        """Let the next `save` save every log, changed or not."""
        self._dirty |= set(watch.pipelines)
        self.hurry()

    def save(self, watch: Watch, batch: Batch, tags: Sequence[Tag]) -> bool:
        """Save what is due, after a look of *watch*; return whether *batch* and all that belongs to it is saved."""
        self._dirty |= watch.changed
        steady = self._clock.steady()
        is_due = self._saved_at is None or steady - self._saved_at >= self._save_every
        # A log that no store knows would be read from its newest file after a kill: what was rotated away is lost.
        urgent = {Path(run.log) for run, _ in batch.alerts.values()} | (self._dirty - self._saved)
        paths = urgent | (self._dirty if is_due else set())
        if not (batch or paths):
            return True
        try:
            self._write(watch, paths, batch, tags)
        except sqlite3.Error as error:
            log.error("the store cannot be written: %s", error)  # noqa: TRY400 - one line says it
            return False
        self._dirty -= paths
        self._saved |= paths
        self._weighed = {run_id: run for run_id, run in self._weighed.items() if Path(run.log) not in paths}
        if is_due:
            self._saved_at = steady
            self._save_every = max(_SAVE_S, (self._clock.steady() - steady) / _SAVE_SHARE)
        return True

    def _write(self, watch: Watch, paths: Collection[Path], batch: Batch, tags: Sequence[Tag]) -> None:
        facts = _Facts(watch, tags, self._noticed, self._weights, self._clock.now())
        logs = []
        for path in paths:
            pipeline = watch.pipeline(path)
            if pipeline is not None:
                if (kept := watch.keep(path)) is not None:
                    current = pipeline.runs[-1].id
                    logs.append(SavedLog(str(path), kept.position, dump_state(kept.state), kept.grew_at, current))
                facts.add(pipeline, pipeline.runs[-1], pipeline.firing)
        for run, alert in batch.alerts.values():
            if (pipeline := watch.pipeline(Path(run.log))) is not None:
                facts.add(pipeline, run, [alert])
        for run in self._weighed.values():
            if Path(run.log) in paths and (pipeline := watch.pipeline(Path(run.log))) is not None:
                facts.add(pipeline, run, [])
        for told_run, told in batch.facts:
            facts.runs.setdefault(told_run.id, told_run)
            facts.alerts.setdefault(told.id, (told_run, told))
        self._store.save(
            logs, facts.runs.values(), facts.alerts.values(), batch.news, self._clock.now(), batch.answered
        )  # fmt: skip


class _Facts:
    """Collects the facts of runs and alerts, each once."""

    def __init__(
        self, watch: Watch, tags: Sequence[Tag], noticed: dict[str, dict[str, float]],
        weights: Mapping[str, Mapping[str, WeightsFacts]], now: float,
    ) -> None:  # fmt: skip
        self._watch, self._tags, self._noticed, self._weights, self._now = watch, tags, noticed, weights, now
        self.runs: dict[str, RunFacts] = {}
        self.alerts: dict[str, tuple[RunFacts, AlertFacts]] = {}

    def add(self, pipeline: LogPipeline, run: Run, alerts: Iterable[Alert]) -> None:
        status = status_of(run, pipeline.alerts_of(run))
        grew_at, weights = self._watch.grew_at(Path(run.log)), self._weights.get(run.log, {}).get(run.id)
        facts = self.runs[run.id] = run_facts(run, status, grew_at, weights)
        noticed = self._noticed.setdefault(run.log, {})
        for alert in alerts:
            identity = alert_id(run.log, alert.id)
            noticed_at = noticed.setdefault(identity, self._now)
            if alert.state == "resolved":
                del noticed[identity]
            tags = tags_of(alert.rule, run.id, run.log, self._tags)
            self.alerts[identity] = facts, alert_facts(alert, run.log, noticed_at, tags)
