"""Hostile lines stay fast: no pattern of any format, and no reader, grows faster than the line."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import time

import pytest

from nanwatch.formats import decode, generic, prefix
from nanwatch.formats.bars import read_bar
from nanwatch.formats.decode import Decoder, declarations
from nanwatch.formats.pairs import read_object, read_pairs
from nanwatch.model.frame import Frame

FULL = 64 * 1024
UNITS = [
    " ", "1", "a", "a=1,", "a ", "a-a-", "[", "]", "|", "%", "1%", "1% |", "|1", "| 1/", "1/1 ", "━", "━ ", "1it [", "[ ", "{", "{'a':", "(", ":",
    "epoch", "epoch ", "Epoch 1 ", "step ", "loss ", "loss=nan ", "nan", "nan ", "val", "val ", "[val ", "Config(", "train [", "skip ", "skip nan ",
    "non-finite ", "overflow ", "RuntimeError: ", "out of memory ", "ConvergenceWarning: ", "/sklearn/", "step step: ", "--- ", "-", "| a | 1 |", "'", "\t",
    "Traceback (most", "NCCL error ", "DataLoader worker ", "slurmstepd: error: *** ", "checkpoint ", "1.", "1e", "1,", "1_", ".", "é", "🚀", "Epoch GPU_mem ",
    "all 1 ", "1/1 1G ", "Class Images ", "it/s, ", "00:", "Iteration 1, loss = ", "] ", "INFO ", "OOM when allocating tensor", "training ", "saved ",
]  # fmt: skip
HEADS = [
    "",
    "Epoch 1/2: ",
    "1/10 ",
    "  0%|",
    "Epoch 1: 10%|█  | 1/10 [00:01<",
    "[",
    "{'loss': ",
    "2024-01-01 10:00:00 ",
    "loss: ",
    "all 1 ",
    "1/2 4G 0.1 ",
    "it [",
    "Epoch GPU_mem ",
]
ANYWHERE = [" ", "1", "a=1,", "a ", "[", "|", "%", "nan ", "skip nan "]
LINES = [(head, unit) for head in HEADS for unit in (UNITS if head in ("", "Epoch 1/2: ") else ANYWHERE)]


def line(head: str, unit: str, size: int) -> str:
    """Return a line of *size* characters that ends in something unexpected."""
    return (head + unit * (size // len(unit) + 1))[: size - 1] + "\x7f"


def seconds(text: str) -> float:
    """Return the least processor time of three that reading *text* takes, or the first where it is quick."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        read_everything(text)
        best = min(best, time.process_time() - begun)
        if best < 0.15:
            break
    return best


def read_everything(text: str) -> None:
    """Give a line to every reader and to every format."""
    read_bar(text)
    read_pairs(text)
    read_object(text)
    prefix.split_prefix(text)
    for name in [*declarations(), generic.Generic.name]:
        reader = decode.make_reader(name)
        reader.claims(text)
        reader.read(text, read_bar(text), 0)
    Decoder().decode(Frame(text, 0))


@pytest.mark.parametrize("head", HEADS)
def test_time_grows_with_the_line(head: str) -> None:
    """A line that is eight times as long takes nowhere near 64 times as long, whatever it repeats."""
    for unit in [u for h, u in LINES if h == head]:
        whole = seconds(line(head, unit, FULL))
        if whole > 0.15:
            assert whole < 32 * seconds(line(head, unit, FULL // 8)), (head, unit)
