"""A zip archive's directory, read record by record and checked against what lies before each member."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from nanwatch.checkpoints.base import BadFile

MOST_MEMBERS = 50_000
_MOST_DIRECTORY = 8 << 20
_LONGEST_NAME = 1024
_LONGEST_TAIL = 22 + 0xFFFF
_END, _END64, _LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_ENTRY, _LOCAL = b"PK\1\2", b"PK\3\4"
_ALL_ONES = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW = 1, 8
_STORED, _DEFLATED = 0, 8
_PIECE = 1 << 18
_UNPACKED, _MOST_UNPACKED = 1 << 30, 50
"""Bytes that any archive may unpack to, and how many times its own size a larger one may."""
_MOST_PACKED = 1100
"""Deflate packs at most 1,032 bytes into one: a member that claims more lies."""


class Member(NamedTuple):
    """One entry: `header` is where its own header lies; `packed` and `size` are its bytes in the file and unpacked."""

    header: int
    packed: int
    size: int
    crc: int
    is_stored: bool


def read_directory(file: BinaryIO, size: int) -> dict[str, Member]:
    """Return the members of the archive *file* by name.

    Raises:
        BadFile: it has no end, or its directory contradicts itself.
    """
    at, length, count = _end(file, size)
    members: dict[str, Member] = {}
    known = set[str]()
    file.seek(at)
    left = length
    for _ in range(count):
        name, member, used = _entry(file, left)
        left -= used
        if name.lower() in known:  # PyTorch does not tell upper from lower case
            raise BadFile("corrupted", "its zip directory names a member twice")
        if member.header + 30 + member.packed > at:
            raise BadFile("corrupted", "its zip directory points outside of the file")
        members[name] = member
        known.add(name.lower())
    if left:
        raise BadFile("corrupted", "its zip directory has another length than it says")
    if sum(member.packed for member in members.values()) > size:
        raise BadFile("corrupted", "the members of its zip archive overlap")
    if sum(member.size for member in members.values() if not member.is_stored) > max(_UNPACKED, _MOST_UNPACKED * size):
        raise BadFile("unreadable", "its zip archive would unpack to far more than any checkpoint does")
    return members


def data_offset(file: BinaryIO, name: str, member: Member) -> int:
    """Return where the bytes of *member* begin, after checking the header before them.

    Raises:
        BadFile: that header contradicts the directory.
    """
    file.seek(member.header)
    head = file.read(30)
    if len(head) < 30 or head[:4] != _LOCAL:
        raise BadFile("corrupted", "its zip directory points to no member")
    flags, method, _, _, crc, packed, size, length, extra = struct.unpack("<HHHHIIIHH", head[6:])
    if file.read(length) != name.encode() or (method == _STORED) != member.is_stored:
        raise BadFile("corrupted", "its zip directory names other members than it holds")
    if not flags & _SIZES_FOLLOW and (
        (packed != _ALL_ONES and packed != member.packed) or (size != _ALL_ONES and size != member.size)
    ):
        raise BadFile("corrupted", "its zip directory gives other sizes than its members do")
    if crc not in (0, member.crc):
        raise BadFile("corrupted", "its zip directory gives other checksums than its members do")
    begin = member.header + 30 + int(length) + int(extra)
    file.seek(0, 2)
    if begin + member.packed > file.tell():
        raise BadFile("corrupted", "its zip directory points outside of the file")
    return begin


def pieces(file: BinaryIO, offset: int, member: Member) -> Iterator[bytes]:
    """Yield the unpacked bytes of *member*, which lie at *offset*: exactly as many as it says.

    Raises:
        BadFile: it holds more or fewer, or is packed wrongly.
    """
    unpacker = None if member.is_stored else zlib.decompressobj(-zlib.MAX_WBITS)
    left, wanted = member.packed, member.size
    rest = b""
    while wanted:
        if not rest:
            file.seek(offset + member.packed - left)
            rest = file.read(min(_PIECE, left))
            left -= len(rest)
        piece, rest = (rest, b"") if unpacker is None else _unpacked(unpacker, rest)
        if (not piece and not rest and not left) or len(piece) > wanted:
            raise BadFile("corrupted", "a member of its zip archive has another size than it says")
        wanted -= len(piece)
        yield piece
        if wanted and unpacker is not None and unpacker.eof:
            raise BadFile("corrupted", "a member of its zip archive has another size than it says")


def check(file: BinaryIO, offset: int, member: Member) -> bool:
    """Tell whether the bytes of *member* have its checksum; a checksum of 0 stands for none (PyTorch can leave it)."""
    crc = 0
    for piece in pieces(file, offset, member):
        crc = zlib.crc32(piece, crc)
    return member.crc in (0, crc)


def _unpacked(unpacker: zlib._Decompress, packed: bytes) -> tuple[bytes, bytes]:
    try:
        piece = unpacker.decompress(packed, _PIECE)
    except zlib.error:
        raise BadFile("corrupted", "a member of its zip archive is packed wrongly") from None
    return piece, b"" if unpacker.eof else unpacker.unconsumed_tail


def _end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return where the directory begins, its length and its number of entries."""
    start = max(0, size - _LONGEST_TAIL)
    file.seek(start)
    tail = file.read(_LONGEST_TAIL)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        zeros = len(tail) - len(tail.rstrip(b"\0"))
        was = f"its last {zeros:,} bytes or more are zeros" if zeros >= 512 else "its zip directory is missing"
        raise BadFile("truncated", f"half-written or cut: {was}")
    count, length, begin, comment = struct.unpack("<HIIH", tail[at + 10 : at + 22])
    if len(tail) - at - 22 < comment:
        raise BadFile("truncated", "half-written or cut: its zip directory ends early")
    before = start + at
    if tail[max(0, at - 20) : max(0, at - 16)] == _LOCATOR64:
        begin, length, count, before = _end64(file, int.from_bytes(tail[at - 12 : at - 4], "little"), size)
    if length > _MOST_DIRECTORY or count > MOST_MEMBERS:
        raise BadFile("unreadable", f"its zip directory has {count:,} members: more than are looked at")
    if begin + length != before:
        raise BadFile("corrupted", "its zip directory is not where it says")
    return begin, length, count


def _end64(file: BinaryIO, at: int, size: int) -> tuple[int, int, int, int]:
    file.seek(min(at, size))
    record = file.read(56)
    if len(record) < 56 or record[:4] != _END64:
        raise BadFile("corrupted", "the end of its zip directory is not where it says")
    count, length, begin = struct.unpack("<QQQ", record[32:56])
    return begin, length, count, at


def _entry(file: BinaryIO, left: int) -> tuple[str, Member, int]:
    """Return the next entry: its name, the member, and the bytes that it took."""
    head = file.read(46) if left >= 46 else b""
    if head[:4] != _ENTRY:
        raise BadFile("corrupted", "its zip directory has an entry that is none")
    flags, method, _, _, crc, packed, size, name, extra, comment, _, _, _, header = struct.unpack(
        "<HHHHIIIHHHHHII", head[8:]
    )
    used = 46 + name + extra + comment
    if name > _LONGEST_NAME:
        raise BadFile("unreadable", "its zip archive has a name that is longer than any file's")
    if used > left:
        raise BadFile("corrupted", "its zip directory has an entry that is too long")
    text = file.read(name).decode("utf-8", "replace")
    size, packed, header = _wide(file.read(extra), [size, packed, header])
    file.seek(comment, 1)
    if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
        raise BadFile("unreadable", "its zip archive is packed in a way that is not read")
    if (method == _STORED and size != packed) or size > _MOST_PACKED * packed:
        raise BadFile("corrupted", "its zip directory claims sizes that cannot be")
    return text, Member(header, packed, size, crc, method == _STORED), used


def _wide(extra: bytes, fields: list[int]) -> list[int]:
    """Return *fields* with those that did not fit into 32 bits taken from the record of the wide ones."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[at : at + 4])
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            for index, value in enumerate(fields):
                if value == _ALL_ONES and len(body) >= 8:
                    fields[index], body = int.from_bytes(body[:8], "little"), body[8:]
            break
        at += 4 + length
    return fields
