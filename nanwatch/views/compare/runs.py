"""The runs that are compared: each with a letter, its figures, and what is the same figure in all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanwatch.model.curve import Bucket
from nanwatch.model.run import Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves.figures import Figure, Source, figures, source_of
from nanwatch.views.curves.plot import LETTERS, SERIES
from nanwatch.views.curves.series import Axis, Series
from nanwatch.views.page import Role
from nanwatch.views.words import clean


@dataclass(frozen=True, slots=True)
class Compared:
    """A run among others: its letter and colour, and its figures by name; None and none as long as nothing was read."""

    letter: str
    role: Role
    name: str
    snapshot: Snapshot
    source: Source | None
    figures: dict[str, Figure]

    @property
    def run(self) -> Run | None:
        """The run itself."""
        return None if self.snapshot.view is None else self.snapshot.view.run

    def series(self, figure: str, by_epoch: bool) -> Series:
        """Return a figure's line, empty if this run does not have it."""
        known = self.figures.get(figure)
        return Series(self.name, []) if known is None else known.series(by_epoch)

    def points(self, figure: str) -> list[Bucket]:
        """Return a figure epoch by epoch (or, in a run without epochs, validation by validation)."""
        known = self.figures.get(figure)
        return list(known.series(True).buckets) if known is not None and known.has_epochs else []


def compared(snapshots: Sequence[tuple[str, Snapshot]]) -> list[Compared]:
    """Return the runs with their letters; there are letters for six."""
    found = []
    for (name, snapshot), letter, role in zip(snapshots, LETTERS, SERIES, strict=False):
        source = source_of(snapshot)
        known = {} if source is None else {figure.name: figure for figure in figures(source)}
        found.append(Compared(letter, role, clean(name) or "?", snapshot, source, known))
    return found


def shared_figures(runs: Sequence[Compared]) -> list[Figure]:
    """Return the figures of all runs: what was learned before the machine's, what several have before the rest."""
    known: dict[str, Figure] = {}
    for run in runs:
        for name, figure in run.figures.items():
            known.setdefault(name, figure)

    def rank(figure: Figure) -> tuple[bool, bool]:
        count = sum(figure.name in run.figures for run in runs)
        return figure.kind not in ("loss", "validation", "metric"), count < min(2, len(runs))

    return sorted(known.values(), key=rank)


def shared_axis(runs: Sequence[Compared]) -> Axis:
    """Return an axis on which all of the runs lie that count as the first one does: in epochs, or in steps."""
    extents = [run.source.extent for run in runs if run.source is not None]
    same = [extent for extent in extents if extent.unit == extents[0].unit]
    if not same:
        return Axis(0.0, 1.0)
    batches, firsts = {extent.batches for extent in same}, {extent.first for extent in same}
    is_same = len(batches) == len(firsts) == 1
    return Axis(
        min(extent.start for extent in same), max(extent.end for extent in same), same[0].unit,
        same[0].batches if is_same else None, same[0].first if is_same else 0,
    )  # fmt: skip


def best_of(points: Sequence[Bucket], sign: int) -> Bucket | None:
    """Return the best of *points*; None if no direction is better, or nothing is finite."""
    finite = [point for point in points if math.isfinite(point.low)]
    return max(finite, key=lambda p: sign * p.last) if sign and finite else None
