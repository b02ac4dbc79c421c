"""A run's state: what is known of one training, in bounded memory.

Only `nanwatch.runs` changes these objects; everybody else reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["running", "stalled", "finished", "failed", "crashed", "interrupted", "unknown"]


class Change:
    """What an event changed in a run, as bits of an int: rules that look at nothing of it need not be asked.

    `CLOCK` is no event: time went by. `PROGRESS` alone may be passed over where frames are quiet.
    """

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
    PEAK = 512
    PACE = 1024
    CHECKPOINT = 2048
    ROLLBACK = 4096
    CLOCK = 8192


@dataclass(slots=True)
class Peak:
    """A loss above its ceiling in one epoch: first at `batch` and byte `offset`, at most `highest`, in `batches` ones.

    `usual` is what the loss was before, `last` the latest of those batches, `tightest` the shortest span that held
    ten of them.
    """

    batch: int
    offset: int
    usual: float
    highest: float
    batches: int = 0
    last: list[int] = field(default_factory=list)
    tightest: int | None = None


@dataclass(slots=True)
class Epoch:
    """Exact counters and last values of one epoch.

    `batch` is the highest batch drawn. `nan_mask` has bit b set when batch b was drawn with a non-finite loss,
    over every attempt at this epoch; `nan_batches` counts the bits. `nan_tightest` is the shortest span of
    batches that held three of them, `nan_longest` the longest stretch without a finite one. `peaks` holds the
    losses that went above the run's ceiling. `means` are losses that the trainer told for the whole epoch.
    `began_clean` tells that a finite loss came before any other. `seconds` is the training time, `elapsed` that
    of its bar; `saves` counts checkpoints that are written whether or not they are the best.
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
    means: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, Peak] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    lr: float | None = None
    seconds: float | None = None
    elapsed: float | None = None
    offset: int = 0
    done: bool = False
    validated: bool = False
    closed: bool = False
    attempts: int = 1
    saves: int = 0


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
class Rollback:
    """The epoch counter went back without a resume; `said` is what the trainer said of it, or nothing."""

    from_epoch: int
    to_epoch: int
    batch: int | None
    offset: int
    said: str = ""


@dataclass(slots=True)
class Stretch:
    """So many batches in a row, up to `batch` of `epoch`, and how many seconds each took."""

    batches: int
    seconds: float
    epoch: int | None
    batch: int
    offset: int


@dataclass(slots=True)
class Process:
    """The process that writes the log. `command` is the program's name, `started` when it began (Unix seconds).

    `cpu` is in percent of a core at the last look, None where unknown; `alive` is False once it was seen gone.
    """

    pid: int
    command: str
    started: float
    cpu: float | None = None
    alive: bool = True


@dataclass(slots=True)
class Run:
    """One training run: where it stands, what it measured, what went wrong.

    Counters (`epoch`, `batch`, `step`) are as printed. `rate` is in batches a second, `eta` and `elapsed`
    in seconds for the epoch in progress, `updated_at` in seconds since the Unix epoch (None when a log is
    read after the fact), `logged_at` the last time that the log printed. `nan_batches` counts distinct batches
    drawn with a non-finite loss. `ceilings` are the losses above which a batch is a spike: ten times the median
    of `recent`, some of the latest losses; `first_losses` is what the run began with. `carried` holds values that
    a bar still shows of the epoch before, `unsure` those of them that did not change since. `lines` are the line
    numbers of the offsets that were worth remembering.

    `saved` are the paths of checkpoints that the trainer named, newest last, `output_folder` where it said that its
    results go; both as it wrote them, and nobody knows from which folder on.

    Of the log itself: `grew_at` is when its last byte came, `silence` how long that was ago at the last look,
    `longest_silence` the longest healthy one, `longest_pause` the longest that ended by itself. `is_held` tells
    whether a process holds it open for writing (None: unknown), `process` which one does, or did.
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
    recent: dict[str, list[float]] = field(default_factory=dict)
    first_losses: dict[str, float] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    stretch_from: tuple[int, float] = (0, 0.0)
    rollbacks: list[Rollback] = field(default_factory=list)
    unsaved: str = ""
    unsaved_offset: int | None = None
    saved: list[str] = field(default_factory=list)
    output_folder: str = ""
    stage_offset: int = 0
    carried: dict[str, float] = field(default_factory=dict)
    unsure: dict[str, float] = field(default_factory=dict)
    observations: int = 0
    hidden_nan: bool = False
    resumes: int = 0
    hyperparameters: dict[str, str] = field(default_factory=dict)
    failure: RunFailure | None = None
    recoveries: list[RunFailure] = field(default_factory=list)
    interrupted: str | None = None
    interrupted_offset: int | None = None
    exit_code: int | None = None
    finished: str | None = None
    finished_offset: int | None = None
    final_validation: bool = False
    session_pending: bool = False
    resuming: bool = False
    epoch_pending: bool = False
    offset: int = 0
    line: int = 1
    lines: dict[int, int] = field(default_factory=dict)
    logged_at: float | None = None
    is_timed: bool = False
    started_at: float | None = None
    updated_at: float | None = None
    grew_at: float | None = None
    silence: float | None = None
    longest_silence: float = 0.0
    longest_pause: float = 0.0
    process: Process | None = None
    is_held: bool | None = None

    @property
    def position(self) -> int:
        """The number of batches since the run began, as far as its counters tell."""
        if self.epoch is not None:
            before = self.table.get(self.epoch - 1)
            batches = self.batches or (before.batch if before is not None else 0)
            if batches or self.batch:
                return (self.epoch - (self.first_epoch or 0)) * batches + (self.batch or 0)
        return self.step if self.step is not None else self.observations

    @property
    def current(self) -> Epoch | None:
        """The epoch in progress, or None before the first."""
        return None if self.epoch is None else self.table.get(self.epoch)
