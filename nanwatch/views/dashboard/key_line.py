"""The bottom line: the keys that are of use here and now, as many as fit; each can be clicked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nanwatch.views.dashboard.panel import Key


class KeyLine(Widget):
    """One line of keys; what does not fit is found in the help."""

    COMPONENT_CLASSES = {"key-line--key", "key-line--notice"}  # noqa: RUF012 - Textual's way

    DEFAULT_CSS = """
    KeyLine {
        height: 1;
        dock: bottom;
        color: $role-quiet;
        & > .key-line--key { color: $foreground; text-style: bold; }
        & > .key-line--notice { text-style: bold reverse; }
    }
    """

    class Pressed(Message):
        """A key was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[Key, ...] = ()
        self._notice = ""
        self._last = (Key("?", "keys"), Key("q", "quit"))
        self._places: list[tuple[int, int, str]] = []

    def show_keys(self, keys: Sequence[Key], notice: str = "", leaves: str = "back") -> None:
        """Show *keys*; a *notice* stands before them, and `q` *leaves* at their end."""
        last = (Key("?", "keys"), Key("q", leaves))
        if (tuple(keys), notice, last) != (self._keys, self._notice, self._last):
            self._keys, self._notice, self._last = tuple(keys), notice, last
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return the line."""
        width, base = self.size.width, self.rich_style
        if y:
            return Strip.blank(width, base)
        key_style = base + self.get_component_rich_style("key-line--key", partial=True)
        segments = [Segment(" ", base)]
        used = 1
        if self._notice:
            notice = f" {self._notice} "
            segments += [
                Segment(notice, base + self.get_component_rich_style("key-line--notice", partial=True)),
                Segment("  ", base),
            ]
            used += cell_len(notice) + 2
        self._places = []
        for key in self._fitting(width - used):
            text = f"{key.key} {key.does}"
            self._places.append((used, used + cell_len(text), key.key))
            segments += [Segment(key.key, key_style), Segment(f" {key.does}  ", base)]
            used += cell_len(text) + 2
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for start, end, key in self._places:
            if start <= event.x < end:
                self.post_message(self.Pressed(key))

    def _fitting(self, room: int) -> list[Key]:
        known = {key.key for key in self._keys}
        last = [key for key in self._last if key.key not in known]
        room -= sum(_cells(key) for key in last)
        shown = []
        for key in self._keys:
            room -= _cells(key)
            if room < 0:
                break
            shown.append(key)
        return [*shown, *last]


def _cells(key: Key) -> int:
    return cell_len(key.key) + 1 + cell_len(key.does) + 2
