"""Look-alikes stay silent: words, paths, settings and tables that only look like trouble."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import math

import pytest

from nanwatch.formats.decode import Decoder
from nanwatch.model.event import (
    BatchDone,
    CheckpointSkipped,
    EpochDone,
    Event,
    Failure,
    Interrupted,
    Recovery,
    RunFinished,
    StepSkipped,
)
from nanwatch.model.frame import Chunk, Frame
from nanwatch.pipeline import LogPipeline

SILENT = [
    # NaN within words, in paths, in settings
    "Training on the Nanjing dataset: 1200 images",
    "loss: nano model, finance info",
    "Loading /data/nan/inf/train.py and /mnt/nano-gpt/loss=nan.txt",
    "model: yolov8n-nano loss_fn: infonce inference: True",
    "nan_policy=raise, loss_nan_policy=skip, allow_inf_nan=True",
    "Namespace(lr=0.1, loss='bce', pad=inf, nan_policy='omit', threshold=nan)",
    "args: {'pad': inf, 'best_loss': inf, 'patience': 10}",
    "{'pad': inf, 'min_loss_scale': nan, 'hidden': 64}",
    "config: best_loss=inf min_delta=0.0 mode=min",
    "EarlyStopping(monitor=val_loss, best=inf, patience=5)",
    "best: inf",
    "best_loss=inf, best_epoch=-1",
    "Best val loss so far: inf",
    "set detect_anomaly(True): NaN in the backward pass will raise an error",
    "replacing 12 NaN values in column loss_ratio",
    "RuntimeWarning: invalid value encountered in scalar divide",
    "UserWarning: The loss may be nan when the batch is empty; use nan_to_num",
    "Some metrics cannot be computed and is shown as NaN.",
    # class tables: no labels
    "|  car   |  nan  |  nan  |",
    "                   cat         32          0        nan        nan        nan        nan",
    "| category | AP | category | AP |",
    "Pseudo dice [0.8, nan, nan, 0.3]",
    # skips of another kind
    "skip connection: True, skip_step: 4",
    "Using skip connections between encoder and decoder",
    "Skipping download, files already verified",
    "skipped 3 corrupt images",
    "Skipping batch norm for the last layer",
    "WARNING: skipping NaN values in column 7 of the CSV",
    "Skipping NaN samples while building the index",
    "skipping validation this epoch",
    "config skip_nan_batches=True",
    "loss scale: 65536.0",
    "number of skipped iterations: none so far",
    "stack overflow answers say: use smaller batches",
    # endings of another kind
    "The OOM killer killed nothing today; tips for killed processes below",
    "Tip: if you run out of memory, reduce the batch size",
    "If you see CUDA OOM errors, lower --batch",
    "To avoid running out of memory set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
    "see docs/out_of_memory.md for help",
    "a Traceback in the docs looks like this: Traceback of an error",
    "Mean Absolute Error: 0.3",
    "Error rate: 0.12",
    "KeyError handling enabled",
    "When training is complete, run evaluate.py",
    "Notes: after training completes the weights are exported",
    "Pre-training finished models are listed in the README",
    "estimated training time is 3 h",
    "Press Ctrl-C to stop training",
    "will be interrupted by the scheduler at 23:00",
    # numbers that are none of ours
    "2024-01-05 10:00:00 torch 2.3.0+cu121, CUDA 12.1, driver 535.54.03",
    "model summary: 225 layers, 3157200 parameters, 8.9 GFLOPs",
    "0.5s preprocess, 12ms inference, 1.1ms postprocess per image",
    "AMP: checks passed",
]

TROUBLE = (StepSkipped, Failure, Interrupted, RunFinished, Recovery, CheckpointSkipped)
HEALTHY = "".join(
    f"Epoch {e}/9: train_loss={1 / e:.4f} val_loss={1.1 / e:.4f} val_acc={1 - 1 / (e + 1):.4f}\n" for e in range(1, 5)
)


def bad(event: Event) -> bool:
    """Tell whether *event* speaks of trouble, an end, or a loss that is not finite."""
    if isinstance(event, BatchDone | EpochDone):
        return any(not math.isfinite(v) for v in event.losses.values())
    return isinstance(event, TROUBLE)


@pytest.mark.parametrize(
    "prefix", ["", "2024-01-01 10:00:00,123 - INFO - ", "[INFO] ", "  0%|          | 0/100 [00:00<?, ?it/s]"]
)
@pytest.mark.parametrize("line", SILENT)
def test_line_is_silent(line: str, prefix: str) -> None:
    """A look-alike says nothing of trouble, alone or behind what loggers and bars put before it."""
    assert not [event for event in Decoder().decode(Frame(prefix + line, 0)) if bad(event)]


@pytest.mark.parametrize("line", SILENT)
def test_run_goes_on(line: str) -> None:
    """Within a healthy run, a look-alike raises no alert, ends nothing and changes no counter."""
    pipeline = LogPipeline("log")
    data = f"{HEALTHY}{line}\nEpoch 5/9: train_loss=0.2000 val_loss=0.2200 val_acc=0.8300\n".encode()
    list(pipeline.feed(Chunk(0, data)))
    list(pipeline.finish())
    assert len(pipeline.runs) == 1
    run = pipeline.runs[0]
    assert (run.epoch, run.epochs, run.nan_batches, run.grad_skips) == (5, 9, 0, 0)
    assert (run.failure, run.interrupted, run.finished) == (None, None, None)
    assert not pipeline.alerts_of(run)


@pytest.mark.parametrize(
    "line",
    [
        "Epoch 5/9: train_loss=0.2 val_loss=nan val_acc=0.83",
        "Validation: loss=nan, iou=nan",
        "{'eval_loss': nan, 'eval_runtime': 1.0, 'epoch': 5}",
    ],
)
def test_validation_nan_is_no_nan_batch(line: str) -> None:
    """A NaN among validation values is no NaN batch of the training."""
    pipeline = LogPipeline("log")
    list(pipeline.feed(Chunk(0, (HEALTHY + line + "\n").encode())))
    assert pipeline.runs[-1].nan_batches == 0


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("⚠️  WARNING: Non-finite gradient detected (norm=nan), skipping optimizer step", StepSkipped),
        ("Loss in not finite. Skip this training step.", StepSkipped),
        ("2026-06-06 17:51:35.886 | WARNING  | __main__:train:669 - Skipping batch at iter 43167 (epoch 227, batch 0): non-finite loss", StepSkipped),
        ("WARNING: Skip the batch due to the loss is NaN, it may be caused by invalid labels", StepSkipped),
        ("skipping a NaN loss", StepSkipped),
        ("NOTE: gradient overflow detected, ignoring gradient, setting loss scale to: 64.0", StepSkipped),
        ("[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, but hysteresis is 2. Reducing hysteresis to 1", StepSkipped),
        ("Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0", StepSkipped),
        ("Loss is nan, stopping training", Failure),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", Failure),
        ("RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB", Failure),
        ("./train.sh: line 12:  4242 Killed                  python train.py", Failure),
        ("2024-05-01 10:00:00 INFO Training complete.", RunFinished),
        ("KeyboardInterrupt", Interrupted),
    ],
)  # fmt: skip
def test_the_real_thing_is_heard(line: str, kind: type[Event]) -> None:
    """What the look-alikes resemble is recognised."""
    assert kind in [type(event) for event in Decoder().decode(Frame(line, 0))]
