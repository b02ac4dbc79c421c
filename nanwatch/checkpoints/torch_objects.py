"""The records of a PyTorch pickle -> tensors by their names, the storages that they need, and plain facts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from nanwatch.checkpoints.base import BadFile, Tensor
from nanwatch.checkpoints.nonfinite import SIZES
from nanwatch.checkpoints.records import Blob, Global, Instance, Stored

_DEEPEST = 1000
_LONGEST_NAME = 400
_LONGEST_FACT = 200
_MOST_FACTS = 2000
_MOST_TENSORS = 40_000
_MOST_DIMENSIONS = 64
_MOST_DIMENSIONS_IN_ALL = 8 * _MOST_TENSORS
"""Each costs some memory, and tensors of weights have few."""
_MODULE_STATE = {"_parameters", "_buffers", "_modules"}

_TYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexDouble": "complex128",
    "ComplexFloat": "complex64", "QUInt8": "quint8", "QInt8": "qint8", "QInt32": "qint32", "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4", "Untyped": "uint8", "_Untyped": "uint8",
}  # fmt: skip
_SHORT = {"half": "float16", "float": "float32", "double": "float64", "short": "int16", "int": "int32", "long": "int64"}
_PLAIN = ("indices", "values", "size")
_COMPRESSED = ("compressed_indices", "plain_indices", "values", "size")


@dataclass(slots=True)
class Need:
    """A storage that tensors are views of: the key that the file gives it, its type, and its size in bytes.

    `width` is the bytes of what the file counts it in, which need not be elements.
    """

    key: str
    dtype: str
    size: int
    width: int = 1


@dataclass(slots=True)
class Objects:
    """What the records hold. `needs` are the storages by the name that the tensors know them by."""

    needs: dict[str, Need] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    arrays: int = 0


def understand(root: object, folder: str = "") -> Objects:
    """Return what the records below *root* hold; the keys of its storages lie in *folder*.

    Raises:
        BadFile: a tensor is described in a way that cannot be.
    """
    walk = _Walk(folder)
    walk.all_of(root)
    if walk.found.arrays:
        walk.found.remarks.append(f"NumPy arrays inside its pickle were not looked at: {walk.found.arrays:,}")
    return walk.found


class _Walk:
    """Goes through records once each, in the file's order, however they refer to each other."""

    def __init__(self, folder: str) -> None:
        self.found = Objects()
        self._folder = folder
        self._seen: set[int] = set()
        self._inner: list[Instance] = []  # kept, as `_seen` knows objects by where they are
        self._dimensions = 0

    def all_of(self, root: object) -> None:
        """Visit *root* and all that it holds."""
        pending: list[Iterator[tuple[str, object]]] = [iter([("", root)])]
        while pending:
            following = next(pending[-1], None)
            if following is None:
                pending.pop()
                continue
            children = self._visit(*following)
            if children is not None:
                pending.append(children)
            if len(pending) > _DEEPEST:
                raise BadFile("unreadable", f"its objects nest deeper than {_DEEPEST:,} levels")

    def _visit(self, name: str, value: object) -> Iterator[tuple[str, object]] | None:
        """Take note of *value*; return what it holds, by name."""
        if isinstance(value, str | int | float):
            self._fact(name, value)
            return None
        if isinstance(value, Global | Blob | bytes | None) or id(value) in self._seen:
            return None
        self._seen.add(id(value))
        if isinstance(value, dict):
            return _entries(name, value)
        if isinstance(value, list | tuple):
            return _items(name, value)
        if isinstance(value, Stored):
            if isinstance(value.key, tuple) and value.key[:1] == ("storage",):
                self._storage(value, "")
            return None
        return self._instance(name, value) if isinstance(value, Instance) else None

    def _fact(self, name: str, value: float | str) -> None:
        if name and len(self.found.facts) < _MOST_FACTS and not (isinstance(value, str) and len(value) > _LONGEST_FACT):
            self.found.facts[name] = value

    def _instance(self, name: str, value: Instance) -> Iterator[tuple[str, object]] | None:
        made_by = str(value.made_by) if isinstance(value.made_by, Global) else ""
        args = value.args if isinstance(value.args, tuple) else ()
        if made_by.endswith("._rebuild_from_type_v2") and len(args) == 4 and isinstance(args[0], Global):
            self._inner.append(Instance(args[0], args[2]))
            return iter([(name, self._inner[-1]), (name, args[3])])
        if made_by.startswith("torch._utils._rebuild_"):
            return self._rebuilt(name, made_by.rpartition("_rebuild_")[2], args)
        if made_by.endswith(".multiarray.scalar"):
            number = _scalar(args)
            return iter([(name, number)])
        if made_by.endswith(".multiarray._reconstruct"):
            self.found.arrays += 1
            return None
        return _parts(name, value)

    def _rebuilt(self, name: str, kind: str, args: tuple[object, ...]) -> Iterator[tuple[str, object]] | None:
        """Take note of a tensor; return the tensors that it is made of."""
        if kind in ("tensor", "tensor_v2", "qtensor"):
            self._tensor(name, args, "")
            return _items(name, args[4:])  # what a quantized one is scaled by
        if kind == "tensor_v3":
            dtype = args[6] if len(args) > 6 else None
            self._tensor(name, args, dtype.name if isinstance(dtype, Global) else "")
            return None
        if kind.startswith("sparse") and len(args) == 2 and isinstance(args[1], tuple):
            layout = args[0].args if isinstance(args[0], Instance) else ()
            is_plain = isinstance(layout, tuple) and layout[:1] == ("torch.sparse_coo",)
            labels = _PLAIN if is_plain else _COMPRESSED
            return ((f"{name}.{label}", part) for label, part in zip(labels, args[1], strict=False) if label != "size")
        return chain([(name, part) for part in args[:1]], _items(name, args[1:]))

    def _tensor(self, name: str, args: tuple[object, ...], dtype: str) -> None:
        stored = args[0] if args else None
        if len(args) < 4 or not isinstance(stored, Stored):
            raise BadFile("corrupted", "a tensor in its pickle is described in no known way")
        start, shape, strides = args[1:4]
        key, offset = self._storage(stored, dtype)
        if len(self.found.tensors) >= _MOST_TENSORS:
            raise BadFile("unreadable", f"it holds more than {_MOST_TENSORS:,} tensors")
        begin = _lengths((start,))[0] + offset
        self._dimensions += len(shape) if isinstance(shape, tuple | list) else 1
        if self._dimensions > _MOST_DIMENSIONS_IN_ALL:
            raise BadFile("unreadable", "its tensors have more dimensions than those of any checkpoint")
        tensor = Tensor(name or "tensor", key, _lengths(shape), _lengths(strides), begin)
        if len(tensor.shape) != len(tensor.strides):
            raise BadFile("corrupted", f"{_shown(name)} has a shape that does not match its strides")
        last = begin + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
        need = self.found.needs[key]
        if 0 not in tensor.shape and (last + 1) * SIZES[need.dtype] > need.size:
            raise BadFile("corrupted", f"{_shown(name)} does not fit into its storage")
        self.found.tensors.append(tensor)

    def _storage(self, stored: Stored, dtype: str) -> tuple[str, int]:
        """Return the name of a tensor's storage, and how many elements into it the tensor's own part begins."""
        pid = stored.key
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise BadFile("corrupted", "a storage in its pickle is described in no known way")
        kind, key, count, view = pid[1], pid[2], pid[4], pid[5] if len(pid) > 5 else None
        if not isinstance(kind, Global) or not isinstance(key, str):
            raise BadFile("corrupted", "a storage in its pickle is described in no known way")
        own = _dtype(kind)
        dtype = _SHORT.get(dtype, dtype) or own
        if dtype not in SIZES or (own or dtype) not in SIZES:
            raise BadFile("unreadable", f"holds tensors of type {_shown(dtype or kind.name)}, which is not known")
        key = self._folder + key
        name = key if self.found.needs.get(key, Need(key, dtype, 0)).dtype == dtype else f"{key} as {dtype}"
        width = SIZES[own or dtype]
        size = _lengths((count,))[0] * width
        if self.found.needs.setdefault(name, Need(key, dtype, size, width)).size != size:
            raise BadFile("corrupted", "a storage in its pickle has two sizes")
        is_view = isinstance(view, tuple) and len(view) == 3
        return name, _lengths(view[1:2])[0] if isinstance(view, tuple) and is_view else 0


def _dtype(kind: Global) -> str:
    """Return PyTorch's name of the type of a storage (`FloatStorage`), or of a type given as itself."""
    if kind.name.endswith("Storage"):
        return _TYPES.get(kind.name.removesuffix("Storage"), "")
    return _SHORT.get(kind.name, kind.name)


def _lengths(values: object) -> tuple[int, ...]:
    """Return whole numbers that count something; a `torch.Size` is such a tuple."""
    if isinstance(values, Instance) and isinstance(values.args, tuple) and values.args:
        values = values.args[0]
    if not isinstance(values, tuple | list) or len(values) > _MOST_DIMENSIONS:
        raise BadFile("corrupted", "a tensor in its pickle has no shape")
    found = [value for value in values if isinstance(value, int) and 0 <= value < 1 << 48]
    if len(found) < len(values):
        raise BadFile("corrupted", "a tensor in its pickle has an impossible shape")
    return tuple(found)


def _entries(name: str, entries: dict[object, object]) -> Iterator[tuple[str, object]]:
    return ((_join(name, key), value) for key, value in entries.items())


def _items(name: str, values: list[object] | tuple[object, ...]) -> Iterator[tuple[str, object]]:
    """Yield what a list holds by number; single numbers in it are nobody's facts."""
    return (
        (_join(name, index), value)
        for index, value in enumerate(values)
        if not isinstance(value, str | int | float | None)
    )


def _parts(name: str, value: Instance) -> Iterator[tuple[str, object]]:
    """Yield what an object holds: its arguments, its state (that of a module is transparent), its items."""
    yield name, value.args
    states = value.state if isinstance(value.state, tuple) else (value.state,)
    for state in states:
        if isinstance(state, dict):
            for key, held in state.items():
                yield (name if key in _MODULE_STATE else _join(name, key)), held
        else:
            yield name, state
    yield from _items(name, value.items or ())
    yield from _entries(name, value.entries or {})


def _join(name: str, key: object) -> str:
    text = str(key) if isinstance(key, str | int | float) else "?"
    return f"{name}.{text}"[:_LONGEST_NAME] if name else text[:_LONGEST_NAME]


def _scalar(args: tuple[object, ...]) -> float | None:
    """Return a number that NumPy pickled, where it is a float or whole: its type, and its bytes."""
    kind = args[0].args if args and isinstance(args[0], Instance) else ()
    code = kind[0] if isinstance(kind, tuple) and kind else ""
    raw = args[1] if len(args) > 1 else b""
    if isinstance(raw, Instance) and isinstance(raw.args, tuple) and raw.args and isinstance(raw.args[0], str):
        raw = raw.args[0].encode("latin-1", "replace")
    form = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i"}.get(code if isinstance(code, str) else "")
    if form is None or not isinstance(raw, bytes) or len(raw) != struct.calcsize(form):
        return None
    number: float = struct.unpack(form, raw)[0]
    return number


def _shown(name: str) -> str:
    return name[:80] or "a tensor"
