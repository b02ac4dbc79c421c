"""Random histories of a log, played to a real follower on disk and to a small model of what is readable.

Every write is a token that exists once. The promise: no token arrives twice, tokens of one file arrive in
order, and after a poll every token that is readable has arrived (those of a file or copy that came and went
between two looks only once there is a file behind the path again). Unreadable by nature, and so allowed to be
missing, is a token that was not handed out yet when

* its file was truncated or rewritten without a copy;
* its file was copy-truncated, and nothing that was handed out from the file's present content could lead to
  the copy (the follower never read from it, or it was truncated without a copy before);
* its file was deleted and no running follower held it open;
* its file was rotated away before a follower ever saw it, and the file that the follower was reading when it
  last looked is not among the rotated ones (`x.log.N`), so that nothing tells the unseen file from history;
* its file was truncated (or was empty) *and* got a name that is no rotated one *and* nanwatch was restarted,
  all between two looks: neither name nor content tells that it was ours, and an inode number proves nothing.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk
from nanwatch.tail.follower import Follower
from nanwatch.tail.identity import Position

TOKEN = re.compile(rb"<(\d{6})>")


@dataclass(eq=False)
class File:
    """The model of one file: what was not handed out yet, and how a follower could come to it."""

    where: Path
    pending: set[int] = field(default_factory=set)
    tokens: set[int] = field(default_factory=set)
    followed: bool = False  # a follower read it, and holds it or can find it again
    deleted: bool = False
    trace: bool = False  # what was handed out is still its content, or a copy's
    copied: bool = False
    cut: bool = False  # truncated since the last look

    @property
    def unproven(self) -> bool:
        """Whether no content tells a restarted nanwatch that this is the file of its position."""
        return self.cut or not self.trace


class Histories(RuleBasedStateMachine):
    """The log `train.log` in a folder of its own, whatever people and logrotate may do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="nanwatch-model-")
        self.path = Path(self.folder.name, "train.log")
        self.clock = ManualClock()
        self.follower = Follower(self.path, clock=self.clock, chunk_size=20)
        self.count = 0
        self.links = 0
        self.restarted = False  # since the last look: no descriptor is open
        self.required: set[int] = set()
        self.arrived: list[int] = []
        self.files: list[File] = []
        self.newest: File | None = None  # behind the path
        self.current: File | None = None  # the one the follower was reading at its last look

    def teardown(self) -> None:
        """Poll once more, then clean up."""
        try:
            if self.newest is None:
                self.append(1)
            self.poll()
        finally:
            self.follower.close()
            self.folder.cleanup()

    # -- helpers

    def tokens(self, file: File, count: int) -> bytes:
        fresh = range(self.count, self.count + count)
        self.count += count
        file.pending |= set(fresh)
        file.tokens |= set(fresh)
        if not file.deleted:
            self.required |= set(fresh)
        return b"".join(b"<%06d>" % number for number in fresh)

    def lose(self, file: File) -> None:
        self.required -= file.pending

    def anchored(self) -> bool:
        current = self.current
        return current is not None and not current.deleted and current.where.name.startswith("train.log.")

    def leave(self, *, numbered: bool) -> None:
        """The newest file loses its name; what nobody can come to any more may be lost."""
        file, self.newest = self.newest, None
        if file is None:
            return
        if file.followed:
            if self.restarted and (file.deleted or (file.unproven and not numbered)):
                self.lose(file)
        elif not (numbered and self.anchored()):
            self.lose(file)

    def shift(self) -> Path:
        """Make room for a new `.1`, as logrotate does."""
        numbered = sorted(self.folder_names(), reverse=True)
        for number in numbered:
            old, new = (self.path.with_name(f"train.log.{n}") for n in (number, number + 1))
            old.rename(new)
            for file in self.files:
                if file.where == old:
                    file.where = new
        return self.path.with_name("train.log.1")

    def folder_names(self) -> list[int]:
        names = (path.name for path in self.path.parent.iterdir())
        return [int(name[10:]) for name in names if name[:10] == "train.log." and name[10:].isdecimal()]

    # -- what a trainer does

    @rule(count=st.integers(1, 6))
    def append(self, count: int) -> None:
        if self.newest is None:
            self.newest = File(self.path)
            self.files.append(self.newest)
        with self.path.open("ab") as log:
            log.write(self.tokens(self.newest, count))

    @precondition(lambda self: any(f.where.name.startswith("train.log.") for f in self.files))
    @rule(data=st.data())
    def append_to_a_rotated_file(self, data: st.DataObject) -> None:
        rotated = [f for f in self.files if f.where.name.startswith("train.log.") and not f.deleted]
        file = data.draw(st.sampled_from(rotated))
        written = self.tokens(file, 1)
        if not file.followed and not (file.pending - {self.count - 1}) & self.required:
            self.required.discard(self.count - 1)
        with file.where.open("ab") as log:
            log.write(written)

    # -- what logrotate and people do

    @precondition(lambda self: self.newest is not None)
    @rule(create=st.booleans())
    def rotate(self, create: bool) -> None:
        file = self.newest
        assert file is not None
        new = self.shift()
        self.path.rename(new)
        is_link = new.is_symlink()
        if not is_link:
            file.where = new
        self.leave(numbered=not is_link)
        if create:
            self.append(1)

    @precondition(lambda self: self.newest is not None)
    @rule(count=st.integers(0, 4))
    def copytruncate(self, count: int) -> None:
        file = self.newest
        assert file is not None
        self.shift().write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)
        if file is self.current and file.trace:
            file.copied = True
        else:
            self.lose(file)
        file.pending, file.cut = set(), True
        if count:
            self.append(count)

    @precondition(lambda self: self.newest is not None)
    @rule(count=st.integers(0, 6))
    def truncate_and_rewrite(self, count: int) -> None:
        file = self.newest
        assert file is not None
        self.lose(file)
        file.pending, file.cut = set(), True
        file.trace = file.trace and file.copied
        with self.path.open("wb") as log:
            log.write(self.tokens(file, count))

    @precondition(lambda self: self.newest is not None)
    @rule()
    def delete(self) -> None:
        file = self.newest
        assert file is not None
        if not self.path.is_symlink():
            file.deleted = True
        self.path.unlink()
        self.leave(numbered=False)

    @rule(count=st.integers(1, 6))
    def switch_a_link(self, count: int) -> None:
        self.links += 1
        target = self.path.with_name(f"run-{self.links}.log")
        link = self.path.with_name("link")
        if self.newest is not None and not self.path.is_symlink():
            self.newest.deleted = True
        self.leave(numbered=False)
        self.newest = File(target)
        self.files.append(self.newest)
        target.write_bytes(self.tokens(self.newest, count))
        link.symlink_to(target)
        link.replace(self.path)

    # -- what nanwatch does

    @rule()
    def restart(self) -> None:
        position = self.follower.position
        self.follower.close()
        if position is not None:
            position = Position.from_json(position.to_json())
        self.follower = Follower(self.path, position, clock=self.clock, chunk_size=20)
        self.restarted = True
        for file in self.files:
            nameless = file is not self.newest and not file.where.name.startswith("train.log.")
            if file.deleted or (file.unproven and nameless):
                self.lose(file)

    @rule()
    def poll(self) -> None:
        data = b"".join(item.data for item in self.follower.poll() if isinstance(item, Chunk))
        assert TOKEN.sub(b"", data) == b""
        arrived = [int(number) for number in TOKEN.findall(data)]
        self.arrived += arrived
        assert len(set(self.arrived)) == len(self.arrived), "read twice"
        due = self.required
        if self.newest is None:
            due = due & set[int]().union(*(file.pending for file in self.files if not self.must_wait(file)))
        assert due - set(self.arrived) == set(), "lost"
        for file in self.files:
            of_file = [number for number in arrived if number in file.tokens]
            assert of_file == sorted(of_file), "out of order"
        self.note_what_is_known(set(arrived))

    def must_wait(self, file: File) -> bool:
        """Return whether *file* is one that is read when there is something behind the path again."""
        return self.newest is None and (not file.followed or (self.restarted and file.unproven))

    def note_what_is_known(self, arrived: set[int]) -> None:
        if self.newest is not None:
            self.current = self.newest
        for file in self.files:
            waits = self.must_wait(file)
            file.followed = not waits and (file.followed or file is self.newest or bool(file.pending & arrived))
            if file is self.newest:
                file.trace = self.path.stat().st_size > 0
                file.copied = False
            file.cut = False
            file.pending -= self.required & set(self.arrived)
            if not waits:
                file.pending = set()
        self.restarted = False
        self.files = [file for file in self.files if not file.deleted]


TestHistories = Histories.TestCase
TestHistories.__doc__ = "No readable byte is lost and none is read twice, whatever happens to the file."
TestHistories.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
