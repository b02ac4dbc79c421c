"""Which files a pattern names, now and later."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from nanwatch.tail.discover import MAX_FOLDERS, Discovery


def make(folder: Path, *names: str) -> None:
    """Create empty files, with the folders above them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Scan for patterns below *folder*; the names relative to it."""
    logs = Discovery([folder / pattern for pattern in patterns]).scan()
    return [str(log.relative_to(folder)) for log in logs]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["a.log"], ["a.log"]),
        (["missing.log"], ["missing.log"]),
        (["*.log"], ["a.log", "b.log"]),
        (["[ab].log"], ["a.log", "b.log"]),
        (["?.txt"], ["c.txt"]),
        (["*/train.log"], ["run1/train.log", "run2/train.log"]),
        (["**/train.log"], ["run1/train.log", "run2/sub/train.log", "run2/train.log"]),
        (["run2/**"], ["run2/sub/train.log", "run2/train.log"]),
        (["nothing*"], []),
        (["nowhere/*.log"], []),
        (["."], ["a.log", "b.log", "c.txt", "d.out"]),
        (["*.log", "a.log", "**/a.log"], ["a.log", "b.log"]),
    ],
)
def test_patterns(tmp_path: Path, patterns: list[str], expected: list[str]) -> None:
    """Names, globs with `**` and folders give the files that match, each once, sorted."""
    make(tmp_path, "a.log", "b.log", "c.txt", "d.out", "e.pt", ".hidden.log", ".git/x/train.log")
    make(tmp_path, "run1/train.log", "run2/train.log", "run2/sub/train.log")
    assert found(tmp_path, patterns) == expected


def test_folder_of_runs(tmp_path: Path) -> None:
    """A folder without logs of its own means those in its folders, one level down."""
    make(tmp_path, "run1/train.log", "run2/out.txt", "run2/deep/x.log", "notes.md")
    assert found(tmp_path, ["."]) == ["run1/train.log", "run2/out.txt"]


@pytest.mark.parametrize("pattern", ["*", "*.log*", "**/*.log*"])
def test_rotated_files_are_no_runs(tmp_path: Path, pattern: str) -> None:
    """What was rotated from a log is part of it, also while the log itself is missing for a moment."""
    make(tmp_path, "x.log", "x.log.1", "x.log.2.gz", "x.log-20260101", "x.log.2026-01-01")
    make(tmp_path, "y.log.1", "z.log.gz")
    make(tmp_path, "train-20260101.log", "nohup", "nohup.1")
    expected = ["nohup", "train-20260101.log", "x.log"] if pattern == "*" else ["train-20260101.log", "x.log"]
    assert found(tmp_path, [pattern]) == expected


def test_rotated_files_on_purpose(tmp_path: Path) -> None:
    """A pattern that does not match the log itself asks for its rotated files; so does a name."""
    make(tmp_path, "x.log", "x.log.1", "x.log.2")
    assert found(tmp_path, ["x.log.*"]) == ["x.log.1", "x.log.2"]
    assert found(tmp_path, ["x.log.1"]) == ["x.log.1"]


def test_new_files_appear(tmp_path: Path) -> None:
    """A file that is made later is found by the next scan, also in a folder that is made later."""
    discovery = Discovery([tmp_path / "*.log", tmp_path / "later" / "*.log"])
    assert discovery.scan() == []
    make(tmp_path, "a.log")
    assert discovery.scan() == [tmp_path / "a.log"]
    make(tmp_path, "later/b.log")
    assert discovery.scan() == [tmp_path / "a.log", tmp_path / "later/b.log"]
    (tmp_path / "a.log").unlink()
    assert discovery.scan() == [tmp_path / "later/b.log"]


def test_the_same_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file counts once, however it is spelled or linked; the name that was typed wins."""
    make(tmp_path, "a.log")
    (tmp_path / "latest.log").symlink_to("a.log")
    monkeypatch.chdir(tmp_path)
    assert Discovery(["a.log", "./a.log", tmp_path / "a.log"]).scan() == [Path("a.log")]
    assert Discovery(["*.log", "latest.log"]).scan() == [Path("latest.log")]


def test_only_regular_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders, pipes, sockets and links that lead nowhere are passed over by a glob."""
    make(tmp_path, "a.log", "folder.log/x")
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "dangling.log").symlink_to("nowhere")
    (tmp_path / "circle.log").symlink_to("circle.log")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.log")
        assert Discovery(["*.log"]).scan() == [Path("a.log")]


def test_folders_to_watch(tmp_path: Path) -> None:
    """Watched are the folders that were looked into, those that links lead to, and else the nearest."""
    make(tmp_path, "logs/a.log", "elsewhere/real.log", "runs/1/t.log")
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere/real.log")
    patterns = ["logs/*.log", "link.log", "runs/*/t.log", "no/such/folder/*.log"]
    discovery = Discovery([tmp_path / pattern for pattern in patterns])
    discovery.scan()
    expected = {tmp_path, *(tmp_path / name for name in ("logs", "elsewhere", "runs", "runs/1"))}
    assert discovery.folders() == expected


def test_folders_are_bounded(tmp_path: Path) -> None:
    """A huge tree does not exhaust the system: folders with logs are watched first, then no more."""
    make(tmp_path, *(f"d{number}/x.md" for number in range(MAX_FOLDERS + 50)), "z/train.log")
    discovery = Discovery([tmp_path / "**" / "*.log"])
    discovery.scan()
    assert len(discovery.folders()) == MAX_FOLDERS
    assert tmp_path / "z" in discovery.folders()


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that may not be read is told, and does not hide the others."""
    make(tmp_path, "a/x.log", "b/x.log")
    real = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("a"):
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    discovery = Discovery([tmp_path / "*" / "*.log"])
    assert discovery.scan() == [tmp_path / "b/x.log"]
    assert discovery.problems == [f"{tmp_path / 'a'}: permission denied"]


def test_unchanged_folder_is_not_listed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan in which nothing changed lists no folder, however many files it holds."""
    make(tmp_path, *(f"{number}.log" for number in range(1000)))
    os.utime(tmp_path, (1, 1))
    discovery = Discovery([tmp_path])
    first = discovery.scan()
    assert len(first) == 1000
    monkeypatch.delattr(os, "scandir")
    assert discovery.scan() == first
