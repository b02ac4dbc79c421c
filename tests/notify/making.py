"""News for tests of how people are told."""

from __future__ import annotations

from typing import Any

from nanwatch.model.alert import Reason
from nanwatch.model.news import AlertFacts, News, RunFacts

NOON = 1_795_435_200.0
"""2026-11-23 12:00:00 UTC: when alerts are noticed."""


def run_facts(log: str = "/data/unet-iou-v3.log", **changes: Any) -> RunFacts:
    """Return a run in its fourth epoch of fifty; keyword arguments are further fields."""
    facts: dict[str, Any] = {
        "id": log, "log": log, "format": "ultralytics", "status": "running", "epoch": 4, "epochs": 50,
        "batch": 1420, "batches": 41163, "progress": 0.06, "rate": 12.4, "eta_seconds": 154_800.0, "updated_at": NOON,
        "losses": {"box_loss": 0.3127}, "primary_metric": "mAP50-95", "primary_value": 0.6413, "best_value": 0.6413,
        "best_epoch": 3, "vram_gb": 4.71, "last_clean_epoch": 3,
    }  # fmt: skip
    return RunFacts(**(facts | changes))


def alert_facts(rule: str = "nan_burst", **changes: Any) -> AlertFacts:
    """Return a critical alert that fires; keyword arguments are further fields."""
    facts: dict[str, Any] = {
        "id": "0a1b2c3d4e5f", "rule": rule, "severity": "critical", "state": "firing", "message": f"{rule} says so",
        "noticed_at": NOON, "epoch": 4, "batch": 32, "offset": 8_812_345, "line": 1203, "started_at": NOON,
    }  # fmt: skip
    return AlertFacts(**(facts | changes))


def news(
    rule: str = "nan_burst",
    *,
    log: str = "/data/unet-iou-v3.log",
    run: dict[str, Any] | None = None,
    reasons: tuple[Reason, ...] = ("first",),
    **changes: Any,
) -> News:
    """Return that *rule* fires in *log*; *run* are further fields of the run, other keywords those of the alert."""
    return News(alert_facts(rule, **changes), run_facts(log, **(run or {})), reasons)
