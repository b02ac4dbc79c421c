"""The config that `nanwatch init` writes tells the real defaults, all of them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nanwatch.config import AlertSettings, Config, Goal, Rules
from nanwatch.configfile import load_config, parse_rules

TEMPLATE = Path(__file__).parents[1] / "nanwatch" / "template.toml"
WITHOUT_DEFAULT = {("goal", "value"), ("deadline", "at")}


def uncommented() -> str:
    """Return the template with every default taken into use: those stand right behind their #."""
    return re.sub(r"^#(?=\w)", "", TEMPLATE.read_text(), flags=re.MULTILINE)


def test_as_it_is_it_changes_nothing(tmp_path: Path) -> None:
    """A config that was only written, not edited, sets nothing."""
    path = tmp_path / "nanwatch.toml"
    path.write_text(TEMPLATE.read_text())
    config = load_config(str(path))
    assert (config.rules, config.alerts, config.scenarios) == (Rules(), AlertSettings(), ())
    assert config.logs == (str(tmp_path / "logs/*.log"),)


def test_what_it_shows_are_the_defaults(tmp_path: Path) -> None:
    """With every # taken away, the settings are still the defaults, save for those that have none."""
    path = tmp_path / "nanwatch.toml"
    path.write_text(uncommented())
    config = load_config(str(path))
    rules = config.rules._replace(goal=Goal(), deadline=Rules().deadline)
    assert (rules, config.alerts, config.scenarios) == (Rules(), AlertSettings(), ())
    assert config.rules.goal.value is not None
    assert config.rules.deadline.at


def test_it_shows_every_setting() -> None:
    """No setting of the code is missing in it, and none is in it that the code does not know."""
    data = tomllib.loads(uncommented())
    shown = {(rule, key) for rule, table in data["rules"].items() for key in table}
    known = {
        (rule, key)
        for rule in Rules._fields
        if rule != "custom"
        for key in getattr(Rules(), rule)._fields
        if key != "life"
    }
    assert shown == known
    assert data["alerts"].keys() == set(AlertSettings._fields) - {"silences"}
    assert data.keys() - {"rules", "alerts"} == set(Config._fields) - {"rules", "alerts", "path"}
    assert shown >= WITHOUT_DEFAULT


@pytest.mark.parametrize("head", ["[rules.low_iou]", "[[alerts.silences]]"])
def test_the_examples_are_right(tmp_path: Path, head: str) -> None:
    """What is shown as an example can be taken as it is."""
    lines = TEMPLATE.read_text().splitlines()
    start = lines.index(f"# {head}")
    block = "\n".join(line.removeprefix("# ") for line in lines[start : start + 6] if line.startswith("# "))
    path = tmp_path / "nanwatch.toml"
    path.write_text(block)
    config = load_config(str(path))
    assert config.rules.custom or config.alerts.silences


def test_rules_alone_can_be_parsed() -> None:
    """The rules' part is what a scenario may set, too."""
    assert parse_rules(tomllib.loads(TEMPLATE.read_text())["rules"], "x") == Rules()
