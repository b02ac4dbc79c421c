"""The screen that people look at: the runs, and one of them, side by side where there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen

from nanwatch.config import Rules
from nanwatch.model.alert import Alert
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.key_line import KeyLine
from nanwatch.views.dashboard.messages import AckWanted, BackWanted, LogWanted, RunOpened, SilenceWanted, TabPicked
from nanwatch.views.dashboard.panel import TABS, Key
from nanwatch.views.dashboard.runs.panel import RunsPanel

if TYPE_CHECKING:  # loaded once the first picture stands
    from nanwatch.views.dashboard.run_pane import RunPane

_WIDE, _HIGH = 130, 36
"""Cells from which on the runs and one of them are seen together."""
_LEAST_LIST = 7
_LEAST_SHARE, _MOST_SHARE, _SHARE_STEP = 15, 75, 5

EVERYWHERE = (
    Key("1-5", "the tabs of a run"), Key("[ ]", "previous, next tab"), Key("J K", "next, previous run"),
    Key("tab", "next pane"), Key("esc", "back"), Key("Z", "one pane, or both"), Key("{ }", "move the split"),
    Key("a A", "acknowledge what fires, take it back"), Key("x", "silence what fires"),
    Key("p", "freeze the screen"), Key("c", "compare the marked runs"), Key("o", "add a log"),
    Key("V", "save the screen as SVG"), Key("ctrl+p", "all commands"), Key("?", "keys"), Key("ctrl+c", "quit"),
)  # fmt: skip


class MainScreen(Screen[None]):
    """Lays out the two panes and sends keys to the one that has them."""

    DEFAULT_CSS = """
    MainScreen { layers: base; }
    MainScreen #panes { height: 1fr; }
    MainScreen RunsPanel { height: 1fr; }
    MainScreen RunPane { height: 1fr; display: none; }
    MainScreen RunPane.-below { border-top: solid $role-quiet; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"tab('{tab}')", tab, show=False) for number, tab in enumerate(TABS, start=1)),
        Binding("left_square_bracket", "turn(-1)", show=False),
        Binding("right_square_bracket", "turn(1)", show=False),
        Binding("J", "next_run(1)", show=False),
        Binding("K", "next_run(-1)", show=False),
        Binding("escape", "back", show=False),
        Binding("q", "leave", show=False),
        Binding("tab,shift+tab", "other_pane", show=False),
        Binding("z,Z", "zoom", show=False),
        Binding("left_curly_bracket", "split(-1)", show=False),
        Binding("right_curly_bracket", "split(1)", show=False),
        Binding("a", "acknowledge(False)", show=False),
        Binding("A", "acknowledge(True)", show=False),
        Binding("x", "silence", show=False),
        Binding("p", "app.freeze", show=False),
        Binding("c", "app.compare", show=False),
        Binding("o", "app.add_log", show=False),
        Binding("V", "app.save_screen", show=False),
        Binding("question_mark,f1", "app.help", show=False),
    ]

    def __init__(self, rules: Rules, *, is_ascii: bool) -> None:
        super().__init__()
        self._rules = rules
        self._is_ascii = is_ascii
        self._snapshots: Mapping[Path, Snapshot] = {}
        self._now = 0.0
        self._waiting_for: Sequence[str] = ()
        self._share = 40
        self.opened: Path | None = None
        self.is_zoomed = False
        self.notice = ""
        self.runs = RunsPanel(is_ascii=is_ascii, id="runs")
        self._key_line = KeyLine()
        self.run_pane: RunPane | None = None
        self._remembered: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        """Put the panes together."""
        with Vertical(id="panes"):
            yield self.runs
        yield self._key_line

    async def mount_run_pane(self) -> None:
        """Make the pane of one run: it is not needed for the first picture, and takes as long as that."""
        if self.run_pane is not None:
            return
        from nanwatch.views.dashboard.run_pane import RunPane

        self.run_pane = RunPane(self._rules, is_ascii=self._is_ascii, id="run")
        await self.query_one("#panes").mount(self.run_pane)
        self.run_pane.restore(self._remembered)
        self._arrange()

    @property
    def shows_both(self) -> bool:
        """Whether the runs and one of them are seen together."""
        return self.size.width >= _WIDE and self.size.height >= _HIGH and not self.is_zoomed

    @property
    def is_in_run(self) -> bool:
        """Whether the keys go to one run, not to the list."""
        focused = self.focused
        return self.opened is not None and (focused is None or self.run_pane in focused.ancestors_with_self)

    # -- what is shown

    def show_runs(self, snapshots: Mapping[Path, Snapshot], now: float, waiting_for: Sequence[str] = ()) -> None:
        """Show *snapshots* as they are at *now*."""
        has_other_logs = len(snapshots) != len(self._snapshots)
        self._snapshots, self._now, self._waiting_for = snapshots, now, waiting_for
        if has_other_logs:
            self._lay_out()
        if self.runs.display:
            self.runs.show_runs(snapshots, now, waiting_for)
        if self.opened is not None and self.opened not in snapshots:
            self._leave()
        self._show_run()
        self.show_keys()

    def show_keys(self) -> None:
        """Show the keys of the pane that has them."""
        is_in_run = self.run_pane is not None and self.is_in_run
        keys = self.run_pane.keys if self.run_pane is not None and is_in_run else self.runs.KEYS
        self._key_line.show_keys(keys, self.notice, "back" if is_in_run else "quit")

    def _show_run(self) -> None:
        path = self.opened or (self.runs.selected if self.shows_both else None)
        snapshot = None if path is None else self._snapshots.get(path)
        if path is None or snapshot is None or self.run_pane is None or not self.run_pane.display:
            return
        order = self.runs.order.shown
        name = self.runs.names.get(path, str(path))
        place = f"run {order.index(path) + 1}/{len(order)}" if path in order and len(order) > 1 else ""
        self.run_pane.show_run(snapshot, name, place, self._now)

    def _lay_out(self) -> None:
        """Show the pane that is wanted, or both; a class on the screen itself would restyle all that is in it."""
        both, pane = self.shows_both, self.run_pane
        is_in_run = self.opened is not None
        self.runs.display = both or not is_in_run
        self.runs.styles.height = self._list_height() if both else "1fr"
        self.runs.has_strip = not both  # the pane below says it all
        if pane is not None:
            pane.display = both or is_in_run
            pane.set_class(both, "-below")

    def _list_height(self) -> int:
        """Return the lines of the list beside a run: no more than it has use for."""
        return min(self.size.height * self._share // 100, max(_LEAST_LIST, len(self._snapshots) + 3))

    def _arrange(self) -> None:
        """Lay out anew, and show what is now seen."""
        self._lay_out()
        self.call_after_refresh(self._show_again)

    def _show_again(self) -> None:
        if self._now:
            self.show_runs(self._snapshots, self._now, self._waiting_for)

    def on_resize(self) -> None:
        """Lay out for the new size."""
        self._arrange()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:  # noqa: ARG002 - Textual's signature
        """Show the keys of the pane that has them now."""
        self.show_keys()

    # -- from the runs into one, and back

    def open_run(self, path: Path, tab: str | None = None) -> None:
        """Show one run, and let the keys go to it."""
        if self.run_pane is None:
            self.call_later(self._mount_and_open, path, tab)
            return
        self.opened = path
        self.runs.select(path)
        if tab is not None:
            self.run_pane.open_tab(tab)
        self._lay_out()
        self._show_run()  # if it was not seen before, it fills itself as soon as it knows its size
        self.run_pane.focus_panel()
        self.show_keys()

    async def _mount_and_open(self, path: Path, tab: str | None) -> None:
        await self.mount_run_pane()
        self.open_run(path, tab)

    def _leave(self) -> None:
        """Go back to the list."""
        self.opened, self.is_zoomed = None, False
        self._lay_out()
        self.runs.focus_list()
        self._show_again()

    @on(RunOpened)
    def _on_run_opened(self, message: RunOpened) -> None:
        message.stop()
        self.open_run(message.path, message.tab)

    @on(RunsPanel.Highlighted)
    def _on_highlighted(self) -> None:
        if self.shows_both and not self.is_in_run:
            self.opened = None
            self._show_run()

    @on(LogWanted)
    def _on_log_wanted(self, message: LogWanted) -> None:
        message.stop()
        if self.run_pane is None:
            return
        self.opened = self.opened or self.runs.selected
        self._lay_out()
        self.run_pane.jump(message.offset)
        self._show_run()
        self.show_keys()

    @on(BackWanted)
    def _on_back_wanted(self, message: BackWanted) -> None:
        message.stop()
        self.action_back()

    @on(TabPicked)
    def _on_tab_picked(self, message: TabPicked) -> None:
        self.action_tab(message.tab)

    # -- keys

    def action_tab(self, tab: str) -> None:
        """Open a tab of the run."""
        path = self.opened or self.runs.selected
        if path is not None:
            self.open_run(path, tab)

    def action_turn(self, step: int) -> None:
        """Open the next tab, or the previous one."""
        if self.run_pane is not None:
            self.action_tab(TABS[(TABS.index(self.run_pane.tab) + step) % len(TABS)])

    def action_next_run(self, step: int) -> None:
        """Show the next run without leaving the tab."""
        path = self.runs.next_run(step)
        if path is None:
            return
        if self.opened is None:
            self.runs.select(path)
        else:
            self.open_run(path)

    def _firing(self) -> tuple[Path, list[Alert]] | None:
        """Return the run that is shown, and what needs somebody in it."""
        path = self.opened or self.runs.selected
        snapshot = None if path is None else self._snapshots.get(path)
        if path is None or snapshot is None or snapshot.view is None:
            return None
        fires = [a for a in snapshot.view.alerts if a.state == "firing" and a.severity != "info"]
        return path, fires

    def action_acknowledge(self, undo: bool) -> None:
        """Keep quiet what fires in the run that is shown, or take that back."""
        if (found := self._firing()) is not None:
            self.post_message(AckWanted(*found, undo))

    def action_silence(self) -> None:
        """Ask for how long nobody is to be told of what fires in the run that is shown."""
        if (found := self._firing()) is not None:
            self.post_message(SilenceWanted(*found))

    def action_back(self) -> None:
        """Go back to the list."""
        if self.is_in_run:
            self._leave()

    def action_leave(self) -> None:
        """Go back to the list; from there, leave."""
        if self.is_in_run:
            self._leave()
        else:
            self.app.call_later(self.app.action_quit)

    def action_other_pane(self) -> None:
        """Let the keys go to the other pane."""
        if self.is_in_run and self.shows_both:
            self._leave()
        elif (path := self.runs.selected) is not None:
            self.open_run(path)

    def action_zoom(self) -> None:
        """Show one pane on the whole screen, or both."""
        if self.size.width >= _WIDE and self.size.height >= _HIGH:
            self.is_zoomed = not self.is_zoomed
            self._arrange()

    def action_split(self, step: int) -> None:
        """Give the list more room, or less."""
        self._share = max(_LEAST_SHARE, min(_MOST_SHARE, self._share + step * _SHARE_STEP))
        self._arrange()

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What is to be remembered."""
        run = self._remembered if self.run_pane is None else self.run_pane.settings
        # Not how the list is sorted and filtered: the next day the worst is to stand first again.
        runs = {name: value for name, value in self.runs.settings.items() if name == "hide_finished"}
        return {"runs": runs, "run": run, "screen": {"share": self._share}}

    def restore(self, runs: dict[str, Any], run: dict[str, Any], screen: dict[str, Any]) -> None:
        """Take up what was remembered."""
        self.runs.restore(runs)
        self._remembered = run
        share = screen.get("share")
        if isinstance(share, int) and _LEAST_SHARE <= share <= _MOST_SHARE:
            self._share = share
