"""Lines with roles on the screen: one widget that paints, scrolls and points at them, and repaints what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nanwatch.views.dashboard.paint import style_of
from nanwatch.views.page import Line, inert

_BOLD = Style(bold=True)
_RESTING = Style(bold=True, underline=True)
"""The line of the cursor while the keys go elsewhere."""


class Look(NamedTuple):
    """What a painted line depends on beside its text."""

    is_cursor: bool
    is_focused: bool


class LinesView(ScrollView, can_focus=True):
    """Lines below a head that stays; with `has_cursor`, one of them is pointed at.

    Only the lines that are seen are painted, and only those that changed are painted again. The texts must be
    printable: what comes from a log was cleaned before.
    """

    DEFAULT_CSS = """
    LinesView {
        background: $background;
        color: $foreground;
        scrollbar-size: 1 1;
        overflow-x: hidden;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("home,g", "edge(False)", "First", show=False),
        Binding("end,G", "edge(True)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor points at another line."""

        def __init__(self, view: LinesView, index: int) -> None:
            super().__init__()
            self.view, self.index = view, index

        @property
        def control(self) -> LinesView:
            """The view in which it moved."""
            return self.view

    class Chosen(Moved):
        """The line at the cursor was opened: Enter, or a click on it."""

    class HeadClicked(Message):
        """Somebody clicked into the head, at this column of this line of it."""

        def __init__(self, view: LinesView, column: int, row: int = 0) -> None:
            super().__init__()
            self.view, self.column, self.row = view, column, row

        @property
        def control(self) -> LinesView:
            """The view whose head it is."""
            return self.view

    def __init__(self, *, has_cursor: bool = False, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self.has_cursor = has_cursor
        self.cursor = 0
        self._lines: list[Line] = []
        self._head: list[Line] = []
        self._widest = 0
        self._styles: dict[str, Style] = {}
        self._strips: dict[tuple[int, Look], Strip] = {}

    @property
    def lines(self) -> Sequence[Line]:
        """The lines, without the head."""
        return self._lines

    @property
    def text_width(self) -> int:
        """The cells of a line that are seen: what the scrollbar takes is not."""
        return self.scrollable_content_region.width

    @property
    def page_height(self) -> int:
        """How many lines are seen at once."""
        return max(1, self.scrollable_content_region.height - len(self._head))

    def show_lines(self, lines: Sequence[Line], head: Sequence[Line] = (), cursor: int | None = None) -> None:
        """Show *lines* below *head*; the cursor stays where it is, unless it is to be at *cursor*."""
        old, old_head, old_cursor = self._lines, self._head, self.cursor
        self._lines, self._head = list(lines), list(head)
        self.cursor = max(0, min(self.cursor if cursor is None else cursor, len(lines) - 1))
        changed = {n for n, line in enumerate(self._lines) if n >= len(old) or line != old[n]}
        changed |= {old_cursor, self.cursor} if old_cursor != self.cursor else set()
        for key in [key for key in self._strips if key[0] in changed or key[0] >= len(lines)]:
            del self._strips[key]
        if old_head != self._head or len(old) > len(lines):
            self.refresh()
        else:
            self._refresh_lines(changed)
        self._widest = max((line.cells for line in (*self._head, *self._lines)), default=0)
        size = Size(self._widest, len(self._head) + len(self._lines))
        if size != self.virtual_size:
            self.virtual_size = size

    def move_to(self, index: int) -> None:
        """Point at the line with this index, and let it be seen."""
        index = max(0, min(index, len(self._lines) - 1))
        if index != self.cursor:
            old, self.cursor = self.cursor, index
            self._refresh_lines({old, index})
            self.post_message(self.Moved(self, index))
        self.scroll_to_line(index)

    def scroll_to_line(self, index: int) -> None:
        """Scroll no farther than needed for the line with this index to be seen."""
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + self.page_height:
            self.scroll_to(y=index - self.page_height + 1, animate=False)

    # -- keys and mouse

    def action_move(self, lines: int) -> None:
        """Move the cursor, or (without one) scroll."""
        if self.has_cursor:
            self.move_to(self.cursor + lines)
        else:
            self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_page(self, pages: float) -> None:
        """Move by pages."""
        self.action_move(int(pages * self.page_height))

    def action_edge(self, is_end: bool) -> None:
        """Go to the last line, or to the first."""
        self.action_move(len(self._lines) if is_end else -len(self._lines))

    def action_choose(self) -> None:
        """Open the line at the cursor."""
        if self.has_cursor and self._lines:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Point at the line that was clicked; a second click opens it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < len(self._head):
            self.post_message(self.HeadClicked(self, offset.x + self.scroll_offset.x, offset.y))
            return
        index = self.scroll_offset.y + offset.y - len(self._head)
        if not self.has_cursor or index >= len(self._lines):
            return
        is_same = index == self.cursor
        self.move_to(index)
        if is_same or event.chain > 1:
            self.action_choose()

    # -- painting

    def render_line(self, y: int) -> Strip:
        """Return the line at *y* of the widget."""
        width, left = self.text_width, self.scroll_offset.x
        if y < len(self._head):
            return self._paint(self._head[y], Look(False, False), is_head=True).crop(left, left + width)
        index = self.scroll_offset.y + y - len(self._head)
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        look = Look(self.has_cursor and index == self.cursor, self.has_focus)
        strip = self._strips.get((index, look))
        if strip is None:
            strip = self._strips[index, look] = self._paint(self._lines[index], look)
        return strip.crop(left, left + width)

    def _paint(self, line: Line, look: Look, is_head: bool = False) -> Strip:
        base = self.rich_style
        if is_head:
            base += self._style("head")
        if look.is_cursor and look.is_focused:  # in one colour: a reversed line of many is hard to read
            base += self._style("cursor")
            segments = [Segment(inert(s.text), base + _BOLD if self._style(s.role).bold else base) for s in line.spans]
        elif look.is_cursor:
            segments = [Segment(inert(s.text), base + self._style(s.role) + _RESTING) for s in line.spans]
        else:
            segments = [Segment(inert(s.text), base + self._style(s.role)) for s in line.spans]
        return Strip(segments).extend_cell_length(max(self.text_width, self._widest), base)

    def _style(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = style_of(self.app, role)
        return style

    def notify_style_update(self) -> None:
        """Paint anew: the theme has changed."""
        self._styles.clear()
        self._strips.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """Paint anew: lines reach to the end of the widget."""
        self._strips.clear()

    def on_focus(self) -> None:
        """Show that the keys go to these lines."""
        self._refresh_lines({self.cursor})

    def on_blur(self) -> None:
        """Show that the keys go elsewhere."""
        self._refresh_lines({self.cursor})

    def _refresh_lines(self, indices: set[int]) -> None:
        top = self.scroll_offset.y
        seen = [n for n in indices if top <= n < top + self.page_height + 1]
        if seen:
            self.refresh(*(Region(0, n - top + len(self._head), self.size.width, 1) for n in seen))
