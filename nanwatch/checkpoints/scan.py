"""One weight file -> clean or not, and where it is not: every stored number is looked at once, in small memory."""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from nanwatch.checkpoints.base import BadFile, Contents, Reader, Readers, Tensor
from nanwatch.checkpoints.disguise import is_tar
from nanwatch.checkpoints.nonfinite import FORMATS
from nanwatch.checkpoints.numbers import Numbers, Progress
from nanwatch.checkpoints.parts import EMA, MODEL, OPTIMIZER, Parting, facts_of, is_weights, nan_facts
from nanwatch.checkpoints.views import View
from nanwatch.model.checkpoint import BadTensor, Checkpoint, CheckpointState, Part
from nanwatch.model.words import printable

_HEAD = 4096
_LONGEST = 300
_OTHERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself (git lfs pull fetches it)"),
    (b"<!doctype html", "is a web page, not weights: the download went wrong"),
    (b"<html", "is a web page, not weights: the download went wrong"),
)
"""What else lies where weights should, as it often does."""
_MOST_REMARKS = 20
_SCALARS = {"float64": "d", "float32": "f", "int64": "q", "int32": "i"}


@runtime_checkable
class Verifies(Protocol):
    """A reader whose format keeps checksums of the numbers, too."""

    def broken(self, file: BinaryIO, size: int) -> list[str]:
        """Return the names of what has a wrong checksum."""


def default_readers() -> Readers:
    """Return a reader of each format that is known; the formats that show by their first bytes come first."""
    from nanwatch.checkpoints.hdf5 import Hdf5Reader
    from nanwatch.checkpoints.numpy_files import NumpyReader
    from nanwatch.checkpoints.safetensors import SafetensorsReader
    from nanwatch.checkpoints.torch_legacy import TorchLegacyReader
    from nanwatch.checkpoints.torch_zip import TorchZipReader

    return (SafetensorsReader(), NumpyReader(), Hdf5Reader(), TorchZipReader(), TorchLegacyReader())


def scan_file(
    path: Path,
    *,
    first_bad: int = 10,
    verify: bool = False,
    readers: Readers | None = None,
    progress: Progress | None = None,
    seconds: float = math.inf,
) -> Checkpoint:
    """Return what the file *path* holds, with its *first_bad* bad tensors; whatever is in it, it is never an exception.

    With *verify* the checksums of the numbers are checked, too, where the format keeps any. A file that is rewritten
    meanwhile is read once more. Where looking takes longer than *seconds*, it is given up.
    """
    begun, until = time.perf_counter(), time.monotonic() + seconds
    scan = _Scan(path, first_bad, verify, default_readers() if readers is None else readers, progress, until)
    found = scan.once()
    if found.state == "changing":
        found = scan.once()
    return replace(found, seconds=time.perf_counter() - begun)


class _Scan:
    """Looks at one file."""

    def __init__(
        self, path: Path, first_bad: int, verify: bool, readers: Readers, progress: Progress | None, until: float
    ) -> None:
        self._until = until
        self._path = path
        self._first_bad = first_bad
        self._verify = verify
        self._readers = readers
        self._progress = progress

    def once(self) -> Checkpoint:
        """Open the file, look at it, and look whether it is still the same."""
        try:
            # without O_NONBLOCK a pipe that is called .pt would be waited for
            number = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            return self._failed("unreadable", _why(error))
        before = os.fstat(number)
        if not stat.S_ISREG(before.st_mode):
            os.close(number)
            return self._failed("unreadable", "is a folder" if stat.S_ISDIR(before.st_mode) else "is not a file")
        if hasattr(os, "posix_fadvise"):  # a disk, or a network, is asked for more at a time
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        with io.FileIO(number) as raw, io.BufferedReader(raw) as file:
            found = self._judged(file, before)
            if self._is_changed(number, before):
                return self._failed("changing", "was rewritten while it was read", before)
            return found

    def _is_changed(self, number: int, before: os.stat_result) -> bool:
        try:
            after, named = os.fstat(number), self._path.stat()
        except OSError:
            return True
        was = (before.st_size, before.st_mtime_ns)
        is_same = (named.st_dev, named.st_ino) == (before.st_dev, before.st_ino)
        return was != (after.st_size, after.st_mtime_ns) or not is_same

    def _judged(self, file: BinaryIO, status: os.stat_result) -> Checkpoint:
        try:
            return self._whole(file, status)
        except BadFile as error:
            return self._failed(_state(error.state), error.problem, status)
        except OSError as error:
            return self._failed("unreadable", _why(error), status)

    def _whole(self, file: BinaryIO, status: os.stat_result) -> Checkpoint:
        size = status.st_size
        reader = self._reader(file, size)
        contents = reader.read(file, size)
        if not contents.tensors and not contents.hostile:
            raise BadFile("unreadable", "holds no tensors")
        broken = reader.broken(file, size) if self._verify and isinstance(reader, Verifies) else []
        if broken:
            raise BadFile("corrupted", f"the checksum of {broken[0]} is wrong")
        parting = Parting((tensor.name for tensor in contents.tensors), contents.facts)
        _move_scalars(contents, file, parting)
        numbers = Numbers(contents, file, reader, self._progress, self._until)
        try:
            numbers.look()
        except BadFile as error:  # what the file says of itself is known all the same
            facts = facts_of(contents.facts)
            failed = self._failed(_state(error.state), error.problem, status)
            return replace(failed, format=contents.format, epoch=facts.epoch, step=facts.step)
        return self._described(contents, numbers, parting, status)

    def _reader(self, file: BinaryIO, size: int) -> Reader:
        head = file.read(_HEAD)
        if not size:
            raise BadFile("truncated", "is empty")
        if not head.strip(b"\0"):
            raise BadFile("truncated", "half-written: it begins with zeros")
        other = next((what for begin, what in _OTHERS if head.lstrip().lower().startswith(begin)), None)
        if other is not None:
            raise BadFile("unreadable", other)
        if is_tar(head):
            raise BadFile("unreadable", "is a tar archive: not looked at")
        name = self._path.name.lower()
        reader = next((reader for reader in self._readers if reader.matches(head, name)), None)
        if reader is None:
            raise BadFile("unreadable", "is no file of weights of a known format")
        return reader

    def _described(self, contents: Contents, numbers: Numbers, parting: Parting, status: os.stat_result) -> Checkpoint:
        facts = facts_of(contents.facts)
        every = [view for view in numbers.views if view.nan or view.inf]
        bad = [view for view in every if is_weights(parting.part_of(view.tensor.name)) and not _is_mask(view)]
        is_bad = bool(bad) or numbers.is_incomplete
        state: CheckpointState = "hostile" if contents.hostile else "nonfinite" if is_bad else "clean"
        beside = sum(view.nan for view in every if view not in bad)
        remarks = contents.hostile[1:] + contents.remarks + numbers.remarks + nan_facts(contents.facts)
        remarks += [f"{beside:,} NaN beside the weights"] if beside else []
        return Checkpoint(
            path=str(self._path),
            state=state,
            format=contents.format,
            problem=_plain(contents.hostile[0]) if contents.hostile else "",
            remarks=tuple(_plain(remark) for remark in remarks[:_MOST_REMARKS]),
            size=status.st_size,
            modified_at=status.st_mtime,
            parts=_parts(contents, numbers.views, parting),
            bad=tuple(_bad(contents, view, parting) for view in bad[: self._first_bad]),
            bad_tensors=len(bad),
            epoch=facts.epoch,
            step=facts.step,
            best=facts.best and (_plain(facts.best[0]), facts.best[1]),
            saved_at=facts.saved_at and _plain(facts.saved_at),
            files=(str(self._path),),
        )

    def _failed(self, state: CheckpointState, problem: str, status: os.stat_result | None = None) -> Checkpoint:
        size, modified_at = (status.st_size, status.st_mtime) if status else (0, None)
        files = (str(self._path),)
        path = str(self._path)
        return Checkpoint(path, state, problem=_plain(problem), size=size, modified_at=modified_at, files=files)


def _is_mask(view: View) -> bool:
    """Tell whether a tensor is an attention mask, which is infinite where nothing is to be seen."""
    return "mask" in view.tensor.name.rpartition(".")[2].lower() and not view.nan


def _move_scalars(contents: Contents, file: BinaryIO, parting: Parting) -> None:
    """Make facts of tensors of one number that lie beside the model: nanoGPT keeps its best loss as one."""
    moved: dict[str, Tensor] = {}
    for tensor in contents.tensors:
        if not _is_scalar(contents, tensor, parting):
            continue
        storage = contents.storages[tensor.storage]
        file.seek(storage.offset)
        raw, form = file.read(storage.size), (">" if storage.big_endian else "<") + _SCALARS[storage.dtype]
        if len(raw) == struct.calcsize(form):
            contents.facts[tensor.name] = struct.unpack(form, raw)[0]
            moved[tensor.name] = tensor
    contents.tensors[:] = [tensor for tensor in contents.tensors if moved.get(tensor.name) is not tensor]
    for key in {tensor.storage for tensor in moved.values()} - {tensor.storage for tensor in contents.tensors}:
        del contents.storages[key]


def _is_scalar(contents: Contents, tensor: Tensor, parting: Parting) -> bool:
    """Tell whether *tensor* is one plain number beside the parts of a checkpoint."""
    if "." in tensor.name or tensor.name in (MODEL, EMA, OPTIMIZER) or parting.part_of(tensor.name) != tensor.name:
        return False
    storage = contents.storages[tensor.storage]
    return storage.elements == 1 and storage.dtype in _SCALARS and storage.member is None


def _parts(contents: Contents, views: list[View], parting: Parting) -> tuple[Part, ...]:
    """Add the tensors up by part, in the order in which the parts come."""
    sums: dict[str, list[int]] = {}
    for view in views:
        total = sums.setdefault(parting.part_of(view.tensor.name), [0, 0, 0, 0])
        is_float = contents.storages[view.tensor.storage].dtype in FORMATS
        for index, value in enumerate((1, view.elements if is_float else 0, view.nan, view.inf)):
            total[index] += value
    return tuple(Part(_plain(name), *total) for name, total in sums.items())


def _bad(contents: Contents, view: View, parting: Parting) -> BadTensor:
    tensor = view.tensor
    dtype = contents.storages[tensor.storage].dtype
    part = _plain(parting.part_of(tensor.name))
    return BadTensor(_plain(tensor.name), part, dtype, tensor.shape, view.elements, view.nan, view.inf)


def _state(state: str) -> CheckpointState:
    states: tuple[CheckpointState, ...] = ("truncated", "corrupted", "unreadable")
    return next(known for known in states if known == state)


def _plain(text: str) -> str:
    """Return *text* from a file so that nothing acts on it."""
    return printable(text[:_LONGEST])


def _why(error: OSError | ValueError) -> str:
    """Return in words why a file cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, PermissionError):
        return "may not be read: no permission"
    return f"cannot be read: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
