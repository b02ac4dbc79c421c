"""Why a run went wrong, as far as its log shows it, and what to do: causes with evidence, settings, how to resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Likelihood = Literal["certain", "probable", "possible"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One sentence of evidence, and where the log says it: `offset` in bytes, `line` as an editor counts it."""

    text: str
    epoch: int | None = None
    batch: int | None = None
    offset: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting to change: `before` is None where the log does not show it; `after` is None where only a person knows.

    `cause` is the id of the cause that asks for it; `why` one short sentence.
    """

    name: str
    before: str | None
    after: str | None
    why: str
    cause: str


@dataclass(frozen=True, slots=True)
class Cause:
    """A probable cause: `id` names its entry of the knowledge, `source` says where that comes from."""

    id: str
    title: str
    likelihood: Likelihood
    because: tuple[Observation, ...] = ()
    against: tuple[Observation, ...] = ()
    advice: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """How to go on: the `command` in the trainer's own syntax (empty where it is not known), from `checkpoint`.

    `is_checked` tells whether the checkpoint was scanned and found clean. `note` is what the reader must know of it.
    """

    command: str = ""
    checkpoint: str | None = None
    is_checked: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened (`findings`), why (`causes`, likeliest first), what to change and how to go on.

    `steps` are what to do next, in order; `unknown` says what the log does not tell.
    """

    findings: tuple[Observation, ...] = ()
    causes: tuple[Cause, ...] = ()
    changes: tuple[SettingChange, ...] = ()
    resume: Resume | None = None
    steps: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
