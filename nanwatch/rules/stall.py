"""stall: the log has been silent for far longer than this run ever was while it was healthy."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Stall
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import duration, recent_rows, where_it_stands

_SURVIVED = 1.5
_DONE = 0.999


class Rule:
    """Fires on a silence beyond the run's own rhythm, resolves with the next byte that tells of progress.

    What the rhythm is, is learned: from silences that were watched, from times that the log prints, from epochs
    that are told by one line. Nobody has seen a run's first validation: it may take as long as its epoch did.
    """

    name = "stall"
    wakes = Change.CLOCK | Change.PROGRESS | Change.END | Change.METRICS

    def __init__(self, settings: Stall) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        if run.silence is None or run.silence == 0 or run.finished or run.failure or run.interrupted:
            return
        if run.epoch is None and run.step is None and not run.hyperparameters:
            return
        patience = patience_of(run, self.settings)
        if run.silence <= patience:
            return
        row = run.current
        share = row.batch / row.batches if row is not None and row.batches else None
        usual = f" (the longest silence before: {duration(run.longest_silence)})" if run.longest_silence >= 1 else ""
        process = run.process
        yield Finding(
            self.name, "critical", f"{_who(run)}silent for {duration(run.silence)} {where_it_stands(run)}{usual}", "",
            run.epoch, run.batch, run.offset,
            {
                "silence_seconds": round(run.silence), "patience_seconds": round(patience),
                "longest_silence_seconds": round(run.longest_silence, 1),
                "percent_of_epoch": None if share is None else int(100 * share),
                "pid": process.pid if process is not None and process.alive else None,
                "cpu_percent": None if process is None or process.cpu is None else round(process.cpu),
                "held_open": None if run.is_held is None else int(run.is_held),
            },
        )  # fmt: skip


def patience_of(run: Run, settings: Stall) -> float:
    """Return the seconds of silence that say nothing yet in *run*."""
    started = run.epoch is not None or run.step is not None
    least = max(settings.silence, 0.0 if started else settings.startup)
    learned = max(settings.times * run.longest_silence, _SURVIVED * run.longest_pause)
    return max(least, learned, settings.times * _told_rhythm(run), _own_time(run.current))


def _told_rhythm(run: Run) -> float:
    """Return the seconds between two lines of a run that shows no batches, as far as it tells them."""
    rows = recent_rows(run)
    if not rows or any(e.batch for e in rows):
        return 0.0
    told = max((e.seconds or 0.0 for e in rows), default=0.0)
    process = run.process
    if told or process is None or run.grew_at is None:
        return told
    return max(0.0, run.grew_at - process.started) / (len(rows) if not run.resumes else 1)


def _own_time(row: Epoch | None) -> float:
    """Return the seconds that the training of this epoch took, where it is over and its validation is not told."""
    if row is None or not row.batches or row.batch < _DONE * row.batches or row.validated:
        return 0.0
    return row.seconds or 0.0


def _who(run: Run) -> str:
    process = run.process
    if process is not None and process.alive:
        cpu = "" if process.cpu is None else f", {process.cpu:.0f} % CPU"
        return f"alive, pid {process.pid} ({process.command}){cpu}, "
    return "no process holds the log open, " if run.is_held is False else ""
