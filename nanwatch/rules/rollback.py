"""rollback: the epoch counter goes back within a run, without a resume: the trainer restored a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run


class Rule:
    """Fires when the run goes back, with or without saying so; resolves when it is past where it was."""

    name = "rollback"
    wakes = Change.ROLLBACK | Change.EPOCH | Change.END

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding: of the epochs that are repeated now."""
        del now
        lost = [back for back in run.rollbacks if run.epoch is not None and run.epoch <= back.from_epoch]
        if not lost:
            return
        last, times = lost[-1], "" if len(lost) == 1 else f", {len(lost)} times"
        at = f" at batch {last.batch:,}" if last.batch else ""
        if last.from_epoch == last.to_epoch:
            text = f"epoch {last.from_epoch} begins again{at}{times}"
        else:
            text = f"went back from epoch {last.from_epoch}{at} to epoch {last.to_epoch}{times}"
        told = f": {last.said[:120]}" if last.said else ", and did not say why"
        yield Finding(
            self.name, "warning", f"{text}{told}", f"epoch {last.from_epoch}", last.to_epoch, last.batch, last.offset,
            {"from_epoch": last.from_epoch, "to_epoch": last.to_epoch, "times": len(lost)},
        )  # fmt: skip
