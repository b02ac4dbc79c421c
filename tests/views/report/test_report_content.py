"""What a report tells: the two incidents as they were told by hand, a healthy run in few words, every genuine log."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rich.cells import cell_len

from fixtures.stories import BATCHES, write_cod, write_yolo
from nanwatch.config import Config, Moment
from nanwatch.model.checkpoint import BadTensor, Checkpoint, Part, Weights
from nanwatch.model.curve import Curve
from nanwatch.model.diagnosis import Cause, Diagnosis, Observation, Resume, SettingChange
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.curves import RunCurves
from nanwatch.runs.status import status_of
from nanwatch.views.report.content import page_of, report_of
from nanwatch.views.report.html import render_html
from nanwatch.views.report.markdown import render_markdown
from nanwatch.views.report.page import Charts, Report, ReportPage, Table
from nanwatch.views.report.terminal import render_terminal
from nanwatch.views.summary import LogProblem

CAPTURES = Path(__file__).parents[3] / "fixtures" / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))
NOW = 1_763_733_771.0  # Friday 21 November 2025, 14:02:51 UTC
CONFIG = Config()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# -- material


def snapshot_of(data: bytes, log: str, silence: float | None = None, config: Config = CONFIG) -> Snapshot:
    """Read the last run of a log with its curves, as the report does."""
    pipeline = LogPipeline(log, config)
    curves: dict[int, RunCurves] = {}
    for run, notice in [*pipeline.feed(Chunk(0, data)), *pipeline.catch_up()]:
        if isinstance(notice, Event):
            curves.setdefault(run.number, RunCurves()).note(run, notice)
    if silence is not None:
        list(pipeline.tick(NOW, NOW - silence))
    run = pipeline.runs[-1]
    alerts = pipeline.alerts_of(run)
    taken = curves[run.number].curves if run.number in curves else dict[str, Curve]()
    return Snapshot(Path(log), RunView(run, alerts, status_of(run, alerts), silence), taken, number=run.number)


def report_on(
    snapshot: Snapshot, diagnosis: Diagnosis | None = None, weights: Weights | None = None, config: Config = CONFIG
) -> Report:  # fmt: skip
    """Return the report of one run."""
    assert snapshot.view is not None
    page = page_of(snapshot, diagnosis or Diagnosis(), weights, config, NOW)
    return report_of([(snapshot.view, page)], [], NOW)


def words(report: Report) -> str:
    """Return a report as Markdown without what only lays it out: its words in one line."""
    return " ".join(render_markdown(report).replace("|", " ").split())


@cache
def yolo() -> Snapshot:
    """The first incident at its full size."""
    out = io.BytesIO()
    write_yolo(out, batches=BATCHES)
    return snapshot_of(out.getvalue(), "yolo.log", 5.0)


@cache
def cod() -> Snapshot:
    """The second incident, silent for 22 minutes."""
    out = io.BytesIO()
    write_cod(out)
    return snapshot_of(out.getvalue(), "cod.log", 22 * 60.0)


def table(report: Report, title: str) -> Table:
    """Return the first table of a section."""
    sections = [s for page in report.pages for s in page.sections if s.title == title]
    return next(part for part in sections[0].parts if isinstance(part, Table))


def rows(report: Report, title: str) -> dict[str, list[str]]:
    """Return a table by the first cell of its rows, with its heads under nothing."""
    found = table(report, title)
    return {"": list(found.heads[1:]), **{row[0].text: [cell.text for cell in row[1:]] for row in found.rows}}


# -- the two incidents


def test_first_incident_sets_the_clean_epoch_beside_the_bad_one() -> None:
    """Epoch 3 (0 NaN, 4.2 G, its losses) stands beside epoch 4 (73 NaN, 72 skips, 4.71 G), with what changed."""
    found = rows(report_on(yolo()), "What happened")
    assert found[""] == ["epoch 3 (best, last clean)", "epoch 4 (bad, 18 % done)", "change from 3 to 4"]
    assert found["NaN"] == ["0", "73", "+73"]
    assert found["skipped"] == ["0", "72", "+72"]
    assert found["VRAM"] == ["4.2 G", "4.71 G", "+0.51 G (+12 %)"]
    assert [found[name][0] for name in ("box_loss", "cls_loss", "dfl_loss")] == ["1.617", "1.057", "1.070"]


def test_first_incident_tells_onset_share_and_projection() -> None:
    """It began at batch 32, in 0.97 % of the batches; about 400 are expected by the end of the epoch."""
    text = words(report_on(yolo()))
    assert "NaN since batch 32 of epoch 4; 72 optimizer steps skipped; VRAM +0.51 G against epoch 3" in text
    assert "73 NaN in 7,550 batches (0.97 %) since batch 32" in text
    assert "about 400 by the end of epoch 4" in text
    assert "epoch 4/50, batch 7,550 of 41,163 (18 %)" in text


def test_second_incident_tells_best_decline_collapse_and_where_it_is_stuck() -> None:
    """The best was 0.6413 at epoch 88, worse from 89 on, collapsed at 98; it is stuck at 30 % of 101."""
    report = report_on(cod())
    assert report.pages[0].headline == (
        "Stuck at 30 % of epoch 101, silent for 22m; IoU: best 0.6413 at epoch 88, declining since 89, "
        "collapsed in 98 (0.6242 -> 0.0022), now 0.0023; loss 0.221 -> 15.3 in epoch 98; no NaN, no step skipped."
    )
    found = rows(report, "What happened")
    assert found[""][:4] == ["epoch 88 (best)", "epoch 97 (before)", "epoch 98 (bad)", "epoch 100 (latest)"]
    assert found["IoU"] == ["0.6413", "0.6242", "0.0022", "0.0023", "-0.622 (-99.6 %), worse"]


def test_second_incident_tells_the_warning_signs() -> None:
    """What could have been known from epoch 91 on is said, with the metric as it was there."""
    text = words(report_on(cod()))
    assert "Warning sign from epoch 91, 7 epochs before: metric_decline" in text.replace("\\", "")
    assert "(IoU 0.6348 there, worse every epoch from 89 on)" in text


def test_alerts_stand_in_the_order_in_which_they_began() -> None:
    """The time line names place, rule, words and line of each alert; the later stall has its time of day."""
    found = table(report_on(cod()), "Alerts")
    began = [row[0].text for row in found.rows]
    assert began == ["epoch 91", "epoch 98, batch 152", "epoch 98", "13:50, epoch 101, batch 76"]
    assert [row[1].text for row in found.rows][:2] == ["critical metric_decline", "critical loss_explosion"]
    assert found.rows[0][3].text == "353"


# -- outlook


def test_deadline_and_goal_are_told_from_the_config() -> None:
    """The outlook sets the run's end against the deadline, and the metric against its goal."""
    rules = CONFIG.rules
    late = rules._replace(
        deadline=rules.deadline._replace(at=Moment(NOW + 86_400)), goal=rules.goal._replace(value=0.5)
    )
    config = CONFIG._replace(rules=late)
    out = io.BytesIO()
    write_yolo(out, batches=BATCHES)
    text = words(report_on(snapshot_of(out.getvalue(), "yolo.log", 5.0, config), config=config))
    assert "**deadline**: Sat 14:02: will be done 9.4 days late: the deadline is in 24 h" in text
    assert "**goal**: mAP50-95 0.5: not reached yet, best so far 0.262" in text
    assert "**run ends**: in 10 d 3 h (1 Dec 17:" in text


def test_a_deadline_that_will_be_met_and_a_goal_that_was() -> None:
    """A run that is in time says by how much; a goal that was reached says when."""
    rules = CONFIG.rules
    easy = rules._replace(
        deadline=rules.deadline._replace(at=Moment(NOW + 20 * 86_400)), goal=rules.goal._replace(value=0.25)
    )
    out = io.BytesIO()
    write_yolo(out, batches=BATCHES)
    config = CONFIG._replace(rules=easy)
    text = words(report_on(snapshot_of(out.getvalue(), "yolo.log", 5.0, config), config=config))
    assert "**deadline**: 11 Dec 14:02: will be met, with 9 d 20 h to spare" in text
    assert "**goal**: mAP50-95 reached 0.262 at epoch 3, the goal is 0.25" in text


# -- diagnosis and weights

DIAGNOSIS = Diagnosis(
    causes=(
        Cause("amp", "half precision overflows", "probable", (Observation("72 steps skipped", line=60),),
              (Observation("losses are finite"),), ("train without AMP",), "PyTorch's notes on AMP"),
    ),
    changes=(SettingChange("amp", "True", "False", "overflow needs half precision", "amp"),
             SettingChange("lr0", "0.01", None, "smaller", "lr")),
    resume=Resume("yolo train resume model=w/epoch3.pt", "w/epoch3.pt", True, "epoch 4 is repeated"),
    steps=("stop the run", "restart from epoch 3"),
    unknown=("the gradient norm",),
)  # fmt: skip
CLEAN = Checkpoint("w/epoch3.pt", "clean", "PyTorch", size=52_000_000, epoch=3, modified_at=NOW - 3600)
BROKEN = Checkpoint(
    "w/last.pt", "nonfinite", "PyTorch", size=52_000_000, epoch=4, modified_at=NOW,
    parts=(Part("model", 2, 10, nan=3),), bad=(BadTensor("a.b", "model", "float32", (2,), 2, 2, 0),), bad_tensors=1,
)  # fmt: skip


def test_diagnosis_changes_steps_and_checkpoints_are_told() -> None:
    """Causes with what speaks for and against them, settings before and after, the clean checkpoint, the command."""
    weights = Weights("w", (BROKEN, CLEAN), CLEAN)
    text = render_markdown(report_on(yolo(), DIAGNOSIS, weights))
    assert "1. **probable**: half precision overflows" in text
    assert "   - for it: 72 steps skipped (line 60)" in text
    assert "   - against it: losses are finite" in text
    assert "The last clean checkpoint is `epoch3.pt` (epoch 3)." in text
    flat = " ".join(text.split())
    assert "| `last.pt` | 3 NaN in 1 tensor | 4 | 14:02 | 52.0 MB |" in flat
    assert "| amp | True | False | overflow needs half precision |" in flat
    assert "| lr0 | 0.01 | yours to choose | smaller |" in flat
    assert "1. stop the run\n2. restart from epoch 3\n" in text
    assert "```sh\nyolo train resume model=w/epoch3.pt\n```" in text
    assert "`w/epoch3.pt` (scanned, no NaN in it)" in text


def test_no_clean_checkpoint_is_said() -> None:
    """Where every checkpoint that was looked at is bad, the page says so, and why none was looked at."""
    assert "None of the checkpoints is known to be clean." in words(report_on(yolo(), None, Weights("w", (BROKEN,))))
    missing = words(report_on(yolo(), None, Weights("w", problem="folder is missing")))
    assert "No checkpoint was looked at in w: folder is missing" in missing


# -- healthy runs, several runs, genuine logs


def test_a_healthy_run_has_a_short_page() -> None:
    """A run without trouble says so in its first line, and has neither incident nor alerts nor advice."""
    data = (CAPTURES / "ultralytics" / "v8n_8.3.200_redirect.log").read_bytes()
    snapshot = snapshot_of(data, "well.log")
    report = report_on(snapshot)
    assert report.pages[0].health == "ok"
    assert "no NaN, no step skipped" in report.pages[0].headline
    titles = [section.title for section in report.pages[0].sections]
    assert not set(titles) & {"What happened", "Diagnosis", "Next steps", "Checkpoints"}
    assert len(render_terminal(report, 80, color=False).splitlines()) <= 34


def test_several_runs_have_an_overview_worst_first() -> None:
    """Two runs and a log without one: the overview counts them, the worse run comes first, the log says why."""
    data = (CAPTURES / "ultralytics" / "v8n_8.3.200_redirect.log").read_bytes()
    snapshots = [snapshot_of(data, "a/well.log"), cod()]
    pages = [(s.view, page_of(s, Diagnosis(), None, CONFIG, NOW)) for s in snapshots if s.view is not None]
    report = report_of(pages, [LogProblem("gone.log", "file is missing")], NOW)
    assert report.title == "nanwatch report: 2 runs: 1 critical, 1 ok"
    assert [page.name for page in report.pages] == ["cod", "a/well"]
    text = words(report)
    assert "cod critical stalled epoch 101" in text
    assert "`gone.log` file is missing" in text


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_every_genuine_log_has_a_report_in_every_form(path: Path) -> None:
    """Every capture renders on terminals of two widths, as Markdown and as HTML; no line is wider than its screen."""
    snapshot = snapshot_of(path.read_bytes(), path.name, 60.0)
    report = report_on(snapshot, DIAGNOSIS, Weights("w", (BROKEN, CLEAN), CLEAN))
    for width in (80, 120):
        for ascii_only in (False, True):
            text = render_terminal(report, width, color=False, ascii_only=ascii_only)
            assert max(map(cell_len, text.splitlines())) <= width
            assert "\x1b" not in text
    assert render_markdown(report).startswith("# nanwatch report: ")
    assert "<h1>nanwatch report: " in render_html(report)


def test_charts_tell_nan_and_alerts() -> None:
    """The plots of the first incident count all 73 NaN of a loss, and mark where each alert began."""
    charts = next(p for s in page(yolo()).sections for p in s.parts if isinstance(p, Charts)).charts
    losses = {chart.title: chart for chart in charts if chart.title.endswith("_loss")}
    assert set(losses) == {"box_loss", "cls_loss", "dfl_loss"}
    for chart in losses.values():
        assert sum(mark.values for mark in chart.bad) == 73
        assert chart.bad[0].where == "e4 b32"
        assert chart.text.endswith("73 NaN")
        assert {mark.text.partition(":")[0] for mark in chart.alerts} == {
            "vram_jump", "grad_skip", "nan_loss", "nan_burst",
        }  # fmt: skip
    assert "VRAM" in {chart.title for chart in charts}


def page(snapshot: Snapshot) -> ReportPage:
    """Return the page of one run."""
    return report_on(snapshot).pages[0]


def test_a_run_without_epochs_has_a_report() -> None:
    """A log that counts steps alone tells them, its alerts by step, and needs no epochs."""
    lines = [f"step {n}: loss {0.5 if n < 40 else float('nan')}" for n in range(1, 80)]
    report = report_on(snapshot_of(("\n".join(lines) + "\n").encode(), "steps.log"))
    assert "step 79" in words(report)
    assert report.pages[0].health == "critical"


def test_an_unused_run_is_refused() -> None:
    """A snapshot without a run has no page: that is the caller's mistake."""
    with pytest.raises(ValueError, match="no page"):
        page_of(Snapshot(Path("x")), Diagnosis(), None, CONFIG, NOW)
    assert Run("x", "x").epoch is None
