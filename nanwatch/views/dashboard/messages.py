"""What the parts of the dashboard tell each other: a person's wishes, on their way to whoever can fulfil them."""

from __future__ import annotations

from pathlib import Path

from textual.message import Message

from nanwatch.model.alert import Alert


class RunOpened(Message):
    """Show this run; with *tab*, that tab of it."""

    def __init__(self, path: Path, tab: str | None = None) -> None:
        super().__init__()
        self.path, self.tab = path, tab


class LogWanted(Message):
    """Show the place at this byte of the log of the run that is open."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset


class AckWanted(Message):
    """Keep these alerts of a run quiet until they end, or (with *undo*) take that back."""

    def __init__(self, path: Path, alerts: list[Alert], undo: bool = False) -> None:
        super().__init__()
        self.path, self.alerts, self.undo = path, alerts, undo


class SilenceWanted(Message):
    """Ask for how long nobody is to be told of these alerts of a run."""

    def __init__(self, path: Path, alerts: list[Alert]) -> None:
        super().__init__()
        self.path, self.alerts = path, alerts


class CopyWanted(Message):
    """Put this text on the clipboard; *what* it is, in a word or two."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text, self.what = text, what


class BackWanted(Message):
    """Go back to where one came from: nothing is left to be undone here."""


class TabPicked(Message):
    """Show this tab of the run."""

    def __init__(self, tab: str) -> None:
        super().__init__()
        self.tab = tab
