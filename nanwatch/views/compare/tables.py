"""Runs side by side as lines: their epochs in columns, and what differs between them; no screen is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.curve import Bucket
from nanwatch.model.run import Run
from nanwatch.views.compare.runs import Compared, best_of
from nanwatch.views.curves.figures import Figure
from nanwatch.views.curves.series import Series
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import ASCII, clean, cut_middle, duration, number, pad

_SETTINGS = 40
"""Settings that differ, at most."""
_LABEL = 18
_NARROW, _WIDE = 12, 24
"""Cells of a column: as many as its texts need, but no more than there is room for."""


class Cell(NamedTuple):
    """A part of a table."""

    text: str
    role: Role = ""


# -- epochs


def epoch_table(runs: Sequence[Compared], figure: Figure, page: Page) -> list[Line]:
    """Return a row an epoch and a column a run: the figure's value, better or worse than the first run's, and NaN."""
    points = [{p.start: p for p in run.points(figure.name)} for run in runs]
    series = [
        Series("", list(column.values()), counts=_counts(run, figure)) for run, column in zip(runs, points, strict=True)
    ]
    sign = next((run.figures[figure.name].sign for run in runs if figure.name in run.figures), figure.sign)
    bests = [best_of(list(column.values()), sign) for column in points]
    epochs = sorted({epoch for column in points for epoch in column}, reverse=True)
    unit = "epoch" if any(run.source is not None and run.source.has_epochs for run in runs) else "step"
    if not epochs:
        return page.prose(f"{figure.title} is not told {unit} by {unit}.", "quiet", indent=1)
    cross = "x" if page.glyphs == ASCII else "×"
    bads = [
        {e: f"{cross}{n:,}" for e, p in column.items() if (n := line.bad_of(p))}
        for column, line in zip(points, series, strict=True)
    ]
    rows = []
    for epoch in epochs:
        cells, first = [Cell(f"{epoch:,}", "quiet")], points[0].get(epoch)
        for place, column in enumerate(points):
            point = column.get(epoch)
            mark = "" if place == 0 or point is None or first is None else _arrow(first.last, point.last, sign, page)
            star = "*" if point is not None and point is bests[place] else ""
            widest = max(map(len, bads[place].values()), default=0)
            cells.append(_value(point, f"{mark or ' '}{star or ' '}", bads[place].get(epoch, "").ljust(widest)))
        rows.append(cells)
    heads = [Cell(unit, "quiet"), *(Cell(f"{run.letter} {run.name}", run.role) for run in runs)]
    legend = (
        f"{page.glyphs.better} better, {page.glyphs.worse} worse than {runs[0].letter}, * best of its run, {cross} NaN"
    )
    return [*laid_out(heads, rows, page), *page.prose(legend, "quiet", indent=1)]


def _counts(run: Compared, figure: Figure) -> dict[int, int] | None:
    known = run.figures.get(figure.name)
    counts = None if known is None or not known.has_epochs else known.series(True).counts
    return None if counts is None else dict(counts)


def _value(point: Bucket | None, marks: str, bad: str) -> Cell:
    """Return a value with its marks and the count of NaN behind it, so that values stand below one another."""
    text = "-" if point is None else number(point.last, aligned=True)
    is_bad = bool(bad.strip()) or (point is not None and not math.isfinite(point.last))
    return Cell(f"{text}{marks}{bad}", "critical" if is_bad else "")


def _arrow(first: float, value: float, sign: int, page: Page) -> str:
    if math.isnan(first) or math.isnan(value):
        return (
            ""
            if math.isnan(first) == math.isnan(value)
            else page.glyphs.worse
            if math.isnan(value)
            else page.glyphs.better
        )
    change = sign * (value - first)
    return page.glyphs.better if change > 0 else page.glyphs.worse if change < 0 else ""


# -- what differs


def difference_table(runs: Sequence[Compared], page: Page) -> list[Line]:
    """Return how the runs stand, and the settings in which they differ."""
    heads = [Cell("", "quiet"), *(Cell(f"{run.letter} {run.name}", run.role) for run in runs)]
    rows = [[Cell(label, "quiet"), *(tell(run) for run in runs)] for label, tell in _STANDING]
    rows = [row for row in rows if any(cell.text not in ("", "-") for cell in row[1:])]
    settings = [[Cell(name, "quiet"), *(Cell(value) for value in values)] for name, values in differing(runs)]
    found = laid_out(heads, [*rows, *settings[:_SETTINGS]], page)
    if not settings:
        told = any(run.run is not None and run.run.hyperparameters for run in runs)
        return [*found, *page.prose("no setting differs" if told else "no settings were told", "quiet", indent=1)]
    if len(settings) > _SETTINGS:
        found += page.prose(f"and {len(settings) - _SETTINGS} more", "quiet", indent=1)
    title = page.bound(Line([Span(" settings that differ", "title")]))
    return [*found[: 1 + len(rows)], Line([]), title, *found[1 + len(rows) :]]


def differing(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Return the settings that are not the same in all runs, and their values; `-` where one does not tell it."""
    known = [{} if run.run is None else run.run.hyperparameters for run in runs]
    names = dict.fromkeys(name for settings in known for name in settings)
    rows = [(name, [clean(settings[name]) if name in settings else "-" for settings in known]) for name in names]
    return [(clean(name), values) for name, values in rows if len(set(values)) > 1]


def _told(tell: Callable[[Run], str]) -> Callable[[Compared], Cell]:
    return lambda compared: Cell("-" if compared.run is None else tell(compared.run))


def _status(compared: Compared) -> Cell:
    return Cell("-" if compared.snapshot.view is None else compared.snapshot.view.status)


def _stand(run: Run) -> str:
    if run.epoch is not None:
        return f"{run.epoch}/{run.epochs}" if run.epochs else f"{run.epoch}"
    return "-" if run.step is None else f"{run.step:,}"


def _best(run: Run) -> str:
    if run.best is None:
        return "-"
    at = "" if run.best.epoch is None else f" {'e' if run.epoch is not None else 'step '}{run.best.epoch:,}"
    return f"{number(run.best.value)}{at}"


def _bad(compared: Compared) -> Cell:
    if compared.run is None:
        return Cell("-")
    return Cell(f"{compared.run.nan_batches:,}", "critical" if compared.run.nan_batches else "")


def _vram(run: Run) -> str:
    peaks = [row.vram_gb for row in run.table.values() if row.vram_gb is not None]
    peak = max([*peaks, *([] if run.vram_gb is None else [run.vram_gb])], default=None)
    return "-" if peak is None else f"{peak:.2f} G"


def _epoch_time(run: Run) -> str:
    times = [row.seconds for row in run.table.values() if row.seconds and row.done]
    return duration(sorted(times)[len(times) // 2]) if times else "-"


_STANDING: tuple[tuple[str, Callable[[Compared], Cell]], ...] = (
    ("status", _status),
    ("stands at", _told(_stand)),
    ("metric", _told(lambda run: "-" if run.primary_metric is None else clean(run.primary_metric))),
    ("best", _told(_best)),
    ("NaN", _bad),
    ("skipped steps", _told(lambda run: f"{run.grad_skips:,}")),
    ("VRAM peak", _told(_vram)),
    ("batches/s", _told(lambda run: "-" if run.rate is None else number(run.rate))),
    ("epoch takes", _told(_epoch_time)),
)


# -- layout


def laid_out(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], page: Page) -> list[Line]:
    """Return a table: the first column is a label; the last columns give way where all do not fit, and it says so."""
    label = min(_LABEL, max(cell_len(row[0].text) for row in [heads, *rows]))
    widths = _widths(heads, rows, page.width - label - 1)
    shown = [place for place, width in enumerate(widths, 1) if width]
    found = []
    for row in [heads, *rows]:
        spans = [Span(" " + pad(cut_middle(row[0].text, label, page.glyphs.more), label), row[0].role)]
        for place in shown:
            text = cut_middle(row[place].text, widths[place - 1], page.glyphs.more)
            spans.append(Span("  " + pad(text, widths[place - 1], right=True), row[place].role))
        found.append(page.bound(Line(spans)))
    if len(shown) < len(widths):
        missing = ", ".join(heads[n].text[:1] for n in range(1, len(heads)) if n not in shown)
        found += page.prose(f"no room for {missing}", "warning", indent=1)
    return found


def _widths(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], room: int) -> list[int]:
    """Return the width of each column but the first; 0 where there is no room for it."""
    count = len(heads) - 1
    widest = max(_NARROW, min(_WIDE, room // count - 2))
    widths = []
    for place in range(1, len(heads)):
        needed = max((cell_len(row[place].text) for row in rows), default=1)
        widths.append(max(min(needed, widest), min(cell_len(heads[place].text), widest)))
    used = 0
    for place, width in enumerate(widths):
        used += width + 2
        if used > room and place:
            widths[place] = 0
    return widths
