"""What people want of runs in the list, as messages to whoever can do it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.message import Message

from nanwatch.views.block import block_lines
from nanwatch.views.dashboard.messages import AckWanted, CopyWanted, SilenceWanted
from nanwatch.views.dashboard.runs.entry import Entry, acknowledged
from nanwatch.views.health import firing
from nanwatch.views.page import Page, render


def acknowledging(entries: Iterable[Entry], undo: bool) -> list[Message]:
    """Return the wish to acknowledge what fires in these runs, or (with *undo*) to take that back."""
    told = [(e.path, e.told) for e in entries]
    found = [(path, acknowledged(view) if undo else firing(view)) for path, view in told if view is not None]
    return [AckWanted(path, alerts, undo=undo) for path, alerts in found if alerts]


def silencing(entries: Iterable[Entry]) -> list[Message]:
    """Return the wish to silence what fires in these runs."""
    told = [(e.path, e.told) for e in entries]
    found = [(path, firing(view)) for path, view in told if view is not None]
    return [SilenceWanted(path, alerts) for path, alerts in found if alerts]


def copying(entry: Entry, page: Page, now: float) -> list[Message]:
    """Return the wish to copy everything that is to be told of a run."""
    if entry.view is None:
        return []
    return [CopyWanted(render(block_lines(entry.view, page, now), page, color=False), "summary")]
