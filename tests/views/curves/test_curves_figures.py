"""Which figures of a run can be plotted, from where, and what is told of them."""

from __future__ import annotations

import io
import math
from itertools import chain
from pathlib import Path

import pytest

from fixtures.stories import write_yolo
from nanwatch.model.alert import Alert
from nanwatch.model.curve import Curve
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Epoch, Evaluation, Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.pipeline import LogPipeline
from nanwatch.snapshots import Snapshots
from nanwatch.views.curves.charts import chart_of, extremes, reading, tsv, value_of
from nanwatch.views.curves.figures import Figure, Source, figures, source_of
from nanwatch.views.curves.series import Axis, bad_columns, bursts
from nanwatch.views.curves.settings import Settings, Window, settings_from
from nanwatch.views.dashboard.curves.view import CurvesView
from nanwatch.views.words import UNICODE

CAPTURES = Path(__file__).parents[3] / "fixtures" / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))


def snapshot_of(data: bytes, name: str = "/logs/run.log", *, ended: bool = False) -> Snapshot:
    """Read a log as the dashboard does, *ended* that of a writer who has gone."""
    pipeline = LogPipeline(name)
    log = Snapshots(Path(name), pipeline)
    for run, notice in chain(pipeline.feed(Chunk(0, data)), pipeline.finish() if ended else pipeline.catch_up()):
        if not isinstance(notice, Alert):
            log.note(run, notice)
    return log.snapshot(0.0, 0.0, len(data), len(data))


def yolo(batches: int = 1000) -> Snapshot:
    """Read the story of 73 NaN in epoch 4, from batch 32 on."""
    out = io.BytesIO()
    write_yolo(out, batches=batches)
    return snapshot_of(out.getvalue())


def snapshot_by_hand(run: Run, curves: dict[str, Curve] | None = None) -> Snapshot:
    """Return a snapshot of this run."""
    return Snapshot(Path("/logs/run.log"), RunView(run, [], "running", None), curves or {})


def test_losses_come_first_and_the_machine_last() -> None:
    """The order is losses, validation, metrics with the primary one first, then VRAM and speed."""
    source = source_of(yolo())
    assert source is not None
    names = [figure.name for figure in figures(source)]
    assert names[:4] == ["box_loss", "cls_loss", "dfl_loss", "mAP50-95"]
    assert names.index("VRAM") < names.index("it/s")
    assert names.index("mAP50") < names.index("VRAM")


def test_nan_of_a_loss_are_counted_by_the_run_and_not_by_its_curve() -> None:
    """The 73 NaN are there by batch and by epoch; a metric has none."""
    source = source_of(yolo())
    assert source is not None
    known = {figure.name: figure for figure in figures(source)}
    by_batch, by_epoch = known["box_loss"].series(), known["box_loss"].series(by_epoch=True)
    assert by_batch.non_finite == by_epoch.non_finite == 73
    counts = bad_columns(by_batch, source.extent, 100).counts
    assert sum(counts) == 73
    assert not any(counts[:70])
    onset = bursts(by_batch, source.extent)[0]
    assert source.extent.name(onset) == "e4 b32"
    assert known["mAP50"].series().non_finite == 0


def test_what_is_known_only_by_epoch_is_plotted_by_epoch() -> None:
    """A metric of the epochs has one point for each of them, in the epoch's middle, in either mode."""
    source = source_of(yolo())
    assert source is not None
    figure = next(f for f in figures(source) if f.name == "mAP50")
    series = figure.series(by_epoch=False)
    assert series.is_sparse
    assert [series.middle(b) for b in series.buckets] == [1.5, 2.5, 3.5]


def test_a_loss_that_is_clean_does_not_inherit_the_nan_of_another() -> None:
    """Where one of two losses is NaN, the other one's curve shows none."""
    run = Run("r", "log", epoch=0, batches=10, batch=5, first_epoch=0, losses={"seg": math.nan, "edge": 0.5})
    run.table[0] = Epoch(0, 5, 10, nan_batches=1, nan_mask=1 << 3)
    curves = {"seg": Curve(), "edge": Curve()}
    for batch in range(5):
        curves["seg"].add(batch, math.nan if batch == 3 else 1.0, batch)
        curves["edge"].add(batch, 0.5, batch)
    source = source_of(snapshot_by_hand(run, curves))
    assert source is not None
    known = {figure.name: figure.series() for figure in figures(source)}
    assert known["seg"].non_finite == 1
    assert known["edge"].non_finite == 0


def test_without_batches_the_axis_is_by_epoch_and_says_so() -> None:
    """A curve whose positions cannot be placed in epochs gives way to the epochs' values."""
    run = Run("r", "log", epoch=2, first_epoch=1, losses={"loss": 0.5})
    run.table = {n: Epoch(n, losses={"loss": 1 / n}, done=True) for n in (1, 2)}
    curve = Curve()
    curve.add(0, 1.0, 0)
    view = CurvesView()
    view.show(snapshot_by_hand(run, {"loss": curve}))
    assert view.chosen is not None
    assert view.series(view.chosen).is_sparse
    assert view.extent == Axis(1, 3, "epoch", None)


def test_a_run_without_epochs_is_plotted_by_step() -> None:
    """Validations of a run that counts steps stand at their steps."""
    run = Run("r", "log", step=200, primary_metric="val_loss", primary_rises=False)
    run.evaluations = [Evaluation(100, 2.5, 7), Evaluation(200, math.nan, 9)]
    source = source_of(snapshot_by_hand(run))
    assert source is not None
    series = figures(source)[0].series()
    assert source.extent == Axis(0, 201, "step")
    assert [bucket.start for bucket in series.buckets] == [100, 200]
    assert series.non_finite == 1


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_every_captured_log_can_be_plotted(log: Path) -> None:
    """Of every family of logs each figure has a line that lies within the axis."""
    source = source_of(snapshot_of(log.read_bytes()))
    assert source is not None
    for figure in figures(source):
        for by_epoch in (False, True):
            series = figure.series(by_epoch)
            shown = [series.middle(bucket) for bucket in series.buckets]
            assert all(source.extent.start <= x for x in shown)
            assert sum(1 for x in shown if x > source.extent.end + 0.5) == 0, figure.name


def best_point(source: Source, figure: Figure) -> str:
    """Return where the best value of *figure* is drawn, as the cursor there names it."""
    series = figure.series()
    best = max((b for b in series.buckets if math.isfinite(b.low)), key=lambda b: b.high if figure.sign > 0 else -b.low)
    return source.extent._replace(batches=None).name(series.middle(best))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_the_best_epoch_is_the_run_s(log: Path) -> None:
    """Whatever the trainer counts from, and with batches or without: the best value is drawn and named in its epoch."""
    source = source_of(snapshot_of(log.read_bytes(), ended=True))
    assert source is not None
    best, unit = source.run.best, "e" if source.has_epochs else "step "
    for figure in figures(source):
        if best is not None and figure.name == best.metric:
            (told,) = extremes(figure, figure.series(), source.extent)
            assert told.text.endswith(f" {unit}{best.epoch}")
            assert best_point(source, figure) == f"{unit}{best.epoch}"


def counted(first_epoch: int, first_batch: int, batches: int = 4, epochs: int = 3) -> Source:
    """Return a run whose loss falls from batch to batch, counted from these numbers on."""
    numbers = range(first_batch, first_batch + batches)
    run = Run("r", "log", first_epoch=first_epoch, batches=batches, epoch=first_epoch + epochs - 1, batch=numbers[-1])
    curve = Curve()
    for n in range(epochs):
        run.table[first_epoch + n] = Epoch(first_epoch + n, numbers[-1], batches, done=True)
        for b in numbers:
            curve.add(n * batches + b, 100.0 - n * batches - b, 0)
    source = source_of(snapshot_by_hand(run, {"loss": curve}))
    assert source is not None
    return source


@pytest.mark.parametrize("first_epoch", [0, 1])
@pytest.mark.parametrize("first_batch", [0, 1])
def test_batches_lie_in_their_epoch(first_epoch: int, first_batch: int) -> None:
    """Counted from 0 or from 1, every batch is called what the log calls it: the last one is none of the next epoch."""
    source = counted(first_epoch, first_batch)
    (figure,) = figures(source)
    series, axis = figure.series(), source.extent
    assert [axis.name(series.middle(bucket)) for bucket in series.buckets] == [
        f"e{first_epoch + n} b{first_batch + b}" for n in range(3) for b in range(4)
    ]
    assert (axis.start, axis.end) == (first_epoch, first_epoch + 3)
    assert tsv(figure, series, axis).splitlines()[2].startswith(f"e{first_epoch} b{first_batch}\t")
    assert [tick.text for tick in axis._replace(end=axis.start + 1).ticks(60)][:2] == [
        f"e{first_epoch}", "b2" if first_batch else "b1",
    ]  # fmt: skip


def test_nan_of_the_last_batch_is_in_its_epoch() -> None:
    """A NaN in batch 4 of 4 is drawn in the column of that epoch, as near as the axis is looked at."""
    run = Run("r", "log", first_epoch=1, batches=4, epoch=2, batch=4, losses={"loss": 1.0})
    run.table = {n: Epoch(n, 4, 4, nan_batches=1, nan_mask=1 << 4, done=True) for n in (1, 2)}
    curve = Curve()
    for position in range(1, 9):
        curve.add(position, math.nan if position % 4 == 0 else 1.0, 0)
    source = source_of(snapshot_by_hand(run, {"loss": curve}))
    assert source is not None
    series = figures(source)[0].series()
    for columns in (2, 8, 32):
        counts = bad_columns(series, source.extent, columns).counts
        assert [sum(counts[: columns // 2]), sum(counts[columns // 2 :])] == [1, 1]
    assert [source.extent.name(x) for x in bursts(series, source.extent)] == ["e1 b4", "e2 b4"]


def test_figures_that_say_nothing_come_last() -> None:
    """A figure that is 0 throughout is the last one and is called constant; a loss of 0 says something."""
    run = Run("r", "log", step=3, losses={"loss": 0.0}, lr=0.0, rate=1.0)
    curves = {name: Curve() for name in ("loss", "lr", "it/s")}
    for step in range(4):
        curves["loss"].add(step, 0.0, 0)
        curves["lr"].add(step, 0.0, 0)
        curves["it/s"].add(step, 1.0 + step, 0)
    view = CurvesView()
    view.show(snapshot_by_hand(run, curves))
    assert [figure.name for figure in view.figures] == ["loss", "it/s", "lr"]
    chart = chart_of(view.figures[-1], view.series(view.figures[-1]), view.axis, Settings(), None, UNICODE)
    assert [span.text for span in (*chart.stats, *chart.more)] == ["constant 0"]


def test_steps_are_placed_in_epochs_where_both_totals_are_known() -> None:
    """A trainer that counts steps and epochs, but no batches, has 40 steps in each of its epochs."""
    source = source_of(snapshot_of((CAPTURES / "hf_trainer" / "hf_5.23_pty_nan_nofilter.log").read_bytes()))
    assert source is not None
    assert source.batches == 40
    assert source.extent.start == 1
    loss = figures(source)[0].series()
    assert not loss.is_sparse
    assert loss.non_finite == 18


def test_nan_that_only_the_gradient_norm_tells_are_the_losses_too() -> None:
    """A trainer that prints 0 instead of NaN does not hide them."""
    source = source_of(snapshot_of((CAPTURES / "hf_trainer" / "hf_4.46_redirect_nan_filter.log").read_bytes()))
    assert source is not None
    loss = figures(source)[0]
    assert loss.name == "loss"
    assert loss.series().non_finite == loss.series(by_epoch=True).non_finite == 9


def test_nothing_read_yet_has_no_figures() -> None:
    """A snapshot without a run can be shown."""
    view = CurvesView()
    view.show(Snapshot(Path("/logs/run.log")))
    assert view.chosen is None
    assert view.shown == []
    assert view.offset() is None
    view.move(1)
    view.scale(0.5)
    assert not view.jump(1)


# -- words


def test_places_on_the_axis_have_names() -> None:
    """A place is told by epoch and batch, by epoch, or by step."""
    assert Axis(1, 5, "epoch", 41_163).name(3 + 31_204 / 41_163) == "e3 b31,204"
    assert Axis(1, 5, "epoch").name(3.9) == "e3"
    assert Axis(0, 5000).name(1200.4) == "step 1,200"


def test_within_an_epoch_the_labels_count_batches() -> None:
    """Zoomed into an epoch, the axis tells batches."""
    texts = [tick.text for tick in Axis(3.0, 3.5, "epoch", 1000).ticks(60)]
    assert texts == ["e3", "b100", "b200", "b300", "b400"]
    assert [tick.text for tick in Axis(1, 101, "epoch", 10).ticks(50)] == [f"e{n}" for n in range(10, 101, 10)]


def test_an_unread_past_is_told() -> None:
    """As long as the history is being read, it is said how much of it has been."""
    assert reading(Snapshot(Path("-"), is_history=True, size=1000, read=380)) == "history 38 %"
    assert reading(Snapshot(Path("-"), is_history=True, is_estimate=True)) == "only the log's end was read"
    assert reading(Snapshot(Path("-"))) == ""


def test_a_figure_can_be_taken_away_as_a_table() -> None:
    """The table has a line for each bucket, with the place in words."""
    view = CurvesView()
    view.show(yolo(20))
    figure = next(f for f in view.figures if f.name == "mAP50")
    rows = tsv(figure, view.series(figure), view.extent._replace(batches=None)).splitlines()
    assert rows[:2] == ["# mAP50", "from\tto\tlow\thigh\tlast\tnon_finite"]
    assert [row.split("\t")[0] for row in rows[2:]] == ["e1", "e2", "e3"]


def test_a_value_tells_its_range_and_its_nan() -> None:
    """A bucket reads as one value, as a range, or as what was not finite in it."""
    view = CurvesView()
    curve = Curve()
    for position, value in enumerate([1.0, 2.0, math.nan]):
        curve.add(position, value, position)
    run = Run("r", "log", step=2, losses={"loss": math.nan})
    view.show(snapshot_by_hand(run, {"loss": curve}))
    assert view.chosen is not None
    series = view.series(view.chosen)
    assert [value_of(series, bucket) for bucket in series.buckets] == ["1", "2", "1 NaN"]
    assert value_of(series, None) == "-"


# -- settings


def test_settings_are_plain_values_and_what_does_not_fit_is_passed_over() -> None:
    """How curves are drawn comes back, nonsense does not; which figure was looked at is not remembered."""
    kept = Settings(is_log=True, smoothing=2, is_big=True, hidden=("lr",), chosen="loss", only_bad=True)
    assert kept.as_dict() == {
        "is_log": True, "is_by_epoch": False, "is_clipped": False, "is_big": True, "smoothing": 2
    }  # fmt: skip
    assert settings_from(kept.as_dict()) == Settings(is_log=True, smoothing=2, is_big=True)
    assert settings_from(kept.as_dict(), kept) == kept
    assert settings_from({"is_log": "yes", "smoothing": 7, "chosen": "a", "other": 1}) == Settings(smoothing=1)
    assert settings_from({"smoothing": True}) == Settings()


def test_a_window_stays_on_the_axis() -> None:
    """Zooming keeps the place pointed at, and never leaves the axis."""
    axis = Axis(0, 100)
    window = Window(0, 100).zoomed(0.5, 100, axis)
    assert window == Window(50, 100)
    assert window.zoomed(4, 60, axis) is None
    assert window.holding(20, axis) == Window(20, 70)
    assert window.shifted(50, axis) == window
    narrow = window
    for _ in range(20):
        narrow = narrow.zoomed(0.5, 70, axis) or narrow
    assert narrow.end - narrow.start == 2
    assert narrow.start <= 70 <= narrow.end
