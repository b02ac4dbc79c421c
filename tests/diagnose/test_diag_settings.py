"""Settings are read as they were really used, changed by rule, and put into each trainer's own command."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from nanwatch.diagnose.changes import SAFETY, proposals
from nanwatch.diagnose.facts import facts_of
from nanwatch.diagnose.knowledge import Entry, knowledge, read_knowledge
from nanwatch.diagnose.resume import resume_of
from nanwatch.diagnose.settings import Settings, as_text
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.run import Run, RunFailure
from nanwatch.model.snapshot import RunView

ENTRIES = {entry.id: entry for entry in knowledge().entries}
CLEAN = Checkpoint("/w/it's; rm -rf $HOME.pt", "clean")
WEIGHTS = Weights("/w", (CLEAN,), CLEAN)


def run_of(log_format: str, settings: dict[str, str] | None = None, **values: Any) -> Run:
    """Return a run of this trainer in its third epoch."""
    return Run(
        "x.log", "x.log", format=log_format, epoch=3, epochs=10, batch=5, batches=10, first_epoch=1,
        hyperparameters=settings or {}, **values,
    )  # fmt: skip


def changed(run: Run, *ids: str, **facts: Any) -> dict[str, tuple[str | None, str | None]]:
    """Return what the causes of these *ids* change in *run*."""
    known = facts_of(RunView(run, [], "running", None))
    found = proposals([ENTRIES[name] for name in ids], known.settings, {**known.facts, **facts})
    return {p.change.name: (p.change.before, p.change.after) for p in found}


def command(run: Run, *ids: str, weights: Weights | None = WEIGHTS) -> str:
    """Return the command that goes on with the changes of these causes."""
    known = facts_of(RunView(run, [], "running", None))
    found = proposals([ENTRIES[name] for name in ids], known.settings, known.facts)
    return resume_of(run, known.settings, known.facts, found, weights).command


def entry(change: str) -> Entry:
    """Return a cause that asks for one change."""
    text = '[[cause]]\nid = "x"\ntitle = "x"\nweight = 5\nwhen = ["nan_batches == 0"]\nsource = "x"\nadvice = ["x"]\n'
    return read_knowledge(f'{text}[[cause.change]]\n{change}\nwhy = "x"\n').entries[0]


def test_what_is_really_used_comes_first() -> None:
    """Of two printed names of a setting, the one that is used counts."""
    settings = Settings(run_of("ultralytics", {"lr": "0.002", "lr0": "0.01", "optimizer": "auto"}))
    assert settings.number("learning_rate") == 0.002


def test_ignored_settings_are_not_taken() -> None:
    """With optimizer=auto, lr0 and momentum as given say nothing about the training."""
    run = run_of("ultralytics", {"lr0": "0.3", "momentum": "0.5", "optimizer": "auto", "batch": "16", "nbs": "64"})
    settings = Settings(run)
    assert settings.is_overridden
    assert settings.shown("learning_rate") is None
    assert settings.number("momentum") == 0.9
    run.batches = 100_000
    assert Settings(run).number("learning_rate") == 0.01


def test_yolov5_carries_its_data() -> None:
    """A new YOLOv5 run without its data would train on another set: data, sizes and device are given again, quoted."""
    given = {"weights": "", "data": "/d/my set.yaml", "imgsz": "512", "batch_size": "8", "device": "", "lr0": "0.01"}
    text = command(run_of("yolov5", given), "diverged")
    words = shlex.split(text)
    assert words[2:11] == [
        "--weights", CLEAN.path, "--data", "/d/my set.yaml", "--imgsz", "512", "--batch-size", "8", "--hyp",
    ]  # fmt: skip
    smaller = shlex.split(command(run_of("yolov5", given), "out_of_memory"))
    assert [smaller[n + 1] for n, word in enumerate(smaller) if word == "--batch-size"] == ["4"]


def test_cpu_has_no_half_precision() -> None:
    """`amp=True` on a CPU means nothing: Ultralytics switches it off there."""
    assert Settings(run_of("ultralytics", {"amp": "True", "device": "cpu"})).precision() == "fp32"
    assert Settings(run_of("ultralytics", {"amp": "True", "device": "0"})).precision() == "fp16"


def test_given_settings_are_taken_without_auto() -> None:
    """With an optimizer of one's own, lr0 and momentum are what they are."""
    settings = Settings(run_of("ultralytics", {"lr0": "0.3", "momentum": "0.5", "optimizer": "SGD"}))
    assert (settings.is_overridden, settings.number("learning_rate"), settings.number("momentum")) == (False, 0.3, 0.5)


@pytest.mark.parametrize("text", ["None", "", "nan", "inf", "1e400", "auto", "[0.1, 0.2]", "-1", "0"])
def test_value_that_is_no_number_changes_nothing(text: str) -> None:
    """A setting that cannot be calculated with gets no number."""
    after = changed(run_of("nanogpt", {"learning_rate": text}), "diverged").get("learning_rate", (None, None))[1]
    assert after in ("25 to 30 % less", "0.00042")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.005, "0.005"),
        (6.0, "6"),
        (0.0001043, "0.000104"),
        (2.1e-7, "0.00000021"),
        (100_000.0, "100000"),
        (0.85, "0.85"),
    ],
)
def test_number_is_written_as_a_setting(value: float, text: str) -> None:
    """A setting has three telling digits and no exponent."""
    assert as_text(value) == text


def test_stronger_change_is_told_once() -> None:
    """Two causes that ask for the same setting give one change, the one that goes further."""
    run = run_of("nanogpt", {"learning_rate": "0.001"})
    assert changed(run, "decline", "weights_not_finite")["learning_rate"] == ("0.001", "0.0005")
    assert changed(run, "weights_not_finite", "decline")["learning_rate"] == ("0.001", "0.0005")


def test_momentum_that_is_low_enough_stays() -> None:
    """A rule `at most` leaves what is below."""
    run = run_of("ultralytics", {"momentum": "0.8", "optimizer": "SGD"})
    assert "momentum" not in changed(run, "nan_at_epoch_start_with_memory")


def test_linear_rule_has_a_safety_factor() -> None:
    """The learning rate is scaled with the effective batch, times 0.8."""
    run = run_of("ultralytics", {"lr0": "0.01", "optimizer": "SGD", "batch": "4", "nbs": "16"})
    assert changed(run, "lr_for_a_larger_batch")["lr0"] == ("0.01", as_text(0.01 * 16 / 64 * SAFETY))


def test_batch_stays_a_whole_number_of_at_least_one() -> None:
    """Half of 5 images are 2, and there is no batch below 1."""
    assert changed(run_of("huggingface", {"per_device_train_batch_size": "5"}), "out_of_memory")[
        "per_device_train_batch_size"
    ] == ("5", "2")
    assert "batch" not in changed(run_of("ultralytics", {"batch": "1"}), "out_of_memory")


def test_image_size_stays_a_multiple_of_32() -> None:
    """A smaller image is still one that the network takes."""
    run = run_of("ultralytics", {"batch": "2", "imgsz": "640"})
    assert changed(run, "out_of_memory")["imgsz"] == ("640", "512")


def test_setting_that_the_trainer_does_not_have_is_not_asked_for() -> None:
    """No flag is invented: Keras has no warm-up."""
    assert "warm-up" not in changed(run_of("keras"), "nan_bursts_under_guard")
    assert "learning_rate" in changed(run_of("keras"), "nan_bursts_under_guard")


def test_change_under_a_condition_that_is_not_known_is_left_out() -> None:
    """What depends on a fact that the log does not show is not asked for."""
    entry_ = replace(entry('setting = "batch"\nto = "times 0.5"\nif = "accumulation > 1"\notherwise = "half"'))
    known = facts_of(RunView(run_of("generic"), [], "running", None))
    assert proposals([entry_], known.settings, known.facts) == []


@pytest.mark.parametrize(
    ("log_format", "ids", "begins"),
    [
        ("ultralytics", (), ["yolo", "segment", "train", "resume", "model=/w/it's; rm -rf $HOME.pt"]),
        ("ultralytics", ("out_of_memory",), ["yolo", "segment", "train", "resume", "model=/w/it's; rm -rf $HOME.pt"]),
        ("ultralytics", ("diverged",), ["yolo", "segment", "train", "model=/w/it's; rm -rf $HOME.pt"]),
        ("yolov5", (), ["python", "train.py", "--resume", "/w/it's; rm -rf $HOME.pt"]),
        ("yolov5", ("diverged",), ["python", "train.py", "--weights", "/w/it's; rm -rf $HOME.pt", "--hyp"]),
        ("huggingface", (), ["python", "YOUR_SCRIPT.py", "--resume_from_checkpoint", "/w/it's; rm -rf $HOME.pt"]),
        ("huggingface", ("diverged",), ["python", "YOUR_SCRIPT.py", "--model_name_or_path"]),
        ("nanogpt", (), ["python", "train.py"]),
        ("nanogpt", ("diverged",), ["python", "train.py"]),
    ],
)
def test_command_is_in_the_trainers_syntax(log_format: str, ids: tuple[str, ...], begins: list[str]) -> None:
    """A shell splits the command into what the trainer expects, whatever the path holds."""
    run = run_of(log_format, {"task": "segment", "batch": "8", "weight_decay": "0.1"})
    assert shlex.split(command(run, *ids))[: len(begins)] == begins


@pytest.mark.parametrize(("log_format", "begins"), [("lightning", "trainer.fit("), ("keras", "model = keras.")])
def test_python_command_is_python(log_format: str, begins: str) -> None:
    """Where a script resumes, the line is Python, its path a literal."""
    text = command(run_of(log_format))
    assert text.startswith(begins)
    compile(text, "command", "exec")
    assert repr(CLEAN.path) in text


def test_nanogpt_gives_its_overrides_again() -> None:
    """What was overridden is overridden again, but for what changes."""
    run = run_of("nanogpt", {"out_dir": "out; ls", "learning_rate": "0.001", "init_from": "scratch"})
    assert shlex.split(command(run, "decline")) == [
        "python", "train.py", "--out_dir=out; ls", "--init_from=resume", "--learning_rate=0.0008",
    ]  # fmt: skip


def test_out_of_memory_resumes_with_a_smaller_batch() -> None:
    """Ultralytics lets one change batch and image size when it resumes."""
    run = run_of("ultralytics", {"batch": "16", "imgsz": "640"}, failure=RunFailure("oom", "CUDA out of memory", 0, 3))
    assert command(run, "out_of_memory").endswith("batch=8")


def test_task_that_is_none_is_not_repeated() -> None:
    """A task is one of the trainer's own words, whatever the log says."""
    assert command(run_of("ultralytics", {"task": "detect; rm -rf /"})).startswith("yolo detect train")


def test_trainer_that_is_not_known_has_no_command() -> None:
    """For a script of one's own it is said what to pass."""
    run = run_of("generic")
    known = facts_of(RunView(run, [], "running", None))
    found = resume_of(run, known.settings, known.facts, [], WEIGHTS)
    assert (found.command, found.checkpoint, found.is_checked) == ("", CLEAN.path, True)
    assert "pass the checkpoint" in found.note


def test_checkpoint_that_the_log_names_is_marked_as_not_checked() -> None:
    """A path that nobody scanned is told as such."""
    run = run_of("huggingface", saved=["out/checkpoint-500"])
    known = facts_of(RunView(run, [], "running", None))
    found = resume_of(run, known.settings, known.facts, [], None)
    assert (found.checkpoint, found.is_checked) == ("out/checkpoint-500", False)
    assert "Scan the checkpoint first" in found.note
