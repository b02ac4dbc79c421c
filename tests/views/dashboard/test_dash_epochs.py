"""The epochs of a run: what became better and worse, every key, every size, and hostile names."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from nanwatch.model.run import Epoch, Evaluation, Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.dashboard.epochs import EpochsPanel
from nanwatch.views.dashboard.epochs_columns import Column, Place, cells_of, table_of
from nanwatch.views.dashboard.epochs_table import Wish, as_tsv, epochs_shown
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import CopyWanted, LogWanted
from nanwatch.views.dashboard.panel import glyphs_of
from tests.views.dashboard.test_dash_overview import (
    CAPTURES,
    HOSTILE,
    LOGS,
    NOW,
    SIZES,
    PanelApp,
    alert,
    capture,
    cod,
    hand_made,
    screen,
    snapshot,
    texts,
    using,
    yolo,
)


def table(view: RunView, width: int = 80, **wish: Any) -> list[str]:
    """Return the table, its head first, without the legend."""
    shown = epochs_shown(view, Wish(**wish), width)
    return texts([*shown.head, *shown.lines])


def long_run(epochs: int = 40) -> RunView:
    """Return a run of many epochs, with NaN in the 5th and the 30th, and an alert that names the 12th."""
    rows = {
        n: Epoch(n, batch=10, batches=10, losses={"loss": 1 / n}, offset=n * 100, done=True,
                 nan_batches=3 if n in (5, 30) else 0, nan_offset=n * 100 + 7 if n in (5, 30) else None)
        for n in range(1, epochs + 1)
    }  # fmt: skip
    run = Run("x", "x.log", epoch=epochs, epochs=100, table=rows, first_epoch=1, batch=10, batches=10)
    return RunView(run, [alert(epoch=12, rule="stall", batch=None)], "running", 1.0)


# -- what it says


def test_arrows_mean_better_and_worse() -> None:
    """A row each, the newest first: arrows for better and worse, best and worst marked; a loss in progress has none."""
    assert table(hand_made()) == [
        " ep   NaN   VRAM      loss       IoU        lr  time",
        "  3▸    0   4.20=   0.6500    0.6000▾   0.0333    3m",
        "  2     0   4.20=  *0.7000▴  *0.6400▴     0.05    2m",
        "  1     0   4.20   #0.9000   #0.5000       0.1    1m",
    ]


def test_baseline_takes_the_place_of_the_epoch_before() -> None:
    """With a baseline every arrow compares with it, and the legend says so."""
    shown = epochs_shown(hand_made(), Wish(baseline=1), 80)
    assert texts(shown.lines) == [
        "  3▸    0   4.20=   0.6500    0.6000▴   0.0333    3m",
        "  2     0   4.20=  *0.7000▴  *0.6400▴     0.05    2m",
        "  1b    0   4.20   #0.9000   #0.5000       0.1    1m",
    ]
    assert "worse than baseline epoch 1," in texts(shown.told)[-1]


def test_unusual_changes_have_two_arrows() -> None:
    """An arrow is doubled from three times the usual change on: the median of all of them."""
    values = [1.0, 1.1, 1.2, 1.3, 1.5, 1.5, 1.45]
    places = [Place(n, n) for n in range(len(values))]
    cells = cells_of(Column("IoU", [*values], 1), places, {}, None, glyphs_of(is_ascii=True))
    assert [cell.arrows for cell in cells] == ["", "^", "^", "^", "^", "=", "v"]
    cells = cells_of(Column("loss", [*values, 3.0], -1), [*places, Place(9, 9)], {}, None, glyphs_of(is_ascii=True))
    assert [cell.arrows for cell in cells] == ["", "v", "v", "v", "v", "=", "^", "vv"]


def test_values_that_are_not_finite_compare() -> None:
    """NaN is worse than any number, and a number better than NaN; NaN after NaN says nothing."""
    values = [1.0, math.nan, math.nan, 1.0, math.inf, math.inf, None, 2.0]
    places = [Place(n, n) for n in range(len(values))]
    cells = cells_of(Column("loss", values, -1), places, {}, None, glyphs_of(is_ascii=True))
    assert [cell.arrows for cell in cells] == ["", "vv", "", "^^", "vv", "=", "", "^^"]
    assert [cell.text for cell in cells] == ["1.000", "nan", "nan", "1.000", "inf", "inf", "-", "2.000"]


def test_yolo_story_marks_what_alerts_name() -> None:
    """The NaN incident: the letter of each alert stands at the figure that it speaks of."""
    assert table(yolo())[:3] == [
        " ep   NaN  skips   VRAM   box_loss  cls_loss  dfl_loss  mAP50-95        P",
        "  4▸  X73    X72  !4.71▾    1.598     1.035     1.064         -         -",
        "  3     0      0   4.20=   *1.617▴   *1.057▴   *1.070▴  *0.2620▴  *0.3870▴",
    ]


def test_cod_story_shows_decline_and_collapse() -> None:
    """The collapse: an unusual change for the worse in both columns, named by alerts."""
    lines = table(cod(), is_newest_first=False, is_problems=True)
    assert lines == [
        "   ep   NaN     loss        IoU           lr  time",
        "   91     0   0.2228▴   X0.6348▾    0.000137    7s",
        "   98     0   X15.30▾▾  X0.0022▾▾    0.00011    7s",
        " X101▸    0    17.22          -            -    3s",
    ]


def test_run_without_epochs_has_steps() -> None:
    """Where there are no epochs, the rows are the validations."""
    lines = table(capture("nanogpt/nanogpt_tee_nan.log"))
    assert lines == [" step   val_loss", "  200      nan▾▾", "  100   *2.351▴", "    0   #3.699"]


def test_run_without_anything_says_so() -> None:
    """Before the first epoch the table says that there is none."""
    assert table(RunView(Run("x", "x.log"), [], "running", None)) == [" no epoch so far"]


def test_primary_metric_comes_first() -> None:
    """Of the metrics, the primary one stands first after the losses."""
    rows = {1: Epoch(1, losses={"loss": 1.0}, metrics={"P": 0.1, "R": 0.2, "mAP": 0.3})}
    view = hand_made(table=rows, epoch=1, primary_metric="mAP", evaluations=[Evaluation(1, 0.3, 0)])
    assert [column.name for column in table_of(view)[1]] == ["NaN", "loss", "mAP", "P", "R"]


def test_columns_that_do_not_fit_are_reached() -> None:
    """Figures are never cut: what does not fit is left out, and comes with `>`; the last column ends the way."""
    assert table(hand_made(), 30)[1] == "  3▸    0   4.20=   0.6500"
    assert table(hand_made(), 30, first=2)[1] == "  3▸   0.6500    0.6000▾"
    assert table(hand_made(), 30, first=99)[0] == " ep       IoU        lr  time"
    told = " ".join(" ".join(texts(epochs_shown(hand_made(), Wish(), 30).told)).split())
    assert "columns 1-3 of 6, more with >" in told


def test_time_of_a_short_epoch_is_told_as_in_the_overview() -> None:
    """Where an epoch took a second or more, a shorter one took `0s`; where none did, there is no column of times."""
    table = {n: Epoch(n, done=True, seconds=seconds) for n, seconds in ((1, 0.4), (2, 62.0), (3, None))}
    for known, told in ((table, ["0s", "1m", "-"]), ({1: table[1]}, None)):
        _, columns, _ = table_of(hand_made(table=known))
        found = next((column for column in columns if column.name == "time"), None)
        assert (None if found is None else [found.word(value) for value in found.values]) == told


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_every_capture_fits_its_screen(log: Path) -> None:
    """Whatever the log and the width, no line is longer than the screen, and each is printable."""
    view = capture(str(log.relative_to(CAPTURES)))
    for width in (1, 12, 40, 80, 200):
        for first in (0, 3):
            shown = epochs_shown(view, Wish(first), width)
            for line in texts([*shown.head, *shown.lines, *shown.told]):
                assert cell_len(line) <= width
                assert line.isprintable()


def test_hostile_names_stay_text() -> None:
    """Escapes, markup, wide and bidirectional text in names stand there inert, and move no column."""
    rows = {n: Epoch(n, losses={HOSTILE: 1.0 / n}, metrics={"指标" * 9: 0.5, "[red]x": n / 10}) for n in (1, 2, 3)}
    shown = epochs_shown(hand_made(table=rows, losses={}), Wish(), 90, is_ascii=True)
    lines = texts([*shown.head, *shown.lines])
    assert all(line.isprintable() and "\u202e" not in line for line in lines)
    assert len({sum(cell_len(span.text) for span in line.spans) for line in shown.lines}) == 1
    assert "\t" not in as_tsv(hand_made(table=rows), shown.places).splitlines()[0].replace("\t", "", 8)


def test_hundreds_of_epochs_are_cut_to_what_is_seen() -> None:
    """A long run is a line an epoch, and its troubles are known."""
    shown = epochs_shown(long_run(900), Wish(), 80)
    assert len(shown.lines) == 900
    assert [shown.places[n].number for n in shown.troubled] == [30, 12, 5]


def test_tsv_has_every_column_and_digit() -> None:
    """What is copied are the rows that are shown, with all columns and all digits."""
    view = hand_made()
    assert as_tsv(view, epochs_shown(view, Wish(), 20).places).splitlines() == [
        "epoch\tNaN\tVRAM\tloss\tIoU\tlr\ttime",
        "3\t0\t4.2\t0.65\t0.6\t0.03333333333333333\t180.0",
        "2\t0\t4.2\t0.7\t0.64\t0.05\t120.0",
        "1\t0\t4.2\t0.9\t0.5\t0.1\t60.0",
    ]


# -- the panel


def numbers(app: PanelApp) -> list[str]:
    """Return the first word of each line of the table that is seen."""
    return [line.split()[0] for line in screen(app)[1:-2] if line.strip()]


def at(app: PanelApp) -> str:
    """Return the epoch at the cursor."""
    view = app.query_one("#epochs-table", LinesView)
    return texts(view.lines)[view.cursor].split()[0]


def test_enter_shows_nan_or_the_start() -> None:
    """Enter asks for the epoch's first NaN in the log, else for its beginning."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "e", "enter")
        assert [wish.offset for wish in app.wishes if isinstance(wish, LogWanted)] == [4000, 3007]

    using(EpochsPanel(), snapshot(long_run()), use, (80, 24))


def test_e_goes_from_trouble_to_trouble() -> None:
    """`e` and `E` go to the next and the previous epoch with NaN or an alert, and stay at the last."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        found = []
        for key in "eeeeE":
            await pilot.press(key)
            found.append(at(app))
        assert found == ["30", "!12", "5", "5", "!12"]

    using(EpochsPanel(), snapshot(long_run()), use, (80, 24))


def test_only_problems_and_order() -> None:
    """`!` leaves epochs with NaN or an alert, `s` turns the order; both are remembered."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("!")
        assert numbers(app)[:3] == ["30", "!12", "5"]
        await pilot.press("s")
        await pilot.pause()
        assert numbers(app)[:3] == ["5", "!12", "30"]
        assert isinstance(app.panel, EpochsPanel)
        assert app.panel.settings == {"newest_first": False, "problems": True}
        app.panel.restore({"newest_first": "nonsense"})
        assert app.panel.settings == {"newest_first": True, "problems": False}

    using(EpochsPanel(), snapshot(long_run()), use, (80, 24))


def test_baseline_is_marked_and_taken_back() -> None:
    """`b` compares with the epoch at the cursor, `b` on it once more with the one before."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("G", "b")
        await pilot.pause()
        assert screen(app)[3].split()[0] == "1b"
        assert "baseline epoch 1" in screen(app)[-1]
        await pilot.press("b")
        await pilot.pause()
        assert "the epoch before" in screen(app)[-1]

    using(EpochsPanel(), snapshot(hand_made()), use, (80, 24))


def test_columns_scroll_while_the_epoch_stays() -> None:
    """`>` and `<` move the columns, as far as there are some."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        heads = []
        for key in (">", ">", ">", ">", "<", "<", "<", "<", "<"):
            await pilot.press(key)
            await pilot.pause()
            heads.append(" ".join(screen(app)[0].split()[:2]))
        assert heads == ["ep VRAM", "ep loss", "ep IoU", "ep IoU", "ep loss", "ep VRAM", "ep NaN", "ep NaN", "ep NaN"]

    using(EpochsPanel(), snapshot(hand_made()), use, (31, 24))


def test_cursor_stays_on_its_epoch() -> None:
    """When another epoch begins, the cursor stays where it was put; until then it is on the newest."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        app.panel.show_run(snapshot(long_run(41)), NOW)  # type: ignore[attr-defined]
        assert at(app) == "41"
        await pilot.press("j")
        app.panel.show_run(snapshot(long_run(42)), NOW)  # type: ignore[attr-defined]
        assert at(app) == "40"

    using(EpochsPanel(), snapshot(long_run(40)), use, (80, 24))


def test_it_copies_a_table() -> None:
    """`y` copies what is shown as a spreadsheet takes it."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("!", "y")
        (wish,) = app.wishes
        assert isinstance(wish, CopyWanted)
        assert [line.split("\t")[0] for line in wish.text.splitlines()] == ["epoch", "30", "12", "5"]

    using(EpochsPanel(), snapshot(long_run()), use, (80, 24))


def test_mouse_points_opens_and_sorts() -> None:
    """A click points, a second one opens; a click on the head's numbers turns the order, on its end moves on."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.click("#epochs-table", offset=(10, 3))
        assert at(app) == "38"
        await pilot.click("#epochs-table", offset=(10, 3))
        assert [wish.offset for wish in app.wishes if isinstance(wish, LogWanted)] == [3800]
        await pilot.click("#epochs-table", offset=(1, 0))
        await pilot.pause()
        assert isinstance(app.panel, EpochsPanel)
        assert app.panel.settings["newest_first"] is False
        await pilot.click("#epochs-table", offset=(16, 0))
        assert at(app) == "38"

    using(EpochsPanel(), snapshot(long_run()), use, (80, 24))


@pytest.mark.parametrize("cells", SIZES)
def test_it_is_laid_out_for_every_size(cells: tuple[int, int]) -> None:
    """The table fills the terminal above its legend, also after it was resized; low ones have no legend."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        assert screen(app)[0].split()[:3] == ["ep", "NaN", "skips"]
        assert " newest first · 4 epochs of 50" in "".join(screen(app)[-3:])
        await pilot.resize_terminal(30, 7)
        async with asyncio.timeout(10):
            while any("newest" in line for line in screen(app)):
                await pilot.pause()
        assert [line.split()[0] for line in screen(app)[:3]] == ["ep", "4▸", "3"]
        assert not any("newest" in line for line in screen(app))

    using(EpochsPanel(), snapshot(yolo()), use, cells)


def test_states_are_told() -> None:
    """Before anything was read, and while history comes, that is said; another run begins anew."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        assert screen(app)[0] == " reading…"
        shown = snapshot(long_run(), size=100, read=38, is_history=True)
        app.panel.show_run(shown, NOW)  # type: ignore[attr-defined]
        await pilot.pause()
        assert " reading: history 38 % (38 of 100 B)" in screen(app)
        await pilot.press("j", "j")
        app.panel.show_run(replace(shown, path=Path("/other")), NOW)  # type: ignore[attr-defined]
        assert at(app) == "40"

    using(EpochsPanel(), snapshot(None), use, (80, 24))
