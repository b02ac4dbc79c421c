"""What throws a run back: a checkpoint that is restored, one that is not saved, a failure that it recovers from."""

from __future__ import annotations

import re

from nanwatch.model.event import BatchDone, CheckpointSaved, CheckpointSkipped, Recovery
from nanwatch.model.run import Change, Rollback, Run, RunFailure

_KEPT = 32
LONGEST_PATH = 1024
"""Characters of the longest path that is remembered."""
_NOT_THE_BEST = re.compile(r"(?i)\b(?:improv\w*|better|best|worse)\b")
"""A checkpoint that is skipped because it would not be the best one is nothing to worry about."""


def note_rollback(run: Run, epoch: int, event: BatchDone | None, offset: int) -> int:
    """Take note that the epoch counter goes back though nobody resumed: a checkpoint was restored.

    A late frame of another process, which shows the end of an epoch, is none; nor is a run that starts over.
    """
    if run.resuming or run.epoch is None or run.first_epoch is None or epoch >= run.epoch:
        return Change.NOTHING
    if epoch == run.first_epoch or epoch <= min(1, run.first_epoch):
        return Change.NOTHING
    if event is not None and (event.batch or 0) > max(2, (event.batches or 0) // 20):
        return Change.NOTHING
    last = run.rollbacks[-1] if run.rollbacks else None
    if last is not None and last.said and last.from_epoch == last.to_epoch == run.epoch:
        last.to_epoch = epoch  # the one that the trainer announced
    else:
        run.rollbacks = [*run.rollbacks[-_KEPT + 1 :], Rollback(run.epoch, epoch, run.batch, offset)]
    return Change.ROLLBACK


def note_recovery(run: Run, event: Recovery) -> int:
    """Take note that the trainer mended something by itself; of a NaN, by going back to a checkpoint."""
    said = _in_one_line(event.message)
    mended = RunFailure(event.kind, said, event.offset, run.epoch)
    run.recoveries = [*run.recoveries[-31:], mended]
    if event.kind != "nan" or run.epoch is None:
        return Change.FAILURE
    back = Rollback(run.epoch, run.epoch, run.batch, event.offset, said or "recovering")
    run.rollbacks = [*run.rollbacks[-_KEPT + 1 :], back]
    return Change.FAILURE | Change.ROLLBACK


def note_checkpoint(run: Run, event: CheckpointSaved | CheckpointSkipped) -> int:
    """Take note of a checkpoint that was written, or was not though it should have been."""
    if isinstance(event, CheckpointSkipped):
        if _NOT_THE_BEST.search(event.message):
            return Change.NOTHING
        run.unsaved, run.unsaved_offset = _in_one_line(event.message) or "checkpoint not saved", event.offset
        return Change.CHECKPOINT
    run.unsaved, run.unsaved_offset = "", None
    if event.path and len(event.path) <= LONGEST_PATH and event.path not in run.saved[-1:]:
        others = [path for path in run.saved if path != event.path]
        run.saved = [*others[-_KEPT + 1 :], event.path]
    if run.current is not None and not event.best:
        run.current.saves += 1
    return Change.CHECKPOINT


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
