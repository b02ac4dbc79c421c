"""The numbers of a file, read piece by piece: which of its tensors show non-finite ones, and how many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from nanwatch.checkpoints.base import BadFile, Contents, Reader, Storage
from nanwatch.checkpoints.nonfinite import FORMATS, SIZES, Detector
from nanwatch.checkpoints.views import Counting, View, view_of
from nanwatch.model.words import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

CHUNK = 1 << 18
"""Bytes that are read and looked at at a time: they stay in the processor's second cache."""

Progress = Callable[[int, int], None]
"""Is told how many bytes were looked at, and how many there are."""


class Numbers:
    """The numbers of one file: which of its views show non-finite ones."""

    def __init__(self, contents: Contents, file: BinaryIO, reader: Reader, progress: Progress | None) -> None:
        self._contents = contents
        self._file = file
        self._reader = reader
        self._progress = progress
        self._buffer = bytearray(CHUNK)
        self._done = 0
        self._total = sum(storage.size for storage in contents.storages.values() if storage.dtype in FORMATS)
        self._is_incomplete = False
        self._detectors: dict[tuple[str, bool], Detector] = {}
        self.views = _distinct(contents)
        self.remarks: list[str] = []

    @property
    def is_bad(self) -> bool:
        """Tell whether any tensor shows a non-finite number, or may show one that was not counted."""
        return self._is_incomplete or any(view.nan or view.inf for view in self.views)

    def look(self) -> None:
        """Look at every storage, in the file's order."""
        views: dict[str, list[View]] = {}
        for view in self.views:
            views.setdefault(view.tensor.storage, []).append(view)
        hidden = 0
        for key, storage in sorted(self._contents.storages.items(), key=lambda item: item[1].offset):
            if storage.dtype in FORMATS:
                hidden += self._storage(storage, views.get(key, []))
        if hidden:
            self.remarks.append(f"no tensor shows {plural(hidden, 'non-finite number')} of its storages")

    def _storage(self, storage: Storage, views: list[View]) -> int:
        """Count in one storage; return how many non-finite elements no view of it shows."""
        kind = storage.dtype, storage.big_endian
        detector = self._detectors.get(kind) or self._detectors.setdefault(kind, Detector(*kind))
        bad = [at for at, piece in self._pieces(storage) if detector.hits(piece)]
        if not bad:
            return 0
        counting, wanted = Counting([view for view in views if view.elements]), set(bad)
        for at, piece in self._pieces(storage, wanted):
            if at in wanted and detector.hits(piece):
                counting.add(at // SIZES[storage.dtype], detector.masks(piece))
        if not counting.is_complete:
            self._is_incomplete = True
            self.remarks.append("so many tensors share their numbers that not all were counted")
        return counting.hidden if counting.is_complete else 0

    def _pieces(self, storage: Storage, wanted: set[int] | None = None) -> Iterator[tuple[int, Bytes]]:
        """Yield pieces of a storage, each with its place in it in bytes: all, or at least those that are *wanted*."""
        import numpy as np

        buffer = np.frombuffer(self._buffer, np.uint8)
        if storage.member is None:
            places = range(0, storage.size, CHUNK) if wanted is None else sorted(wanted)
            for at in places:
                size = min(CHUNK, storage.size - at)
                self._fill(storage.offset + at, size)
                self._tell(size)
                yield at, buffer[:size]
            return
        with self._reader.unpacked(self._file, storage) as pieces:
            for at, size in _rechunked(pieces, self._buffer, storage.size):
                self._tell(size)
                yield at, buffer[:size]

    def _fill(self, offset: int, size: int) -> None:
        """Read *size* bytes at *offset*, or notice that the file was cut meanwhile."""
        view = memoryview(self._buffer)[:size]
        while view:
            count = os.preadv(self._file.fileno(), [view], offset)
            if not count:
                raise BadFile("truncated", "half-written or cut: its numbers end early")
            view, offset = view[count:], offset + count

    def _tell(self, size: int) -> None:
        self._done += size
        if self._progress:
            self._progress(min(self._done, self._total), self._total)


def _rechunked(pieces: Iterator[bytes], buffer: bytearray, size: int) -> Iterator[tuple[int, int]]:
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
