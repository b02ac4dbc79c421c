"""The numbers of a file, read piece by piece: which of its tensors show non-finite ones, and how many."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from nanwatch.checkpoints.base import BadFile, Contents, Reader, Storage
from nanwatch.checkpoints.nonfinite import FORMATS, SIZES, Detector
from nanwatch.checkpoints.views import Counting, View, view_of
from nanwatch.model.words import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

CHUNK = 1 << 19
"""Bytes that are read and looked at at a time: they stay in the processor's second cache."""

_THREADS = 4
"""Threads that read and look at a large file, at most: one alone waits for memory."""
_SHARE = 1 << 23
"""Bytes that a thread takes at a time."""
_AHEAD = 2
"""Shares for each thread that wait, so that a file of any size takes the same memory."""

Progress = Callable[[int, int], None]
"""Is told how many bytes were looked at, and how many there are."""


class _Span(NamedTuple):
    """A stretch of a storage: `size` bytes, `at` so many bytes from its beginning."""

    storage: Storage
    at: int
    size: int


_Shared = list[_Span]
_Places = list[tuple[Storage, int]]


class Numbers:
    """The numbers of one file: which of its views show non-finite ones; all of them, unless it `is_incomplete`.

    After *until*, on the clock of `time.monotonic`, it gives up.
    """

    def __init__(
        self, contents: Contents, file: BinaryIO, reader: Reader, progress: Progress | None, until: float = math.inf
    ) -> None:
        self._contents = contents
        self._file = file
        self._reader = reader
        self._progress = progress
        self._until = until
        self._is_stopped = False
        self._local = threading.local()
        self._done = 0
        self._total = sum(storage.size for storage in contents.storages.values() if storage.dtype in FORMATS)
        self.is_incomplete = False
        self._detectors: dict[tuple[str, bool], Detector] = {}
        self.views = _distinct(contents)
        self.remarks: list[str] = []

    def look(self) -> None:
        """Look at every storage, in the file's order."""
        views: dict[str, list[View]] = {}
        for view in self.views:
            views.setdefault(view.tensor.storage, []).append(view)
        storages = sorted(self._contents.storages.items(), key=lambda item: item[1].offset)
        floats = [(key, storage) for key, storage in storages if storage.dtype in FORMATS]
        bad: dict[str, list[int]] = {}
        for storage, at in self._bad_places([storage for _, storage in floats if storage.member is None]):
            bad.setdefault(storage.key, []).append(at)
        hidden = 0
        for key, storage in floats:
            found = bad.get(storage.key, []) if storage.member is None else self._bad_of_packed(storage)
            hidden += self._count(storage, found, views.get(key, [])) if found else 0
        if hidden:
            self.remarks.append(f"no tensor shows {plural(hidden, 'non-finite number')} of its storages")

    def _detector(self, storage: Storage) -> Detector:
        kind = storage.dtype, storage.big_endian
        return self._detectors.get(kind) or self._detectors.setdefault(kind, Detector(*kind))

    def _bad_places(self, storages: list[Storage]) -> Iterator[tuple[Storage, int]]:
        """Yield where in *storages* the pieces with non-finite numbers begin; threads share out what is large."""
        threads = min(_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
        is_small = sum(storage.size for storage in storages) <= _SHARE
        shares = _shares(storages)
        looked = ((share, self._looked(share)) for share in shares)
        for share, found in looked if threads == 1 or is_small else self._by_threads(shares, threads):
            self._tell(sum(span.size for span in share))
            yield from found

    def _by_threads(self, shares: Iterator[_Shared], threads: int) -> Iterator[tuple[_Shared, _Places]]:
        """Yield what was found in each share, in their order; whoever ends it early does not wait for the threads."""
        pending: deque[tuple[_Shared, Future[_Places]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for share in shares:
                    pending.append((share, pool.submit(self._looked, share)))
                    if len(pending) > _AHEAD * threads:
                        yield pending[0][0], pending.popleft()[1].result()
                while pending:
                    yield pending[0][0], pending.popleft()[1].result()
            finally:
                self._is_stopped = True
                for _, future in pending:
                    future.cancel()

    def _looked(self, share: _Shared) -> _Places:
        """Return where in *share* the pieces begin that have non-finite numbers in them."""
        return [
            (storage, place)
            for storage, at, size in share
            for place in range(at, at + size, CHUNK)
            if not self._is_stopped
            and self._detector(storage).hits(self._read(storage, place, min(CHUNK, at + size - place)))
        ]

    def _bad_of_packed(self, storage: Storage) -> list[int]:
        detector = self._detector(storage)
        return [at for at, numbers in self._pieces(storage) if detector.hits(numbers)]

    def _count(self, storage: Storage, bad: list[int], views: list[View]) -> int:
        """Count in the *bad* pieces of a storage; return how many non-finite elements no view of it shows."""
        detector = self._detector(storage)
        counting, wanted = Counting([view for view in views if view.elements]), set(bad)
        for at, piece in self._pieces(storage, wanted):
            if at in wanted and detector.hits(piece):
                counting.add(at // SIZES[storage.dtype], detector.masks(piece))
        if not counting.is_complete:
            self.is_incomplete = True
            self.remarks.append("so many tensors share their numbers that not all were counted")
        return counting.hidden if counting.is_complete else 0

    def _pieces(self, storage: Storage, wanted: set[int] | None = None) -> Iterator[tuple[int, Bytes]]:
        """Yield pieces of a storage, each with its place in it in bytes: all, or at least those that are *wanted*."""
        if storage.member is None:
            places = range(0, storage.size, CHUNK) if wanted is None else sorted(wanted)
            for at in places:
                self._check_time()
                yield at, self._read(storage, at, min(CHUNK, storage.size - at))
            return
        with self._reader.unpacked(self._file, storage) as pieces:
            for at, size in _rechunked(pieces, self._buffer().data, storage.size):
                self._tell(size)
                yield at, self._buffer()[:size]

    def _buffer(self) -> Bytes:
        """Return this thread's own room for one piece."""
        import numpy as np

        room: Bytes | None = getattr(self._local, "room", None)
        if room is None:
            room = self._local.room = np.empty(CHUNK, np.uint8)
        return room

    def _read(self, storage: Storage, at: int, size: int) -> Bytes:
        """Return *size* bytes of *storage*, or notice that the file was cut meanwhile."""
        room, offset = self._buffer()[:size], storage.offset + at
        view = room.data
        while view:
            count = os.preadv(self._file.fileno(), [view], offset)
            if not count:
                raise BadFile("truncated", "half-written or cut: its numbers end early")
            view, offset = view[count:], offset + count
        return room

    def _tell(self, size: int) -> None:
        self._check_time()
        self._done += size
        if self._progress:
            self._progress(min(self._done, self._total), self._total)

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise BadFile("unreadable", "not looked at to its end: there was no time")


def _shares(storages: Iterable[Storage]) -> Iterator[_Shared]:
    """Yield *storages* in their order, in stretches that together are what one thread takes at a time."""
    share: _Shared = []
    room = _SHARE
    for storage in storages:
        for at in range(0, storage.size, _SHARE):
            share.append(_Span(storage, at, min(_SHARE, storage.size - at)))
            room -= share[-1].size
            if room <= 0:
                yield share
                share, room = [], _SHARE
    if share:
        yield share


def _rechunked(pieces: Iterator[bytes], buffer: memoryview, size: int) -> Iterator[tuple[int, int]]:
    """Fill *buffer* from *pieces* of any length; yield the place and length of each filling of it."""
    at = filled = 0
    for piece in pieces:
        view = memoryview(piece)
        while view:
            count = min(len(view), len(buffer) - filled)
            buffer[filled : filled + count] = view[:count]
            view, filled = view[count:], filled + count
            if filled == len(buffer):
                yield at, filled
                at, filled = at + filled, 0
    if at + filled != size:
        raise BadFile("corrupted", "a packed member has another size than it says")
    if filled:
        yield at, filled


def _distinct(contents: Contents) -> list[View]:
    """Return the views in the file's order; what shows the same numbers under a second name is left out."""
    seen = set()
    views = []
    for tensor in contents.tensors:
        view = view_of(tensor)
        same = (tensor.storage, view.begin, view.steps, view.times)
        if same not in seen or not view.elements:
            seen.add(same)
            views.append(view)
    return views
