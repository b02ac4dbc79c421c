"""Runs as lines of text: a line for each change that a person would want to know of."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import PurePath

from nanwatch.alerts.dispatch import decide, mark_told
from nanwatch.model.alert import Alert
from nanwatch.model.event import EpochDone, Event, RunFinished, ValidationDone
from nanwatch.model.names import role_of
from nanwatch.model.run import Epoch, Run
from nanwatch.views.words import clean, duration, number

MARKS = {"critical": "X", "warning": "!", "info": "i"}


class PlainLines:
    """Words what happened: alerts, epochs that are done, the end of a run.

    Each epoch is told once. So is an alert, but for what `repeat_interval` (in seconds) asks for; one that is
    suppressed is not.
    """

    def __init__(self, repeat_interval: float = math.inf) -> None:
        self._repeat_interval = repeat_interval
        self._told: dict[str, tuple[int, int]] = {}
        self._epoch: dict[str, int | None] = {}

    def lines(self, run: Run, notice: Event | Alert, now: float | None) -> Iterator[str]:
        """Yield the lines for *notice* of *run*."""
        left = self._epoch.get(run.id)
        if left is not None and left != run.epoch:
            yield from self._epoch_line(run, run.table.get(left), now)
        self._epoch[run.id] = run.epoch
        if isinstance(notice, Alert):
            yield from self.again(run, notice, now)
        elif isinstance(notice, EpochDone | ValidationDone | RunFinished):
            yield from self._epoch_line(run, run.current, now)

    def where(self, run: Run, alerts: list[Alert], now: float | None) -> Iterator[str]:
        """Yield where *run* stands, and what fires."""
        yield self._line(run, now, f"{run.format}  {position_words(run)}")
        self._epoch[run.id] = run.epoch
        for alert in alerts:
            if alert.state == "firing":
                yield from self.again(run, alert, now)

    def again(self, run: Run, alert: Alert, now: float | None) -> Iterator[str]:
        """Yield a line for *alert* if somebody is to be told of it now."""
        reason = decide(alert, now, self._repeat_interval)
        if reason is not None:
            mark_told(alert, now)
            words = alert_words(alert)
            yield self._line(run, now, f"{words} (still)" if reason == "repeated" else words)

    def _epoch_line(self, run: Run, row: Epoch | None, now: float | None) -> Iterator[str]:
        if row is None or row.epoch < 0 or not (row.metrics or row.losses):
            return
        if self._told.get(run.id) == (row.epoch, row.attempts):
            return
        self._told[run.id] = (row.epoch, row.attempts)
        yield self._line(run, now, epoch_words(run, row))

    def _line(self, run: Run, now: float | None, text: str) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(now)) if now is not None else "--:--:--"
        name = PurePath(run.log).name if run.number == 1 else f"{PurePath(run.log).name}#{run.number}"
        return clean(f"{clock}  {name}  {text}")


def alert_words(alert: Alert) -> str:
    """Return one line for *alert*."""
    if alert.state == "resolved":
        return f"ok  {alert.rule} resolved: {alert.message}"
    return f"{MARKS[alert.severity]} {alert.severity:8} {alert.rule}: {alert.message}"


def position_words(run: Run) -> str:
    """Return where *run* stands: `epoch 4/50  batch 1,420/41,163 (3 %)`."""
    parts = []
    if run.epoch is not None:
        parts.append(f"epoch {run.epoch}" + (f"/{run.epochs}" if run.epochs else ""))
    if run.batch is not None and run.batches:
        parts.append(f"batch {run.batch:,}/{run.batches:,} ({100 * run.batch // run.batches} %)")
    if run.step is not None and run.batch is None:
        parts.append(f"step {run.step:,}" + (f"/{run.steps:,}" if run.steps else ""))
    if run.finished:
        parts.append("finished")
    elif run.failure:
        parts.append("failed")
    elif run.interrupted:
        parts.append("interrupted")
    return "  ".join(parts) or "no progress yet"


def epoch_words(run: Run, row: Epoch) -> str:
    """Return one epoch's result on a line."""
    parts = [f"epoch {row.epoch}" + (f"/{run.epochs}" if run.epochs else "")]
    values = {**row.losses, **{n: v for n, v in row.metrics.items() if role_of(n) in ("metric", "loss")}}
    parts += [f"{name} {number(value)}" for name, value in values.items()]
    if row.nan_batches:
        parts.append(f"NaN {row.nan_batches:,}")
    if row.grad_skips:
        parts.append(f"skips {row.grad_skips:,}")
    if row.vram_gb:
        parts.append(f"VRAM {row.vram_gb:.4g} G")
    if row.seconds is not None and math.isfinite(row.seconds):
        parts.append(duration(row.seconds))
    return "  ".join(parts)
