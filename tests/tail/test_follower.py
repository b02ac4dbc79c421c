"""One situation a test: what happens to the file behind the name, and what the follower makes of it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.discover import Discovery
from nanwatch.tail.follower import LATE_WRITE, REPLACED, RETURNED, REWRITTEN, ROTATED, TRUNCATED, Follower
from nanwatch.tail.identity import Position, rotated_from

FAR_FUTURE = 4e9
"""A clock so late that every file looks as if nobody had touched it for years."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that does not exist yet."""
    return tmp_path / "train.log"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still, long before any file was written: no time stamp is trusted."""
    return ManualClock()


@pytest.fixture
def follower(log: Path, clock: ManualClock) -> Iterator[Follower]:
    """A follower of the log, with a grace of ten seconds for late writes."""
    follower = Follower(log, clock=clock, grace_s=10)
    yield follower
    follower.close()


def append(path: Path, data: bytes) -> None:
    """Append as a trainer does."""
    with path.open("ab") as file:
        file.write(data)


def take(follower: Follower) -> list[str | bytes]:
    """Poll once: the bytes between two discontinuities joined, the discontinuities as their reasons."""
    taken: list[str | bytes] = []
    for item in follower.poll():
        if isinstance(item, Discontinuity):
            taken.append(item.reason)
        elif taken and isinstance(taken[-1], bytes):
            taken[-1] += item.data
        else:
            taken.append(item.data)
    return taken


def restarted(follower: Follower) -> Follower:
    """Stop, keep the position as JSON, start again."""
    position = follower.position
    assert position is not None
    follower.close()
    return Follower(follower.path, Position.from_json(json.loads(json.dumps(position.to_json()))))


# -- the seven cases


def test_rename_and_create(log: Path, follower: Follower) -> None:
    """After a rename the rest of the old file comes first, then the new one from its first byte."""
    append(log, b"one\n")
    assert take(follower) == [b"one\n"]
    append(log, b"two\n")
    log.rename(log.with_name("train.log.1"))
    append(log, b"three\n")
    assert take(follower) == [b"two\n", ROTATED, b"three\n"]


def test_late_write_to_the_renamed_file(log: Path, follower: Follower) -> None:
    """What is written to the renamed file afterwards is told as such, with that file's offsets."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"new\n")
    assert take(follower) == [ROTATED, b"new\n"]
    append(old, b"late\n")
    assert list(follower.poll()) == [Discontinuity(LATE_WRITE), Chunk(4, b"late\n")]
    append(old, b"later\n")
    append(log, b"newer\n")
    assert list(follower.poll()) == [Chunk(9, b"later\n"), Discontinuity(RETURNED), Chunk(4, b"newer\n")]


def test_copytruncate(log: Path, follower: Follower) -> None:
    """What was written just before the copy is read from the copy; then the emptied file from 0."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.with_name("train.log.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    append(log, b"3\n")
    assert list(follower.poll()) == [Chunk(4, b"two\n"), Discontinuity(TRUNCATED), Chunk(0, b"3\n")]


def test_truncate_and_rewrite_longer_at_once(log: Path, follower: Follower) -> None:
    """A file that was truncated and is longer again by the next look is read from 0."""
    append(log, b"one\n")
    take(follower)
    log.write_bytes(b"three, four, five\n")
    assert list(follower.poll()) == [Discontinuity(REWRITTEN), Chunk(0, b"three, four, five\n")]


def test_delete_and_recreate(log: Path, follower: Follower) -> None:
    """A deleted file is read to its end, and the one that is made later from its first byte."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.unlink()
    assert take(follower) == [b"two\n"]
    assert follower.problem == "file is missing"
    append(log, b"one\nnew\n")
    assert take(follower) == [REPLACED, b"one\nnew\n"]
    assert follower.problem is None


def test_written_while_stopped(log: Path, follower: Follower) -> None:
    """After a restart reading goes on where it stopped, without a discontinuity."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    assert list(restarted(follower).poll()) == [Chunk(4, b"two\n")]


def test_new_file_in_a_glob(log: Path) -> None:
    """A file that a glob names later is read from its first byte (woken for it: test_tailer.py)."""
    discovery = Discovery([log.with_name("*.log")])
    assert discovery.scan() == []
    append(log, b"first line\n")
    (path,) = discovery.scan()
    follower = Follower(path)
    assert take(follower) == [b"first line\n"]
    follower.close()


# -- restarts


def test_rotated_while_stopped(log: Path, follower: Follower) -> None:
    """The rest of a file that was renamed while stopped is read before the new file."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.rename(log.with_name("renamed-by-hand"))
    append(log, b"three\n")
    assert take(restarted(follower)) == [b"two\n", ROTATED, b"three\n"]


def test_rotated_twice_while_stopped(log: Path, follower: Follower) -> None:
    """A file that came and went while stopped is read too, between the one before and the one after."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.rename(log.with_name("train.log.2"))
    append(log.with_name("train.log.1"), b"three\n")
    append(log, b"four\n")
    append(log.with_name("train.log.3"), b"history\n")
    assert take(restarted(follower)) == [b"two\n", ROTATED, b"three\n", ROTATED, b"four\n"]


def test_copytruncated_while_stopped(log: Path, follower: Follower) -> None:
    """The rest of what was copied away while stopped is read from the copy."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.with_name("train.log-20260101").write_bytes(log.read_bytes())
    log.write_bytes(b"three\n")
    assert take(restarted(follower)) == [b"two\n", ROTATED, b"three\n"]


@pytest.mark.parametrize(("content", "reason"), [(b"1\n", TRUNCATED), (b"other and longer\n", REWRITTEN)])
def test_rewritten_while_stopped(log: Path, follower: Follower, content: bytes, reason: str) -> None:
    """A file that is no longer the one of the position is read from 0, after a discontinuity."""
    append(log, b"one\n")
    take(follower)
    log.write_bytes(content)
    assert take(restarted(follower)) == [reason, content]


def test_replaced_while_stopped(log: Path, follower: Follower) -> None:
    """Another file under the name, with the old one gone, is read from 0."""
    append(log, b"one\n")
    take(follower)
    other = log.with_name("other")
    append(other, b"one\nnew\n")
    other.replace(log)
    assert take(restarted(follower)) == [REPLACED, b"one\nnew\n"]


def test_late_write_while_stopped(log: Path, follower: Follower) -> None:
    """A rotated file that was still watched is watched again after a restart."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"new\n")
    take(follower)
    append(old, b"late\n")
    append(log, b"newer\n")
    assert take(restarted(follower)) == [LATE_WRITE, b"late\n", RETURNED, b"newer\n"]


def test_missing_after_a_restart(log: Path, follower: Follower) -> None:
    """With nothing under the name the old file is read wherever it is, and the next one when it comes."""
    append(log, b"one\n")
    take(follower)
    append(log, b"two\n")
    log.rename(log.with_name("train.log.1"))
    again = restarted(follower)
    assert take(again) == [b"two\n"]
    assert again.problem == "file is missing"
    append(log, b"three\n")
    assert take(again) == [ROTATED, b"three\n"]


def test_position_is_kept_while_the_file_is_missing(log: Path, follower: Follower) -> None:
    """A position whose file is nowhere to be seen is kept until there is something to compare it with."""
    append(log, b"one\n")
    take(follower)
    away = log.parent / "elsewhere"
    away.mkdir()
    log.rename(away / "train.log")
    again = restarted(follower)
    assert take(again) == []
    assert again.position == follower.position
    (away / "train.log").rename(log)
    append(log, b"two\n")
    assert take(again) == [b"two\n"]


@pytest.mark.parametrize("broken", [{}, {"device": "1"}, {"device": -1}, {"device": 1, "inode": None}])
def test_position_from_broken_json(broken: dict[str, object]) -> None:
    """A position that cannot be read says which part is wrong."""
    with pytest.raises(ValueError, match=r"position: (device|inode) is missing or wrong"):
        Position.from_json(broken)


# -- the name


def test_symlink_switch(tmp_path: Path, clock: ManualClock) -> None:
    """When a link leads elsewhere the old target is read to its end, then the new one from 0."""
    first, second, link = tmp_path / "a.log", tmp_path / "b.log", tmp_path / "latest"
    append(first, b"one\n")
    append(second, b"two\n")
    link.symlink_to(first)
    follower = Follower(link, clock=clock)
    assert take(follower) == [b"one\n"]
    append(first, b"rest\n")
    link.unlink()
    link.symlink_to(second)
    assert take(follower) == [b"rest\n", ROTATED, b"two\n"]
    follower.close()


def test_file_appears_later(log: Path, follower: Follower) -> None:
    """A missing file is a problem, not an error, and its first bytes come without a discontinuity."""
    assert take(follower) == []
    assert follower.problem == "file is missing"
    assert follower.position is None
    append(log, b"one\n")
    assert take(follower) == [b"one\n"]
    assert follower.problem is None


def test_folder(log: Path, follower: Follower) -> None:
    """A folder under the name is a problem, until it is a file."""
    log.mkdir()
    assert take(follower) == []
    assert follower.problem == "is a folder"
    log.rmdir()
    append(log, b"one\n")
    assert take(follower) == [b"one\n"]


def test_pipe(log: Path, follower: Follower) -> None:
    """A named pipe is a problem, and opening it does not wait for a writer."""
    os.mkfifo(log)
    assert take(follower) == []
    assert follower.problem == "not a regular file"


@pytest.mark.parametrize(
    ("code", "phrase"),
    [
        (errno.EACCES, "permission denied"),
        (errno.ESTALE, "stale network file handle"),
        (errno.EIO, "input/output error"),
        (errno.ENOBUFS, "no buffer space available"),
    ],
)
def test_permission(log: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch, code: int, phrase: str) -> None:
    """A file that may not be opened is a problem in words, which goes when it can be opened."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    append(log, b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert take(follower) == []
        assert follower.problem == phrase
    assert take(follower) == [b"one\n"]
    assert follower.problem is None


def test_new_file_may_not_be_opened_yet(log: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the new file may not be opened the old one is still read, and nothing of either is lost."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"new\n")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        append(old, b"rest\n")
        assert take(follower) == [b"rest\n"]
        assert follower.problem == "permission denied"
    assert take(follower) == [ROTATED, b"new\n"]


# -- the content


def test_bytes_arrive_torn(log: Path, follower: Follower) -> None:
    """Bytes are handed out as they come, wherever a line, a character or a chunk is torn."""
    text = "epoch 1 ▏█\r" * 5
    for byte in text.encode():
        append(log, bytes([byte]))
        assert take(follower) == [bytes([byte])]


def test_chunks_continue_each_other(log: Path) -> None:
    """A long file comes in chunks of the given size, each at its own offset."""
    data = bytes(range(256)) * 5
    log.write_bytes(data)
    follower = Follower(log, chunk_size=500)
    chunks = [item for item in follower.poll() if isinstance(item, Chunk)]
    assert [(chunk.offset, len(chunk.data)) for chunk in chunks] == [(0, 500), (500, 500), (1000, 280)]
    assert b"".join(chunk.data for chunk in chunks) == data
    follower.close()


def test_abandoned_poll_goes_on(log: Path) -> None:
    """A consumer that stops in the middle of a poll gets the rest at the next one."""
    log.write_bytes(b"0123456789")
    follower = Follower(log, chunk_size=4, clock=ManualClock(FAR_FUTURE))
    assert next(follower.poll()) == Chunk(0, b"0123")
    assert follower.bytes_behind == 6
    assert take(follower) == [b"456789"]
    follower.close()


def test_truncated_while_reading(log: Path) -> None:
    """A file that is truncated between two chunks ends there; what comes then is a new beginning."""
    log.write_bytes(b"0123456789")
    follower = Follower(log, chunk_size=4)
    items = follower.poll()
    assert next(items) == Chunk(0, b"0123")
    os.truncate(log, 2)
    assert list(items) == [Discontinuity(TRUNCATED), Chunk(0, b"01")]
    follower.close()


def test_rewritten_while_reading(log: Path) -> None:
    """A file that is rewritten between two chunks gives no byte of the new content as if it were the old."""
    log.write_bytes(b"0123456789")
    follower = Follower(log, chunk_size=4)
    items = follower.poll()
    assert next(items) == Chunk(0, b"0123")
    log.write_bytes(b"abcdefghij")
    assert list(items) == [
        Discontinuity(REWRITTEN),
        *(Chunk(0, b"abcd"), Chunk(4, b"efgh"), Chunk(8, b"ij")),
    ]
    follower.close()


def test_same_size_within_one_tick(log: Path, follower: Follower) -> None:
    """A rewrite that leaves size and times as they were is seen while the times are young."""
    append(log, b"one\n")
    times = log.stat()
    assert take(follower) == [b"one\n"]
    log.write_bytes(b"two\n")
    os.utime(log, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert take(follower) == [REWRITTEN, b"two\n"]


def test_rewritten_head_only(log: Path, follower: Follower) -> None:
    """A file whose end is as it was and whose beginning is not was rewritten."""
    append(log, b"a" * 300 + b"b" * 300)
    take(follower)
    log.write_bytes(b"c" * 300 + b"b" * 300 + b"more")
    assert take(follower) == [REWRITTEN, b"c" * 300 + b"b" * 300 + b"more"]


def test_truncated_to_nothing(log: Path, follower: Follower) -> None:
    """A truncation is told once, at once, also when nothing was written since."""
    append(log, b"one\n")
    take(follower)
    os.truncate(log, 0)
    assert take(follower) == [TRUNCATED]
    assert take(follower) == []
    append(log, b"two\n")
    assert list(follower.poll()) == [Chunk(0, b"two\n")]


def test_writer_that_does_not_append(log: Path, follower: Follower) -> None:
    """After a copy-truncate under `> log` the hole of zeros in front is not handed out."""
    with log.open("wb", buffering=0) as writer:
        writer.write(b"x" * 10_000)
        take(follower)
        os.truncate(log, 0)
        writer.write(b"new\n")
        assert list(follower.poll()) == [Discontinuity(REWRITTEN), Chunk(10_000, b"new\n")]
        writer.write(b"more\n")
        assert list(follower.poll()) == [Chunk(10_004, b"more\n")]


def test_grown_copy_in_place(log: Path, follower: Follower) -> None:
    """A longer copy that is moved over the log continues it: nothing is read twice."""
    append(log, b"0123456789" * 30)
    take(follower)
    copy = log.with_name("copy")
    append(copy, log.read_bytes() + b"more\n")
    copy.replace(log)
    assert list(follower.poll()) == [Chunk(300, b"more\n")]
    append(log, b"and more\n")
    assert list(follower.poll()) == [Chunk(305, b"and more\n")]


# -- what it costs, and what it holds


def test_idle_poll_is_one_stat(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll of a file that did not change makes one stat and reads nothing."""
    append(log, b"one\n")
    follower = Follower(log, clock=ManualClock(FAR_FUTURE))
    take(follower)
    calls: list[str] = []
    for name in ("stat", "fstat", "pread", "open"):
        real = getattr(os, name)

        def spy(*args: object, _name: str = name, _real: object = real, **kwargs: object) -> object:
            calls.append(_name)
            assert callable(_real)
            return _real(*args, **kwargs)

        monkeypatch.setattr(os, name, spy)
    assert take(follower) == []
    monkeypatch.undo()
    assert calls == ["stat"]
    follower.close()


def test_rotated_file_is_dropped(log: Path, follower: Follower, clock: ManualClock) -> None:
    """A rotated file is let go when it is deleted, or some time after its last byte."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"two\n")
    take(follower)
    clock.advance(9)
    append(old, b"late\n")
    take(follower)
    clock.advance(9)
    take(follower)
    assert follower.has_rotated_files
    clock.advance(1)
    take(follower)
    assert not follower.has_rotated_files

    old = log.rename(log.with_name("train.log.2"))
    append(log, b"three\n")
    take(follower)
    assert follower.has_rotated_files
    old.unlink()
    take(follower)
    assert not follower.has_rotated_files


@pytest.mark.parametrize("step", [3600, -3600])
def test_late_writes_and_a_clock_that_is_set(log: Path, follower: Follower, clock: ManualClock, step: float) -> None:
    """A clock that is set ends the watch for late writes neither too early nor too late."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"two\n")
    take(follower)
    clock.step(step)
    clock.advance(9)
    append(old, b"late\n")
    assert take(follower) == [LATE_WRITE, b"late\n"]
    clock.step(-step)
    clock.advance(10)
    take(follower)
    assert not follower.has_rotated_files


def test_clock_behind_the_files(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose times lie in the future is not read again and again: two seconds without a change are enough."""
    append(log, b"one\n")
    clock = ManualClock(log.stat().st_mtime - 3600)
    follower = Follower(log, clock=clock)
    take(follower)
    clock.advance(3)
    take(follower)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", None)
        assert take(follower) == []
    append(log, b"two\n")
    assert take(follower) == [b"two\n"]
    follower.close()


def test_link_that_switches_back(tmp_path: Path, clock: ManualClock) -> None:
    """A file that is back under the name is read on where it was left, also long after and after a restart."""
    first, second, link = tmp_path / "run-1.log", tmp_path / "run-2.log", tmp_path / "current"
    append(first, b"one\n")
    append(second, b"two\n")
    link.symlink_to(first)
    follower = Follower(link, clock=clock)
    taken = take(follower)
    for target, data in [(second, b"2"), (first, b"1"), (second, b"22"), (first, b"11")]:
        link.unlink()
        link.symlink_to(target)
        append(target, data)
        taken += take(follower)
        clock.advance(3600)
        take(follower)
        follower = restarted(follower)
    assert taken == [b"one\n", ROTATED, b"two\n2", ROTATED, b"1", ROTATED, b"22", ROTATED, b"11"]
    follower.close()


def test_copy_beside_a_backup(log: Path, follower: Follower) -> None:
    """An editor that renames the log and writes a copy under its name causes nothing to be read twice."""
    append(log, b"0123456789" * 30)
    take(follower)
    backup = log.rename(log.with_name("train.log~"))
    append(log, backup.read_bytes() + b"more\n")
    assert list(follower.poll()) == [Chunk(300, b"more\n")]


def test_rotated_and_compressed_while_stopped(log: Path, follower: Follower) -> None:
    """A whole file that came and went while stopped is read, though what was read before is compressed by then."""
    append(log, b"one\n")
    take(follower)
    time_of_one = log.stat().st_mtime_ns
    log.rename(log.with_name("train.log.2.gz")).write_bytes(b"packed")
    append(log.with_name("train.log.1"), b"two\n")
    os.utime(log.with_name("train.log.1"), ns=(time_of_one + 1, time_of_one + 1))
    append(log, b"three\n")
    log.with_name("train.log.2.gz").unlink()
    assert take(restarted(follower)) == [ROTATED, b"two\n", ROTATED, b"three\n"]


def test_disk_that_comes_back_as_another_device(log: Path, follower: Follower) -> None:
    """A file with the same number on another device, as after a mount, goes on however little was read of it."""
    append(log, b"one\n")
    take(follower)
    position = follower.position
    assert position is not None
    append(log, b"two\n")
    again = Follower(log, replace(position, device=position.device + 1))
    assert take(again) == [b"two\n"]
    again.close()


def test_consumer_that_stops_at_a_discontinuity(log: Path, follower: Follower) -> None:
    """A consumer that goes after a discontinuity, without the bytes that follow, gets them at the next look."""
    append(log, b"one\n")
    take(follower)
    old = log.rename(log.with_name("train.log.1"))
    append(log, b"two\n")
    take(follower)
    append(old, b"late\n")
    assert next(follower.poll()) == Discontinuity(LATE_WRITE)
    assert take(follower) == [LATE_WRITE, b"late\n"]


@pytest.mark.parametrize(
    "name",
    [
        *("x.log.1", "x.log.12", "x.log-20260101", "x.log-2026010112", "x.log-20260101-1767225600"),
        *("x.log.2026-01", "x.log.2026-01-01", "x.log.2026-01-01_10", "x.log.2026-01-01_10-30"),
        *("x.log.2026-01-01_10-30-59", "x.log.2026-01-01.gz", "x.log-20260101-101112"),
    ],
)
def test_rotated_names(name: str) -> None:
    """The names of logrotate and of Python's handlers lead back to the log."""
    assert rotated_from(name) == "x.log"


def test_what_is_known_of_the_file(log: Path, clock: ManualClock) -> None:
    """Size, time of the last write, bytes behind and `changed` tell about the file, not about the reader."""
    append(log, b"one\n")
    follower = Follower(log, clock=clock)
    assert follower.changed()
    assert (follower.size, follower.mtime, follower.bytes_behind) == (0, None, 0)
    take(follower)
    assert not follower.changed()
    assert (follower.size, follower.mtime, follower.bytes_behind) == (4, log.stat().st_mtime, 0)
    append(log, b"two\n")
    assert follower.changed()
    follower.close()


def test_descriptors_are_given_back(log: Path) -> None:
    """After rotations, truncations and a close no descriptor is left open."""
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    follower = Follower(log, chunk_size=2)
    for number in range(5):
        append(log, b"line %d\n" % number)
        next(follower.poll())
        log.rename(log.with_name(f"train.log.{9 - number}"))
        take(follower)
    os.mkfifo(log)
    take(follower)
    follower.close()
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
