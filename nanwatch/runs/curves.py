"""Events -> curves: what each figure of a run did, batch by batch, for plots. Nothing is judged by them."""

from __future__ import annotations

from nanwatch.model.curve import Curve
from nanwatch.model.event import BatchDone, Event
from nanwatch.model.run import Run

_MOST = 24
"""Figures of a run that are kept: a trainer that logs a hundred of them is not to fill the memory."""
LEARNING_RATE, VRAM, SPEED, GRAD_NORM = "lr", "VRAM", "it/s", "grad_norm"


class RunCurves:
    """The curves of one run, by the trainer's own names and, beside them, `lr`, `VRAM`, `it/s` and `grad_norm`."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self._position = 0
        self._attempt: tuple[int, ...] = ()

    def note(self, run: Run, event: Event) -> None:
        """Take the figures of *event*, which was just applied to *run*."""
        if not isinstance(event, BatchDone):
            return
        position = max(0, run.position)
        self._follow(run, position)
        others = {LEARNING_RATE: event.lr, VRAM: event.vram_gb, SPEED: event.rate, GRAD_NORM: event.grad_norm}
        for name, value in {**event.losses, **event.metrics, **others}.items():
            if value is None:
                continue
            curve = self.curves.get(name)
            if curve is None:
                if len(self.curves) >= _MOST:
                    continue
                curve = self.curves[name] = Curve()
            curve.add(position, value, event.offset)

    def copy(self) -> dict[str, Curve]:
        """Return the curves as they stand."""
        return {name: curve.copy() for name, curve in self.curves.items()}

    def _follow(self, run: Run, position: int) -> None:
        """Forget what the trainer is about to do again: it was resumed, or went back to an earlier epoch."""
        row = run.current
        attempt = (run.resumes, len(run.rollbacks), 0 if row is None else row.attempts, run.epoch or 0)
        if position < self._position and attempt != self._attempt:
            for curve in self.curves.values():
                curve.rewind(position)
        self._position, self._attempt = position, attempt
