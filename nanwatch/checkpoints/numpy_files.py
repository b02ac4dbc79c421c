"""NumPy's formats: .npy, one array; .npz, a zip archive of them, packed or not."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, BinaryIO, NamedTuple

from nanwatch.checkpoints.archives import broken_members, guarded, offset_of, opened, pieces
from nanwatch.checkpoints.base import BadFile, Contents, Storage
from nanwatch.checkpoints.disguise import tried_as_pickle
from nanwatch.checkpoints.layout import check_inside, count, whole

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
"""Bytes of an array's header: NumPy's own limit, since a longer one may overwhelm Python's parser."""
_MOST_FACTS = 1000
_MOST_PICKLE = 16 << 20
_PICKLED = "holds pickled Python objects: not looked at"

_TYPES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128",
    "b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
}  # fmt: skip
"""NumPy's types: PyTorch's name of each."""
_PLAIN = re.compile(r"[<>|=](?:([fciub]\d{1,2})|([SUV]|[mM]8)(\d*)(?:\[\w+\])?)")


class _Array(NamedTuple):
    """An array's header: its `length` in bytes, `dtype` (empty: not known) and the `width` of an element."""

    length: int
    dtype: str
    width: int
    shape: tuple[int, ...]
    fortran: bool
    big_endian: bool
    doubt: str

    @property
    def size(self) -> int:
        return count(self.shape) * self.width


class NumpyReader:
    """Reads .npy and .npz files; pickled objects in them are never looked at."""

    def __init__(self) -> None:
        self._archive: tuple[BinaryIO, zipfile.ZipFile] | None = None  # its directory is read once for all members

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether it is an array, or an archive that is called .npz or begins with an array."""
        inside = int.from_bytes(head[26:28], "little")
        is_archive = head.startswith(b"PK\3\4") and head[30 : 30 + inside].endswith(b".npy")
        return head.startswith(_MAGIC) or is_archive or name.endswith((".npz", ".npy"))

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return what *file* holds."""
        file.seek(0)
        head = file.read(len(_MAGIC))
        if head.startswith(b"PK"):
            self._archive = file, opened(file, size)
            contents = _archive(file, self._archive[1])
            check_inside(contents.storages.values(), size)
            return contents
        if len(head) < len(_MAGIC):
            raise BadFile("truncated", "is empty" if size == 0 else f"ends after {size} bytes, half-written or cut")
        if head != _MAGIC:
            raise BadFile("corrupted", "is no NumPy file: it does not begin as one")
        file.seek(0)
        array = _header(file, "truncated")
        contents = Contents("NumPy")
        if array.doubt == _PICKLED:
            contents.hostile += tried_as_pickle(file, array.length, size - array.length)
            if contents.hostile:
                return contents
        if array.size > size - array.length:
            raise BadFile("truncated", f"ends {array.size - size + array.length:,} bytes early: half-written or cut")
        if array.doubt:
            raise BadFile("unreadable", array.doubt)
        if array.size < size - array.length:
            contents.remarks.append(f"{size - array.length - array.size:,} bytes after the array were not looked at")
        _add(contents, "array", array, array.length, None)
        return contents

    def broken(self, file: BinaryIO, size: int) -> list[str]:
        """Return the names of an archive's members whose checksum is wrong."""
        file.seek(0)
        return broken_members(opened(file, size)) if file.read(2) == b"PK" else []

    @contextmanager
    def unpacked(self, file: BinaryIO, storage: Storage) -> Iterator[Iterator[bytes]]:
        """Give the bytes of a packed array, without its header."""
        if self._archive is None or self._archive[0] is not file:
            self._archive = file, opened(file, file.seek(0, 2))
        with guarded():
            member = self._archive[1].open(storage.member or "")
        with member:
            for _ in pieces(member, storage.offset):
                pass
            yield pieces(member, storage.size)


# -- archives


def _archive(file: BinaryIO, archive: zipfile.ZipFile) -> Contents:
    contents = Contents("NumPy")
    with guarded():
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                _add_member(contents, file, archive, member)
            elif not member.filename.endswith("/"):
                contents.remarks.append(f"{member.filename[:80]} is no array: not looked at")
    if not contents.storages and not contents.hostile:
        raise BadFile("unreadable", contents.remarks[0] if contents.remarks else "is an archive without arrays")
    return contents


def _add_member(contents: Contents, file: BinaryIO, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as inside:
        array = _header(inside, "corrupted")
        if array.doubt == _PICKLED:
            raw = inside.read(_MOST_PICKLE)
            contents.hostile += tried_as_pickle(io.BytesIO(raw), 0, len(raw))
        if array.doubt:
            contents.remarks.append(f"{name[:80]} {array.doubt}")
            return
        if array.length + array.size != member.file_size:
            raise BadFile("corrupted", f"the bytes of {name[:80]} do not match its shape")
        if array.size <= 8 and array.dtype.startswith(("int", "uint")) and not array.shape:
            _add_fact(contents, name, inside.read(array.size), array)
    is_packed = member.compress_type != zipfile.ZIP_STORED
    offset = array.length if is_packed else offset_of(file, member) + array.length
    _add(contents, name, array, offset, member.filename if is_packed else None)


def _add_fact(contents: Contents, name: str, raw: bytes, array: _Array) -> None:
    """Note a single whole number, such as an epoch."""
    if len(contents.facts) < _MOST_FACTS:
        order = "big" if array.big_endian else "little"
        contents.facts[name] = int.from_bytes(raw, order, signed=array.dtype.startswith("int"))  # type: ignore[arg-type]


def _add(contents: Contents, name: str, array: _Array, offset: int, member: str | None) -> None:
    storage = Storage(name, array.dtype, count(array.shape), offset, array.size, array.big_endian, member)
    shape = array.shape
    if array.dtype == "uint8" and array.width != 1:  # text and dates: bytes, for what is looked for
        storage, shape = replace(storage, elements=array.size), (array.size,)
    contents.storages[name] = storage
    contents.tensors.append(whole(storage, name, shape, array.fortran and shape == array.shape))


# -- the header of an array


def _header(file: IO[bytes], short: str) -> _Array:
    """Return the header where *file* stands; *short* is the state of a file that ends in it."""
    start = file.read(8)
    wide = 4 if start[6:7] > b"\1" else 2
    length = file.read(wide)
    if len(start) < 8 or len(length) < wide:
        raise BadFile(short, "ends in the header of an array, half-written or cut")
    if start[:6] != _MAGIC or start[6] not in (1, 2, 3):
        raise BadFile("corrupted", "holds something that begins like no array")
    size = int.from_bytes(length, "little")
    if size > _LONGEST_HEADER:
        raise BadFile("corrupted", f"claims an array with a header of {size:,} bytes")
    text = file.read(size)
    if len(text) < size:
        raise BadFile(short, "ends in the header of an array, half-written or cut")
    return _described(text.decode("utf-8" if start[6] == 3 else "latin-1", "replace"), 8 + wide + size)


def _described(text: str, length: int) -> _Array:
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise BadFile("corrupted", "the header of an array is not readable") from None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise BadFile("corrupted", "the header of an array is not one")
    descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or type(fortran) is not bool:
        raise BadFile("corrupted", "the header of an array claims no shape")
    count(shape)
    return _typed(descr, length, shape, fortran)


def _typed(descr: object, length: int, shape: tuple[int, ...], fortran: bool) -> _Array:
    """Return the header with its type; of what cannot be looked at, it says why."""
    big = isinstance(descr, str) and descr.startswith(">")
    found = _PLAIN.fullmatch(descr) if isinstance(descr, str) else None
    if isinstance(descr, str) and descr.lstrip("<>|=").startswith("O"):
        return _Array(length, "", 0, shape, fortran, False, _PICKLED)
    if found is None or (found[1] and found[1] not in _TYPES) or found[2] == "V":
        what = "fields" if isinstance(descr, list) else f"type {str(descr)[:20]}"
        return _Array(length, "", 0, shape, fortran, False, f"has {what}: not looked at")
    if found[1]:
        return _Array(length, _TYPES[found[1]], int(found[1][1:]), shape, fortran, big, "")
    return _Array(length, "uint8", _width(found), shape, fortran, False, "")


def _width(found: re.Match[str]) -> int:
    """Return the bytes of an element of text or dates."""
    if found[2] in ("m8", "M8"):
        return 8
    return int(found[3][:9] or 0) * (4 if found[2] == "U" else 1)
