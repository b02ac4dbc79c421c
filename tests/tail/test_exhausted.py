"""The system's inotify watches or instances are used up, for real: in a user namespace with limits of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

LIMITS = Path("/proc/sys/user")

FOLLOW = """
import sys, time
from pathlib import Path
from nanwatch.model.frame import Chunk
from nanwatch.tail.discover import Discovery
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import open_wake
root = Path(sys.argv[1])
patterns = [str(root / "*" / "*.log")]
discovery = Discovery(patterns)
discovery.scan()
wake = open_wake(discovery.folders(), interval=0.05)
tailer = Tailer(patterns, wake, recheck_s=1000 if wake.kind == "native" else 0.05)
print(wake.kind, wake.note)
got = b""
def look(wanted):
    global got
    end = time.monotonic() + 20
    while got != wanted:
        assert time.monotonic() < end, got
        got += b"".join(item.data for _, item in tailer.poll(tailer.wait(0.5)) if isinstance(item, Chunk))
(root / "1").mkdir()
log = root / "1" / "a.log"
log.write_bytes(b"1")
look(b"1")
for n in range(2, 6):
    (root / str(n)).mkdir()
    new = root / str(n) / "b.log"
    new.write_bytes(b"%d" % n)
    look(b"12345"[:n])
for log in sorted(root.glob("*/*.log")):
    with log.open("ab") as file:
        file.write(b".")
look(b"12345.....")
print(tailer.note)
tailer.close()
"""


@cache
def can_limit() -> str | None:
    """Return why there is no namespace with limits of its own here, or None."""
    if not (shutil.which("unshare") and (LIMITS / "max_inotify_watches").exists()):
        return "needs Linux and unshare"
    done = subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, check=False)
    return "user namespaces are not allowed here" if done.returncode else None


def follow(folder: Path, limit: str, value: int) -> list[str]:
    """Follow growing and new logs where *limit* is *value*; return what is said at the beginning and at the end."""
    if why := can_limit():
        if os.environ.get("NANWATCH_TEST_ALL"):
            pytest.fail(why)
        pytest.skip(why)
    script = f'echo {value} > {LIMITS / limit} && exec "$0" -c "$1" "$2"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable, FOLLOW, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_no_watch_left(tmp_path: Path) -> None:
    """Where no watch is left it polls, says so, and misses neither a write nor a new log."""
    said = "polling: the system's inotify watches are exhausted (fs.inotify.max_user_watches)"
    assert follow(tmp_path, "max_inotify_watches", 0) == [f"polling {said}", said]


def test_no_instance_left(tmp_path: Path) -> None:
    """Where no inotify instance is left it polls, says so, and misses neither a write nor a new log."""
    said = "polling: the system's inotify instances are exhausted (fs.inotify.max_user_instances)"
    assert follow(tmp_path, "max_inotify_instances", 0) == [f"polling {said}", said]


def test_watches_that_run_out_later(tmp_path: Path) -> None:
    """Where the watches run out as folders appear, those without one are polled, which is said; nothing is missed."""
    first, last = follow(tmp_path, "max_inotify_watches", 3)
    assert first == "native None"
    assert last.startswith("some folders are only polled: the system's inotify watches are exhausted")
