"""loss_explosion: a training loss is ten times what it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from nanwatch.config import LossExplosion
from nanwatch.model.alert import Finding
from nanwatch.model.names import is_validation
from nanwatch.model.run import Change, Epoch, Peak, Run
from nanwatch.rules.words import key_of, number_of, place, recent_rows

_MEASURE = 5
_FEWEST = 2
"""Epochs that the median is taken over: at most, at least."""
_FEW_BATCHES = 3
_CLEAN_STEPS = 100


class Rule:
    """Fires within an epoch whose batches stay above ten times the usual loss, or with the epoch's own line.

    Resolves when an epoch has ended below that again. Never in the first batches of a run, which show what is
    usual, nor where the loss is around zero by design.
    """

    name = "loss_explosion"
    wakes = Change.PEAK | Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: LossExplosion) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding, of the loss that grew most; it bears the epoch where that began."""
        del now
        rows = [e for e in recent_rows(run) or run.table.values() if e.offset >= run.stage_offset]
        found: tuple[Epoch, str, float, float, Peak | None] | None = None
        for row in reversed(rows):
            exploded = self._exploded(run, rows, row)
            if exploded is not None:
                found = (row, *exploded)
            elif found is not None or row.done or row is not rows[-1]:
                break
        if found is None or (found[0].epoch == -1 and _has_passed(run, found[0])):
            return
        row, name, usual, value, peak = found
        batch = peak.batch if peak is not None else None
        yield Finding(
            self.name, "critical", f"{name} {usual:.4g} -> {value:.4g} in {place(row, batch)}, {value / usual:,.0f} times",
            key_of(row), number_of(row), batch, peak.offset if peak is not None else run.offset,
            {"loss": name, "usual": round(usual, 6), "value": value, "batches": peak.batches if peak else None},
        )  # fmt: skip

    def _exploded(self, run: Run, rows: list[Epoch], row: Epoch) -> tuple[str, float, float, Peak | None] | None:
        """Return the loss that exploded in *row*, what it was, what it is, and the batches that showed it."""
        found = [
            item
            for name in row.losses | row.means
            if not is_validation(name)
            for item in (self._batches(run, row, name) or self._epoch(run, rows, row, name),)
            if item is not None
        ]
        return max(found, key=lambda item: item[2] / item[1], default=None)

    def _batches(self, run: Run, row: Epoch, name: str) -> tuple[str, float, float, Peak | None] | None:
        peak = row.peaks.get(name)
        count = self.settings.batches
        if peak is None or len(peak.last) < count or not self._is_jump(run, name, peak.usual, peak.highest):
            return None
        if peak.last[-1] - peak.last[-count] >= self.settings.within:
            return None
        return name, peak.usual, peak.highest, peak

    def _epoch(self, run: Run, rows: list[Epoch], row: Epoch, name: str) -> tuple[str, float, float, Peak | None] | None:
        """Hold what the epoch ended with against the epochs before it that were well."""
        peak = row.peaks.get(name)
        if name not in row.means and (peak is None or peak.batches < min(_FEW_BATCHES, row.batch or 1)):
            return None  # the last batch alone
        value = row.means.get(name, row.losses.get(name, math.nan))
        before = [e.means.get(name, e.losses.get(name)) for e in rows if e.epoch < row.epoch and name not in e.peaks]
        usual = [v for v in before if v is not None and math.isfinite(v)]
        if len(usual) < _FEWEST or min(usual[-_MEASURE:]) <= 0 or not math.isfinite(value):
            return None
        base = self._base(usual)
        return (name, base, value, peak) if self._is_jump(run, name, base, value) else None

    def _base(self, values: list[float]) -> float:
        """Return the median of the latest values before those that had exploded already."""
        while len(values) > _FEWEST and values[-1] >= self.settings.times * median(values[:-1][-_MEASURE:]):
            values = values[:-1]
        return median(values[-_MEASURE:])

    def _is_jump(self, run: Run, name: str, usual: float, value: float) -> bool:
        least = self.settings.least_share * run.first_losses.get(name, 0.0)
        return usual > 0 and value >= self.settings.times * usual and value >= least


def _has_passed(run: Run, row: Epoch) -> bool:
    last = max((peak.last[-1] for peak in row.peaks.values() if peak.last), default=0)
    return (run.step or 0) - last > _CLEAN_STEPS
