"""Checkpoints in words and as JSON: short, exact, inert, within the width."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from nanwatch.model.checkpoint import BadTensor, Checkpoint, Part, Weights
from nanwatch.views.checkpoints import Look, checkpoints_json, render_checkpoints
from nanwatch.views.words import clean

CONV = BadTensor("model.22.cv2.0.0.conv.weight", "model", "float16", (64, 192, 3, 3), 110_592, 1204, 0)
POISONED = Checkpoint(
    "runs/v8m/weights/last.pt", "nonfinite", "PyTorch", size=86_000_000, epoch=4,
    parts=(Part("model", 295, 25_000_000, 1204), Part("EMA", 295, 25_000_000), Part("optimizer", 200, 9, 2408, 3)),
    bad=(CONV,), bad_tensors=3,
)  # fmt: skip
CLEAN = Checkpoint(
    "runs/v8m/weights/epoch3.pt", "clean", "PyTorch", size=86_000_000, epoch=3, modified_at=0.0,
    parts=(Part("model", 295, 25_000_000), Part("EMA", 295, 25_000_000), Part("optimizer", 9, 9)),
)  # fmt: skip
HALF = Checkpoint("runs/v8m/weights/half.pt", "truncated", "PyTorch", "ends in data/117", size=12_000_000)
EVIL = Checkpoint("runs/v8m/weights/evil.pt", "hostile", "PyTorch", "loading it would run os.system('x')", size=1000)


def group(*checkpoints: Checkpoint, folder: str = "", skipped: int = 0) -> Weights:
    last = next((item for item in checkpoints if item.state == "clean"), None)
    return Weights(folder, checkpoints, last, skipped)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let local time be UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_every_state_is_told_in_words() -> None:
    """A line a checkpoint, the worst in capitals, bad tensors by name, then where to start again."""
    text = render_checkpoints([group(POISONED, CLEAN, HALF, EVIL)], Look(80))
    assert text.splitlines() == [
        "X last.pt    PyTorch, 86.0 MB, epoch 4",
        "    NaN and Inf in 3 of 790 tensors:  model 1,204 NaN  EMA clean",
        "    optimizer 2,408 NaN, 3 Inf",
        "    model.22.cv2.0.0.conv.weight  float16 [64, 192, 3, 3]  1,204 NaN of 110,592",
        "    and 2 more tensors",
        ". epoch3.pt  PyTorch, 86.0 MB, epoch 3  clean: model, EMA, optimizer",
        "! half.pt    PyTorch, 12.0 MB           truncated: ends in data/117",
        "X evil.pt    PyTorch, 1.00 kB",
        "    HOSTILE: loading it would run os.system('x'); do not load it",
        "last clean: runs/v8m/weights/epoch3.pt (epoch 3, 1970-01-01 00:00)",
    ]


def test_a_single_clean_one_needs_no_conclusion() -> None:
    """One clean file is one line; where none is clean, that is said."""
    assert render_checkpoints([group(CLEAN)], Look(100)).count("\n") == 1
    assert "last clean: none of 1 checkpoint\n" in render_checkpoints([group(HALF)], Look(100))


def test_each_folder_has_its_own_last_clean_one() -> None:
    """Where several folders were named, each is concluded by its name, and what was left out is counted."""
    text = render_checkpoints([group(HALF, folder="a"), group(CLEAN, HALF, folder="b", skipped=3)], Look(100))
    assert "last clean in a: none of 1 checkpoint" in text
    assert "last clean in b: runs/v8m/weights/epoch3.pt" in text
    assert "3 older checkpoints not looked at" in text


def test_the_path_to_start_from_is_never_cut() -> None:
    """A path that is too long for the line stands whole on one of its own, to be copied."""
    path = "/".join(["a-very-long-folder-name"] * 8) + "/epoch3.pt"
    text = render_checkpoints([group(Checkpoint(path, "clean", modified_at=0.0, epoch=3), HALF)], Look(60))
    assert text.splitlines()[-1] == path
    assert all(cell_len(line) <= 60 for line in text.splitlines()[:-1])


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 120))
@example("0" * 31, "000000", 1)
def test_hostile_names_stay_inert_and_within_the_width(name: str, words: str, width: int) -> None:
    """Whatever a file's name and its contents hold, only printable characters come out, in lines that fit."""
    tensor = BadTensor(words, "model", name, (1,) * 9, 9, 1, 1)
    evil = Checkpoint(
        name,
        "nonfinite",
        words,
        words,
        (words, name),
        9,
        math.inf,
        (Part(words, 1, 9, 1),),
        (tensor,),
        5,
        files=(name,),
    )
    text = render_checkpoints([group(evil, Checkpoint(name, "clean", modified_at=1e300), folder=words)], Look(width))
    for line in text.split("\n"):
        assert line.isprintable()
        assert cell_len(line) <= max(30, width) or line == clean(name)


def test_json_keeps_everything_and_has_no_nan() -> None:
    """The machine form tells parts, tensors and the last clean path; what is not finite is null."""
    bad = Checkpoint("\x1b[31mx", "clean", best=("loss", math.nan), modified_at=math.inf)
    found = json.loads(
        json.dumps(checkpoints_json([group(POISONED, CLEAN, folder="w"), group(bad)], 0.0), allow_nan=False)
    )
    assert (found["schema"], found["last_clean"]) == (1, CLEAN.path)
    first, second, third = found["checkpoints"]
    assert (first["nan"], first["inf"], first["bad_tensors"]) == (3612, 3, 3)
    assert first["bad"][0]["shape"] == [64, 192, 3, 3]
    assert first["parts"][2] == {"name": "optimizer", "tensors": 200, "elements": 9, "nan": 2408, "inf": 3}
    assert second["modified_at"] == "1970-01-01T00:00:00.000+00:00"
    assert (third["best"], third["modified_at"]) == ({"metric": "loss", "value": None}, None)
    assert found["groups"][0]["folder"] == "w"


def test_colours_are_put_only_where_they_are_asked_for() -> None:
    """The line of a poisoned checkpoint is red on a terminal, and plain elsewhere."""
    assert "\x1b[1;31m" in render_checkpoints([group(POISONED)], Look(80, color=True))
    assert "\x1b" not in render_checkpoints([group(POISONED)], Look(80))
