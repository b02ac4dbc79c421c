"""Sets of files that are one checkpoint: shards with an index or numbered names, a model with its optimizer."""

from __future__ import annotations

import json
import math
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from nanwatch.checkpoints.found import Found
from nanwatch.model.checkpoint import BadTensor, Checkpoint, CheckpointState, Part

_T = TypeVar("_T")


class Scan(Protocol):
    """What looks through one file."""

    def __call__(self, path: Path, *, seconds: float = math.inf) -> Checkpoint:
        """Return what *path* holds, or that there was no time to see it in *seconds*."""


_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.(?:safetensors|bin|pt|pth))")
_INDEX = re.compile(r".+\.(?:safetensors|bin)\.index\.json")
_MOST_INDEX = 16 << 20
_MOST_STATE = 32 << 20
_MOST_VALUES = 400_000
"""In such a file: each may cost a hundred bytes of memory."""
_LARGEST = 1 << 53
_NAMED_MISSING = 3
_SEVERITY: tuple[CheckpointState, ...] = (
    "hostile", "nonfinite", "changing", "corrupted", "truncated", "unreadable", "clean",
)  # fmt: skip
"""What a set is, when its files are different things: the first of these that one of them is."""
_PARTS = ("model", "EMA", "optimizer")
_OPTIMIZER = re.compile(r"optimizer\.(?:pt|bin)|.*optim_states\.pt")


class ShardSet(NamedTuple):
    """A set by its names: `head` is its index, or its first file; `missing` names what is not there."""

    head: str
    files: tuple[str, ...]
    missing: tuple[str, ...]


def is_index(name: str) -> bool:
    """Tell whether a file is called as the index of a set of shards."""
    return _INDEX.fullmatch(name) is not None


def sets_in(folder: Path, names: Iterable[str]) -> list[ShardSet]:
    """Return the sets among *names* of *folder*: what an index names, then what is numbered without one."""
    there = set(names)
    found, taken = [], set[str]()
    for index in sorted(filter(is_index, there)):
        wanted = _indexed(folder / index)
        if wanted:
            found.append(ShardSet(index, tuple(n for n in wanted if n in there), _missing(wanted, there)))
            taken |= set(wanted)
    numbered: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name in sorted(there - taken):
        if match := _SHARD.fullmatch(name):
            numbered[match[1], match[3], match[4]].append(name)
    for (stem, total, _), files in numbered.items():
        found.append(ShardSet(files[0], tuple(files), _unnumbered(stem, int(total), files)))
    return found


def _indexed(index: Path) -> list[str]:
    """Return the files that an index names; only plain names, as it may come from anywhere."""
    named = _json_object(index, _MOST_INDEX).get("weight_map")
    files = set(named.values()) if isinstance(named, dict) and all(map(_is_plain, named.values())) else set()
    return sorted(files)


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")


def _json_object(path: Path, most: int) -> dict[str, object]:
    """Return a JSON object beside the weights; what is none, or cannot be read, tells nothing."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            return {}
        with path.open("rb") as file:
            raw = file.read(most)
        head, history, _ = raw.partition(b'"log_history"')  # it grows with the run, and stands behind what is wanted
        raw = head + b'"log_history":0}' if history else raw
        found = json.loads(raw) if raw.count(b",") + raw.count(b"[") < _MOST_VALUES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _missing(wanted: list[str], there: set[str]) -> tuple[str, ...]:
    lost = [name for name in wanted if name not in there]
    words = []
    for name in lost[:_NAMED_MISSING]:
        match = _SHARD.fullmatch(name)
        words.append(f"shard {int(match[2])} of {int(match[3])} is missing" if match else f"{name} is missing")
    return (*words, *_more_missing(len(lost)))


def _unnumbered(stem: str, total: int, files: list[str]) -> tuple[str, ...]:
    """Say which of *total* numbered shards are not among *files*; a name may claim a great many."""
    there = {int(name.removeprefix(stem)[1:6]) for name in files}
    lost = islice((number for number in range(1, total + 1) if number not in there), _NAMED_MISSING)
    words = [f"shard {number} of {total} is missing" for number in lost]
    return (*words, *_more_missing(total - sum(1 <= number <= total for number in there)))


def _more_missing(lost: int) -> tuple[str, ...]:
    return (f"{lost - _NAMED_MISSING:,} more are missing",) if lost > _NAMED_MISSING else ()


# -- one result of several


def scan_found(
    found: Found, scan: Scan, first_bad: int, seconds_left: Callable[[], float] = lambda: math.inf
) -> Checkpoint:
    """Return what a checkpoint holds, of whatever files it consists, as far as can be seen in the time that is left."""
    results = [_with_role(file, _scan_regular(file, scan, seconds_left()), len(found.files)) for file in found.files]
    if len(results) == 1 and not found.missing and found.path == found.files[0]:
        return results[0]
    whole = _merged(found, results, first_bad)
    return _with_trainer_state(whole, found.path if found.path.is_dir() else found.path.parent)


def _scan_regular(path: Path, scan: Scan, seconds: float) -> Checkpoint:
    """Scan a file that is one: to open a pipe or a device may wait for ever."""
    try:
        status = path.stat()
    except OSError as error:
        return Checkpoint(str(path), "unreadable", problem=(error.strerror or "cannot be read").lower())
    if not stat.S_ISREG(status.st_mode):
        return Checkpoint(str(path), "unreadable", problem="is no regular file")
    return scan(path, seconds=max(0.0, seconds))


def _with_role(file: Path, result: Checkpoint, files: int) -> Checkpoint:
    """Return *result* with the tensors of a file of optimizer state counted as such: alone they do not tell."""
    if files < 2 or not _OPTIMIZER.fullmatch(file.name):
        return result
    parts = tuple(replace(part, name="optimizer") for part in result.parts)
    bad = tuple(replace(tensor, part="optimizer") for tensor in result.bad)
    return replace(result, parts=parts, bad=bad)


def _merged(found: Found, results: list[Checkpoint], first_bad: int) -> Checkpoint:
    states: list[CheckpointState] = [result.state for result in results]
    if found.missing or not results:
        states.append("truncated")
    state = min(states, key=_SEVERITY.index)
    told = [(r.state, f"{Path(r.path).name}: {r.problem}") for r in results if r.problem]
    told += [("truncated", text) for text in found.missing]
    problem = next((text for kind, text in told if kind == state), "")
    remarks = [text for _, text in told if text != problem]
    remarks += [text for result in results for text in result.remarks]
    return Checkpoint(
        str(found.path), state, "+".join(dict.fromkeys(r.format for r in results if r.format)), problem,
        tuple(dict.fromkeys(remarks)), sum(r.size for r in results), found.modified_at,
        _merged_parts(part for result in results for part in result.parts), _merged_bad(results, first_bad),
        sum(r.bad_tensors for r in results), _first(r.epoch for r in results), _first(r.step for r in results),
        _first(r.best for r in results), _first(r.saved_at for r in results),
        tuple(str(file) for file in found.files), sum(r.seconds for r in results),
    )  # fmt: skip


def _merged_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    found: dict[str, Part] = {}
    for part in parts:
        old = found.get(part.name, Part(part.name, 0, 0))
        counts = (old.tensors + part.tensors, old.elements + part.elements, old.nan + part.nan, old.inf + part.inf)
        found[part.name] = Part(part.name, *counts)
    return tuple(
        sorted(found.values(), key=lambda part: _PARTS.index(part.name) if part.name in _PARTS else len(_PARTS))
    )


def _merged_bad(results: list[Checkpoint], first_bad: int) -> tuple[BadTensor, ...]:
    return tuple(tensor for result in results for tensor in result.bad)[:first_bad]


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _with_trainer_state(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """Return *checkpoint* with what the Hugging Face Trainer notes beside it."""
    state = _json_object(folder / "trainer_state.json", _MOST_STATE)
    epoch, step, best = (state.get(name) for name in ("epoch", "global_step", "best_metric"))
    if checkpoint.step is None and type(step) is int and 0 <= step < _LARGEST:
        checkpoint = replace(checkpoint, step=step)
    if checkpoint.epoch is None and isinstance(epoch, int | float) and 0 <= epoch < 1e9:
        checkpoint = replace(checkpoint, epoch=int(epoch))
    if checkpoint.best is None and isinstance(best, int | float) and abs(best) < _LARGEST:
        checkpoint = replace(checkpoint, best=("best_metric", float(best)))
    return checkpoint
