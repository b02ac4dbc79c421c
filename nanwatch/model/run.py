"""A run's state: what is known of one training, in bounded memory.

Only `nanwatch.runs` changes these objects; everybody else reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["running", "stalled", "finished", "failed", "crashed", "interrupted", "unknown"]


class Change:
    """What an event changed in a run, as bits of an int: rules that look at nothing of it need not be asked."""

    NOTHING = 0
    PROGRESS = 1
    NAN = 2
    SKIP = 4
    VRAM = 8
    METRICS = 16
    EPOCH = 32
    FAILURE = 64
    END = 128
    CLEAN = 256


@dataclass(slots=True)
class Epoch:
    """Exact counters and last values of one epoch.

    `batch` is the highest batch drawn. `nan_mask` has bit b set when batch b was drawn with a non-finite loss,
    over every attempt at this epoch; `nan_batches` counts the bits. `nan_tightest` is the shortest span of
    batches that held three of them, `nan_longest` the longest stretch without a finite one. `loss_peaks` holds
    losses above the run's ceiling. `began_clean` tells that a finite loss came before any other.
    `seconds` is the training time.
    """

    epoch: int
    batch: int = 0
    batches: int | None = None
    nan_batches: int = 0
    nan_mask: int = 0
    nan_onset: int | None = None
    nan_offset: int | None = None
    nan_last: list[int] = field(default_factory=list)
    nan_streak_from: int | None = None
    nan_tightest: int | None = None
    nan_longest: int = 0
    began_clean: bool = False
    grad_skips: int = 0
    skip_first: int | None = None
    skip_offset: int | None = None
    skips_dense: bool = False
    skip_kinds: dict[str, int] = field(default_factory=dict)
    vram_gb: float | None = None
    vram_offset: int | None = None
    losses: dict[str, float] = field(default_factory=dict)
    loss_peaks: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    lr: float | None = None
    seconds: float | None = None
    offset: int = 0
    done: bool = False
    validated: bool = False
    attempts: int = 1


@dataclass(slots=True)
class Best:
    """The best value of the primary metric and the epoch (or, without epochs, the step) that gave it."""

    metric: str
    value: float
    epoch: int | None


@dataclass(slots=True)
class RunFailure:
    """How the run failed, in the log's own words, and in which epoch."""

    kind: str
    message: str
    offset: int
    epoch: int | None = None


@dataclass(slots=True)
class Evaluation:
    """One measured value of the primary metric: at `epoch` (or step), told at byte `offset`."""

    epoch: int
    value: float
    offset: int


@dataclass(slots=True)
class Run:
    """One training run: where it stands, what it measured, what went wrong.

    Counters (`epoch`, `batch`, `step`) are as printed. `rate` is in batches a second, `eta` and `elapsed`
    in seconds for the epoch in progress, `updated_at` in seconds since the Unix epoch (None when a log is
    read after the fact). `nan_batches` counts distinct batches drawn with a non-finite loss. `ceilings` are the
    losses above which a batch is a spike. `carried` holds values that a bar still shows of the epoch before,
    `unsure` those of them that did not change since.
    """

    id: str
    log: str
    format: str = "unknown"
    number: int = 1
    epoch: int | None = None
    epochs: int | None = None
    batch: int | None = None
    batches: int | None = None
    step: int | None = None
    steps: int | None = None
    first_epoch: int | None = None
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    lr: float | None = None
    grad_norm: float | None = None
    vram_gb: float | None = None
    rate: float | None = None
    eta: float | None = None
    elapsed: float | None = None
    table: dict[int, Epoch] = field(default_factory=dict)
    epochs_dropped: int = 0
    primary_metric: str | None = None
    primary_rises: bool = True
    best: Best | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    final_metrics: dict[str, float] = field(default_factory=dict)
    nan_batches: int = 0
    nan_onset: tuple[int | None, int | None] | None = None
    nan_offset: int | None = None
    grad_skips: int = 0
    skip_positions: list[int] = field(default_factory=list)
    ceilings: dict[str, float] = field(default_factory=dict)
    carried: dict[str, float] = field(default_factory=dict)
    unsure: dict[str, float] = field(default_factory=dict)
    observations: int = 0
    hidden_nan: bool = False
    resumes: int = 0
    hyperparameters: dict[str, str] = field(default_factory=dict)
    failure: RunFailure | None = None
    recoveries: list[RunFailure] = field(default_factory=list)
    interrupted: str | None = None
    exit_code: int | None = None
    finished: str | None = None
    finished_offset: int | None = None
    final_validation: bool = False
    session_pending: bool = False
    epoch_pending: bool = False
    offset: int = 0
    started_at: float | None = None
    updated_at: float | None = None

    @property
    def current(self) -> Epoch | None:
        """The epoch in progress, or None before the first."""
        return None if self.epoch is None else self.table.get(self.epoch)
