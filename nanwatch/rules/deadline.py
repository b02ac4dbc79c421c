"""deadline: at its present speed the run will not be done in time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from nanwatch.config import Deadline
from nanwatch.model.alert import Finding
from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import duration, recent_rows

_LATEST = 16
"""Stretches that tell the usual speed."""
_MARGIN = 0.02
"""Of the time that is left: no speed is known to the last second."""


class Rule:
    """Fires when the run's end lies beyond the time that the config sets; resolves when it will be in time."""

    name = "deadline"
    wakes = Change.CLOCK | Change.EPOCH | Change.END

    def __init__(self, settings: Deadline) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding; none in a replay, which has no time of day."""
        at = self.settings.at
        if not at or now is None or run.finished or run.failure or run.interrupted:
            return
        if (run.epoch is None and run.step is None) or progress_of(run) == 1.0:
            return
        left = _seconds_left(run)
        late = now + (left or 0.0) - at
        if late <= _MARGIN * (left or 0.0) and now <= at:
            return
        when = f"in {duration(at - now)}" if now < at else f"{duration(now - at)} ago"
        text = "is not done" if left is None else f"will be done {duration(late)} late"
        yield Finding(
            self.name, "warning", f"{text}: the deadline {'is' if now < at else 'was'} {when}", "",
            run.epoch, None, run.offset,
            {"late_seconds": round(late), "eta_seconds": None if left is None else round(left)},
        )  # fmt: skip


def _seconds_left(run: Run) -> float | None:
    """Return the seconds until the run's end, or None. At its usual speed: the one of the moment wavers."""
    left = eta_of(run)
    if left is None or not math.isfinite(left):
        return None
    if run.rate and math.isfinite(run.rate) and (run.batches or run.steps):
        usual = [s.seconds for s in run.stretches[-_LATEST:]]
        return left * run.rate * median(usual) if usual else left
    # What is told once an epoch does not shrink in between.
    longest = max((e.seconds or 0.0 for e in recent_rows(run)), default=0.0)
    return max(0.0, left - min(run.silence or 0.0, longest))
