"""The phrases of which titles and bodies are made: how bad, how many, where, for how long, and what templates name."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from nanwatch.model.alert import Severity
from nanwatch.model.news import AlertFacts, News, RunFacts
from nanwatch.model.words import duration, plural, printable, speed
from nanwatch.notify.amounts import number

_WORDS: dict[Severity, str] = {"critical": "CRIT", "warning": "WARN", "info": "INFO"}
FASTEST = 1e4
"""Batches a second: what is more comes of a log that was copied or written at once."""
_IN_A_ROW = re.compile(r"(\d+ (?:epochs|times)) in a row")
_ERROR = re.compile(r"\b([A-Za-z_]\w*(?:Error|Exception|Exit|Timeout))\b")
_COUNTED: dict[str, tuple[str, Callable[[float], str]]] = {
    "nan_batches": ("nan", lambda count: plural(count, "NaN loss", "NaN losses")),
    "grad_skips": ("skips", lambda count: f"{plural(count, 'step', 'steps')} skipped"),
    "silence_seconds": ("silence", duration),
    "late_seconds": ("late", duration),
    "change_gb": ("change", lambda gb: f"{gb:+.2f}"),
    "pid": ("pid", lambda pid: f"{pid:.0f}"),
}
"""Evidence that needs a unit or a plural: what templates call it, and how it is worded there."""


def began_and_ended(item: News) -> bool:
    """Tell whether an alert was over before anybody was told of it."""
    return item.is_over and "first" in item.reasons


def pace(rate: float | None) -> str:
    """Return `12.4 it/s`; nothing where it is not known, or more than any training does."""
    return "" if rate is not None and rate > FASTEST else speed(rate) or ""


def how_bad(item: News) -> str:
    """Return `CRIT`, `WARN`, `INFO`, or `OVER`."""
    return "OVER" if item.is_over else _WORDS[item.alert.severity]


def counts(news: Iterable[News]) -> str:
    """Return `3 critical, 5 warnings, 2 over`."""
    found = Counter("over" if item.is_over else item.alert.severity for item in news)
    warnings = "warning" if found["warning"] == 1 else "warnings"
    words = (("critical", "critical"), ("warning", warnings), ("info", "info"), ("over", "over"))
    return ", ".join(f"{found[kind]} {word}" for kind, word in words if found[kind])


def place(item: News) -> str:
    """Return `epoch 4/50`, or `step 1,200` of a run without epochs; nothing where it is not known."""
    alert, run = item.alert, item.run
    if alert.epoch is not None:
        return f"epoch {alert.epoch}/{run.epochs}" if run.epochs else f"epoch {alert.epoch}"
    return f"step {alert.batch:,}" if alert.batch is not None else ""


def lasted(item: News) -> str:
    """Return how long an alert that is over lasted; nothing where it is not known."""
    began, ended = item.alert.started_at, item.alert.resolved_at
    if began is None or ended is None or ended < began:
        return ""
    return duration(ended - began)


def filled(templates: Iterable[str], terms: Mapping[str, str]) -> str:
    """Return the first of *templates* whose names are all known, filled in; nothing if there is none."""
    for template in templates:
        try:
            return template.format_map(terms)
        except KeyError:
            continue
    return ""


def terms(item: News, host: str = "") -> dict[str, str]:
    """Return what templates can name: the evidence in words, and what follows from it."""
    alert, evidence = item.alert, item.alert.evidence
    known = {name: number(value) for name, value in evidence.items() if value is not None}
    for name in ("rate", "usual_rate"):
        rate = evidence.get(name)
        if isinstance(rate, int | float) and rate > FASTEST:
            del known[name]
    known |= {
        "rule": alert.rule,
        "rule_words": alert.rule.replace("_", " "),
        "host": host or "its machine",
        "crashed": "killed" if evidence.get("kind") == "killed" else "crashed",
        "done": _done(item.run),
        "go_on": "start again" if item.run.epoch is None and item.run.step is None else "resume",
    }
    for name, value in (("epoch", alert.epoch), ("line", alert.line), ("clean", item.run.last_clean_epoch)):
        if value is not None:
            known[name] = f"{value:,}"
    if item.run.weights is not None and item.run.weights.last_clean:
        known["checkpoint"] = printable(item.run.weights.last_clean.rsplit("/", 1)[-1])
    if "to_epoch" in known and evidence["to_epoch"] == evidence.get("from_epoch"):
        known["again"] = known["to_epoch"]
    for name, pattern in (("row", _IN_A_ROW), ("error", _ERROR)):
        if found := pattern.search(alert.message):
            known[name] = found[1]
    return known | _counted(evidence) | _placed(alert, known)


def _placed(alert: AlertFacts, known: Mapping[str, str]) -> dict[str, str]:
    """Return the places and spans of what is *known* in its own unit: a run without epochs has steps."""
    has_epochs = alert.epoch is not None
    unit, told, at = ("epoch", "epoch", alert.epoch) if has_epochs else ("step", "evaluation", alert.batch)
    found = {} if at is None else {"onset": f"{unit} {at:,}"}
    if "best_epoch" in known:
        found["best_at"] = f"{unit} {known['best_epoch']}"
    if "epochs" in known:
        found["span"] = f"{known['epochs']} {told}{'' if known['epochs'] == '1' else 's'}"
    if "onset_batch" in known and not has_epochs:
        found["onset_step"] = known["onset_batch"]
    return found


def _counted(evidence: Mapping[str, float | int | str | None]) -> dict[str, str]:
    """Return the evidence that needs a unit or a plural, as far as there is any."""
    found = {}
    for name, (term, worded) in _COUNTED.items():
        value = evidence.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            found[term] = worded(value)
    return found


def _done(run: RunFacts) -> str:
    """Return `90/90, top1 0.7612 (best)`: how far the run came, and how good it is."""
    unit, at, of = ("step", run.step, run.steps) if run.epoch is None else ("epoch", run.epoch, run.epochs)
    if at is not None and run.progress == 1:
        at = of or at  # a trainer that counts from 0 has done all of its epochs at 4/5
    parts = []
    if at is not None:
        parts.append(f"{at:,}/{of:,}" if of else f"{unit} {at:,}")
    if run.best_value is not None and run.primary_metric:
        value = f"{run.primary_metric} {number(run.best_value)}"
        parts.append(f"{value} (best)" if run.primary_value == run.best_value else f"best {value}")
    return ", ".join(parts)
