"""Which course stands for a run in the list: its loss by batch, by epoch, or else its main metric."""

from __future__ import annotations

import math

from nanwatch.model.names import role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.runs.entry import MAIN_LOSSES, Entry
from nanwatch.views.dashboard.runs.sparkline import Bad, Course, course_of_curve, course_of_values
from nanwatch.views.health import losses_of
from nanwatch.views.words import whole_percent

_FEWEST = 2
"""Values of a curve from which on it tells more than the epochs do."""
_LONGEST_SHARE = len("history 99 %")


def course_of(entry: Entry) -> Course | None:
    """Return what the sparkline of a run shows, or None where it has no figure that could be shown."""
    run, name = entry.told_run, main_curve(entry.snapshot)
    if run is None:
        return None
    curve = None if name is None else entry.snapshot.curves[name]
    if curve is not None and len(curve) >= _FEWEST:
        course = course_of_curve(curve)
        if len(course.samples) >= _FEWEST:
            return course if any(bad for _, _, bad in course.samples) else _with_counted(course, run)
    told = _by_epoch(run) or _by_evaluation(run)
    return told if told is not None or curve is None or not len(curve) else course_of_curve(curve)


def steps_of(entry: Entry) -> int:
    """Return how many cells a run's trend has use for; 0 where there is none."""
    if entry.snapshot.is_history and entry.snapshot.size:
        return _LONGEST_SHARE
    run, name = entry.told_run, main_curve(entry.snapshot)
    if run is None:
        return 0
    return max(len(entry.snapshot.curves[name]) if name is not None else 0, len(run.table), len(run.evaluations))


def share_read(snapshot: Snapshot, cells: int) -> str | None:
    """Return how much of the log's history was read, in at most *cells* if possible; None once all of it was."""
    if not snapshot.is_history or not snapshot.size:
        return None
    share = whole_percent(min(0.99, snapshot.read / snapshot.size))  # the end is not told before it is reached
    return next((text for text in (f"history {share}", f"hist {share}") if len(text) <= cells), share)


def main_curve(snapshot: Snapshot) -> str | None:
    """Return the name of the curve that stands for all: the one called loss, else the first loss there is."""
    names = list(snapshot.curves)
    for name in names:
        if name.lower() in MAIN_LOSSES:
            return name
    told = [] if snapshot.view is None else [n for n in snapshot.view.run.losses if n in snapshot.curves]
    losses = told or [n for n in names if role_of(n) == "loss"]
    return losses[0] if losses else None


def _with_counted(course: Course, run: Run) -> Course:
    """Return *course* with what the run counted as NaN, though the loss itself does not show it."""
    rows = [row for row in run.table.values() if row.nan_batches]
    if not rows:
        return course
    batches = run.batches
    if run.epoch is None:
        bad = [Bad(0, row.nan_mask) for row in rows]
    elif batches:
        bad = [Bad((row.epoch - (run.first_epoch or 0)) * batches, row.nan_mask) for row in rows]
    else:
        bad = _epochs_of(rows, run, course.end)
    return course._replace(bad=bad)


def _epochs_of(rows: list[Epoch], run: Run, end: int) -> list[Bad]:
    """Return the whole epochs that *rows* are: where in them it was, nothing tells."""
    first, last = min(run.table), max(run.table)
    size = end / (last - first + 1)
    found = []
    for row in rows:
        begin, stop = int((row.epoch - first) * size), int((row.epoch - first + 1) * size)
        found.append(Bad(begin, (1 << max(1, stop - begin)) - 1))
    return found


def _by_epoch(run: Run) -> Course | None:
    rows = sorted((row for row in run.table.values() if row.epoch >= 0), key=lambda row: row.epoch)
    told = [losses_of(row) for row in rows]
    names = [name for losses in told for name in losses]
    main = next((name for name in names if name.lower() in MAIN_LOSSES), names[0] if names else None)
    if main is None:
        return None
    return course_of_values((losses.get(main, math.nan) for losses in told), (row.nan_batches > 0 for row in rows))


def _by_evaluation(run: Run) -> Course | None:
    values = [item.value for item in run.evaluations]
    return course_of_values(values, [False] * len(values)) if values else None
