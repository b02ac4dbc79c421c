"""The alerts of a run as a list: what fires first, then what nobody is told of, then what is over."""

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
_INHIBITED, _SILENCED = "inhibited by ", "silenced: "
_ENDINGS = ("crash", "oom", "interrupted", "process_gone", "finished", "stall")
"""Rules about how a log's output ended: where nothing else tells when that was, its last byte does."""


class Order(NamedTuple):
    """Which alerts a person wants to see, and in which order within their group."""

    is_by_severity: bool = False
    is_firing_only: bool = False


def is_told(alert: Alert) -> bool:
    """Tell whether *alert* fires and nothing keeps it quiet."""
    return alert.state == "firing" and not alert.suppressed


def ordered(alerts: Sequence[Alert], order: Order, kept: str | None = None) -> list[Alert]:
    """Return the alerts to show: what fires, news, what nobody is told of, what is over; the newest first in each.

    The alert with the id *kept* is shown in any case.
    """

    def is_shown(alert: Alert) -> bool:
        return alert.id == kept or not (order.is_firing_only and _group(alert))

    def key(item: tuple[int, Alert]) -> tuple[float, ...]:
        place, alert = item
        rank = -SEVERITIES.index(alert.severity) if order.is_by_severity else 0
        return _group(alert), rank, -(_finite(alert.started_at) or 0.0), -(alert.offset or 0), -place

    shown = [(n, alert) for n, alert in enumerate(alerts) if alert.state != "pending" and is_shown(alert)]

    return [alert for _, alert in sorted(shown, key=key)]


def _group(alert: Alert) -> int:
    if is_told(alert):
        return int(alert.severity == "info")
    return 2 if alert.state == "firing" else 3


def _finite(time: float | None) -> float | None:
    """Return *time*, None for one that is none."""
    return time if time is not None and math.isfinite(time) else None


def began(view: RunView, alert: Alert, now: float) -> float | None:
    """Return when what *alert* tells of began (Unix seconds), None where nothing tells it.

    A silence began with the last output, not when it was noticed.
    """
    started = _finite(alert.started_at)
    if alert.rule not in _ENDINGS or (alert.rule != "stall" and started is not None):
        return started
    if alert.state == "firing":
        last = now - view.silence if view.silence is not None else view.run.grew_at
        return started if last is None else last
    end, silence = _finite(alert.resolved_at), alert.evidence.get("silence_seconds")
    return end - silence if end is not None and isinstance(silence, int | float) else started


def state_of(alert: Alert) -> str:
    """Return `FIRING`, why nobody is told of it, or `resolved`, in one word."""
    if alert.state != "firing":
        return alert.state
    for word, reason in (("seen", "acknowledged"), ("silenced", "silenced"), ("covered", _INHIBITED)):
        if any(text.startswith(reason) for text in alert.suppressed):
            return word
    return "quiet" if alert.suppressed else "news" if alert.severity == "info" else "FIRING"


def told_by(alert: Alert) -> str:
    """Return `told by nan_burst` where another alert stands for *alert*, else nothing."""
    rules = [clean(text.removeprefix(_INHIBITED)) for text in alert.suppressed if text.startswith(_INHIBITED)]
    return f"told by {' and '.join(rules)}" if rules and alert.state == "firing" else ""


def reasons_of(alert: Alert) -> list[str]:
    """Return in words why nobody is told of *alert*."""
    other = [clean(text) for text in alert.suppressed if not text.startswith(_INHIBITED)]
    return [*other, *filter(None, [told_by(alert)])]


def mark_of(alert: Alert, is_ascii: bool) -> Span:
    """Return the letter of *alert*: how bad it is, that it is kept quiet, or that it is over."""
    if alert.state == "resolved":
        return Span("+" if is_ascii else "✓", "finished")
    if is_told(alert):
        return Span(_LETTERS[alert.severity], _ROLES[alert.severity])
    return Span("x" if state_of(alert) == "seen" else "z", "quiet")


def since_of(view: RunView, alert: Alert, now: float) -> str:
    """Return when *alert* began: the time, or (where nothing tells it) the place in the run."""
    at = began(view, alert, now)
    return place_of(alert, view.run) if at is None else moment(at, now)


def place_of(alert: Alert, run: Run) -> str:
    """Return `e4 b32`, `e4`, `step 120`, or `-`."""
    if run.epoch is None:
        return "-" if alert.batch is None else f"step {alert.batch:,}"
    parts = [] if alert.epoch is None else [f"e{alert.epoch:,}"]
    parts += [] if alert.batch is None else [f"b{alert.batch:,}"]
    return " ".join(parts) or "-"


def lasted_of(view: RunView, alert: Alert, now: float) -> str:
    """Return for how long *alert* has been firing, or did; `-` where it is not known."""
    at = began(view, alert, now)
    end = now if alert.state == "firing" else alert.resolved_at
    return "-" if at is None or end is None else duration(max(0.0, end - at))


def words_of(view: RunView, alert: Alert) -> str:
    """Return *alert* in words: with counts as of now while it fires, else as it was last told."""
    return alert_text(view, alert) if alert.state == "firing" else clean(alert.message)


def _listed(view: RunView, alert: Alert) -> str:
    """Return the words of a line: those of an alert for which another stands, or that is silenced, begin with that."""
    text, other = words_of(view, alert), told_by(alert)
    if other:
        return f"{clean(alert.rule)}, {other}: {text}"
    said = [clean(reason.removeprefix(_SILENCED)) for reason in alert.suppressed if reason.startswith(_SILENCED)]
    return f"{', '.join(said)}: {text}" if said and alert.state == "firing" else text


def list_lines(
    view: RunView, alerts: Sequence[Alert], now: float, page: Page, is_ascii: bool
) -> tuple[list[Line], list[Line]]:
    """Return the head of the list, and a line for each of *alerts*."""
    since = [since_of(view, alert, now) for alert in alerts]
    lasted = [lasted_of(view, alert, now) for alert in alerts]
    widths = (max(_SINCE, *map(len, since)), max(_FOR, *map(len, lasted))) if alerts else (_SINCE, _FOR)
    head = f"   {pad('STATE', _STATE)} {pad('SINCE', widths[0])} {pad('FOR', widths[1])}  WHAT"
    lines = []
    for place, alert in enumerate(alerts):
        mark = mark_of(alert, is_ascii)
        role = mark.role if is_told(alert) else "quiet"
        rest: Role = "quiet" if role == "quiet" else ""
        told = f"{pad(since[place], widths[0])} {pad(lasted[place], widths[1])}  "
        spans = [Span(" "), mark, Span(" "), Span(f"{pad(state_of(alert), _STATE)} ", role), Span(told, rest)]
        room = max(1, page.width - sum(cell_len(span.text) for span in spans))
        text = cut_end(page.arrows(_listed(view, alert)), room, page.glyphs.more)
        lines.append(Line([*spans, Span(text, rest)]))
    return [page.bound(Line([Span(head)]))], [page.bound(line) for line in lines]


def counted(alerts: Sequence[Alert]) -> str:
    """Return `3 firing, 1 news, 1 silenced or seen, 1 told by another, 2 resolved`."""
    names = ("firing", "news", "silenced or seen", "resolved", "told by another")
    found = [alert for alert in alerts if alert.state != "pending"]
    groups = [4 if state_of(alert) == "covered" else _group(alert) for alert in found]
    return ", ".join(f"{groups.count(n)} {names[n]}" for n in (0, 1, 2, 4, 3) if n in groups)
