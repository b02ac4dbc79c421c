"""Progress bars of tqdm, Ultralytics, Keras and Rich are found in any frame."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.formats.bars import read_bar

TQDM = " 47%|████▋     | 28/60 [00:02<00:07,  5.06it/s"


@pytest.mark.parametrize(
    ("frame", "style", "text", "n", "total", "rate", "postfix"),
    [
        (f"Epoch 9/30:{TQDM}, loss=0.47]", "tqdm", "Epoch 9/30: ", 28, 60, 5.06, "loss=0.47"),
        (f"{TQDM}]", "tqdm", " ", 28, 60, 5.06, ""),
        ("100%|##########| 7/7 [00:01<00:00, 2.00s/it]", "tqdm", "", 7, 7, 0.5, ""),
        ("  0%|          | 0/100 [00:00<?, ?it/s]", "tqdm", "  ", 0, 100, None, ""),
        ("1|10|Loss: 1.2:  54%|█████▍    | 55/101 [15:04<11:17, 14.73s/it]", "tqdm", "1|10|Loss: 1.2:  ", 55, 101, 1 / 14.73, ""),
        ("64:  96%|█████████▌| 48/50 00:02", "tqdm", "64:  ", 48, 50, None, ""),
        ("12it [00:03,  4.00it/s, loss=nan]", "tqdm", "", 12, None, 4.0, "loss=nan"),
        ("64: 8% ╸─────────── 2/25 3.8it/s 0.5s<6.0s", "ultra", "64: ", 2, 25, 3.8, ""),
        ("64: 0% ──────────── 0/25  0.1s", "ultra", "64: ", 0, 25, None, ""),
        (" 7/58 ━━━━━━━━━━ 0s 9ms/step - loss: 1.4", "keras", "", 7, 58, 1 / 0.009, " - loss: 1.4"),
        ("58/58 [==============================] - 1s 20ms/step - loss: 0.3", "keras", "", 58, 58, 50.0, " - loss: 0.3"),
        ("Epoch 5/5  ━━━━━━━━━ 60/60 0:00:01 • 0:00:00 55.1it/s v_num: 0", "rich", "Epoch 5/5  ", 60, 60, 55.1, " v_num: 0"),
    ],
)  # fmt: skip
def test_bar(frame: str, style: str, text: str, n: int, total: int | None, rate: float | None, postfix: str) -> None:
    """Each kind of bar is read: what stands before it, its counter, its rate and what follows."""
    bar = read_bar(frame)
    assert bar is not None
    assert (bar.style, bar.text, bar.n, bar.total) == (style, text, n, total)
    assert bar.rate == (None if rate is None else pytest.approx(rate, rel=1e-3))
    assert bar.postfix.strip() == postfix.strip()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "100% sure",
        "a | b | c",
        "|   car  | 31.1 | 12/40 |",
        "12/30 items",
        "loss 5% | acc 3%",
        "| 3/4 |",
        "58/58 files - done",
        "━━━━━━━━",
    ],
)
def test_no_bar(frame: str) -> None:
    """Percentages, pipes and rules of other text are no bar."""
    assert read_bar(frame) is None


def test_bar_ends_where_another_speaks() -> None:
    """A warning glued to a bar, torn or whole, is not the bar's."""
    for bar_text in (f"{TQDM}]", TQDM):
        frame = bar_text + "WARNING: Non-finite gradient"
        bar = read_bar(frame)
        assert bar is not None
        assert frame[bar.end :] == "WARNING: Non-finite gradient"


@pytest.mark.parametrize("end", range(len(TQDM)))
def test_torn_bar(end: int) -> None:
    """A bar cut anywhere gives the right counter or none."""
    bar = read_bar(TQDM[:end])
    assert bar is None or bar.n == 28


@given(st.text(alphabet="0123456789%|/[]<>:,.=━╸─• itsKMabE-?{}\t é"))
def test_nothing_raises(text: str) -> None:
    """No heap of the characters of bars makes the reader raise, and a bar's end lies within the text."""
    bar = read_bar(text)
    assert bar is None or 0 <= bar.end <= len(text)
