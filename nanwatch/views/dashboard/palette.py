"""What the command palette offers: everything that has a key, with a word on what it does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.markup import escape

from nanwatch.views.dashboard.panel import TABS
from nanwatch.views.words import clean

if TYPE_CHECKING:
    from nanwatch.views.dashboard.app import Dashboard

_PRESSED = (
    ("slash", "Filter or search", "Runs by name, status:stalled, nan>0; or the log (/)"),
    ("s", "Sort by the next column", "Runs, epochs, alerts (s)"), ("S", "Sort the other way", "Runs (S)"),
    ("H", "Hide or show finished runs", "(H)"), ("exclamation_mark", "Only problems", "Here (!)"),
    ("e", "Next critical alert", "A run, an alert, a place in the log (e)"),
    ("y", "Copy", "The summary, the table, the row that is shown (y)"),
)  # fmt: skip
_SWITCHES = (("bell", "Bell"), ("notification", "Terminal notification"))


def commands(app: Dashboard, *, is_main: bool, wanted: dict[str, Any]) -> Iterator[SystemCommand]:
    """Yield the commands of *app*; *is_main* tells that the runs are seen, *wanted* what is switched on."""
    yield SystemCommand("Keys", "Every key of this screen (?)", app.action_help)
    if is_main:
        yield from _of_runs(app)
    yield SystemCommand("Freeze or unfreeze", "Keep the screen as it is, data goes on (p)", app.action_freeze)
    yield SystemCommand("Save screen", "A picture (SVG) of what is seen (V)", app.action_save_screen)
    yield SystemCommand("Theme", "Dark, light, high contrast, the terminal's own colours", app.action_change_theme)
    for name, words in _SWITCHES:
        state = "off" if wanted.get(name) else "on"
        yield SystemCommand(f"{words} {state}", "At a new critical alert", partial(app.switch, name))
    yield SystemCommand("Quit", "Leave; the trainings go on (q)", app.exit)


def _of_runs(app: Dashboard) -> Iterator[SystemCommand]:
    main = app.main
    yield SystemCommand("Acknowledge", "Quiet until it ends (a)", partial(main.action_acknowledge, False))
    yield SystemCommand("Acknowledge: take it back", "Tell of it again (A)", partial(main.action_acknowledge, True))
    yield SystemCommand("Silence", "For an hour, a day, or until you end it (x)", main.action_silence)
    for number, tab in enumerate(TABS, start=1):
        yield SystemCommand(f"Tab: {tab}", f"Of this run ({number})", partial(main.action_tab, tab))
    for key, words, does in _PRESSED:
        yield SystemCommand(words, does, partial(app.simulate_key, key))
    yield SystemCommand("Compare marked runs", "Curves over one another (c)", app.action_compare)
    if not app.is_web:
        yield SystemCommand("Add a log", "Follow one more file, folder or glob (o)", app.action_add_log)
    for path, name in main.runs.names.items():
        yield SystemCommand(f"Open run {escape(clean(name))}", "Show it (Enter)", partial(main.open_run, path))
