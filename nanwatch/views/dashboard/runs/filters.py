"""The language of the list's filter: words, statuses and figures that a run must (or must not) have."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import get_args

from nanwatch.model.run import Status
from nanwatch.views.dashboard.runs.entry import FIGURES, STANDINGS, Entry

Test = Callable[[Entry, float], bool]
"""Tells whether a run passes at a moment (Unix seconds)."""

_WORD = re.compile(r'!?"[^"]*"?|\S+')
_COMPARE = re.compile(r"([^\W\d]\w*)(>=|<=|!=|==|>|<|=)(.*)", re.DOTALL)
_NAMED = re.compile(r"([^\W\d]\w*):(.*)", re.DOTALL)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "k": 1_000, "%": 0.01}
_STATUSES = (*get_args(Status), "missing", "denied", "unreadable", "empty", "reading")
_ALIASES = {"updated": "age", "upd": "age", "skip": "skips", "val_loss": "val", "it": "speed", "rate": "speed"}
_FIGURES = (*FIGURES, "age")
_FORMS = "name, status, health, format"


class WrongFilter(ValueError):
    """The filter is not understood; the message says what is wrong in words."""


def parse_filter(text: str) -> Test:
    """Return the test that *text* describes: all of its words together; an empty one lets every run pass.

    Raises WrongFilter.
    """
    tests = [_term(word) for word in _WORD.findall(text)]
    return lambda entry, now: all(test(entry, now) for test in tests)


def _term(word: str) -> Test:
    bare = word.lstrip("!")
    if not bare:
        return _name_has(word)
    test = _plain_term(bare)
    return (lambda entry, now: not test(entry, now)) if (len(word) - len(bare)) % 2 else test


def _plain_term(word: str) -> Test:
    if word.startswith('"'):
        return _name_has(word.strip('"'))
    named, compared = _NAMED.fullmatch(word), _COMPARE.fullmatch(word)
    if named is not None:
        return _is(named[1].lower(), named[2].lower())
    if compared is not None:
        figure = _ALIASES.get(compared[1].lower(), compared[1].lower())
        # `bs=64` is a part of many a name; `bs>64` is not.
        if figure in _FIGURES or compared[2] not in ("=", "=="):
            return _compare(figure, compared[2], compared[3])
    return _name_has(word)


def _name_has(part: str) -> Test:
    part = part.casefold()
    return lambda entry, _: part in entry.name.casefold()


def _is(field: str, value: str) -> Test:
    match field:
        case "name" | "run":
            return _name_has(value)
        case "status":
            chosen = _one_of("status", value, _STATUSES)
            return lambda entry, _: entry.status in chosen
        case "health":
            healths = _one_of("health", value, STANDINGS)
            return lambda entry, _: entry.standing in healths
        case "format":
            return lambda entry, _: entry.view is not None and value in entry.view.run.format.lower()
    if field in _FIGURES:
        raise WrongFilter(f"{field} is a number: write {field}>1")
    raise WrongFilter(f"nothing is called {field}: (there are {_FORMS}; quote a name with a colon)")


def _one_of(field: str, value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the *known* words that begin with *value*."""
    found = tuple(word for word in known if value and word.startswith(value))
    if not found:
        raise WrongFilter(f"{field}: is one of {', '.join(known)}")
    return found


def _compare(figure: str, sign: str, text: str) -> Test:
    if figure not in _FIGURES:
        raise WrongFilter(f"no figure is called {figure} (there are {', '.join(_FIGURES)})")
    limit, holds = _number(figure, sign, text), _OPERATORS[sign]
    if math.isnan(limit):
        if sign not in ("=", "==", "!="):
            raise WrongFilter(f"{figure}{sign} needs a number, not nan")
        wanted = sign != "!="
        return lambda entry, now: (value := _figure(entry, figure, now)) is not None and math.isfinite(value) != wanted

    def test(entry: Entry, now: float) -> bool:
        value = _figure(entry, figure, now)
        return value is not None and holds(value, limit)

    return test


def _figure(entry: Entry, figure: str, now: float) -> float | None:
    if figure != "age":
        return FIGURES[figure](entry)
    grew_at = entry.snapshot.grew_at
    return None if grew_at is None else now - grew_at


def _number(figure: str, sign: str, text: str) -> float:
    """Return the number that *text* is: `1,420`, `3e-4`, `90m`, `2h`, `30%`, `nan`."""
    plain = text.replace(",", "").replace("_", "")
    unit = _UNITS.get(plain[-1:].lower())
    try:
        return float(plain) if unit is None else float(plain[:-1]) * unit
    except ValueError:
        told = f", not {text[:20]!r}" if text else ""
        raise WrongFilter(f"{figure}{sign} needs a number{told}") from None
