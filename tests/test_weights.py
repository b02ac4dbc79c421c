"""Where a run keeps its checkpoints: as its log, its settings, its process and the config tell."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nanwatch.clock import ManualClock
from nanwatch.config import CheckpointSettings
from nanwatch.model.run import Process, Run
from nanwatch.weights import named_folders, places_of, weights_at, weights_of
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
    found = weights_at(places, 10.0, ManualClock(7.0))
    assert found is not None
    assert found.folder == str(tmp_path / "full")
    assert found.last_clean is not None
    assert found.scanned_at == 7.0
    assert weights_at(places[:-1], 10.0, ManualClock()) is None


def test_a_run_of_a_real_log_finds_its_weights(tmp_path: Path) -> None:
    """What Ultralytics prints is enough, wherever its log is read."""
    data = (CAPTURES / "ultralytics" / "v8n_8.3.100_redirect_gradguard.log").read_bytes()
    old, new = b"/home/ml/cod/runs/v8n_8.3.100_redirect_gradguard", bytes(tmp_path / "run")
    run = read(data.replace(old, new)).runs[-1]
    assert weights_of(run, NONE, ManualClock()) is None
    (tmp_path / "run" / "weights").mkdir(parents=True)
    np.savez(tmp_path / "run" / "weights" / "last.npz", w=np.ones(3, np.float32))
    found = weights_of(run, NONE, ManualClock())
    assert found is not None
    assert found.last_clean is not None
