"""News as data: the JSON object that a user's command reads from its stdin, and the variables of its environment."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nanwatch.model.news import AlertFacts, News, RunFacts, WeightsFacts

Json = dict[str, Any]

_REFUSED = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
"""NUL bytes and halves of characters, but for those that stand for the bytes of a path in another encoding."""
_LONGEST = 4096
"""Characters of a variable, so that a path fits: all of them together must fit into what a system takes."""


def news_json(news: News, host: str, key: str, reason: str | None = None) -> Json:
    """Return *news* as a JSON object with the field names of `--json`; what is not finite is null.

    *reason* stands for the reasons of the news where it is told for another one.
    """
    return {
        "type": "alert",
        "key": key,
        "host": host,
        "reasons": list(news.reasons) if reason is None else [reason],
        "alert": _alert_json(news.alert),
        "run": _run_json(news.run),
    }


def environment(news: News, host: str, key: str) -> dict[str, str]:
    """Return the variables that a command finds in its environment: text without NUL bytes, empty where not known."""
    alert, run = news.alert, news.run
    values = {
        "RULE": alert.rule,
        "SEVERITY": alert.severity,
        "STATE": alert.state,
        "RUN": run.id,
        "LOG": run.log,
        "EPOCH": alert.epoch,
        "BATCH": alert.batch,
        "MESSAGE": alert.message,
        "ALERT_ID": alert.id,
        "KEY": key,
        "HOST": host,
        "REASON": ",".join(news.reasons),
        "CHECKPOINT": run.weights.last_clean if run.weights is not None else "",
    }
    return {f"NANWATCH_{name}": _variable(value) for name, value in values.items()}


def _alert_json(alert: AlertFacts) -> Json:
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "state": alert.state,
        "epoch": alert.epoch,
        "batch": alert.batch,
        "message": alert.message,
        "evidence": {name: _value(value) for name, value in alert.evidence.items()},
        "log_offset": alert.offset,
        "log_line": alert.line,
        "id": alert.id,
        "suppressed": list(alert.suppressed),
        "started_at": _iso(alert.started_at),
        "resolved_at": _iso(alert.resolved_at),
        "noticed_at": _iso(alert.noticed_at),
        "tags": list(alert.tags),
    }


def _run_json(run: RunFacts) -> Json:
    in_steps = run.epoch is None and run.step is not None
    return {
        "id": run.id,
        "log": run.log,
        "format": run.format,
        "status": run.status,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "batch": run.step if in_steps else run.batch,
        "batches": run.steps if in_steps else run.batches,
        "progress": _finite(run.progress),
        "rate": _finite(run.rate),
        "eta_seconds": _finite(run.eta_seconds),
        "updated_at": _iso(run.updated_at),
        "losses": _numbers(run.losses),
        "primary_metric": run.primary_metric,
        "primary_value": _finite(run.primary_value),
        "best": _best(run),
        "nan_batches": run.nan_batches,
        "grad_skips": run.grad_skips,
        "vram_gb": _finite(run.vram_gb),
        "last_clean_epoch": run.last_clean_epoch,
        "weights": _weights_json(run.weights),
    }


def _weights_json(weights: WeightsFacts | None) -> Json | None:
    if weights is None:
        return None
    return {
        "folder": weights.folder,
        "last_clean": weights.last_clean or None,
        "epoch": weights.epoch,
        "saved_at": _iso(weights.saved_at),
        "worse": list(weights.worse),
        "problem": weights.problem or None,
        "scanned_at": _iso(weights.scanned_at),
    }


def _best(run: RunFacts) -> Json | None:
    if run.best_value is None:
        return None
    return {"metric": run.primary_metric, "value": _finite(run.best_value), "epoch": run.best_epoch}


def _variable(value: object) -> str:
    """Return *value* as a program can be handed it: not too long, and in bytes that a system takes."""
    return "" if value is None else _REFUSED.sub("", str(value))[:_LONGEST]


def _value(value: float | str | None) -> float | str | None:
    return _finite(value) if isinstance(value, float) else value


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}


def _iso(at: float | None) -> str | None:
    """Return a Unix time as ISO 8601 in UTC; None too for one that no calendar holds."""
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, OSError, ValueError):
        return None
