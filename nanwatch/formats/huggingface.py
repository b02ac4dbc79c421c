"""Hugging Face Trainer: which of the nameless bars is the training's, and how many epochs its steps make."""

from __future__ import annotations

import math

from nanwatch.formats.bars import Bar
from nanwatch.formats.declared import Reader
from nanwatch.model.event import BatchDone, Event

_ROUNDED = 0.05
"""So much of an epoch may be lost where the trainer rounds it."""


class Format(Reader):
    """Adds to the declaration what needs memory.

    The first nameless bar counts the steps of the whole run; others (nested evaluations) have another total.
    The total of epochs is not printed: a log line says `epoch` as a fraction, the training bar that is drawn
    next says at which step.
    """

    def read(self, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        """Return the events of a frame, or None when no pattern knows it."""
        memory = self.state.memory
        if bar is not None and not bar.text.strip() and bar.total is not None:
            if bar.n == 0 and "logged" not in memory and memory.get("done", 0) >= memory.get("steps", 1):
                memory["steps"] = float(bar.total)  # what was drawn before was some preparation
            if bar.total == memory.setdefault("steps", float(bar.total)):
                memory["done"] = float(bar.n)
            else:
                self.matched = "evaluation bar"
                return []
            fraction = memory.pop("fraction", None)
            events = super().read(text, bar, offset)
            if events and fraction and bar.n:
                epochs = max(1, math.ceil(bar.total * fraction / bar.n - _ROUNDED))  # max_steps may end within one
                for event in events:
                    if isinstance(event, BatchDone):
                        event.epochs = epochs
            return events
        events = super().read(text, bar, offset)
        for event in events or ():
            memory["logged"] = 1.0
            if isinstance(event, BatchDone) and event.epoch:
                memory["fraction"] = float(event.epoch)
        return events
