"""A pipe as a log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanwatch.model.frame import Chunk
from nanwatch.tail.stdin import StdinFollower


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end the test closes."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def test_bytes_as_they_come(pipe: tuple[int, int]) -> None:
    """What was written is handed out with its offset from the first byte, and an empty pipe blocks nobody."""
    follower = StdinFollower(pipe[0])
    assert list(follower.poll()) == []
    os.write(pipe[1], b"one")
    assert list(follower.poll()) == [Chunk(0, b"one")]
    os.write(pipe[1], b"two")
    assert list(follower.poll()) == [Chunk(3, b"two")]
    assert not follower.at_end
    os.close(pipe[1])
    assert list(follower.poll()) == []
    assert follower.at_end
    assert follower.problem is None


def test_end_after_the_last_bytes(pipe: tuple[int, int]) -> None:
    """Bytes written just before the end are handed out before the end is told."""
    os.write(pipe[1], b"last")
    os.close(pipe[1])
    follower = StdinFollower(pipe[0], chunk_size=2)
    assert list(follower.poll()) == [Chunk(0, b"la"), Chunk(2, b"st")]
    assert follower.at_end


def test_wait(pipe: tuple[int, int]) -> None:
    """Waiting ends when there is something to read, or the end."""
    follower = StdinFollower(pipe[0])
    assert not follower.wait(0)
    os.write(pipe[1], b"x")
    assert follower.wait(10)
    list(follower.poll())
    os.close(pipe[1])
    assert follower.wait(10)


def test_regular_file(tmp_path: Path) -> None:
    """`nanwatch tail - < train.log` reads the file to its end."""
    (tmp_path / "x").write_bytes(b"one\n")
    with (tmp_path / "x").open("rb") as file:
        follower = StdinFollower(file.fileno())
        assert list(follower.poll()) == [Chunk(0, b"one\n")]
        assert follower.at_end


def test_closed_descriptor() -> None:
    """A descriptor that is not open (`<&-`) is a problem and the end, not an error."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    follower = StdinFollower(reading)
    assert list(follower.poll()) == []
    assert follower.at_end
    assert follower.problem is not None
