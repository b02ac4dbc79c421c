"""What the faces are given: a log's run as it stood at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run, Status

if TYPE_CHECKING:  # the summary starts every 30 seconds, and draws no curve
    from pathlib import Path

    from nanwatch.model.checkpoint import Weights
    from nanwatch.model.curve import Curve


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as a face is given it; *silence* is in seconds since the log last grew, None if unknown."""

    run: Run
    alerts: list[Alert]
    status: Status
    silence: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A log and its current run as they stood at one moment: copies, in which nothing changes any more.

    `path` is absolute; of standard input it is `-`. `view` is None as long as nothing was read. `curves` are the
    figures by batch, under the trainer's own names; `lr`, `VRAM`, `it/s` and `grad_norm` beside them. `grew_at` is
    when the log's last byte came (Unix seconds). Of its `size` bytes, `read` have been; `is_history` holds until
    all that stood in it at the start has been, and `is_estimate` while only its end was looked at: what is told then
    is no more than that end shows. `problem` is why it cannot be read now. `number` counts the runs in the log.
    `weights` is what the run's checkpoints were found to hold, None as long as nobody has looked.
    """

    path: Path
    view: RunView | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    grew_at: float | None = None
    size: int = 0
    read: int = 0
    problem: str | None = None
    is_history: bool = False
    is_estimate: bool = False
    number: int = 1
    weights: Weights | None = None
