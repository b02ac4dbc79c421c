"""Checks what a summary says about a log against the facts that are known about it.

A facts file tells what really happened, from a side channel of the training process or from a story's
generator. Every fact that the summary's JSON can express becomes one check; what the facts do not mention is
not checked. Figures need to agree only as closely as a trainer prints them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeGuard

Json = dict[str, Any]

ANSWERS: dict[str, frozenset[str]] = {  # what should be alerted -> the rules that do
    "nan": frozenset({"nan_loss", "nan_burst"}),
    "oom": frozenset({"oom"}),
    "crash": frozenset({"crash", "oom", "process_gone"}),
    "grad_skip": frozenset({"grad_skip"}),
    "metric_decline": frozenset({"metric_decline", "metric_collapse"}),
    "metric_collapse": frozenset({"metric_collapse", "metric_decline"}),
    "loss_explosion": frozenset({"loss_explosion", "nan_burst"}),
    "vram_jump": frozenset({"vram_jump"}),
    "stall": frozenset({"stall"}),
    "completed": frozenset({"finished"}),
}
FALSE_ALARMS: dict[str, frozenset[str]] = ANSWERS | {  # what must stay silent -> the rules that may not fire
    "crash": frozenset({"crash", "oom"}),
    "metric_decline": frozenset({"metric_decline"}),
    "metric_collapse": frozenset({"metric_collapse"}),
    "loss_explosion": frozenset({"loss_explosion"}),
}
STATUSES: Mapping[str, frozenset[str]] = {  # how a run ended -> the statuses that say so
    "completed": frozenset({"finished"}),
    "crashed": frozenset({"failed", "crashed"}),
    "oom": frozenset({"failed", "crashed"}),
    "interrupted": frozenset({"interrupted"}),
    "killed": frozenset({"crashed", "stalled", "running", "unknown"}),
    "hung": frozenset({"stalled", "running", "unknown"}),
    "running": frozenset({"running", "stalled", "unknown"}),
}
COUNTERS: Mapping[str, tuple[str, ...]] = {  # a run's field -> the facts that state it, the first one found
    "epoch": ("epoch", "last_epoch"),
    "epochs": ("epochs", "epochs_total"),
    "batch": ("batch", "last_batch"),
    "batches": ("batches", "batches_total", "batches_per_epoch"),
}
NAN_COUNTS = ("nan_batches_with_a_frame", "nan_batches", "nan_batches_total")
DEADLY = frozenset({"crashed", "oom", "killed", "interrupted"})


@dataclass(frozen=True, slots=True)
class Check:
    """One fact, and what the summary says about it."""

    name: str
    ok: bool
    found: object
    expected: object


def captures(folder: Path) -> list[Path]:
    """Every log below ``folder`` that has facts beside it."""
    found = (path.with_name(path.name.replace(".facts.json", ".log")) for path in folder.rglob("*.facts.json"))
    return sorted(log for log in found if log.exists())


def load_facts(log: Path) -> Json:
    """The facts beside a log."""
    facts: Json = json.loads(log.with_name(log.stem + ".facts.json").read_text(encoding="utf-8"))
    return facts


def check_facts(facts: Json, runs: list[Json]) -> list[Check]:
    """Hold every fact against the runs that a summary found in the log; the last run is the one described."""
    summary = _Summary(facts, runs)
    return [
        *summary.counters(),
        *summary.incidents(),
        *summary.vram(),
        *summary.series(),
        *summary.last_values(),
        *summary.outcome(),
        *summary.alerts(),
    ]


class _Summary:
    """The facts of one log beside the runs found in it."""

    def __init__(self, facts: Json, runs: list[Json]) -> None:
        self.facts = facts
        self.runs = runs
        self.run: Json = runs[-1] if runs else {}
        self.rows: dict[Any, Json] = {
            row["epoch"]: row for run in runs for row in run.get("epochs_table", ()) if "epoch" in row
        }
        self.rules: set[str] = {alert["rule"] for run in runs for alert in run.get("alerts", ())}
        self.captured = "trainer" in facts  # from a real trainer, whose last drawn counter may lag

    def counters(self) -> Iterator[Check]:
        """Epoch and batch, and their totals."""
        for name, keys in COUNTERS.items():
            expected = _first_number(self.facts, keys)
            if expected is None:
                continue
            found = self.run.get(name)
            slack = 2 if name == "batch" and self.captured else 0
            yield Check(name, _is_number(found) and abs(found - expected) <= slack, found, expected)

    def incidents(self) -> Iterator[Check]:
        """NaN batches and skipped steps, over all runs of the log."""
        expected = self.nan_batches()
        if expected is not None:
            slack = 0
            if self.captured and expected:
                slack = max(1, len(self.facts.get("nan_batches_by_epoch") or ()))
            found = self._sum("nan_batches")
            yield Check("nan_batches", abs(found - expected) <= slack, found, expected)
        if "nan_onset" in self.facts:
            onset = self.run.get("nan_onset")
            yield Check("nan_onset", onset == self.facts["nan_onset"], onset, self.facts["nan_onset"])
        skips = self.facts.get("grad_skips")
        if isinstance(skips, int):
            yield Check("grad_skips", self._sum("grad_skips") == skips, self._sum("grad_skips"), skips)

    def nan_batches(self) -> int | None:
        """How many batches showed a NaN in the log."""
        return next((self.facts[key] for key in NAN_COUNTS if isinstance(self.facts.get(key), int)), None)

    def vram(self) -> Iterator[Check]:
        """VRAM now, and the peak of every epoch."""
        expected = self.facts.get("vram_gb")
        if _is_number(expected):
            found = self.run.get("vram_gb")
            yield Check("vram_gb", agree(found, expected, relative=0.01), found, expected)
        peaks = self.facts.get("vram_by_epoch") or {}
        if peaks:
            wrong = []
            for epoch, value in peaks.items():
                peak = value["max"] if isinstance(value, dict) else value
                found = self.rows.get(int(float(epoch)), {}).get("vram_gb")
                if not agree(found, peak, relative=0.01):
                    wrong.append((epoch, found, peak))
            yield Check("vram_by_epoch", not wrong, wrong[:2], "every epoch")

    def series(self) -> Iterator[Check]:
        """Every metric, epoch by epoch."""
        epochs = self.facts.get("metrics_epochs") or []
        for name, values in (self.facts.get("metrics_by_epoch") or {}).items():
            if not epochs or not isinstance(values, list) or len(values) != len(epochs):
                continue
            if name.startswith("val/") and self._trainer().startswith(("ultralytics", "yolov5")):
                continue  # written to results.csv, never to the log
            wrong = []
            for epoch, expected in zip(epochs, values, strict=True):
                found = find_value(_values(self.rows.get(epoch, {})), name)
                if not agree(found, expected, relative=0.012, absolute=0.002):
                    wrong.append((epoch, found, expected))
            yield Check(f"series:{name}", not wrong, wrong[:2], "every epoch")

    def last_values(self) -> Iterator[Check]:
        """Losses, metrics and the learning rate as last seen."""
        for group in ("losses", "metrics"):
            for name, expected in (self.facts.get(group) or {}).items():
                if isinstance(expected, int | float | str):
                    found = find_value(_values(self.run), name)
                    yield Check(f"{group}:{name}", agree(found, expected), found, expected)
        lr = self.facts.get("lr")
        if _is_number(lr):
            yield Check("lr", agree(self.run.get("lr"), lr), self.run.get("lr"), lr)

    def outcome(self) -> Iterator[Check]:
        """How the run ended."""
        accepted = STATUSES.get(self.facts.get("outcome", ""))
        if accepted is not None:
            status = self.run.get("status")
            yield Check("outcome", status in accepted, status, sorted(accepted))

    def alerts(self) -> Iterator[Check]:
        """What must have been alerted, and what must not."""
        loud, silent = self._expected_alerts()
        for word in loud:
            if word in ANSWERS:
                yield Check(f"alert:{word}", bool(self.rules & ANSWERS[word]), sorted(self.rules), word)
        for word in silent:
            if word in FALSE_ALARMS:
                wrong = sorted(self.rules & FALSE_ALARMS[word])
                yield Check(f"silent:{word}", not wrong, wrong, "silence")

    def _expected_alerts(self) -> tuple[Iterable[str], Iterable[str]]:
        """The words of the facts; for a capture, which has none, what its facts imply."""
        if "should_alert" in self.facts:
            return self.facts["should_alert"], self.facts.get("must_not_alert", ())
        loud: list[str] = []
        silent: list[str] = list(self.facts.get("must_not_alert", ()))
        nan = self.nan_batches()
        if nan is not None:
            (loud if nan else silent).append("nan")
        if self.facts.get("grad_skips"):
            loud.append("grad_skip")
        outcome = self.facts.get("outcome")
        if outcome in ("oom", "crashed"):
            loud.append("oom" if outcome == "oom" else "crash")
        if outcome not in DEADLY:
            silent.append("crash")
        return loud, silent

    def _sum(self, field: str) -> int:
        return sum(run.get(field) or 0 for run in self.runs)

    def _trainer(self) -> str:
        return str(self.facts.get("trainer", ""))


def agree(found: object, expected: object, *, relative: float = 0.006, absolute: float = 0.0006) -> bool:
    """Whether two figures are the same as far as trainers print them; a non-finite one is null in JSON."""
    if isinstance(expected, str):
        word = expected.lower()
        expected = math.nan if "nan" in word else math.inf if "inf" in word else expected
    if expected is None or (isinstance(expected, float) and not math.isfinite(expected)):
        return found is None
    if not _is_number(found) or not isinstance(expected, int | float):
        return False
    return math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)


class _Missing:
    """Stands for a value that is not there; it agrees with nothing, not even with NaN."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def find_value(found: Mapping[str, object], name: str) -> object:
    """The value under this name or one that differs in decoration only, never of the other phase."""
    if name in found:
        return found[name]
    wanted = _Name.of(name)
    named = [(_Name.of(key), value) for key, value in found.items()]
    for phases in wanted.acceptable_phases():
        for candidate, value in named:
            if (candidate.bare, candidate.mask) == (wanted.bare, wanted.mask) and candidate.phase in phases:
                return value
    return MISSING


_VALIDATION = re.compile(r"(?<![a-z])(e?val|valid|validation|dev|test)(?![a-z])")
_DECORATION = re.compile(r"(?<![a-z])(e?val|valid|validation|dev|test|train|mask|box\()(?![a-z])")
_SYNONYMS = {"precision": "p", "recall": "r"}


@dataclass(frozen=True, slots=True)
class _Name:
    """A metric's name taken apart: ``metrics/mAP50(M)`` is the bare ``map50`` of a mask."""

    bare: str
    phase: str
    mask: bool

    @classmethod
    def of(cls, name: str) -> _Name:
        low = name.lower()
        phase = "val" if _VALIDATION.search(low) else "train" if "train" in low else ""
        bare = re.sub(r"\([a-z]\)", "", low.rsplit("/", 1)[-1])
        bare = re.sub(r"[^a-z0-9]", "", _DECORATION.sub("", bare))
        return cls(_SYNONYMS.get(bare, bare), phase, "(m)" in low or "mask" in low)

    def acceptable_phases(self) -> Iterator[tuple[str, ...]]:
        """Which phases a match may have, the best first: an undecorated value may be a training one."""
        yield (self.phase,)
        yield (self.phase, "") if self.phase else ("", "train")


def _values(row: Json) -> dict[str, object]:
    return {**(row.get("losses") or {}), **(row.get("metrics") or {})}


def _first_number(facts: Json, keys: Iterable[str]) -> int | float | None:
    return next((facts[key] for key in keys if _is_number(facts.get(key))), None)


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


# Facts that the log itself does not print, so that no reader can know them: (log, check) -> why.
# Both are shell patterns.
NOT_IN_THE_LOG: dict[tuple[str, str], str] = {
    ("cod_[!s]*", "series:val_loss"): "the trainer computes it, but prints the validation IoU only",
    ("cod_pty_healthy_midrun", "batch"): "`script` had not yet written what the loop had drawn last",
    ("keras_3.15_pty_nan", "nan_batches"): "the bar is redrawn for some of the batches only",
    ("pl_2.6_redirect_rich", "series:*"): "Rich, redirected, prints the last epoch only",
}


def not_printed(log: str, check: str) -> str | None:
    """Why the log does not print the fact that this check is about; None if it does."""
    entries = NOT_IN_THE_LOG.items()
    return next((why for key, why in entries if fnmatch(log, key[0]) and fnmatch(check, key[1])), None)
