"""Where a run keeps its checkpoints: as its log, its settings, its process and the config tell."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nanwatch.clock import ManualClock
from nanwatch.config import CheckpointSettings
from nanwatch.model.alert import Alert, State
from nanwatch.model.run import Epoch, Process, Run
from nanwatch.weights import lost_since, named_folders, places_of, weights_at, weights_of
from tests.support.logs import CAPTURES, read

NONE = CheckpointSettings()


def a_run(**known: object) -> Run:
    """Return a run of which so much is known."""
    run = Run("i", "/data/exp/logs/seg.log")
    for name, value in known.items():
        setattr(run, name, value)
    return run


@pytest.mark.parametrize(
    ("known", "folders"),
    [
        ({"saved": ["/w/a/e1.pth", "/w/b/e2.pth"]}, ["/w/b", "/w/a"]),
        ({"saved": ["out"]}, ["out"]),
        ({"saved": ["/w/checkpoint-500/"]}, ["/w/checkpoint-500/"]),
        ({"saved": ["best.pt"]}, ["."]),
        ({"output_folder": "runs/v8m"}, ["runs/v8m"]),
        ({"hyperparameters": {"output_dir": "'/w'", "save_dir": "/s"}}, ["/s", "/w"]),
        ({"hyperparameters": {"save_dir": "None", "out_dir": ""}}, []),
        ({"saved": ["/w/e1.pt"], "output_folder": "/o", "hyperparameters": {"save_dir": "/w"}}, ["/w", "/o"]),
        ({"output_folder": "/bad\0"}, []),
        ({}, []),
    ],
)
def test_what_the_log_names_is_where_weights_are(known: dict[str, object], folders: list[str]) -> None:
    """The checkpoint that was written last comes first, then the trainer's folder, then its settings."""
    assert named_folders(a_run(**known), NONE) == folders


def test_the_config_knows_best() -> None:
    """A pattern of the config over the log's path or name comes before all that the log says."""
    settings = CheckpointSettings(folders=(("*/exp/*", "/one"), ("seg*", "/two"), ("other", "/three")))
    assert named_folders(a_run(output_folder="/o"), settings) == ["/one", "/two", "/o"]


def test_a_relative_folder_is_looked_for_where_the_trainer_may_work() -> None:
    """Its process tells its own folder; else it is beside the log, or one folder above."""
    run = a_run(output_folder="runs/a", process=Process(os.getpid(), "python", 0.0))
    assert places_of(run, NONE) == [Path.cwd() / "runs/a", Path("/data/exp/logs/runs/a"), Path("/data/exp/runs/a")]
    assert run.process is not None
    run.process.alive = False
    assert places_of(run, NONE)[0] == Path("/data/exp/logs/runs/a")


@pytest.mark.parametrize("named", [".", "/", "./"])
def test_a_folder_in_which_everything_lies_tells_nothing(named: str) -> None:
    """Whose weights those are that lie in the folder of a project, or in the root, nobody can tell."""
    assert places_of(a_run(output_folder=named), NONE) == []


def test_the_first_place_that_holds_checkpoints_counts(tmp_path: Path) -> None:
    """Folders that are missing, empty or no folders are passed over."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    np.savez(tmp_path / "full" / "a.npz", w=np.ones(3, np.float32))
    places = [tmp_path / name for name in ("none", "empty", "file", "full")]
    found = weights_at(places, None, 10.0, ManualClock(7.0))
    assert found is not None
    assert found.folder == str(tmp_path / "full")
    assert found.last_clean is not None
    assert found.scanned_at == 7.0
    assert weights_at(places[:-1], None, 10.0, ManualClock()) is None


def test_a_run_of_a_real_log_finds_its_weights(tmp_path: Path) -> None:
    """What Ultralytics prints is enough, wherever its log is read."""
    data = (CAPTURES / "ultralytics" / "v8n_8.3.100_redirect_gradguard.log").read_bytes()
    old, new = b"/home/ml/cod/runs/v8n_8.3.100_redirect_gradguard", bytes(tmp_path / "run")
    run = read(data.replace(old, new)).runs[-1]
    assert weights_of(run, [], NONE, ManualClock()) is None
    (tmp_path / "run" / "weights").mkdir(parents=True)
    np.savez(tmp_path / "run" / "weights" / "last.npz", w=np.ones(3, np.float32))
    found = weights_of(run, [], NONE, ManualClock())
    assert found is not None
    assert found.last_clean is not None


def test_what_was_written_after_a_metric_was_lost_is_no_checkpoint_to_start_again_from(tmp_path: Path) -> None:
    """Its weights are finite, and hold nothing any more; where there is nothing else, that is said."""
    for name, at in (("epoch97.npz", 900.0), ("epoch98.npz", 1000.0), ("last.npz", 1001.0)):
        np.savez(tmp_path / name, w=np.ones(3, np.float32))
        os.utime(tmp_path / name, (at, at))
    found = weights_at([tmp_path], 950.0, 10.0, ManualClock())
    assert found is not None
    assert found.last_clean is not None
    assert (Path(found.last_clean.path).name, found.since, found.later) == ("epoch97.npz", 950.0, 2)
    found = weights_at([tmp_path], 800.0, 10.0, ManualClock())
    assert found is not None
    assert (found.problem, found.later) == ("no checkpoint from before it began", 3)


def test_a_metric_is_lost_since_its_epoch_began() -> None:
    """The alert comes at the epoch's end; the weights of that epoch are lost too. A NaN asks for no time at all."""
    run = a_run(table={98: Epoch(98, seconds=60.0), 99: Epoch(99, elapsed=10.0)})

    def alert(rule: str, epoch: int | None, at: float | None, state: State = "firing") -> Alert:
        return Alert("i", rule, "", "critical", state, "", epoch, 1, 0, 1, {}, at)

    assert lost_since(run, [alert("metric_collapse", 98, 1000.0)]) == 940.0
    assert lost_since(run, [alert("loss_explosion", 99, 1005.0), alert("metric_collapse", 98, 1000.0)]) == 940.0
    assert lost_since(run, [alert("loss_explosion", 99, 1005.0)]) == 995.0
    assert lost_since(run, [alert("metric_collapse", None, 7.0)]) == 7.0
    assert lost_since(run, [alert("metric_collapse", 98, None)]) is None
    assert lost_since(run, [alert("nan_burst", 98, 7.0), alert("metric_collapse", 98, 7.0, "resolved")]) is None


def test_weights_of_another_run_below_are_left_out(tmp_path: Path) -> None:
    """What lies in the folder itself comes before what lies below it; of folders below, that of the newest counts."""
    for name in ("a/weights/last.npz", "b/weights/last.npz"):
        (tmp_path / name).parent.mkdir(parents=True)
        np.savez(tmp_path / name, w=np.full(3, np.nan if name[0] == "a" else 1.0, np.float32))
        os.utime(tmp_path / name, (9.0 if name[0] == "a" else 5.0,) * 2)
    found = weights_at([tmp_path], None, 10.0, ManualClock())
    assert found is not None
    assert [c.path for c in found.checkpoints] == [str(tmp_path / "a/weights/last.npz")]
    np.savez(tmp_path / "best.npz", w=np.ones(3, np.float32))
    found = weights_at([tmp_path], None, 10.0, ManualClock())
    assert found is not None
    assert [c.path for c in found.checkpoints] == [str(tmp_path / "best.npz")]


def test_what_no_file_can_be_called_is_no_place() -> None:
    """A log may name anything: what the system would refuse as a name is passed over."""
    run = a_run(saved=["/w\0/a.pt", "/w\ud800/a.pt", "/w\udcff/a.pt", "/w/a.pt"])
    assert named_folders(run, NONE) == ["/w", "/w\udcff"]


def test_a_place_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """The others are looked at; where none of them holds any, that one is named."""
    other, too_long = tmp_path / "other", tmp_path / ("n" * 300)
    other.mkdir()
    found = weights_at([too_long, other], None, 10.0, ManualClock())
    assert found is not None
    assert (found.folder, found.problem) == (str(too_long), "cannot be read: file name too long")
    np.savez(other / "last.npz", w=np.ones(3, np.float32))
    found = weights_at([too_long, other], None, 10.0, ManualClock())
    assert found is not None
    assert found.last_clean is not None


def test_a_user_without_a_home_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user may be unknown: a folder below his home is none that can be found."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", dict[int, object]().__getitem__)
    assert all(place.name == "w" for place in places_of(a_run(saved=["~/w/a.pt"]), NONE))
