"""Which processes write this log? From /proc, so on Linux only, and only processes of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = "/proc"


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that holds a log open for writing."""

    pid: int
    command: str


def writers_of(path: Path) -> list[Writer] | None:
    """Return the processes that hold *path* open for writing; None where that cannot be known.

    It cannot be known off Linux, and when nobody was found although the log belongs to another user, whose
    processes are hidden from us. A writer on another machine or in another container is never seen.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        target, owner = os.path.realpath(path), path.stat().st_uid
        found = list(_scan(target))
    except OSError:
        return None
    ours = os.geteuid() in (0, owner)
    return found if found or ours else None


def _scan(target: str) -> Iterator[Writer]:
    own = str(os.getpid())
    for pid in os.listdir(_PROC):  # noqa: PTH208 - thousands of names, in five milliseconds
        if pid.isdecimal() and pid != own and _holds(pid, target):
            yield Writer(int(pid), _command(pid))


def _holds(pid: str, target: str) -> bool:
    try:
        folder = os.open(f"{_PROC}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # ended meanwhile, or somebody else's
        return False
    try:
        for number in os.listdir(folder):  # noqa: PTH208
            # The link's text, not what it leads to: a stat could hang on a dead network mount.
            with suppress(OSError):
                if os.readlink(number, dir_fd=folder) == target and _for_writing(pid, number):
                    return True
    except OSError:
        return False
    finally:
        os.close(folder)
    return False


def _for_writing(pid: str, number: str) -> bool:
    for line in Path(f"{_PROC}/{pid}/fdinfo/{number}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR)
    return False


def _command(pid: str) -> str:
    try:
        return Path(f"{_PROC}/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "?"
