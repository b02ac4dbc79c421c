"""What people ask for on the dashboard reaches the daemon's store and comes back from it."""

from __future__ import annotations

from pathlib import Path

from nanwatch.model.alert import Silence
from nanwatch.sharing import Sharing, Wishes
from nanwatch.store import FILE, open_store

NOW = 1_000_000.0
SILENCE = Silence("nan_*", "/logs/x.log", starts_at=NOW, ends_at=NOW + 60)


def test_nothing_is_made_until_something_is_asked(tmp_path: Path) -> None:
    """Only to look needs no store, and leaves none."""
    sharing = Sharing(tmp_path / "state")
    assert sharing.look(NOW) == Wishes()
    assert not (tmp_path / "state").exists()
    assert sharing.daemon is None


def test_what_one_asks_another_sees(tmp_path: Path) -> None:
    """Acknowledgements and silences hold for every face, and until they are taken back."""
    one, other = Sharing(tmp_path), Sharing(tmp_path)
    one.acknowledge("abc", NOW)
    one.silence(SILENCE)
    assert one.look(NOW) == other.look(NOW) == Wishes((SILENCE,), frozenset({"abc"}))
    other.acknowledge("abc", None)
    other.end_silences(lambda silence: silence.rule == "nan_*", NOW)
    assert one.look(NOW + 1) == other.look(NOW + 1) == Wishes()
    one.close()
    other.close()


def test_the_daemon_is_asked(tmp_path: Path) -> None:
    """What is acknowledged waits in the store for the daemon to take it up."""
    sharing = Sharing(tmp_path)
    sharing.acknowledge("abc", NOW)
    sharing.close()
    store = open_store(tmp_path)
    assert [(r.alert, r.acknowledged_at) for r in store.requests()] == [("abc", NOW)]
    store.database.close()


def test_a_silence_ends_by_itself(tmp_path: Path) -> None:
    """A silence whose time is over holds no more, though nobody has written."""
    sharing = Sharing(tmp_path)
    sharing.silence(SILENCE)
    assert sharing.look(NOW).silences == (SILENCE,)
    assert sharing.look(NOW + 61).silences == ()
    sharing.close()


def test_a_store_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Where nothing can be written, that is said, and nothing fails."""
    folder = tmp_path / "file"
    folder.write_text("no folder")
    sharing = Sharing(folder)
    sharing.acknowledge("abc", NOW)
    assert "file" in sharing.problem
    assert sharing.look(NOW) == Wishes()


def test_a_foreign_file_is_told(tmp_path: Path) -> None:
    """A store of a newer version is left alone, and named."""
    store = open_store(tmp_path)
    store.database.write(lambda db: db.execute("PRAGMA user_version = 999"))
    store.database.close()
    sharing = Sharing(tmp_path)
    sharing.look(NOW)
    assert FILE in sharing.problem
