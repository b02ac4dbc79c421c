"""The epochs of a run as a table, and the figures of an epoch with what changed between two of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nanwatch.model.names import direction_of, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.words import brief_duration
from nanwatch.views.health import RunView, losses_of
from nanwatch.views.report.incident import incident_of, named, rows_of
from nanwatch.views.report.page import Cell, Section, Table, Tone
from nanwatch.views.words import clean, number, plural

_LOSSES, _METRICS = 6, 4
_SLIGHT = 0.05
"""A change of such a share is neither better nor worse."""
_MANY_TIMES = 9
_EPOCHS = 8
"""Rows of the table of epochs, beside those that matter most."""


def epochs_section(view: RunView) -> Section | None:
    """Return the latest epochs and those that matter, a row each; None where there are not two of them.

    A run without epochs has its validations instead.
    """
    run = view.run
    if run.epoch is None:
        return _validations(run)
    rows = [row for row in rows_of(run) if row.losses or row.metrics or row.nan_batches or row.grad_skips]
    incident = incident_of(view)
    keep = set() if incident is None else {row.epoch for row, _ in incident.shown}
    keep |= {row.epoch for row in rows[-(_EPOCHS if incident is not None else _EPOCHS // 2) :]}
    if run.best is not None and run.best.epoch is not None:
        keep.add(run.best.epoch)
    shown = [row for row in rows if row.epoch in keep]
    if len(shown) < 2:
        return None
    remark = f"{plural(len(rows) - len(shown), 'other epoch')} not shown" if len(rows) > len(shown) else ""
    columns = _columns(run, shown)
    cells = tuple(tuple(cell(row) for _, cell in columns) for row in shown)
    heads = tuple(head for head, _ in columns)
    return Section("Epochs", (Table("", heads, cells, frozenset(range(1, len(heads))), remark),))


def _validations(run: Run) -> Section | None:
    best = None if run.best is None else run.best.epoch
    latest = run.evaluations[-_EPOCHS:]
    shown = [e for e in run.evaluations if e.epoch == best and e not in latest] + latest
    if len(shown) < 2 or run.primary_metric is None:
        return None
    rows = tuple(
        (Cell(f"{e.epoch:,}" + (" (best)" if e.epoch == best else "")),
         Cell(number(e.value, aligned=True), "" if math.isfinite(e.value) else "critical"))
        for e in shown
    )  # fmt: skip
    return Section("Validations", (Table("", ("step", clean(run.primary_metric)), rows, frozenset({1})),))


def _columns(run: Run, rows: list[Epoch]) -> list[tuple[str, Callable[[Epoch], Cell]]]:
    best = None if run.best is None else run.best.epoch

    def first(row: Epoch) -> Cell:
        done = named(run, row, "").removeprefix(", ")
        words = [*(["best"] if row.epoch == best else []), *([done] if done else [])]
        return Cell(f"{row.epoch}" + (f" ({', '.join(words)})" if words else ""))

    shown = [f for f in epoch_figures(run, rows) if f.kind != "metric" or f.name == run.primary_metric]
    known = [figure for figure in shown if any(figure.value(row) is not None for row in rows)]
    return [("epoch", first), *((clean(figure.name), figure.cell) for figure in known)]


# -- the figures of an epoch


@dataclass(frozen=True, slots=True)
class EpochFigure:
    """A figure of an epoch: where it is found, its unit, and whether higher is better (1), worse (-1) or neither."""

    name: str
    kind: str
    sign: int = 0

    def value(self, row: Epoch) -> float | None:
        """Return what the figure is in an epoch."""
        match self.kind:
            case "loss":
                told = {name.lower(): value for name, value in {**losses_of(row), **row.means}.items()}
                return told.get(self.name.lower())
            case "metric":
                return row.metrics.get(self.name)
            case "NaN":
                return row.nan_batches
            case "skips":
                return row.grad_skips
            case "VRAM":
                return row.vram_gb
            case "lr":
                return row.lr
            case _:
                return row.seconds if row.seconds and row.seconds >= 1 else None

    def word(self, value: float) -> str:
        """Return a value of this figure in words."""
        match self.kind:
            case "NaN" | "skips":
                return f"{value:,.0f}"
            case "VRAM":
                return f"{value:.4g} G"
            case "lr":
                return f"{value:.3g}"
            case "time":
                return brief_duration(value)
            case _:
                return number(value, aligned=True)

    def cell(self, row: Epoch) -> Cell:
        """Return the figure in an epoch as a part of a table."""
        value = self.value(row)
        if value is None:
            return Cell("-")
        is_bad = not math.isfinite(value) or (self.kind == "NaN" and value > 0)
        tone: Tone = "critical" if is_bad else "warning" if self.kind == "skips" and value else ""
        return Cell(self.word(value), tone)

    def change(self, good: Epoch, bad: Epoch) -> Cell:
        """Return how the figure changed, and whether that is worse."""
        old, new = self.value(good), self.value(bad)
        if old is None or new is None or self.kind in ("lr", "time") or not math.isfinite(old):
            return Cell("")
        if not math.isfinite(new):
            return Cell("not finite", "critical")
        if new == old:
            return Cell("none", "quiet")
        difference = new - old
        if not math.isfinite(difference):
            return Cell("")  # from one end of what a number can be to the other
        unit = " G" if self.kind == "VRAM" else ""
        count = f"{difference:+,.0f}" if self.kind in ("NaN", "skips") else _signed(difference, self.kind)
        is_slight = abs(difference) < _SLIGHT * abs(old)
        judged = "" if not self.sign or is_slight else ", better" if self.sign * difference > 0 else ", worse"
        share = f" ({_percent(difference / abs(old))})" if old else ""
        return Cell(f"{count}{unit}{share}{judged}", self._tone(difference, old))

    def _tone(self, difference: float, old: float) -> Tone:
        if self.kind == "NaN":
            return "critical"
        if self.kind in ("skips", "VRAM"):
            return "warning" if difference > 0 else ""
        return "critical" if self.sign * difference < -0.5 * abs(old) else ""


def _signed(value: float, kind: str) -> str:
    return f"{value:+.2f}" if kind == "VRAM" else f"+{number(value)}" if value > 0 else number(value)


def _percent(share: float) -> str:
    """Return `+12 %`; of what is many times as much, how often."""
    if share >= _MANY_TIMES:
        return f"{1 + share:,.0f} times"
    if abs(share) < 0.0995:
        return f"{100 * share:+.2g} %"
    return f"{100 * share:+.3g} %" if -1 < share < -0.985 else f"{100 * share:+.0f} %"


def epoch_figures(run: Run, rows: list[Epoch]) -> list[EpochFigure]:
    """Return the figures of these epochs: what went wrong first, then memory, losses, metrics, and the rest."""
    losses = _distinct(name for row in rows for name in (*losses_of(row), *row.means))
    names = dict.fromkeys(n for row in rows for n in row.metrics if role_of(n) in ("loss", "metric"))
    metrics = sorted(names, key=lambda name: name != run.primary_metric)
    loss_sign = 0 if run.hidden_nan else -1  # what is printed instead of NaN is no improvement
    return [
        *(EpochFigure("NaN", "NaN") for _ in range(any(row.nan_batches for row in rows))),
        *(EpochFigure("skipped", "skips") for _ in range(any(row.grad_skips for row in rows))),
        EpochFigure("VRAM", "VRAM"),
        *(EpochFigure(name, "loss", loss_sign) for name in list(losses)[:_LOSSES]),
        *(EpochFigure(name, "metric", _sign(run, name)) for name in metrics[:_METRICS]),
        EpochFigure("learning rate", "lr"),
        EpochFigure("time", "time"),
    ]


def _distinct(names: Iterable[str]) -> list[str]:
    """Return *names* once each; `Loss` is the same as `loss`."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.lower(), name)
    return list(found.values())


def _sign(run: Run, name: str) -> int:
    return (1 if run.primary_rises else -1) if name == run.primary_metric else direction_of(name)
