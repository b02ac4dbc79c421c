"""The title of a run and the tabs below it: one line each, for the mouse too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events

from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import TabPicked
from nanwatch.views.page import Line, Span

_NARROW = 56
"""Cells below which the tabs' names are cut to two letters."""


class TabLine(LinesView, can_focus=False):
    """The names of the tabs, numbered; the chosen one stands in brackets."""

    DEFAULT_CSS = """
    TabLine { height: 1; overflow-y: hidden; scrollbar-size: 0 0; }
    """
    BINDINGS: ClassVar = []

    def __init__(self, tabs: Sequence[str], id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._tabs = tuple(tabs)
        self._places: list[tuple[int, int, str]] = []

    def show_tabs(self, chosen: str, counts: dict[str, int], note: str = "") -> None:
        """Show which tab is *chosen*, how many there are of what (alerts), and a *note* at the right end."""
        spans: list[Span] = []
        at = 0
        is_narrow = self.size.width < _NARROW
        self._places = []
        for number, tab in enumerate(self._tabs, start=1):
            count = f" {counts[tab]}" if counts.get(tab) else ""
            text = f"{number} {tab.capitalize()[: 2 if is_narrow else None]}{count}"
            text = f"[{text}]" if tab == chosen else f" {text} "
            self._places.append((at, at + len(text), tab))
            spans.append(Span(text, "title" if tab == chosen else "quiet"))
            at += len(text)
        gap = self.size.width - at - cell_len(note) - 1
        if note and gap > 0:
            spans += [Span(" " * gap), Span(note, "quiet")]
        self.show_lines([Line(spans)])

    def on_click(self, event: events.Click) -> None:
        """Choose the tab that was clicked."""
        for start, end, tab in self._places:
            if start <= event.x < end:
                self.post_message(TabPicked(tab))
