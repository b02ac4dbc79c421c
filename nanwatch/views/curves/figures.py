"""Which figures of a run can be plotted, in a telling order, and where each comes from: batches or epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nanwatch.model.curve import Bucket, Curve
from nanwatch.model.names import direction_of, is_validation, role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves.series import Axis, BadBits, Series
from nanwatch.views.health import losses_of
from nanwatch.views.words import clean

Kind = Literal["loss", "validation", "metric", "VRAM", "speed", "lr", "gradient", "time", "other"]
_ORDER: tuple[Kind, ...] = ("loss", "validation", "metric", "VRAM", "speed", "lr", "gradient", "time", "other")
_VRAM, _SPEED, _RATE, _NORM, _TIME = "VRAM", "it/s", "lr", "grad_norm", "time s"
_OWN: Mapping[str, Kind] = {_VRAM: "VRAM", _SPEED: "speed", _RATE: "lr", _NORM: "gradient", _TIME: "time"}


@dataclass(frozen=True, slots=True)
class Source:
    """A run as the figures see it. Position p of its batches lies at `origin` + p * `unit` of the axis.

    `first` is the position of the first batch: 1 where the trainer tells how many batches are done, so that the last
    one of an epoch lies within that epoch, not at the beginning of the next.
    """

    run: Run
    curves: Mapping[str, Curve]
    rows: Sequence[Epoch]
    batches: int | None
    origin: float
    unit: float
    bad: Sequence[BadBits]
    first: int = 0

    @property
    def has_epochs(self) -> bool:
        """Whether the axis counts epochs, not steps."""
        return self.run.epoch is not None

    @property
    def has_bad_loss(self) -> bool:
        """Whether any loss was told to be NaN; if not, it was its gradient norm that told."""
        return any(_has_bad(curve) for name, curve in self.curves.items() if _kind(name, "other") == "loss")

    @property
    def extent(self) -> Axis:
        """The whole axis: from the run's first batch to its last, or to the end of the last epoch measured."""
        ends = [max((c.end for c in self.curves.values()), default=0), max(0, self.run.position) + 1]
        end = self.origin + min(ends if ends[0] else ends[1:]) * self.unit
        if not self.has_epochs:
            steps = [item.epoch for item in self.run.evaluations]
            return Axis(min([0, *steps]), max([end, 1.0, *(step + 1 for step in steps)]), "step")
        measured = [row.epoch for row in self.rows if row.metrics or row.done or not self.curves]
        start = min([self.origin + self.first * self.unit, *(row.epoch for row in self.rows)])
        end = max([end if self.curves else start, start + 1e-3, *(epoch + 1 for epoch in measured)])
        return Axis(start, end, "epoch", self.batches, self.first)


@dataclass(frozen=True, slots=True)
class Figure:
    """Something to plot: `sign` is 1 if higher is better, -1 if lower is. `now` is what it is at present."""

    name: str
    title: str
    kind: Kind
    sign: int
    source: Source
    now: float | None = None

    @property
    def has_batches(self) -> bool:
        """Whether it is known batch by batch (or step by step)."""
        return self.name in self.source.curves

    @property
    def has_epochs(self) -> bool:
        """Whether it is known epoch by epoch (or, in a run without epochs, by validation)."""
        return any(True for _ in self._points())

    def is_by_epoch(self, wanted: bool) -> bool:
        """Tell whether it is plotted by epoch, as *wanted* or because there is nothing else."""
        known = self.has_batches and not (self.source.has_epochs and self.source.batches is None)
        return self.has_epochs if wanted or not known else self._is_result()

    def _is_result(self) -> bool:
        """Tell whether it changes but once an epoch: it is what came of one, whatever batch it stands beside."""
        curve = self.source.curves.get(self.name)
        if curve is None or self.kind not in ("metric", "validation") or not self.source.has_epochs:
            return False
        most = sum(1 for _ in self._points()) + 1
        if most == 1:
            return False
        changes, before = 0, math.nan
        for _, _, low, high, last, _, _ in curve.buckets():
            changes += not (low == high == before)
            if changes > most:
                return False
            before = last
        return True

    @property
    def is_void(self) -> bool:
        """Whether it is 0 throughout and so says nothing; a loss or the primary metric says something then too."""
        if self.kind in ("loss", "validation") or self.name == self.source.run.primary_metric:
            return False
        curve = self.source.curves.get(self.name)
        buckets = iter(()) if curve is None else curve.buckets()
        return all(b.low == b.high == 0 and not b.non_finite for b in buckets) and all(
            value == 0 for _, (value, _) in self._points()
        )

    def series(self, by_epoch: bool = False) -> Series:
        """Return its line."""
        return self._sparse() if self.is_by_epoch(by_epoch) else self._dense()

    def _dense(self) -> Series:
        source = self.source
        curve = source.curves.get(self.name)
        bad = source.bad or None if self._owns_nan(curve) else None
        norm = source.curves.get(_NORM)
        hidden = None
        if self.kind == "loss" and source.run.hidden_nan and bad is None and norm is not None:
            hidden = {bucket.start: bucket.non_finite for bucket in norm.buckets() if bucket.non_finite}
        buckets = [] if curve is None else list(curve.buckets())
        if buckets:
            # The last bucket may reach beyond what has been done so far, and its middle off the axis.
            done = max(0, source.run.position) + 1
            buckets[-1] = buckets[-1]._replace(end=max(buckets[-1].start + 1, min(buckets[-1].end, done)))
            if buckets[0].start < source.first:  # told before the first batch was done
                buckets[0] = buckets[0]._replace(end=max(buckets[0].end, buckets[0].start + 2 * source.first))
        return Series(self.title, buckets, source.origin, source.unit, bad, hidden)

    def _owns_nan(self, curve: Curve | None) -> bool:
        """Tell whether the NaN that the run counted are this figure's: where others show them and it does not, no."""
        if self.kind != "loss":
            return False
        return curve is None or _has_bad(curve) or not self.source.has_bad_loss

    def _sparse(self) -> Series:
        counts = {}
        if self.kind == "loss" and self._owns_nan(self.source.curves.get(self.name)):
            counts = {row.epoch: row.nan_batches for row in self.source.rows if row.nan_batches}
        points = dict(self._points())
        buckets = []
        for epoch in sorted({*points, *counts}):
            value, offset = points.get(epoch, (math.nan, 0))
            buckets.append(_point(epoch, value, offset or self._offset(epoch)))
        return Series(self.title, buckets, counts=counts or None, is_sparse=True)

    def _offset(self, epoch: int) -> int:
        row = self.source.run.table.get(epoch)
        return 0 if row is None else row.nan_offset or row.offset

    def _points(self) -> Iterator[tuple[int, tuple[float, int]]]:
        if not self.source.has_epochs:
            if self.name == self.source.run.primary_metric:
                yield from ((item.epoch, (item.value, item.offset)) for item in self.source.run.evaluations)
            return
        read = _reader(self.name, self.kind)
        for row in self.source.rows:
            value = read(row)
            if value is not None:
                offset = row.nan_offset if self.kind == "loss" and row.nan_offset is not None else row.offset
                yield row.epoch, (value, offset)


def source_of(snapshot: Snapshot) -> Source | None:
    """Return what the figures of a snapshot are taken from, or None if nothing was read yet."""
    if snapshot.view is None:
        return None
    run = snapshot.view.run
    rows = sorted((row for row in run.table.values() if row.epoch >= 0), key=lambda row: row.epoch)
    if run.epoch is None:
        return Source(run, snapshot.curves, rows, None, 0.0, 1.0, _bits(run, list(run.table.values()), None))
    batches = run.batches or max((row.batches or row.batch for row in rows), default=0) or None
    origin = float(run.first_epoch or 0)
    if batches is not None:
        first = int(any(0 < (row.batches or batches) <= row.batch for row in rows))
        bits = _bits(run, rows, batches, first)
        return Source(run, snapshot.curves, rows, batches, origin - first / batches, 1 / batches, bits, first)
    if run.steps and run.epochs and run.steps >= run.epochs:
        batches = round(run.steps / run.epochs)
        begin = min((bucket.start for curve in snapshot.curves.values() for bucket in curve.buckets()), default=0)
        origin -= (max(1, begin) - 1) // batches + 1 / batches
        return Source(run, snapshot.curves, rows, batches, origin, 1 / batches, [], 1)
    unit = (run.epoch + 1 - origin) / (max(0, run.position) + 1)
    return Source(run, snapshot.curves, rows, None, origin, max(unit, 1e-12), [])


def figures(source: Source) -> list[Figure]:
    """Return the figures in a telling order: losses, validation, metrics (the primary one first), the machine's.

    What is 0 throughout comes last.
    """
    run, kinds = source.run, _kinds(source)
    found = [
        Figure(name, clean(name) or "?", kind, _sign(run, name, kind), source, _now(run, name, kind))
        for name, kind in kinds.items()
    ]
    found = [figure for figure in found if figure.has_batches or figure.has_epochs]
    return sorted(found, key=lambda f: (f.is_void, _ORDER.index(f.kind), f.name != run.primary_metric))


# -- parts


def _kinds(source: Source) -> dict[str, Kind]:
    """Return every name that stands for a figure, and what it is; the order is the log's."""
    run = source.run
    found: dict[str, Kind] = {name: _kind(name, "other") for name in source.curves}
    for row in source.rows:
        for name in (*losses_of(row), *row.means):
            found.setdefault(name, "validation" if is_validation(name) else "loss")
        for name in row.metrics:
            if role_of(name) in ("loss", "metric"):
                found.setdefault(name, _kind(name, "metric"))
    if run.primary_metric is not None and run.evaluations:
        found.setdefault(run.primary_metric, _kind(run.primary_metric, "metric"))
    return {**found, **_OWN}


def _kind(name: str, unknown: Kind) -> Kind:
    role = role_of(name)
    if name in _OWN:
        return _OWN[name]
    if role == "loss" or (role == "metric" and "loss" in name.lower()):
        return "validation" if is_validation(name) else "loss"
    return "metric" if role == "metric" else unknown


def _sign(run: Run, name: str, kind: Kind) -> int:
    if name == run.primary_metric:
        return 1 if run.primary_rises else -1
    return {"speed": 1, "time": -1}.get(kind, direction_of(name))


def _now(run: Run, name: str, kind: Kind) -> float | None:
    own = {"VRAM": run.vram_gb, "speed": run.rate, "lr": run.lr, "gradient": run.grad_norm}
    return own[kind] if kind in own else run.losses.get(name, run.metrics.get(name))


def _reader(name: str, kind: Kind) -> Callable[[Epoch], float | None]:
    """Return how to take a figure from an epoch's row."""
    if kind == "VRAM":
        return lambda row: row.vram_gb
    if kind == "lr":
        return lambda row: row.lr
    if kind == "speed":
        return lambda row: row.batch / row.seconds if row.seconds and row.batch and row.done else None
    if kind == "time":
        return lambda row: row.seconds if row.done else None
    return lambda row: row.means.get(name, losses_of(row).get(name, row.metrics.get(name)))


def _point(epoch: int, value: float, offset: int) -> Bucket:
    """Return one measurement; an infinite one keeps its value in `last`."""
    is_finite = math.isfinite(value)
    shown = value if is_finite else math.nan
    return Bucket(epoch, epoch + 1, shown, shown, value, 0 if is_finite else 1, offset)


def _bits(run: Run, rows: Sequence[Epoch], batches: int | None, first: int = 0) -> list[BadBits]:
    """Return where the run counted NaN, exactly; nothing if some of them have no place."""
    if any(row.nan_batches > row.nan_mask.bit_count() for row in rows):
        return []
    found = []
    for row in rows:
        if row.nan_mask and run.epoch is None:
            found.append(BadBits(0, row.nan_mask.bit_length(), row.nan_mask))
        elif row.nan_mask and batches:
            found.append(BadBits((row.epoch - (run.first_epoch or 0)) * batches, batches + first, row.nan_mask))
    return found


def _has_bad(curve: Curve) -> bool:
    return any(bucket.non_finite for bucket in curve.buckets())
