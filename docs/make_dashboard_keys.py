"""Writes the key tables of docs/dashboard.md, from the keys that the dashboard itself tells in its help.

usage: python docs/make_dashboard_keys.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nanwatch.config import Rules
from nanwatch.views.dashboard.compare.screen import CompareScreen
from nanwatch.views.dashboard.main_screen import EVERYWHERE
from nanwatch.views.dashboard.panel import Key
from nanwatch.views.dashboard.run_pane import RunPane
from nanwatch.views.dashboard.runs.panel import RunsPanel

PAGE = Path(__file__).with_name("dashboard.md")
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def sections() -> list[tuple[str, tuple[Key, ...]]]:
    """Return where which keys are of use."""
    tabs = [(f"Tab: {name}", keys) for name, keys in RunPane(Rules(), is_ascii=False).all_keys()]
    return [("Everywhere", EVERYWHERE), ("Runs", RunsPanel.KEYS), *tabs, ("Comparison", CompareScreen.KEYS)]


def tables() -> str:
    """Return the tables."""
    parts = []
    for title, keys in sections():
        rows = "".join(f"| `{key.key}` | {key.does} |\n" for key in keys)
        parts.append(f"\n### {title}\n\n| key | does |\n| --- | --- |\n{rows}")
    return "".join(parts) + "\n"


def page(text: str) -> str:
    """Return the page with its tables as they should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
