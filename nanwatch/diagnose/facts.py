"""The facts of a run that the knowledge may ask for: each with its meaning, computed once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nanwatch.diagnose.aspects import (
    Anchors,
    Facts,
    end_facts,
    memory_facts,
    nan_facts,
    skip_facts,
    trend_facts,
)
from nanwatch.diagnose.rates import lr_facts
from nanwatch.diagnose.settings import Settings
from nanwatch.model.checkpoint import Weights
from nanwatch.model.snapshot import RunView

_OOM_BATCH = re.compile(r"batch=(\d{1,9})")
_REDUCED = re.compile(r"Reducing to batch=(\d{1,9})")

MEANING: dict[str, str] = {
    "nan_batches": "batches with a non-finite loss, in the whole run",
    "nan_epochs": "epochs with such batches",
    "nan_epoch": "the first of these epochs",
    "nan_batch": "its first such batch",
    "nan_seen": "how many of its batches were seen",
    "nan_share": "the share of them whose loss was not finite",
    "nan_expected": "what that comes to by the epoch's end, while the epoch goes on",
    "onset_share": "how much of the epoch (or run) had passed at the first such batch, 0 to 1",
    "nan_longest": "the longest stretch of such batches",
    "nan_lasting_longest": "the longest one in the epochs over which it has lasted",
    "nan_to_the_end": "whether in each such epoch every batch from the first one to its end was NaN",
    "nan_is_counted": "whether the log shows single batches with NaN",
    "nan_lasts": "whether the loss is not finite at the end of the log",
    "nan_lasting_epochs": "over how many epochs this has lasted",
    "nan_recovered": "whether finite losses came after the NaN",
    "trouble_goes_on": "whether a loss was NaN or a step skipped in the latest two epochs (100 steps without epochs)",
    "nan_recoveries": "how often the trainer went back to a checkpoint because of NaN",
    "epochs_clean_before": "epochs before the first NaN without NaN and without skipped steps",
    "batches_trained": "batches since the run began",
    "hidden_nan": "whether the trainer hides NaN behind another number",
    "grad_skips": "optimizer steps that were skipped",
    "guard_skips": "of these, skipped by a check of the gradient",
    "scaler_skips": "of these, skipped by the loss scaler of mixed precision",
    "skip_ratio": "skipped steps for each NaN batch, at most 1",
    "skip_epoch": "the first epoch with skipped steps",
    "skip_epochs": "epochs with skipped steps",
    "vram_gb": "the GPU memory in use, in GB",
    "vram_before_gb": "the usual GPU memory before a jump, in GB",
    "vram_after_gb": "the peak after it, in GB",
    "vram_change_gb": "the jump, in GB; 0 without one",
    "vram_epoch": "the epoch of the jump",
    "vram_with_nan": "whether the jump came in the first epoch with NaN",
    "is_oom": "whether running out of the GPU's memory ended the run",
    "is_host_oom": "whether running out of the host's memory ended it",
    "oom_recoveries": "how often the trainer recovered from that",
    "oom_text": "what the log says of it",
    "oom_batch": "the batch size that was too large, where the log says so",
    "reduced_batch": "the batch size that the trainer came down to by itself",
    "is_exploded": "whether a loss grew tenfold and is still so",
    "over_epoch": "the epoch of an explosion or collapse that is over",
    "explosion_from": "the usual loss before",
    "explosion_to": "the loss after",
    "explosion_factor": "how many times the usual loss that is",
    "explosion_epoch": "the epoch of the explosion",
    "explosion_batch": "its batch",
    "mean_before": "the epoch's mean loss before the explosion",
    "mean_after": "the epoch's mean loss in it",
    "is_collapsed": "whether the main metric fell to nearly nothing and is still there",
    "collapse_value": "what it fell to",
    "collapse_epoch": "the epoch of that",
    "is_declining": "whether the main metric keeps falling, several epochs in a row",
    "decline_epoch": "the first epoch of the decline",
    "warned_epoch": "the epoch of the third fall in a row",
    "is_unstable": "whether the loss exploded or the metric collapsed",
    "trouble_epoch": "the first epoch of an explosion or collapse, else of NaN",
    "metric": "the name of the main metric",
    "best": "its best value",
    "best_epoch": "the epoch of that",
    "is_overfit": "whether the validation loss rises while the training loss falls",
    "stage_epoch": "the first epoch of the present stage of the training",
    "epochs_after_stage": "epochs from there to the explosion or collapse",
    "shows_lr": "whether the log shows the learning rate",
    "lr_now": "the latest learning rate that the log shows",
    "lr_when_clean": "the one of the last epoch that was well, before NaN or skipped steps began",
    "lr_clean_epoch": "that epoch",
    "lr_was_raised": "whether it rose by half or more after it had been falling",
    "lr_raise": "by what factor it was raised",
    "lr_raised_epoch": "the epoch of that",
    "lr_raised_from": "the learning rate before",
    "lr_raised_to": "the learning rate after",
    "lr": "the learning rate as set, else as shown in the last clean epoch",
    "epoch": "the epoch in progress",
    "epochs": "the epochs that the run means to train",
    "is_stalled": "whether the log is silent though it should not be",
    "stuck_share": "how much of the epoch is done, 0 to 1",
    "silence_minutes": "minutes since the log last grew",
    "is_held": "whether a process holds the log open",
    "cpu": "what this process uses, in percent of a core",
    "failure_kind": "oom, exception, killed, nccl or signal; empty without a failure",
    "failure_text": "the failure in the log's own words",
    "exit_code": "the exit code of the training",
    "has_begun": "whether any training was seen",
    "rollbacks": "how often the run was thrown back to an earlier checkpoint",
    "resumes": "how often it was resumed",
    "is_unsaved": "whether the trainer said that it did not save a checkpoint",
    "clean_epoch": "the last finished epoch without NaN, and before those that go on; of a bad trend, the best one",
    "is_finished": "whether the training is done",
    "is_interrupted": "whether somebody interrupted it",
    "trainer": "the trainer",
    "shows_means": "whether the trainer prints running means instead of each batch's loss",
    "precision": "fp16, bf16 or fp32",
    "optimizer": "the optimizer that was really used",
    "clip": "the norm to which gradients are clipped",
    "warmup": "the length of the warm-up, as the trainer counts it",
    "batch": "the batch size",
    "accumulation": "batches over which gradients are summed",
    "effective_batch": "the batch size times that",
    "base_batch": "the effective batch that the trainer's own learning rate is meant for",
    "image_size": "the size of the images",
    "has_deep_supervision": "whether the log shows deep supervision",
    "has_to_go_on": "whether the training has to be started again from a checkpoint",
    "is_lost": "whether what the run still computes is of no use",
    "has_changes": "whether there are settings to change",
    "lr_is_ignored": "whether the trainer ignores the learning rate that was given",
    "bad_checkpoints": "scanned checkpoints with NaN or Inf in them",
    "clean_checkpoints": "scanned checkpoints without",
    "hostile_checkpoints": "scanned files that would run code when they are loaded",
}
"""Every fact by its name; what is not known of a run is None."""

UNKNOWN: dict[str, str] = {
    "precision": "whether mixed precision is on",
    "clip": "whether gradients are clipped",
    "warmup": "how long the warm-up is",
    "batch": "the batch size",
    "effective_batch": "the effective batch size",
    "image_size": "the image size",
    "optimizer": "the optimizer",
    "lr": "the learning rate",
    "lr_was_raised": "whether the learning rate was raised",
    "shows_means": "whether the trainer prints each batch's loss or running means",
    "is_held": "whether a process still holds the log open",
    "cpu": "whether the process does anything",
    "stage_epoch": "whether a new stage of the training began",
    "vram_gb": "the GPU memory in use",
}
"""Of facts that matter to a diagnosis, the words in which one says that the log does not show them."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run: facts by name, places in the log by name, and its settings."""

    facts: Facts
    anchors: Anchors
    settings: Settings


def facts_of(view: RunView, weights: Weights | None = None) -> Known:
    """Return every fact of `MEANING` for the run of *view*."""
    anchors: Anchors = {}
    facts: Facts = dict.fromkeys(MEANING)
    for read in (nan_facts, skip_facts, memory_facts, trend_facts, end_facts):
        facts |= read(view, anchors)
    clean = facts["clean_epoch"]
    facts |= lr_facts(view, clean if isinstance(clean, int) else None)
    settings = Settings(view.run)
    facts |= _setting_facts(settings, facts)
    batch = _OOM_BATCH.search(str(facts["oom_text"] or ""))
    facts["oom_batch"] = int(batch[1]) if batch else facts["batch"]
    reduced = [found for item in view.run.recoveries if (found := _REDUCED.search(item.message)) is not None]
    facts["reduced_batch"] = int(reduced[-1][1]) if reduced else None
    if weights is not None and weights.checkpoints:
        states = [checkpoint.state for checkpoint in weights.checkpoints]
        facts |= {"bad_checkpoints": states.count("nonfinite"), "clean_checkpoints": states.count("clean")}
        facts["hostile_checkpoints"] = states.count("hostile")
    return Known(facts, anchors, settings)


def _setting_facts(settings: Settings, facts: Facts) -> Facts:
    """Return what the run was trained with."""
    trainer, batch, accumulation = settings.trainer, settings.number("batch"), settings.accumulation()
    optimizer, lr = settings.shown("optimizer"), settings.number("learning_rate")
    precision, deep = settings.precision(), settings.shown("deep_supervision")
    if precision is None and facts["scaler_skips"]:
        precision = "fp16"  # only half precision needs a loss scaler
    return {
        "trainer": trainer.title or None, "shows_means": trainer.shows_means, "base_batch": trainer.base_batch,
        "precision": precision, "optimizer": None if optimizer is None else optimizer.text,
        "lr": lr if lr is not None else facts["lr_when_clean"] or facts["lr_now"],
        "clip": settings.number("clipping"), "warmup": settings.number("warmup"), "batch": batch,
        "accumulation": accumulation, "effective_batch": batch * accumulation if batch and accumulation else batch,
        "image_size": settings.number("image_size"), "lr_is_ignored": settings.is_overridden,
        "has_deep_supervision": None if deep is None else deep.text.lower() not in ("false", "0", "0.0", "no"),
    }  # fmt: skip
