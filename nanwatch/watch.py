"""Follows logs as they grow: one tailer, one pipeline a log."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from nanwatch.clock import Clock, StepDetector, SystemClock
from nanwatch.config import Config
from nanwatch.framing import SAMPLED
from nanwatch.model.alert import Silence
from nanwatch.model.frame import Chunk, Progress
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline, Notice, PipelineState
from nanwatch.tail.follower import Follower
from nanwatch.tail.identity import Position
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.writers import Writer, find_writers, is_alive

log = logging.getLogger("nanwatch.watch")

FindWriters = Callable[[Iterable[Path]], dict[Path, list[Writer] | None]]

_FIRST_LOOK_S, _LOOK_S = 0.0, 60.0
"""Seconds after which it is asked who writes the logs: the first time, and from then on."""
_SETTLED_S = 10.0
"""Seconds for which a log that nobody holds open may only be between two lines."""
_TICK_S, _LONGEST_TICK_S, _TICK_SHARE = 1.0, 10.0, 0.02
"""Logs are told the time so often; those that are silent for long less often, by this share of their silence."""
_GONE_S = 7 * 86400.0
"""Seconds after which a log that is gone is forgotten: its folder may only be unmounted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a log: how far it was read, what that told, and when it last grew (Unix seconds)."""

    position: Position
    state: PipelineState
    grew_at: float


@dataclass(slots=True)
class _Followed:
    """A log, its pipeline, when it last grew, and who was seen to write it."""

    pipeline: LogPipeline
    grew_at: float
    writer: Writer | None = None
    looked_at: float = 0.0
    tick_at: float = 0.0
    gone_since: float | None = None


class Watch:
    """Reads what comes to the logs of *tailer* and reports it in the order in which it was read.

    What stands in the logs at the first look is history: its events bear no time. With `every_event`, every
    frame is read. *progress* is told of the first look, which may be long. *find* tells who writes which log.
    Logs in *kept* go on where they were left; *tailer* must have been given their positions.

    A look takes some `turn_s` seconds at most and then leaves the rest to the next one, unless that is None. With
    *is_service*, a defect of ours that one log lays open ends the following of that log only. *detail* tells of how
    many bytes of a log one frame is to be read in any case.
    """

    def __init__(
        self,
        tailer: Tailer,
        config: Config,
        clock: Clock | None = None,
        every_event: bool = False,
        progress: Progress | None = None,
        find: FindWriters = find_writers,
        kept: Mapping[Path, Kept] = MappingProxyType({}),
        turn_s: float | None = None,
        is_service: bool = False,
        detail: Callable[[Path], int] = lambda _: SAMPLED,
    ) -> None:
        self._tailer = tailer
        self._detail = detail
        self._progress = progress
        self._config = config
        self._clock = clock or SystemClock()
        self._every_event = every_event
        self._find = find
        self._turn_s = turn_s
        self._is_service = is_service
        self._defects: dict[Path, str] = {}
        self._silences: Sequence[Silence] = config.alerts.silences
        self._live = self._unfinished = False
        self._unread_ends: set[Path] = set()
        self._ended: set[Path] = set()
        self._look_at = self._clock.steady() + _FIRST_LOOK_S
        self._ticked_at: float | None = None
        self._steps = StepDetector(self._clock)
        self.clock_step = 0.0
        self.changed: set[Path] = set()
        self.bytes_read = 0
        self._followed = {path: self._resumed(path, log) for path, log in kept.items()}

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The pipeline of each log that has shown a byte."""
        return {path: followed.pipeline for path, followed in self._followed.items()}

    def pipeline(self, path: Path) -> LogPipeline | None:
        """Return the pipeline of the log at *path*; None if it has not shown a byte."""
        followed = self._followed.get(path)
        return None if followed is None else followed.pipeline

    @property
    def logs(self) -> list[Follower]:
        """The followers of all logs, also of those that have not shown a byte."""
        return self._tailer.logs

    @property
    def idle(self) -> list[str]:
        """The patterns that match no log yet."""
        return self._tailer.idle

    def find(self) -> list[tuple[Path, int, float]]:
        """Return the logs that there are now, with their sizes and the times at which they were last written."""
        found = []
        for path in self._tailer.find():
            with suppress(OSError):  # what cannot be seen is a problem of whoever opens it
                status = path.stat()
                found.append((path, status.st_size, status.st_mtime))
        return found

    def nudge(self) -> None:
        """Let a look that waits return at once; from any thread."""
        self._tailer.wake.nudge()

    @property
    def wake_kind(self) -> str:
        """How it learns that a log has grown."""
        return self._tailer.wake.kind

    @property
    def is_live(self) -> bool:
        """Whether what stood in the logs at first has been read."""
        return self._live

    def grew_at(self, path: Path) -> float:
        """Return when the log at *path* last grew."""
        return self._followed[path].grew_at

    def keep(self, path: Path) -> Kept | None:
        """Return what to go on with later, at the end of a look; None for a log never opened, or with a defect."""
        followed, position = self._followed[path], self._tailer.position(path)
        if position is None or path in self._defects:  # the version that mends the defect is to read on before it
            return None
        return Kept(position, followed.pipeline.state, followed.grew_at)

    def silence(self, silences: Sequence[Silence]) -> None:
        """Let exactly *silences* hold from now on, in new logs too."""
        self._silences = silences
        for followed in self._followed.values():
            followed.pipeline.silence(silences, self._clock.now())

    def forget_gone(self) -> list[Path]:
        """Drop the logs that have been gone for so long that they will not come back; return them."""
        present, steady = {log.path for log in self._tailer.logs}, self._clock.steady()
        for path, followed in self._followed.items():
            followed.gone_since = None if path in present or not self._live else followed.gone_since or steady
        gone = [p for p, f in self._followed.items() if f.gone_since and steady - f.gone_since > _GONE_S]
        for path in gone:
            del self._followed[path]
            self._tailer.forget(path)
            self._defects.pop(path, None)
            self._unread_ends.discard(path)
        return sorted(gone)

    @property
    def problems(self) -> list[str]:
        """What cannot be read now, and what the user's own rules ask in vain, a line each."""
        asked = [p for followed in self._followed.values() for p in followed.pipeline.problems]
        defects = [f"{path}: no longer read: {defect}" for path, defect in self._defects.items()]
        return [*self._tailer.problems, *defects, *dict.fromkeys(asked)]

    @property
    def longest_wait(self) -> float:
        """The seconds that `look` may be let wait: the tailer looks up by itself now and then."""
        return 3600.0

    def look(self, timeout: float = 0.0) -> Iterator[Notice]:
        """Wait up to *timeout* seconds for something new, then yield what it tells.

        Afterwards, `changed` are the logs that were read or that told something, and `clock_step` is by how many
        seconds the clock was set meanwhile.
        """
        self.changed = set()
        only = self._tailer.wait(timeout) if self._live and not self._unfinished else None
        self._note_clock()
        if only is None or only:
            yield from self._read(only)
        self._note_live()
        time = self._clock.steady()
        if not self._live or (self._ticked_at is not None and time - self._ticked_at < _TICK_S):
            return
        self._ticked_at = time
        writers = self._look_for_writers()
        if left := {path for path, found in writers.items() if not found}:
            yield from self._read(left)  # what they wrote before they ended
        yield from self._tick(writers)

    def close(self) -> None:
        """Close every log."""
        self._tailer.close()

    def _note_live(self) -> None:
        """Tell history from news: it ends once every log was read to its end, be it not at one look."""
        if not self._live:
            self._live = not self._unfinished or self._ended >= {log.path for log in self._tailer.logs}

    def _note_clock(self) -> None:
        """Do not take for silence what is only a clock that was set, or a machine that was suspended."""
        self.clock_step = self._steps.step()
        if self.clock_step:
            for followed in self._followed.values():
                followed.grew_at += self.clock_step
                followed.looked_at += self.clock_step
                followed.pipeline.shift_time(self.clock_step)

    def _read(self, only: set[Path] | None) -> Iterator[Notice]:
        now = self._clock.now() if self._live else None
        until = None if self._turn_s is None else self._clock.steady() + self._turn_s
        grown: set[Path] = set()
        self._unfinished = False
        own = _own_files()
        for path, item in self._tailer.poll(only):
            if own and _identity(path) in own:
                continue  # or else every line would be answered with another one
            followed = self._follow(path)
            yield from self._guarded(path, followed.pipeline.feed(item, now))
            grown.add(path)
            if not isinstance(item, Chunk):
                continue
            self.bytes_read += len(item.data)
            if self._progress is not None and not self._live:
                sizes = {log.path: log.size for log in self._tailer.logs}
                self._progress(str(path), item.offset + len(item.data), sizes[path])
            if until is not None and self._clock.steady() >= until:
                self._unfinished = True  # after a chunk, and not after what announces one
                break
        times = {} if self._live else {log.path: log.mtime for log in self._tailer.logs}
        time = self._clock.now()
        for path in grown:
            self._followed[path].grew_at = min(time, times.get(path) or time)
        ended = self._tailer.take_ended()
        self._ended |= set() if self._live else ended
        self._unread_ends |= grown
        at_end = self._unread_ends & ended
        self._unread_ends -= at_end
        self.changed |= grown | at_end
        for path in at_end:
            yield from self._guarded(path, self._followed[path].pipeline.catch_up(now))

    def _guarded(self, path: Path, notices: Iterator[Notice]) -> Iterator[Notice]:
        """Yield *notices* of the log at *path*, up to a defect where this is a service."""
        if path in self._defects:
            return
        try:
            yield from notices
        except Exception as error:
            if not self._is_service:
                raise
            log.exception("defect while reading %s", path)
            self._defects[path] = f"{type(error).__name__}: {error}"

    def _follow(self, path: Path) -> _Followed:
        followed = self._followed.get(path)
        if followed is None:
            pipeline = LogPipeline(str(path), self._config, every_event=self._every_event, detail=self._detail(path))
            pipeline.silences = self._silences
            followed = self._followed[path] = _Followed(pipeline, self._clock.now())
        return followed

    def _resumed(self, path: Path, log: Kept) -> _Followed:
        pipeline = LogPipeline(str(path), self._config, log.state, every_event=self._every_event)
        return _Followed(pipeline, log.grew_at)

    def _look_for_writers(self) -> dict[Path, list[Writer] | None]:
        """Ask who writes the logs that show no end: now and then, and as soon as a known writer is gone."""
        time = self._clock.steady()
        going = {path: f for path, f in self._followed.items() if not f.pipeline.has_ended}
        due = time >= self._look_at
        if due:
            self._look_at = time + _LOOK_S
        gone = [p for p, f in going.items() if f.writer is not None and not is_alive(f.writer)]
        chosen = going if due else gone
        return self._find(chosen) if chosen else {}

    def _tick(self, writers: Mapping[Path, list[Writer] | None]) -> Iterator[Notice]:
        """Tell every pipeline the time, and who writes its log; a log without a writer may be complete."""
        time, steady = self._clock.now(), self._clock.steady()
        readable = {log.path for log in self._tailer.logs if log.problem is None}
        for path, followed in self._followed.items():
            pipeline = followed.pipeline
            if not pipeline.needs_time or path not in readable:
                continue  # of what cannot be seen, nobody knows whether it is silent
            silence = time - followed.grew_at
            if steady < followed.tick_at and path not in writers and not pipeline.is_waiting:
                continue
            followed.tick_at = steady + min(_LONGEST_TICK_S, silence * _TICK_SHARE)
            found = writers.get(path)
            had_writer = followed.writer is not None
            if not found and found is not None and followed.writer is not None and is_alive(followed.writer):
                found = [followed.writer]  # it opens the log anew for each line
            is_stuck = any(alert.rule == "stall" for alert in pipeline.firing)  # and ended from outside, not by itself
            if found == [] and pipeline.may_be_finished and not is_stuck and (had_writer or silence >= _SETTLED_S):
                notices = pipeline.finish(time)
            else:
                holders = None if found is None else _processes(followed, found, time)
                notices = pipeline.tick(time, followed.grew_at, holders, has_looked=path in writers)
            for notice in self._guarded(path, notices):
                self.changed.add(path)
                yield notice


def _processes(followed: _Followed, found: list[Writer], time: float) -> list[Process]:
    """Return the processes of *found*, with what they used of the processor since the last look."""
    before, looked_at = followed.writer, followed.looked_at
    followed.writer, followed.looked_at = (found[0] if found else None), time
    processes = [Process(w.pid, w.command, w.started) for w in found]
    if found and before is not None and (before.pid, before.started) == (found[0].pid, found[0].started):
        passed = time - looked_at
        processes[0].cpu = 100 * max(0.0, found[0].cpu_seconds - before.cpu_seconds) / passed if passed > 0 else None
    return processes


def _own_files() -> set[tuple[int, int]]:
    """Return the regular files that this program writes its own lines to, as device and inode."""
    handlers = logging.getLogger("nanwatch").handlers
    streams = [getattr(handler, "stream", None) for handler in handlers]
    numbers = {1, 2}
    for stream in streams:
        with suppress(OSError, ValueError, AttributeError):  # closed, or no file
            numbers.add(stream.fileno())  # type: ignore[union-attr]
    found = set()
    for number in numbers:
        with suppress(OSError):
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode):
                found.add((status.st_dev, status.st_ino))
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
