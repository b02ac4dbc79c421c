"""Alerts -> which checkpoint to start again from: for which alerts it is looked up, and for which run the answer is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nanwatch.config import CheckpointSettings
from nanwatch.model.alert import Alert
from nanwatch.model.checkpoint import Weights
from nanwatch.model.run import Run
from nanwatch.scanning import Scanning
from nanwatch.weights import lost_since, places_of

_LOSING = frozenset({
    "nan_loss", "nan_burst", "metric_collapse", "loss_explosion", "frozen_metric", "oom", "crash", "process_gone",
    "stall",
})  # fmt: skip
"""Rules after which somebody may have to start again from a checkpoint."""


class Weighing:
    """Has the checkpoints of a run looked through, by *scanning*, when an alert says that it may be lost."""

    def __init__(self, scanning: Scanning, settings: CheckpointSettings) -> None:
        self._scanning = scanning
        self._runs: dict[str, Run] = {}
        self.use(settings)

    def use(self, settings: CheckpointSettings) -> None:
        """Work by *settings* from now on."""
        self._settings = settings
        self._scanning.seconds = settings.timeout

    def ask(self, run: Run, alert: Alert, alerts: Iterable[Alert]) -> bool:
        """Have the checkpoints of *run* looked through if *alert* is worth it; return whether that is under way.

        *alerts* are all of the run: what was lost before this one counts as well.
        """
        if not self._settings.scan or alert.state != "firing" or alert.rule not in _LOSING:
            return False
        if not self._scanning.ask(run.id, places_of(run, self._settings), lost_since(run, [alert, *alerts])):
            return False
        self._runs[run.id] = run
        return True

    def poll(self) -> Iterator[tuple[Run, Weights | None]]:
        """Yield the answers that have come: None where a run keeps no checkpoints that could be found."""
        for run_id, weights in self._scanning.poll():
            yield self._runs.pop(run_id), weights

    def close(self) -> None:
        """End what is under way."""
        self._scanning.close()
