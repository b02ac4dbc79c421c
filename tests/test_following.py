"""Following for a face: snapshots of what changed, and what people ask for goes back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nanwatch import following as module
from nanwatch.clock import ManualClock
from nanwatch.config import CheckpointSettings, Config
from nanwatch.detail import detail_for
from nanwatch.following import Following
from nanwatch.model.alert import Silence
from nanwatch.model.checkpoint import Weights
from nanwatch.model.snapshot import Snapshot
from nanwatch.model.update import Update
from nanwatch.scanning import Scanning
from nanwatch.sharing import Sharing
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake
from nanwatch.watch import Watch
from nanwatch.weighing import Weighing
from tests.support.logs import bars

START = 1_000_000.0


class Scene:
    """A folder of logs that is followed, and a clock that the test moves."""

    def __init__(self, folder: Path, state: Path | None = None, weighing: Weighing | None = None) -> None:
        self.folder = folder
        self.clock, self.wake = ManualClock(START), ManualWake()
        tailer = Tailer([folder / "*.log"], self.wake, clock=self.clock)
        watch = Watch(tailer, Config(), self.clock, find=dict.fromkeys, turn_s=0.1)
        self.updates: list[Update] = []
        sharing = None if state is None else Sharing(state)
        self.following = Following(watch, Config(), self.clock, self.updates.append, sharing, weighing)

    def write(self, data: bytes, name: str = "x.log") -> Path:
        """Write to a log and report it."""
        path = self.folder / name
        with path.open("ab") as file:
            file.write(data)
        self.wake.touch(path, self.folder)
        return path

    def step(self, seconds: float = 1.0, *wishes: object) -> Update:
        """Return the update *seconds* later."""
        self.clock.advance(seconds)
        self.updates.clear()
        self.following.step(0.0, wishes)  # type: ignore[arg-type]
        assert len(self.updates) <= 1
        return self.updates[0] if self.updates else Update()  # nothing has changed


def alerts_of(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Return the rules that fire, and why nobody is told of them."""
    assert snapshot.view is not None
    return {a.rule: a.suppressed for a in snapshot.view.alerts if a.state == "firing"}


def test_a_log_is_seen_before_it_is_read(tmp_path: Path) -> None:
    """The first update names the logs; nothing of them has been read."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, "0.5", "0.4"))
    scene.following.look_at_ends()
    assert scene.updates[0].snapshots == {
        path: Snapshot(path, None, {}, path.stat().st_mtime, path.stat().st_size, 0, None, True)
    }


def test_of_a_large_log_the_end_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the end of a large log shows stands there until all of it was read."""
    monkeypatch.setattr(module, "_TAIL_WORTH", 1)
    monkeypatch.setattr(module, "_TAIL", 200)
    monkeypatch.setattr(module, "_HEAD", 100)
    scene = Scene(tmp_path)
    path = scene.write(bars(1, *["0.5"] * 40) + b"\n" + bars(2, *["0.25"] * 40))
    scene.following.look_at_ends()
    estimate = scene.updates[-1].snapshots[path]
    assert estimate.is_estimate
    assert estimate.view is not None
    assert (estimate.view.run.epoch, list(estimate.view.run.table)) == (2, [2])
    whole = scene.step().snapshots[path]
    assert (whole.is_estimate, whole.is_history, whole.read) == (False, False, path.stat().st_size)
    assert whole.view is not None
    assert list(whole.view.run.table) == [1, 2]


def test_only_what_changed_is_handed_over(tmp_path: Path) -> None:
    """A log that says nothing costs nothing."""
    scene = Scene(tmp_path)
    path, other = scene.write(bars(1, "0.5")), scene.write(bars(1, "0.5"), "y.log")
    assert scene.step().snapshots.keys() == {path, other}
    scene.write(bars(2, "0.4"), "y.log")
    assert scene.step().snapshots.keys() == {other}
    assert scene.step().snapshots == {}


def test_a_snapshot_stands_still(tmp_path: Path) -> None:
    """What comes later changes no snapshot that was handed over."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, "0.5", "0.4"))
    before = scene.step().snapshots[path]
    scene.write(bars(2, "nan", "nan", "nan", "nan"))
    after = scene.step().snapshots[path]
    assert before.view is not None
    assert after.view is not None
    assert (before.view.run.nan_batches, before.view.alerts) == (0, [])
    assert list(before.view.run.table) == [1]
    assert after.view.run.nan_batches == 4
    assert before.curves["loss"].end < after.curves["loss"].end


def test_a_run_that_turns_critical_is_news(tmp_path: Path) -> None:
    """A critical alert that begins under the user's eyes is told apart; what stood in the log at first is not."""
    scene = Scene(tmp_path)
    scene.write(bars(1, "0.5", "nan", "nan", "nan"))
    assert scene.step().critical == []
    path = scene.write(bars(1, "0.5", "0.4"), "y.log")
    scene.step(5.0)
    scene.write(bars(2, "nan", "nan", "nan", "nan"), "y.log")
    assert [(p, a.rule) for p, a in scene.step().critical] == [(path, "nan_burst")]


def test_an_alert_that_is_acknowledged_stays_so(tmp_path: Path) -> None:
    """An acknowledgement holds here at once, after a restart too, and can be taken back."""
    scene = Scene(tmp_path, tmp_path / "state")
    path = scene.write(bars(1, "0.5", "nan", "nan", "nan"))
    snapshot = scene.step().snapshots[path]
    assert snapshot.view is not None
    ids = [a.id for a in snapshot.view.alerts if a.rule == "nan_burst"]
    acked = scene.step(0.01, lambda f: f.acknowledge(path, ids)).snapshots[path]
    assert alerts_of(acked)["nan_burst"] == ("acknowledged",)
    scene.following.close()

    again = Scene(tmp_path, tmp_path / "state")
    again.step()
    assert alerts_of(again.step().snapshots.get(path) or again.following._shown[path])["nan_burst"] == ("acknowledged",)
    undone = again.step(0.01, lambda f: f.acknowledge(path, ids, undo=True)).snapshots[path]
    assert alerts_of(undone)["nan_burst"] == ()
    again.following.close()


def test_a_silence_holds_at_once_and_ends(tmp_path: Path) -> None:
    """A silence that somebody sets is seen with the next update, until its time is over or somebody ends it."""
    scene = Scene(tmp_path, tmp_path / "state")
    path = scene.write(bars(1, "0.5", "nan", "nan", "nan"))
    scene.step()
    silence = Silence("nan_*", str(path), starts_at=START, ends_at=START + 60)
    assert alerts_of(scene.step(0.01, lambda f: f.silence(silence)).snapshots[path])["nan_burst"] == ("silenced",)
    assert alerts_of(scene.step(61.0).snapshots[path])["nan_burst"] == ()
    forever = Silence("nan_*", str(path), starts_at=START)
    assert alerts_of(scene.step(0.01, lambda f: f.silence(forever)).snapshots[path])["nan_burst"] == ("silenced",)
    ended = scene.step(0.01, lambda f: f.end_silences(lambda s: s.ends_at is None))
    assert alerts_of(ended.snapshots[path])["nan_burst"] == ()
    scene.following.close()


def test_without_a_store_wishes_hold_here(tmp_path: Path) -> None:
    """Where nothing can be shared, what is asked holds all the same."""
    (tmp_path / "file").write_text("no folder")
    scene = Scene(tmp_path, tmp_path / "file")
    path = scene.write(bars(1, "0.5", "nan", "nan", "nan"))
    scene.step()
    update = scene.step(0.01, lambda f: f.silence(Silence("*", "*", starts_at=START)))
    assert alerts_of(update.snapshots[path])["nan_burst"] == ("silenced",)
    assert "file" in update.problem


def test_a_log_that_went_is_told(tmp_path: Path) -> None:
    """A log that is gone keeps its last values, and says that it is gone."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, "0.5"))
    scene.step()
    path.unlink()
    scene.wake.touch_everything()
    snapshot = scene.step(20.0).snapshots[path]
    assert snapshot.problem
    assert snapshot.view is not None
    assert snapshot.view.run.epoch == 1


def test_updates_that_nobody_took_merge() -> None:
    """A face that is slow gets the latest of each log, and misses no alert."""
    old, new = Snapshot(Path("/a"), read=1), Snapshot(Path("/a"), read=2)
    gone, kept = Snapshot(Path("/g")), Snapshot(Path("/k"))
    first = Update({Path("/a"): old, Path("/g"): gone, Path("/k"): kept})
    second = Update({Path("/a"): new}, gone={Path("/g")})
    second.add_older(first)
    assert second.snapshots == {Path("/a"): new, Path("/k"): kept}
    assert second.gone == {Path("/g")}


def test_curves_of_many_logs_have_fewer_points(tmp_path: Path) -> None:
    """How much of a log is read for its curves depends on its size, and on how many there are."""
    path = tmp_path / "x.log"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    assert detail_for(1)(path) < detail_for(500)(path) <= 1 << 19
    assert detail_for(1)(tmp_path / "none") == 1 << 19


class Looks(Scanning):
    """Looks through checkpoints when a test says so."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.asked: list[str] = []
        self.answer: Weights | None = None
        self.is_closed = False

    def ask(self, key: str, places: Sequence[Path], since: float | None = None) -> bool:
        """Note who asks."""
        assert since is None
        assert places == [Path("/w")]
        self.asked.append(key)
        return True

    def poll(self) -> Iterator[tuple[str, Weights | None]]:
        """Give each run that asked the answer, once there is one."""
        while self.asked and self.answer is not None:
            yield self.asked.pop(), self.answer

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def test_the_checkpoints_of_a_run_that_is_lost_are_looked_through(tmp_path: Path) -> None:
    """Its snapshot says which one is clean as soon as that is known, and so do those after it."""
    looks = Looks()
    scene = Scene(tmp_path, weighing=Weighing(looks, CheckpointSettings(folders=(("x.log", "/w"),))))
    path = scene.write(bars(1, "0.5", "0.4") + bars(2, "nan", "nan", "nan", "nan"))
    scene.write(bars(1, "0.5", "0.4"), "y.log")
    first = scene.step().snapshots[path]
    assert first.view is not None
    assert set(looks.asked) == {first.view.run.id}
    assert first.weights is None
    looks.answer = Weights("/w", (), None, problem="no checkpoints in this folder")
    assert scene.step().snapshots[path].weights == looks.answer
    scene.write(bars(3, "nan"))
    assert scene.step().snapshots[path].weights == looks.answer
    scene.following.close()
    assert looks.is_closed


def test_of_runs_that_were_lost_the_newest_is_looked_through_first(tmp_path: Path) -> None:
    """Whoever opens the dashboard has come for what happened last."""
    looks = Looks()
    scene = Scene(tmp_path, weighing=Weighing(looks, CheckpointSettings(folders=(("*", "/w"),))))
    lost = bars(1, "0.5", "0.4") + bars(2, "nan", "nan", "nan", "nan")
    paths = [scene.write(lost, f"{name}.log") for name in "abc"]
    for path, ago in zip(paths, (50.0, 5.0, 500.0), strict=True):
        os.utime(path, (START - ago,) * 2)
    scene.step()
    assert list(dict.fromkeys(looks.asked)) == [str(paths[1]), str(paths[0]), str(paths[2])]
    scene.following.close()
