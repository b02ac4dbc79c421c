"""A comparison as one JSON object: `compare --json`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nanwatch.model.run import Epoch
from nanwatch.model.snapshot import RunView
from nanwatch.views.compare.aligned import Aligned, aligned
from nanwatch.views.compare.epochs import changes
from nanwatch.views.compare.runs import Compared
from nanwatch.views.compare.tables import differing, same_settings
from nanwatch.views.contract import Json, epoch_json, finite, iso, run_json
from nanwatch.views.curves.figures import Figure

_BETTER = {1: "higher", -1: "lower"}


def runs_json(runs: Sequence[Compared], figures: Sequence[Figure], now: float) -> Json:
    """Return runs side by side, as read at *now* (Unix seconds); what no run tells, or is not finite, is null."""
    return {
        "schema": 1,
        "runs": [_run(run, now) for run in runs],
        "settings": [{"name": name, "values": _told(values)} for name, values in differing(runs)],
        "same_settings": same_settings(runs),
        "figures": [_figure(aligned(runs, figure)) for figure in figures],
    }


def epochs_json(view: RunView, rows: Sequence[Epoch], now: float) -> Json:
    """Return epochs of one run, as read at *now* (Unix seconds), side by side, and what changed in words."""
    run = view.run
    return {
        "schema": 1,
        "run": _view(view, now),
        "epochs": [epoch_json(row) for row in rows],
        "changes": [
            {"from": before.epoch, "to": after.epoch, "changes": changes(run, before, after)}
            for before, after in pairwise(rows)
        ],
    }


def _run(compared: Compared, now: float) -> Json:
    view = compared.snapshot.view
    told = {} if view is None else _view(view, now)
    return {"letter": compared.letter, "name": compared.name, "number": compared.snapshot.number, **told}


def _view(view: RunView, now: float) -> Json:
    told = run_json(view.run, view.alerts, view.status)
    if told["updated_at"] is None and view.silence is not None:  # its lines bear no time: then the file does
        told["updated_at"] = iso(now - view.silence)
    return told


def _told(values: Sequence[str]) -> list[str | None]:
    return [None if value == "-" else value for value in values]


def _figure(table: Aligned) -> Json:
    rows = []
    for epoch in table.epochs:
        found = [points.get(epoch) for points in table.points]
        rows.append({
            table.unit: epoch,
            "values": [None if point is None else finite(point.last) for point in found],
            "nan_batches": [bad.get(epoch, 0) for bad in table.bad],
        })  # fmt: skip
    return {"name": table.figure.name, "better": _BETTER.get(table.sign), "by": table.unit, "rows": rows}
