"""What happened since a time: which runs failed, got worse, finished or began, worst first, and who had no news."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nanwatch.clock import ManualClock
from nanwatch.model.alert import Alert, Severity, State
from nanwatch.model.run import Best, Epoch, Evaluation, Run, RunFailure, Status
from nanwatch.model.snapshot import RunView
from nanwatch.views.report.markdown import render_markdown
from nanwatch.views.report.overnight import overnight
from nanwatch.views.report.page import Paragraph, Report, Table
from nanwatch.views.report.terminal import render_terminal
from nanwatch.views.summary import LogProblem

HOUR = 3600.0
EVENING = 1_763_676_000.0  # Thursday 20 November 2025, 22:00 UTC


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at seven in the morning after."""
    return ManualClock(EVENING + 9 * HOUR)


def alert(
    rule: str, severity: Severity, at: float | None, state: State = "firing", over: float | None = None
) -> Alert:  # fmt: skip
    """Return an alert that began *at* so many hours after the evening (None: nobody knows when)."""
    ended = None if over is None else EVENING + over * HOUR
    began = None if at is None else EVENING + at * HOUR
    return Alert(
        rule, rule, "", severity, state, f"{rule} holds", 4, 32, 100, 7, {}, began, resolved_at=ended
    )  # fmt: skip


def view(
    name: str, clock: ManualClock, grew: float, status: Status = "running", alerts: list[Alert] | None = None
) -> RunView:  # fmt: skip
    """Return a run in epoch 4 of 50 whose log grew last so many hours after the evening."""
    run = Run(name, name, epoch=4, epochs=50, batch=10, batches=100)
    run.table = {n: Epoch(n, done=n < 4, seconds=2 * HOUR, losses={"loss": 0.5}) for n in range(1, 5)}
    return RunView(run, alerts or [], status, clock.now() - (EVENING + grew * HOUR))


def rows(report: Report) -> list[list[str]]:
    """Return the runs that there is something to tell of."""
    parts = report.sections[0].parts
    return [[cell.text for cell in row] for part in parts if isinstance(part, Table) for row in part.rows]


def sentences(report: Report) -> list[str]:
    """Return what is said of the others."""
    return [part.text for part in report.sections[0].parts if isinstance(part, Paragraph)]


def test_runs_stand_worst_first_and_quiet_ones_are_counted(clock: ManualClock) -> None:
    """A crash comes before NaN, NaN before a stall, a finish and a start; runs without news are one line."""
    crashed = view("crashed", clock, 3, "crashed")
    crashed.run.failure = RunFailure("oom", "CUDA out of memory", 5)
    started = view("started", clock, 8.9)
    started.run.started_at = EVENING + 7 * HOUR
    silent = replace(alert("stall", "warning", 5), evidence={"patience_seconds": 600.0})
    views = [
        view("well", clock, 8.99), view("old", clock, -30, "finished"), started, view("done", clock, 4, "finished"),
        view("hung", clock, 2, "stalled", [silent]), crashed,
        view("nan", clock, 8.9, alerts=[alert("nan_burst", "critical", 1)]),
        view("sick", clock, -3, "crashed", [alert("crash", "critical", -3)]),
    ]  # fmt: skip
    report = overnight([[v] for v in views], [], EVENING, clock.now())
    assert [row[0] for row in rows(report)] == ["crashed", "nan", "hung", "done", "started"]
    assert [row[1] for row in rows(report)] == [
        "crashed at 01:00 (at 10 % of epoch 4): CUDA out of memory", "got worse: nan_burst holds",
        "silent since 00:00: at 10 % of epoch 4", "finished at 02:00", "started at 05:00",
    ]  # fmt: skip
    assert sentences(report) == [
        "1 run went on without news.", "2 runs did nothing in this time (1 of them not well before already).",
    ]  # fmt: skip
    assert report.title == "nanwatch report since 20 Nov 22:00"


def test_only_alerts_of_that_time_are_told(clock: ManualClock) -> None:
    """An alert from before the evening is no news; one that began or ended since then is, with its time."""
    alerts = [
        alert("vram_jump", "warning", -2), alert("nan_burst", "critical", 1.5),
        alert("slowdown", "warning", -1, "resolved", over=2.5),
    ]  # fmt: skip
    report = overnight([[view("a", clock, 8.9, alerts=alerts)]], [], EVENING, clock.now())
    table = next(part for part in report.sections[1].parts if isinstance(part, Table))
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["20 Nov 23:30", "a", "critical nan_burst", "epoch 4, batch 32", "nan_burst holds"],
        ["20 Nov 21:00", "a", "warning slowdown", "epoch 4, batch 32", "slowdown holds; over since 00:30"],
    ]


def test_a_run_that_is_well_again_is_told(clock: ManualClock) -> None:
    """An alert that ended in the night makes the run better again."""
    alerts = [alert("slowdown", "warning", -1, "resolved", over=2)]
    report = overnight([[view("a", clock, 8.9, alerts=alerts)]], [], EVENING, clock.now())
    assert [row[1] for row in rows(report)] == ["better again"]


def test_an_alert_without_a_time_says_so(clock: ManualClock) -> None:
    """Where a log tells no times, what fires in one that grew since is told, and that nobody knows since when."""
    views = [view(name, clock, grew, alerts=[alert("nan_burst", "critical", None)]) for name, grew in
             (("grew", 3), ("stood", -3))]  # fmt: skip
    report = overnight([[v] for v in views], [], EVENING, clock.now())
    assert [row[:2] for row in rows(report)] == [["grew", "got worse (at a time that is not told): nan_burst holds"]]
    assert "| not told | grew |" in " ".join(render_markdown(report).split())


def test_progress_is_reckoned_back_from_the_last_line(clock: ManualClock) -> None:
    """Epochs of two hours each: of a log that grew until six, about three were done since ten; a new best is told."""
    run = view("a", clock, 8, "finished")
    run.run.best = Best("IoU", 0.7, 3)
    run.run.evaluations = [Evaluation(3, 0.7, 5)]
    report = overnight([[run]], [], EVENING, clock.now())
    assert rows(report)[0][2:] == ["epoch 4/50", "about 3 epochs; new best IoU 0.7 at epoch 3"]


def test_a_silence_is_told_as_of_when_it_could_be_known(clock: ManualClock) -> None:
    """A run that was silent long before the evening is no news, though somebody looks only now."""
    late = replace(alert("stall", "warning", 9), evidence={"patience_seconds": 600.0})
    before = view("before", clock, -5, "stalled", [late])
    just = view("just", clock, -0.1, "stalled", [late])
    report = overnight([[before], [just]], [], EVENING, clock.now())
    assert [row[0] for row in rows(report)] == ["just"]
    assert sentences(report) == ["1 run did nothing in this time (1 of them not well before already)."]


def test_a_quiet_night_is_one_sentence(clock: ManualClock) -> None:
    """Without news the report says so, in every form, and still names the logs that gave no run."""
    problems = [LogProblem("gone.log", "file is missing")]
    report = overnight([[view("a", clock, 8.9)]], problems, EVENING, clock.now())
    for text in (render_markdown(report), render_terminal(report, 80, color=False)):
        assert "Nothing happened that you would have to know." in text
        assert "1 run went on without news." in text
        assert "file is missing" in text


def test_an_earlier_run_of_a_log_counts_only_with_news(clock: ManualClock) -> None:
    """Of two runs in one log the first is told if it ended that night, and is not counted otherwise."""
    first, last = view("a", clock, 3, "failed"), view("a", clock, 7.9)
    first.run.logged_at = EVENING + HOUR
    last.run.id, last.run.number = "a#2", 2
    report = overnight([[first, last]], [], EVENING, clock.now())
    assert [row[0] for row in rows(report)] == ["a"]
    first.run.logged_at = None
    assert rows(overnight([[first, last]], [], EVENING, clock.now())) == []


def test_a_finished_run_that_is_not_well_is_told_to_be_finished(clock: ManualClock) -> None:
    """`got worse` alone would let one believe that it still goes on."""
    ill = view("ill", clock, 4, "finished", [alert("vram_jump", "warning", 3)])
    report = overnight([[ill]], [], EVENING, clock.now())
    assert [row[1] for row in rows(report)] == ["got worse, finished at 02:00: vram_jump holds"]


@pytest.mark.parametrize(("spent", "is_told"), [(2 * HOUR, True), (20 * HOUR, False)])
def test_a_crash_before_a_restart_is_told_without_times(clock: ManualClock, spent: float, is_told: bool) -> None:
    """A log without times that holds a crash and a run after it: the crash was since, if the later run began since."""
    first = view("x", clock, 3, "crashed")
    first.run.failure, first.run.logged_at = RunFailure("oom", "CUDA out of memory", 5), None
    second = view("x", clock, 8.9)
    second.run.number, second.run.logged_at, second.run.started_at = 2, None, None
    second.run.table = {1: Epoch(1, done=True, seconds=spent)}
    report = overnight([[replace(first, silence=None), second]], [], EVENING, clock.now())
    told = [row[1] for row in rows(report)]
    assert told == (["crashed (at 10 % of epoch 4): CUDA out of memory"] if is_told else [])
