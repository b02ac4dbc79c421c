"""Every genuine capture is understood as its facts say, but for what its log does not print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.facts import captures, check_facts, load_facts, not_printed

FOLDER = Path(__file__).parent.parent / "fixtures" / "captures"
LOGS = captures(FOLDER)


def test_captures_are_here() -> None:
    """The captures with their facts have come with the checkout."""
    assert len(LOGS) >= 53


def test_captures_kept_their_carriage_returns() -> None:
    """The checkout did not touch the line ends: bars still redraw with a bare carriage return."""
    log = FOLDER / "ultralytics" / "v8n_8.3.100_redirect_gradguard.log"
    data = log.read_bytes()
    assert len(data) == 158_576
    assert data.count(b"\r") > 1000
    assert b"\r\n" not in data


@pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.stem}" for log in LOGS])
def test_capture_is_understood(log: Path) -> None:
    """The one-shot summary of a capture says what its facts say."""
    command = [sys.executable, "-m", "nanwatch", "summary", "--json", "--no-cache", str(log)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode in (0, 3), result.stderr
    runs = json.loads(result.stdout)["runs"] if result.stdout.strip() else []
    wrong = [
        check for check in check_facts(load_facts(log), runs) if not check.ok and not not_printed(log.stem, check.name)
    ]
    assert not wrong
