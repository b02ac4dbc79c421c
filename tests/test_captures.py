"""Every genuine capture is understood as its facts say, but for what its log does not print."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.facts import captures, check_facts, load_facts

FOLDER = Path(__file__).parent.parent / "fixtures" / "captures"
LOGS = captures(FOLDER)

# Facts that the log itself does not print, so that no reader can know them: (log, check) -> why.
# Both are shell patterns.
NOT_IN_THE_LOG: dict[tuple[str, str], str] = {
    ("cod_[!s]*", "series:val_loss"): "the trainer computes it, but prints the validation IoU only",
    ("keras_3.15_pty_nan", "nan_batches"): "the bar is redrawn for some of the batches only",
    ("pl_2.6_redirect_rich", "series:*"): "Rich, redirected, prints the last epoch only",
}


def excuse(log: str, check: str) -> tuple[str, str] | None:
    """The entry that excuses this check of this log."""
    return next((key for key in NOT_IN_THE_LOG if fnmatch(log, key[0]) and fnmatch(check, key[1])), None)


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
        check
        for check in check_facts(load_facts(log), runs)
        if not check.ok and not excuse(log.stem, check.name)
    ]
    assert not wrong
