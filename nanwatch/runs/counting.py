"""Counts an epoch's batches, non-finite losses, skipped steps and memory: each batch once, exactly."""

from __future__ import annotations

import math

from nanwatch.model.event import BatchDone, StepSkipped
from nanwatch.model.run import Change, Epoch, Run

_MASK_BITS = 1 << 22
_DENSE_SKIPS, _DENSE_SPAN = 10, 1000


def count_loss(run: Run, row: Epoch | None, event: BatchDone) -> int:
    """Count what the losses of a frame say: non-finite ones, once a batch."""
    position = event.batch if event.batch is not None else event.step
    if position is None:
        if not event.losses:
            return Change.NOTHING
        run.observations += 1
        position = run.observations
    elif event.batch == 0 and event.bar:
        return Change.NOTHING  # nothing is done yet: what a bar shows here is the epoch before
    bad = any(not math.isfinite(v) for v in event.losses.values())
    if event.grad_norm is not None and not bad and not math.isfinite(event.grad_norm):
        is_shown = any(event.losses.values())
        if is_shown and math.isinf(event.grad_norm):
            return step_skipped(run, StepSkipped(event.offset, "scaler"))  # what half precision does now and then
        run.hidden_nan = run.hidden_nan or not is_shown
        bad = True
    if row is None:
        row = run.table.get(-1)
    if bad:
        for batch in event.passed:
            count_nan(run, row, batch, event.offset)
        return count_nan(run, row, position, event.offset)
    if row is not None and event.losses:
        change = Change.CLEAN if row.epoch == -1 or (row.nan_onset is None and not row.began_clean) else 0
        row.began_clean = row.began_clean or row.nan_onset is None
        row.nan_streak_from = None
        bit = 1 << position if position < _MASK_BITS else 0
        if row.nan_mask & bit and row.nan_last and row.nan_last[-1] == position and position != row.nan_onset:
            # Drawn again with a finite loss: what was seen first was the batch before.
            row.nan_mask &= ~bit
            row.nan_batches -= 1
            run.nan_batches -= 1
            row.nan_last.pop()
        return change
    return Change.NOTHING


def count_nan(run: Run, row: Epoch | None, position: int, offset: int) -> int:
    """Count a non-finite loss at *position*, a batch or a step; a batch counts once."""
    if row is None:
        # A run without epochs keeps its counters in one nameless row.
        row = run.table.setdefault(-1, Epoch(-1, offset=offset))
    bit = 1 << position if position < _MASK_BITS else 0
    if bit and row.nan_mask & bit:
        _streak(row, position)
        return Change.NAN
    row.nan_mask |= bit
    row.nan_batches += 1
    run.nan_batches += 1
    if row.nan_onset is None:
        row.nan_onset, row.nan_offset = position, offset
    if run.nan_onset is None:
        run.nan_onset, run.nan_offset = (None if row.epoch == -1 else row.epoch, position), offset
    row.nan_last = [*row.nan_last[-2:], position]
    if len(row.nan_last) == 3:
        span = row.nan_last[2] - row.nan_last[0] + 1
        if span > 0:
            row.nan_tightest = min(span, row.nan_tightest or span)
    _streak(row, position)
    return Change.NAN


def _streak(row: Epoch, position: int) -> None:
    if row.nan_streak_from is None:
        row.nan_streak_from = position
    row.nan_longest = max(row.nan_longest, position - row.nan_streak_from + 1)


def note_vram(run: Run, row: Epoch | None, vram: float | None, offset: int) -> int:
    """Note how much memory the frame shows, and the epoch's peak."""
    if vram is None or vram <= 0:
        return Change.NOTHING  # a machine without a GPU prints 0G, or -1
    run.vram_gb = vram
    if row is None or (row.vram_gb is not None and vram <= row.vram_gb):
        return Change.NOTHING
    row.vram_gb, row.vram_offset = vram, offset
    return Change.VRAM


def step_skipped(run: Run, event: StepSkipped) -> int:
    """Count skipped optimizer steps."""
    row = run.current
    if row is None:
        row = run.table.setdefault(-1, Epoch(-1, offset=event.offset))
    run.grad_skips += event.count
    row.grad_skips += event.count
    row.skip_kinds[event.kind] = row.skip_kinds.get(event.kind, 0) + event.count
    if row.skip_first is None:
        row.skip_first = run.batch if run.batch is not None else run.step
        row.skip_offset = event.offset
    position = run.position
    told = [position] * min(event.count, _DENSE_SKIPS)
    run.skip_positions = [*run.skip_positions, *told][-_DENSE_SKIPS:]
    if len(run.skip_positions) == _DENSE_SKIPS and position - run.skip_positions[0] < _DENSE_SPAN:
        row.skips_dense = True
    return Change.SKIP
