"""The list of runs as lines: columns that fit the width, heads above them, a line for each run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.views.dashboard.runs.columns import (
    COLUMNS,
    METRIC_NAME,
    TREND,
    UPDATED,
    WHY,
    WHY_LEAST,
    Column,
    Signs,
    columns_for,
    fits,
    letter,
    updated,
)
from nanwatch.views.dashboard.runs.entry import FIGURES, Entry, is_silent
from nanwatch.views.dashboard.runs.names import cut_names
from nanwatch.views.dashboard.runs.trend import steps_of
from nanwatch.views.page import Line, Role, Span
from nanwatch.views.words import Glyphs, clean, cut_end, cut_middle, pad

_LONGEST_NAME, _NAME_BESIDE_WHY = 40, 24
_ROOMY, _WIDEST = 100, 170
_LEAST_TREND = 8
_OPTIONAL = ("trend", "batch", "speed", "skips", "vram", "metric", "lr", "val")
"""Columns that stand there only if a run has something to say in them."""


class Place(NamedTuple):
    """A column where it stands: from which cell of the line, and how many."""

    column: Column
    start: int
    cells: int


@dataclass(slots=True)
class _Row:
    """What was formatted of a run, and of which state of it."""

    entry: Entry
    cells: dict[str, Span] = field(default_factory=dict)
    seen: tuple[str, bool, bool] = ("", False, False)
    line: Line | None = None


class Table:
    """Formats runs for a width. Columns grow with what stands in them, and never shrink: nothing jitters."""

    def __init__(self, glyphs: Glyphs) -> None:
        self.width = 80
        self.signs = Signs(glyphs)
        self.places: list[Place] = []
        self.name_cells = 10
        self._longest = 0
        self._trend = 0
        self._names: dict[Path, str] = {}
        self._cut: dict[Path, str] = {}
        self._cut_for = 0
        self._grown: dict[str, int] = {}
        self._told: set[str] = set()
        self._rows: dict[Path, _Row] = {}

    def fit(self, width: int, entries: Iterable[Entry]) -> None:
        """Lay out anew for a *width* and these runs: at the start, after a resize, when logs came or went."""
        known = list(entries)
        self.width = width
        self._longest = max((cell_len(entry.name) for entry in known), default=0)
        self._names, self._cut_for = {entry.path: entry.name for entry in known}, 0
        self._grown, self._told, self._rows, self._trend = {}, set(), {}, 0
        self._hear(known)
        metrics = {e.view.run.primary_metric for e in known if e.view is not None and e.view.run.evaluations}
        shared = metrics.pop() if len(metrics) == 1 else None
        metric = None if shared is None else cut_middle(clean(shared), METRIC_NAME, self.signs.glyphs.more)
        self.signs = self.signs._replace(is_roomy=width >= _ROOMY, metric=metric)
        self._lay_out()

    def lines(self, entries: Iterable[Entry], marked: Iterable[Path], now: float) -> list[Line]:
        """Return the lines of *entries*, in their order."""
        known, chosen = list(entries), set(marked)
        rows = [self._row(entry) for entry in known]
        if self._grow(rows):
            self._lay_out()
            rows = [self._row(entry) for entry in known]
        return [self._line(row, row.entry.path in chosen, now) for row in rows]

    def last_line(self, path: Path) -> Line:
        """Return the line of a run that is not seen now, as it was last formatted: it costs nothing."""
        row = self._rows.get(path)
        return _EMPTY if row is None or row.line is None else row.line

    def head(self, sort: str) -> Line:
        """Return the heads; that of the column by which the runs are sorted stands out."""
        run: Role = "chosen" if sort == "run" else ""
        spans = [Span("H "), Span(pad(cut_end("RUN", self.name_cells, ""), self.name_cells), run)]
        for column, _, cells in self.places:
            head = (self.signs.metric or column.head) if column.key == "metric" else column.head
            blank = self._gap + (cells - cell_len(head) if column.right else 0)
            spans += [Span(" " * blank), Span(head, "chosen" if column.key == sort else "")]
            if not column.right:
                spans.append(Span(" " * (cells - cell_len(head))))
        return Line(_merged(spans))

    def column_at(self, cell: int) -> str | None:
        """Return the key of the column at this cell of the line, or None between and before them."""
        if cell < 2:
            return "worst"
        if cell < 2 + self.name_cells:
            return "run"
        found = [place for place in self.places if place.start - self._gap <= cell < place.start + place.cells]
        return found[0].column.key if found else None

    # -- layout

    @property
    def _gap(self) -> int:
        return 2 if self.width >= _ROOMY else 1

    def _lay_out(self) -> None:
        """Choose the most telling columns that leave room for the names, and share out what is left."""
        wanted = [c for c in columns_for(self.width) if c.key not in _OPTIONAL or c.key in self._told]
        name_least = min(self._longest, max(8, min(self.width // 4, _NAME_BESIDE_WHY)))
        room, chosen = self.width - 2 - max(3, name_least), {}
        for column in wanted:
            cells = self._cells_of(column)
            if room < cells + self._gap:
                continue
            room -= cells + self._gap
            chosen[column.key] = cells
        room += max(3, name_least)
        self.name_cells = max(3, min(self._longest, room, _LONGEST_NAME if "why" in chosen else self.width))
        room -= self.name_cells
        if "trend" in chosen:
            more = max(0, min(TREND.most, self._trend, chosen["trend"] + room) - chosen["trend"])
            more = more if "why" not in chosen else min(4, more)
            chosen["trend"] += more
            room -= more
        if "why" in chosen:
            chosen["why"] += max(0, room)
        self._place(chosen)
        if self._cut_for != self.name_cells:
            self._cut_for = self.name_cells
            self._cut = cut_names(self._names, self.name_cells, self.signs.glyphs.more)

    def _cells_of(self, column: Column) -> int:
        if column is TREND:
            return max(column.least, min(_LEAST_TREND, self._trend))
        if column is WHY and self.width >= _WIDEST - 1:  # the last cell of the terminal is the scrollbar's
            return WHY_LEAST
        head = cell_len(self.signs.metric) if column.key == "metric" and self.signs.metric else cell_len(column.head)
        return max(column.least, head, self._grown.get(column.key, 0))

    def _place(self, chosen: dict[str, int]) -> None:
        start, self.places = 2 + self.name_cells, []
        for column in COLUMNS:
            if column.key in chosen:
                start += self._gap
                self.places.append(Place(column, start, chosen[column.key]))
                start += chosen[column.key]
        trend = chosen.get("trend", TREND.least)
        self._rows = {}
        self.signs = self.signs._replace(trend=trend)

    def _grow(self, rows: list[_Row]) -> bool:
        """Let columns grow with what stands in them now; return whether one did."""
        grew = self._hear(row.entry for row in rows)
        for column, _, cells in self.places:
            if column in (TREND, WHY, UPDATED):
                continue
            need = min(column.most, max((cell_len(row.cells[column.key].text) for row in rows), default=0))
            if need > cells:
                self._grown[column.key] = need
                grew = True
        return grew

    def _hear(self, entries: Iterable[Entry]) -> bool:
        """Note which figures there are; return whether one is new."""
        known, before = list(entries), (len(self._told), self._trend)
        self._trend = max(self._trend, min(TREND.most, max(map(steps_of, known), default=0)))
        if self._trend:
            self._told.add("trend")
        for key in _OPTIONAL:
            if key in FIGURES and key not in self._told and any(FIGURES[key](entry) is not None for entry in known):
                self._told.add(key)
        return (len(self._told), self._trend) != before

    # -- a run's line

    def _row(self, entry: Entry) -> _Row:
        row = self._rows.get(entry.path)
        if row is None or row.entry is not entry:
            cells = {place.column.key: place.column.word(entry, self.signs) for place in self.places}
            row = self._rows[entry.path] = _Row(entry, cells)
        return row

    def _line(self, row: _Row, is_marked: bool, now: float) -> Line:
        seen = (updated(row.entry, now), is_marked, is_silent(row.entry, now))
        if row.line is None or row.seen != seen:
            row.seen = seen
            row.line = self._paint(row)
        return row.line

    def _paint(self, row: _Row) -> Line:
        age, is_marked, is_mute = row.seen
        entry, more = row.entry, self.signs.glyphs.more
        name_role: Role = "title" if entry.standing in ("critical", "warning") else ""
        if entry.standing in ("seen", "silenced"):
            name_role = "quiet"
        short = self._cut.get(entry.path) or cut_middle(entry.name, self.name_cells, more)
        name = pad(cut_middle(short, self.name_cells, more), self.name_cells)
        mark = Span("*", "title") if is_marked else Span(" ")
        spans = [letter(entry, self.signs.is_ascii), mark, Span(name, name_role)]
        for column, _, cells in self.places:
            text, role = row.cells[column.key]
            if column is UPDATED:
                text = age
            elif column.key == "eta" and is_mute and not entry.is_finished:
                text = "-"
            elif column is WHY:
                text = cut_end(text, cells, more)
            elif not fits(text, cells):
                text = cut_end(more, cells, "")
            blank = " " * (cells - cell_len(text))
            lead = " " * self._gap + (blank if column.right else "")
            spans += [Span(lead), Span(text, role), Span("" if column.right else blank)]
        return Line(_merged(spans))


_EMPTY = Line(())


def _merged(spans: list[Span]) -> list[Span]:
    """Return *spans* with neighbours of one role in one, and blanks that end the line left out."""
    merged: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if merged and (merged[-1].role == span.role):
            merged[-1] = Span(merged[-1].text + span.text, span.role)
        else:
            merged.append(span)
    if merged and not merged[-1].role:
        merged[-1] = Span(merged[-1].text.rstrip(), "")
    return merged
