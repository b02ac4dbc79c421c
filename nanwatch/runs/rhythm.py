"""When a log speaks and who writes it: how long its silences are, and whether its process lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanwatch.model.run import Process, Run
from nanwatch.runs.ending import has_ended

_USUAL_S = 600.0
_HEALTHY = 5.0
"""A silence is healthy up to so many times the longest healthy one before it."""
_HABIT = 1.5
"""It is also healthy up to so many times one that ended by itself: what has happened twice is a habit."""
_FORGOTTEN = 50.0
"""A silence that ended by itself is forgotten after so many times its own length."""
_SAME_START_S = 2.0
"""The system tells when a process began to about a second."""


def note_growth(run: Run, now: float | None) -> None:
    """Take note that bytes came at *now* (None: some time since the last look), and how long that took."""
    pause = run.silence if now is None or run.grew_at is None else now - run.grew_at
    if now is not None:
        run.grew_at = now
    run.silence = None if now is None else 0.0
    is_orphan = has_ended(run) or (run.process is not None and not run.process.alive)
    if is_orphan:
        run.process = None  # if training goes on, somebody else writes
    if run.resuming or run.session_pending:
        run.longest_pause = 0.0  # until somebody resumed it, nobody was there to speak
    elif pause is not None and pause > 0 and has_worked(run) and not is_orphan:
        note_pause(run, pause)


def has_worked(run: Run) -> bool:
    """Tell whether the run has shown a batch or a result: before that, silence says nothing of its rhythm."""
    return bool(run.batch or run.step or run.losses or run.metrics)


def note_pause(run: Run, pause: float) -> None:
    """Take note of a silence of so many seconds that ended by itself."""
    if pause <= max(_USUAL_S, _HEALTHY * run.longest_silence, _HABIT * run.longest_pause):
        run.longest_silence = max(run.longest_silence, pause)
    run.longest_pause = max(pause, run.longest_pause - pause / _FORGOTTEN)


def note_silence(run: Run, now: float, grew_at: float | None) -> None:
    """Take note of how long the log has been silent at *now*; it last grew at *grew_at*, as far as known."""
    if grew_at is not None:
        run.grew_at = grew_at
    if run.grew_at is not None:
        run.silence = max(0.0, now - run.grew_at)


def note_processes(run: Run, holders: Sequence[Process] | None) -> None:
    """Take note of who holds the log open for writing, the trainer first; None where that cannot be known.

    The process that was seen first is the one that counts: its workers may outlive it. Who holds the log when it
    grows after that has taken over.
    """
    run.is_held = None if holders is None else bool(holders)
    if holders is None:
        return
    known = run.process
    if known is None:
        run.process = holders[0] if holders else None
        return
    same = next((p for p in holders if is_same(p, known)), None)
    run.process = same or replace(known, alive=False, cpu=None)


def is_same(one: Process, other: Process) -> bool:
    """Tell whether these are one process: its number alone may belong to another one by now."""
    return one.pid == other.pid and abs(one.started - other.started) < _SAME_START_S
