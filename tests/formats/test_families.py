"""Every family of trainers that is sampled in `fixtures/formats` is understood as its truth says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.status import status_of
from nanwatch.views.contract import run_json

FOLDER = Path(__file__).parents[2] / "fixtures" / "formats"
LOGS = sorted(FOLDER.glob("*.log"))
PLAIN = (
    "epoch", "epochs", "batch", "batches", "step", "steps", "nan_batches", "nan_onset", "grad_skips", "resumes",
    "status",
)  # fmt: skip
CLOSE = ("vram_gb", "lr")


def summary_of(log: Path, *, every_event: bool = False, chunk: int = 1 << 18) -> dict[str, Any]:
    """Return what the one-shot summary says about the last run of *log*."""
    pipeline = LogPipeline(log.name, every_event=every_event)
    data = log.read_bytes()
    for offset in range(0, len(data), chunk):
        list(pipeline.feed(Chunk(offset, data[offset : offset + chunk])))
    list(pipeline.finish())
    run = pipeline.runs[-1]
    return run_json(run, pipeline.alerts_of(run), status_of(run))


def differences(truth: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return each fact of *truth* that *found* does not state."""
    wrong = [f"{key}: {found[key]!r}, not {truth[key]!r}" for key in PLAIN if key in truth and found[key] != truth[key]]
    unlike = [key for key in CLOSE if key in truth and not near(found[key], truth[key])]
    wrong += [f"{key}: {found[key]!r}, not {truth[key]!r}" for key in unlike]
    for group in ("losses", "metrics"):
        for name, value in truth.get(group, {}).items():
            if name not in found[group] or not near(found[group][name], value):
                wrong.append(f"{group} {name}: {found[group].get(name, 'missing')!r}, not {value!r}")
    rows = {str(row["epoch"]): {**row["losses"], **row["metrics"]} for row in found["epochs_table"]}
    for epoch, metrics in truth.get("metrics_by_epoch", {}).items():
        for name, value in metrics.items():
            row = rows.get(epoch, {})
            if name not in row or not near(row[name], value):
                wrong.append(f"epoch {epoch} {name}: {row.get(name, 'missing')!r}, not {value!r}")
    rules = {alert["rule"] for alert in found["alerts"]}
    wrong += [f"{rule} is silent" for rule in truth["must_alert"] if rule not in rules]
    wrong += [f"{rule} is a false alarm" for rule in truth["must_not_alert"] if rule in rules]
    return wrong


def near(found: float | None, expected: float | None) -> bool:
    """Tell whether two figures are the same as far as they are printed."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=2e-3, abs_tol=1e-9)


@pytest.mark.parametrize("log", LOGS, ids=[log.stem for log in LOGS])
def test_family_is_understood(log: Path) -> None:
    """The summary of a family's sample says what is true of it, and its alerts are the right ones."""
    truth = json.loads(log.with_suffix(".expected.json").read_text(encoding="utf-8"))
    assert not differences(truth, summary_of(log))


@pytest.mark.parametrize("log", LOGS, ids=[log.stem for log in LOGS])
def test_quiet_frames_change_nothing(log: Path) -> None:
    """Passing over quiet frames, and any cutting of the bytes, gives the same summary as reading every frame."""
    whole = summary_of(log, every_event=True)
    ignored = ("generated_at", "updated_at", "rate", "eta_seconds")
    for found in (summary_of(log), summary_of(log, chunk=97), summary_of(log, every_event=True, chunk=61)):
        assert {**found, **dict.fromkeys(ignored)} == {**whole, **dict.fromkeys(ignored)}
