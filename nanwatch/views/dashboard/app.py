"""The application: takes updates from the thread that follows, shows them, and passes on what people ask for."""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from nanwatch.clock import Clock
from nanwatch.config import Rules
from nanwatch.model.alert import Alert
from nanwatch.model.snapshot import Snapshot
from nanwatch.model.update import Update
from nanwatch.views.dashboard.asking import Asking
from nanwatch.views.dashboard.dialogs import KeysDialog, LineDialog
from nanwatch.views.dashboard.key_line import KeyLine
from nanwatch.views.dashboard.main_screen import EVERYWHERE, MainScreen
from nanwatch.views.dashboard.messages import AckWanted, BackWanted, CopyWanted, SilenceWanted
from nanwatch.views.dashboard.palette import commands
from nanwatch.views.dashboard.preferences import Preferences
from nanwatch.views.dashboard.themes import ThemedApp
from nanwatch.views.words import clean, plural, size_words

if TYPE_CHECKING:  # what follows the logs is loaded by its own thread, once the first picture stands
    from nanwatch.live import Live
    from nanwatch.views.dashboard.compare.screen import CompareScreen

_DRAW_S, _TICK_S = 0.5, 1.0
"""Seconds between two redraws of what came in, and between two of what only time changes."""
_MOST_COMPARED = 6
_ALARM_AGAIN_S = 600.0
_MOST_ALARMS = 3
_LEAST_PALETTE = (20, 6)
_PAIR = 2


class NewsReady(Message):
    """An update can be taken."""


class Dashboard(ThemedApp):
    """Shows what *open_live* follows. *open_live* is given more patterns when somebody adds a log.

    *logs* are those that are known from the start. Preferences are kept when they change. `failure` is the defect
    that ended the following, if one did.
    """

    TITLE = "nanwatch"
    NOTIFICATION_TIMEOUT = 4.0
    CSS = """
    ToastRack { margin-bottom: 1; }
    Toast { width: auto; max-width: 60; padding: 0 1; margin: 0; }
    """
    ENABLE_COMMAND_PALETTE = True
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False),
    ]

    def __init__(
        self,
        open_live: Callable[[tuple[str, ...]], Live],
        clock: Clock,
        preferences: Preferences,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        *,
        theme: str | None = None,
        is_ascii: bool = False,
        logs: Iterable[Path] = (),
    ) -> None:
        super().__init__(theme=theme or preferences.part("app").get("theme"))
        self._open_live, self._clock, self._preferences = open_live, clock, preferences
        self._is_ascii = is_ascii
        self._added: tuple[str, ...] = ()
        self._live: Live | None = None
        self._snapshots = {path: Snapshot(path, is_history=True) for path in logs}
        self._update = Update()
        self._drawn_at = float("-inf")
        self._is_due = False
        self._frozen_at: float | None = None
        self._while_frozen = 0
        self._told: set[str] = set()
        self._alarmed: dict[tuple[Path, str], float] = {}
        self._comparison: CompareScreen | None = None
        self._marked: list[Path] = []
        self.asking = Asking(self)
        self.failure: Exception | None = None
        self.main = MainScreen(rules, is_ascii=is_ascii)

    # -- life

    def get_default_screen(self) -> Screen[None]:
        """Return the screen of the runs."""
        return self.main

    def on_ready(self) -> None:
        """Take up what was remembered, and begin to follow once the first picture stands."""
        keep = self._preferences.part
        self.main.restore(keep("runs"), keep("run"), keep("screen"))
        self.main.runs.focus_list()
        if not self.is_web:
            for number in (signal.SIGTERM, signal.SIGHUP):  # the terminal is to be left as it was
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self.draw()
        self.call_after_refresh(self._follow)
        self.set_interval(_TICK_S, self._tick)

    @property
    def is_live(self) -> bool:
        """Whether what stood in the logs at first has been read."""
        return self._update.is_live

    def _follow(self) -> None:
        live = self._live = self._open_live(self._added)
        live.on_news = self._on_news_from_thread
        live.start()

    def _on_news_from_thread(self) -> None:
        self.post_message(NewsReady())

    def on_unmount(self) -> None:
        """Stop following."""
        if self._live is not None:
            self._live.stop()

    def _remember(self) -> None:
        for name, settings in self.main.settings.items():
            self._preferences.keep(name, settings)

    # -- updates

    def on_news_ready(self) -> None:
        """Take the update; it is drawn at once, unless the last one was drawn just now."""
        update = None if self._live is None else self._live.take()
        if update is None:
            return
        if update.failure is not None:
            self.failure = update.failure
            self.exit(return_code=1)
            return
        self._snapshots = {p: s for p, s in self._snapshots.items() if p not in update.gone} | update.snapshots
        self._while_frozen += len(update.snapshots)
        self._update = update
        self._tell(update)
        if not self._is_due:
            self._is_due = True
            wait = _DRAW_S - (self._clock.steady() - self._drawn_at)
            if wait <= 0 or self.main.run_pane is None:
                self.draw()
            else:
                self.set_timer(wait, self.draw)
        if self.main.run_pane is None and any(s.view is not None for s in self._snapshots.values()):
            self.main.call_after_refresh(self.main.mount_run_pane)  # not before the first values are seen

    def _tick(self) -> None:
        if self._clock.steady() - self._drawn_at >= _TICK_S / 2:
            self.draw()
        self._remember()

    def draw(self) -> None:
        """Show what is known now."""
        self._is_due = False
        self._drawn_at, now = self._clock.steady(), self._clock.now()
        self.main.notice = self._notice(now)
        if self._frozen_at is None:
            self.main.show_runs(self._snapshots, now, self._update.waiting_for)
            if self._comparison is not None:
                self._comparison.update(self._compared())
        else:
            self.main.show_keys()

    def _notice(self, now: float) -> str:
        if self._frozen_at is not None:
            passed = int(now - self._frozen_at)
            return f"FROZEN {passed // 60:02}:{passed % 60:02}, {self._while_frozen:,} new"
        if self._update.at_end:
            return "the pipe was closed"
        behind = self._update.size - self._update.read
        return f"{size_words(behind)} behind" if self._update.is_live and behind > 1 << 20 else ""

    def _tell(self, update: Update) -> None:
        """Tell of new critical alerts, and of what is wrong with the following, once."""
        if len(update.critical) > _MOST_ALARMS:
            self.notify(f"{len(update.critical)} critical alerts at once", severity="error")
        for path, alert in update.critical[:_MOST_ALARMS]:
            self._alarm(path, alert)
        shown = tuple(f"{path}: " for path in self._snapshots)  # what is wrong with a log stands in its line
        problems = {text for text in (*update.problems, update.problem) if text and not text.startswith(shown)}
        for text in sorted(problems - self._told):
            self.notify(clean(text), severity="warning", markup=False)
        self._told = problems

    def _alarm(self, path: Path, alert: Alert) -> None:
        """Tell of a critical alert that began under the user's eyes; not again and again of one that comes and goes."""
        steady, key = self._clock.steady(), (path, alert.rule)
        if steady - self._alarmed.get(key, float("-inf")) < _ALARM_AGAIN_S:
            return
        self._alarmed[key] = steady
        name = self.main.runs.names.get(path, path.name)
        if path != self.main.opened:
            text = f"{name}: {clean(alert.rule)}: {clean(alert.message)}"
            self.notify(text, severity="error", markup=False)
        wanted = self._preferences.part("app")
        if wanted.get("bell"):
            self.bell()
        if wanted.get("notification") and self._driver is not None:
            text = clean(f"{name}: {alert.rule}")
            self._driver.write(f"\x1b]9;nanwatch: {text}\x07")

    # -- what people ask for

    @on(AckWanted)
    def _on_ack_wanted(self, message: AckWanted) -> None:
        self.asking.acknowledge(message)

    @on(SilenceWanted)
    def _on_silence_wanted(self, message: SilenceWanted) -> None:
        self.asking.silence(message)

    def snapshot(self, path: Path) -> Snapshot | None:
        """Return what is known of the log at *path*."""
        return self._snapshots.get(path)

    @property
    def live(self) -> Live | None:
        """What follows the logs; None before it began."""
        return self._live

    @property
    def clock(self) -> Clock:
        """Where the time comes from."""
        return self._clock

    @on(CopyWanted)
    def _on_copy_wanted(self, message: CopyWanted) -> None:
        self.copy_to_clipboard(message.text)
        self.notify(f"{message.what} copied, {plural(len(message.text.splitlines()), 'line')}")

    @on(KeyLine.Pressed)
    def _on_key_pressed(self, message: KeyLine.Pressed) -> None:
        self._press(message.key)

    def _press(self, key: str) -> None:
        name = key.split()[0].split("-")[0]
        known = {"⏎": "enter", "?": "question_mark", "/": "slash", "!": "exclamation_mark", "[": "left_square_bracket",
                 "+": "plus", "&": "ampersand", ":": "colon", "<": "less_than_sign", "~": "tilde",
                 "{": "left_curly_bracket", "esc": "escape", ">": "greater_than_sign", "pgdn": "pagedown",
                 "pgup": "pageup", "shift+left/right": "shift+right", "space": "space"}  # fmt: skip
        self.simulate_key(known.get(name, name))

    def action_command_palette(self) -> None:
        """Show the palette, where it has room."""
        if self.size >= _LEAST_PALETTE and self.size.height >= _LEAST_PALETTE[1]:
            super().action_command_palette()

    # -- keys

    def action_freeze(self) -> None:
        """Keep the screen as it is, or let it go on."""
        self._frozen_at = self._clock.now() if self._frozen_at is None else None
        self._while_frozen = 0
        self.draw()

    async def action_quit(self) -> None:
        """Leave at once."""
        self._remember()
        self.exit()

    def action_help(self) -> None:
        """Show every key."""
        pane = self.main.run_pane
        sections = [("everywhere", EVERYWHERE), ("runs", self.main.runs.KEYS)]
        sections += [] if pane is None else [(tab, keys) for tab, keys in pane.all_keys() if keys]
        if pane is not None and self.main.is_in_run:
            sections.sort(key=lambda section: section[0] != pane.tab)

        def press(key: str | None) -> None:
            if key is not None:
                self._press(key)

        self.push_screen(KeysDialog(sections, self._about()), press)

    def _about(self) -> list[str]:
        update = self._update
        daemon = f"daemon: {update.daemon}" if update.daemon else "no daemon runs: nobody is told when you leave"
        read = f"read {size_words(update.read)} of {size_words(update.size)}; Shift and the mouse select text"
        return [daemon, read, *([update.problem] if update.problem else [])]

    def action_compare(self) -> None:
        """Compare the runs that are marked."""
        from nanwatch.views.dashboard.compare.screen import CompareScreen

        marked = [path for path in self.main.runs.marked if path in self._snapshots][:_MOST_COMPARED]
        if len(marked) < _PAIR:
            self.notify("mark two runs or more with space, then press c", severity="information")
            return
        self._marked = marked
        self._comparison = CompareScreen(self._compared(), is_ascii=self._is_ascii)
        self.push_screen(self._comparison, self._end_comparison)

    def _compared(self) -> list[tuple[str, Snapshot]]:
        names = self.main.runs.names
        return [(names.get(path, str(path)), self._snapshots[path]) for path in self._marked if path in self._snapshots]

    def _end_comparison(self, _: None) -> None:
        self._comparison = None

    @on(BackWanted)
    def _on_back_wanted(self) -> None:
        if self.screen is not self.main:
            self.pop_screen()

    def action_add_log(self) -> None:
        """Ask for one more log; a visitor from elsewhere may not name the files of this machine."""
        if self.is_web:
            self.notify("a log cannot be added from a browser", severity="warning")
            return

        if Path("-") in self._snapshots:
            self.notify("standard input stands alone: start another nanwatch for a log", severity="warning")
            return

        def add(pattern: str | None) -> None:
            if pattern:
                try:
                    path = str(Path(pattern).expanduser().absolute())
                except RuntimeError as error:  # the home of a user who is none
                    self.notify(clean(str(error)), severity="error", markup=False)
                    return
                self._added = (*self._added, path)
                if self._live is not None:
                    self._live.stop(timeout=0.0)  # it ends by itself, and nobody takes what it still tells
                self._follow()

        self.push_screen(LineDialog("Add a log", "a file, a folder, or a glob such as runs/**/*.log"), add)

    def action_save_screen(self) -> None:
        """Save what is seen as a picture, in the folder in which this was started."""
        path = Path(time.strftime("nanwatch-%Y%m%d-%H%M%S.svg", time.localtime(self._clock.now())))
        if self.is_web:
            picture = io.StringIO(self.export_screenshot(title="nanwatch"))
            self.deliver_text(picture, save_filename=path.name, mime_type="image/svg+xml")
            return
        try:
            path.write_text(self.export_screenshot(title="nanwatch"), encoding="utf-8")
        except OSError as error:
            self.notify(f"{path}: {(error.strerror or 'cannot be written').lower()}", severity="error")
            return
        self.notify(f"saved {path}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the palette offers."""
        return commands(self, is_main=screen is self.main, wanted=self._preferences.part("app"))

    def switch(self, name: str) -> None:
        """Switch the bell or the terminal notification on or off."""
        wanted = self._preferences.part("app")
        wanted[name] = not wanted.get(name)
        self._preferences.keep("app", wanted)
        self.notify(f"{name} {'on' if wanted[name] else 'off'}")

    def watch_theme(self, theme: str) -> None:
        """Remember the theme that was chosen."""
        if getattr(self, "_preferences", None) is not None and self.is_running:
            self._preferences.keep("app", {**self._preferences.part("app"), "theme": theme})
