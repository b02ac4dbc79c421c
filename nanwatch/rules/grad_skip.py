"""grad_skip: optimizer steps are skipped because gradients are not finite."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import GradSkip
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import key_of, loss_row, number_of, projection


class Rule:
    """Fires at an epoch's first skipped step (a loss scaler may adjust itself twice); critical when they come dense."""

    name = "grad_skip"
    wakes = Change.SKIP | Change.EPOCH

    def __init__(self, settings: GradSkip) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        row = loss_row(run)
        if row is None or not row.grad_skips:
            return
        scaler = row.skip_kinds.get("scaler", 0)
        if scaler == row.grad_skips and scaler < self.settings.scaler:
            return
        where = f"epoch {row.epoch}" if row.epoch >= 0 else "the run"
        end = projection(row, row.grad_skips)
        ahead = f", about {end:,} by its end" if end is not None else ""
        steps = "step" if row.grad_skips == 1 else "steps"
        since = f" since batch {row.skip_first:,}" if row.skip_first is not None and row.batch else ""
        yield Finding(
            self.name, "critical" if row.skips_dense else "warning",
            f"{row.grad_skips:,} optimizer {steps} skipped in {where}{since}{ahead}",
            key_of(row), number_of(row), row.skip_first, row.skip_offset,
            {"grad_skips": row.grad_skips, "by_scaler": scaler, "batches_seen": row.batch, "projected": end},
        )  # fmt: skip
