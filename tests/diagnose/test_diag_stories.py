"""The two incidents and every genuine log are diagnosed as a careful person would."""

from __future__ import annotations

from functools import cache

import pytest

from nanwatch.diagnose import diagnose
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Diagnosis
from nanwatch.model.run import Process
from nanwatch.model.snapshot import RunView
from nanwatch.runs.status import status_of
from tests.support.logs import CAPTURES, capture, cod_story, read, yolo_story

HEALTHY = [
    "custom_cod/cod_pty_healthy", "custom_cod/cod_pty_healthy_midrun", "custom_cod/cod_redirect_interrupt_resume",
    "hf_trainer/hf_4.46_redirect_u", "hf_trainer/hf_4.46_tee_killed_resume", "hf_trainer/hf_5.23_redirect",
    "keras/keras_3.15_redirect", "keras/keras_3.15_redirect_verbose2_ckpt", "lightning/pl_2.6_pty_tqdm",
    "lightning/pl_2.6_redirect_rich", "nanogpt/nanogpt_redirect", "sklearn/sk_mlp_redirect",
    "ultralytics/cls_8.2.100_redirect", "ultralytics/seg_8.4.190_redirect", "ultralytics/v8n_8.2.100_pty120",
    "ultralytics/v8n_8.2.100_redirect_interrupt_resume", "ultralytics/v8n_8.3.100_tee_snap",
    "ultralytics/v8n_8.3.200_redirect", "ultralytics/v8n_8.4.190_pty_longbars", "ultralytics/v8n_8.4.190_redirect",
    "ultralytics/yolo11n_8.3.100_nohup", "xgboost/xgb_redirect", "yolov5/yolov5_redirect", "yolov5/yolov5v7_redirect",
]  # fmt: skip
TOP = {
    "custom_cod/cod_nohup_nanburst_buffered": "nan_bursts_under_guard",
    "custom_cod/cod_nohup_oom": "out_of_memory",
    "custom_cod/cod_redirect_decline_explode": "lr_raised",
    "custom_cod/cod_redirect_u_decline_explode": "lr_raised",
    "custom_cod/cod_styleb_tee_nanburst": "nan_bursts_under_guard",
    "hf_trainer/hf_4.46_redirect_nan_filter": "hidden_nan",
    "hf_trainer/hf_4.46_tee_killed_resume_fails": "checkpoint_not_loaded",
    "hf_trainer/hf_5.23_pty_nan_nofilter": "weights_not_finite",
    "keras/keras_3.15_pty_nan": "weights_not_finite",
    "lightning/pl_2.6_redirect_tqdm_nan": "weights_not_finite",
    "nanogpt/nanogpt_tee_nan": "weights_not_finite",
    "sklearn/sk_mlp_tee_diverges": "nan_from_the_start",
    "ultralytics/v8n_8.0.200_redirect_lr_explodes": "nan_from_the_start",
    "ultralytics/v8n_8.0.200_redirect_startup_crash": "failed_at_start",
    "ultralytics/v8n_8.0.200_redirect_vramjump": "diverged",
    "ultralytics/v8n_8.2.100_nohup_gradguard_buffered": "nan_at_epoch_start_with_memory",
    "ultralytics/v8n_8.3.100_redirect_gradguard": "nan_bursts_under_guard",
    "ultralytics/v8n_8.3.100_redirect_oom": "out_of_memory",
    "ultralytics/v8n_8.3.235_tee_nan_recovers": "nan_recovered_by_rollback",
    "ultralytics/v8n_8.4.190_nohup_tee_gradguard": "nan_bursts_under_guard",
    "ultralytics/v8n_8.4.190_redirect_nan_fatal": "nan_in_checkpoint",
    "ultralytics/v8n_8.4.190_redirect_oom_recovers": "batch_was_reduced",
    "ultralytics/v8n_8.4.190_redirect_traceback": "error_in_code",
}
SILENT = {  # the bytes alone show nothing wrong: these logs only end
    "custom_cod/cod_redirect_hung_buffered", "ultralytics/v8n_8.0.200_redirect_killed",
    "ultralytics/v8n_8.2.100_redirect_hang", "ultralytics/v8n_8.3.100_tee_snap_midrun",
    "ultralytics/v8n_8.3.100_pty_interrupted", "yolov5/yolov5_redirect_killed",
}  # fmt: skip
OPTIMIZER = {"used_optimizer": "SGD", "lr": "0.01", "momentum": "0.9"}
"""What the story's line on its optimizer says: SGD(lr=0.01, momentum=0.9)."""


def view_of(data: bytes, settings: dict[str, str] | None = None) -> RunView:
    """Return the last run of *data*, with more *settings* than it prints."""
    pipeline = read(data)
    run = pipeline.runs[-1]
    run.hyperparameters.update(settings or {})
    alerts = pipeline.alerts_of(run)
    return RunView(run, alerts, status_of(run, alerts), None)


@cache
def yolo() -> Diagnosis:
    """Return the diagnosis of the yolo story."""
    return diagnose(view_of(yolo_story(400)[0], OPTIMIZER))


def cod(*, is_held: bool = True) -> Diagnosis:
    """Return the diagnosis of the cod story, 22 minutes after its last byte."""
    pipeline = read(cod_story(20)[0])
    run = pipeline.runs[-1]
    run.is_held, run.process = is_held, Process(1999742, "python", 0.0, 100.0, alive=is_held)
    return diagnose(RunView(run, pipeline.alerts_of(run), "stalled", 22 * 60.0))


def table(found: Diagnosis) -> dict[str, tuple[str | None, str | None]]:
    """Return the settings to change."""
    return {change.name: (change.before, change.after) for change in found.changes}


def test_every_capture_is_looked_at() -> None:
    """No genuine log is left out of these tests."""
    known = {*HEALTHY, *TOP, *SILENT}
    assert known == {f"{log.parent.name}/{log.stem}" for log in CAPTURES.glob("*/*.log")}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_log_has_no_cause(name: str) -> None:
    """Nothing is invented for a log that is well: no cause, nothing to change, nothing to resume."""
    found = diagnose(view_of(capture(name)))
    assert (found.causes, found.changes, found.resume, found.steps) == ((), (), None, ())


@pytest.mark.parametrize("name", sorted(SILENT))
def test_log_that_only_ends_has_no_cause(name: str) -> None:
    """What the bytes do not show is not guessed."""
    found = diagnose(view_of(capture(name)))
    assert (found.causes, found.changes) == ((), ())


@pytest.mark.parametrize(("name", "cause"), TOP.items())
def test_sick_log_has_its_cause(name: str, cause: str) -> None:
    """The likeliest cause of each genuine log is the true one, with its evidence."""
    found = diagnose(view_of(capture(name)))
    assert found.causes[0].id == cause
    assert all(cause.because for cause in found.causes)
    assert found.findings


def test_yolo_causes_are_ranked() -> None:
    """NaN from batch 32 of epoch 4 with a jump of the memory comes first, then the bursts under the guard."""
    found = yolo()
    assert [cause.id for cause in found.causes][:2] == ["nan_at_epoch_start_with_memory", "nan_bursts_under_guard"]
    assert all(cause.likelihood == "probable" for cause in found.causes[:2])
    because = [item.text for item in found.causes[0].because]
    assert "VRAM 4.20 -> 4.71 GB (+0.51 GB) in the same epoch" in because
    assert "the first NaN is batch 32 of epoch 4" in because


def test_yolo_findings_point_into_the_log() -> None:
    """What happened is told with the line of the log that shows it."""
    text, line = yolo().findings[0].text, yolo().findings[0].line
    assert text.endswith("since batch 32 of epoch 4")
    assert line is not None
    assert b" nan " in yolo_story(400)[0].split(b"\n")[line - 1]


def test_yolo_settings_are_computed_from_its_own() -> None:
    """Every setting that the incident taught to change is changed from the run's own value."""
    found = table(yolo())
    assert found == {
        "lr0": ("0.01", "0.005"), "optimizer": ("auto", "SGD"), "gradient clipping": ("10", "5"),
        "warmup_epochs": ("3.0", "6.0"), "momentum": ("0.9", "0.85"), "weight_decay": ("0.0005", "0.001"),
        "hsv_s": ("0.7", "0.35"), "hsv_v": ("0.4", "0.2"),
    }  # fmt: skip
    whys = {change.name: change.why for change in yolo().changes}
    assert "has no setting for it" in whys["gradient clipping"]
    assert "ignores lr0" in whys["optimizer"]


def test_yolo_restarts_from_the_last_clean_checkpoint() -> None:
    """Changed settings need a new run: `resume` would take the old ones from the checkpoint."""
    found = yolo().resume
    assert found is not None
    assert found.command == (
        "yolo detect train model=/home/ml/cod/runs/v8m/weights/last.pt data=/home/ml/cod/data/det.yaml imgsz=640"
        " batch=16 device=0 lr0=0.005 optimizer=SGD warmup_epochs=6.0 momentum=0.85 weight_decay=0.001 hsv_s=0.35"
        " hsv_v=0.2 epochs=47"
    )
    assert not found.is_checked
    assert "Scan the checkpoint first" in found.note


def test_yolo_restarts_from_the_scanned_one() -> None:
    """A checkpoint that was scanned and is clean takes the place of the one that the log names."""
    clean = Checkpoint("/w/epoch3.pt", "clean")
    weights = Weights("/w", (Checkpoint("/w/last.pt", "nonfinite"), clean), clean)
    found = diagnose(view_of(yolo_story(400)[0], OPTIMIZER), weights).resume
    assert found is not None
    assert (found.checkpoint, found.is_checked) == ("/w/epoch3.pt", True)
    assert "model=/w/epoch3.pt " in found.command


def test_no_scanned_checkpoint_is_clean() -> None:
    """A checkpoint that is not clean is never the one to start from."""
    weights = Weights("/w", (Checkpoint("/w/last.pt", "nonfinite"),), None)
    found = diagnose(view_of(yolo_story(400)[0], OPTIMIZER), weights)
    assert found.resume is not None
    assert (found.resume.checkpoint, found.resume.is_checked) == (None, False)
    assert "model=PATH " in found.resume.command
    assert "The scanned checkpoint is not clean: an older one is needed." in found.resume.note


def test_yolo_without_the_optimizer_line_says_what_it_does_not_know() -> None:
    """Where optimizer=auto chose a rate that the log did not give, no number is invented for it."""
    view = view_of(yolo_story(400)[0])
    for name in ("lr", "used_optimizer"):
        view.run.hyperparameters.pop(name, None)
    found = diagnose(view)
    assert table(found)["lr0"] == (None, "half of it")
    assert found.resume is not None
    assert "lr0=RATE" in found.resume.command
    assert "The log does not show the present value of lr0." in found.unknown


def test_cod_causes() -> None:
    """The explosion at epoch 98 comes first; the decline warned by epoch 91; the hang is told with its place."""
    found = cod()
    assert found.causes[0].id == "diverged"
    assert {cause.id for cause in found.causes} == {"diverged", "decline", "hang_after_nan"}
    texts = " / ".join(item.text for cause in found.causes for item in cause.because)
    assert "IoU had been declining since epoch 89; three falls in a row were a warning by epoch 91" in texts
    assert "stuck at 30 % of epoch 101" in texts


def test_cod_findings() -> None:
    """Best, decline, explosion and silence are told with their epochs."""
    texts = " / ".join(item.text for item in cod().findings)
    parts = (
        "best 0.6413 at epoch 88", "declined from epoch 89", "collapsed to 0.0022 at epoch 98",
        "loss exploded at epoch 98: 0.22", "15.3 over the epoch", "silent for 22 minutes at 30 % of epoch 101",
    )  # fmt: skip
    assert [part for part in parts if part not in texts] == []


def test_cod_learning_rate_is_30_percent_below_the_best_epochs() -> None:
    """The stronger of 30 and 20 % is advised, from the rate that the log shows for the best epoch."""
    assert table(cod())["learning rate"] == ("0.000149", "0.000104")


def test_cod_has_no_command() -> None:
    """The command of a script of one's own is not invented; what to pass is said."""
    found = cod().resume
    assert found is not None
    assert found.command == ""
    assert "--resume PATH" in found.note


def test_cod_without_a_process_does_not_hang() -> None:
    """Without a process, the silence is less likely a hang."""
    likely = {cause.id: cause for cause in cod(is_held=False).causes}
    assert likely["hang_after_nan"].likelihood == "possible"
    assert likely["hang_after_nan"].against


def test_same_run_same_diagnosis() -> None:
    """A diagnosis depends on nothing but its arguments."""
    view = view_of(yolo_story(400)[0], OPTIMIZER)
    assert diagnose(view) == diagnose(view)
