"""A run ends: it says so, fails, is interrupted, or its process tells an exit code; and it may go on after all."""

from __future__ import annotations

import re

from nanwatch.model.event import Failure, Interrupted, ProcessExited, RunFinished
from nanwatch.model.run import Change, Run, RunFailure
from nanwatch.runs.counting import count_nan
from nanwatch.runs.epochs import close_epoch

_SCHEDULER = re.compile(r"(?i)cancelled|sigterm|signal 15|terminated|time limit")


def has_begun(run: Run) -> bool:
    """Tell whether the run has shown anything that it did."""
    return run.epoch is not None or run.step is not None or has_ended(run)


def has_ended(run: Run) -> bool:
    """Tell whether the log has told of an end."""
    return bool(run.finished or run.failure or run.interrupted)


def end(run: Run, event: Failure | Interrupted | ProcessExited | RunFinished) -> int:
    """Take note of how the run ended."""
    match event:
        case RunFinished():
            close_epoch(run)
            run.finished, run.finished_offset = event.message or "the trainer said so", event.offset
        case Interrupted():
            # The first cause counts, for what comes after it is how that went; but a scheduler is stronger.
            if run.interrupted is None or (_SCHEDULER.search(event.message) and not _SCHEDULER.search(run.interrupted)):
                run.interrupted, run.interrupted_offset = event.message or "interrupted", event.offset
        case Failure() if run.interrupted is not None:
            return Change.NOTHING
        case Failure():
            if run.failure is None or run.failure.kind != "oom" or event.kind == "oom":
                run.failure = RunFailure(event.kind, event.message, event.offset, run.epoch)
            if event.kind == "nan" and not run.nan_batches:
                # The batch that ended the run was never drawn.
                position = (run.batch if run.batch is not None else run.step or 0) + 1
                count_nan(run, run.current, position, event.offset)
                return Change.END | Change.FAILURE | Change.NAN
        case ProcessExited():
            _exited(run, event)
    return Change.END | Change.FAILURE


def reopen(run: Run) -> None:
    """Take note that training goes on: what was an end is history."""
    run.session_pending = False
    run.resuming = True
    run.finished = run.finished_offset = run.interrupted = run.interrupted_offset = run.exit_code = None
    run.final_validation = False
    if run.failure is not None:
        run.recoveries = [*run.recoveries[-31:], run.failure]
        run.failure = None
    if run.batch is not None:
        run.batch = 0


def _exited(run: Run, event: ProcessExited) -> None:
    run.exit_code = event.code
    if run.failure or run.interrupted:
        return
    if event.code in (130, 143):
        run.interrupted, run.interrupted_offset = event.message or f"exit code {event.code}", event.offset
    elif event.code == 0:
        if run.finished is None and has_begun(run):
            close_epoch(run)
            run.finished, run.finished_offset = "exit code 0", event.offset
    else:
        kind = "killed" if 128 < event.code <= 192 else "exception"  # 255 is the -1 of many a program
        run.failure = RunFailure(kind, event.message or f"exit code {event.code}", event.offset, run.epoch)
