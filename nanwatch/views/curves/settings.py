"""What somebody set about the curves, to be remembered; and the part of the axis that they look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nanwatch.views.curves.series import Axis
from nanwatch.views.curves.smoothing import LEVELS

_NARROWEST = 2.0
"""Batches, or steps, or a part of an epoch, that are seen at least."""


@dataclass(slots=True)
class Settings:
    """How curves are drawn, which figure is looked at, and which are not wanted; only the former is remembered."""

    is_log: bool = False
    is_by_epoch: bool = False
    is_clipped: bool = False
    is_big: bool = False
    only_bad: bool = False
    smoothing: int = 0
    chosen: str = ""
    hidden: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return what is to be remembered as plain values: how curves are drawn, of whatever figure."""
        return {name: getattr(self, name) for name in _REMEMBERED}


_REMEMBERED = ("is_log", "is_by_epoch", "is_clipped", "is_big", "smoothing")


def settings_from(plain: Mapping[str, object], known: Settings | None = None) -> Settings:
    """Return what `Settings.as_dict` gave, with the figures of *known*; what does not fit is passed over."""
    usual = Settings()
    fitting = {name: plain[name] for name in _REMEMBERED if type(plain.get(name)) is type(getattr(usual, name))}
    for name in _REMEMBERED:
        setattr(usual, name, fitting.get(name, getattr(usual, name)))
    usual.smoothing %= LEVELS
    if known is not None:
        usual.only_bad, usual.chosen, usual.hidden = known.only_bad, known.chosen, known.hidden
    return usual


class Window(NamedTuple):
    """The part of the axis that is seen."""

    start: float
    end: float

    def within(self, axis: Axis) -> Axis:
        """Return the axis as far as it is seen."""
        return axis._replace(start=self.start, end=self.end)

    def shifted(self, by: float, axis: Axis) -> Window:
        """Return the window further along, no farther than *axis* goes."""
        by = max(axis.start - self.start, min(axis.end - self.end, by))
        return Window(self.start + by, self.end + by)

    def holding(self, x: float, axis: Axis) -> Window:
        """Return the window moved no farther than needed for *x* to be seen."""
        if x < self.start:
            return self.shifted(x - self.start, axis)
        return self.shifted(x - self.end, axis) if x > self.end else self

    def zoomed(self, factor: float, about: float, axis: Axis) -> Window | None:
        """Return the window *factor* times as wide, *about* where it was; None is the whole axis."""
        least = _NARROWEST if axis.unit == "step" else _NARROWEST / axis.batches if axis.batches else 1.0
        width = max(min(least, axis.end - axis.start), (self.end - self.start) * factor)
        if width >= (axis.end - axis.start) * (1 - 1e-9):
            return None
        share = (about - self.start) / (self.end - self.start)
        start = max(axis.start, min(axis.end - width, about - share * width))
        return Window(start, start + width)
