"""The first tab of a run: what a person wants to know of it in one look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import CopyWanted, LogWanted
from nanwatch.views.dashboard.overview_figures import more_rows, progress_rows, speed_row, trouble_rows
from nanwatch.views.dashboard.overview_measured import loss_rows, metric_rows
from nanwatch.views.dashboard.overview_rows import Figures, Row, label_cells, lines_of
from nanwatch.views.dashboard.overview_signs import signs_of
from nanwatch.views.dashboard.overview_standing import (
    is_empty,
    is_unread,
    live,
    place_of_trouble,
    reading_lines,
    verdict_lines,
    weights_lines,
)
from nanwatch.views.dashboard.overview_tail import LEAST, LastLines, Tail, last_lines, tail_lines
from nanwatch.views.dashboard.panel import Key, glyphs_of
from nanwatch.views.epochs import table_lines
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.words import pad

WIDE = 130
"""From so many cells on there are two columns."""
_WALL = 3
_COPIED = 100


def overview_lines(
    snapshot: Snapshot, now: float, width: int, height: int | None = None, is_ascii: bool = False
) -> list[Line]:
    """Return all that is told of a run at *now* (Unix seconds), what matters most first.

    Where all of it fits in *height* with blank lines between its parts, there are some.
    """
    page = Page(max(1, width), glyphs_of(is_ascii))
    parts = [reading_lines(snapshot, page)]
    view = live(snapshot, now)
    if view is not None and not is_empty(snapshot):
        about = "~" if snapshot.is_estimate else ""
        is_early = is_unread(snapshot)
        parts.append(verdict_lines(view, page, about, is_early) + weights_lines(snapshot.weights, page))
        signs = signs_of(is_ascii)
        figures = Figures(view, snapshot.curves, now, page, signs, about, snapshot.size, is_early)
        parts += _two_columns(figures) if width >= WIDE else _one_column(figures)
    return [page.bound(line) for line in _spaced([part for part in parts if part], height)]


def _spaced(parts: list[list[Line]], height: int | None) -> list[Line]:
    """Join *parts*, with blank lines between them where there is room."""
    is_roomy = height is not None and sum(len(part) + 1 for part in parts) - 1 <= height
    lines: list[Line] = []
    for part in parts:
        if lines and is_roomy:
            lines.append(Line([]))
        lines += part
    return lines


def _one_column(figures: Figures) -> list[list[Line]]:
    measured, more = [*loss_rows(figures), *metric_rows(figures)], more_rows(figures)
    label = label_cells([*measured, *more])
    state = lines_of(_state(figures, label), figures.page, label)
    return [state, lines_of(measured, figures.page, label), lines_of(more, figures.page, label), _table(figures)]


def _two_columns(figures: Figures) -> list[list[Line]]:
    """Return one part: the state of the run at the left, what it measured at the right."""
    room = figures.page.width - _WALL
    left = figures._replace(page=figures.page._replace(width=room // 2))
    right = figures._replace(page=figures.page._replace(width=room - room // 2))
    more, measured = more_rows(left), [*loss_rows(right), *metric_rows(right)]
    label = label_cells(more)
    first = lines_of([*_state(left, label), *more], left.page, label)
    second = lines_of(measured, right.page, label_cells(measured))
    table = _table(right)
    second += [Line([]), *table] if table else []
    return [_beside(first, second, left.page.width, figures.signs.wall)]


def _beside(left: list[Line], right: list[Line], cells: int, wall: str) -> list[Line]:
    lines = []
    for place in range(max(len(left), len(right))):
        spans = list(left[place].spans) if place < len(left) else []
        used = left[place].cells if place < len(left) else 0
        spans += [Span(pad("", cells - used)), Span(f" {wall} ", "quiet")]
        lines.append(Line([*spans, *(right[place].spans if place < len(right) else [])]))
    return lines


def _state(figures: Figures, label: int) -> list[Row]:
    return [*progress_rows(figures, label), speed_row(figures), *trouble_rows(figures)]


def _table(figures: Figures) -> list[Line]:
    """Return the last epochs side by side, without the blank line before them."""
    lines = table_lines(figures.view, figures.page)
    return lines[1:] if lines and not lines[0].spans else lines


def as_text(lines: list[Line]) -> str:
    """Return *lines* as a text to be pasted somewhere."""
    return "".join("".join(span.text for span in line.spans).rstrip() + "\n" for line in lines)


class OverviewPanel(LinesView):
    """The overview of one run, and where there is room below it, the last lines of its log."""

    KEYS = (Key("enter", "log at the trouble"), Key("y", "copy"))

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy", show=False)]

    def __init__(
        self,
        *,
        is_ascii: bool = False,
        last_lines: LastLines = last_lines,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._tail = Tail(last_lines)
        self._shown: tuple[Snapshot, float] | None = None

    @property
    def settings(self) -> dict[str, object]:
        """Nothing: the overview has no choices."""
        return {}

    def restore(self, settings: Mapping[str, object]) -> None:
        """Do nothing."""

    def show_run(self, snapshot: Snapshot, now: float) -> None:
        """Show *snapshot* as it is at *now* (Unix seconds)."""
        is_other = self._shown is not None and self._shown[0].path != snapshot.path
        self._shown = (snapshot, now)
        self._lay_out()
        if is_other:
            self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Lay out anew for the new size."""
        self._lay_out()

    def _lay_out(self) -> None:
        if self._shown is not None and self.size.width:
            width, height = self.size
            lines = overview_lines(*self._shown, width, height, self._is_ascii)
            if len(lines) > height:  # the scrollbar takes a cell
                lines = overview_lines(*self._shown, width - 1, None, self._is_ascii)
            self.show_lines([*lines, *self._tail_lines(height - len(lines))])

    def _tail_lines(self, room: int) -> list[Line]:
        """Return the log's last lines for the *room* that is left; none where the panel is as high as its lines."""
        if self._shown is None or room < LEAST or (self.styles.height is not None and self.styles.height.is_auto):
            return []
        page = Page(self.size.width, glyphs_of(self._is_ascii))
        return tail_lines(self._tail.lines(*self._shown), page, room)

    def action_choose(self) -> None:
        """Show the log where it tells what is wrong, else its end."""
        view = self._shown[0].view if self._shown is not None else None
        if view is not None:
            self.post_message(LogWanted(place_of_trouble(view)))

    def action_copy(self) -> None:
        """Copy the overview as it would stand in a message."""
        if self._shown is not None:
            text = as_text(overview_lines(*self._shown, _COPIED, is_ascii=self._is_ascii))
            self.post_message(CopyWanted(text, "overview"))
