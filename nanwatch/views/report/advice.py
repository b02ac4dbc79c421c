"""Why it happened, which checkpoint is clean, what to change and what to do next: the diagnosis and the weights."""

from __future__ import annotations

import math
from pathlib import PurePath

from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Cause, Diagnosis, Observation, Resume
from nanwatch.views.diagnosis import left_out, state_words
from nanwatch.views.report.page import Cell, Command, Fact, Facts, Items, Paragraph, Part, Section, Table, Tone
from nanwatch.views.words import clean, moment, number, size_words

_MOST = 12
_STATES: dict[str, Tone] = {"clean": "good", "changing": "quiet"}


def diagnosis_section(diagnosis: Diagnosis) -> Section | None:
    """Return the probable causes with what speaks for and against them, and what the log does not tell.

    What was found is not told again: the page says it, beside what was before.
    """
    parts: list[Part] = []
    if diagnosis.causes:
        parts.append(Items(tuple(_cause(cause) for cause in diagnosis.causes), is_ordered=True))
    if diagnosis.unknown:
        parts.append(Paragraph(" ".join(map(clean, diagnosis.unknown)), "quiet"))
    return Section("Diagnosis", tuple(parts)) if parts else None


def weights_section(weights: Weights | None, now: float) -> Section | None:
    """Return the checkpoints that were looked at, and the last clean one."""
    if weights is None or not (weights.checkpoints or weights.problem):
        return None
    parts: list[Part] = []
    folder = clean(weights.folder)
    if weights.problem:
        parts.append(Paragraph(f"No checkpoint was looked at in {folder}: {clean(weights.problem)}.", "warning"))
    elif weights.last_clean is not None:
        name, at = _name(weights.last_clean, folder), _at(weights.last_clean)
        parts.append(Paragraph(f"The last clean checkpoint is {name}{at}.", "good"))
    else:
        parts.append(Paragraph("None of the checkpoints is known to be clean.", "critical"))
    shown = weights.checkpoints[:_MOST]
    if shown:
        heads = ("checkpoint", "state", "epoch", "written", "size")
        hidden = len(weights.checkpoints) - len(shown)
        remark = "; ".join([f"in {folder}", *([f"{hidden:,} more not shown"] if hidden else [])])
        rows = tuple(_checkpoint(item, folder, now) for item in shown)
        parts.append(Table("", heads, rows, frozenset({2, 4}), remark))
    if left := "; ".join(left_out(weights)):
        parts.append(Paragraph(f"{left}.", "quiet"))
    return Section("Checkpoints", tuple(parts))


def steps_section(diagnosis: Diagnosis) -> Section | None:
    """Return what to do next: the steps in order, the settings to change, and the command to go on with."""
    parts: list[Part] = []
    if diagnosis.steps:
        parts.append(Items(tuple(Fact("", clean(step)) for step in diagnosis.steps), is_ordered=True))
    if diagnosis.changes:
        rows = tuple(
            (Cell(clean(c.name)), Cell(clean(c.before or "not told")), Cell(clean(c.after or "yours to choose")),
             Cell(clean(c.why)))
            for c in diagnosis.changes
        )  # fmt: skip
        parts.append(Table("Settings", ("setting", "now", "change to", "why"), rows))
    if diagnosis.resume is not None:
        parts += _resume(diagnosis.resume)
    return Section("Next steps", tuple(parts)) if parts else None


def _cause(cause: Cause) -> Fact:
    notes = [
        *(f"for it: {_told(item)}" for item in cause.because),
        *(f"against it: {_told(item)}" for item in cause.against),
        *(f"do: {clean(text)}" for text in cause.advice),
        *([f"source: {clean(cause.source)}"] if cause.source else []),
    ]
    return Fact(cause.likelihood, clean(cause.title), "", tuple(notes))


def _told(item: Observation) -> str:
    line = "" if item.line is None else f" (line {item.line:,})"
    return f"{clean(item.text)}{line}"


def _resume(resume: Resume) -> list[Part]:
    found: list[Part] = []
    if resume.checkpoint:
        checked = "scanned, no NaN in it" if resume.is_checked else "not scanned: check it before you start"
        fact = Fact("start from", f"{clean(resume.checkpoint)} ({checked})", "good" if resume.is_checked else "warning")
        found.append(Facts((fact,)))
    if resume.command:
        found.append(Command(clean(resume.command)))
    if resume.note:
        found.append(Paragraph(clean(resume.note)))
    return found


def _checkpoint(item: Checkpoint, folder: str, now: float) -> tuple[Cell, ...]:
    return (
        Cell(_name(item, folder)),
        Cell(state_words(item), _STATES.get(item.state, "critical")),
        Cell("-" if item.epoch is None else f"{item.epoch:,}"),
        Cell("-" if item.modified_at is None else moment(item.modified_at, now)),
        Cell(size_words(item.size)),
    )


def _name(item: Checkpoint, folder: str) -> str:
    path = clean(item.path)
    return path.removeprefix(f"{folder.rstrip('/')}/") if folder else PurePath(path).name


def _at(item: Checkpoint) -> str:
    parts = [] if item.epoch is None else [f"epoch {item.epoch:,}"]
    if item.best is not None and math.isfinite(item.best[1]):
        parts.append(f"{clean(item.best[0])} {number(item.best[1])}")
    return f" ({', '.join(parts)})" if parts else ""
