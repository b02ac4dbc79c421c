"""Looking through checkpoints beside the work: one run at a time, never for longer than it may take."""

from __future__ import annotations

import json
import shutil
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

import nanwatch
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
        self.asked: list[dict[str, Any]] = []
        self.scanning = Scanning(self.clock, seconds, self._launch)

    def _launch(self, asked: bytes, answer: IO[bytes]) -> Running:
        self.asked.append(json.loads(asked))
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


@pytest.mark.parametrize("written", [b"", b"no state", b'{"~":"Popen","v":["rm"]}', b"\xff\xfe", b"[" * 200_000])
def test_an_answer_that_is_none_is_said(written: bytes) -> None:
    """A process that was killed, or wrote something else, is no answer that all is well."""
    scene = Scene()
    scene.scanning.ask("a", [Path("/a")])
    scene.processes[0].end(written, -9)
    ((_, found),) = scene.answers
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"


def test_of_an_answer_without_end_only_so_much_is_read() -> None:
    """What writes on and on takes no memory here."""
    scene = Scene()
    scene.scanning.ask("a", [Path("/a")])
    scene.processes[0].answer.truncate(1 << 40)
    scene.processes[0].end(b"")
    tracemalloc.start()
    ((_, found),) = scene.answers
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"
    assert peak < 1 << 27


def test_that_no_process_is_to_be_had_is_said() -> None:
    """A machine without memory for another process loses no alert by it."""

    def refuse(asked: bytes, answer: IO[bytes]) -> Running:
        raise OSError(f"no memory for {asked!r} and {answer}")

    scanning = Scanning(ManualClock(), 60.0, refuse)
    scanning.ask("a", [Path("/a")])
    ((_, found),) = scanning.poll()
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"


def test_that_no_file_is_to_be_had_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends nobody who asks, and loses no alert."""

    def refuse() -> IO[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    scene = Scene()
    assert scene.scanning.ask("a", [Path("/a")])
    ((_, found),) = scene.answers
    assert found is not None
    assert found.problem == "its checkpoints could not be looked through"
    assert scene.processes == []


def test_a_look_that_leaves_out_less_is_begun_anew() -> None:
    """What was written after a metric was lost is no answer, although a look without that was under way."""
    scene = Scene()
    scene.scanning.ask("a", [Path("/a")])
    scene.scanning.ask("b", [Path("/b")])
    scene.scanning.ask("b", [Path("/b")], 7.0)
    assert scene.scanning.ask("a", [Path("/a")], 9.0)
    assert scene.scanning.ask("a", [Path("/a")], 9.0)
    assert scene.scanning.ask("a", [Path("/a")])
    assert scene.processes[0].was_killed
    assert [asked["since"] for asked in scene.asked] == [None, 9.0]
    scene.processes[1].end(dump(Weights("/a")).encode())
    assert scene.answers == [("a", Weights("/a"))]
    assert [asked["since"] for asked in scene.asked] == [None, 9.0, 7.0]
    scene.processes[2].end(dump(None).encode())
    assert scene.answers == [("b", None)]
    assert len(scene.processes) == 3


def test_beside_processes_that_hang_only_a_few_more_are_started() -> None:
    """A disk that lets nobody end holds three processes; further runs are told without a look, until one has ended."""
    scene = Scene(seconds=60.0)
    for number in range(5):
        scene.scanning.ask(str(number), [Path("/w")])
        scene.clock.advance(75.0)
        assert [key for key, _ in scene.answers] == [str(number)]
    assert len(scene.processes) == 3
    scene.processes[0].code = -9
    scene.scanning.ask("5", [Path("/w")])
    assert len(scene.processes) == 4
    scene.scanning.close()


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


@pytest.mark.parametrize("is_zipped", [False, True])
def test_the_process_finds_nanwatch_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_zipped: bool
) -> None:
    """It imports what this process imports: from a folder on the path, or from a zip."""
    package = Path(nanwatch.__file__).parent
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(package, elsewhere / "nanwatch", ignore=shutil.ignore_patterns("__pycache__"))
    answer = dump(Weights("elsewhere"))
    (elsewhere / "nanwatch" / "scanworker.py").write_text(f"def main():\n    print({answer!r})\n")
    if is_zipped:
        with zipfile.ZipFile(tmp_path / "all.pyz", "w") as packed:
            for path in elsewhere.rglob("*.py"):
                packed.write(path, path.relative_to(elsewhere))
        elsewhere = tmp_path / "all.pyz"
    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])
    scanning = Scanning(SystemClock(), 60.0)
    scanning.ask("a", [tmp_path])
    assert until(lambda: list(scanning.poll())) == ("a", Weights("elsewhere"))
