"""`nanwatch checkpoint` from the command line: what it prints, its exit codes, and what it survives."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanwatch.cli import main
from tests.support.command import run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(name: str, *values: float, at: int = 1000) -> Path:
    """Write an archive of one array."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.array(values or (1.0, 2.0)))
    path.write_bytes(buffer.getvalue())
    os.utime(path, (at, at))
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["checkpoint", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def machine(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    _, out, _ = told(capsys, *arguments, "--json")
    found: dict[str, Any] = json.loads(out)
    return found


def test_clean_files_are_0(capsys: pytest.CaptureFixture[str]) -> None:
    """A clean file is one line, and the exit code 0."""
    put("a.npz")
    code, out, err = told(capsys, "a.npz")
    assert (code, err) == (0, "")
    assert out.startswith(". a.npz  NumPy, ")
    assert out.endswith("clean: model\n")


def test_nan_is_2_whatever_else_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """One file with NaN outweighs a broken and a missing one."""
    put("a.npz", 1.0, np.nan)
    Path("b.npz").write_bytes(b"PK\3\4")
    code, out, err = told(capsys, "a.npz", "b.npz", "c.npz")
    assert (code, err) == (2, "nanwatch: c.npz: is missing\n")
    assert "NaN in 1 of 1 tensor:  model 1 NaN\n    weight  float64 [2]  1 NaN of 2\n" in out
    assert "truncated: " in out


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"no weights at all"])
def test_what_cannot_be_read_is_3(capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    """An empty, a cut and a foreign file are told in a line each."""
    Path("a.npz").write_bytes(data)
    code, out, _ = told(capsys, "a.npz")
    assert code == 3
    assert out.startswith("! a.npz")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing.pt", "nothing.pt: is missing"),
        ("*.pt", "*.pt: nothing matches"),
        (".", ".: no checkpoints in this folder"),
        ("a\nb\x1b]0;x.pt", "a?b?]0;x.pt: is missing"),
        ("", ""),
    ],
)
def test_nothing_to_look_at_is_one_line_and_3(capsys: pytest.CaptureFixture[str], path: str, words: str) -> None:
    """A path that is not there, a glob without a match and a folder without checkpoints are each one line."""
    code, out, err = told(capsys, path)
    assert (code, out) == (3, "")
    assert words in err
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_a_folder_is_told_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    """All checkpoints of a folder stand in their order; the newest clean one is named with its whole path."""
    put("w/epoch1.npz")
    put("w/epoch2.npz", at=2000)
    put("w/epoch3.npz", np.inf, at=3000)
    code, out, _ = told(capsys, "w")
    assert code == 2
    assert [line.split()[1] for line in out.splitlines() if line[0] in "X."] == [
        "epoch3.npz", "epoch2.npz", "epoch1.npz",
    ]  # fmt: skip
    assert out.splitlines()[-1].startswith("last clean: w/epoch2.npz (")


def test_a_search_for_the_last_clean_one_stops_there(capsys: pytest.CaptureFixture[str]) -> None:
    """With --last-clean, older ones are not looked at but for one that may hold more of the same epoch."""
    for number in range(1, 6):
        put(f"w/epoch{number}.npz", np.nan if number == 5 else 1.0, at=1000 * number)
    found = machine(capsys, "w", "--last-clean")
    assert [item["path"] for item in found["checkpoints"]] == ["w/epoch5.npz", "w/epoch4.npz", "w/epoch3.npz"]
    assert found["last_clean"] == "w/epoch4.npz"
    assert found["groups"][0]["skipped"] == 2


def test_files_and_globs_are_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    """What files and globs name is ordered together, each once; every folder is concluded by itself."""
    for name, at in (("a/epoch1.npz", 1), ("a/epoch2.npz", 2), ("b/x.npz", 3), ("b/y.npz", 3)):
        put(name, at=at)
    found = machine(capsys, "a/*.npz", "a/epoch1.npz", "b", "**/epoch2.npz")
    assert [group["folder"] for group in found["groups"]] == ["", "b"]
    assert [item["path"] for item in found["checkpoints"]][:2] == ["a/epoch2.npz", "a/epoch1.npz"]
    _, out, _ = told(capsys, "a/*.npz", "b")
    assert "last clean of those named: a/epoch2.npz" in out
    assert "last clean in b: b/" in out


def test_bad_tensors_are_named_as_many_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """--first sets how many; the others are counted."""
    layers: dict[str, Any] = {f"layer{number}": np.array([np.nan]) for number in range(9)}
    np.savez("a.npz", **layers)
    for first in (0, 2, 9):
        _, out, _ = told(capsys, "a.npz", "--first", str(first))
        assert out.count("    layer") == first
        assert ("and 7 more tensors" in out) == (first == 2)
    assert machine(capsys, "a.npz", "--first", "2")["checkpoints"][0]["bad_tensors"] == 9
    assert main(["checkpoint", "a.npz", "--first", "-1"]) == 2


def test_json_is_one_object_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    """The object has the schema's number, every checkpoint and the last clean path, or null."""
    put("a.npz", np.nan)
    found = machine(capsys, "a.npz")
    assert (found["schema"], found["last_clean"]) == (1, None)
    assert found["checkpoints"][0]["state"] == "nonfinite"


def test_a_name_of_escapes_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    """Names with newlines, escapes and markup are shown without effect; JSON keeps them exactly."""
    name = "w/\x1b]0;x\x07[red]a\nb.npz"
    put(name, np.nan)
    put("w/b.npz")
    _, out, _ = told(capsys, "w")
    assert all(line.isprintable() for line in out.splitlines())
    assert "[red]a" in out
    assert name in [item["path"] for item in machine(capsys, "w")["checkpoints"]]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that may not be read is told, and the others are looked at."""
    put("w/a.npz").chmod(0)
    put("w/b.npz")
    code, out, _ = told(capsys, "w")
    assert code == 3
    assert "permission" in out


def test_devices_and_pipes_are_never_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe and an endless device are unreadable at once."""
    os.mkfifo("a.pt")
    code, out, _ = told(capsys, "a.pt", "/dev/zero")
    assert code == 3
    assert out.count("is no regular file") == 2


def test_the_program_prints_plain_lines_into_a_pipe(tmp_path: Path) -> None:
    """Run as a user does, nothing but the result is on stdout, and nothing on stderr."""
    put("a.npz", np.nan)
    done = run(tmp_path, "checkpoint", "a.npz")
    assert (done.returncode, done.stderr) == (2, b"")
    assert done.stdout.startswith(b"X a.npz")
    assert b"\x1b" not in done.stdout
