"""What a reader of one file format hands over: where each tensor's numbers lie, and what the file says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol


class BadFile(Exception):
    """The file cannot be read as what it seems to be; `state` is `truncated`, `corrupted` or `unreadable`."""

    def __init__(self, state: str, problem: str) -> None:
        super().__init__(problem)
        self.state = state
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Storage:
    """A stretch of equal numbers in a file: `size` bytes from byte `offset` on, or (`member` set) a packed member.

    `dtype` is PyTorch's name of the type (`float32`, `bfloat16`, `float8_e4m3fn`, `int64` ...); `big_endian` tells
    their byte order.
    """

    key: str
    dtype: str
    elements: int
    offset: int
    size: int
    big_endian: bool = False
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: a view of `storage` that begins `start` elements into it, with `strides` in elements.

    `name` is its full path in the file, with dots: `model.head.weight`, `optimizer.state.0.exp_avg`.
    """

    name: str
    storage: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    start: int = 0


@dataclass(slots=True)
class Contents:
    """What a file holds. `facts` are plain values that it stores beside tensors, by their dotted path.

    `hostile` names what loading the file would call that no checkpoint needs; `remarks` is what a person should know.
    """

    format: str
    storages: dict[str, Storage] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    hostile: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Reader(Protocol):
    """Reads one file format. It runs nothing of the file, and holds no more than its directory in memory."""

    def matches(self, head: bytes, name: str) -> bool:
        """Tell whether a file that begins with *head* and is called *name* is of this format."""

    def read(self, file: BinaryIO, size: int) -> Contents:
        """Return what *file*, of *size* bytes, holds.

        Raises:
            BadFile: it is truncated, corrupted, or nothing that can be read.
        """

    def unpacked(self, file: BinaryIO, storage: Storage) -> AbstractContextManager[Iterator[bytes]]:
        """Give the bytes of a storage that lies packed in *file* (`member` is set), a piece at a time."""


Readers = Sequence[Reader]
