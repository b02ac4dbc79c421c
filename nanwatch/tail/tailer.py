"""Many logs -> one stream: discovery, the wake and a follower for each log, in turns.

Reports of the wake say where to look first. Every `recheck_s` everything is looked at anyway: events are a
wake-up and never the truth.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from nanwatch.clock import Clock, SystemClock
from nanwatch.tail.discover import Discovery
from nanwatch.tail.follower import Follower, Item
from nanwatch.tail.identity import Position
from nanwatch.tail.room import Room
from nanwatch.tail.wake import Wake

_FORGET_S = 600.0
"""A log that vanished from a glob is kept so long: it may be between a rename and its return."""


class Tailer:
    """Follows every log that the patterns name, also those that appear later."""

    def __init__(
        self,
        patterns: Iterable[str | Path],
        wake: Wake,
        *,
        recheck_s: float = 2.0,
        positions: Mapping[Path, Position] = MappingProxyType({}),
        clock: Clock | None = None,
        chunk_size: int = 1 << 18,
    ) -> None:
        self._discovery = Discovery(patterns)
        self._wake = wake
        self._recheck_s = recheck_s
        self._positions = dict(positions)
        self._clock = clock or SystemClock()
        self._chunk_size = chunk_size
        self._room = Room()
        self._followers: dict[Path, Follower] = {}
        self._logs: list[Follower] = []
        self._with_rotated: dict[Follower, None] = {}
        self._missing_since: dict[Path, float] = {}
        self._aliases: dict[Path, list[Follower]] = {}
        self._folders: set[Path] = set()
        self._found: list[Path] = []
        self._has_scanned = False
        self._checked: float | None = None
        self._last: Path | None = None
        self._ended: set[Path] = set()

    @property
    def logs(self) -> list[Follower]:
        """The followers, by path."""
        return self._logs

    @property
    def problems(self) -> list[str]:
        """What could not be looked at, a line each: folders, then logs."""
        logs = [f"{log.path}: {log.problem}" for log in self.logs if log.problem]
        return [*self._discovery.problems, *logs]

    @property
    def idle(self) -> list[str]:
        """The patterns that match no log yet."""
        return self._discovery.idle

    @property
    def wake(self) -> Wake:
        """What says when to look."""
        return self._wake

    def find(self) -> list[Path]:
        """Return the logs that the patterns match now, without opening them."""
        return list(self._discovery.scan())

    def position(self, path: Path) -> Position | None:
        """Return how far the log at *path* was read, also of one that has not been seen yet; None if not at all."""
        follower = self._followers.get(path)
        return self._positions.get(path) if follower is None else follower.position

    def take_ended(self) -> set[Path]:
        """Return the logs that were read to their end since this was last asked."""
        ended, self._ended = self._ended, set()
        return ended

    def forget(self, path: Path) -> None:
        """Forget where a log that is gone was left: if it comes back, it is read from its start."""
        self._positions.pop(path, None)

    @property
    def note(self) -> str | None:
        """What a user should know about how new bytes are noticed: why it polls, or which folders are only polled."""
        return self._wake.note

    def wait(self, timeout: float) -> set[Path] | None:
        """Wait for something to look at; hand what it returns to `poll` (None: look at everything)."""
        left = self._left(self._checked)
        if left <= 0:
            return None
        reported = self._wake.wait(min(timeout, left))
        return None if not reported and self._left(self._checked) <= 0 else reported

    def poll(self, only: set[Path] | None = None) -> Iterator[tuple[Path, Item]]:
        """Yield what is new in the logs behind the paths in *only* (None: in every log), a chunk in turn."""
        if only is None:
            self._checked = self._clock.steady()
        fresh = self._rescan() if self._must_scan(only) else []
        chosen = self._followers.values() if only is None else [*self._behind(only), *fresh]
        turns = deque((follower, follower.poll()) for follower in dict.fromkeys(chosen))
        if self._last is not None and self._last in (paths := [follower.path for follower, _ in turns]):
            turns.rotate(-1 - paths.index(self._last))  # who stopped in the middle goes on with the next log
        while turns:
            follower, items = turns.popleft()
            item = next(items, None)
            if item is None:
                self._ended.add(follower.path)
                self._note_rotated(follower)
                continue
            self._last = follower.path
            yield follower.path, item
            turns.append((follower, items))
        self._last = None

    def close(self) -> None:
        """Close every log and the wake."""
        self._wake.close()
        for follower in self._followers.values():
            follower.close()

    # -- which logs there are

    def _left(self, since: float | None) -> float:
        """Return the seconds until the next periodic look."""
        return 0.0 if since is None else self._recheck_s - (self._clock.steady() - since)

    def _must_scan(self, only: set[Path] | None) -> bool:
        return only is None or not self._has_scanned or not self._folders.isdisjoint(only)

    def _rescan(self) -> list[Follower]:
        """Look for logs again; return the followers of the new ones."""
        self._has_scanned = True
        found = self._discovery.scan()
        if found is self._found:
            self._forget(found)
            return []
        self._found = found
        fresh = [self._follow(path) for path in found if path not in self._followers]
        self._forget(found)
        folders = self._discovery.folders()
        self._folders = folders | {folder.absolute() for folder in folders}
        self._wake.watch(folders)
        self._aliases = {}
        for path, follower in self._followers.items():
            for alias in {path, path.absolute(), Path(os.path.realpath(path))}:
                self._aliases.setdefault(alias, []).append(follower)
        self._logs = [self._followers[path] for path in sorted(self._followers)]
        self._room.make(len(self._followers))
        return fresh

    def _follow(self, path: Path) -> Follower:
        position = self._positions.pop(path, None)
        follower = Follower(path, position, chunk_size=self._chunk_size, clock=self._clock, room=self._room)
        self._followers[path] = follower
        return follower

    def _forget(self, found: list[Path]) -> None:
        """Drop the logs that have been gone for long, with their descriptors, but not where they were left."""
        now = self._clock.steady()
        for path in self._followers.keys() - set(found):
            if now - self._missing_since.setdefault(path, now) >= _FORGET_S:
                self._let_go(self._followers.pop(path))
        for path in self._missing_since.keys() - (self._followers.keys() - set(found)):
            del self._missing_since[path]

    def _let_go(self, follower: Follower) -> None:
        if position := follower.position:
            self._positions[follower.path] = position
        follower.close()
        self._with_rotated.pop(follower, None)
        self._logs = [log for log in self._logs if log is not follower]

    def _note_rotated(self, follower: Follower) -> None:
        if follower.has_rotated_files:
            self._with_rotated[follower] = None
        else:
            self._with_rotated.pop(follower, None)

    def _behind(self, only: set[Path]) -> Iterator[Follower]:
        """Yield the followers that reports about *only* may concern."""
        for path in only:
            known = self._aliases.get(path)
            if known:
                yield from known
            else:  # a late write to a rotated file is reported under a name that nobody follows
                for follower in self._with_rotated:
                    if path.name.startswith(follower.path.stem):
                        yield follower
