"""finished: the training is done."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import when


class Rule:
    """News: the trainer said that it is done, or its last epoch is complete and nobody writes any more."""

    name = "finished"
    wakes = Change.END | Change.FAILURE

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for a run that finished and did not fail."""
        del now
        if run.finished is None or run.failure is not None:
            return
        best = ""
        if run.best is not None:
            best = f", best {run.best.metric} {run.best.value:.4g}{when(run, run.best.epoch)}"
        unit = "batch" if run.nan_batches == 1 else "batches"
        nan = f", {run.nan_batches:,} NaN {unit}" if run.nan_batches else ", no NaN"
        word = "finished"
        if "told no total" in run.finished:  # nobody knows whether it was meant to end here
            word = f"ended{when(run, run.epoch)}, which is complete; the log tells neither a total nor an end"
        yield Finding(
            self.name, "info", f"{word}{best}{nan}", "", run.epoch, None, run.finished_offset,
            {"nan_batches": run.nan_batches, "grad_skips": run.grad_skips},
        )  # fmt: skip
