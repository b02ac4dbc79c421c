"""What a comparison shows, whatever it is shown as: tables of cells, sentences and charts, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nanwatch.model.run import Epoch, Run
from nanwatch.views.compare.aligned import aligned, counting
from nanwatch.views.compare.charts import Overlay
from nanwatch.views.compare.epochs import changes, measured
from nanwatch.views.compare.runs import Compared, shared_axis
from nanwatch.views.compare.tables import (
    Cell,
    epoch_rows,
    heads_of,
    legend_of,
    same_settings,
    setting_rows,
    standing,
)
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.settings import Settings
from nanwatch.views.words import Glyphs, plural, whole_percent


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a comparison: a table, sentences below it, a chart; a form of output shows what it can of it."""

    title: str
    heads: Sequence[Cell] = ()
    rows: Sequence[Sequence[Cell]] = ()
    remarks: Sequence[str] = ()
    chart: Overlay | None = None


def runs_content(runs: Sequence[Compared], figures: Sequence[Figure], glyphs: Glyphs) -> list[Block]:
    """Return runs side by side: how they stand, what differs, the metrics epoch by epoch, and curves."""
    found = [Block("runs", heads_of(runs), standing(runs)), _settings(runs)]
    if not figures:
        return [*found, Block("figures", remarks=["no figure was told that could be compared"])]
    tables = [figure for figure in figures if figure.kind != "loss"] or figures[:1]
    found += [_by_epoch(runs, figure, glyphs) for figure in tables]
    return [*found, *(Block("", chart=_overlay(runs, figure)) for figure in figures)]


def _overlay(runs: Sequence[Compared], figure: Figure) -> Overlay:
    """Return the curves of *figure*, on the axis of the runs that tell it."""
    tell = [run for run in runs if figure.name in run.figures]
    return Overlay(runs, figure, shared_axis(tell), Settings())


def _settings(runs: Sequence[Compared]) -> Block:
    told = [run.letter for run in runs if run.run is not None and run.run.hyperparameters]
    if len(told) < 2:
        return Block("settings that differ", remarks=[f"only {told[0]} tells any" if told else "no settings were told"])
    rows, same = setting_rows(runs), same_settings(runs)
    remark = f"{plural(same, 'setting')} the same in all" if same else "no setting is the same in all"
    return Block("settings that differ", heads_of(runs), rows, [remark if rows else f"none; {remark}"])


def _by_epoch(runs: Sequence[Compared], figure: Figure, glyphs: Glyphs) -> Block:
    table = aligned(runs, figure)
    better = {1: ", higher is better", -1: ", lower is better"}.get(table.sign, "")
    title = f"{figure.title} by {table.unit}{better}"
    if not table.epochs:
        return Block(title, remarks=[f"it is not told {table.unit} by {table.unit}"])
    remarks = [legend_of(runs, glyphs), *([counting(runs)] if counting(runs) else [])]
    return Block(title, heads_of(runs, table.unit), epoch_rows(table, glyphs), remarks)


def epochs_content(run: Run, rows: Sequence[Epoch], glyphs: Glyphs) -> list[Block]:
    """Return epochs of one run side by side: their figures, and in words what changed."""
    heads = [Cell("epoch", "quiet"), *(Cell(f"{_head(run, row)} ", "title") for row in rows)]
    said = [
        f"epoch {before.epoch} -> {after.epoch}: {', '.join(changes(run, before, after)) or 'nothing of note'}"
        for before, after in pairwise(rows)
    ]
    legend = f"{glyphs.better} better, {glyphs.worse} worse than the column before"
    return [
        Block("epochs", heads, [item.cells(glyphs) for item in measured(run, rows)], [legend]),
        Block("what changed", remarks=said),
    ]


def _head(run: Run, row: Epoch) -> str:
    if row.epoch == run.epoch and not row.done and row.batches and row.batch < row.batches:
        return f"{row.epoch} ({whole_percent(row.batch / row.batches)})"
    return f"{row.epoch}"
