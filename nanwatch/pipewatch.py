"""Follows a pipe: what `nanwatch.watch` is for files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nanwatch.clock import Clock, StepDetector, SystemClock
from nanwatch.config import Config
from nanwatch.model.alert import Silence
from nanwatch.pipeline import LogPipeline, Notice
from nanwatch.tail.follower import Follower
from nanwatch.tail.stdin import StdinFollower


class PipeWatch:
    """Reads a pipe to its end: the same reports for `train.py | nanwatch tail -`."""

    def __init__(self, config: Config, clock: Clock | None = None, every_event: bool = False, fd: int = 0) -> None:
        self._follower = StdinFollower(fd)
        self._clock = clock or SystemClock()
        self._steps = StepDetector(self._clock)
        self.pipeline = LogPipeline("-", config, every_event=every_event)
        self.changed: set[Path] = set()
        self._grew_at = self._clock.now()
        self.logs: list[Follower] = []
        self.idle: list[str] = []
        self.is_live = True

    def grew_at(self, path: Path) -> float:  # noqa: ARG002 - there is one pipe
        """Return when something last came."""
        return self._grew_at

    def nudge(self) -> None:
        """Do nothing: a pipe is not waited for for long."""

    def silence(self, silences: Sequence[Silence]) -> None:
        """Let exactly *silences* hold from now on."""
        self.pipeline.silence(silences, self._clock.now())

    @property
    def pipelines(self) -> dict[Path, LogPipeline]:
        """The one pipeline."""
        return {self._follower.path: self.pipeline}

    @property
    def size(self) -> int:
        """The bytes that came."""
        return self._follower.size

    @property
    def problem(self) -> str | None:
        """Why the pipe cannot be read."""
        return self._follower.problem

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
        if step := self._steps.step():
            self.pipeline.shift_time(step)
        now = self._clock.now()
        self.changed = set()
        for chunk in self._follower.poll():
            self._grew_at = now
            self.changed = {self._follower.path}
            yield from self.pipeline.feed(chunk, now)
        if self._follower.at_end:
            self.changed = {self._follower.path}
            yield from self.pipeline.finish(now)
        else:
            yield from self.pipeline.catch_up(now)
            yield from self.pipeline.tick(self._clock.now())

    def close(self) -> None:
        """Leave the pipe to whoever opened it."""
