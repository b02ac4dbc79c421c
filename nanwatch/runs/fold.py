"""Applies events to runs. One log holds one run after another; a resumed run is the same run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import assert_never

from nanwatch.model.event import (
    BatchDone,
    CheckpointSaved,
    CheckpointSkipped,
    EpochDone,
    EpochStarted,
    Event,
    Failure,
    FinalValidationStarted,
    Hyperparameters,
    Interrupted,
    ProcessExited,
    Recovery,
    RunFinished,
    RunPlanned,
    RunResumed,
    SessionStarted,
    StepSkipped,
    ValidationDone,
)
from nanwatch.model.names import is_validation
from nanwatch.model.run import Change, Epoch, Run, RunFailure
from nanwatch.runs.primary import choose_primary, evaluate, record

_ROWS = 4096
_RUNS = 64
_MASK_BITS = 1 << 22
_WARM_UP = 100
_SPIKE = 10.0
_DENSE_SKIPS, _DENSE_SPAN = 10, 1000


class LogRuns:
    """The runs of one log, oldest first; the last one is current."""

    def __init__(self, log: str, runs: list[Run] | None = None) -> None:
        self.log = log
        self.runs = runs if runs is not None else [_new_run(log, 1)]

    @property
    def current(self) -> Run:
        """The run that events apply to."""
        return self.runs[-1]

    def apply(self, event: Event, now: float | None = None) -> int:
        """Apply *event*, seen at *now*, to the current run (or to a new one that it begins)."""
        before = self.current
        ended = _has_ended(before)
        change = self._apply(event)
        run = self.current
        if ended and not _has_ended(before):
            change |= Change.END  # training goes on: what told of the end must be asked again
        run.offset = event.offset
        if now is not None:
            run.updated_at = now
            run.started_at = run.started_at or now
        return change

    def settle(self) -> int:
        """Take note that nobody writes the log any more: a run whose last epoch is complete has finished."""
        run = self.current
        if _has_ended(run) or not is_complete(run):
            return Change.NOTHING
        _close_epoch(run)
        run.finished = "its last epoch is complete"
        run.finished_offset = run.offset
        if run.epochs is None and run.epoch is not None and not run.steps:
            run.epochs = run.epoch + (1 if run.first_epoch == 0 else 0)
        return Change.END

    def _apply(self, event: Event) -> int:
        run = self.current
        match event:
            case BatchDone():
                return self._batch_done(event)
            case EpochStarted():
                return self._epoch_started(event)
            case EpochDone():
                return self._epoch_done(event)
            case ValidationDone():
                return _validation_done(run, event)
            case StepSkipped():
                return _step_skipped(run, event)
            case SessionStarted():
                return self._session_started(event)
            case RunResumed():
                return self._resumed()
            case RunPlanned():
                _plan(run, event)
                return Change.PROGRESS
            case Hyperparameters():
                run.hyperparameters.update(event.values)
                epochs = event.values.get("epochs", "")
                if epochs.isdecimal() and run.epochs is None:
                    run.epochs = int(epochs)
                return Change.NOTHING
            case FinalValidationStarted():
                run.final_validation = True
                return Change.NOTHING
            case Recovery():
                mended = RunFailure(event.kind, event.message, event.offset, run.epoch)
                run.recoveries = [*run.recoveries[-31:], mended]
                return Change.FAILURE
            case CheckpointSaved() | CheckpointSkipped():
                return Change.NOTHING
            case Failure() | Interrupted() | ProcessExited() | RunFinished():
                return _ended(run, event)
            case _:
                assert_never(event)

    # -- sessions

    def _session_started(self, event: SessionStarted) -> int:
        run = self.current
        if not _has_begun(run):
            return Change.NOTHING
        if event.resumed:
            return self._resumed()
        run.session_pending = True
        return Change.NOTHING

    def _resumed(self) -> int:
        run = self.current
        if not _has_begun(run):
            return Change.NOTHING
        if run.session_pending or not _just_resumed(run):
            run.resumes += 1
        _reopen(run)
        return Change.END

    def _enter_session(self, epoch: int | None, step: int | None) -> Run:
        """Decide, with the first progress of a session, whether it is a new run or the old one going on."""
        run = self.current
        if not (run.session_pending or _has_ended(run)):
            if _starts_over(run, epoch) and run.epochs is not None and (run.epoch or 0) >= run.epochs - 1:
                return self._begin_run()
            return run
        if epoch is None:
            fresh = step is not None and run.step is not None and step < run.step and run.session_pending
        else:
            fresh = _starts_over(run, epoch) or (bool(run.finished) and run.session_pending)
        if run.finished and not run.session_pending and not _starts_over(run, epoch):
            if epoch is not None and run.epoch is not None and epoch > run.epoch:
                run.finished = run.finished_offset = None  # another epoch: only a part had finished
            return run
        if fresh:
            return self._begin_run()
        if run.session_pending or run.interrupted or (run.failure and _went_back(run, epoch)):
            run.resumes += 1
        _reopen(run)
        return run

    def _begin_run(self) -> Run:
        old = self.current
        _close_epoch(old)
        run = _new_run(self.log, old.number + 1)
        run.format, run.hyperparameters = old.format, old.hyperparameters
        self.runs.append(run)
        del self.runs[:-_RUNS]
        return run

    # -- progress

    def _epoch_started(self, event: EpochStarted) -> int:
        run = self.current
        if event.epoch is None:
            run.epoch_pending = True
            return Change.NOTHING
        run = self._enter_session(event.epoch, None)
        if event.epochs is not None:
            run.epochs = event.epochs
        if event.epoch != run.epoch:
            _enter_epoch(run, event.epoch, event.offset)
            return Change.EPOCH | Change.PROGRESS
        return Change.PROGRESS

    def _batch_done(self, event: BatchDone) -> int:
        epoch = None if event.epoch is None else math.ceil(event.epoch)
        run = self.current
        if event.step == 0 and (run.step or 0) > 0:
            run.session_pending = True  # a bar that begins anew; whether to resume shows with the next step
            return Change.NOTHING
        if _is_redraw(run, epoch, event):
            return Change.NOTHING
        run = self._enter_session(epoch, event.step)
        change = Change.PROGRESS
        if event.epochs is not None:
            run.epochs = event.epochs
        if epoch is not None and epoch != run.epoch:
            _enter_epoch(run, epoch, event.offset)
            change |= Change.EPOCH
        row = run.current
        if event.step is not None:
            run.step = event.step
            run.steps = event.steps if event.steps is not None else run.steps
        if event.batch == 0 and event.bar and row is not None and row.batch:
            return change  # a bar that is put back to its start: what it shows is old
        if event.batch is not None:
            if row is not None and row.batch and (run.epoch_pending or _restarted(row, event)):
                _restart_epoch(run, row, event.offset)
            run.epoch_pending = False
            run.batch = event.batch
            run.batches = event.batches if event.batches is not None else run.batches
            if row is not None:
                row.batch = max(row.batch, event.batch)
                row.batches = event.batches if event.batches is not None else row.batches
        _show(run, row, event)
        change |= _count_loss(run, row, event)
        change |= _vram(run, row, event.vram_gb, event.offset)
        _take_bar_metrics(run, row, event)
        if row is not None and event.elapsed is not None and event.batch is not None:
            row.seconds = event.elapsed
        _watch_losses(run, row, event)
        return change

    def _epoch_done(self, event: EpochDone) -> int:
        run = self.current
        epoch = event.epoch if event.epoch is not None else run.epoch
        if epoch is None:
            return Change.NOTHING
        if run.epoch is None or epoch > run.epoch or _starts_over_epoch(run, epoch):
            run = self._enter_session(epoch, None)
            if epoch != run.epoch:
                _enter_epoch(run, epoch, event.offset)
        if event.epochs is not None:
            run.epochs = event.epochs
        row = run.table.get(epoch)
        if row is None:
            row = run.table[epoch] = Epoch(epoch, offset=event.offset)
        row.losses.update(event.losses)
        row.metrics.update(event.metrics)
        row.lr = row.lr if event.lr is None else event.lr
        row.seconds = row.seconds if event.seconds is None else event.seconds
        row.done = event.epoch is not None or row.done
        row.validated = row.validated or any(is_validation(n) for n in event.metrics)
        if epoch == run.epoch:
            run.losses.update(event.losses)
            run.lr = run.lr if event.lr is None else event.lr
            run.phase = "train"
        run.metrics.update(event.metrics)
        change = Change.PROGRESS | Change.METRICS | _vram(run, row, event.vram_gb, event.offset)
        if not row.batch and any(not math.isfinite(v) for v in event.losses.values()):
            change |= _count_nan(run, row, 1, event.offset)
        evaluate(run, row, event.offset)
        return change


def is_complete(run: Run) -> bool:
    """Tell whether the log shows a whole training: the last planned epoch (or step) to its end.

    Where the plan is not printed, a run of epoch lines is whole after each of them.
    """
    row = run.current
    if run.steps and run.step is not None:
        return run.step >= run.steps
    if row is None:
        return False
    last = run.epochs is None or run.epoch is None or run.epoch >= run.epochs - (run.first_epoch == 0)
    if not last:
        return False
    if row.batch == 0:
        return row.done
    if row.batches is None or row.batch < row.batches:
        return row.done and not row.batch
    earlier = [e for e in run.table.values() if e is not row]
    if any(e.metrics for e in earlier) and not (row.metrics or run.unsure):
        return False  # its validation is still to come
    return run.epochs is not None


def _new_run(log: str, number: int) -> Run:
    return Run(id=log if number == 1 else f"{log}#{number}", log=log, number=number)


def _has_begun(run: Run) -> bool:
    return run.epoch is not None or run.step is not None or _has_ended(run)


def _has_ended(run: Run) -> bool:
    return bool(run.finished or run.failure or run.interrupted)


def _starts_over(run: Run, epoch: int | None) -> bool:
    return (
        epoch is not None and run.epoch is not None and run.first_epoch is not None
        and epoch <= run.first_epoch < run.epoch
    )  # fmt: skip


def _starts_over_epoch(run: Run, epoch: int) -> bool:
    return run.session_pending or (_starts_over(run, epoch) and run.batch is None)


def _is_redraw(run: Run, epoch: int | None, event: BatchDone) -> bool:
    """Tell whether a bar is only drawn once more after the run has ended, as closing it does."""
    if run.session_pending or not (run.failure or run.interrupted or run.finished):
        return False
    if event.step is not None:
        return event.step == run.step
    return epoch == run.epoch and 0 <= (event.batch or 0) - (run.batch or 0) <= 1


def _went_back(run: Run, epoch: int | None) -> bool:
    return epoch is not None and run.epoch is not None and epoch <= run.epoch


def _just_resumed(run: Run) -> bool:
    return run.resumes > 0 and run.batch == 0


def _reopen(run: Run) -> None:
    run.session_pending = False
    run.finished = run.finished_offset = run.interrupted = run.exit_code = None
    run.final_validation = False
    if run.failure is not None:
        run.recoveries = [*run.recoveries[-31:], run.failure]
        run.failure = None
    if run.batch is not None:
        run.batch = 0


def _enter_epoch(run: Run, epoch: int, offset: int) -> None:
    _close_epoch(run)
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
        _restart_epoch(run, row, offset)


def _restarted(row: Epoch, event: BatchDone) -> bool:
    """A bar may step back by a batch when it is drawn again; one that begins anew is another attempt."""
    batch = event.batch or 0
    return row.batch - batch > 2 and (batch <= 2 or row.batch - batch > row.batch // 2)


def _restart_epoch(run: Run, row: Epoch, offset: int) -> None:
    row.attempts += 1
    row.batch, row.offset, row.done, row.validated = 0, offset, False, False
    row.losses, row.metrics, row.seconds = {}, {}, None
    row.nan_last, row.nan_streak_from = [], None
    run.carried, run.unsure = {**run.metrics}, {}


def _close_epoch(run: Run) -> None:
    """Take what a bar showed unchanged through the whole epoch for its own value after all."""
    row = run.current
    if row is None:
        return
    if run.unsure and not row.metrics.keys() >= run.unsure.keys() and row.batches and row.batch >= row.batches:
        row.metrics.update({n: v for n, v in run.unsure.items() if n not in row.metrics})
    run.unsure = {}
    row.done = True
    evaluate(run, row, run.offset)
    finite = {n: abs(v) for n, v in row.losses.items() if math.isfinite(v) and v}
    run.ceilings.update({n: _SPIKE * v for n, v in finite.items()})


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


def _plan(run: Run, event: RunPlanned) -> None:
    run.epochs = event.epochs if event.epochs is not None else run.epochs
    run.steps = event.steps if event.steps is not None else run.steps
    if run.batches is None:
        run.batches = event.batches


def _show(run: Run, row: Epoch | None, event: BatchDone) -> None:
    """Keep what the frame shows as the run's latest values."""
    run.phase = "train"
    if event.losses:
        run.losses = dict(event.losses)
        if row is not None:
            row.losses.update(event.losses)
    if event.lr is not None:
        run.lr = event.lr
        if row is not None:
            row.lr = event.lr
    run.grad_norm = event.grad_norm if event.grad_norm is not None else run.grad_norm
    run.rate = event.rate if event.rate is not None else run.rate
    if event.bar or event.eta is not None:
        run.eta, run.elapsed = event.eta, event.elapsed


def _take_bar_metrics(run: Run, row: Epoch | None, event: BatchDone) -> None:
    """Keep the metrics of a bar; those of the epoch before stay in it until they are measured again."""
    for name, value in event.metrics.items():
        old = run.carried.get(name)
        run.metrics[name] = value
        if row is None:
            continue
        if old is not None and (value == old or (math.isnan(value) and math.isnan(old))) and name not in row.metrics:
            run.unsure[name] = value
            continue
        run.unsure.pop(name, None)
        row.metrics[name] = value


def _count_loss(run: Run, row: Epoch | None, event: BatchDone) -> int:
    position = event.batch if event.batch is not None else event.step
    if position is None:
        if not event.losses:
            return Change.NOTHING
        run.observations += 1
        position = run.observations
    elif event.batch == 0 and event.bar:
        return Change.NOTHING  # nothing is done yet: what a bar shows here is the epoch before
    bad = any(not math.isfinite(v) for v in event.losses.values())
    if event.grad_norm is not None and not math.isfinite(event.grad_norm):
        run.hidden_nan = run.hidden_nan or not bad
        bad = True
    if row is None:
        if not bad:
            return Change.NOTHING
        row = run.table.get(-1)
    if bad:
        for batch in event.passed:
            _count_nan(run, row, batch, event.offset)
        return _count_nan(run, row, position, event.offset)
    if row is not None and event.losses:
        row.nan_streak_from = None
        bit = 1 << position if position < _MASK_BITS else 0
        if row.nan_mask & bit and row.nan_last and row.nan_last[-1] == position and position != row.nan_onset:
            # Drawn again with a finite loss: what was seen first was the batch before.
            row.nan_mask &= ~bit
            row.nan_batches -= 1
            run.nan_batches -= 1
            row.nan_last.pop()
    return Change.NOTHING


def _count_nan(run: Run, row: Epoch | None, position: int, offset: int) -> int:
    if row is None:
        # A run without epochs keeps its counters in one nameless row.
        row = run.table.setdefault(-1, Epoch(-1, offset=offset))
    bit = 1 << position if position < _MASK_BITS else 0
    if bit and row.nan_mask & bit:
        _streak(row, position)
        return Change.NAN
    row.nan_mask |= bit
    row.nan_batches += 1
    run.nan_batches += 1
    if row.nan_onset is None:
        row.nan_onset, row.nan_offset = position, offset
    if run.nan_onset is None:
        run.nan_onset, run.nan_offset = (None if row.epoch == -1 else row.epoch, position), offset
    row.nan_last = [*row.nan_last[-2:], position]
    if len(row.nan_last) == 3:
        span = row.nan_last[2] - row.nan_last[0] + 1
        if span > 0:
            row.nan_tightest = min(span, row.nan_tightest or span)
    _streak(row, position)
    return Change.NAN


def _streak(row: Epoch, position: int) -> None:
    if row.nan_streak_from is None:
        row.nan_streak_from = position
    row.nan_longest = max(row.nan_longest, position - row.nan_streak_from + 1)


def _vram(run: Run, row: Epoch | None, vram: float | None, offset: int) -> int:
    if not vram:
        return Change.NOTHING  # a machine without a GPU prints 0G
    run.vram_gb = vram
    if row is None or (row.vram_gb is not None and vram <= row.vram_gb):
        return Change.NOTHING
    row.vram_gb, row.vram_offset = vram, offset
    return Change.VRAM


def _watch_losses(run: Run, row: Epoch | None, event: BatchDone) -> None:
    """Note losses above the ceiling, ten times what the last epoch ended with (the first epoch: what it had after its warm-up)."""
    if row is None or not event.losses:
        return
    for name, value in event.losses.items():
        ceiling = run.ceilings.get(name)
        if ceiling is None:
            if (event.batch or 0) >= _WARM_UP and math.isfinite(value) and value:
                run.ceilings[name] = _SPIKE * abs(value)
        elif math.isfinite(value) and value > ceiling:
            row.loss_peaks[name] = max(value, row.loss_peaks.get(name, value))


def _validation_done(run: Run, event: ValidationDone) -> int:
    metrics: dict[str, float] = {**event.losses, **event.metrics}
    if run.final_validation or event.final or (run.finished and not run.session_pending):
        run.final_metrics.update(metrics)
        return Change.NOTHING
    run.metrics.update(metrics)
    run.phase = "train"
    epoch = run.epoch if event.epoch is None else math.ceil(event.epoch)
    row = None if epoch is None else run.table.get(epoch)
    if row is None:
        if epoch is not None:
            row = run.table[epoch] = Epoch(epoch, offset=event.offset)
            run.epoch = epoch if run.epoch is None else run.epoch
            run.first_epoch = epoch if run.first_epoch is None else run.first_epoch
        else:
            _record_without_epochs(run, metrics, event)
            return Change.METRICS
    row.metrics.update(metrics)
    row.validated = True
    evaluate(run, row, event.offset)
    return Change.METRICS


def _record_without_epochs(run: Run, metrics: Mapping[str, float], event: ValidationDone) -> None:
    choose_primary(run, dict(metrics))
    if run.primary_metric is not None and run.primary_metric in metrics:
        position = event.step if event.step is not None else run.step or 0
        run.step = max(run.step or 0, position)
        record(run, position, metrics[run.primary_metric], event.offset)


def _step_skipped(run: Run, event: StepSkipped) -> int:
    row = run.current
    if row is None:
        row = run.table.setdefault(-1, Epoch(-1, offset=event.offset))
    run.grad_skips += event.count
    row.grad_skips += event.count
    row.skip_kinds[event.kind] = row.skip_kinds.get(event.kind, 0) + event.count
    if row.skip_first is None:
        row.skip_first = run.batch if run.batch is not None else run.step
        row.skip_offset = event.offset
    position = _position(run)
    run.skip_positions = [*run.skip_positions[-(_DENSE_SKIPS - 1) :], position]
    if len(run.skip_positions) == _DENSE_SKIPS and position - run.skip_positions[0] < _DENSE_SPAN:
        row.skips_dense = True
    return Change.SKIP


def _position(run: Run) -> int:
    """Return the number of batches since the run began, as far as its counters tell."""
    if run.epoch is not None and run.batches:
        return (run.epoch - (run.first_epoch or 0)) * run.batches + (run.batch or 0)
    return run.step if run.step is not None else run.observations


def _ended(run: Run, event: Failure | Interrupted | ProcessExited | RunFinished) -> int:
    match event:
        case RunFinished():
            _close_epoch(run)
            run.finished, run.finished_offset = event.message or "the trainer said so", event.offset
        case Interrupted():
            run.interrupted = event.message or "interrupted"
        case Failure():
            if run.failure is None or run.failure.kind != "oom" or event.kind == "oom":
                run.failure = RunFailure(event.kind, event.message, event.offset, run.epoch)
        case ProcessExited():
            _exited(run, event)
    return Change.END | Change.FAILURE


def _exited(run: Run, event: ProcessExited) -> None:
    run.exit_code = event.code
    if run.failure or run.interrupted:
        return
    if event.code in (130, 143):
        run.interrupted = f"exit code {event.code}"
    elif event.code == 0:
        if run.finished is None and _has_begun(run):
            _close_epoch(run)
            run.finished, run.finished_offset = "exit code 0", event.offset
    else:
        kind = "killed" if event.code > 128 else "exception"
        run.failure = RunFailure(kind, f"exit code {event.code}", event.offset, run.epoch)
