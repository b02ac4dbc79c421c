"""How rules word places and amounts, so that all messages speak alike."""

from __future__ import annotations

from nanwatch.model.run import Epoch, Run

_LEAST_COUNT = 3
_LEAST_SHARE = 0.05


def place(row: Epoch, position: int | None) -> str:
    """Return `batch 32 of epoch 4`, `step 120`, or `epoch 4`."""
    if row.epoch == -1:
        return f"step {position:,}" if position is not None else "the run"
    if position is None or not row.batch:
        return f"epoch {row.epoch}"
    return f"batch {position:,} of epoch {row.epoch}"


def key_of(row: Epoch) -> str:
    """Return what tells this epoch's finding from another's."""
    return "" if row.epoch == -1 else f"epoch {row.epoch}"


def number_of(row: Epoch) -> int | None:
    """Return the epoch's number, None for a run without epochs."""
    return None if row.epoch == -1 else row.epoch


def loss_row(run: Run) -> Epoch | None:
    """Return the row that counts what happens now: the current epoch's, or that of a run without epochs."""
    return run.current or run.table.get(-1)


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
