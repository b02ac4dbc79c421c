"""Checks of what users write: conditions, settings, and scenarios with a difference that can be acted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.checking import check_built_in, check_config, check_scenarios
from nanwatch.config import Config, CustomRule, Rules
from nanwatch.errors import UsageError
from nanwatch.rules.base import rule_types
from nanwatch.scenarios import load_scenarios, run_scenario
from nanwatch.views.checks import config_words, scenario_words

OWN = Config(rules=Rules(custom=(CustomRule("low_iou", "IoU < 0.5 and epoch > 10", source="x.toml: rules.low_iou"),)))


def write(folder: Path, text: str, name: str = "s.toml") -> Path:
    """Write a scenario file."""
    path = folder / name
    path.write_text(text)
    return path


GOOD = """
[[scenario]]
name = "fires when the IoU is low late in the run"
[[scenario.step]]
epoch = 10
metrics = { IoU = 0.4 }
expect = []
[[scenario.step]]
at = "10m"
epoch = 11
metrics = { IoU = 0.4 }
expect = [{ rule = "low_iou", severity = "warning", epoch = 11, message = "IoU" }]
"""


def test_rules_that_are_on() -> None:
    """A config that can be read names the rules that are on, the user's own last."""
    names = check_config(OWN)
    assert names[-1] == "low_iou"
    assert set(names) <= {*rule_types(), "low_iou"}
    assert "plateau" not in names
    assert config_words(OWN, names).startswith("no nanwatch.toml, the defaults: 21 rules on, 2 off, 1 of your own")


def test_a_condition_that_cannot_be_read() -> None:
    """The error names the file, the rule, the place in the condition, and what is known there."""
    rules = Rules(custom=(CustomRule("x", "IoU <", source="n.toml: rules.x"),))
    with pytest.raises(UsageError, match=r"n\.toml: rules\.x: condition: .*column"):
        check_config(Config(rules=rules))


def test_a_user_s_own_scenario(tmp_path: Path) -> None:
    """A scenario that comes out as expected is one line."""
    (checked,) = check_scenarios([str(write(tmp_path, GOOD))], OWN)
    assert (checked.scenarios, checked.differences) == (1, [])
    assert list(scenario_words(checked)) == [f"{tmp_path}/s.toml: 1 scenario, all as expected"]


def test_the_scenarios_that_come_with_the_rules() -> None:
    """They are run as well, but for those of rules that the config has changed: these need not come out."""
    whole = check_built_in(Config())
    changed = check_built_in(Config(rules=Rules()._replace(stall=Rules().stall._replace(times=2.0))))
    assert whole.differences == changed.differences == []
    assert whole.scenarios > changed.scenarios > 200


def test_a_difference_is_shown(tmp_path: Path) -> None:
    """What was expected and did not come, and what came instead, stand below each other."""
    path = write(tmp_path, GOOD.replace('severity = "warning"', 'severity = "critical"'))
    (checked,) = check_scenarios([str(path)], OWN)
    words = list(scenario_words(checked))
    assert words[0].endswith("1 scenario, 1 not as expected")
    assert "step 2, at 10m" in words[1]
    assert words[2].startswith("    - low_iou critical epoch 11: IoU")
    assert words[3].startswith("    + low_iou warning epoch 11: IoU < 0.5")


def test_scenarios_are_run_with_the_settings_of_the_config(tmp_path: Path) -> None:
    """A scenario's own settings come on top of the config's, key by key."""
    text = """
    rule = "metric_decline"
    [[scenario]]
    name = "fires"
    rules.metric_decline.critical_percent = 50
    [[scenario.step]]
    log = '''
    Epoch 1: Loss: 0.5 | IoU: 0.6 | LR: 0.0001
    Epoch 2: Loss: 0.5 | IoU: 0.5 | LR: 0.0001
    Epoch 3: Loss: 0.5 | IoU: 0.4 | LR: 0.0001
    '''
    expect = [{ severity = "warning" }]
    """
    (scenario,) = load_scenarios(write(tmp_path, text))
    config = Config(rules=Rules()._replace(metric_decline=Rules().metric_decline._replace(epochs=2)))
    assert list(run_scenario(scenario, config, "s")) == []
    assert list(run_scenario(scenario, Config(), "s")) != []


def test_a_pattern_names_files_once(tmp_path: Path) -> None:
    """A file that two patterns name is run once; a pattern that names none is an error."""
    path = write(tmp_path, GOOD)
    assert len(list(check_scenarios([str(path), f"{tmp_path}/*.toml"], OWN))) == 1
    with pytest.raises(UsageError, match="no such scenario file"):
        list(check_scenarios([f"{tmp_path}/*.tml"], OWN))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no \\[\\[scenario\\]\\]"),
        ("x = 1", "x: not known here"),
        ("[[scenario]]", "needs a name"),
        ("[[scenario]]\nname='n'", "no step expects"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nexpect = [1]", "expected a list of tables"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nexpect = [{ rul = 'x' }]", "rul: not known here"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nbatch = 'x'\nexpect = []", "no number and no range"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nevent = 'x'\nexpect = []", "'x' is none \\(known: batch_done"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nevent = 'failure'\nexpect = []", "missing .* argument"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nepooch = 1\nexpect = []", "epooch: not known here"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nat = 'x'\nexpect = []", "step 1: at: expected seconds"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nat=9\n[[scenario.step]]\nat=1\nexpect=[]", "does not go back"),
        ("[[scenario]]\nname='n'\n[[scenario.step]]\nwriter = 7\nexpect = []", "writer: expected"),
        ("[[scenario]", "s.toml: "),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    """An error names the file, the scenario, the step and what is wrong there."""
    with pytest.raises(UsageError, match=words):
        load_scenarios(write(tmp_path, text))


def test_settings_that_are_none(tmp_path: Path) -> None:
    """So does one in a scenario's settings."""
    text = "[[scenario]]\nname='n'\nrules.stall.silnce = '1m'\n[[scenario.step]]\nexpect = []"
    (scenario,) = load_scenarios(write(tmp_path, text))
    with pytest.raises(UsageError, match=r"s: n: rules\.stall\.silnce: no such setting"):
        list(run_scenario(scenario, Config(), "s"))
