"""Draws the README's pictures: the summary and the dashboard on the incident stories, as a terminal shows them.

usage: python docs/make_picture.py [--out docs]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text
from textual.pilot import Pilot

from fixtures.stories import write_cod, write_yolo
from nanwatch.clock import ManualClock
from nanwatch.config import Config
from nanwatch.detail import detail_for
from nanwatch.following import Following
from nanwatch.live import Live
from nanwatch.model.update import Update
from nanwatch.reading import read_log
from nanwatch.runs.status import status_of
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake
from nanwatch.views.dashboard.app import Dashboard
from nanwatch.views.dashboard.preferences import Preferences
from nanwatch.views.dashboard.themes import DARK
from nanwatch.views.summary import RunView, render_summary
from nanwatch.watch import Watch

_WIDTH = 92
_SCREEN = (132, 36)
_NOW = time.mktime((2026, 3, 7, 6, 12, 4, 0, 0, -1))
_CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"
_OTHERS = {"vit-s-seed2": "hf_trainer/hf_5.23_redirect", "unet-base": "custom_cod/"}
"""Genuine logs that stand beside the stories, so that the list is one."""


def main() -> None:
    """Write the SVGs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=Path(__file__).parent, type=Path)
    out: Path = parser.parse_args().out.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        logs = _write_logs()
        (out / "summary.svg").write_text(_summary(logs[0]), encoding="utf-8")
        (out / "dashboard.svg").write_text(asyncio.run(_dashboard(logs)), encoding="utf-8")


def _write_logs() -> list[Path]:
    """Write the logs of the picture; the first one is that of the NaN burst. Each grew a moment ago."""
    folder = Path("logs")
    folder.mkdir()
    logs = [folder / "yolov8m.log", folder / "cod-camo.log"]
    for log, write in zip(logs, (write_yolo, write_cod), strict=True):
        with log.open("wb") as file:
            write(file)
    for name, capture in _OTHERS.items():
        found = sorted(_CAPTURES.glob(f"{capture}*.log"))
        if found:
            log = folder / f"{name}.log"
            log.write_bytes(found[0].read_bytes())
            logs.append(log)
    for age, log in zip((2, 1320, 5, 3600), logs, strict=False):
        os.utime(log, (_NOW - age, _NOW - age))
    return logs


def _summary(log: Path) -> str:
    """Return the one-shot summary of *log* as SVG."""
    reading = read_log(log, Config(), None, _NOW)
    run = reading.runs[-1]
    view = RunView(run, reading.alerts_of(run), status_of(run, reading.alerts_of(run)), reading.silence)
    text = render_summary([view], [], now=_NOW, width=_WIDTH, height=None, color=True)
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    return console.export_svg(title="watch -n 30 ./monitor_training.sh")


async def _dashboard(logs: list[Path]) -> str:
    """Return the dashboard on *logs* as SVG, with the first one beside the list."""
    clock = ManualClock(_NOW)

    def begin(hand_over: Callable[[Update], None]) -> Following:
        tailer = Tailer([log.absolute() for log in logs], ManualWake(), clock=clock)
        watch = Watch(tailer, Config(), clock, find=dict.fromkeys, detail=detail_for(len(logs)))
        return Following(watch, Config(), clock, hand_over)

    live = Live(begin)
    app = Dashboard(lambda _: live, clock, Preferences(None), theme=DARK)
    async with app.run_test(size=_SCREEN) as pilot:
        await _until_shown(app, pilot)
        app.main.runs.select(logs[0].absolute())
        app.draw()
        await pilot.pause(0.3)
        return app.export_screenshot(title="nanwatch tail 'logs/*.log'")


async def _until_shown(app: Dashboard, pilot: Pilot[None]) -> None:
    """Wait until all was read and is shown."""
    while not (app.is_live and app.main.run_pane is not None):
        await pilot.pause(0.05)
    for _ in range(3):
        app.draw()
        await pilot.pause(0.1)


if __name__ == "__main__":
    main()
