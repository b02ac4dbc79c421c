"""nan_loss: a batch's loss is non-finite. Once an epoch, with its first batch."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import NanLoss
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import clean_before, key_of, loss_row, number_of, place


class Rule:
    """Fires at the epoch's first non-finite loss, resolves when another epoch begins."""

    name = "nan_loss"
    wakes = Change.NAN | Change.EPOCH

    def __init__(self, settings: NanLoss) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        row = loss_row(run)
        if row is None or not row.nan_batches:
            return
        clean = clean_before(run, row)
        before = f"; epoch {clean} was clean" if clean is not None else ""
        hidden = " (the trainer prints the loss as 0.0, its gradient norm is nan)" if run.hidden_nan else ""
        yield Finding(
            self.name, "warning", f"loss is not finite since {place(row, row.nan_onset)}{hidden}{before}",
            key_of(row), number_of(row), row.nan_onset, row.nan_offset,
            {"nan_batches": row.nan_batches, "last_clean_epoch": clean},
        )  # fmt: skip
