"""One run: its title, its tabs, and the panel of the tab that is open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from nanwatch.config import Rules
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.block import STATUS_ROLES
from nanwatch.views.dashboard.alerts import AlertsPanel
from nanwatch.views.dashboard.curves.panel import CurvesPanel
from nanwatch.views.dashboard.epochs import EpochsPanel
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.log.panel import LogPanel
from nanwatch.views.dashboard.messages import BackWanted, CopyWanted, TabPicked
from nanwatch.views.dashboard.overview import OverviewPanel
from nanwatch.views.dashboard.panel import TABS, Key, Panel, glyphs_of
from nanwatch.views.dashboard.runs.columns import letter
from nanwatch.views.dashboard.runs.entry import entry_of
from nanwatch.views.dashboard.tabs import TabLine
from nanwatch.views.health import firing
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import age, whole_percent

_ARROW = 2
_ROOMY = (130, 32)
"""Cells of the pane from which on the overview does not need all of them."""


class TitleLine(LinesView, can_focus=False):
    """The run's name and state; a click on its arrow goes back."""

    def on_click(self, event: events.Click) -> None:
        """Go back, if the arrow was clicked."""
        if event.x < _ARROW:
            self.post_message(BackWanted())


class RunPane(Vertical):
    """Shows one run; only the panel that is seen is given snapshots."""

    DEFAULT_CSS = """
    RunPane { background: $background; }
    RunPane > .tab { height: 1fr; }
    RunPane > #run-title { height: 1; overflow-y: hidden; scrollbar-size: 0 0; }
    """

    def __init__(self, rules: Rules, *, is_ascii: bool, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._glyphs = glyphs_of(is_ascii)
        self._title_line = TitleLine(id="run-title")
        self._tab_line = TabLine(TABS, id="run-tabs")
        self._log = LogPanel(is_ascii=is_ascii, id="log")
        self._overview = OverviewPanel(is_ascii=is_ascii, id="overview")
        curves, epochs = CurvesPanel(is_ascii=is_ascii, id="curves"), EpochsPanel(is_ascii=is_ascii, id="epochs")
        alerts = AlertsPanel(is_ascii=is_ascii, rules=rules, id="alerts")
        self._widgets: dict[str, Widget] = {
            "overview": self._overview, "curves": curves, "epochs": epochs, "alerts": alerts, "log": self._log,
        }  # fmt: skip
        self._panels: dict[str, Panel] = {
            "overview": self._overview, "curves": curves, "epochs": epochs, "alerts": alerts,
        }  # fmt: skip
        self.tab = TABS[0]
        self._came_from: str | None = None
        self._shown: tuple[Snapshot, str, str, float] | None = None
        self._log_of: tuple[Path, tuple[tuple[int, str], ...]] | None = None

    def compose(self) -> ComposeResult:
        """Put the parts together."""
        yield self._title_line
        yield self._tab_line
        for widget in self._widgets.values():
            widget.add_class("tab")
            yield widget
        self.open_tab(self.tab)

    @on(LogPanel.Back)
    def _on_log_left(self, message: LogPanel.Back) -> None:
        message.stop()
        before, self._came_from = self._came_from if message.jumped else None, None
        if before is None:
            self.post_message(BackWanted())
        else:
            self.post_message(TabPicked(before))

    @on(LogPanel.Copied)
    def _on_log_copied(self, message: LogPanel.Copied) -> None:
        message.stop()
        self.post_message(CopyWanted(message.text, "row"))

    @property
    def panel(self) -> Widget:
        """The panel of the tab that is open."""
        return self._widgets[self.tab]

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of that panel."""
        return self._keys_of(self.tab)

    def all_keys(self) -> Iterator[tuple[str, tuple[Key, ...]]]:
        """Yield the name and the keys of each tab."""
        for tab in TABS:
            yield tab, self._keys_of(tab)

    def _keys_of(self, tab: str) -> tuple[Key, ...]:
        return self._panels[tab].KEYS if tab in self._panels else self._log.KEYS

    def open_tab(self, tab: str) -> None:
        """Show *tab*."""
        self.tab, self._came_from = tab, None
        self._lay_out()

    def on_resize(self) -> None:
        """Lay out for the new size, and fill it at once: it may have been seen for the first time."""
        self._lay_out()
        if self._shown is not None:
            self.call_later(self.show_run, *self._shown)

    @property
    def _has_charts(self) -> bool:
        """Whether there is room for the curves below the overview."""
        return self.tab == "overview" and self.size.width >= _ROOMY[0] and self.size.height >= _ROOMY[1]

    def _lay_out(self) -> None:
        for name, panel in self._widgets.items():
            panel.display = name == self.tab or (name == "curves" and self._has_charts)
        overview = self._overview
        overview.styles.height = "auto" if self._has_charts else "1fr"
        overview.styles.max_height = "60%" if self._has_charts else None

    def focus_panel(self) -> None:
        """Let the keys go to the panel."""
        panel = self.panel
        target = panel if panel.can_focus else next((w for w in panel.query("*") if w.can_focus and w.display), None)
        if target is not None:
            target.focus()

    def jump(self, offset: int) -> None:
        """Show the place in the log at byte *offset*; going back leads to the tab from which it was asked for."""
        came_from = self.tab if self.tab != "log" else self._came_from
        self.open_tab("log")
        self._came_from = came_from
        self._show_log()
        self._log.jump(offset)
        self.focus_panel()

    def show_run(self, snapshot: Snapshot, name: str, place: str, now: float) -> None:
        """Show *snapshot* of the run called *name*, the one at *place* (`run 1/12`), as it is at *now*."""
        self._shown = snapshot, name, place, now
        self._title_line.show_lines([self._title(snapshot, name, place, now)])
        view = snapshot.view
        counts = {"alerts": 0 if view is None else len(firing(view))}
        self._tab_line.show_tabs(self.tab, counts)
        if self.tab == "log":
            self._show_log()
            self._log.poll()
        else:
            for name in (self.tab, *(["curves"] if self._has_charts else [])):
                self._panels[name].show_run(snapshot, now)

    def restore(self, settings: dict[str, Any]) -> None:
        """Take up what was remembered of each panel."""
        for name, panel in self._panels.items():
            if isinstance(settings.get(name), dict):
                panel.restore(settings[name])

    @property
    def settings(self) -> dict[str, Any]:
        """What is to be remembered of each panel."""
        return {name: settings for name, panel in self._panels.items() if (settings := panel.settings)}

    def _show_log(self) -> None:
        if self._shown is None:
            return
        snapshot = self._shown[0]
        alerts = () if snapshot.view is None else snapshot.view.alerts
        marks = tuple((a.offset, a.severity) for a in alerts if a.offset is not None)
        if self._log_of != (snapshot.path, marks):
            self._log_of = snapshot.path, marks
            is_pipe = str(snapshot.path) == "-"
            self._log.show_log(None if is_pipe else snapshot.path, marks)

    def _title(self, snapshot: Snapshot, name: str, place: str, now: float) -> Line:
        width = self.size.width
        page = Page(width, self._glyphs)
        view = snapshot.view
        back = Span("◂ " if not self._is_ascii else "< ", "quiet")
        right = self._right(snapshot, place, now)
        if view is None:
            return Line([back, Span(page.name(name, max(8, width - 30)), "title"), Span(f"   {right}", "quiet")])
        told, entry = firing(view), entry_of(snapshot.path, name, snapshot)
        kinds: tuple[tuple[str, Role], ...] = (("X", "critical"), ("!", "warning"))
        counted = [(sign, role, sum(a.severity == role for a in told)) for sign, role in kinds]
        counts = [Span(f"  {sign} {n}", role) for sign, role, n in counted if n]
        tail = [Span("  "), Span(entry.status, STATUS_ROLES.get(entry.status, "quiet")), *counts]
        used = 4 + sum(len(s.text) for s in tail)
        room = width - used - len(right) - 3
        if room < min(16, len(name)):
            right, room = "", width - used - 1
        shown = page.name(name, max(8, room))
        line = Line([back, letter(entry, self._is_ascii), Span(" "), Span(shown, "title"), *tail])
        gap = width - line.cells - len(right) - 1
        return page.bound(Line([*line.spans, Span(" " * max(1, gap)), Span(right, "quiet")] if right else line.spans))

    @staticmethod
    def _right(snapshot: Snapshot, place: str, now: float) -> str:
        if snapshot.problem:
            state = snapshot.problem
        elif snapshot.is_history and snapshot.size:
            state = f"history {whole_percent(snapshot.read / snapshot.size) if snapshot.size else '0 %'}"
        else:
            state = "" if snapshot.grew_at is None else f"last output {age(max(0.0, now - snapshot.grew_at))} ago"
        return "  ".join(part for part in (place, state) if part)
