"""Explaining a log: which pattern knew which frames, and what nobody knew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nanwatch.explaining import Explanation, explain_log
from nanwatch.views.explanation import explanation_json, explanation_lines
from tests.support.logs import capture, frames_of, yolo_story


def explain(folder: Path, data: bytes) -> Explanation:
    """Return the explanation of *data* as a log."""
    path = folder / "x.log"
    path.write_bytes(data)
    return explain_log(path)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("ultralytics/v8n_8.3.100_redirect_gradguard", "ultralytics"),
        ("yolov5/yolov5_redirect", "yolov5"),
        ("lightning/pl_2.6_redirect_tqdm_nan", "lightning"),
        ("keras/keras_3.15_pty_nan", "keras"),
        ("custom_cod/cod_redirect_decline_explode", "generic"),
    ],
)
def test_every_frame_is_accounted_for(tmp_path: Path, name: str, format_: str) -> None:
    """Each frame of a log is either recognised by one pattern or not, and most of a training log is."""
    found = explain(tmp_path, capture(name))
    assert found.format == format_
    assert found.frames == len(frames_of(capture(name)))
    assert sum(item.frames for item in found.matched.values()) == found.frames - found.unmatched
    assert found.unmatched < found.frames / 2
    assert sum(item.frames for item in found.unknown.values()) <= found.unmatched


def test_samples_stand_where_they_say(tmp_path: Path) -> None:
    """The sample of a pattern is the first frame that it knew, at its place in the log."""
    data = yolo_story(40)[0]
    found = explain(tmp_path, data)
    frames = {frame.offset: frame.text for frame in frames_of(data)}
    for item in [*found.matched.values(), *found.unknown.values()]:
        assert frames[item.offset].startswith(item.sample)


def test_what_nobody_knows_is_counted_by_shape(tmp_path: Path) -> None:
    """Lines that differ in their numbers only are one entry."""
    log = "".join(f"worker {n} says hello {n * n}\n" for n in range(500)).encode()
    found = explain(tmp_path, log)
    assert [(item.frames, item.sample) for item in found.unknown.values()] == [(500, "worker 0 says hello 0")]
    assert (found.frames, found.unmatched) == (500, 500)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """However many kinds of lines nobody knows, a few samples are kept, each cut short."""
    log = "".join(f"{chr(97 + n % 26) * (n % 400 + 1)} {chr(97 + n // 26 % 26)}x\n" for n in range(2000)).encode()
    found = explain(tmp_path, log)
    assert found.unmatched > 1000
    assert len(found.unknown) <= 20
    assert max(len(item.sample) for item in found.unknown.values()) <= 160


def test_over_long_frames_are_told(tmp_path: Path) -> None:
    """Frames that were cut off are counted."""
    found = explain(tmp_path, b"x" * 200_000 + b"\nshort\n")
    assert (found.frames, found.truncated) == (2, 1)
    assert any("too long" in line for line in explanation_lines(found, 80))


def test_nothing_at_all(tmp_path: Path) -> None:
    """A log of blank lines has no frames."""
    found = explain(tmp_path, b"\n\n")
    assert (found.frames, found.unmatched, found.matched) == (0, 0, {})
    assert explanation_json(found)["frames"] == 0
    assert list(explanation_lines(found, 80))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_fit(tmp_path: Path, width: int) -> None:
    """No line is wider than asked for, and each recognised pattern has one."""
    found = explain(tmp_path, capture("ultralytics/v8n_8.3.100_redirect_gradguard"))
    text = list(explanation_lines(found, width))
    assert max(map(len, text)) <= width
    assert sum(re.match(r" *[\d,]+  ", line) is not None for line in text) >= len(found.matched)


def test_json_tells_the_same(tmp_path: Path) -> None:
    """The JSON holds every pattern with its events, its first place and its sample."""
    found = explain(tmp_path, yolo_story(40)[0])
    told = explanation_json(found)
    assert told["format"] == "ultralytics"
    assert {item["pattern"] for item in told["recognised"]} == set(found.matched)
    assert sum(item["frames"] for item in told["recognised"]) == found.frames - found.unmatched
    bar = next(item for item in told["recognised"] if "BatchDone" in item["events"])
    assert set(bar) == {"pattern", "events", "frames", "first_offset", "sample"}
