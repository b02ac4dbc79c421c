"""Runs side by side as lines: their epochs in columns, and what differs between them; no screen is needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.curve import Bucket
from nanwatch.model.run import Run
from nanwatch.views.block import training_time
from nanwatch.views.compare.aligned import Aligned, aligned
from nanwatch.views.compare.runs import Compared
from nanwatch.views.curves.figures import Figure
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import ASCII, Glyphs, clean, cut_middle, duration, number, pad

SETTINGS = 40
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
    table = aligned(runs, figure)
    if not table.epochs:
        return page.prose(f"{figure.title} is not told {table.unit} by {table.unit}.", "quiet", indent=1)
    found = laid_out(heads_of(runs, table.unit), epoch_rows(table, page.glyphs), page)
    return [*found, *page.prose(legend_of(runs, page.glyphs), "quiet", indent=1)]


def heads_of(runs: Sequence[Compared], label: str = "") -> list[Cell]:
    """Return the head of a table with a column a run."""
    return [Cell(label, "quiet"), *(Cell(f"{run.letter} {run.name}", run.role) for run in runs)]


def legend_of(runs: Sequence[Compared], glyphs: Glyphs) -> str:
    """Return what the signs of an epoch table mean."""
    return (
        f"{glyphs.better} better, {glyphs.worse} worse than {runs[0].letter}, * best of its run, {_cross(glyphs)} NaN"
    )


def _cross(glyphs: Glyphs) -> str:
    return "x" if glyphs == ASCII else "×"


def epoch_rows(table: Aligned, glyphs: Glyphs) -> list[list[Cell]]:
    """Return a row an epoch, the newest first."""
    return [_epoch_row(table, epoch, glyphs) for epoch in reversed(table.epochs)]


def _epoch_row(table: Aligned, epoch: int, glyphs: Glyphs) -> list[Cell]:
    cells, first, cross = [Cell(f"{epoch:,}", "quiet")], table.points[0].get(epoch), _cross(glyphs)
    for place, (column, bad, best) in enumerate(zip(table.points, table.bad, table.bests, strict=True)):
        point, mark = column.get(epoch), ""
        if place > 0 and point is not None and first is not None:
            mark = arrow(first.last, point.last, table.sign, glyphs)
        star = "*" if point is not None and point is best else ""
        widest = max((len(f"{cross}{count:,}") for count in bad.values()), default=0)
        count = f"{cross}{bad[epoch]:,}" if epoch in bad else ""
        cells.append(_value(point, f"{mark or ' '}{star or ' '}", count.ljust(widest)))
    return cells


def _value(point: Bucket | None, marks: str, bad: str) -> Cell:
    """Return a value with its marks and the count of NaN behind it, so that values stand below one another."""
    text = "-" if point is None else number(point.last, aligned=True)
    is_bad = bool(bad.strip()) or (point is not None and not math.isfinite(point.last))
    return Cell(f"{text}{marks}{bad}", "critical" if is_bad else "")


def arrow(first: float, value: float, sign: int, glyphs: Glyphs) -> str:
    """Return the sign of better or worse than *first*: NaN is worse than any number; nothing where both are alike."""
    if math.isnan(first) or math.isnan(value):
        worse = math.isnan(value) - math.isnan(first)
    else:
        change = sign * (value - first)
        worse = (change < 0) - (change > 0)
    return ("", glyphs.worse, glyphs.better)[worse]


# -- what differs


def difference_table(runs: Sequence[Compared], page: Page) -> list[Line]:
    """Return how the runs stand, and the settings in which they differ."""
    rows, settings = standing(runs), setting_rows(runs)
    found = laid_out(heads_of(runs), [*rows, *settings[:SETTINGS]], page)
    if not settings:
        told = any(run.run is not None and run.run.hyperparameters for run in runs)
        return [*found, *page.prose("no setting differs" if told else "no settings were told", "quiet", indent=1)]
    if len(settings) > SETTINGS:
        found += page.prose(f"and {len(settings) - SETTINGS} more", "quiet", indent=1)
    title = page.bound(Line([Span(" settings that differ", "title")]))
    return [*found[: 1 + len(rows)], Line([]), title, *found[1 + len(rows) :]]


def setting_rows(runs: Sequence[Compared]) -> list[list[Cell]]:
    """Return a row for each setting in which the runs differ."""
    return [[Cell(name, "quiet"), *(Cell(value) for value in values)] for name, values in differing(runs)]


def standing(runs: Sequence[Compared]) -> list[list[Cell]]:
    """Return how the runs stand: a row for each thing that one of them tells, its label first."""
    rows = [[Cell(label, "quiet"), *(tell(run) for run in runs)] for label, tell in _STANDING]
    return [row for row in rows if any(cell.text not in ("", "-") for cell in row[1:])]


def same_settings(runs: Sequence[Compared]) -> int:
    """Return how many settings have one value in all runs."""
    known = [{} if run.run is None else run.run.hyperparameters for run in runs]
    return sum(all(settings.get(name) == value for settings in known) for name, value in known[0].items())


def differing(runs: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Return the settings that are not the same in all runs, those first that all tell; `-` where one does not."""
    known = [{} if run.run is None else run.run.hyperparameters for run in runs]
    names = dict.fromkeys(name for settings in known for name in settings)
    rows = [(name, [clean(settings[name]) if name in settings else "-" for settings in known]) for name in names]
    unlike = [(clean(name), values) for name, values in rows if len(set(values)) > 1]
    return sorted(unlike, key=lambda row: "-" in row[1])


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


def _trained(run: Run) -> str:
    spent = training_time(run)
    return "-" if spent is None or spent < 1 else duration(spent)


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
    ("trained for", _told(_trained)),
)


# -- layout


def laid_out(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], page: Page) -> list[Line]:
    """Return a table: the first column is a label; the last columns give way where all do not fit, and it says so."""
    label = _label(heads, rows)
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


def parts_that_fit(
    heads: Sequence[Cell], rows: Sequence[Sequence[Cell]], page: Page
) -> Iterator[tuple[list[Cell], list[list[Cell]]]]:
    """Yield the table in parts with as many of its columns as fit side by side; each begins with the label."""
    left = list(range(1, len(heads)))
    while left:
        part = [[row[0], *(row[place] for place in left)] for row in [heads, *rows]]
        widths = _widths(part[0], part[1:], page.width - _label(heads, rows) - 1)
        count = sum(width > 0 for width in widths)
        part = [row[: 1 + count] for row in part]
        yield part[0], part[1:]
        left = left[count:]


def _label(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> int:
    return min(_LABEL, max(cell_len(row[0].text) for row in [heads, *rows]))


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
        if used > room and place:  # those after it as well, or one that is asked for last would seem to be missing
            return [*widths[:place], *[0] * (count - place)]
    return widths
