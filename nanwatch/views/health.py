"""What is wrong with a run: how bad it is, and one sentence with onsets."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from nanwatch.model.alert import SEVERITIES, Alert
from nanwatch.model.run import Epoch, Evaluation, Run
from nanwatch.model.snapshot import RunView as RunView
from nanwatch.rules.words import clean_before, loss_row, place
from nanwatch.views.contract import health_of
from nanwatch.views.words import age, clean, number, plural, whole_percent

Health = Literal["critical", "warning", "unknown", "ok"]
HEALTHS: tuple[Health, ...] = ("critical", "warning", "unknown", "ok")
"""Worst first."""

_CAUSES = ("oom", "crash", "nan_burst", "nan_loss")
_OWN_WORDS = (None, "", "interrupted", "KeyboardInterrupt", "^C", "exit code 130")
"""What an interrupt says that needs no repeating."""
_COLLAPSE = 0.5
_EXPLOSION = 10.0
_DECLINE = 3
_FAR_FROM_BEST = 0.05


def health(view: RunView) -> Health:
    """Return how bad it is: the worst alert that fires, or what the run's end says where no rule spoke."""
    worst = health_of(view.alerts, view.status)
    return "unknown" if worst == "ok" and view.status == "unknown" else worst


def firing(view: RunView) -> list[Alert]:
    """Return the alerts that need somebody, worst first: those that fire and are not suppressed."""
    found = [a for a in view.alerts if a.state == "firing" and a.severity != "info" and not a.suppressed]
    return sorted(found, key=lambda a: (-SEVERITIES.index(a.severity), a.rule not in _CAUSES, a.rule))


def kept_quiet(view: RunView) -> list[Alert]:
    """Return the alerts that fire though somebody does not want to be told: silenced or acknowledged ones."""
    found = [a for a in view.alerts if a.state == "firing" and a.suppressed]
    return [a for a in found if not all(reason.startswith("inhibited") for reason in a.suppressed)]


# -- one sentence


def sentence(view: RunView) -> str:
    """Return the run's health in one sentence, with onsets, and what was good before."""
    run = view.run
    parts = [*_end(view), *_nan(run), *_skips(run), *_metric(run), *_explosion(run)]
    parts += [*_vram(view), *_mended(run)]
    row = loss_row(run)
    if row is not None and row.epoch >= 0 and (row.nan_batches or row.grad_skips):
        before = clean_before(run, row)
        parts += [] if before is None else [f"epoch {before} was clean"]
    if (run.epoch is not None or run.step is not None) and not run.nan_batches and not run.grad_skips:
        parts.append("no NaN, no step skipped" if parts or firing(view) else "no trouble: no NaN, no step skipped")
    return "; ".join(parts)


def position(run: Run) -> str:
    """Return where the run stands: `at 30 % of epoch 101`, `in epoch 3`, `at step 120 of 250`, or nothing."""
    if run.epoch is not None and run.batch is not None and run.batches:
        share = min(1.0, run.batch / run.batches)
        return f"at {'the end' if share == 1.0 else whole_percent(share)} of epoch {run.epoch}"
    if run.epoch is not None:
        return f"in epoch {run.epoch}" + (f" at batch {run.batch:,}" if run.batch else "")
    if run.step is not None:
        return f"at step {run.step:,}" + (f" of {run.steps:,}" if run.steps else "")
    return ""


def explain(run: Run) -> str:
    """Return the command that shows what was read as what."""
    return f"run `nanwatch explain {shlex.quote(clean(run.log))}`"


def _end(view: RunView) -> Iterator[str]:
    run, where = view.run, position(view.run) or "before the first epoch"
    match view.status:
        case "stalled":
            silent = "" if view.silence is None else f", silent for {age(view.silence)}"
            yield f"stuck {where}{silent}"
        case "failed" | "crashed":
            if run.failure is None:
                yield f"gone without a word {where}"
                return
            yield f"{'killed' if run.failure.kind == 'killed' else view.status} {where}"
        case "interrupted":
            told = "" if run.interrupted in _OWN_WORDS else f" ({clean(run.interrupted or '')[:120]})"
            yield f"interrupted {where}{told}"
        case "unknown":
            yield f"not understood: no epoch, step or loss was recognised; {explain(run)}"
        case _:
            return


def _nan(run: Run) -> Iterator[str]:
    row = loss_row(run)
    if not run.nan_batches or row is None:
        return
    if row.nan_batches:
        since = _first_of_streak(run, row)
        told = " (told by its gradient norm)" if run.hidden_nan else ""
        yield f"NaN since {place(since, since.nan_onset)}{told}"
        return
    bad = [e for e in run.table.values() if e.nan_batches]
    if bad:
        first = min(bad, key=lambda e: e.epoch)
        last = max(bad, key=lambda e: e.epoch)
        until = "" if last is first else f", the last in epoch {last.epoch}"
        yield f"{run.nan_batches:,} NaN from {place(first, first.nan_onset)} on{until}"
        yield f"epoch {row.epoch} is clean"


def _skips(run: Run) -> Iterator[str]:
    row = loss_row(run)
    if row is not None and row.grad_skips:
        yield f"{plural(row.grad_skips, 'optimizer step')} skipped"
    elif run.grad_skips:
        here = f", none in epoch {row.epoch}" if row is not None and row.epoch >= 0 else ""
        yield f"{plural(run.grad_skips, 'optimizer step')} skipped before{here}"


def _first_of_streak(run: Run, row: Epoch) -> Epoch:
    """Return the first of the epochs with NaN that lead to *row* without a clean one between."""
    while (before := run.table.get(row.epoch - 1)) is not None and before.nan_batches and before.epoch >= 0:
        row = before
    return row


def _metric(run: Run) -> Iterator[str]:
    best, history = run.best, run.evaluations
    if best is None or not history or best.epoch is None:
        return
    name, now = clean(best.metric), history[-1]
    later = [e for e in history if e.epoch > best.epoch]
    if not later:
        return
    unit = "epoch" if run.epoch is not None else "step"
    at = f"best {number(best.value)} at {unit} {best.epoch:,}"
    collapsed = _collapse(run, later)
    fell = _decline(run, later)
    if not math.isfinite(now.value):
        yield f"{name} is {number(now.value)}, {at}"
    elif collapsed is not None:
        slow = f", declining since {fell:,}" if fell is not None and fell < collapsed else ""
        yield f"{name}: {at}{slow}, collapsed in {_fall(history, collapsed)}, now {number(now.value)}"
    elif fell is not None:
        verb = "falling" if run.primary_rises else "rising"
        yield f"{name} is {verb} since {unit} {fell:,}: {number(now.value)}, {at}"
    elif _worse_by(run, now.value) > _FAR_FROM_BEST:
        yield f"{name} is {number(now.value)}, {at}"


def _fall(history: list[Evaluation], at: int) -> str:
    """Return `98 (0.6242 -> 0.0022)`: where, from what and to what."""
    for old, new in pairwise(history):
        if new.epoch == at:
            return f"{at:,} ({number(old.value)} -> {number(new.value)})"
    return f"{at:,}"


def _collapse(run: Run, later: list[Evaluation]) -> int | None:
    """Return since when the primary metric is below half of a best that was worth something."""
    if run.best is None or not run.primary_rises or run.best.value < 0.1:
        return None
    since = None
    for item in later:
        if item.value >= _COLLAPSE * run.best.value:
            since = None
        elif since is None:
            since = item.epoch
    return since


def _decline(run: Run, later: list[Evaluation]) -> int | None:
    """Return the epoch from which every value is worse than the one before, if there are enough of them."""
    sign = 1 if run.primary_rises else -1
    previous, count = (run.best.value if run.best else math.nan), 0
    for item in later:
        if not sign * (previous - item.value) > 0:
            break
        previous, count = item.value, count + 1
    whole = count == len(later) or _collapse(run, later) is not None
    return later[0].epoch if count >= _DECLINE and whole else None


def _worse_by(run: Run, value: float) -> float:
    best = run.best.value if run.best else 0.0
    loss = (best - value) if run.primary_rises else (value - best)
    return loss / abs(best) if best else 0.0


def _explosion(run: Run) -> Iterator[str]:
    """Tell of a loss that is ten times what an epoch ended with before, and stayed up."""
    for name, values in epoch_losses(run).items():
        lowest = math.inf  # from here to the end
        for (_, old), (epoch, new) in reversed(list(pairwise(values))):
            lowest = min(lowest, new)
            if old > 0 and new >= _EXPLOSION * old and lowest >= _EXPLOSION / 2 * old:
                yield f"{clean(name)} {number(old)} -> {number(new)} in epoch {epoch}"
                return


def epoch_losses(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Return the finite losses of each epoch that is complete, by name, oldest first."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in sorted(run.table.values(), key=lambda e: e.epoch):
        if row.epoch >= 0 and row.done:
            for name, value in losses_of(row).items():
                if math.isfinite(value):
                    found.setdefault(name, []).append((row.epoch, value))
    return found


def losses_of(row: Epoch) -> dict[str, float]:
    """Return an epoch's losses; of `loss` (a batch's) and `Loss` (the epoch's own) only the latter."""
    found: dict[str, float] = {}
    for name, value in row.losses.items():
        found[name.lower() if name.lower() in row.losses else name] = value
    return found


def _vram(view: RunView) -> Iterator[str]:
    run = view.run
    for alert in firing(view):
        change = alert.evidence.get("change_gb")
        if alert.rule == "vram_jump" and isinstance(change, int | float) and alert.epoch is not None:
            here = alert.epoch == run.epoch
            since = f"against epoch {alert.epoch - 1}" if here else f"since epoch {alert.epoch}"
            yield f"VRAM {change:+.2f} G {since}"


def _mended(run: Run) -> Iterator[str]:
    if run.recoveries:
        last = run.recoveries[-1]
        where = "" if last.epoch is None else f" in epoch {last.epoch}"
        kind = {"oom": "running out of memory", "nan": "NaN"}.get(last.kind, "a failure")
        yield f"went on after {kind}{where}"


def metric_moved(run: Run) -> list[str]:
    """Return `IoU 0.6413 -> 0.0023` where the primary metric declines or has collapsed."""
    if run.best is None or run.best.epoch is None:
        return []
    best = run.best.epoch
    later = [e for e in run.evaluations if e.epoch > best]
    if not later or (_collapse(run, later) is None and _decline(run, later) is None):
        return []
    return [f"{clean(run.best.metric)} {number(run.best.value)} -> {number(later[-1].value)}"]
