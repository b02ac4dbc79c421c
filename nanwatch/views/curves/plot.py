"""A chart in a box of cells: title, curves, a row of its own for NaN, and the axis; nothing of it knows of a screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.curve import Bucket
from nanwatch.views.curves import edges
from nanwatch.views.curves.braille import Band, Raster, bands_of
from nanwatch.views.curves.scale import Label, Scale, scale_of
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.curves.smoothing import smoothed, span_of
from nanwatch.views.page import Line, Role, Span
from nanwatch.views.words import ASCII, UNICODE, Glyphs, cut_middle, take

LETTERS = "ABCDEF"
SERIES: tuple[Role, ...] = ("series1", "series2", "series3", "series4", "series5", "series6")
_LETTER_EVERY = 30
"""Columns from one letter on a line to the next: without colours they tell the lines apart."""

Over = dict[int, dict[int, tuple[str, Role]]]
"""Signs above the dots, by row and column; an empty sign leaves the dots and changes their role."""


class Mark(NamedTuple):
    """An alert: where it stands on the axis, and its sign."""

    x: float
    sign: str
    role: Role


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw. `stats` stand beside the title, `more` after what was done to the curve; both as room allows."""

    title: str
    series: Sequence[Series]
    axis: Axis
    stats: Sequence[Span] = ()
    more: Sequence[Span] = ()
    is_log: bool = False
    smoothing: int = 0
    is_clipped: bool = False
    cursor: float | None = None
    marks: Sequence[Mark] = ()
    is_chosen: bool = False


@dataclass(slots=True)
class _Drawing:
    """A chart on its way to the screen."""

    chart: Chart
    glyphs: Glyphs
    seen: list[list[Bucket]]
    scale: Scale
    gutter: int
    columns: int
    rows: int
    labels: list[Label]
    notes: list[str] = field(default_factory=list)

    @property
    def is_ascii(self) -> bool:
        return self.glyphs == ASCII

    @property
    def is_many(self) -> bool:
        return len(self.chart.series) > 1


class Frame(NamedTuple):
    """Where in its box a chart's plot lies: from column `left` and row `top` on; rows of NaN are below it."""

    left: int
    columns: int
    top: int
    rows: int
    nan_rows: int


def draw(chart: Chart, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Line]:
    """Return *height* lines of *width* cells; the smaller the box, the less stands around the curve."""
    if width < 1 or height < 1:
        return [Line([]) for _ in range(max(0, height))]
    below = edges.nan_rows(chart.series, height)
    has_title, axis_rows, rows = _division(height, len(below))
    drawing = _prepared(chart, width, rows, glyphs, bool(below))
    box = edges.Box(drawing.gutter, drawing.columns, width, drawing.is_ascii)
    body = _plot(drawing)
    body += [edges.nan_line(group, chart.axis, box) for group in below]
    if axis_rows:
        below_plot = edges.axis_lines if axis_rows == 2 else edges.brief_axis
        body += below_plot(chart.axis, chart.marks, chart.cursor, box)
    title = [fitted(_title(drawing, width), width)] if has_title else []
    return [*title, *(_narrow(line, width) for line in body)][:height]


def frame_of(chart: Chart, width: int, height: int) -> Frame:
    """Return where the plot lies in the lines that `draw` returns for the same box."""
    below = edges.nan_rows(chart.series, height)
    has_title, _, rows = _division(height, len(below))
    drawing = _prepared(chart, max(1, width), rows, UNICODE, bool(below))
    return Frame(drawing.gutter + 1, drawing.columns, int(has_title), rows, len(below))


def _division(height: int, nan_rows: int) -> tuple[bool, int, int]:
    """Return whether there is a title, how many lines the axis takes, and how many are left for the plot."""
    has_title, axis_rows = height > 2, 0 if height < 5 else 1 if height < 12 else 2
    return has_title, axis_rows, max(1, height - has_title - axis_rows - nan_rows)


def fitted(line: Line, width: int) -> Line:
    """Return *line* in exactly *width* cells."""
    room, spans = width - line.cells, list(line.spans)
    if room < 0:
        spans, room = [], width
        for text, role in line.spans:
            text = "".join(take(text, room))
            spans.append(Span(text, role))
            room -= cell_len(text)
    return Line([*spans, Span(" " * room)] if room else spans, line.rank)


def _narrow(line: Line, width: int) -> Line:
    """Return *line* as `fitted` does; it is known to have only characters of one cell."""
    return line if sum(len(text) for text, _ in line.spans) == width else fitted(line, width)


def in_view(buckets: Sequence[Bucket], series: Series, axis: Axis) -> list[Bucket]:
    """Return the buckets that are seen, and one on either side, to which the line leads."""
    first, last = series.position(axis.start), series.position(axis.end)
    places = [n for n, b in enumerate(buckets) if b.start + b.end >= 2 * first and b.start + b.end <= 2 * last]
    if not places:
        return []
    return list(buckets[max(0, places[0] - 1) : places[-1] + 2])


def _prepared(chart: Chart, width: int, rows: int, glyphs: Glyphs, has_bad: bool) -> _Drawing:
    seen = [in_view(series.buckets, series, chart.axis) for series in chart.series]
    scale, clipped = scale_of([b for buckets in seen for b in buckets], chart.is_log, chart.is_clipped)
    labels = scale.labels(rows)
    gutter = max([*(len(label.text) for label in labels), 3 if has_bad else 1])
    many = len(chart.series) > 1
    gutter = max(gutter, 5) if many and has_bad else gutter
    if width - gutter < 9:
        gutter = 0
    columns = max(1, width - gutter - 1 - many)
    drawing = _Drawing(chart, glyphs, seen, scale, gutter, columns, rows, labels)
    drawing.notes += _notes(drawing, clipped)
    return drawing


def _notes(drawing: _Drawing, clipped: int) -> Iterable[str]:
    """Tell of everything that was done to the curve."""
    chart = drawing.chart
    if chart.is_log:
        yield "log" if drawing.scale.is_log else "linear: no value above 0"
        if drawing.scale.is_log and any(b.low <= 0 for buckets in drawing.seen for b in buckets):
            yield "not above 0: at the bottom"
    if chart.smoothing and drawing.seen and any(drawing.seen):
        yield edges.mean_text(max(drawing.seen, key=len), chart.smoothing, chart.axis, chart.series[0])
    if chart.is_clipped:
        arrow = "" if not clipped else " ^" if drawing.is_ascii else " ↑"
        yield f"{clipped} clipped{arrow}" if clipped else "nothing clipped"


def _title(drawing: _Drawing, width: int) -> Line:
    """Return the title with as many of the statistics as there is room for; numbers are never cut."""
    chart = drawing.chart
    name = cut_middle(chart.title, width, drawing.glyphs.more)
    spans, room = [Span(name, "chosen" if chart.is_chosen else "title")], width - cell_len(name)
    for item in [*chart.stats, *(Span(note, "quiet") for note in drawing.notes), *chart.more]:
        if 2 + cell_len(item.text) <= room:
            spans += [Span("  "), item]
            room -= 2 + cell_len(item.text)
    return Line(spans)


# -- the plot


def _plot(drawing: _Drawing) -> list[Line]:
    raster = Raster(drawing.columns, drawing.rows)
    lines = [_draw_series(drawing, raster, number) for number in range(len(drawing.chart.series))]
    over = _over(drawing, raster, lines)
    letters = LETTERS if drawing.is_many else ""
    ends = _ends(drawing, lines, over) if drawing.is_many else {}
    texts = {label.row: label.text for label in drawing.labels}
    tick, bar = ("+", "|") if drawing.is_ascii else ("┤", "│")
    found = []
    for row in reversed(range(drawing.rows)):
        text = texts.get(row)
        head = (text or "").rjust(drawing.gutter)[: drawing.gutter] + (bar if text is None else tick)
        spans = [Span(head, "quiet"), *raster.spans(row, drawing.is_ascii, over.get(row, {}), letters)]
        if drawing.is_many:
            spans.append(ends.get(row, Span(" ")))
        found.append(Line(spans))
    return found


def _draw_series(drawing: _Drawing, raster: Raster, number: int) -> list[Band | None]:
    """Draw a series, and return the line that stands for it."""
    series, seen, axis = drawing.chart.series[number], drawing.seen[number], drawing.chart.axis
    k = 2 * drawing.columns / (axis.end - axis.start) if axis.end > axis.start else 0.0
    x = (k * series.unit, k * (series.origin - axis.start))
    role = SERIES[number % len(SERIES)]
    knots = series.is_sparse and len(seen) * 6 <= 2 * drawing.columns
    span = span_of(seen, drawing.chart.smoothing)
    bands = bands_of(seen, drawing.scale, x, 2 * drawing.columns, 4 * drawing.rows, knots or len(seen) == 1)
    raster.draw(bands, role if span == 1 else "quiet")
    if span > 1:
        bands = bands_of(smoothed(seen, span), drawing.scale, x, 2 * drawing.columns, 4 * drawing.rows)
        raster.draw(bands, role, is_over=True)
    return bands


def _over(drawing: _Drawing, raster: Raster, lines: list[list[Band | None]]) -> Over:
    """Return what stands above the dots: boundaries and cursor only where there are none."""
    over: Over = {}
    axis, columns = drawing.chart.axis, drawing.columns
    if drawing.is_many:
        _inscribe(drawing, lines, over)
    if not any(any(line) for line in lines):
        _say_empty(drawing, over)
    for tick in axis.ticks(columns):
        column = axis.column(tick.x, columns)
        if tick.is_epoch and 0 < column < columns:
            for row in range(0, drawing.rows, 2 if drawing.is_ascii else 1):
                if not raster.dots[row][column]:
                    over.setdefault(row, {}).setdefault(column, ("|" if drawing.is_ascii else "┊", "quiet"))
    if drawing.chart.cursor is not None:
        _point(drawing, raster, over, axis.column(drawing.chart.cursor, columns))
    return over


def _point(drawing: _Drawing, raster: Raster, over: Over, column: int) -> None:
    if 0 <= column < drawing.columns:
        for row in range(drawing.rows):
            dots = raster.dots[row][column]
            over.setdefault(row, {})[column] = ("", "chosen") if dots else ("|" if drawing.is_ascii else "│", "title")


def _say_empty(drawing: _Drawing, over: Over) -> None:
    bad = any(series.non_finite for series in drawing.chart.series)
    text = "no finite value" if bad else "no value"
    text += " here" if any(series.buckets for series in drawing.chart.series) else " yet"
    start = max(0, (drawing.columns - len(text)) // 2)
    row = over.setdefault(drawing.rows // 2, {})
    row.update({start + n: (sign, "quiet") for n, sign in enumerate(text[: drawing.columns - start])})


def _inscribe(drawing: _Drawing, lines: list[list[Band | None]], over: Over) -> None:
    """Write each series' letter on its line, here and there."""
    count = len(lines)
    for number, line in enumerate(lines):
        offset = _LETTER_EVERY * (number + 1) // (count + 1)
        for column in range(offset, drawing.columns, _LETTER_EVERY):
            band = line[2 * column] or line[2 * column + 1]
            if band is not None:
                row = (band[0] + band[1]) // 8
                over.setdefault(row, {})[column] = (LETTERS[number % 6], SERIES[number % 6])


def _ends(drawing: _Drawing, lines: list[list[Band | None]], over: Over) -> dict[int, Span]:
    """Return the letters at the right end, each near its line; lines that end before have theirs where they end."""
    found: dict[int, Span] = {}
    for number, line in enumerate(lines):
        place = next((n for n in reversed(range(len(line))) if line[n] is not None), None)
        band = None if place is None else line[place]
        if place is None or band is None:
            continue
        row, sign = (band[0] + band[1]) // 8, Span(LETTERS[number % 6], SERIES[number % 6])
        free = [r for r in range(drawing.rows) if r not in found]
        if place // 2 + 2 < drawing.columns:
            over.setdefault(row, {})[place // 2 + 1] = (sign.text, sign.role)
        elif free:
            found[min(free, key=lambda r: abs(r - row))] = sign
    return found
