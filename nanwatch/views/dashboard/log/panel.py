"""The log viewer's widget: paints the rows that are seen, asks for what is typed, and takes the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from nanwatch.views.dashboard.log.desk import Desk
from nanwatch.views.dashboard.log.figures import bottom_line, number_text, number_width, top_line
from nanwatch.views.dashboard.log.keys import KeyedLog
from nanwatch.views.dashboard.log.paint import ASCII_SIGNS, Look, Signs, paint_line, paint_row
from nanwatch.views.dashboard.log.pattern import Pattern
from nanwatch.views.dashboard.log.prompt import Prompt
from nanwatch.views.dashboard.log.rows import Row
from nanwatch.views.dashboard.log.scrollbar import Marks, Seen, paint_bar
from nanwatch.views.dashboard.panel import Key

NOT_KEPT = "standard input is not kept: what was read cannot be shown again"
_NOTHING = "nothing is open"

_WHEEL = 3
_NARROW = 60
_ROLES = ("text", "muted", "nan", "error", "warning", "hit", "cursor", "status")


class LogPanel(KeyedLog, can_focus=True):
    """Shows a log of any size. `poll` is to be called a few times a second while it is seen."""

    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("/", "search"), Key("e", "next alert"), Key("w", "next warning"), Key("!", "only trouble"),
        Key("f", "follow"), Key("&", "filter"), Key("r", "every redraw of bars"),
        Key(":", "go to line, 50%, @byte, 14:01"), Key("n", "next hit"),
        Key("enter", "whole row, or redraws"), Key("N", "previous hit"), Key("E", "previous alert"),
        Key("W", "previous warning"), Key("m", "mark"), Key("u", "next mark"), Key("U", "previous mark"),
        Key("y", "copy the row"), Key("h", "left"), Key("l", "right"), Key("g", "start"), Key("G", "end, and follow"),
    )  # fmt: skip

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{role}" for role in _ROLES}

    DEFAULT_CSS = """
    LogPanel {
        height: 1fr;
        background: $background;
        color: $foreground;
        & > .log--muted { color: $role-quiet; }
        & > .log--nan { color: $role-critical; text-style: bold; }
        & > .log--error { color: $role-critical; text-style: bold; }
        & > .log--warning { color: $role-warning; }
        & > .log--hit { text-style: reverse; }
        & > .log--cursor { text-style: bold; background: $boost; }
        & > .log--status { color: $role-quiet; }
    }
    """

    class Copied(Message):
        """Put `text` on the clipboard."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Back(Message):
        """Nothing is left to be undone here; `jumped` tells that one came here by `jump`."""

        def __init__(self, jumped: bool) -> None:
            super().__init__()
            self.jumped = jumped

    def __init__(self, *, is_ascii: bool = False, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._signs = ASCII_SIGNS if is_ascii else Signs()
        self._nothing = _NOTHING
        self._has_come_by_jump = False
        self._typed: Pattern | None = None
        self._is_dragging = False
        self._numbers = 0
        self._has_unnumbered = False
        self._styles: dict[str, Style] = {}

    # -- for others

    def show_log(self, path: Path | None, alert_offsets: Sequence[tuple[int, str]] = ()) -> None:
        """Show the log at *path* with *alert_offsets*, bytes and severities; None: nothing is kept of it."""
        if self.desk is not None and path == self.desk.file.path:
            alerts = sorted(alert_offsets)
            if alerts != self.desk.alerts:
                self.desk.alerts = alerts
                self.refresh()
            return
        self._close()
        self._nothing = NOT_KEPT
        if path is not None:
            self.desk = Desk(path, alert_offsets)
            self.desk.view.resize(self.body_height)
        self.changed()

    def jump(self, offset: int) -> None:
        """Show what the byte *offset* wrote, a third down the screen; Esc leaves, unless one went elsewhere since."""
        self.sheet = self.prompt = self._typed = None
        self._has_come_by_jump = True
        if self.desk is not None:
            self.desk.visit(offset)
            self.changed()

    def poll(self) -> None:
        """Notice what happened to the file; paint only what changed."""
        if self.desk is None:
            return
        size = self.desk.file.size
        is_changed = self.desk.poll()
        self.work()
        if self.fit() or is_changed:
            self.refresh()
        elif size != self.desk.file.size:
            self.refresh_figures()

    def copied(self, text: str) -> None:
        """Ask for *text* to be put on the clipboard."""
        self.post_message(self.Copied(text))

    def _close(self) -> None:
        self._stop()
        self.sheet = self.prompt = self._typed = None
        self._has_come_by_jump = False
        self._numbers = 0

    def on_unmount(self) -> None:
        """Let go of the file."""
        self._close()

    def on_mount(self) -> None:
        """Begin with what was shown before there was a screen."""
        self.work()

    def on_resize(self) -> None:
        """Show as many rows as there is room for."""
        self.sheet = None
        if not self.fit() and self.desk is not None:
            self.desk.view.resize(self.body_height)
        self.refresh()

    def fit(self) -> bool:
        """Take a row for the bottom line where there is something to tell, else leave it to the log."""
        desk = self.desk
        has_bottom = desk is not None and (self.prompt is not None or bool(bottom_line(desk, self._signs)))
        if has_bottom == self.has_bottom:
            return False
        self.has_bottom = has_bottom
        if desk is not None:
            desk.view.resize(self.body_height)
        if self.sheet is not None:
            self.sheet.height = self.body_height
        return True

    # -- asking

    def action_ask(self, sign: str) -> None:
        """Let something be typed: what to search (`/`), to filter (`&`), or where to go (`:`)."""
        if self.desk is None:
            return
        self.sheet = None
        self.desk.note = ""
        self.prompt = Prompt(sign)
        self.changed()

    def typed(self, prompt: Prompt, event: events.Key) -> None:
        """Take a key while something is asked: Enter does what was typed, Esc does not."""
        if event.key == "escape":
            self.action_back()
        elif event.key == "enter":
            self._submit(prompt)
        else:
            prompt.take(event.key, event.character if event.is_printable else None)
            self._show_typed(prompt)

    def on_paste(self, event: events.Paste) -> None:
        """Take what is pasted while something is asked."""
        if self.prompt is not None:
            event.stop()
            self.prompt.insert(event.text)
            self._show_typed(self.prompt)

    def _show_typed(self, prompt: Prompt) -> None:
        """Show the hits among the rows that are seen while one types."""
        if prompt.sign == "/" and self.desk is not None:
            self._typed = Pattern(prompt.text, self.desk.file.encoding) if prompt.text else None
        self.keep_free()
        self.refresh()

    def _submit(self, prompt: Prompt) -> None:
        """Do what was asked for."""
        desk = self.desk
        self._end_asking()
        if desk is not None:
            {"/": desk.find, "&": desk.filter, ":": desk.go_to}[prompt.sign](prompt.text)
        self.changed()

    def _end_asking(self) -> None:
        self.prompt = self._typed = None

    def action_back(self) -> None:
        """Take back the last thing, or say that nothing is left."""
        if self.prompt is not None:
            self._end_asking()
        elif self.sheet is not None:
            self.sheet = None
        elif self.desk is None or not self.desk.undo():
            self._leave()
        self.changed()

    def _leave(self) -> None:
        jumped, self._has_come_by_jump = self._has_come_by_jump, False
        if self.desk is not None:
            self.desk.leave()
        self.post_message(self.Back(jumped))

    # -- mouse

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move by three rows."""
        event.stop()
        self._wheel(_WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move by three rows."""
        event.stop()
        self._wheel(-_WHEEL)

    def _wheel(self, count: int) -> None:
        if self.sheet is not None:
            self.sheet.scroll(count)
        elif self.desk is not None:
            self.desk.view.scroll(count)
        self.changed()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Point at the row, or take hold of the scrollbar."""
        if self.desk is None or self.sheet is not None or not 1 <= event.y <= self.body_height:
            return
        rows = self.desk.view.rows
        if event.x >= self.size.width - 1:
            self._is_dragging = True
            self.capture_mouse()
            self._drag(event.y)
        elif event.y - 1 < len(rows):
            self.desk.view.point(rows[event.y - 1].offset)
            self.changed()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Move with the scrollbar."""
        if self._is_dragging:
            self._drag(event.y)

    def on_mouse_up(self) -> None:
        """Let go of the scrollbar."""
        if self._is_dragging:
            self._is_dragging = False
            self.release_mouse()

    def _drag(self, y: int) -> None:
        if self.desk is not None:
            self.desk.view.go_share((y - 1) / max(1, self.body_height - 1))
            self.changed()

    # -- painting

    def refresh_figures(self) -> None:
        """Paint the top line, the bottom line and the scrollbar, and the rows if their numbers were not known."""
        width, height = self.size
        if self._has_unnumbered:
            self._has_unnumbered = False
            self.refresh()
            return
        self.refresh(Region(0, 0, width, 1), Region(0, height - 1, width, 1), Region(width - 1, 0, 1, height))

    def render_line(self, y: int) -> Strip:
        """Return the line at *y* of the widget."""
        width, desk = self.size.width, self.desk
        if desk is None:
            return paint_line([(f" {self._nothing}" if y == 0 else "", "")], width, self._style)
        if y == 0:
            return paint_line(top_line(desk, self.sheet, width), width, self._style)
        if self.has_bottom and y == self.size.height - 1:
            if self.prompt is not None:
                return self.prompt.paint(width, self._style)
            return paint_line(bottom_line(desk, self._signs), width, self._style)
        return self._body(desk, y - 1, width)

    def _body(self, desk: Desk, y: int, width: int) -> Strip:
        if self.sheet is not None:
            return self.sheet.paint(y, width, self._style)
        rows = desk.view.rows
        if y < len(rows):
            strip = self._row(desk, rows, y, width - 1)
        else:
            strip = paint_line([("~" if rows or y else " the log is empty", "muted")], width - 1, self._style)
        seen = Seen(rows[0].start, rows[-1].end, desk.file.size) if rows else Seen(0, 0, 0)
        marks = Marks(
            desk.alerts, desk.bookmarks, desk.search if desk.search is not None else desk.hidden_by, desk.trouble
        )
        return Strip([*strip, paint_bar(y, self.body_height, seen, marks, self._signs, self._style)], width)

    def _row(self, desk: Desk, rows: Sequence[Row], y: int, width: int) -> Strip:
        row = rows[y]
        if width >= _NARROW:
            self._numbers = max(self._numbers, number_width(desk))
        number = number_text(desk, rows, y, self._numbers if width >= _NARROW else 0)
        self._has_unnumbered |= "~" in number
        look = Look(
            width,
            desk.view.column,
            number,
            row.offset == desk.view.cursor,
            "m" if row.offset in desk.bookmarks else "",
            desk.alert_of(row),
        )
        pattern = self._typed or (desk.search.pattern if desk.search else None)
        return paint_row(row, look, self._signs, pattern, self._style)

    def _style(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self.rich_style if role == "text" else self.get_component_rich_style(f"log--{role}", partial=True)
            self._styles[role] = style
        return style

    def notify_style_update(self) -> None:
        """Paint anew: the theme has changed."""
        self._styles.clear()
        super().notify_style_update()
