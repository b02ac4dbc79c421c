"""Has the checkpoints of runs looked through while the caller goes on: one run at a time, each in its own process.

A process, because weights can lie on a disk that hangs, and because it can give way to the training.
"""

from __future__ import annotations

import io
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
_MOST_STUCK = 3
"""Processes that could not be ended, as their disk hangs, beside which no other is started."""
_WORKER = "import sys; sys.path[:] = sys.argv[1:]; from nanwatch.scanworker import main; sys.exit(main())"
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
    """One look: at what, by which process, into which file it writes, and until when (steady seconds)."""

    asked: _Asked
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

        What was written after *since* (Unix seconds) is left out. A look that leaves out less is begun anew.
        """
        asked = _Asked(key, tuple(places), since)
        if self._look is not None and self._look.asked.key == key:
            if places and _is_earlier(since, self._look.asked.since):
                self._give_up(self._look)
                self._waiting.appendleft(asked)
        elif self.is_busy_with(key):
            self._waiting = deque(asked if places and other.key == key else other for other in self._waiting)
        elif places:
            self._waiting.append(asked)
        self._start()
        return self.is_busy_with(key)

    def is_busy_with(self, key: str) -> bool:
        """Tell whether the answer for *key* is still to come."""
        is_now = self._look is not None and self._look.asked.key == key
        return is_now or any(key == asked.key for asked in self._waiting)

    def poll(self) -> Iterator[tuple[str, Weights | None]]:
        """Yield the answers that have come: None where the run keeps no checkpoints that could be found."""
        self._reap()
        look = self._look
        if look is None:
            return
        if look.process.poll() is not None:
            found = _read(look.answer)
            look.answer.close()
            self._look = None
        elif self._clock.steady() > look.until:
            self._give_up(look)
            found = Weights("", problem="looking through its checkpoints took too long")
        else:
            return
        self._start()
        yield look.asked.key, found

    def close(self) -> None:
        """End what is under way."""
        self._waiting.clear()
        if self._look is not None:
            self._look.process.kill()
            with suppress(subprocess.TimeoutExpired):  # a disk that hangs lets nobody end
                self._look.process.wait(_END_S)
            self._look.answer.close()
            self._look = None

    def _give_up(self, look: _Look) -> None:
        """End a look whose answer is not waited for; its process may hang with its disk for a while yet."""
        look.process.kill()
        look.answer.close()
        self._stuck.append(look.process)
        self._look = None

    def _reap(self) -> None:
        self._stuck = [process for process in self._stuck if process.poll() is None]

    def _start(self) -> None:
        if self._look is not None or not self._waiting:
            return
        self._reap()
        asked = self._waiting.popleft()
        process, answer = self._launched(asked)
        self._look = _Look(asked, process, answer, self._clock.steady() + self.seconds + _GRACE_S)

    def _launched(self, asked: _Asked) -> tuple[Running, IO[bytes]]:
        """Return a process and what it answers into; where none is to be had there is no answer, and that is said."""
        places = [os.fsencode(place).hex() for place in asked.places]
        question = json.dumps({"places": places, "since": asked.since, "seconds": self.seconds}).encode()
        if len(self._stuck) >= _MOST_STUCK:
            return _Nothing(), io.BytesIO()
        try:
            answer = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the look
        except OSError:
            return _Nothing(), io.BytesIO()
        try:
            return self._launch(question, answer), answer
        except OSError:
            return _Nothing(), answer


def _is_earlier(since: float | None, other: float | None) -> bool:
    return since is not None and (other is None or since < other)


def _launch(asked: bytes, answer: IO[bytes]) -> Running:
    paths = [path or str(Path.cwd()) for path in sys.path]  # from where this process has nanwatch, and what it needs
    question = tempfile.TemporaryFile()  # noqa: SIM115 - the process has its own copy of the descriptor
    with question:
        question.write(asked)
        question.seek(0)
        return subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER, *paths],
            stdin=question, stdout=answer, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


def _read(answer: IO[bytes]) -> Weights | None:
    answer.seek(0)
    try:
        found = load(answer.read(_MOST_ANSWER).decode(), _KINDS)
    except (BadState, UnicodeDecodeError):
        return Weights("", problem="its checkpoints could not be looked through")
    return found if isinstance(found, Weights) else None
