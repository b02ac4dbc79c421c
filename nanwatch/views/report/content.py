"""What a report tells: a page a run, and what several runs have in common; every form shows the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from nanwatch.config import Config
from nanwatch.model.checkpoint import Weights
from nanwatch.model.diagnosis import Diagnosis
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.views.health import HEALTHS, Health, firing, health, sentence
from nanwatch.views.listing import short_names, worst_first
from nanwatch.views.reasons import reason
from nanwatch.views.report.advice import diagnosis_section, steps_section, weights_section
from nanwatch.views.report.alerts import alerts_section
from nanwatch.views.report.charts import charts_section
from nanwatch.views.report.epochs import epochs_section
from nanwatch.views.report.happened import happened
from nanwatch.views.report.outlook import outlook_section
from nanwatch.views.report.page import Cell, Report, ReportPage, Section, Table, Tone
from nanwatch.views.report.status import short_name, status_section
from nanwatch.views.summary import LogProblem
from nanwatch.views.words import clean, cut_end, plural

_LONGEST = 200
"""Cells of a reason in a table of many runs."""
TONES: dict[Health, Tone] = {"critical": "critical", "warning": "warning", "unknown": "warning", "ok": "good"}


def page_of(
    snapshot: Snapshot, diagnosis: Diagnosis, weights: Weights | None, config: Config, now: float
) -> ReportPage:
    """Return the page of the run in *snapshot*, which holds one, as it stands at *now*; a healthy one is short."""
    view = snapshot.view
    if view is None:
        raise ValueError("a snapshot without a run has no page")
    how = health(view)
    sections = [
        status_section(view, now), happened(view), epochs_section(view), charts_section(snapshot),
        alerts_section(view, now), outlook_section(view, config, now), diagnosis_section(diagnosis),
        weights_section(weights, now), steps_section(diagnosis),
    ]  # fmt: skip
    found = [section for section in sections if section is not None]
    return ReportPage(short_name(view.run), how, TONES[how], _headline(view), tuple(found))


def report_of(
    pages: Sequence[tuple[RunView, ReportPage]], problems: Sequence[LogProblem], now: float
) -> Report:  # fmt: skip
    """Return the report of these runs, worst first, with an overview where there are several."""
    known = {id(view): page for view, page in pages}
    views = worst_first([view for view, _ in pages])
    names = short_names(views)
    ordered = [known[id(view)] for view in views]
    if len(ordered) > 1:
        ordered = [replace(page, name=names[id(view)]) for view, page in zip(views, ordered, strict=True)]
    sections = []
    if len(views) > 1:
        sections.append(Section("Overview", (_overview(views, [page.name for page in ordered]),)))
    if problems:
        sections.append(problems_section(problems))
    title = ordered[0].name if len(ordered) == 1 else counted(views)
    return Report(f"nanwatch report: {title}", written(now), tuple(sections), tuple(ordered))


def problems_section(problems: Sequence[LogProblem]) -> Section:
    """Return which logs gave no run, and why."""
    rows = tuple((Cell(clean(item.log)), Cell(clean(item.problem), "warning")) for item in problems)
    return Section("Logs without a run", (Table("", ("log", "why"), rows),))


def counted(views: Sequence[RunView]) -> str:
    """Return `3 runs: 1 critical, 2 ok`."""
    counts = {how: sum(health(view) == how for view in views) for how in HEALTHS}
    told = ", ".join(f"{count:,} {how}" for how, count in counts.items() if count)
    return plural(len(views), "run") + (f": {told}" if told else "")


def written(now: float) -> str:
    """Return when the report was written, in local time."""
    return time.strftime("as of %Y-%m-%d %H:%M:%S", time.localtime(now))


def _headline(view: RunView) -> str:
    text = sentence(view)
    if not text.startswith(clean(view.run.primary_metric or "\n")):  # a name stays as it is
        text = f"{text[:1].upper()}{text[1:]}"
    if view.status == "finished" and not firing(view):
        return f"Finished. {text}." if text else "Finished."
    return f"{text}." if text else "Nothing is wrong, as far as the log tells."


def _overview(views: Sequence[RunView], names: Sequence[str]) -> Table:
    rows = []
    for view, name in zip(views, names, strict=True):
        run, how = view.run, health(view)
        where = f"epoch {run.epoch}" if run.epoch is not None else "-" if run.step is None else f"step {run.step:,}"
        rows.append((
            Cell(name), Cell(how, "" if how == "ok" else TONES[how]), Cell(view.status), Cell(where),
            Cell(f"{run.nan_batches:,}", "critical" if run.nan_batches else ""),
            Cell(cut_end(reason(view), _LONGEST, "...") or "-"),
        ))  # fmt: skip
    return Table("", ("run", "health", "status", "at", "NaN", "why"), tuple(rows), frozenset({4}))
