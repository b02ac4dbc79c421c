"""The safetensors format: a length, a JSON directory, then the tensors' bytes one after another without a gap."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from nanwatch.checkpoints.base import BadFile, Contents, Storage
from nanwatch.checkpoints.disguise import tried_as_pickle
from nanwatch.checkpoints.layout import MOST_TENSORS, count, whole

_MOST_HEADER = 8 << 20
"""Bytes of a directory that are read: 50,000 tensors fit into it; the format's own limit is 100 MB."""
_MOST_COMMAS = 8 * MOST_TENSORS
"""Commas in a directory: they tell, before it is taken apart, how much memory that may need."""
_LENGTH = 8
_MOST_FACTS = 1000
_LONGEST_FACT = 1000

_TYPES: dict[str, tuple[str, int]] = {
    "BOOL": ("bool", 8), "U8": ("uint8", 8), "I8": ("int8", 8),
    "U16": ("uint16", 16), "I16": ("int16", 16), "U32": ("uint32", 32), "I32": ("int32", 32),
    "U64": ("uint64", 64), "I64": ("int64", 64),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8), "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F16": ("float16", 16), "BF16": ("bfloat16", 16), "F32": ("float32", 32), "F64": ("float64", 64),
    "C64": ("complex64", 64),
}  # fmt: skip
"""The format's types: PyTorch's name of each, and its bits."""

_ALWAYS_FINITE = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
"""Types that have no code for NaN or infinity, and their bits: their bytes need not be looked at."""


class _Entry(NamedTuple):
    begin: int
    end: int
    name: str
    dtype: str
    shape: tuple[int, ...]


class SafetensorsReader:
    """Reads safetensors files: every offset is checked, as the format's own library does."""

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether it is called so, or begins with a plausible length and a JSON object."""
        begins = len(head) > _LENGTH + 1 and head[_LENGTH : _LENGTH + 2] in (b'{"', b"{}")
        return name.endswith(".safetensors") or (begins and int.from_bytes(head[:_LENGTH], "little") <= _MOST_HEADER)

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return what *file* holds."""
        length = _header_length(file, size)
        raw = file.read(length)
        if len(raw) < length:
            raise BadFile("truncated", "ends in its directory, half-written or cut")
        if raw.count(b",") > _MOST_COMMAS:
            raise BadFile("unreadable", "claims more tensors than are looked at")
        header = _parsed(raw)
        contents = Contents("safetensors", facts=_facts(header.pop("__metadata__", {})))
        start = _LENGTH + length
        entries = sorted(_entry(name, value) for name, value in header.items())
        _check_cover(entries, size - start)
        for entry in entries:
            _add(contents, entry, start)
        contents.hostile += tried_as_pickle(file, 0, size)
        return contents

    @contextmanager
    def unpacked(self, file: BinaryIO, storage: Storage) -> Iterator[Iterator[bytes]]:
        """Nothing is packed in this format."""
        raise BadFile("unreadable", f"{storage.key} of {getattr(file, 'name', 'the file')} is not packed")
        yield


# -- the directory


def _header_length(file: BinaryIO, size: int) -> int:
    file.seek(0)
    first = file.read(_LENGTH)
    if len(first) < _LENGTH:
        raise BadFile("truncated", "is empty" if size == 0 else f"ends after {size} bytes, half-written or cut")
    length, opening = int.from_bytes(first, "little"), file.read(1)
    file.seek(_LENGTH)
    if length == 0 and opening in (b"", b"\0"):
        raise BadFile("truncated", "begins with zeros: its directory was never written")
    if opening not in (b"{", b""):
        raise BadFile("corrupted", "is no safetensors file: no directory where it should begin")
    if length > size - _LENGTH:
        raise BadFile("truncated", "ends in its directory, half-written or cut")
    if length > _MOST_HEADER:
        raise BadFile("unreadable", f"claims a directory of {length:,} bytes, more than are read")
    return length


def _parsed(raw: bytes) -> dict[str, object]:
    """Return the directory; a name that stands twice in it would hide a tensor."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise BadFile("corrupted", "names something twice in its directory")
        return found

    try:
        header = json.loads(raw.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise BadFile("corrupted", "its directory is not readable JSON") from None
    if not isinstance(header, dict):
        raise BadFile("corrupted", "its directory is no JSON object")
    return header


def _entry(name: str, value: object) -> _Entry:
    """Return a tensor's place; *value* is whatever the directory says."""
    if not isinstance(value, dict):
        raise BadFile("corrupted", f"its directory says nothing of {name[:80]}")
    dtype, shape, place = value.get("dtype"), _whole_numbers(value.get("shape")), value.get("data_offsets")
    offsets = _whole_numbers(place)
    if not isinstance(dtype, str) or shape is None or offsets is None or len(offsets) != 2:
        raise BadFile("corrupted", f"its directory describes {name[:80]} wrongly")
    bits = _TYPES[dtype][1] if dtype in _TYPES else _ALWAYS_FINITE.get(dtype)
    if bits is None:
        raise BadFile("unreadable", f"{name[:80]} is of type {dtype[:20]}, which is not known")
    begin, end = offsets
    if end - begin != (count(shape) * bits + 7) // 8:
        raise BadFile("corrupted", f"the bytes of {name[:80]} do not match its shape")
    return _Entry(begin, end, name, dtype, shape)


def _whole_numbers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(type(item) is int and item >= 0 for item in value):
        return None
    return tuple(value)


def _check_cover(entries: list[_Entry], room: int) -> None:
    """Check that the tensors lie one after another, and end where the file ends."""
    at = 0
    for entry in entries:
        if entry.begin != at:
            what = "overlaps" if entry.begin < at else "leaves a hole before"
            raise BadFile("corrupted", f"its directory {what} {entry.name[:80]}")
        at = entry.end
    cut = next((entry for entry in entries if entry.end > room), None)
    if cut is not None:
        raise BadFile("truncated", f"ends in {cut.name[:80]}, {at - room:,} bytes early: half-written or cut")
    if at < room:
        raise BadFile("corrupted", f"has {room - at:,} bytes that belong to no tensor")


def _add(contents: Contents, entry: _Entry, start: int) -> None:
    size = entry.end - entry.begin
    shape = (size,) if entry.dtype in _ALWAYS_FINITE else entry.shape
    dtype = _TYPES.get(entry.dtype, ("uint8", 8))[0]
    storage = Storage(entry.name, dtype, count(shape), start + entry.begin, size)
    contents.storages[storage.key] = storage
    contents.tensors.append(whole(storage, entry.name, shape))


def _facts(metadata: object) -> dict[str, object]:
    """Return the file's own words of itself: the format has only strings, so numbers are recognised."""
    if not isinstance(metadata, dict) or len(metadata) > _MOST_FACTS:
        return {}
    short = {k: v for k, v in metadata.items() if isinstance(v, str) and len(v) <= _LONGEST_FACT}
    return {key: _value(text) for key, text in short.items()}


def _value(text: str) -> object:
    if re.fullmatch(r"[-+]?\d{1,18}", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
