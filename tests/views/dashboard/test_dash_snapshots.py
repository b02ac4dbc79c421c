"""Pictures of the dashboard that were looked at: each shows one thing, on the incident stories, at a fixed moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nanwatch.clock import ManualClock
from nanwatch.config import Config
from nanwatch.detail import detail_for
from nanwatch.following import Following
from nanwatch.live import Live
from nanwatch.model.update import Update
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake
from nanwatch.views.dashboard.app import Dashboard
from nanwatch.views.dashboard.preferences import Preferences
from nanwatch.views.dashboard.themes import ANSI, DARK, LIGHT
from nanwatch.watch import Watch
from tests.support.logs import capture, cod_story, yolo_story
from tests.views.dashboard.making import Driver

NOW = 1_772_863_924.0
SMALL, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
Compare = Callable[..., bool]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The logs of the pictures, by relative names: the two stories, and genuine ones beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    folder = Path("logs")
    folder.mkdir()
    (folder / "yolov8m.log").write_bytes(yolo_story(2000)[0])
    (folder / "cod-camo.log").write_bytes(cod_story(252)[0])
    (folder / "oom.log").write_bytes(capture("ultralytics/v8n_8.3.100_redirect_oom"))
    (folder / "trainer.log").write_bytes(capture("hf_trainer/hf_5.23_redirect"))
    found = sorted(folder.iterdir())
    for age, path in zip((1320, 4000, 7200, 2), found, strict=True):
        os.utime(path, (NOW - age, NOW - age))
    return found


def still(logs: list[Path], theme: str = DARK, is_ascii: bool = False) -> Dashboard:
    """Return a dashboard on *logs* for which no time passes."""
    clock = ManualClock(NOW)

    def begin(hand_over: Callable[[Update], None]) -> Following:
        tailer = Tailer(logs or ["logs/*.log"], ManualWake(), clock=clock)
        watch = Watch(tailer, Config(), clock, find=dict.fromkeys, detail=detail_for(1))
        return Following(watch, Config(), clock, hand_over)

    live = Live(begin)
    return Dashboard(lambda _: live, clock, Preferences(None), theme=theme, is_ascii=is_ascii)


async def settled(seen: Driver) -> None:
    """Wait until nothing on the screen moves any more: what is laid out anew is drawn anew."""
    alike, before = 0, ""
    while alike < 4:
        seen.app.draw()
        await seen.pilot.pause(0.03)
        alike, before = (alike + 1 if seen.text == before else 0), seen.text


def after(*keys: str, sees: str = "", run: str = "") -> Callable[[Pilot[None]], object]:
    """Return what presses *keys* (on the run called *run*) once all was read, and waits until *sees* is seen."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Dashboard)
        seen = Driver(app, pilot)
        await seen.until(lambda: app.is_live and app.main.run_pane is not None and not app._is_due, "the first look")
        await settled(seen)
        if run:
            app.main.runs.select(next(path for path in app.main.runs.names if path.stem == run))
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        if sees:
            await seen.see(sees)
        await settled(seen)

    return before


def test_the_worst_run_stands_first_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """The list: health, status, progress, trend, NaN, VRAM and silence in 80 columns, the reasons below."""
    assert snap_compare(still(logs), terminal_size=SMALL, run_before=after(sees="4 runs"))


def test_the_list_has_more_columns_at_120x40(snap_compare: Compare, logs: list[Path]) -> None:
    """Where there is room, the batch, the metric and the change of VRAM are told too."""
    assert snap_compare(still(logs), terminal_size=USUAL, run_before=after(sees="4 runs"))


def test_the_run_stands_below_the_list_at_200x60(snap_compare: Compare, logs: list[Path]) -> None:
    """On a large screen the list, the overview and the curves of the cursor's run are seen together."""
    assert snap_compare(still(logs), terminal_size=LARGE, run_before=after(run="yolov8m", sees="NaN since batch"))


def test_the_overview_says_what_a_status_page_said_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """The verdict, what fires, progress, NaN, skips, VRAM with its change, losses and the metric with its best."""
    assert snap_compare(still(logs), terminal_size=SMALL, run_before=after("1", run="yolov8m", sees="[1 Overview]"))


def test_nan_has_a_row_of_its_own_below_the_curve_at_120x40(snap_compare: Compare, logs: list[Path]) -> None:
    """The curves of the losses and metrics, with NaN and alerts on the axis."""
    assert snap_compare(still(logs), terminal_size=USUAL, run_before=after("2", run="yolov8m", sees="[2 Curves]"))


def test_the_epochs_tell_better_from_worse_at_120x40(snap_compare: Compare, logs: list[Path]) -> None:
    """A row an epoch, arrows against the epoch before, the best and the worst marked."""
    assert snap_compare(still(logs), terminal_size=USUAL, run_before=after("3", run="cod-camo", sees="[3 Epochs]"))


def test_the_alerts_bear_their_evidence_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """What fires stands first, with rule, place and evidence of the one at the cursor."""
    assert snap_compare(still(logs), terminal_size=SMALL, run_before=after("4", run="yolov8m", sees="[4 Alerts"))


def test_an_alert_leads_to_its_place_in_the_log_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """The line that the alert names, amid those before and after it, with NaN and alerts marked."""
    keys = ("4", "e", "enter")
    assert snap_compare(still(logs), terminal_size=SMALL, run_before=after(*keys, run="yolov8m", sees="[5 Log]"))


def test_two_runs_lie_over_one_another_at_120x40(snap_compare: Compare, logs: list[Path]) -> None:
    """The comparison: one figure's curves, the epochs side by side, and what differs."""
    keys = ("g", "space", "j", "space", "c")
    assert snap_compare(still(logs), terminal_size=USUAL, run_before=after(*keys, sees="epoch"))


def test_ascii_and_sixteen_colours_say_the_same_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """Without Unicode signs, in the terminal's own colours."""
    app = still(logs, theme=ANSI, is_ascii=True)
    assert snap_compare(app, terminal_size=SMALL, run_before=after(sees="4 runs"))


def test_a_light_terminal_is_readable_at_80x24(snap_compare: Compare, logs: list[Path]) -> None:
    """The overview in the light theme."""
    app = still(logs, theme=LIGHT)
    assert snap_compare(app, terminal_size=SMALL, run_before=after("1", run="cod-camo", sees="[1 Overview]"))


def test_it_says_what_it_waits_for_at_80x24(
    snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a log, what is waited for and how logs are named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Dashboard)
        await Driver(app, pilot).see("logs/*.log")

    assert snap_compare(still([]), terminal_size=SMALL, run_before=before)
