"""The keys of the list of runs, as Textual binds them and as people are told of them."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from nanwatch.views.dashboard.panel import Key

_TABS = ("overview", "curves", "epochs", "alerts", "log")

BINDINGS: list[BindingType] = [
    Binding("slash", "filter", "Filter", show=False),
    Binding("escape", "back", "Back", show=False),
    Binding("n", "step(1)", "Next run", show=False),
    Binding("N", "step(-1)", "Previous run", show=False),
    Binding("e", "trouble('critical', 1)", "Next critical alert", show=False),
    Binding("E", "trouble('critical', -1)", "Previous critical alert", show=False),
    Binding("w", "trouble('warning', 1)", "Next warning", show=False),
    Binding("W", "trouble('warning', -1)", "Previous warning", show=False),
    Binding("exclamation_mark", "only_problems", "Only problems", show=False),
    Binding("H", "hide_finished", "Hide finished", show=False),
    Binding("space", "mark", "Mark", show=False),
    Binding("a", "acknowledge", "Acknowledge", show=False),
    Binding("A", "acknowledge(True)", "Take back", show=False),
    Binding("x", "silence", "Silence", show=False),
    Binding("s", "sort", "Sort by the next column", show=False),
    Binding("S", "reverse", "Reverse", show=False),
    Binding("r", "renew", "Sort now", show=False),
    Binding("y", "copy", "Copy", show=False),
    *(Binding(str(n), f"open('{tab}')", tab.title(), show=False) for n, tab in enumerate(_TABS, 1)),
]

KEYS: tuple[Key, ...] = (
    Key("enter", "open"), Key("/", "filter"), Key("!", "problems"), Key("e", "next alert"), Key("a", "ack"),
    Key("x", "silence"), Key("s", "sort"), Key("H", "hide finished"), Key("space", "mark"), Key("y", "copy"),
    Key("1-5", "open a tab"), Key("j k", "down, up"), Key("g G", "first, last"), Key("n N", "next, previous run"),
    Key("E", "previous critical alert"), Key("w W", "next, previous warning"), Key("A", "take the ack back"),
    Key("S", "reverse the order"), Key("r", "sort now"), Key("ctrl+d ctrl+u", "half a page down, up"),
)  # fmt: skip
