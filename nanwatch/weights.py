"""Where a run keeps its checkpoints, as far as its log, its process or the config tell, and what they hold."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from nanwatch.clock import Clock
from nanwatch.config import CheckpointSettings
from nanwatch.model.checkpoint import Weights
from nanwatch.model.run import Run

_SETTINGS = (
    "checkpoint_dir", "ckpt_dir", "checkpoint_path", "ckpt_path", "checkpoints_dir", "dirpath", "save_dir", "save_path",
    "save_folder", "weights_dir", "output_dir", "out_dir", "output_path", "default_root_dir", "work_dir", "run_dir",
    "model_dir",
)  # fmt: skip
"""What trainers call the folder that they save to, the most telling name first."""
_FILE = re.compile(r"\.(?:pth?|ckpt|bin|safetensors|np[yz]|h5|hdf5|keras|tar|pkl|pickle)$")
"""How a path ends that names a checkpoint, and not the folder of some."""
_MOST = 50
"""Files of a folder that are looked at."""
_PLACES = 100


def named_folders(run: Run, settings: CheckpointSettings) -> list[str]:
    """Return the folders in which *run* may keep its weights, as they are named, the most telling first."""
    name = os.path.basename(run.log)  # noqa: PTH119 - a text, of which some may be none that a path takes
    found = [folder for pattern, folder in settings.folders if fnmatch(run.log, pattern) or fnmatch(name, pattern)]
    for path in reversed(run.saved):
        head, tail = os.path.split(path.rstrip("/"))
        found += [head or "."] if _FILE.search(tail) else [path]
    found += [run.output_folder] if run.output_folder else []
    values = {name.lower(): value for name, value in run.hyperparameters.items()}
    found += [value.strip("'\"") for key in _SETTINGS if (value := values.get(key, "None")) not in ("", "None")]
    return list(dict.fromkeys(folder for folder in found if "\0" not in folder))


def places_of(run: Run, settings: CheckpointSettings) -> list[Path]:
    """Return the folders in which the weights of *run* may lie, the likeliest first; nobody has looked there."""
    found = [place for named in named_folders(run, settings) for place in _places(named, run)]
    return list(dict.fromkeys(found))[:_PLACES]


def weights_at(places: Iterable[Path], seconds: float, clock: Clock) -> Weights | None:
    """Return what the first of *places* with checkpoints holds, the newest first up to the last clean one.

    None where none of them holds any. It takes *seconds* at most.
    """
    from nanwatch.checkpoints.folder import scan_folder
    from nanwatch.checkpoints.scan import scan_file  # numpy comes with it

    for place in places:
        if place.is_dir():
            found = scan_folder(place, scan_file, limit=_MOST, seconds=seconds, steady=clock.steady, now=clock.now())
            if found.checkpoints:
                return found
    return None


def weights_of(run: Run, settings: CheckpointSettings, clock: Clock) -> Weights | None:
    """Return what the checkpoints of *run* hold; None where it has none here, or nobody knows where."""
    return weights_at(places_of(run, settings), settings.timeout, clock)


def _places(named: str, run: Run) -> Iterator[Path]:
    """Yield where a folder may be that the trainer *named*: relative to what, nobody has told."""
    path = Path(named).expanduser() if named.startswith("~/") else Path(named)
    if path.is_absolute():
        yield from [path] if path.parent != path else []
    elif path != Path():  # in the folder where everything lies, nobody can tell which weights are the run's
        yield from (base / path for base in _bases(run))


def _bases(run: Run) -> Iterator[Path]:
    """Yield the folders in which the trainer may work: its process's own, the log's, and the one above that."""
    if run.process is not None and run.process.alive:
        with suppress(OSError):  # another user's, or gone by now: the other places are left
            yield Path(f"/proc/{run.process.pid}/cwd").readlink()
    log = Path(run.log).absolute()
    yield log.parent
    yield log.parent.parent
