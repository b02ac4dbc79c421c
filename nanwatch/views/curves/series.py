"""What a chart draws: series of buckets over an axis of epochs or steps, and where their NaN are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nanwatch.model.curve import Bucket


class BadBits(NamedTuple):
    """The batches of an epoch that were drawn with a non-finite loss: bit b of `bits` is position `start` + b."""

    start: int
    batches: int
    bits: int


@dataclass(frozen=True, slots=True)
class Series:
    """One line: buckets of positions; position p lies at `origin` + p * `unit` of the axis.

    `bad` holds the exact places of NaN where they are known, `counts` how many there were by a bucket's start (both
    None: what the buckets counted). A bucket without a finite value whose `last` is infinite tells of Inf, not of
    NaN. `is_sparse` tells that every bucket is one measurement (an epoch's), which deserves a knot in the line.
    """

    name: str
    buckets: Sequence[Bucket]
    origin: float = 0.0
    unit: float = 1.0
    bad: Sequence[BadBits] | None = None
    counts: Mapping[int, int] | None = None
    is_sparse: bool = False

    @property
    def non_finite(self) -> int:
        """How many values were NaN or infinite."""
        if self.bad is not None:
            return sum(item.bits.bit_count() for item in self.bad)
        return sum(self.bad_of(bucket) for bucket in self.buckets)

    def bad_of(self, bucket: Bucket) -> int:
        """Return how many values of *bucket* were not finite."""
        if self.bad is not None:
            return sum(_bits_between(item, bucket.start, bucket.end) for item in self.bad)
        return bucket.non_finite if self.counts is None else self.counts.get(bucket.start, bucket.non_finite)

    def middle(self, bucket: Bucket) -> float:
        """Return where on the axis *bucket* lies."""
        return self.origin + (bucket.start + bucket.end) / 2 * self.unit

    def position(self, x: float) -> float:
        """Return the position that lies at *x* of the axis."""
        return (x - self.origin) / self.unit

    def at(self, x: float) -> Bucket | None:
        """Return the bucket at *x*, or the nearest one if nothing was measured there."""
        place = self.position(x) + 1e-6
        return min(self.buckets, key=lambda b: max(b.start - place, place - b.end, 0), default=None)


class Tick(NamedTuple):
    """A label of the axis and where it stands; `is_epoch` tells that an epoch begins there."""

    x: float
    text: str
    is_epoch: bool


class Axis(NamedTuple):
    """The part of the x axis that is seen, in epochs or steps; `batches` of an epoch are known where it counts them.

    `first` is the number of an epoch's first batch: 1 where its last one bears the number of them all.
    """

    start: float
    end: float
    unit: Literal["epoch", "step"] = "step"
    batches: int | None = None
    first: int = 0

    def edges(self, series: Series, columns: int) -> list[int]:
        """Return the first position of each of *columns*, and the one after the last."""
        width = (self.end - self.start) / columns
        return [math.ceil(series.position(self.start + n * width) - 1e-6) for n in range(columns + 1)]

    def column(self, x: float, columns: int) -> int:
        """Return the column of *x*, which may lie outside of what is seen."""
        span = self.end - self.start
        return math.floor((x - self.start) / span * columns + 1e-9) if span > 0 else 0

    def name(self, x: float) -> str:
        """Return how people call *x*: `e3 b31,204`, `e3`, `step 1,200`."""
        if self.unit == "step":
            return f"step {math.floor(x + 1e-6):,}"
        epoch = math.floor(x + 1e-9)
        if not self.batches:
            return f"e{epoch}"
        return f"e{epoch} b{math.floor((x - epoch) * self.batches + 1e-6) + self.first:,}"

    def ticks(self, columns: int) -> list[Tick]:
        """Return the labels for which there is room in *columns*."""
        span = self.end - self.start
        if not span > 0:
            return []
        wanted = max(1, columns // 10)
        step = max(1, round_step(span / max(1, columns // 5)) if self.unit == "epoch" else round_step(span / wanted))
        if self.unit == "epoch" and self.batches and span < 2.5:
            return self._inside(columns)
        texts = "e{}" if self.unit == "epoch" else "{:,}"
        first = math.ceil(self.start / step - 1e-9)
        last = math.floor(self.end / step + 1e-9)
        return [
            Tick(n * step, texts.format(round(n * step)), self.unit == "epoch")
            for n in range(first, min(last, first + columns) + 1)
            if n * step < self.end
        ]

    def _inside(self, columns: int) -> list[Tick]:
        """Return ticks by batch: at most a few epochs are seen."""
        batches = self.batches or 1
        step = max(1, round_step((self.end - self.start) * batches / max(1, columns // 12)))
        found = []
        for epoch in range(math.floor(self.start), math.ceil(self.end)):
            for batch in range(0, batches - (step // 2 if batches > step else 0), step):
                x = epoch + max(0, batch - self.first) / batches
                if self.start - 1e-9 <= x < self.end and not 0 < batch <= self.first:
                    found.append(Tick(x, f"b{batch:,}" if batch else f"e{epoch}", not batch))
        return found


def round_step(least: float) -> int:
    """Return the smallest whole number of 1, 2, 5, 10, 20, 50, ... that is not below *least*."""
    if not 1 < least < 1e18:
        return 1
    power: int = 10 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= least * (1 - 1e-9))


class BadColumns(NamedTuple):
    """How many values of each column were not finite; which columns hold Inf and no NaN; which ones no finite value."""

    counts: list[int]
    infinite: set[int]
    empty: set[int]


def bad_columns(series: Series, axis: Axis, columns: int) -> BadColumns:
    """Return where on *axis* the NaN of *series* are; a bucket's are in its middle."""
    if series.bad is not None:
        return BadColumns(_from_bits(series, axis, columns), set(), set())
    found = BadColumns([0] * columns, set(), set())
    nans = set[int]()
    for bucket in series.buckets:
        bad = series.bad_of(bucket)
        column = axis.column(series.middle(bucket), columns) if bad else -1
        if 0 <= column < columns:
            found.counts[column] += bad
            (found.infinite if math.isinf(bucket.last) else nans).add(column)
        if bad and not series.is_sparse and math.isnan(bucket.low):
            found.empty.update(_covered(series, bucket, axis, columns))
    return found._replace(infinite=found.infinite - nans)


def _covered(series: Series, bucket: Bucket, axis: Axis, columns: int) -> range:
    """Return the columns over which *bucket* reaches."""
    first = axis.column(series.origin + bucket.start * series.unit, columns)
    last = axis.column(series.origin + bucket.end * series.unit, columns)
    return range(max(0, first), min(columns, max(first + 1, last)))


def _from_bits(series: Series, axis: Axis, columns: int) -> list[int]:
    edges = axis.edges(series, columns)
    counts = [0] * columns
    for start, batches, bits in series.bad or ():
        if not bits or start + batches <= edges[0] or start >= edges[-1]:
            continue
        size = max(batches, bits.bit_length())
        packed = bits.to_bytes(size // 8 + 1, "little")
        for column in range(columns):
            low, high = max(0, edges[column] - start), edges[column + 1] - start
            # An epoch's last batch may be counted from 1: it is not the next epoch's.
            high = size if low < batches <= high else min(high, size)
            if low < high and low < batches:
                counts[column] += _count(packed, low, high)
    return counts


def _bits_between(item: BadBits, start: int, end: int) -> int:
    """Return how many of an epoch's bits lie from position *start* up to *end*."""
    low, high = max(0, start - item.start), end - item.start
    if high <= 0 or low >= item.batches:
        return 0
    bits = item.bits >> low
    return bits.bit_count() if high >= item.batches else (bits & ((1 << (high - low)) - 1)).bit_count()


def _count(packed: bytes, low: int, high: int) -> int:
    part = int.from_bytes(packed[low // 8 : (high + 7) // 8], "little") >> (low % 8)
    return (part & ((1 << (high - low)) - 1)).bit_count()


def bursts(series: Series, axis: Axis, columns: int = 400) -> list[float]:
    """Return where on *axis* stretches of NaN begin, for a cursor to jump to."""
    counts = bad_columns(series, axis, columns).counts
    starts = [n for n, count in enumerate(counts) if count and not (n and counts[n - 1])]
    edges = axis.edges(series, columns)
    return [_onset(series, edges[n], axis.start + (n + 0.5) * (axis.end - axis.start) / columns) for n in starts]


def _onset(series: Series, first: int, about: float) -> float:
    """Return where exactly the NaN began: at or after position *first*, *about* there."""
    for start, batches, bits in series.bad or ():
        rest = bits >> max(0, first - start)
        if rest and first < start + batches:
            batch = max(0, first - start) + (rest & -rest).bit_length() - 1
            return series.origin + (start + min(batch, batches - 1)) * series.unit
    return about
