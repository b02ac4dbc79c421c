"""What runs are called in the list: without what all of them share, and cut where they do not differ."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from rich.cells import cell_len

from nanwatch.views.words import clean, cut_middle

_NEIGHBOURS = 40
"""Names before and after one, in order, from which it is to be told."""
_PIECES = re.compile(r"[\W_]*(?:\d[\d.]*|[^\W\d_]+)|[\W_]+")
"""What a name is made of: words and numbers, each with the signs before it."""
_ATTEMPTS = 4


def names_of(paths: Collection[Path]) -> dict[Path, str]:
    """Return the short names of logs: without the folders and the ending that all share, each one once."""
    found = {path: "stdin" for path in paths if str(path) == "-"}
    known = [path for path in paths if path not in found]
    if len(known) == 1:
        return found | {known[0]: clean("/".join(known[0].parts[-2:]).lstrip("/"))}
    times: Counter[str] = Counter()
    for path, name in zip(known, _short([str(path).split("/") for path in known]), strict=True):
        times[name] += 1
        found[path] = name if times[name] == 1 else f"{name} ({times[name]})"
    return found


def _short(parts: list[list[str]]) -> list[str]:
    """Return names without the folders and the ending that all share, and without the way to where groups begin."""
    common = _shared(parts)
    parts = [part[common:] for part in parts]
    full = ["/".join(part) for part in parts]
    groups: dict[str, list[list[str]]] = {}
    for part in parts:
        groups.setdefault(part[0], []).append(part)
    # Of several roots, the last folder is enough, unless two logs then had the same name.
    skipped = {root: max(0, _shared(group) - 1) for root, group in groups.items()}
    brief = ["/".join(part[skipped[part[0]] :]) for part in parts]
    times = Counter(brief)
    names = [b if times[b] == 1 else f for b, f in zip(brief, full, strict=True)]
    ending = "." + names[0].rpartition(".")[2] if names and "." in names[0] else ""
    if ending and all(name.endswith(ending) and not ("/" + name).endswith("/" + ending) for name in names):
        names = [name.removesuffix(ending) for name in names]
    return [clean(name.lstrip("/")) for name in names]


def _shared(parts: Sequence[Sequence[str]]) -> int:
    """Return how many folders all of these paths begin with."""
    shared = 0
    while parts and all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return shared


# -- cut


def cut_names(names: Mapping[Path, str], cells: int, more: str) -> dict[Path, str]:
    """Return *names* in at most *cells*: what they share with others is left out, so that they still differ."""
    ordered = sorted(set(names.values()))
    alike = [0, *(_alike(one, other) for one, other in pairwise(ordered)), 0]
    taken: dict[str, str] = {}
    cut: dict[str, str] = {}
    for at, name in enumerate(ordered):
        if cell_len(name) > cells:
            cut[name] = _unlike(_Name(name, _branches(alike, at)), cells, more, taken)
        else:
            cut[name] = name
        taken.setdefault(cut[name].replace(more, ""), name)
    return {path: cut[name] for path, name in names.items()}


def _alike(one: str, other: str) -> int:
    """Return with how many characters both begin."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(map(len, (one, other)))
    )


def _branches(alike: Sequence[int], at: int) -> list[int]:
    """Return the places at which a name begins to differ from those around it, the last first."""
    before = accumulate(reversed(alike[max(0, at - _NEIGHBOURS) : at + 1]), min)
    after = accumulate(alike[at + 1 : at + 1 + _NEIGHBOURS], min)
    return sorted({*before, *after}, reverse=True)


class _Name:
    """A name in pieces, and what each is worth: most the one that tells it from the one most like it."""

    def __init__(self, name: str, branches: Sequence[int]) -> None:
        self.text = name
        self.pieces = _PIECES.findall(name)
        self._ends = list(accumulate(map(len, self.pieces)))
        own = name.rfind("/") + 1
        self.worth = [0 if end > own else -1 for end in self._ends]  # the log's own name says more than its folders
        for rank, place in enumerate(branches):
            self.value(place, max(1, _NEIGHBOURS - rank))

    def value(self, place: int, worth: int) -> None:
        """Let the piece with this character be worth so much more; after the last one it is the end that tells."""
        piece = min(bisect_right(self._ends, place), len(self.pieces) - 1)
        self.worth[piece] += worth

    def within(self, cells: int, more: str) -> str:
        """Return the pieces that are worth most, as many as there is room for."""
        kept = [True] * len(self.pieces)
        ranked = sorted(range(len(kept)), key=lambda piece: (self.worth[piece], -len(self.pieces[piece])))
        for piece in ranked[:-1]:
            if len(self._joined(kept, more)) <= cells:
                break
            kept[piece] = False
        for piece in reversed(ranked):
            if not kept[piece]:
                kept[piece] = True
                kept[piece] = len(self._joined(kept, more)) <= cells
        found = self._joined(kept, more)
        if not kept[0]:  # what room is left goes to the beginning, by which a name is known
            found = self.text[: max(0, cells - len(found))] + found
        return cut_middle(found, cells, more)

    def _joined(self, kept: Sequence[bool], more: str) -> str:
        found: list[str] = []
        for piece, is_kept in zip(self.pieces, kept, strict=True):
            if is_kept:
                found.append(piece)
            elif not found or found[-1] is not more:
                found.append(more)
        return "".join(found)


def _unlike(name: _Name, cells: int, more: str, taken: Mapping[str, str]) -> str:
    """Return *name* cut so that it is none of those that are *taken*, as far as that is possible."""
    if not name.text.isascii():
        return cut_middle(name.text, cells, more)
    first = name.within(cells, more)
    found = first
    for _ in range(_ATTEMPTS):
        other = taken.get(found.replace(more, ""))
        if other is None:
            return found
        name.value(_alike(name.text, other), 2 * _NEIGHBOURS)
        found = name.within(cells, more)
    kept = cells - len(more)
    windows = (name.text[:start] + more + name.text[len(name.text) - kept + start :] for start in range(kept + 1))
    return next((text for text in (found, *windows) if text.replace(more, "") not in taken), first)
