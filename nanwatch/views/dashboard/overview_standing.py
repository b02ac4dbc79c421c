"""What is to be said of a run before its figures: can it be read, how is it, what fires, how did it end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nanwatch.facts import weights_facts
from nanwatch.model.checkpoint import Weights
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.views.block import MARKS, training_time
from nanwatch.views.dashboard.alerts_list import reasons_of
from nanwatch.views.dashboard.overview_signs import size
from nanwatch.views.health import Health, explain, firing, health, kept_quiet, position, sentence
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import alert_text
from nanwatch.views.words import ASCII, age, clean, duration, number, plural, whole_percent

_KEPT = "last values kept"
_ALL_WELL = ("no trouble", "no NaN")
_SILENT_S, _SILENT_GAPS = 60.0, 3.0
"""A silence of more seconds, and of more of the usual gaps, is no pace at which anything would end."""


def live(snapshot: Snapshot, now: float) -> RunView | None:
    """Return the view with the silence as it is *now*."""
    view = snapshot.view
    if view is None or snapshot.grew_at is None:
        return view
    return replace(view, silence=max(0.0, now - snapshot.grew_at))


def reading_lines(snapshot: Snapshot, page: Page) -> list[Line]:
    """Return what stands between the log and what is shown of it: nothing if it has been read to its end."""
    lines = []
    if snapshot.problem is not None:
        text = clean(snapshot.problem)
        if snapshot.view is not None and _KEPT not in text:
            text += f"; {_KEPT}"
        lines += page.prose(text, "warning", mark=Span("!", "warning"), indent=1)
    elif is_empty(snapshot):
        lines += page.prose("empty so far: nothing was written to this log yet", "running", indent=1)
    elif snapshot.view is None:
        lines += page.prose(f"reading{page.glyphs.more}", "running", indent=1)
    if snapshot.is_history and snapshot.size:
        share = min(1.0, snapshot.read / snapshot.size)
        text = "" if snapshot.is_estimate else "reading: "
        text += f"history {whole_percent(share)} ({_of(snapshot.read, snapshot.size)})"
        lines += page.prose(text, "running", indent=1)
    if snapshot.is_estimate and snapshot.view is not None:
        lines += page.prose("only the log's end was read so far: ~ is what that end shows", "running", indent=1)
    return lines


def is_empty(snapshot: Snapshot) -> bool:
    """Tell whether the log is known to be there, and to hold nothing."""
    is_unknown = snapshot.view is None or snapshot.view.status == "unknown"
    return is_unknown and not snapshot.size and snapshot.grew_at is not None and str(snapshot.path) != "-"


def is_unread(snapshot: Snapshot) -> bool:
    """Tell whether what is known of the log is but its beginning: that all is well there says nothing of today."""
    return snapshot.is_history and not snapshot.is_estimate


def is_silent(view: RunView) -> bool:
    """Tell whether the log has been silent for so long that its last pace is no forecast."""
    return view.silence is not None and view.silence > max(_SILENT_S, _SILENT_GAPS * view.run.longest_silence)


def _of(read: int, whole: int) -> str:
    """Return `1.2 of 3.2 G`: the unit once, if it is the same."""
    done, total = size(read), size(whole)
    return f"{done.partition(' ')[0] if done[-1] == total[-1] else done} of {total}"


def verdict_lines(view: RunView, page: Page, about: str, is_early: bool = False) -> list[Line]:
    """Return how the run is: a letter and a sentence; then what makes it so.

    *about* marks what is a guess. *is_early* tells that only the log's beginning was read: no word of being well.
    """
    worst = health(view)
    role: Role = "critical" if worst == "critical" else "warning" if worst == "warning" else ""
    text = sentence(view)
    if is_early:
        text = "; ".join(part for part in text.split("; ") if not part.startswith(_ALL_WELL))
    text = text or position(view.run) or view.status
    lines = page.prose(f"{about}{text}", role or "title", mark=_mark(worst, page, is_early), indent=1)
    for told in _states(view):
        lines += page.prose(told.text, told.role, indent=3)
    return lines + _failure(view, page) + _alerts(view, page)


def weights_lines(weights: Weights | None, page: Page) -> list[Line]:
    """Return which checkpoint to start again from, and what is wrong with newer ones; nothing if nobody has looked."""
    if weights is None:
        return []
    found = weights_facts(weights)
    worse = clean("; ".join(found.worse))
    if not found.last_clean:
        text = clean(found.problem) or f"no clean checkpoint in {clean(found.folder)}"
        return page.prose(f"{text}; {worse}" if worse else text, "warning", mark=Span("!", "warning"), indent=1)
    at = "" if found.epoch is None else f", epoch {found.epoch}"
    lines = page.prose(f"last clean checkpoint{at}: {clean(found.last_clean)}", mark=Span(">"), indent=1)
    return lines + (page.prose(f"newer: {worse}", "quiet", indent=3) if worse else [])


def _mark(worst: Health, page: Page, is_early: bool) -> Span:
    if worst != "ok":
        return MARKS[worst]
    return Span(" " if is_early else "." if page.glyphs == ASCII else "·")


def _states(view: RunView) -> Iterator[Span]:
    run = view.run
    if view.status == "stalled":
        yield Span(f"{_rhythm(run)}{process_text(run) or 'which process writes it is not known'}", "warning")
    if view.status == "unknown":
        yield Span("key 5 shows the log itself; it is read on, and understood as soon as something can be")
        if "nanwatch explain" not in sentence(view):
            yield Span(explain(run))
    if view.status == "finished":
        yield Span(_ending(run), "finished")


def _rhythm(run: Run) -> str:
    """Return `usual gap at most 1m, once 5m and then it went on; `, as far as it is known."""
    parts = []
    if run.longest_silence > 0:
        gap = f"at most {duration(run.longest_silence)}" if run.longest_silence >= 1 else "less than 1s"
        parts.append(f"usual gap {gap}")
    if run.longest_pause > run.longest_silence:
        parts.append(f"once {duration(run.longest_pause)} and then it went on")
    return f"{', '.join(parts)}; " if parts else ""


def process_text(run: Run) -> str:
    """Return `pid 4711 python, alive, 99 % CPU`, or what else is known of who writes the log, or nothing."""
    process = run.process
    if process is None:
        return "nobody holds the log open" if run.is_held is False else ""
    if not process.alive:
        return f"pid {process.pid} {clean(process.command)} is gone"
    cpu = "" if process.cpu is None else f", {process.cpu:.0f} % CPU"
    return f"pid {process.pid} {clean(process.command)}, alive{cpu}"


def _ending(run: Run) -> str:
    parts = ["finished"]
    spent = training_time(run)
    if run.epoch is not None:
        parts[0] += f" after {plural(run.epoch + (run.first_epoch == 0), 'epoch')}"
    elif run.step is not None:
        parts[0] += f" after {plural(run.step, 'step')}"
    if spent is not None and spent >= 1:
        parts[0] += f" in {duration(spent)}"
    name = run.primary_metric
    final = run.final_metrics.get(name or "", run.evaluations[-1].value if run.evaluations else None)
    if name is not None and final is not None:
        parts.append(f"final {clean(name)} {number(final)}")
    if run.best is not None:
        at = "" if run.best.epoch is None else f" at {'step' if run.epoch is None else 'epoch'} {run.best.epoch:,}"
        parts.append(f"best {number(run.best.value)}{at}")
    return "; ".join(parts)


# -- what fires


def _failure(view: RunView, page: Page) -> list[Line]:
    """Return the log's own words on how the run ended, and where they stand."""
    failure = view.run.failure
    if failure is None:
        return []
    lines = page.prose(clean(failure.message), "critical", mark=Span("X", "critical"), indent=1)
    line = view.run.lines.get(failure.offset)
    parts = [] if failure.epoch is None else [f"in epoch {failure.epoch}"]
    parts += [] if line is None else [f"line {line:,} of the log"]
    return lines + page.prose("; ".join([*parts, "Enter shows it in the log"]), "quiet", indent=3)


def _alerts(view: RunView, page: Page) -> list[Line]:
    lines = []
    for alert in firing(view):
        if alert.rule in ("oom", "crash") and view.run.failure is not None:
            continue  # told verbatim
        is_critical = alert.severity == "critical"
        mark = Span("X", "critical") if is_critical else Span("!", "warning")
        lines += page.prose(f"{clean(alert.rule)}: {alert_text(view, alert)}", mark=mark, indent=1)
    for alert in kept_quiet(view):
        text = f"{clean(alert.rule)}: {clean(alert.message)} ({'; '.join(reasons_of(alert))})"
        lines += page.prose(text, "quiet", mark=Span("z", "quiet"), indent=1)
    return lines


def place_of_trouble(view: RunView) -> int:
    """Return the byte of the log that tells what is wrong: the failure, the worst alert, or the end of what is read."""
    if view.run.failure is not None:
        return view.run.failure.offset
    return next((a.offset for a in firing(view) if a.offset is not None), view.run.offset)


def silence_text(view: RunView) -> str:
    """Return `last output 3s ago`, or nothing where it is not known."""
    return "" if view.silence is None else f"last output {age(view.silence)} ago"
