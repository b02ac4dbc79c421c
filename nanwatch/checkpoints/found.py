"""Checkpoints that were found but not read yet: their files, and which of them is the newest."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NUMBERED = re.compile(r"(?i)(?<![a-z])(?:epochs?|ep|steps?|iter|it|checkpoint|ckpt|chkpt|e)[-_=]?(\d{1,12})")
_DIGITS = re.compile(r"\d+")
_LAST = re.compile(r"(?i)(?:^|[-_.])(?:last|latest|final)(?:[-_.]|$)")
_BEST = re.compile(r"(?i)(?:^|[-_.])best(?:[-_.]|$)")
_SAME_MOMENT = 60.0
"""Seconds within which a trainer writes the files of one epoch, in an order of its own."""


@dataclass(frozen=True, slots=True)
class Found:
    """One checkpoint: a file, a set of shards, or a folder of model and optimizer; `path` is what one restarts from.

    `missing` names shards that are not there. `modified_at` is the newest of its files, in Unix seconds.
    """

    path: Path
    files: tuple[Path, ...]
    modified_at: float
    size: int = 0
    missing: tuple[str, ...] = ()


def number_of(name: str) -> tuple[int, ...] | None:
    """Return the epoch and step that a file's name tells: `epoch=3-step=500.ckpt` gives (3, 500)."""
    told = _NUMBERED.findall(name)
    digits = told or _DIGITS.findall(name)
    if not told and len(digits) != 1:
        return None
    return tuple(int(text[:12]) for text in digits)


def newest_first(found: Iterable[Found]) -> list[Found]:
    """Return *found*, newest first: by the number in names of one kind in one folder, else by time.

    A copied folder has lost its times: files of one kind share theirs out in the order of their numbers.
    """
    kinds: dict[object, list[tuple[tuple[int, ...], Found]]] = defaultdict(list)
    for item in found:
        name, number = item.path.name, number_of(item.path.name)
        kind = (item.path.parent, _DIGITS.sub("#", name) if number else name, len(number or ()))
        kinds[kind].append((number or (), item))
    dated = []
    for members in kinds.values():
        times = sorted(item.modified_at for _, item in members)
        in_order = sorted(members, key=lambda pair: (pair[0], pair[1].modified_at))
        dated += [(time + _lean(item), number, item) for time, (number, item) in zip(times, in_order, strict=True)]
    dated.sort(key=lambda entry: (entry[0], entry[1], str(entry[2].path)), reverse=True)
    return [item for _, _, item in dated]


def _lean(item: Found) -> float:
    """Return seconds by which a name moves it among files of one moment: `last` before, `best` behind the others."""
    stem = item.path.stem
    return _SAME_MOMENT if _LAST.search(stem) else -_SAME_MOMENT if _BEST.search(stem) else 0.0
