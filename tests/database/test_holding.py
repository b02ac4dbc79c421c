"""Who holds the store: one process at a time, and everybody may ask which."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from nanwatch.errors import UsageError
from nanwatch.holding import HeldByAnother, hold, holder
from tests.database.files import (
    fill_disk,
    heard,
    process,
)  # fmt: skip
from tests.support.command import TIMEOUT


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    """One process holds the store; a second one is told its number, its machine and since when, until it is over."""
    folder = tmp_path / "state"
    assert holder(folder) is None
    with hold(folder):
        words = holder(folder)
        assert words is not None
        assert f"process {os.getpid()} on " in words
        with pytest.raises(
            HeldByAnother, match=f"another daemon is running: process {os.getpid()} on .* since "
        ) as told:
            hold(folder).__enter__()
        assert told.value.exit_code == 4
        assert holder(folder) == words
    assert holder(folder) is None
    with hold(folder):
        pass


def test_the_store_is_let_go_when_its_block_fails(tmp_path: Path) -> None:
    """An error does not leave the store held."""
    with pytest.raises(ValueError, match="defect"), hold(tmp_path):
        raise ValueError("defect")
    assert holder(tmp_path) is None


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    """A process holds the store against others for as long as it lives, however it ends."""
    script = """
with hold(Path(sys.argv[1])):
    say("held")
    sys.stdin.readline()
"""
    with process(script, tmp_path) as first:
        assert heard(first) == "held"
        words = holder(tmp_path)
        assert words is not None
        assert words.startswith(f"process {first.pid} on ")
        with pytest.raises(HeldByAnother, match=f"process {first.pid} on "):
            hold(tmp_path).__enter__()
        first.kill()
        first.wait(TIMEOUT)
        assert holder(tmp_path) is None
        with hold(tmp_path):
            assert f"process {os.getpid()} on " in (holder(tmp_path) or "")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '"text"', "{}", '{"pid": 1}', "\xff\xfe", json.dumps({"pid": 1, "host": "h", "since": 1e300}),
     '{"pid": 1, "host": "h", "since": NaN}', '{"pid": 1, "host": "h", "since": "noon"}'],
)  # fmt: skip
def test_a_lock_file_of_garbage_still_locks(tmp_path: Path, content: str) -> None:
    """Whatever the lock file holds, it tells whether somebody holds the store, and the next one writes it anew."""
    file = tmp_path / "daemon.lock"
    file.write_bytes(content.encode("latin-1"))
    assert holder(tmp_path) is None
    with file.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert holder(tmp_path) == "a process that does not say who it is"
        with pytest.raises(HeldByAnother, match="does not say who it is"):
            hold(tmp_path).__enter__()
    with hold(tmp_path):
        assert f"process {os.getpid()} on " in (holder(tmp_path) or "")


def test_people_who_look_are_not_in_the_way(tmp_path: Path) -> None:
    """A daemon starts while others ask who holds the store, and those who ask at once all hear that nobody does."""
    (tmp_path / "daemon.lock").write_text("")
    with (tmp_path / "daemon.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert holder(tmp_path) is None
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            with hold(tmp_path):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT)


def test_a_full_disk_does_not_keep_the_store_from_being_held(disk: Path) -> None:
    """On a full disk the store is held without a word about the holder."""
    fill_disk(disk)
    with hold(disk):
        assert holder(disk) == "a process that does not say who it is"
    assert holder(disk) is None


def test_a_folder_that_cannot_be_held_is_a_wrong_setting(tmp_path: Path) -> None:
    """A folder that cannot be made is refused in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="/file/state: not a directory"):
        hold(tmp_path / "file" / "state").__enter__()
