"""What stands over the screen for a moment: the keys, the length of a silence, a line to be typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.panel import Key
from nanwatch.views.page import Line, Span
from nanwatch.views.words import pad

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None]):
    """A box in the middle; Esc takes it away."""

    AUTO_FOCUS = "Input, LinesView"

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > Vertical { width: 72; max-width: 100%; height: auto; max-height: 100%; border: round $role-quiet;
                        background: $background; padding: 0 1; }
    Dialog LinesView { height: auto; max-height: 1fr; }
    Dialog Static { height: auto; color: $role-quiet; }
    Dialog Input { height: 1; padding: 0; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", show=False)]


class KeysDialog(Dialog[str]):
    """Every key, by where it is of use; typing searches, Enter presses the one that is pointed at."""

    DEFAULT_CSS = """
    KeysDialog > Vertical { height: 1fr; width: 76; }
    KeysDialog LinesView { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]

    def __init__(self, sections: Sequence[tuple[str, Sequence[Key]]], about: Sequence[str]) -> None:
        super().__init__()
        self._sections, self._about = sections, about
        self._shown: list[Key | None] = []

    def compose(self) -> ComposeResult:
        """Put the box together."""
        with Vertical():
            yield Input(compact=True, placeholder="type to search, Enter presses the key, Esc goes back")
            yield LinesView(has_cursor=True)
            yield Static("\n".join(self._about), markup=False)

    def on_mount(self) -> None:
        """Show all of them."""
        self.query_one(LinesView).can_focus = False  # what is typed goes to the search
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show those that match."""
        self._search(event.value)

    def on_input_submitted(self) -> None:
        """Press the key."""
        self._press(self.query_one(LinesView).cursor)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Press the key that was clicked."""
        self._press(event.index)

    def action_move(self, lines: int) -> None:
        """Point at another key."""
        view = self.query_one(LinesView)
        step = 1 if lines > 0 else -1
        index = view.cursor + lines
        while 0 <= index < len(self._shown) and self._shown[index] is None:
            index += step
        view.move_to(index)

    def _search(self, text: str) -> None:
        words = text.casefold().split()
        lines: list[Line] = []
        self._shown = []
        for title, keys in self._sections:
            found = [key for key in keys if all(word in f"{title} {key.key} {key.does}".casefold() for word in words)]
            if found:
                lines.append(Line([Span(title, "title")]))
                self._shown.append(None)
            for key in found:
                lines.append(Line([Span(f"  {pad(key.key, 14)}", "running"), Span(key.does)]))
                self._shown.append(key)
        first = next((n for n, key in enumerate(self._shown) if key is not None), 0)
        self.query_one(LinesView).show_lines(lines or [Line([Span("no key does that", "quiet")])], cursor=first)

    def _press(self, index: int) -> None:
        key = self._shown[index] if index < len(self._shown) else None
        if key is not None:
            self.dismiss(key.key)


class ChoiceDialog(Dialog[int]):
    """One of a few; the answer is its number."""

    def __init__(self, title: str, choices: Sequence[str], hint: str = "") -> None:
        super().__init__()
        self._title, self._choices, self._hint = title, choices, hint

    def compose(self) -> ComposeResult:
        """Put the box together."""
        with Vertical():
            yield Static(self._title, markup=False)
            yield LinesView(has_cursor=True)
            yield Static(self._hint or "Enter chooses, Esc goes back", markup=False)

    def on_mount(self) -> None:
        """Show the choices; a digit picks one too."""
        lines = [Line([Span(f" {n} ", "running"), Span(text)]) for n, text in enumerate(self._choices, start=1)]
        view = self.query_one(LinesView)
        view.show_lines(lines)

    def on_key(self, event: events.Key) -> None:
        """Pick a choice by its digit, which means something else to the screen below."""
        character = event.character or ""
        if character.isdecimal() and 0 < int(character) <= len(self._choices):
            event.stop()
            event.prevent_default()
            self.dismiss(int(character) - 1)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Take the choice that is pointed at."""
        self.dismiss(event.index)


class LineDialog(Dialog[str]):
    """A line to be typed; Enter takes it, Esc goes back."""

    def __init__(self, title: str, placeholder: str) -> None:
        super().__init__()
        self._title, self._placeholder = title, placeholder

    def compose(self) -> ComposeResult:
        """Put the box together."""
        with Vertical():
            yield Static(f"{self._title} (Enter takes it, Esc goes back)", markup=False)
            yield Input(compact=True, placeholder=self._placeholder)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        self.dismiss(event.value.strip() or None)
