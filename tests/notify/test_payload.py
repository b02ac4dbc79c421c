"""What a user's command is told: an object of JSON, and variables of its environment."""

from __future__ import annotations

import json
import math
import os
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.alert import Reason
from nanwatch.notify.payload import environment, news_json
from nanwatch.views.contract import alert_json
from tests.alerts.making import alert
from tests.notify.making import NOON, news
from tests.support.repeatable import repeatable

BURST = news(
    message="3 NaN of 54 batches",
    evidence={"nan_batches": 3, "projected": None},
    tags=("vision",),
    run={"losses": {"box_loss": math.nan, "cls_loss": 0.5}, "nan_batches": 3},
)


def test_the_object_holds_the_alert_and_the_run() -> None:
    """The JSON names whose it is, why it is told, the alert and where the run stands."""
    assert news_json(BURST, "gpu-a3", "k1") == {
        "type": "alert",
        "key": "k1",
        "host": "gpu-a3",
        "reasons": ["first"],
        "alert": {
            "rule": "nan_burst",
            "severity": "critical",
            "state": "firing",
            "epoch": 4,
            "batch": 32,
            "message": "3 NaN of 54 batches",
            "evidence": {"nan_batches": 3, "projected": None},
            "log_offset": 8_812_345,
            "log_line": 1203,
            "id": "0a1b2c3d4e5f",
            "suppressed": [],
            "started_at": "2026-11-23T12:00:00.000+00:00",
            "resolved_at": None,
            "noticed_at": "2026-11-23T12:00:00.000+00:00",
            "tags": ["vision"],
        },
        "run": {
            "id": "/data/unet-iou-v3.log",
            "log": "/data/unet-iou-v3.log",
            "format": "ultralytics",
            "status": "running",
            "epoch": 4,
            "epochs": 50,
            "batch": 1420,
            "batches": 41163,
            "progress": 0.06,
            "rate": 12.4,
            "eta_seconds": 154_800.0,
            "updated_at": "2026-11-23T12:00:00.000+00:00",
            "losses": {"box_loss": None, "cls_loss": 0.5},
            "primary_metric": "mAP50-95",
            "primary_value": 0.6413,
            "best": {"metric": "mAP50-95", "value": 0.6413, "epoch": 3},
            "nan_batches": 3,
            "grad_skips": 0,
            "vram_gb": 4.71,
            "last_clean_epoch": 3,
            "weights": None,
        },
    }


def test_the_alert_has_the_fields_of_replay() -> None:
    """Who reads `replay --json` finds every field of an alert under the same name."""
    assert set(alert_json(alert())) <= set(news_json(BURST, "h", "k")["alert"])


def test_a_reason_may_be_given_instead() -> None:
    """A reason of the caller's takes the place of the news' own."""
    assert news_json(BURST, "h", "k", "repeated")["reasons"] == ["repeated"]


def test_a_run_without_epochs_is_told_in_steps() -> None:
    """Batch and batches are the steps where a trainer counts nothing else."""
    run = {"epoch": None, "epochs": None, "batch": None, "batches": None, "step": 120, "steps": 250, "best_value": None}
    told = news_json(news(run=run), "h", "k")["run"]
    assert (told["batch"], told["batches"], told["best"]) == (120, 250, None)


def test_what_json_cannot_hold_is_null() -> None:
    """Numbers that are not finite and times that no calendar holds become null."""
    item = news(
        evidence={"value": math.inf, "metric": "IoU"},
        started_at=1e30,
        run={"rate": math.nan, "eta_seconds": math.inf, "primary_value": math.nan, "best_value": -math.inf},
    )
    text = json.dumps(news_json(item, "h", "k"), allow_nan=False)
    assert '"evidence": {"value": null, "metric": "IoU"}' in text
    assert '"started_at": null' in text


def test_the_environment_says_the_same_in_short() -> None:
    """Each variable is text; what is not known is empty."""
    assert environment(BURST, "gpu-a3", "k1") == {
        "NANWATCH_RULE": "nan_burst",
        "NANWATCH_SEVERITY": "critical",
        "NANWATCH_STATE": "firing",
        "NANWATCH_RUN": "/data/unet-iou-v3.log",
        "NANWATCH_LOG": "/data/unet-iou-v3.log",
        "NANWATCH_EPOCH": "4",
        "NANWATCH_BATCH": "32",
        "NANWATCH_MESSAGE": "3 NaN of 54 batches",
        "NANWATCH_ALERT_ID": "0a1b2c3d4e5f",
        "NANWATCH_KEY": "k1",
        "NANWATCH_CHECKPOINT": "",
        "NANWATCH_HOST": "gpu-a3",
        "NANWATCH_REASON": "first",
    }
    assert environment(news(epoch=None), "h", "k")["NANWATCH_EPOCH"] == ""
    assert environment(news(reasons=("first", "resolved")), "h", "k")["NANWATCH_REASON"] == "first,resolved"


def test_a_path_in_another_encoding_reaches_the_command_unharmed() -> None:
    """A log whose name is no UTF-8 is named by its very bytes."""
    name = os.fsdecode(b"/data/caf\xe9.log")
    assert os.fsencode(environment(news(log=name), "h", "k")["NANWATCH_LOG"]) == b"/data/caf\xe9.log"


@repeatable
@given(text=st.text(st.characters(), max_size=60), reasons=st.sets(st.sampled_from(get_args(Reason)), min_size=1))
def test_any_text_can_be_handed_over(text: str, reasons: set[Reason]) -> None:
    """Whatever a log says, a system takes the variables and JSON the object."""
    item = news(text or "x", log=text, message=text * 200, reasons=tuple(reasons), started_at=NOON)
    for value in environment(item, text, text).values():
        assert "\0" not in value
        assert len(value) <= 4096
        os.fsencode(value)
    assert json.loads(json.dumps(news_json(item, text, text)))["run"]["log"] == text
