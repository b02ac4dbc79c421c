"""The command line: results on stdout, diagnostics on stderr, and the documented exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from nanwatch import __version__, reading
from nanwatch.cli import build_parser, main
from tests.support.command import ROOT, TIMEOUT, environment, following, run
from tests.support.logs import CAPTURES, bars, capture, cod_story, lines, yolo_story

SCHEMA = json.loads((Path(__file__).parent / "contract" / "summary.schema.json").read_text())
ALERT_SCHEMA = {**SCHEMA["$defs"]["alert"], "required": [*SCHEMA["$defs"]["alert"]["required"], "run", "type"]}
NAN = bars(1, "0.5", "0.4") + bars(2, "0.5", "nan", "0.4", total=10)[:-1]
CLEAN = bars(1, "0.5", "0.4") + bars(2, "0.5", "0.4", total=10)
BURST = bars(1, "0.5", "0.4") + bars(2, "nan", "nan", "nan", total=10)
HAS_ESCAPE = b"\x1b"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nanwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in an empty folder that is the user's own; return code, stdout, stderr."""
    for name, value in environment(tmp_path).items():
        if name.startswith(("HOME", "XDG", "TERM")):
            monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "writers_of", lambda _: [])

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def write(folder: Path, data: bytes, name: str = "x.log") -> Path:
    """Write a log."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def strict(text: str) -> Any:
    """Return what the JSON *text* holds; a bare NaN or Infinity is none."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of JSON lines."""
    return [strict(line) for line in text.splitlines()]


def one_line(said: str) -> bool:
    """Tell whether what was said on stderr is one clear line of nanwatch's own."""
    return said.startswith("nanwatch: ") and said.count("\n") == 1 and said.endswith("\n")


# -- summary


@pytest.mark.parametrize(
    "name", ["yolo", "cod", *sorted(f"{p.parent.name}/{p.stem}" for p in CAPTURES.glob("*/*.log"))[::4]]
)
def test_summary_json_keeps_the_contract(nanwatch: Run, tmp_path: Path, name: str) -> None:
    """The JSON of the summary is what the schema says, for stories and genuine logs."""
    data = yolo_story()[0] if name == "yolo" else cod_story()[0] if name == "cod" else capture(name)
    path = write(tmp_path, data)
    code, out, said = nanwatch("summary", "--json", path)
    assert (code, said) == (0, "")
    found = strict(out)
    jsonschema.validate(found, SCHEMA)
    assert {r["log"] for r in found["runs"]} == {str(path)}


def test_summary_json_is_the_same_from_the_cache(nanwatch: Run, tmp_path: Path) -> None:
    """A second summary, a summary without cache, and the first say the same."""
    path = write(tmp_path, yolo_story()[0])
    told = []
    for options in ((), (), ("--no-cache",)):
        code, out, _ = nanwatch("summary", "--json", *options, path)
        assert code == 0
        found = strict(out)
        told.append([{k: v for k, v in r.items() if k != "updated_at"} for r in found["runs"]])
    assert told[0] == told[1] == told[2]


def test_no_cache_leaves_nothing(nanwatch: Run, tmp_path: Path) -> None:
    """With --no-cache no file is written; without it, only to the cache."""
    path = write(tmp_path, CLEAN)
    assert nanwatch("summary", "--no-cache", path)[0] == 0
    assert list(tmp_path.iterdir()) == [path]
    assert nanwatch("summary", path)[0] == 0
    assert {p.name for p in tmp_path.iterdir()} == {"x.log", "cache"}


def test_summary_text(nanwatch: Run, tmp_path: Path) -> None:
    """The summary of the incident says where it stands and what is wrong, within the width."""
    path = write(tmp_path, yolo_story()[0])
    code, out, said = nanwatch("summary", path)
    assert (code, said) == (0, "")
    assert "NaN" in out
    assert "epoch 4" in out.lower()
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("data", "code"), [(CLEAN, 0), (NAN, 1), (BURST, 2), (b"hello\n", 3)])
def test_check(nanwatch: Run, tmp_path: Path, data: bytes, code: int) -> None:
    """--check tells the health by the exit code: healthy, a warning, critical, unknown."""
    path = write(tmp_path, data)
    assert nanwatch("summary", "--check", path)[0] == code
    assert nanwatch("summary", "--check", "--json", path)[0] == code


def test_check_of_many(nanwatch: Run, tmp_path: Path) -> None:
    """The worst of many logs counts; one that cannot be read makes a healthy whole unknown."""
    clean, nan, burst = (write(tmp_path, d, f"{n}.log") for n, d in [("clean", CLEAN), ("nan", NAN), ("burst", BURST)])
    assert nanwatch("summary", "--check", clean, nan)[0] == 1
    assert nanwatch("summary", "--check", clean, nan, burst)[0] == 2
    assert nanwatch("summary", "--check", clean, tmp_path / "gone.log")[0] == 3
    assert nanwatch("summary", "--check", burst, tmp_path / "gone.log")[0] == 2


@pytest.mark.parametrize("command", ["summary", "replay"])
def test_nothing_to_read(nanwatch: Run, tmp_path: Path, command: str) -> None:
    """Without a log to read the exit code is 3, and one line says why."""
    for arguments in ((tmp_path / "gone.log",), (tmp_path / "*.log",), (tmp_path,)):
        code, out, said = nanwatch(command, *arguments)
        assert (code, out) == (3, "")
        assert one_line(said)


def test_one_missing_of_two(nanwatch: Run, tmp_path: Path) -> None:
    """A log that is missing does not hide the one that is there."""
    path = write(tmp_path, CLEAN)
    code, out, _ = nanwatch("summary", "--json", path, tmp_path / "gone.log")
    found = strict(out)
    assert code == 0
    assert [r["log"] for r in found["runs"]] == [str(path)]
    assert found["problems"] == [{"log": str(tmp_path / "gone.log"), "problem": "file is missing"}]
    jsonschema.validate(found, SCHEMA)


def test_the_default_logs(nanwatch: Run, tmp_path: Path) -> None:
    """Without a LOG, `logs/*.log` here is meant, or what the config says."""
    write(tmp_path, CLEAN, "logs/a.log")
    assert [r["log"] for r in strict(nanwatch("summary", "--json")[1])["runs"]] == ["logs/a.log"]
    write(tmp_path, NAN, "other/b.txt")
    (tmp_path / "nanwatch.toml").write_text('logs = ["other"]\n')
    assert [r["log"] for r in strict(nanwatch("summary", "--json")[1])["runs"]] == ["other/b.txt"]
    (tmp_path / "c.toml").write_text('logs = ["logs/*"]\n[rules.nan_loss]\nenabled = false\n')
    assert nanwatch("summary", "--check", "--config", "c.toml", "other/b.txt")[0] == 0


def test_the_users_config(nanwatch: Run, tmp_path: Path) -> None:
    """The config of the user's own folder holds everywhere."""
    path = write(tmp_path, NAN)
    (tmp_path / "config" / "nanwatch").mkdir(parents=True)
    (tmp_path / "config" / "nanwatch" / "nanwatch.toml").write_text("[rules.nan_loss]\nenabled = false\n")
    assert nanwatch("summary", "--check", path)[0] == 0


# -- wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sumary",),
        ("summary", "--jsn"),
        ("tail", "--json", "--plain"),
        ("tail", "--events", "x.log"),
        ("tail", "-", "x.log"),
        ("summary", "-"),
        ("replay", "-"),
        ("replay",),
        ("explain",),
        ("summary", "--config", "gone.toml"),
        ("tail", "--config", "gone.toml"),
        ("replay", "--config", "gone.toml", "x.log"),
    ],
    ids=" ".join,
)
def test_wrong_usage(nanwatch: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Wrong usage is one line on stderr and exit code 2."""
    write(tmp_path, CLEAN)
    code, out, said = nanwatch(*arguments)
    assert (code, out) == (2, "")
    assert one_line(said), said


@pytest.mark.parametrize("command", ["summary", "tail", "replay"])
def test_broken_config(nanwatch: Run, tmp_path: Path, command: str) -> None:
    """A broken config is one line that names the file and the key, and exit code 2."""
    path = write(tmp_path, CLEAN)
    (tmp_path / "nanwatch.toml").write_text("[rules.nan_loss]\nenable = false\n")
    code, out, said = nanwatch(command, path)
    assert (code, out) == (2, "")
    assert one_line(said)
    assert "nanwatch.toml: rules.nan_loss.enable: no such setting" in said


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version go to stdout and are no error; help tells the exit codes and each command."""
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert f"nanwatch {__version__}" in out
    assert "3 nothing to read" in out
    for command in ("summary", "tail", "replay", "explain"):
        assert command in out
        with pytest.raises(SystemExit):
            build_parser().parse_args([command, "--help"])
        assert "usage: nanwatch" in capsys.readouterr().out


# -- replay


def test_replay_json(nanwatch: Run, tmp_path: Path) -> None:
    """One alert a line, in the order of the log, as its state changes."""
    path = write(tmp_path, BURST + bars(3, "0.5"))
    code, out, said = nanwatch("replay", "--json", path)
    assert (code, said) == (0, "")
    told = objects(out)
    assert [(a["rule"], a["state"]) for a in told] == [
        ("nan_loss", "firing"), ("nan_burst", "firing"), ("nan_burst", "resolved"), ("nan_loss", "resolved"),
    ]  # fmt: skip
    for alert in told:
        jsonschema.validate(alert, ALERT_SCHEMA)
        assert alert["type"] == "alert"
        assert alert["run"] == str(path)
        assert BURST[alert["log_offset"] - 1 : alert["log_offset"]] in b"\r\n"


def test_replay_events(nanwatch: Run, tmp_path: Path) -> None:
    """With --events every event too, at offsets that never go back, and null for what is not finite."""
    path = write(tmp_path, NAN)
    code, out, _ = nanwatch("replay", "--events", path)
    assert code == 0
    told = objects(out)
    events = [o for o in told if o["type"] == "event"]
    assert {o["type"] for o in told} == {"event", "alert"}
    assert {"batch_done"} <= {e["event"] for e in events}
    assert all({"run", "log", "log_offset"} <= e.keys() for e in events)
    offsets = [e["log_offset"] for e in events]
    assert offsets == sorted(offsets)
    assert [e["batch"] for e in events if e.get("losses") == {"loss": None}] == [2]


def test_replay_agrees_with_the_summary(nanwatch: Run, tmp_path: Path) -> None:
    """The alerts that fire at the end of a replay are those of the summary."""
    path = write(tmp_path, yolo_story()[0])
    replayed = {(a["rule"], a["epoch"]) for a in objects(nanwatch("replay", "--json", path)[1])}
    (told,) = strict(nanwatch("summary", "--json", path)[1])["runs"]
    assert replayed == {(a["rule"], a["epoch"]) for a in told["alerts"]}


def test_replay_of_a_healthy_log(nanwatch: Run, tmp_path: Path) -> None:
    """A log without trouble has no lines, and that is fine."""
    assert nanwatch("replay", write(tmp_path, CLEAN)) == (0, "", "")


def test_replay_of_several(nanwatch: Run, tmp_path: Path) -> None:
    """Several logs are replayed one after another; a missing one is told and does not stop the others."""
    one, two = write(tmp_path, NAN, "a.log"), write(tmp_path, NAN, "b.log")
    code, out, said = nanwatch("replay", one, tmp_path / "gone.log", two)
    assert code == 0
    assert [a["run"] for a in objects(out)] == [str(one), str(two)]
    assert one_line(said)
    assert "gone.log: file is missing" in said


# -- explain


def test_explain(nanwatch: Run, tmp_path: Path) -> None:
    """It says which format was recognised, and what was not."""
    path = write(tmp_path, b"something else entirely\n" + yolo_story(40)[0])
    code, out, said = nanwatch("explain", path)
    assert (code, said) == (0, "")
    assert "ultralytics" in out
    assert "something else entirely" in out
    told = strict(nanwatch("explain", "--json", path)[1])
    assert told["format"] == "ultralytics"
    assert told["frames"] > told["unmatched"] > 0


def test_explain_nothing(nanwatch: Run, tmp_path: Path) -> None:
    """A missing log and a folder are told in one line, with exit code 3."""
    for path in (tmp_path / "gone.log", tmp_path):
        code, out, said = nanwatch("explain", path)
        assert (code, out) == (3, "")
        assert one_line(said)


# -- as a program


def test_no_color(tmp_path: Path) -> None:
    """Where stdout is no terminal there is no colour, unless it is asked for; NO_COLOR forbids it always."""
    write(tmp_path, NAN)
    assert HAS_ESCAPE not in run(tmp_path, "summary", "x.log").stdout
    assert HAS_ESCAPE in run(tmp_path, "summary", "--color", "x.log", TERM="xterm-256color").stdout
    assert HAS_ESCAPE not in run(tmp_path, "summary", "--color", "x.log", NO_COLOR="1", TERM="xterm-256color").stdout


def test_any_locale(tmp_path: Path) -> None:
    """Where the locale knows ASCII only, the summary is in ASCII, and names that it cannot say are escaped."""
    write(tmp_path, NAN, "café.log")
    result = run(tmp_path, "summary", "café.log", "gone\u00e9.log", PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0")
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert b"Traceback" not in result.stderr


def test_broken_pipe(tmp_path: Path) -> None:
    """When the reader goes away there is no traceback, and nothing is said."""
    write(tmp_path, yolo_story()[0])
    with subprocess.Popen(
        [sys.executable, "-m", "nanwatch", "replay", "--events", "x.log"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(tmp_path),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(TIMEOUT), said) == (141, b"")


def test_broken_pipe_of_the_summary(tmp_path: Path) -> None:
    """A reader that is gone before the first byte is no error either."""
    write(tmp_path, NAN)
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    result = subprocess.run(
        [sys.executable, "-m", "nanwatch", "summary", "x.log"],
        stdout=writing_end, stderr=subprocess.PIPE, check=False, timeout=TIMEOUT,
        cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip
    os.close(writing_end)
    assert (result.returncode, result.stderr) == (141, b"")


def test_tail_tells_what_comes(tmp_path: Path) -> None:
    """`tail --json` prints an alert for an unterminated redraw as soon as it is written; Ctrl-C ends it cleanly."""
    path = write(tmp_path, CLEAN)
    with following(tmp_path, "--json", "x.log") as tail:
        with path.open("ab", buffering=0) as log:
            log.write(bars(3, "0.5", "0.4", total=10)[:-1])
            log.write(b"\rEpoch 3/5:  30%|###       | 3/10 [00:03<00:09,  1.00it/s, loss=nan]")
            alert = strict(tail.line(b"nan_loss").decode())
            assert (alert["type"], alert["state"], alert["epoch"], alert["batch"]) == ("alert", "firing", 3, 3)
            jsonschema.validate(alert, ALERT_SCHEMA)
            log.write(b"\n" + bars(4, "0.5"))
            assert strict(tail.line(b"resolved").decode())["rule"] == "nan_loss"
        code, out, said = tail.interrupt()
    assert (code, out, said) == (130, b"", b"")


def test_tail_plain(tmp_path: Path) -> None:
    """`tail --plain` says where each log stands, then a line for each change; a new log appears by itself."""
    write(tmp_path, NAN, "logs/a.log")
    with following(tmp_path, "--plain", "logs") as tail:
        assert b"a.log" in tail.line(b"epoch 2/5")
        assert b"warning" in tail.line(b"nan_loss")
        write(tmp_path, BURST, "logs/b.log")
        assert b"critical" in tail.line(b"nan_burst")
        code, out, said = tail.interrupt()
    assert (code, said) == (130, b"")
    assert b"\x1b" not in out


def test_tail_waits_for_a_log(tmp_path: Path) -> None:
    """Without any log yet, `tail` says so and waits."""
    (tmp_path / "logs").mkdir()
    with following(tmp_path, "--json", "--poll") as tail:
        assert tail.process.stderr is not None
        assert b"no log yet" in tail.process.stderr.readline()
        write(tmp_path, NAN, "logs/a.log")
        assert tail.line(b"nan_loss")
        code, _, said = tail.interrupt()
    assert (code, said) == (130, b"")


def test_tail_of_a_pipe(tmp_path: Path) -> None:
    """`tail -` reads standard input to its end."""
    result = run(tmp_path, "tail", "--json", "-", stdin=BURST)
    assert (result.returncode, result.stderr) == (0, b"")
    assert [o["rule"] for o in objects(result.stdout.decode())] == ["nan_loss", "nan_burst"]
    plain = run(tmp_path, "tail", "-", stdin=lines(["Epoch 1: Loss: 0.5 | IoU: 0.5 | LR: 0.1"]))
    assert (plain.returncode, plain.stderr) == (0, b"")
    assert b"epoch 1" in plain.stdout


def test_tail_of_a_pipe_tells_at_once(tmp_path: Path) -> None:
    """What comes through a pipe is told while the pipe is open."""
    with following(tmp_path, "--json", "--events", "-", stdin=subprocess.PIPE) as tail:
        assert tail.process.stdin is not None
        tail.process.stdin.write(NAN)
        tail.process.stdin.flush()
        assert strict(tail.line(b"nan_loss").decode())["batch"] == 2
        tail.process.stdin.close()
        assert tail.process.wait(TIMEOUT) == 0


def test_the_launcher_is_valid() -> None:
    """`monitor_training.sh` is executable, and the shell understands it."""
    script = ROOT / "monitor_training.sh"
    if not script.exists():
        pytest.skip("not in this checkout")
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, check=False, timeout=TIMEOUT).stderr == b""
