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
from typing import NamedTuple, TypeVar

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


class Place(NamedTuple):
    """Where a file was seen, and which one: the next rotation may give its name to another."""

    path: Path
    key: FileKey


IsKnown = Callable[[Place], bool]
"""Tells whether a rotated file was read before."""

_PATIENCE = 20
"""So often a folder is listed again when names in it change under way."""

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


def find_copy(path: Path, position: Position, is_known: IsKnown, room: Room) -> Place | None:
    """Find the rotated copy that holds what was read up to *position*, and perhaps more (copy-truncate)."""
    for found in _rotated(path):
        if found.size < position.offset or found.mtime_ns < position.mtime_ns or is_known(found.place):
            continue
        if is_at(found.place, position, room):
            return found.place
    return None


def is_at(place: Place, position: Position, room: Room) -> bool:
    """Return whether both fingerprints of *position* are found in the file at *place*; False where it is unreadable."""
    try:
        fd = room.open(place.path)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return False
    try:
        status = os.fstat(fd)
        return (status.st_dev, status.st_ino) == place.key and holds(fd, position)
    except OSError:
        return False
    finally:
        os.close(fd)


def rotated_since(
    path: Path, anchor: FileKey | None, mtime_ns: int, is_known: IsKnown, until: FileKey | None = None
) -> list[Place]:
    """Return the files that were rotated after *anchor* (the old one) and before *until*, oldest first.

    Without *until* they came before the one at *path*, which must be known.

    Two rotations between two looks leave a whole file that was never open. Where the anchor has no rotated name
    only the modification time can tell it from history, so it must be later than *mtime_ns*.
    """
    rotated = sorted(_rotated(path), key=lambda found: found.age)
    ages = {found.place.key: found.age for found in rotated}
    anchor_age, until_age = (ages.get(key) if key else None for key in (anchor, until))
    missed = []
    for found in rotated:
        if anchor_age is not None and (anchor_age < 0) == (found.age < 0):
            later = found.age > anchor_age  # not by time: the older one may have got a late write
        else:
            later = found.mtime_ns > mtime_ns
        if later and found.place.key != anchor and (until_age is None or found.age < until_age):
            missed.append(found.place)
    return [place for place in missed if not is_known(place)]


class _Rotated(NamedTuple):
    """A rotated file; `age` grows towards the newest: -2 for `.2`, -1 for `.1`, 20260101 for a date."""

    place: Place
    age: int
    size: int
    mtime_ns: int


def _rotated(path: Path) -> Iterator[_Rotated]:
    """Yield the readable files rotated from *path*."""
    for entry in _neighbours(path):
        match = _ROTATED.fullmatch(entry.name) if entry.name.startswith(path.name) else None
        if match is None or match["base"] != path.name or match["packed"]:
            continue
        try:
            status = entry.stat()
        except OSError:  # gone meanwhile
            continue
        if stat.S_ISREG(status.st_mode):
            digits = int(re.sub(r"\D", "", match["mark"]))
            age = -digits if len(match["mark"]) <= 3 else digits
            place = Place(Path(entry.path), (status.st_dev, status.st_ino))
            yield _Rotated(place, age, status.st_size, status.st_mtime_ns)


def _neighbours(path: Path) -> list[os.DirEntry[str]]:
    """Return what is in the folder of *path*, and of what it links to: as it was at one time, between two renames."""
    folder, real = path.parent, Path(os.path.realpath(path)).parent
    places = [folder] if os.path.realpath(folder) == str(real) else [folder, real]
    for _ in range(_PATIENCE):
        found = _list(places)
        for entry in found:
            if entry.name.startswith(path.name):
                with suppress(OSError):
                    entry.stat()
        if [(e.name, e.inode()) for e in found] == [(e.name, e.inode()) for e in _list(places)]:
            break
    return found


def _list(folders: list[Path]) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found += entries
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise  # it would look as if nothing were there
    return found
