"""What the documentation says is true: it is made from the code, or held against it here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from docs import make_dashboard_keys
from docs.make_alerts_table import page
from nanwatch import cli
from nanwatch.alerts.inhibition import INHIBITS
from nanwatch.config import AlertSettings, Config, Life, Rules
from nanwatch.configfile import load_config, parse_rules
from nanwatch.errors import UsageError
from nanwatch.model.alert import SEVERITIES, Reason
from nanwatch.model.run import Change
from nanwatch.notify.payload import environment, news_json
from nanwatch.rules.base import make_rules
from nanwatch.rules.condition import check
from nanwatch.rules.vocabulary import FIELDS, FUNCTIONS, KNOWN_FIELDS
from nanwatch.scenarios import load_scenarios, run_scenario
from tests.notify.making import news

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "rules.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### ([a-z_]+)\n(.*?)(?=^##)", GUIDE, re.MULTILINE | re.DOTALL))
"""The guide's sections on rules, by the rule's name."""
NAMES = [name for name in Rules._fields if name != "custom"]
WITHOUT_DEFAULT = {("goal", "value"), ("deadline", "at")}
DAEMON = (DOCS / "daemon.md").read_text(encoding="utf-8")
UNIT = DOCS / "systemd" / "nanwatch.service"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def table(text: str, head: str) -> list[list[str]]:
    """Return the cells of the table in *text* whose first column is called *head*, without its head."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[- |]+\|\n((?:\|.*\n)*)", text, re.MULTILINE)
    assert found is not None, head
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


def code(cell: str) -> list[str]:
    """Return what stands in backticks in *cell*."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(language: str, text: str = GUIDE) -> list[str]:
    """Return the examples of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def template() -> dict[tuple[str, str], str]:
    """Return the defaults in the words of nanwatch/template.toml, by rule and setting."""
    found, rule = {}, ""
    for line in (ROOT / "nanwatch" / "template.toml").read_text(encoding="utf-8").splitlines():
        if head := re.match(r"\[(?:rules\.)?(\w+)\]", line):
            rule = head[1]
        elif setting := re.match(r"#(\w+) = (\S+)", line):
            found[rule, setting[1]] = setting[2]
    return found


DEFAULTS = template()


# -- alerts.md


def test_the_table_of_alerts_is_up_to_date() -> None:
    """docs/alerts.md tells the alerts that the stories and the captures raise now (docs/make_alerts_table.py)."""
    assert (DOCS / "alerts.md").read_text(encoding="utf-8") == page()


# -- rules.md: how an alert lives


def test_the_settings_of_every_rule_are_told() -> None:
    """The guide tells what each rule takes beside its own settings, and every setting of [alerts]."""
    told = [code(row[0])[0] for row in table(GUIDE, "setting")]
    assert told == ["for", "keep_firing_for", "severity", "enabled"]
    assert len(told) == len(Life._fields) + 1
    (repeat,) = table(GUIDE, "setting of `[alerts]`")
    assert code(repeat[0]) == [n for n in AlertSettings._fields if n != "silences"]
    assert code(repeat[1]) == [DEFAULTS["alerts", "repeat_interval"]]


def test_the_table_of_inhibition_is_that_of_the_code() -> None:
    """The guide's table of what is not told while something else fires is the one that is used."""
    told = {code(rule)[0]: frozenset(code(quiet)) for rule, quiet in table(GUIDE, "while this fires")}
    assert told == INHIBITS


# -- rules.md: the rules


def test_every_rule_has_a_section() -> None:
    """The guide has exactly one section for each rule, in the order of the settings, and none for anything else."""
    assert re.findall(r"^### ([a-z_]+)$", GUIDE, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_s_section_is_complete(name: str) -> None:
    """A section says when the rule fires and resolves, what does not fool it, why, and how it is tuned."""
    for words in ("- *Fires when*", "- *Resolves when*", "- *Not fooled by*", "- *Why", "\n*Tune*:"):
        assert SECTIONS[name].count(words) == 1, words


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_s_settings_are_told(name: str) -> None:
    """A section's table lists the rule's settings, all of them, with their defaults as a config would write them."""
    rows = table(SECTIONS[name], "setting")
    assert [code(row[0])[0] for row in rows] == [f for f in getattr(Rules(), name)._fields if f != "life"]
    told = {code(row[0])[0]: row[1] for row in rows}
    unset = {setting for rule, setting in WITHOUT_DEFAULT if rule == name}
    assert {setting for setting, default in told.items() if default == "none"} == unset
    values = {setting: code(default)[0] for setting, default in told.items() if setting not in unset}
    assert values == {setting: DEFAULTS[name, setting] for setting in values}
    text = "\n".join(f"{setting} = {value}" for setting, value in values.items())
    assert parse_rules({name: tomllib.loads(text)}, "guide") == Rules()


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_s_severity_is_told(name: str) -> None:
    """A section names the severities that the rule's scenarios expect, and says so if it is off."""
    line = next(line for line in SECTIONS[name].splitlines() if line.startswith("Severity:"))
    told = set(re.findall(r"\*\*(\w+)\*\*", line))
    assert told <= {*SEVERITIES}
    data = tomllib.loads((ROOT / "nanwatch" / "rules" / "scenarios" / f"{name}.toml").read_text(encoding="utf-8"))
    expected = [item for case in data["scenario"] for step in case["step"] for item in step.get("expect", [])]
    assert told == {item["severity"] for item in expected if "severity" in item}
    assert ("Off by default" in line) is not getattr(Rules(), name).enabled


def test_the_readme_names_every_rule_once() -> None:
    """The README's table has each rule in it, once; some share a row."""
    named = [name for row in table(README, "rule") for name in code(row[0])]
    assert sorted(named) == sorted(NAMES)


# -- rules.md: rules of one's own


def test_the_table_of_names_is_complete() -> None:
    """The guide tells every name that a condition may ask for, in the words of the code."""
    rows = table(GUIDE, "name")
    assert {row[0].strip("`"): row[1] for row in rows} == FIELDS
    assert len(rows) == len(FIELDS)


def test_the_table_of_names_tells_what_is_read_with_every_batch() -> None:
    """The guide tells which names make nanwatch read every frame."""
    for cell, _, batch in table(GUIDE, "name"):
        name = cell.strip("`")
        wakes = KNOWN_FIELDS[name].wakes if name in KNOWN_FIELDS else _wakes(name)
        assert bool(wakes & Change.PROGRESS) == batch.startswith("yes"), name


def _wakes(name: str) -> int:
    """Return what wakes a condition on a loss that is called so."""
    example = "loss" if name == "any other name" else name.replace("name", "loss")
    return check(f"{example} > 1", "guide").wakes


def test_the_table_of_functions_is_complete() -> None:
    """The guide tells every function, how it is called and what it means, in the words of the code."""
    told = [f"{code(call)[0]}: {means}" for call, means in table(GUIDE, "function")]
    assert told == [*FUNCTIONS.values()]


@pytest.mark.parametrize(("condition", "words"), table(GUIDE, "condition"))
def test_a_condition_is_refused_as_told(condition: str, words: str) -> None:
    """What the guide says of a condition that cannot be read is what nanwatch says."""
    with pytest.raises(UsageError) as refused:
        check(code(condition)[0], "rules.x")
    assert str(refused.value) == f"rules.x: condition: {words}"


def test_names_that_are_no_identifiers() -> None:
    """A hyphen without quotes is refused, and with blanks around it is a difference, as the guide says."""
    with pytest.raises(UsageError, match="a difference, where a name is meant"):
        check("mAP50-95 < 0.2", "guide")
    assert [*check("mAP50 - 95 < 0.2", "guide").uses] == ["mAP50"]
    assert [*check('metrics["mAP50-95"] < 0.2', "guide").uses] == ["mAP50-95"]


# -- examples


@pytest.mark.parametrize("text", [*blocks("toml"), *blocks("toml", README), *blocks("toml", DAEMON)])
def test_an_example_can_be_taken_as_it_is(text: str, tmp_path: Path) -> None:
    """An example is a config that can be read, conditions and all, or a scenario file."""
    path = tmp_path / "example.toml"
    path.write_text(text, encoding="utf-8")
    if "[[scenario]]" in text:
        assert load_scenarios(path)
        return
    config = load_config(str(path))
    assert config != Config(path=str(path))
    assert make_rules(config.rules)


def example(folder: Path, changed: tuple[str, str] = ("", "")) -> tuple[Path, Path]:
    """Write the guide's scenario, in which one thing may be *changed*, and the config that it needs."""
    (scenario,) = (text for text in blocks("toml") if "[[scenario]]" in text)
    (config,) = (text for text in blocks("toml") if text.startswith("scenarios ="))
    assert scenario.count(changed[0]) == 1 or not changed[0]
    (folder / "scenarios").mkdir()
    paths = folder / "nanwatch.toml", folder / "scenarios" / "low_iou.toml"
    for path, text in zip(paths, (config, scenario.replace(*changed)), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_the_scenario_comes_out_as_expected(tmp_path: Path) -> None:
    """The guide's scenario passes with the guide's config, and not without it."""
    config, scenarios = example(tmp_path)
    found = load_scenarios(scenarios)
    assert [d for s in found for d in run_scenario(s, load_config(str(config)), "guide")] == []
    assert [d for s in found for d in run_scenario(s, Config(), "guide")] != []


@pytest.mark.parametrize(
    ("shown", "changed", "exit_code"),
    [(0, ("", ""), 0), (1, ('severity = "critical"', 'severity = "warning"'), 1)],
)
def test_check_rules_says_what_is_shown(
    shown: int,
    changed: tuple[str, str],
    exit_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """check-rules prints what the guide shows, of the example as it is and of one that expects something else."""
    command, _, printed = blocks("console")[shown].partition("\n")
    example(tmp_path, changed)
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.removeprefix("$ nanwatch ").split()) == exit_code
    assert capsys.readouterr().out == printed


# -- all pages


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the heading of each relative link of a page, either of them empty if it names none."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield file, heading


def headings(path: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    found = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link of a page leads to a file that exists, and to a heading that is there."""
    for file, heading in links(path):
        target = path.parent / file if file else path
        assert target.exists(), file
        assert not heading or heading in headings(target), f"{file}#{heading}"


def test_the_guide_s_lines_are_short() -> None:
    """The guide can be read in an editor: only the rows of tables are longer than 118 characters."""
    assert [line for line in GUIDE.splitlines() if len(line) > 118 and not line.startswith("|")] == []


# -- the README


def test_the_two_incidents_of_the_readme_are_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The README's first command shows the incident that it names, and the pictures show the one of their captions."""
    (log,) = re.findall(r"summary (fixtures/\S+)\n", README)
    assert cli.main(["summary", "--no-cache", str(ROOT / log)]) == 0
    (batches, batch, epoch) = re.findall(r"(\d+) NaN batches, from batch (\d+) of epoch (\d+) on", README)[0]
    assert f"{batches} NaN from batch {batch} of epoch {epoch} on" in capsys.readouterr().out
    (batches, batch, epoch) = re.findall(r"!\[.*?(\d+) NaN batches since batch (\d+) of epoch (\d+)", README)[0]
    for name in ("summary", "dashboard"):
        assert f"docs/{name}.svg" in README
        picture = (DOCS / f"{name}.svg").read_text(encoding="utf-8").replace("&#160;", " ")
        assert f"NaN since batch {batch} of epoch {epoch}" in picture
        assert f"nan_burst: {batches} NaN" in picture


# -- daemon.md: a command of the user's


def test_the_table_of_variables_is_complete() -> None:
    """The page tells every variable that a command finds, and every value of those that have few."""
    rows = {name: row[1] for row in table(DAEMON, "variable") for name in code(row[0])}
    assert rows.keys() == environment(news(), "h", "k").keys()
    assert {*code(rows["NANWATCH_REASON"])} == {*get_args(Reason), "first,resolved"}
    assert {*code(rows["NANWATCH_SEVERITY"])} == {*SEVERITIES}
    assert {*code(rows["NANWATCH_STATE"])} >= {"firing", "resolved", "test"}


def test_the_sample_of_json_has_all_that_a_command_gets() -> None:
    """The page's sample has the keys that the program writes, in its order."""
    (text,) = blocks("json", DAEMON)
    told, made = json.loads(text), news_json(news(run={"best_value": 1.0}), "h", "k")
    assert [*told] == [*made]
    for part in ("alert", "run"):
        assert [*told[part]] == [*made[part]]
    assert [*told["run"]["best"]] == [*made["run"]["best"]]


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Path]:
    """Start `train.py`, beside whose log stands a file with its process id; return the log."""
    script, log = tmp_path / "train.py", tmp_path / "unet.log"
    script.write_text("input()", encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE) as process:
        log.with_suffix(".pid").write_text(f"{process.pid}\n", encoding="utf-8")
        yield log
        process.terminate()


def stopped(log: Path, state: str, reason: str) -> str:
    """Return what the page's stop script would end, when it is run with these."""
    (script,) = (text for text in blocks("sh", DAEMON) if "# stop_training.sh" in text)
    environ = os.environ | {"NANWATCH_STATE": state, "NANWATCH_REASON": reason, "NANWATCH_LOG": str(log)}
    done = subprocess.run(
        ["sh", "-c", "kill() { echo $1; }\n" + script], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("state", "reason", "ends"),
    [
        ("firing", "first", True), ("firing", "first,escalated", True), ("firing", "escalated,repeated", True),
        ("firing", "repeated", False), ("resolved", "first,resolved", False), ("resolved", "resolved", False),
        ("resolved", "first", False), ("test", "", False),
    ],
)  # fmt: skip
def test_the_stop_script_ends_a_training_only_when_an_alert_begins(
    training: Path, state: str, reason: str, ends: bool
) -> None:
    """Not at the end of an alert, not when it is told again, and not in a test."""
    pid = training.with_suffix(".pid").read_text(encoding="utf-8").strip()
    assert stopped(training, state, reason) == (pid if ends else "")


def test_the_stop_script_ends_no_stranger(training: Path) -> None:
    """A process id that is another program's by now, or that nobody wrote, ends nothing, and is no failure."""
    training.with_suffix(".pid").write_text(f"{os.getppid()}\n", encoding="utf-8")
    assert stopped(training, "firing", "first") == ""
    training.with_suffix(".pid").unlink()
    assert stopped(training, "firing", "first") == ""


# -- daemon.md: keeping it running


@pytest.mark.parametrize("text", blocks("sh", DAEMON))
def test_a_shell_can_read_the_recipes(text: str) -> None:
    """Every example for a shell is free of errors of syntax."""
    subprocess.run(["sh", "-n", "-c", text], check=True)


def test_all_recipes_use_one_program_and_one_config() -> None:
    """systemd, cron and tmux start the program that was installed, with the config that was made."""
    (installed,) = (text for text in blocks("sh", DAEMON) if "nanwatch init" in text)
    program, config = "/.local/bin/nanwatch", "/.config/nanwatch/nanwatch.toml"
    assert f"~{program} init ~{config}" in installed
    assert f"ExecStart=%h{program} daemon --config %h{config}\n" in UNIT.read_text(encoding="utf-8")
    for recipe in re.findall(r"^(?:\*/5|tmux new) .*", DAEMON, re.MULTILINE):
        assert f"cd ~{config.rpartition('/')[0]}" in recipe
        assert f"~{program}" in recipe


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """systemd finds nothing to say about the unit, once the program is there."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text(encoding="utf-8").replace("%h/.local/bin/nanwatch", sys.executable), "utf-8")
    runtime = tmp_path / "run"
    runtime.mkdir()
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", unit],
        env=os.environ | {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []


def test_the_daemon_s_page_is_narrow() -> None:
    """The page can be read in an editor: only rows of tables and the line for cron are longer than 120 characters."""
    long = [line for line in DAEMON.splitlines() if len(line) > 120 and not line.startswith(("|", "*/5 "))]
    assert long == []


def test_the_keys_of_the_dashboard_are_those_of_its_help() -> None:
    """The guide's tables are made from what the dashboard itself tells."""
    text = make_dashboard_keys.PAGE.read_text(encoding="utf-8")
    assert text == make_dashboard_keys.page(text), "run docs/make_dashboard_keys.py"
