"""The screen on which runs are compared: its keys, and what it shows at each size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from textual.pilot import Pilot

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.compare.screen import CompareScreen
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.themes import DARK, ThemedApp
from tests.views.compare.test_compare_tables import A, B
from tests.views.curves.test_curves_figures import yolo

STORY = yolo(200)
RUNS: list[tuple[str, Snapshot]] = [("first", STORY), ("second", replace(STORY, curves={}))]
Steps = Callable[[Pilot[None], CompareScreen], Awaitable[None]]


def rows_of(screen: CompareScreen, name: str) -> list[str]:
    """Return what one part of the screen shows."""
    lines = screen.query_one(f"#compare-{name}", LinesView).lines
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def run_screen(steps: Steps, size: tuple[int, int] = (80, 24), runs: list[tuple[str, Snapshot]] = RUNS) -> None:
    """Do *steps* on the screen."""

    async def main() -> None:
        app = ThemedApp(theme=DARK)
        async with app.run_test(size=size) as pilot:
            screen = CompareScreen(runs)
            await app.push_screen(screen)
            await pilot.pause()
            await pilot.pause()
            await steps(pilot, screen)

    asyncio.run(main())


def test_a_small_screen_has_the_chart_above_and_scrolls_the_tables() -> None:
    """At 80 x 24 there are chart, epochs and, below them, what differs."""

    async def steps(pilot: Pilot[None], screen: CompareScreen) -> None:
        chart, below = rows_of(screen, "chart"), rows_of(screen, "epochs")
        assert chart[0].startswith("box_loss")
        assert "A first" in chart[1]
        assert "44 NaN ×" in chart[1]
        assert below[0].split()[0] == "4"
        assert any(row.startswith(" status") for row in below)
        assert not screen.query_one("#compare-differences").display
        view = screen.query_one("#compare-epochs", LinesView)
        await pilot.press("pagedown")
        assert view.scroll_offset.y > 0

    run_screen(steps)


def test_a_wide_screen_has_the_tables_beside_one_another() -> None:
    """At 200 x 60 what differs has a place of its own."""

    async def steps(pilot: Pilot[None], screen: CompareScreen) -> None:
        await pilot.pause()
        assert screen.query_one("#compare-differences").display
        assert rows_of(screen, "differences")[1].startswith(" status")
        assert not any(row.startswith(" status") for row in rows_of(screen, "epochs"))

    run_screen(steps, (200, 60))


def test_keys_change_figure_axis_and_drawing() -> None:
    """`j`, `L`, `t`, `+` and the cursor work as on one run's curves; `z` leaves the chart alone."""

    async def steps(pilot: Pilot[None], screen: CompareScreen) -> None:
        await pilot.press("j", "L")
        assert rows_of(screen, "chart")[0].startswith("cls_loss")
        assert "log" in rows_of(screen, "chart")[0]
        await pilot.press("h", "h", "plus")
        assert "cursor e" in rows_of(screen, "chart")[0]
        assert screen.view.zoom is not None
        await pilot.press("t", "0")
        assert screen.view.zoom is None
        assert "by epoch" in rows_of(screen, "chart")[0]
        await pilot.press("z")
        await pilot.pause()
        assert len(rows_of(screen, "chart")) == 23

    run_screen(steps)


def test_new_snapshots_change_only_what_they_change() -> None:
    """The chosen figure stays when the runs go on."""

    async def steps(pilot: Pilot[None], screen: CompareScreen) -> None:
        await pilot.press("j")
        screen.update([A, B])
        assert screen.view.chosen is not None
        assert rows_of(screen, "chart")[1].startswith("A first")
        screen.update(RUNS)
        assert rows_of(screen, "chart")[0].startswith("cls_loss")

    run_screen(steps)


def test_escape_takes_back_the_cursor_and_then_leaves() -> None:
    """Escape undoes in steps; the last one closes the screen."""

    async def steps(pilot: Pilot[None], screen: CompareScreen) -> None:
        await pilot.press("h", "escape")
        assert screen.is_current
        assert screen.view.cursor is None
        await pilot.press("escape")
        await pilot.pause()
        assert not screen.is_current

    run_screen(steps)
