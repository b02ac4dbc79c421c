"""The settings of a run as they were really used, and what a change makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nanwatch.diagnose.trainers import Default, Trainer, trainers
from nanwatch.diagnose.words import Value, inert
from nanwatch.model.run import Run

_LARGEST = 1e15
_EMPTY = frozenset({"", "none", "null", "nan"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting's value as text; `says` tells who says so where the log itself does not."""

    text: str
    says: str = ""

    @property
    def value(self) -> float | None:
        """The value as a number, None if it is a word."""
        return number_of(self.text)


class Settings:
    """What a run was really trained with, by family: what its log shows, else what its trainer uses unasked."""

    def __init__(self, run: Run) -> None:
        self.trainer = trainers().of(run.format)
        self._given = run.hyperparameters
        self._basic: dict[str, Value] = {
            "optimizer": _word(self._given, trainers().settings["optimizer"].keys[1:]),
            "iterations": self._iterations(run),
            "hidden_nan": run.hidden_nan,
        }
        ignored = self.trainer.ignored
        self.is_overridden = ignored is not None and ignored.when.holds(self._basic) is True
        is_told = "used_optimizer" in self._given  # and with it the settings that it really has
        self._unused = ignored.keys if ignored is not None and self.is_overridden and not is_told else ()

    def shown(self, setting: str) -> Shown | None:
        """Return the value of the family *setting* and whence it is known, None where it is not."""
        for key in trainers().settings[setting].keys:
            text = self._given.get(key, "")
            used = key not in self._unused and not (key == "optimizer" and self.is_overridden)
            if used and text.lower() not in _EMPTY:
                return Shown(inert(text.strip("'\"")))
        default = next((d for d in self.trainer.defaults if d.setting == setting and self._applies(d)), None)
        return None if default is None else Shown(default.value, default.says)

    def number(self, setting: str) -> float | None:
        """Return the value of the family *setting* as a number."""
        shown = self.shown(setting)
        return None if shown is None else shown.value

    def given(self, key: str) -> str | None:
        """Return what the log prints for *key*, None where it prints nothing that says something."""
        text = self._given.get(key, "")
        return None if text.lower() in _EMPTY else text.strip("'\"")

    def all_given(self) -> Mapping[str, str]:
        """Return every setting as the log prints it."""
        return self._given

    def precision(self) -> str | None:
        """Return `fp16`, `bf16` or `fp32`, None where the log does not tell; a CPU computes nothing in fp16."""
        table = trainers().precision
        pairs = (f"{key}={text.strip(chr(39))}".lower() for key, text in self._given.items())
        found = next((table[pair] for pair in pairs if pair in table), None)
        return "fp32" if found == "fp16" and self.given("device") == "cpu" else found

    def accumulation(self) -> float | None:
        """Return over how many batches gradients are summed: as given, or as the trainer does by itself."""
        given, target, batch = self.number("accumulation"), self.trainer.accumulates_to, self.number("batch")
        if given is not None or not target or not batch or batch <= 0:
            return given
        total = number_of(self._given.get(target, "")) or self.trainer.base_batch or batch
        return max(1, round(total / batch))

    def _applies(self, default: Default) -> bool:
        return default.when is None or default.when.holds(self._basic) is True

    def _iterations(self, run: Run) -> float | None:
        """Return the optimizer steps of the whole run, as a trainer that accumulates counts them."""
        batch = number_of(self._given.get("batch", ""))
        if not run.epochs or not run.batches or not batch or batch <= 0:
            return None
        total = number_of(self._given.get(self.trainer.accumulates_to, "")) or batch
        return math.ceil(run.batches * batch / max(batch, total)) * run.epochs


def number_of(text: str) -> float | None:
    """Return *text* as a number that one can calculate with, or None."""
    try:
        value = float(text.strip("'\" "))
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < _LARGEST else None


def as_text(value: float) -> str:
    """Return a number as a setting in three telling digits: `0.005`, `6.0` as `6`, not `5e-03`."""
    if abs(value) >= 1000 and value.is_integer():
        return f"{value:.0f}"
    text = f"{value:.3g}"
    if "e" not in text or abs(value) < 1e-9:
        return text
    return f"{value:.12f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.0f}"


def _word(given: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((inert(given[key].strip("'\"")) for key in keys if given.get(key, "").lower() not in _EMPTY), None)


def option_of(trainer: Trainer, setting: str) -> str:
    """Return what *trainer* calls the family *setting*, as it stands in a table: without the dashes of a flag."""
    return trainer.options.get(setting, "").lstrip("-") or trainers().settings[setting].title
