"""The list of runs as people use it: keys, mouse, sizes, and runs that change under the cursor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from rich.color import ColorType
from textual import events
from textual.app import ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import AckWanted, BackWanted, CopyWanted, RunOpened, SilenceWanted
from nanwatch.views.dashboard.runs.panel import RunsPanel
from nanwatch.views.dashboard.themes import ANSI, DARK, ThemedApp
from tests.views.dashboard.test_dash_runs_columns import (
    FOLDER,
    HOSTILE,
    NOW,
    alert,
    failed,
    scene,
    sick,
    snapshot,
    stalled,
    view,
)

Kind = TypeVar("Kind", bound=Message)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class ListApp(ThemedApp):
    """Nothing but the list; keeps what it is told."""

    def __init__(self, is_ascii: bool = False, has_strip: bool = True, has_own_colors: bool = True) -> None:
        super().__init__(theme=DARK if has_own_colors else None)
        self.panel = RunsPanel(is_ascii=is_ascii, has_strip=has_strip)
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    def on_run_opened(self, event: RunOpened) -> None:
        self.told.append(event)

    def on_ack_wanted(self, event: AckWanted) -> None:
        self.told.append(event)

    def on_silence_wanted(self, event: SilenceWanted) -> None:
        self.told.append(event)

    def on_copy_wanted(self, event: CopyWanted) -> None:
        self.told.append(event)

    def on_back_wanted(self, event: BackWanted) -> None:
        self.told.append(event)

    def on_runs_panel_highlighted(self, event: RunsPanel.Highlighted) -> None:
        self.told.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.told if isinstance(event, kind)]


Act = Callable[[ListApp, Pilot[None]], Awaitable[None]]


def use(act: Act, snapshots: Mapping[Path, Snapshot], size: tuple[int, int] = (80, 23), **options: bool) -> None:
    """Run an app that shows *snapshots*, and do something with it."""

    async def main() -> None:
        app = ListApp(**options)
        async with app.run_test(size=size) as pilot:
            app.panel.show_runs(snapshots, NOW)
            await pilot.pause()
            await act(app, pilot)

    asyncio.run(main())


def three() -> dict[Path, Snapshot]:
    """Return three healthy runs."""
    return {item.path: item for item in (snapshot(name, view()) for name in ("a", "b", "c"))}


def path(name: str) -> Path:
    """Return the log of this name."""
    return FOLDER / f"{name}.log"


def rows(app: ListApp, part: str = "#runs-list") -> list[str]:
    """Return the lines of a part of the list."""
    lines = app.query_one(part, LinesView).lines
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def screen(app: ListApp) -> list[str]:
    """Return what stands on the whole screen."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


# -- keys


def test_the_cursor_begins_at_the_worst() -> None:
    """The first line is the worst run, and the keys go to the list."""

    async def act(app: ListApp, _: Pilot[None]) -> None:
        assert app.panel.selected == path("unet-iou-v3")
        assert app.focused is app.query_one("#runs-list")
        assert [event.path for event in app.of(RunsPanel.Highlighted)] == [path("unet-iou-v3")]

    use(act, scene())


def test_moving_tells_of_the_run() -> None:
    """Each move of the cursor is told, and the strip below follows it."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "down", "k", "G")
        assert app.panel.selected == path("c")
        assert [e.path for e in app.of(RunsPanel.Highlighted)] == [path(n) for n in ("a", "b", "c", "b", "c")]
        assert rows(app, "#runs-strip")[0].startswith("─ c ──")
        await pilot.press("g", "n", "n", "N")
        assert app.panel.selected == path("b")

    use(act, three())


def test_keys_in_one_packet_mean_the_run_at_the_cursor() -> None:
    """A key that follows a move at once acts on the row that the cursor has reached, not on the one before."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "space")
        assert app.panel.marked == [path("y")]

    use(act, {item.path: item for item in (snapshot("x", sick()), snapshot("y", stalled()))})


@pytest.mark.parametrize("key", ["space", "a", "x", "2", "y", "A", "enter"])
def test_keys_that_wait_together_mean_the_run_at_the_cursor(key: str) -> None:
    """Posted before the move was handled, every action acts on the run below, and `selected` is that run."""
    worse, other = snapshot("x", sick()), snapshot("y", stalled())
    quiet = snapshot("z", view("running", alert("slow", "warning", "slow", "acknowledged")))

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        moves = 2 if key == "A" else 1
        for name in (*["j"] * moves, key):
            app.post_message(events.Key(name, " " if name == "space" else None if name == "enter" else name))
        await pilot.pause()
        expected = path("z" if key == "A" else "y")
        assert app.panel.selected == expected
        assert app.query_one("#runs-list", LinesView).cursor == moves
        paths = [e.path for e in app.of(AckWanted)] + [e.path for e in app.of(SilenceWanted)]
        paths += [e.path for e in app.of(RunOpened)]
        assert app.panel.marked + paths == ([] if key == "y" else [expected])
        assert all("stalled" in event.text for event in app.of(CopyWanted))

    use(act, {item.path: item for item in (worse, other, quiet)})


def test_the_run_is_another_one_at_once() -> None:
    """`selected` follows the cursor before any message is handled, and no late message turns it back."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        lines = app.query_one("#runs-list", LinesView)
        lines.action_move(1)
        assert app.panel.selected == path("b")
        app.panel.select(path("a"))
        await pilot.pause()
        assert (app.panel.selected, lines.cursor) == (path("a"), 0)

    use(act, three())


def test_the_strip_takes_rows_that_the_list_does_not_need() -> None:
    """Below a short list every alert is seen; a healthy run takes one line, and the cursor stays in sight."""
    many_alerts = view("running", *(alert(f"rule{n}", "warning", f"trouble {n}") for n in range(9)))
    runs = {item.path: item for item in (snapshot("x", many_alerts), *(snapshot(f"y{n}", view()) for n in range(5)))}

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        assert app.query_one("#runs-strip").size.height == 11
        assert sum("trouble" in line for line in screen(app)) == 9
        await pilot.press("j")
        await pilot.pause()
        assert app.query_one("#runs-strip").size.height == 1

    use(act, runs)


def test_the_cursor_stays_in_sight_when_the_strip_grows() -> None:
    """The last row of a long list is seen, also if its run has more to tell than the one before."""
    runs = many() | {path("zz"): snapshot("zz", view("running", alert("slow", "warning", "slow", "silenced")))}

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        app.panel.order.sort_by("run")
        app.panel.show_runs(runs, NOW)
        app.panel.select(path("run199"))
        await pilot.pause()
        await pilot.press("j")
        await pilot.pause()
        assert app.panel.selected == path("zz")
        assert any(line.startswith("z zz ") for line in screen(app))

    use(act, runs)


@pytest.mark.parametrize("is_colourless", [False, True])
def test_sixteen_colours_and_none_are_enough(monkeypatch: pytest.MonkeyPatch, is_colourless: bool) -> None:
    """With the terminal's own colours, or without any, letters and words tell everything and the cursor is seen."""
    if is_colourless:
        monkeypatch.setenv("NO_COLOR", "1")

    async def main() -> None:
        app = ListApp(has_own_colors=False)
        if not is_colourless:
            app.theme = ANSI
        async with app.run_test(size=(80, 23)) as pilot:
            app.panel.show_runs(scene(), NOW)
            await pilot.press("j")
            await pilot.pause()
            assert app.theme == ANSI
            segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
            colors = [c for s in segments if s.style is not None for c in (s.style.color, s.style.bgcolor) if c]
            assert all(color.number is None or color.number < 16 for color in colors)
            assert not any(color.type is ColorType.TRUECOLOR for color in colors)
            reversed_texts = "".join(s.text for s in segments if s.style is not None and s.style.reverse)
            assert "seg-hrnet-aug2" in reversed_texts
            shown = "\n".join(screen(app))
            assert all(word in shown for word in ("X unet-iou-v3", "! seg-hrnet-aug2", "‖stalled", "✗failed", "×××"))

    asyncio.run(main())


def test_enter_and_digits_open_the_run() -> None:
    """Enter opens the run, 1 to 5 open a tab of it."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "enter", "1", "2", "3", "4", "5")
        assert {event.path for event in app.of(RunOpened)} == {path("b")}
        tabs = [event.tab for event in app.of(RunOpened)]
        assert tabs == [None, "overview", "curves", "epochs", "alerts", "log"]

    use(act, three())


def test_e_and_w_go_to_trouble() -> None:
    """`e` goes to the next run with a critical alert, `w` to one with a warning, round the end; capitals go back."""
    runs = three() | {item.path: item for item in (snapshot("x", sick()), snapshot("y", stalled()))}

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        found = []
        for key in ("G", "e", "w", "w", "W", "E"):
            await pilot.press(key)
            found.append(app.panel.selected)
        assert found == [path(name) for name in ("c", "x", "y", "x", "y", "x")]

    use(act, runs)


def test_switches_hide_runs_and_the_header_says_so() -> None:
    """`!` leaves only problems, `H` hides the finished ones, and the header counts what is hidden."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("!")
        assert [row[0] for row in rows(app)] == ["X", "!", "?", "?"]
        assert "6 hidden" in rows(app, "#runs-header")[0]
        assert app.panel.settings["only_problems"]
        await pilot.press("!", "H")
        assert "1 hidden" in rows(app, "#runs-header")[0]
        assert not any("finished" in row for row in rows(app))

    use(act, scene(), size=(120, 39))


def test_marked_runs_are_those_that_are_meant() -> None:
    """`space` marks; acknowledging and silencing then mean the marked runs, else the cursor's."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        assert [(e.path, len(e.alerts)) for e in app.of(SilenceWanted)] == [(path("x"), 2)]
        await pilot.press("j", "space", "k", "space", "a")
        assert app.panel.marked == [path("y"), path("x")]
        assert rows(app)[0].startswith("X*x")
        assert [(e.path, e.undo) for e in app.of(AckWanted)] == [(path("y"), False), (path("x"), False)]
        await pilot.press("space")
        assert app.panel.marked == [path("y")]

    use(act, {item.path: item for item in (snapshot("x", sick()), snapshot("y", stalled()))})


def test_an_acknowledgement_can_be_taken_back() -> None:
    """`A` names the acknowledged alerts; where there are none, that is said."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("A", "a")
        (told,) = app.of(AckWanted)
        assert (told.undo, told.alerts[0].rule) == (True, "crash")

    use(act, {path("a"): snapshot("a", failed("acknowledged"))})


def test_y_copies_the_summary() -> None:
    """`y` hands out the summary of the run, as plain text."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        (told,) = app.of(CopyWanted)
        assert "73 NaN" in told.text
        assert "\x1b" not in told.text

    use(act, scene())


def test_sorting_goes_through_the_columns() -> None:
    """`s` sorts by the next column that is seen, `S` the other way round, and the header says by what."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert app.panel.settings["sort"] == "run"
        names = [row[2:].split()[0] for row in rows(app)]
        assert names == sorted(names)
        await pilot.press("S")
        assert [row[2:].split()[0] for row in rows(app)] == names[::-1]
        seen = []
        for _ in range(12):
            await pilot.press("s")
            seen.append(app.panel.settings["sort"])
        assert {"status", "epoch", "loss", "nan", "vram", "updated", "worst"} <= set(seen)
        assert "trend" not in seen

    use(act, scene(), size=(120, 39))


def test_settings_are_restored() -> None:
    """The application may remember the order and the switches."""

    async def act(app: ListApp, _: Pilot[None]) -> None:
        app.panel.restore({"sort": "run", "reverse": True, "hide_finished": True, "only_problems": False})
        assert [row[2] for row in rows(app)] == ["c", "b", "a"]
        assert app.panel.settings["hide_finished"]

    use(act, three())


# -- filter


def test_a_filter_is_typed_kept_and_cleared() -> None:
    """`/` asks, the list follows while it is typed, Enter keeps it, Escape clears it, and then goes back."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"nan>0")
        await pilot.pause()
        assert [row[2:].split()[0] for row in rows(app)] == ["unet-iou-v3"]
        await pilot.press("enter")
        assert app.focused is app.query_one("#runs-list")
        assert "/nan>0" in rows(app, "#runs-header")[0]
        await pilot.press("escape")
        assert len(rows(app)) == len(scene())
        assert not app.of(BackWanted)
        await pilot.press("escape")
        assert len(app.of(BackWanted)) == 1

    use(act, scene())


def test_a_wrong_filter_is_explained() -> None:
    """What is wrong stands above the filter, which then hides nothing and cannot be kept; Escape clears it."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"nan>x")
        await pilot.pause()
        assert "nan> needs a number, not 'x'" in rows(app, "#filter-wrong")[0]
        assert any("needs a number" in line for line in screen(app))
        assert len(rows(app)) == 3
        await pilot.press("enter")
        assert app.query_one("FilterBar").display
        await pilot.press("escape")
        await pilot.pause()
        assert not app.query_one("FilterBar").display
        assert app.panel.order.filter == ""

    use(act, three())


def test_keys_typed_into_the_filter_do_nothing_else() -> None:
    """Letters that are keys of the list are only letters in the filter."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"e!sxHa1")
        await pilot.pause()
        assert app.panel.order.filter == "e!sxHa1"
        assert not app.of(RunOpened) + app.of(SilenceWanted)
        assert rows(app)[1].strip().startswith("None of 3 runs matches the filter.")
        assert app.panel.selected is None
        await pilot.press("escape")
        await pilot.pause()
        assert app.panel.selected == path("a")

    use(act, three())


# -- mouse


def test_a_click_selects_and_a_second_one_opens() -> None:
    """A click puts the cursor on a run, another one opens it."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.click("#runs-list", offset=(5, 3))
        assert app.panel.selected == path("c")
        assert not app.of(RunOpened)
        await pilot.click("#runs-list", offset=(5, 3))
        await pilot.pause()
        assert app.of(RunOpened)[0].path == path("c")

    use(act, three())


def test_a_click_on_a_head_sorts() -> None:
    """A click on the head of a column sorts by it, a second one the other way round."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        head = screen(app)[1].index("NaN")
        await pilot.click("#runs-list", offset=(head, 0))
        assert app.panel.settings["sort"] == "nan"
        await pilot.click("#runs-list", offset=(head, 0))
        await pilot.pause()
        assert app.panel.settings["reverse"]

    use(act, scene())


# -- live


def test_a_run_turns_critical_while_the_cursor_is_elsewhere() -> None:
    """Its letter and the counts change at once, its place after five seconds; the cursor stays on its run."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        worse = three() | {path("c"): snapshot("c", sick())}
        app.panel.show_runs(worse, NOW + 1)
        await pilot.pause()
        assert [row[:3] for row in rows(app)] == ["· a", "· b", "X c"]
        assert "X 1 critical" in rows(app, "#runs-header")[0]
        app.panel.show_runs(worse, NOW + 6)
        await pilot.pause()
        assert [row[:3] for row in rows(app)] == ["X c", "· a", "· b"]
        assert app.panel.selected == path("b")
        assert app.query_one("#runs-list", LinesView).cursor == 2

    use(act, three())


def test_the_cursor_stays_at_the_worst_until_it_is_moved() -> None:
    """Before anybody chose a run the cursor is at the top, whatever comes there when the logs are read."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        assert app.panel.selected == path("a")
        app.panel.show_runs(three() | {path("c"): snapshot("c", sick())}, NOW + 6)
        await pilot.pause()
        assert app.panel.selected == path("c")
        assert app.query_one("#runs-list", LinesView).cursor == 0

    use(act, three())


def test_runs_that_are_known_before_the_first_picture_are_on_it() -> None:
    """What is shown before the widget has a size stands there as soon as it has one, to the last row."""

    async def main() -> None:
        app = ListApp()
        app.panel.show_runs(many(), NOW)
        async with app.run_test(size=(80, 23)) as pilot:
            await pilot.pause()
            assert "run015" in screen(app)[17]
            assert screen(app)[1].startswith("H RUN")

    asyncio.run(main())


def test_a_new_log_appears_by_itself() -> None:
    """An empty list says what it waits for; the first log takes its place and the cursor."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        app.panel.show_runs({}, NOW, ["logs/*.log"])
        await pilot.pause()
        assert any("Nothing to watch yet." in line for line in screen(app))
        assert any("logs/*.log" in line for line in screen(app))
        await pilot.press("j", "enter", "space", "a", "y", "1", "e")
        app.panel.show_runs(three(), NOW + 1)
        await pilot.pause()
        assert app.panel.selected == path("a")
        assert not app.of(RunOpened)

    use(act, {})


def test_the_run_at_the_cursor_goes_away() -> None:
    """When the cursor's log is gone, the cursor is on the run in its place; its mark goes with it."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "space")
        rest = {key: value for key, value in three().items() if key != path("b")}
        app.panel.show_runs(rest, NOW + 1)
        assert app.panel.selected == path("c")
        assert app.panel.marked == []

    use(act, three())


def many() -> dict[Path, Snapshot]:
    """Return two hundred runs."""
    return {item.path: item for item in (snapshot(f"run{n:03}", view()) for n in range(200))}


def test_only_what_is_seen_is_formatted() -> None:
    """Of 200 runs only the visible ones are formatted; the others when they come into view."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        assert sum(bool(row) for row in rows(app)) < 50
        await pilot.press("G")
        await pilot.pause()
        assert "run199" in rows(app)[-1]
        assert any("run199" in line for line in screen(app))
        assert app.panel.selected == path("run199")
        assert app.panel.next_run(1) is None
        assert app.panel.next_run(-1) == path("run198")

    use(act, many(), size=(120, 39))


def test_lines_that_did_not_change_are_not_made_again() -> None:
    """An update of one run makes one line anew."""

    async def act(app: ListApp, _: Pilot[None]) -> None:
        before = list(app.query_one("#runs-list", LinesView).lines)
        runs = many()
        app.panel.show_runs(runs, NOW)
        before = list(app.query_one("#runs-list", LinesView).lines)
        app.panel.show_runs(runs | {path("run003"): snapshot("run003", view(batch=13))}, NOW)
        after = app.query_one("#runs-list", LinesView).lines
        assert [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old is not new] == [3]

    use(act, many(), size=(120, 39))


# -- sizes, signs, hostility


@pytest.mark.parametrize("size", [(80, 23), (200, 59), (59, 10), (30, 6), (20, 3), (5, 1), (130, 16)])
def test_the_list_lives_at_every_size(size: tuple[int, int]) -> None:
    """At every size there is something to see, and growing again brings everything back."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(*size)
        await pilot.pause()
        await pilot.press("j", "k")
        assert any("X" in line for line in screen(app))
        assert app.query_one("#runs-header").display == (size[1] >= 11 or (size[0] < 40 and size[1] < 8))
        assert app.query_one("#runs-strip").display == (size[1] >= 19)
        await pilot.resize_terminal(120, 39)
        await pilot.pause()
        assert "BATCH" in screen(app)[1]

    use(act, scene(), size=(100, 30))


def test_the_strip_can_be_left_out() -> None:
    """Where the run stands beside the list, the strip is not needed."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        assert not app.query_one("#runs-strip").display
        app.panel.has_strip = True
        await pilot.pause()
        assert app.query_one("#runs-strip").display

    use(act, scene(), size=(120, 39), has_strip=False)


def test_an_ascii_terminal_gets_ascii() -> None:
    """With `is_ascii` nothing else reaches the screen."""

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "space")
        assert all(line.isascii() for line in screen(app)[:-1])

    use(act, scene(), size=(200, 59), is_ascii=True)


def test_hostile_names_and_messages_reach_no_terminal() -> None:
    """Escapes do not reach the screen, markup stays text, and every line is as wide as the screen."""
    runs = {}
    for number, text in enumerate(HOSTILE):
        found = view("running", alert("nan_burst", "critical", text or "-"))
        item = replace(snapshot(f"{number}{text}"[:200], found), problem=text or None)
        runs[item.path] = item

    async def act(app: ListApp, pilot: Pilot[None]) -> None:
        for _ in range(len(HOSTILE)):
            await pilot.press("j")
            assert all(line.replace("\n", "").isprintable() for line in screen(app))
        assert any("[red]" in line for line in screen(app))

    use(act, runs, size=(120, 39))
