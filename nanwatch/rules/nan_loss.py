"""nan_loss: a batch's loss is non-finite. Once an epoch, with its first batch."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import NanLoss
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import clean_before, key_of, nan_stretch, number_of, place


class Rule:
    """Fires at the epoch's first non-finite loss, resolves when another epoch begins."""

    name = "nan_loss"
    wakes = Change.NAN | Change.EPOCH | Change.CLEAN

    def __init__(self, settings: NanLoss) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        rows = nan_stretch(run)
        if not rows:
            return
        row = rows[0]
        clean = clean_before(run, row)
        before = f"; epoch {clean} was clean" if clean is not None else ""
        hidden = " (the trainer prints the loss as 0.0, its gradient norm is nan)" if run.hidden_nan else ""
        yield Finding(
            self.name, "warning", f"loss is not finite since {place(row, row.nan_onset)}{hidden}{before}",
            key_of(row), number_of(row), row.nan_onset, row.nan_offset,
            {"nan_batches": sum(r.nan_batches for r in rows), "last_clean_epoch": clean},
        )  # fmt: skip
