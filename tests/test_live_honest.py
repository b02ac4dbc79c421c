"""Following, shared with other faces, under less common conditions."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from nanwatch.facts import alert_id
from nanwatch.model.alert import Silence
from nanwatch.model.snapshot import Snapshot
from nanwatch.sharing import Sharing
from nanwatch.store import open_store
from tests.support.logs import bars
from tests.test_following import Scene, alerts_of

BURST = bars(1, "0.5", "nan", "nan", "nan", "nan")


def shown(scene: Scene, path: Path) -> dict[str, tuple[str, ...]]:
    """Return the rules that fire in what was handed over last, and why nobody is told of them."""
    return alerts_of(scene.following._shown[path])


def test_a_silence_that_is_ended_elsewhere_holds_no_longer(tmp_path: Path) -> None:
    """A silence that was set here and ended by `nanwatch daemon unsilence` holds here no longer."""
    scene = Scene(tmp_path, tmp_path / "state")
    path = scene.write(BURST)
    scene.step()
    silence = Silence("nan_burst", str(path), starts_at=scene.clock.now())
    scene.step(1.0, lambda following: following.silence(silence))
    assert shown(scene, path)["nan_burst"] == ("silenced",)
    store = open_store(tmp_path / "state")
    assert [store.end_silence(s.number, scene.clock.now()) for s in store.silences()] == [True]
    scene.step(2.0)
    assert shown(scene, path)["nan_burst"] == ()


def test_an_acknowledgement_that_is_taken_back_elsewhere_holds_no_longer(tmp_path: Path) -> None:
    """An alert that was acknowledged here, and no longer is by another face, is not acknowledged here."""
    scene = Scene(tmp_path, tmp_path / "state")
    path = scene.write(BURST)
    view = scene.step().snapshots[path].view
    assert view is not None
    ids = [alert.id for alert in view.alerts]
    scene.step(1.0, lambda following: following.acknowledge(path, ids))
    assert shown(scene, path)["nan_burst"] == ("acknowledged",)
    other = Sharing(tmp_path / "state")
    for local in ids:
        other.acknowledge(alert_id(str(path), local), None)
    scene.step(2.0)
    assert shown(scene, path)["nan_burst"] == ()


def test_an_acknowledgement_after_one_taken_back_here_holds(tmp_path: Path) -> None:
    """An alert whose acknowledgement was taken back here, and that another face acknowledges later, is acknowledged."""
    scene = Scene(tmp_path, tmp_path / "state")
    path = scene.write(BURST)
    view = scene.step().snapshots[path].view
    assert view is not None
    ids = [alert.id for alert in view.alerts]
    scene.step(1.0, lambda following: following.acknowledge(path, ids))
    scene.step(1.0, lambda following: following.acknowledge(path, ids, undo=True))
    other = Sharing(tmp_path / "state")
    for local in ids:
        other.acknowledge(alert_id(str(path), local), scene.clock.now())
    scene.step(2.0)
    assert shown(scene, path)["nan_burst"] == ("acknowledged",)


def test_a_state_folder_of_somebody_else_is_a_problem_and_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store's folder may not be looked into, wishes hold here only, and that is said."""

    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    sharing = Sharing(tmp_path / "state")
    monkeypatch.setattr(Path, "stat", denied)  # what a folder with mode 0700 does to other users
    assert sharing.look(0.0).silences == ()
    assert "permission denied" in sharing.problem.lower()


def test_the_counters_of_a_run_without_epochs_are_up_to_date(tmp_path: Path) -> None:
    """The nameless row of a run that prints steps only has the NaN that came since the last snapshot, too."""
    scene = Scene(tmp_path)
    path = scene.write(b"".join(b"step %d/1000 loss: 0.5\n" % n for n in range(1, 20)))
    scene.step()
    scene.write(b"".join(b"step %d/1000 loss: nan\n" % n for n in range(20, 25)))
    scene.step()
    scene.write(b"".join(b"step %d/1000 loss: nan\n" % n for n in range(25, 45)))
    view = scene.step().snapshots[path].view
    assert view is not None
    assert (view.run.nan_batches, view.run.table[-1].nan_batches) == (25, 25)


def test_an_empty_log_is_no_history(tmp_path: Path) -> None:
    """A log without a byte has been read to its end once the first look is over."""
    path = tmp_path / "x.log"
    path.touch()
    scene = Scene(tmp_path)
    scene.following.look_at_ends()
    assert scene.step().is_live
    assert scene.following._shown[path] == Snapshot(path, None, {}, path.stat().st_mtime, 0, 0, None, False)


def test_the_losses_of_a_snapshot_stand_still(tmp_path: Path) -> None:
    """The peaks of a snapshot's epochs do not grow with those of the run that goes on."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, *["0.5"] * 300))
    scene.step()
    frames = (b"\n" + bars(2, *["0.5"] * 50, *["900"] * 5, *["9000"] * 9)).split(b"\r")
    scene.write(b"\r".join(frames[:-8]))
    view = scene.step().snapshots[path].view
    assert view is not None
    before = deepcopy(view.run.table[2].peaks)
    assert before
    scene.write(b"\r" + b"\r".join(frames[-8:]))
    scene.step()
    assert view.run.table[2].peaks == before


def test_a_critical_alert_is_handed_over_as_it_was(tmp_path: Path) -> None:
    """What is told of a new critical alert is a copy, which later findings do not change."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, "0.5", "0.4"))
    scene.step()
    scene.step(5.0)
    scene.write(bars(2, "nan", "nan", "nan", "nan"))
    critical = scene.step().critical
    live = {id(alert) for alert in scene.following._watch.pipelines[path].firing}
    assert critical
    assert not live & {id(alert) for _, alert in critical}


def test_the_store_that_was_replaced_is_looked_at(tmp_path: Path) -> None:
    """A store that was deleted and made anew while it was open here is the one that is read from then on."""
    state = tmp_path / "state"
    open_store(state).database.close()
    sharing = Sharing(state)
    sharing.look(0.0)
    for file in state.glob("nanwatch.db*"):
        file.unlink()
    open_store(state).add_silence(Silence("nan_burst", starts_at=1.0), "x")
    sharing.look(2.0)
    assert [s.rule for s in sharing.look(4.0).silences] == ["nan_burst"]


def test_how_long_a_run_is_silent_is_told_as_time_goes_by(tmp_path: Path) -> None:
    """A run that has been stalled for hours is not said to be silent for as long as it was when that was noticed."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, *["0.5"] * 50))
    scene.step()
    for frame in (b"\n" + bars(2, *["0.5"] * 60)).split(b"\r")[1:40]:
        scene.write(b"\r" + frame)
        scene.step(1.0)
    for _ in range(200):
        scene.step(60.0)
    view = scene.following._shown[path].view
    assert view is not None
    assert view.silence is not None
    assert view.silence > 3 * 3600
    assert [a.message for a in view.alerts] == [a.message for a in scene.following._watch.pipelines[path].firing]


def test_a_clock_that_is_set_is_no_silence(tmp_path: Path) -> None:
    """After the clock was set, or the machine suspended, a log grew as long ago as before."""
    scene = Scene(tmp_path)
    path = scene.write(bars(1, *["0.5"] * 50))
    scene.step()
    scene.write(b"\n" + bars(2, *["0.5"] * 5))
    scene.step()
    scene.step(5.0)
    scene.clock.step(8 * 3600.0)
    scene.step(2.0)
    grew_at = scene.following._shown[path].grew_at
    assert grew_at is not None
    assert scene.clock.now() - grew_at == pytest.approx(7.0)


def test_an_epoch_that_was_done_again_is_shown_as_it_is(tmp_path: Path) -> None:
    """What an earlier epoch tells between two snapshots is in the next one, though the run is back where it was."""
    scene = Scene(tmp_path)
    path = scene.write(b"\n".join(bars(epoch, *["0.5"] * 30, epochs=9) for epoch in (3, 4, 5)))
    scene.step()
    scene.write(b"\n" + bars(5, *["0.5"] * 10, total=30, epochs=9))
    scene.step()
    again = bars(4, *["0.5"] * 10, *["nan"] * 10, *["0.25"] * 10, epochs=9)
    scene.write(b"\n" + again + b"\n" + bars(5, *["0.1"] * 5, total=30, epochs=9))
    view = scene.step().snapshots[path].view
    assert view is not None
    assert (view.run.table[4].nan_batches, view.run.table[4].losses) == (10, {"loss": 0.25})
