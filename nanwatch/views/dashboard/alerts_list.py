"""The alerts of a run as a list: what fires first, then what is kept quiet, then what is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.alert import SEVERITIES, Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import alert_text
from nanwatch.views.words import clean, cut_end, duration, moment, pad

_ROLES: dict[str, Role] = {"critical": "critical", "warning": "warning", "info": ""}
_LETTERS = {"critical": "X", "warning": "!", "info": "i"}
_STATE, _SINCE, _FOR = 9, 5, 3


class Order(NamedTuple):
    """Which alerts a person wants to see, and in which order within their group."""

    is_by_severity: bool = False
    is_firing_only: bool = False


def is_told(alert: Alert) -> bool:
    """Tell whether *alert* fires and nothing keeps it quiet."""
    return alert.state == "firing" and not alert.suppressed


def ordered(alerts: Sequence[Alert], order: Order) -> list[Alert]:
    """Return the alerts to show: what fires, news, what is kept quiet, what is over; the newest first in each."""
    shown = [(n, a) for n, a in enumerate(alerts) if a.state != "pending" and not (order.is_firing_only and _group(a))]

    def key(item: tuple[int, Alert]) -> tuple[float, ...]:
        place, alert = item
        rank = -SEVERITIES.index(alert.severity) if order.is_by_severity else 0
        return _group(alert), rank, -(_began(alert) or 0.0), -(alert.offset or 0), -place

    return [alert for _, alert in sorted(shown, key=key)]


def _group(alert: Alert) -> int:
    if is_told(alert):
        return int(alert.severity == "info")
    return 2 if alert.state == "firing" else 3


def _began(alert: Alert) -> float | None:
    """Return when *alert* began, None for a time that is none."""
    return alert.started_at if alert.started_at is not None and math.isfinite(alert.started_at) else None


def state_of(alert: Alert) -> str:
    """Return `FIRING`, why nobody is told of it, or `resolved`, in one word."""
    if alert.state != "firing":
        return alert.state
    for word, reason in (("seen", "acknowledged"), ("silenced", "silenced"), ("inhibited", "inhibited")):
        if any(text.startswith(reason) for text in alert.suppressed):
            return word
    return "quiet" if alert.suppressed else "news" if alert.severity == "info" else "FIRING"


def mark_of(alert: Alert, is_ascii: bool) -> Span:
    """Return the letter of *alert*: how bad it is, that it is kept quiet, or that it is over."""
    if alert.state == "resolved":
        return Span("+" if is_ascii else "✓", "finished")
    if is_told(alert):
        return Span(_LETTERS[alert.severity], _ROLES[alert.severity])
    return Span("x" if state_of(alert) == "seen" else "z", "quiet")


def since_of(alert: Alert, run: Run, now: float) -> str:
    """Return when *alert* began: the time, or (where nothing tells it) the place in the run."""
    began = _began(alert)
    return place_of(alert, run) if began is None else moment(began, now)


def place_of(alert: Alert, run: Run) -> str:
    """Return `e4 b32`, `e4`, `step 120`, or `-`."""
    if run.epoch is None:
        return "-" if alert.batch is None else f"step {alert.batch:,}"
    parts = [] if alert.epoch is None else [f"e{alert.epoch:,}"]
    parts += [] if alert.batch is None else [f"b{alert.batch:,}"]
    return " ".join(parts) or "-"


def lasted_of(alert: Alert, now: float) -> str:
    """Return for how long *alert* has been firing, or did; `-` where it is not known."""
    began = _began(alert)
    end = now if alert.state == "firing" else alert.resolved_at
    return "-" if began is None or end is None else duration(max(0.0, end - began))


def words_of(view: RunView, alert: Alert) -> str:
    """Return *alert* in words: with counts as of now while it fires, else as it was last told."""
    return alert_text(view, alert) if alert.state == "firing" else clean(alert.message)


def list_lines(
    view: RunView, alerts: Sequence[Alert], now: float, page: Page, is_ascii: bool
) -> tuple[list[Line], list[Line]]:
    """Return the head of the list, and a line for each of *alerts*."""
    since = [since_of(alert, view.run, now) for alert in alerts]
    lasted = [lasted_of(alert, now) for alert in alerts]
    widths = (max(_SINCE, *map(len, since)), max(_FOR, *map(len, lasted))) if alerts else (_SINCE, _FOR)
    head = f"   {pad('STATE', _STATE)} {pad('SINCE', widths[0])} {pad('FOR', widths[1])}  WHAT"
    lines = []
    for place, alert in enumerate(alerts):
        mark = mark_of(alert, is_ascii)
        role = mark.role if is_told(alert) else "quiet"
        told = f"{pad(since[place], widths[0])} {pad(lasted[place], widths[1])}  "
        spans = [Span(" "), mark, Span(" "), Span(f"{pad(state_of(alert), _STATE)} ", role), Span(told)]
        room = max(1, page.width - sum(cell_len(span.text) for span in spans))
        text = cut_end(page.arrows(words_of(view, alert)), room, page.glyphs.more)
        lines.append(Line([*spans, Span(text, role if role == "quiet" else "")]))
    return [page.bound(Line([Span(head)]))], [page.bound(line) for line in lines]


def counted(alerts: Sequence[Alert]) -> str:
    """Return `firing 3, news 1, kept quiet 1, resolved 2`."""
    names = ("firing", "news", "kept quiet", "resolved")
    groups = [_group(alert) for alert in alerts if alert.state != "pending"]
    return ", ".join(f"{name} {groups.count(n)}" for n, name in enumerate(names) if n in groups)
