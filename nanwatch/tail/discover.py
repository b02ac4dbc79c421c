"""Patterns -> log files: named files, globs (with **) and folders; a new run's log appears by itself.

A folder is listed again only when its own modification time changed, so a scan in which nothing happened
costs one stat for each folder, however many files it holds.
"""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from nanwatch.tail.identity import rotated_from

LOG_SUFFIXES = (".log", ".out", ".txt")
"""What counts as a log in a folder that was named as a whole."""

MAX_FOLDERS = 512
"""So many folders are watched at most; what lies beyond is found by the periodic scan."""

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MAGIC = re.compile(r"[*?\[]")
_RACY_NS = 2_000_000_000
"""A folder that changed so recently may change again without a new modification time."""
_UNSETTLED, _MISSING = -1, -2


class Discovery:
    """Finds the logs that the patterns name, again and again.

    `problems` says, a line each, what could not be looked at by the last scan, `idle` which patterns found nothing.
    """

    def __init__(self, patterns: Iterable[str | Path]) -> None:
        self._patterns = [Path(pattern).expanduser() for pattern in patterns]
        self._listings: dict[str, tuple[int, list[str], list[str]]] = {}
        self._visited: dict[str, None] = {}
        self._stamps: dict[str, int] = {}
        self._real: dict[Path, str] = {}
        self._logs: list[Path] = []
        self.problems: list[str] = []
        self.idle: list[str] = []

    def scan(self) -> list[Path]:
        """Return the log files that match now, sorted; a named file is included even while it is missing.

        The very same list is returned when nothing changed.
        """
        if self._stamps and all(_same(*item) for item in self._stamps.items()):
            return self._logs
        self.problems, self._visited, self._real = [], {}, {}
        self._stamps = {str(p.parent): _changed_ns(p.parent) for p in self._patterns}
        found: dict[str, Path] = {}
        self.idle = []
        for named in (True, False):  # a name that the user typed wins over the same file found by a glob
            for pattern in self._patterns:
                if named == _is_named_file(pattern):
                    paths = [pattern] if named else list(self._expand(pattern))
                    self.idle += [] if paths else [str(pattern)]
                    for path in paths:
                        found.setdefault(self._identity(path), path)
        self._logs = sorted(found.values())
        for stale in self._listings.keys() - self._visited.keys():
            del self._listings[stale]
        for folder in self._visited:
            self._stamps[folder] = self._listings[folder][0] if folder in self._listings else _MISSING
        return self._logs

    def may_find(self, path: Path) -> bool:
        """Tell whether *path* is one that the patterns name, were it there."""
        return any(_names(pattern, path) for pattern in self._patterns)

    def folders(self) -> set[Path]:
        """Return the existing folders to be watched, not recursively: those with logs first."""
        wanted: dict[Path, None] = {}
        for log in self._logs:
            wanted[log.parent] = None
            if os.path.islink(log):  # noqa: PTH114
                wanted[Path(os.path.realpath(log)).parent] = None
        wanted.update(dict.fromkeys(map(Path, self._visited)))
        return set(list(dict.fromkeys(map(_existing, wanted)))[:MAX_FOLDERS])

    # -- patterns

    def _identity(self, path: Path) -> str:
        """Return the name without links, by which the same file is known through two patterns."""
        if os.path.islink(path):  # noqa: PTH114 - Path.is_symlink raises where a parent may not be read
            return os.path.realpath(path)
        if path.parent not in self._real:
            self._real[path.parent] = os.path.realpath(path.parent)
        return os.path.join(self._real[path.parent], path.name)  # noqa: PTH118

    def _expand(self, pattern: Path) -> Iterator[Path]:
        if _is_dir(pattern):
            yield from self._in_folder(str(pattern))
            return
        parts = pattern.parts
        fixed = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
        start = str(Path(*parts[:fixed]))
        seen: set[str] = set()
        for path in self._glob(start, parts[fixed:]):
            if path not in seen:
                seen.add(path)
                yield Path(path)

    def _in_folder(self, folder: str) -> Iterator[Path]:
        logs = self._logs_in(folder)
        if not logs:
            for name in sorted(self._list(folder)[1]):
                if not name.startswith("."):
                    logs += self._logs_in(os.path.join(folder, name))  # noqa: PTH118 - names, not paths
        yield from map(Path, logs)

    def _logs_in(self, folder: str) -> list[str]:
        names = (name for name in self._list(folder)[0] if name.endswith(LOG_SUFFIXES) and name[0] != ".")
        return [os.path.join(folder, name) for name in names]  # noqa: PTH118

    def _glob(self, folder: str, parts: tuple[str, ...]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        files, folders = self._list(folder)
        if part == "**":
            yield from self._glob(folder, rest or ("*",))
            for name in folders:
                # A link may lead back up; a hidden folder (.git, .cache) holds no logs.
                inner = os.path.join(folder, name)  # noqa: PTH118
                if not name.startswith(".") and not os.path.islink(inner):  # noqa: PTH114
                    yield from self._glob(inner, parts)
        elif rest:
            for name in _matching(part, folders):
                yield from self._glob(os.path.join(folder, name), rest)  # noqa: PTH118
        else:
            for name in _matching(part, files):
                if not _is_history(name, part, files):
                    yield os.path.join(folder, name)  # noqa: PTH118

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        """Return the names of the regular files and of the folders in *folder*."""
        self._visited[folder] = None
        try:
            changed_ns = _changed_ns(folder)  # before the names are read: what comes later is seen next time
            known = self._listings.get(folder)
            if known is None or known[0] != changed_ns or changed_ns == _UNSETTLED:
                known = self._listings[folder] = (changed_ns, *_scan(folder))
        except FileNotFoundError:
            return [], []
        except OSError as error:
            self.problems.append(f"{folder}: {(error.strerror or 'cannot be read').lower()}")
            return [], []
        return known[1], known[2]


def _changed_ns(folder: str | Path) -> int:
    """Return when a name in *folder* changed last; `_UNSETTLED` (never the same) if that was just now."""
    try:
        changed_ns = os.stat(folder).st_mtime_ns  # noqa: PTH116 - for each folder, every two seconds
    except OSError:
        return _MISSING
    return changed_ns if time.time_ns() - changed_ns > _RACY_NS else _UNSETTLED


def _same(folder: str, stamp: int) -> bool:
    return stamp != _UNSETTLED and _changed_ns(folder) == stamp


def _scan(folder: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # a link that leads in a circle
                if entry.is_file():
                    files.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
    return files, folders


def _names(pattern: Path, path: Path) -> bool:
    """Tell whether *pattern* is the name of *path*, of a folder above it, or a glob that matches it."""
    if not _MAGIC.search(str(pattern)) or _is_dir(pattern):
        return pattern == path or pattern in list(path.parents)[:2]
    return _matches_parts(pattern.parts, path.parts)


def _matches_parts(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not wanted or not parts:
        return not parts and all(part == "**" for part in wanted)
    if wanted[0] == "**":
        return _matches_parts(wanted[1:] or ("*",), parts) or _matches_parts(wanted, parts[1:])
    return bool(_matcher(wanted[0])(parts[0])) and _matches_parts(wanted[1:], parts[1:])


def _is_named_file(pattern: Path) -> bool:
    """Return whether *pattern* is one file's name: it exists as such, or holds nothing to expand."""
    return not _is_dir(pattern) and (not _MAGIC.search(str(pattern)) or os.path.isfile(pattern))  # noqa: PTH113


def _is_history(name: str, part: str, names: list[str]) -> bool:
    """Return whether *name* is a rotated or packed file, not a run of its own.

    A pattern that does not match the log itself (`train.log.*`) asks for the rotated files on purpose.
    """
    if name.endswith(_PACKED):
        return True
    base = rotated_from(name)
    if base is None or not _matcher(part)(base):
        return False
    return base.endswith((*LOG_SUFFIXES, ".err")) or base in names


def _matching(part: str, names: list[str]) -> Iterator[str]:
    if not _MAGIC.search(part):
        return (name for name in names if name == part)
    matches, hidden = _matcher(part), part.startswith(".")
    return (name for name in names if matches(name) and (hidden or not name.startswith(".")))


@lru_cache(maxsize=64)
def _matcher(part: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(part)).match


def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a parent may not be read


def _existing(folder: Path) -> Path:
    """Return *folder*, or the nearest folder above it that exists: its creation is what to wait for."""
    while not _is_dir(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
