"""What is written while the daemon is killed: logs in pieces, rotations, and what a service that nobody kills tells."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Literal

from nanwatch.alerts.dispatch import decide, mark_told
from nanwatch.alerts.inhibition import is_inhibited
from nanwatch.config import Config
from nanwatch.facts import alert_id
from nanwatch.model.alert import Alert, Reason
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake
from nanwatch.watch import Watch
from tests.support.logs import capture, cod_story, yolo_story

_PIECES = 14
_PAUSE_S = 0.06
"""Between two pieces, at most."""

Turn = Literal["rename", "copy"]
Change = tuple[str, Reason]
"""An alert's id, and why somebody is told of it."""


@dataclass(frozen=True)
class Step:
    """What the writer does next: append *data* to the log of this name, after it was rotated in this way."""

    log: str
    data: bytes
    turn: Turn | None = None


def chance(what: str, seed: int) -> random.Random:
    """Return what decides on *what*, the same for the same *seed*."""
    return random.Random(f"{what} {seed}")  # noqa: S311 - nobody has to be kept from guessing it


def make_plan(dice: random.Random, rounds: int) -> list[Step]:
    """Return the steps of *rounds* incidents in three logs each, mingled by *dice*.

    A genuine capture, rotated by name, and the story of the YOLO run, rotated by copy and truncation, go on from the
    beginning; the third log appears in the middle.
    """
    return [step for number in range(rounds) for step in _round(dice, number)]


def _round(dice: random.Random, number: int) -> Iterator[Step]:
    genuine = _steps(dice, f"v8n-{number}.log", capture("ultralytics/v8n_8.3.100_redirect_gradguard"), "rename")
    yolo = _steps(dice, f"yolo-{number}.log", yolo_story(100)[0], "copy")
    late = _steps(dice, f"cod-{number}.log", cod_story(10)[0], None)
    half = len(genuine) // 2, len(yolo) // 2
    yield from _mingled(dice, [genuine[: half[0]], yolo[: half[1]]])
    yield from _mingled(dice, [genuine[half[0] :], yolo[half[1] :], late])


def _steps(dice: random.Random, log: str, data: bytes, turn: Turn | None) -> list[Step]:
    """Cut *data* anywhere into pieces; the log is rotated once, at the end of a line, before one of them."""
    cuts = {0, len(data), *(dice.randrange(1, len(data)) for _ in range(_PIECES))}
    turned = data.index(b"\n", dice.randrange(len(data) // 3, len(data) * 2 // 3)) + 1 if turn else -1
    ends = sorted(cuts | ({turned} if turn else set()))
    return [Step(log, data[begin:end], turn if begin == turned else None) for begin, end in pairwise(ends)]


def _mingled(dice: random.Random, many: Sequence[list[Step]]) -> Iterator[Step]:
    """Yield the steps of each log in order, the logs in any."""
    turns = [which for which, steps in enumerate(many) for _ in steps]
    dice.shuffle(turns)
    left = [iter(steps) for steps in many]
    for which in turns:
        yield next(left[which])


class Logs:
    """The logs in a folder, open for writing until they are closed: their writer is seen to be alive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, BinaryIO] = {}

    def write(self, step: Step) -> None:
        """Rotate the log if *step* says so, and append to it."""
        if step.turn == "rename":
            self._files.pop(step.log).close()
            self._path(step.log).rename(self._path(f"{step.log}.1"))
        elif step.turn == "copy":
            shutil.copyfile(self._path(step.log), self._path(f"{step.log}.1"))
            os.truncate(self._path(step.log), 0)
        if step.log not in self._files:
            self._files[step.log] = self._path(step.log).open("ab", buffering=0)
        self._files[step.log].write(step.data)

    def close(self) -> None:
        """Close every log."""
        for file in self._files.values():
            file.close()

    def _path(self, name: str) -> Path:
        return self.folder / name


@dataclass
class Reference:
    """What a service tells that reads after each piece and that nobody kills.

    `told` counts every change that somebody must be told of. `covered` are the alerts for which another one spoke at
    some time: whether they are told depends on when the message goes out. `names` are what the ids stand for.
    """

    config: Config
    told: Counter[Change] = field(default_factory=Counter)
    covered: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tailer = Tailer(self.config.logs, ManualWake(), recheck_s=0.0)
        self._watch = Watch(tailer, self.config, find=lambda _: {})

    @property
    def expected(self) -> set[Change]:
        """What must arrive everywhere."""
        return {change for change in self.told if change[0] not in self.covered}

    def words(self, change: Change) -> str:
        """Return what *change* is, for a person; only its id where it never happened here."""
        return f"{self.names.get(change[0], change[0])} {change[1]}"

    def look(self) -> None:
        """Read what is new."""
        for run, notice in self._watch.look():
            if isinstance(notice, Alert):
                firing = self._watch.pipelines[Path(run.log)].firing
                self.covered |= {alert_id(run.log, alert.id) for alert in firing if is_inhibited(alert)}
                self._tell(run.log, notice)

    def close(self) -> None:
        """Close every log."""
        self._watch.close()

    def _tell(self, log: str, alert: Alert) -> None:
        reason = decide(alert, None, 0.0)
        if reason is not None:
            mark_told(alert, None)
            identity = alert_id(log, alert.id)
            self.told[identity, reason] += 1
            self.names[identity] = f"{identity} ({alert.rule} in {Path(log).name}, byte {alert.offset})"


class Writer(threading.Thread):
    """Does the steps of a plan, as many as it has been allowed, with a pause before each; *reference* reads along.

    It rotates a log only once a daemon knows it: of one that came and was rotated while none was looking, nobody can
    tell that there was more. `wrote` is set after each step.
    """

    def __init__(self, plan: Sequence[Step], logs: Logs, reference: Reference, dice: random.Random) -> None:
        super().__init__(name="writer", daemon=True)
        self.wrote = threading.Event()
        self.failure: BaseException | None = None
        self._plan, self._logs, self._reference, self._dice = plan, logs, reference, dice
        self._allowed = threading.Semaphore(0)
        self._known: set[str] = set()
        self._knows = threading.Condition()

    def allow(self, steps: int) -> None:
        """Let it do so many *steps* more."""
        for _ in range(steps):
            self._allowed.release()

    def know(self, logs: Iterable[str]) -> None:
        """Let it rotate the *logs* with these names."""
        with self._knows:
            self._known.update(logs)
            self._knows.notify_all()

    def run(self) -> None:
        """Write it all."""
        try:
            for step in self._plan:
                self._allowed.acquire()
                if step.turn:
                    with self._knows:
                        self._knows.wait_for(partial(self._known.__contains__, step.log))
                threading.Event().wait(self._dice.uniform(0, _PAUSE_S))
                self._logs.write(step)
                self._reference.look()
                self.wrote.set()
        except BaseException as error:
            self.failure = error  # for those who wait for its end
            raise
