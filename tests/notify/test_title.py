"""The title of a message: how bad, what, which run and where, in what a phone shows."""

from __future__ import annotations

from typing import Any

import pytest

from nanwatch.model.alert import SEVERITIES, Severity
from nanwatch.model.news import News
from nanwatch.notify.title import fit
from tests.notify.composing import compose, over
from tests.notify.making import news


def cod(rule: str, **changes: Any) -> News:
    """Return that *rule* fires in epoch 98 of 120."""
    return news(rule, log="/data/sinet-cod.log", epoch=98, run={"epochs": 120, "last_clean_epoch": None}, **changes)


def title(*items: News) -> str:
    """Return the title of the message that tells of *items*."""
    return compose(*items).title


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            news("nan_burst", evidence={"nan_batches": 73}),
            "CRIT 73 NaN losses, unet-iou-v3, epoch 4/50", id="nan_burst",
        ),
        pytest.param(
            news("nan_loss", severity="warning", evidence={"nan_batches": 1, "last_clean_epoch": 3}),
            "WARN loss is NaN, unet-iou-v3, epoch 4/50", id="nan_loss",
        ),
        pytest.param(
            news("grad_skip", evidence={"grad_skips": 72}),
            "CRIT 72 steps skipped, unet-iou-v3, epoch 4/50", id="grad_skip",
        ),
        pytest.param(
            news("vram_jump", severity="warning", evidence={"change_gb": 0.51, "peak_gb": 4.71}),
            "WARN VRAM +0.51 G, unet-iou-v3, epoch 4/50", id="vram_jump",
        ),
        pytest.param(
            cod("metric_decline", severity="warning", message="IoU fell 3 epochs in a row",
                 evidence={"metric": "IoU", "from": 0.7104, "to": 0.6603}),
            "WARN IoU worse 3 epochs, sinet-cod, 0.7104 to 0.6603", id="metric_decline",
        ),
        pytest.param(
            cod("metric_collapse", evidence={"metric": "IoU", "value": 0.0022, "best": 0.6413, "best_epoch": 88}),
            "CRIT IoU 0.0022, was 0.6413, sinet-cod, epoch 98/120", id="metric_collapse",
        ),
        pytest.param(
            cod("loss_explosion", evidence={"loss": "loss", "usual": 0.2234, "value": 15.3}),
            "CRIT loss 0.2234 -> 15.3, sinet-cod, epoch 98/120", id="loss_explosion",
        ),
        pytest.param(
            cod("stall", evidence={"silence_seconds": 1320, "pid": 48121}),
            "CRIT silent 22 min, sinet-cod, epoch 98/120", id="stall",
        ),
        pytest.param(cod("process_gone"), "CRIT its process is gone, sinet-cod, epoch 98/120", id="process_gone"),
        pytest.param(cod("oom"), "CRIT out of memory, sinet-cod, epoch 98/120", id="oom"),
        pytest.param(
            cod("oom_recovered", severity="warning"), "WARN out of memory, recovered, sinet-cod, epoch 98/120",
            id="oom_recovered",
        ),
        pytest.param(
            cod("crash", message="crashed in epoch 98: _pickle.UnpicklingError: Weights only load failed.",
                 evidence={"kind": "exception"}),
            "CRIT crashed: UnpicklingError, sinet-cod, epoch 98/120", id="crash",
        ),
        pytest.param(
            cod("crash", message="killed in epoch 98: Killed", evidence={"kind": "killed"}),
            "CRIT killed, sinet-cod, epoch 98/120", id="killed",
        ),
        pytest.param(
            cod("interrupted", severity="warning"), "WARN interrupted, sinet-cod, epoch 98/120", id="interrupted"
        ),
        pytest.param(
            cod("rollback", severity="warning", evidence={"from_epoch": 98, "to_epoch": 95}),
            "WARN went back to epoch 95, sinet-cod, epoch 98/120", id="rollback",
        ),
        pytest.param(
            cod("rollback", severity="warning", evidence={"from_epoch": 98, "to_epoch": 98}),
            "WARN began epoch 98 again, sinet-cod, epoch 98/120", id="rollback within the epoch",
        ),
        pytest.param(
            cod("slowdown", severity="warning", evidence={"usual_rate": 12.4, "rate": 4.1}),
            "WARN 12.4 -> 4.1 it/s, sinet-cod, epoch 98/120", id="slowdown",
        ),
        pytest.param(
            cod("slowdown", severity="warning", evidence={"usual_rate": 12.4, "rate": 2e6}),
            "WARN slow, sinet-cod, epoch 98/120", id="slowdown to an absurd rate",
        ),
        pytest.param(
            cod("frozen_metric", severity="warning", evidence={"epochs": 3}),
            "WARN metrics frozen 3 epochs, sinet-cod, epoch 98/120", id="frozen_metric",
        ),
        pytest.param(
            cod("checkpoint_unsaved", severity="warning", evidence={"epochs": 4, "last_saved_epoch": 94}),
            "WARN no checkpoint for 4 epochs, sinet-cod, epoch 98/120", id="checkpoint_unsaved",
        ),
        pytest.param(
            cod("deadline", severity="warning", evidence={"late_seconds": 9000}),
            "WARN 2 h 30 min late, sinet-cod, epoch 98/120", id="deadline",
        ),
        pytest.param(
            cod("goal", severity="info", evidence={"metric": "IoU", "goal": 0.64, "value": 0.6413}),
            "INFO IoU reached 0.6413, sinet-cod, epoch 98/120", id="goal",
        ),
        pytest.param(
            cod("goal", severity="info", evidence={"metric": "IoU", "goal": 0.7, "best": 0.64, "hoped": 0.66}),
            "INFO IoU will hardly be 0.7, sinet-cod, epoch 98/120", id="goal out of reach",
        ),
        pytest.param(
            cod("plateau", severity="info", evidence={"metric": "IoU", "epochs": 20}),
            "INFO IoU flat 20 epochs, sinet-cod, epoch 98/120", id="plateau",
        ),
        pytest.param(
            news("plateau", severity="info", epoch=None, batch=9000, evidence={"metric": "IoU", "epochs": 20}),
            "INFO IoU flat 20 evaluations, unet-iou-v3, step 9,000", id="plateau of a run without epochs",
        ),
        pytest.param(
            cod("overfit", severity="info"), "INFO overfitting, sinet-cod, epoch 98/120", id="overfit"
        ),
        pytest.param(
            news("finished", severity="info", log="/data/resnet50-base.log", epoch=90,
                 run={"epoch": 90, "epochs": 90, "primary_metric": "top1", "primary_value": 0.7612,
                      "best_value": 0.7612}),
            "DONE resnet50-base, 90/90, top1 0.7612 (best)", id="finished",
        ),
        pytest.param(
            news("finished", severity="info", log="/data/resnet50-base.log", epoch=90,
                 run={"epoch": None, "step": 5000, "steps": 5000, "best_value": None}),
            "DONE resnet50-base, 5,000/5,000", id="finished, in steps",
        ),
        pytest.param(
            news("finished", severity="info", log="/data/lit.log", epoch=4,
                 run={"epoch": 4, "epochs": 5, "progress": 1.0, "best_value": None}),
            "DONE lit, 5/5", id="finished, by a trainer that counts from 0",
        ),
        pytest.param(
            cod("low_iou", severity="warning", message="IoU is 0.3 and the epoch is 12, which is too late"),
            "WARN IoU is 0.3 and the epoch is 12…, sinet-cod", id="a rule of the user's own",
        ),
        pytest.param(
            cod("low_iou", severity="warning", message=""), "WARN low iou, sinet-cod, epoch 98/120",
            id="a rule of the user's own that says nothing",
        ),
    ],
)  # fmt: skip
def test_a_title_says_how_bad_what_which_run_and_where(item: News, expected: str) -> None:
    """The title of one alert: severity, symptom with its number, run, place."""
    assert title(item) == expected
    assert len(expected) <= 60


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            over("stall", evidence={"silence_seconds": 1140}, log="/d/seg-hrnet.log"),
            "OK again, seg-hrnet, was silent 19 min", id="it goes on",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 73}),
            "OK again, unet-iou-v3, after 73 NaN losses", id="after NaN",
        ),
        pytest.param(
            over("stall", evidence={"silence_seconds": 1140}, run={"status": "crashed"}),
            "OVER silent 19 min, unet-iou-v3, run crashed", id="the run is dead",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 3}, reasons=("first", "resolved")),
            "OVER 3 NaN losses, unet-iou-v3, lasted 12 min", id="it began and ended",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 3}, reasons=("first", "resolved"), started_at=None),
            "OVER 3 NaN losses, unet-iou-v3, epoch 4/50", id="nobody knows when it began",
        ),
        pytest.param(
            news("stall", evidence={"silence_seconds": 14400}, reasons=("repeated",)),
            "CRIT still silent 4 h, unet-iou-v3, epoch 4/50", id="it goes on firing",
        ),
        pytest.param(
            news("finished", severity="info", reasons=("repeated",), run={"epoch": 50, "best_value": None}),
            "DONE unet-iou-v3, 50/50", id="what is done is not done still",
        ),
        pytest.param(
            news(epoch=None, batch=1200, evidence={"nan_batches": 3}), "CRIT 3 NaN losses, unet-iou-v3, step 1,200",
            id="a run without epochs",
        ),
    ],
)  # fmt: skip
def test_a_title_says_whether_it_is_over(item: News, expected: str) -> None:
    """`OK again` only where the run goes on; `still` where it was told before."""
    assert title(item) == expected


def test_the_worst_of_several_alerts_of_a_run_comes_first() -> None:
    """One alert makes the title, and the others are counted."""
    items = [
        news("vram_jump", severity="warning", evidence={"change_gb": 0.51}),
        news("grad_skip", evidence={"grad_skips": 61}),
        news("nan_burst", evidence={"nan_batches": 73}),
    ]
    assert title(*items) == "CRIT 73 NaN losses, unet-iou-v3, epoch 4/50, +2 more"


@pytest.mark.parametrize(
    ("logs", "where"),
    [
        pytest.param([f"/data/sweep-17/lr{n}e-4.log" for n in range(20)], "sweep-17, gpu-a3", id="one folder"),
        pytest.param([f"/d/sweep-17/lr{n}e-4/train.log" for n in range(20)], "sweep-17, gpu-a3", id="folders in one"),
        pytest.param([f"/logs/vit-s-seed{n}.log" for n in range(20)], "vit-s-seed*, gpu-a3", id="names alike"),
        pytest.param([f"/logs/{n}-vit.log" for n in range(20)], "0-vit +19, gpu-a3", id="nothing in common"),
    ],
)
def test_many_runs_are_named_by_what_they_have_in_common(logs: list[str], where: str) -> None:
    """Many runs with one rule are one title, with their count and the part of the names that they share."""
    assert title(*(news("oom", log=log) for log in logs)) == f"CRIT 20 runs failed: oom, {where}"


def test_what_all_crashed_of_is_named() -> None:
    """The error stands in the title of a group where it is the same in all."""
    items = [
        news("crash", log=f"/d/sweep-17/lr{n}.log", message="crashed: OSError: No space left on device")
        for n in range(3)
    ]
    assert title(*items) == "CRIT 3 runs crashed: OSError, sweep-17, gpu-a3"
    items[0] = news("crash", log="/d/sweep-17/lr0.log", message="crashed: ValueError: x")
    assert title(*items) == "CRIT 3 runs crashed, sweep-17, gpu-a3"


def test_a_digest_counts() -> None:
    """Many runs with many rules are told by how many are how bad."""
    items = [news("stall", log=f"/d/{n}.log") for n in range(3)]
    items += [news("vram_jump", severity="warning", log=f"/d/{n}.log") for n in range(5)]
    items += [over("nan_burst", log=f"/d/{n}.log") for n in (6, 7)]
    assert title(*items) == "3 critical, 5 warnings, 2 over: 7 runs, gpu-a3"


def test_two_alerts_of_two_runs_are_no_digest() -> None:
    """Of a few alerts the worst is told all the same."""
    items = [news("vram_jump", severity="warning", log="/d/a-run.log"), news("oom", log="/d/b-run.log")]
    assert title(*items) == "CRIT out of memory, b-run, epoch 4/50, +1 more"


def test_a_long_name_loses_its_middle() -> None:
    """Both ends of a name tell runs apart, and no number is cut in two."""
    log = "/d/resnet50-imagenet-augmix-2048px-cosine-lr0.00025-seed42.log"
    burst, recovered = news(log=log, evidence={"nan_batches": 73}), news("oom_recovered", severity="warning", log=log)
    assert title(burst) == "CRIT 73 NaN losses, resnet50-imag…0.00025-seed42, epoch 4/50"
    assert title(recovered) == "WARN out of memory, recovered, resnet50…-seed42, epoch 4/50"


ERROR = "DistributedDataParallelRendezvousTimeoutException"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("/d/r1.log", "CRIT crashed: DistributedDataParallelRendezvou…, r1, +1 more"),
        ("/d/resnet50-imagenet-s42.log", "CRIT crashed: DistributedDataPar…, resnet…enet-s42, +1 more"),
    ],
)
def test_what_is_too_long_for_a_title_is_cut_as_far_as_the_name_needs(log: str, expected: str) -> None:
    """A short name reserves no more than itself, and a long word loses its end but not all of itself."""
    crashed = news("crash", log=log, message=f"crashed: {ERROR}: x")
    assert title(crashed, news("stall", log=log)) == expected
    assert len(expected) <= 60


def test_without_a_name_the_whole_title_is_for_what_it_says() -> None:
    """Nothing is reserved for a name that there is not."""
    head = "3 critical, 5 warnings of many words which go on and on: 7,000 runs"
    assert fit(head, tail="gpu-a3") == "3 critical, 5 warnings of many words which go on and on…"


def test_no_number_is_cut_in_two() -> None:
    """What stands before the ellipsis is a whole number, or none."""
    assert fit(f"WARN {'x' * 42} is 123456789.25", "") == f"WARN {'x' * 42} is…"


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity_has_its_word(severity: Severity) -> None:
    """The first word of a title is how bad it is."""
    assert (
        title(news(severity=severity)).split()[0] == {"critical": "CRIT", "warning": "WARN", "info": "INFO"}[severity]
    )
