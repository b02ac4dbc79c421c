"""What a comparison chooses, aligns and says, of runs by hand and of genuine logs."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.config import Config
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import Snapshot
from nanwatch.reading import read_log
from nanwatch.views.compare.aligned import aligned, counting, figure_named, usual_figures
from nanwatch.views.compare.content import epochs_content, runs_content
from nanwatch.views.compare.epochs import changes, measured
from nanwatch.views.compare.markdown import render_markdown
from nanwatch.views.compare.runs import Compared, compared
from nanwatch.views.compare.tables import arrow, same_settings
from nanwatch.views.compare.terminal import render_terminal
from nanwatch.views.page import Page
from nanwatch.views.words import ASCII, UNICODE
from tests.support.logs import CAPTURES
from tests.views.curves.test_curves_figures import snapshot_by_hand

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in CAPTURES.glob("*/*.log"))
_ESCAPE = re.compile(r"\x1b\[[\d;]*m")


@cache
def snapshot_of(name: str) -> Snapshot:
    """Return the last run of a genuine log."""
    return read_log(CAPTURES / f"{name}.log", Config(), None, 2e9, with_curves=True).snapshots()[-1]


def runs_of(*names: str) -> list[Compared]:
    """Return genuine runs with their letters."""
    return compared([(name, snapshot_of(name)) for name in names])


def hand(name: str, first: int, metric: str, values: list[float], **settings: str) -> tuple[str, Snapshot]:
    """Return a run that began with the epoch *first* and told a metric."""
    run = Run(name, name, epoch=first + len(values) - 1, first_epoch=first, hyperparameters=settings)
    run.primary_metric = metric
    for epoch, value in enumerate(values, first):
        run.table[epoch] = Epoch(epoch, 5, 5, losses={"loss": 1.0 / (epoch + 1)}, metrics={metric: value}, done=True)
    return name, snapshot_by_hand(run)


# -- what is compared


def test_the_metric_that_the_runs_share_is_compared_and_a_loss_beside_it() -> None:
    """One table for the shared metric; where runs measure different things, each its own."""
    shared = compared([hand("a", 1, "IoU", [0.1]), hand("b", 1, "IoU", [0.2])])
    assert [figure.name for figure in usual_figures(shared)] == ["IoU", "loss"]
    different = compared([hand("a", 1, "IoU", [0.1]), hand("b", 1, "mAP50", [0.2])])
    assert [figure.name for figure in usual_figures(different)] == ["IoU", "mAP50", "loss"]


def test_without_metrics_a_loss_is_compared_and_without_anything_nothing() -> None:
    """A log of losses alone is compared by them; of runs that told nothing, there is nothing to draw."""
    run = Run("a", "a", epoch=1, first_epoch=1)
    run.table[1] = Epoch(1, 5, 5, losses={"train_loss": 0.5})
    assert [figure.name for figure in usual_figures(compared([("a", snapshot_by_hand(run))]))] == ["train_loss"]
    nothing = compared([("x", Snapshot(Path("/x.log"))), ("y", Snapshot(Path("/y.log")))])
    assert usual_figures(nothing) == []
    text = render_terminal("t", runs_content(nothing, [], UNICODE), Page(80, UNICODE), False)
    assert "no figure was told that could be compared" in text


def test_a_figure_is_found_by_its_own_name_before_another_case() -> None:
    """`loss` and `Loss` can both be there."""
    run = Run("a", "a", epoch=1, first_epoch=1)
    run.table[1] = Epoch(1, 5, 5, losses={"x_loss": 0.5}, metrics={"X_loss": 0.5, "IoU": 0.2})
    runs = compared([("a", snapshot_by_hand(run))])
    for asked, found in (("X_loss", "X_loss"), ("x_loss", "x_loss"), ("iou", "IoU")):
        figure = figure_named(runs, asked)
        assert figure is not None
        assert figure.name == found
    assert figure_named(runs, "no") is None


# -- alignment


def test_epochs_stand_beside_one_another_as_they_are_printed() -> None:
    """A trainer that counts from 0 and one that counts from 1 are not shifted; that they differ is said."""
    runs = compared([hand("zero", 0, "IoU", [0.1, 0.2, 0.3]), hand("one", 1, "IoU", [0.4, 0.5])])
    table = aligned(runs, usual_figures(runs)[0])
    assert list(table.epochs) == [0, 1, 2]
    assert [{epoch: point.last for epoch, point in column.items()} for column in table.points] == [
        {0: 0.1, 1: 0.2, 2: 0.3}, {1: 0.4, 2: 0.5}
    ]  # fmt: skip
    assert "(A from 0, B from 1)" in counting(runs)
    assert counting(runs[:1]) == ""


def test_a_resumed_run_is_not_said_to_count_otherwise() -> None:
    """A log that begins in the middle of a training tells nothing of how its trainer counts."""
    runs = compared([hand("one", 1, "IoU", [0.1]), hand("resumed", 7, "IoU", [0.4])])
    assert counting(runs) == ""


def test_settings_that_all_tell_alike_are_counted() -> None:
    """A setting that one run does not tell is not the same in all."""
    runs = compared([hand("a", 1, "IoU", [0.1], lr="1", seed="2"), hand("b", 1, "IoU", [0.1], lr="1", amp="no")])
    assert same_settings(runs) == 1


@given(st.floats(), st.floats(), st.sampled_from([-1, 0, 1]))
def test_better_and_worse_are_each_others_opposite(first: float, value: float, sign: int) -> None:
    """Seen from the other side an arrow turns round; equal values have none; NaN is worse than any number."""
    opposite = {"": "", "^": "v", "v": "^"}
    assert arrow(value, first, sign, ASCII) == opposite[arrow(first, value, sign, ASCII)]
    assert arrow(value, value, sign, ASCII) == ""
    if not math.isnan(value):
        assert arrow(value, math.nan, sign, ASCII) == "v"


# -- epochs of one run


def epoch(number: int, **values: object) -> Epoch:
    """Return an epoch with these fields."""
    row = Epoch(number, 100, 100, done=True)
    for name, value in values.items():
        setattr(row, name, value)
    return row


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"vram_gb": 4.2}, {"vram_gb": 4.71}, ["VRAM +0.51 G"]),
        ({"vram_gb": 4.2}, {"vram_gb": 4.2001}, []),
        ({}, {"nan_batches": 73, "grad_skips": 72}, ["73 NaN", "72 skips"]),
        ({"nan_batches": 5, "grad_skips": 1}, {"nan_batches": 2}, ["2 NaN after 5", "0 skips after 1"]),
        ({}, {"grad_skips": 1}, ["1 skip"]),
        ({"losses": {"a": 1.0, "b": 1.0}}, {"losses": {"a": math.nan, "b": math.inf}}, ["a nan, 1 more losses too"]),
        ({"metrics": {"IoU": 0.5}}, {"metrics": {"IoU": 0.4}}, ["IoU 0.5 -> 0.4 (worse)"]),
        ({"metrics": {"IoU": 0.5}}, {"metrics": {"IoU": 0.6}}, ["IoU 0.5 -> 0.6 (better)"]),
        ({"metrics": {"IoU": 0.5}}, {"metrics": {"IoU": math.nan}}, ["IoU 0.5 -> nan"]),
        ({"lr": 0.01}, {"lr": 0.001}, ["lr 0.01 -> 0.001"]),
        ({"seconds": 100.0}, {"seconds": 200.0}, ["50 % slower"]),
        ({"seconds": 100.0}, {"seconds": 101.0}, []),
        ({}, {}, []),
    ],
)
def test_what_changed_is_said_in_words(before: dict[str, object], after: dict[str, object], said: list[str]) -> None:
    """Memory, NaN and skips first, then results, then the pace; what did not change is not named."""
    run = Run("a", "a", epoch=2, primary_metric="IoU")
    assert changes(run, epoch(1, **before), epoch(2, **after)) == said


def test_figures_of_epochs_are_marked_better_or_worse() -> None:
    """Losses down and metrics up are better; counts of NaN and skips are always there."""
    run = Run("a", "a", epoch=2, primary_metric="IoU")
    rows = [
        epoch(1, losses={"loss": 0.5}, metrics={"F": 0.1, "IoU": 0.5}, lr=0.1),
        epoch(2, losses={"loss": 0.4}, metrics={"F": 0.1, "IoU": 0.4}, nan_batches=1),
    ]
    found = [[cell.text for cell in item.cells(ASCII)] for item in measured(run, rows)]
    assert found == [
        ["loss", "0.5000 ", "0.4000^"], ["IoU", "0.5000 ", "0.4000v"], ["F", "0.1000 ", "0.1000 "],
        ["NaN", "0 ", "1v"], ["skipped steps", "0 ", "0 "], ["lr", "0.1 ", "- "], ["batches", "100 ", "100 "],
    ]  # fmt: skip


# -- whatever the log


@pytest.mark.parametrize("start", range(0, len(NAMES), 6))
@pytest.mark.parametrize("width", [20, 80, 200])
def test_genuine_logs_compare_within_any_width(start: int, width: int) -> None:
    """Six trainers at a time: no line is too wide, nothing in it is an escape, and Markdown holds the same tables."""
    runs = runs_of(*NAMES[start : start + 6])
    for glyphs in (ASCII, UNICODE):
        blocks = runs_content(runs, usual_figures(runs), glyphs)
        text = render_terminal("nanwatch compare", blocks, Page(width, glyphs), False)
        assert max(map(len, text.splitlines())) <= width
        assert all(line.isprintable() for line in text.splitlines())
        colored = render_terminal("nanwatch compare", blocks, Page(width, glyphs), True)
        assert [line.rstrip() for line in _ESCAPE.sub("", colored).splitlines()] == text.splitlines()
    assert render_markdown("nanwatch compare", blocks).startswith("# nanwatch compare\n")


@pytest.mark.parametrize("name", NAMES)
def test_epochs_of_genuine_logs(name: str) -> None:
    """The first and the last epoch of every log that counts epochs."""
    view = snapshot_of(name).view
    assert view is not None
    rows = sorted((row for row in view.run.table.values() if row.epoch >= 0), key=lambda row: row.epoch)
    if len(rows) < 2:
        return
    blocks = epochs_content(view.run, [rows[0], rows[-1]], ASCII)
    text = render_terminal("nanwatch compare", blocks, Page(80, ASCII), False)
    assert f"epoch {rows[0].epoch} -> {rows[-1].epoch}: " in text
    assert max(map(len, text.splitlines())) <= 80


@given(
    st.lists(st.text(max_size=30), min_size=2, max_size=6), st.text(max_size=30), st.text(max_size=90),
    st.sampled_from([20, 40, 80]),
)  # fmt: skip
def test_hostile_text_is_inert_in_every_form(names: list[str], setting: str, value: str, width: int) -> None:
    """Names and settings of any characters stay within their line, and within their cell of a Markdown table."""
    found = []
    for place, name in enumerate(names):
        _, snapshot = hand(name, 1, "IoU", [0.1, 0.2], **{setting: f"{value}{place % 2}", "lr": "1"})
        found.append((name, snapshot))
    runs = compared(found)
    blocks = runs_content(runs, usual_figures(runs), UNICODE)
    text = render_terminal("t", blocks, Page(width, UNICODE), False)
    assert all(line.isprintable() for line in text.split("\n"))
    markdown = render_markdown("t", blocks)
    assert all(line.isprintable() for line in markdown.split("\n"))
    tables = [block.split("\n") for block in markdown.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in table}) == 1
