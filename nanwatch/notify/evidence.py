"""The evidence of an alert in words that a person understands, as far as its message does not tell it already."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from nanwatch.model.news import AlertFacts
from nanwatch.model.words import duration, plural, printable, spoken_duration
from nanwatch.notify.amounts import number
from nanwatch.notify.phrases import pace

Value = float | int | str

_LONGEST_NAME = 40
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")


def _seconds(value: Value) -> str:
    """Return a span of time; nothing of less than a second."""
    return number(value) if isinstance(value, str) else "" if value < 1 else duration(value)


def _percent(value: Value) -> str:
    """Return `30 %`, with two digits where it is small."""
    if isinstance(value, str) or not math.isfinite(value):
        return number(value)
    return f"{value:.0f} %" if abs(value) >= 10 else f"{value:.2g} %"


def _share(value: Value) -> str:
    return _percent(value if isinstance(value, str) else 100 * value)


def _memory(value: Value) -> str:
    return number(value) if isinstance(value, str) else f"{value:.3g} G"


def _rate(value: Value) -> str:
    return number(value) if isinstance(value, str) else pace(value)


def _count(value: Value) -> str:
    """Return nothing of what there is none of."""
    return number(value) if value else ""


def _several(value: Value) -> str:
    """Return nothing of what happened once: that it happened is the alert."""
    return number(value) if isinstance(value, str) or value > 1 else ""


def _batches(value: Value) -> str:
    return number(value) if isinstance(value, str) else plural(value, "batch", "batches")


def _name(value: Value) -> str:
    """Return a number that is no amount, such as a process's: it is copied as it stands."""
    return number(value, "")


def _nothing(_: Value) -> str:
    """Tell nothing of what every message tells in its own words."""
    return ""


WORDS: dict[str, tuple[str, Callable[[Value], str]]] = {
    "batches": ("batches", number),
    "batches_seen": ("batches seen", _count),
    "best": ("best so far", number),
    "best_epoch": ("best in epoch", number),
    "by_scaler": ("skipped by the loss scaler", _count),
    "change_gb": ("change", _memory),
    "command": ("its command", number),
    "cpu_percent": ("CPU use", _percent),
    "epoch_seconds": ("time in this epoch", _seconds),
    "epochs": ("epochs", number),
    "eta": ("time left", _seconds),
    "eta_seconds": ("time left", _seconds),
    "exit_code": ("exit code", _name),
    "from": ("fell from", number),
    "from_epoch": ("from epoch", number),
    "goal": ("goal", number),
    "grad_skips": ("steps skipped", _count),
    "held_open": ("", _nothing),
    "hoped": ("expected by the end", number),
    "kind": ("", _nothing),
    "last_clean_epoch": ("last clean epoch", number),
    "last_saved_epoch": ("last saved in epoch", number),
    "late_seconds": ("late by", _seconds),
    "longest_silence_seconds": ("longest healthy silence", _seconds),
    "longest_streak": ("most in a row", _several),
    "loss": ("loss", number),
    "metric": ("metric", number),
    "nan_batches": ("NaN losses", _count),
    "onset_batch": ("first at batch", number),
    "patience_seconds": ("told after a silence of", _seconds),
    "peak_gb": ("peak", _memory),
    "percent_of_best": ("worse than its best by", _percent),
    "percent_of_epoch": ("", _nothing),
    "pid": ("process", _name),
    "progress": ("done", _share),
    "projected": ("expected by its end", number),
    "rate": ("speed", _rate),
    "silence": ("silent for", _seconds),
    "silence_seconds": ("silent for", _seconds),
    "since_epoch": ("since epoch", number),
    "tightest_span": ("three NaN within", _batches),
    "times": ("how often", _several),
    "to": ("to", number),
    "to_epoch": ("to epoch", number),
    "train_loss": ("training loss", number),
    "usual": ("usual value", number),
    "usual_gb": ("usual", _memory),
    "usual_rate": ("usual speed", _rate),
    "val_loss": ("validation loss", number),
    "value": ("value now", number),
    "vram_gb": ("GPU memory", _memory),
}  # fmt: skip
"""What the evidence of built-in rules and the fields of a user's own are called, and how their values are worded."""
_DETAILS = frozenset({"by_scaler", "exit_code", "longest_streak", "tightest_span"})
"""What the same number in a message does not tell, unless it is called the same there."""


def evidence_rows(alert: AlertFacts) -> Iterator[tuple[str, str]]:
    """Yield what the evidence is called and its value, as far as it is known and not in the message.

    What is not known by name is called as it is, with blanks for underscores.
    """
    for name, value in alert.evidence.items():
        if value is None:
            continue
        words, worded = WORDS.get(name) or (printable(name).replace("_", " ")[:_LONGEST_NAME], number)
        text = worded(value)
        is_told = f"{words} {text}" in alert.message if name in _DETAILS else _says(alert.message, value, text, worded)
        if text and not is_told:
            yield words, text


def _says(message: str, value: Value, text: str, worded: Callable[[Value], str]) -> bool:
    """Tell whether *message* says a value already: as a word, as a span of time, or as a number of so many digits."""
    if isinstance(value, str):
        return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", message) is not None
    if worded is _seconds:
        return any(
            re.search(rf"(?<!\w)(?<! [dh] ){span}(?!\w| \d)", message) for span in (text, spoken_duration(value))
        )
    found = _NUMBER.match(text)
    return found is not None and _amount(found[0]) in map(_amount, _NUMBER.findall(message))


def _amount(text: str) -> float:
    """Return a number of a text, in four digits and without its sign: `IoU 0.7104 -> 0.6603`."""
    return float(f"{abs(float(text.replace(',', ''))):.4g}")
