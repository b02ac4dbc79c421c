"""Waking: by the system's events, at intervals, by hand; and which of these is chosen."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanwatch.tail import wake as wake_module
from nanwatch.tail.wake import ManualWake, NativeWake, PollingWake, Wake, open_wake, remote_file_system

LIMIT_S = 10.0


@pytest.fixture
def native(tmp_path: Path) -> Iterator[NativeWake]:
    """A wake that watches an empty folder."""
    wake = NativeWake()
    wake.watch({tmp_path})
    yield wake
    wake.close()


def wait_for(wake: Wake, *wanted: Path) -> set[Path]:
    """Collect reports until all of *wanted* were made."""
    end, reported = time.monotonic() + LIMIT_S, set[Path]()
    while not reported.issuperset(wanted):
        assert time.monotonic() < end, f"only {reported} reported"
        reported |= wake.wait(0.5) or set()
    return reported


def test_import_is_free_of_watchdog() -> None:
    """Importing every module of the stage does not import watchdog."""
    modules = ["discover", "follower", "identity", "stdin", "tailer", "wake", "writers"]
    code = "".join(f"import nanwatch.tail.{name}\n" for name in modules)
    code += "import sys; sys.exit('watchdog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_write_is_reported(tmp_path: Path, native: NativeWake) -> None:
    """A write wakes with the file's path, and without its folder, for no name changed."""
    log = tmp_path / "a.log"
    log.touch()
    wait_for(native, log, tmp_path)
    while native.wait(0.1):
        pass
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x")
        assert wait_for(native, log) == {log}


def test_names_are_reported(tmp_path: Path, native: NativeWake) -> None:
    """Making, renaming and deleting a file wake with its name and its folder."""
    old, new = tmp_path / "a.log", tmp_path / "b.log"
    old.touch()
    wait_for(native, old, tmp_path)
    old.rename(new)
    wait_for(native, old, new, tmp_path)
    new.unlink()
    wait_for(native, new, tmp_path)


def test_reading_wakes_nobody(tmp_path: Path, native: NativeWake) -> None:
    """Opening, reading and closing a log causes no event, or else each look would cause the next one."""
    log, last = tmp_path / "a.log", tmp_path / "last"
    log.write_bytes(b"x")
    last.touch()
    wait_for(native, log, last)
    while native.wait(0.1):
        pass
    log.read_bytes()
    last.write_bytes(b"events come in order: when this one is here, one for the reading would be too")
    assert wait_for(native, last) == {last}


def test_folder_made_again(tmp_path: Path, native: NativeWake) -> None:
    """A folder that was deleted and made again is watched again after the next `watch`."""
    folder, log = tmp_path / "logs", tmp_path / "logs" / "a.log"
    for _ in range(3):
        folder.mkdir()
        native.watch({tmp_path, folder})
        log.touch()
        wait_for(native, log)
        shutil.rmtree(folder)
        wait_for(native, folder)
        native.watch({tmp_path})


def test_unwatched_folder_is_silent(tmp_path: Path, native: NativeWake) -> None:
    """A folder that is no longer wanted is no longer reported."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    native.watch({first, second})
    native.watch({second})
    (first / "a.log").touch()
    (second / "b.log").touch()
    assert first / "a.log" not in wait_for(native, second / "b.log")


def test_close_ends_a_wait(native: NativeWake) -> None:
    """Closing lets a wait under way return at once."""
    returned: list[set[Path] | None] = []
    waiter = threading.Thread(target=lambda: returned.append(native.wait(60)))
    waiter.start()
    native.close()
    waiter.join(LIMIT_S)
    assert returned == [set()]


def test_polling_says_look_at_everything() -> None:
    """A polling wake returns None at each interval and nothing in between."""
    wake = PollingWake(interval=0.02)
    assert wake.wait(LIMIT_S) is None
    assert PollingWake(interval=60).wait(0) == set()


def test_manual_wake() -> None:
    """A wake by hand returns what was touched, once, and never waits."""
    wake = ManualWake()
    assert wake.wait(60) == set()
    wake.touch(Path("a"), Path("b"))
    assert wake.wait(60) == {Path("a"), Path("b")}
    wake.touch_everything()
    assert wake.wait(60) is None
    assert wake.wait(60) == set()


def test_auto_is_native_here(tmp_path: Path) -> None:
    """On a local disk the system's events are used, and there is nothing to note."""
    wake = open_wake({tmp_path})
    assert (wake.kind, wake.note) == ("native", None)
    wake.close()


def test_polling_on_request(tmp_path: Path) -> None:
    """Polling that was asked for needs no note."""
    wake = open_wake({tmp_path}, "polling")
    assert (wake.kind, wake.note) == ("polling", None)


def test_network_file_system_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS, where other machines' writes cause no event, it polls and says so."""
    monkeypatch.setattr(wake_module, "_mounts", lambda: f"server:/x {tmp_path} nfs4 rw 0 0\n")
    wake = open_wake({tmp_path})
    assert (wake.kind, wake.note) == ("polling", f"polling: {tmp_path} is on nfs4, which sends no events")


def test_missing_watchdog_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without watchdog it polls and says so."""
    monkeypatch.setitem(sys.modules, "watchdog", None)
    wake = open_wake({tmp_path})
    assert (wake.kind, wake.note) == ("polling", "polling: watchdog is not installed")


@pytest.mark.parametrize(("code", "what"), [(errno.ENOSPC, "watches"), (errno.EMFILE, "instances")])
def test_exhausted_inotify_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, what: str) -> None:
    """When the system has no watch left it polls and names the setting."""
    from watchdog.observers.api import BaseObserver

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(BaseObserver, "schedule", refuse)
    wake = open_wake({tmp_path})
    assert wake.kind == "polling"
    assert wake.note is not None
    assert f"inotify {what} are exhausted" in wake.note


def test_later_exhaustion_is_noted(tmp_path: Path, native: NativeWake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that appears when no watch is left is noted; the others stay watched."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patch:
        patch.setattr(native._observer, "schedule", refuse)
        (tmp_path / "more").mkdir()
        native.watch({tmp_path, tmp_path / "more"})
    assert native.note is not None
    assert "some folders are only polled" in native.note
    (tmp_path / "a.log").touch()
    wait_for(native, tmp_path / "a.log")
    native.watch({tmp_path, tmp_path / "more"})
    assert native.note is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/x", None),
        ("/home/me/nfs/x", "nfs"),
        ("/home/me/nfs-not", None),
        ("/home/me/nfs/local/x", None),
        ("/mnt/with space/x", "fuse.sshfs"),
        ("/mnt/overlay", None),
        ("/over", "cifs"),
    ],
)
def test_remote_file_systems(monkeypatch: pytest.MonkeyPatch, path: str, kind: str | None) -> None:
    """The innermost, and of equal ones the last, mount decides whether a path is on the network."""
    mounts = """/dev/sda / ext4 rw 0 0
server:/export /home/me/nfs nfs rw 0 0
/dev/sdb /home/me/nfs/local xfs rw 0 0
me@host: /mnt/with\\040space fuse.sshfs rw 0 0
overlay /mnt/overlay fuse.fuse-overlayfs rw 0 0
tmpfs /over tmpfs rw 0 0
//server/share /over cifs rw 0 0
"""
    monkeypatch.setattr(wake_module, "_mounts", lambda: mounts)
    assert remote_file_system(Path(path)) == kind


def test_later_exhaustion_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a folder could not be watched, everything is looked at at intervals, and no longer."""
    from watchdog.observers.api import BaseObserver

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "")

    wake = NativeWake(interval=0.02)
    wake.watch(set())
    assert wake.wait(0.05) == set()
    with monkeypatch.context() as patch:
        patch.setattr(BaseObserver, "schedule", refuse)
        wake.watch({tmp_path})
    assert "inotify instances are exhausted" in (wake.note or "")
    assert wake.wait(LIMIT_S) is None
    wake.watch({tmp_path})
    assert wake.note is None
    while wake.wait(0.05):
        pass
    assert wake.wait(0.05) == set()
    (tmp_path / "a.log").touch()
    wait_for(wake, tmp_path / "a.log")
    wake.close()


def test_later_network_folder_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on NFS that appears later is polled, which is said; the local ones are watched as before."""
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.mkdir()
    remote.mkdir()
    monkeypatch.setattr(wake_module, "_mounts", lambda: f"server:/x {remote} nfs4 rw 0 0\n")
    wake = open_wake({local}, interval=0.02)
    assert (wake.kind, wake.note) == ("native", None)
    wake.watch({local, remote})
    assert wake.note == f"some folders are only polled: {remote} is on nfs4, which sends no events"
    assert wake.wait(LIMIT_S) is None
    (local / "a.log").touch()
    end, reported = time.monotonic() + LIMIT_S, set[Path]()
    while local / "a.log" not in reported:
        assert time.monotonic() < end
        reported |= wake.wait(0.5) or set()
    wake.watch({local})
    assert wake.note is None
    wake.close()
