"""What people are told: facts of an alert and of its run as they stood, and the messages made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from nanwatch.model.alert import Reason, Severity, State
from nanwatch.model.run import Status


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """What was found in the folder in which a run keeps its checkpoints, at `scanned_at` (Unix seconds).

    `last_clean` is the path of the checkpoint to start again from, empty where none is clean; `epoch` and `saved_at`
    (Unix seconds) are its own. `worse` are the newer ones, the newest first, each as `last.pt: 1,204 NaN`.
    """

    folder: str
    last_clean: str = ""
    epoch: int | None = None
    saved_at: float | None = None
    worse: tuple[str, ...] = ()
    problem: str = ""
    scanned_at: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as it stood. Times are Unix seconds; counters are as the trainer prints them; None: not known.

    `last_clean_epoch` is the last complete epoch without a non-finite batch, `updated_at` when the log last grew.
    `weights` is what its checkpoints were found to hold, None as long as nobody has looked.
    """

    id: str
    log: str
    format: str = "unknown"
    status: Status = "unknown"
    epoch: int | None = None
    epochs: int | None = None
    batch: int | None = None
    batches: int | None = None
    step: int | None = None
    steps: int | None = None
    progress: float | None = None
    rate: float | None = None
    eta_seconds: float | None = None
    updated_at: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    primary_metric: str | None = None
    primary_value: float | None = None
    best_value: float | None = None
    best_epoch: int | None = None
    nan_batches: int = 0
    grad_skips: int = 0
    vram_gb: float | None = None
    last_clean_epoch: int | None = None
    weights: WeightsFacts | None = None


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """An alert as it stood. `id` is unique among all logs of a machine; `noticed_at` is when it was first seen.

    `started_at` is None where neither a clock nor the log told when it began. `told` is the severity that people
    were last told, or None.
    """

    id: str
    rule: str
    severity: Severity
    state: State
    message: str
    noticed_at: float
    epoch: int | None = None
    batch: int | None = None
    offset: int | None = None
    line: int | None = None
    evidence: dict[str, float | int | str | None] = field(default_factory=dict)
    started_at: float | None = None
    resolved_at: float | None = None
    suppressed: tuple[str, ...] = ()
    told: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """An alert that somebody is to be told of, and why: it may have begun and ended since the last message."""

    alert: AlertFacts
    run: RunFacts
    reasons: tuple[Reason, ...]

    @property
    def is_over(self) -> bool:
        """Whether the alert has ended."""
        return self.alert.state == "resolved"


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one destination. `key` stays the same however often it is sent.

    `severity` is the worst of what it tells; `kind` is `resolved` when all of it is over and was told before.
    """

    key: str
    kind: Literal["firing", "resolved", "test"]
    severity: Severity
    title: str
    body: str
    host: str
    created_at: float
    news: tuple[News, ...] = ()


NEWS_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (RunFacts, WeightsFacts, AlertFacts, News, Message)}
"""The types above by name, for the state codec."""
