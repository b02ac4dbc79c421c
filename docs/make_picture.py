"""Draws the README's picture: the summary of the first incident story, as a terminal shows it.

usage: python docs/make_picture.py [--out docs/summary.svg]
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from fixtures.stories import write_yolo
from nanwatch.config import Config
from nanwatch.reading import read_log
from nanwatch.runs.status import status_of
from nanwatch.views.summary import RunView, render_summary

_WIDTH = 92


def main() -> None:
    """Write the SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=Path(__file__).with_name("summary.svg"), type=Path)
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        log = Path("logs/yolov8m.log")
        log.parent.mkdir()
        with log.open("wb") as file:
            write_yolo(file)
        now = time.mktime((2026, 3, 7, 6, 12, 4, 0, 0, -1))
        os.utime(log, (now - 2, now - 2))
        reading = read_log(log, Config(), None, now)
    run = reading.runs[-1]
    view = RunView(run, reading.alerts_of(run), status_of(run, reading.alerts_of(run)), reading.silence)
    text = render_summary([view], [], now=now, width=_WIDTH, height=None, color=True)
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    out.write_text(console.export_svg(title="watch -n 30 ./monitor_training.sh"), encoding="utf-8")


if __name__ == "__main__":
    main()
