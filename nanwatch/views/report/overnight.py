"""What happened since a time over many runs: which failed, got worse, finished or began; the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.block import epoch_of, training_time
from nanwatch.views.health import firing, health, position
from nanwatch.views.listing import short_names
from nanwatch.views.reasons import reason
from nanwatch.views.report.alerts import alert_tone, alert_words, at_its_time, place_of
from nanwatch.views.report.content import problems_section, written
from nanwatch.views.report.page import Cell, Paragraph, Part, Report, Section, Table, Tone
from nanwatch.views.summary import LogProblem
from nanwatch.views.words import clean, cut_end, moment, number, plural

_MOST_ALERTS, _LONGEST = 60, 140


class Kind(IntEnum):
    """What became of a run, the worst first."""

    ENDED_BADLY = 0
    CRITICAL = 1
    STALLED = 2
    WARNING = 3
    INTERRUPTED = 4
    BETTER = 5
    FINISHED = 6
    STARTED = 7
    WENT_ON = 8
    NOTHING = 9


_TONES: dict[Kind, Tone] = {
    Kind.ENDED_BADLY: "critical", Kind.CRITICAL: "critical", Kind.STALLED: "warning", Kind.WARNING: "warning",
    Kind.INTERRUPTED: "warning", Kind.BETTER: "good", Kind.FINISHED: "good",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Night:
    """A run since a time: what became of it, in words, and its alerts that began or ended since then.

    `grew_at` is when its log last grew; `untimed` are alerts that fire since a time that nobody knows.
    """

    name: str
    view: RunView
    kind: Kind
    words: str
    alerts: tuple[Alert, ...]
    untimed: tuple[Alert, ...]
    grew_at: float | None


def overnight(
    views: Sequence[Sequence[RunView]], problems: Sequence[LogProblem], since: float, now: float
) -> Report:  # fmt: skip
    """Return what happened between *since* and *now* to the runs of each log, oldest first there."""
    names = short_names([view for runs in views for view in runs])
    nights = [night for runs in views for night in _nights(runs, names, since, now)]
    nights.sort(key=lambda night: night.kind)
    told = [night for night in nights if night.kind < Kind.WENT_ON]
    parts: list[Part] = []
    if told:
        rows = tuple(_row(night, since) for night in told)
        parts.append(Table("", ("run", "what happened", "stands at", "progress since"), rows))
    parts += [Paragraph(text) for text in _rest(nights)]
    sections = [Section("Runs", tuple(parts))]
    if alerts := _alerts(told, now):
        sections.append(Section("Alerts", (alerts,)))
    if problems:
        sections.append(problems_section(problems))
    return Report(f"nanwatch report since {moment(since, now)}", written(now), tuple(sections), ())


def _nights(runs: Sequence[RunView], names: dict[int, str], since: float, now: float) -> Iterator[Night]:
    """Yield what became of the runs of a log; those before its last one only if something tells that it was since.

    A run ended by the time at which the next one began.
    """
    ended_by: float | None = None
    for view in reversed(runs):
        is_last = view is runs[-1]
        silence = view.silence if is_last else None
        grew_at = view.run.logged_at if silence is None else now - silence
        night = _night(names[id(view)], view, grew_at, ended_by, since, now)
        if is_last or night.kind < Kind.WENT_ON:
            yield night
        ended_by = _began(view.run, ended_by if grew_at is None else grew_at)


def _began(run: Run, grew_at: float | None) -> float | None:
    """Return when a run began, reckoned back from its end where the log tells no times."""
    spent = training_time(run)
    return run.started_at if run.started_at is not None or grew_at is None or spent is None else grew_at - spent


def _night(
    name: str, view: RunView, grew_at: float | None, ended_by: float | None, since: float, now: float
) -> Night:  # fmt: skip
    told = [at_its_time(a, grew_at) for a in view.alerts if a.state != "pending"]
    alerts = tuple(a for a in told if _is_since(a, since))
    known = ended_by if grew_at is None else grew_at
    is_new = known is not None and known >= since
    untimed = tuple(a for a in firing(view) if a.started_at is None) if is_new else ()
    kind = _kind(view, alerts, untimed, is_new, since)
    return Night(name, view, kind, _words(view, kind, grew_at, bool(untimed), now), alerts, untimed, grew_at)


def _is_since(alert: Alert, since: float) -> bool:
    return any(at is not None and at >= since for at in (alert.started_at, alert.resolved_at))


def _kind(
    view: RunView, alerts: Sequence[Alert], untimed: Sequence[Alert], is_new: bool, since: float
) -> Kind:  # fmt: skip
    began = [*untimed, *(a for a in alerts if a.state == "firing" and not a.suppressed and a.severity != "info")]
    run = view.run
    tests = (
        (Kind.ENDED_BADLY, view.status in ("failed", "crashed") and (is_new or bool(began))),
        (Kind.CRITICAL, any(a.severity == "critical" and a.rule != "stall" for a in began)),
        (Kind.STALLED, view.status == "stalled" and (is_new or bool(began))),
        (Kind.WARNING, bool(began)),
        (Kind.INTERRUPTED, view.status == "interrupted" and is_new),
        (Kind.FINISHED, view.status == "finished" and is_new),
        (Kind.BETTER, any(a.state == "resolved" and a.severity != "info" for a in alerts)),
        (Kind.STARTED, is_new and run.started_at is not None and run.started_at >= since),
        (Kind.WENT_ON, is_new),
    )
    return next((kind for kind, holds in tests if holds), Kind.NOTHING)


def _words(view: RunView, kind: Kind, grew_at: float | None, is_untimed: bool, now: float) -> str:
    at = "" if grew_at is None else f" at {moment(grew_at, now)}"
    why = cut_end(reason(view), _LONGEST, "...")
    if kind is Kind.STALLED:
        why = why.partition(" at ")[2] and f"at {why.partition(' at ')[2]}" if why.startswith("silent") else why
    match kind:
        case Kind.ENDED_BADLY | Kind.FINISHED | Kind.INTERRUPTED:
            where = position(view.run) if kind is not Kind.FINISHED else ""
            text = f"{view.status}{at}" + (f" ({where})" if where else "")
        case Kind.STALLED:
            text = "silent" + ("" if grew_at is None else f" since {moment(grew_at, now)}")
        case Kind.CRITICAL | Kind.WARNING:
            text = "got worse" + (" (at a time that is not told)" if is_untimed else "")
        case Kind.BETTER:
            text = "better again"
        case Kind.STARTED:
            text = f"started at {moment(view.run.started_at or 0.0, now)}"
        case _:
            return ""
    if view.status != "running" and kind in (Kind.CRITICAL, Kind.WARNING):
        text += f", {view.status}{at}"
    return f"{text}: {why}" if why else text


def _row(night: Night, since: float) -> tuple[Cell, ...]:
    run = night.view.run
    stands = f"epoch {epoch_of(run)}" if run.epoch is not None else "-" if run.step is None else f"step {run.step:,}"
    return (
        Cell(night.name), Cell(night.words, _TONES.get(night.kind, "")), Cell(stands),
        Cell("; ".join(_progress(run, night.grew_at, since)) or "-"),
    )  # fmt: skip


def _progress(run: Run, grew_at: float | None, since: float) -> Iterator[str]:
    """Yield how many epochs were done since, reckoned back from the last line by what each epoch took."""
    if grew_at is None or grew_at < since:
        return
    at, done = grew_at, list[int]()
    for row in sorted((row for row in run.table.values() if row.epoch >= 0), key=lambda row: -row.epoch):
        if at < since or row.seconds is None:
            break
        if row.done:
            done.append(row.epoch)
        at -= row.seconds
    if done:
        yield f"about {plural(len(done), 'epoch')}"
        best = run.best
        if best is not None and best.value and best.epoch is not None and best.epoch >= min(done):
            yield f"new best {clean(best.metric)} {number(best.value)} at epoch {best.epoch}"


def _rest(nights: Sequence[Night]) -> Iterator[str]:
    """Yield how many runs there is nothing to tell of, and how many of those are not well."""
    if not any(night.kind < Kind.WENT_ON for night in nights):
        yield "Nothing happened that you would have to know."
    for kind, words in ((Kind.WENT_ON, "went on without news"), (Kind.NOTHING, "did nothing in this time")):
        found = [night for night in nights if night.kind is kind]
        if found:
            ill = sum(health(night.view) != "ok" for night in found)
            known = f" ({ill:,} of them not well before already)" if ill else ""
            yield f"{plural(len(found), 'run')} {words}{known}."


def _alerts(nights: Sequence[Night], now: float) -> Table | None:
    # What ended a run stands above in full.
    every = [(night, a) for night in nights for a in (*night.alerts, *night.untimed) if a.severity != "info"]
    found = [(night, a) for night, a in every if not (night.kind is Kind.ENDED_BADLY and a.rule in ("oom", "crash"))]
    rows = tuple(
        (Cell("not told" if a.started_at is None else moment(a.started_at, now)), Cell(night.name),
         Cell(f"{a.severity} {clean(a.rule)}", alert_tone(a)), Cell(place_of(a)), Cell(alert_words(night.view, a, now)))
        for night, a in found[:_MOST_ALERTS]
    )  # fmt: skip
    if not rows:
        return None
    left = len(found) - len(rows)
    remark = f"{plural(left, 'further alert')} not shown" if left else ""
    return Table("", ("began", "run", "alert", "at", "what"), rows, frozenset(), remark)
