"""Follows logs as they grow: one tailer, one pipeline a log."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nanwatch.clock import Clock, SystemClock
from nanwatch.config import Config
from nanwatch.model.frame import Chunk, Progress
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline, Notice
from nanwatch.tail.stdin import StdinFollower
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.writers import Writer, find_writers, is_alive

FindWriters = Callable[[Iterable[Path]], dict[Path, list[Writer] | None]]

_FIRST_LOOK_S, _LOOK_S = 2.0, 60.0
"""Seconds after which it is asked who writes the logs: the first time, and from then on."""
_SETTLED_S = 10.0
"""Seconds for which a log that nobody holds open may only be between two lines."""
_TICK_S = 1.0


@dataclass(slots=True)
class _Followed:
    """A log, its pipeline, when it last grew, and who was seen to write it."""

    pipeline: LogPipeline
    grew_at: float
    writer: Writer | None = None
    looked_at: float = 0.0


class Watch:
    """Reads what comes to the logs of *tailer* and reports it in the order in which it was read.

    What stands in the logs at the first look is history: its events bear no time. With `every_event`, every
    frame is read. *progress* is told of the first look, which may be long. *find* tells who writes which log.
    """

    def __init__(
        self,
        tailer: Tailer,
        config: Config,
        clock: Clock | None = None,
        every_event: bool = False,
        progress: Progress | None = None,
        find: FindWriters = find_writers,
    ) -> None:
        self._tailer = tailer
        self._progress = progress
        self._config = config
        self._clock = clock or SystemClock()
        self._every_event = every_event
        self._find = find
        self._followed: dict[Path, _Followed] = {}
        self._live = False
        self._look_at = self._clock.now() + _FIRST_LOOK_S
        self._ticked_at = 0.0

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The pipeline of each log that has shown a byte."""
        return {path: followed.pipeline for path, followed in self._followed.items()}

    @property
    def problems(self) -> list[str]:
        """What cannot be read now, and what the user's own rules ask in vain, a line each."""
        asked = [p for followed in self._followed.values() for p in followed.pipeline.problems]
        return [*self._tailer.problems, *dict.fromkeys(asked)]

    @property
    def longest_wait(self) -> float:
        """The seconds that `look` may be let wait: the tailer looks up by itself now and then."""
        return 3600.0

    def look(self, timeout: float = 0.0) -> Iterator[Notice]:
        """Wait up to *timeout* seconds for something new, then yield what it tells."""
        yield from self._read(self._tailer.wait(timeout) if self._live else None)
        self._live = True
        time = self._clock.now()
        if 0 <= time - self._ticked_at < _TICK_S:
            return
        self._ticked_at = time
        writers = self._look_for_writers()
        if left := {path for path, found in writers.items() if not found}:
            yield from self._read(left)  # what they wrote before they ended
        yield from self._tick(writers)

    def close(self) -> None:
        """Close every log."""
        self._tailer.close()

    def _read(self, only: set[Path] | None) -> Iterator[Notice]:
        now = self._clock.now() if self._live else None
        grown: set[Path] = set()
        for path, item in self._tailer.poll(only):
            if _is_own_output(path):
                continue  # or else every line would be answered with another one
            followed = self._follow(path)
            yield from followed.pipeline.feed(item, now)
            grown.add(path)
            if self._progress is not None and not self._live and isinstance(item, Chunk):
                sizes = {log.path: log.size for log in self._tailer.logs}
                self._progress(str(path), item.offset + len(item.data), sizes[path])
        times = {} if self._live else {log.path: log.mtime for log in self._tailer.logs}
        time = self._clock.now()
        for path in grown:
            followed = self._followed[path]
            followed.grew_at = min(time, times.get(path) or time)
            yield from followed.pipeline.catch_up(now)

    def _follow(self, path: Path) -> _Followed:
        followed = self._followed.get(path)
        if followed is None:
            pipeline = LogPipeline(str(path), self._config, every_event=self._every_event)
            followed = self._followed[path] = _Followed(pipeline, self._clock.now())
        return followed

    def _look_for_writers(self) -> dict[Path, list[Writer] | None]:
        """Ask who writes the logs that show no end: now and then, and as soon as a known writer is gone."""
        time = self._clock.now()
        going = {path: f for path, f in self._followed.items() if not f.pipeline.has_ended}
        due = time >= self._look_at or time < self._look_at - _LOOK_S
        if due:
            self._look_at = time + _LOOK_S
        gone = [p for p, f in going.items() if f.writer is not None and not is_alive(f.writer)]
        chosen = going if due else gone
        return self._find(chosen) if chosen else {}

    def _tick(self, writers: Mapping[Path, list[Writer] | None]) -> Iterator[Notice]:
        """Tell every pipeline the time, and who writes its log; a log without a writer may be complete."""
        time = self._clock.now()
        for path, followed in self._followed.items():
            pipeline = followed.pipeline
            if not pipeline.needs_time:
                continue
            found = writers.get(path)
            silence = time - followed.grew_at
            had_writer = followed.writer is not None
            if not found and found is not None and followed.writer is not None and is_alive(followed.writer):
                found = [followed.writer]  # it opens the log anew for each line
            is_stuck = any(alert.rule == "stall" for alert in pipeline.firing)  # and ended from outside, not by itself
            if found == [] and pipeline.may_be_finished and not is_stuck and (had_writer or silence >= _SETTLED_S):
                yield from pipeline.finish(time)
                continue
            holders = None if found is None else _processes(followed, found, time)
            yield from pipeline.tick(time, followed.grew_at, holders, has_looked=path in writers)


def _processes(followed: _Followed, found: list[Writer], time: float) -> list[Process]:
    """Return the processes of *found*, with what they used of the processor since the last look."""
    before, looked_at = followed.writer, followed.looked_at
    followed.writer, followed.looked_at = (found[0] if found else None), time
    processes = [Process(w.pid, w.command, w.started) for w in found]
    if found and before is not None and (before.pid, before.started) == (found[0].pid, found[0].started):
        passed = time - looked_at
        processes[0].cpu = 100 * max(0.0, found[0].cpu_seconds - before.cpu_seconds) / passed if passed > 0 else None
    return processes


def _is_own_output(path: Path) -> bool:
    """Tell whether *path* is the file that this program writes its own lines to."""
    try:
        own, log = os.fstat(1), path.stat()
    except OSError:
        return False
    return stat.S_ISREG(own.st_mode) and (own.st_dev, own.st_ino) == (log.st_dev, log.st_ino)


class PipeWatch:
    """Reads a pipe to its end: the same reports for `train.py | nanwatch tail -`."""

    def __init__(self, config: Config, clock: Clock | None = None, every_event: bool = False, fd: int = 0) -> None:
        self._follower = StdinFollower(fd)
        self._clock = clock or SystemClock()
        self.pipeline = LogPipeline("-", config, every_event=every_event)

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The one pipeline."""
        return {self._follower.path: self.pipeline}

    @property
    def problems(self) -> list[str]:
        """Why the pipe cannot be read, and what the user's own rules ask in vain."""
        return [*([f"-: {self._follower.problem}"] if self._follower.problem else []), *self.pipeline.problems]

    @property
    def longest_wait(self) -> float:
        """The seconds that `look` may be let wait: silence is told only between two waits."""
        return 5.0

    @property
    def at_end(self) -> bool:
        """Whether the writer has closed its side."""
        return self._follower.at_end

    def look(self, timeout: float = 0.0) -> Iterator[Notice]:
        """Wait up to *timeout* seconds for something new, then yield what it tells."""
        self._follower.wait(timeout)
        now = self._clock.now()
        for chunk in self._follower.poll():
            yield from self.pipeline.feed(chunk, now)
        if self._follower.at_end:
            yield from self.pipeline.finish(now)
        else:
            yield from self.pipeline.catch_up(now)
            yield from self.pipeline.tick(self._clock.now())

    def close(self) -> None:
        """Leave the pipe to whoever opened it."""
