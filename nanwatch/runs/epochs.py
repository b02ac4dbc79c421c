"""An epoch begins, is repeated, ends; the table of epochs stays bounded."""

from __future__ import annotations

from nanwatch.model.event import BatchDone
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.runs.losses import close_losses
from nanwatch.runs.pace import close_pace
from nanwatch.runs.primary import evaluate

_ROWS = 4096


def enter_epoch(run: Run, epoch: int, offset: int) -> int:
    """Go on to *epoch*, a new one or one that is repeated; return what that changed."""
    change = Change.EPOCH | close_epoch(run)
    for later in [e for e in run.table if e > epoch]:
        run.table[later].done = False
    if run.first_epoch is None or epoch < run.first_epoch:
        run.first_epoch = epoch
    run.carried = {**run.metrics}
    run.unsure = {}
    run.epoch_pending = False
    run.epoch = epoch
    run.batch = 0 if run.batch is not None else None
    run.final_validation = False
    row = run.table.get(epoch)
    if row is None:
        run.table[epoch] = Epoch(epoch, offset=offset)
        _thin(run)
    else:
        restart_epoch(run, row, offset)
    return change


def is_restarted(row: Epoch, event: BatchDone) -> bool:
    """A bar may step back by a batch when it is drawn again; one that begins anew is another attempt."""
    batch = event.batch or 0
    return row.batch - batch > 2 and (batch <= 2 or row.batch - batch > row.batch // 2)


def restart_epoch(run: Run, row: Epoch, offset: int) -> None:
    """Begin another attempt at the epoch of *row*: what the last one measured goes, its counts stay."""
    row.attempts += 1
    row.batch, row.offset, row.done, row.validated, row.closed = 0, offset, False, False, False
    row.losses, row.means, row.peaks, row.metrics = {}, {}, {}, {}
    row.seconds = row.elapsed = None
    row.nan_last, row.nan_streak_from, row.began_clean = [], None, False
    run.carried, run.unsure = {**run.metrics}, {}
    if run.batch is not None:
        run.stretch_from = (0, 0.0)


def close_epoch(run: Run) -> int:
    """Take what a bar showed unchanged through the whole epoch for its own value after all; return what changed."""
    row = run.current
    if row is None:
        return Change.NOTHING
    if run.unsure and not row.metrics.keys() >= run.unsure.keys() and row.batches and row.batch >= row.batches:
        row.metrics.update({n: v for n, v in run.unsure.items() if n not in row.metrics})
    run.unsure = {}
    row.done = True
    evaluate(run, row, run.offset)
    if row.closed:
        return Change.NOTHING
    row.closed = True
    close_losses(run, row)
    return close_pace(run, row)


def _thin(run: Run) -> None:
    """Keep memory bounded: of the older half of a very long table, every second clean row goes."""
    if len(run.table) <= _ROWS:
        return
    older = sorted(run.table)[: _ROWS // 2]
    best = run.best.epoch if run.best else None
    for epoch in older[1::2]:
        row = run.table[epoch]
        if not row.nan_batches and not row.grad_skips and epoch != best:
            del run.table[epoch]
            run.epochs_dropped += 1


def is_complete(run: Run) -> bool:
    """Tell whether the log shows a whole training: the last planned epoch (or step) to its end.

    Where the plan is not printed, a run is whole whenever an epoch is: its line or its validation came after
    its last batch, or its bar is full and no validation is to come.
    """
    row = run.current
    if run.steps and run.step is not None:
        return run.step >= run.steps
    if row is None:
        return False
    last = run.epochs is None or run.epoch is None or run.epoch >= run.epochs - (run.first_epoch == 0)
    if not last:
        return False
    if row.done or row.validated:
        return True
    if not row.batch or row.batches is None or row.batch < row.batches:
        return False
    earlier = [e for e in run.table.values() if e is not row]
    return not any(e.metrics for e in earlier) or bool(row.metrics or run.unsure)
