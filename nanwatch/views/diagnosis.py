"""A diagnosis as a page for a terminal, and as a JSON object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len

from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Cause, Diagnosis, Observation, Resume, SettingChange
from nanwatch.model.snapshot import RunView
from nanwatch.views.health import firing
from nanwatch.views.page import Line, Page, Role, Span, render
from nanwatch.views.reasons import alert_text
from nanwatch.views.words import ASCII, UNICODE, clean, pad, plural

_NARROWEST = 20
_WIDEST = 100
"""Cells of a line of prose: longer ones are hard to read."""
_COLUMN = 24
_MOST_BAD = 3
"""Checkpoints that are not clean, of which it is told why."""
_LIKELY: dict[str, Role] = {"certain": "critical", "probable": "warning", "possible": ""}
_NOT_SHOWN = "?"
_WELL = "Nothing to diagnose: the log shows nothing wrong."
_NO_CAUSE = "The log shows no cause for it."


def render_diagnosis(
    view: RunView, diagnosis: Diagnosis, weights: Weights | None, *, width: int, color: bool, ascii_only: bool
) -> str:
    """Return the diagnosis as text, no line wider than *width* but the command, which can be copied as it is."""
    page = Page(max(_NARROWEST, min(width, _WIDEST)), ASCII if ascii_only else UNICODE)
    blocks = [_head(view, page)]
    if not diagnosis.findings and not diagnosis.causes and diagnosis.resume is None:
        blocks.append(_undiagnosed(view, page))
    blocks += [
        _findings(diagnosis.findings, page), _causes(diagnosis.causes, page), _changes(diagnosis.changes, page),
        _steps(diagnosis.steps, page), _resume(diagnosis.resume, page), _scanned(weights, page),
        _unknown(diagnosis.unknown, page),
    ]  # fmt: skip
    if diagnosis.findings and not diagnosis.causes and not diagnosis.steps and diagnosis.resume is None:
        blocks.append(page.prose(_NO_CAUSE, indent=0))
    text = "\n".join(render(lines, page, color) for lines in blocks if lines)
    return text + _command(diagnosis.resume)


def _head(view: RunView, page: Page) -> list[Line]:
    run = view.run
    where = f"epoch {run.epoch:,}" if run.epoch is not None else f"step {run.step:,}" if run.step is not None else ""
    parts = [part for part in (run.format if run.format != "unknown" else "", view.status, where) if part]
    tail = "  ".join(parts)
    name = page.name(clean(run.id), max(8, page.width - cell_len(tail) - 2))
    return [Line([Span(name, "title"), Span(f"  {tail}")])]


def _undiagnosed(view: RunView, page: Page) -> list[Line]:
    """Return that there is nothing to diagnose, and the alerts that hold all the same."""
    alerts = firing(view)
    if not alerts:
        return page.prose(_WELL, "finished", indent=0)
    lines = [_title("What holds, without a known cause")]
    for alert in alerts:
        lines += page.prose(f"{clean(alert.rule)}: {alert_text(view, alert)}", "warning", Span("-", "quiet"))
    return lines


def _title(text: str) -> Line:
    return Line([Span(text, "title")])


def _findings(findings: Sequence[Observation], page: Page) -> list[Line]:
    lines = [line for item in findings for line in page.prose(_told(item), mark=Span("-", "quiet"))]
    return [_title("What happened"), *lines] if lines else []


def _causes(causes: Sequence[Cause], page: Page) -> list[Line]:
    lines = [_title("Probable causes, likeliest first")] if causes else []
    for number, cause in enumerate(causes, start=1):
        lines += page.prose(f"{cause.likelihood}: {clean(cause.title)}", _LIKELY[cause.likelihood], Span(f"{number}."))
        lines += _notes("for", (_told(item) for item in cause.because), page)
        lines += _notes("against", (_told(item) for item in cause.against), page)
        lines += _notes("do", (clean(text) for text in cause.advice), page)
        lines += _notes("source", [clean(cause.source)] if cause.source else [], page)
    return lines


def _notes(label: str, texts: Iterable[str], page: Page) -> Iterator[Line]:
    """Yield *texts*, each after the *label* that stands before the first of them."""
    for number, text in enumerate(texts):
        mark = Span(pad(label if number == 0 else "", 8), "quiet")
        yield from page.prose(text, "quiet" if label == "source" else "", mark, indent=5)


def _changes(changes: Sequence[SettingChange], page: Page) -> list[Line]:
    """Return a line for each setting, `before -> after` in columns, with the reason under it."""
    if not changes:
        return []
    names = [clean(change.name) for change in changes]
    values = [_moved(change, page) for change in changes]
    column = min(_COLUMN, max(map(cell_len, names)))
    value_column = min(_COLUMN, max(map(cell_len, values)))
    lines = [_title("Settings to change")]
    for change, name, value in zip(changes, names, values, strict=True):
        hang = 2 + column + 2 + value_column + 2
        why = clean(change.why)
        fits = cell_len(name) <= column and cell_len(value) <= value_column and page.width - hang >= _COLUMN
        if fits:
            mark = Span(f"{pad(name, column)}  {pad(value, value_column)} ")
            lines += page.prose(why, "quiet", mark)
        else:
            mark = Span(f"{pad(name, column)} ")
            lines += [*page.prose(value, mark=mark), *page.prose(why, "quiet", indent=column + 4)]
    return lines


def _moved(change: SettingChange, page: Page) -> str:
    before = _NOT_SHOWN if change.before is None else clean(change.before)
    return page.arrows(f"{before} -> {_NOT_SHOWN if change.after is None else clean(change.after)}")


def _steps(steps: Sequence[str], page: Page) -> list[Line]:
    numbered = enumerate(steps, start=1)
    lines = [line for number, text in numbered for line in page.prose(clean(text), mark=Span(f"{number}."))]
    return [_title("What to do next"), *lines] if lines else []


def _scanned(weights: Weights | None, page: Page) -> list[Line]:
    """Return what was found in the checkpoints, and what was not looked at."""
    if weights is None:
        return []
    folder = clean(weights.folder)
    left = "".join(f"; {text}" for text in left_out(weights))
    if weights.problem or not weights.checkpoints:
        problem = clean(weights.problem) or "none found"
        return page.prose(f"Checkpoints: {folder}: {problem}{left}", "warning", indent=0)
    count = plural(len(weights.checkpoints), "checkpoint")
    found = weights.last_clean
    told = "none of them clean" if found is None else f"clean: {clean(found.path)}"
    role: Role = "critical" if found is None else ""
    lines = page.prose(f"Checkpoints: {count} scanned in {folder}; {told}{left}", role, indent=0)
    bad = [item for item in weights.checkpoints if item.state != "clean"]
    for item in bad[:_MOST_BAD]:
        lines += page.prose(f"{clean(item.path)}: {state_words(item)}", "warning")
    return lines


def state_words(item: Checkpoint) -> str:
    """Return what a checkpoint is, with what is wrong in it."""
    if item.state == "nonfinite":
        counts = [f"{count:,} {word}" for count, word in ((item.nan, "NaN"), (item.inf, "inf")) if count]
        return f"{', '.join(counts)} in {plural(item.bad_tensors, 'tensor')}"
    return f"{item.state}: {clean(item.problem)}" if item.problem else item.state


def left_out(weights: Weights) -> Iterator[str]:
    """Yield which checkpoints of the folder were not looked at, and why."""
    if weights.later:
        yield f"{plural(weights.later, 'checkpoint')} written after the trouble began left out, finite or not"
    if weights.skipped and weights.last_clean is None:
        yield f"{weights.skipped:,} older not looked at"


def _unknown(unknown: Sequence[str], page: Page) -> list[Line]:
    lines = [line for text in unknown for line in page.prose(clean(text), "quiet", Span("?", "quiet"))]
    return [_title("Not known"), *lines] if lines else []


def _resume(resume: Resume | None, page: Page) -> list[Line]:
    if resume is None:
        return []
    lines = [_title("How to go on")]
    if resume.checkpoint is not None:
        state = "scanned, clean" if resume.is_checked else "not checked"
        lines += page.prose(
            f"from {clean(resume.checkpoint)} ({state})", "finished" if resume.is_checked else "warning"
        )
    if resume.note:
        lines += page.prose(clean(resume.note))
    if resume.command:
        lines += page.prose("The command is the last line, so that it can be copied whole.", "quiet")
    return lines


def _command(resume: Resume | None) -> str:
    """Return the command on a line of its own, however long, with nothing in it that a terminal obeys."""
    return f"\n{_whole(resume.command)}\n" if resume is not None and resume.command else ""


def _whole(text: str) -> str:
    return "".join(char for char in text if char.isprintable())


def _told(item: Observation) -> str:
    return clean(item.text) + ("" if item.line is None else f" (line {item.line:,})")


def diagnosis_json(view: RunView, diagnosis: Diagnosis, weights: Weights | None) -> dict[str, Any]:
    """Return the diagnosis as a JSON object, with the run and the checkpoints that it is about."""
    run = view.run
    found: dict[str, Any] = {"run": run.id, "log": run.log, "format": run.format, "status": view.status}
    found |= asdict(diagnosis)
    clean_one = None if weights is None else weights.last_clean
    found["checkpoints"] = None if weights is None else {
        "folder": weights.folder, "scanned": len(weights.checkpoints), "problem": weights.problem or None,
        "last_clean": None if clean_one is None else clean_one.path,
        "skipped": weights.skipped, "later": weights.later, "since": weights.since,
    }  # fmt: skip
    return found
