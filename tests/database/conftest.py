"""Where the file of the store is, on what disk, and what is said of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nanwatch import database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file is to be."""
    return tmp_path / "state" / "nanwatch.db"


@pytest.fixture
def said() -> list[str]:
    """Return the list that gets what a database says."""
    return []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return what decides whether the disk is tried again at the next change."""
    monkeypatch.setattr(database, "_RETURN_S", float("inf"))
    return lambda is_there: monkeypatch.setattr(database, "_RETURN_S", 0.0 if is_there else float("inf"))
