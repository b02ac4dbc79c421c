"""A watch -> snapshots and back: what the logs tell is handed over, what people ask for is done. No thread in here."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from nanwatch.clock import Clock
from nanwatch.config import Config
from nanwatch.facts import alert_id
from nanwatch.model.alert import Alert, Silence
from nanwatch.model.checkpoint import Weights
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.model.run import Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.model.update import Update
from nanwatch.pipeline import LogPipeline
from nanwatch.pipewatch import PipeWatch
from nanwatch.sharing import Sharing
from nanwatch.snapshots import Snapshots
from nanwatch.tail.follower import Follower
from nanwatch.watch import Watch
from nanwatch.weighing import Weighing

_PUBLISH_S = 0.4
_SHARE_S = 1.0
_RENEW_S = 5.0
_SETTLED_S = 3.0
"""Seconds after which an alert is news: what stood in the logs has been judged by then, their silence too."""
_HEAD, _TAIL = 1 << 14, 1 << 18
_TAIL_WORTH = 1 << 24
"""Bytes of a log from which on its end is looked at first: the rest takes a while."""
_TAILS_S = 0.25
"""Seconds for which ends are looked at."""


class Following:
    """Reads what comes to the logs of *watch* and calls *hand_over* with what changed, a few times a second.

    What people ask for holds here at once, and reaches the daemon and other faces through *sharing*. *weighing* finds
    which checkpoint is clean of a run that is lost.
    """

    def __init__(
        self,
        watch: Watch | PipeWatch,
        config: Config,
        clock: Clock,
        hand_over: Callable[[Update], None],
        sharing: Sharing | None = None,
        weighing: Weighing | None = None,
    ) -> None:
        self._watch, self._config, self._clock, self._sharing = watch, config, clock, sharing
        self._weighing, self._weights = weighing, dict[str, Weights]()
        self._hand_over = hand_over
        self._logs: dict[Path, Snapshots] = {}
        self._shown: dict[Path, Snapshot] = {}
        self._changed: set[Path] = set()
        self._critical: list[tuple[Path, Alert]] = []
        self._published_at = self._shared_at = self._renewed_at = float("-inf")
        self._own_acks: dict[str, float | None] = {}
        self._own_silences: list[Silence] = []
        self._silences: Sequence[Silence] = config.alerts.silences
        self._live_at: float | None = None
        self._last: Update | None = None

    def close(self) -> None:
        """Close every log, and the store."""
        self._watch.close()
        for part in (self._sharing, self._weighing):
            if part is not None:
                part.close()

    def nudge(self) -> None:
        """Let a step that waits go on at once; from any thread."""
        self._watch.nudge()

    @property
    def waits_long(self) -> bool:
        """Whether a step may be let wait for long: what comes wakes it."""
        return isinstance(self._watch, Watch) and self._watch.is_live

    @property
    def is_live(self) -> bool:
        """Whether what stood in the logs at first has been read."""
        return self._watch.is_live

    @property
    def is_over(self) -> bool:
        """Whether nothing will ever come: the pipe was closed."""
        return isinstance(self._watch, PipeWatch) and self._watch.at_end

    def step(self, timeout: float = 0.0, wishes: Iterable[Callable[[Following], None]] = ()) -> None:
        """Fulfil *wishes*, wait up to *timeout* seconds for something new, and hand over what is due."""
        wishes = list(wishes)
        for wish in wishes:
            wish(self)
        if self._changed:  # what is known is not kept back for longer than it takes to hand it over together
            timeout = min(timeout, max(0.0, self._published_at + _PUBLISH_S - self._clock.steady()))
        if not self.is_over:
            self._read(0.0 if wishes else timeout)
        steady = self._clock.steady()
        if wishes or steady - self._shared_at >= _SHARE_S:
            self._shared_at = steady
            self._share()
        became_live = self._watch.is_live and self._live_at is None
        if became_live:
            self._live_at = steady
            pipelines = self._watch.pipelines
            newest_first = sorted(pipelines, key=self._watch.grew_at, reverse=True)
            self._weigh((pipelines[path].runs[-1], alert) for path in newest_first for alert in pipelines[path].firing)
        self._take_weights()
        if wishes or became_live or self.is_over or steady - self._published_at >= _PUBLISH_S:
            self._published_at = steady
            self._publish()

    def _read(self, timeout: float) -> None:
        for run, notice in self._watch.look(timeout):
            if isinstance(notice, Alert):
                self._note_alert(run, notice)
            else:
                self._log(Path(run.log)).note(run, notice)
        self._changed |= self._watch.changed

    def _log(self, path: Path) -> Snapshots:
        log = self._logs.get(path)
        if log is None:
            log = self._logs[path] = Snapshots(path, self._watch.pipelines[path])
        return log

    def _weigh(self, lost: Iterable[tuple[Run, Alert]]) -> None:
        """Have the checkpoints looked through of runs that an alert says are *lost*."""
        if self._weighing is not None:
            pipelines = self._watch.pipelines
            for run, alert in lost:
                if not alert.suppressed:
                    self._weighing.ask(run, alert, pipelines[Path(run.log)].alerts_of(run))

    def _take_weights(self) -> None:
        """Take what was found in checkpoints."""
        for run, weights in self._weighing.poll() if self._weighing is not None else ():
            if weights is not None:
                self._weights[run.id] = weights
                self._changed.add(Path(run.log))

    def _note_alert(self, run: Run, alert: Alert) -> None:
        path = Path(run.log)
        self._changed.add(path)
        if self._live_at is not None:
            self._weigh([(run, alert)])
        is_news = self._live_at is not None and self._clock.steady() - self._live_at >= _SETTLED_S
        if is_news and alert.state == "firing" and alert.severity == "critical" and not alert.suppressed:
            self._critical.append((path, copy.copy(alert)))

    # -- wishes

    def acknowledge(self, path: Path, ids: Iterable[str], undo: bool = False) -> None:
        """Keep the alerts with these ids (those of their run) quiet until they end, or take that back."""
        at = None if undo else self._clock.now()
        for local in ids:
            known = alert_id(str(path), local)
            if self._sharing is None or not self._sharing.acknowledge(known, at):
                self._own_acks[known] = at  # nobody else will hear of it
            else:
                self._own_acks.pop(known, None)

    def silence(self, silence: Silence) -> None:
        """Set *silence*."""
        if self._sharing is None or not self._sharing.silence(silence):
            self._own_silences.append(silence)

    def end_silences(self, ends: Callable[[Silence], bool]) -> None:
        """End the silences that people have set for which *ends* holds; those of the config stay."""
        self._own_silences = [s for s in self._own_silences if not ends(s)]
        if self._sharing is not None:
            self._sharing.end_silences(ends, self._clock.now())

    def _share(self) -> None:
        """Let what people asked for hold here, whether through this face, another one or the daemon."""
        now = self._clock.now()
        wishes = None if self._sharing is None else self._sharing.look(now)
        shared = () if wishes is None else wishes.silences
        own = tuple(s for s in self._own_silences if s.ends_at is None or s.ends_at > now)
        silences = (*self._config.alerts.silences, *shared, *own)
        acknowledged = set() if wishes is None else set(wishes.acknowledged)
        acknowledged |= {known for known, at in self._own_acks.items() if at is not None}
        acknowledged -= {known for known, at in self._own_acks.items() if at is None}
        for path, pipeline in self._watch.pipelines.items():
            for alert in pipeline.firing:
                wanted = alert_id(str(path), alert.id) in acknowledged
                if wanted != (alert.acknowledged_at is not None):
                    pipeline.acknowledge(alert.id, now if wanted else None, now)
                    self._changed.add(path)
        if silences != self._silences:
            self._silences = silences
            self._watch.silence(silences)
            self._changed |= set(self._watch.pipelines)

    # -- handing over

    def _renew(self) -> None:
        """Let what only time changes be told anew: how long a run has been silent, for how long an alert fires."""
        steady = self._clock.steady()
        if steady - self._renewed_at >= _RENEW_S:
            self._renewed_at = steady
            self._changed |= {path for path, pipeline in self._watch.pipelines.items() if pipeline.open}

    def _publish(self) -> None:
        """Hand over the snapshots of what changed, and how the following fares."""
        watch = self._watch
        self._renew()
        logs = {log.path: log for log in watch.logs}
        fresh = {path: s for path in watch.pipelines if (s := self._snapshot(path, logs.get(path))) is not None}
        for path in logs.keys() - watch.pipelines.keys():
            log, before = logs[path], self._shown.get(path)
            unread = Snapshot(path, None, {}, log.mtime, log.size, 0, log.problem, not watch.is_live)
            if before is None or before != replace(unread, grew_at=before.grew_at):
                fresh[path] = unread
        gone = self._shown.keys() - watch.pipelines.keys() - logs.keys() if watch.is_live else set()
        self._shown = {path: s for path, s in self._shown.items() if path not in gone} | fresh
        self._logs = {path: log for path, log in self._logs.items() if path not in gone}
        sharing, told = self._sharing, self._shown.values()
        update = Update(
            fresh, set(gone), self._critical, tuple(watch.idle), tuple(watch.problems),
            sum(s.read for s in told), sum(s.size for s in told), watch.is_live, self.is_over,
            None if sharing is None else sharing.daemon, "" if sharing is None else sharing.problem,
        )  # fmt: skip
        self._changed, self._critical = set(), []
        if update != self._last:  # where nothing happens, nobody need be woken
            self._last = replace(update, snapshots={}, gone=set(), critical=[])
            self._hand_over(update)

    def _snapshot(self, path: Path, log: Follower | None) -> Snapshot | None:
        """Return the log at *path* as it stands, or None where nothing of it has changed."""
        watch, before = self._watch, self._shown.get(path)
        problem, size, behind = (log.problem, log.size, log.bytes_behind) if log else (None, 0, 0)
        if isinstance(watch, PipeWatch):
            problem, size = watch.problem, watch.size
        elif log is None:
            problem = "file is missing"
        read, is_history = size - behind, not watch.is_live and behind > 0
        if before is not None and before.is_estimate and behind > 0 and is_history:
            return replace(before, size=size, read=read)  # what its end told is nearer to the truth than its start
        if path in self._changed or before is None or before.is_estimate:
            taken = self._log(path).snapshot(watch.grew_at(path), self._clock.now(), size, read)
            weights = None if taken.view is None else self._weights.get(taken.view.run.id)
            return replace(taken, problem=problem, is_history=is_history, weights=weights)
        grew_at = watch.grew_at(path)  # moves when the clock is set
        fresh = replace(before, problem=problem, size=size, read=read, is_history=is_history, grew_at=grew_at)
        return None if fresh == before else fresh

    # -- the first second

    def look_at_ends(self) -> None:
        """Show which logs there are, and of the large ones what their ends tell: all of them will take a while."""
        found = self._watch.find() if isinstance(self._watch, Watch) else []
        self._show_at_first({path: Snapshot(path, None, {}, mtime, size, 0, None, True) for path, size, mtime in found})
        until = self._clock.steady() + _TAILS_S
        ends = {
            path: self._estimate(path, size, mtime)
            for path, size, mtime in found
            if size >= _TAIL_WORTH and self._clock.steady() < until
        }
        if ends:
            self._show_at_first(ends)

    def _show_at_first(self, snapshots: dict[Path, Snapshot]) -> None:
        self._shown |= snapshots
        size = sum(s.size for s in self._shown.values())
        self._hand_over(Update(dict(snapshots), waiting_for=tuple(self._watch.idle), size=size))

    def _estimate(self, path: Path, size: int, mtime: float) -> Snapshot:
        """Return what the last bytes of the log at *path* tell, read in the format that its first ones have."""
        start = size - _TAIL
        try:
            with path.open("rb") as file:
                head, data = os.pread(file.fileno(), _HEAD, 0), os.pread(file.fileno(), _TAIL, start)
        except OSError as error:
            return Snapshot(path, size=size, grew_at=mtime, problem=(error.strerror or "cannot be read").lower())
        begin = min((at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0), default=-1) + 1
        log = Snapshots(path, LogPipeline(str(path), self._config))
        for item in (Chunk(0, head), Discontinuity("the middle is read later"), Chunk(start + begin, data[begin:])):
            for run, notice in log.pipeline.feed(item):
                if not isinstance(notice, Alert):
                    log.note(run, notice)
        taken = log.snapshot(mtime, self._clock.now(), size, 0)
        if taken.view is None or taken.view.status == "unknown":
            return Snapshot(path, None, {}, mtime, size, 0, None, True)
        # What the end tells is so; what the head tells, or the gap between them, is not known to be.
        run = taken.view.run
        run.table = {number: row for number, row in run.table.items() if row.offset >= start}
        alerts = [alert for alert in taken.view.alerts if alert.offset is not None and alert.offset >= start]
        view = replace(taken.view, alerts=alerts)
        return replace(taken, view=view, curves={}, is_history=True, is_estimate=True)
