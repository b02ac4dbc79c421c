"""Applies events to runs. One log holds one run after another; a resumed run is the same run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
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
    OutputFolder,
    ProcessExited,
    Recovery,
    RunFinished,
    RunPlanned,
    RunResumed,
    SessionStarted,
    StageChanged,
    StepSkipped,
    ValidationDone,
)
from nanwatch.model.names import is_validation
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.runs.counting import count_loss, count_nan, note_vram, step_skipped
from nanwatch.runs.ending import end, has_begun, has_ended, reopen
from nanwatch.runs.epochs import close_epoch, enter_epoch, is_complete, is_restarted, restart_epoch
from nanwatch.runs.losses import forget_losses, watch_losses
from nanwatch.runs.pace import note_pace
from nanwatch.runs.primary import choose_primary, evaluate, record
from nanwatch.runs.rhythm import note_pause
from nanwatch.runs.setbacks import LONGEST_PATH, note_checkpoint, note_recovery, note_rollback

_RUNS = 64
_LINES = 1024
_PASSING = Change.PROGRESS | Change.CLEAN | Change.NAN
"""What also frames tell of which most are passed over."""


class LogRuns:
    """The runs of one log, oldest first; the last one is current."""

    def __init__(self, log: str, runs: list[Run] | None = None) -> None:
        self.log = log
        self.runs = runs if runs is not None else [_new_run(log, 1)]

    @property
    def current(self) -> Run:
        """The run that events apply to."""
        return self.runs[-1]

    def apply(self, event: Event, now: float | None = None, line: int = 1, is_sample: bool = False) -> int:
        """Apply *event* to the current run (or to a new one that it begins); return what changed.

        It was seen at *now*, in this *line* of the log. What is learned from bars is learned from frames that
        are a *sample*: the others may be passed over.
        """
        before = self.current
        ended, told, told_line = has_ended(before), before.offset, before.line
        change = self._apply(event, is_sample)
        run = self.current
        if ended and not has_ended(before):
            change |= Change.END  # training goes on: what told of the end must be asked again
        run.offset, run.line = event.offset, line
        if change & Change.EPOCH:
            _remember_line(run, told, told_line)  # what the epoch before ended with
        if change & ~_PASSING or _is_onset(run, event.offset):
            _remember_line(run, event.offset, line)
        if now is not None:
            run.updated_at = now
            run.started_at = run.started_at or now
        _note_logged(run, event)
        return change

    @property
    def may_settle(self) -> bool:
        """Whether `settle` would take the current run for finished."""
        return not has_ended(self.current) and is_complete(self.current)

    def settle(self, only_planned: bool = False) -> int:
        """Take note that nobody writes the log any more: a run whose last epoch is complete has finished.

        With *only_planned*, only if it was known how long it would be.
        """
        run = self.current
        planned = run.epochs is not None or run.steps is not None
        if not self.may_settle or (only_planned and not planned):
            return Change.NOTHING
        close_epoch(run)
        run.finished = "its last epoch is complete" if planned else "its last epoch is complete; it told no total"
        run.finished_offset = run.offset
        if run.epochs is None and run.epoch is not None and not run.steps:
            run.epochs = run.epoch + (1 if run.first_epoch == 0 else 0)
        return Change.END

    def _apply(self, event: Event, is_sample: bool) -> int:
        run = self.current
        match event:
            case BatchDone():
                return self._batch_done(event, is_sample)
            case EpochStarted():
                return self._epoch_started(event)
            case EpochDone():
                return self._epoch_done(event)
            case ValidationDone():
                return _validation_done(run, event)
            case StepSkipped():
                return self._step_skipped(event)
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
                return note_recovery(run, event)
            case StageChanged():
                run.stage_offset = event.offset
                forget_losses(run)
                run.stretches = []
                return Change.NOTHING
            case OutputFolder():
                run.output_folder = event.path[:LONGEST_PATH]
                return Change.NOTHING
            case CheckpointSaved() | CheckpointSkipped():
                return note_checkpoint(run, event)
            case Failure() | Interrupted() | ProcessExited() | RunFinished():
                return end(run, event)
            case _:
                assert_never(event)

    # -- sessions

    def _session_started(self, event: SessionStarted) -> int:
        run = self.current
        if not has_begun(run):
            return Change.NOTHING
        if event.resumed:
            return self._resumed()
        run.session_pending = True
        return Change.NOTHING

    def _resumed(self) -> int:
        run = self.current
        if not has_begun(run):
            return Change.NOTHING
        if run.session_pending or not _just_resumed(run):
            run.resumes += 1
        reopen(run)
        return Change.END

    def _enter_session(self, epoch: int | None, step: int | None) -> Run:
        """Decide, with the first progress of a session, whether it is a new run or the old one going on."""
        run = self.current
        if not (run.session_pending or has_ended(run)):
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
        reopen(run)
        return run

    def _begin_run(self) -> Run:
        old = self.current
        close_epoch(old)
        run = _new_run(self.log, old.number + 1)
        run.format, run.hyperparameters = old.format, {**old.hyperparameters}
        run.grew_at, run.is_held = old.grew_at, old.is_held
        run.process = None if old.process is None else replace(old.process)
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
        change = Change.PROGRESS
        if event.epoch != run.epoch:
            change |= note_rollback(run, event.epoch, None, event.offset)
            change |= enter_epoch(run, event.epoch, event.offset)
        run.resuming = False
        return change

    def _batch_done(self, event: BatchDone, is_sample: bool) -> int:
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
            change |= note_rollback(run, epoch, event, event.offset)
            change |= enter_epoch(run, epoch, event.offset)
        run.resuming = False
        row = run.current
        if event.step is not None:
            run.step = event.step
            run.steps = event.steps if event.steps is not None else run.steps
        if event.batch == 0 and event.bar and row is not None and row.batch:
            return change  # a bar that is put back to its start: what it shows is old
        if event.batch is not None:
            if row is not None and row.batch and (run.epoch_pending or is_restarted(row, event)):
                restart_epoch(run, row, event.offset)
            run.epoch_pending = False
            run.batch = event.batch
            run.batches = event.batches if event.batches is not None else run.batches
            if row is not None:
                if event.batch > row.batch:
                    row.done = row.validated = row.closed = False
                row.batch = max(row.batch, event.batch)
                row.batches = event.batches if event.batches is not None else row.batches
        _show(run, row, event)
        change |= count_loss(run, row, event)
        change |= note_vram(run, row, event.vram_gb, event.offset)
        _take_bar_metrics(run, row, event)
        if row is not None and event.elapsed is not None and event.batch is not None:
            row.seconds = row.elapsed = event.elapsed
        change |= watch_losses(run, row, event, is_sample)
        return change | note_pace(run, event, is_sample)

    def _step_skipped(self, event: StepSkipped) -> int:
        """Count skipped steps: after an epoch's own line, and before the last one's, they are the next one's."""
        run, change = self.current, Change.NOTHING
        row = run.current
        if row is not None and row.done and row.means and run.finished is None:
            last = None if run.epochs is None else run.epochs - (run.first_epoch == 0)
            if last is None or row.epoch < last:
                change = enter_epoch(run, row.epoch + 1, event.offset)
        return change | step_skipped(run, event)

    def _epoch_done(self, event: EpochDone) -> int:
        run = self.current
        epoch = event.epoch if event.epoch is not None else run.epoch
        if epoch is None:
            return Change.NOTHING
        change = Change.PROGRESS | Change.METRICS
        if run.epoch is None or epoch > run.epoch or _starts_over_epoch(run, epoch):
            run = self._enter_session(epoch, None)
            if epoch != run.epoch:
                change |= enter_epoch(run, epoch, event.offset)
        run.resuming = False
        if event.epochs is not None:
            run.epochs = event.epochs
        row = run.table.get(epoch)
        if row is None:
            row = run.table[epoch] = Epoch(epoch, offset=event.offset)
        row.losses.update(event.losses)
        row.means.update({n: v for n, v in event.losses.items() if math.isfinite(v)})
        row.metrics.update(event.metrics)
        row.lr = row.lr if event.lr is None else event.lr
        row.seconds = row.seconds if event.seconds is None else event.seconds
        row.done = event.epoch is not None or row.done
        row.validated = row.validated or any(is_validation(n) for n in event.metrics)
        if epoch == run.epoch:
            run.losses.update(event.losses)
            run.lr = run.lr if event.lr is None else event.lr
        run.metrics.update(event.metrics)
        change |= note_vram(run, row, event.vram_gb, event.offset)
        if not row.batch and any(not math.isfinite(v) for v in event.losses.values()):
            change |= count_nan(run, row, 1, event.offset)
        evaluate(run, row, event.offset)
        return change


def _new_run(log: str, number: int) -> Run:
    return Run(id=log if number == 1 else f"{log}#{number}", log=log, number=number)


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


def _is_onset(run: Run, offset: int) -> bool:
    row = run.current
    return offset == run.nan_offset or (row is not None and offset == row.nan_offset)


def _remember_line(run: Run, offset: int, line: int) -> None:
    run.lines[offset] = line
    if len(run.lines) > _LINES:
        for old in sorted(run.lines)[: _LINES // 2]:
            del run.lines[old]


def _note_logged(run: Run, event: Event) -> None:
    """Keep the time that the log prints; between two events that both tell it, nothing else was said."""
    logged = event.logged_at if isinstance(event, BatchDone | ValidationDone | EpochDone) else None
    if logged is not None:
        if run.is_timed and run.logged_at is not None and logged > run.logged_at:
            note_pause(run, logged - run.logged_at)
        run.logged_at = logged
    run.is_timed = logged is not None


def _plan(run: Run, event: RunPlanned) -> None:
    run.epochs = event.epochs if event.epochs is not None else run.epochs
    run.steps = event.steps if event.steps is not None else run.steps
    if run.batches is None:
        run.batches = event.batches


def _show(run: Run, row: Epoch | None, event: BatchDone) -> None:
    """Keep what the frame shows as the run's latest values."""
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


def _validation_done(run: Run, event: ValidationDone) -> int:
    metrics: dict[str, float] = {**event.losses, **event.metrics}
    if run.final_validation or event.final or (run.finished and not run.session_pending):
        run.final_metrics.update(metrics)
        return Change.NOTHING
    run.metrics.update(metrics)
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
