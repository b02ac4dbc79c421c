"""The walk over the scenario files: each rule has one that fires, resolves and is not fooled, all of them true."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.config import Config
from nanwatch.rules.base import rule_types
from nanwatch.scenarios import Scenario, load_scenarios, run_scenario

FOLDER = Path(__file__).parents[2] / "nanwatch" / "rules" / "scenarios"
FILES = {path.stem: load_scenarios(path) for path in sorted(FOLDER.glob("*.toml"))}
SCENARIOS = [(name, scenario) for name, found in FILES.items() for scenario in found]


def test_every_rule_has_its_scenarios() -> None:
    """No rule is without a file, and no file is without a rule."""
    assert sorted(FILES) == sorted(rule_types())


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_whole(name: str) -> None:
    """It compares its rule's alerts, tells how it fires, resolves and stays silent, and reads raw bytes once."""
    found = FILES[name]
    assert {scenario.rules for scenario in found} == {(name,)}
    for word in ("fires", "resolves", "stays silent"):
        assert any(scenario.name.startswith(word) for scenario in found), word
    assert any(step.text for scenario in found for step in scenario.steps)
    fires = [s for s in found if s.name.startswith("fires") and any(step.expect for step in s.steps)]
    assert fires


@pytest.mark.parametrize(("name", "scenario"), SCENARIOS, ids=[f"{n}: {s.name}" for n, s in SCENARIOS])
def test_scenario(name: str, scenario: Scenario) -> None:
    """Every step raises the alerts that it must, and no other."""
    assert list(run_scenario(scenario, Config(), name)) == []
