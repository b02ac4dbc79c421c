"""PyTorch Lightning: metrics that were logged per step and per epoch, and Rich bars that wrap."""

from __future__ import annotations

import re

from nanwatch.formats.bars import Bar
from nanwatch.formats.declared import Reader
from nanwatch.formats.pairs import read_pairs, sort_pairs
from nanwatch.model.event import BatchDone, Event

_RICH_TOTAL = re.compile(r"^Epoch \d+/(\d+)\s*$")
_CONTINUED = re.compile(r"^\s{20,}(\w[\w/]*: \S.*)$")


class Format(Reader):
    """Adds to the declaration what needs a condition.

    `X_epoch` is the epoch's own value of X; it stands in the bar of the next epoch until that one's is known,
    so it is a metric and never a batch's loss. A Rich bar may go on in the line below it.
    """

    def read(self, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        """Return the events of a frame, or None when no pattern knows it."""
        events = super().read(text, bar, offset)
        memory = self.state.memory
        if events and bar is not None and isinstance(events[0], BatchDone):
            event = events[0]
            _split(event)
            total = _RICH_TOTAL.match(bar.text)
            if total:
                event.epochs = int(total[1]) + 1  # it prints the highest number, and counts from zero
                memory["rich_epoch"], memory["rich_batch"] = float(event.epoch or 0), float(bar.n)
                return events
        elif events is None and "rich_epoch" in memory:
            rest = _CONTINUED.match(text)
            if rest:
                self.matched = "rich bar, continued"
                values = sort_pairs(read_pairs(rest[1]))
                event = BatchDone(offset, memory["rich_epoch"], batch=int(memory["rich_batch"]), bar=True)
                event.losses, event.metrics = values.losses, values.metrics
                _split(event)
                return [event]
        memory.pop("rich_epoch", None)
        return events


def _split(event: BatchDone) -> None:
    losses = dict(event.losses)
    metrics = dict(event.metrics)
    for name in [n for n in losses if n.endswith("_epoch")]:
        metrics[name] = losses.pop(name)
    for name in [n for n in metrics if n.endswith("_epoch")]:
        metrics[name.removesuffix("_epoch")] = metrics[name]
    event.losses, event.metrics = losses, metrics
