"""Where a run stands now: its position, speed, losses, NaN, skipped steps, memory and metric, as labels and values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath

from nanwatch.model.names import role_of
from nanwatch.model.outlook import progress_of
from nanwatch.model.run import Epoch, Run
from nanwatch.model.words import duration
from nanwatch.rules.words import loss_row
from nanwatch.views.block import epoch_of, training_time
from nanwatch.views.health import RunView, losses_of
from nanwatch.views.report.page import Fact, Facts, Section, Tone
from nanwatch.views.words import age, clean, moment, number, percent, plural, speed, whole_percent

_SHOWN = 8
_TONES: dict[str, Tone] = {
    "stalled": "warning", "interrupted": "warning", "failed": "critical", "crashed": "critical", "unknown": "warning",
    "finished": "good",
}  # fmt: skip


def status_section(view: RunView, now: float) -> Section:
    """Return what is to be told of the run as it stands at *now*."""
    run = view.run
    rows = [Fact("status", _status(view), _TONES.get(view.status, ""))]
    rows += [Fact(label, text) for label, text in (("position", _position(run)), ("time", _times(view, now))) if text]
    rows += [fact for fact in (_losses(run), _bad(run), _skips(run), _vram(run), _metric(run)) if fact is not None]
    if run.final_metrics and (text := _values(run.final_metrics, run)):
        rows.append(Fact("final", text))
    rows += [Fact("more", text) for text in ["; ".join(_more(run))] if text]
    rows.append(Fact("log", f"{clean(run.log)} ({_source(run)})"))
    return Section("Status", (Facts(tuple(rows)),))


def _status(view: RunView) -> str:
    told = "" if view.silence is None else f", the log last grew {age(view.silence)} ago"
    return f"{view.status}{told}"


def _position(run: Run) -> str:
    parts = []
    if run.epoch is not None:
        parts.append(f"epoch {epoch_of(run)}")
    if run.batch is not None:
        parts.append(f"batch {run.batch:,}" + _of(run.batch, run.batches))
    elif run.step is not None:
        parts.append(f"step {run.step:,}" + _of(run.step, run.steps))
    share = progress_of(run)
    parts += [f"{percent(share)} of the run"] if share is not None else []
    return ", ".join(parts)


def _of(count: int, total: int | None) -> str:
    return f" of {total:,} ({whole_percent(min(1.0, count / total))})" if total else ""


def _times(view: RunView, now: float) -> str:
    run, parts = view.run, []
    spent = training_time(run)
    if spent is not None and spent >= 1 and math.isfinite(spent):
        parts.append(f"{duration(spent)} of training")
    if run.started_at is not None:
        parts.append(f"started {moment(run.started_at, now)}")
    pace = speed(run.rate)
    parts += [pace] if pace is not None else []
    return ", ".join(parts)


def _losses(run: Run) -> Fact | None:
    row = run.current
    values = run.losses if row is None or not row.losses else losses_of(row)
    if not values:
        return None
    is_bad = any(not math.isfinite(value) for value in values.values())
    name, value = next(iter(values.items()))
    text = number(value) if len(values) == 1 and name.lower() == "loss" else _listed(values)
    return Fact("losses" if len(values) > 1 else "loss", text, "critical" if is_bad else "")


def _bad(run: Run) -> Fact | None:
    if run.epoch is None and run.step is None:
        return None
    row = loss_row(run)
    if not run.nan_batches:
        return Fact("NaN", "none")
    return Fact("NaN", _counted(row, row.nan_batches if row is not None else 0, run.nan_batches), "critical")


def _skips(run: Run) -> Fact | None:
    row = loss_row(run)
    if not run.grad_skips:
        return None
    count = row.grad_skips if row is not None else 0
    return Fact("steps skipped", _counted(row, count, run.grad_skips), "warning")


def _counted(row: Epoch | None, here: int, total: int) -> str:
    if row is None or row.epoch < 0:
        return f"{total:,} in the run"
    share = f" ({percent(here / row.batch)} of its batches so far)" if row.batch and here else ""
    return f"{here:,} in epoch {row.epoch}{share}, {total:,} in the run"


def _vram(run: Run) -> Fact | None:
    row = run.current
    peak = (row.vram_gb if row is not None else None) or run.vram_gb
    if not peak:
        return None
    known = [e for e in run.table.values() if row is not None and 0 <= e.epoch < row.epoch and e.vram_gb]
    before = max(known, key=lambda e: e.epoch, default=None)
    if before is None or before.vram_gb is None:
        return Fact("VRAM", f"{peak:.4g} G")
    if abs(peak - before.vram_gb) < 0.005:
        return Fact("VRAM", f"{peak:.4g} G, as in epoch {before.epoch}")
    change = peak - before.vram_gb
    return Fact("VRAM", f"{before.vram_gb:.4g} -> {peak:.4g} G ({change:+.2f} G against epoch {before.epoch})")


def _metric(run: Run) -> Fact | None:
    if run.primary_metric is None or not run.evaluations:
        text = _values(run.metrics, run)
        return Fact("metrics", text) if text else None
    now, best = run.evaluations[-1], run.best
    unit = "epoch" if run.epoch is not None else "step"
    text = f"{clean(run.primary_metric)} {number(now.value)} at {unit} {now.epoch:,}"
    if best is not None and best.epoch is not None:
        at = f"{number(best.value)} at {unit} {best.epoch:,}"
        text += ", its best" if best.epoch == now.epoch else f", best {at}"
    return Fact("metric", text, "" if math.isfinite(now.value) else "critical")


def _values(values: dict[str, float], run: Run) -> str:
    known = {name: value for name, value in values.items() if role_of(name) in ("loss", "metric")}
    return _listed(dict(sorted(known.items(), key=lambda item: item[0] != run.primary_metric)))


def _listed(values: dict[str, float]) -> str:
    shown = [f"{clean(name)} {number(value)}" for name, value in list(values.items())[:_SHOWN]]
    return ", ".join([*shown, *([f"and {len(values) - _SHOWN} more"] if len(values) > _SHOWN else [])])


def _more(run: Run) -> Iterator[str]:
    if run.lr is not None:
        yield f"learning rate {run.lr:.3g}"
    if run.grad_norm is not None:
        yield f"gradient norm {number(run.grad_norm)}"
    if run.resumes:
        yield f"resumed {plural(run.resumes, 'time')}"
    if run.rollbacks:
        yield f"went back {plural(len(run.rollbacks), 'time')}"


def _source(run: Run) -> str:
    parts = [clean(run.format)] if run.format != "unknown" else ["of no known trainer"]
    parts += [f"run {run.number} in it"] if run.number > 1 else []
    return ", ".join(parts)


def short_name(run: Run) -> str:
    """Return the log's name without its folders, with the run's number where it is not the first."""
    name = clean(PurePath(run.log).name) or clean(run.log)
    return name if run.number == 1 else f"{name} (run {run.number})"
