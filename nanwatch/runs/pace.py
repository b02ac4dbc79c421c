"""How fast batches come, in stretches of a run: measured between frames that are read whatever is passed over."""

from __future__ import annotations

import math

from nanwatch.model.event import BatchDone
from nanwatch.model.run import Change, Epoch, Run, Stretch

_STRETCHES = 64
_LEAST_S = 10.0
"""Bars tell whole seconds: of ten, that is a tenth."""


def note_pace(run: Run, event: BatchDone, is_sample: bool) -> int:
    """End a stretch where a sample of a bar, or a line that tells its rate, says how far it is."""
    position = event.batch if event.batch is not None else event.step
    if position is None:
        return Change.NOTHING
    if event.bar:
        if is_sample and event.elapsed is not None:
            return _end_stretch(run, position, event.elapsed, event.offset)
        return Change.NOTHING
    if event.rate is None or not 0 < event.rate < math.inf:
        return Change.NOTHING
    before, _ = run.stretch_from
    run.stretch_from = (position, 0.0)
    if position <= before:
        return Change.NOTHING
    return _add(run, Stretch(position - before, 1 / event.rate, run.epoch, position, event.offset))


def close_pace(run: Run, row: Epoch) -> int:
    """End the stretch with its epoch: the next one's bar begins at nothing."""
    change = Change.NOTHING
    if row.elapsed is not None and row.offset >= run.stage_offset:
        change = _end_stretch(run, row.batch, row.elapsed, run.offset)
    if row.batch:
        run.stretch_from = (0, 0.0)
    return change


def _end_stretch(run: Run, position: int, elapsed: float, offset: int) -> int:
    batch, began = run.stretch_from
    if position <= batch or elapsed < began:
        run.stretch_from = (position, elapsed)
        return Change.NOTHING
    if elapsed - began < _LEAST_S:
        return Change.NOTHING
    run.stretch_from = (position, elapsed)
    seconds = (elapsed - began) / (position - batch)
    return _add(run, Stretch(position - batch, seconds, run.epoch, position, offset))


def _add(run: Run, stretch: Stretch) -> int:
    run.stretches.append(stretch)
    del run.stretches[:-_STRETCHES]
    return Change.PACE
