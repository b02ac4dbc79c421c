"""Named groups -> events: the one place where what a pattern captured becomes a typed event."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nanwatch.formats.numbers import as_counter, read_duration, read_gb, read_int, read_number, read_rate
from nanwatch.formats.pairs import Pair, read_pairs, sort_pairs
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


@dataclass(slots=True)
class Fields:
    """What one frame says, before it is known which event it is."""

    epoch: float | None = None
    epochs: int | None = None
    batch: int | None = None
    batches: int | None = None
    step: int | None = None
    steps: int | None = None
    lr: float | None = None
    grad_norm: float | None = None
    vram: float | None = None
    rate: float | None = None
    eta: float | None = None
    time: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    skips: int = 0
    nans: int = 0

    def set(self, name: str, value: str, rename: Mapping[str, str]) -> None:
        """Take *value*, captured by the group *name*: a reserved field, or a loss or metric of that name."""
        name = rename.get(name, name)
        if name == "epoch":
            self.epoch = as_epoch(read_number(value))
        elif name in ("lr", "grad_norm"):
            setattr(self, name, read_number(value))
        elif name in ("epochs", "batch", "batches", "step", "steps"):
            setattr(self, name, read_int(value))
        elif name == "vram":
            self.vram = read_gb(value)
        elif name in ("eta", "time"):
            setattr(self, name, read_duration(value))
        elif name == "rate":
            self.rate = read_rate(value)
        elif name == "pairs":
            self.add(read_pairs(value), rename)
        elif name == "settings":
            self.settings.update(read_settings(value))
        elif name in _SETTINGS:
            self.settings[name] = value.strip()
        elif name in _TEXT:
            self.text[name] = value.strip()
        elif name:
            number = read_number(value)
            if number is not None:
                self.add([Pair(name, number, value, "")], {})

    def add(self, pairs: list[Pair], rename: Mapping[str, str]) -> None:
        """Take the numbers of *pairs*; values that are there already stay."""
        found = sort_pairs(pairs, dict(rename))
        self.losses.update(found.losses)
        self.metrics.update(found.metrics)
        self.lr = self.lr if found.lr is None else found.lr
        self.grad_norm = self.grad_norm if found.grad_norm is None else found.grad_norm
        self.vram = self.vram if found.vram_gb is None else found.vram_gb
        for role, pair in found.rest.items():
            if role == "epoch" and self.epoch is None:
                self.epoch = as_epoch(pair.value)
            elif role == "step" and self.step is None and pair.value.is_integer():
                self.step = as_counter(pair.value)
            elif role == "skips":
                self.skips = as_counter(pair.value) or 0
            elif role == "nans":
                self.nans = as_counter(pair.value) or 0


_MOST_NANS = 1000
_SETTINGS = frozenset({"used_optimizer"})
"""Groups that are each one setting, by their own name."""
_TEXT = frozenset({"message", "path", "trainer", "kind", "code", "phase", "count", "best"})


def _is_best(fields: Fields) -> bool:
    """Tell whether a checkpoint was written because it is the best."""
    return "best" in fields.text or "best" in fields.text.get("path", "").lower()


def _path(fields: Fields) -> str | None:
    """Return the path that a frame names, without the quotes and stops of the sentence around it."""
    return fields.text.get("path", "").strip("'\"`").rstrip(".,;:'\"`") or None


def read_settings(text: str) -> dict[str, str]:
    """Return the settings of `a=1, b=[2, 3], c=x`: a comma within brackets does not end a value."""
    settings: dict[str, str] = {}
    depth, start = 0, 0
    for i, char in enumerate(text + ","):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(0, depth - 1)
        elif char == "," and depth == 0:
            name, separator, value = text[start:i].partition("=")
            if separator and name.strip().isidentifier():
                settings[name.strip()] = value.strip()
            start = i + 1
    return settings


def as_epoch(number: float | None) -> float | None:
    """Return *number* as an epoch, which may be a fraction, or None where it cannot be one."""
    return number if as_counter(number) is not None else None


def batch_done(offset: int, f: Fields) -> list[Event]:
    """Return what a frame says about a batch, and about batches whose loss or step the trainer only counts."""
    event = BatchDone(
        offset, f.epoch, f.epochs, f.batch, f.batches, f.step, f.steps, f.losses, f.metrics, f.lr,
        f.grad_norm, f.vram, f.rate, f.time, f.eta,
    )  # fmt: skip
    if not (f.skips or f.nans):
        return [event]
    return [*_counted_nans(offset, f), event, *([StepSkipped(offset, "scaler", f.skips)] if f.skips else [])]


def _counted_nans(offset: int, f: Fields) -> list[Event]:
    """Return the steps before this one whose loss the trainer left out of its mean because it was NaN."""
    if f.step is None:
        return []
    last = f.step if not f.losses else f.step - 1
    first = max(1, last - min(f.nans, _MOST_NANS) + 1)
    return [BatchDone(offset, f.epoch, step=s, losses={"loss": math.nan}) for s in range(first, last + 1)]


def _epoch_done(offset: int, f: Fields) -> list[Event]:
    return [EpochDone(offset, as_counter(f.epoch), f.epochs, f.losses, f.metrics, f.lr, f.vram, f.time)]


def _validation_done(offset: int, f: Fields) -> list[Event]:
    return [ValidationDone(offset, f.epoch, f.step, f.losses, f.metrics)]


def _session_started(offset: int, f: Fields) -> list[Event]:
    resumed = f.settings.get("resume", "False") not in ("False", "None", "", "false")
    events: list[Event] = [SessionStarted(offset, resumed, f.text.get("trainer", ""))]
    if f.settings:
        events.append(Hyperparameters(offset, f.settings))
    return events


Emit = Callable[[int, Fields], list[Event]]
EMITTERS: dict[str, Emit] = {
    "batch_done": batch_done,
    "epoch_done": _epoch_done,
    "validation_done": _validation_done,
    "session_started": _session_started,
    "epoch_started": lambda o, f: [EpochStarted(o, as_counter(f.epoch), f.epochs)],
    "run_planned": lambda o, f: [RunPlanned(o, f.epochs, f.batches, f.steps)],
    "run_resumed": lambda o, f: [RunResumed(o, as_counter(f.epoch)), RunPlanned(o, f.epochs)],
    "hyperparameters": lambda o, f: [Hyperparameters(o, f.settings)],
    "final_validation_started": lambda o, _: [FinalValidationStarted(o)],
    "step_skipped": lambda o, f: [StepSkipped(o, f.text.get("kind", "guard"))],
    "stage_changed": lambda o, f: [StageChanged(o, f.text.get("message", ""))],
    "recovery": lambda o, f: [Recovery(o, f.text.get("kind", ""), f.text.get("message", ""))],
    "checkpoint_saved": lambda o, f: [CheckpointSaved(o, _path(f), _is_best(f))],
    "output_folder": lambda o, f: [OutputFolder(o, path)] if (path := _path(f)) else [],
    "checkpoint_skipped": lambda o, f: [CheckpointSkipped(o, f.text.get("message", ""))],
    "failure": lambda o, f: [Failure(o, f.text.get("kind", "exception"), f.text.get("message", ""))],
    "interrupted": lambda o, f: [Interrupted(o, f.text.get("message", ""))],
    "process_exited": lambda o, f: [ProcessExited(o, read_int(f.text.get("code", "0")) or 0)],
    "run_finished": lambda o, f: [RunPlanned(o, f.epochs), RunFinished(o, f.text.get("message", ""))],
    "nothing": lambda _o, _f: [],
}
"""How each `emits` of a declared format becomes events; `nothing` marks a frame that is known and says nothing."""
