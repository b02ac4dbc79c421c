"""Follows logs as they grow: one tailer, one pipeline a log."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanwatch.clock import Clock, SystemClock
from nanwatch.config import Rules
from nanwatch.model.frame import Chunk, Progress
from nanwatch.pipeline import LogPipeline, Notice
from nanwatch.tail.stdin import StdinFollower
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.writers import writers_of

_FIRST_LOOK = 30.0


@dataclass(slots=True)
class _Followed:
    """A log, its pipeline, and when to ask next whether somebody still writes it."""

    pipeline: LogPipeline
    grew_at: float
    ask_at: float


class Watch:
    """Reads what comes to the logs of *tailer* and reports it in the order in which it was read.

    What stands in the logs at the first look is history: its events bear no time. With `every_event`, every
    frame is read. *progress* is told of the first look, which may be long.
    """

    def __init__(
        self,
        tailer: Tailer,
        rules: Rules,
        clock: Clock | None = None,
        every_event: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._tailer = tailer
        self._progress = progress
        self._rules = rules
        self._clock = clock or SystemClock()
        self._every_event = every_event
        self._followed: dict[Path, _Followed] = {}
        self._live = False

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The pipeline of each log that has shown a byte."""
        return {path: followed.pipeline for path, followed in self._followed.items()}

    @property
    def problems(self) -> list[str]:
        """What cannot be read now, a line each."""
        return self._tailer.problems

    def look(self, timeout: float = 0.0) -> Iterator[Notice]:
        """Wait up to *timeout* seconds for something new, then yield what it tells."""
        only = self._tailer.wait(timeout) if self._live else None
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
        time = self._clock.now()
        for path in grown:
            followed = self._followed[path]
            followed.grew_at, followed.ask_at = time, time + _FIRST_LOOK
            yield from followed.pipeline.catch_up(now)
        self._live = True
        yield from self._settle(time)

    def close(self) -> None:
        """Close every log."""
        self._tailer.close()

    def _follow(self, path: Path) -> _Followed:
        followed = self._followed.get(path)
        if followed is None:
            pipeline = LogPipeline(str(path), self._rules, every_event=self._every_event)
            time = self._clock.now()
            followed = self._followed[path] = _Followed(pipeline, time, time + _FIRST_LOOK)
        return followed

    def _settle(self, time: float) -> Iterator[Notice]:
        """Ask, ever more rarely, whether a silent log has lost its writer."""
        for path, followed in self._followed.items():
            if time < followed.ask_at:
                continue
            followed.ask_at = time + max(_FIRST_LOOK, time - followed.grew_at)
            if followed.pipeline.may_be_finished and writers_of(path) == []:
                followed.ask_at = float("inf")
                yield from followed.pipeline.finish(time)


def _is_own_output(path: Path) -> bool:
    """Tell whether *path* is the file that this program writes its own lines to."""
    try:
        own, log = os.fstat(1), path.stat()
    except OSError:
        return False
    return stat.S_ISREG(own.st_mode) and (own.st_dev, own.st_ino) == (log.st_dev, log.st_ino)


class PipeWatch:
    """Reads a pipe to its end: the same reports for `train.py | nanwatch tail -`."""

    def __init__(self, rules: Rules, clock: Clock | None = None, every_event: bool = False, fd: int = 0) -> None:
        self._follower = StdinFollower(fd)
        self._clock = clock or SystemClock()
        self.pipeline = LogPipeline("-", rules, every_event=every_event)

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The one pipeline."""
        return {self._follower.path: self.pipeline}

    @property
    def problems(self) -> list[str]:
        """Why the pipe cannot be read."""
        return [f"-: {self._follower.problem}"] if self._follower.problem else []

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

    def close(self) -> None:
        """Leave the pipe to whoever opened it."""
