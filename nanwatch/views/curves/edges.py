"""What stands below a plot: the row of NaN, and the axis with its labels and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nanwatch.model.curve import Bucket
from nanwatch.views.curves.series import Axis, Series, bad_columns
from nanwatch.views.curves.smoothing import span_of
from nanwatch.views.page import Line, Role, Span

if TYPE_CHECKING:
    from nanwatch.views.curves.plot import Mark


_LEAST_FOR_EACH = 7
"""Lines beside the rows of NaN from which on each series has one of its own."""


class Box(NamedTuple):
    """Where a plot lies in its lines: after *gutter* cells and its axis, *columns* wide."""

    gutter: int
    columns: int
    width: int
    is_ascii: bool


class Group(NamedTuple):
    """Series whose NaN share a row, and its label."""

    label: str
    series: Sequence[Series]


def nan_rows(series: Sequence[Series], height: int) -> list[Group]:
    """Return the rows of NaN for which there is cause and room: one a series, or one for all."""
    bad = [(number, item) for number, item in enumerate(series) if item.non_finite]
    if not bad or height < 3:
        return []
    if len(series) == 1 or height < _LEAST_FOR_EACH + len(bad):
        return [Group("NaN", [item for _, item in bad])]
    return [Group(f"{'ABCDEF'[number % 6]} NaN", [item]) for number, item in bad]


def nan_line(group: Group, axis: Axis, box: Box) -> Line:
    """Return a row with a sign in each column that has NaN, and how many they are where there is room."""
    counts, infinite, empty = [0] * box.columns, set[int](), set[int]()
    for series in group.series:
        more, inf, covered = bad_columns(series, axis, box.columns)
        infinite |= {n for n in inf if not counts[n]}
        infinite -= {n for n, count in enumerate(more) if count and n not in inf}
        counts = [a + b for a, b in zip(counts, more, strict=True)]
        empty |= covered
    bar = "|" if box.is_ascii else "│"
    head = group.label[-box.gutter :].rjust(box.gutter) if box.gutter else ""
    return Line(
        [
            Span(head + bar, "critical"),
            Span(_signs(counts, infinite, empty, box.is_ascii, len(group.series) == 1), "critical"),
        ]
    )


def _signs(counts: list[int], infinite: set[int], empty: set[int], is_ascii: bool, has_counts: bool) -> str:
    """Return `××12    ×73`: how many there are in a stretch stands after it, or before it at the right end.

    Without *has_counts* only the signs: a sum over several series would be nobody's.
    """
    nan, inf = ("x", "i") if is_ascii else ("×", "∞")
    is_bad = [bool(count) or n in empty for n, count in enumerate(counts)]
    row = [" " if not bad else inf if n in infinite else nan for n, bad in enumerate(is_bad)]
    columns, start = len(row), 0
    while start < columns:
        if not is_bad[start]:
            start += 1
            continue
        end = next((n for n in range(start, columns) if not is_bad[n]), columns)
        if has_counts:
            _tell(row, sum(counts[start:end]), start, end)
        start = end
    return "".join(row)


def _tell(row: list[str], total: int, start: int, end: int) -> None:
    text = f"{total:,}"
    if total < 2:
        return
    for low, high in ((end, end + len(text)), (start - len(text), start)):
        # A blank beside the number: it is not to be taken for another stretch's.
        free = row[max(0, low - (high == start)) : high + (low == end)]
        if low >= 0 and high <= len(row) and all(sign == " " for sign in free):
            row[low:high] = text
            return


def axis_lines(axis: Axis, marks: Sequence[Mark], cursor: float | None, box: Box) -> list[Line]:
    """Return the axis with its alerts, and its labels below."""
    corner, line, tick = ("+", "-", "+") if box.is_ascii else ("└", "─", "┬")
    signs = [line] * box.columns
    labels = [" "] * (box.gutter + 1 + box.columns + (box.width - box.gutter - 1 - box.columns))
    free = 0
    for item in axis.ticks(box.columns):
        column = axis.column(item.x, box.columns)
        place = box.gutter + 1 + column
        if not 0 <= column < box.columns or place < free or place + len(item.text) > len(labels):
            continue
        signs[column] = tick
        labels[place : place + len(item.text)] = item.text
        free = place + len(item.text) + 1
    head = Span(" " * box.gutter + corner, "quiet")
    return [Line([head, *_marked(signs, axis, marks, cursor)]), Line([Span("".join(labels), "quiet")])]


def brief_axis(axis: Axis, marks: Sequence[Mark], cursor: float | None, box: Box) -> list[Line]:
    """Return the axis in one line, its labels on it, beside the alerts."""
    corner, line = ("+", "-") if box.is_ascii else ("└", "─")
    taken = {axis.column(mark.x, box.columns) for mark in marks}
    signs, free = [line] * box.columns, 0
    for item in axis.ticks(box.columns):
        column = axis.column(item.x, box.columns)
        column += column in taken
        places = range(column, column + len(item.text))
        if free <= column and places.stop <= box.columns and taken.isdisjoint(places):
            signs[column : places.stop] = item.text
            free = places.stop + 1
    return [Line([Span(" " * box.gutter + corner, "quiet"), *_marked(signs, axis, marks, cursor)])]


def _marked(signs: list[str], axis: Axis, marks: Sequence[Mark], cursor: float | None) -> list[Span]:
    """Return the axis' signs with alerts over them, the worst where several fall together."""
    roles: dict[int, Role] = {}
    if cursor is not None:
        roles[axis.column(cursor, len(signs))] = "chosen"
    for mark in sorted(marks, key=lambda m: m.role == "critical"):
        column = axis.column(mark.x, len(signs))
        if 0 <= column < len(signs):
            signs[column] = mark.sign
            roles[column] = mark.role
    spans, start = [], 0
    for column in sorted(column for column in roles if 0 <= column < len(signs)):
        spans += [Span("".join(signs[start:column]), "quiet"), Span(signs[column], roles[column])]
        start = column + 1
    return [*spans, Span("".join(signs[start:]), "quiet")]


def mean_text(seen: Sequence[Bucket], level: int, axis: Axis, series: Series) -> str:
    """Return over how much the smoothed line is a mean: `mean of 50`, `mean of 3 epochs`."""
    span = span_of(seen, level)
    if series.is_sparse and axis.unit == "epoch":
        return f"mean of {span} epochs"
    width = round((seen[-1].end - seen[0].start) / len(seen)) if seen else 1
    return f"mean of {span * max(1, width):,}"
