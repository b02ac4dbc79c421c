"""One figure of several runs, epoch beside epoch: which figure it is, its values, its NaN, the best of each run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nanwatch.model.curve import Bucket
from nanwatch.views.compare.runs import Compared, best_of, shared_figures
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.series import Series


@dataclass(frozen=True, slots=True)
class Aligned:
    """A figure by the epoch's number as each trainer prints it (or the step's); `epochs` go up.

    `points`, `bad` (how many were NaN) and `bests` have one entry for each run. `sign` is 1 if higher is better.
    """

    figure: Figure
    sign: int
    unit: Literal["epoch", "step"]
    epochs: Sequence[int]
    points: Sequence[dict[int, Bucket]]
    bad: Sequence[dict[int, int]]
    bests: Sequence[Bucket | None]


def aligned(runs: Sequence[Compared], figure: Figure) -> Aligned:
    """Return *figure* of all runs, epoch beside epoch."""
    points = [{point.start: point for point in run.points(figure.name)} for run in runs]
    sign = next((run.figures[figure.name].sign for run in runs if figure.name in run.figures), figure.sign)
    bad = []
    for run, column in zip(runs, points, strict=True):
        line = Series("", list(column.values()), counts=_counts(run, figure))
        bad.append({epoch: count for epoch, point in column.items() if (count := line.bad_of(point))})
    return Aligned(
        figure, sign, "epoch" if any(run.source is not None and run.source.has_epochs for run in runs) else "step",
        sorted({epoch for column in points for epoch in column}), points, bad,
        [best_of(list(column.values()), sign) for column in points],
    )  # fmt: skip


def _counts(run: Compared, figure: Figure) -> dict[int, int] | None:
    known = run.figures.get(figure.name)
    counts = None if known is None or not known.has_epochs else known.series(True).counts
    return None if counts is None else dict(counts)


def usual_figures(runs: Sequence[Compared]) -> list[Figure]:
    """Return what to compare unless a figure is asked for: the metric that the runs share, else each one's own.

    A loss stands beside them, or alone where there is no metric: one that several runs have, if there is one.
    """
    known = {figure.name: figure for figure in shared_figures(runs)}
    holders = {name: sum(name in run.figures for run in runs) for name in known}
    primary = dict.fromkeys(run.run.primary_metric for run in runs if run.run is not None)
    metrics = [known[name] for name in primary if name in known]
    shared = [figure for figure in metrics if holders[figure.name] > 1]
    losses = [figure for figure in known.values() if figure.kind == "loss" and figure not in metrics]
    if not metrics and not losses:
        return list(known.values())[:1]
    return [*(shared[:1] or metrics), *sorted(losses, key=lambda figure: -holders[figure.name])[:1]]


def figure_named(runs: Sequence[Compared], name: str) -> Figure | None:
    """Return the figure called *name*, by its own name before another's case."""
    known = shared_figures(runs)
    by_name = [figure for figure in known if figure.name == name]
    return next(iter([*by_name, *(figure for figure in known if figure.name.lower() == name.lower())]), None)


def counting(runs: Sequence[Compared]) -> str:
    """Return how the runs count their epochs where they begin at different ones, else nothing."""
    firsts = {run.letter: run.run.first_epoch for run in runs if run.run is not None}
    known = {letter: first for letter, first in firsts.items() if first in (0, 1)}
    if len(set(known.values())) < 2:
        return ""
    said = ", ".join(f"{letter} from {first}" for letter, first in known.items())
    return f"epochs are counted by each trainer in its own way ({said}) and stand beside one another as printed"
