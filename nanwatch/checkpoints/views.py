"""Tensors as views of a storage -> how many of its non-finite elements each of them shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanwatch.checkpoints.base import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanwatch.checkpoints.nonfinite import Mask, Masks

    Places = NDArray[np.int64]

_MOST_WORK = 4_000_000_000
"""Roughly nanoseconds. Only views that overlap each other by the thousand, all of bad numbers, need as many."""
_VIEW, _ELEMENT, _STEP, _PLACE = 1000, 1, 10_000, 50
"""What a view costs for each piece, an element of its part of it, a step of its strides, a place looked up in one."""


@dataclass(slots=True)
class View:
    """A tensor, where it lies in its storage (`begin` to `end`, in elements), and its counts.

    `steps` are its dimensions by falling stride, those of one element left out: (length, stride). `times` is how often
    it shows each element (`expand`). A `dense` one shows all from `begin` to `end`, once each.
    """

    tensor: Tensor
    elements: int
    begin: int
    end: int
    steps: tuple[tuple[int, int], ...]
    times: int
    dense: bool
    nan: int = 0
    inf: int = 0


def view_of(tensor: Tensor) -> View:
    """Return where *tensor* lies."""
    elements, times, last = 1, 1, 0
    steps = []
    for length, stride in zip(tensor.shape, tensor.strides, strict=True):
        elements *= length
        if stride == 0:
            times *= length
        elif length > 1:
            steps.append((stride, length))
            last += stride * (length - 1)
    steps.sort(reverse=True)
    falling = tuple((length, stride) for stride, length in steps)
    end = tensor.start + (last + 1 if elements else 0)
    return View(tensor, elements, tensor.start, end, falling, times, times == 1 and _is_dense(falling))


def _is_dense(steps: Sequence[tuple[int, int]]) -> bool:
    """Tell whether every element in its stretch is shown once, in whatever order."""
    expected = 1
    for length, stride in reversed(steps):
        if stride != expected:
            return False
        expected *= length
    return True


class Counting:
    """Counts what the views of one storage show; it is given the storage's bad pieces from first to last."""

    def __init__(self, views: Sequence[View]) -> None:
        self._coming = sorted(views, key=lambda view: view.begin, reverse=True)
        self._open: list[View] = []
        self._work = 0
        self.hidden = 0
        self.is_complete = True

    def add(self, base: int, masks: Masks) -> None:
        """Take the piece whose first element is number *base* of the storage."""
        count = len(masks.nan)
        nan, inf = int(masks.nan.sum()), int(masks.inf.sum())
        shown: Mask | None = masks.nan & False  # None: all of the piece
        for view in self._views_at(base, base + count):
            low, high = max(0, view.begin - base), min(count, view.end - base)
            if not self._may(_VIEW):
                break
            if not view.dense:
                view.nan += self._count(view, masks.nan, base, shown)
                view.inf += self._count(view, masks.inf, base, shown)
            elif high - low == count:
                view.nan, view.inf = view.nan + nan, view.inf + inf
                shown = None
            elif self._may(_ELEMENT * (high - low)):
                view.nan += int(masks.nan[low:high].sum())
                view.inf += int(masks.inf[low:high].sum())
                if shown is not None:
                    shown[low:high] = True
        if shown is not None:
            self.hidden += int(((masks.nan | masks.inf) & ~shown).sum())

    def _views_at(self, begin: int, end: int) -> list[View]:
        """Return the views that show anything between two places."""
        while self._coming and self._coming[-1].begin < end:
            self._open.append(self._coming.pop())
        self._open = [view for view in self._open if view.end > begin]
        return self._open

    def _count(self, view: View, mask: Any, base: int, shown: Any) -> int:
        """Return how often *view* shows an element of *mask*, and note those in *shown*."""
        places = mask.nonzero()[0]
        if not places.size:
            return 0
        times = self._times(places + (base - view.begin), view.steps)
        if shown is not None:
            shown[places[times > 0]] = True
        return int(times.sum()) * view.times

    def _times(self, places: Any, steps: Sequence[tuple[int, int]]) -> Any:
        """Return how often each of *places*, counted from the view's first element, is one of its elements."""
        if not steps:
            return (places == 0).astype("i8")
        (length, stride), inner = steps[0], steps[1:]
        span = sum((n - 1) * step for n, step in inner)
        found = (places * 0).astype("i8")
        highest = places // stride
        for back in range(span // stride + 1):
            index = highest - back
            if not self._may(_STEP + _PLACE * places.size):
                break
            fits = (index >= 0) & (index < length)
            found[fits] += self._times((places - index * stride)[fits], inner)
        return found

    def _may(self, work: int) -> bool:
        """Tell whether there is work left to do for such a file."""
        self._work += work
        self.is_complete = self._work <= _MOST_WORK
        return self.is_complete
