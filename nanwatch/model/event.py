"""Typed facts about a run: a closed union. A non-finite number is a legal value here.

Every event carries `offset`, the byte position in the log of the frame that says it. `epoch`, `batch` and
`step` are as the trainer prints them; None means that the frame does not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Numbers = Mapping[str, float]


@dataclass(slots=True)
class SessionStarted:
    """A training process said that it begins (a banner). It may resume an earlier session of the same run."""

    offset: int
    resumed: bool = False
    trainer: str = ""


@dataclass(slots=True)
class RunResumed:
    """The trainer said that it continues from a checkpoint."""

    offset: int
    epoch: int | None = None


@dataclass(slots=True)
class RunPlanned:
    """The trainer said how long it means to train."""

    offset: int
    epochs: int | None = None
    batches: int | None = None
    steps: int | None = None


@dataclass(slots=True)
class Hyperparameters:
    """Settings as the trainer printed them, each value as text."""

    offset: int
    values: Mapping[str, str]


@dataclass(slots=True)
class EpochStarted:
    """An epoch begins: a header line. `epoch` is None for a header that bears no number."""

    offset: int
    epoch: int | None = None
    epochs: int | None = None


@dataclass(slots=True)
class BatchDone:
    """Progress within an epoch (`batch` of `batches`) or over the run (`step` of `steps`).

    `losses` and `metrics` are as shown; `rate` is in batches a second, `elapsed` and `eta` in seconds,
    `vram_gb` in the trainer's own GB. `epoch` may be a fraction (3.25 of a Hugging Face trainer). `passed` are
    batches before this one whose frames nobody read, because they show the same non-finite losses.
    """

    offset: int
    epoch: float | None = None
    epochs: int | None = None
    batch: int | None = None
    batches: int | None = None
    step: int | None = None
    steps: int | None = None
    losses: Numbers = field(default_factory=dict)
    metrics: Numbers = field(default_factory=dict)
    lr: float | None = None
    grad_norm: float | None = None
    vram_gb: float | None = None
    rate: float | None = None
    elapsed: float | None = None
    eta: float | None = None
    logged_at: float | None = None
    bar: bool = False
    passed: Sequence[int] = ()


@dataclass(slots=True)
class ValidationDone:
    """Metrics of a validation. `final` marks the check of the best weights after training: no epoch."""

    offset: int
    epoch: float | None = None
    step: int | None = None
    losses: Numbers = field(default_factory=dict)
    metrics: Numbers = field(default_factory=dict)
    final: bool = False
    logged_at: float | None = None


@dataclass(slots=True)
class EpochDone:
    """An epoch's own summary line."""

    offset: int
    epoch: int | None = None
    epochs: int | None = None
    losses: Numbers = field(default_factory=dict)
    metrics: Numbers = field(default_factory=dict)
    lr: float | None = None
    vram_gb: float | None = None
    seconds: float | None = None
    logged_at: float | None = None


@dataclass(slots=True)
class FinalValidationStarted:
    """From here on validation rows speak of the best weights, not of an epoch."""

    offset: int


@dataclass(slots=True)
class StepSkipped:
    """An optimizer step was skipped. `kind` is `guard` (a check found a non-finite gradient) or `scaler`."""

    offset: int
    kind: str = "guard"
    count: int = 1


@dataclass(slots=True)
class Recovery:
    """The trainer mended something by itself. `kind` is `nan` or `oom`."""

    offset: int
    kind: str
    message: str


@dataclass(slots=True)
class StageChanged:
    """Another stage of the training begins (a backbone is unfrozen): what was usual before it is no measure now."""

    offset: int
    message: str = ""


@dataclass(slots=True)
class CheckpointSaved:
    """Weights were written. `path` is None where the trainer does not say; `best` ones are not saved each epoch."""

    offset: int
    path: str | None = None
    best: bool = False


@dataclass(slots=True)
class OutputFolder:
    """The trainer named the folder that it writes its results to, weights among them."""

    offset: int
    path: str


@dataclass(slots=True)
class CheckpointSkipped:
    """The trainer says that it did not save weights."""

    offset: int
    message: str = ""


@dataclass(slots=True)
class Failure:
    """The log tells of an error. `kind` is `oom`, `exception`, `killed`, `nccl` or `signal`."""

    offset: int
    kind: str
    message: str


@dataclass(slots=True)
class Interrupted:
    """A person or the scheduler stopped the run (Ctrl-C, SIGTERM)."""

    offset: int
    message: str = ""


@dataclass(slots=True)
class ProcessExited:
    """The recorder of the log (`script`, `nanwatch run`) told the exit code of the command, and how it ended."""

    offset: int
    code: int
    message: str = ""


@dataclass(slots=True)
class RunFinished:
    """The trainer said that it is done."""

    offset: int
    message: str = ""


Event = (
    SessionStarted
    | RunResumed
    | RunPlanned
    | Hyperparameters
    | EpochStarted
    | BatchDone
    | ValidationDone
    | EpochDone
    | FinalValidationStarted
    | StepSkipped
    | Recovery
    | StageChanged
    | CheckpointSaved
    | OutputFolder
    | CheckpointSkipped
    | Failure
    | Interrupted
    | ProcessExited
    | RunFinished
)
