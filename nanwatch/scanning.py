"""Has the checkpoints of runs looked through while the caller goes on: one run at a time, each in its own process.

A process, because weights can lie on a disk that hangs, and because it can give way to the training.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from nanwatch.clock import Clock
from nanwatch.model.checkpoint import BadTensor, Checkpoint, Part, Weights
from nanwatch.statecodec import BadState, load

_KINDS = {kind.__name__: kind for kind in (Weights, Checkpoint, Part, BadTensor)}
_GRACE_S = 10.0
"""Seconds beyond its time after which a process is ended that does not end by itself."""
_END_S = 1.0
_MOST_ANSWER = 1 << 22


class Running(Protocol):
    """A process that looks through checkpoints."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def kill(self) -> None:
        """End it."""

    def wait(self, timeout: float) -> int:
        """Wait for its end; raise TimeoutExpired if that does not come in *timeout* seconds."""


class _Asked(NamedTuple):
    """What is asked for: in which folders a run may keep checkpoints, and what counts of them."""

    key: str
    places: tuple[Path, ...]
    since: float | None


@dataclass(slots=True)
class _Look:
    """One look: for whom, by which process, into which file it writes, and until when (steady seconds)."""

    key: str
    process: Running
    answer: IO[bytes]
    until: float


class _Nothing:
    """A process that could not be started."""

    def poll(self) -> int | None:
        """Return an exit code."""
        return 1

    def kill(self) -> None:
        """Do nothing."""

    def wait(self, timeout: float) -> int:
        """Return an exit code."""
        del timeout
        return 1


class Scanning:
    """Looks for one run at a time, in the order in which it is asked; *seconds* is how long one look may take."""

    def __init__(
        self, clock: Clock, seconds: float = 120.0, launch: Callable[[bytes, IO[bytes]], Running] | None = None
    ) -> None:
        self._clock, self.seconds = clock, seconds
        self._launch = launch or _launch
        self._waiting: deque[_Asked] = deque()
        self._look: _Look | None = None
        self._stuck: list[Running] = []

    def ask(self, key: str, places: Sequence[Path], since: float | None = None) -> bool:
        """Have *places* looked through for the run called *key*; return whether that is to come: there is a place.

        What was written after *since* (Unix seconds) is left out.
        """
        if places and not self.is_busy_with(key):
            self._waiting.append(_Asked(key, tuple(places), since))
            self._start()
        return self.is_busy_with(key)

    def is_busy_with(self, key: str) -> bool:
        """Tell whether the answer for *key* is still to come."""
        return (self._look is not None and self._look.key == key) or any(key == asked.key for asked in self._waiting)

    def poll(self) -> Iterator[tuple[str, Weights | None]]:
        """Yield the answers that have come: None where the run keeps no checkpoints that could be found."""
        look = self._look
        if look is None:
            return
        if look.process.poll() is not None:
            found = _read(look.answer)
        elif self._clock.steady() > look.until:
            look.process.kill()
            self._stuck.append(look.process)
            found = Weights("", problem="looking through its checkpoints took too long")
        else:
            return
        look.answer.close()
        self._look = None
        self._start()
        yield look.key, found

    def close(self) -> None:
        """End what is under way."""
        self._waiting.clear()
        if self._look is not None:
            self._look.process.kill()
            with suppress(subprocess.TimeoutExpired):  # a disk that hangs lets nobody end
                self._look.process.wait(_END_S)
            self._look.answer.close()
            self._look = None

    def _start(self) -> None:
        self._stuck = [process for process in self._stuck if process.poll() is None]
        if self._look is not None or not self._waiting:
            return
        key, places, since = self._waiting.popleft()
        asked = {"places": [os.fsencode(place).hex() for place in places], "since": since, "seconds": self.seconds}
        answer = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the look
        try:
            process = self._launch(json.dumps(asked).encode(), answer)
        except OSError:  # no process is to be had: there is no answer, and that is said
            process = _Nothing()
        self._look = _Look(key, process, answer, self._clock.steady() + self.seconds + _GRACE_S)


def _launch(asked: bytes, answer: IO[bytes]) -> Running:
    question = tempfile.TemporaryFile()  # noqa: SIM115 - the process has its own copy of the descriptor
    with question:
        question.write(asked)
        question.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "nanwatch.scanworker"],
            stdin=question, stdout=answer, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def _read(answer: IO[bytes]) -> Weights | None:
    answer.seek(0)
    try:
        found = load(answer.read(_MOST_ANSWER).decode(), _KINDS)
    except (BadState, UnicodeDecodeError):
        return Weights("", problem="its checkpoints could not be looked through")
    return found if isinstance(found, Weights) else None
