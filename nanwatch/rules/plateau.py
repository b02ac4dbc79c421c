"""plateau: the primary metric has not become better for a long time."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Plateau
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import measured


class Rule:
    """News after 20 epochs without a better value, resolves with a better one. Off unless it is asked for."""

    name = "plateau"
    wakes = Change.METRICS | Change.EPOCH | Change.END

    def __init__(self, settings: Plateau) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        best, history = run.best, measured(run)
        if best is None or best.epoch is None or not history:
            return
        later = sum(1 for item in history if item.epoch > best.epoch)
        age = later if run.epoch is None else history[-1].epoch - best.epoch
        if age < self.settings.epochs:
            return
        unit, times = ("step", "evaluations") if run.epoch is None else ("epoch", "epochs")
        yield Finding(
            self.name, "info",
            f"{best.metric} has not been better than {best.value:.4g} for {age} {times}, since {unit} {best.epoch:,}",
            f"best at {best.epoch}", None if run.epoch is None else history[-1].epoch, None, history[-1].offset,
            {"metric": best.metric, "best": best.value, "best_epoch": best.epoch, "epochs": age},
        )  # fmt: skip
