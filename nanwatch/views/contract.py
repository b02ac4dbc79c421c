"""Runs, alerts and events as JSON objects: the stable contract of `--json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from nanwatch.model.alert import Alert
from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Epoch, Run, Status

if TYPE_CHECKING:
    from nanwatch.model.event import Event

Json = dict[str, Any]


def finite(value: float | None) -> float | None:
    """Return *value*, or None where JSON has no word for it."""
    return None if value is None or not math.isfinite(value) else value


def numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return *values* with null for what is not finite."""
    return {name: finite(value) for name, value in values.items()}


def iso(time: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC; None too for one that no calendar holds, as of a file or a silence."""
    if time is None:
        return None
    from datetime import UTC, datetime  # only where it is needed: a summary starts every 30 seconds

    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):
        return None


Health = Literal["ok", "warning", "critical"]


def health_of(alerts: list[Alert], status: Status) -> Health:
    """Return how bad it is: the worst alert that fires and is not suppressed, or what the status says."""
    firing = {a.severity for a in alerts if a.state == "firing" and not a.suppressed}
    if "critical" in firing or status in ("failed", "crashed"):
        return "critical"
    return "warning" if "warning" in firing or status == "stalled" else "ok"


def epoch_json(row: Epoch) -> Json:
    """Return one row of the table of epochs."""
    return {
        "epoch": row.epoch,
        "batches_seen": row.batch or None,
        "nan_batches": row.nan_batches,
        "nan_onset": row.nan_onset,
        "grad_skips": row.grad_skips,
        "vram_gb": row.vram_gb,
        "losses": numbers(row.losses),
        "metrics": numbers(row.metrics),
        "lr": finite(row.lr),
        "seconds": finite(row.seconds),
    }


def alert_json(alert: Alert) -> Json:
    """Return one alert."""
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "state": alert.state,
        "epoch": alert.epoch,
        "batch": alert.batch,
        "message": alert.message,
        "evidence": {k: finite(v) if isinstance(v, float) else v for k, v in alert.evidence.items()},
        "log_offset": alert.offset,
        "log_line": alert.line,
        "id": alert.id,
        "suppressed": list(alert.suppressed),
        "started_at": iso(alert.started_at),
        "resolved_at": iso(alert.resolved_at),
    }


def run_json(run: Run, alerts: list[Alert], status: Status) -> Json:
    """Return one run."""
    onset = run.nan_onset
    return {
        "id": run.id,
        "log": run.log,
        "format": run.format,
        "status": status,
        "health": health_of(alerts, status),
        "epoch": run.epoch,
        "epochs": run.epochs,
        "batch": run.batch if run.epoch is not None or run.step is None else run.step,
        "batches": run.batches if run.epoch is not None or run.step is None else run.steps,
        "step": run.step,
        "steps": run.steps,
        "progress": finite(progress_of(run)),
        "rate": finite(run.rate),
        "eta_seconds": finite(eta_of(run)),
        "updated_at": iso(run.updated_at),
        "losses": numbers(run.losses),
        "metrics": numbers(run.metrics),
        "final_metrics": numbers(run.final_metrics),
        "primary_metric": run.primary_metric,
        "best": None if run.best is None else {
            "metric": run.best.metric, "value": run.best.value, "epoch": run.best.epoch
        },
        "lr": finite(run.lr),
        "vram_gb": run.vram_gb,
        "nan_batches": run.nan_batches,
        "nan_onset": None if onset is None else {"epoch": onset[0], "batch": onset[1]},
        "grad_skips": run.grad_skips,
        "resumes": run.resumes,
        "hyperparameters": dict(run.hyperparameters),
        "failure": None if run.failure is None else {"kind": run.failure.kind, "message": run.failure.message},
        "epochs_table": [epoch_json(run.table[e]) for e in sorted(run.table) if e >= 0],
        "alerts": [alert_json(a) for a in alerts],
    }  # fmt: skip


def event_json(event: Event, run: Run) -> Json:
    """Return one event: its name, its run, and its own fields that say something."""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(event).__name__).lstrip("_")
    found: Json = {"type": "event", "event": name, "run": run.id, "log": run.log, "log_offset": event.offset}
    for item in fields(event):
        value = getattr(event, item.name)
        if item.name in ("offset", "bar") or value is None or value in ({}, ""):
            continue
        key = {"eta": "eta_seconds", "elapsed": "seconds"}.get(item.name, item.name)
        if item.name == "values":
            found["hyperparameters"] = dict(value)
        elif isinstance(value, Mapping):
            found[key] = numbers(value)
        else:
            found[key] = finite(value) if isinstance(value, float) else value
    return found


def alert_line(alert: Alert, run: Run) -> Json:
    """Return an alert as a line of `replay --json` and `tail --json`."""
    return {"type": "alert", "run": run.id, **alert_json(alert)}
