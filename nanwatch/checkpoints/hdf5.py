"""HDF5 files through h5py, and Keras' archives of one: nothing outside the file is followed, no plugin is loaded."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from nanwatch.checkpoints.archives import broken_members, guarded, offset_of, opened
from nanwatch.checkpoints.base import BadFile, Contents, Storage, Tensor
from nanwatch.checkpoints.layout import MOST_TENSORS, check_inside, count, strides
from nanwatch.checkpoints.window import Window

if TYPE_CHECKING:
    import h5py

_MAGIC = b"\x89HDF\r\n\x1a\n"
_KERAS_WEIGHTS = "model.weights.h5"
_KERAS_GROUPS = {"layers", "model_weights", "optimizer_weights", "vars", "_layer_checkpoint_dependencies"}
_KNOWN_FILTERS = {1, 2, 3, 4, 5, 6, 32_000}
"""HDF5's own filters (deflate, shuffle, fletcher32, szip, nbit, scale-offset) and LZF, which h5py brings.

For any other one, HDF5 would search the machine for a plugin and load it.
"""
_LEAST = 96
"""Bytes of the block with which HDF5 begins: what is shorter does not tell its own length."""
_DEFLATE = 1
_MOST_BESIDE = 1 << 12
"""Bytes that filters may add to a chunk, such as a checksum."""
_MOST_CHUNK = 1 << 24
_MOST_CHUNKS = 1 << 20
_PIECE = 1 << 18
_MOST_FACTS = 64
_MOST_METADATA = 1 << 16
_MOST_CONFIG = 8 << 20
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"(?:Lambda|__lambda__)"')

_TYPES = {
    ("f", 2): "float16", ("f", 4): "float32", ("f", 8): "float64", ("c", 8): "complex64", ("c", 16): "complex128",
    ("i", 1): "int8", ("i", 2): "int16", ("i", 4): "int32", ("i", 8): "int64", ("b", 1): "bool",
    ("u", 1): "uint8", ("u", 2): "uint16", ("u", 4): "uint32", ("u", 8): "uint64",
}  # fmt: skip
"""NumPy's kinds and widths: PyTorch's name of each."""


class Hdf5Reader:
    """Reads HDF5 (.h5, .hdf5, Keras' .weights.h5) and Keras' .keras archives."""

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether it begins as HDF5, or is called as its files or Keras' are."""
        return head.startswith(_MAGIC) or name.endswith((".h5", ".hdf5", ".keras"))

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return what *file* holds."""
        file.seek(0)
        head = file.read(len(_MAGIC))
        if size < _LEAST and _MAGIC.startswith(head):
            raise BadFile("truncated", "is empty" if size == 0 else f"ends after {size} bytes, half-written or cut")
        contents = Contents("Keras" if head.startswith(b"PK") else "HDF5")
        with _hdf5(file, size) as (root, base):
            if head.startswith(b"PK"):
                _add_metadata(contents, file, size)
            elif _KERAS_GROUPS & set(root) or "keras_version" in root.attrs:
                contents.format = "Keras"
            _add_attributes(contents, root)
            for name, dataset in _datasets(root, contents):
                _add(contents, name, dataset, base)
        check_inside(contents.storages.values(), size)
        if contents.format == "Keras":
            contents.tensors = [_of_keras(tensor) for tensor in contents.tensors]
        return contents

    def broken(self, file: BinaryIO, size: int) -> list[str]:
        """Return the names of a Keras archive's members whose checksum is wrong; HDF5 checks its own as it reads."""
        file.seek(0)
        return broken_members(opened(file, size)) if file.read(2) == b"PK" else []

    @contextmanager
    def unpacked(self, file: BinaryIO, storage: Storage) -> Iterator[Iterator[bytes]]:
        """Give the bytes of a dataset that lies in chunks, chunk after chunk."""
        file.seek(0, 2)
        with _hdf5(file, file.tell()) as (root, _):
            yield _chunks(root[storage.member])


# -- the file


@contextmanager
def _hdf5(file: BinaryIO, size: int) -> Iterator[tuple[h5py.File, int]]:
    """Give the HDF5 file in *file* and where it begins: a Keras archive has it as a member, not packed."""
    try:
        import h5py
    except ImportError:
        raise BadFile("unreadable", "HDF5 files need h5py: pip install h5py") from None
    file.seek(0)
    base = 0
    if file.read(2) == b"PK":
        base, size = _member(file, size)
    try:
        with h5py.File(Window(file, base, size), "r", rdcc_nbytes=0) as root:
            yield root, base
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        text = " ".join(str(error).split())[:160]
        if "truncated file" in text:
            raise BadFile("truncated", "ends early, half-written or cut") from None
        raise BadFile("corrupted", f"HDF5 cannot read it: {text or type(error).__name__}") from None


def _member(file: BinaryIO, size: int) -> tuple[int, int]:
    names = opened(file, size).NameToInfo
    member = names.get(_KERAS_WEIGHTS)
    if member is None:
        raise BadFile("unreadable", f"is an archive without {_KERAS_WEIGHTS}")
    if member.compress_type != zipfile.ZIP_STORED:
        raise BadFile("unreadable", f"{_KERAS_WEIGHTS} is packed, which Keras does not do: not read")
    return offset_of(file, member), member.file_size


def _add_metadata(contents: Contents, file: BinaryIO, size: int) -> None:
    """Note when Keras saved the archive, and whether its model has code in it."""
    archive = opened(file, size)
    config = archive.NameToInfo.get("config.json")
    if config is not None and config.file_size <= _MOST_CONFIG:
        with guarded():
            if _LAMBDA.search(archive.read(config)):
                contents.remarks.append(
                    "holds a Lambda layer: without its safe mode, Keras runs code that is in the file"
                )
    member = archive.NameToInfo.get("metadata.json")
    if member is None or member.file_size > _MOST_METADATA:
        return
    with guarded():
        raw = archive.read(member)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadFile("corrupted", "its metadata.json is not readable") from None
    if isinstance(found, dict) and isinstance(found.get("date_saved"), str):
        contents.facts["date"] = found["date_saved"].replace("@", " ")


# -- what it holds


def _datasets(root: h5py.File, contents: Contents) -> Iterator[tuple[str, Any]]:
    """Yield each dataset once, by its path with slashes; links out of the file are told, never followed."""
    import h5py

    seen, stack, looked = set(), [("", root)], 0
    while stack:
        path, group = stack.pop()
        inner = []
        for name in group:
            looked += 1
            if looked > MOST_TENSORS:
                raise BadFile("unreadable", f"has more than {MOST_TENSORS:,} objects")
            full, link = f"{path}/{name}".lstrip("/"), group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                if isinstance(link, h5py.ExternalLink):
                    contents.remarks.append(f"{full[:80]} points into another file: not followed")
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Dataset):
                yield full, item
            elif isinstance(item, h5py.Group):
                inner.append((full, item))
        stack += reversed(inner)


def _add(contents: Contents, path: str, dataset: h5py.Dataset, base: int) -> None:
    """Add a dataset of numbers; a name's dots stand for HDF5's slashes."""
    dtype = _TYPES.get((dataset.dtype.kind, dataset.dtype.itemsize))
    if dtype is None:
        if dataset.dtype.kind not in "SUO":
            contents.remarks.append(f"{path[:80]} has type {str(dataset.dtype)[:40]}: not looked at")
        return
    shape = tuple(dataset.shape or ())
    elements = 0 if dataset.shape is None else count(shape)
    if dataset.is_virtual or dataset.external:
        contents.remarks.append(f"the numbers of {path[:80]} lie in another file: not looked at")
        return
    offset = dataset.id.get_offset() if _is_plain(dataset) else None
    if offset is None and elements:
        _check_chunks(path, dataset)
    name, size = path.replace("/", "."), elements * dataset.dtype.itemsize
    big = dataset.dtype.byteorder == ">"
    if elements:
        place, member = (0, path) if offset is None else (base + offset, None)
        contents.storages[path] = Storage(path, dtype, elements, place, size, big, member)
        contents.tensors.append(Tensor(name, path, shape, strides(shape)))
    if elements == 1 and dtype == "int64" and len(contents.facts) < _MOST_FACTS and _is_step(name):
        contents.facts["step"] = int(dataset[()].reshape(-1)[0])


def _of_keras(tensor: Tensor) -> Tensor:
    """Return *tensor* with a name that tells the model's from the optimizer's: Keras names the former by layers."""
    return tensor if tensor.name.startswith("optimizer") else replace(tensor, name=f"model.{tensor.name}")


def _is_step(name: str) -> bool:
    """Tell whether it is the optimizer's count of steps: Keras 3 has it first among its variables."""
    return name == "optimizer.vars.0" or (name.startswith("optimizer") and "iter" in name.rpartition(".")[2])


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Tell whether its numbers lie in the file as they are in memory."""
    import h5py

    same = dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype, logical=True))
    return dataset.chunks is None and bool(same)


def _check_chunks(path: str, dataset: h5py.Dataset) -> None:
    """Check that its chunks can be read within bounds, and that all of them were written."""
    properties = dataset.id.get_create_plist()
    filters = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if filters - _KNOWN_FILTERS:
        raise BadFile("unreadable", f"{path[:80]} is packed by a filter that is no part of HDF5")
    piece = dataset.shape[1:] if dataset.chunks is None else dataset.chunks
    if count(piece) * dataset.dtype.itemsize > _MOST_CHUNK:
        raise BadFile("unreadable", f"{path[:80]} lies in pieces of more than {_MOST_CHUNK >> 20} MiB")
    if dataset.chunks is None:
        if not dataset.id.get_storage_size():
            raise BadFile("truncated", f"{path[:80]} was never written")
        return
    expected = 1
    for length, chunk in zip(dataset.shape, dataset.chunks, strict=True):
        expected *= -(-length // chunk)
    if expected > _MOST_CHUNKS:
        raise BadFile("unreadable", f"{path[:80]} lies in {expected:,} chunks, more than are read")
    written = dataset.id.get_num_chunks()
    if written < expected:
        raise BadFile("truncated", f"{written:,} of {expected:,} chunks of {path[:80]} were written")


def _chunks(dataset: h5py.Dataset) -> Iterator[bytes]:
    """Yield the numbers of a dataset: every chunk once, or rows of one that is not in chunks."""
    if dataset.chunks is not None:
        for place in dataset.iter_chunks():
            _check_packed(dataset, tuple(part.start for part in place))
            yield dataset[place].tobytes()
    elif not dataset.shape:
        yield dataset[()].tobytes()
    else:
        row = dataset.dtype.itemsize * count(dataset.shape[1:])
        rows = max(1, _PIECE // max(1, row))
        for start in range(0, dataset.shape[0], rows):
            yield dataset[start : start + rows].tobytes()


def _check_packed(dataset: h5py.Dataset, place: tuple[int, ...]) -> None:
    """Check that a chunk unpacks to no more than it should: HDF5 itself would unpack it to any length."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
    if _DEFLATE not in filters:
        return
    most = count(dataset.chunks) * dataset.dtype.itemsize + _MOST_BESIDE
    if dataset.id.get_chunk_info_by_coord(place).size > most:
        raise BadFile("corrupted", f"a chunk of {dataset.name[:80]} is larger packed than unpacked")
    skipped, raw = dataset.id.read_direct_chunk(place)
    unpacker = zlib.decompressobj()
    try:
        is_whole = skipped or len(unpacker.decompress(raw, most + 1)) <= most
    except zlib.error:
        raise BadFile("corrupted", f"a chunk of {dataset.name[:80]} is packed wrongly") from None
    if not is_whole or filters.count(_DEFLATE) > 1:
        raise BadFile("corrupted", f"a chunk of {dataset.name[:80]} unpacks to more than it holds")


def _add_attributes(contents: Contents, root: h5py.File) -> None:
    """Note single numbers that stand at the file's root, such as an epoch: text may be of any length."""
    for name in list(root.attrs)[:_MOST_FACTS]:
        attribute = root.attrs.get_id(name)
        if attribute.shape == () and attribute.dtype.kind in "fiu":
            contents.facts[name] = root.attrs[name].item()
