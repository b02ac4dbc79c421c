"""Epochs of one run side by side, and in words what changed from each to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nanwatch.model.names import direction_of, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.views.compare.tables import Cell, arrow
from nanwatch.views.health import losses_of
from nanwatch.views.words import Glyphs, clean, duration, number, plural

_FASTER = 0.02
"""Share by which an epoch's speed must change to be a change."""
_GROWN = 2.0
"""Times that a loss must grow to be a change: less is seen in the table."""
_LEAST_VRAM = 0.005
"""Gigabytes: less is not seen in two decimals."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of several epochs: `sign` is 1 if higher is better, -1 if lower is, 0 if neither."""

    name: str
    values: list[float | None]
    sign: int
    show: Callable[[float], str] = number
    is_bad: bool = False

    def cells(self, glyphs: Glyphs) -> list[Cell]:
        """Return the name and the values, each better or worse than the one before."""
        found, before = [Cell(self.name, "quiet")], None
        for value in self.values:
            mark = "" if value is None or before is None or not self.sign else arrow(before, value, self.sign, glyphs)
            is_bad = value is not None and (not math.isfinite(value) or (self.is_bad and value > 0))
            text = "-" if value is None else self.show(value)
            found.append(Cell(f"{text}{mark or ' '}", "critical" if is_bad else ""))
            before = before if value is None else value
        return found


def measured(run: Run, rows: Sequence[Epoch]) -> list[Measured]:
    """Return what is known of these epochs: losses, metrics (the primary one first), NaN, skips and the machine's."""
    loss_sign = 0 if run.hidden_nan else -1  # what is printed instead of NaN is no improvement
    found = [
        Measured(clean(name) or "?", [losses_of(row).get(name) for row in rows], loss_sign, _digits)
        for name in _names(rows, losses_of)
    ]
    found += [
        Measured(clean(name) or "?", [row.metrics.get(name) for row in rows], _sign(run, name), _digits)
        for name in sorted(_names(rows, _metrics_of), key=lambda name: name != run.primary_metric)
    ]
    found += [
        Measured("NaN", [row.nan_batches for row in rows], -1, _count, is_bad=True),
        Measured("first NaN", [row.nan_onset for row in rows], 0, lambda value: f"b{value:,.0f}"),
        Measured("skipped steps", [row.grad_skips for row in rows], -1, _count, is_bad=True),
        Measured("VRAM", [row.vram_gb for row in rows], 0, lambda value: f"{value:.2f} G"),
        Measured("lr", [row.lr for row in rows], 0),
        Measured("batches/s", [_speed(row) for row in rows], 0),
        Measured("time", [row.seconds or None for row in rows], 0, duration),
        Measured("batches", [row.batch or None for row in rows], 0, _count),
    ]
    return [item for item in found if any(item.values) or item.name in ("NaN", "skipped steps")]


def changes(run: Run, before: Epoch, after: Epoch) -> list[str]:
    """Return what changed from one epoch to another, what matters most first."""
    return [*_machine(before, after), *_trouble(before, after), *_results(run, before, after), *_pace(before, after)]


def _machine(before: Epoch, after: Epoch) -> Iterator[str]:
    if before.vram_gb is not None and after.vram_gb is not None:
        change = after.vram_gb - before.vram_gb
        if abs(change) >= _LEAST_VRAM:
            yield f"VRAM {change:+.2f} G"


def _trouble(before: Epoch, after: Epoch) -> Iterator[str]:
    for word, was, now in (
        ("NaN", before.nan_batches, after.nan_batches), ("skip", before.grad_skips, after.grad_skips)
    ):  # fmt: skip
        if was != now:
            told = f"{now:,} NaN" if word == "NaN" else plural(now, word)
            yield f"{told} after {was:,}" if was else told


def _results(run: Run, before: Epoch, after: Epoch) -> Iterator[str]:
    old, new = losses_of(before), losses_of(after)
    lost = [name for name in new if name in old and math.isfinite(old[name]) and not math.isfinite(new[name])]
    if lost:
        yield f"{clean(lost[0])} {number(new[lost[0]])}" + (f", {len(lost) - 1} more losses too" if lost[1:] else "")
    grown = {n: new[n] / old[n] for n in new if n in old and old[n] > 0 and new[n] >= _GROWN * old[n] < math.inf}
    if grown and not lost:
        worst = max(grown, key=lambda n: grown[n])
        yield f"{clean(worst)} {number(old[worst])} -> {number(new[worst])} ({grown[worst]:,.0f} times)"
    name = run.primary_metric
    if name is not None and name in before.metrics and name in after.metrics:
        yield from _metric(run, name, before.metrics[name], after.metrics[name])


def _metric(run: Run, name: str, was: float, now: float) -> Iterator[str]:
    if not math.isfinite(was) or not math.isfinite(now):
        if math.isfinite(was) or math.isfinite(now):
            yield f"{clean(name)} {number(was)} -> {number(now)}"
    elif was != now:
        is_better = (now > was) == run.primary_rises
        yield f"{clean(name)} {number(was)} -> {number(now)} ({'better' if is_better else 'worse'})"


def _pace(before: Epoch, after: Epoch) -> Iterator[str]:
    if before.lr is not None and after.lr is not None and number(before.lr) != number(after.lr):
        yield f"lr {number(before.lr)} -> {number(after.lr)}"
    was, now = _speed(before), _speed(after)
    if was and now and abs(now / was - 1) >= _FASTER:
        yield f"{abs(now / was - 1):.0%} {'faster' if now > was else 'slower'}".replace("%", " %")


def _speed(row: Epoch) -> float | None:
    """Return batches a second."""
    return row.batch / row.seconds if row.seconds and row.batch else None


def _metrics_of(row: Epoch) -> dict[str, float]:
    return {name: value for name, value in row.metrics.items() if role_of(name) in ("loss", "metric")}


def _names(rows: Sequence[Epoch], values: Callable[[Epoch], dict[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in values(row)))


def _sign(run: Run, name: str) -> int:
    if name == run.primary_metric:
        return 1 if run.primary_rises else -1
    return direction_of(name)


def _digits(value: float) -> str:
    return number(value, aligned=True)


def _count(value: float) -> str:
    return f"{value:,.0f}"
