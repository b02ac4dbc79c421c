"""A replay as a person sees it: a line an alert where there is room, two where there is little."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest

from fixtures.stories import write_cod
from nanwatch.model.alert import Alert
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline
from nanwatch.views.page import Page
from nanwatch.views.timeline import Timeline
from nanwatch.views.words import ASCII


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(width: int, data: bytes, now: float | None = None) -> list[str]:
    """Return the time line of a log, on a page of this width; at *now* it has been silent for 22 minutes."""
    timeline = Timeline(Page(width, ASCII), color=False)
    pipeline = LogPipeline("logs/cod.log")
    text = timeline.head(pipeline.runs[0])
    steps = [pipeline.feed(Chunk(0, data)), pipeline.catch_up()]
    if now is not None:
        process = Process(1999742, "python", now - 90_000, 100.0)
        steps.append(pipeline.tick(now, now - 22 * 60, [process], has_looked=True))
    for step in steps:
        for run, notice in step:
            if isinstance(notice, Alert):
                text += timeline.change(run, notice)
    return (text + timeline.tail(pipeline.runs[-1])).splitlines()


@pytest.fixture(scope="module")
def cod() -> bytes:
    """The story of the decline at its full size."""
    out = io.BytesIO()
    write_cod(out)
    return out.getvalue()


STORY = """\
logs/cod.log
epoch 91              !  metric_decline     IoU fell 3 epochs in a row, 0.6413 -> 0.6348 (best 0.6413 at epoch 88);
                                            line 353, byte 4,853,981
epoch 98 batch 152    X  loss_explosion     loss 0.2265 -> 44.45 in batch 152 of epoch 98, 196 times; line 372, byte
                                            5,201,766
epoch 98              X  metric_collapse    IoU collapsed to 0.0022, its best was 0.6413 at epoch 88; line 374, byte
                                            5,227,739
epoch 91              X  metric_decline     now critical: IoU fell 10 epochs in a row, 0.6413 -> 0.0022 (best 0.6413
                                            at epoch 88); inhibited by metric_collapse; line 353, byte 4,853,981
epoch 101 batch 76    X  stall              alive, pid 1999742, 100 % CPU, silent for 22 minutes at 30 % of epoch 101;
                                            2025-11-21 14:02:51; line 381, byte 5,349,693
4 alerts: 4 critical; the log ends at epoch 101/150 batch 76/252 (30 %)
"""


def test_the_story_of_the_decline(cod: bytes) -> None:
    """The whole incident on a wide terminal: where, how bad, which rule, what, where in the log."""
    assert shown(118, cod, now=1_763_733_771.0) == STORY.splitlines()


def test_a_narrow_terminal(cod: bytes) -> None:
    """Where room is short, the words stand below, and no line is longer than the page."""
    lines = shown(60, cod)
    assert max(map(len, lines)) <= 60
    assert lines[1:3] == [
        "epoch 91              !  metric_decline",
        "    IoU fell 3 epochs in a row, 0.6413 -> 0.6348 (best",
    ]


def test_a_log_without_trouble() -> None:
    """Nothing to tell is told in a line."""
    assert shown(80, b"Epoch 1: Loss: 0.5 | IoU: 0.4 | LR: 0.0001\n") == [
        "logs/cod.log",
        "no alert; the log ends at epoch 1",
    ]


def test_hostile_text() -> None:
    """What stands in a log cannot reach the terminal: neither escapes nor newlines."""
    data = b"Epoch 1: Loss: 0.5 | IoU: 0.4\nTraceback (most recent call last):\n  File x\n"
    data += b"ValueError: \x1b]0;x\x07a\x1b[31mb\n"
    text = "\n".join(shown(200, data))
    assert "ValueError: ab" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_what_was_resolved_is_counted() -> None:
    """The last line counts each alert once, and tells how many are over."""
    data = b"".join(b"Epoch %d: Loss: %s | IoU: 0.5\n" % (n, b"nan" if n == 2 else b"0.5") for n in range(1, 5))
    lines = shown(120, data)
    assert lines[-1] == "1 alert: 1 warning; 1 of them over; the log ends at epoch 4"
    assert [line.split()[n] for n, line in zip((4, 2), lines[1:3], strict=True)] == ["!", "ok"]
