"""What throws a run back: a checkpoint that is restored, one that is not saved, a failure that it recovers from."""

from __future__ import annotations

from nanwatch.model.event import BatchDone, CheckpointSaved, CheckpointSkipped, Recovery
from nanwatch.model.run import Change, Rollback, Run, RunFailure

_KEPT = 32


def note_rollback(run: Run, epoch: int, event: BatchDone | None, offset: int) -> int:
    """Take note that the epoch counter goes back though nobody resumed: a checkpoint was restored.

    A late frame of another process, which shows the end of an epoch, is none; nor is a run that starts over.
    """
    if run.resuming or run.epoch is None or run.first_epoch is None or not run.first_epoch < epoch < run.epoch:
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
    mended = RunFailure(event.kind, event.message, event.offset, run.epoch)
    run.recoveries = [*run.recoveries[-31:], mended]
    if event.kind != "nan" or run.epoch is None:
        return Change.FAILURE
    back = Rollback(run.epoch, run.epoch, run.batch, event.offset, event.message or "recovering")
    run.rollbacks = [*run.rollbacks[-_KEPT + 1 :], back]
    return Change.FAILURE | Change.ROLLBACK


def note_checkpoint(run: Run, event: CheckpointSaved | CheckpointSkipped) -> int:
    """Take note of a checkpoint that was written, or was not."""
    if isinstance(event, CheckpointSkipped):
        run.unsaved, run.unsaved_offset = event.message or "checkpoint not saved", event.offset
        return Change.CHECKPOINT
    run.unsaved, run.unsaved_offset = "", None
    if run.current is not None and not event.best:
        run.current.saves += 1
    return Change.CHECKPOINT
