"""vram_jump: an epoch needs clearly more GPU memory than the epochs before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from nanwatch.config import VramJump
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.words import recent_rows


class Rule:
    """Fires when an epoch's peak is 10 % and 0.25 GB above the median peak of the epochs before."""

    name = "vram_jump"
    wakes = Change.VRAM | Change.EPOCH

    def __init__(self, settings: VramJump) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding; it goes when the higher peak has become the usual one."""
        del now
        row = run.current
        if row is None:
            return
        earlier = [e for e in recent_rows(run) if e is not row and e.offset >= run.stage_offset]
        before = [e.vram_gb for e in earlier if e.vram_gb and e.vram_gb > 0]
        if not before:
            return
        usual = median(before)
        peak = row.vram_gb if row.vram_gb is not None else run.vram_gb or 0.0
        if not self._is_jump(peak, usual):
            return
        since = _since(run, row, lambda vram: self._is_jump(vram, usual))
        when = f"in epoch {row.epoch}" if since is row else f"since epoch {since.epoch}"
        yield Finding(
            self.name, "warning",
            f"VRAM {usual:.4g} -> {peak:.4g} G ({peak - usual:+.2f} G, {100 * (peak / usual - 1):+.0f} %) {when}",
            "", since.epoch, run.batch, since.vram_offset if since.vram_offset is not None else since.offset,
            {"peak_gb": peak, "usual_gb": round(usual, 4), "change_gb": round(peak - usual, 4)},
        )  # fmt: skip

    def _is_jump(self, peak: float, usual: float) -> bool:
        settings = self.settings
        return peak >= usual * (1 + settings.percent / 100) and peak - usual >= settings.gb - 1e-9


def _since(run: Run, row: Epoch, is_jump: Callable[[float], bool]) -> Epoch:
    """Return the first epoch of the stretch up to *row* that needs the higher memory."""
    for epoch in sorted((e for e in run.table if 0 <= e < row.epoch), reverse=True):
        vram = run.table[epoch].vram_gb
        if vram is None or not is_jump(vram):
            break
        row = run.table[epoch]
    return row
