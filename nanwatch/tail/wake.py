"""When to look again: on the system's word (watchdog), at intervals, or by hand in tests.

A wake is a hint and never the truth: reports may be missing, late, or about nothing. The only module that
knows watchdog, and it imports it only when a `NativeWake` is made.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers.api import ObservedWatch

Kind = Literal["native", "polling", "manual"]

POLL_INTERVAL_S = 1.0

_REMOTE = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|virtiofs|vboxsf|drvfs|fuse\.(?!fuse-overlayfs).*"
)
"""File systems on which writes of another machine cause no event here."""


class Wake(Protocol):
    """Says when it is worth looking at the logs again."""

    @property
    def kind(self) -> Kind:
        """How this wake works."""
        ...

    @property
    def note(self) -> str | None:
        """What a user should know about it: why it polls, or which folders are not watched."""
        ...

    def watch(self, folders: set[Path]) -> None:
        """Watch exactly these folders, not recursively; they may have been deleted and made again."""
        ...

    def wait(self, timeout: float) -> set[Path] | None:
        """Wait up to *timeout* seconds for a report.

        Return the paths that were reported: a file when its content may have changed, and also its folder
        when a name in it came, went or changed. Empty: nothing was reported. None: it cannot be known what
        changed, so look at every log.
        """
        ...

    def nudge(self) -> None:
        """Let a `wait` under way, or the next one, return at once: somebody wants something else. From any thread."""
        ...

    def close(self) -> None:
        """Stop watching; a `wait` under way returns."""
        ...


class _Inbox:
    """Collects reports from any thread; `wait` takes them all at once."""

    note: str | None = None

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._reported: set[Path] = set()
        self._everything = False
        self._nudged = False
        self._closed = False

    def report(self, paths: Iterable[Path]) -> None:
        """Add *paths* and wake whoever waits."""
        with self._condition:
            self._reported.update(paths)
            self._condition.notify_all()

    def wait(self, timeout: float) -> set[Path] | None:
        """Wait for reports; see `Wake.wait`."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._reported or self._everything or self._nudged or self._closed, timeout
            )
            reported, self._reported = self._reported, set()
            everything, self._everything = self._everything, False
            self._nudged = False
        return None if everything else reported

    def nudge(self) -> None:
        """Let a `wait` return at once."""
        with self._condition:
            self._nudged = True
            self._condition.notify_all()

    def close(self) -> None:
        """Let a `wait` under way return."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()


class ManualWake(_Inbox):
    """A wake that reports what a test tells it to, and never waits."""

    kind: Kind = "manual"

    def __init__(self) -> None:
        super().__init__()
        self.folders: set[Path] = set()

    def touch(self, *paths: Path) -> None:
        """Report *paths* as changed."""
        self.report(paths)

    def touch_everything(self) -> None:
        """Make the next `wait` return None."""
        self._everything = True

    def watch(self, folders: set[Path]) -> None:
        """Remember *folders*."""
        self.folders = set(folders)

    def wait(self, timeout: float) -> set[Path] | None:  # noqa: ARG002 - tests do not wait
        """Return what was reported since the last call."""
        return super().wait(0)


class PollingWake(_Inbox):
    """Looks at everything at intervals: for file systems that send no events."""

    kind: Kind = "polling"

    def __init__(self, interval: float = POLL_INTERVAL_S, note: str | None = None) -> None:
        super().__init__()
        self.note = note
        self._interval = interval
        self._next = time.monotonic() + interval

    def watch(self, folders: set[Path]) -> None:
        """Do nothing: the sizes decide."""

    def wait(self, timeout: float) -> set[Path] | None:
        """Sleep until the interval is over (None) or *timeout* has passed (empty)."""
        with self._condition:
            pause = min(timeout, self._next - time.monotonic())
            self._condition.wait_for(lambda: self._closed or self._nudged, max(0.0, pause))
            self._nudged = False
        if time.monotonic() < self._next:
            return set()
        self._next = time.monotonic() + self._interval
        return None


class NativeWake(_Inbox):
    """Waits for the system's own events, through watchdog; raises ImportError where that is not installed.

    As long as there are folders that send none, or for which the system has no watch left, it says at intervals to
    look at everything, too, and `note` says why.
    """

    kind: Kind = "native"

    def __init__(self, *, interval: float = POLL_INTERVAL_S, polls_remote: bool = True) -> None:
        super().__init__()
        self._interval, self._polls_remote = interval, polls_remote
        self._next = time.monotonic() + interval
        from watchdog import events
        from watchdog.observers import Observer

        # Its warnings (an overflown queue) are covered by the periodic look; stderr may be a dashboard.
        logging.getLogger("watchdog").addHandler(logging.NullHandler())
        # Not "opened" and "closed without writing": these our own reads would cause, for ever.
        self._events: list[type[FileSystemEvent]] = [
            events.FileModifiedEvent,
            events.FileCreatedEvent,
            events.FileMovedEvent,
            events.FileDeletedEvent,
            events.DirCreatedEvent,
            events.DirMovedEvent,
            events.DirDeletedEvent,
        ]
        self._watches: dict[Path, tuple[ObservedWatch, tuple[int, int]]] = {}
        self._deleted: set[Path] = set()
        self.failure: OSError | None = None
        self._handler = _handler(self._on_event)
        self._observer = Observer()
        self._observer.start()

    def watch(self, folders: set[Path]) -> None:
        """Watch *folders*; one that cannot be watched is noted and left to the periodic look."""
        self.failure, self.note = None, None
        for folder in self._watches.keys() - {f for f in folders if self._is_watched(f)}:
            self._observer.unschedule(self._watches.pop(folder)[0])
        for folder in sorted(folders - self._watches.keys()):
            if self._polls_remote and (kind := remote_file_system(folder)):
                self.note = f"some folders are only polled: {folder} is on {kind}, which sends no events"
                continue
            try:
                status = folder.stat()
                self._deleted.discard(folder)
                watch = self._observer.schedule(self._handler, str(folder), event_filter=self._events)
            except FileNotFoundError:
                continue  # gone since it was found: its parent's event told, or the next scan will
            except OSError as error:
                self.failure = error
                continue
            self._watches[folder] = (watch, (status.st_dev, status.st_ino))
        if self.failure is not None:
            self.note = f"some folders are only polled: {_reason(self.failure)}"

    def wait(self, timeout: float) -> set[Path] | None:
        """Wait for reports; None at each interval while some folders are only polled."""
        if self.note is None:
            return super().wait(timeout)
        reported = super().wait(max(0.0, min(timeout, self._next - time.monotonic())))
        if time.monotonic() < self._next:
            return reported
        self._next = time.monotonic() + self._interval
        return None

    def close(self) -> None:
        """Stop the observer's threads."""
        super().close()
        self._observer.stop()
        self._observer.join()

    def _is_watched(self, folder: Path) -> bool:
        """Return whether the watch on *folder* is alive: a folder made again is another one."""
        watched = self._watches.get(folder)
        if watched is None or folder in self._deleted:
            return False
        try:
            status = folder.stat()
        except OSError:
            return False
        return watched[1] == (status.st_dev, status.st_ino)

    def _on_event(self, event: FileSystemEvent) -> None:
        paths = {Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path}
        if event.event_type == "deleted" and event.is_directory:
            self._deleted |= paths
        if event.event_type != "modified":
            paths |= {path.parent for path in paths}
        self.report(paths)


def _handler(on_event: Callable[[FileSystemEvent], None]) -> FileSystemEventHandler:
    from watchdog.events import FileSystemEventHandler

    class Handler(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            on_event(event)

    return Handler()


def open_wake(
    folders: set[Path],
    prefer: Literal["auto", "native", "polling"] = "auto",
    *,
    interval: float = POLL_INTERVAL_S,
) -> Wake:
    """Return a wake that works for *folders*: native events, or polling with a note that says why."""
    if prefer == "polling":
        return PollingWake(interval)
    if prefer == "auto":
        for folder in sorted(folders):
            if kind := remote_file_system(folder):
                return PollingWake(interval, f"polling: {folder} is on {kind}, which sends no events")
    try:
        wake = NativeWake(interval=interval, polls_remote=prefer == "auto")
    except ImportError:
        return PollingWake(interval, "polling: watchdog is not installed")
    except OSError as error:
        return PollingWake(interval, f"polling: {_reason(error)}")
    wake.watch(folders)
    if wake.failure is None:
        return wake
    note = f"polling: {_reason(wake.failure)}"
    wake.close()
    return PollingWake(interval, note)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the system's inotify watches are exhausted (fs.inotify.max_user_watches)"
    if error.errno == errno.EMFILE:
        return "the system's inotify instances are exhausted (fs.inotify.max_user_instances)"
    return (error.strerror or str(error)).lower()


def remote_file_system(path: Path) -> str | None:
    """Return the type of the network or FUSE file system that *path* is on; None if local or unknown."""
    if not sys.platform.startswith("linux"):
        return None
    real, best, kind = os.path.realpath(path), "", ""
    for mount in _mounts().splitlines():
        fields = mount.split()
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # the last of equal ones hides those before
            best, kind = point, fields[2]
    return kind if _REMOTE.fullmatch(kind) else None


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(errors="surrogateescape")
    except OSError:
        return ""
