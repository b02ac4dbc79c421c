"""The walk over the rules: nothing is registered, so nothing may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.config import Rules
from nanwatch.model.run import Change, Run
from nanwatch.rules import base
from nanwatch.rules.base import make_rules, rule_types

FOLDER = Path(base.__file__).parent
OFF = {"plateau", "overfit"}
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", *base.NO_RULES))


def test_every_file_is_a_rule() -> None:
    """What stands in the folder is found, and the config has a section for each and for nothing else."""
    assert sorted(rule_types()) == NAMES
    assert sorted(Rules._fields) == sorted([*NAMES, "custom"])


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_whole(name: str) -> None:
    """A rule bears its file's name, says what it is, knows what wakes it, and has tests of its own."""
    rule = rule_types()[name]
    assert rule.name == name
    assert rule.wakes > Change.NOTHING
    assert rule.__doc__
    assert (__import__(rule.__module__, fromlist=["x"]).__doc__ or "").startswith(f"{name}: ")
    assert (Path(__file__).parent / f"test_{name}.py").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_its_settings(name: str) -> None:
    """Each section says what it means; each rule but the two that are news at best is on, and can be switched off."""
    section = getattr(Rules(), name)
    assert section.enabled is (name not in OFF)
    assert type(section).__doc__
    off = Rules()._replace(**{name: section._replace(enabled=False)})
    assert [rule.name for rule in make_rules(off)] == [n for n in NAMES if n not in {name, *OFF}]
    on = Rules()._replace(**{name: section._replace(enabled=True)})
    assert name in [rule.name for rule in make_rules(on)]


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_stays_silent_about_nothing(name: str) -> None:
    """A run of which nothing is known has nothing wrong with it."""
    rule = rule_types()[name](getattr(Rules(), name))
    assert list(rule.evaluate(Run("x", "x"), None)) == []
    assert list(rule.evaluate(Run("x", "x"), 1.0)) == []
