"""Facts are read off a run as a careful person would, and what it does not show is not known."""

from __future__ import annotations

import pytest

from nanwatch.diagnose.facts import facts_of
from nanwatch.diagnose.words import Value
from nanwatch.model.alert import Alert
from nanwatch.model.run import Best, Epoch, Run, RunFailure
from nanwatch.model.snapshot import RunView


def rows(*given: Epoch) -> dict[int, Epoch]:
    """Return a table of epochs."""
    return {row.epoch: row for row in given}


def facts(run: Run, *alerts: Alert) -> dict[str, Value]:
    """Return the facts of *run*."""
    return facts_of(RunView(run, list(alerts), "running", None)).facts


def with_rates(*rates: float) -> Run:
    """Return a run whose epochs had these learning rates."""
    table = rows(*(Epoch(n, batch=10, batches=10, lr=lr, done=True) for n, lr in enumerate(rates, start=1)))
    return Run("x.log", "x.log", epoch=len(rates), table=table, best=Best("IoU", 0.5, 2))


def alert(rule: str, epoch: int, **evidence: float) -> Alert:
    """Return an alert that fires."""
    return Alert(
        rule, rule, "", "critical", "firing", "", epoch, 3, 100, 7, dict(evidence), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rates", "raised"),
    [
        ((0.001, 0.01, 0.1, 0.09, 0.08), None),  # a warm-up is no raise
        ((0.1, 0.09, 0.08, 0.07), None),
        ((0.1, 0.09, 0.2, 0.19), 3),
        ((0.1, 0.09, 0.11, 0.1), None),  # a tenth more is no raise
        ((0.1, 0.05, 0.1, 0.9), 4),  # the greatest one counts
    ],
)
def test_learning_rate_that_was_raised(rates: tuple[float, ...], raised: int | None) -> None:
    """A rate is raised where it grows by half or more after it had been falling."""
    found = facts(with_rates(*rates))
    assert (found["lr_was_raised"], found["lr_raised_epoch"]) == (raised is not None, raised)


def test_learning_rate_that_is_not_shown_is_not_known() -> None:
    """Without learning rates in the log, nobody can tell whether one was raised."""
    found = facts(Run("x.log", "x.log", epoch=3, table=rows(Epoch(1), Epoch(2))))
    assert (found["lr_was_raised"], found["shows_lr"], found["lr"]) == (None, False, None)


def test_learning_rate_of_the_best_epoch_is_the_one_to_start_from() -> None:
    """Where the trend went bad, the rate of the best epoch counts, and not the last one."""
    found = facts(with_rates(0.1, 0.09, 0.08, 0.07), alert("metric_collapse", 4, value=0.0))
    assert (found["clean_epoch"], found["lr_when_clean"]) == (2, 0.09)


def test_nan_to_the_end_of_every_epoch() -> None:
    """Running means stay NaN from the first NaN to the epoch's end; single NaN batches do not."""
    mean = Epoch(1, batch=10, nan_batches=6, nan_onset=5, nan_longest=6, nan_last=[9, 10], began_clean=True)
    single = Epoch(1, batch=10, nan_batches=2, nan_onset=5, nan_longest=1, nan_last=[5, 8], began_clean=True)
    assert facts(Run("x", "x", epoch=1, nan_batches=6, table=rows(mean)))["nan_to_the_end"] is True
    assert facts(Run("x", "x", epoch=1, nan_batches=2, table=rows(single)))["nan_to_the_end"] is False


def test_share_is_of_the_first_epoch_with_nan() -> None:
    """73 of 7,550 batches are 0.97 %, and about 398 by the end of the epoch."""
    row = Epoch(4, batch=7550, batches=41163, nan_batches=73, nan_onset=32)
    found = facts(Run("x", "x", epoch=4, nan_batches=73, table=rows(Epoch(3, done=True), row)))
    assert found["nan_share"] == pytest.approx(0.00967, abs=1e-5)
    assert (found["nan_expected"], found["epochs_clean_before"], found["clean_epoch"]) == (398, 1, 3)


def test_memory_that_jumped_with_the_nan() -> None:
    """A jump in the first epoch with NaN is told from one in another epoch."""
    table = rows(Epoch(3, done=True), Epoch(4, batch=9, nan_batches=4, nan_onset=2))
    run = Run("x", "x", epoch=4, nan_batches=4, table=table)
    jump = {"usual_gb": 4.2, "peak_gb": 4.71, "change_gb": 0.51}
    assert facts(run, alert("vram_jump", 4, **jump))["vram_with_nan"] is True
    assert facts(run, alert("vram_jump", 3, **jump))["vram_with_nan"] is False


def test_stage_and_how_soon_the_trouble_came() -> None:
    """The stage begins with the first epoch behind the trainer's own word on it."""
    table = rows(*(Epoch(n, offset=100 * n) for n in range(1, 9)))
    run = Run("x", "x", epoch=8, table=table, stage_offset=550)
    found = facts(run, alert("loss_explosion", 7, usual=0.2, value=15.0))
    assert (found["stage_epoch"], found["epochs_after_stage"]) == (6, 1)


@pytest.mark.parametrize(
    ("settings", "precision"),
    [
        ({"amp": "True"}, "fp16"), ({"amp": "False"}, "fp32"), ({"dtype": "'bfloat16'"}, "bf16"),
        ({"precision": "16-mixed"}, "fp16"), ({"fp16": "False"}, None), ({}, None),
    ],
)  # fmt: skip
def test_precision(settings: dict[str, str], precision: str | None) -> None:
    """Mixed precision is known where the log shows it; a trainer without fp16 may still use bf16."""
    assert facts(Run("x", "x", epoch=1, hyperparameters=settings))["precision"] == precision


def test_loss_scaler_shows_half_precision() -> None:
    """Only half precision has a loss scaler that skips steps."""
    table = rows(Epoch(1, grad_skips=4, skip_kinds={"scaler": 4}))
    assert facts(Run("x", "x", epoch=1, grad_skips=4, table=table))["precision"] == "fp16"


def test_effective_batch_is_what_the_optimizer_sees() -> None:
    """Ultralytics accumulates up to nbs images; elsewhere batch times accumulation counts."""
    given = {"batch": "16", "nbs": "64"}
    assert facts(Run("x", "x", format="ultralytics", hyperparameters=given))["effective_batch"] == 64
    given = {"per_device_train_batch_size": "8", "gradient_accumulation_steps": "4"}
    assert facts(Run("x", "x", format="huggingface", hyperparameters=given))["effective_batch"] == 32


def test_batch_that_did_not_fit() -> None:
    """The batch that was too large is the one that the trainer names."""
    said = RunFailure("oom", "out of memory with batch=4. Reducing to batch=2", 9, 1)
    assert facts(Run("x", "x", epoch=1, recoveries=[said]))["oom_batch"] == 4
