"""What somebody set about the curves, to be remembered; and the part of the axis that they look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from nanwatch.views.dashboard.curves.series import Axis
from nanwatch.views.dashboard.curves.smoothing import LEVELS

_NARROWEST = 2.0
"""Batches, or steps, or a part of an epoch, that are seen at least."""
_MOST_HIDDEN = 200


@dataclass(slots=True)
class Settings:
    """How curves are drawn, which figure was looked at, and which are not wanted."""

    is_log: bool = False
    is_by_epoch: bool = False
    is_clipped: bool = False
    is_big: bool = False
    only_bad: bool = False
    smoothing: int = 0
    chosen: str = ""
    hidden: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return them as plain values."""
        return {item.name: list(self.hidden) if item.name == "hidden" else getattr(self, item.name) for item in _FIELDS}


_FIELDS = fields(Settings)


def settings_from(plain: Mapping[str, object]) -> Settings:
    """Return what `Settings.as_dict` gave; what does not fit is passed over."""
    found = Settings()
    for item in _FIELDS:
        value, usual = plain.get(item.name), getattr(found, item.name)
        if item.name == "hidden":
            names = value if isinstance(value, list | tuple) else ()
            found.hidden = tuple(name for name in names if isinstance(name, str))[:_MOST_HIDDEN]
        elif type(value) is type(usual):
            setattr(found, item.name, value)
    found.smoothing %= LEVELS
    return found


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
