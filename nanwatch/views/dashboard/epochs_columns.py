"""The columns of the table of epochs: what each epoch has, whether that is better or worse, and what is wrong."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from nanwatch.model.alert import SEVERITIES, Alert
from nanwatch.model.names import direction_of, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.health import losses_of
from nanwatch.views.page import Role
from nanwatch.views.words import Glyphs, duration, number

_DOUBLED = 3.0
"""Times the usual change from which an arrow is doubled."""
_COLUMN_OF = {
    "nan_loss": "NaN", "nan_burst": "NaN", "grad_skip": "skips", "vram_jump": "VRAM", "slowdown": "time",
}  # fmt: skip
"""The column of which a rule speaks; the others name a loss or a metric in their evidence, or only the epoch."""
BEST, WORST = "*", "#"


class Place(NamedTuple):
    """A row of the table: an epoch, or (in a run without epochs) a step; `nan_offset` is where its first NaN stands.

    `is_open` tells that it is not complete: its values are no result yet.
    """

    number: int
    offset: int
    nan_offset: int | None = None
    nan_batches: int = 0
    is_open: bool = False


@dataclass(slots=True)
class Column:
    """A figure of every row, in the rows' order; `sign` is 1 if a higher one is better, -1 if a lower one, else 0.

    `is_partial` tells that the value of an epoch in progress is not yet the epoch's. `least` is a change that is none.
    """

    name: str
    values: list[float | None]
    sign: int = 0
    is_partial: bool = False
    has_arrows: bool = True
    word: Callable[[float | None], str] = field(default=lambda value: number(value, aligned=True))
    best: int | None = None
    least: float = 0.0


def places_of(run: Run) -> list[Place]:
    """Return the rows, oldest first."""
    if run.epoch is None:
        return [Place(e.epoch, e.offset) for e in run.evaluations]
    rows = sorted((row for row in run.table.values() if 0 <= row.epoch <= run.epoch), key=lambda row: row.epoch)
    return [Place(r.epoch, r.offset, r.nan_offset, r.nan_batches, _is_open(run, r)) for r in rows]


def _is_open(run: Run, row: Epoch) -> bool:
    """Tell whether *row* is in progress: its bar may be full already, while its values still come."""
    return row.epoch == run.epoch and not row.done and run.finished is None


def columns_of(run: Run, places: Sequence[Place]) -> list[Column]:
    """Return the columns that have something to tell of *places*."""
    if run.epoch is None:
        sign = 1 if run.primary_rises else -1
        values: list[float | None] = [e.value for e in run.evaluations]
        best = None if run.best is None else run.best.epoch
        found = [Column(run.primary_metric or "value", values, sign, best=_index(places, best))]
    else:
        rows = [run.table[place.number] for place in places]
        found = [*_counters(rows), *_losses(run, rows), *_metrics(run, rows, places), *_rest(rows)]
    return [column for column in found if any(value is not None for value in column.values)]


def _counters(rows: Sequence[Epoch]) -> list[Column]:
    nan: list[float | None] = [row.nan_batches for row in rows]
    skips: list[float | None] = [row.grad_skips for row in rows]
    found = [Column("NaN", nan, -1, has_arrows=False, word=_count)]
    if any(skips):
        found.append(Column("skips", skips, -1, has_arrows=False, word=_count))
    return [*found, Column("VRAM", [row.vram_gb for row in rows], -1, word=_gigabytes, least=0.005)]


def _losses(run: Run, rows: Sequence[Epoch]) -> list[Column]:
    sign = 0 if run.hidden_nan else -1  # what is printed instead of NaN is no improvement
    told = [losses_of(row) for row in rows]
    names = dict.fromkeys(name for values in told for name in values)
    return [Column(name, [values.get(name) for values in told], sign, is_partial=True) for name in names]


def _metrics(run: Run, rows: Sequence[Epoch], places: Sequence[Place]) -> list[Column]:
    """Return the metrics, the primary one first."""
    names = [n for n in dict.fromkeys(n for row in rows for n in row.metrics) if role_of(n) in ("loss", "metric")]
    names.sort(key=lambda n: n != run.primary_metric)
    losses = {name for row in rows for name in row.losses}
    found = []
    for name in (n for n in names if n not in losses or n == run.primary_metric):
        column = Column(name, [row.metrics.get(name) for row in rows], direction_of(name))
        if name == run.primary_metric:
            column.sign = 1 if run.primary_rises else -1
            column.best = _index(places, run.best.epoch) if run.best is not None and run.best.metric == name else None
        found.append(column)
    return found


def _rest(rows: Sequence[Epoch]) -> list[Column]:
    is_told = any(row.seconds and row.seconds >= 1 for row in rows)
    times = [row.seconds if is_told else None for row in rows]
    return [
        Column("lr", [row.lr for row in rows], word=lambda v: "-" if v is None else f"{v:.3g}", has_arrows=False),
        Column("time", times, word=lambda v: "-" if v is None else duration(v), has_arrows=False),
    ]


def _count(value: float | None) -> str:
    return "-" if value is None else f"{int(value):,}"


def _gigabytes(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _index(places: Sequence[Place], number_: int | None) -> int | None:
    return next((n for n, place in enumerate(places) if place.number == number_), None)


# -- what the alerts say


def alerts_by_cell(alerts: Iterable[Alert], names: Sequence[str]) -> dict[tuple[int, str], Alert]:
    """Return the worst alert of each epoch and column; those that speak of none of *names* have column `""`."""
    found: dict[tuple[int, str], Alert] = {}
    for alert in alerts:
        number_ = alert.epoch if alert.epoch is not None else alert.batch
        if number_ is None or alert.severity == "info" or alert.state == "pending":
            continue
        key = (number_, _column_of(alert, names))
        known = found.get(key)
        if known is None or SEVERITIES.index(alert.severity) > SEVERITIES.index(known.severity):
            found[key] = alert
    return found


def _column_of(alert: Alert, names: Sequence[str]) -> str:
    told = (_COLUMN_OF.get(alert.rule), alert.evidence.get("metric"), alert.evidence.get("loss"))
    for name in told:
        if isinstance(name, str):
            same = next((n for n in names if n == name), next((n for n in names if n.lower() == name.lower()), None))
            if same is not None:
                return same
    return ""


def has_trouble(place: Place, alerts: Iterable[tuple[int, str]]) -> bool:
    """Tell whether an epoch has NaN, or an alert among the keys of `alerts_by_cell`."""
    return place.nan_batches > 0 or any(number_ == place.number for number_, _ in alerts)


# -- cells


class Cell(NamedTuple):
    """What stands in one cell: a sign before the figure, the figure, and signs after it."""

    mark: str
    text: str
    arrows: str
    role: Role


def cells_of(
    column: Column, places: Sequence[Place], found: dict[tuple[int, str], Alert], baseline: int | None, glyphs: Glyphs
) -> list[Cell]:
    """Return the cells of *column*, a row each; arrows are against the row before, or against row *baseline*."""
    extremes = _extremes(column, places)
    usual = _usual(column.values)
    cells, before = [], None
    for n, (place, value) in enumerate(zip(places, column.values, strict=True)):
        alert = found.get((place.number, column.name))
        mark = extremes.get(n, " ") if alert is None else "X" if alert.severity == "critical" else "!"
        against = column.values[baseline] if baseline is not None else before
        is_early = column.is_partial and place.is_open and value is not None and math.isfinite(value)
        is_compared = column.has_arrows and n != baseline and not is_early
        arrows = _arrows(against, value, column, usual, glyphs) if is_compared else ""
        cells.append(Cell(mark, column.word(value), arrows, _role(alert, arrows, value, glyphs)))
        before = before if value is None else value
    return cells


def _role(alert: Alert | None, arrows: str, value: float | None, glyphs: Glyphs) -> Role:
    if alert is not None:
        return "critical" if alert.severity == "critical" else "warning"
    if value is not None and not math.isfinite(value):
        return "critical"
    return "warning" if len(arrows) == 2 and arrows[0] == glyphs.worse else ""


def _extremes(column: Column, places: Sequence[Place]) -> dict[int, str]:
    """Return which rows hold the best and the worst value: none of those in progress, and none where all are alike."""
    known = [
        (column.sign * value, n)
        for n, value in enumerate(column.values)
        if value is not None and math.isfinite(value) and not (column.is_partial and places[n].is_open)
    ]
    if not column.sign or len(known) < 2 or min(known)[0] == max(known)[0]:
        return {}
    worst = min(known)[1]
    if not column.has_arrows or column.name == "VRAM":
        return {worst: WORST}  # of what there should be none of, no row is the best
    best = column.best if column.best is not None else max(known, key=lambda item: (item[0], -item[1]))[1]
    return {worst: WORST, best: BEST}


def _usual(values: Sequence[float | None]) -> float:
    """Return the median change from one value to the next."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    changes = [abs(new - old) for old, new in pairwise(finite)]
    return statistics.median(changes) if changes else 0.0


def _arrows(before: float | None, value: float | None, column: Column, usual: float, glyphs: Glyphs) -> str:
    """Return the sign for better or worse, twice for an unusual change; `=` for none."""
    if before is None or value is None:
        return ""
    if math.isnan(before) or math.isnan(value):
        is_worse = math.isnan(value)
        return "" if math.isnan(before) and is_worse else 2 * (glyphs.worse if is_worse else glyphs.better)
    change = value - before
    if before == value or abs(change) <= column.least:
        return "="
    if not column.sign:
        return ""
    sign = glyphs.better if change * column.sign > 0 else glyphs.worse
    return 2 * sign if usual > 0 and abs(change) > _DOUBLED * usual else sign


def table_of(view: RunView) -> tuple[list[Place], list[Column], dict[tuple[int, str], Alert]]:
    """Return the rows, the columns, and the alerts by cell."""
    places = places_of(view.run)
    columns = columns_of(view.run, places)
    return places, columns, alerts_by_cell(view.alerts, [column.name for column in columns])
