"""Where a run keeps its checkpoints, as far as its log, its process or the config tell, and what they hold."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.clock import Clock
from nanwatch.config import CheckpointSettings
from nanwatch.model.alert import Alert
from nanwatch.model.checkpoint import Weights
from nanwatch.model.run import Run

if TYPE_CHECKING:
    from nanwatch.checkpoints.found import Found

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
_LOST = ("metric_collapse", "loss_explosion")


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
    return list(dict.fromkeys(folder for folder in found if _is_path(folder)))


def _is_path(text: str) -> bool:
    """Tell whether a file could be called so."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def places_of(run: Run, settings: CheckpointSettings) -> list[Path]:
    """Return the folders in which the weights of *run* may lie, the likeliest first; nobody has looked there."""
    found = [place for named in named_folders(run, settings) for place in _places(named, run)]
    return list(dict.fromkeys(found))[:_PLACES]


def lost_since(run: Run, alerts: Iterable[Alert]) -> float | None:
    """Return when the epoch began in which loss or metric were lost (Unix seconds); None where no clock tells.

    Weights that were written after that are finite, and of no use all the same.
    """
    began = []
    for alert in alerts:
        if alert.state == "firing" and alert.rule in _LOST and alert.started_at is not None:
            row = run.table.get(alert.epoch) if alert.epoch is not None else None
            began.append(alert.started_at - ((row.seconds or row.elapsed or 0.0) if row is not None else 0.0))
    return min(began, default=None)


def weights_at(places: Iterable[Path], since: float | None, seconds: float, clock: Clock) -> Weights | None:
    """Return what the first of *places* with checkpoints holds, the newest first up to the last clean one.

    None where none of them holds any. What was written after *since* is left out. It takes *seconds* at most.
    """
    from nanwatch.checkpoints.folder import find_checkpoints, scan_all
    from nanwatch.checkpoints.scan import scan_file  # numpy comes with it

    unreadable = None
    for place in places:
        try:
            found = _of_one_run(place, find_checkpoints(place)) if place.is_dir() else []
        except OSError as error:  # the other places may be
            why = (error.strerror or str(error)).lower()
            unreadable = unreadable or Weights(str(place), problem=f"cannot be read: {why}", scanned_at=clock.now())
            continue
        usable = [item for item in found if since is None or item.modified_at < since]
        later = len(found) - len(usable)
        if usable:
            weights = scan_all(
                str(place), usable, scan_file, limit=_MOST, seconds=seconds, steady=clock.steady, now=clock.now()
            )
            return replace(weights, since=since, later=later)
        if found:
            why = "no checkpoint from before it began"
            return Weights(str(place), problem=why, scanned_at=clock.now(), since=since, later=later)
    return unreadable


def weights_of(run: Run, alerts: Iterable[Alert], settings: CheckpointSettings, clock: Clock) -> Weights | None:
    """Return what the checkpoints of *run* hold; None where it has none here, or nobody knows where."""
    return weights_at(places_of(run, settings), lost_since(run, alerts), settings.timeout, clock)


def _of_one_run(place: Path, found: list[Found]) -> list[Found]:
    """Return those of *found* that lie in *place* itself; where none does, those beside the newest one below it."""
    here = [item for item in found if item.path.parent == place]
    return here or [item for item in found if item.path.parent == found[0].path.parent]


def _places(named: str, run: Run) -> Iterator[Path]:
    """Yield where a folder may be that the trainer *named*: relative to what, nobody has told."""
    # Of a user without a home it stays as it is, which Path.expanduser makes an error.
    path = Path(os.path.expanduser(named)) if named.startswith("~/") else Path(named)  # noqa: PTH111
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
