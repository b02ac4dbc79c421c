"""Which batch a bar's frame speaks of."""

from __future__ import annotations

import pytest

from nanwatch.formats.bars import Bar
from nanwatch.formats.counter import BatchCounter
from nanwatch.model.frame import Passed


def bar(n: int, total: int | None = 5) -> Bar:
    """Return a tqdm bar that shows *n* of *total*."""
    return Bar("tqdm", "", n, total, None, None, None, "", 0, True)


@pytest.mark.parametrize(
    ("frames", "batches"),
    [
        # a description is set after each batch, the counter follows: each batch may be drawn once or twice
        ([(0, False), (0, True), (1, True), (1, True), (2, True), (2, True)], [0, 1, 1, 2, 2, 3]),
        # drawn with the old counter only
        ([(0, True), (1, True), (1, True), (2, True), (2, True), (3, True)], [1, 1, 2, 2, 3, 3]),
        # the last batch is drawn again when the bar is closed
        ([(0, True), (4, True), (4, True), (5, True), (5, True)], [1, 4, 5, 5, 5]),
        # updated by hand: nothing is shown at 0, the counter is right
        ([(0, False), (1, True), (2, True), (2, True)], [0, 1, 2, 2]),
    ],
)
def test_batches(frames: list[tuple[int, bool]], batches: list[int]) -> None:
    """Frames with values, drawn with the counter before or with their own, give the batches that they show."""
    counter = BatchCounter()
    assert [counter.number(bar(n), "1", values) for n, values in frames] == batches


def test_exact_counts_as_printed() -> None:
    """A trainer that is known to draw the right counter is believed."""
    counter = BatchCounter(exact=True)
    assert [counter.number(bar(n), "1", True) for n in (0, 1, 1, 2)] == [0, 1, 1, 2]


def test_new_key_begins_anew() -> None:
    """Another epoch's bar does not go on where the last one stopped."""
    counter = BatchCounter(exact=False)
    for n in (0, 1, 2, 3, 4, 5):
        counter.number(bar(n), "1", True)
    assert counter.number(bar(0), "2", False) == 0
    assert counter.number(bar(0), "2", True) == 1


def test_total_is_the_limit() -> None:
    """No batch beyond the total is told, however often the last frame is drawn; without a total there is no limit."""
    counter = BatchCounter(exact=False)
    assert max(counter.number(bar(5), "1", True) for _ in range(9)) == 5
    counter.forget()
    assert max(counter.number(bar(5, None), "1", True) for _ in range(9)) > 5


def test_passed_frames_count() -> None:
    """Frames that nobody read are counted when the next one is: here two batches shown at counter 3."""
    counter = BatchCounter(exact=False)
    counter.number(bar(1), "1", True)
    frames = b"\r| 2/5 [x\r| 3/5 [x\r| 3/5 [x"
    counter.passed = Passed(frames, 0, len(frames), 0)
    assert counter.number(bar(3), "1", True) == 5
    assert counter.passed is None
