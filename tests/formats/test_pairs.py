"""Names and values in free text, in objects, and what they are."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.formats.decode import Decoder
from nanwatch.formats.pairs import object_pairs, read_object, read_pairs, sort_pairs
from nanwatch.model.frame import Frame, FrameEnd


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Loss: 0.2234 | IoU: 0.6434", [("Loss", 0.2234), ("IoU", 0.6434)]),
        ("loss=0.5,acc=0.3, lr=1e-3", [("loss", 0.5), ("acc", 0.3), ("lr", 1e-3)]),
        ("loss 2.4 - val_loss 0.3", [("loss", 2.4), ("val_loss", 0.3)]),
        ("dice_loss - 0.5, iou_score - -1.2", [("dice_loss", 0.5), ("iou_score", -1.2)]),
        ("Train Loss: 0.5 Val IoU -> 0.7", [("Train Loss", 0.5), ("Val IoU", 0.7)]),
        ("Loss 6.9012e+00 (7.0012e+00)\tAcc@1 12.5 ( 10.9)", [("Loss", 6.9012), ("Acc@1", 12.5)]),
        ("'loss': '3.83', \"grad_norm\": 0.9", [("loss", 3.83), ("grad_norm", 0.9)]),
        ("训练次数：100, Loss：1.98", [("Loss", 1.98)]),
        ("training's l2: 0.5\tvalid_1's l2: 0.6", [("training's l2", 0.5), ("valid_1's l2", 0.6)]),
        ("mem: 6736Mb, time: 12ms, n: 5%", [("mem", 6736), ("time", 12), ("n", 5)]),
        ("number of nan iterations: 1", [("nan iterations", 1)]),
        ("layers 225, parameters 3157200", []),
        ("loss=nano, model: infonce, v: 1.2.3, ip=10.0.0.1", []),
        ("/data/loss=3/x path: /1/2", []),
        ("loss: ", []),
    ],
)  # fmt: skip
def test_pairs(text: str, pairs: list[tuple[str, float]]) -> None:
    """Pairs are found behind each separator, and not in words, paths and versions."""
    found = read_pairs(text)
    assert [p.name for p in found] == [name for name, _ in pairs]
    assert [p.value for p in found] == pytest.approx([value for _, value in pairs])


@pytest.mark.parametrize(
    "text",
    ["loss=nan", "loss: NaN,", "loss nan lr 0.1", "loss=inf]", "loss -inf", "train_loss=nan.0", "Loss nan (nan)"],
)
def test_non_finite(text: str) -> None:
    """A whole value that is NaN or infinite is read as one."""
    assert not math.isfinite(read_pairs(text)[0].value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"loss": NaN, "step": 1}', {"loss", "step"}), ("{'loss': nan, 'epoch': -inf}", {"loss", "epoch"}), ('{"eval": {"loss": 0.4}}', {"eval"}),
        ("{'a': __import__('os')}", None), ("{broken", None), ("[1, 2]", None), ("{1, 2}", None), ("{'a': " * 3000 + "}", None),
    ],
)  # fmt: skip
def test_object(text: str, found: set[str] | None) -> None:
    """JSON objects and Python dicts are read as data, never run."""
    value = read_object(text)
    assert (None if value is None else set(value)) == found


def test_nested_object_pairs() -> None:
    """Numbers within an object bear both names; truth values and absurd integers are none."""
    pairs = object_pairs({"step": 3, "eval": {"loss": 0.4, "best": {"acc": "0.9"}}, "ok": True, "id": 10**400})
    assert [(p.name, p.value) for p in pairs] == [("step", 3), ("eval/loss", 0.4), ("eval/best/acc", 0.9)]


def test_sorted() -> None:
    """Values are sorted into losses, metrics and reserved fields; durations and memories are no metrics."""
    text = "loss: 0.5, acc: 0.9, base_lr: 0.1, lr: 0.01, grad_norm: 1.5, mem: 2048M, total: 50ms, best_loss: 0.4, loss_scale: 65536, step: 7"
    found = sort_pairs(read_pairs(text))
    assert (found.losses, found.metrics) == ({"loss": 0.5}, {"acc": 0.9})
    assert (found.lr, found.grad_norm, found.vram_gb) == (0.01, 1.5, 2.0)
    assert found.rest["step"].value == 7


WORDS = st.sampled_from(
    ["loss", "epoch", "step", "nan", "inf", "=", ": ", " ", "|", "/", "[", "]", "1", "0.5", "1e999", "9" * 400, "%", "{", "}", "'", '"', ",", "-", "train", "val",
     "Traceback (most recent call last):", "skip", "it [", "it/s", "\t", "--", "iteration", "number of nan iterations: ", "3", "max_epochs"]
)  # fmt: skip


@given(st.text())
def test_nothing_raises(text: str) -> None:
    """No text makes a reader of pairs or objects, or a decoder, raise."""
    assert all(pair.name for pair in read_pairs(text))
    assert isinstance(read_object(text), dict | None)
    assert all(event.offset == 7 for event in Decoder().decode(Frame(text, 7)))


@given(st.lists(st.lists(WORDS, max_size=12), max_size=6))
def test_decoder_never_raises(lines: list[list[str]]) -> None:
    """No sequence of lines made of the words of training logs makes the decoder raise."""
    decoder = Decoder()
    for i, words in enumerate(lines):
        events = decoder.decode(Frame("".join(words), i, FrameEnd.REDRAW if i % 2 else FrameEnd.NEWLINE))
        assert all(event.offset <= i for event in events)
