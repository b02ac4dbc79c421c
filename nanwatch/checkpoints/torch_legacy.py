"""PyTorch's files before 1.6, several pickles and then the storages; and pickles that are no files of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from nanwatch.checkpoints.base import BadFile, Contents, Storage
from nanwatch.checkpoints.nonfinite import SIZES
from nanwatch.checkpoints.pickles import load
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.torch_objects import Need, Objects, understand
from nanwatch.checkpoints.witness import Suspicion

MAGIC = 0x1950A86A20F9469CFC6C
"""What the first pickle of such a file holds (`torch.serialization`)."""
_PROTOCOL = 1001
_COUNT = 8
_NAMES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".pth.tar", ".tar")
_OLDEST = b"(]}cli0123456789FGIJKLMNSTUVX"
_NESTED = "torch.storage._load_from_bytes"


class TorchLegacyReader:
    """Reads what `torch.save` wrote before 1.6, and still does where it is asked to."""

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether it begins as a pickle; the oldest protocols show by the file's name only."""
        if head[:1] == b"\x80":
            return head[1:2] <= b"\5"
        return name.endswith(_NAMES) and head[:1] in [_OLDEST[at : at + 1] for at in range(len(_OLDEST))]

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return the tensors of the file; of another pickle, what it would do."""
        contents = Contents("PyTorch (legacy)")
        suspicion = Suspicion()
        stream = Stream(file, 0, size)
        try:
            self._read_on(contents, file, size, stream, suspicion)
        except BadFile as error:
            if not suspicion.hostile and not _is_marked(file):
                raise BadFile("unreadable", "is no file of weights of a known format") from None
            if not suspicion.hostile:
                raise
            if all(said.removeprefix("would run ").startswith(f"{_NESTED}(") for said in suspicion.hostile):
                raise BadFile("unreadable", "is a Python pickle of tensors, not a file of PyTorch") from None
            contents.remarks.append(error.problem)
        suspicion.report(contents)
        return contents

    def _read_on(self, contents: Contents, file: BinaryIO, size: int, stream: Stream, suspicion: Suspicion) -> None:
        """Read the magic number, the protocol, the system, the objects, the keys, and where the storages lie."""
        if load(stream, suspicion) != MAGIC:
            raise BadFile("unreadable", "is a Python pickle, not a file of PyTorch: its numbers were not looked at")
        if load(stream, suspicion) != _PROTOCOL:
            raise BadFile("unreadable", "is a file of PyTorch of an unknown version")
        system = load(stream, suspicion)
        big_endian = isinstance(system, dict) and system.get("little_endian") is False
        objects = understand(load(stream, suspicion))
        keys = load(stream, suspicion)
        if not isinstance(keys, list):
            raise BadFile("corrupted", "it does not say which storages it holds")
        offsets = _offsets(file, size, stream.offset, keys, objects, "big" if big_endian else "little")
        for name, need in objects.needs.items():
            if need.key not in offsets:
                raise BadFile("corrupted", f"its storage {need.key[:80]} is missing")
            elements = need.size // SIZES[need.dtype]
            contents.storages[name] = Storage(name, need.dtype, elements, offsets[need.key], need.size, big_endian)
        contents.tensors += objects.tensors
        contents.facts.update(objects.facts)
        contents.remarks += objects.remarks

    def unpacked(self, file: BinaryIO, storage: Storage) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: nothing is packed in such a file."""
        del file
        raise BadFile("corrupted", f"its storage {storage.key[:80]} is packed, which none is")


def _is_marked(file: BinaryIO) -> bool:
    """Tell whether the file begins as pickles do since Python 2.3; what the oldest begin with, others do, too."""
    file.seek(0)
    return file.read(1) == b"\x80"


def _offsets(file: BinaryIO, size: int, at: int, keys: list[object], objects: Objects, order: str) -> dict[str, int]:
    """Return where the storages of these *keys* begin, the first one at *at*: before each stands its length."""
    needs: dict[str, Need] = {need.key: need for need in objects.needs.values()}
    offsets: dict[str, int] = {}
    for key in keys:
        need = needs.get(key) if isinstance(key, str) else None
        if need is None:
            raise BadFile("corrupted", "it holds a storage that no tensor knows")
        file.seek(at)
        count = file.read(_COUNT)
        if len(count) < _COUNT or at + _COUNT + need.size > size:
            missing = at + _COUNT + need.size - size
            raise BadFile("truncated", f"half-written or cut: a storage lacks its last {missing:,} bytes")
        if int.from_bytes(count, "big" if order == "big" else "little") * need.width != need.size:
            raise BadFile("corrupted", "a storage is not as long as its tensors need")
        offsets[need.key] = at + _COUNT
        at += _COUNT + need.size
    return offsets
