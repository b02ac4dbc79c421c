"""What a tab of a run is: it is shown snapshots, and tells which keys it understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.words import ASCII, UNICODE, Glyphs

TABS = ("overview", "curves", "epochs", "alerts", "log")
"""The tabs of a run, in their order."""


class Key(NamedTuple):
    """A key and, in a word or two, what it does here; the first ones stand in the bottom line, all in the help."""

    key: str
    does: str


class Panel(Protocol):
    """A tab of a run."""

    @property
    def KEYS(self) -> tuple[Key, ...]:  # noqa: N802 - a constant of each panel's class
        """What the keys do here."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """What is to be remembered until the next time, as plain values."""
        ...

    def restore(self, settings: Mapping[str, object]) -> None:
        """Take up what was remembered, as far as it is understood."""
        ...

    def show_run(self, snapshot: Snapshot, now: float) -> None:
        """Show *snapshot* as it is at *now* (Unix seconds); called only while the panel is seen."""
        ...


def glyphs_of(is_ascii: bool) -> Glyphs:
    """Return the signs that the terminal can show."""
    return ASCII if is_ascii else UNICODE
