"""The lines of the list, of which one is pointed at: whoever asks for the run there is told before the next key."""

from __future__ import annotations

from collections.abc import Callable

from nanwatch.views.dashboard.lines import LinesView


class RunLines(LinesView):
    """Calls *moved* and *chosen* with a line's index at once; a message would come after keys that wait already."""

    def __init__(self, moved: Callable[[int], None], chosen: Callable[[int], None], *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(has_cursor=True, id=id)
        self._moved, self._chosen = moved, chosen

    def move_to(self, index: int) -> None:
        """Point at the line with this index, and let it be seen."""
        before = self.cursor
        super().move_to(index)
        if self.cursor != before:
            self._moved(self.cursor)

    def action_choose(self) -> None:
        """Open the run at the cursor."""
        if self.has_cursor and self.lines:
            self._chosen(self.cursor)
