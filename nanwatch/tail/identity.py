"""Is this the same file as before? Positions, fingerprints, and where a rotated file went.

A name says nothing about content, and an inode number is given to the next file once the old one is gone.
So a file is known by device, inode *and* what was read from it: its first bytes and the bytes just before
the offset.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeVar

from nanwatch.tail.room import EXHAUSTED, Room

try:
    from _blake2 import blake2b  # what hashlib hands out, without loading OpenSSL first
except ImportError:
    from hashlib import blake2b

_T = TypeVar("_T", int, str, list[Mapping[str, object]])

FINGERPRINT = 256
"""So many bytes at the head and before the offset are remembered."""

FileKey = tuple[int, int]
"""Device and inode."""

IsKnown = Callable[[Path, FileKey], bool]
"""Tells whether a rotated file was read before."""

_ROTATED = re.compile(
    r"(?P<base>.+?)[.\-_]"
    r"(?P<mark>\d{1,3}|\d{6,14}|\d{8}[-_.T]\d{2,10}"
    r"|\d{4}-\d\d(?:-\d\d(?:[T_.\-]\d\d(?:[:.\-]?\d\d(?:[:.\-]?\d\d)?)?)?)?)"
    r"(?P<packed>\.(?:gz|bz2|xz|zst|zip))?"
)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read, and what was there: enough to find the place again after a restart.

    `head` and `before` are fingerprints of the first `head_size` bytes and of the `before_size` bytes that
    end at `offset`. `earlier` are rotated-away files that were still watched for late writes.
    """

    device: int
    inode: int
    offset: int
    head: str
    before: str
    head_size: int
    before_size: int
    size: int = 0
    mtime_ns: int = 0
    earlier: tuple[Position, ...] = ()

    @property
    def key(self) -> FileKey:
        """Device and inode together."""
        return self.device, self.inode

    def to_json(self) -> dict[str, object]:
        """Return a plain dictionary of numbers and strings (and of such dictionaries under `earlier`)."""
        plain: dict[str, object] = {name: getattr(self, name) for name in (*_INTEGERS, "head", "before")}
        if self.earlier:
            plain["earlier"] = [position.to_json() for position in self.earlier]
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Position:
        """Read what `to_json` wrote; raise ValueError where it is something else."""
        numbers = {name: _typed(data, name, int) for name in _INTEGERS}
        head, before = _typed(data, "head", str), _typed(data, "before", str)
        earlier = tuple(map(cls.from_json, _typed(data, "earlier", list) if "earlier" in data else []))
        return cls(head=head, before=before, earlier=earlier, **numbers)


_INTEGERS = ("device", "inode", "offset", "head_size", "before_size", "size", "mtime_ns")


def _typed(data: Mapping[str, object], name: str, kind: type[_T]) -> _T:
    value = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(value, kind) or (isinstance(value, int) and value < 0 and name != "mtime_ns"):
        raise ValueError(f"position: {name} is missing or wrong")
    return value


class Verdict(Enum):
    """What an open file is to a position that was remembered."""

    CONTINUES = "continues"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    ANOTHER = "another file"


def fingerprint(data: bytes) -> str:
    """Return a short digest of *data*."""
    return blake2b(data, digest_size=16).hexdigest()


def same_file(fd: int, position: Position) -> Verdict:
    """Decide what the file open at *fd* is to *position*.

    Another inode with the same content *continues* too (a grown copy moved into place), but only when a full
    fingerprint matches: "epoch 1" alone is what every new log begins with. The same number on another device
    is a mount that went and came back.
    """
    status = os.fstat(fd)
    same = (status.st_dev, status.st_ino) == position.key
    is_remounted = status.st_ino == position.inode and position.offset > 0
    fits = status.st_size >= position.offset and holds(fd, position)
    if fits and (same or is_remounted or position.offset >= FINGERPRINT):
        return Verdict.CONTINUES
    if not same:
        return Verdict.ANOTHER
    return Verdict.TRUNCATED if status.st_size < position.offset else Verdict.REWRITTEN


def holds(fd: int, position: Position) -> bool:
    """Return whether both fingerprints of *position* are found in the file open at *fd*."""
    head = os.pread(fd, position.head_size, 0)
    before = os.pread(fd, position.before_size, position.offset - position.before_size)
    return fingerprint(before) == position.before and fingerprint(head) == position.head


def rotated_from(name: str) -> str | None:
    """Return the name of the log that *name* was rotated from (`x.log.2.gz` -> `x.log`), if any."""
    match = _ROTATED.fullmatch(name)
    return match["base"] if match else None


def find_moved(path: Path, key: FileKey) -> Path | None:
    """Find the name that a file has now: in the folder of *path*, or of what it links to.

    Reading a folder gives the inode numbers for free, so every name is looked at.
    """
    for entry in _neighbours(path):
        if entry.inode() == key[1]:
            with suppress(OSError):
                status = entry.stat()
                if (status.st_dev, status.st_ino) == key:
                    return Path(entry.path)
    return None


def find_copy(path: Path, position: Position, is_known: IsKnown, room: Room) -> Path | None:
    """Find the rotated copy that holds what was read up to *position*, and perhaps more (copy-truncate)."""
    for candidate, status, _ in _rotated(path, is_known):
        if status.st_size < position.offset or status.st_mtime_ns < position.mtime_ns:
            continue
        if is_at(candidate, position, room):
            return candidate
    return None


def is_at(path: Path, position: Position, room: Room) -> bool:
    """Return whether both fingerprints of *position* are found in the file at *path*; False where it is unreadable."""
    try:
        fd = room.open(path)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return False
    try:
        return holds(fd, position)
    except OSError:
        return False
    finally:
        os.close(fd)


def rotated_since(
    path: Path, anchor: Path | None, mtime_ns: int, is_known: IsKnown, until: Path | None = None
) -> list[Path]:
    """Return the files that came between *anchor* (where the old one is now) and *until*, oldest first.

    *until* is where the newer one is now, if it was rotated away too; else it is the one at *path*.

    Two rotations between two looks leave a whole file that was never open. Without an anchor only the
    modification time can tell it from history, so it must be later than *mtime_ns*.
    """
    anchor_age = _age(anchor.name) if anchor and rotated_from(anchor.name) == path.name else None
    until_age = _age(until.name) if until and rotated_from(until.name) == path.name else None
    found: list[tuple[int, Path]] = []
    for candidate, status, age in _rotated(path, is_known):
        if candidate == anchor:
            continue
        if anchor_age is not None and (anchor_age < 0) == (age < 0):
            later = age > anchor_age  # not by time: the older one may have got a late write
        else:
            later = status.st_mtime_ns > mtime_ns
        if later and (until_age is None or age < until_age):
            found.append((age, candidate))
    return [candidate for _, candidate in sorted(found)]


def _age(name: str) -> int | None:
    """Return a number that grows towards the newest: -2 for `.2`, -1 for `.1`, 20260101 for a date."""
    match = _ROTATED.fullmatch(name)
    if match is None:
        return None
    digits = int(re.sub(r"\D", "", match["mark"]))
    return -digits if len(match["mark"]) <= 3 else digits


def _rotated(path: Path, is_known: IsKnown) -> Iterator[tuple[Path, os.stat_result, int]]:
    """Yield the readable files rotated from *path*, with their status and age, but those that are known."""
    for entry in _neighbours(path):
        match = _ROTATED.fullmatch(entry.name) if entry.name.startswith(path.name) else None
        if match is None or match["base"] != path.name or match["packed"]:
            continue
        try:
            status = entry.stat()
        except OSError:  # gone meanwhile
            continue
        if stat.S_ISREG(status.st_mode) and not is_known(Path(entry.path), (status.st_dev, status.st_ino)):
            yield Path(entry.path), status, _age(entry.name) or 0


def _neighbours(path: Path) -> Iterator[os.DirEntry[str]]:
    folder, real = path.parent, Path(os.path.realpath(path)).parent
    for place in [folder] if os.path.realpath(folder) == str(real) else [folder, real]:
        try:
            with os.scandir(place) as entries:
                found = list(entries)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise  # it would look as if nothing were there
            continue
        yield from found
