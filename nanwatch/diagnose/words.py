"""How a diagnosis fills its sentences: facts of the run in templates of the knowledge, kept inert."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import Formatter
from typing import Any

from nanwatch.model.words import printable, spoken_duration

Value = bool | float | int | str | None
"""What a fact is; None is not known."""

_LONGEST = 160


class _Sentence(Formatter):
    """Fills a template; `{name}` is as a person writes it.

    `{name:%}` is a share in percent, `{name:~}` about so many, `{name:time}` minutes, `{name:word}` so many words.
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return one fact as text."""
        if format_spec == "%":
            return percent(float(value))
        if format_spec == "~":
            return rough(float(value))
        if isinstance(value, str):
            return inert(value)
        if format_spec == "time":
            return spoken_duration(60 * float(value))
        if format_spec[:1].isalpha():
            return plural(value, format_spec)
        return str(format(value, format_spec)) if format_spec else number(value)


def fill(template: str, facts: Mapping[str, Value]) -> str | None:
    """Return *template* with the facts that it names, None if one of them is not known."""
    if any(facts[name] is None for name in names_in(template)):
        return None
    return _Sentence().vformat(template, (), facts)


def names_in(template: str) -> list[str]:
    """Return the names of the facts that *template* asks for."""
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def number(value: float) -> str:
    """Return `41,163`, `0.2265`, `15.3` or `3.495e+07`: four telling digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if math.isfinite(value) and value.is_integer() and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.4g}"


def plural(count: float, word: str) -> str:
    """Return `1 NaN loss` or `41,163 NaN losses`."""
    return f"{number(count)} {word}{'' if count == 1 else 'es' if word.endswith(('s', 'ch')) else 's'}"


def percent(share: float) -> str:
    """Return `0.97 %` or `30 %`."""
    value = 100 * share
    return f"{value:.2g} %" if abs(value) < 9.95 else f"{value:.0f} %"


def rough(count: float) -> str:
    """Return a projection in two digits, for it knows no more: 398 is `400`."""
    if count < 100:
        return f"{count:,.0f}"
    step = 10 ** (math.floor(math.log10(count)) - 1)
    return f"{round(count / step) * step:,}"


def inert(text: str) -> str:
    """Return the beginning of *text* from a log as a piece of one line that no screen obeys."""
    line = " ".join(printable(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
