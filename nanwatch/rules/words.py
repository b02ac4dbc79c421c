"""How rules word places and amounts, so that all messages speak alike."""

from __future__ import annotations

import math

from nanwatch.model.run import Epoch, Evaluation, Run
from nanwatch.model.words import spoken_duration

_LEAST_COUNT = 3
_CLEAN_STEPS = 100
_LEAST_SHARE = 0.05
_NOT_MEASURED = -1.0
"""What trainers print for a metric of an epoch without validation, or of a class without labels."""

duration = spoken_duration
"""How long something lasts, as a sentence says it."""


def place(row: Epoch, position: int | None) -> str:
    """Return `batch 32 of epoch 4`, `step 120`, or `epoch 4`."""
    if row.epoch == -1:
        return f"step {position:,}" if position is not None else "the run"
    if position is None or not row.batch:
        return f"epoch {row.epoch}"
    return f"batch {position:,} of epoch {row.epoch}"


def when(run: Run, position: int | None) -> str:
    """Return ` at epoch 3` or ` at step 250` for a *position* of the run's evaluations; nothing for none."""
    return "" if position is None else f" at {'step' if run.epoch is None else 'epoch'} {position}"


def spot(run: Run, position: int) -> tuple[int | None, int | None]:
    """Return the epoch and the batch that a *position* of the run's evaluations is: one of them is None."""
    return (None, position) if run.epoch is None else (position, None)


def quoted(text: str, most: int = 200) -> str:
    """Return the beginning of what the log says, as a piece of one line: a tab is a blank."""
    return " ".join(text.split())[:most]


def key_of(row: Epoch) -> str:
    """Return what tells this epoch's finding from another's."""
    return "" if row.epoch == -1 else f"epoch {row.epoch}"


def number_of(row: Epoch) -> int | None:
    """Return the epoch's number, None for a run without epochs."""
    return None if row.epoch == -1 else row.epoch


def loss_row(run: Run) -> Epoch | None:
    """Return the row that counts what happens now: the current epoch's, or that of a run without epochs."""
    return run.current or run.table.get(-1)


def recent_rows(run: Run, count: int = 256) -> list[Epoch]:
    """Return the rows of the latest epochs, the present one included, oldest first."""
    last = run.epoch
    if last is None:
        return []
    return [run.table[e] for e in range(max(0, last - count + 1), last + 1) if e in run.table]


def measured(run: Run) -> list[Evaluation]:
    """Return the values of the primary metric, oldest first, without those that only fill a gap."""
    if not run.primary_rises:
        return run.evaluations
    return [e for e in run.evaluations if e.value != _NOT_MEASURED]


def is_of_stage(run: Run, item: Evaluation) -> bool:
    """Tell whether *item* was measured in the present stage of the training."""
    row = run.table.get(item.epoch)
    return (item if row is None else row).offset >= run.stage_offset


def nan_stretch(run: Run) -> list[Epoch]:
    """Return the epochs, oldest first, in which the loss is not finite now; empty when it is finite again.

    An epoch goes on where the one before ended: as long as it has shown no finite loss first, NaN lasts. In a
    run without epochs it has passed when a hundred steps since were clean.
    """
    row = loss_row(run)
    if row is None:
        return []
    if row.epoch == -1:
        last = row.nan_last[-1] if row.nan_last else 0
        passed = has_passed(run, last) and all(math.isfinite(v) for v in run.losses.values())
        return [row] if row.nan_batches and not passed else []
    rows = [row]
    while not row.began_clean:
        before = run.table.get(row.epoch - 1)
        if before is None or not before.nan_batches or all(math.isfinite(v) for v in before.losses.values()):
            break
        row = before
        rows.insert(0, row)
    return [r for r in rows if r.nan_batches]


def has_passed(run: Run, last: int) -> bool:
    """Tell whether a run without epochs has gone on for a hundred steps since the *last* bad one."""
    return run.position - last > _CLEAN_STEPS


def clean_before(run: Run, row: Epoch) -> int | None:
    """Return the last epoch before *row* that had neither a non-finite loss nor a skipped step."""
    clean = [e.epoch for e in run.table.values() if e.epoch < row.epoch and not e.nan_batches and not e.grad_skips]
    return max((e for e in clean if e >= 0), default=None)


def projection(row: Epoch, count: int) -> int | None:
    """Return what *count* comes to by the end of the epoch if it goes on like this.

    None if that cannot be told: too few so far, or too little of the epoch.
    """
    if not row.batches or not row.batch or row.batch >= row.batches:
        return None
    if count < _LEAST_COUNT or row.batch < _LEAST_SHARE * row.batches:
        return None
    return round(count * row.batches / row.batch)


def where_it_stands(run: Run) -> str:
    """Return `at 30 % of epoch 101`, `at the end of epoch 3`, `in epoch 7`, `at step 120 of 250`, or `at its start`."""
    if run.epoch is not None and run.batch and run.batches:
        share = min(1.0, run.batch / run.batches)
        return f"at {'the end' if share == 1.0 else f'{int(100 * share)} %'} of epoch {run.epoch}"
    if run.epoch is not None:
        return f"in epoch {run.epoch}"
    if run.step is not None:
        return f"at step {run.step:,}" + (f" of {run.steps:,}" if run.steps else "")
    return "at its start"
