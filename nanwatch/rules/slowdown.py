"""slowdown: batches come at less than half the run's own speed."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from nanwatch.config import Slowdown
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run, Stretch

_FEWEST = 5
"""Stretches that tell what is usual."""
_IN_A_ROW = 2
"""Slow stretches: a single one may hold a pause, for a checkpoint or a validation."""


class Rule:
    """Fires when 200 batches in a row were slow, in more than one stretch; resolves with a stretch that is not."""

    name = "slowdown"
    wakes = Change.PACE | Change.END

    def __init__(self, settings: Slowdown) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        stretches = run.stretches
        if len(stretches) <= _FEWEST or run.finished or run.failure or run.interrupted:
            return
        usual = median(s.seconds for s in stretches)
        slow = self._slow_tail(stretches, usual)
        batches = sum(s.batches for s in slow)
        if len(slow) < _IN_A_ROW or batches < self.settings.batches or len(stretches) - len(slow) < _FEWEST:
            return
        pace = sum(s.batches * s.seconds for s in slow) / batches
        first, last = slow[0], slow[-1]
        where = f"step {last.batch:,}" if last.epoch is None else f"batch {last.batch:,} of epoch {last.epoch}"
        yield Finding(
            self.name, "warning",
            f"{_change(usual, pace)} for {batches:,} batches, up to {where}", "",
            first.epoch, first.batch, first.offset,
            {"usual_rate": round(1 / usual, 4), "rate": round(1 / pace, 4), "batches": batches},
        )  # fmt: skip

    def _slow_tail(self, stretches: list[Stretch], usual: float) -> list[Stretch]:
        """Return the slow stretches that nothing faster has followed, oldest first."""
        slow: list[Stretch] = []
        for stretch in reversed(stretches):
            if stretch.seconds * self.settings.share <= usual:
                break
            slow.insert(0, stretch)
        return slow


def _change(usual: float, pace: float) -> str:
    """Return both speeds in one unit, so that nobody takes `1.25 batches/s -> 3 s a batch` for a gain."""
    if usual <= 1:
        return f"{1 / usual:.3g} -> {1 / pace:.3g} batches/s"
    return f"{usual:.3g} -> {pace:.3g} s a batch"
