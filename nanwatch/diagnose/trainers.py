"""The data on trainers (trainers.toml) as types: what each calls its settings, uses unasked, and how it resumes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from nanwatch.diagnose.conditions import Condition, parse

_FILE = Path(__file__).with_name("trainers.toml")
_BASIC = ("optimizer", "iterations", "hidden_nan")
"""Facts that are known before any setting is."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A family of settings: its name here, its title for people, and what trainers print it as."""

    name: str
    title: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Default:
    """What a trainer uses where its log does not show the setting, and who says so."""

    setting: str
    value: str
    says: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Printed settings that the trainer does not use; giving `pin` makes it use them, and `why` says that."""

    when: Condition
    keys: tuple[str, ...]
    pin: str
    why: str


@dataclass(frozen=True, slots=True)
class Way:
    """A command that goes on from a checkpoint, with the settings that it takes; `python` is a line of a script."""

    command: str
    note: str
    pair: str = ""
    rest: str = ""
    keeps: tuple[str, ...] = ()
    python: bool = False


@dataclass(frozen=True, slots=True)
class Trainer:
    """What is known of one trainer, by the name of its log format; of an unknown one, nothing."""

    format: str
    title: str = ""
    shows_means: bool | None = None
    accumulates_to: str = ""
    base_batch: int | None = None
    begins_with: str = ""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    defaults: tuple[Default, ...] = ()
    ignored: Ignored | None = None
    resume: Way | None = None
    restart: Way | None = None


@dataclass(frozen=True, slots=True)
class Trainers:
    """The whole file."""

    settings: Mapping[str, Setting]
    precision: Mapping[str, str]
    trainers: Mapping[str, Trainer]

    def of(self, log_format: str) -> Trainer:
        """Return the trainer that writes this format."""
        return self.trainers.get(log_format) or Trainer(log_format)


@cache
def trainers() -> Trainers:
    """Return the data on trainers, checked.

    Raises:
        ValueError: the file contradicts itself.
    """
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    settings = {item["name"]: Setting(item["name"], item["title"], tuple(item["keys"])) for item in data["setting"]}
    found = {item["format"]: _trainer(item) for item in data["trainer"]}
    for trainer in found.values():
        kept = () if trainer.resume is None else trainer.resume.keeps
        named = {*trainer.options, *trainer.absent, *(d.setting for d in trainer.defaults), *kept}
        if unknown := named - set(settings):
            raise ValueError(f"trainers.toml: {trainer.format}: no such setting: {', '.join(sorted(unknown))}")
    return Trainers(settings, data["precision"], found)


def _trainer(item: dict[str, Any]) -> Trainer:
    ways = {name: _way(item[name]) for name in ("resume", "restart") if name in item}
    ignored = item.get("ignored")
    return Trainer(
        item["format"], item["title"], item["shows_means"], item.get("accumulates_to", ""), item.get("base_batch"),
        item.get("begins_with", ""), item["checkpoints"], tuple(item["carried"]), item.get("options", {}),
        item.get("values", {}), item.get("absent", {}),
        tuple(_default(d) for d in item.get("defaults", [])),
        Ignored(parse(ignored["when"], _BASIC), tuple(ignored["keys"]), ignored["pin"], ignored["why"])
        if ignored else None,
        ways.get("resume"), ways.get("restart"),
    )  # fmt: skip


def _default(item: dict[str, str]) -> Default:
    when = parse(item["when"], _BASIC) if "when" in item else None
    return Default(item["setting"], item["value"], item["says"], when)


def _way(item: dict[str, Any]) -> Way:
    return Way(**{**item, "keeps": tuple(item.get("keeps", ()))})
