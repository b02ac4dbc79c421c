"""`nanwatch compare` as a user runs it: two to six runs, epochs of one, its forms, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import environment, run
from tests.support.logs import bars, capture, cod_story, yolo_story

COD = ("custom_cod/cod_pty_healthy", "custom_cod/cod_nohup_nanburst_buffered", "custom_cod/cod_styleb_tee_nanburst")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with both stories and three captures in it."""
    (tmp_path / "yolo.log").write_bytes(yolo_story()[0])
    (tmp_path / "cod.log").write_bytes(cod_story()[0])
    for name in COD:
        (tmp_path / f"{name.rpartition('/')[2]}.txt").write_bytes(capture(name))
    return tmp_path


def test_runs_stand_side_by_side(home: Path) -> None:
    """How they stand, the metric by epoch as each trainer counts, and curves; nothing of it is an escape."""
    done = run(home, "compare", "cod_pty_healthy.txt", "cod_styleb_tee_nanburst.txt")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "\x1b" not in text
    rows = {row.split("  ")[0].strip(): row.split() for row in text.splitlines()}
    assert rows["best"][-4:] == ["0.8343", "e14", "0.8291", "e11"]
    assert rows["NaN"][-2:] == ["0", "110"]
    assert rows["11"] == ["11", "0.8268", "0.8291▴*"]
    assert rows["2"][-1] == "0.0000▾"
    assert "IoU  by epoch" in text
    assert "110 NaN ×" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_plain_locale_gets_ascii(home: Path) -> None:
    """Where Unicode cannot be shown, arrows, lines and curves are letters."""
    done = run(home, "compare", "*.txt", LC_ALL="C")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"v" in done.stdout
    assert b"^" in done.stdout


def test_different_metrics_have_a_table_each(home: Path) -> None:
    """Runs that share no metric are still compared: each one's own, with nothing where the other does not tell it."""
    done = run(home, "compare", "yolo.log", "cod.log")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "mAP50-95 by epoch, higher is better" in text
    assert "IoU by epoch, higher is better" in text
    assert "does not tell it" in text
    assert "only A tells any" in text


def test_a_metric_can_be_chosen(home: Path) -> None:
    """By its name, whatever the case; one that no run tells is a wrong usage that says what they tell."""
    done = run(home, "compare", "cod_*.txt", "--metric", "LOSS")
    assert "loss by epoch, lower is better" in done.stdout.decode()
    done = run(home, "compare", "cod_*.txt", "--metric", "nothing")
    assert done.returncode == 2
    assert b"--metric nothing: no run tells it; they tell loss, " in done.stderr


def test_epochs_of_one_run(home: Path) -> None:
    """The fourth epoch of the incident against the third: the jump of memory, the NaN, the skips."""
    facts = yolo_story()[1]
    done = run(home, "compare", "yolo.log", "--epochs", "3", "4")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    nan, skips = facts["nan_batches_by_epoch"]["4"], facts["grad_skips_by_epoch"]["4"]
    assert f"epoch 3 → 4: VRAM +0.51 G, {nan} NaN, {skips} skips" in text
    assert "4.20 G" in text
    assert "4.71 G" in text


def test_epochs_come_in_the_order_asked_and_once(home: Path) -> None:
    """Columns are as named on the command line."""
    done = run(home, "compare", "yolo.log", "--epochs", "3", "1", "3")
    assert b" epoch" in done.stdout
    assert b"epochs 3, 1" in done.stdout
    assert "epoch 3 → 1: ".encode() in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["yolo.log", "--epochs", "3", "9"], 2, "yolo.log has no epoch 9: its epochs are 1 to 4"),
        (["yolo.log", "--epochs", "3"], 2, "--epochs: two to 6 different epochs, such as --epochs 3 4; found 1"),
        (["yolo.log", "cod.log", "--epochs", "1", "2"], 2, "--epochs: of one log, found 2"),
        (["yolo.log", "--epochs", "1", "2", "--metric", "P"], 2, "--metric is for runs: --epochs shows every figure"),
        (["gpt.out", "--epochs", "1", "2"], 2, "gpt.out has no epoch 1, 2: it counts none"),
        (["yolo.log"], 2, "yolo.log alone: a comparison needs two runs, or --epochs of one"),
        (["yolo.log", "./yolo.log"], 2, "yolo.log and ./yolo.log name the same log: a comparison needs two"),
        (["yolo.log", "yolo.log#1"], 2, "yolo.log is named twice: run 1 of it cannot be compared with itself"),
        (["yolo.log", "yolo.log#2"], 3, "yolo.log: has no run 2, its runs are 1 to 1"),
        (["yolo.log", "-"], 2, "a comparison needs files: standard input can only be followed (nanwatch tail -)"),
        (["nothing/*.log"], 3, "no log found: nothing/*.log"),
        (["yolo.log", "nothing/*.log"], 3, "no log found: nothing/*.log"),
        (["yolo.log", "missing.log"], 3, "missing.log: file is missing"),
        (["yolo.log", "empty.out"], 3, "empty.out: no training found in it (nanwatch explain shows what was read)"),
        (["empty.out"], 3, "empty.out: no training found in it (nanwatch explain shows what was read)"),
        (["yolo.log", "cod.log", "-o", "x.html"], 2, "-o x.html: the name must end in .md"),
        (["yolo.log", "cod.log", "-o", "none/x.md"], 2, "none/x.md: cannot be written: no such file or directory"),
        (["yolo.log", "cod.log", "-o", "x.md", "--json"], 2, "--json prints to standard output: without -o"),
        (["many/*.log"], 2, "7 logs: at most 6 can be compared, name them one by one"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line(home: Path, arguments: list[str], code: int, said: str) -> None:
    """Exit code 2 for a wrong usage, 3 where there is nothing to read; never a traceback."""
    (home / "gpt.out").write_bytes(capture("nanogpt/nanogpt_redirect"))
    (home / "empty.out").write_text("hello\n")
    (home / "many").mkdir()
    for number in range(7):
        (home / "many" / f"{number}.log").write_bytes(bars(1, "0.5", "0.4", epochs=2))
    done = run(home, "compare", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert f"nanwatch: {said}\n".encode() in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_log_that_cannot_be_read_is_left_out(home: Path) -> None:
    """The others are compared, and a line says which is missing."""
    done = run(home, "compare", "cod.log", "missing.log", "yolo.log")
    assert done.returncode == 0
    assert done.stderr == b"nanwatch: missing.log: file is missing\n"
    assert b"nanwatch compare: 2 runs" in done.stdout


def test_runs_of_one_log_are_named_by_their_number(home: Path) -> None:
    """A log that was appended to holds several runs: which, is told; `LOG#1` names the first."""
    both = bars(1, "0.5", "0.4", epochs=1) + b"Traceback (most recent call last):\nRuntimeError: no\n"
    story = yolo_story()[0]
    (home / "two.log").write_bytes(story + both + story)
    done = run(home, "compare", "two.log")
    assert done.returncode == 2
    assert b"two.log alone: it holds " in done.stderr
    assert b"two.log#1 to two.log#" in done.stderr
    done = run(home, "compare", "two.log#1", "two.log#2")
    assert done.returncode == 0
    assert b"two.log#1" in done.stdout
    assert b"two.log#2" in done.stdout


def test_as_json(home: Path) -> None:
    """Both forms are one object: runs with all that `summary --json` tells of them, and the figures row by row."""
    found = json.loads(run(home, "compare", "cod_pty_healthy.txt", "cod_styleb_tee_nanburst.txt", "--json").stdout)
    assert [item["letter"] for item in found["runs"]] == ["A", "B"]
    assert [item["nan_batches"] for item in found["runs"]] == [0, 110]
    figures = {item["name"]: item for item in found["figures"]}
    assert figures["IoU"]["better"] == "higher"
    assert figures["IoU"]["rows"][10] == {"epoch": 11, "values": [0.8268, 0.8291], "nan_batches": [0, 0]}
    assert sum(row["nan_batches"][1] for row in figures["loss"]["rows"]) == 110
    found = json.loads(run(home, "compare", "yolo.log", "--epochs", "1", "4", "--json").stdout)
    assert [row["epoch"] for row in found["epochs"]] == [1, 4]
    assert found["changes"][0]["changes"][0] == "VRAM +0.51 G"


def test_as_markdown(home: Path) -> None:
    """A file with tables of one width each; the same text goes to standard output for `-`."""
    done = run(home, "compare", "cod_*.txt", "-o", "found.md")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    text = (home / "found.md").read_text(encoding="utf-8")
    assert run(home, "compare", "cod_*.txt", "-o", "-").stdout.decode() == text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    assert all(len({row.count(" | ") for row in table}) == 1 for table in tables)
    assert "| 11 | 0.8244" not in text
    assert "\n    IoU  by epoch\n    A cod_nohup" in text


def test_hostile_names_and_settings_are_inert(home: Path) -> None:
    """A log's name and its settings are neither escapes, nor markup, nor another column."""
    name = "a\x1b[31m|[b](http:x)`<b>.log"
    evil = b"Namespace(lr='\x1b]0;x\x07|<img src=x>`', seed=1, name='[x](http://y)')\n"
    (home / name).write_bytes(evil + bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.4", "0.3", epochs=2))
    (home / "b.log").write_bytes(b"Namespace(lr='0.1', seed=1)\n" + bars(1, "0.5", "0.4", epochs=2))
    for form in ([], ["-o", "-"]):
        done = run(home, "compare", name, "b.log", *form)
        assert done.returncode == 0
        assert not {7, 13, 27} & set(done.stdout)
    text = done.stdout.decode()
    assert "A a\\|\\[b\\](http:x)\\`\\<b\\>" in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert tables
    assert all(len({row.replace("\\|", "").count("|") for row in table}) == 1 for table in tables)


def test_colours_only_on_a_terminal_that_wants_them(home: Path) -> None:
    """Runs have a colour each, in the heads and on their curves; NO_COLOR takes them away."""
    for more, is_colored in (({}, True), ({"NO_COLOR": "1"}, False)):
        leader, follower = pty.openpty()
        env = environment(home, **{"TERM": "xterm-256color", "COLUMNS": "100", **more})
        command = [sys.executable, "-m", "nanwatch", "compare", "cod_pty_healthy.txt", "cod_styleb_tee_nanburst.txt"]
        with subprocess.Popen(command, stdout=follower, stderr=follower, stdin=follower, cwd=home, env=env) as process:
            os.close(follower)
            text = b""
            while True:
                try:
                    data = os.read(leader, 1 << 16)
                except OSError:  # Linux says so where the other side has gone
                    break
                if not data:
                    break
                text += data
            assert process.wait() == 0
        os.close(leader)
        assert (b"\x1b[36m" in text) is is_colored
        assert (b"\x1b[33m" in text) is is_colored


def test_logs_may_be_named_after_the_epochs(home: Path) -> None:
    """`--epochs 3 4 LOG` is what people type; without a log there is nothing to compare."""
    after, before = (
        run(home, "compare", "--epochs", "3", "4", "yolo.log"),
        run(home, "compare", "yolo.log", "--epochs", "3", "4"),
    )
    assert (after.returncode, after.stdout) == (0, before.stdout)
    assert run(home, "compare", "yolo.log", "--epochs", "3,4").stdout == before.stdout
    done = run(home, "compare", "--epochs", "3", "4")
    assert (done.returncode, done.stderr) == (
        2, b"nanwatch: name the logs to compare (see nanwatch compare --help)\n"
    )  # fmt: skip


def test_a_file_is_written_whole_or_not_at_all(home: Path) -> None:
    """What was there before keeps its mode, and what a link leads to is replaced; nothing is left beside it."""
    (home / "there.md").write_text("old")
    (home / "there.md").chmod(0o600)
    (home / "link.md").symlink_to("there.md")
    (home / "folder.md").mkdir()
    names = {path.name for path in home.iterdir()}
    assert run(home, "compare", "cod_*.txt", "-o", "link.md").returncode == 0
    assert (home / "there.md").read_text(encoding="utf-8").startswith("# nanwatch compare")
    assert (home / "there.md").stat().st_mode & 0o777 == 0o600
    done = run(home, "compare", "cod_*.txt", "-o", "folder.md")
    assert (done.returncode, done.stderr) == (2, b"nanwatch: folder.md: cannot be written: is a directory\n")
    assert {path.name for path in home.iterdir()} == names


def test_six_runs_have_a_column_each_on_a_narrow_terminal(home: Path) -> None:
    """What does not fit side by side stands below; no line is longer than the terminal is wide."""
    for number in range(6):
        (home / f"a_run_with_a_long_name_{number}.log").write_bytes(bars(1, "0.5", "0.4", epochs=2))
    text = run(home, "compare", "a_run*.log").stdout.decode()
    head = text.split("settings that differ")[0]
    for letter in "ABCDEF":
        assert f"  {letter} a_ru" in head
    assert "no room" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_figure_is_drawn_on_the_axis_of_those_who_tell_it(home: Path) -> None:
    """Runs that count steps leave the curves of those alone that count epochs, whichever is named first."""
    (home / "gpt.out").write_bytes(capture("nanogpt/nanogpt_redirect"))
    text = run(home, "compare", "gpt.out", "cod_pty_healthy.txt").stdout.decode()
    assert "A gpt.out counts steps: not drawn" in text
    assert "no value yet" not in text


def test_all_that_a_summary_tells_of_a_run_is_told_alike(home: Path) -> None:
    """`compare --json` holds each run as `summary --json` has it, value by value, and no bare NaN."""
    (home / "nan.txt").write_bytes(bars(1, "nan", "nan", epochs=2) + bars(2, "nan", "inf", epochs=2))
    names = ["cod_pty_healthy.txt", "nan.txt", "yolo.log"]
    for name in names:
        os.utime(home / name, (time.time() // 1,) * 2)
    found = json.loads(run(home, "compare", *names, "--json").stdout, parse_constant=pytest.fail)
    summary = json.loads(run(home, "summary", "--json", *names).stdout)
    for item in found["runs"]:
        (told,) = [other for other in summary["runs"] if other["id"] == item["id"]]
        assert {name: item[name] for name in told} == told


def test_an_explosion_is_named(home: Path) -> None:
    """A loss that grew many times over is the first thing to know of an epoch."""
    done = run(home, "compare", "cod.log", "--epochs", "97", "98")
    last = " ".join(done.stdout.decode().split("what changed")[1].replace("→", "->").split())
    assert "loss 0.221 -> 15.3 (69 times)" in last
    assert "IoU 0.6242 -> 0.0022 (worse)" in last
