"""When a log speaks and who writes it: how long its silences are, and whether its process lives."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.model.run import Process, Run

_USUAL_S = 600.0
_HEALTHY = 5.0
"""A silence is healthy up to so many times the longest before it; a longer one is only known to have ended."""


def note_growth(run: Run, now: float | None) -> None:
    """Take note that bytes came at *now* (None: some time since the last look), and how long that took."""
    pause = run.silence if now is None or run.grew_at is None else now - run.grew_at
    if now is not None:
        run.grew_at = now
    run.silence = None if now is None else 0.0
    if run.process is not None and not run.process.alive:
        run.process = None  # somebody else writes
    if pause is not None and pause > 0:
        note_pause(run, pause)


def note_pause(run: Run, pause: float) -> None:
    """Take note of a silence of so many seconds that ended by itself."""
    run.longest_pause = max(run.longest_pause, pause)
    if pause <= max(_USUAL_S, _HEALTHY * run.longest_silence):
        run.longest_silence = max(run.longest_silence, pause)


def note_silence(run: Run, now: float, grew_at: float | None) -> None:
    """Take note of how long the log has been silent at *now*; it last grew at *grew_at*, as far as known."""
    if grew_at is not None:
        run.grew_at = grew_at
    if run.grew_at is not None:
        run.silence = max(0.0, now - run.grew_at)


def note_processes(run: Run, holders: Sequence[Process] | None) -> None:
    """Take note of who holds the log open for writing, the trainer first; None where that cannot be known.

    The process that was seen first is the one that counts: workers that outlive it write no more. When the log
    has grown since, another one has taken over.
    """
    run.is_held = None if holders is None else bool(holders)
    if holders is None:
        return
    known = run.process
    same = next((p for p in holders if known is not None and (p.pid, p.started) == (known.pid, known.started)), None)
    if same is not None:
        run.process = same
    elif known is not None and (not holders or run.silence != 0.0):
        known.alive, known.cpu = False, None
    elif holders:
        run.process = holders[0]
