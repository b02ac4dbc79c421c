"""Zip archives of unknown origin, opened within bounds: .npz and .keras files are such."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from nanwatch.checkpoints.base import BadFile
from nanwatch.checkpoints.layout import MOST_TENSORS

PIECE = 1 << 18
"""Bytes that are unpacked at a time."""
_MOST_DIRECTORY = 6 << 20
_TAIL = 65_557
_END, _END64, _LOCAL = b"PK\5\6", b"PK\6\6", b"PK\3\4"
_UNPACKED, _MOST_UNPACKED = 1 << 30, 50
"""Bytes that any archive may unpack to, and how many times its own size a larger one may."""
_MOST_PACKED = 1100
"""Deflate packs at most 1,032 bytes into one: a member that claims more lies."""

ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError,
              struct.error, OverflowError)  # fmt: skip
"""What `zipfile` raises of archives that are not as they should be."""


def opened(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """Return the archive *file*, of *size* bytes, after its directory was found to be of a bearable length.

    Raises:
        BadFile: it is truncated or corrupted.
    """
    _check_end(file, size)
    with guarded():
        archive = zipfile.ZipFile(file)
        _check_members(archive, size)
        return archive


@contextmanager
def guarded() -> Iterator[None]:
    """Say in one phrase what is wrong with an archive that turns out to be broken while it is used."""
    try:
        yield
    except ZIP_ERRORS as error:
        raise BadFile("corrupted", f"its zip archive is broken: {str(error)[:120] or type(error).__name__}") from None


def offset_of(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Return where the bytes of a stored *member* begin.

    Raises:
        BadFile: its own header is not there or names another.
    """
    file.seek(member.header_offset)
    head = file.read(30)
    if len(head) < 30 or head[:4] != _LOCAL:
        raise BadFile("corrupted", f"no {member.filename[:80]} where the directory says")
    name, extra = struct.unpack("<HH", head[26:30])
    return member.header_offset + 30 + int(name) + int(extra)


def pieces(member: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the next *size* bytes of *member*, a piece at a time.

    Raises:
        BadFile: it holds fewer, or is broken.
    """
    while size > 0:
        try:
            piece = member.read(min(PIECE, size))
        except ZIP_ERRORS as error:
            raise BadFile("corrupted", f"packed wrongly: {str(error)[:120] or type(error).__name__}") from None
        if not piece:
            raise BadFile("corrupted", "holds fewer bytes than it claims")
        size -= len(piece)
        yield piece


def broken_members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the members that do not have the bytes of which the directory has the checksum."""
    found = []
    for info in archive.infolist():
        try:
            with guarded(), archive.open(info) as member:
                for _ in pieces(member, info.file_size):
                    pass
        except BadFile:
            found.append(info.filename)
    return found


def _check_end(file: BinaryIO, size: int) -> None:
    """Check the record at the archive's end: `zipfile` would read a directory of any length into memory."""
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise BadFile("truncated", "is empty" if size == 0 else "ends before its zip directory, half-written or cut")
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    at64 = tail.rfind(_END64, 0, at)
    if at64 >= 0:
        length = max(length % 0xFFFFFFFF, int.from_bytes(tail[at64 + 40 : at64 + 48], "little"))
    if length > _MOST_DIRECTORY:
        raise BadFile("unreadable", f"claims a zip directory of {length:,} bytes, more than are read")


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    if len(members) > MOST_TENSORS:
        raise BadFile("unreadable", f"has {len(members):,} members, more than are looked at")
    if len({member.filename for member in members}) < len(members):
        raise BadFile("corrupted", "names a member twice")
    if sum(member.compress_size for member in members) > size:
        raise BadFile("corrupted", "its members overlap")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise BadFile("unreadable", f"{member.filename[:80]} is packed in a way that is not read")
        most = member.compress_size * (_MOST_PACKED if member.compress_type else 1)
        if member.filename.lower().endswith("/data.pkl"):
            raise BadFile("unreadable", "holds a pickle as files of PyTorch do, beside other things: not looked at")
        if member.file_size > most or (not member.compress_type and member.file_size != most):
            raise BadFile("corrupted", f"{member.filename[:80]} claims a size that it cannot have")
    unpacked = sum(member.file_size for member in members if member.compress_type)
    if unpacked > max(_UNPACKED, _MOST_UNPACKED * size):
        raise BadFile("unreadable", "would unpack to far more than any file of weights does")
