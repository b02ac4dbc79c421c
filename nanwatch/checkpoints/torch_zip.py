"""PyTorch's files since 1.6, and TorchScript's: a zip archive of a pickle and the storages that it refers to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from nanwatch.checkpoints.base import BadFile, Contents, Storage
from nanwatch.checkpoints.nonfinite import SIZES
from nanwatch.checkpoints.pickles import load
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.torch_objects import Need, Objects, understand
from nanwatch.checkpoints.witness import Suspicion
from nanwatch.checkpoints.zip_directory import Member, check, data_offset, pieces, read_directory

_MOST_UNPACKED = 16 << 20
_SMALL = 1 << 20
_PICKLES = (("data.pkl", "data/"), ("constants.pkl", "constants/"))


class TorchZipReader:
    """Reads what `torch.save` and `torch.jit.save` write."""

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether it begins as a zip archive and is not called as those of others."""
        return head.startswith(b"PK\3\4") and not name.endswith((".npz", ".keras"))

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return the tensors of the archive, after checking every record but the storages by its checksum."""
        archive = _Archive(file, size)
        contents = Contents("TorchScript" if archive.has("constants.pkl") else "PyTorch")
        suspicion = Suspicion()
        try:
            big_endian = archive.small("byteorder") == b"big"
            for record, folder in _PICKLES:
                if archive.has(record):
                    _add(contents, archive, archive.objects(record, folder, suspicion), big_endian)
        except BadFile as error:
            if not suspicion.hostile:
                raise
            contents.remarks.append(error.problem)
        suspicion.report(contents)
        return contents

    @contextmanager
    def unpacked(self, file: BinaryIO, storage: Storage) -> Iterator[Iterator[bytes]]:
        """Give the bytes of a storage that somebody has packed after PyTorch wrote it."""
        file.seek(0, 2)
        name = storage.member or ""
        member = read_directory(file, file.tell())[name]
        yield pieces(file, data_offset(file, name, member), member)

    def broken(self, file: BinaryIO, size: int) -> list[str]:
        """Return the names of the storages whose checksum is wrong. It reads the whole file."""
        members = read_directory(file, size)
        return [name for name, member in members.items() if not check(file, data_offset(file, name, member), member)]


class _Archive:
    """The archive's records, by their names within its root folder."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._members = read_directory(file, size)
        # the folder of the first member, and names without regard to case: so does PyTorch
        self._root = next(iter(self._members), "").partition("/")[0] + "/"
        self._names = {name.lower(): name for name in self._members}
        if not self.has("data.pkl"):
            raise BadFile("unreadable", "is a zip archive without data.pkl: no file of PyTorch")

    def has(self, record: str) -> bool:
        """Tell whether there is such a record."""
        return (self._root + record).lower() in self._names

    def find(self, record: str) -> tuple[str, Member, int]:
        """Return a record's full name, its entry, and where its bytes begin."""
        name = self._names.get((self._root + record).lower())
        if name is None:
            raise BadFile("corrupted", f"its record {record[:80]} is missing")
        member = self._members[name]
        return name, member, data_offset(self._file, name, member)

    def small(self, record: str) -> bytes:
        """Return the whole of a small record, or nothing where there is none."""
        if not self.has(record):
            return b""
        _, member, offset = self.find(record)
        if member.size > _SMALL or not check(self._file, offset, member):
            raise BadFile("corrupted", f"the checksum of its record {record} is wrong")
        return b"".join(pieces(self._file, offset, member))

    def objects(self, record: str, folder: str, suspicion: Suspicion) -> Objects:
        """Return what one of its pickles holds."""
        _, member, offset = self.find(record)
        if not member.is_stored and member.size > _MOST_UNPACKED:
            raise BadFile("unreadable", "its pickle is larger than that of any checkpoint")
        if not check(self._file, offset, member):
            raise BadFile("corrupted", f"the checksum of its record {record} is wrong")
        if member.is_stored:
            return understand(load(Stream(self._file, offset, member.size), suspicion), folder)
        unpacked = io.BytesIO(b"".join(pieces(self._file, offset, member)))
        return understand(load(Stream(unpacked, 0, member.size), suspicion), folder)


def _add(contents: Contents, archive: _Archive, objects: Objects, big_endian: bool) -> None:
    """Say where the storages lie that *objects* need, and take over what they hold."""
    for name, need in objects.needs.items():
        contents.storages[name] = _storage(archive, name, need, big_endian)
    contents.tensors += objects.tensors
    contents.facts.update(objects.facts)
    contents.remarks += objects.remarks


def _storage(archive: _Archive, name: str, need: Need, big_endian: bool) -> Storage:
    full, member, offset = archive.find(need.key)
    if member.size != need.size:
        raise BadFile("corrupted", f"its record {need.key[:80]} is not as long as its tensors need")
    elements = need.size // SIZES[need.dtype]
    return Storage(name, need.dtype, elements, offset, need.size, big_endian, None if member.is_stored else full)
