"""Where a run stands, as the lines of a body that follow its alerts."""

from __future__ import annotations

import math
import re
import shlex

from nanwatch.model.news import RunFacts, WeightsFacts
from nanwatch.model.words import duration, plural, printable
from nanwatch.notify.amounts import moment, number
from nanwatch.notify.inert import inert
from nanwatch.notify.layout import field
from nanwatch.notify.names import short_name
from nanwatch.notify.phrases import FASTEST, pace

_LONGEST_PATH = 400
_LONGEST_NAME = 40
_MOST_LOSSES = 4
_UNSAFE_IN_PATH = re.compile(r"[^\w./,:;+=~% -]")


def run_lines(run: RunFacts, now: float, is_about_nan: bool) -> list[str]:
    """Return where the run stands at *now* (Unix seconds), and a line to paste that shows more.

    The last clean epoch is told where it matters: the run has NaN, or what is told *is_about_nan*.
    """
    lines = field("Run", f"{short_name(run)}: {_position(run)}")
    for text in (_pace(run), _losses(run), _counters(run), _best(run)):
        lines += field("", text)
    if run.last_clean_epoch is not None and (run.nan_batches or is_about_nan):
        lines += field("Clean", f"epoch {run.last_clean_epoch} was the last without NaN")
    lines += _weights(run.weights)
    if run.updated_at is not None:
        ago = f", {duration(now - run.updated_at)} ago" if now - run.updated_at >= 1 else ""
        lines += field("Grew", f"{moment(run.updated_at)}{ago}")
    log = "standard input" if run.log in ("", "-") else run.log
    lines.append(f"Log    {inert(log, _LONGEST_PATH)}")  # not wrapped: a path is copied in one piece
    pasted = _pasted(run.log)
    return [*lines, f"Look   nanwatch summary {pasted}"] if pasted else lines


def _weights(weights: WeightsFacts | None) -> list[str]:
    """Return which checkpoint to start again from; that path is not wrapped: it is copied in one piece."""
    if weights is None:
        return []
    newer = f"newer ones: {'; '.join(weights.worse)}" if weights.worse else ""
    if not weights.last_clean:
        where = f" in {inert(weights.folder, _LONGEST_PATH)}" if weights.folder else ""
        text = weights.problem or f"no clean checkpoint{where}"
        return field("Resume", text) + field("", "; ".join(weights.worse))
    parts = ["the last clean checkpoint"]
    parts += [f"epoch {weights.epoch}"] if weights.epoch is not None else []
    parts += [f"written {moment(weights.saved_at)}"] if weights.saved_at is not None else []
    path = f"Resume {inert(weights.last_clean, _LONGEST_PATH)}"
    return [path, *field("", ", ".join(parts)), *field("", newer)]


def _position(run: RunFacts) -> str:
    """Return `running, epoch 4/50, batch 1,420/41,163`."""
    pairs = [("epoch", run.epoch, run.epochs), ("batch", run.batch, run.batches)]
    if run.batch is None:
        pairs.append(("step", run.step, run.steps))
    parts = [f"{name} {at:,}{f'/{of:,}' if of else ''}" for name, at, of in pairs if at is not None]
    return ", ".join([run.status, *parts])


def _pace(run: RunFacts) -> str:
    """Return `12.4 it/s, ETA 43 h` of a run that goes on; nothing of one whose rate is absurd, and so its ETA."""
    if run.status != "running" or (run.rate is not None and run.rate > FASTEST):
        return ""
    parts = [text for text in (pace(run.rate),) if text]
    if run.eta_seconds is not None and math.isfinite(run.eta_seconds):
        parts.append(f"ETA {duration(run.eta_seconds)}")
    return ", ".join(parts)


def _losses(run: RunFacts) -> str:
    parts = [f"{_metric(name)} {number(value)}" for name, value in run.losses.items()]
    more = len(parts) - _MOST_LOSSES
    return ", ".join([*parts[:_MOST_LOSSES], *([f"{more} more"] if more > 0 else [])])


def _counters(run: RunFacts) -> str:
    parts = []
    if run.nan_batches or run.losses:  # of a run that has shown no loss yet, nobody knows
        parts.append(plural(run.nan_batches, "NaN batch", "NaN batches") if run.nan_batches else "no NaN")
    if run.grad_skips:
        parts.append(f"{plural(run.grad_skips, 'step', 'steps')} skipped")
    if run.vram_gb is not None:
        parts.append(f"VRAM {run.vram_gb:.3g} G")
    return ", ".join(parts)


def _best(run: RunFacts) -> str:
    """Return `mAP50-95 0.6413, best 0.65 (epoch 3)`; nothing where it is only a loss that has been told."""
    if run.best_value is None and run.primary_metric in run.losses:
        return ""
    parts = []
    if run.primary_value is not None:
        parts.append(number(run.primary_value))
    if run.best_value is not None:
        unit = "step" if run.epoch is None else "epoch"
        at = "" if run.best_epoch is None else f" ({unit} {run.best_epoch:,})"
        parts.append(f"best {number(run.best_value)}{at}")
    return f"{_metric(run.primary_metric)} {', '.join(parts)}" if run.primary_metric is not None and parts else ""


def _metric(name: str) -> str:
    return printable(name)[:_LONGEST_NAME]


def _pasted(log: str) -> str:
    """Return the log's path as a shell and nanwatch take it, a `?` for each sign that a chat would not leave alone.

    Nothing for what has no path, or too long a one.
    """
    if log in ("", "-") or len(log) > _LONGEST_PATH:
        return ""
    if log.startswith("-"):
        log = f"./{log}"  # no option
    quoted = shlex.quote(log)
    return quoted if inert(quoted, _LONGEST_PATH) == quoted else shlex.quote(_UNSAFE_IN_PATH.sub("?", log))
