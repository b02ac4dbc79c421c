"""Curves: bounded, honest about lows, highs and what is no number, and the same however they were filled."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.curve import CAPACITY, Bucket, Curve

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
STEPS = st.lists(st.tuples(st.integers(0, 200), VALUES), max_size=200)


def filled(points: list[tuple[int, float]]) -> Curve:
    """Return a curve with these positions and values; the offset is a hundred times the point's number."""
    curve = Curve()
    for number, (position, value) in enumerate(points):
        curve.add(position, value, 100 * number)
    return curve


def test_a_short_curve_keeps_every_value() -> None:
    """Up to its capacity, each position has a bucket of its own."""
    buckets = list(filled([(1, 2.0), (3, 1.5)]).buckets())
    assert buckets == [Bucket(1, 2, 2.0, 2.0, 2.0, 0, 0), Bucket(3, 4, 1.5, 1.5, 1.5, 0, 100)]


def test_a_spike_of_one_batch_survives_any_length() -> None:
    """A value that stands out is seen among a million batches."""
    curve = Curve()
    for position in range(0, 1_000_000, 100):
        curve.add(position, 9.0 if position == 500_000 else 1.0, position)
    assert len(curve) <= CAPACITY
    assert max(b.high for b in curve.buckets()) == 9.0


def test_a_nan_is_counted_and_leads_to_its_place() -> None:
    """A bucket keeps the offset of its first non-finite value, and its finite ones beside."""
    curve = filled([(0, 1.0), (600, 2.0), (601, math.nan), (602, 3.0), (603, math.inf)])
    assert curve.width == 2
    by_start = {b.start: b for b in curve.buckets()}
    assert by_start[600] == Bucket(600, 602, 2.0, 2.0, 2.0, 1, 200)
    assert by_start[602] == Bucket(602, 604, 3.0, 3.0, 3.0, 1, 400)


def test_what_is_done_again_replaces_what_was() -> None:
    """A resumed run's batches take the place of those that it repeats."""
    curve = filled([(n, float(n)) for n in range(10)])
    curve.rewind(4)
    curve.add(4, 40.0, 0)
    assert [b.last for b in curve.buckets()] == [0.0, 1.0, 2.0, 3.0, 40.0]


def test_a_copy_stands_still() -> None:
    """A copy does not change with its original."""
    curve = filled([(0, 1.0)])
    taken = curve.copy()
    curve.add(0, 5.0, 0)
    assert [b.high for b in taken.buckets()] == [1.0]


@given(steps=STEPS, scale=st.sampled_from([1, 7, 1000]))
def test_a_curve_is_true(steps: list[tuple[int, float]], scale: int) -> None:
    """Whatever its width, each bucket tells exactly the values that fell into it."""
    points, at = [], 0
    for step, value in steps:
        at += step * scale
        points.append((at, value))
    curve = filled(points)
    assert len(curve) <= CAPACITY
    for bucket in curve.buckets():
        inside = [v for p, v in points if bucket.start <= p < bucket.end]
        finite = [v for v in inside if math.isfinite(v)]
        assert bucket.non_finite == len(inside) - len(finite)
        if finite:
            assert (bucket.low, bucket.high, bucket.last) == (min(finite), max(finite), finite[-1])
        else:
            assert math.isnan(bucket.low)
            assert math.isnan(bucket.high)
    covered = {p for b in curve.buckets() for p in range(b.start, b.end)} if scale == 1 else set()
    assert scale != 1 or {p for p, _ in points} <= covered
