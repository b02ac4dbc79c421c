"""Shapes of tensors that lie whole in their storage, as every format but PyTorch's has them."""

from __future__ import annotations

from collections.abc import Iterable

from nanwatch.checkpoints.base import BadFile, Storage, Tensor

MOST_TENSORS = 50_000
"""More tensors than any file of weights has: each costs a kilobyte of memory."""
_MOST_DIMENSIONS = 64
_MOST_ELEMENTS = 1 << 48


def count(shape: tuple[int, ...]) -> int:
    """Return how many elements *shape* has.

    Raises:
        BadFile: it has more than any machine holds, or is no shape.
    """
    total = 1
    if len(shape) > _MOST_DIMENSIONS:
        raise BadFile("corrupted", f"claims a tensor of {len(shape):,} dimensions")
    for length in shape:
        total *= length
        if length < 0 or total > _MOST_ELEMENTS:
            raise BadFile("corrupted", "claims a tensor of an impossible shape")
    return total


def strides(shape: tuple[int, ...], fortran: bool = False) -> tuple[int, ...]:
    """Return the distances, in elements, of a tensor that lies by rows, or with *fortran* by columns."""
    found, distance = [], 1
    for length in shape if fortran else reversed(shape):
        found.append(distance)
        distance *= max(1, length)
    return tuple(found if fortran else reversed(found))


def whole(storage: Storage, name: str, shape: tuple[int, ...], fortran: bool = False) -> Tensor:
    """Return the tensor that is all of *storage*."""
    return Tensor(name, storage.key, shape, strides(shape, fortran))


def check_inside(storages: Iterable[Storage], size: int) -> None:
    """Check that what lies in a file of *size* bytes does not end behind it.

    Raises:
        BadFile: one does, or has a place that no file has.
    """
    for storage in storages:
        if storage.member is None and not 0 <= storage.offset <= size - storage.size:
            raise BadFile("truncated", f"ends before {storage.key[:80]} does: half-written or cut")
