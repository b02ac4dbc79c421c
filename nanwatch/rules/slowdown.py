"""slowdown: batches come at less than half the run's own speed."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from nanwatch.config import Slowdown
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run, Stretch

_FEWEST = 5
"""Stretches that tell what is usual."""


class Rule:
    """Fires when 200 batches in a row were slow, resolves with a stretch that is not."""

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
        slow: list[Stretch] = []
        for stretch in reversed(stretches):
            if stretch.seconds * self.settings.share <= usual:
                break
            slow.insert(0, stretch)
        batches = sum(s.batches for s in slow)
        if not slow or batches < self.settings.batches or len(stretches) - len(slow) < _FEWEST:
            return
        pace = sum(s.batches * s.seconds for s in slow) / batches
        first, last = slow[0], slow[-1]
        where = f" of epoch {last.epoch}" if last.epoch is not None else ""
        yield Finding(
            self.name, "warning",
            f"{_rate(usual)} -> {_rate(pace)} for {batches:,} batches, up to batch {last.batch:,}{where}", "",
            first.epoch, first.batch, first.offset,
            {"usual_rate": round(1 / usual, 4), "rate": round(1 / pace, 4), "batches": batches},
        )  # fmt: skip


def _rate(seconds: float) -> str:
    return f"{1 / seconds:.3g} batches/s" if seconds <= 1 else f"{seconds:.3g} s a batch"
