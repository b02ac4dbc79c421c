"""What a loss usually is, and by how much a batch exceeds it: from values that are read whatever is passed over."""

from __future__ import annotations

import math
from statistics import median

from nanwatch.model.event import BatchDone
from nanwatch.model.run import Change, Epoch, Peak, Run

SPIKE = 10.0
"""How many times the usual loss a loss must be to count as a spike."""
_WARM_UP = 100
_RECENT = 16
_FEW = 4
_KEPT = 16
_BURST = 10
_APART = 100
"""An odd batch so far before others has nothing to do with them."""


def watch_losses(run: Run, row: Epoch | None, event: BatchDone, is_sample: bool) -> int:
    """Learn what the losses usually are, and note those above the ceiling.

    Until a loss has a ceiling each frame is read and learned from; then only samples are, or lines, which are
    never passed over.
    """
    change = Change.NOTHING
    position = event.batch if event.batch is not None else event.step
    position = run.observations if position is None else position
    for name, value in event.losses.items():
        if not math.isfinite(value):
            continue
        ceiling = run.ceilings.get(name)
        if ceiling is None:
            _learn(run, name, value, settle=position >= _WARM_UP)
        elif value > ceiling and min(run.recent[name]) > 0:
            change |= _spike(run, row, name, value, position, event.offset)
        elif is_sample or not event.bar:
            _learn(run, name, value)
    return change


def close_losses(run: Run, row: Epoch) -> None:
    """Learn from what an epoch ended with; from then on its losses have a ceiling, if they were seen a few times.

    The last batch alone may have been a lucky one; and an epoch of the stage before tells nothing of this one.
    """
    if row.offset < run.stage_offset:
        return
    for name, value in {**row.losses, **row.means}.items():
        ceiling = run.ceilings.get(name, math.inf)
        if math.isfinite(value) and value <= ceiling:
            run.first_losses.setdefault(name, abs(value))
            _learn(run, name, value, settle=len(run.recent.get(name, ())) + 1 >= _FEW)


def forget_losses(run: Run) -> None:
    """Begin anew: another stage has other losses."""
    run.recent, run.ceilings = {}, {}


def _learn(run: Run, name: str, value: float, settle: bool = True) -> None:
    recent = run.recent.setdefault(name, [])
    recent.append(value)
    del recent[:-_RECENT]
    usual = median(map(abs, recent))
    if settle and usual > 0:
        run.ceilings[name] = SPIKE * usual
        run.first_losses.setdefault(name, usual)


def _spike(run: Run, row: Epoch | None, name: str, value: float, position: int, offset: int) -> int:
    if row is None:
        row = run.table.setdefault(-1, Epoch(-1, offset=offset))
    peak = row.peaks.get(name)
    if peak is None or (peak.tightest is None and position - peak.last[-1] > _APART):
        peak = row.peaks[name] = Peak(position, offset, run.ceilings[name] / SPIKE, value)
    peak.highest = max(peak.highest, value)
    if not peak.last or peak.last[-1] != position:
        peak.batches += 1
        peak.last = [*peak.last[-_KEPT + 1 :], position]
        if len(peak.last) >= _BURST:
            span = peak.last[-1] - peak.last[-_BURST]
            peak.tightest = min(span, span if peak.tightest is None else peak.tightest)
    return Change.PEAK
