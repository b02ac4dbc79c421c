"""What happened to a run: what fires, the last good epoch and the bad one side by side, and warning signs."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.rules.words import measured
from nanwatch.views.health import RunView, firing
from nanwatch.views.reasons import alert_text
from nanwatch.views.report.epochs import epoch_figures
from nanwatch.views.report.incident import Incident, incident_of, named
from nanwatch.views.report.page import Cell, Fact, Items, Paragraph, Part, Section, Table, Tone
from nanwatch.views.words import clean, number, plural

_RECENT = 30
"""Epochs after which what is over is no sign of what came later."""


def happened(view: RunView) -> Section | None:
    """Return what is wrong with the run and how it differs from when it was well; None if nothing is."""
    parts: list[Part] = []
    told = firing(view)
    if told:
        parts.append(Items(tuple(Fact(clean(a.rule), alert_text(view, a), _tone(a)) for a in told)))
    failure = view.run.failure
    if failure is not None and not any(a.rule in ("oom", "crash") for a in told):
        parts.append(Paragraph(clean(failure.message), "critical"))
    incident = incident_of(view)
    if incident is not None:
        parts += _comparison(view.run, incident)
        parts += [Paragraph(text) for text in _signs(view, incident)]
    return Section("What happened", tuple(parts)) if parts else None


# -- side by side


def _comparison(run: Run, incident: Incident) -> Iterator[Part]:
    shown = incident.shown
    if len(shown) < 2:
        return
    rows = [row for row, _ in shown]
    is_changed = incident.good is not None
    heads = ["", *(f"epoch {row.epoch} ({named(run, row, word)})" for row, word in shown)]
    if incident.good is not None:
        heads.append(f"change from {incident.good.epoch} to {incident.bad.epoch}")
    table = []
    for figure in epoch_figures(run, rows):
        cells = [Cell(clean(figure.name)), *(figure.cell(row) for row in rows)]
        if incident.good is not None:
            cells.append(figure.change(incident.good, incident.bad))
        if sum(cell.text != "-" for cell in cells[1 : len(rows) + 1]) > (figure.name != run.primary_metric):
            table.append(tuple(cells))
    if table:
        numbers = frozenset(range(1, len(rows) + 1 + is_changed))
        yield Table("", tuple(heads), tuple(table), numbers)


# -- warning signs


def _signs(view: RunView, incident: Incident) -> Iterator[str]:
    """Yield what could have been known before the bad epoch: of each rule its first alert, and how many came later."""
    bad = incident.bad.epoch
    before = [(a.epoch, a) for a in view.alerts if a.epoch is not None and a.epoch < bad and a.severity != "info"]
    early = [a for at, a in before if a.state == "firing" or (a.state == "resolved" and at + _RECENT >= bad)]
    known: dict[str, list[Alert]] = {}
    for alert in sorted(early, key=lambda a: a.epoch or 0):
        known.setdefault(alert.rule, []).append(alert)
    for rule, (first, *later) in known.items():
        ago = plural(bad - (first.epoch or 0), "epoch")
        more = f"; {plural(len(later), 'time')} more up to epoch {later[-1].epoch}" if later else ""
        yield f"Warning sign from epoch {first.epoch}, {ago} before: {clean(rule)}{_then(view.run, first)}{more}"


def _then(run: Run, alert: Alert) -> str:
    """Return what the metric was when a decline was noticed: the alert itself tells of what came after."""
    value = next((e.value for e in measured(run) if e.epoch == alert.epoch), None)
    since = alert.evidence.get("since_epoch")
    if value is None or since is None or run.primary_metric is None:
        return "" if alert.state == "firing" else " (over)"
    return f" ({clean(run.primary_metric)} {number(value)} there, worse every epoch from {since} on)"


def _tone(alert: Alert) -> Tone:
    return "critical" if alert.severity == "critical" else "warning"
