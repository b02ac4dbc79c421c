"""Checkpoints that genuine trainers wrote are found, told apart by part, and clean until they are poisoned."""

from __future__ import annotations

import math
import shutil
import struct
import time
from pathlib import Path

import pytest

from nanwatch.checkpoints.folder import scan_folder
from nanwatch.checkpoints.scan import scan_file
from nanwatch.model.checkpoint import Weights

FOLDER = Path(__file__).parents[2] / "fixtures" / "checkpoints"


def looked(folder: Path) -> Weights:
    return scan_folder(folder, scan_file, limit=10, seconds=60, steady=time.monotonic, every=True)


def test_the_hugging_face_trainer_writes_a_folder() -> None:
    """Model, optimizer, step and epoch of a checkpoint folder are read from its three files."""
    (checkpoint,) = looked(FOLDER / "huggingface").checkpoints
    assert checkpoint.state == "clean"
    assert [part.name for part in checkpoint.parts if part.elements] == ["model", "optimizer"]
    assert (checkpoint.step, checkpoint.epoch, checkpoint.format) == (20, 1, "safetensors+PyTorch")
    assert [Path(file).name for file in checkpoint.files] == ["model.safetensors", "optimizer.pt"]


def test_lightning_writes_files_with_epoch_and_step() -> None:
    """Files are ordered by what they say, `last` among them, and the newest is where one would go on."""
    weights = looked(FOLDER / "lightning")
    assert [Path(item.path).name for item in weights.checkpoints] == [
        "last.ckpt", "epoch=2-step=24.ckpt", "epoch=1-step=16.ckpt",
    ]  # fmt: skip
    assert [(item.epoch, item.step) for item in weights.checkpoints] == [(2, 24), (2, 24), (1, 16)]
    assert {item.state for item in weights.checkpoints} == {"clean"}
    assert weights.last_clean == weights.checkpoints[0]


@pytest.mark.parametrize(("value", "nan", "inf"), [(math.nan, 1, 0), (-math.inf, 0, 1)])
def test_one_poisoned_number_is_found(tmp_path: Path, value: float, nan: int, inf: int) -> None:
    """A single number changed in the model's file makes the checkpoint unfit, and is named with its tensor."""
    copy = tmp_path / "checkpoint-20"
    shutil.copytree(FOLDER / "huggingface" / "checkpoint-20", copy)
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", value))
    (checkpoint,) = looked(tmp_path).checkpoints
    assert (checkpoint.state, checkpoint.nan, checkpoint.inf) == ("nonfinite", nan, inf)
    assert [(tensor.part, tensor.nan, tensor.inf) for tensor in checkpoint.bad] == [("model", nan, inf)]
    assert looked(tmp_path).last_clean is None
