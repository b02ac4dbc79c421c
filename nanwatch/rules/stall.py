"""stall: the log has been silent for far longer than this run ever was while it was healthy."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from nanwatch.config import Stall
from nanwatch.model.alert import Finding
from nanwatch.model.outlook import progress_of
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import duration, recent_rows, where_it_stands

_SURVIVED = 1.5
"""Times a silence that ended by itself, or that a session is old: so long it may last."""
_BETWEEN_LINES_S = 60.0
"""Shorter silences may be those between the lines of one epoch, and tell nothing of the one until the next."""
_DONE = 0.999
_LONGEST_VALIDATION_S = 7200.0


class Rule:
    """Fires on a silence beyond the run's own rhythm, resolves with the next byte.

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
        if not run.silence or run.silence <= self.settings.silence:
            return
        if run.finished or run.failure or run.interrupted:
            return
        if run.epoch is None and run.step is None and not run.hyperparameters:
            return
        patience = patience_of(run, self.settings)
        if run.silence <= patience:
            return
        row, process = run.current, run.process
        share = row.batch / row.batches if row is not None and row.batches else None
        where = "at its start" if _is_starting(run) else where_it_stands(run)
        before = f" (longest healthy silence: {duration(run.longest_silence)})" if run.longest_silence >= 1 else ""
        yield Finding(
            self.name, "critical", f"{_who(run)}silent for {duration(run.silence)} {where}{before}", "",
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
    rhythm = max(run.longest_silence, _told_rhythm(run))
    is_known = _shows_batches(run) or rhythm >= _BETWEEN_LINES_S
    is_under_way = not _is_starting(run) and progress_of(run) != 1.0  # what comes before and after is not told
    least = settings.silence if is_known and is_under_way else max(settings.silence, settings.startup)
    survived = _SURVIVED * max(run.longest_pause, _session(run))
    return max(least, settings.times * rhythm, survived, _validation(run))


def _is_starting(run: Run) -> bool:
    """Tell whether the run, or a session that goes on with it, has not shown a batch or a result yet."""
    return run.resuming or run.session_pending or not (run.batch or run.step or run.losses or run.metrics)


def _shows_batches(run: Run) -> bool:
    return run.step is not None or any(e.batch for e in recent_rows(run))


def _told_rhythm(run: Run) -> float:
    """Return the seconds between two lines, as far as the log and the age of its process tell them."""
    if _shows_batches(run):
        # Between two frames of a bar nothing is silent; lines tell how many batches they are apart.
        return median(s.batches * s.seconds for s in run.stretches) if run.stretches and run.elapsed is None else 0.0
    told = max((e.seconds or 0.0 for e in recent_rows(run)), default=0.0)
    is_watched = run.longest_pause >= _BETWEEN_LINES_S
    if is_watched or run.resumes or run.epoch is None or run.first_epoch is None:
        return told
    return max(told, _session_seconds(run) / (run.epoch - run.first_epoch + 1))


def _session(run: Run) -> float:
    """Return the seconds from the start of the session to its last byte, where no more is known of its rhythm.

    That is so when all of it came in one moment, as block-buffered output does, and when lines of a session
    cannot be told from those of the one that it goes on with.
    """
    came_at_once = run.started_at is not None and run.started_at == run.updated_at and not run.longest_pause
    is_resumed = bool(run.resumes) and not _shows_batches(run) and run.longest_pause < _BETWEEN_LINES_S
    if not came_at_once and not is_resumed:
        return 0.0
    told = sum(e.seconds or 0.0 for e in recent_rows(run) if not e.batch) if came_at_once else 0.0
    return max(told, _session_seconds(run))


def _session_seconds(run: Run) -> float:
    """Return how old the process was when the log last grew; 0 where that is not known."""
    return 0.0 if run.process is None or run.grew_at is None else max(0.0, run.grew_at - run.process.started)


def _validation(run: Run) -> float:
    """Return the seconds that this epoch was trained for, if that is over and its validation is not told."""
    row = run.current
    if row is None or not row.batches or row.batch < _DONE * row.batches or row.validated:
        return 0.0
    trained = row.seconds or (row.batches / run.rate if run.rate else 0.0)
    return min(trained, _LONGEST_VALIDATION_S)


def _who(run: Run) -> str:
    process = run.process
    if process is None:
        return "no process holds the log open, " if run.is_held is False else ""
    if not process.alive:
        return f"pid {process.pid} has exited, "
    cpu = "" if process.cpu is None else f"{process.cpu:.0f} % CPU, "
    return f"alive, pid {process.pid}, {cpu}"
