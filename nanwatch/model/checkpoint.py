"""What is known of a file of weights, and of the checkpoints of a run: whether one may start again from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CheckpointState = Literal["clean", "nonfinite", "hostile", "truncated", "corrupted", "unreadable", "changing"]
"""`truncated`: it ends early (half-written, cut); `corrupted`: it is whole but contradicts itself; `changing`: it was
rewritten while it was read; `hostile`: loading it would run code; `unreadable`: no permission, no file, no checkpoint.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """The tensors of one part of a checkpoint: `model`, `EMA`, `optimizer`, or another by its own name.

    `elements` counts numbers of a type that can be non-finite; `nan` and `inf` those that are.
    """

    name: str
    tensors: int
    elements: int
    nan: int = 0
    inf: int = 0


@dataclass(frozen=True, slots=True)
class BadTensor:
    """A tensor with non-finite values: its full name in the file, its type (`float32`, `bfloat16` ...) and shape."""

    name: str
    part: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    nan: int
    inf: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file of weights (or a set of shards) holds.

    `path` is as given; `format` is `PyTorch`, `PyTorch (legacy)`, `TorchScript`, `safetensors`, `NumPy`, `HDF5`,
    `Keras` or empty.
    `problem` is one short clear phrase, empty where the state is `clean` or `nonfinite`; `remarks` are further ones
    (what a hostile file tried, what was not checked). `bad` are the first bad tensors in the file's order, all bad ones
    counted in `parts`. `epoch`, `step`, `best` (metric, value) and `saved_at` (as the file writes it) are what the file
    itself says. `size` is in bytes, `modified_at` in Unix seconds, `seconds` how long the scan took.
    """

    path: str
    state: CheckpointState
    format: str = ""
    problem: str = ""
    remarks: tuple[str, ...] = ()
    size: int = 0
    modified_at: float | None = None
    parts: tuple[Part, ...] = ()
    bad: tuple[BadTensor, ...] = ()
    bad_tensors: int = 0
    epoch: int | None = None
    step: int | None = None
    best: tuple[str, float] | None = None
    saved_at: str | None = None
    files: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def nan(self) -> int:
        """How many numbers are NaN."""
        return sum(part.nan for part in self.parts)

    @property
    def inf(self) -> int:
        """How many numbers are infinite."""
        return sum(part.inf for part in self.parts)


@dataclass(frozen=True, slots=True)
class Weights:
    """The checkpoints of a run that were looked at, newest first, and the last clean one among them.

    `folder` is where they lie. `skipped` counts files that were not looked at because there was no time for more.
    `problem` is why nothing could be looked at (`folder is missing` ...), or empty. Where the trouble is a metric or a
    loss that was lost `since` (Unix seconds), `later` counts the checkpoints that were written after that: they may be
    finite and still be of no use, and are left out.
    """

    folder: str
    checkpoints: tuple[Checkpoint, ...] = ()
    last_clean: Checkpoint | None = None
    skipped: int = 0
    problem: str = ""
    scanned_at: float | None = None
    since: float | None = None
    later: int = 0
