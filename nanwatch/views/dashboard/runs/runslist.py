"""The list of runs as a widget: it shows what changed, and keeps the cursor on its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.css.scalar import Scalar
from textual.message import Message
from textual.widget import Widget

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import RunOpened
from nanwatch.views.dashboard.panel import glyphs_of
from nanwatch.views.dashboard.runs.columns import COLUMNS, SORTABLE
from nanwatch.views.dashboard.runs.entry import Entry, entry_of
from nanwatch.views.dashboard.runs.filterbar import FilterBar
from nanwatch.views.dashboard.runs.header import Scene, empty_lines, header_line, hidden_lines, tiny_line
from nanwatch.views.dashboard.runs.names import names_of
from nanwatch.views.dashboard.runs.order import WORST, Order, count
from nanwatch.views.dashboard.runs.pointer import RunLines
from nanwatch.views.dashboard.runs.strip import strip_lines
from nanwatch.views.dashboard.runs.table import Table
from nanwatch.views.page import Page

_TINY = (40, 8)
_HEADER_FROM, _STRIP_FROM = 11, 19
"""Rows from which there is a header, and a strip below the list; the terminal has one more, for its keys."""


class RunsList(Widget):
    """All runs, a line each, worst first, with the reasons of the one at the cursor below."""

    DEFAULT_CSS = """
    RunsList {
        layout: vertical;
        & > LinesView { height: 1; }
        & > #runs-list { height: 1fr; }
    }
    """

    class Highlighted(Message, namespace="runs_panel"):
        """The cursor stands on another run; None where there is none."""

        def __init__(self, panel: RunsList, path: Path | None) -> None:
            super().__init__()
            self.panel, self.path = panel, path

        @property
        def control(self) -> RunsList:
            """The list in which it stands."""
            return self.panel

    def __init__(self, *, is_ascii: bool = False, has_strip: bool = True, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.glyphs = glyphs_of(is_ascii)
        self.names: Mapping[Path, str] = {}
        self.selected: Path | None = None
        self.order = Order()
        self._has_strip = has_strip
        self._table = Table(self.glyphs)
        self._entries: dict[Path, Entry] = {}
        self._marked: dict[Path, None] = {}
        self._waiting_for: Sequence[str] = ()
        self._now = 0.0
        self._is_chosen = False
        self._header, self._list = LinesView(id="runs-header"), RunLines(self._point_at, self._open, id="runs-list")
        self._strip, self._bar = LinesView(id="runs-strip"), FilterBar(self.glyphs)

    def compose(self) -> ComposeResult:
        """Lay out the header, the list, the strip below it, and the line for the filter."""
        self._header.can_focus = self._strip.can_focus = False
        yield self._header
        yield self._list
        yield self._strip
        yield self._bar

    def on_mount(self) -> None:
        """Follow the scrolling: what comes into view is formatted only then."""
        self.watch(self._list, "scroll_y", self._see_scrolled, init=False)

    # -- what others ask of it

    @property
    def marked(self) -> list[Path]:
        """The runs that were marked, in the order of marking."""
        return list(self._marked)

    @property
    def settings(self) -> dict[str, Any]:
        """What the application may remember until the next start."""
        return self.order.settings

    def restore(self, settings: Mapping[str, Any]) -> None:
        """Sort and hide as the *settings* of another time say."""
        self.order.restore(settings, SORTABLE)
        self._show()

    @property
    def has_strip(self) -> bool:
        """Whether the reasons of the cursor's run stand below the list, where there are rows enough."""
        return self._has_strip

    @has_strip.setter
    def has_strip(self, has_strip: bool) -> None:
        if has_strip != self._has_strip:
            self._has_strip = has_strip
            self._show()

    def show_runs(self, snapshots: Mapping[Path, Snapshot], now: float, waiting_for: Sequence[str] = ()) -> None:
        """Show these runs as they are at *now* (Unix seconds); the same snapshot again costs nothing.

        *waiting_for* are the patterns that found no log yet.
        """
        self._now, self._waiting_for = now, waiting_for
        is_other_set = snapshots.keys() != self._entries.keys()
        if is_other_set:
            self.names = names_of(snapshots)
            self._entries = {p: entry_of(p, self.names[p], s) for p, s in snapshots.items()}
            self._marked = {path: None for path in self._marked if path in snapshots}
        else:
            for path, snapshot in snapshots.items():
                if snapshot is not self._entries[path].snapshot:
                    self._entries[path] = entry_of(path, self.names[path], snapshot)
        if is_other_set:
            self._fit()
        self._show()

    def select(self, path: Path) -> None:
        """Put the cursor on a run, if it is shown."""
        if path in self.order.shown:
            self._is_chosen = True
            self._list.move_to(self.order.shown.index(path))
            self._highlight(path)
            self._show_strip()

    def next_run(self, step: int) -> Path | None:
        """Return the run so many lines below the cursor's, or None where the list ends."""
        shown = self.order.shown
        if self.selected not in shown:
            return shown[0] if shown else None
        place = shown.index(self.selected) + step
        return shown[place] if 0 <= place < len(shown) else None

    def focus_list(self) -> None:
        """Let the keys go to the list."""
        self._list.focus()

    # -- showing

    def on_resize(self) -> None:
        """Choose the columns and parts for the new size."""
        self._fit()
        self._show()
        self.call_after_refresh(self._show)  # the list's own height may have changed by what is shown around it

    def _fit(self) -> None:
        # The last cell is the scrollbar's.
        self._table.fit(max(1, self.size.width - 1), self._entries.values())

    def _show(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        self.order.arrange(self._entries, self._now)
        self._keep_cursor()
        self._show_header()
        self._show_list()
        self._show_strip()

    def _keep_cursor(self) -> None:
        """Leave the cursor on the run that somebody chose, before that on the worst; if it is gone, in its place."""
        shown = self.order.shown
        if shown and not self._is_chosen:
            self._highlight(shown[0])
        elif self.selected not in shown:
            self._highlight(shown[min(self._list.cursor, len(shown) - 1)] if shown else None)

    def _show_header(self) -> None:
        width, height = self.size
        counts, page = count(self._entries.values()), Page(width, self.glyphs)
        is_tiny = width < _TINY[0] and height < _TINY[1]
        self._header.display = is_tiny or self.screen.size.height > _HEADER_FROM  # beside a run there is room for it
        if is_tiny:
            worst = self._entries[self.order.shown[0]] if self.order.shown else None
            self._header.show_lines([tiny_line(counts, worst, page)])
        elif self._header.display:
            self._header.show_lines([header_line(counts, self._scene(), page, self._now)])

    def _scene(self) -> Scene:
        options = [("only problems", self.order.only_problems), ("finished hidden", self.order.hides_finished)]
        sort = ""
        if self.order.sort != WORST or self.order.is_reversed:
            head = next((c.head for c in COLUMNS if c.key == self.order.sort), self.order.sort)
            sort = f"{head}, reversed" if self.order.is_reversed else head
        behind = [e.snapshot for e in self._entries.values() if e.snapshot.is_history and e.snapshot.size]
        hidden = len(self._entries) - len(self.order.shown)
        return Scene(hidden, self.order.filter, [text for text, is_on in options if is_on], sort, behind)

    def _show_list(self) -> None:
        shown, page = self.order.shown, Page(max(1, self.size.width - 1), self.glyphs)
        self._list.has_cursor = bool(shown)
        if not self._entries:
            self._list.show_lines(empty_lines(self._waiting_for, page))
            return
        if not shown:
            self._list.show_lines(hidden_lines(len(self._entries), self._scene(), page))
            return
        was_seen, before = self._sees(self._list.cursor), self._list.cursor
        cursor = shown.index(self.selected) if self.selected in shown else 0
        self._fill(cursor)
        if was_seen and cursor != before:
            self._list.scroll_to_line(cursor)

    def _sees(self, index: int) -> bool:
        top = self._list.scroll_offset.y
        return top <= index < top + self._list.page_height

    def _fill(self, cursor: int | None = None) -> None:
        """Format the lines that are seen; the others stay as they were."""
        shown, now = self.order.shown, self._now
        top = max(0, min(self._list.scroll_offset.y, len(shown) - 1))
        seen = shown[top : top + self.size.height + 1]  # the list may get rows of the strip
        fresh = self._table.lines([self._entries[path] for path in seen], self._marked, now)
        lines = [self._table.last_line(path) for path in shown]
        lines[top : top + len(fresh)] = fresh
        has_head = self._list.size.height > 3
        self._list.show_lines(lines, [self._table.head(self.order.sort)] if has_head else [], cursor)

    def _see_scrolled(self) -> None:
        if self.order.shown:
            self.order.touch(self._now)
            self._fill()

    def _show_strip(self) -> None:
        """Show the reasons in as many rows as they need and the list leaves."""
        entry = None if self.selected is None else self._entries.get(self.selected)
        self._strip.display = self._has_strip and self.size.height >= _STRIP_FROM and entry is not None
        if not self._strip.display or entry is None:
            return
        free = self.size.height - int(self._header.display) - 1 - len(self.order.shown)
        page = Page(self.size.width, self.glyphs)
        lines = strip_lines(entry, page, max(5 if self.size.height < 40 else 7, free), self._now)
        if self._strip.styles.height != Scalar.from_number(len(lines)):
            self._strip.styles.height = len(lines)
            self.call_after_refresh(self._keep_in_sight)
        self._strip.show_lines([page.bound(line) for line in lines])

    def _keep_in_sight(self) -> None:
        if self.order.shown:
            self._list.scroll_to_line(self._list.cursor)

    # -- cursor and mouse

    def _highlight(self, path: Path | None) -> None:
        if path != self.selected:
            self.selected = path
            self.post_message(self.Highlighted(self, path))

    def _point_at(self, index: int) -> None:
        """The cursor was moved: from now on it belongs to the run there."""
        if index < len(self.order.shown):
            self.order.touch(self._now)
            self._is_chosen = True
            self._highlight(self.order.shown[index])
            self._show_strip()

    def _open(self, index: int) -> None:
        if index < len(self.order.shown):
            self.post_message(RunOpened(self.order.shown[index]))

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Keep what was heard of at once to ourselves."""
        event.stop()

    def on_lines_view_head_clicked(self, event: LinesView.HeadClicked) -> None:
        """Sort by the column whose head was clicked; once more, the other way round."""
        event.stop()
        column = self._table.column_at(event.column) if event.view is self._list else None
        if column in (WORST, *SORTABLE) and column is not None:
            self.order.sort_by(column)
            self._show()

    def on_key(self, _: events.Key) -> None:
        """Leave the order alone while somebody uses the keys."""
        self.order.touch(self._now)
