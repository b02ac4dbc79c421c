"""More logs than files may be open: followed all the same."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.follower import LATE_WRITE, ROTATED, TRUNCATED, Follower
from nanwatch.tail.room import Room

MANY = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import NativeWake
folder = Path(sys.argv[1])
logs = [folder / f"{n:04}.log" for n in range(1000)]
def append(text):
    for log in logs:
        with log.open("a") as file:
            file.write(f"{log.stem} {text}\\n")
append("one")
tailer = Tailer([folder / "*.log"], NativeWake(), recheck_s=1000)
got = {log: [] for log in logs}
def look():
    for path, item in tailer.poll():
        got[path].append(item.data.decode() if isinstance(item, Chunk) else item.reason)
    assert tailer.problems == [], tailer.problems[:3]
look()
append("two")
look()
for log in logs[::2]:
    log.rename(f"{log}.1")
for log in logs[::2]:
    with Path(f"{log}.1").open("a") as file:
        file.write(f"{log.stem} rest\\n")
append("three")
look()
for log in logs[::2]:
    with Path(f"{log}.1").open("a") as file:
        file.write(f"{log.stem} late\\n")
look()
tailer.close()
for n, log in enumerate(logs):
    name = log.stem
    rotated = [f"{name} rest\\n", "rotated", f"{name} three\\n", "late write to the rotated file", f"{name} late\\n"]
    assert got[log] == [f"{name} one\\n", f"{name} two\\n", *([f"{name} three\\n"] if n % 2 else rotated)], got[log]
print("all seen")
"""


def test_thousand_logs_with_128_descriptors(tmp_path: Path) -> None:
    """A thousand logs are followed with 128 descriptors, through growth, a rotation of half of them and late writes."""
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("all seen\n", "")


def poll(follower: Follower) -> list[str | bytes]:
    return [item.data if isinstance(item, Chunk) else item.reason for item in follower.poll()]


def test_idle_logs_give_way(tmp_path: Path) -> None:
    """The log that grew longest ago gives its descriptor to the one that grows, and an idle one needs none."""
    room, clock = Room(limit=2), ManualClock(4e9)
    logs = [tmp_path / f"{n}.log" for n in range(4)]
    followers = [Follower(log, room=room, clock=clock) for log in logs]
    for log, follower in zip(logs, followers, strict=True):
        log.write_bytes(b"one\n")
        assert poll(follower) == [b"one\n"]
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(2):
        assert [poll(follower) for follower in followers] == [[]] * 4
    assert len(room) == 2
    with logs[0].open("ab") as file:
        file.write(b"two\n")
    assert poll(followers[0]) == [b"two\n"]
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
    for follower in followers:
        follower.close()
    assert len(room) == 0


@pytest.fixture
def narrow(tmp_path: Path) -> Follower:
    """A follower that has read `one` and was made to let its descriptor go."""
    room, clock = Room(limit=1), ManualClock()
    log = tmp_path / "train.log"
    log.write_bytes(b"one\n")
    follower = Follower(log, room=room, clock=clock)
    assert poll(follower) == [b"one\n"]
    let_go(follower)
    return follower


def let_go(follower: Follower) -> None:
    """Take all descriptors away."""
    room = follower._room
    room.limit = 0
    room._shrink(0)
    room.limit = 1
    assert len(room) == 0


def test_rotated_without_a_descriptor(narrow: Follower) -> None:
    """A log that is rotated while it is not open is found again under its new name, and so is a late write."""
    log = narrow.path
    log.write_bytes(b"one\nrest\n")
    old = log.rename(log.with_name("train.log.1"))
    log.write_bytes(b"new\n")
    assert poll(narrow) == [b"rest\n", ROTATED, b"new\n"]
    let_go(narrow)
    with old.open("ab") as file:
        file.write(b"late\n")
    assert poll(narrow) == [LATE_WRITE, b"late\n"]
    narrow.close()


def test_copytruncated_without_a_descriptor(narrow: Follower) -> None:
    """A log that is copy-truncated while it is not open is read on in its copy."""
    log = narrow.path
    log.write_bytes(b"one\nrest\n")
    log.with_name("train.log.1").write_bytes(log.read_bytes())
    log.write_bytes(b"")
    assert poll(narrow) == [b"rest\n", TRUNCATED]
    narrow.close()


def test_deleted_without_a_descriptor(narrow: Follower) -> None:
    """A log that is deleted while it is not open is missing, and the next one is read from its first byte."""
    log = narrow.path
    log.unlink()
    assert poll(narrow) == []
    assert narrow.problem == "file is missing"
    (log.parent / "stranger").write_bytes(b"may have got the same inode\n")
    log.write_bytes(b"new\n")
    assert [item for item in poll(narrow) if isinstance(item, bytes)] == [b"new\n"]
    narrow.close()


def test_no_descriptor_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any descriptor to be had a log says so, and nothing is lost once there is one."""
    log = tmp_path / "train.log"
    log.write_bytes(b"one\n")
    follower = Follower(log)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "scandir", refuse)
        assert poll(follower) == []
        assert follower.problem == "too many open files"
    assert list(follower.poll()) == [Chunk(0, b"one\n")]
    log.rename(log.with_name("train.log.1"))
    log.write_bytes(b"two\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "scandir", refuse)
        assert poll(follower) == []
        assert follower.problem == "too many open files"
    assert list(follower.poll()) == [Discontinuity(ROTATED), Chunk(0, b"two\n")]
    follower.close()


def test_others_give_way_when_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system refuses a descriptor, idle logs give theirs back, and fewer are kept from then on."""
    room = Room()
    logs = [tmp_path / f"{n}.log" for n in range(20)]
    for log in logs:
        log.write_bytes(b"one\n")
    followers = [Follower(log, room=room) for log in logs[:19]]
    assert [poll(follower) for follower in followers] == [[b"one\n"]] * 19
    real, refused = os.open, 0

    def refuse_once(*arguments: object, **options: object) -> int:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse_once)
    last = Follower(logs[19], room=room)
    assert poll(last) == [b"one\n"]
    assert last.problem is None
    assert len(room) == room.limit == 11
    for follower in [*followers, last]:
        follower.close()
