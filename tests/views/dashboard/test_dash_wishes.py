"""The dashboard under less common conditions: names with markup, several faces, keys at odd moments."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from textual.color import Color

from nanwatch.clock import SystemClock
from nanwatch.config import Config
from nanwatch.tailcommand import _live
from nanwatch.views.dashboard.alerts import AlertsPanel
from nanwatch.views.dashboard.app import Dashboard
from nanwatch.views.dashboard.main_screen import EVERYWHERE
from nanwatch.views.dashboard.preferences import Preferences
from tests.support.logs import bars, yolo_story
from tests.views.dashboard.making import Driver, dashboard, play


def ill(folder: Path, name: str = "ill.log") -> Path:
    """Write the log of a run with a burst of NaN."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(yolo_story(30)[0])
    return path


def test_a_digit_in_a_dialog_stays_in_it(tmp_path: Path) -> None:
    """A digit that picks how long a silence holds does not open a tab of the run as well."""
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path, state=tmp_path / "state") as seen:
            await seen.press("x")
            await seen.see("1 hour")
            await seen.press("1")
            await seen.see("silenced")
            assert seen.app.main.opened is None

    play(scenario)


def test_names_of_runs_are_no_markup_in_the_palette(tmp_path: Path) -> None:
    """A run is called in the palette what its log is called, brackets and all."""
    ill(tmp_path, "a[red].log")
    ill(tmp_path, "b.log")

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("ctrl+p")
            await seen.type("open run")
            await seen.see("Open run a[red]")

    play(scenario)


def test_a_name_like_a_closing_tag_does_not_end_the_program(tmp_path: Path) -> None:
    """The palette opens where a folder and a log are called `a[` and `]b.log`."""
    paths = [ill(tmp_path, "a[/]b.log"), ill(tmp_path, "c/d.log")]

    async def scenario() -> None:
        patterns = tuple(glob_safe(path) for path in paths)
        app = Dashboard(
            lambda _: _live(list(patterns), Config(), is_polled=False, pipe=None), SystemClock(), Preferences(None)
        )
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.until(lambda: len(app.main.runs.names) == 2, "both runs")
            await seen.press("ctrl+p")
            await seen.type("open run")
            await seen.see("Open run a[/]b")

    play(scenario)


def glob_safe(path: Path) -> str:
    """Return a pattern for *path*'s folder, whatever its signs mean to a glob."""
    return str(path.parent).replace("[", "?") + "/*.log"


def test_a_home_that_is_not_known_is_told(tmp_path: Path) -> None:
    """A log of `~nosuchuser` cannot be added; the dashboard goes on."""
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("o")
            await seen.see("Add a log")
            await seen.type("~nosuchuser/x.log")
            await seen.press("enter")
            await seen.miss("Add a log")
            assert seen.app.is_running

    play(scenario)


def test_a_log_is_added_by_its_full_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is added by a relative path bears the path by which the daemon knows it."""
    ill(tmp_path)
    other = ill(tmp_path, "sub/other.log")
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        app = Dashboard(
            lambda added: _live([str(tmp_path / "*.log"), *added], Config(), is_polled=False, pipe=None),
            SystemClock(), Preferences(None),
        )  # fmt: skip
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.until(lambda: app.main.run_pane is not None, "the first values")
            await seen.press("o")
            await seen.see("Add a log")
            await seen.type("sub/other.log")
            await seen.press("enter")
            await seen.until(lambda: len(app._snapshots) == 2, "the log that was added")
            assert other in app._snapshots

    play(scenario)


def test_what_a_pipe_has_told_outlasts_a_log_that_is_added(tmp_path: Path) -> None:
    """What was read from a pipe, which cannot be read again, is still there after `o`."""
    monkey = ill(tmp_path)
    reading, writing = os.pipe()
    os.write(writing, bars(1, *["0.5"] * 5) + b"\n" + bars(2, *["0.5"] * 5))

    async def scenario() -> None:
        app = Dashboard(
            lambda added: _live(["-", *added], Config(), is_polled=False, pipe=reading), SystemClock(),
            Preferences(None),
        )  # fmt: skip
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.until(lambda: app.main.run_pane is not None, "the first values")
            before = app._live
            await seen.press("o")
            await pilot.pause()
            await seen.type(str(monkey))
            await seen.press("enter")
            await pilot.pause(1.0)
            view = app._snapshots[Path("-")].view
            assert view is not None
            assert list(view.run.table) == [1, 2], f"followed anew: {app._live is not before}"

    try:
        play(scenario)
    finally:
        os.close(writing)
        os.close(reading)


def test_a_pipe_that_is_not_understood_is_not_empty() -> None:
    """A pipe that has told something without a format is called so in the list, not `empty`."""
    reading, writing = os.pipe()
    os.write(writing, b"hello there\n" * 50)

    async def scenario() -> None:
        app = Dashboard(
            lambda _: _live(["-"], Config(), is_polled=False, pipe=reading), SystemClock(), Preferences(None)
        )
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.until(lambda: app.main.run_pane is not None, "the first values")
            await seen.miss("being opened")
            assert "empty" not in seen.text

    try:
        play(scenario)
    finally:
        os.close(writing)
        os.close(reading)


def test_every_key_that_is_named_can_be_clicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the bottom line or of the help, when it is clicked, is one that something is bound to."""
    path = ill(tmp_path)
    pressed: list[str] = []
    missed: list[str] = []

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            app = seen.app
            monkeypatch.setattr(app, "simulate_key", pressed.append)
            pane = app.main.run_pane
            assert pane is not None
            for tab, keys in [*pane.all_keys(), ("overview", EVERYWHERE)]:
                app.main.open_run(path, tab)
                await seen.pilot.pause()
                bound = {key for _, bindings in app.screen._binding_chain for key in bindings.key_to_bindings}
                for key in keys:
                    if key.key == "wheel":
                        continue  # the mouse's
                    app._press(key.key)
                    if pressed[-1] not in bound and pressed[-1].upper() not in bound:
                        missed.append(f"{tab}: {key.key}")
            assert missed == []

    play(scenario)


def test_only_what_fires_is_acknowledged(tmp_path: Path) -> None:
    """`a` on an alert that has ended acknowledges nothing, and does not say that it did."""
    path = tmp_path / "x.log"
    path.write_bytes(bars(1, "0.5", "nan", "nan", "nan", "nan") + b"\n" + bars(1, *["0.5"] * 20, epochs=5))
    with path.open("ab") as file:
        file.write(b"".join(b"\n" + bars(epoch, *["0.5"] * 20) for epoch in range(2, 6)))

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            view = seen.app._snapshots[path].view
            assert view is not None
            assert any(alert.state == "resolved" for alert in view.alerts)
            await seen.press("4")
            await seen.see("[4 Alerts")
            panel = seen.app.main.query_one(AlertsPanel)
            while panel.alert is not None and panel.alert.state == "firing":
                await seen.press("down")
            await seen.press("a")
            await seen.pilot.pause()
            assert "acknowledged until it ends" not in seen.text

    play(scenario)


def test_settings_that_are_no_settings_are_passed_over(tmp_path: Path) -> None:
    """A file of preferences that holds something else leaves everything as it is at first."""
    ill(tmp_path)
    file = tmp_path / "dashboard.json"
    file.write_text('{"app": {"theme": ["dark"]}, "runs": {"sort": 3}, "run": {"curves": {"mode": []}}}')

    async def scenario() -> None:
        async with dashboard(tmp_path, preferences=Preferences(file), theme=None) as seen:
            await seen.see("1 run")

    play(scenario)


def test_colours_suit_a_light_theme_of_textual(tmp_path: Path) -> None:
    """In a light theme that is not ours, what is a warning can be told from the background."""
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path, theme="textual-light") as seen:
            colors = seen.app.theme_variables
            warning, background = Color.parse(colors["role-warning"]), Color.parse(colors["background"])
            assert background.brightness - warning.brightness > 0.3

    play(scenario)


def test_nothing_is_asked_of_a_log_that_is_still_being_read(tmp_path: Path) -> None:
    """What fires in the log's end alone may bear another id once all is read: asking waits for that, and says so."""
    path = ill(tmp_path, "ill.log")

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            view = seen.app._snapshots[path].view
            assert view is not None
            assert seen.app.asking.may_ask(path, view.alerts)
            seen.app._snapshots[path] = replace(seen.app._snapshots[path], is_history=True)
            assert seen.app.asking.may_ask(path, view.alerts) == []
            await seen.see("still reading the log")

    play(scenario)
