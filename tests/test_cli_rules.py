"""The commands about rules, on the command line: check-rules, init, and a replay as a person sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanwatch.cli import main
from tests.support.command import run
from tests.support.logs import bars, cod_story, lines

CONFIG = '[rules.low_iou]\ncondition = "IoU < 0.5 and epoch > 2"\nseverity = "critical"\nfor = "2 epochs"\n'
EPOCHS = lines([f"Epoch {n}: Loss: 0.5 | IoU: 0.{40 + n} | LR: 0.0001" for n in range(1, 9)])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder that is the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_init_writes_a_config_that_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    """It is written once, can be checked at once, and is not replaced unless that is asked for."""
    assert main(["init"]) == 0
    assert (
        capsys.readouterr().out
        == "wrote nanwatch.toml; check what you change with: nanwatch check-rules nanwatch.toml\n"
    )
    assert main(["check-rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nanwatch.toml: 20 rules on, 2 off"
    assert lines[1].startswith("built in: ")
    assert lines[1].endswith(" scenarios, all as expected")
    assert main(["init"]) == 2
    assert capsys.readouterr().err == "nanwatch: nanwatch.toml: is there already (--force replaces it)\n"
    assert main(["init", "--force"]) == 0


def test_init_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes where it is told to, also to standard output; a folder that is not there is one clear line."""
    assert main(["init", "-"]) == 0
    text = capsys.readouterr().out
    assert "[rules.nan_burst]" in text
    assert main(["init", "own.toml"]) == 0
    assert (tmp_path / "own.toml").read_text() == text
    capsys.readouterr()
    assert main(["init", "gone/own.toml"]) == 2
    assert capsys.readouterr().err == "nanwatch: gone/own.toml: no such file or directory\n"


def test_check_rules_of_a_broken_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A condition that cannot be read is one line, wherever the config is used."""
    (tmp_path / "nanwatch.toml").write_text('[rules.low_iou]\ncondition = "IoU < "\n')
    (tmp_path / "x.log").write_bytes(EPOCHS)
    for command in (["check-rules"], ["summary", "x.log"], ["replay", "x.log"], ["tail", "--plain", "x.log"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith("nanwatch: nanwatch.toml: rules.low_iou: condition: ")
        assert said.count("\n") == 1


def test_check_rules_runs_the_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scenarios that the config or the command line names are run; one that comes out otherwise is exit code 1."""
    (tmp_path / "nanwatch.toml").write_text('scenarios = ["s/*.toml"]\n' + CONFIG)
    (tmp_path / "s").mkdir()
    scenario = tmp_path / "s" / "low.toml"
    text = f"[[scenario]]\nname='fires'\n[[scenario.step]]\nlog='''{EPOCHS.decode()}'''\n"
    text += "expect = [{ rule = 'low_iou', %s }]"
    scenario.write_text(text % "epoch = 3, severity = 'critical'")
    assert main(["check-rules"]) == 0
    assert capsys.readouterr().out.endswith("s/low.toml: 1 scenario, all as expected\n")
    scenario.write_text(text % "epoch = 4")
    assert main(["check-rules", "nanwatch.toml", "--scenarios", "s/low.toml"]) == 1
    out = capsys.readouterr().out
    assert "- low_iou epoch 4" in out
    assert "+ low_iou critical epoch 3" in out
    assert main(["check-rules", "--scenarios", "gone.toml"]) == 2


def test_a_rule_of_the_user_s_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is raised where it has held for as long as it must, like any other; a name that nobody knows is told."""
    (tmp_path / "x.log").write_bytes(EPOCHS)
    (tmp_path / "nanwatch.toml").write_text(CONFIG + '[rules.typo]\ncondition = "IuO < 1"\n')
    assert main(["replay", "--json", "x.log"]) == 0
    captured = capsys.readouterr()
    told = [json.loads(line) for line in captured.out.splitlines()]
    (alert,) = [a for a in told if a["rule"] == "low_iou"]
    assert (alert["severity"], alert["state"], alert["epoch"], alert["log_line"]) == ("critical", "firing", 3, 3)
    assert "`IuO` is not known" in captured.err
    assert main(["summary", "--no-cache", "x.log"]) == 0
    assert "`IuO` is not known" in capsys.readouterr().err


def test_a_replay_that_is_no_terminal(tmp_path: Path) -> None:
    """Piped, it is JSON lines."""
    (tmp_path / "x.log").write_bytes(cod_story()[0])
    told = [json.loads(line) for line in run(tmp_path, "replay", "x.log").stdout.splitlines()]
    assert [t["rule"] for t in told][:2] == ["metric_decline", "loss_explosion"]


def test_a_silence_in_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the config silences still fires, and says why nobody is told."""
    (tmp_path / "x.log").write_bytes(bars(1, "0.5", "0.4", "nan"))
    (tmp_path / "nanwatch.toml").write_text('[[alerts.silences]]\nrule = "nan_*"\ncomment = "known"\n')
    main(["replay", "x.log"])
    (alert, *_) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (alert["rule"], alert["state"], alert["suppressed"]) == ("nan_loss", "firing", ["silenced: known"])


def test_ctrl_c_in_the_middle_of_a_lock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """However unluckily it is pressed, Ctrl-C ends a command without a traceback; another error is not taken for it."""

    def interrupted(_: object) -> int:
        try:
            raise KeyboardInterrupt  # noqa: TRY301
        except KeyboardInterrupt:
            raise RuntimeError("cannot release un-acquired lock")  # noqa: B904 - as a lock's exit does

    def broken(_: object) -> int:
        raise RuntimeError("no")

    monkeypatch.setattr("nanwatch.commands.init", interrupted)
    assert main(["init"]) == 130
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("nanwatch.commands.init", broken)
    with pytest.raises(RuntimeError, match="no"):
        main(["init"])
