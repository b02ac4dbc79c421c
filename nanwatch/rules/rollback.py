"""rollback: the epoch counter goes back within a run, without a resume: the trainer restored a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Rollback, Run
from nanwatch.rules.words import quoted


class Rule:
    """Fires when the run goes back, with or without saying so; resolves when it is past where it was."""

    name = "rollback"
    wakes = Change.ROLLBACK | Change.EPOCH | Change.END

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield a finding for each epoch that was thrown back and has not been passed since."""
        del now
        lost: dict[int, list[Rollback]] = {}
        for back in run.rollbacks:
            if run.epoch is not None and run.epoch <= back.from_epoch:
                lost.setdefault(back.from_epoch, []).append(back)
        for epoch, times in lost.items():
            last = times[-1]
            yield Finding(
                self.name, "warning", _words(last, len(times)), f"epoch {epoch}",
                epoch, times[0].batch, times[0].offset,
                {"from_epoch": epoch, "to_epoch": last.to_epoch, "times": len(times)},
            )  # fmt: skip


def _words(back: Rollback, times: int) -> str:
    at = f" at batch {back.batch:,}" if back.batch else ""
    again = "" if times == 1 else f", {times} times"
    if back.from_epoch == back.to_epoch:
        text = f"began epoch {back.from_epoch} again{at}{again}"
    else:
        text = f"went back from epoch {back.from_epoch}{at} to epoch {back.to_epoch}{again}"
    return f"{text}: {quoted(back.said, 120)}" if back.said else f"{text}, and did not say why"
