"""How closely logs are read for their curves: where frames are passed over, some are read all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_DETAIL, _LEAST_DETAIL = 1 << 12, 1 << 19
_POINTS, _POINTS_IN_ALL, _FEWEST_POINTS = 400, 20_000, 50
"""Points of a curve of a log that is read for the first time; all logs together get no more than so many."""


def detail_for(logs: int) -> Callable[[Path], int]:
    """Return what tells of how many bytes of a log one frame is to be read for the curves, where there are *logs*."""
    points = max(_FEWEST_POINTS, min(_POINTS, _POINTS_IN_ALL // max(1, logs)))

    def detail(path: Path) -> int:
        try:
            size = path.stat().st_size
        except OSError:
            return _LEAST_DETAIL
        return max(_DETAIL, min(_LEAST_DETAIL, 1 << (size // points).bit_length()))

    return detail
