"""What people do with the list of runs: filter, sort, mark, go to trouble, and wish for something."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from nanwatch.views.dashboard.messages import BackWanted, RunOpened
from nanwatch.views.dashboard.panel import Key
from nanwatch.views.dashboard.runs.columns import SORTABLE
from nanwatch.views.dashboard.runs.entry import Entry, has_firing
from nanwatch.views.dashboard.runs.filterbar import FilterBar
from nanwatch.views.dashboard.runs.filters import WrongFilter
from nanwatch.views.dashboard.runs.keys import BINDINGS, KEYS
from nanwatch.views.dashboard.runs.order import WORST
from nanwatch.views.dashboard.runs.runslist import RunsList
from nanwatch.views.dashboard.runs.wishes import acknowledging, copying, silencing
from nanwatch.views.page import Page

_QUIET = "No alert fires here"


class RunsPanel(RunsList):
    """All runs, a line each, worst first, with the reasons of the one at the cursor below."""

    BINDINGS: ClassVar[list[BindingType]] = BINDINGS
    KEYS: ClassVar[tuple[Key, ...]] = KEYS

    # -- filter

    def action_filter(self) -> None:
        """Ask for what to show."""
        self._bar.open(self.order.filter)

    def on_filter_bar_edited(self, event: FilterBar.Edited) -> None:
        """Show what the filter leaves while it is typed; say what is wrong with it."""
        event.stop()
        wrong = ""
        try:
            self.order.set_filter(event.text)
        except WrongFilter as error:
            wrong = str(error)
            self.order.set_filter("")  # the one before was half a word
        self._bar.tell(wrong)
        self._show()

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        """Go back to the list."""
        event.stop()
        if event.is_cleared:
            self.order.set_filter("")
            self._show()
        self._list.focus()

    def action_back(self) -> None:
        """Clear the filter; without one, go back."""
        if not self.order.filter:
            self.post_message(BackWanted())
            return
        self.order.set_filter("")
        self._show()

    # -- keys

    def action_step(self, step: int) -> None:
        """Go to the next run."""
        path = self.next_run(step)
        if path is not None:
            self.select(path)

    def action_trouble(self, severity: str, step: int) -> None:
        """Go to the next run with a firing alert of this severity, from the end to the beginning too."""
        shown = self.order.shown
        here = shown.index(self.selected) if self.selected in shown else 0
        for distance in range(1, len(shown) + 1):
            path = shown[(here + step * distance) % len(shown)]
            if has_firing(self._entries[path], severity):
                self.select(path)
                return
        self._tell(f"No run has a {severity} alert")

    def action_only_problems(self) -> None:
        """Show only the runs with problems, or all again."""
        self.order.only_problems = not self.order.only_problems
        self.action_renew()

    def action_hide_finished(self) -> None:
        """Hide the runs that are finished, or show them again."""
        self.order.hides_finished = not self.order.hides_finished
        self.action_renew()

    def action_sort(self) -> None:
        """Sort by the next of the columns that are seen."""
        seen = [WORST, "run", *(p.column.key for p in self._table.places if p.column.key in SORTABLE)]
        place = seen.index(self.order.sort) if self.order.sort in seen else 0
        self.order.sort, self.order.is_reversed = seen[(place + 1) % len(seen)], False
        self.action_renew()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.order.is_reversed = not self.order.is_reversed
        self.action_renew()

    def action_renew(self) -> None:
        """Sort now."""
        self.order.renew()
        self._show()

    def action_mark(self) -> None:
        """Mark the run, or take the mark away."""
        if self.selected is None:
            return
        if self.selected in self._marked:
            del self._marked[self.selected]
        else:
            self._marked[self.selected] = None
        self._show()

    def action_open(self, tab: str) -> None:
        """Open this tab of the run."""
        if self.selected is not None:
            self.post_message(RunOpened(self.selected, tab=tab))

    def action_acknowledge(self, undo: bool = False) -> None:
        """Acknowledge what fires in the run or in the marked ones, or take that back."""
        self._wish(acknowledging(self._chosen(), undo), "Nothing is acknowledged here" if undo else _QUIET)

    def action_silence(self) -> None:
        """Silence what fires in the run or in the marked ones."""
        self._wish(silencing(self._chosen()), _QUIET)

    def action_copy(self) -> None:
        """Copy everything that is to be told of the run."""
        entry = None if self.selected is None else self._entries.get(self.selected)
        wishes = [] if entry is None else copying(entry, Page(80, self.glyphs), self._now)
        self._wish(wishes, "Nothing is known of it yet")

    def _chosen(self) -> list[Entry]:
        """Return the marked runs, or else that of the cursor."""
        paths = self.marked or ([] if self.selected is None else [self.selected])
        return [self._entries[path] for path in paths if path in self._entries]

    def _wish(self, wishes: list[Message], otherwise: str) -> None:
        for wish in wishes:
            self.post_message(wish)
        if not wishes:
            self._tell(otherwise)

    def _tell(self, text: str) -> None:
        self.notify(text, timeout=3, markup=False)
