"""The tab with the alerts of a run: a list, and all that is known of the one at the cursor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nanwatch.config import Rules
from nanwatch.model.alert import Alert, Severity
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.alerts_details import as_text, detail_lines, rules_at_work
from nanwatch.views.dashboard.alerts_list import Order, counted, list_lines, ordered
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import AckWanted, CopyWanted, LogWanted, SilenceWanted
from nanwatch.views.dashboard.overview_signs import signs_of
from nanwatch.views.dashboard.overview_standing import live, reading_lines
from nanwatch.views.dashboard.panel import Key, glyphs_of
from nanwatch.views.page import Line, Page, Span

WIDE = 130
"""From so many cells on the details are at the right."""
_LEAST_LIST = 4
_LEAST_DETAILS = 3


class AlertsPanel(Container):
    """The alerts of one run. The cursor stays on its alert, wherever that goes in the list."""

    KEYS = (
        Key("enter", "log line"), Key("a", "ack"), Key("x", "silence"), Key("e", "next critical"),
        Key("!", "firing"), Key("i", "rule"), Key("s", "sort"), Key("y", "copy"), Key("A", "take the ack back"),
        Key("E", "previous critical"), Key("w W", "next, previous warning"),
    )  # fmt: skip

    DEFAULT_CSS = """
    AlertsPanel {
        layout: vertical;
        & > #alerts-list { height: 1fr; width: 1fr; }
        & > #alerts-details { height: auto; width: 1fr; }
        &.-beside { layout: horizontal; }
        &.-beside > #alerts-details { height: 1fr; padding-left: 1; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge(False)", "Acknowledge", show=False),
        Binding("A", "acknowledge(True)", "Take back", show=False),
        Binding("x", "silence", "Silence", show=False),
        Binding("e", "severity('critical', 1)", "Next critical", show=False),
        Binding("E", "severity('critical', -1)", "Previous critical", show=False),
        Binding("w", "severity('warning', 1)", "Next warning", show=False),
        Binding("W", "severity('warning', -1)", "Previous warning", show=False),
        Binding("!", "firing", "Firing only", show=False),
        Binding("i", "explain", "Rule", show=False),
        Binding("s", "sort", "Sort", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(self, *, is_ascii: bool = False, rules: Rules | None = None, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._is_ascii = is_ascii
        self._rules = Rules() if rules is None else rules
        self._order = Order()
        self._is_explained = False
        self._acted: str | None = None
        """The alert about which a wish was uttered: no filter hides it until the cursor leaves it."""
        self._snapshot: Snapshot | None = None
        self._now = 0.0
        self._alerts: list[Alert] = []
        self._list = LinesView(has_cursor=True, id="alerts-list")
        self._details = LinesView(id="alerts-details")

    def compose(self) -> ComposeResult:
        """Put the details after the list."""
        yield self._list
        yield self._details

    def focus(self, scroll_visible: bool = True) -> Self:
        """Let the keys go to the list."""
        self._list.focus(scroll_visible)
        return self

    @property
    def settings(self) -> dict[str, object]:
        """What is to be remembered."""
        order = self._order
        return {"by_severity": order.is_by_severity, "firing": order.is_firing_only, "explain": self._is_explained}

    def restore(self, settings: Mapping[str, object]) -> None:
        """Take what was remembered."""
        self._order = Order(settings.get("by_severity") is True, settings.get("firing") is True)
        self._is_explained = settings.get("explain") is True
        self._lay_out()

    @property
    def alert(self) -> Alert | None:
        """The alert at the cursor."""
        return self._alerts[self._list.cursor] if self._list.cursor < len(self._alerts) else None

    def show_run(self, snapshot: Snapshot, now: float) -> None:
        """Show *snapshot* as it is at *now* (Unix seconds)."""
        if self._snapshot is not None and self._snapshot.path != snapshot.path:
            self._alerts, self._acted = [], None
        self._snapshot, self._now = snapshot, now
        self._lay_out()

    def on_resize(self) -> None:
        """Lay out anew for the new size."""
        self._lay_out()

    # -- laying out

    @property
    def _is_wide(self) -> bool:
        return self.size.width >= WIDE

    @property
    def _list_cells(self) -> int:
        """How wide the list is: three fifths where the details stand beside it."""
        return self.size.width * 3 // 5 if self._is_wide else self.size.width

    def _lay_out(self) -> None:
        if self._snapshot is None or not self.size.width:
            return
        view = live(self._snapshot, self._now)
        # What the list points at counts, not what it has told of: a message of it may be on its way.
        here, is_first = self.alert, not self._alerts
        self._alerts = [] if view is None else ordered(view.alerts, self._order, self._acted)
        page = Page(self._list_cells - 1, glyphs_of(self._is_ascii))
        if view is None or not self._alerts:
            self._list.show_lines(self._nothing(page))
        else:
            head, lines = list_lines(view, self._alerts, self._now, page, self._is_ascii)
            held = next((n for n, alert in enumerate(self._alerts) if here is not None and alert.id == here.id), None)
            before = self._list.cursor
            self._list.show_lines(lines, head, 0 if is_first else held)
            if self._list.cursor != before:
                self.call_after_refresh(self._list.scroll_to_line, self._list.cursor)
        self._show_details()

    def _nothing(self, page: Page) -> list[Line]:
        """Return why there is no alert to see."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.view is None:
            return [] if snapshot is None else reading_lines(snapshot, page)
        reading = reading_lines(snapshot, page)
        if snapshot.view.alerts:
            text = f"no alert is firing ({counted(snapshot.view.alerts)}); ! shows all"
        else:
            text = f"no alert so far; {rules_at_work(self._rules)}"
        return [*reading, *page.prose(text, "quiet", indent=1)]

    def _show_details(self) -> None:
        lines = self._detail_lines()
        self.set_class(self._is_wide, "-beside")
        self._list.styles.width = self._list_cells
        room = self.size.height - min(max(_LEAST_LIST, len(self._alerts) + 1), self.size.height // 2)
        height = 0 if room < _LEAST_DETAILS else min(len(lines), room)
        self._details.styles.height = None if self._is_wide else height
        self._details.display = bool(lines) and (self._is_wide or height > 0)
        self._details.show_lines(lines)

    def _detail_lines(self) -> list[Line]:
        """Return the details of the alert at the cursor, below a rule where they are not beside the list."""
        alert, view = self.alert, None if self._snapshot is None else live(self._snapshot, self._now)
        if alert is None or view is None:
            return []
        width = self.size.width - 1 - (self._list_cells + 1 if self._is_wide else 0)
        page = Page(max(1, width), glyphs_of(self._is_ascii))
        told = f" {self._list.cursor + 1} of {len(self._alerts)}"
        told += "" if self._snapshot is None or self._snapshot.view is None else f": {counted(view.alerts)} "
        rule = signs_of(self._is_ascii).rule
        bar = Line([Span(rule), Span(told), Span(rule * max(0, width - len(told) - 1), "quiet")])
        return [
            page.bound(bar),
            *detail_lines(view, alert, self._now, page, self._rules, self._is_ascii, self._is_explained),
        ]

    # -- keys and mouse

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Show the details of the alert that is pointed at now, and stay with it."""
        event.stop()
        if self.alert is None or self.alert.id != self._acted:
            self._acted = None
        self._show_details()
        self._details.scroll_home(animate=False)
        self.call_after_refresh(self._list.scroll_to_line, self._list.cursor)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        """Show the alert's place in the log."""
        event.stop()
        if self.alert is not None and self.alert.offset is not None:
            self.post_message(LogWanted(self.alert.offset))

    def on_lines_view_head_clicked(self, event: LinesView.HeadClicked) -> None:
        """Sort differently."""
        event.stop()
        self.action_sort()

    def action_acknowledge(self, undo: bool) -> None:
        """Keep the alert at the cursor quiet until it ends, or no longer."""
        if self.alert is not None and self._snapshot is not None:
            self._acted = self.alert.id
            self.post_message(AckWanted(self._snapshot.path, [self.alert], undo))

    def action_silence(self) -> None:
        """Ask for how long nobody is to be told of the alert at the cursor."""
        if self.alert is not None and self._snapshot is not None:
            self._acted = self.alert.id
            self.post_message(SilenceWanted(self._snapshot.path, [self.alert]))

    def action_severity(self, severity: Severity, step: int) -> None:
        """Go to the next or the previous alert that is so bad."""
        places = [n for n, alert in enumerate(self._alerts) if alert.severity == severity]
        ahead = [n for n in places if (n - self._list.cursor) * step > 0]
        if ahead:
            self._list.move_to(ahead[0] if step > 0 else ahead[-1])

    def action_firing(self) -> None:
        """Show only what fires and is not kept quiet, or all."""
        self._order, self._acted = self._order._replace(is_firing_only=not self._order.is_firing_only), None
        self._lay_out()

    def action_sort(self) -> None:
        """Sort by severity, or by time."""
        self._order = self._order._replace(is_by_severity=not self._order.is_by_severity)
        self._lay_out()
        self._list.scroll_to_line(self._list.cursor)

    def action_explain(self) -> None:
        """Explain the rule, or no longer."""
        self._is_explained = not self._is_explained
        self._show_details()

    def action_copy(self) -> None:
        """Copy the alert in words."""
        view = None if self._snapshot is None else live(self._snapshot, self._now)
        if self.alert is not None and view is not None:
            self.post_message(CopyWanted(as_text(view, self.alert, self._now), "alert"))
