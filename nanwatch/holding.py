"""Who holds the store: one daemon at a time, for as long as it lives."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanwatch.errors import NanwatchError, UsageError

_LOOK_S = 2.0
"""Others who only look who holds the lock are gone by then: it takes them microseconds."""


class HeldByAnother(NanwatchError):
    """Another daemon holds the store."""

    exit_code = 4


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the store in *folder* for this process alone, for as long as the process lives or the block lasts.

    Raises:
        HeldByAnother: somebody else does; says who.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{folder}: {(error.strerror or 'cannot be used').lower()}") from None
    try:
        _lock_alone(lock, folder)
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        with suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(lock, 0)
            os.pwrite(lock, json.dumps(who).encode(), 0)
        yield
    finally:
        os.close(lock)


def user_name() -> str:
    """Return who runs this process, as others are told."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, users may have no names
        return f"user {os.getuid()}"


def _lock_alone(lock: int, folder: Path) -> None:
    until = time.monotonic() + _LOOK_S
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = holder(folder)
            if who or time.monotonic() > until:
                raise HeldByAnother(f"another daemon is running: {who or 'unknown'}, with {folder}") from None
            time.sleep(0.001)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be locked ({(error.strerror or 'no reason given').lower()})") from None


def holder(folder: Path) -> str | None:
    """Return who holds the store in *folder*, in words, or None when nobody does."""
    try:
        with (folder / "daemon.lock").open(encoding="utf-8") as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # whoever else looks is not in the way
                return None
            who = json.load(file)
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(who["since"]))
            return f"process {who['pid']} on {who['host']} since {since}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "a process that does not say who it is"
