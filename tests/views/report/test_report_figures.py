"""Which figures a report draws and compares, what it calls them, and what it says of those that it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.config import Config
from nanwatch.model.alert import Alert
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Diagnosis
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.curves import RunCurves
from nanwatch.runs.status import status_of
from nanwatch.views.report.advice import weights_section
from nanwatch.views.report.charts import charts_section
from nanwatch.views.report.content import page_of
from nanwatch.views.report.epochs import EpochFigure
from nanwatch.views.report.happened import happened
from nanwatch.views.report.html import render_html
from nanwatch.views.report.page import Charts, Paragraph, Report, ReportPage, Section, Table
from tests.support.logs import cod_story

NOW = 1_763_733_771.0


def snapshot_of(data: bytes) -> Snapshot:
    """Read the last run of *data* with its curves."""
    pipeline, curves = LogPipeline("x.log", Config()), RunCurves()
    for run, notice in [*pipeline.feed(Chunk(0, data)), *pipeline.catch_up()]:
        if isinstance(notice, Event):
            curves.note(run, notice)
    run = pipeline.runs[-1]
    alerts = pipeline.alerts_of(run)
    return Snapshot(Path("x.log"), RunView(run, alerts, status_of(run, alerts), None), curves.curves, number=1)


def charts_of(data: bytes) -> Charts:
    """Return the plots of *data*."""
    section = charts_section(snapshot_of(data))
    assert section is not None
    (part,) = section.parts
    assert isinstance(part, Charts)
    return part


def by_epochs(epochs: int, metrics: int = 1) -> bytes:
    """Return a log of a line an epoch."""
    names = [f"m{n}_acc" for n in range(metrics)]
    lines = (
        f"Epoch {e}/{epochs} loss {1 / e:.4f} " + " ".join(f"{name}: {0.5 + 0.01 * e:.4f}" for name in names)
        for e in range(1, epochs + 1)
    )
    return "\n".join(lines).encode() + b"\n"


def test_log_of_a_line_an_epoch_has_plots() -> None:
    """Where no single batches are printed, the values of the epochs are drawn."""
    charts = charts_of(by_epochs(10)).charts
    assert [chart.title for chart in charts] == ["loss", "m0_acc"]
    assert [len(chart.points) for chart in charts] == [10, 10]


def test_single_value_is_no_plot() -> None:
    """One epoch gives no course to draw."""
    assert charts_section(snapshot_of(by_epochs(1))) is None


def test_batches_and_epochs_are_told_apart() -> None:
    """`loss` and `Loss` are drawn both, and their titles say of what each is."""
    titles = [chart.title for chart in charts_of(cod_story(10)[0]).charts]
    assert titles[:2] == ["loss (each batch)", "Loss (each epoch)"]
    assert len(set(titles)) == len(titles)


def test_figures_that_are_not_drawn_are_named() -> None:
    """Of 40 metrics six are drawn; the page says which are not."""
    drawn = charts_of(by_epochs(5, metrics=40))
    assert len(drawn.charts) == 7
    assert drawn.remark.startswith("Not drawn, for want of room: m6_acc, m7_acc,")
    assert drawn.remark.endswith(" and 22 more")
    report = Report("x", "x", (), (ReportPage("x", "ok", "", "x", (Section("Plots", (drawn,)),)),))
    assert drawn.remark in render_html(report)


def test_metric_keeps_its_name_in_the_headline() -> None:
    """A headline that begins with a metric's name does not write it in capitals."""
    lines = by_epochs(10).decode().splitlines()
    data = "\n".join([*lines, "Epoch 11/30 loss 0.1 m0_acc: 0.0100", "Epoch 12/30 loss 0.1 m0_acc: 0.0100"])
    page = page_of(snapshot_of(data.encode() + b"\n"), Diagnosis(), None, Config(), NOW)
    assert page.headline.startswith("m0_acc: best 0.6")


@pytest.mark.parametrize(("old", "new"), [(1e308, -1e308), (-1e308, 1e308)])
def test_change_beyond_all_numbers_is_not_told(old: float, new: float) -> None:
    """From one end of what a number can be to the other there is no difference to tell."""
    figure = EpochFigure("loss", "loss", -1)
    assert figure.change(Epoch(1, losses={"loss": old}), Epoch(2, losses={"loss": new})).text == ""


def test_warning_signs_of_a_rule_are_one_line() -> None:
    """Twenty early alerts of one rule are told as the first of them and how many came later."""
    run = Run("x.log", "x.log", epoch=30, epochs=50)
    run.table = {n: Epoch(n, batches=10, batch=10, done=True, losses={"loss": 1.0}) for n in range(1, 31)}
    early = [
        Alert(f"{n}", "grad_skip", f"epoch {n}", "warning", "resolved", "skipped", n, None, None, None, {}, None)
        for n in range(2, 22)
    ]
    bad = Alert("x", "nan_burst", "epoch 30", "critical", "firing", "NaN", 30, None, None, None, {}, None)
    section = happened(RunView(run, [*early, bad], "running", None))
    assert section is not None
    signs = [part.text for part in section.parts if isinstance(part, Paragraph)]
    assert signs == ["Warning sign from epoch 2, 28 epochs before: grad_skip (over); 19 times more up to epoch 21"]


def test_checkpoints_that_were_left_out_are_told() -> None:
    """The page says how many checkpoints are from after the trouble, and that older ones were not looked at."""
    weights = Weights("/w", (Checkpoint("/w/a.pt", "nonfinite"),), None, skipped=3, since=1.0, later=2)
    section = weights_section(weights, NOW)
    assert section is not None
    assert section.parts[-1] == Paragraph(
        "2 checkpoints written after the trouble began left out, finite or not; 3 older not looked at.", "quiet"
    )


def test_silence_does_not_make_an_epoch_bad() -> None:
    """Where a run only fell silent, its epoch is the last one, not a bad one, and old trouble is no sign of it."""
    run = Run("x.log", "x.log", epoch=80, epochs=100, batch=5, batches=10)
    run.table = {
        n: Epoch(n, batches=10, batch=10, done=n < 80, losses={"loss": 1.0}, metrics={"acc": 0.5}) for n in range(1, 81)
    }
    old = Alert("1", "grad_skip", "epoch 4", "warning", "resolved", "skipped", 4, None, None, None, {}, None)
    stall = Alert("2", "stall", "", "critical", "firing", "silent", 80, 5, None, None, {}, None)
    section = happened(RunView(run, [old, stall], "stalled", 3600.0))
    assert section is not None
    table = next(part for part in section.parts if isinstance(part, Table))
    assert table.heads[1:3] == ("epoch 79 (before)", "epoch 80 (last)")
    assert not any(isinstance(part, Paragraph) for part in section.parts)
