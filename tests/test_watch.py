"""Following logs: what comes is told in order, at once, whatever happens to the files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from nanwatch import watch as watch_module
from nanwatch.clock import ManualClock
from nanwatch.config import Config
from nanwatch.model.alert import Alert
from nanwatch.model.event import EpochDone, Event
from nanwatch.pipeline import Notice
from nanwatch.pipewatch import PipeWatch
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake
from nanwatch.tail.writers import Writer
from nanwatch.watch import Watch
from tests.support.logs import bars, facts_of, lines, read, yolo_story

START = 1_000_000.0


class Scene:
    """A folder of logs, a watch on it, a clock and a wake that the test moves."""

    def __init__(self, folder: Path, *patterns: str, every_event: bool = False, config: Config | None = None) -> None:
        self.folder = folder
        self.clock, self.wake = ManualClock(START), ManualWake()
        self.writers: list[Writer] | None = None
        self.asked = 0
        tailer = Tailer([folder / p for p in patterns or ("*.log",)], self.wake, clock=self.clock)
        self.watch = Watch(tailer, config or Config(), self.clock, every_event, find=self._find)

    def _find(self, paths: Iterable[Path]) -> dict[Path, list[Writer] | None]:
        self.asked += 1
        return dict.fromkeys(paths, self.writers)

    def write(self, data: bytes, name: str = "x.log", mode: str = "ab") -> Path:
        """Write to a log and report it."""
        path = self.folder / name
        with path.open(mode) as file:
            file.write(data)
        self.wake.touch(path, self.folder)
        return path

    def look(self, seconds: float = 1.0) -> list[Notice]:
        """Return what is told *seconds* later."""
        self.clock.advance(seconds)
        return list(self.watch.look())

    def alerts(self, seconds: float = 1.0) -> list[tuple[str, str, int | None, int | None]]:
        """Return the alerts that are told *seconds* later."""
        self.clock.advance(seconds)
        told = (notice for _, notice in self.watch.look() if isinstance(notice, Alert))
        return [(a.rule, a.state, a.epoch, a.batch) for a in told]  # each as it is told: an alert goes on to change


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A watch on the logs of an empty folder."""
    made = Scene(tmp_path)
    yield made
    made.watch.close()


def test_history_bears_no_time(scene: Scene) -> None:
    """What stands in a log at the first look is told without a time; what comes later, with it."""
    scene.write(bars(1, "0.5", "nan", total=10)[:-1])
    (first,) = [n for _, n in scene.look() if isinstance(n, Alert)]
    assert (first.rule, first.started_at) == ("nan_loss", None)
    scene.write(bars(1, "0.5", "nan", "nan", "nan", total=10)[:-1])
    (second,) = [n for _, n in scene.look() if isinstance(n, Alert)]
    assert (second.rule, second.started_at) == ("nan_burst", START + 2)


def test_growth(scene: Scene) -> None:
    """A log that grows is read on, and told once."""
    scene.write(bars(1, "0.5", "0.4"))
    assert scene.alerts() == []
    scene.write(bars(2, "0.5", "nan", "0.4"))
    assert scene.alerts() == [("nan_loss", "firing", 2, 2)]
    assert scene.look() == []
    scene.write(bars(3, "0.5"))
    assert scene.alerts() == [("nan_loss", "resolved", 2, 2)]


def test_a_new_log_appears(scene: Scene) -> None:
    """A log that appears in the folder is followed from its first byte."""
    scene.write(bars(1, "0.5", "0.4"))
    scene.look()
    path = scene.write(bars(1, "nan", "nan", "nan"), "y.log")
    assert [a[0] for a in scene.alerts()] == ["nan_loss", "nan_burst"]
    assert set(scene.watch.pipelines) == {scene.folder / "x.log", path}


def test_an_empty_folder_waits(scene: Scene) -> None:
    """Where no log is yet, nothing is told, and the first that comes is."""
    assert scene.look() == []
    assert scene.watch.pipelines == {}
    scene.write(bars(1, "0.5", "nan"))
    assert [a[0] for a in scene.alerts()] == ["nan_loss"]


def test_nan_in_an_unfinished_redraw(scene: Scene) -> None:
    """A NaN in the frame that the trainer draws now is told before anything ends the frame, and only once."""
    scene.write(bars(1, "0.5", "0.4", total=10)[:-1])
    scene.look()
    frame = b"\rEpoch 1/5:  30%|###       | 3/10 [00:03<00:09,  1.00it/s, loss=nan]"
    scene.write(frame[:-10])
    assert scene.alerts() == []
    scene.write(frame[-10:])
    assert scene.alerts() == [("nan_loss", "firing", 1, 3)]
    scene.write(b"\n")
    assert scene.alerts() == []


def test_piece_by_piece(tmp_path: Path) -> None:
    """A whole training that is written in pieces is told as if read at once."""
    data, scene = yolo_story(40)[0], Scene(tmp_path)
    for begin in range(0, len(data), 7001):
        scene.write(data[begin : begin + 7001])
        scene.look()
    (pipeline,) = scene.watch.pipelines.values()
    assert facts_of(pipeline) == facts_of(read(data))
    scene.watch.close()


def test_rotation(scene: Scene) -> None:
    """A log that is renamed and begun again is read to its end and on: the run goes on."""
    path = scene.write(bars(1, "0.5", "0.4"))
    scene.look()
    scene.write(bars(2, "0.5", "nan"))
    path.rename(scene.folder / "x.log.1")
    scene.write(bars(3, "0.5", "0.4"))
    told = scene.alerts()
    assert told == [("nan_loss", "firing", 2, 2), ("nan_loss", "resolved", 2, 2)]
    assert scene.watch.pipelines[path].runs[0].epoch == 3


def test_truncation(scene: Scene) -> None:
    """A log that is emptied under the watch is read from its new start."""
    path = scene.write(bars(1, "0.5", "0.4") * 3)
    scene.look()
    scene.write(b"", mode="wb")
    scene.look()
    scene.write(bars(2, "0.5", "nan"))
    assert scene.alerts() == [("nan_loss", "firing", 2, 2)]
    assert scene.watch.problems == []
    assert scene.watch.pipelines[path].runs[0].nan_batches == 1


def test_deletion(scene: Scene) -> None:
    """A named log that is deleted is a problem that is shown, and read again when it is back."""
    path = scene.write(bars(1, "0.5", "0.4"))
    scene.watch.close()
    named = Scene(scene.folder, "x.log")
    named.look()
    path.unlink()
    named.wake.touch_everything()
    assert named.look() == []
    assert named.watch.problems == [f"{path}: file is missing"]
    named.write(bars(2, "nan"))
    named.wake.touch_everything()
    assert named.alerts() == [("nan_loss", "firing", 2, 1)]
    assert named.watch.problems == []
    named.watch.close()


def test_a_report_about_nothing(scene: Scene) -> None:
    """A wake-up without a change tells nothing."""
    path = scene.write(bars(1, "0.5", "nan"))
    scene.look()
    scene.wake.touch(path)
    assert scene.look() == []
    scene.wake.touch(scene.folder / "never.log")
    assert scene.look() == []


def test_without_any_report(scene: Scene) -> None:
    """The periodic look finds what no event told of."""
    path = scene.write(bars(1, "0.5", "0.4"))
    scene.look()
    with path.open("ab") as file:
        file.write(bars(2, "nan"))
    assert scene.alerts(5.0) == [("nan_loss", "firing", 2, 1)]


def test_every_event(tmp_path: Path) -> None:
    """With every event asked for, each frame is read."""
    scene = Scene(tmp_path, every_event=True)
    line = lines(["Epoch 1: Loss: 0.5 | IoU: 0.5 | LR: 0.1"])
    scene.write(line)
    events: list[Event | Alert] = [notice for _, notice in scene.look()]
    assert [type(e) for e in events] == [EpochDone]
    assert all(p.every_event for p in scene.watch.pipelines.values())
    scene.watch.close()


# -- who writes


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The processes that live, by their numbers."""
    found = {7, 8}
    monkeypatch.setattr(watch_module, "is_alive", lambda writer: writer.pid in found)
    return found


WHOLE = bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.5", "0.4", epochs=2)
TORN = bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.5", "0.4", epochs=2, total=9)


def test_a_writer_that_left(scene: Scene, living: set[int]) -> None:
    """A log whose writer is gone, and whose last epoch is complete, has finished."""
    scene.writers = [Writer(7, "python")]
    scene.write(WHOLE)
    assert scene.alerts() == []
    assert scene.alerts(40.0) == []
    living.clear()
    scene.writers = []
    assert [(a[0], a[1]) for a in scene.alerts(5.0)] == [("finished", "firing")]


def test_nobody_was_ever_seen_to_write(scene: Scene) -> None:
    """A complete log that nobody holds has finished, but for a few seconds it may be between two lines."""
    scene.writers = []
    scene.write(WHOLE)
    assert scene.alerts() == []
    assert scene.alerts(5.0) == []
    assert [(a[0], a[1]) for a in scene.alerts(60.0)] == [("finished", "firing")]


def test_a_process_that_is_gone(scene: Scene, living: set[int]) -> None:
    """A writer that was seen and exits in mid-epoch is told at once, by its number; another that goes on ends that."""
    scene.writers = [Writer(7, "python")]
    scene.write(TORN)
    assert scene.alerts() == []
    assert scene.alerts(5.0) == []
    living.discard(7)
    scene.writers = []
    assert scene.alerts(5.0) == [("process_gone", "firing", 2, 2)]
    (alert,) = scene.watch.pipelines[scene.folder / "x.log"].firing
    assert alert.message == "gone without a word at 22 % of epoch 2: pid 7 (python) has exited"
    scene.writers = [Writer(8, "python")]
    scene.write(bars(2, "0.5", "0.4", epochs=2))
    assert ("process_gone", "resolved", 2, 2) in scene.alerts(60.0)


def test_what_was_written_last_is_read_before_the_process_is_missed(scene: Scene, living: set[int]) -> None:
    """A trainer that says that it is done and exits is not missed, however soon after."""
    scene.writers = [Writer(7, "python")]
    scene.write(TORN)
    scene.look(), scene.look(5.0)
    living.clear()
    scene.writers = []
    scene.write(b"Training complete.\n")
    assert [(a[0], a[1]) for a in scene.alerts(5.0)] == [("finished", "firing")]
    assert scene.alerts(600.0) == []


def test_a_process_that_opens_its_log_for_each_line(scene: Scene, living: set[int]) -> None:
    """As long as it lives, nobody misses it."""
    scene.writers = [Writer(7, "python")]
    scene.write(TORN)
    scene.look(), scene.look(5.0)
    scene.writers = []
    assert scene.alerts(120.0) == []
    assert living >= {7}


def test_a_hung_process(scene: Scene, living: set[int]) -> None:
    """A silent log is told with the process that should write it, and what that uses of the processor."""
    scene.writers = [Writer(7, "python", cpu_seconds=100.0)]
    scene.write(TORN)
    scene.look(), scene.look(5.0)
    told = []
    for minute in range(1, 12):
        scene.writers = [Writer(7, "python", cpu_seconds=100.0 + 60.0 * minute)]
        told += scene.alerts(60.0)
    assert told == [("stall", "firing", 2, 2)]
    (alert,) = scene.watch.pipelines[scene.folder / "x.log"].firing
    assert alert.message.startswith("alive, pid 7, 100 % CPU, silent for 11 minutes at 22 % of epoch 2")
    assert living


def test_a_silence_without_knowledge_of_processes(scene: Scene) -> None:
    """Where it cannot be known who writes, silence is told all the same, and ends with the next bytes."""
    scene.write(TORN)
    assert scene.alerts() == []
    assert scene.alerts(590.0) == []
    assert scene.alerts(30.0) == [("stall", "firing", 2, 2)]
    assert scene.alerts(30.0) == []
    scene.write(b"\n")
    assert scene.alerts(5.0) == [("stall", "resolved", 2, 2)]


def test_the_rhythm_is_learned(scene: Scene) -> None:
    """A log that was silent for nine minutes each time is no alarm after twenty."""
    for _ in range(3):
        scene.write(b"Epoch 1: Loss: 0.5000 | IoU: 0.4000 | LR: 0.000100\n")
        assert scene.alerts(540.0) == []
    assert scene.alerts(20 * 60.0) == []
    assert [(a[0], a[1]) for a in scene.alerts(30 * 60.0)] == [("stall", "firing")]


def test_looking_for_writers_is_rare(scene: Scene) -> None:
    """It costs something: it is done once a minute for all logs together, and not for those that have ended."""
    scene.writers = []
    scene.write(TORN)
    scene.write(TORN, "y.log")
    for _ in range(60):
        scene.look(10.0)
    assert 8 <= scene.asked <= 12
    scene.write(b"Training complete.\n")
    scene.write(b"Training complete.\n", "y.log")
    scene.look()
    asked = scene.asked
    for _ in range(60):
        scene.look(10.0)
    assert scene.asked == asked


# -- a pipe


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe; the test closes the writing end."""
    ends = os.pipe()
    yield ends
    os.close(ends[0])


def test_a_pipe(pipe: tuple[int, int]) -> None:
    """What comes through a pipe is told as it comes, the unfinished frame included."""
    clock = ManualClock(START)
    watch = PipeWatch(Config(), clock, fd=pipe[0])
    assert list(watch.look()) == []
    os.write(pipe[1], bars(1, "0.5", "nan", total=10)[:-1])
    told = [n for _, n in watch.look() if isinstance(n, Alert)]
    assert [(a.rule, a.batch, a.started_at) for a in told] == [("nan_loss", 2, START)]
    assert not watch.at_end
    os.close(pipe[1])
    assert list(watch.look()) == []
    assert watch.at_end
    assert watch.problems == []
    assert list(watch.pipelines) == [Path("-")]
    watch.close()


def test_the_end_of_a_pipe_is_the_end_of_the_run(pipe: tuple[int, int]) -> None:
    """When the writer is gone, a torn last line is read, and a complete training has finished."""
    watch = PipeWatch(Config(), ManualClock(START), fd=pipe[0])
    os.write(pipe[1], bars(1, "0.5", epochs=1) + b"\rEpoch 1/1: 100%|##########| 1/1 [00:01<00:00,  1.00it/s, loss=0.4")
    os.close(pipe[1])
    told: list[Alert] = []
    while not watch.at_end:
        told += [n for _, n in watch.look() if isinstance(n, Alert)]
    told += [n for _, n in watch.look() if isinstance(n, Alert)]
    assert [a.rule for a in told] == ["finished"]


def test_a_pipe_that_cannot_be_read() -> None:
    """A descriptor that is not open is a problem and the end."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    watch = PipeWatch(Config(), ManualClock(START), fd=reading)
    assert list(watch.look()) == []
    assert watch.at_end
    assert watch.problems


# -- for the daemon: go on where it was left, a bit at a time


def test_it_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """A watch that is given what another one kept reads only what came since, and knows all that was before."""
    data, facts = yolo_story()
    path = tmp_path / "x.log"
    path.write_bytes(data[: len(data) // 2])
    first = Scene(tmp_path)
    list(first.watch.look())
    kept = first.watch.keep(path)
    assert kept is not None
    first.watch.close()
    path.write_bytes(data)
    clock, wake = ManualClock(START), ManualWake()
    tailer = Tailer([tmp_path / "*.log"], wake, clock=clock, positions={path: kept.position})
    second = Watch(tailer, Config(), clock, kept={path: kept})
    list(second.look())
    assert second.bytes_read == len(data) - len(data) // 2
    assert second.pipelines[path].runs[-1].nan_batches == facts["nan_batches"]
    second.close()


def test_a_look_of_a_service_takes_no_longer_than_its_turn(tmp_path: Path) -> None:
    """What is left is read in the next looks, each log in its turn; it comes to the same."""

    class Ticking(ManualClock):
        def steady(self) -> float:
            self.advance(0.3)
            return super().steady()

    data, facts = yolo_story()
    for name in "abc":
        (tmp_path / f"{name}.log").write_bytes(data)
    clock = Ticking(START)
    tailer = Tailer([tmp_path / "*.log"], ManualWake(), clock=clock, chunk_size=4096)
    watch = Watch(tailer, Config(), clock, turn_s=1.0, find=lambda paths: dict.fromkeys(paths, None))
    looks, seen = 0, []
    while not watch.is_live:
        before = watch.bytes_read
        list(watch.look())
        looks += 1
        seen.append(watch.bytes_read - before)
        assert watch.bytes_read - before <= 5 * 4096
    assert looks > 10
    assert {p.name: w.runs[-1].nan_batches for p, w in watch.pipelines.items()} == dict.fromkeys(
        ("a.log", "b.log", "c.log"), facts["nan_batches"]
    )
    assert watch.bytes_read == 3 * len(data)
    watch.close()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_is_no_silence(scene: Scene, hours: int) -> None:
    """Neither a step forward nor one back is a stall; silence is measured on from where it was."""
    scene.write(bars(1, "0.5", "0.4", total=10))
    scene.look()
    scene.clock.step(3600.0 * hours)
    assert scene.alerts() == []
    assert scene.watch.clock_step == 3600.0 * hours
    silence = scene.watch.pipelines[scene.folder / "x.log"].runs[-1].silence
    assert silence == pytest.approx(1.0)
