"""Folders of checkpoints: which files are some, which is the newest, which the last clean one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from nanwatch.checkpoints.found import Found, newest_first
from nanwatch.checkpoints.shards import Scan, is_index, scan_found, sets_in
from nanwatch.model.checkpoint import Checkpoint, Weights

_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".npy", ".h5", ".hdf5", ".keras")
_HEADS = (b"PK\3\4", b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
"""How weights that are called .bin begin: so is much else, such as data sets."""
_BESIDE = re.compile(
    r"(?:scheduler|lr_scheduler|scaler|rng_state.*|random_states.*|training_args|sampler.*|dataloader.*)\.\w+"
)
"""What trainers keep beside the weights, that holds none."""
_OPTIMIZERS = ("optimizer.pt", "optimizer.bin")
_UNIT = re.compile(r"checkpoint-\d+|global_step\d+")
_MODEL = re.compile(r"(?:pytorch_model|model|adapter_model).*\.(?:bin|safetensors)")
_SKIPPED = re.compile(r"\..*|tmp-.*|__pycache__|node_modules|site-packages")
_MOST_ENTRIES = 200_000
_DEEPEST = 8
_MOST_ASKED = 20
"""Files that are asked for their epoch before any of their numbers are looked at."""
_OTHERS_AFTER_WEIGHTS = 1
"""After a clean file without optimizer state, so many more are looked at for one that has it."""


def find_checkpoints(path: Path) -> list[Found]:
    """Return the checkpoints in the folder *path* and below, newest first.

    Links to folders are not followed; a file of several names counts once; temporary files are left out.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    found, seen, left = [], set[tuple[int, int]](), _MOST_ENTRIES
    stack = [(path, 0)]
    while stack and left > 0:
        folder, depth = stack.pop()
        names, inner, looked = _listed(folder, left, is_asked=depth == 0)
        left -= looked
        if depth < _DEEPEST:
            stack += [(folder / name, depth + 1) for name in sorted(inner, reverse=True)]
        found += [item for item in _in_folder(folder, names) if not _is_known(item, seen)]
    return newest_first(found)


def found_file(path: Path) -> Found:
    """Return what was named as a file: itself, or the set that it is the index of."""
    if is_index(path.name):
        names, _, _ = _listed(path.parent, _MOST_ENTRIES, is_asked=False)
        for shards in sets_in(path.parent, names):
            if shards.head == path.name:
                files = tuple(path.parent / name for name in shards.files)
                return Found(path, files, *_age_and_size(files), shards.missing)
    return Found(path, (path,), *_age_and_size((path,)))


def _is_known(item: Found, seen: set[tuple[int, int]]) -> bool:
    """Tell whether another name of the same files was found before, and note it."""
    status = [file.stat() for file in item.files if file.exists()]
    keys = {(s.st_dev, s.st_ino) for s in status}
    known = bool(keys) and keys <= seen
    seen |= keys
    return known


def _listed(folder: Path, most: int, is_asked: bool) -> tuple[list[str], list[str], int]:
    """Return the names of a folder's files, of its folders, and how many entries it has, *most* at the highest.

    Where names are links, they come after those of files themselves.
    """
    files, links, folders, looked = list[str](), list[str](), list[str](), 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                looked += 1
                if looked > most:
                    break
                if entry.is_dir(follow_symlinks=False):
                    folders += [] if _SKIPPED.fullmatch(entry.name) else [entry.name]
                elif entry.name.endswith((*_SUFFIXES, ".index.json")):
                    (links if entry.is_symlink() else files).append(entry.name)
    except OSError:
        if is_asked:
            raise
    return sorted(files) + sorted(links), folders, looked


# -- what of a folder is a checkpoint


def _in_folder(folder: Path, names: list[str]) -> Iterator[Found]:
    """Yield the checkpoints that lie directly in *folder*: one, if it is the folder of one."""
    weights = [name for name in names if is_index(name) or _is_weights(folder, name)]
    sets = sets_in(folder, weights)
    in_sets = {name for shards in sets for name in shards.files} | {shards.head for shards in sets}
    single = [name for name in weights if name not in in_sets and not is_index(name)]
    if _is_unit(folder, weights):
        every = [*(name for shards in sets for name in shards.files), *single]
        files = tuple(folder / name for name in _without_twins(every))
        missing = tuple(text for shards in sets for text in shards.missing)
        if files or missing:
            yield Found(folder, files, *_age_and_size(files), missing)
        return
    for shards in sets:
        files = tuple(folder / name for name in shards.files)
        yield Found(folder / shards.head, files, *_age_and_size(files), shards.missing)
    for name in single:
        yield Found(folder / name, (folder / name,), *_age_and_size((folder / name,)))


def _is_unit(folder: Path, weights: list[str]) -> bool:
    """Tell whether the folder is one checkpoint: by its name, or as it has an optimizer beside a model."""
    has_both = any(name in _OPTIMIZERS for name in weights) and any(_MODEL.fullmatch(name) for name in weights)
    return has_both or (bool(weights) and _UNIT.fullmatch(folder.name) is not None)


def _without_twins(names: list[str]) -> list[str]:
    """Return *names* without a model's pickled files where the same weights are there as safetensors."""
    if not any(name.startswith("model") and name.endswith(".safetensors") for name in names):
        return names
    return [name for name in names if not (name.startswith("pytorch_model") and name.endswith(".bin"))]


def _is_weights(folder: Path, name: str) -> bool:
    """Tell whether a file of a fitting name is a regular one and, called .bin, begins as weights do."""
    if name.startswith(".") or _BESIDE.fullmatch(name) or not name.endswith(_SUFFIXES):
        return False
    path = folder / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        if not name.endswith(".bin") or _MODEL.fullmatch(name):
            return True
        with path.open("rb") as file:
            return file.read(4).startswith(_HEADS)
    except OSError:
        return path.is_symlink() is False  # it is there but cannot be read: that is to be told


def _age_and_size(files: tuple[Path, ...]) -> tuple[float, int]:
    """Return when the newest of *files* was written, and the bytes of all; one that vanished has none."""
    newest, size = 0.0, 0
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        newest, size = max(newest, status.st_mtime), size + status.st_size
    return newest, size


# -- the last clean one


def last_clean(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """Return the newest clean one of *checkpoints* (newest first) to start again from.

    Of one epoch or step, one with the optimizer's state comes before one that has only weights, which is remarked on
    where others in its folder have more.
    """
    clean = [checkpoint for checkpoint in checkpoints if checkpoint.state == "clean"]
    if not clean or has_optimizer(clean[0]):
        return clean[0] if clean else None
    newest, beside = clean[0], [item for item in checkpoints if _home(item) == _home(clean[0]) and has_optimizer(item)]
    full = [checkpoint for checkpoint in beside if checkpoint.state == "clean"]
    same = next((checkpoint for checkpoint in full if _where(checkpoint) == _where(newest) is not None), None)
    if same or not beside:
        return same or newest
    more = f"; {Path(full[0].path).name} has its state too" if full else ""
    return replace(newest, remarks=(*newest.remarks, f"weights only: the optimizer would start anew{more}"))


def has_optimizer(checkpoint: Checkpoint) -> bool:
    """Tell whether it holds the state of an optimizer, so that a training goes on as it was."""
    return any(part.name == "optimizer" for part in checkpoint.parts)


def in_order(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Return *checkpoints* (newest first as far as their names tell), set right where their contents tell more.

    Epochs are compared within a folder only: another one may be another run's.
    """
    found = list(checkpoints)
    for home in dict.fromkeys(map(_home, checkpoints)):
        here = [number for number, checkpoint in enumerate(checkpoints) if _home(checkpoint) == home]
        told = [number for number in here if checkpoints[number].epoch is not None]
        told = told or [number for number in here if checkpoints[number].step is not None]
        ordered = sorted(told, key=lambda number: _where(checkpoints[number]) or (-1, -1), reverse=True)
        for place, number in zip(told, ordered, strict=True):
            found[place] = checkpoints[number]
    return found


def _by_contents(found: list[Found]) -> list[Found]:
    """Return *found* in the order in which their contents put them, where a file's name and time may mislead.

    Only what the files say of themselves is read for that, and only of the first ones.
    """
    from nanwatch.checkpoints.scan import scan_file  # numpy comes with it

    first = [item for item in found[:_MOST_ASKED] if item.files == (item.path,) and item.path.is_file()]
    told = {item.path: scan_file(item.path, seconds=0.0) for item in first}
    places = {item.path: place for place, item in enumerate(found)}
    asked = in_order(list(told.values()))
    moved = dict(zip((places[item.path] for item in first), (Path(c.path) for c in asked), strict=True))
    return [found[places[moved.get(place, item.path)]] for place, item in enumerate(found)]


def _home(checkpoint: Checkpoint) -> Path:
    return Path(checkpoint.path).parent


def _where(checkpoint: Checkpoint) -> tuple[int, int] | None:
    """Return the epoch and step at which it was saved, as far as it says."""
    if checkpoint.epoch is None and checkpoint.step is None:
        return None
    return (-1 if checkpoint.epoch is None else checkpoint.epoch, -1 if checkpoint.step is None else checkpoint.step)


def scan_folder(
    path: Path, scan: Scan, *, limit: int, seconds: float, steady: Callable[[], float],
    every: bool = False, first_bad: int = 10, now: float | None = None,
) -> Weights:  # fmt: skip
    """Look through the checkpoints of the folder *path* with *scan*, newest first, until one is clean (or *every* one).

    At most *limit* checkpoints, and none after *seconds* of the *steady* clock, are begun; *now* is noted.
    """
    try:
        found = find_checkpoints(path)
    except OSError as error:
        why = (
            "folder is missing"
            if isinstance(error, FileNotFoundError)
            else (error.strerror or "cannot be read").lower()
        )
        return Weights(str(path), problem=why, scanned_at=now)
    if not found:
        return Weights(str(path), problem="no checkpoints in this folder", scanned_at=now)
    return scan_all(str(path), found, scan, limit=limit, seconds=seconds, steady=steady, every=every,
                    first_bad=first_bad, now=now)  # fmt: skip


def scan_all(
    name: str, found: list[Found], scan: Scan, *, limit: int | None, seconds: float, steady: Callable[[], float],
    every: bool = False, first_bad: int = 10, now: float | None = None,
) -> Weights:  # fmt: skip
    """Look through *found* (newest first), as `scan_folder` does."""
    began, done, patience = steady(), list[Checkpoint](), _OTHERS_AFTER_WEIGHTS
    for item in found[:limit] if every else _by_contents(found[:limit]):
        if done and steady() - began >= seconds:
            break
        done.append(scan_found(item, scan, first_bad, lambda: began + seconds - steady()))
        if every or done[-1].state != "clean":
            continue
        if has_optimizer(done[-1]) or patience == 0:
            break
        patience -= 1
    done = in_order(done)
    return Weights(name, tuple(done), last_clean(done), len(found) - len(done), scanned_at=now)
