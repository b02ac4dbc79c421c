"""What `daemon status --json` prints: how the daemon fares, what fires, and who was told, as a stable object."""

from __future__ import annotations

from dataclasses import fields

from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, News, RunFacts
from nanwatch.notify.payload import news_json
from nanwatch.store import StoredSilence
from nanwatch.views.contract import Json, finite, iso
from nanwatch.views.service_standing import Standing


def service_json(standing: Standing, now: float) -> Json:
    """Return the stable machine form; times are ISO 8601 in UTC, what is not known is null."""
    return {
        "schema": 1,
        "generated_at": iso(now),
        "daemon": {
            "running": standing.holder is not None,
            "holder": standing.holder,
            "state_folder": standing.folder,
            **_health_json(standing.health),
        },
        "alerts": [_alert_json(run, alert) for run, alert in standing.alerts],
        "runs": [_run_json(run) for run in standing.runs],
        "silences": [_silence_json(silence) for silence in standing.silences],
        "destinations": [_destination_json(destination) for destination in standing.destinations],
    }


def _health_json(health: Health | None) -> Json:
    """Return every field of *health*; the same names with null where no daemon ever said how it fares.

    One that does not run and has no `stopped_at` ended without a word.
    """
    found: Json = {item.name: None if health is None else getattr(health, item.name) for item in fields(Health)}
    if health is not None:
        found["problems"] = list(health.problems)
    return found | {name: iso(at) for name, at in found.items() if name.endswith("_at")}


def _alert_json(run: RunFacts, alert: AlertFacts) -> Json:
    told: Json = news_json(News(alert, run, ()), "", "")["alert"]
    return told | {"run": run.id, "log": run.log}


def _run_json(run: RunFacts) -> Json:
    return {
        "id": run.id,
        "log": run.log,
        "status": run.status,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "progress": finite(run.progress),
        "nan_batches": run.nan_batches,
        "updated_at": iso(run.updated_at),
    }


def _silence_json(stored: StoredSilence) -> Json:
    silence = stored.silence
    return {
        "number": stored.number,
        "rule": silence.rule,
        "run": silence.run,
        "severity": silence.severity,
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
        "comment": silence.comment,
        "created_by": stored.created_by,
    }


def _destination_json(destination: DestinationHealth) -> Json:
    found: Json = {item.name: getattr(destination, item.name) for item in fields(DestinationHealth)}
    return found | {name: iso(at) for name, at in found.items() if name.endswith("_at")}
