"""Runs side by side as text: values, arrows, NaN, and what differs."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.run import Best, Epoch, Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.views.compare.runs import compared, shared_axis, shared_figures
from nanwatch.views.compare.tables import difference_table, differing, epoch_table
from nanwatch.views.dashboard.compare.view import CompareView, chart_lines
from nanwatch.views.page import Line, Page
from nanwatch.views.words import ASCII, UNICODE
from tests.views.curves.test_curves_figures import snapshot_by_hand, yolo

PAGE = Page(80, UNICODE)


def run_of(name: str, values: dict[int, float], nan: dict[int, int] | None = None, **settings: str) -> Run:
    """Return a run with this IoU by epoch, and so many NaN in some of them."""
    run = Run(name, name, epoch=max(values), epochs=9, first_epoch=min(values), hyperparameters=settings)
    run.primary_metric = "IoU"
    for epoch, value in values.items():
        count = (nan or {}).get(epoch, 0)
        run.table[epoch] = Epoch(
            epoch, 10, 10, count, (1 << count) - 1, losses={"loss": math.nan if count else 1 / epoch},
            metrics={"IoU": value}, done=True, vram_gb=4.0 + epoch / 10, seconds=60.0 * epoch,
        )  # fmt: skip
        run.nan_batches += count
    run.best = Best("IoU", max(values.values()), max(values, key=lambda e: values[e]))
    return run


A = ("first", snapshot_by_hand(run_of("a", {1: 0.5, 2: 0.6, 3: 0.55}, lr="1e-3", seed="1")))
B = ("second", snapshot_by_hand(run_of("b", {2: 0.7, 3: 0.1, 4: 0.2}, {3: 7}, lr="3e-4", seed="1", amp="True")))


def text(lines: list[Line]) -> list[str]:
    """Return what is seen, without the blanks at the right."""
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def test_epochs_are_aligned_by_their_number() -> None:
    """Each epoch has a row, newest first, with the value of each run and an arrow against the first one."""
    runs = compared([A, B])
    figure = next(f for f in shared_figures(runs) if f.name == "IoU")
    assert text(epoch_table(runs, figure, PAGE)) == [
        " epoch   A first  B second",
        " 4           -    0.2000",
        " 3      0.5500    0.1000▾",
        " 2      0.6000 *  0.7000▴*",
        " 1      0.5000         -",
        " ▴ better, ▾ worse than A, * best of its run, × NaN",
    ]


def test_nan_are_counted_in_the_table() -> None:
    """A loss shows how many of an epoch's batches were NaN."""
    runs = compared([A, B])
    figure = next(f for f in shared_figures(runs) if f.name == "loss")
    rows = text(epoch_table(runs, figure, PAGE))
    assert rows[2] == " 3      0.3333 *     nan▾ ×7"
    assert any(span.role == "critical" for span in epoch_table(runs, figure, PAGE)[2].spans)
    assert "x7" in " ".join(text(epoch_table(runs, figure, Page(80, ASCII))))


def test_only_settings_that_differ_are_shown() -> None:
    """Equal settings are left out; one that only one run tells is shown."""
    assert differing(compared([A, B])) == [("lr", ["1e-3", "3e-4"]), ("amp", ["-", "True"])]
    assert differing(compared([A, A])) == []


def test_the_standing_of_runs_is_told_in_rows() -> None:
    """Status, epoch, best, NaN, VRAM and time of an epoch stand beside one another."""
    rows = {row[:15].strip(): row[15:].split() for row in text(difference_table(compared([A, B]), PAGE))}
    assert rows["best"] == ["0.6", "e2", "0.7", "e2"]
    assert rows["NaN"] == ["0", "7"]
    assert rows["VRAM peak"] == ["4.30", "G", "4.40", "G"]
    assert rows["epoch takes"] == ["2m", "3m"]
    assert rows["lr"] == ["1e-3", "3e-4"]
    assert "seed" not in rows


def test_runs_for_which_there_is_no_room_are_named() -> None:
    """A table that is too narrow says which runs are missing."""
    rows = text(difference_table(compared([A, B] * 3), Page(40, UNICODE)))
    assert any(row.startswith(" no room for C, D, E, F") for row in rows)


@given(st.integers(8, 200), st.lists(st.text(max_size=60), min_size=2, max_size=6), st.booleans())
def test_tables_fit_whatever_the_names(width: int, names: list[str], is_ascii: bool) -> None:
    """No line is wider than the page, and nothing in it is obeyed by a terminal."""
    runs = compared([(name, (A, B)[n % 2][1]) for n, name in enumerate(names)])
    page = Page(width, ASCII if is_ascii else UNICODE)
    for line in [*difference_table(runs, page), *epoch_table(runs, shared_figures(runs)[0], page)]:
        assert line.cells <= width or width < 20
        assert all(span.text.isprintable() for span in line.spans)


def test_runs_lie_on_one_axis() -> None:
    """The axis holds all runs that count alike; batches are told where all have as many."""
    axis = shared_axis(compared([A, B]))
    assert (axis.start, axis.end, axis.unit, axis.batches) == (1, 5, "epoch", 10)
    steps = ("steps", snapshot_by_hand(Run("s", "s", step=7)))
    assert shared_axis(compared([A, steps])).end == 4
    view = CompareView()
    view.show([A, steps])
    assert any("B steps counts steps: not drawn" in row for row in text(chart_lines(view, 80, 12, UNICODE)))


def test_the_legend_tells_each_runs_values() -> None:
    """Each run has its letter, its last and its best value, and its NaN."""
    view = CompareView()
    view.show([("story", yolo(200)), B, ("nothing", Snapshot(Path("/logs/x.log")))])
    rows = text(chart_lines(view, 100, 20, UNICODE))
    assert "A story" in rows[1]
    assert "44 NaN ×" in rows[1]
    assert "C nothing nothing read yet" in " ".join(rows[:4])
    view.settings.chosen = "IoU"
    rows = text(chart_lines(view, 100, 20, UNICODE))
    assert "A story does not tell it" in rows[1]
    assert "B second 0.2 best 0.7" in rows[1]


def test_charts_of_comparisons_fill_any_box() -> None:
    """Whatever the size, the lines fill it."""
    view = CompareView()
    view.show([A, B] * 3)
    for width, height in [(1, 1), (18, 4), (40, 5), (80, 13), (200, 33)]:
        assert [line.cells for line in chart_lines(view, width, height, UNICODE)] == [width] * height
