"""One path = one endless stream of bytes, whatever happens to the file behind the name.

Words, and what is done:

*Growing.* An idle look costs one stat. When size or times changed, the bytes are read, and every read begins
up to 256 bytes early: it must first give again what was handed out last. So a rewrite is noticed by the very
read that would have returned foreign bytes, not by a check before it. For two seconds after a change the
times are not trusted (a second write in the same tick of the clock leaves them as they were).

*Rotation* (rename and create; a symlink that switches): the path leads to another file and the old one still
exists. The old descriptor is read to its end, then whole files that came and went between two looks
(`x.log.1` while we had what is now `x.log.2`), then the new file from 0. Where what was read last has no
rotated name any more (deleted, compressed) those are meant that were written after it. A file that is back
under the name (a link that switches back) goes on where it was left.

*Late write.* A writer that was not told keeps writing to the renamed file. Its descriptor is kept until
`grace_s` after its last byte, and dropped at once when the file has been deleted (or else its space would
stay occupied).

*Truncation*: the same inode, shorter than what was read. *Rewriting*: long enough, but with other bytes.
*Copy-truncate* is either of them with a copy made before; what was written just before the copy is read from
it, as long as it is found under a rotated name. A writer that does not append leaves a hole of zeros in
front; these are not handed out.

*Replacement* (delete and recreate; a file moved over): another inode, the old one gone.

*A grown copy* is a new file that holds what was read, and a full fingerprint of it: it is continued, whether the
old one is gone or lies beside it as a backup.

*Without a descriptor.* Where few files may be open, idle logs are not. They are found again by path, inode and
content, as after a restart; what is deleted unread meanwhile is lost.

What flows: `Chunk`s, and a `Discontinuity` where the next chunk does not continue the last one.

    ROTATED, TRUNCATED, REWRITTEN, REPLACED   another file, or the same from its start: offsets begin again
                                              (where it was left, if it is an older file that came back)
    LATE_WRITE                                the chunks that follow belong to a rotated file, at its offsets
    RETURNED                                  back to the newest file, at the offset where it was left

So a chunk belongs to the newest file unless the last Discontinuity was LATE_WRITE, and a consumer that only
asks "is this a new beginning?" treats LATE_WRITE and RETURNED as a torn stream, no more.

Not readable by nature: bytes that were written and then truncated, overwritten or deleted between two looks
and of which no rotated copy is left; bytes of a compressed rotated file; a rewrite in place that leaves
the head and the bytes before the offset as they were. A file that is cut shorter, but not to nothing, is read
from 0: what is left of it comes again, after TRUNCATED.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nanwatch.clock import Clock, SystemClock
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.identity import (
    FileKey,
    Place,
    Position,
    Verdict,
    find_copy,
    find_moved,
    holds,
    is_at,
    rotated_from,
    rotated_since,
    same_file,
)
from nanwatch.tail.openfile import OpenFile, signature
from nanwatch.tail.room import EXHAUSTED, Room

ROTATED = "rotated"
TRUNCATED = "truncated"
REWRITTEN = "rewritten"
REPLACED = "replaced"
LATE_WRITE = "late write to the rotated file"
RETURNED = "back to the newest file"

_PHRASES = {
    errno.ENOENT: "file is missing",
    errno.ENOTDIR: "file is missing",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "is a folder",
    errno.EINVAL: "not a regular file",
    errno.EIO: "input/output error",
    errno.ESTALE: "stale network file handle",
    errno.ELOOP: "symbolic links in a circle",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}

_PATIENCE = 20
"""So often a file that is renamed under way is looked for."""

_REMEMBERED = 16
"""So many rotated files that are not watched any more are known again when they come back."""

Item = Chunk | Discontinuity


class Follower:
    """Follows one path; see the module for what that means.

    `problem` says in one phrase why the path cannot be read now, or is None. Followers that share a *room* share
    its descriptors.
    """

    def __init__(
        self,
        path: Path,
        position: Position | None = None,
        *,
        chunk_size: int = 1 << 18,
        clock: Clock | None = None,
        grace_s: float = 600.0,
        room: Room | None = None,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self._resume = position
        self._chunk_size = chunk_size
        self._clock = clock or SystemClock()
        self._grace_s = grace_s
        self._room = Room() if room is None else room
        self._current: OpenFile | None = None
        self._old: list[OpenFile] = []
        self._left: dict[FileKey, Position] = {}  # rotated files that are not watched any more
        self._cut: list[Position] = []  # deleted files that had been truncated before: a copy may be left
        self._speaker: OpenFile | None = None  # the file of the last chunk
        self._begun = False  # whether something was handed out since the last new beginning

    def poll(self) -> Iterator[Item]:
        """Yield everything that is readable now; never raise because of the file."""
        try:
            if self._current is None and self._resume and self._resume.earlier:
                self._watch_again(self._resume)
            back = self._key() if self._old else None
            for old in [old for old in self._old if old.key != back]:
                yield from self._read_late(old)
            yield from self._read_newest(self._current or (yield from self._begin()))
            self.problem = None
            self._cut.clear()
        except OSError as error:
            self.problem = _PHRASES.get(error.errno or 0) or (error.strerror or "cannot be read").lower()
            if error.errno in EXHAUSTED:
                self._room.relieve()

    def changed(self) -> bool:
        """Return whether a poll is likely to yield something: by one stat, and one for each rotated file."""
        try:
            status = self.path.stat()
            if self._current is None or self._current.key != (status.st_dev, status.st_ino):
                return True
            before = [signature(file.status) for file in self._files]
            for file in self._files:
                file.look()
            return before != [signature(file.status) for file in self._files]
        except OSError:
            return self.problem is None

    @property
    def position(self) -> Position | None:
        """The place reached in the newest file, to go on from after a restart; None if there is none."""
        waiting = self._resume.earlier if self._resume else ()
        earlier = (*self._left.values(), *waiting, *(old.position() for old in self._old))
        if self._current is None:
            return replace(self._resume, earlier=earlier) if self._resume else None
        return self._current.position(earlier)

    @property
    def size(self) -> int:
        """The newest file's size when it was last looked at."""
        return self._current.status.st_size if self._current else 0

    @property
    def mtime(self) -> float | None:
        """When the newest file was last written, as seconds since the epoch."""
        return self._current.status.st_mtime if self._current else None

    @property
    def bytes_behind(self) -> int:
        """How many bytes of the newest file were seen but not handed out yet."""
        return max(0, self._current.status.st_size - self._current.offset) if self._current else 0

    @property
    def has_rotated_files(self) -> bool:
        """Whether a rotated-away file is still watched for late writes."""
        return bool(self._old)

    def close(self) -> None:
        """Close every descriptor; `position` stays known."""
        self._resume = self.position
        for file in self._files:
            file.close()
        self._old, self._current, self._left = [], None, {}

    @property
    def _files(self) -> list[OpenFile]:
        return [*self._old, self._current] if self._current else self._old

    # -- the newest file

    def _read_newest(self, current: OpenFile) -> Iterator[Item]:
        try:
            status = self.path.stat()
        except OSError:
            # Deleted or renamed: the descriptor still gives what is there.
            current.look()
            yield from self._catch_up(current)
            raise
        if (status.st_dev, status.st_ino) == current.key:
            current.status = status
            yield from self._catch_up(current)
        else:
            yield from self._change_over(current, (status.st_dev, status.st_ino))

    def _catch_up(self, file: OpenFile) -> Iterator[Item]:
        if not file.stirred():
            return
        now, steady = self._clock.now(), self._clock.steady()
        if file.status.st_size < file.offset or not file.head_holds():
            yield from self._begin_again(file)
        while (data := file.read(self._chunk_size)) != b"":
            if data is None:
                yield from self._begin_again(file)
                continue
            yield from self._hand_out(file, data)
            if len(data) < self._chunk_size:
                break
        file.settle(now, steady)

    def _hand_out(self, file: OpenFile, data: bytes) -> Iterator[Item]:
        if file is not self._speaker and (self._speaker or file in self._old):
            yield Discontinuity(LATE_WRITE if file in self._old else RETURNED)
        # Not before: a consumer that stops at the discontinuity gets the bytes at the next look.
        self._speaker, self._begun = file, True
        offset = file.offset
        file.accept(data)
        yield Chunk(offset, data)

    def _announce(self, file: OpenFile, reason: str) -> Iterator[Item]:
        self._speaker = file
        if self._begun:
            self._begun = False
            yield Discontinuity(reason)

    # -- the same file, but not its old bytes

    def _begin_again(self, file: OpenFile) -> Iterator[Item]:
        """Go back to 0: the file was truncated or rewritten. What a copy of it has left comes first."""
        file.look()
        reason = TRUNCATED if file.status.st_size < file.offset else REWRITTEN
        if file.offset:
            yield from self._read_copies(file)
        file.restart()
        yield from self._announce(file, reason)

    def _read_copies(self, file: OpenFile) -> Iterator[Item]:
        before = file.position()
        copy = find_copy(self.path, before, self._is_known, self._room)
        anchor = copy.key if copy else None
        missed = rotated_since(self.path, anchor, before.mtime_ns, self._is_known, until=file.key)
        with suppress(FileNotFoundError):
            if copy is not None:
                rest = self._open(copy)
                rest.resume(before)
                if self._speaker not in (file, None):
                    yield Discontinuity(RETURNED)
                self._speaker = rest  # its bytes continue what was handed out
                yield from self._read_whole(rest)
            for place in missed:
                lost = self._open(place)
                yield from self._announce(lost, ROTATED)
                yield from self._read_whole(lost)

    def _read_whole(self, file: OpenFile) -> Iterator[Item]:
        """Read a rotated file to its end; it is kept like every other one for late writes."""
        self._keep(file)
        while data := file.read(self._chunk_size):
            yield from self._hand_out(file, data)

    def _keep(self, old: OpenFile) -> None:
        old.deadline = self._clock.steady() + self._grace_s
        self._old.append(old)

    # -- another file behind the name

    def _change_over(self, current: OpenFile, key: FileKey) -> Iterator[Item]:
        seen_ns, gone = current.mtime_ns, True
        try:  # a stale handle has nothing left to give
            current.look()
            gone = current.status.st_nlink == 0
            yield from self._catch_up(current)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
        moved = None if gone else find_moved(self.path, current.key)
        if copy := self._open_grown_copy(current.position()):
            self._take_over(copy, current, moved)
            yield from self._catch_up(copy)
            return
        is_rotated = moved is not None and rotated_from(moved.name) == self.path.name
        if not is_rotated and (copy := self._open_copy(current.position())):
            self._take_over(copy, current, moved)
            yield from self._catch_up(copy)
            current, moved = copy, copy.path
        newest = Place(self.path, key)
        anchor = current.key if moved else None
        missed = rotated_since(
            self.path, anchor, seen_ns, lambda place: place.key == key or self._is_known(place), until=key
        )
        yield from self._advance([*missed, newest], REPLACED if gone and not moved and not missed else ROTATED)

    def _open_grown_copy(self, position: Position) -> OpenFile | None:
        """Open the file behind the path if it is a grown copy of the one that was read up to *position*."""
        new = OpenFile(self.path, self._room)
        if not self._is_held(new.key) and _is_at(new, position):
            self._left.pop(new.key, None)  # of a deleted one that had the same number
            return new
        new.close()
        return None

    def _take_over(self, new: OpenFile, current: OpenFile, moved: Path | None) -> None:
        """Go on in *new* where *current* was left; that is still watched if it was *moved*, not deleted."""
        if self._speaker is current:
            self._speaker = new
        self._current = new
        if moved is None:
            current.close()
        else:
            self._keep(current)

    def _open_copy(self, position: Position) -> OpenFile | None:
        """Open the rotated file that holds what was read up to *position*, and go there."""
        copy = find_copy(self.path, position, self._is_known, self._room) if position.offset else None
        if copy is None:
            return None
        rest = self._open(copy)
        rest.resume(position)
        return rest

    def _advance(self, places: list[Place], reason: str) -> Generator[Item, None, OpenFile]:
        """Read the files at *places*, oldest first: each is the newest in its turn; return the last.

        Nothing is opened before its turn, so that a consumer that stops in the middle leaves no descriptor.
        """
        for place in places:
            new = self._open(place)
            if self._current is not None:
                self._keep(self._current)
            self._current = new
            self._begun = self._begun or new.offset > 0
            yield from self._announce(new, reason)
            yield from self._catch_up(new)
        return new

    def _open(self, place: Place) -> OpenFile:
        """Open the file seen at *place*: where it was left, if it was rotated away before and has come back."""
        new = self._open_seen(place)
        for old in self._old:
            if old.key == new.key:
                self._old.remove(old)
                old.path, old.status = new.path, new.status
                new.close()
                return old
        if left := self._left.pop(new.key, None):
            _is_at(new, left)
            return new
        for position in self._truncated():
            if holds(new.fd, position):
                new.resume(position)  # the old one came back and was copy-truncated, all between two looks
        return new

    def _truncated(self) -> Iterator[Position]:
        """Yield where rotated files were left that do not hold that any more: a copy of them may."""
        yield from self._cut
        yield from (old.position() for old in self._old if old.is_cut())
        for position in self._resume.earlier if self._resume else ():
            if position.offset and find_moved(self.path, position.key):
                yield position

    def _open_seen(self, place: Place) -> OpenFile:
        path: Path | None = place.path
        for _ in range(_PATIENCE):  # a rotation may be under way, and every name mean another file
            if path is None:
                break
            with suppress(FileNotFoundError):
                new = OpenFile(path, self._room, self.path)
                if new.key == place.key:
                    return new
                new.close()
            path = find_moved(self.path, place.key)
        raise FileNotFoundError(errno.ENOENT, "")

    def _is_held(self, key: FileKey) -> bool:
        return any(file.key == key for file in self._files)

    def _is_known(self, place: Place) -> bool:
        """Return whether the rotated file at *place* was read and is what it was; its number alone proves nothing."""
        for file in self._files:
            if file.key == place.key:
                return file is self._current or not file.is_cut()
        left = self._left.get(place.key)
        return left is not None and is_at(place, left, self._room)

    def _key(self) -> FileKey | None:
        """Return which file is behind the path now."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _read_late(self, old: OpenFile) -> Iterator[Item]:
        now, steady = self._clock.now(), self._clock.steady()
        try:
            old.look()
            if old.stirred() and old.status.st_size >= old.offset:
                while data := old.read(self._chunk_size):
                    old.deadline = steady + self._grace_s
                    yield from self._hand_out(old, data)
                if data is not None:  # else it was rewritten: read from 0 should it come back under the name
                    old.settle(now, steady)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            old.deadline = steady  # what cannot be read any more is not waited for
        deleted = old.status.st_nlink == 0
        if deleted and old.offset and old.is_cut():
            self._cut.append(old.position())
        if deleted or steady >= old.deadline:
            self._old.remove(old)
            old.close()
            if not deleted and old.offset:
                self._left[old.key] = old.position()
                for key in list(self._left)[:-_REMEMBERED]:
                    del self._left[key]

    # -- the first look

    def _begin(self) -> Generator[Item, None, OpenFile]:
        """Open the log; after a restart, find again what was read before it."""
        resume = self._resume
        if resume is None:
            self._current = OpenFile(self.path, self._room)
            return self._current
        found = self._find_again(resume)
        if found is not None:
            self._current = found
            self._speaker = self._speaker or found
            self._begun = self._begun or resume.offset > 0
        else:
            found = yield from self._begin_elsewhere(resume)
        self._resume = None
        return found

    def _begin_elsewhere(self, resume: Position) -> Generator[Item, None, OpenFile]:
        """Begin where nothing holds what was read: with what was rotated since, or else with what is there."""
        moved = find_moved(self.path, resume.key)
        rotated = moved if moved and rotated_from(moved.name) == self.path.name else None
        status = (rotated or self.path).stat()
        place = Place(rotated or self.path, (status.st_dev, status.st_ino))
        missed = rotated_since(
            self.path, None, resume.mtime_ns, lambda p: p.key == place.key or self._is_known(p), until=place.key
        )
        reason = ROTATED if missed else REPLACED
        if not missed and place.key == resume.key:
            reason = TRUNCATED if status.st_size < resume.offset else REWRITTEN
        self._begun = self._begun or resume.offset > 0
        return (yield from self._advance([*missed, place], reason))

    def _find_again(self, resume: Position) -> OpenFile | None:
        """Find the file that was read up to *resume*: here, under another name, or copied; in this order."""
        with suppress(FileNotFoundError):
            new = OpenFile(self.path, self._room)
            if new.key == resume.key and _is_at(new, resume):
                return new
            new.close()
        with suppress(FileNotFoundError):
            return self._open_moved(resume) or self._open_grown_copy(resume) or self._open_copy(resume)
        return self._open_copy(resume)

    def _open_moved(self, position: Position) -> OpenFile | None:
        moved = find_moved(self.path, position.key)
        if moved and not position.offset and rotated_from(moved.name) != self.path.name:
            return None  # nothing was read of it: an inode number alone proves nothing
        file = OpenFile(moved, self._room, self.path) if moved else None
        if file is None or _is_at(file, position):
            return file
        file.close()
        return None

    def _watch_again(self, resume: Position) -> None:
        """Open the rotated files of a former life; those that are not to be seen yet are tried again."""
        waiting = list(resume.earlier)
        for position in resume.earlier:
            if file := self._open_moved(position):
                self._keep(file)
                waiting.remove(position)
                self._resume = replace(resume, earlier=tuple(waiting))


def _is_at(file: OpenFile, position: Position) -> bool:
    """Go to *position* if *file* holds what was read up to there."""
    try:
        if same_file(file.fd, position) is not Verdict.CONTINUES:
            return False
        file.resume(position)
    except OSError:
        file.close()
        raise
    return True
