"""How much of a run is done, and how long the rest will take."""

from __future__ import annotations

from nanwatch.model.run import Run


def progress_of(run: Run) -> float | None:
    """Return how much of the run is done, 0 to 1, or None where the plan is not known."""
    if run.finished is not None:
        return 1.0
    if run.steps and run.step is not None and (run.epoch is None or run.batch is None):
        return min(1.0, run.step / run.steps)
    if not run.epochs or run.epoch is None:
        return None
    row = run.current
    within = 1.0 if row is not None and row.done else (run.batch or 0) / run.batches if run.batches else 0.0
    done = run.epoch - (0 if run.first_epoch == 0 else 1)
    return max(0.0, min(1.0, (done + min(1.0, within)) / run.epochs))


def eta_of(run: Run) -> float | None:
    """Return the seconds until the run's end at its present rate, or None."""
    if run.finished is not None or run.failure is not None or run.interrupted is not None:
        return None
    if run.step is not None and run.steps and run.rate and run.batch is None:
        return max(0.0, (run.steps - run.step) / run.rate)
    row = run.current
    if row is None or not run.epochs or run.epoch is None:
        return None
    left = run.epochs - run.epoch - (1 if run.first_epoch == 0 else 0)
    if run.batches and run.rate:
        here = max(0, run.batches - (run.batch or 0)) / run.rate
        return here + max(0, left) * run.batches / run.rate
    times = [e.seconds for e in run.table.values() if e.done and e.seconds]
    return max(0, left) * sum(times) / len(times) if times else None
