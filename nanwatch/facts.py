"""Live runs and alerts -> the facts that people are told: copies that no longer change."""

from __future__ import annotations

import os
from hashlib import blake2b

from nanwatch.model.alert import Alert
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.news import AlertFacts, RunFacts, WeightsFacts
from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Run, Status

_WORSE = 3
"""Checkpoints that are told beside the last clean one."""


def run_facts(run: Run, status: Status, grew_at: float, weights: WeightsFacts | None = None) -> RunFacts:
    """Return *run* as it stands; its log last grew at *grew_at* (Unix seconds)."""
    metric = run.primary_metric
    best = run.best
    return RunFacts(
        id=run.id, log=run.log, format=run.format, status=status,
        epoch=run.epoch, epochs=run.epochs, batch=run.batch, batches=run.batches, step=run.step, steps=run.steps,
        progress=progress_of(run), rate=run.rate, eta_seconds=eta_of(run), updated_at=grew_at,
        losses=dict(run.losses),
        primary_metric=metric, primary_value=run.evaluations[-1].value if run.evaluations else None,
        best_value=None if best is None else best.value, best_epoch=None if best is None else best.epoch,
        nan_batches=run.nan_batches, grad_skips=run.grad_skips, vram_gb=run.vram_gb,
        last_clean_epoch=_last_clean_epoch(run), weights=weights,
    )  # fmt: skip


def weights_facts(found: Weights) -> WeightsFacts:
    """Return what *found* tells of the checkpoint to start again from, and of the newer ones."""
    last = found.last_clean
    newer = [c for c in found.checkpoints if c is not last and c.state != "clean"]
    later = [f"{found.later} written since it began"] if found.later else []
    return WeightsFacts(
        found.folder, "" if last is None else last.path, None if last is None else last.epoch,
        None if last is None else last.modified_at, (*later, *(_in_short(c) for c in newer[:_WORSE])), found.problem,
        found.scanned_at,
    )  # fmt: skip


def _in_short(checkpoint: Checkpoint) -> str:
    """Return `last.pt: 1,204 NaN`, or what else is wrong with a checkpoint."""
    counts = [f"{n:,} {what}" for n, what in ((checkpoint.nan, "NaN"), (checkpoint.inf, "Inf")) if n]
    why = ", ".join(counts) if checkpoint.state == "nonfinite" else checkpoint.problem or checkpoint.state
    return f"{os.path.basename(checkpoint.path)}: {why}"  # noqa: PTH119 - a text, which need be no path


def alert_facts(alert: Alert, log: str, noticed_at: float, tags: tuple[str, ...] = ()) -> AlertFacts:
    """Return *alert* of a run in *log* as it stands; it was *noticed_at* first (Unix seconds)."""
    return AlertFacts(
        id=alert_id(log, alert.id), rule=alert.rule, severity=alert.severity, state=alert.state, message=alert.message,
        noticed_at=noticed_at, epoch=alert.epoch, batch=alert.batch, offset=alert.offset, line=alert.line,
        evidence=dict(alert.evidence), started_at=alert.started_at, resolved_at=alert.resolved_at,
        suppressed=alert.suppressed, told=alert.notified, tags=tags,
    )  # fmt: skip


def alert_id(log: str, local_id: str) -> str:
    """Return the id that an alert bears among those of all logs; twelve that fail alike would else share one."""
    return blake2b(f"{log}\0{local_id}".encode(errors="surrogateescape"), digest_size=5).hexdigest()


def _last_clean_epoch(run: Run) -> int | None:
    rows = [e for e in run.table.values() if e.epoch >= 0 and (e.done or e.epoch != run.epoch)]
    return max((e.epoch for e in rows if not e.nan_batches and not e.grad_skips), default=None)
