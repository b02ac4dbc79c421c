"""The line into which a filter is typed, and above it what is wrong with it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.words import Glyphs, clean

_HINT = "word  !word  status:stalled  health:critical  nan>0  epoch>=10"


class FilterBar(Widget):
    """Asks for a filter; hidden until it is opened."""

    DEFAULT_CSS = """
    FilterBar {
        height: auto;
        display: none;
        & > #filter-wrong { height: 1; display: none; }
        & > Horizontal { height: 1; }
        & #filter-slash { width: 1; height: 1; }
        & Input { width: 1fr; padding: 0; background: $background; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "Clear the filter", show=False)]

    class Edited(Message):
        """The filter is another one, while it is still typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Closed(Message):
        """The filter is to be kept as it is; with *is_cleared*, there is to be none."""

        def __init__(self, is_cleared: bool) -> None:
            super().__init__()
            self.is_cleared = is_cleared

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._wrong, self._slash = LinesView(id="filter-wrong"), LinesView(id="filter-slash")
        self._input = Input(placeholder=_HINT, compact=True)

    def compose(self) -> ComposeResult:
        """Lay out what is wrong above the slash and the text."""
        self._wrong.can_focus = self._slash.can_focus = False
        self._slash.show_lines([Line([Span("/", "title")])])
        yield self._wrong
        yield Horizontal(self._slash, self._input)

    def open(self, text: str) -> None:
        """Ask for a filter, which was *text* until now."""
        self.display = True
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self._input.focus()

    def tell(self, wrong: str) -> None:
        """Say what is wrong with the filter; nothing, if it is understood."""
        self._wrong.display = bool(wrong)
        page = Page(max(1, self.size.width), self._glyphs)
        self._wrong.show_lines([page.bound(Line([Span(f" {clean(wrong)}", "warning")]))])

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass on what was typed."""
        event.stop()
        self.post_message(self.Edited(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, unless it is wrong."""
        event.stop()
        if not self._wrong.display:
            self._close(is_cleared=False)

    def action_clear(self) -> None:
        """Give the filter up."""
        self._close(is_cleared=True)

    def _close(self, is_cleared: bool) -> None:
        self.display = False
        self.tell("")
        self.post_message(self.Closed(is_cleared))
