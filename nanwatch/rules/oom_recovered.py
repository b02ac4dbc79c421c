"""oom_recovered: the device ran out of memory, and the trainer went on with less."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import quoted


class Rule:
    """Fires when the trainer says that it recovers, or trains on all the same; resolves when another epoch begins."""

    name = "oom_recovered"
    wakes = Change.FAILURE | Change.END | Change.EPOCH

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield one finding for the current epoch."""
        del now
        mended = [r for r in run.recoveries if r.kind == "oom" and r.epoch == run.epoch]
        if not mended:
            return
        last = mended[-1]
        key = "" if last.epoch is None else f"epoch {last.epoch}"
        yield Finding(
            self.name, "warning", f"out of memory, the trainer recovered: {quoted(last.message)}", key,
            last.epoch, None, last.offset, {"times": len(mended)},
        )  # fmt: skip
