"""Means over neighbouring buckets, to be drawn over the faint raw curve; NaN break them as they break it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nanwatch.model.curve import Bucket

_LARGEST = 1e300
LEVELS = 3
"""No smoothing, some, more."""


def span_of(buckets: Sequence[Bucket], level: int) -> int:
    """Return over how many buckets to take the mean: an odd number, 1 for none."""
    share = (0, 40, 10)[level % LEVELS]
    return 1 if not share else max(3, len(buckets) // share) | 1


def smoothed(buckets: Sequence[Bucket], span: int) -> list[Bucket]:
    """Return *buckets* with the mean of the *span* finite ones around each instead of its values."""
    values = [max(-_LARGEST, min(_LARGEST, b.low / 2 + b.high / 2)) for b in buckets if math.isfinite(b.low)]
    found, place, reach = [], 0, span // 2
    for bucket in buckets:
        if math.isfinite(bucket.low):
            near = values[max(0, place - reach) : place + reach + 1]
            mean = sum(near) / len(near)
            bucket = bucket._replace(low=mean, high=mean, last=mean)
            place += 1
        found.append(bucket)
    return found
