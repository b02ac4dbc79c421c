"""The curves' panel as lines: one big chart, or a grid of them, above a line that says what is looked at."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.views.curves import charts
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.plot import Chart, draw, fitted, frame_of
from nanwatch.views.dashboard.curves.view import CurvesView
from nanwatch.views.page import Line, Role, Span
from nanwatch.views.words import ASCII, UNICODE, Glyphs, clean, cut_middle, number, pad, plural

_SMALLEST_GRID = (100, 24)
_SMALLEST = (38, 9)
_COMFORTABLE = (65, 14)
_STATUS_FROM = 8
"""Lines from which on one of them is for the status."""


class Shape(NamedTuple):
    """How many charts stand beside and above one another."""

    columns: int
    rows: int

    @property
    def charts(self) -> int:
        """How many there are."""
        return self.columns * self.rows


class Place(NamedTuple):
    """A figure, and the box of cells in which its chart is drawn."""

    figure: Figure
    left: int
    top: int
    width: int
    height: int


def shape_of(width: int, height: int, figures: int, is_big: bool = False) -> Shape:
    """Return how to divide an area; a chart has at least 38 x 9 cells, and more where there is room."""
    if is_big or figures < 2 or width < _SMALLEST_GRID[0] or height < _SMALLEST_GRID[1]:
        return Shape(1, 1)
    columns = max(2, min(4, width // _COMFORTABLE[0], width // _SMALLEST[0]))
    columns = min(columns, figures)
    rows = max(1, min(4, height // _COMFORTABLE[1]))
    return Shape(columns, min(rows, -(-figures // columns)))


def page_of(view: CurvesView, shape: Shape) -> list[Figure]:
    """Return the figures on the page that was turned to, or else on the one with the chosen figure."""
    shown, chosen = view.shown, view.chosen
    place = 0 if chosen is None else shown.index(chosen) if view.top is None else min(view.top, len(shown) - 1)
    start = place // shape.charts * shape.charts
    return shown[start : start + shape.charts]


def places_of(view: CurvesView, width: int, height: int) -> list[Place]:
    """Return where each chart of the page stands in a panel of *width* x *height* cells."""
    height -= height >= _STATUS_FROM
    shape = shape_of(width, height, len(view.shown), view.settings.is_big)
    page, found, top = page_of(view, shape), list[Place](), 0
    for row, tall in enumerate(_shares(height, shape.rows)):
        left = 0
        for column, wide in enumerate(_shares(width - shape.columns + 1, shape.columns)):
            place = row * shape.columns + column
            if place < len(page):
                found.append(Place(page[place], left, top, wide, tall))
            left += wide + 1
        top += tall
    return found


class Spot(NamedTuple):
    """What a cell of the panel shows: a figure, where on the axis (None beside its plot), and whether its NaN."""

    figure: Figure
    x: float | None
    is_nan: bool


def spot_at(view: CurvesView, column: int, row: int, width: int, height: int) -> Spot | None:
    """Return what a cell of a panel of *width* x *height* cells shows; None where there is no chart."""
    for figure, left, top, wide, tall in places_of(view, width, height):
        if 0 <= column - left < wide and 0 <= row - top < tall:
            frame = frame_of(chart_at(view, Place(figure, left, top, wide, tall), UNICODE), wide, tall)
            across, down = column - left - frame.left, row - top - frame.top
            if not 0 <= across < frame.columns or down < 0:
                return Spot(figure, None, False)
            x = view.axis.start + (across + 0.5) / frame.columns * (view.axis.end - view.axis.start)
            return Spot(figure, x, frame.rows <= down < frame.rows + frame.nan_rows)
    return None


def lines_of(view: CurvesView, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the panel: *height* lines of *width* cells."""
    if width < 1 or height < 1:
        return []
    view.width = width
    found: list[Line] = []
    if not view.shown:
        found = [fitted(line, width) for line in [Line([]), *_nothing(view)]]
    for _, places in groupby(places_of(view, width, height), key=lambda p: p.top):
        found += _joined([draw(chart_at(view, p, glyphs), p.width, p.height, glyphs) for p in places], width)
    has_status = height >= _STATUS_FROM
    found += [Line([Span(" " * width)])] * (height - has_status - len(found))
    return [*found[: height - has_status], *([_status(view, width, glyphs)] if has_status else [])]


def chart_at(view: CurvesView, place: Place, glyphs: Glyphs) -> Chart:
    """Return the chart that stands there."""
    figure, is_only = place.figure, place.width >= view.width
    chart = charts.chart_of(figure, view.series(figure), view.axis, view.settings, view.cursor, glyphs)
    stats, title = list(chart.stats), chart.title
    if is_only and view.snapshot is not None and (told := charts.reading(view.snapshot)):
        stats.insert(0, Span(told, "warning"))
    if figure is view.chosen:
        view.columns = frame_of(chart, place.width, place.height).columns
    is_chosen = not is_only and figure is view.chosen
    title = f"{'>' if glyphs == ASCII else '›'}{title}" if is_chosen else title
    return replace(chart, marks=view.marks, is_chosen=is_chosen, stats=stats, title=title)


def _joined(drawn: list[list[Line]], width: int) -> list[Line]:
    """Return charts beside one another."""
    found = []
    for row in zip(*drawn, strict=True):
        spans: list[Span] = []
        for line in row:
            spans += [*([Span(" ")] if spans else []), *line.spans]
        found.append(fitted(Line(spans), width))
    return found


def _shares(whole: int, parts: int) -> list[int]:
    return [whole // parts + (n < whole % parts) for n in range(parts)]


def _nothing(view: CurvesView) -> list[Line]:
    """Say why there is no chart, and what to do about it."""
    if not view.figures:
        told = "" if view.snapshot is None else charts.reading(view.snapshot)
        return [Line([Span(" No figure yet: no loss, no metric was recognised in the log.", "quiet")])] + (
            [Line([Span(f" {told}", "warning")])] if told else []
        )
    if view.settings.only_bad:
        return [Line([Span(" No figure has NaN. ! shows all of them.")])]
    if view.words:
        return [Line([Span(f" No figure's name holds {clean(view.words)}. Esc shows all of them.")])]
    return [Line([Span(f" All {len(view.figures)} figures are hidden. v lets you choose.")])]


def _status(view: CurvesView, width: int, glyphs: Glyphs) -> Line:
    """Return what is looked at: the cursor and its value, or which figure of how many; what is hidden."""
    spans, room = list[Span](), width
    for item in _items(view, glyphs):
        if cell_len(item.text) + 2 <= room:
            spans += [Span("  " if spans else " "), item]
            room = width - sum(cell_len(span.text) for span in spans)
    return fitted(Line(spans), width)


def _items(view: CurvesView, glyphs: Glyphs) -> list[Span]:
    chosen, shown, items = view.chosen, view.shown, list[Span]()
    if chosen is not None and view.cursor is not None:
        series = view.series(chosen)
        axis = view.axis._replace(batches=None) if series.is_sparse else view.axis
        name = cut_middle(chosen.title, 24, glyphs.more)
        items += [
            Span(f"cursor {axis.name(view.cursor)}"),
            Span(f"{name} {charts.value_of(series, series.at(view.cursor))}"),
        ]
    if chosen is not None:
        items.append(Span(f"{shown.index(chosen) + 1} of {len(shown)}", "quiet"))
    if view.snapshot is not None and (told := charts.reading(view.snapshot)):
        items.append(Span(told, "warning"))
    if view.settings.only_bad:
        items.append(Span("only with NaN", "warning"))
    if view.words:
        items.append(Span(f"/{clean(view.words)}", "warning"))
    known = {figure.name for figure in view.figures}
    hidden = sum(1 for name in view.settings.hidden if name in known)
    items += [Span(f"{hidden} hidden", "quiet")] if hidden else []
    if view.zoom is not None:
        axis = view.axis
        last = axis.end - (axis.end - axis.start) * 1e-6
        items.append(Span(f"{axis.name(axis.start)} to {axis.name(last)}", "quiet"))
    if view.top is not None:
        items.append(Span("another page", "quiet"))
    if view.settings.is_by_epoch:
        items.append(Span("by epoch", "quiet"))
    return items


# -- the list to choose from


def choices(view: CurvesView, cursor: int, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the list of all figures, with those that are shown marked; *cursor* is the one to change."""
    head = f" Figures: {plural(len(view.figures), 'figure')}. Space shows or hides, a all, Enter opens, Esc closes."
    room = max(1, height - 1)
    top = max(0, min(cursor - room // 2, len(view.figures) - room))
    lines = [Line([Span(head, "quiet")])]
    for place, figure in enumerate(view.figures[top : top + room], top):
        lines.append(_choice(view, figure, width, glyphs, place == cursor))
    lines += [Line([])] * (height - len(lines))
    return [fitted(line, width) for line in lines[:height]]


def _choice(view: CurvesView, figure: Figure, width: int, glyphs: Glyphs, is_here: bool) -> Line:
    series = view.series(figure)
    box = "[ ]" if figure.name in view.settings.hidden else "[x]"
    name = pad(cut_middle(figure.title, min(28, max(4, width - 24)), glyphs.more), 28)
    value = f"{number(figure.now):>10}" if figure.now is not None else " " * 10
    role: Role = "chosen" if is_here else ""
    bad = [Span(f"  {series.non_finite:,} NaN", "critical")] if series.non_finite else []
    point = ">" if glyphs == ASCII else "›"
    return Line(
        [Span(f" {point if is_here else ' '} {box} {name}", role), Span(f" {value}  {figure.kind}", "quiet"), *bad]
    )


def prompt(view: CurvesView, width: int) -> Line:
    """Return the line in which a filter is typed."""
    return fitted(
        Line(
            [
                Span(" /", "title"),
                Span(clean(view.words)),
                Span(" ", "chosen"),
                Span("  enter keeps, esc drops", "quiet"),
            ]
        ),
        width,
    )
