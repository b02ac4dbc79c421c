"""Who writes a log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nanwatch.tail import writers
from nanwatch.tail.writers import Writer, writers_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


@contextmanager
def holding(path: Path, mode: str) -> Iterator[int]:
    """Run another process that holds *path* open."""
    code = "import sys; f = open(sys.argv[1], sys.argv[2]); print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path), mode]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


@pytest.mark.parametrize("mode", ["a", "w", "r+"])
def test_writer(tmp_path: Path, mode: str) -> None:
    """A process that holds the log open for writing is found, also through a link, until it ends."""
    log, link = tmp_path / "x.log", tmp_path / "link"
    log.touch()
    link.symlink_to(log)
    with holding(log, mode) as pid:
        for path in (log, link):
            found = writers_of(path)
            assert found is not None
            assert [writer.pid for writer in found] == [pid]
            assert found[0].command.startswith("python")
    assert writers_of(log) == []


def test_reader(tmp_path: Path) -> None:
    """A process that only reads the log is no writer, and neither are we."""
    log = tmp_path / "x.log"
    with log.open("w"), holding(log, "r"):
        assert writers_of(log) == []


def test_missing_file(tmp_path: Path) -> None:
    """Who writes a file that is missing cannot be known."""
    assert writers_of(tmp_path / "missing") is None


def test_other_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off Linux it cannot be known."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert writers_of(tmp_path) is None


def test_hidden_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody found for another user's log means unknown; for our own log it means nobody."""
    log = tmp_path / "x.log"
    log.touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 12345)
    assert writers_of(log) is None
    monkeypatch.setattr(os, "geteuid", lambda: log.stat().st_uid)
    assert writers_of(log) == []


def test_process_that_ends_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is gone before its files or its name can be read is passed over."""
    proc = tmp_path / "proc"
    log = tmp_path / "x.log"
    log.touch()
    for pid, flags in (("1", None), ("2", "flags:\t0100001\n"), ("3", "pos:\t0\n")):
        (proc / pid / "fd").mkdir(parents=True)
        (proc / pid / "fdinfo").mkdir()
        (proc / pid / "fd" / "1").symlink_to(log)
        if flags:
            (proc / pid / "fdinfo" / "1").write_text(flags)
    (proc / "4").mkdir()
    monkeypatch.setattr(writers, "_PROC", str(proc))
    assert writers_of(log) == [Writer(2, "?")]
