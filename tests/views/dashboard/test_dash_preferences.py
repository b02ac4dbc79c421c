"""What people chose is remembered, and a file that is damaged, hostile or cannot be written is no reason to fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.views.dashboard.preferences import Preferences


def test_what_is_kept_is_there_the_next_time(tmp_path: Path) -> None:
    """Settings of each part come back as they were; nothing else is left in the folder."""
    path = tmp_path / "state" / "dashboard.json"
    Preferences(path).keep("runs", {"sort": "nan", "reverse": True})
    again = Preferences(path)
    again.keep("app", {"theme": "light"})
    assert Preferences(path).part("runs") == {"sort": "nan", "reverse": True}
    assert Preferences(path).part("app") == {"theme": "light"}
    assert Preferences(path).part("other") == {}
    assert [p.name for p in path.parent.iterdir()] == ["dashboard.json"]


@given(st.one_of(st.binary(max_size=40), st.sampled_from([b"[1, 2]", b'{"runs": 3}', b"[" * 100_000, b"null"])))
def test_a_damaged_file_counts_as_empty(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever stands in the file, there are settings, and they can be kept again."""
    path = tmp_path_factory.mktemp("state") / "dashboard.json"
    path.write_bytes(content)
    preferences = Preferences(path)
    assert isinstance(preferences.part("runs"), dict)
    preferences.keep("runs", {"sort": "nan"})
    assert Preferences(path).part("runs") == {"sort": "nan"}


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Where nothing can be written, the settings hold until the end, and the reason is known."""
    (tmp_path / "file").write_text("no folder")
    preferences = Preferences(tmp_path / "file" / "dashboard.json")
    preferences.keep("runs", {"sort": "nan"})
    assert preferences.part("runs") == {"sort": "nan"}
    assert "dashboard.json" in preferences.problem


def test_without_a_file_nothing_is_remembered() -> None:
    """Where nothing is to be remembered, settings hold until the end."""
    preferences = Preferences(None)
    preferences.keep("runs", {"sort": "nan"})
    assert preferences.part("runs") == {"sort": "nan"}
    assert preferences.problem == ""
