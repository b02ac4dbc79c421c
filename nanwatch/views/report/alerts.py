"""The alerts of a run in the order in which they began: when and where, how bad, what, and whether it is over."""

from __future__ import annotations

import math
from dataclasses import replace

from nanwatch.model.alert import Alert
from nanwatch.views.health import RunView
from nanwatch.views.reasons import alert_text
from nanwatch.views.report.page import Cell, Section, Table, Tone
from nanwatch.views.words import clean, moment, plural

_MOST = 40


def alerts_section(view: RunView, now: float) -> Section | None:
    """Return the time line of the run's alerts, or None if there was none but of good news."""
    grew_at = None if view.silence is None else now - view.silence
    alerts = [at_its_time(alert, grew_at) for alert in view.alerts if alert.state != "pending"]
    if all(alert.severity == "info" for alert in alerts):
        return None
    alerts.sort(key=_order)
    shown = alerts[-_MOST:]
    rows = tuple(_row(view, alert, now) for alert in shown)
    remark = f"{plural(len(alerts) - len(shown), 'earlier alert')} not shown" if len(alerts) > len(shown) else ""
    return Section("Alerts", (Table("", ("began", "alert", "what", "log line"), rows, frozenset({3}), remark),))


def place_of(alert: Alert) -> str:
    """Return where in the training an alert began: `epoch 4, batch 32`; `-` where it does not say."""
    batch = onset_of(alert)
    parts = [] if alert.epoch is None else [f"epoch {alert.epoch}"]
    parts += [] if batch is None else [f"{'batch' if alert.epoch is not None else 'step'} {batch:,}"]
    return ", ".join(parts) or "-"


def onset_of(alert: Alert) -> int | None:
    """Return the batch or step in which an alert began, as its evidence tells, or None."""
    onset = alert.evidence.get("onset_batch")
    return onset if isinstance(onset, int) else alert.batch


def at_its_time(alert: Alert, grew_at: float | None) -> Alert:
    """Return an alert that tells of a silence as of when it could be known, not as of when somebody looked."""
    patience = alert.evidence.get("patience_seconds")
    if alert.started_at is None or grew_at is None or not isinstance(patience, int | float):
        return alert
    return replace(alert, started_at=min(alert.started_at, grew_at + patience))


def alert_tone(alert: Alert) -> Tone:
    """Return what an alert means now."""
    if alert.state == "resolved" or alert.suppressed:
        return "quiet"
    return "" if alert.severity == "info" else alert.severity


def alert_words(view: RunView, alert: Alert, now: float) -> str:
    """Return what an alert says, as of now, and whether it is over or kept quiet."""
    is_over = alert.state == "resolved"
    told = [clean(alert.message) if is_over or alert.suppressed else alert_text(view, alert)]
    if is_over:
        told.append("over" if alert.resolved_at is None else f"over since {moment(alert.resolved_at, now)}")
    return "; ".join([*told, *map(clean, alert.suppressed)])


def _order(alert: Alert) -> tuple[float, float, float]:
    batch = onset_of(alert)
    epoch = math.inf if alert.epoch is None and batch is None else alert.epoch or 0
    return epoch, alert.offset if alert.offset is not None else math.inf, batch or 0


def _row(view: RunView, alert: Alert, now: float) -> tuple[Cell, ...]:
    began = place_of(alert)
    if alert.started_at is not None:
        began = f"{moment(alert.started_at, now)}, {began}" if began != "-" else moment(alert.started_at, now)
    return (
        Cell(began),
        Cell(f"{alert.severity} {clean(alert.rule)}", alert_tone(alert)),
        Cell(alert_words(view, alert, now)),
        Cell("-" if alert.line is None else f"{alert.line:,}"),
    )
