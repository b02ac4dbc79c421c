"""The log viewer's keys: each is a wish to the desk."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from nanwatch.views.dashboard.log.desk import Desk
from nanwatch.views.dashboard.log.paint import Sheet
from nanwatch.views.dashboard.log.prompt import Prompt
from nanwatch.views.dashboard.log.working import Working

_SHEET = 256 * 1024
"""Bytes of a row that are shown or copied as a whole."""
_FARTHEST = 1200


class KeyedLog(Working):
    """A log with keys; `sheet` is what lies over it, `prompt` what is being typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1.0)", "Page down", show=False),
        Binding("pageup", "page(-1.0)", "Page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("home,g", "start", "First row", show=False),
        Binding("end,G", "follow(True)", "Last row, and follow", show=False),
        Binding("f", "follow", "Follow on or off"),
        Binding("left,h", "sideways(-1)", "Left", show=False),
        Binding("right,l", "sideways(1)", "Right", show=False),
        Binding("slash", "ask('/')", "Search"),
        Binding("ampersand", "ask('&')", "Filter"),
        Binding("colon", "ask(':')", "Go to line, share or byte", show=False),
        Binding("n", "hit(True)", "Next hit", show=False),
        Binding("N", "hit(False)", "Previous hit", show=False),
        Binding("e", "alert(True)", "Next alert", show=False),
        Binding("E", "alert(False)", "Previous alert", show=False),
        Binding("w", "trouble(True)", "Next warning", show=False),
        Binding("W", "trouble(False)", "Previous warning", show=False),
        Binding("exclamation_mark", "only_trouble", "Only warnings and NaN"),
        Binding("m", "mark", "Mark", show=False),
        Binding("u", "to_mark(True)", "Next mark", show=False),
        Binding("U", "to_mark(False)", "Previous mark", show=False),
        Binding("y", "copy", "Copy the row", show=False),
        Binding("r", "redraws", "Every redraw, or as the terminal"),
        Binding("enter", "open", "Whole row, or its redraws", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    sheet: Sheet | None = None
    prompt: Prompt | None = None
    has_bottom = False

    @property
    def body_height(self) -> int:
        """How many rows are seen at once."""
        return max(1, self.size.height - 1 - self.has_bottom)

    async def on_key(self, event: events.Key) -> None:
        """Do what a key means here and now: of keys that come together, none may overtake another."""
        if self.prompt is not None:
            event.stop()
            self.typed(self.prompt, event)
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            await self.run_action(binding.action)
            return

    @abstractmethod
    def typed(self, prompt: Prompt, event: events.Key) -> None:
        """Take a key while something is asked."""

    @abstractmethod
    def copied(self, text: str) -> None:
        """Ask for *text* to be put on the clipboard."""

    def changed(self) -> None:
        """Paint anew, and start what a wish left to be done."""
        self.keep_free()
        self.work()
        self.fit()
        self.refresh()

    def _begin(self) -> Desk | None:
        """Return the desk that a key is for, if there is one, with nothing laid over it or left to be said."""
        self.keep_free()
        self.sheet = None
        if self.desk is not None:
            self.desk.note = self.desk.event = ""
        return self.desk

    def action_move(self, count: int) -> None:
        """Move by rows."""
        if self.sheet is not None:
            self.sheet.scroll(count)
        elif desk := self._begin():
            desk.view.move(count)
        self.changed()

    def action_page(self, pages: float) -> None:
        """Move by pages."""
        if self.sheet is not None:
            self.sheet.scroll(round(pages * self.body_height))
        elif desk := self._begin():
            desk.view.page(pages)
        self.changed()

    def action_start(self) -> None:
        """Go to the first row."""
        if self.sheet is not None:
            self.sheet.top = 0
        elif desk := self._begin():
            desk.view.go_start()
        self.changed()

    def action_follow(self, is_on: bool = False) -> None:
        """Go to the end and stay there; `f` again stays here."""
        if self.sheet is not None and is_on:
            self.sheet.scroll(len(self.sheet.lines))
        elif desk := self._begin():
            if desk.view.is_following and not is_on:
                desk.view.stop_following()
            else:
                desk.view.follow()
        self.changed()

    def action_sideways(self, steps: int) -> None:
        """Move sideways by half pages."""
        if desk := self._begin():
            desk.view.column = max(0, min(desk.view.column + steps * (self.size.width // 2), _FARTHEST))
            self.changed()

    def action_hit(self, is_forward: bool) -> None:
        """Go to the next hit of the search, or the one before."""
        if desk := self._begin():
            desk.next_hit(is_forward)
            self.changed()

    def action_alert(self, is_forward: bool) -> None:
        """Go to the next alert, or the one before."""
        if desk := self._begin():
            desk.next_alert(is_forward)
            self.changed()

    def action_trouble(self, is_forward: bool) -> None:
        """Go to the next row of trouble, or the one before."""
        if desk := self._begin():
            desk.next_trouble(is_forward)
            self.changed()

    def action_only_trouble(self) -> None:
        """Show only rows of trouble, or all."""
        if desk := self._begin():
            desk.toggle_trouble()
            self.changed()

    def action_mark(self) -> None:
        """Mark the row, or take its mark away."""
        if desk := self._begin():
            desk.toggle_mark()
            self.changed()

    def action_to_mark(self, is_forward: bool) -> None:
        """Go to the next mark, or the one before."""
        if desk := self._begin():
            desk.next_mark(is_forward)
            self.changed()

    def action_copy(self) -> None:
        """Ask for the row to be put on the clipboard."""
        desk = self.desk
        if desk is None or desk.view.row is None:
            return
        text = self.sheet.text if self.sheet else desk.view.reader.whole(desk.view.row, _SHEET)
        desk.note = "copied"
        self.copied(text)
        self.changed()

    def action_redraws(self) -> None:
        """Show every redraw, or rows as the terminal."""
        if desk := self._begin():
            desk.view.set_every_redraw(not desk.view.every_redraw)
            self.changed()

    def action_open(self) -> None:
        """Show the whole row, or each redraw of a bar."""
        desk = self._begin()
        row = desk.view.row if desk else None
        if desk is None or row is None:
            return
        if row.is_redrawn and not desk.view.every_redraw:
            desk.view.remember()
            desk.view.stop_following()
            desk.view.set_every_redraw(True)
        else:
            text = desk.view.reader.whole(row, _SHEET)
            what = f"whole row, {len(text):,} characters" + (
                ", the first of more" if row.end - row.start > _SHEET else ""
            )
            self.sheet = Sheet(text, self.size.width - 1, self.body_height, what)
        self.changed()
