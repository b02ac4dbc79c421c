"""What stands below the list: why the run at the cursor is as it is, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from nanwatch.model.alert import Alert
from nanwatch.views.block import epoch_of
from nanwatch.views.dashboard.runs.columns import letter, updated
from nanwatch.views.dashboard.runs.entry import Entry, is_silent, quieted
from nanwatch.views.dashboard.runs.trend import share_read
from nanwatch.views.health import RunView, firing, sentence
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import alert_text
from nanwatch.views.words import clean, cut_end, number, plural, speed


def strip_lines(entry: Entry, page: Page, rows: int, now: float) -> list[Line]:
    """Return why a run is as it is, and where it stands, in at most *rows* lines; of a healthy one, in a single one."""
    if (line := _one_for_all(entry, page, now)) is not None:
        return [line]
    room = max(1, rows - 2)
    reasons, told = _reasons(entry, page, room)
    return [_rule(entry, told, page), *reasons[:room], _where(entry, page, now)]


def _one_for_all(entry: Entry, page: Page, now: float) -> Line | None:
    """Return the rule with all that there is to tell of a healthy run; None where that does not fit."""
    if entry.view is None or entry.standing != "ok" or entry.snapshot.problem is not None or quieted(entry.view):
        return None
    text = page.arrows(sentence(entry.view))
    facts = list(_facts(entry, now))
    room = page.width - min(cell_len(entry.name), page.width // 4) - 8
    while facts and cell_len("   ".join([text, *facts])) > room:
        del facts[0]  # the list says it too
    told = "   ".join([text, *facts] if text else facts)
    return _rule(entry, told, page) if cell_len(told) <= room else None


def _rule(entry: Entry, told: str, page: Page) -> Line:
    dash = "-" if page.glyphs.more.isascii() else "─"
    tail = f" {told} {dash}" if told else dash
    name = page.name(entry.name, max(3, page.width - cell_len(tail) - 6))
    fill = max(1, page.width - cell_len(name) - cell_len(tail) - 3)
    return page.bound(
        Line([Span(f"{dash} ", "quiet"), Span(name, "title"), Span(f" {dash * fill}", "quiet"), Span(tail, "quiet")])
    )


def _reasons(entry: Entry, page: Page, room: int) -> tuple[list[Line], str]:
    """Return the reasons, at most *room* lines, and how many alerts they are."""
    mark = letter(entry, page.glyphs.more.isascii())
    if entry.snapshot.problem is not None:
        told = "; the last values are kept" if entry.view is not None else "; waiting for it"
        return page.prose(clean(entry.snapshot.problem) + told, "warning", mark, 1), ""
    view = entry.view
    if view is None or entry.standing == "unread":
        share = share_read(entry.snapshot, page.width)
        reading = f"reading{page.glyphs.more}" + ("" if share is None else f" {share}")
        return page.prose("the log is empty so far" if entry.status == "empty" else reading, "quiet", indent=1), ""
    alerts = _alert_lines(view, page, room)
    if alerts:
        total = len(firing(view)) + len(quieted(view))
        shown = "" if len(alerts) >= total else f"{len(alerts)} of "
        lines = [line for part in alerts for line in part]
        return lines, f"{shown}{plural(total, 'alert')}"
    text = sentence(view)
    return page.prose(text, mark.role, mark, 1) if text else [], ""


def _alert_lines(view: RunView, page: Page, room: int) -> list[list[Line]]:
    """Return the alerts in words, the worst first; where they do not fit as they are, a line each."""
    told: list[tuple[str, Span]] = []
    for alert in firing(view):
        role: Role = "critical" if alert.severity == "critical" else "warning"
        told.append((alert_text(view, alert), Span("X" if role == "critical" else "!", role)))
    told += [
        (f"{_quiet_words(alert)}: {alert_text(view, alert)}", Span(_quiet_letter(alert), "quiet"))
        for alert in quieted(view)
    ]
    if not told and view.run.failure is not None and view.status in ("failed", "crashed"):
        told.append((clean(view.run.failure.message), Span("X", "critical")))
    whole = [page.prose(text, mark.role if mark.role == "quiet" else "", mark, 1) for text, mark in told]
    if sum(map(len, whole)) <= room:
        return whole
    short = [_one_line(text, mark, page) for text, mark in told]
    return [[line] for line in short[:room]]


def _quiet_letter(alert: Alert) -> str:
    return "x" if "acknowledged" in alert.suppressed else "z"


def _quiet_words(alert: Alert) -> str:
    """Return why nobody is told of an alert, and until when as far as that is known: before it, for it is not cut."""
    return cut_end(clean("; ".join(alert.suppressed)), 60, "")


def _one_line(text: str, mark: Span, page: Page) -> Line:
    cut = cut_end(page.arrows(text), max(1, page.width - 3), page.glyphs.more)
    return Line([Span(" "), mark, Span(" "), Span(cut, "quiet" if mark.role == "quiet" else "")])


def _where(entry: Entry, page: Page, now: float) -> Line:
    facts = "   ".join(_facts(entry, now))
    path = clean(str(entry.path))
    room = page.width - 1 - (cell_len(facts) + 3 if facts else 0)
    if room < 12:
        return Line([Span(" " + page.name(path, page.width - 1), "quiet")])
    tail = f"   {facts}" if facts else ""
    return Line([Span(" " + page.name(path, room), "quiet"), Span(tail, "quiet")])


def _facts(entry: Entry, now: float) -> Iterable[str]:
    view, run = entry.told, entry.told_run
    if view is not None and run is not None:
        if run.epoch is not None:
            yield f"epoch {epoch_of(run)}"
        if run.batch is not None:
            yield f"batch {run.batch:,}" + (f"/{run.batches:,}" if run.batches else "")
        elif run.step is not None:
            yield f"step {run.step:,}" + (f"/{run.steps:,}" if run.steps else "")
        pace = speed(run.rate) if entry.status == "running" and not is_silent(entry, now) else None
        if pace is not None:
            yield pace
        if view.status == "finished" and run.best is not None:
            yield f"best {clean(run.best.metric)[:20]} {number(run.best.value)}"
    age = updated(entry, now)
    if age != "-":
        yield f"{age} ago"
