"""The last epochs of a run side by side, with arrows for better and worse than the epoch before."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.names import direction_of, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.rules.words import clean_before, loss_row
from nanwatch.views.health import RunView, losses_of
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import clean, duration, number, pad, whole_percent

_COLUMNS = 6
_LOSSES, _METRICS = 6, 8
_LABEL = 16


def table_lines(view: RunView, page: Page) -> list[Line]:
    """Return the table: a column an epoch (or a validation, where there are no epochs), a row a figure."""
    run = view.run
    return _steps(page, run).lines() if run.epoch is None else _epochs(page, run).lines()


class Row(NamedTuple):
    """A row of the table: its label, a cell and a role for each column."""

    label: str
    cells: list[str]
    roles: list[Role]
    rank: int


class Table:
    """Figures by column. Where the page is narrow the oldest columns give way; figures are never cut."""

    def __init__(self, page: Page, label: str, heads: list[str], keep: set[int]) -> None:
        self.page = page
        self.keep = keep
        self.legend = False
        self.rows = [Row(label, [f"{head} " for head in heads], ["quiet"] * len(heads), 4)]

    def add(self, label: str, cells: list[str], roles: list[Role] | None = None, rank: int = 5) -> None:
        """Add a row, unless it says nothing."""
        if any(cell.strip("- ") for cell in cells):
            roles = roles or [""] * len(cells)
            self.rows.append(Row(clean(label), [f"{cell} " for cell in cells], roles, rank))

    def compare(self, label: str, values: list[float | None], sign: int, best: int | None, rank: int = 5) -> None:
        """Add a row with arrows for better or worse than the value before (*sign* 1: higher is better)."""
        cells, roles, before = [], list[Role](), None
        for place, value in enumerate(values):
            mark = "*" if place == best else _arrow(before, value, sign, self.page)
            self.legend = self.legend or mark != " "
            cells.append(number(value, aligned=True) + mark)
            roles.append("critical" if value is not None and not math.isfinite(value) else "")
            before = before if value is None else value
        if any(value is not None for value in values):
            self.rows.append(Row(clean(label), cells, roles, rank))

    def lines(self) -> list[Line]:
        """Lay the table out."""
        heads = self.rows[0].cells
        if len(heads) < 2 or len(self.rows) < 2:
            return []
        widths = [max(len(row.cells[n]) for row in self.rows) + 2 for n in range(len(heads))]
        label = min(_LABEL, max(cell_len(row.label) for row in self.rows))
        while label > 5 and 2 + label + widths[-1] + widths[-2] > self.page.width:
            label -= 1
        shown = self._choose(widths, self.page.width - 2 - label)
        found = [Line([], 9)]
        for row in self.rows:
            spans = [Span("  " + pad(self.page.name(row.label, label), label), "quiet")]
            spans += [Span(pad(row.cells[n], widths[n], right=True), row.roles[n]) for n in shown]
            found.append(Line(spans, row.rank))
        if self.legend:
            signs = self.page.glyphs
            legend = f"{signs.better} better, {signs.worse} worse than the column before, * best"
            found += self.page.prose(legend, "quiet", rank=8)
        return found

    def _choose(self, widths: list[int], room: int) -> list[int]:
        shown = list(range(len(widths)))
        for n in [*(n for n in shown if n not in self.keep), *shown[:-1]]:
            if sum(widths[m] for m in shown) <= room:
                break
            if n in shown:
                shown.remove(n)
        return shown


def _arrow(before: float | None, value: float | None, sign: int, page: Page) -> str:
    if before is None or value is None or not sign or (math.isnan(before) and math.isnan(value)):
        return " "
    if math.isnan(value) or math.isnan(before):
        return page.glyphs.worse if math.isnan(value) else page.glyphs.better
    change = sign * (value - before)
    return page.glyphs.better if change > 0 else page.glyphs.worse if change < 0 else " "


def _epochs(page: Page, run: Run) -> Table:
    chosen, keep = _chosen(run)
    best = None if run.best is None else run.best.epoch
    place = next((n for n, row in enumerate(chosen) if row.epoch == best), None)
    heads = [_head(run, row) for row in chosen]
    table = Table(page, "epoch", heads, {n for n, row in enumerate(chosen) if row.epoch in keep})
    for name in _names(chosen, losses_of)[:_LOSSES]:
        mark = place if name == run.primary_metric else None
        sign = 0 if run.hidden_nan else -1  # what is printed instead of NaN is no improvement
        table.compare(name, [losses_of(row).get(name) for row in chosen], sign, mark)
    if run.nan_batches:
        roles: list[Role] = ["critical" if row.nan_batches else "" for row in chosen]
        table.add("NaN", [f"{row.nan_batches:,}" for row in chosen], roles)
    if run.grad_skips:
        roles = ["warning" if row.grad_skips else "" for row in chosen]
        table.add("skipped", [f"{row.grad_skips:,}" for row in chosen], roles)
    table.add("VRAM G", ["-" if row.vram_gb is None else f"{row.vram_gb:.2f}" for row in chosen])
    names = [n for n in _names(chosen, lambda row: row.metrics) if role_of(n) in ("loss", "metric")]
    for name in sorted(names, key=lambda n: n != run.primary_metric)[:_METRICS]:
        values = [row.metrics.get(name) for row in chosen]
        if name == run.primary_metric:
            table.compare(name, values, 1 if run.primary_rises else -1, place)
        else:
            table.compare(name, values, direction_of(name), None, rank=7)
    if any(row.seconds and row.seconds >= 1 for row in chosen):
        table.add("time", ["-" if row.seconds is None else duration(row.seconds) for row in chosen], rank=7)
    return table


def _names(rows: list[Epoch], values: Callable[[Epoch], dict[str, float]]) -> list[str]:
    """Return every name that one of *rows* has; of two that move alike to the last digit, the first."""
    shown: dict[str, list[float | None]] = {}
    for name in dict.fromkeys(name for row in rows for name in values(row)):
        figures = [values(row).get(name) for row in rows]
        moves = len({v for v in figures if v is not None and math.isfinite(v)}) > 1
        if not (moves and any(repr(figures) == repr(other) for other in shown.values())):
            shown[name] = figures
    return list(shown)


def _head(run: Run, row: Epoch) -> str:
    if row.epoch == run.epoch and not row.done and row.batches and row.batch < row.batches:
        return f"{row.epoch} ({whole_percent(row.batch / row.batches)})"
    return f"{row.epoch}"


def _chosen(run: Run) -> tuple[list[Epoch], set[int]]:
    """Return the rows to show, and those that must stay: the last two, the best, the clean one before NaN."""
    rows = sorted((row for row in run.table.values() if row.epoch >= 0), key=lambda row: row.epoch)
    if run.epoch is not None:
        rows = [row for row in rows if row.epoch <= run.epoch]
    keep = {row.epoch for row in rows[-2:]}
    if run.best is not None and run.best.epoch is not None:
        keep.add(run.best.epoch)
    now = loss_row(run)
    if now is not None and now.nan_batches and (good := clean_before(run, now)) is not None:
        keep.add(good)
    others = [row.epoch for row in rows if row.epoch not in keep]
    shown = keep | set(others[max(0, len(others) - _COLUMNS + len(keep)) :])
    return [row for row in rows if row.epoch in shown], keep


def _steps(page: Page, run: Run) -> Table:
    history = run.evaluations[-_COLUMNS:]
    best = None if run.best is None else run.best.epoch
    if best is not None and history and best < history[0].epoch:
        history = [e for e in run.evaluations if e.epoch == best] + history[1:]
    place = next((n for n, item in enumerate(history) if item.epoch == best), None)
    table = Table(page, "step", [f"{item.epoch:,}" for item in history], {place or 0, len(history) - 2})
    if run.primary_metric is not None:
        table.compare(run.primary_metric, [e.value for e in history], 1 if run.primary_rises else -1, place)
    return table
