"""grad_skip: optimizer steps are skipped because gradients are not finite."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import GradSkip
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import has_passed, key_of, loss_row, number_of, projection

_ROW = 100
"""So many batches apart, a loss scaler's skips are no row: each time it tries a larger scale, one is normal."""


class Rule:
    """Fires at an epoch's first skipped step; critical when they come dense.

    A loss scaler must skip several in a row. Resolves with the epoch, or after a hundred clean steps of a run
    without epochs.
    """

    name = "grad_skip"
    wakes = Change.SKIP | Change.EPOCH | Change.CLEAN

    def __init__(self, settings: GradSkip) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        row = loss_row(run)
        if row is None or not row.grad_skips:
            return
        if self._is_scaling(run, row) or (row.epoch == -1 and has_passed(run, run.skip_positions[-1])):
            return
        where = f"epoch {row.epoch}" if row.epoch >= 0 else "the run"
        end = projection(row, row.grad_skips)
        ahead = f", about {end:,} by its end" if end is not None else ""
        steps = "step" if row.grad_skips == 1 else "steps"
        since = f" since batch {row.skip_first:,}" if row.skip_first is not None and row.batch else ""
        dense = f"; 10 within 1,000 batches, {run.grad_skips:,} in the run" if row.skips_dense else ""
        yield Finding(
            self.name, "critical" if row.skips_dense else "warning",
            f"{row.grad_skips:,} optimizer {steps} skipped in {where}{since}{ahead}{dense}",
            key_of(row), number_of(row), row.skip_first, row.skip_offset,
            {
                "grad_skips": row.grad_skips, "by_scaler": row.skip_kinds.get("scaler", 0),
                "batches_seen": row.batch, "projected": end,
            },
        )  # fmt: skip

    def _is_scaling(self, run: Run, row: Epoch) -> bool:
        """Tell whether a loss scaler alone skipped these steps, and never several in a row."""
        if row.skip_kinds.get("scaler", 0) < row.grad_skips:
            return False
        count = max(1, self.settings.scaler)
        told = run.skip_positions[-row.grad_skips :]
        apart = all(last - first >= _ROW for first, last in zip(told, told[count - 1 :], strict=False))
        return row.grad_skips < count or (apart and len(told) >= count)
