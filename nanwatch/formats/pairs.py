"""Names with values in free text: `Loss: 0.22 | IoU: 0.64`, `loss=nan, lr=3e-3`, `loss 2.4`, dicts and JSON."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Mapping
from typing import NamedTuple

from nanwatch.formats.numbers import LARGEST, NUMBER, read_number
from nanwatch.model.names import is_known, label, role_of


class Pair(NamedTuple):
    """One name and its value; `unit` is what follows the number at once (`ms`, `G`, `%`)."""

    name: str
    value: float
    text: str
    unit: str


_WORD = r"[A-Za-z][\w@./\-]*+(?:\([A-Za-z]\)|'s(?=[ ]))?"
_PAIR = re.compile(
    rf"(?<![\w@./])(?<!\w-)(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}}?)"
    rf"(?:['\"]?[ \t]*+(?:[:=：]|->)\s*+|(?P<blank>[ \t]++(?:-[ ])?))"
    rf"(?P<value>['\"]?{NUMBER}['\"]?)(?P<unit>[ ]?(?:[KMGT]i?[Bb]\b|[MG]\b|%|[mu]?s\b|it/s|s/it))?"
    r"(?![\w.]{0,40}[A-Za-z/])(?![.:\-]\d)"
)
_NOISE = re.compile(r"^(?:and|the|of|is|at|in|to|for|with|on|or|by|avg|average|mean|total|current)\s+", re.IGNORECASE)
_TIME_UNITS = frozenset({"ms", "us", "s"})
_DEPTH = 3
_FAR = 8192  # characters of a frame in which pairs are looked for


def read_pairs(text: str) -> list[Pair]:
    """Return the name-value pairs of *text* in order.

    A name of several words needs `:` or `=` before its value; a name with only a blank (or ` - `) before its
    value must be a word of training (`loss 2.4`, not `layers 225`).
    """
    pairs = []
    position = 0
    end = min(len(text), _FAR)
    while match := _PAIR.search(text, position, end):
        name = match["name"]
        position = match.end()
        if match["blank"] and not is_known(name):
            first, _, rest = name.rpartition(" ")
            if not is_known(rest):
                # Not its value: `number of nan iterations: 1` goes on with `nan iterations`.
                position = match.start() + len((first or rest).split(" ", 1)[0])
                continue
            name = rest
        name = _NOISE.sub("", name)
        value = read_number(match["value"])
        if value is not None:
            pairs.append(Pair(name, value, match["value"].strip("'\""), (match["unit"] or "").strip()))
    return pairs


def read_object(text: str) -> dict[str, object] | None:
    """Return the JSON object or Python dict that *text* is, or None. Nothing in it is ever run."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")) or len(text) > 20_000:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `1or` in a log is not the user's code
                value = ast.literal_eval(re.sub(r"(?<=[:\s\[,])(-?)(nan|inf)\b", _quoted, text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else None


def _quoted(match: re.Match[str]) -> str:
    return f"'{match[1]}{match[2]}'"


def object_pairs(value: Mapping[str, object], depth: int = _DEPTH) -> list[Pair]:
    """Return the numbers of a JSON object or Python dict, those that are written as text included.

    Those of an object within it bear both names: `{"val": {"loss": 0.4}}` is `val/loss`.
    """
    pairs: list[Pair] = []
    for name, item in value.items():
        if isinstance(item, bool) or item is None:
            continue
        if isinstance(item, int | float):
            if isinstance(item, float) or abs(item) <= LARGEST:
                pairs.append(Pair(name, float(item), repr(item), ""))
        elif isinstance(item, dict) and depth:
            inner = object_pairs({str(k): v for k, v in item.items()}, depth - 1)
            pairs.extend(p._replace(name=f"{name}/{p.name}") for p in inner)
        elif isinstance(item, str):
            number = read_number(item)
            if number is not None:
                pairs.append(Pair(name, number, item, ""))
    return pairs


class Values(NamedTuple):
    """The numbers of one frame, sorted by what they are."""

    losses: dict[str, float]
    metrics: dict[str, float]
    lr: float | None
    grad_norm: float | None
    vram_gb: float | None
    rest: dict[str, Pair]


def sort_pairs(pairs: list[Pair], rename: dict[str, str] | None = None) -> Values:
    """Sort *pairs* into losses, metrics and reserved fields; a name that comes twice keeps its first value."""
    values = Values({}, {}, None, None, None, {})
    lr = grad_norm = vram = None
    for pair in pairs:
        name = label((rename or {}).get(pair.name, pair.name))
        role = role_of(name)
        if pair.unit in _TIME_UNITS and role not in ("time", "eta"):
            continue  # a duration, whatever it is called
        if role == "loss":
            values.losses.setdefault(name, pair.value)
        elif role == "metric":
            values.metrics.setdefault(name, pair.value)
        elif role == "lr":
            if lr is None or pair.name in ("lr", "learning_rate"):  # not `base_lr`, where both are printed
                lr = pair.value
        elif role == "grad_norm":
            grad_norm = pair.value if grad_norm is None else grad_norm
        elif role == "vram":
            vram = _memory(pair) if vram is None else vram
        elif role != "ignore":
            values.rest.setdefault(role, pair)
    return values._replace(lr=lr, grad_norm=grad_norm, vram_gb=vram)


def _memory(pair: Pair) -> float | None:
    if not math.isfinite(pair.value):
        return None
    unit = pair.unit[:1].upper()
    if unit == "G" or (not unit and pair.value <= 200):
        return pair.value
    return pair.value / 1024 if unit in ("M", "") else None
