"""Looking through checkpoints beside the work: one run at a time, never for longer than it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from nanwatch.clock import ManualClock, SystemClock
from nanwatch.model.checkpoint import Weights
from nanwatch.scanning import Running, Scanning
from nanwatch.statecodec import dump


class Process:
    """A process that ends when a test says so."""

    def __init__(self, answer: IO[bytes]) -> None:
        self.answer = answer
        self.code: int | None = None
        self.was_killed = False

    def poll(self) -> int | None:
        """Return its exit code."""
        return self.code

    def kill(self) -> None:
        """End it."""
        self.was_killed = True

    def wait(self, timeout: float) -> int:
        """Return that it has ended."""
        assert timeout > 0
        return -9

    def end(self, written: bytes, code: int = 0) -> None:
        """Let it write and end."""
        self.answer.write(written)
        self.code = code


class Scene:
    """What looks through checkpoints, and the processes that it has started."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.clock = ManualClock()
        self.processes: list[Process] = []
        self.scanning = Scanning(self.clock, seconds, self._launch)

    def _launch(self, asked: bytes, answer: IO[bytes]) -> Running:
        assert asked
        self.processes.append(Process(answer))
        return self.processes[-1]

    @property
    def answers(self) -> list[tuple[str, Weights | None]]:
        """The answers that have come since this was last asked."""
        return list(self.scanning.poll())


def test_one_run_is_looked_at_after_the_other() -> None:
    """The second look begins when the first has ended; each answer bears the name of its run."""
    scene = Scene()
    assert scene.scanning.ask("a", [Path("/a")])
    assert scene.scanning.ask("b", [Path("/b")])
    assert scene.scanning.ask("a", [Path("/a")])
    assert len(scene.processes) == 1
    assert scene.answers == []
    scene.processes[0].end(dump(Weights("/a")).encode())
    assert scene.answers == [("a", Weights("/a"))]
    assert not scene.scanning.is_busy_with("a")
    assert len(scene.processes) == 2
    scene.processes[1].end(dump(None).encode())
    assert scene.answers == [("b", None)]
    assert len(scene.processes) == 2


def test_without_a_place_there_is_nothing_to_look_at() -> None:
    """Where a run keeps its weights is often not known."""
    scene = Scene()
    assert not scene.scanning.ask("a", [])
    assert scene.processes == []


def test_a_look_that_takes_too_long_is_ended() -> None:
    """Weights on a disk that hangs keep nobody else waiting."""
    scene = Scene(seconds=60.0)
    scene.scanning.ask("a", [Path("/a")])
    scene.scanning.ask("b", [Path("/b")])
    scene.clock.advance(65.0)
    assert scene.answers == []
    scene.clock.advance(10.0)
    ((key, found),) = scene.answers
    assert (key, found and found.problem) == ("a", "looking through its checkpoints took too long")
    assert scene.processes[0].was_killed
    assert len(scene.processes) == 2
    scene.scanning.close()


@pytest.mark.parametrize("written", [b"", b"no state", b'{"~":"Popen","v":["rm"]}', b"\xff\xfe"])
def test_an_answer_that_is_none_is_said(written: bytes) -> None:
    """A process that was killed, or wrote something else, is no answer that all is well."""
    scene = Scene()
    scene.scanning.ask("a", [Path("/a")])
    scene.processes[0].end(written, -9)
    ((_, found),) = scene.answers
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"


def test_that_no_process_is_to_be_had_is_said() -> None:
    """A machine without memory for another process loses no alert by it."""

    def refuse(asked: bytes, answer: IO[bytes]) -> Running:
        raise OSError(f"no memory for {asked!r} and {answer}")

    scanning = Scanning(ManualClock(), 60.0, refuse)
    scanning.ask("a", [Path("/a")])
    ((_, found),) = scanning.poll()
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"


def test_closing_ends_what_is_under_way() -> None:
    """No process outlives the one that asked."""
    scene = Scene()
    scene.scanning.ask("a", [Path("/a")])
    scene.scanning.ask("b", [Path("/b")])
    scene.scanning.close()
    assert scene.processes[0].was_killed
    assert scene.answers == []


def until(what: Callable[[], list[tuple[str, Weights | None]]]) -> tuple[str, Weights | None]:
    """Wait for an answer."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := what():
            return found[0]
        time.sleep(0.02)
    raise AssertionError("no answer")


def test_a_real_process_finds_the_last_clean_checkpoint(tmp_path: Path) -> None:
    """The first place with checkpoints in it is looked through, by a process that gives way to others."""
    folder = tmp_path / "run" / "we\udcffights"
    folder.mkdir(parents=True)
    np.savez(folder / "step1.npz", weight=np.ones(4, np.float32))
    np.savez(folder / "step2.npz", weight=np.array([1.0, np.nan], np.float32))
    scanning = Scanning(SystemClock(), 60.0)
    scanning.ask("a", [tmp_path / "none", folder])
    key, found = until(lambda: list(scanning.poll()))
    scanning.close()
    assert key == "a"
    assert found is not None
    assert [c.state for c in found.checkpoints] == ["nonfinite", "clean"]
    assert found.last_clean is not None
    assert Path(found.last_clean.path) == folder / "step1.npz"
