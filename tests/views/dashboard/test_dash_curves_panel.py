"""The tab with the curves: what its keys and the mouse do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from textual import events
from textual.app import ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from nanwatch.model.run import Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.curves.grid import choices, lines_of, shape_of, spot_at
from nanwatch.views.dashboard.curves.panel import CurvesPanel
from nanwatch.views.dashboard.curves.view import CurvesView
from nanwatch.views.dashboard.messages import BackWanted, CopyWanted, LogWanted
from nanwatch.views.dashboard.themes import DARK, ThemedApp
from nanwatch.views.words import UNICODE
from tests.views.curves.test_curves_figures import snapshot_by_hand, yolo

STORY = yolo()


class PanelApp(ThemedApp):
    """An application with nothing but the curves."""

    def __init__(self, snapshot: Snapshot, is_ascii: bool) -> None:
        super().__init__(theme=DARK)
        self.snapshot, self.is_ascii = snapshot, is_ascii
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        yield CurvesPanel(is_ascii=self.is_ascii)

    def on_mount(self) -> None:
        self.panel.focus()

    @property
    def panel(self) -> CurvesPanel:
        """The panel."""
        return self.query_one(CurvesPanel)

    def on_log_wanted(self, message: LogWanted) -> None:
        self.told.append(message)

    def on_copy_wanted(self, message: CopyWanted) -> None:
        self.told.append(message)

    def on_back_wanted(self, message: BackWanted) -> None:
        self.told.append(message)

    @property
    def rows(self) -> list[str]:
        """What is seen."""
        return ["".join(span.text for span in line.spans).rstrip() for line in self.panel.lines]


Steps = Callable[[Pilot[None], PanelApp], Awaitable[None]]


def run_panel(
    steps: Steps, size: tuple[int, int] = (80, 20), snapshot: Snapshot = STORY, is_ascii: bool = False
) -> None:
    """Do *steps* with a panel of this size."""

    async def main() -> None:
        app = PanelApp(snapshot, is_ascii)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.panel.show_run(snapshot, 0.0)
            await pilot.pause()
            await steps(pilot, app)

    asyncio.run(main())


def test_one_big_chart_stands_on_a_small_screen_and_keys_change_its_figure() -> None:
    """`j` and `k` go through the figures, `g` and `G` to the first and the last."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        assert app.rows[0].startswith("box_loss")
        assert "73 NaN ×" in app.rows[0]
        assert len(app.rows) == 20
        assert "1 of 10" in app.rows[-1]
        await pilot.press("j")
        assert app.rows[0].startswith("cls_loss")
        await pilot.press("down", "k", "k")
        assert app.rows[0].startswith("box_loss")
        await pilot.press("G")
        assert app.rows[0].startswith("time s")

    run_panel(steps)


def test_the_cursor_tells_the_value_and_opens_the_log_there() -> None:
    """`e` goes to the first NaN; Enter asks for the log at its byte."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("e", "e", "e", "e", "e", "e")
        await pilot.press("E", "E", "E", "E", "E", "E")
        while "b32" not in app.rows[-1]:
            before = app.rows[-1]
            await pilot.press("e")
            assert app.rows[-1] != before
        assert "cursor e4 b32" in app.rows[-1]
        assert "NaN" in app.rows[-1]
        await pilot.press("enter")
        wanted = app.told[-1]
        assert isinstance(wanted, LogWanted)
        row = STORY.view.run.table[4] if STORY.view else None
        assert row is not None
        assert row.nan_offset is not None
        assert abs(wanted.offset - row.nan_offset) < 2000

    run_panel(steps)


def test_the_cursor_moves_by_columns_and_from_point_to_point() -> None:
    """`h` and `l` move a column; where a figure has a point an epoch, they go from epoch to epoch."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("h")
        first = app.panel.view.cursor
        await pilot.press("h", "left", "l")
        assert first is not None
        assert app.panel.view.cursor is not None
        width = (app.panel.view.axis.end - app.panel.view.axis.start) / app.panel.view.columns
        assert abs(first - app.panel.view.cursor - width) < width
        await pilot.press("j", "j", "j", "h", "h")
        assert app.panel.view.cursor == 1.5
        assert "cursor e1  mAP50-95" in app.rows[-1]
        await pilot.press("home")
        assert app.panel.view.cursor == app.panel.view.extent.start

    run_panel(steps)


def test_zoom_is_about_the_cursor_and_escape_undoes_in_steps() -> None:
    """`+` and `-` zoom, `0` shows all; Escape takes back cursor and zoom, and then asks to go back."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("e", "plus", "plus")
        zoom, cursor = app.panel.view.zoom, app.panel.view.cursor
        assert zoom is not None
        assert cursor is not None
        assert zoom.start <= cursor <= zoom.end
        assert "to e" in app.rows[-1]
        await pilot.press("minus", "minus")
        assert app.panel.view.zoom is None
        await pilot.press("plus", "0", "plus", "escape")
        assert app.panel.view.cursor is None
        assert app.panel.view.zoom is not None
        await pilot.press("escape")
        assert app.panel.view.zoom is None
        assert not app.told
        await pilot.press("escape")
        assert isinstance(app.told[-1], BackWanted)

    run_panel(steps)


def test_how_curves_are_drawn_is_said_and_can_be_remembered() -> None:
    """`L`, `~`, `c` and `t` change the drawing, tell so, and are in the settings."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("L", "tilde", "c")
        assert "log" in app.rows[0]
        assert "mean of" in app.rows[0]
        assert "clipped" in app.rows[0]
        await pilot.press("t")
        assert "by epoch" in app.rows[-1]
        kept = app.panel.settings
        assert kept["is_log"] is True
        assert kept["smoothing"] == 1
        assert kept["is_by_epoch"] is True
        app.panel.restore({})
        assert "log" not in app.rows[0].split()
        app.panel.restore(kept)
        assert app.panel.settings == kept
        assert "mean of" in app.rows[0]

    run_panel(steps)


def test_a_large_area_has_a_grid_with_one_cursor() -> None:
    """From about 100 x 30 on there are several charts; the cursor is in all, `z` shows the chosen one alone."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        assert app.rows[0].startswith("›box_loss")
        assert "cls_loss" in app.rows[0]
        await pilot.press("h", "h")
        assert app.rows[0].count("│ ") == 2
        await pilot.press("pagedown")
        assert "›P " in app.rows[0]
        assert "box_loss" not in app.rows[0]
        await pilot.press("z")
        assert app.rows[0].startswith("P ")
        assert "R " not in app.rows[0]

    run_panel(steps, (120, 36))


def test_figures_can_be_hidden_chosen_and_filtered() -> None:
    """Space hides; `v` lists all of them; `/` filters by name while it is typed; `!` leaves those with NaN."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("space")
        assert app.rows[0].startswith("cls_loss")
        assert "1 hidden" in app.rows[-1]
        assert "1 of 9" in app.rows[-1]
        await pilot.press("v", "k")
        assert "› [ ] box_loss" in app.rows[1]
        await pilot.press("space", "enter")
        assert app.rows[0].startswith("box_loss")
        assert "hidden" not in app.rows[-1]
        await pilot.press("slash", "m", "a", "p", "j", "backspace")
        assert app.rows[0].startswith("mAP50")
        assert "/map" in app.rows[-1]
        await pilot.press("enter", "j")
        assert app.rows[0].startswith("mAP50 ")
        assert "2 of 2" in app.rows[-1]
        await pilot.press("escape", "exclamation_mark")
        assert "1 of 3" in app.rows[-1]
        assert "only with NaN" in app.rows[-1]
        await pilot.press("v", "a", "escape")
        assert not app.told

    run_panel(steps)


def test_everything_hidden_says_how_to_get_it_back() -> None:
    """No state is a blank screen."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("v", "a", "v")
        assert "All 10 figures are hidden. v lets you choose." in app.rows[1]
        await pilot.press("v", "a", "v", "slash", "q", "q", "enter")
        assert "No figure's name holds qq" in app.rows[1]
        assert not app.told

    run_panel(steps)


def test_y_copies_the_figure() -> None:
    """The chosen figure goes to the clipboard as a table."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("y")
        wanted = app.told[-1]
        assert isinstance(wanted, CopyWanted)
        assert wanted.text.startswith("# box_loss\nfrom\t")
        assert wanted.what == "box_loss as TSV"

    run_panel(steps)


def test_the_mouse_puts_the_cursor() -> None:
    """A click sets the cursor, one on a sign of NaN opens the log."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.click(CurvesPanel, offset=(40, 6))
        assert app.panel.view.cursor is not None
        assert "cursor e" in app.rows[-1]
        assert not app.told
        row = next(n for n, text in enumerate(app.rows) if text.startswith("NaN│"))
        await pilot.click(CurvesPanel, offset=(app.rows[row].index("×"), row))
        assert isinstance(app.told[-1], LogWanted)

    run_panel(steps)


def wheel(panel: CurvesPanel, kind: type[events.MouseScrollDown] | type[events.MouseScrollUp], x: int, y: int) -> None:
    """Turn the wheel over a cell of *panel*."""
    panel._forward_event(
        kind(panel, x, y, 0, 0, 0, False, False, False, panel.region.x + x, panel.region.y + y)
    )  # fmt: skip


def test_the_wheel_zooms_a_big_chart_about_the_pointer() -> None:
    """What lies below the pointer stays there; the chosen figure does too."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        view = app.panel.view
        before = spot_at(view, 40, 6, *app.panel.size)
        assert before is not None
        assert before.x is not None
        wheel(app.panel, events.MouseScrollUp, 40, 6)
        await pilot.pause()
        assert view.zoom is not None
        after = spot_at(view, 40, 6, *app.panel.size)
        assert after is not None
        assert after.x == pytest.approx(before.x, abs=0.05)
        assert view.cursor is None
        assert app.rows[0].startswith("box_loss")
        wheel(app.panel, events.MouseScrollDown, 40, 6)
        await pilot.pause()
        assert view.zoom is None
        assert view.settings.chosen == ""

    run_panel(steps)


def test_the_wheel_turns_the_pages_of_a_grid() -> None:
    """The charts of the next page are seen; the chosen figure stays, and the next key is about it."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("j")
        wheel(app.panel, events.MouseScrollDown, 40, 6)
        await pilot.pause()
        assert "box_loss" not in app.rows[0]
        assert "another page" in app.rows[-1]
        assert app.panel.view.settings.chosen == "cls_loss"
        for _ in range(9):
            wheel(app.panel, events.MouseScrollDown, 40, 6)
        await pilot.pause()
        assert "time s" in " ".join(app.rows)
        await pilot.press("k")
        assert app.rows[0].startswith("›box_loss")
        wheel(app.panel, events.MouseScrollUp, 40, 6)
        await pilot.pause()
        assert app.rows[0].startswith("›box_loss")

    run_panel(steps, (120, 36))


def test_what_did_not_change_is_not_painted_again() -> None:
    """The same snapshot again leaves every painted line as it is."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        painted = dict(app.panel._strips)
        assert len(painted) == 20
        app.panel.show_run(replace(STORY), 1.0)
        await pilot.pause()
        assert all(app.panel._strips[key] is strip for key, strip in painted.items())

    run_panel(steps)


def test_a_log_without_figures_and_one_being_read_say_so() -> None:
    """Before anything is known, and while the history is read, the panel tells."""

    async def empty(_pilot: Pilot[None], app: PanelApp) -> None:
        assert "No figure yet" in app.rows[1]

    run_panel(empty, snapshot=snapshot_by_hand(Run("r", "log")))

    async def reading(_pilot: Pilot[None], app: PanelApp) -> None:
        assert "history 38 %" in app.rows[0]

    run_panel(reading, snapshot=replace(STORY, is_history=True, size=100, read=38))


def test_ascii_has_no_other_signs() -> None:
    """Where only ASCII can be shown, nothing else is."""

    async def steps(pilot: Pilot[None], app: PanelApp) -> None:
        await pilot.press("h", "h", "c")
        assert all(row.isascii() for row in app.rows)
        await pilot.press("v")
        assert all(row.isascii() for row in app.rows)

    run_panel(steps, is_ascii=True)
    run_panel(steps, (120, 36), is_ascii=True)


def test_any_size_is_filled_exactly() -> None:
    """From one cell to a wall of screens, the lines fill the panel."""
    view = CurvesView()
    view.show(STORY)
    for width, height in [(1, 1), (5, 3), (18, 4), (38, 9), (80, 24), (100, 30), (160, 45), (400, 100)]:
        for lines in (lines_of(view, width, height, UNICODE), choices(view, 2, width, height, UNICODE)):
            assert [line.cells for line in lines] == [width] * height


def test_charts_of_a_grid_are_never_too_small() -> None:
    """Each chart of a grid has at least 38 x 9 cells."""
    for width in range(1, 400, 7):
        for height in range(1, 120, 3):
            shape = shape_of(width, height, 12)
            is_one = shape.charts == 1
            assert is_one or (width // shape.columns >= 38 and height // shape.rows >= 9)
