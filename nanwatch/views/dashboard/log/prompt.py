"""The line in which one types what to search, to filter or where to go; it takes keys at once, in their order."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from nanwatch.views.dashboard.log.paint import StyleOf

_MOST = 1000


class Prompt:
    """A text that is being typed behind *sign*; `at` is where the cursor stands in it."""

    def __init__(self, sign: str) -> None:
        self.sign = sign
        self.text = ""
        self.at = 0

    def take(self, key: str, character: str | None) -> None:
        """Do what *key* means while one types; it writes *character*, if any."""
        edit = _EDITS.get(key)
        if edit is not None:
            edit(self)
        elif character:
            self.insert(character)

    def insert(self, text: str) -> None:
        """Write the first line of *text* at the cursor."""
        text = "".join(char for char in (text.splitlines() or [""])[0] if char.isprintable())
        text = text[: max(0, _MOST - len(self.text))]
        self.text = self.text[: self.at] + text + self.text[self.at :]
        self.at += len(text)

    def move(self, to: int) -> None:
        """Put the cursor before the character number *to*."""
        self.at = max(0, min(to, len(self.text)))

    def erase(self, begin: int, end: int) -> None:
        """Take away the characters from *begin* to before *end*."""
        begin, end = max(0, begin), min(end, len(self.text))
        self.text = self.text[:begin] + self.text[end:]
        self.at = begin

    @property
    def word(self) -> int:
        """Where the word before the cursor begins."""
        return self.text.rstrip().rfind(" ", 0, len(self.text[: self.at].rstrip())) + 1

    def paint(self, width: int, style_of: StyleOf) -> Strip:
        """Return the line; its cursor is always seen."""
        base, hit = style_of("text"), style_of("text") + style_of("hit")
        before, under, behind = self.text[: self.at], self.text[self.at : self.at + 1] or " ", self.text[self.at + 1 :]
        head = Strip([Segment(f"{self.sign} ", hit)])
        room = max(1, width - head.cell_length)
        line = Strip([Segment(before, base), Segment(under, hit), Segment(behind, base)])
        hidden = max(0, cell_len(before) + cell_len(under) - room)
        return Strip([*head, *line.crop(hidden, hidden + room)]).adjust_cell_length(width, base)


_EDITS: dict[str, Callable[[Prompt], None]] = {
    "left": lambda prompt: prompt.move(prompt.at - 1),
    "right": lambda prompt: prompt.move(prompt.at + 1),
    "home": lambda prompt: prompt.move(0),
    "end": lambda prompt: prompt.move(len(prompt.text)),
    "backspace": lambda prompt: prompt.erase(prompt.at - 1, prompt.at),
    "delete": lambda prompt: prompt.erase(prompt.at, prompt.at + 1),
    "ctrl+w": lambda prompt: prompt.erase(prompt.word, prompt.at),
    "ctrl+u": lambda prompt: prompt.erase(0, prompt.at),
    "ctrl+k": lambda prompt: prompt.erase(prompt.at, len(prompt.text)),
}
