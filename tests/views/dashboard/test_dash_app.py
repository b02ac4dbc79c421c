"""The dashboard as a whole: from the worst run to the line in its log and back, live, at any size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nanwatch.clock import SystemClock
from nanwatch.live import Live
from nanwatch.store import open_store
from nanwatch.views.dashboard.app import Dashboard
from nanwatch.views.dashboard.preferences import Preferences
from nanwatch.views.dashboard.themes import LIGHT
from tests.support.logs import bars, yolo_story
from tests.views.dashboard.making import Driver, dashboard, live_on, play

HOSTILE = (
    b"\x1b]0;owned\x07\x1b[2J\x1b[31mEpoch 1: loss: 0.5 [bold red]markup[/] \xe2\x80\xae\xe2\x80\x8f"
    b"\xe4\xbd\xa0\xe5\xa5\xbd e\xcc\x81\xcc\x81\xcc\x81 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d\n"
)


def healthy(folder: Path, name: str = "well.log") -> Path:
    """Write a log of a run without trouble."""
    path = folder / name
    path.write_bytes(bars(1, *["0.5"] * 20) + b"\n" + bars(2, *["0.4"] * 20))
    return path


def ill(folder: Path, name: str = "ill.log") -> Path:
    """Write the log of a run with a burst of NaN."""
    path = folder / name
    path.write_bytes(yolo_story(60)[0])
    return path


def grow(path: Path, *losses: str, epoch: int = 3) -> None:
    """Let a log grow by an epoch."""
    with path.open("ab") as file:
        file.write(b"\n" + bars(epoch, *losses))


def test_the_bad_run_stands_first_and_leads_to_its_line(tmp_path: Path) -> None:
    """From the list into the run, to its alerts, to the frame of the log that was NaN, and back, key by key."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            rows = [line for line in seen.text.splitlines() if "running" in line or "stalled" in line]
            assert rows[0].startswith("X ill")
            await seen.press("enter")
            await seen.see("[1 Overview]", "NaN since batch 18 of epoch 4")
            await seen.press("4")
            await seen.see("[4 Alerts", "FIRING")
            await seen.press("e", "enter")
            await seen.see("[5 Log]", "nan")
            await seen.press("escape")
            await seen.see("[4 Alerts", "FIRING")
            await seen.press("escape", "escape")
            await seen.see("2 runs")
            assert seen.app.main.opened is None

    play(scenario)


def test_tabs_and_runs_are_turned_like_pages(tmp_path: Path) -> None:
    """Digits and brackets change the tab, J and K the run without leaving the tab; Tab goes in and q comes back."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("3")
            await seen.see("[3 Epochs]", "X ill")
            await seen.press("right_square_bracket")
            await seen.see("[4 Alerts")
            await seen.press("left_square_bracket", "left_square_bracket")
            await seen.see("[2 Curves]")
            await seen.press("J")
            await seen.see("[2 Curves]", "well")
            await seen.press("K")
            await seen.see("[2 Curves]", "X ill")
            await seen.press("q")
            await seen.see("2 runs")
            await seen.press("tab")
            await seen.see("[2 Curves]")

    play(scenario)


def test_a_run_turns_critical_under_the_user_s_eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of NaN is seen in the list, counted in the head and told in a note; the cursor stays on its run."""
    monkeypatch.setattr("nanwatch.following._SETTLED_S", 0.0)
    first, second = healthy(tmp_path, "a.log"), healthy(tmp_path, "b.log")
    rung: list[bool] = []

    async def scenario() -> None:
        preferences = Preferences(None)
        preferences.keep("app", {"bell": True})
        async with dashboard(tmp_path, preferences=preferences) as seen:
            monkeypatch.setattr(seen.app, "bell", lambda: rung.append(True))
            seen.app.main.runs.select(first)
            grow(second, "0.4", "nan", "nan", "nan", "nan")
            await seen.see("X 1 critical", "nan_burst")
            assert seen.app.main.runs.selected == first
            assert rung == [True]

    play(scenario)


def test_a_new_log_appears_by_itself(tmp_path: Path) -> None:
    """Where no log is yet, that is said, with what is waited for; one that comes is there at once."""

    async def without_logs() -> None:
        app = Dashboard(lambda _: live_on(tmp_path, None), SystemClock(), Preferences(None))
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.see("Nothing to watch yet", "*.log")
            healthy(tmp_path, "new.log")
            await seen.see("1 run", "new")
            await seen.press("enter")
            await seen.see("[1 Overview]")

    play(without_logs)


def test_what_is_acknowledged_and_silenced_reaches_the_store(tmp_path: Path) -> None:
    """`a` and `x` hold at once, are told to the daemon's store, and are there after a restart."""
    path = ill(tmp_path)
    state = tmp_path / "state"

    async def first() -> None:
        async with dashboard(tmp_path, state=state) as seen:
            await seen.press("a")
            await seen.see("acknowledged")
            await seen.press("x")
            await seen.see("Silence", "1 hour")
            await seen.press("2")
            await seen.see("silenced for 4 hours", "1 run")  # and the digit opened no tab

    async def again() -> None:
        async with dashboard(tmp_path, state=state) as seen:
            await seen.press("4")
            await seen.see("acknowledged")

    play(first)
    store = open_store(state)
    assert store.requests()
    assert {s.silence.run for s in store.silences()} == {str(path)}
    assert all(s.silence.comment.startswith("until ") for s in store.silences())
    store.database.close()
    play(again)


def test_only_q_leaves(tmp_path: Path) -> None:
    """Esc goes back and never out: in the list it does nothing; q there ends the program."""
    healthy(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("enter")
            await seen.see("[1 Overview]", "q back")
            await seen.press("escape", "escape", "escape")
            await seen.see("1 run", "q quit")
            assert seen.app.return_value is None
            assert seen.app.is_running
            await seen.press("q")
            await seen.until(lambda: seen.app._exit, "the end")

    play(scenario)


def test_the_palette_has_every_command(tmp_path: Path) -> None:
    """Ctrl-P finds a command by its words and runs it."""
    healthy(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("ctrl+p")
            await seen.type("tab: epo")
            await seen.see("Tab: epochs")
            await seen.press("enter")
            await seen.see("[3 Epochs]")

    play(scenario)


def test_the_keys_can_be_searched_and_pressed(tmp_path: Path) -> None:
    """`?` shows every key; typing searches, and Enter presses the one that is found."""
    healthy(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("question_mark")
            await seen.see("everywhere", "no daemon runs")
            await seen.type("freeze")
            await seen.press("enter")
            await seen.see("FROZEN")

    play(scenario)


def test_a_frozen_screen_stands_still(tmp_path: Path) -> None:
    """While the screen is frozen, data goes on: it is counted, and shown when the screen goes on."""
    path = healthy(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("p")
            await seen.see("FROZEN")
            grow(path, "0.3", epoch=3)
            await seen.until(lambda: seen.app._while_frozen > 0, "an update")
            assert " 3/" not in seen.text
            await seen.press("p")
            await seen.see(" 3/")
            assert "FROZEN" not in seen.text

    play(scenario)


def test_a_log_can_be_added(tmp_path: Path) -> None:
    """`o` asks for one more log, which is followed with the others."""
    healthy(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    added = healthy(other, "added.txt")

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("o")
            await seen.see("Add a log", "a file, a folder")
            await seen.type(str(added))
            await seen.see("added.txt"[-4:])
            await seen.press("enter")
            await seen.see("2 runs", "added")

    play(scenario)


def test_the_screen_is_saved_as_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`V` writes what is seen to an SVG here."""
    healthy(tmp_path)
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("V")
            await seen.see("saved nanwatch-")

    play(scenario)
    (picture,) = tmp_path.glob("nanwatch-*.svg")
    assert "well" in picture.read_text(encoding="utf-8")


def test_a_summary_is_copied(tmp_path: Path) -> None:
    """`y` puts the summary of the run on the clipboard."""
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("y")
            await seen.see("copied")
            assert "NaN since batch 18 of epoch 4" in seen.app.clipboard

    play(scenario)


def test_what_was_chosen_is_remembered(tmp_path: Path) -> None:
    """The theme and what is hidden are there the next time; the order begins with the worst again."""
    healthy(tmp_path)
    file = tmp_path / "state" / "dashboard.json"

    async def choose() -> None:
        async with dashboard(tmp_path, preferences=Preferences(file), theme=None) as seen:
            seen.app.theme = LIGHT
            await seen.press("s", "H")
            await seen.until(lambda: file.exists() and "runs" in json.loads(file.read_text()), "the file")

    async def again() -> None:
        async with dashboard(tmp_path, preferences=Preferences(file), theme=None) as seen:
            assert seen.app.theme == LIGHT
            assert seen.app.main.runs.settings["hide_finished"] is True
            assert seen.app.main.runs.settings["sort"] == "worst"

    play(choose)
    play(again)


@pytest.mark.parametrize("size", [(200, 60), (130, 36)])
def test_where_there_is_room_both_are_seen(tmp_path: Path, size: tuple[int, int]) -> None:
    """On a large screen the cursor's run stands below the list; Enter goes into it, `z` gives it all the room."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path, size) as seen:
            await seen.see("2 runs", "[1 Overview]", "run 1/2", "[1 Overview]")
            await seen.press("j")
            await seen.see("2 runs", "[1 Overview]", "◂ · well")
            await seen.press("enter", "2")
            await seen.see("2 runs", "[2 Curves]")
            await seen.press("Z")
            await seen.miss("2 runs")
            await seen.press("Z")
            await seen.see("2 runs", "[2 Curves]")
            await seen.press("escape", "right_curly_bracket", "left_curly_bracket")
            assert not seen.app.main.is_in_run

    play(scenario)


def test_every_size_shows_something(tmp_path: Path) -> None:
    """Whatever the terminal's size becomes, in the list or in any tab, something of use stands there."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            for keys in ((), ("1",), ("2",), ("3",), ("4",), ("5",)):
                await seen.press(*keys)
                for width, height in ((200, 60), (40, 10), (20, 5), (10, 2), (300, 12), (80, 24)):
                    await seen.pilot.resize_terminal(width, height)
                    await seen.pilot.pause()
                    assert seen.text.strip()

    play(scenario)


def test_hostile_logs_leave_the_screen_intact(tmp_path: Path) -> None:
    """Escapes, markup, bidi, towers of marks, wide characters and long lines change nothing but their own text."""
    path = tmp_path / "e\x1b[2Jvil [red]x.log"
    path.write_bytes(HOSTILE + b"loss: " + b"9" * 1_200_000 + b"\n" + HOSTILE.replace(b"1:", b"2:"))

    async def scenario() -> None:
        for is_ascii in (False, True):
            async with dashboard(tmp_path, is_ascii=is_ascii) as seen:
                for key in ("", "1", "2", "3", "4", "5"):
                    await seen.press(*([key] if key else []))
                    await seen.pilot.pause(0.1)
                    shown = seen.text
                    assert all(line.isprintable() for line in shown.splitlines())
                    assert "\u202e" not in shown
                assert "owned" not in seen.app.title

    play(scenario)


def test_a_log_that_is_gone_keeps_its_values(tmp_path: Path) -> None:
    """A deleted log stays in the list with its last values, and says that it is missing."""
    path = healthy(tmp_path)
    healthy(tmp_path, "other.log")

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            path.unlink()
            await seen.see("missing")
            seen.app.main.runs.select(path)
            await seen.press("1")
            await seen.until(lambda: "missing" in seen.text or "gone" in seen.text, "what is wrong")

    play(scenario)


def test_a_defect_ends_it_with_its_reason() -> None:
    """What breaks the following ends the dashboard, which knows why."""

    def broken(hand_over: object) -> object:  # noqa: ARG001 - the signature
        raise ZeroDivisionError("a defect")

    async def scenario() -> None:
        app = Dashboard(lambda _: Live(broken), SystemClock(), Preferences(None))  # type: ignore[arg-type]
        async with app.run_test(size=(80, 24)) as pilot:
            seen = Driver(app, pilot)
            await seen.until(lambda: app.failure is not None, "the failure")
        assert isinstance(app.failure, ZeroDivisionError)
        assert app.return_code == 1

    play(scenario)


def test_runs_are_compared(tmp_path: Path) -> None:
    """Marked runs are drawn over one another with `c`; with fewer than two, it says what to do."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            await seen.press("c")
            await seen.see("mark two runs")
            await seen.press("g", "space", "j", "space", "c")
            await seen.until(lambda: seen.app.screen is not seen.app.main, "the comparison")
            await seen.see("ill", "well")
            await seen.press("escape")
            await seen.until(lambda: seen.app.screen is seen.app.main, "the list")

    play(scenario)


def test_the_mouse_opens_a_run_and_a_tab(tmp_path: Path) -> None:
    """A click points at a run, a second one opens it; a click on a tab's name shows that tab."""
    healthy(tmp_path)
    ill(tmp_path)

    async def scenario() -> None:
        async with dashboard(tmp_path) as seen:
            row = next(n for n, line in enumerate(seen.text.splitlines()) if " well " in line)
            await seen.pilot.click(offset=(5, row))
            await seen.until(lambda: (seen.app.main.runs.selected or Path()).name == "well.log", "the run")
            await seen.pilot.click(offset=(5, row))
            await seen.see("[1 Overview]")
            await seen.pilot.click(offset=(seen.text.splitlines()[1].index("3 Epochs") + 2, 1))
            await seen.see("[3 Epochs]")

    play(scenario)
