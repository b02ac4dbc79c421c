"""Random histories of a log, played to a real follower on disk and to a model of the disk and of what is readable.

Every write is a token that exists once. The promise: no token arrives twice, the tokens of a file arrive in
order, chunks continue each other at the offsets they tell, and after a poll every readable token has arrived.
Readable is what lies in a file that is

* behind the path (everything in it);
* held open by the follower, deleted or not;
* known from a position, after a restart, and found again in the folder by its inode and content, or, when that
  is gone, a rotated file that begins with what was read of it (a copy-truncate's copy);
* rotated since: newer than the place of the one that was read last, or, where that has none (deleted,
  compressed, renamed to something else), written later than that was at the last look.

As long as nothing is behind the path, only the first of these that were seen before must be read.

    python -m tests.tail.histories --count 2000 --seed 1
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.tail.follower import LATE_WRITE, RETURNED, Follower, Item
from nanwatch.tail.identity import FINGERPRINT, Position

LOG = "train.log"
TOKEN = re.compile("(\\d{6})‹▏=*›\n".encode())
SHORTEST = 16
KEPT = 3
"""So many rotated files are kept by a rotation."""
GRACE_S = 600.0
HISTORY = settings(
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

folder: str | None = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where the logs lie: in memory no inode's number is given to a second file, so that every history can be repeated."""

played: Counter[str] = Counter()
"""What the histories of this process were made of."""


def token(number: int) -> bytes:
    """Return a token: a line of some 20 bytes, three characters of which take several; the first six are its own."""
    return f"{number:06}‹▏{'=' * (number % 7)}›\n".encode()


# -- the disk


@dataclass(eq=False)
class File:
    """A file as such, whatever its names are: what is in it, and when that was written."""

    data: bytearray = field(default_factory=bytearray)
    mtime: int = 0
    torn: bytes = b""  # the rest of a token that is half written


class Disk:
    """A folder and the model of it: every operation is done to both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, File | str] = {}  # a string is what a link leads to
        self.files: list[File] = []
        self._now = 1_700_000_000_000_000_000

    def at(self, name: str) -> File | None:
        """Return the file behind *name*, through a link."""
        found = self.names.get(name)
        return self.at(found) if isinstance(found, str) else found

    def name_of(self, file: File) -> str | None:
        """Return the name of *file*; None when it was deleted."""
        return next((name for name, found in self.names.items() if found is file), None)

    def append(self, name: str, data: bytes) -> File:
        """Append to a file, or make it."""
        file = self.at(name)
        if file is None:
            file = File()
            self.files.append(file)
            self.names[self._target(name)] = file
        with (self.folder / name).open("ab") as real:
            real.write(data)
        file.data += data
        self._stamp(name, file)
        return file

    def write(self, name: str, data: bytes) -> None:
        """Overwrite a file in place."""
        file = self.at(name)
        assert file is not None
        (self.folder / name).write_bytes(data)
        file.data[:] = data
        self._stamp(name, file)

    def truncate(self, name: str, size: int) -> None:
        """Cut a file in place."""
        file = self.at(name)
        assert file is not None
        os.truncate(self.folder / name, size)
        del file.data[size:]
        self._stamp(name, file)

    def copy(self, name: str, to: str) -> None:
        """Copy a file to a new one."""
        file = self.at(name)
        assert file is not None
        assert to not in self.names
        self.append(to, bytes(file.data))

    def rename(self, name: str, to: str) -> None:
        """Rename a file or link, over another one if there is one."""
        (self.folder / name).rename(self.folder / to)
        self.names[to] = self.names.pop(name)

    def unlink(self, name: str) -> None:
        """Delete a file or link."""
        (self.folder / name).unlink()
        del self.names[name]

    def link(self, name: str, target: str) -> None:
        """Let *name* lead to *target*, at once."""
        (self.folder / "link").symlink_to(target)
        self.names["link"] = target
        self.rename("link", name)

    def _target(self, name: str) -> str:
        found = self.names.get(name)
        return found if isinstance(found, str) else name

    def _stamp(self, name: str, file: File) -> None:
        """Give the file a time of its own: the kernel's clock ticks more slowly than this test writes."""
        self._now += 1_000_000
        file.mtime = self._now
        os.utime(self.folder / name, ns=(self._now, self._now))


# -- rotation


class Numbered:
    """`train.log.1` is the newest: logrotate's own scheme, and RotatingFileHandler's."""

    def __init__(self, disk: Disk, packs: str | None = None) -> None:
        self.disk, self.packs = disk, packs

    def age(self, name: str) -> int | None:
        """Return a number that grows towards the newest; None for a name that is no rotated one."""
        match = re.fullmatch(re.escape(LOG) + r"\.(\d+)", name)
        return -int(match[1]) if match else None

    def make_room(self) -> str:
        """Return the name for what is rotated now."""
        ages = sorted(age for age in map(self.age, self.disk.names) if age is not None)
        for age in ages:
            if -age >= KEPT:
                self.disk.unlink(f"{LOG}.{-age}")
            else:
                self.disk.rename(f"{LOG}.{-age}", f"{LOG}.{1 - age}")
        return f"{LOG}.1"

    def pack(self) -> None:
        """Compress what is to be compressed after a rotation."""
        spared = {None: KEPT, "compress": 0, "delaycompress": 1}[self.packs]
        rotated = sorted((age, name) for name in self.disk.names if (age := self.age(name)) is not None)
        for _, name in rotated[: max(0, len(rotated) - spared)] if self.packs else ():
            (self.disk.folder / f"{name}.gz").write_bytes(b"\x1f\x8b packed")
            self.disk.unlink(name)


class Dated(Numbered):
    """`train.log-20260101`, and other ways to write the time."""

    def __init__(self, disk: Disk, mark: str, packs: str | None = None) -> None:
        super().__init__(disk, packs)
        self.mark, self.count = mark, 0

    def age(self, name: str) -> int | None:
        """Return the digits of the time."""
        rest = name.removeprefix(LOG)
        rotated = rest != name and rest[:1] in "-." and rest[1:2] == "2"
        return int(re.sub(r"\D", "", rest)) if rotated else None

    def make_room(self) -> str:
        """Return a later time's name, and delete the oldest."""
        ages = sorted((age, name) for name in self.disk.names if (age := self.age(name)) is not None)
        for _, name in ages[: max(0, len(ages) - KEPT + 1)]:
            self.disk.unlink(name)
        self.count += 1
        then = time.gmtime(1_767_225_600 + self.count * 86_400)
        return LOG + time.strftime(self.mark, then).replace("EPOCH", str(int(time.mktime(then))))


SCHEMES: dict[str, Callable[[Disk], Numbered]] = {
    "logrotate create": Numbered,
    "logrotate compress": lambda disk: Numbered(disk, "compress"),
    "logrotate delaycompress": lambda disk: Numbered(disk, "delaycompress"),
    "logrotate dateext": lambda disk: Dated(disk, "-%Y%m%d"),
    "logrotate dateext delaycompress": lambda disk: Dated(disk, "-%Y%m%d", "delaycompress"),
    "logrotate dateformat %Y%m%d-%s": lambda disk: Dated(disk, "-%Y%m%d-EPOCH"),
    "RotatingFileHandler": Numbered,
    "TimedRotatingFileHandler S": lambda disk: Dated(disk, ".%Y-%m-%d_%H-%M-%S"),
    "TimedRotatingFileHandler H": lambda disk: Dated(disk, ".%Y-%m-%d_%H"),
    "TimedRotatingFileHandler midnight": lambda disk: Dated(disk, ".%Y-%m-%d"),
}


# -- the consumer


@dataclass(eq=False)
class Stream:
    """What arrived of one file: up to which offset, and what is no whole token yet."""

    end: int = 0
    rest: bytes = b""


class Consumer:
    """Puts the chunks together again by what the module of the follower promises."""

    def __init__(self, files: list[File]) -> None:
        self._files = files
        self.arrived: list[int] = []
        self.fragments: list[bytes] = []
        self._newest = Stream()
        self._late: list[Stream] = []
        self._ends: set[int] = set()
        self._is_late = False
        self._is_new = False
        self._last: Stream | None = None

    def restart(self) -> None:
        """A new follower speaks of the newest file, until it says something else."""
        self._is_late, self._last = False, None

    def take(self, item: Item) -> None:
        """Take what the follower hands out."""
        if isinstance(item, Chunk):
            stream = self._last if self._last and self._last.end == item.offset else self._stream(item)
            self._last = stream
            stream.end = item.offset + len(item.data)
            self._ends.add(stream.end)
            self._cut(stream, item.data)
            return
        assert isinstance(item, Discontinuity)
        self._last = None
        self._is_late = item.reason == LATE_WRITE
        if item.reason not in (LATE_WRITE, RETURNED):
            self._late.append(self._newest)
            self._newest, self._is_new = Stream(), True

    def _stream(self, chunk: Chunk) -> Stream:
        fitting = [stream for stream in reversed(self._late) if stream.end == chunk.offset]
        if self._is_new and not self._is_late and len(fitting) > 1 and fitting[0] is self._late[-1]:
            del fitting[0]  # what was left just now is hardly what is back
        known = next((s for s in fitting if self._is_true(s, chunk)), fitting[0] if fitting else None)
        if self._is_late:
            if known is None:  # of a file of which nothing was read before, or which was copied and read on there
                assert not chunk.offset or chunk.offset in self._ends, "a late write that continues nothing"
                is_copied = self._newest.end == chunk.offset
                self._late.append(known := Stream(rest=self._newest.rest if is_copied else b""))
            return known
        if self._is_new and known is not None and chunk.offset:  # an older file is back under the name
            self._late.remove(known)
            self._newest = known
        elif self._is_new and chunk.offset in self._ends:  # one that was copied and read on in its copy is back
            self._newest = Stream(chunk.offset)
        assert chunk.offset == self._newest.end, "a chunk that continues nothing"
        self._is_new = False
        return self._newest

    def _is_true(self, stream: Stream, chunk: Chunk) -> bool:
        """Return whether there is a file in which *chunk* follows the rest of *stream*: others may end there, too."""
        data, begin = stream.rest + chunk.data, chunk.offset - len(stream.rest)
        return any(file.data[begin : begin + len(data)] == data for file in self._files)

    def _cut(self, stream: Stream, data: bytes) -> None:
        stream.rest += data
        end = 0
        for match in TOKEN.finditer(stream.rest):
            if match.start() > end:
                self.fragments.append(stream.rest[end : match.start()])
            end = match.end()
            self.arrived.append(int(match[1]))
        stream.rest = stream.rest[end:]


# -- histories


@dataclass
class Known:
    """What a follower knows of a file that it has read: what that was, and when."""

    data: bytes
    mtime: int


class Histories(RuleBasedStateMachine):
    """The log `train.log` in a folder of its own, whatever people and programs may do to it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="nanwatch-histories-", dir=folder)
        self.disk = Disk(Path(self._folder.name))
        self.path = self.disk.folder / LOG
        self.consumer = Consumer(self.disk.files)
        self.count = 0
        self.runs = 0
        self.origin: dict[int, File] = {}
        self.torn: set[bytes] = set()  # what a reader may see of tokens that were never completed
        self.may_repeat: set[int] = set()
        self.unordered: set[int] = set()
        self.copies: dict[File, set[int]] = {}
        self.current: File | None = None  # what the follower was reading at its last look
        self.known: dict[File, Known] = {}
        self.open: set[File] = set()
        self.dropped: set[File] = set()
        played["histories"] += 1

    @initialize(
        scheme=st.sampled_from(sorted(SCHEMES)),
        trusts_times=st.booleans(),
        chunk_size=st.sampled_from([7, 20, 64, 4096]),
        has_links=st.sampled_from([False, False, False, True]),
    )
    def begin(self, scheme: str, trusts_times: bool, chunk_size: int, has_links: bool) -> None:
        played[scheme] += 1
        self.rotation = SCHEMES[scheme](self.disk)
        self.clock = ManualClock(4e9 if trusts_times else 0.0)
        self.chunk_size, self.has_links = chunk_size, has_links
        self.follower = self.start(None)

    def start(self, position: Position | None) -> Follower:
        return Follower(self.path, position, clock=self.clock, chunk_size=self.chunk_size, grace_s=GRACE_S)

    def teardown(self) -> None:
        """Look once more, with something behind the path."""
        try:
            if hasattr(self, "follower") and sys.exc_info()[0] is None:
                self.append(1, 0)
                self.poll()
                played["tokens"] += self.count
                played["tokens read"] += len(self.consumer.arrived)
        finally:
            if hasattr(self, "follower"):
                self.follower.close()
            self._folder.cleanup()

    # -- helpers

    @property
    def newest(self) -> File | None:
        """The file behind the path."""
        return self.disk.at(LOG)

    @property
    def is_plain(self) -> bool:
        """Whether there is a file, not a link, under the path."""
        return isinstance(self.disk.names.get(LOG), File)

    def rotated(self) -> list[tuple[int, File]]:
        """Return the rotated files and their ages, oldest first."""
        names = [(age, name) for name in self.disk.names if (age := self.rotation.age(name)) is not None]
        return [(age, file) for age, name in sorted(names) if (file := self.disk.at(name)) is not None]

    def write(self, name: str, count: int, torn: int = 0) -> None:
        """Append *count* tokens in pieces, and *torn* bytes of another one."""
        file = self.disk.at(name)
        data = file.torn if file is not None else b""
        numbers = list(range(self.count, self.count + count + bool(torn)))
        self.count += len(numbers)
        *whole, last = map(token, numbers)
        file = self.disk.append(name, data + b"".join(whole) + last[: torn or None])
        file.torn = last[torn:] if torn else b""
        self.origin.update(dict.fromkeys(numbers, file))
        self.note_fragments(file)

    def fresh(self, file: File, count: int) -> bytes:
        """Return tokens that become the content of *file*."""
        numbers = range(self.count, self.count + count)
        self.count += count
        self.origin.update(dict.fromkeys(numbers, file))
        return b"".join(map(token, numbers))

    def note_fragments(self, file: File) -> None:
        """A half-written token may be all that is ever seen of it."""
        if file.torn:
            begun = len(token(max(number for number, origin in self.origin.items() if origin is file))) - len(file.torn)
            self.torn.add(bytes(file.data[-begun:]))

    def forget_torn(self, file: File) -> None:
        """The writer of a truncated file goes on with a whole token."""
        file.torn = b""

    # -- what a trainer does

    @rule(count=st.integers(1, 6), torn=st.sampled_from([0, 0, 6, 7, 8, 11, 13, 15]))
    def append(self, count: int, torn: int) -> None:
        played["append"] += 1
        self.write(LOG, count, torn)

    @precondition(lambda self: any(isinstance(f, File) and f is not self.newest for f in self.disk.names.values()))
    @rule(choice=st.integers(0, 5), torn=st.sampled_from([0, 0, 8, 12]))
    def append_to_a_renamed_file(self, choice: int, torn: int) -> None:
        names = [n for n, f in self.disk.names.items() if isinstance(f, File) and f is not self.newest]
        names = [n for n in names if self.disk.at(n) not in self.dropped]
        if names:
            played["late write"] += 1
            name = sorted(names)[choice % len(names)]
            if name == f"{LOG}~":  # the copy of it does not hold this
                self.may_repeat |= {number for numbers in self.copies.values() for number in numbers}
            self.write(name, 1, torn)

    # -- what logrotate and Python's handlers do

    @precondition(lambda self: self.is_plain)
    @rule(count=st.integers(0, 4))
    def rotate_and_go_on(self, count: int) -> None:
        self.rotate(create=True)
        if count:
            self.write(LOG, count)

    @precondition(lambda self: self.is_plain)
    @rule(create=st.booleans())
    def rotate(self, create: bool) -> None:
        played["rotate"] += 1
        self.disk.rename(LOG, self.rotation.make_room())
        if create:
            self.disk.append(LOG, b"")
        self.rotation.pack()

    @precondition(lambda self: self.is_plain)
    @rule(count=st.integers(0, 4))
    def copytruncate(self, count: int) -> None:
        played["copytruncate"] += 1
        file = self.newest
        if file not in self.known or not self.known[file].data:  # nothing tells where such a copy belongs
            self.unordered |= {number for number, origin in self.origin.items() if origin is file}
        self.disk.copy(LOG, self.rotation.make_room())
        self.empty()
        self.rotation.pack()
        if count:
            self.write(LOG, count)

    def empty(self) -> None:
        file = self.newest
        assert file is not None
        self.forget_torn(file)
        self.disk.truncate(LOG, 0)

    # -- what people do

    @precondition(lambda self: self.newest is not None)
    @rule(count=st.sampled_from([0, 0, 1, 3, 30]))
    def truncate_and_rewrite(self, count: int) -> None:
        played["truncate and rewrite" if count else "truncate"] += 1
        file = self.newest
        assert file is not None
        self.forget_torn(file)
        self.disk.write(LOG, self.fresh(file, count))

    @precondition(lambda self: self.newest is not None)
    @rule(share=st.integers(1, 9))
    def cut(self, share: int) -> None:
        played["cut shorter"] += 1
        file = self.newest
        assert file is not None
        self.forget_torn(file)
        size = len(file.data) * share // 10
        self.disk.truncate(LOG, size if size >= SHORTEST else 0)  # less is what any file may begin with
        self.torn |= set(TOKEN.sub(b"\0", bytes(file.data)).split(b"\0")) - {b""}
        self.may_repeat |= {int(number) for number in TOKEN.findall(file.data)}

    @precondition(lambda self: LOG in self.disk.names)
    @rule()
    def delete(self) -> None:
        played["delete"] += 1
        self.disk.unlink(LOG)

    @precondition(lambda self: self.is_plain)
    @rule()
    def rename_away(self) -> None:
        played["rename away"] += 1
        self.disk.rename(LOG, "away")

    @precondition(lambda self: "away" in self.disk.names)
    @rule()
    def rename_back(self) -> None:
        played["rename back"] += 1
        self.disk.rename("away", LOG)

    @precondition(lambda self: self.is_plain)
    @rule(count=st.integers(0, 3), keeps=st.booleans())
    def replace_by_a_grown_copy(self, count: int, keeps: bool) -> None:
        played["grown copy beside a backup" if keeps else "grown copy in place"] += 1
        old = self.newest
        assert old is not None
        known = self.known.get(old)
        is_read = old is self.current and known is not None and old.data.startswith(known.data)
        if known is None or not is_read or len(known.data) < FINGERPRINT:
            self.may_repeat |= {int(number) for number in TOKEN.findall(old.data)}
        self.disk.copy(LOG, "copy")
        if keeps:
            self.disk.rename(LOG, f"{LOG}~")
        new = self.disk.at("copy")
        assert new is not None
        new.torn = old.torn
        self.copies[new] = {int(number) for number in TOKEN.findall(old.data)}
        if old.torn:
            self.origin[max(number for number, file in self.origin.items() if file is old)] = new
        if keeps:  # only one of them is written on
            self.forget_torn(old)
        self.disk.rename("copy", LOG)
        if count:
            self.write(LOG, count)

    @precondition(lambda self: self.has_links)
    @rule(count=st.integers(0, 6))
    def switch_a_link(self, count: int) -> None:
        played["link to a new file"] += 1
        self.runs += 1
        self.disk.append(f"run-{self.runs}.log", b"")
        self.disk.link(LOG, f"run-{self.runs}.log")
        if count:
            self.write(LOG, count)

    @precondition(lambda self: self.runs)
    @rule(back=st.integers(0, 3))
    def switch_a_link_back(self, back: int) -> None:
        played["link to an old file"] += 1
        self.disk.link(LOG, f"run-{max(1, self.runs - back)}.log")

    # -- what nanwatch does

    @rule()
    def restart(self) -> None:
        played["restart"] += 1
        position = self.follower.position
        self.follower.close()
        assert self.follower.position == position
        if position is not None:
            position = Position.from_json(position.to_json())
        self.follower = self.start(position)
        self.consumer.restart()
        self.open = set()

    @rule(items=st.integers(0, 6), restarts=st.booleans())
    def abandon_a_poll(self, items: int, restarts: bool) -> None:
        """The consumer stops in the middle, perhaps for good; the next look gives the rest."""
        played["abandoned poll"] += 1
        polling: Any = self.follower.poll()
        for item in islice(polling, items):
            self.consumer.take(item)
        if restarts:
            self.restart()
            self.forget_a_cut()
        polling.close()
        self.poll()

    def forget_a_cut(self) -> None:
        """A truncation that was told already is not looked into again after a restart."""
        current = self.current
        if current is not None and not current.data.startswith(self.known[current].data):
            self.current = None

    @rule()
    def wait_until_nobody_writes_late(self) -> None:
        played["grace is over"] += 1
        self.poll()
        self.clock.advance(GRACE_S + 1)
        self.poll()
        read = set(self.consumer.arrived)
        named = {file for file in self.disk.names.values() if isinstance(file, File) and file is not self.current}
        self.dropped |= {file for file in named if read.issuperset(map(int, TOKEN.findall(file.data)))}
        self.open -= self.dropped
        self.known = {file: known for file, known in self.known.items() if file not in self.dropped}

    @rule()
    def poll(self) -> None:
        played["poll"] += 1
        due = self.due()
        for copy, numbers in self.copies.items():
            if copy is not self.newest and self.rotation.age(self.disk.name_of(copy) or "") is None:
                self.may_repeat |= numbers  # what it is a copy of is forgotten when it comes back
        self.copies.clear()
        before = len(self.consumer.arrived)
        for item in self.follower.poll():
            self.consumer.take(item)
        self.check(due, before)
        self.remember()

    # -- what is promised

    def check(self, due: set[int], before: int) -> None:
        arrived = self.consumer.arrived
        repeated = {n for n, times in Counter(arrived).items() if times > 1} - self.may_repeat
        assert not repeated, f"read twice: {sorted(repeated)}"
        missed = due - set(arrived)
        assert not missed, f"lost: {sorted(missed)}"
        strange = set(self.consumer.fragments) - self.torn
        assert not strange, f"torn: {strange}"
        orders: dict[File, list[int]] = {}
        for number in arrived[before:]:
            if number not in self.may_repeat | self.unordered:
                orders.setdefault(self.origin[number], []).append(number)
        assert all(order == sorted(order) for order in orders.values()), "out of order"

    def due(self) -> set[int]:
        """Return the tokens that must have arrived after a look now."""
        data = [bytes(file.data) for file in self.readable()]
        return {int(number) for content in data for number in TOKEN.findall(content)}

    def readable(self) -> set[File]:
        """Return the files that a look now must read to their ends."""
        found = {file for file in self.known if file is not self.current and self.is_found(file)}
        found |= set(self.of_the_current())
        newest = self.newest
        if newest is not None:
            found.add(newest)
        return found

    def is_found(self, file: File) -> bool:
        """Return whether the follower holds *file*, or finds it after a restart, as it was."""
        known, name = self.known[file], self.disk.name_of(file)
        if not file.data.startswith(known.data):
            return False  # a rotated file that is rewritten later is nobody's log
        if file in self.open:
            return True
        return name is not None and (bool(known.data) or self.rotation.age(name) is not None)

    def of_the_current(self) -> Iterator[File]:
        """Yield what can be read of the file that was read last, of its copies, and of those that came after it."""
        current, newest = self.current, self.newest
        if current is None or (newest is not None and self.is_grown_copy(newest, current)):
            return
        known, name = self.known[current], self.disk.name_of(current)
        place = self.rotation.age(name) if name is not None else None
        is_whole = current.data.startswith(known.data)
        if current in self.open or (is_whole and self.is_found(current)) or (place is not None and newest is not None):
            yield current
        elif newest is None:
            return
        holds = is_whole and (current in self.open or self.is_found(current) or newest is current)
        copy = next((c for c in self.rotated() if known.data and self.is_copy(c[1], known)), None)
        if holds and newest is not None and newest is not current:
            yield from self.since(copy[0] if place is None and copy is not None else place, known)
        if not holds and (known.data or current in self.open) and (newest is not None or current in self.open):
            if copy is not None:
                yield copy[1]
            yield from self.since(copy[0] if copy else None, known, place)
            if newest is not None and newest is not current and place is not None:
                yield from self.since(place, known)

    def is_grown_copy(self, file: File, current: File) -> bool:
        known = self.known[current]
        return file is not current and len(known.data) >= FINGERPRINT and file.data.startswith(known.data)

    def is_copy(self, file: File, known: Known) -> bool:
        return file not in self.known and file.data.startswith(known.data) and file.mtime >= known.mtime

    def since(self, place: int | None, known: Known, until: int | None = None) -> Iterator[File]:
        """Yield the files that were rotated after the one at *place*, or else written after *known*."""
        for age, file in self.rotated():
            is_later = age > place if place is not None else file.mtime > known.mtime
            if is_later and (until is None or age < until) and file not in self.dropped:
                yield file

    def remember(self) -> None:
        """Note what the follower has seen by this look."""
        read = self.readable()
        if self.newest is None and self.current not in self.open:
            self.forget_a_cut()
        if self.newest is not None:
            self.current = self.newest
            self.dropped.discard(self.newest)
        for file in read:
            self.known[file] = Known(bytes(file.data), file.mtime)
        self.open |= read
        named = {file for file in self.disk.names.values() if isinstance(file, File)}
        named |= {self.current} if self.current else set()
        self.open &= named
        self.known = {file: known for file, known in self.known.items() if file in self.open or file is self.current}


def play(count: int, number: int) -> None:
    """Play *count* histories that follow from the seed *number*; raise AssertionError with the shortest that fails."""
    machine: Any = seed(number)(type("Histories", (Histories,), {}))
    chosen = settings(HISTORY, max_examples=count, database=None, report_multiple_bugs=False)
    run_state_machine_as_test(machine, settings=chosen)


def main() -> None:
    """Play histories and print what they were made of."""
    parser = argparse.ArgumentParser(description="Follows logs through random histories; fails where a byte is lost.")
    parser.add_argument("--count", type=int, default=2000, help="how many histories (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the random choices (default 1)")
    parser.add_argument("--folder", default=folder, help="where the logs lie (default %(default)s)")
    arguments = parser.parse_args()
    globals()["folder"] = arguments.folder
    begun = time.perf_counter()
    play(arguments.count, arguments.seed)
    for name, number in played.most_common():
        print(f"{number:8}  {name}")
    print(f"none lost, none read twice; {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
