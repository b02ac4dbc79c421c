"""The layers hold, and no command loads what it does not need: a summary starts every 30 seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.command import ROOT, TIMEOUT, environment
from tests.support.logs import bars

HEAVY = {"rich", "watchdog", "textual", "apprise"}
LOADED = """
import sys
from nanwatch.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
names = {name.partition(".")[0] for name in sys.modules} | set(sys.modules)
print("loaded", code, *sorted(names), file=sys.stderr)
"""


def loaded(home: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, set[str]]:
    """Return the exit code of a command in a fresh process, and the modules that it loaded."""
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        input=stdin, capture_output=True, check=False, timeout=TIMEOUT, cwd=home, env=environment(home),
    )  # fmt: skip
    word, code, *names = result.stderr.decode().splitlines()[-1].split()
    assert word == "loaded"
    return int(code), set(names)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a log."""
    (tmp_path / "x.log").write_bytes(bars(1, "0.5", "nan", "nan", "nan"))
    return tmp_path


def test_summary_json_loads_no_face(home: Path) -> None:
    """The summary as JSON needs no terminal, no events of the file system, no dashboard, no deliveries."""
    code, names = loaded(home, "summary", "--json", "x.log")
    assert (code, names & HEAVY) == (0, set())


def test_summary_loads_no_watchdog(home: Path) -> None:
    """The one-shot summary waits for nothing."""
    code, names = loaded(home, "summary", "x.log")
    assert code == 0
    assert not names & {"watchdog", "textual", "apprise"}


def test_an_unchanged_log_needs_no_pipeline(home: Path) -> None:
    """From the cache, the summary is told without loading formats, rules or the framer."""
    os.utime(home / "x.log", (1e9, 1e9))
    loaded(home, "summary", "--json", "x.log")
    code, names = loaded(home, "summary", "--json", "x.log")
    assert code == 0
    assert not names & {
        "nanwatch.pipeline",
        "nanwatch.framing",
        "nanwatch.formats.decode",
        "nanwatch.rules.base",
        "tomllib",
    }


@pytest.mark.parametrize(
    "arguments",
    [("replay", "--json", "x.log"), ("replay", "--events", "x.log"), ("tail", "--json", "-"), ("--version",),
     ("summary", "--help"), ("summary", "--check", "--json", "x.log"),
     ("tail", "--json", "--poll", "--config", "gone")],
    ids=" ".join,
)  # fmt: skip
def test_json_and_help_load_no_face(home: Path, arguments: tuple[str, ...]) -> None:
    """JSON needs neither Rich nor watchdog; help and version need nothing at all."""
    _, names = loaded(home, *arguments, stdin=b"Epoch 1: Loss: 0.5\n")
    assert names & HEAVY == set()
    if arguments[0] == "--version":
        assert not any(name.startswith("nanwatch.") for name in names - {"nanwatch.cli", "nanwatch.errors"})


@pytest.mark.parametrize(
    "arguments", [("explain", "x.log"), ("replay", "x.log"), ("tail", "--plain", "-")], ids=" ".join
)
def test_lines_of_text_load_no_tables(home: Path, arguments: tuple[str, ...]) -> None:
    """Lines of text need to know how wide a character is, and no more of Rich than that."""
    _, names = loaded(home, *arguments, stdin=b"Epoch 1: Loss: 0.5\n")
    assert not names & {"watchdog", "textual", "apprise"}
    assert not names & {"rich.table", "rich.console", "rich.text"}


def test_contracts_of_the_layers() -> None:
    """The import contracts of pyproject.toml hold."""
    if find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed")
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    result = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], capture_output=True, check=False, timeout=60, cwd=ROOT, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_core_does_no_input_or_output() -> None:
    """Framing, runs, rules and alerts open no file, ask no clock and print nothing."""
    forbidden = ("import time", "import os", "import sys", "import subprocess", "import socket", "open(", "print(")
    core = [ROOT / "nanwatch" / "framing.py"]
    for stage in ("model", "runs", "rules", "alerts"):
        core += (ROOT / "nanwatch" / stage).glob("*.py")
    assert len(core) > 20
    found = [(path.name, line) for path in core for line in path.read_text().splitlines() if line.startswith(forbidden)]
    assert found == []


@pytest.mark.parametrize("arguments", [("summary", "x.log"), ("summary", "--json", "x.log")], ids=" ".join)
def test_summary_loads_nothing_of_the_daemon(home: Path, arguments: tuple[str, ...]) -> None:
    """A config with receivers costs a summary nothing: no store, no deliveries, no metrics, no log of its own."""
    (home / "nanwatch.toml").write_text(
        "[receivers.a]\nurls = ['json://127.0.0.1/${HOOK}']\n[receivers.b]\nalertmanager = 'http://127.0.0.1:1'\n"
        "[daemon]\nmetrics = '127.0.0.1:0'\n"
    )
    code, names = loaded(home, *arguments)
    assert code == 0
    assert not names & {
        "sqlite3", "apprise", "requests", "prometheus_client", "urllib.request", "http", "ssl", "logging",
        "logging.handlers", "nanwatch.daemon", "nanwatch.store", "nanwatch.metrics",
    }  # fmt: skip
