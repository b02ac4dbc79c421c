"""The one-shot summary: what it says of the incidents, of every family of logs, and of hostile ones."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from fixtures.stories import write_cod, write_yolo
from nanwatch.model.alert import Alert, Severity
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Best, Epoch, Evaluation, Run, RunFailure, Status
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.status import status_of
from nanwatch.views.summary import LogProblem, RunView, health, render_summary
from nanwatch.views.words import (
    age,
    clean,
    cut_end,
    cut_middle,
    duration,
    moment,
    number,
    percent,
    rough,
    speed,
)

CAPTURES = Path(__file__).parent.parent.parent / "fixtures" / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))
NOW = 1_763_733_771.0  # Friday 21 November 2025, 14:02:51 UTC
WIDTHS = (40, 60, 80, 120)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# -- material


def views_of(data: bytes, log: str, silence: float | None = None, ended: bool = False) -> list[RunView]:
    """Read a log as the summary does."""
    pipeline = LogPipeline(log)
    list(pipeline.feed(Chunk(0, data)))
    list(pipeline.finish() if ended else pipeline.catch_up())
    if silence is not None:
        list(pipeline.tick(NOW, NOW - silence))
    runs = [(r, pipeline.alerts_of(r)) for r in pipeline.runs]
    return [RunView(r, alerts, status_of(r, alerts), silence) for r, alerts in runs]


def capture(name: str, silence: float | None = None) -> list[RunView]:
    """Read a capture whose writer has gone."""
    return views_of((CAPTURES / name).read_bytes(), name.rpartition("/")[2], silence, ended=True)


def story(write: Callable[..., object], name: str, batches: int, silence: float) -> list[RunView]:
    """Read a story of a few batches an epoch."""
    out = io.BytesIO()
    write(out, batches=batches)
    return views_of(out.getvalue(), name, silence)


@pytest.fixture(scope="module")
def yolo() -> list[RunView]:
    """The small yolo story, being written."""
    return story(write_yolo, "yolo.log", 410, 2.0)


@pytest.fixture(scope="module")
def cod() -> list[RunView]:
    """The small cod story, silent for nine hours."""
    return story(write_cod, "cod.log", 20, 33_000.0)


def summary(
    runs: list[RunView],
    problems: list[LogProblem] | None = None,
    width: int = 80,
    height: int | None = None,
    color: bool = False,
    ascii_only: bool = True,
) -> str:
    """Render with the time given."""
    return render_summary(runs, problems or [], now=NOW, width=width, height=height, color=color, ascii_only=ascii_only)


def words(text: str) -> str:
    """Join *text* as if it had never been broken into lines."""
    return " ".join(text.split())


def row(text: str, label: str) -> list[str]:
    """Return the cells of the last line that begins with *label*."""
    return [line.split() for line in text.splitlines() if line.strip().startswith(label)][-1][1:]


def alert(rule: str, severity: Severity, message: str, epoch: int | None = None, **evidence: float) -> Alert:
    """Make an alert that fires."""
    key = "" if epoch is None else f"epoch {epoch}"
    quiet = ("inhibited by nan_burst",) if rule == "nan_loss" else ()
    return Alert("0", rule, key, severity, "firing", message, epoch, None, 0, 1, dict(evidence), None, suppressed=quiet)


def epoch_row(epoch: int, loss: float = 1.0, batch: int = 41_163, **more: object) -> Epoch:
    """Make a row of the table, complete unless said otherwise."""
    found = Epoch(epoch, batch=batch, batches=41_163, losses={"box_loss": loss}, done=batch == 41_163)
    found.seconds = 19_232.0 * batch / 41_163
    for name, value in more.items():
        setattr(found, name, value)
    return found


def full_size() -> RunView:
    """The yolo incident in its real size: 73 NaN in 7,550 of 41,163 batches."""
    run = Run("yolo.log", "yolo.log", "ultralytics", epoch=4, epochs=50, batch=7550, batches=41_163, first_epoch=1)
    run.losses, run.rate, run.vram_gb = {"box_loss": 1.602}, 2.2, 4.71
    run.nan_batches, run.nan_onset, run.grad_skips = 73, (4, 32), 72
    run.primary_metric, run.best = "mAP50-95", Best("mAP50-95", 0.262, 3)
    run.evaluations = [Evaluation(1, 0.229, 0), Evaluation(2, 0.246, 0), Evaluation(3, 0.262, 0)]
    for number_, value in ((1, 0.229), (2, 0.246), (3, 0.262)):
        clean_row = epoch_row(number_, 2.1 - number_ / 6, vram_gb=4.2, metrics={"mAP50-95": value})
        run.table[number_] = clean_row
    run.table[4] = epoch_row(
        4, 1.602, 7550, nan_batches=73, nan_onset=32, nan_last=[7000, 7100, 7348], nan_tightest=8,
        grad_skips=72, skip_first=31, vram_gb=4.71,
    )  # fmt: skip
    alerts = [
        alert("vram_jump", "warning", "VRAM 4.2 -> 4.71 G (+0.51 G, +12 %) in epoch 4", 4, change_gb=0.51),
        alert("grad_skip", "critical", "72 optimizer steps skipped, as of batch 7,347", 4),
        alert("nan_loss", "warning", "loss is not finite since batch 32 of epoch 4", 4),
        alert("nan_burst", "critical", "73 NaN, as of batch 7,348", 4),
    ]
    return RunView(run, alerts, "running", 2.0)


def plain_run(name: str, status: Status = "running", epoch: int = 11, loss: float = 0.5) -> RunView:
    """Make a healthy run."""
    run = Run(name, name, "generic", epoch=epoch, epochs=14, batch=46, batches=100, first_epoch=1, rate=10.0)
    run.losses = {"loss": loss}
    run.table[epoch] = Epoch(epoch, batch=46, batches=100, losses={"loss": loss})
    if status == "finished":
        run.finished, run.best = "done", Best("IoU", 0.4641, epoch)
    return RunView(run, [], status, 5.0)


def many(healthy: int = 34) -> list[RunView]:
    """Make runs of which a few are in trouble."""
    failed = plain_run("exp/dino.log")
    failed.run.failure = RunFailure("oom", "torch.OutOfMemoryError: CUDA out of memory", 0, 11)
    ill = [
        RunView(failed.run, [alert("oom", "critical", "out of memory ended the run")], "failed", 2460.0),
        RunView(plain_run("exp/seg.log").run, [], "stalled", 1020.0),
        RunView(Run("exp/probe.log", "exp/probe.log"), [], "unknown", None),
        RunView(full_size().run, full_size().alerts, "running", 2.0),
    ]
    ill[3].run.id = "exp/unet.log"
    well = [plain_run(f"exp/vit-s-seed{n}.log", loss=0.4 + n / 100) for n in range(healthy)]
    return [*well, *(plain_run(f"exp/resnet-{c}.log", "finished") for c in "abc"), *ill]


# -- the incidents


def test_first_line_alone_is_the_answer() -> None:
    """The first line counts the runs by how bad they are."""
    assert summary([full_size()]).splitlines()[0] == "nanwatch 14:02:51  1 run: 1 CRITICAL"
    first = summary(many(2)).splitlines()[0]
    assert first == "nanwatch 14:02:51  9 runs: 2 CRITICAL, 1 warning, 1 unknown, 5 ok (3 finished)"


def test_one_look_at_the_yolo_incident_tells_all() -> None:
    """Onset, counts, rate, projection, VRAM and the clean epoch are told in words."""
    text = words(summary([full_size()]))
    assert "X yolo.log running epoch 4/50 batch 7,550/41,163 (18 %)" in text
    assert (
        "NaN since batch 32 of epoch 4; 72 optimizer steps skipped; "
        "VRAM +0.51 G against epoch 3; epoch 3 was clean" in text
    )
    assert (
        "X nan_burst: 73 NaN in 7,550 batches (0.97 %) since batch 32, the last at 7,348, "
        "about 400 by the epoch's end" in text
    )
    assert "VRAM 4.2 -> 4.71 G (+0.51 G against epoch 3)" in text
    assert "17h00 of training 2.2 it/s" in text
    assert "ETA 10d03h (1 Dec 17:22)" in text
    assert "NaN 73 in epoch 4, 73 in the run" in text
    assert "mAP50-95 0.262 at epoch 3, its best" in text


def test_a_single_nan_is_not_told_beside_its_burst() -> None:
    """nan_loss is silent where nan_burst fires for the same epoch, and the burst stands first."""
    lines = [line.split(":")[0].split()[-1] for line in summary([full_size()]).splitlines() if ": " in line]
    rules = [name for name in lines if name in ("nan_burst", "nan_loss", "grad_skip", "vram_jump")]
    assert rules == ["nan_burst", "grad_skip", "vram_jump"]


def test_yolo_story_shows_epochs_side_by_side(yolo: list[RunView]) -> None:
    """Losses, NaN, skipped steps and VRAM of epoch 3 stand beside those of epoch 4."""
    text = summary(yolo)
    assert row(text, "epoch ") == ["1", "2", "3", "4", "(60", "%)"]
    assert row(text, "box_loss")[2:] == ["1.617^", "1.598^"]
    assert row(text, "NaN ") == ["0", "0", "0", "73"]
    assert row(text, "skipped") == ["0", "0", "0", "72"]
    assert row(text, "VRAM G") == ["G", "4.20", "4.20", "4.20", "4.71"]
    assert row(text, "mAP50-95") == ["0.2290", "0.2460^", "0.2620*", "-"]
    assert "73 NaN in 246 batches (30 %) since batch 32" in words(text)


def test_cod_story_tells_best_decline_collapse_and_where_it_is_stuck(cod: list[RunView]) -> None:
    """The sentence dates the best IoU, the decline, the collapse and the hang."""
    text = words(summary(cod))
    assert text.startswith("nanwatch 14:02:51 1 run: 1 ")
    assert "stuck at 30 % of epoch 101, silent for 9h" in text
    assert "IoU: best 0.6413 at epoch 88, declining since 89, collapsed in 98 (0.6242 -> 0.0022), now 0.0023" in text
    assert "loss 0.221 -> 15.3 in epoch 98" in text
    assert "IoU 0.0023 at epoch 100 best 0.6413 at epoch 88" in text


def test_best_epoch_stays_in_the_table(cod: list[RunView]) -> None:
    """The best epoch stands beside the last ones, marked, with arrows for better and worse."""
    text = summary(cod)
    assert row(text, "epoch ")[:6] == ["88", "97", "98", "99", "100", "101"]
    assert row(text, "IoU ") == ["0.6413*", "0.6242v", "0.0022v", "0.0021v", "0.0023^", "-"]
    assert row(text, "loss ")[1:3] == ["0.2210^", "15.30v"]


# -- families and ends


@pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.stem}" for log in LOGS])
def test_every_capture_fits_every_width(log: Path) -> None:
    """No line is wider than asked for, whatever the trainer, and only printable characters come out."""
    views = capture(f"{log.parent.name}/{log.name}", 5000.0)
    for width in WIDTHS:
        for height in (None, 24):
            text = summary(views, width=width, height=height, ascii_only=False)
            assert max(map(cell_len, text.splitlines())) <= width
            assert text.replace("\n", "").isprintable()
            assert height is None or len(text.splitlines()) <= height - 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hf_trainer/hf_4.46_redirect_nan_filter.log", "NaN since epoch 2 (told by its gradient norm)"),
        ("hf_trainer/hf_4.46_redirect_u.log", "no trouble: no NaN, no step skipped"),
        ("keras/keras_3.15_pty_nan.log", "NaN since batch 41 of epoch 3; val_accuracy: best 0.878"),
        ("lightning/pl_2.6_redirect_tqdm_nan.log", "NaN batches since batch 21 of epoch 2, and still in epoch 4"),
        ("nanogpt/nanogpt_tee_nan.log", "NaN since step 120; val_loss is nan, best 2.351 at step 100"),
        ("sklearn/sk_mlp_tee_diverges.log", "failed in epoch 60; NaN since epoch 1"),
        ("xgboost/xgb_redirect.log", "eval-rmse 0.3645 at epoch 59 best 0.3629 at epoch 45"),
        ("yolov5/yolov5_redirect_killed.log", "epoch 3/8 batch 15/25 (60 %)"),
        ("ultralytics/v8n_8.3.100_redirect_oom.log", "failed at 86 % of epoch 3; no NaN, no step skipped"),
        ("ultralytics/v8n_8.3.100_pty_interrupted.log", "interrupted at 56 % of epoch 3"),
        ("ultralytics/v8n_8.0.200_redirect_startup_crash.log", "failed before the first epoch"),
        ("ultralytics/v8n_8.3.100_redirect_gradguard.log", "72 NaN from batch 40 of epoch 4 on"),
        ("ultralytics/v8n_8.2.100_redirect_interrupt_resume.log", "resumed once"),
        ("ultralytics/v8n_8.4.190_redirect_oom_recovers.log", "went on after running out of memory"),
        ("custom_cod/cod_nohup_oom.log", "X oom: out of memory ended the run: torch.OutOfMemoryError"),
    ],
)  # fmt: skip
def test_family_is_told_in_its_own_terms(name: str, sentence: str) -> None:
    """Epochs, steps, epoch lines only, failures: each is worded as what it is."""
    assert sentence in words(summary(capture(name)))


def test_failure_is_told_even_if_its_rule_is_off() -> None:
    """A failed run is critical and shows its last words though no alert fires."""
    [view] = capture("ultralytics/v8n_8.4.190_redirect_traceback.log")
    text = summary([RunView(view.run, [], view.status, None)])
    assert "1 run: 1 CRITICAL" in text
    assert "X KeyError: 'metrics'" in text


def test_unknown_format_names_the_command_that_explains_it() -> None:
    """A log that is not understood says so, and what to run."""
    view = RunView(Run("my log.txt", "my log.txt"), [], "unknown", None)
    text = words(summary([view]))
    assert "1 run: 1 unknown" in text
    assert "not understood: no epoch, step or loss was recognised; run `nanwatch explain 'my log.txt'`" in text


def test_not_a_number_is_shown_wherever_it_stands() -> None:
    """Losses, metrics, rates and times that are no numbers, or missing, break nothing and are named."""
    nan, inf = float("nan"), float("inf")
    view = full_size()
    run = view.run
    run.losses, run.rate, run.eta, run.lr, run.grad_norm = (
        {"a": nan, "b": inf, "c": -inf},
        nan,
        inf,
        nan,
        -inf,
    )
    run.table[4].losses = dict(run.losses)
    run.table[4].metrics, run.table[3].seconds, run.table[2].vram_gb = {"mAP50-95": nan}, inf, None
    run.evaluations.append(Evaluation(4, nan, 0))
    text = words(summary([view]))
    assert "loss a nan b inf c -inf" in text
    assert "mAP50-95 is nan, best 0.262 at epoch 3" in text
    for rate in (inf, 0.0, None):
        run.rate = rate
        assert summary([view] * 3)


# -- many runs


def test_many_runs_stand_worst_first_with_reasons() -> None:
    """A line each: critical, warning, unknown, running, finished; reasons for trouble only."""
    lines = summary(many(2)).splitlines()
    assert [line.split()[1] for line in lines[2:] if line[0] != " "] == [
        "dino", "unet", "seg", "probe", "vit-s-seed0", "vit-s-seed1", "resnet-a", "resnet-b", "resnet-c",
    ]  # fmt: skip
    assert lines[3] == "  torch.OutOfMemoryError: CUDA out of memory"
    assert lines[5] == "  73 NaN since batch 32 of epoch 4; 72 steps skipped; VRAM 4.2 -> 4.71 G"
    assert lines[7] == "  silent 17m at 46 % of epoch 11"
    assert lines[9] == "  not understood: run `nanwatch explain exp/probe.log`"


def test_columns_of_many_runs_line_up() -> None:
    """Every row has its status in the column of the head."""
    for width in WIDTHS:
        lines = [line for line in summary(many(2), width=width).splitlines()[1:] if line[0] != " "]
        at = lines[0].index("STATUS")
        assert all(line[at - 2 : at] == "  " and line[at] != " " for line in lines)


def test_forty_runs_fold_what_is_healthy() -> None:
    """Within 24 lines all trouble is told in full, and what was folded is counted."""
    text = summary(many(), height=24)
    assert len(text.splitlines()) <= 21
    assert "  torch.OutOfMemoryError: CUDA out of memory" in text.splitlines()
    assert "ok 34 running    34 vit-s-seed* epoch 11 loss 0.4-0.73 ETA 35s" in text
    assert "ok 3 finished    resnet-a 0.4641  resnet-b 0.4641  resnet-c 0.4641" in text


def test_little_height_counts_what_it_leaves_out() -> None:
    """Where even the trouble does not fit, the rest of it is counted and the healthy are one line."""
    ill = [
        RunView(plain_run(f"run{n}.log").run, [alert("x", "critical", "it broke")], "running", 2.0) for n in range(30)
    ]
    lines = summary([*ill, *many()], height=12).splitlines()
    assert len(lines) == 9
    assert lines[-2].strip() == "and 29 more with trouble"
    assert lines[-1] == "ok 34 running, 3 finished"


def test_two_runs_that_do_not_fit_become_a_list(yolo: list[RunView], cod: list[RunView]) -> None:
    """Two blocks where there is room, two lines where there is not."""
    assert "box_loss" in summary([*yolo, *cod])
    text = summary([*yolo, *cod], height=12)
    assert "box_loss" not in text
    assert text.splitlines()[1].startswith("H RUN ")


def test_healthy_ages_do_not_flicker() -> None:
    """A healthy running log shows no age, so that `watch -d` marks real changes only."""
    texts = {
        summary([RunView(v.run, v.alerts, v.status, s) for v in [plain_run(c) for c in "abc"]]) for s in (1.0, 9.0)
    }
    assert len(texts) == 1


def test_stable_order() -> None:
    """Runs that are equally bad keep the order in which they were given."""
    text = summary([plain_run(name) for name in ("zeta", "alpha", "mid")])
    assert [line.split()[1] for line in text.splitlines()[2:]] == ["zeta", "alpha", "mid"]


@pytest.mark.parametrize(
    ("status", "alerts", "expected"),
    [
        ("running", [], "ok"), ("finished", [], "ok"), ("interrupted", [], "ok"), ("unknown", [], "unknown"),
        ("stalled", [], "warning"), ("failed", [], "critical"), ("crashed", [], "critical"),
        ("stalled", [alert("stall", "critical", "silent")], "critical"),
        ("finished", [alert("finished", "info", "done")], "ok"),
        ("running", [alert("vram_jump", "warning", "more")], "warning"),
    ],
)  # fmt: skip
def test_health_is_the_worst_of_alerts_and_end(status: Status, alerts: list[Alert], expected: str) -> None:
    """What `--check` and the first line go by."""
    assert health(RunView(plain_run("a").run, alerts, status, None)) == expected


# -- logs without a run


def test_problems_are_told_and_counted() -> None:
    """A log without a run is named with its reason, and the first line counts it."""
    problems = [LogProblem("a.log", "permission denied"), LogProblem("b.log", "file is missing")]
    assert summary([], problems).splitlines() == [
        "nanwatch 14:02:51  no runs, 2 logs without a run",
        "? a.log  permission denied",
        "? b.log  file is missing",
    ]
    assert summary([plain_run("c")], problems[:1]).splitlines()[0] == (
        "nanwatch 14:02:51  1 run: 1 ok, 1 log without a run"
    )
    few = summary([], [LogProblem(f"{n}.log", "empty") for n in range(50)], height=12).splitlines()
    assert few[-1] == "? and 48 more logs without a run"


def test_nothing_at_all_is_said() -> None:
    """No runs and no problems still give a line."""
    assert summary([]) == "nanwatch 14:02:51  no runs\n"
    assert render_summary([], [], now=None, width=80, height=None, color=False) == "nanwatch  no runs\n"


# -- hostile text

HOSTILE = (
    "\x1b]0;owned\x07[bold]x[/] [/] \x1b[31mred\x1b[0m \u202egnp.exe\u2066 a\nb\r\tc\x9b5mz \udce9 "
    "e\u0301\u0301\u0301\u0301"
)


def hostile_view(text: str) -> RunView:
    """Put *text* wherever a log's text can get to."""
    view = full_size()
    run = view.run
    run.id = run.log = text
    run.failure = RunFailure("exception", text, 0, 4)
    run.recoveries = [RunFailure(text, text, 0, 4)]
    run.losses = {text: 1.0, f"{text}2": float("nan")}
    run.metrics = run.final_metrics = {text: 0.5}
    run.primary_metric, run.best = text, Best(text, 0.5, 1)
    run.interrupted = text
    for item in run.table.values():
        item.losses, item.metrics = {text: item.epoch * 30.0}, {text: 0.1 * item.epoch}
    alerts = [
        *view.alerts,
        alert(text, "critical", text),
        alert("vram_jump", "warning", text, 4, change_gb=1.0),
    ]
    return RunView(run, alerts, "failed", 5.0)


def test_markup_stands_as_it_is_and_escapes_are_gone() -> None:
    """Rich markup in a log's name or message is only text; escapes, controls and bidi signs vanish."""
    text = words(summary([hostile_view(HOSTILE)], width=200))
    assert "X [bold]x[/] [/] red gnp.exe a b cz e\u0301\u0301 failed" in text
    assert "owned" not in text
    assert summary([], [LogProblem("[/]\x1b[2J", "[bold]no[/]")]).splitlines()[1] == "? [/]  [bold]no[/]"


def test_colour_adds_nothing_but_colour() -> None:
    """With colours the text is the same, and colours are the only escapes."""
    for views in ([hostile_view(HOSTILE)], [hostile_view(HOSTILE)] * 3, many()):
        colored = summary(views, color=True)
        assert "\x1b[1;31m" in colored
        bare = "".join(part.partition("m")[2] if n else part for n, part in enumerate(colored.split("\x1b[")))
        assert bare == summary(views)


def test_healthy_screen_has_almost_no_colour() -> None:
    """What is well has the default colour: no red, no yellow."""
    colored = summary([plain_run(c) for c in "abc"], color=True)
    assert "31m" not in colored
    assert "33m" not in colored


@settings(deadline=None)
@given(
    text=st.text(max_size=60),
    width=st.integers(20, 130),
    height=st.none() | st.integers(4, 40),
    runs=st.integers(1, 4),
)
def test_any_text_keeps_within_the_page(text: str, width: int, height: int | None, runs: int) -> None:
    """Whatever a log holds, the summary is printable, encodable and within its width and height."""
    shown = summary([hostile_view(text)] * runs, [LogProblem(text, text)], width=width, height=height)
    assert shown.replace("\n", "").isprintable()
    assert shown.encode()
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert height is None or len(shown.splitlines()) <= max(1, height - 3)


def test_numbers_survive_where_names_are_cut() -> None:
    """At 40 columns the name loses its middle, the numbers nothing."""
    view = full_size()
    view.run.id = "experiments/camouflage/2025-11-21/unet-iou-v3-with-quite-a-very-long-name.log"
    text = words(summary([view], width=40))
    assert "unet-iou-v3-with-...very-long-name.log" in text
    for whole in ("7,550/41,163 (18 %)", "73 in epoch 4, 73 in the run", "4.2 -> 4.71 G", "1.602"):
        assert whole in text


# -- words


def test_numbers_have_four_telling_digits() -> None:
    """Small, large and odd numbers are told in as many digits as mean something."""
    values = (0, 1.07, 15.3, 0.6413, 24_664_718.4, 9.99996, 0.000548, float("nan"), float("-inf"), None)
    shown = ["0", "1.07", "15.3", "0.6413", "2.47e+07", "10", "0.000548", "nan", "-inf", "-"]
    assert [number(v) for v in values] == shown
    assert [number(v, aligned=True) for v in (1.07, 0.262, 99.996)] == ["1.070", "0.2620", "100.0"]


def test_shares_and_projections_do_not_pretend() -> None:
    """A rate has two digits and is 100 % only when it is; a projection has two digits."""
    assert [percent(v) for v in (0.0097, 0.2967, 0.99999, 1.0, 0.000_01)] == [
        "0.97 %",
        "30 %",
        "99 %",
        "100 %",
        "<0.01 %",
    ]
    assert [rough(v) for v in (398, 41, 12_345)] == ["400", "41", "12,000"]


def test_times_are_short() -> None:
    """Durations and ages have the one or two units that matter, moments as much date as they need."""
    assert [duration(s) for s in (42, 2460, 25_920, 154_800, 1e8, float("nan"))] == [
        "42s", "41m", "7h12", "1d19h", "1157d", "ages",
    ]  # fmt: skip
    assert [age(s) for s in (2.7, 1020, 33_000, 300_000)] == ["2s", "17m", "9h", "3d"]
    assert [moment(NOW + s, NOW) for s in (60, 86_400, 8 * 86_400, 4e7, 1e30)] == [
        "14:03", "Sat 14:02", "29 Nov 14:02", "27 Feb 2027", "far away",
    ]  # fmt: skip
    assert (speed(2.2), speed(0.5), speed(0), speed(None)) == ("2.2 it/s", "2 s/it", None, None)


def test_cuts_spare_ends_and_numbers() -> None:
    """A name loses its middle; a reason loses whole words; wide characters count as two cells."""
    assert cut_middle("unet-iou-v3-long.log", 12, "...") == "unet...g.log"
    assert cut_end("73 NaN since batch 32 of epoch 4; 72 steps", 36, "...") == "73 NaN since batch 32 of epoch 4..."
    assert cell_len(cut_middle("訓練ログ訓練ログ訓練ログ", 11, "…")) <= 11


def test_clean_is_one_line_of_bounded_length() -> None:
    """A megabyte of anything becomes a short line."""
    assert clean("a\n\n b\t c") == "a b c"
    assert len(clean("\x1b]" * 500_000 + "x" * 500_000)) <= 1000
