"""checkpoint_unsaved: weights are no longer written, as the trainer says or as its silence tells."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import CheckpointUnsaved
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import recent_rows


class Rule:
    """Fires when the trainer says that it skips saving, or when a run that saved each epoch stops to.

    Checkpoints that are written only when they are the best do not count: they may well fail to come.
    """

    name = "checkpoint_unsaved"
    wakes = Change.CHECKPOINT | Change.EPOCH | Change.END

    def __init__(self, settings: CheckpointUnsaved) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        rows = recent_rows(run)
        saved = [e.epoch for e in rows if e.saves]
        last = saved[-1] if saved else None
        if run.unsaved:
            since = f" (last saved in epoch {last})" if last is not None else ""
            yield Finding(
                self.name, "warning", f"{run.unsaved[:160]}{since}", "said", run.epoch, None, run.unsaved_offset,
                {"last_saved_epoch": last},
            )  # fmt: skip
            return
        ended = [e for e in rows if e is not run.current]
        missing = len(ended) - next((n for n, e in reversed([*enumerate(ended, 1)]) if e.saves), 0)
        before = ended[: len(ended) - missing][-self.settings.epochs :]
        if run.current is not None and run.current.saves:
            return
        if missing < self.settings.missing or len(before) < self.settings.epochs or not all(e.saves for e in before):
            return
        yield Finding(
            self.name, "warning", f"no checkpoint saved for {missing} epochs; until epoch {last} each was saved", "silent",
            ended[-1].epoch, None, run.offset, {"last_saved_epoch": last, "epochs": missing},
        )  # fmt: skip
