"""What a rule is, and the walk over this folder that finds them all."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol

from nanwatch.config import Rules
from nanwatch.model.alert import Finding
from nanwatch.model.run import Run

NO_RULES = ("base", "words", "custom", "condition", "vocabulary")
"""What stands in this folder and is no rule of a file's name."""


class Rule(Protocol):
    """Tells what holds of a run now.

    `wakes` names the changes after which it has to be asked. It has no memory, calls no clock and sends
    nothing: how long a finding must hold, and what becomes of it, is the business of the alerts.
    """

    name: str
    wakes: int
    settings: Any
    """The rule's own section of the config."""

    def __init__(self, settings: Any) -> None:
        """Take the rule's own section of the config."""
        ...

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield what holds of *run* at *now* (Unix seconds; None in a replay of a log without times)."""
        ...


@cache
def rule_types() -> dict[str, type[Rule]]:
    """Return every rule of this folder by name; nothing is registered."""
    found = {}
    package = __package__ or "nanwatch.rules"
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name not in NO_RULES:
            found[module.name] = importlib.import_module(f"{package}.{module.name}").Rule
    return found


def make_rules(settings: Rules) -> list[Rule]:
    """Return the rules that *settings* enable, each with its thresholds, and the user's own.

    Raises:
        UsageError: a condition of the user's cannot be read; says which, where and what is known there.
    """
    rules: list[Rule] = []
    for name, kind in sorted(rule_types().items()):
        own = getattr(settings, name)
        if own.enabled:
            rules.append(kind(own))
    if settings.custom:
        from nanwatch.rules.custom import Rule as Custom  # with its library only where there is such a rule

        rules += [Custom(own) for own in settings.custom if own.enabled]
    return rules
