"""Many logs as one stream."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.follower import LATE_WRITE, ROTATED, Item
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake, NativeWake

LIMIT_S = 10.0


class World:
    """A folder, a wake by hand, a clock by hand, and a tailer of `*.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wake = ManualWake()
        self.clock = ManualClock(1000)
        self.tailer = self.start()

    def start(self, **options: object) -> Tailer:
        """Make another tailer of the same folder."""
        return Tailer([self.folder / "*.log"], self.wake, clock=self.clock, **options)  # type: ignore[arg-type]

    def write(self, name: str, data: bytes) -> Path:
        """Append to a log, and say nothing."""
        path = self.folder / name
        with path.open("ab") as log:
            log.write(data)
        return path

    def step(self) -> list[tuple[str, Item]]:
        """Wait and poll once, as the pipeline does."""
        return [(path.name, item) for path, item in self.tailer.poll(self.tailer.wait(60))]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world in which nothing happened yet, but the first look was made."""
    world = World(tmp_path)
    world.step()
    yield world
    world.tailer.close()


def test_new_file_in_a_glob(world: World) -> None:
    """A log that is made later is followed from its first byte, as soon as its folder is reported."""
    world.wake.touch(world.write("a.log", b"one\n"), world.folder)
    assert world.step() == [("a.log", Chunk(0, b"one\n"))]


def test_new_file_without_a_report(world: World) -> None:
    """A log that nobody reported is found by the periodic look."""
    world.write("a.log", b"one\n")
    assert world.step() == []
    world.clock.advance(2)
    assert world.step() == [("a.log", Chunk(0, b"one\n"))]


def test_reported_log_is_read_first(world: World) -> None:
    """Only reported logs are looked at, and the others at the periodic look: events are never the truth."""
    for name in ("a.log", "b.log"):
        world.write(name, b"1")
    world.clock.advance(2)
    assert len(world.step()) == 2
    world.write("a.log", b"2")
    world.wake.touch(world.write("b.log", b"2"))
    assert world.step() == [("b.log", Chunk(1, b"2"))]
    world.clock.advance(2)
    assert world.step() == [("a.log", Chunk(1, b"2"))]


@pytest.mark.parametrize("step", [3600, -3600])
def test_clock_that_is_set(world: World, step: float) -> None:
    """A clock that is set forward or back by an hour neither stops the periodic look nor hastens it."""
    world.write("a.log", b"1")
    world.clock.step(step)
    assert world.step() == []
    world.clock.advance(2)
    assert world.step() == [("a.log", Chunk(0, b"1"))]
    world.clock.step(-step)
    world.write("a.log", b"2")
    world.clock.advance(2)
    assert world.step() == [("a.log", Chunk(1, b"2"))]


@pytest.mark.parametrize("step", [3600, -3600])
def test_vanished_log_and_a_clock_that_is_set(world: World, step: float) -> None:
    """A clock that is set has a vanished log forgotten neither too early nor never."""
    log = world.write("a.log", b"1")
    world.clock.advance(2)
    world.step()
    log.unlink()
    world.clock.advance(2)
    world.step()
    world.clock.step(step)
    world.clock.advance(590)
    world.step()
    assert [log.path.name for log in world.tailer.logs] == ["a.log"]
    world.clock.advance(10)
    world.step()
    assert world.tailer.logs == []


def test_log_that_comes_back_after_it_was_forgotten(world: World) -> None:
    """A folder that was away for hours is read on where it was left: nothing is told twice."""
    log = world.write("a.log", b"0123456789")
    world.clock.advance(2)
    world.step()
    away = log.rename(world.folder.parent / "away")
    for _ in range(2):
        world.clock.advance(3600)
        assert world.step() == []
    assert world.tailer.logs == []
    away.rename(log)
    world.write("a.log", b"more")
    world.clock.advance(2)
    assert world.step() == [("a.log", Chunk(10, b"more"))]


def test_logs_take_turns(world: World) -> None:
    """A long log does not hold up the others: each gives a chunk in turn."""
    world.write("big.log", b"x" * 12)
    world.write("small.log", b"y")
    world.tailer = world.start(chunk_size=4)
    names = [name for name, _ in world.step()]
    assert names == ["big.log", "small.log", "big.log", "big.log"]


def test_late_write_is_reported(world: World) -> None:
    """A report about a renamed file, which nobody follows by that name, leads to the log it came from."""
    log = world.write("a.log", b"1")
    world.wake.touch(log, world.folder)
    world.step()
    old = log.rename(world.folder / "a.log.1")
    world.write("a.log", b"2")
    world.wake.touch(log, old, world.folder)
    assert world.step() == [("a.log", Discontinuity(ROTATED)), ("a.log", Chunk(0, b"2"))]
    world.wake.touch(world.write("a.log.1", b"late"))
    assert world.step() == [("a.log", Discontinuity(LATE_WRITE)), ("a.log", Chunk(1, b"late"))]


def test_report_about_a_links_target(world: World) -> None:
    """A write to what a link leads to is reported under the target's name, and read under the link's."""
    target = world.folder / "elsewhere" / "real"
    target.parent.mkdir()
    target.write_bytes(b"1")
    (world.folder / "link.log").symlink_to(target)
    world.wake.touch(world.folder)
    assert world.step() == [("link.log", Chunk(0, b"1"))]
    assert target.parent in world.wake.folders
    target.write_bytes(b"12")
    world.wake.touch(target)
    assert world.step() == [("link.log", Chunk(1, b"2"))]


def test_positions_are_resumed(world: World) -> None:
    """With the positions of an earlier life each log goes on where it was left."""
    world.wake.touch(world.write("a.log", b"1"), world.folder)
    world.step()
    positions = {log.path: log.position for log in world.tailer.logs if log.position}
    world.tailer.close()
    world.write("a.log", b"2")
    world.tailer = world.start(positions=positions)
    assert world.step() == [("a.log", Chunk(1, b"2"))]


def test_vanished_log_is_forgotten(world: World) -> None:
    """A deleted log is kept for a while, as it may come back, and then let go with its descriptor."""
    log = world.write("a.log", b"1")
    world.clock.advance(2)
    world.step()
    log.unlink()
    world.clock.advance(2)
    assert world.step() == []
    assert world.tailer.problems == [f"{log}: file is missing"]
    world.clock.advance(600)
    world.step()
    assert world.tailer.logs == []


def test_vanished_log_comes_back(world: World) -> None:
    """A log that comes back in time goes on being the same one."""
    log = world.write("a.log", b"1")
    world.clock.advance(2)
    world.step()
    log.unlink()
    world.clock.advance(2)
    world.step()
    world.write("a.log", b"new")
    world.clock.advance(2)
    items = [item for _, item in world.step()]
    assert items == [Discontinuity("replaced"), Chunk(0, b"new")]
    world.clock.advance(599)
    world.step()
    assert [log.path.name for log in world.tailer.logs] == ["a.log"]


def test_idle_logs_are_cheap(world: World) -> None:
    """A periodic look at a thousand idle logs takes a few hundredths of a second at most."""
    for number in range(1000):
        world.write(f"{number:04}.log", b"one\n")
    world.clock.advance(4e9)  # so late that no time stamp is young
    assert len(world.step()) == 1000
    world.clock.advance(2)
    begin = time.process_time()
    assert world.step() == []
    assert time.process_time() - begin < 0.2


def test_many_logs_need_descriptors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more logs than files may be open, the soft limit is raised as far as the hard one allows."""
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 100))
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    world.write("a.log", b"1")
    world.clock.advance(2)
    world.step()
    assert limits == [(100, 100)]


def test_native_end_to_end(tmp_path: Path) -> None:
    """With the system's events a new log, a write and a rotation arrive without any periodic look."""
    tailer = Tailer([tmp_path / "*.log"], NativeWake(), recheck_s=1000)
    list(tailer.poll(tailer.wait(0)))
    log, received = tmp_path / "a.log", b""

    def receive(wanted: bytes) -> None:
        nonlocal received
        end = time.monotonic() + LIMIT_S
        while received != wanted:
            assert time.monotonic() < end, received
            items = [item for _, item in tailer.poll(tailer.wait(0.5))]
            received += b"".join(item.data for item in items if isinstance(item, Chunk))

    log.write_bytes(b"1")
    receive(b"1")
    with log.open("ab", buffering=0) as writer:
        writer.write(b"2")
        receive(b"12")
        log.rename(tmp_path / "a.log.1")
        log.write_bytes(b"3")
        receive(b"123")
        writer.write(b"4")
        receive(b"1234")
    tailer.close()
