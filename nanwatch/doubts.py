"""What a config says that can hardly be meant: no error, but somebody would wait in vain to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from nanwatch.config import Config
from nanwatch.notify.receivers import Destination


def doubts(config: Config, destinations: Iterable[Destination]) -> Iterator[str]:
    """Yield a line for each thing in *config* that has no effect, or none yet; *destinations* are its receivers'."""
    rules = [name for name in config.rules._fields if name != "custom"] + [rule.name for rule in config.rules.custom]
    tags = {tag.name for tag in config.tags}
    for receiver in config.receivers:
        place = f"receivers.{receiver.name}"
        yield from _in_vain(receiver.rules, rules, f"{place}.rules")
        yield from (
            f"{place}.tags: there is no [tags.{name}], so it hears nothing by it"
            for name in receiver.tags
            if name not in tags
        )
    for tag in config.tags:
        yield from _in_vain(tag.rules, rules, f"tags.{tag.name}.rules")
    for number, silence in enumerate(config.alerts.silences):
        yield from _in_vain([silence.rule], rules, f"alerts.silences[{number}].rule")
    for destination in destinations:
        problem = getattr(destination.notifier, "problem", None)
        if problem is not None and (told := problem()):
            yield f"{destination.name}: {told}"


def _in_vain(patterns: Iterable[str], rules: list[str], place: str) -> Iterator[str]:
    for pattern in patterns:
        if not any(fnmatchcase(rule, pattern) for rule in rules):
            yield f"{place}: no rule is called {pattern!r}"
