"""The config that `nanwatch init` writes tells the real defaults, all of them."""

from __future__ import annotations

import re
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest

from nanwatch.config import AlertSettings, Config, DaemonSettings, Goal, NotifySettings, Receiver, Rules, Tag
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
    assert config._replace(logs=Config().logs, path=None) == Config()
    assert config.logs == (str(tmp_path / "logs/*.log"),)


def test_what_it_shows_are_the_defaults(tmp_path: Path) -> None:
    """With every # taken away, the settings are still the defaults, save for those that have none."""
    path = tmp_path / "nanwatch.toml"
    path.write_text(uncommented())
    config = load_config(str(path))
    rules = config.rules._replace(goal=Goal(), deadline=Rules().deadline)
    assert config._replace(rules=rules, logs=Config().logs, path=None) == Config()
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
    assert data["daemon"].keys() == set(DaemonSettings._fields)
    assert data["notify"].keys() == set(NotifySettings._fields)
    assert data.keys() == set(Config._fields) - {"path", "receivers", "tags"}
    assert shown >= WITHOUT_DEFAULT


def example(head: str) -> str:
    """Return the example that begins with *head*, without the signs that keep it out of use."""
    lines = TEMPLATE.read_text().splitlines()
    rest = lines[lines.index(f"# {head}") :]
    block = takewhile(lambda line: line.startswith("# "), rest)
    return "\n".join(line.removeprefix("# ") for line in block)


@pytest.mark.parametrize(
    "head",
    [
        "[rules.low_iou]", "[[alerts.silences]]", "[receivers.phone]", "[receivers.stop]", "[receivers.fleet]",
        "[tags.vision]",
    ],
)  # fmt: skip
def test_the_examples_are_right(tmp_path: Path, head: str) -> None:
    """What is shown as an example can be taken as it is."""
    path = tmp_path / "nanwatch.toml"
    path.write_text(example(head))
    config = load_config(str(path))
    assert config.rules.custom or config.alerts.silences or config.receivers or config.tags


def test_the_examples_show_every_setting_of_receivers_and_tags() -> None:
    """What a receiver or a tag may say is shown in one of the examples."""
    receivers = [tomllib.loads(example(f"[receivers.{name}]"))["receivers"] for name in ("phone", "stop", "fleet")]
    shown = {key for named in receivers for table in named.values() for key in table}
    assert shown == set(Receiver._fields) - {"name"}
    assert tomllib.loads(example("[tags.vision]"))["tags"]["vision"].keys() <= set(Tag._fields)


def test_rules_alone_can_be_parsed() -> None:
    """The rules' part is what a scenario may set, too."""
    assert parse_rules(tomllib.loads(TEMPLATE.read_text())["rules"], "x") == Rules()
