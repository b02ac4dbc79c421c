"""The knowledge (knowledge.toml) as types: findings, causes with their evidence and changes, steps; all checked."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nanwatch.diagnose.conditions import Condition, parse
from nanwatch.diagnose.facts import MEANING
from nanwatch.diagnose.trainers import trainers
from nanwatch.diagnose.words import names_in

_FILE = Path(__file__).with_name("knowledge.toml")
_RULE = re.compile(r"(?P<verb>times|at most|set|linear|fact)(?: (?P<value>\S+))?")
_NUMBERED = ("times", "at most")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that holds under conditions; `at` names the place in the log that it points to."""

    text: str
    when: tuple[Condition, ...]
    at: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A condition that speaks for or against a cause, with its weight and the sentence that says so."""

    condition: Condition
    weight: float
    text: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a setting changes: `times` or `at most` a value, `set` to a word, to a `fact`, or `linear` with the batch."""

    verb: str
    value: str


@dataclass(frozen=True, slots=True)
class Change:
    """A setting to change; `otherwise` says how where its value is not known, empty where that says nothing."""

    setting: str
    rule: Rule
    why: str
    condition: Condition | None = None
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cause as the knowledge holds it."""

    id: str
    title: str
    weight: float
    when: tuple[Condition, ...]
    supports: tuple[Evidence, ...]
    against: tuple[Evidence, ...]
    advice: tuple[str, ...]
    changes: tuple[Change, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The whole file, in its order."""

    findings: tuple[Sentence, ...]
    entries: tuple[Entry, ...]
    steps: tuple[Sentence, ...]


@cache
def knowledge() -> Knowledge:
    """Return the knowledge of this installation.

    Raises:
        ValueError: an entry cannot be used.
    """
    return read_knowledge(_FILE.read_text(encoding="utf-8"))


def read_knowledge(text: str) -> Knowledge:
    """Return the knowledge that the TOML *text* holds.

    Raises:
        ValueError: an entry cannot be used; says which one, and why.
    """
    data = tomllib.loads(text)
    entries = tuple(_entry(item) for item in data.get("cause", []))
    ids = [entry.id for entry in entries]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise ValueError(f"two causes are called {', '.join(sorted(twice))}")
    return Knowledge(
        tuple(_sentence(item) for item in data.get("finding", [])), entries,
        tuple(_sentence(item) for item in data.get("step", [])),
    )  # fmt: skip


def _entry(item: dict[str, Any]) -> Entry:
    try:
        return Entry(
            item["id"], item["title"], item["weight"], _conditions(item["when"]),
            tuple(_evidence(part) for part in item.get("for", [])),
            tuple(_evidence(part) for part in item.get("against", [])),
            tuple(item["advice"]), tuple(_change(part) for part in item.get("change", [])), item["source"],
        )  # fmt: skip
    except KeyError as error:
        raise ValueError(f"cause {item.get('id', '?')}: {error.args[0]} is missing") from None
    except ValueError as error:
        raise ValueError(f"cause {item.get('id', '?')}: {error}") from None


def _conditions(texts: list[str]) -> tuple[Condition, ...]:
    return tuple(parse(text, MEANING) for text in texts)


def _evidence(item: dict[str, Any]) -> Evidence:
    return Evidence(parse(item["if"], MEANING), item["weight"], _template(item["text"]), item.get("at", ""))


def _change(item: dict[str, Any]) -> Change:
    match = _RULE.fullmatch(item["to"])
    if item["setting"] not in trainers().settings or match is None:
        raise ValueError(f"no such change: {item['setting']} {item['to']}")
    rule = Rule(match["verb"], match["value"] or "")
    if rule.verb in _NUMBERED:
        float(rule.value)
    if rule.verb == "fact" and rule.value not in MEANING:
        raise ValueError(f"no such fact: {rule.value}")
    condition = parse(item["if"], MEANING) if "if" in item else None
    return Change(item["setting"], rule, item["why"], condition, item.get("otherwise", ""))


def _sentence(item: dict[str, Any]) -> Sentence:
    return Sentence(_template(item["text"]), _conditions(item["when"]), item.get("at", ""))


def _template(text: str) -> str:
    if unknown := [name for name in names_in(text) if name not in MEANING]:
        raise ValueError(f"`{text}`: no such fact: {', '.join(unknown)}")
    return text
