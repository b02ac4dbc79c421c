"""What is over is not told as trouble, what may pass stops no run, and no step contradicts another or the log."""

from __future__ import annotations

from typing import Any

import pytest

from nanwatch.diagnose import diagnose
from nanwatch.diagnose.facts import facts_of
from nanwatch.diagnose.words import fill
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Diagnosis
from nanwatch.model.run import Epoch, Run, RunFailure
from nanwatch.model.snapshot import RunView
from nanwatch.runs.status import status_of
from tests.support.logs import CAPTURES, capture, cod_story, read, yolo_story

STOP = "Stop the run: what it still computes is lost or skipped."


def view_of(data: bytes | str) -> RunView:
    """Return the last run of *data*."""
    pipeline = read(data if isinstance(data, bytes) else data.encode())
    run = pipeline.runs[-1]
    alerts = pipeline.alerts_of(run)
    return RunView(run, alerts, status_of(run, alerts), None)


def found_in(data: bytes | str) -> Diagnosis:
    """Return the diagnosis of the last run of *data*."""
    return diagnose(view_of(data))


def causes(found: Diagnosis) -> list[str]:
    """Return the causes by their ids."""
    return [cause.id for cause in found.causes]


def told(found: Diagnosis) -> list[str]:
    """Return the findings."""
    return [item.text for item in found.findings]


def epochs_log(accuracies: list[float], total: int = 30) -> str:
    """Return a log of a line an epoch."""
    lines = (
        f"Epoch {n}/{total} | loss {0.5 / n**0.3:.4f} | val_acc {accuracy:.4f} | lr 0.001\n"
        for n, accuracy in enumerate(accuracies, 1)
    )
    return "".join(lines)


def batches_log(losses: list[float], per_epoch: int = 100, first: int = 1) -> str:
    """Return a log of a line a batch."""
    places = ((first + n // per_epoch, 1 + n % per_epoch, loss) for n, loss in enumerate(losses))
    return "".join(f"Epoch {epoch}/100 batch {batch}/{per_epoch} loss {loss}\n" for epoch, batch, loss in places)


# -- what is over


def test_collapse_that_is_over_stops_no_run() -> None:
    """A metric that was lost for one epoch and is better than ever since is told, and asks for nothing."""
    found = found_in(epochs_log([0.5 + 0.01 * n if n != 10 else 0.01 for n in range(1, 21)]))
    assert told(found) == ["loss or metric were lost at epoch 10 and have come back since"]
    assert (found.causes, found.changes, found.steps, found.resume) == ((), (), (), None)


def test_collapse_that_lasts_stops_the_run() -> None:
    """The same without coming back is lost."""
    found = found_in(epochs_log([*(0.5 + 0.01 * n for n in range(1, 11)), 0.01, 0.01, 0.01]))
    assert found.steps[0] == STOP
    assert "Go back to the best checkpoint, of epoch 10, or to an earlier one." in found.steps


def test_validation_in_progress_is_no_collapse() -> None:
    """A metric that is low only while its validation goes on is not told as one that fell."""
    found = found_in((CAPTURES.parent / "formats" / "pytorch_imagenet.log").read_bytes())
    assert not any("collapsed" in text for text in told(found))
    assert "diverged" not in causes(found)


def test_decline_is_no_reason_to_call_the_run_lost() -> None:
    """A metric that falls slowly: the best checkpoint is named, and that nothing is lost."""
    found = found_in(epochs_log([*(0.5 + 0.02 * n for n in range(10)), *(0.68 - 0.004 * n for n in range(1, 9))]))
    assert "decline" in causes(found)
    assert STOP not in found.steps
    assert found.steps[0].startswith("Nothing is lost so far: go on from the best checkpoint, of epoch 10,")


def test_failure_long_after_nan_resumes_from_the_last_checkpoint() -> None:
    """NaN that were over for many epochs do not send one back to before them when something else fails."""
    rows = {n: Epoch(n, batches=100, batch=100, done=True, losses={"loss": 1.0}) for n in range(1, 31)}
    rows[3].nan_batches, rows[3].nan_onset, rows[3].nan_last = 8, 20, [40]
    run = Run("x.log", "x.log", format="ultralytics", epoch=30, epochs=50, first_epoch=1, nan_batches=8, table=rows)
    run.losses, run.output_folder = {"loss": 1.0}, "/runs/a"
    rows[30].done = False
    run.failure = RunFailure("exception", "KeyError: 'metrics'", 1, 30)
    found = diagnose(RunView(run, [], "failed", None))
    assert found.resume is not None
    assert found.resume.checkpoint == "/runs/a/weights/last.pt"
    assert not any("last clean checkpoint" in step for step in found.steps)


def test_silence_long_after_a_burst_resumes_as_it_was() -> None:
    """The first incident, had it gone on: eighty clean epochs later its burst asks for no other settings."""
    view = view_of(yolo_story(400)[0])
    run = view.run
    run.hyperparameters["used_optimizer"] = "SGD"
    run.table |= {n: Epoch(n, batches=400, batch=400, done=n < 84, losses={"box_loss": 1.0}) for n in range(5, 85)}
    run.table[4].done, run.table[4].batch, run.epoch, run.batch, run.is_held = True, 400, 84, 200, False
    run.losses = {"box_loss": 1.0}
    found = diagnose(RunView(run, view.alerts, "stalled", 4 * 3600.0))
    assert causes(found)[0] == "ended_without_a_word"
    assert found.causes[0].against == ()
    assert {cause.likelihood for cause in found.causes[1:]} == {"possible"}
    assert found.changes == ()
    assert found.resume is not None
    assert found.resume.command == "yolo detect train resume model=/home/ml/cod/runs/v8m/weights/last.pt"


# -- what may pass


def test_single_nan_at_the_end_stops_no_run() -> None:
    """One NaN as the last line of a log that grows: look again, do not stop."""
    found = found_in(batches_log([0.5] * 250 + [float("nan")]))
    assert STOP not in found.steps
    assert found.resume is None
    assert len(found.steps) == 1
    assert found.steps[0].startswith("Look again after some batches")


def test_old_burst_does_not_make_a_single_nan_last() -> None:
    """Thirty NaN in a row ten epochs ago do not make the one at the end of the log a reason to stop."""
    nan = float("nan")
    found = found_in(batches_log([0.5] * 100 + [nan] * 30 + [0.5] * 1000 + [nan]))
    assert STOP not in found.steps
    assert "weights_not_finite" not in causes(found)


def test_nan_that_stay_stop_the_run() -> None:
    """Thirty of them in a row do."""
    assert found_in(batches_log([0.5] * 250 + [float("nan")] * 30)).steps[0] == STOP


def test_running_means_are_awaited_until_the_next_epoch() -> None:
    """A trainer that prints running means shows NaN until the epoch ends: only the next one tells."""
    data = yolo_story(100)[0]
    view = view_of(data)
    run = view.run
    row = run.table[4]
    row.nan_batches, row.nan_longest, row.nan_onset, row.nan_last = row.batch - 29, row.batch - 29, 30, [row.batch]
    row.grad_skips, run.grad_skips, run.skip_positions, run.nan_batches = 0, 0, [], row.nan_batches
    run.losses = {name: float("nan") for name in run.losses}
    found = diagnose(RunView(run, [], "running", None))
    assert STOP not in found.steps
    assert any(step.startswith("Look again when the next epoch has begun") for step in found.steps)


def test_few_skipped_steps_in_many_batches_are_harmless() -> None:
    """Six skipped steps in two hundred thousand batches ask for no change of the settings."""
    run = Run("x.log", "x.log", epoch=20, epochs=50, batch=10, batches=10_000, first_epoch=0, grad_skips=6)
    run.table = {n: Epoch(n, batches=10_000, batch=10_000, done=n < 20) for n in range(21)}
    run.table[20].grad_skips = 6
    found = diagnose(RunView(run, [], "running", None))
    assert (found.causes, found.changes, found.resume) == ((), (), None)
    assert STOP not in found.steps


# -- where to begin


def test_nan_from_the_first_epoch_begins_anew() -> None:
    """Where no epoch was clean there is no checkpoint to go back to: the command begins with the run's own model."""
    found = found_in(capture("ultralytics/v8n_8.0.200_redirect_lr_explodes"))
    assert found.resume is not None
    assert found.resume.checkpoint is None
    assert found.resume.command.startswith("yolo detect train model=yolov8n.yaml data=")
    assert found.resume.command.endswith(" epochs=5")
    assert "PATH" not in found.resume.command
    assert not any("Scan the checkpoints" in step for step in found.steps)
    assert "Begin anew, not from a checkpoint of this run: none of its epochs was clean." in found.steps


def test_nan_after_a_resume_suspects_the_checkpoint() -> None:
    """A log that begins with epoch 50 and NaN tells nothing of learning rates for first batches."""
    found = found_in("Resuming from checkpoint ckpt_49.pt\n" + batches_log([float("nan")] * 250, first=50))
    assert "resumed_into_nan" in causes(found)
    assert "nan_from_the_start" not in causes(found)
    assert any("Scan the checkpoints" in step for step in found.steps)


def test_checkpoint_that_was_saved_after_the_nan_is_not_named() -> None:
    """The file that a trainer saved at the end of the epoch with NaN is none to start from."""
    found = found_in((CAPTURES.parent / "formats" / "kohya.log").read_bytes())
    assert found.resume is not None
    assert found.resume.checkpoint is None


def test_epoch_before_the_present_nan_is_the_clean_one() -> None:
    """NaN that were over do not make the epochs between them and the present ones unclean."""
    nan = [float("nan")] * 40
    facts = facts_of(view_of(batches_log([0.5] * 100 + nan + [0.5] * 760 + nan))).facts
    assert facts["clean_epoch"] == 9


def test_learning_rate_is_that_of_before_the_trouble() -> None:
    """The rate that a schedule ended with is not the one to start from."""
    found = found_in(capture("custom_cod/cod_nohup_nanburst_buffered"))
    assert next(c.before for c in found.changes if c.name == "learning rate") == "0.00176"


# -- what is said of how it ended


def test_trainer_that_gives_up_because_of_nan_had_no_finite_loss_after_it() -> None:
    """`Loss is nan, stopping training`: the last finite loss was printed before it."""
    found = found_in("Epoch 1/9 | loss 2.3\nEpoch 2/9 | loss 2.1\nLoss is nan, stopping training\n")
    assert "1 NaN loss, the first in epoch 2" in told(found)
    assert not any("finite losses came after" in text or "latest losses are finite" in text for text in told(found))
    assert causes(found) == ["nan_not_explained"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [("kernel_oom", "host_out_of_memory"), ("worker_killed", "shared_memory"), ("device_error", "device_assert"),
     ("disk_full", "disk"), ("killed", "killed"), ("out_of_memory", "out_of_memory")],
)  # fmt: skip
def test_end_has_one_cause(name: str, cause: str) -> None:
    """Each way to end has its own cause and no second one beside it; the host's memory is not the GPU's."""
    found = found_in((CAPTURES.parent / "formats" / f"ends_{name}.log").read_bytes())
    assert causes(found) == [cause]
    assert bool(found.changes) is (cause == "out_of_memory")


def test_batch_is_what_the_trainer_came_down_to() -> None:
    """After two reductions it is a quarter, not half; the learning rate of Adam stays."""
    view = view_of(capture("ultralytics/v8n_8.4.190_redirect_oom_recovers"))
    view.run.recoveries.append(RunFailure("oom", "out of memory. Reducing to batch=1 and retrying (2/3).", 1, 1))
    assert [(c.name, c.before, c.after) for c in diagnose(view).changes] == [("batch", "4", "1")]


def test_raise_after_the_collapse_has_it_against_it() -> None:
    """A learning rate that was raised two epochs after the metric had collapsed is not certain to be the cause."""
    found = found_in(capture("custom_cod/cod_redirect_decline_explode"))
    raised = next(cause for cause in found.causes if cause.id == "lr_raised")
    assert raised.likelihood == "probable"
    assert [item.text for item in raised.against] == ["the training had gone bad before, at epoch 21"]


def test_optimizer_line_tells_the_momentum() -> None:
    """What the log prints as used needs no rule of the trainer: no word of the rule of optimizer=auto."""
    found = found_in(capture("ultralytics/v8n_8.2.100_nohup_gradguard_buffered"))
    momentum = next(c for c in found.changes if c.name == "momentum")
    assert (momentum.before, momentum.after) == ("0.9", "0.85")
    assert "rule of" not in momentum.why


def test_placeholder_is_explained_only_where_it_stands() -> None:
    """nanoGPT's command names no checkpoint, so nothing stands for one."""
    found = found_in(capture("nanogpt/nanogpt_tee_nan"))
    assert found.resume is not None
    assert "PATH" not in found.resume.command + found.resume.note


# -- checkpoints


def weights(*checkpoints: Checkpoint, **values: Any) -> Weights:
    """Return a folder's checkpoints, of which the first clean one is the last clean one."""
    clean = next((item for item in checkpoints if item.state == "clean"), None)
    return Weights("/w", checkpoints, clean, **values)


def test_hostile_checkpoint_is_a_finding() -> None:
    """A file that would run code is told among what happened, not only as one that is not clean."""
    found = diagnose(view_of(yolo_story(100)[0]), weights(Checkpoint("/w/last.pt", "hostile")))
    assert "1 checkpoint would run code when loaded: do not load" in told(found)
    assert "None of the scanned checkpoints is clean: look for an older copy, or begin anew." in found.steps
    assert not any("last clean checkpoint" in step for step in found.steps)


@pytest.mark.parametrize(("epoch", "left", "is_late"), [(2, 48, False), (3, 47, False), (4, 46, True)])
def test_epoch_of_the_scanned_checkpoint_counts(epoch: int, left: int, is_late: bool) -> None:
    """What is left to train follows from the file's epoch; one of after the trouble is told as such."""
    found = diagnose(view_of(yolo_story(400)[0]), weights(Checkpoint("/w/last.pt", "clean", epoch=epoch)))
    assert found.resume is not None
    assert found.resume.command.endswith(f" epochs={left}")
    assert (f"of epoch {epoch}: one of epoch 3 or earlier" in found.resume.note) is is_late


def test_checkpoints_of_after_the_collapse_are_told() -> None:
    """Where every checkpoint is from after the trouble, the named one is told to be, too."""
    view = view_of(cod_story(20)[0])
    view.run.format, view.run.output_folder = "yolov5", "/w"
    found = diagnose(view, Weights("/w", problem="no checkpoint from before it began", since=1.0, later=2))
    assert found.resume is not None
    assert found.resume.checkpoint == "/w/weights/best.pt"
    assert found.resume.note.startswith("It was written after the trouble began")


# -- words


@pytest.mark.parametrize(
    ("template", "text"),
    [("{nan_batches:NaN loss}", "1 NaN loss"), ("{grad_skips:optimizer step}", "2,000 optimizer steps"),
     ("{nan_epochs:NaN batch}", "0 NaN batches"), ("{silence_minutes:time}", "10 h 23 min")],
)  # fmt: skip
def test_counts_agree_with_their_words(template: str, text: str) -> None:
    """One is one thing, others are several, and hours are not told as hundreds of minutes."""
    facts = {"nan_batches": 1, "grad_skips": 2000, "nan_epochs": 0, "silence_minutes": 623.0}
    assert fill(template, facts) == text


def test_silence_is_told_without_epochs() -> None:
    """A silent run without epochs has its silence told, too."""
    run = Run("x.log", "x.log", step=100, steps=200)
    assert told(diagnose(RunView(run, [], "stalled", 3 * 3600.0))) == ["silent for 3 h"]
