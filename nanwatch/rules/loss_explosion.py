"""loss_explosion: a training loss is ten times what it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from nanwatch.config import LossExplosion
from nanwatch.model.alert import Finding
from nanwatch.model.names import is_validation
from nanwatch.model.run import Change, Epoch, Peak, Run
from nanwatch.rules.words import has_passed, key_of, number_of, place, recent_rows

_MEASURE = 5
_FEWEST = 2
"""Epochs that the median is taken over: at most, at least."""
_FEW_BATCHES = 3
_BURST = 10
"""For so many batches the run itself keeps the shortest span."""
_EVEN = 1.25
"""Gaps between printed batches differ by no more than this factor."""

_Jump = tuple[str, float, float, Peak | None]
"""The loss that exploded, what it was, what it is, and the batches that showed it."""


class Rule:
    """Fires within an epoch whose batches stay above ten times the usual loss, or with the epoch's own line.

    Resolves when an epoch has ended below that again. Never in the first batches of a run, which show what is
    usual, nor where the loss is around zero by design; and of several losses only one that outgrows the others: a
    part of the whole, or one of two adversaries, may well grow from nearly nothing.
    """

    name = "loss_explosion"
    wakes = Change.PEAK | Change.METRICS | Change.EPOCH | Change.END | Change.CLEAN

    def __init__(self, settings: LossExplosion) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding, of the loss that grew most; it bears the epoch where that began."""
        del now
        rows = [e for e in recent_rows(run) or run.table.values() if e.offset >= run.stage_offset]
        found: tuple[Epoch, _Jump] | None = None
        for row in reversed(rows):
            exploded = self._exploded(run, rows, row)
            if exploded is not None:
                found = (row, exploded)
            elif found is not None or _ended_well(row, row is rows[-1]):
                break
        if found is None or (found[0].epoch == -1 and _has_passed(run, found[0])):
            return
        row, (name, usual, value, peak) = found
        batch = peak.batch if peak is not None else None
        yield Finding(
            self.name, "critical",
            f"{name} {usual:.4g} -> {value:.4g} in {place(row, batch)}, {value / usual:,.0f} times",
            key_of(row), number_of(row), batch, peak.offset if peak is not None else run.offset,
            {"loss": name, "usual": round(usual, 6), "value": value, "batches": peak.batches if peak else None},
        )  # fmt: skip

    def _exploded(self, run: Run, rows: list[Epoch], row: Epoch) -> _Jump | None:
        """Return the loss that exploded most in *row*."""
        found = [
            item
            for name in row.losses | row.means | row.peaks
            if not is_validation(name)
            for item in (self._batches(run, rows, row, name) or self._epoch(run, rows, row, name),)
            if item is not None
        ]
        return max(found, key=lambda item: item[2] / item[1], default=None)

    def _batches(self, run: Run, rows: list[Epoch], row: Epoch, name: str) -> _Jump | None:
        """Look for a burst of batches: so many of a hundred, or so many in a row where not each is printed."""
        peak = row.peaks.get(name)
        count = max(1, self.settings.batches)
        if peak is None or peak.batches < count:
            return None
        was_burst = count <= _BURST and peak.tightest is not None and peak.tightest < self.settings.within
        kept = peak.last[-count:]
        if not was_burst and kept[-1] - kept[0] >= self.settings.within * _interval(kept) * len(kept) / count:
            return None
        usual = peak.usual
        if row.attempts > 1:  # a run that went back to this epoch had been further on, and lower
            usual = max(usual, self._base(_ends(rows, row, name)))
        return (name, usual, peak.highest, peak) if self._is_jump(run, rows, name, usual, peak.highest) else None

    def _epoch(self, run: Run, rows: list[Epoch], row: Epoch, name: str) -> _Jump | None:
        """Hold what the epoch ended with against the epochs before it that were well."""
        peak = row.peaks.get(name)
        if name not in row.means and not self._ended_high(row, peak):
            return None
        value = _end(row, name)
        before = _ends(rows, row, name)
        if len(before) < _FEWEST or min(before[-_MEASURE:]) <= 0 or not math.isfinite(value):
            return None
        usual = self._base(before)
        return (name, usual, value, peak) if self._is_jump(run, rows, name, usual, value) else None

    def _ended_high(self, row: Epoch, peak: Peak | None) -> bool:
        """Tell whether the last batches were too high of an epoch that is over and prints too few for a burst."""
        few = min(_FEW_BATCHES, row.batch or 1)
        if peak is None or not row.done or peak.batches < few:
            return False
        kept = peak.last[-few:]
        interval = _interval(kept)
        return row.batch - kept[0] < few * interval and row.batch // interval < self.settings.batches

    def _base(self, values: list[float]) -> float:
        """Return the median of the latest values that had not exploded themselves."""
        well: list[float] = []
        for value in values:
            if len(well) < _FEWEST or value < self.settings.times * median(well[-_MEASURE:]):
                well.append(value)
        return median(well[-_MEASURE:]) if well else math.inf

    def _is_jump(self, run: Run, rows: list[Epoch], name: str, usual: float, value: float) -> bool:
        first = max(run.first_losses.get(name, 0.0), _end(rows[0], name))
        least = self.settings.least_share * first if math.isfinite(first) else 0.0
        return usual > 0 and value >= max(self.settings.times * usual, least, _others(run, name))


def _end(row: Epoch, name: str) -> float:
    """Return the mean of the epoch that the trainer told, else the loss of its last batch, else NaN."""
    return row.means.get(name, row.losses.get(name, math.nan))


def _ends(rows: list[Epoch], row: Epoch, name: str) -> list[float]:
    """Return what the epochs before *row* ended with that had no batch above the ceiling."""
    ends = [_end(e, name) for e in rows if e.epoch < row.epoch and name not in e.peaks]
    return [value for value in ends if math.isfinite(value)]


def _others(run: Run, name: str) -> float:
    """Return what the other losses of the training usually are together."""
    return sum(median(map(abs, values)) for n, values in run.recent.items() if n != name and not is_validation(n))


def _interval(batches: list[int]) -> int:
    """Return every how many batches one is printed, if *batches* are the ones that are; 1 if they stand at random."""
    gaps = [later - earlier for earlier, later in pairwise(batches)]
    least = max(1, min(gaps, default=1))
    return least if max(gaps, default=1) <= _EVEN * least else 1


def _ended_well(row: Epoch, is_last: bool) -> bool:
    """Tell whether the epoch is over and its losses are finite."""
    return (row.done or not is_last) and all(math.isfinite(v) for v in (row.losses | row.means).values())


def _has_passed(run: Run, row: Epoch) -> bool:
    return has_passed(run, max((peak.last[-1] for peak in row.peaks.values() if peak.last), default=0))
