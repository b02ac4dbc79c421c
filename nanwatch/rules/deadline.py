"""deadline: at its present speed the run will not be done in time."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.config import Deadline
from nanwatch.model.alert import Finding
from nanwatch.model.outlook import eta_of
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import duration

_MARGIN = 0.02
"""Of the time that is left: speeds waver."""


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
        left = eta_of(run)
        if left is None or not math.isfinite(left):
            if now <= at or (run.epoch is None and run.step is None):
                return
            left = 0.0
        late = now + left - at
        if late <= _MARGIN * left and now <= at:
            return
        text = f"will be {duration(late)} late" if left else f"is {duration(now - at)} past its time"
        yield Finding(
            self.name, "warning", f"{text}: the deadline is in {duration(at - now)}" if now < at else text, "",
            run.epoch, None, run.offset, {"late_seconds": round(late), "eta_seconds": round(left)},
        )  # fmt: skip
