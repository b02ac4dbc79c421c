"""The overview of a run: what it says of the incidents, in every state, at every size, and of hostile logs."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from fixtures.stories import write_cod, write_yolo
from nanwatch.model.alert import Alert, Severity, State
from nanwatch.model.checkpoint import Checkpoint, Part, Weights
from nanwatch.model.curve import Curve
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Best, Epoch, Evaluation, Process, Run, RunFailure, Status
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.status import status_of
from nanwatch.views.dashboard.messages import CopyWanted, LogWanted
from nanwatch.views.dashboard.overview import OverviewPanel, overview_lines
from nanwatch.views.dashboard.overview_signs import bar, sampled, signs_of, size, spark
from nanwatch.views.dashboard.overview_tail import Tail, last_lines
from nanwatch.views.dashboard.themes import DARK, ThemedApp
from nanwatch.views.page import Line

CAPTURES = Path(__file__).parents[3] / "fixtures" / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))
NOW = 1_763_733_771.0  # Friday 21 November 2025, 14:02:51 UTC
SIZES = ((80, 24), (120, 40), (200, 60))
HOSTILE = "\x1b[31mred\x1b]0;title\x07 [bold]x[/bold] \u202eabc \u8a13\u7df4 e\u0301\u0301\u0301\u0301 \t\x00"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# -- material, for the tests of the other tabs too


def views_of(data: bytes, log: str, silence: float | None = None, ended: bool = False) -> list[RunView]:
    """Read a log as the dashboard does."""
    pipeline = LogPipeline(log)
    list(pipeline.feed(Chunk(0, data)))
    list(pipeline.finish() if ended else pipeline.catch_up())
    if silence is not None:
        list(pipeline.tick(NOW, NOW - silence))
    runs = [(run, pipeline.alerts_of(run)) for run in pipeline.runs]
    return [RunView(run, alerts, status_of(run, alerts), silence) for run, alerts in runs]


@cache
def capture(name: str) -> RunView:
    """Return the last run of a capture whose writer has gone."""
    return views_of((CAPTURES / name).read_bytes(), name.rpartition("/")[2], ended=True)[-1]


@cache
def yolo() -> RunView:
    """Return the small yolo story, being written."""
    out = io.BytesIO()
    write_yolo(out, batches=410)
    return views_of(out.getvalue(), "yolo.log", 2.0)[-1]


@cache
def cod() -> RunView:
    """Return the small cod story, silent for nine hours."""
    out = io.BytesIO()
    write_cod(out, batches=20)
    return views_of(out.getvalue(), "cod.log", 33_000.0)[-1]


def snapshot(view: RunView | None, **more: Any) -> Snapshot:
    """Return *view* as the dashboard is given it; the log is silent for as long as the view says."""
    grew = None if view is None or view.silence is None else NOW - view.silence
    return Snapshot(Path("/logs/x.log"), view, **{"grew_at": grew, **more})


def hand_made(status: Status = "running", alerts: Sequence[Alert] = (), **fields: Any) -> RunView:
    """Return a run of ten epochs in its third: the loss falls, IoU rises, then falls."""
    told = [(1, 0.9, 0.50), (2, 0.7, 0.64), (3, 0.65, 0.60)]
    table = {
        n: Epoch(
            n, batch=100 if n < 3 else 50, batches=100, vram_gb=4.2, losses={"loss": loss}, metrics={"IoU": iou},
            lr=0.1 / n, seconds=60.0 * n, offset=1000 * n, done=n < 3,
        )
        for n, loss, iou in told
    }  # fmt: skip
    known: dict[str, Any] = {
        "epoch": 3, "epochs": 10, "batch": 50, "batches": 100, "first_epoch": 1, "losses": {"loss": 0.65},
        "metrics": {"IoU": 0.60}, "lr": 0.0333, "vram_gb": 4.2, "rate": 2.0, "table": table, "primary_metric": "IoU",
        "best": Best("IoU", 0.64, 2), "evaluations": [Evaluation(n, iou, 1000 * n) for n, _, iou in told],
        "format": "generic", "offset": 9000,
    }  # fmt: skip
    return RunView(Run("exp/x", "x.log", **{**known, **fields}), list(alerts), status, 3.0)


def alert(
    rule: str = "nan_loss", severity: Severity = "warning", state: State = "firing", message: str = "a message",
    epoch: int | None = 2, batch: int | None = 7, started_at: float | None = None, **more: Any,
) -> Alert:  # fmt: skip
    """Return an alert."""
    known: dict[str, Any] = {"offset": 4711, "line": 12, "evidence": {}, **more}
    place = (epoch, batch, known.pop("offset"), known.pop("line"), known.pop("evidence"))
    return Alert(known.pop("id", f"{rule} {message}"), rule, "", severity, state, message, *place, started_at, **known)


def texts(lines: Sequence[Line]) -> list[str]:
    """Return *lines* as they stand on a screen."""
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def test_the_checkpoint_to_start_again_from_is_told() -> None:
    """It stands below what is wrong, with what is wrong with newer ones; that none is clean is told too."""
    bad = Checkpoint("/w/last.pt", "nonfinite", parts=(Part("model", 3, 100, nan=1204),))
    clean = Checkpoint("/w/[b]e3\x1b.pt", "clean", epoch=3, parts=(Part("model", 3, 100),))
    view = hand_made(alerts=[alert()])
    told = "\n".join(texts(overview_lines(snapshot(view, weights=Weights("/w", (bad, clean), clean)), NOW, 80)))
    assert " > last clean checkpoint, epoch 3: /w/[b]e3" in told
    assert "newer: last.pt: 1,204 NaN" in told
    assert "\x1b" not in told
    told = "\n".join(texts(overview_lines(snapshot(view, weights=Weights("/w", (bad,))), NOW, 80)))
    assert " ! no clean checkpoint in /w; last.pt: 1,204 NaN" in told


class PanelApp(ThemedApp):
    """A dashboard that is but one panel, and keeps what the panel asks for."""

    def __init__(self, panel: Widget) -> None:
        super().__init__(theme=DARK)
        self.panel = panel
        self.wishes: list[Message] = []

    def compose(self) -> ComposeResult:
        """Show the panel."""
        yield self.panel

    def _keep(self, wish: Message) -> None:
        self.wishes.append(wish)

    on_log_wanted = on_copy_wanted = on_ack_wanted = on_silence_wanted = _keep


def screen(app: PanelApp) -> list[str]:
    """Return what is on the screen."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def using(
    panel: Widget, shown: Snapshot, use: Callable[[PanelApp, Pilot[None]], Awaitable[None]], cells: tuple[int, int]
) -> None:
    """Show *shown* in *panel* on a terminal of so many *cells*, and use it."""

    async def main() -> None:
        app = PanelApp(panel)
        async with app.run_test(size=cells) as pilot:
            panel.focus()
            panel.show_run(shown, NOW)  # type: ignore[attr-defined]
            await pilot.pause()
            await use(app, pilot)

    asyncio.run(main())


# -- what it says


def test_healthy_run_is_told_in_one_look() -> None:
    """A run without trouble: a calm sentence, bars, figures with their arrows, the last epochs."""
    lines = texts(overview_lines(snapshot(hand_made()), NOW, 80))
    assert lines == [
        " · IoU is 0.6, best 0.64 at epoch 2; no NaN, no step skipped",
        "   epoch    3/10    " + "▓" * 8 + "░" * 27 + "  25 %  ETA 6m, 14:09",
        "   batch    50/100  " + "▓" * 17 + "░" * 18 + "  50 %  25s left in epoch",
        "   speed    2 it/s  6m of training",
        "   NaN      none",
        "   VRAM     4.2 G peak  as in epoch 2",
        "   loss     0.6500",
        "   IoU      0.64 → 0.6 ▾ worse  ▁█▆  at epoch 3  best 0.64 at epoch 2",
        "   more     lr 0.0333  format generic  last output 3s ago",
        "  epoch        1        2   3 (50 %)",
        *lines[10:],
    ]
    assert len(lines) <= 18


def test_curves_become_sparklines() -> None:
    """A loss has its curve beside it, with a sign where it was not finite, and the last finite value is told."""
    curve = Curve()
    for batch, value in enumerate([4.0, 3.0, 2.0, 1.0, math.nan]):
        curve.add(batch, value, batch)
    view = hand_made(losses={"loss": math.nan}, table={3: Epoch(3, batch=5, losses={"loss": math.nan})}, batch=5,
                     first_epoch=3, batches=5)  # fmt: skip
    lines = texts(overview_lines(snapshot(view, curves={"loss": curve}), NOW, 80))
    assert "   loss     nan        █▆▃▁×  last finite 1, 2 batches ago" in lines


def test_yolo_story_names_what_is_wrong() -> None:
    """The NaN incident: the sentence, the alerts, and the letter of each alert at the figure it speaks of."""
    lines = texts(overview_lines(snapshot(yolo()), NOW, 80))
    assert lines[:3] == [
        " X NaN since batch 32 of epoch 4; 72 optimizer steps skipped; VRAM +0.51 G",
        "   against epoch 3; epoch 3 was clean",
        " X nan_burst: 73 NaN in 246 batches (30 %) since batch 32, the last at 244,",
    ]
    assert " X NaN      73 in epoch 4 since batch 32  0 before  73 in all" in lines
    assert " X skips    72 in epoch 4 (29 %)  0 before  72 in all" in lines
    assert " ! VRAM     4.71 G peak  4.2 → 4.71 (+0.51 G against epoch 3)" in lines


def test_cod_story_tells_silence_and_rhythm() -> None:
    """A run that is stuck: for how long, its usual gap, and who writes the log, as far as that is known."""
    view = replace(cod(), run=replace(cod().run, longest_silence=94.0, process=Process(4711, "python", 0.0, 99.0)))
    lines = texts(overview_lines(snapshot(view), NOW, 80))
    assert lines[0].startswith(" X stuck at 30 % of epoch 101, silent for 9h; IoU: best 0.6413 at epoch 88,")
    assert "   usual gap at most 1m; pid 4711 python, alive, 99 % CPU" in lines
    assert any("last output 9h ago" in line for line in lines)


def test_time_since_last_output_is_live() -> None:
    """The silence is told as of now, not as of the snapshot."""
    lines = texts(overview_lines(snapshot(cod()), NOW + 7200, 80))
    assert lines[0].startswith(" X stuck at 30 % of epoch 101, silent for 11h;")


def test_nothing_read_yet() -> None:
    """Before the first bytes are understood, that is said."""
    assert texts(overview_lines(snapshot(None), NOW, 80)) == [" reading…"]


def test_history_and_estimate_are_told() -> None:
    """While history is read, how much is missing is told, and what only the end shows is marked."""
    shown = snapshot(hand_made(), size=3_200_000_000, read=1_216_000_000, is_history=True, is_estimate=True)
    lines = texts(overview_lines(shown, NOW, 80))
    assert lines[:3] == [
        " history 38 % (1.22 of 3.2 G)",
        " only the log's end was read so far: ~ is what that end shows",
        " · ~IoU is 0.6, best 0.64 at epoch 2; no NaN, no step skipped",
    ]
    assert "   NaN      ~none" in lines


def test_beginning_of_a_log_is_no_verdict() -> None:
    """While a log is read from its beginning, nothing is said to be well; what is wrong is said."""
    shown = snapshot(hand_made(), size=100, read=38, is_history=True)
    lines = texts(overview_lines(shown, NOW, 80))
    assert lines[:2] == [" reading: history 38 % (38 of 100 B)", "   IoU is 0.6, best 0.64 at epoch 2"]
    assert "   NaN      none so far" in lines
    calm = hand_made(metrics={}, evaluations=[], primary_metric=None, best=None)
    assert texts(overview_lines(replace(shown, view=calm), NOW, 80))[1] == "   at 50 % of epoch 3"
    lines = texts(overview_lines(snapshot(yolo(), size=100, read=38, is_history=True), NOW, 80))
    assert lines[1].startswith(" X NaN since batch 32")


def test_empty_log_is_called_empty() -> None:
    """A log to which nothing was written yet is no log that is being read, and none that is not understood."""
    told = [" empty so far: nothing was written to this log yet"]
    for view in (None, RunView(Run("x", "x.log"), [], "unknown", 5.0)):
        shown = Snapshot(Path("/logs/x.log"), view, grew_at=NOW - 5, is_history=view is None)
        assert texts(overview_lines(shown, NOW, 80)) == told
    assert texts(overview_lines(Snapshot(Path("-"), grew_at=NOW), NOW, 80)) == [" reading…"]


def test_silent_log_has_no_forecast() -> None:
    """After a minute and several of the usual gaps without output, the last pace foretells nothing."""

    def shown(silence: float, **fields: Any) -> str:
        view = replace(hand_made(**fields), silence=silence)
        return "\n".join(texts(overview_lines(snapshot(view), NOW, 80)))

    assert "ETA 6m, 14:09" in shown(59.0)
    assert "ETA 6m, 14:09" in shown(100.0, longest_silence=40.0)
    silent = shown(130.0, longest_silence=40.0)
    assert "ETA -" in silent
    assert "left in epoch" not in silent
    assert "last 2 it/s" in silent
    assert "was due at 13:57" in shown(720.0)


def test_rhythm_that_is_not_known_is_left_out() -> None:
    """A stalled run of which nothing tells the usual gap: no word of it."""
    told = "\n".join(texts(overview_lines(snapshot(hand_made("stalled")), NOW, 80)))
    assert "usual gap" not in told
    assert "   which process writes it is not known" in told


def test_loss_of_the_batch_and_of_the_epoch_are_told_apart() -> None:
    """Where the primary metric is a loss that has a row already, its own says of what it is."""
    lines = texts(overview_lines(snapshot(capture("sklearn/sk_mlp_redirect.log")), NOW, 80))
    assert any(line.startswith("   loss        0.2910") for line in lines)
    assert any(line.startswith("   loss, epoch 0.2913 → 0.291") for line in lines)


def test_another_alert_that_stands_for_one_is_named_in_words() -> None:
    """Of what is silenced the reasons are told, without the words of the machinery."""
    quiet = alert(suppressed=("silenced: until 17:30", "inhibited by nan_burst"))
    lines = texts(overview_lines(snapshot(hand_made(alerts=[quiet])), NOW, 80))
    assert " z nan_loss: a message (silenced: until 17:30; told by nan_burst)" in lines


def test_problem_keeps_the_last_values() -> None:
    """A log that cannot be read now: why, and below what was known of it."""
    lines = texts(overview_lines(snapshot(hand_made(), problem="file gone 14:01:12"), NOW, 80))
    assert lines[0] == " ! file gone 14:01:12; last values kept"
    assert "   NaN      none" in lines
    assert texts(overview_lines(snapshot(None, problem="permission denied"), NOW, 80)) == [" ! permission denied"]


def test_unknown_format_says_what_to_do() -> None:
    """A log that is not understood: the command that shows why, and the tab that works all the same."""
    view = RunView(Run("x", "a b.log"), [], "unknown", None)
    lines = " ".join(" ".join(texts(overview_lines(snapshot(view), NOW, 80))).split())
    assert "? not understood: no epoch, step or loss was recognised; run `nanwatch explain 'a b.log'`" in lines
    assert "key 5 shows the log itself" in lines


def test_failure_is_told_verbatim() -> None:
    """A run that failed: the log's own line, where it stands, and the key that shows it."""
    lines = texts(overview_lines(snapshot(capture("ultralytics/v8n_8.4.190_redirect_traceback.log")), NOW, 80))
    assert lines[:3] == [
        " X failed at 22 % of epoch 3; no NaN, no step skipped",
        " X KeyError: 'metrics'",
        "   in epoch 3; line 71 of the log; Enter shows it in the log",
    ]


def test_finished_run_tells_its_result() -> None:
    """A run that is done: how long it took, the final and the best metric."""
    lines = texts(overview_lines(snapshot(capture("ultralytics/v8n_8.4.190_redirect.log")), NOW, 80))
    assert "   finished after 8 epochs in 20s; final mAP50-95 0.464; best 0.464 at epoch 8" in lines


def test_wide_screens_have_two_columns() -> None:
    """From 130 cells on, what was measured stands beside how the run is."""
    lines = texts(overview_lines(snapshot(hand_made()), NOW, 140))
    assert any(line.startswith("   epoch    3/10") and " │    loss     0.6500" in line for line in lines)
    assert not any("│" in line for line in texts(overview_lines(snapshot(hand_made()), NOW, 129)))


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_every_capture_fits_its_screen(log: Path) -> None:
    """Whatever the log and the width, no line is longer than the screen, and each is printable."""
    view = capture(str(log.relative_to(CAPTURES)))
    for width in (1, 8, 40, 79, 80, 131, 200):
        for is_ascii in (False, True):
            for line in texts(overview_lines(snapshot(view), NOW, width, 24, is_ascii)):
                assert cell_len(line) <= width
                assert line.isprintable()


def test_ascii_only_is_ascii() -> None:
    """Where only ASCII can be shown, nothing else is."""
    for view in (yolo(), cod(), hand_made()):
        assert all(line.isascii() for line in texts(overview_lines(snapshot(view), NOW, 140, is_ascii=True)))


def test_hostile_names_stay_text() -> None:
    """Escapes, markup, wide and bidirectional text in names and messages stand there inert, or not at all."""
    failure = RunFailure("error", HOSTILE, 5, 3)
    view = hand_made("failed", losses={HOSTILE: 1.0}, metrics={HOSTILE + "2": 1.0}, failure=failure, format=HOSTILE,
                     primary_metric=HOSTILE, best=Best(HOSTILE, 1.0, 2), process=Process(1, HOSTILE, 0.0))  # fmt: skip
    for width in (30, 80, 140):
        lines = texts(overview_lines(snapshot(view, problem=HOSTILE), NOW, width))
        assert all(line.isprintable() and "\u202e" not in line and cell_len(line) <= width for line in lines)
    assert any("red [bold]x[/bold]" in line for line in lines)


# -- signs


def test_only_all_is_a_full_bar() -> None:
    """A bar is full at the end and not before."""
    signs = signs_of(is_ascii=True)
    assert ["".join(s.text for s in bar(share, 4, signs)) for share in (0.0, 0.999, 1.0)] == ["....", "###.", "####"]


def test_spark_survives_the_extremes() -> None:
    """Equal values, none, and the largest there are give a line all the same."""
    signs = signs_of(is_ascii=True)
    assert spark([], signs) == []
    assert spark([None, None], signs) == []
    drawn = ["".join(s.text for s in spark(v, signs)) for v in ([2.0, 2.0], [-1.7e308, None, 1.7e308, math.inf])]
    assert drawn == ["__", "_ #x"]


def test_samples_keep_every_burst() -> None:
    """However many values come to a cell, one that was not finite is seen."""
    curve = Curve()
    for batch in range(10_000):
        curve.add(batch, math.nan if batch == 7_777 else 1.0, batch)
    values = sampled(curve, 20)
    assert len(values) == 20
    assert sum(math.isnan(v) for v in values if v is not None) == 1


def test_sizes_have_a_unit() -> None:
    """Bytes are told in three digits."""
    assert [size(n) for n in (0, 999, 410_000, 3_200_000_000)] == ["0 B", "999 B", "410 k", "3.2 G"]


# -- the panel


@pytest.mark.parametrize("cells", SIZES)
def test_it_is_laid_out_for_every_size(cells: tuple[int, int]) -> None:
    """The panel fills the terminal, also after it was resized, and beside its scrollbar nothing is lost."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        assert screen(app)[0].startswith(" X NaN since batch 32 of epoch 4; 72 optimizer steps skipped")
        await pilot.resize_terminal(60, 10)
        await pilot.pause()
        lines = texts(overview_lines(snapshot(yolo()), NOW, 59))[:10]
        assert [line.rstrip("▁▂▃▄▅▆▇█ ") for line in screen(app)] == [line.rstrip("▁▂▃▄▅▆▇█ ") for line in lines]

    using(OverviewPanel(), snapshot(yolo()), use, cells)


def test_enter_shows_the_trouble() -> None:
    """Enter asks for the failure's place in the log, else the worst alert's, else the end."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        shown = [
            hand_made("failed", failure=RunFailure("error", "ValueError", 77)), hand_made(alerts=[alert()]), hand_made()
        ]  # fmt: skip
        for view in shown:
            app.panel.show_run(snapshot(view), NOW)  # type: ignore[attr-defined]
            await pilot.press("enter")
        assert [wish.offset for wish in app.wishes if isinstance(wish, LogWanted)] == [77, 4711, 9000]

    using(OverviewPanel(), snapshot(None), use, (80, 24))


def test_it_can_be_copied() -> None:
    """`y` copies the overview as text."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        (wish,) = app.wishes
        assert isinstance(wish, CopyWanted)
        assert wish.text.startswith(" · IoU is 0.6, best 0.64 at epoch 2;")

    using(OverviewPanel(), snapshot(hand_made()), use, (80, 24))


def test_what_does_not_fit_scrolls() -> None:
    """Keys and the wheel reach the lines below; another run begins at its top."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("G")
        await pilot.pause()
        assert "better" in screen(app)[-1]
        app.panel.show_run(replace(snapshot(cod()), path=Path("/other")), NOW)  # type: ignore[attr-defined]
        await pilot.pause()
        assert screen(app)[0].startswith(" X stuck")

    using(OverviewPanel(), snapshot(yolo()), use, (80, 12))


# -- the last lines


def test_last_lines_are_what_a_terminal_shows(tmp_path: Path) -> None:
    """A bar has one line, what is hostile is inert, a line whose beginning is not read is left out."""
    log = tmp_path / "x.log"
    log.write_bytes(b"one\n\n 10 %|#   |\r 20 %|##  |\n" + HOSTILE.encode() + b"\nlast")
    found = last_lines(log)
    assert [found[0], found[1], found[3]] == ["one", " 20 %|##  |", "last"]
    assert all(line.isprintable() and "\u202e" not in line for line in found)
    log.write_bytes(b"x" * 9000 + b"\n" + b"y" * 100 + b"\n")
    assert last_lines(log) == ["y" * 100]
    log.write_bytes(b"\r".join(b"%4d/9999" % n for n in range(2000)))
    assert last_lines(log) == ["1999/9999"]
    log.write_bytes("\ufeffone\ntwo\n".encode("utf-16-le"))
    assert last_lines(log)[-1] == "two"
    assert last_lines(tmp_path / "gone") == last_lines(tmp_path) == []


def test_last_lines_fill_the_room_that_is_left() -> None:
    """Below everything else stand the log's last lines, with their signs; fewer than three rows are left blank."""
    told = [f"line {n}" for n in range(50)] + ["loss nan", "x" * 300]

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.pause()
        lines = screen(app)
        assert "line 49" in lines[-3]
        assert lines[-2] == " × loss nan"
        assert cell_len(lines[-1]) <= 120
        assert sum(" last lines " in line for line in lines) == 1
        needed = next(n for n, line in enumerate(lines) if " last lines " in line)
        for height in (needed, needed + 1):
            await pilot.resize_terminal(120, height)
            await pilot.pause()
            assert not any("last lines" in line for line in screen(app))

    panel = OverviewPanel(last_lines=lambda _: told)
    using(panel, snapshot(hand_made()), use, (120, 40))


def test_last_lines_are_read_when_the_log_has_grown() -> None:
    """They are read at most twice a second, not while the size is the same, and never of standard input."""
    read: list[Path] = []

    def last(path: Path) -> list[str]:
        read.append(path)
        return [f"{len(read)}"]

    tail = Tail(last)
    shown = snapshot(hand_made(), size=1)
    assert tail.lines(shown, NOW) == tail.lines(shown, NOW + 9) == ["1"]
    assert tail.lines(replace(shown, size=2), NOW + 10) == ["2"]
    assert tail.lines(replace(shown, size=3), NOW + 10.4) == ["2"]
    assert tail.lines(replace(shown, size=3), NOW + 10.6) == ["3"]
    assert tail.lines(replace(shown, path=Path("/logs/y.log"), size=3), NOW + 10.6) == ["4"]
    assert tail.lines(replace(shown, path=Path("-")), NOW + 20) == []
    assert len(read) == 4
