"""The rows of the overview: what they are made from, and how labels and items are laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.curve import Curve
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.dashboard.overview_signs import Signs, sampled, spark
from nanwatch.views.health import firing
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import clean, pad

LEAST_LABEL, MOST_LABEL = 8, 16
SPARK = 24
"""Cells of a sparkline."""
_GAP = 2


class Figures(NamedTuple):
    """What the rows are made from: the run as it is at `now`; `about` stands before counts that are only a part.

    `whole` is the log's size in bytes; `is_early` tells that only its beginning was read.
    """

    view: RunView
    curves: Mapping[str, Curve]
    now: float
    page: Page
    signs: Signs
    about: str
    whole: int
    is_early: bool = False

    @property
    def run(self) -> Run:
        """The run."""
        return self.view.run

    def curve(self, name: str) -> Curve | None:
        """Return the curve of *name*, however it is spelled."""
        found = self.curves.get(name)
        return found or next((c for n, c in self.curves.items() if n.lower() == name.lower()), None)


class Row(NamedTuple):
    """A label, and items two blanks apart, each of one or more spans; `mark` is the letter of an alert on it."""

    label: str
    items: Sequence[Sequence[Span]]
    mark: Span = Span(" ")


def lines_of(rows: list[Row], page: Page, label: int) -> list[Line]:
    """Lay *rows* out: what does not fit behind a label goes on below."""
    return [line for row in rows if row.items for line in _laid_out(row, page, label)]


def label_cells(rows: list[Row]) -> int:
    """Return how wide the labels of *rows* are to be."""
    return max(LEAST_LABEL, min(MOST_LABEL, max((cell_len(row.label) for row in rows), default=0)))


def _laid_out(row: Row, page: Page, label: int) -> Iterator[Line]:
    start = label + 4
    name = pad(page.name(clean(row.label), label), label + 1)
    spans = [Span(" "), row.mark, Span(" "), Span(name, "quiet")]
    used = start
    for item in row.items:
        cells = sum(cell_len(span.text) for span in item)
        if used > start and used + _GAP + cells > page.width:
            yield Line(spans)
            spans, used = [Span(" " * start)], start
        if used > start:
            spans.append(Span(" " * _GAP))
            used += _GAP
        spans += item
        used += cells
    yield page.bound(Line(spans))


def one(text: str, role: Role = "") -> list[Span]:
    """Return *text* as an item of a row."""
    return [Span(text, role)]


def spark_of(figures: Figures, name: str, role: Role = "quiet") -> list[list[Span]]:
    """Return what the figure *name* was, as an item of a row; nothing where there is no curve of it."""
    curve = figures.curve(name)
    values = [] if curve is None else sampled(curve, min(SPARK, figures.page.width // 4))
    return [spark(values, figures.signs, role)] if len(values) > 1 else []


def mark_of(view: RunView, *rules: str) -> Span:
    """Return the letter of the worst alert of *rules* that fires, or a blank."""
    for alert in firing(view):
        if alert.rule in rules:
            return Span("X", "critical") if alert.severity == "critical" else Span("!", "warning")
    return Span(" ")
