"""oom: the device or the machine ran out of memory, and the run ended."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import quoted


class Rule:
    """Fires when running out of memory ended the run; resolves when training goes on after it."""

    name = "oom"
    wakes = Change.FAILURE | Change.END

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        failure = run.failure
        if failure is None or failure.kind != "oom":
            return
        yield Finding(
            self.name, "critical", f"out of memory ended the run: {quoted(failure.message)}", "",
            failure.epoch, run.batch, failure.offset, {"vram_gb": run.vram_gb},
        )  # fmt: skip
