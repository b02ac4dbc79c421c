"""What a condition of the user's own may name: the values of a run and the functions, each with its meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import loss_row

Value = float | int | str | None
"""What a name stands for; None is not known (yet)."""
Kind = Literal["number", "text", "list"]

RESULT = Change.METRICS | Change.EPOCH | Change.END
BATCH = Change.PROGRESS | RESULT
_NAN = Change.NAN | Change.EPOCH | Change.CLEAN
_SKIP = Change.SKIP | Change.EPOCH
_VRAM = Change.VRAM | Change.EPOCH
_END = Change.END | Change.FAILURE


class Field(NamedTuple):
    """A name that every run has: what it means, the changes after which it can differ, and how it is read."""

    meaning: str
    wakes: int
    read: Callable[[Run], Value]


class Function(NamedTuple):
    """A function: how it is called, what it means, what it takes and what it gives."""

    call: str
    meaning: str
    takes: Literal["number", "number and digits", "numbers", "name", "name and epochs"]
    gives: Kind = "number"


def _best_age(run: Run) -> int | None:
    best, history = run.best, run.evaluations
    if best is None or best.epoch is None:
        return None
    if run.epoch is None:
        return sum(item.epoch > best.epoch for item in history)
    return max(0, (history[-1].epoch if history else run.epoch) - best.epoch)


def _of_epoch(name: str, unknown: Value = None) -> Callable[[Run], Value]:
    """Return a reader of the epoch in progress, or of a run that has none."""

    def read(run: Run) -> Value:
        row = loss_row(run)
        value: Value = unknown if row is None else getattr(row, name)
        return value

    return read


def _of_best(name: str) -> Callable[[Run], Value]:
    """Return a reader of the run's best evaluation."""

    def read(run: Run) -> Value:
        value: Value = None if run.best is None else getattr(run.best, name)
        return value

    return read


KNOWN_FIELDS: dict[str, Field] = {
    "epoch": Field("the epoch in progress, as the trainer prints it", RESULT, lambda run: run.epoch),
    "epochs": Field("the epochs that the run means to train", RESULT, lambda run: run.epochs),
    "batch": Field("the batch within the epoch", BATCH, lambda run: run.batch),
    "batches": Field("the batches of an epoch", RESULT, lambda run: run.batches),
    "step": Field("the step, over the whole run", BATCH, lambda run: run.step),
    "steps": Field("the steps that the run means to train", BATCH, lambda run: run.steps),
    "position": Field("the batches since the run began, over all epochs", BATCH, lambda run: run.position),
    "progress": Field("how much of the run is done, 0 to 1", BATCH, progress_of),
    "eta": Field("the seconds until the run's end, at its present rate", BATCH | Change.CLOCK, eta_of),
    "rate": Field("batches a second", BATCH, lambda run: run.rate),
    "lr": Field("the learning rate", BATCH, lambda run: run.lr),
    "grad_norm": Field("the gradient norm", BATCH, lambda run: run.grad_norm),
    "vram_gb": Field("the GPU memory in use, in GB", _VRAM, lambda run: run.vram_gb),
    "nan_batches": Field("the batches with a non-finite loss, in the whole run", _NAN, lambda run: run.nan_batches),
    "grad_skips": Field("the optimizer steps skipped, in the whole run", _SKIP, lambda run: run.grad_skips),
    "resumes": Field("how often the run was resumed", RESULT, lambda run: run.resumes),
    "finished": Field("whether the training is done", _END, lambda run: run.finished is not None),
    "failed": Field("whether an error ended the run", _END, lambda run: run.failure is not None),
    "interrupted": Field("whether somebody interrupted the run", _END, lambda run: run.interrupted is not None),
    "silence": Field("the seconds since the log last grew", Change.CLOCK, lambda run: run.silence),
    "epoch_nan": Field("the batches with a non-finite loss, in this epoch", _NAN, _of_epoch("nan_batches", 0)),
    "epoch_skips": Field("the optimizer steps skipped, in this epoch", _SKIP, _of_epoch("grad_skips", 0)),
    "epoch_vram_gb": Field("the peak GPU memory of this epoch, in GB", _VRAM, _of_epoch("vram_gb")),
    "epoch_seconds": Field("the training time of this epoch so far, in seconds", BATCH, _of_epoch("seconds")),
    "best.value": Field("the best value of the primary metric", RESULT, _of_best("value")),
    "best.epoch": Field("the epoch (or step) that gave the best value", RESULT, _of_best("epoch")),
    "best.age": Field("the epochs measured since the best one (or evaluations, without epochs)", RESULT, _best_age),
    "best.metric": Field("the name of the primary metric", RESULT, _of_best("metric")),
}  # fmt: skip
KNOWN_FUNCTIONS: dict[str, Function] = {
    "abs": Function("abs(x)", "x without its sign", "number"),
    "min": Function("min(a, b, ...)", "the least of numbers or of a list (nan if one is)", "numbers"),
    "max": Function("max(a, b, ...)", "the greatest of numbers or of a list (nan if one is)", "numbers"),
    "round": Function("round(x, digits)", "x rounded, to whole numbers without digits", "number and digits"),
    "mean": Function("mean(a, b, ...)", "the mean of numbers or of a list (nan if one is)", "numbers"),
    "median": Function("median(a, b, ...)", "the median of numbers or of a list (nan if one is)", "numbers"),
    "last": Function(
        'last("name", n)', "a list of the last n epochs' values of a loss or metric, oldest first; fewer if there are "
        "fewer; without epochs, of the primary metric", "name and epochs", "list",
    ),
    "falls": Function('falls("name", n)', "whether the value fell n epochs in a row", "name and epochs"),
    "rises": Function('rises("name", n)', "whether the value rose n epochs in a row", "name and epochs"),
    "change": Function('change("name", n)', "the last epoch's value less the one n epochs before", "name and epochs"),
    "is_nan": Function("is_nan(x)", "whether x is nan", "number"),
    "known": Function('known("name")', "whether the run has shown this loss or metric", "name"),
}  # fmt: skip

FIELDS: dict[str, str] = {
    **{name: field.meaning for name, field in KNOWN_FIELDS.items()},
    'losses["name"]': "the latest value of this loss",
    'metrics["name"]': "the latest value of this metric",
    "any other name": "the latest value of the loss or metric of that name",
}
"""The user's reference of names: what each means, in one line."""
FUNCTIONS: dict[str, str] = {name: f"{known.call}: {known.meaning}" for name, known in KNOWN_FUNCTIONS.items()}
"""The user's reference of functions: how each is called and what it means, in one line."""
