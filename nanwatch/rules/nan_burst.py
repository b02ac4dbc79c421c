"""nan_burst: non-finite losses come in a burst, or the loss stays non-finite."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import NanBurst
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import key_of, nan_stretch, number_of, place, projection

_KEPT = 3
"""For so many batches the run itself keeps the shortest span."""


class Rule:
    """Fires when three non-finite batches stand within a hundred, or twenty in a row; resolves with the epoch."""

    name = "nan_burst"
    wakes = Change.NAN | Change.EPOCH | Change.CLEAN

    def __init__(self, settings: NanBurst) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        rows = nan_stretch(run)
        if not any(self._is_burst(row) for row in rows) and not self._is_burst_of_epochs(rows):
            return
        yield self._finding(rows) if len(rows) > 1 else self._finding_within(rows[0])

    def _is_burst_of_epochs(self, rows: list[Epoch]) -> bool:
        """Tell whether so many epochs in a row are not finite of which one line each is all that is told."""
        return len(rows) >= max(1, self.settings.batches) and not any(row.batch for row in rows)

    def _finding(self, rows: list[Epoch]) -> Finding:
        first, last = rows[0], rows[-1]
        count = sum(row.nan_batches for row in rows)
        return Finding(
            self.name, "critical",
            f"{count:,} NaN {'batches' if last.batch else 'losses'} since {place(first, first.nan_onset)}, "
            f"and still in epoch {last.epoch}",
            key_of(first), number_of(first), first.nan_onset, first.nan_offset,
            {"nan_batches": count, "onset_batch": first.nan_onset, "epochs": len(rows)},
        )  # fmt: skip

    def _finding_within(self, row: Epoch) -> Finding:
        seen = f" of {row.batch:,} batches ({100 * row.nan_batches / row.batch:.2f} %)" if row.batch else " batches"
        end = projection(row, row.nan_batches)
        ahead = f", about {end:,} by its end" if end is not None else ""
        unit = "batch" if row.nan_batches == 1 else "batches"
        text = f"{row.nan_batches:,} NaN {unit}" if not row.batch else f"{row.nan_batches:,} NaN{seen}"
        return Finding(
            self.name, "critical", f"{text} since {place(row, row.nan_onset)}{ahead}",
            key_of(row), number_of(row), row.nan_last[-1] if row.nan_last else row.nan_onset, row.nan_offset,
            {
                "nan_batches": row.nan_batches, "batches_seen": row.batch, "onset_batch": row.nan_onset,
                "tightest_span": row.nan_tightest, "longest_streak": row.nan_longest, "projected": end,
            },
        )  # fmt: skip

    def _is_burst(self, row: Epoch) -> bool:
        if row.nan_longest >= self.settings.streak:
            return True
        count = max(1, self.settings.batches)
        tightest = row.nan_tightest if count == _KEPT else _tightest(row.nan_mask, count)
        return tightest is not None and tightest <= self.settings.within


def _tightest(mask: int, count: int) -> int | None:
    """Return the shortest span of batches that holds *count* of those in *mask*."""
    if mask.bit_count() < count:
        return None
    places = [place for place, bit in enumerate(reversed(f"{mask:b}")) if bit == "1"]
    return min(last - first + 1 for first, last in zip(places, places[count - 1 :], strict=False))
