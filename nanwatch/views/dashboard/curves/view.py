"""What the curves' panel shows and what its keys do to that, without a screen."""

from __future__ import annotations

from abc import ABC, abstractmethod

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves import charts
from nanwatch.views.curves.figures import Figure, Source, figures, source_of
from nanwatch.views.curves.plot import Mark
from nanwatch.views.curves.series import Axis, Series, bursts
from nanwatch.views.curves.settings import Settings, Window
from nanwatch.views.curves.smoothing import LEVELS

_EMPTY = Axis(0.0, 1.0)


class AxisView(ABC):
    """The part of an axis that is seen, a cursor on it, and how curves over it are drawn."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.extent = _EMPTY
        self.zoom: Window | None = None
        self.cursor: float | None = None
        self.width, self.columns = 80, 60

    @abstractmethod
    def move(self, columns: int) -> None:
        """Move the cursor by so many *columns*."""

    @property
    def axis(self) -> Axis:
        """The part of the axis that is seen."""
        return self.extent if self.zoom is None else self.zoom.within(self.extent)

    def extend(self, extent: Axis) -> None:
        """Take another extent; what is seen of it stays."""
        self.extent = extent
        if self.zoom is not None and (self.zoom.end > extent.end or self.zoom.start < extent.start):
            about = (self.zoom.start + self.zoom.end) / 2
            self.zoom = self.zoom.zoomed(1.0, about, extent)

    def step(self, columns: int) -> None:
        """Move the cursor from column to column; without one, put it at the latest value."""
        axis = self.axis
        if self.cursor is None:
            self.point(axis.end)
            return
        width = (axis.end - axis.start) / self.columns
        self.point(axis.start + (axis.column(self.cursor, self.columns) + columns + 0.5) * width)

    def step_points(self, series: Series, by: int) -> None:
        """Move the cursor from point to point of *series*."""
        places = [series.middle(bucket) for bucket in series.buckets]
        cursor = self.cursor
        if not places or cursor is None:
            self.step(by)
            return
        here = min(range(len(places)), key=lambda n: abs(places[n] - cursor))
        self.point(places[max(0, min(len(places) - 1, here + by))])

    def point(self, x: float) -> None:
        """Put the cursor at *x*, and let it be seen."""
        inside = (self.extent.end - self.extent.start) * 1e-6
        self.cursor = max(self.extent.start, min(self.extent.end - inside, x))
        if self.zoom is not None:
            self.zoom = self.zoom.holding(self.cursor, self.extent)

    def scale(self, factor: float, about: float | None = None) -> None:
        """Zoom about the place *about*; without one about the cursor, or else about the latest value."""
        axis = self.axis
        about = next((x for x in (about, self.cursor) if x is not None), axis.end)
        about = max(axis.start, min(axis.end, about))
        self.zoom = Window(axis.start, axis.end).zoomed(factor, about, self.extent)

    def flip(self, setting: str) -> None:
        """Change one of the settings that are on or off, or the smoothing."""
        if setting == "smoothing":
            self.settings.smoothing = (self.settings.smoothing + 1) % LEVELS
        else:
            setattr(self.settings, setting, not getattr(self.settings, setting))

    def undo(self) -> bool:
        """Take back the cursor, then the zoom; False if there is neither."""
        had_cursor, had_zoom = self.cursor is not None, self.zoom is not None
        self.cursor = None
        if not had_cursor:
            self.zoom = None
        return had_cursor or had_zoom


class CurvesView(AxisView):
    """The figures of a run, and the chosen one."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: Snapshot | None = None
        self.source: Source | None = None
        self.figures: list[Figure] = []
        self.marks: list[Mark] = []
        self.words = ""
        self.top: int | None = None
        """The first figure of the page that is seen; None is the page with the chosen figure."""
        self._series: dict[tuple[str, bool], Series] = {}

    def show(self, snapshot: Snapshot) -> None:
        """Take another snapshot; what is seen of it stays, unless it is another run."""
        old = self.snapshot
        if old is not None and (old.path, old.number) != (snapshot.path, snapshot.number):
            self.zoom = self.cursor = self.top = None
        self.snapshot, self.source = snapshot, source_of(snapshot)
        self._series = {}
        if self.source is None or snapshot.view is None:
            self.figures, self.marks = [], []
            self.extend(_EMPTY)
            return
        self.figures = figures(self.source)
        self.marks = charts.marks_of(snapshot.view.alerts, self.source)
        self.extend(self.source.extent)

    # -- what is seen

    @property
    def shown(self) -> list[Figure]:
        """The figures that are wanted."""
        hidden, words = set(self.settings.hidden), self.words.lower().split()
        found = [f for f in self.figures if f.name not in hidden and all(w in f.title.lower() for w in words)]
        return [f for f in found if self.series(f).non_finite] if self.settings.only_bad else found

    @property
    def chosen(self) -> Figure | None:
        """The figure to which the keys apply."""
        shown = self.shown
        return next((f for f in shown if f.name == self.settings.chosen), shown[0] if shown else None)

    def series(self, figure: Figure) -> Series:
        """Return the line of a figure, as it is plotted."""
        key = (figure.name, self.settings.is_by_epoch)
        if key not in self._series:
            self._series[key] = figure.series(self.settings.is_by_epoch)
        return self._series[key]

    # -- figures

    def choose(self, by: int) -> None:
        """Go to a figure further down or up."""
        shown, chosen = self.shown, self.chosen
        self.top = None
        if chosen is not None:
            place = max(0, min(len(shown) - 1, shown.index(chosen) + by))
            self.settings.chosen = shown[place].name

    def turn(self, by: int, charts_: int) -> None:
        """Look at another page of so many charts; the chosen figure stays."""
        shown, chosen = self.shown, self.chosen
        if chosen is not None:
            top = shown.index(chosen) if self.top is None else self.top
            self.top = max(0, min((len(shown) - 1) // charts_, top // charts_ + by)) * charts_

    def toggle(self, name: str) -> None:
        """Show or hide a figure."""
        hidden = self.settings.hidden
        self.settings.hidden = tuple(n for n in hidden if n != name) if name in hidden else (*hidden, name)

    def hide_chosen(self) -> None:
        """Hide the chosen figure; the next one is chosen. The last one stays."""
        shown, chosen = self.shown, self.chosen
        if chosen is None or len(shown) < 2:
            return
        place = shown.index(chosen)
        self.settings.chosen = shown[place + 1 if place + 1 < len(shown) else place - 1].name
        self.toggle(chosen.name)

    # -- the axis

    def move(self, columns: int) -> None:
        """Move the cursor: from column to column, or where there is a point an epoch, from point to point."""
        chosen = self.chosen
        if chosen is not None and self.series(chosen).is_sparse:
            self.step_points(self.series(chosen), columns)
        else:
            self.step(columns)

    def jump(self, by: int) -> bool:
        """Go to the next (or the one before) onset of NaN or alert; False if there is none."""
        chosen = self.chosen
        places = {mark.x for mark in self.marks}
        if chosen is not None:
            places |= set(bursts(self.series(chosen), self.extent))
        places = {max(self.extent.start, min(self.extent.end, x)) for x in places}
        here = self.cursor if self.cursor is not None else (self.extent.start if by > 0 else self.extent.end) - by
        near = (self.extent.end - self.extent.start) * 1e-5
        ahead = sorted(x for x in places if (x - here) * by > near)
        if ahead:
            self.point(ahead[0] if by > 0 else ahead[-1])
        return bool(ahead)

    def undo(self) -> bool:
        """Take back the last thing that hides something: filter, cursor, zoom; False if there is nothing."""
        if self.words or self.settings.only_bad:
            self.words, self.settings.only_bad = "", False
            return True
        return super().undo()

    def offset(self) -> int | None:
        """Return the byte of the log where the cursor is, or where the chosen figure was told last."""
        chosen = self.chosen
        if chosen is None:
            return None
        series = self.series(chosen)
        bucket = series.at(self.axis.end if self.cursor is None else self.cursor)
        return None if bucket is None else bucket.offset
