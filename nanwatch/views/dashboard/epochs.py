"""The tab with the epochs of a run: a row each, with what became better and what became worse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.epochs_columns import Place
from nanwatch.views.dashboard.epochs_table import Shown, Wish, as_tsv, epochs_shown
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import CopyWanted, LogWanted
from nanwatch.views.dashboard.overview_standing import reading_lines
from nanwatch.views.dashboard.panel import Key, glyphs_of
from nanwatch.views.page import Page

_TOLD = 2
"""Lines of the legend, as a rule."""
_LOW = 8
"""In fewer lines there is no room for a legend."""


class EpochsPanel(Vertical):
    """The epochs of one run. The cursor stays on its epoch; until it is moved, on the first line."""

    KEYS = (
        Key("enter", "log"), Key("e", "next problem"), Key("!", "problems"), Key("b", "baseline"), Key(">", "columns"),
        Key("s", "order"), Key("y", "copy"), Key("<", "columns to the left"), Key("E", "previous problem"),
    )  # fmt: skip

    DEFAULT_CSS = """
    EpochsPanel {
        & > #epochs-table { height: 1fr; }
        & > #epochs-told { height: 2; overflow-y: hidden; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "trouble(1)", "Next problem", show=False),
        Binding("E", "trouble(-1)", "Previous problem", show=False),
        Binding("!", "problems", "Only problems", show=False),
        Binding("b", "baseline", "Baseline", show=False),
        Binding("<", "columns(-1)", "Columns to the left", show=False),
        Binding(">", "columns(1)", "Columns to the right", show=False),
        Binding("s", "order", "Order", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(self, *, is_ascii: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._wish = Wish()
        self._baselines: dict[Path, int] = {}
        self._held: int | None = None
        self._snapshot: Snapshot | None = None
        self._now = 0.0
        self._shown: Shown | None = None
        self._table = LinesView(has_cursor=True, id="epochs-table")
        self._told = LinesView(id="epochs-told")
        self._told.can_focus = False

    def compose(self) -> ComposeResult:
        """Put the legend below the table."""
        yield self._table
        yield self._told

    def focus(self, scroll_visible: bool = True) -> Self:
        """Let the keys go to the table."""
        self._table.focus(scroll_visible)
        return self

    @property
    def settings(self) -> dict[str, object]:
        """What is to be remembered."""
        return {"newest_first": self._wish.is_newest_first, "problems": self._wish.is_problems}

    def restore(self, settings: Mapping[str, object]) -> None:
        """Take what was remembered."""
        newest, problems = settings.get("newest_first", True), settings.get("problems", False)
        self._wish = self._wish._replace(is_newest_first=newest is not False, is_problems=problems is True)
        self._lay_out()

    def show_run(self, snapshot: Snapshot, now: float) -> None:
        """Show *snapshot* as it is at *now* (Unix seconds)."""
        if self._snapshot is not None and self._snapshot.path != snapshot.path:
            self._held = None
        baseline = self._baselines.get(snapshot.path)
        is_new = snapshot is not self._snapshot or baseline != self._wish.baseline
        self._snapshot, self._now = snapshot, now
        self._wish = self._wish._replace(baseline=baseline)
        if is_new:  # nothing here depends on the time
            self._lay_out()

    def on_resize(self) -> None:
        """Lay out anew for the new size."""
        self._lay_out()

    def _lay_out(self) -> None:
        snapshot, width = self._snapshot, self._table.size.width or self.size.width
        if snapshot is None or not width:
            return
        page = Page(width, glyphs_of(self._is_ascii))
        reading = reading_lines(snapshot, page)
        if snapshot.view is None:
            self._shown = None
            self._table.show_lines(reading)
            self._tell(Shown([], [], [], [], [], 0, [], []), 0)
            return
        height = self.size.height - 1 - (_TOLD + len(reading) if self.size.height >= _LOW else 0)
        shown = self._shown = epochs_shown(snapshot.view, self._wish, width, self._is_ascii, height)
        self._wish = self._wish._replace(first=shown.first)
        cursor = next((n for n, place in enumerate(shown.places) if place.number == self._held), None)
        self._table.show_lines(shown.lines, shown.head, 0 if self._held is None else cursor)
        self._tell(shown._replace(told=[*reading, *shown.told]), self.size.height)

    def _tell(self, shown: Shown, height: int) -> None:
        lines = shown.told if height >= _LOW else []
        if self._told.styles.height is None or self._told.styles.height.value != len(lines):
            self._told.styles.height = len(lines)
        self._told.show_lines(lines)

    @property
    def _place(self) -> Place | None:
        """The epoch at the cursor."""
        places = self._shown.places if self._shown is not None else []
        return places[self._table.cursor] if self._table.cursor < len(places) else None

    # -- keys and mouse

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Remember the epoch, not the line."""
        event.stop()
        self._held = None if self._place is None else self._place.number

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Show the log where the epoch's first NaN stands, or where the epoch begins."""
        event.stop()
        place = self._place
        if place is not None:
            self.post_message(LogWanted(place.offset if place.nan_offset is None else place.nan_offset))

    def on_lines_view_head_clicked(self, event: LinesView.HeadClicked) -> None:
        """Flip the order with a click on the numbers; show more columns with one on the first or last of them."""
        event.stop()
        widths = self._shown.widths if self._shown is not None else []
        if widths and event.column <= widths[0]:
            self.action_order()
        elif len(widths) > 1:
            starts = 1 + sum(widths[:-1]) + 2 * (len(widths) - 2)
            is_last = event.column > starts
            self.action_columns(1 if is_last else -1 if event.column <= widths[0] + 2 + widths[1] else 0)

    def action_trouble(self, step: int) -> None:
        """Go to the next or the previous epoch that has NaN or an alert."""
        troubled = self._shown.troubled if self._shown is not None else []
        ahead = [n for n in troubled if (n - self._table.cursor) * step > 0]
        if ahead:
            self._table.move_to(ahead[0] if step > 0 else ahead[-1])

    def action_problems(self) -> None:
        """Show only epochs that have NaN or an alert, or all."""
        self._wish = self._wish._replace(is_problems=not self._wish.is_problems)
        self._lay_out()

    def action_order(self) -> None:
        """Show the newest epoch first, or the oldest."""
        self._wish = self._wish._replace(is_newest_first=not self._wish.is_newest_first)
        self._lay_out()
        self._table.scroll_to_line(self._table.cursor)

    def action_columns(self, step: int) -> None:
        """Show columns farther to the right or to the left."""
        self._wish = self._wish._replace(first=max(0, self._wish.first + step))
        self._lay_out()

    def action_baseline(self) -> None:
        """Compare every epoch with the one at the cursor; with it once more, each with the one before."""
        place, snapshot = self._place, self._snapshot
        if place is None or snapshot is None:
            return
        if self._baselines.get(snapshot.path) == place.number:
            del self._baselines[snapshot.path]
        else:
            self._baselines[snapshot.path] = place.number
        self._held = place.number
        self.show_run(snapshot, self._now)

    def action_copy(self) -> None:
        """Copy the rows that are shown, with every column, as a spreadsheet takes them."""
        if self._shown is not None and self._snapshot is not None and self._snapshot.view is not None:
            self.post_message(CopyWanted(as_tsv(self._snapshot.view, self._shown.places), "epochs"))
