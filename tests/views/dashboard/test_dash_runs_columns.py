"""The list of runs as lines: what it says of each run at every width, in every state, and of hostile ones."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from nanwatch.config import Config
from nanwatch.model.alert import Alert, Severity
from nanwatch.model.curve import Curve
from nanwatch.model.run import Best, Epoch, Evaluation, Run, RunFailure, Status
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.reading import read_log
from nanwatch.runs.status import status_of
from nanwatch.views.dashboard.runs.entry import Entry, entry_of, standing_of, validation_loss
from nanwatch.views.dashboard.runs.header import Scene, empty_lines, header_line, tiny_line
from nanwatch.views.dashboard.runs.names import names_of
from nanwatch.views.dashboard.runs.order import count, worst_key
from nanwatch.views.dashboard.runs.sparkline import ASCII_MARKS, UNICODE_MARKS, course_of_curve, sparkline
from nanwatch.views.dashboard.runs.strip import strip_lines
from nanwatch.views.dashboard.runs.table import Table
from nanwatch.views.dashboard.runs.trend import course_of
from nanwatch.views.page import Line, Page
from nanwatch.views.words import ASCII, UNICODE, Glyphs

CAPTURES = Path(__file__).parent.parent.parent.parent / "fixtures" / "captures"
LOGS = sorted(CAPTURES.glob("*/*.log"))
NOW = 1_763_733_771.0  # Friday 21 November 2025, 14:02:51 UTC
FOLDER = Path("/home/ana/exp")
WIDTHS = (10, 20, 39, 59, 60, 79, 80, 99, 100, 120, 130, 170, 200, 320)
HOSTILE = (
    "\x1b[31mred\x1b]52;c;YWJj\x07", "[red]bold[/red] [@click=app.quit]x[/]", "名前" * 40, "\u202etxt.exe\u202c",
    "n" * 300, "e\u0301\u0301\u0301\u0301\u0301\u0301", "tab\there\nline", "👩‍👩‍👧‍👦 family", "",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# -- material


def alert(rule: str, severity: Severity, message: str, *suppressed: str, change: float | None = None) -> Alert:
    """Return an alert that fires."""
    evidence: dict[str, float | int | str | None] = {} if change is None else {"change_gb": change}
    return Alert(
        rule, rule, "", severity, "firing", message, None, None, 10, 1, evidence, NOW - 60, suppressed=suppressed
    )


def view(status: Status = "running", *alerts: Alert, epoch: int = 9, epochs: int = 90, batch: int = 12,
         batches: int = 100, loss: float = 3.377, nan: int = 0, vram: float | None = 9.8, rate: float | None = 5.0,
         silence: float = 2.0) -> RunView:  # fmt: skip
    """Return a run in the middle of an epoch."""
    run = Run("x", "x", epoch=epoch, epochs=epochs, batch=batch, batches=batches, losses={"loss": loss},
              vram_gb=vram, nan_batches=nan, rate=rate, first_epoch=1)  # fmt: skip
    run.table[epoch] = Epoch(epoch, batch=batch, batches=batches, losses={"loss": loss}, nan_batches=nan,
                             nan_onset=32 if nan else None)  # fmt: skip
    return RunView(run, list(alerts), status, silence)


def curve(*values: float) -> Curve:
    """Return a curve with these values, one a batch."""
    found = Curve()
    for position, value in enumerate(values):
        found.add(position, value, position * 100)
    return found


DOWN = tuple(math.exp(-n / 30) + 0.2 for n in range(100))


def snapshot(name: str, of: RunView | None, ago: float = 2.0, values: tuple[float, ...] = DOWN) -> Snapshot:
    """Return a log of which everything was read."""
    curves = {"loss": curve(*values)} if values and of is not None else {}
    return Snapshot(FOLDER / f"{name}.log", of, curves, NOW - ago, 1000, 1000)


def sick() -> RunView:
    """Return a run with NaN, a jump of its VRAM, and a metric that collapsed."""
    found = view(
        "running",
        alert("nan_burst", "critical", "73 NaN losses"),
        alert("vram_jump", "warning", "VRAM 4.20 -> 4.71 G (+12 %) since epoch 3", change=0.51),
        epoch=4, epochs=50, batch=1420, batches=41_163, loss=math.nan, nan=73, vram=4.71, rate=12.4,
    )  # fmt: skip
    found.run.grad_skips, found.run.primary_metric = 61, "IoU"
    found.run.evaluations = [Evaluation(2, 0.6413, 1), Evaluation(3, 0.0022, 2)]
    found.run.best = Best("IoU", 0.6413, 2)
    return found


def failed(*suppressed: str) -> RunView:
    """Return a run that ended in a traceback."""
    found = view("failed", alert("crash", "critical", "RuntimeError: boom", *suppressed), epoch=1, epochs=20, rate=None)
    found.run.failure = RunFailure("exception", "RuntimeError: boom", 99, 1)
    return found


def stalled() -> RunView:
    """Return a run that has been silent for 17 minutes."""
    return view("stalled", alert("stall", "warning", "silent for 17m"), silence=1020, rate=None)


def scene() -> dict[Path, Snapshot]:
    """Return a handful of runs, one in each state that matters."""
    done = view("finished", epoch=90, epochs=90, batch=100, loss=0.9012, vram=7.9)
    done.run.finished = "done"
    unknown = RunView(Run("p", "p"), [], "unknown", 5.0)
    found = [
        snapshot("unet-iou-v3", sick(), 2, (*DOWN, *[math.nan] * 60)),
        snapshot("seg-hrnet-aug2", stalled(), 1020),
        snapshot("vit-s-seed1", view()),
        snapshot("vit-s-seed10", view("running", alert("slowdown", "warning", "slow", "silenced"))),
        snapshot("probe-linear", unknown, 5, ()),
        snapshot("resnet50-base", done, 6 * 3600),
        snapshot("tok-exp-11", failed("acknowledged"), 7200, (1.0, 2.0, 3.0)),
        replace(snapshot("gone", view()), problem="file is missing"),
        Snapshot(FOLDER / "new.log", size=10),
        replace(snapshot("huge", view(), 1), is_history=True, is_estimate=True, size=3 << 30, read=1 << 30),
    ]
    return {item.path: item for item in found}


def entries(snapshots: dict[Path, Snapshot]) -> list[Entry]:
    """Return the entries of *snapshots*, worst first."""
    names = names_of(snapshots)
    return sorted((entry_of(path, names[path], snapshots[path]) for path in snapshots), key=worst_key)


def text(lines: list[Line]) -> list[str]:
    """Return lines as they stand on the screen."""
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def listed(snapshots: dict[Path, Snapshot], width: int, glyphs: Glyphs = UNICODE) -> list[str]:
    """Return the list with its head at this width."""
    table, known = Table(glyphs), entries(snapshots)
    table.fit(width, known)
    lines = table.lines(known, [known[1].path] if len(known) > 1 else [], NOW)
    return text([table.head("worst"), *lines])


# -- widths


def test_eighty_columns_show_what_matters() -> None:
    """At 80 columns there are status, epoch, share, ETA, loss, trend, NaN, VRAM and age."""
    assert listed(scene(), 79) == EIGHTY


def test_narrow_terminals_keep_health_name_status_nan_and_age() -> None:
    """Below 60 columns only the five that matter most are left."""
    head = listed(scene(), 50)[0]
    assert head.split() == ["H", "RUN", "STATUS", "NaN", "UPD"]


def test_wide_terminals_tell_why() -> None:
    """From 100 columns there are batches and the metric, from 130 the reason, from 170 the rate and validation loss."""
    heads = {width: listed(scene(), width)[0].split() for width in (100, 119, 140, 200)}
    assert "WHY" not in heads[119]
    assert {"BATCH", "IoU"} <= set(heads[119])
    assert "WHY" in heads[140]
    assert {"WHY", "IT/S", "SKIP"} <= set(heads[200])


def test_columns_stand_there_for_those_who_have_something_to_say() -> None:
    """The learning rate and the validation loss have columns as soon as one run tells them."""
    table, told = Table(UNICODE), view()
    known = entries(scene())
    table.fit(200, known)
    table.lines(known, [], NOW)
    assert not {"LR", "VAL"} & set(text([table.head("worst")])[0].split())
    told.run.lr, told.run.metrics = 3e-4, {"val_loss": 0.4418}
    lines = text(table.lines([entry_of(FOLDER / "a", "a", snapshot("a", told))], [], NOW))
    assert {"LR", "VAL"} <= set(text([table.head("worst")])[0].split())
    assert {"0.0003", "0.4418"} <= set(lines[0].split())


def test_a_hundred_and_twenty_columns() -> None:
    """At 120 columns the batch, the metric with its arrow and the jump of the VRAM are told."""
    assert listed(scene(), 119)[:4] == HUNDRED_TWENTY


def test_two_hundred_columns() -> None:
    """At 200 columns the reason stands beside the run."""
    assert listed(scene(), 199)[:4] == TWO_HUNDRED


def test_ascii_terminals_get_ascii() -> None:
    """Where the terminal shows nothing but ASCII, there is nothing else."""
    lines = listed(scene(), 200, ASCII)
    assert all(line.isascii() for line in lines)
    assert lines[1].startswith("X unet-iou-v3")
    assert ">running" in lines[1]
    assert "xxxx" in lines[1]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """No line is ever wider than the screen."""
    assert max(cell_len(line) for line in listed(scene(), width)) <= max(width, 5)


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_are_never_cut(width: int) -> None:
    """A number that has no room is left out whole: what is shown of it is all of it."""
    big = view(epoch=123_456_789, epochs=999_999_999, batch=123_456_789_012, batches=999_999_999_999, nan=10**15)
    found = listed({FOLDER / "a.log": snapshot("exp", big)}, width)[1].partition("▸running")[2]
    whole = {f"{10**15:,}", "0", "12", "3.377", "9.8", "5", "2s", f"{123_456_789_012:,}/{999_999_999_999:,}"}
    assert {word for word in found.split() if any(map(str.isdecimal, word))} <= whole


def test_columns_do_not_move_when_values_get_shorter() -> None:
    """A column that has grown stays as wide as it is: nothing jitters."""
    table, path = Table(UNICODE), FOLDER / "a.log"
    long, short = (entry_of(path, "a", snapshot("a", view(epoch=epoch, epochs=5000))) for epoch in (1000, 9))
    table.fit(120, [long])
    table.lines([long], [], NOW)
    places = list(table.places)
    table.lines([short], [], NOW)
    assert table.places == places


def test_a_click_on_a_head_finds_its_column() -> None:
    """Each cell of the head belongs to a column; the first ones to how bad it is and to the name."""
    table, known = Table(UNICODE), entries(scene())
    table.fit(80, known)
    table.lines(known, [], NOW)
    head = text([table.head("nan")])[0]
    assert table.column_at(0) == "worst"
    assert table.column_at(3) == "run"
    assert table.column_at(head.index("NaN")) == "nan"
    assert table.column_at(head.index("UPD") + 2) == "updated"
    assert table.column_at(500) is None


# -- states


def cells(of: Snapshot, width: int = 119) -> str:
    """Return the line of one log."""
    return listed({of.path: of}, width)[1]


def test_a_log_of_which_nothing_was_read_says_so() -> None:
    """Before the first byte there are the name and `reading…`, and no number."""
    line = cells(Snapshot(FOLDER / "new.log"))
    assert "reading…" in line
    assert not any(char.isdecimal() for char in line)


def test_an_empty_log_is_no_unknown_format() -> None:
    """A log without a byte is empty; one of which nothing was read is being read."""
    nothing = RunView(Run("p", "p"), [], "unknown", 5.0)
    assert "empty" in cells(Snapshot(FOLDER / "a.log", nothing, grew_at=NOW))
    assert "reading…" in cells(Snapshot(FOLDER / "a.log", nothing, grew_at=NOW, size=10))
    assert "? format" in cells(Snapshot(FOLDER / "a.log", nothing, grew_at=NOW, size=10, read=10))


def test_history_stands_in_place_of_the_trend() -> None:
    """While the history is read its share is told, estimates are marked, and what is not known is not 0."""
    line = cells(replace(snapshot("huge", view()), is_history=True, is_estimate=True, size=100, read=38))
    assert "history 38 %" in line or "hist 38 %" in line
    assert "~9/90" in line
    assert "~3.377" in line
    assert " 0 " not in line


@pytest.mark.parametrize(("problem", "told"), [
    ("file is missing", "? missing"), ("permission denied", "? denied"), ("input/output error", "? unreadable"),
])  # fmt: skip
def test_a_log_that_cannot_be_read_keeps_its_values(problem: str, told: str) -> None:
    """The status says what is wrong with the file, and the last values stay."""
    line = cells(replace(snapshot("a", view()), problem=problem))
    assert line.startswith("?")
    assert told in line
    assert "9/90" in line


def test_a_stalled_run_says_for_how_long() -> None:
    """Where there is room the status tells the silence."""
    assert "‖stalled 17m" in cells(snapshot("a", stalled(), 1020))


@pytest.mark.parametrize(("of", "letter", "sign"), [
    (sick(), "X", "▸running"), (stalled(), "!", "‖stalled"), (view(), "·", "▸running"),
    (view("finished"), "·", "✓finished"), (failed(), "X", "✗failed"), (failed("acknowledged"), "x", "✗failed"),
    (failed("silenced: I know"), "z", "✗failed"), (view("crashed"), "X", "†crashed"),
    (view("interrupted"), "·", "■interrupted"),
    (view("running", alert("nan_burst", "critical", "m", "acknowledged")), "x", "▸running"),
    (view("running", alert("nan_burst", "critical", "m", "silenced")), "z", "▸running"),
    (view("running", alert("a", "warning", "m"), alert("b", "critical", "m", "acknowledged")), "!", "▸running"),
])  # fmt: skip
def test_letter_and_sign_tell_how_bad_it_is(of: RunView, letter: str, sign: str) -> None:
    """A letter tells how bad it is and whether somebody knows; a sign and a word what the run is doing."""
    line = cells(snapshot("a", of))
    assert line[0] == letter
    assert sign in line


def test_inhibited_alerts_are_no_acknowledgement() -> None:
    """An alert that another one keeps quiet leaves the run as it is."""
    assert standing_of(snapshot("a", view("running", alert("a", "warning", "m", "inhibited by oom")))) == "ok"


def test_the_validation_loss_is_the_latest() -> None:
    """The validation loss of the epoch in progress is taken before that of the run."""
    found = view().run
    found.metrics = {"val_loss": 0.9}
    assert validation_loss(found) == 0.9
    found.table[9].metrics = {"val_loss": 0.5}
    assert validation_loss(found) == 0.5


# -- while history is read


def reading(of: RunView, is_estimate: bool = False) -> Snapshot:
    """Return a log of which a third of what stood in it at the start was read."""
    return replace(snapshot("a", of), is_history=True, is_estimate=is_estimate, size=900, read=300)


@pytest.mark.parametrize("of", [view(), sick(), failed(), view("finished"), RunView(Run("p", "p"), [], "unknown", 5.0)])
def test_nothing_is_said_of_a_run_before_its_log_is_read(of: RunView) -> None:
    """While only the past was read there is no verdict, no figure and no status but `reading…`."""
    words = cells(reading(of)).split()
    assert words[:2] == ["exp/a.log", "reading…"]
    assert sorted(set(words[2:])) == ["%", "-", "2s", "33", "history"]
    found = entry_of(FOLDER / "a", "a", reading(of))
    assert (found.standing, found.status, found.is_finished) == ("unread", "reading", False)
    assert count([found]).standings["ok"] == 0


def test_a_log_that_ended_long_ago_does_not_seem_to_run() -> None:
    """Of an estimate the end alone was looked at: a run is going on only if its log grows, and well only then."""
    ended = view("running", silence=3600.0)
    assert entry_of(FOLDER / "a", "a", reading(ended, True)).status == "reading"
    assert standing_of(reading(ended, True)) == "unread"
    assert "▸running" in cells(reading(view(), True))
    assert "✓finished" in cells(reading(view("finished", silence=3600.0), True))
    assert "reading…" in cells(reading(RunView(Run("p", "p"), [], "unknown", 5.0), True))


# -- a log that is silent


def test_a_silent_log_has_no_eta() -> None:
    """After a minute without a line, nobody knows when the run will end; slow logs are given several of their gaps."""
    live, slow = view(silence=2.0), view(rate=0.01, silence=2.0)
    table = Table(UNICODE)
    known = [entry_of(FOLDER / n, n, snapshot(n, of)) for n, of in (("live", live), ("slow", slow))]
    table.fit(80, known)
    etas = [[line.split()[5] for line in text(table.lines(known, [], NOW + later))] for later in (0, 57, 59, 200, 400)]
    assert [row[0] for row in etas] == ["27m", "27m", "-", "-", "-"]
    assert [row[1] == "-" for row in etas] == [False, False, False, False, True]


# -- the trend of all kinds of runs


def by_epoch(losses: list[float], nan: int = 0) -> Entry:
    """Return a run that tells an epoch's loss and nothing else, with NaN counted in its third."""
    run = Run("x", "x", epoch=len(losses), epochs=9, first_epoch=1, losses={"loss": losses[-1]})
    for number, loss in enumerate(losses, 1):
        run.table[number] = Epoch(number, losses={"loss": loss}, nan_batches=nan if number == 3 else 0)
    return entry_of(FOLDER / "x", "x", snapshot("x", RunView(run, [], "running", 2.0), values=()))


def trend(entry: Entry, cells: int = 8) -> str:
    """Return the sparkline of a run."""
    course = course_of(entry)
    assert course is not None
    return sparkline(course, cells, UNICODE_MARKS)


def test_a_run_with_epoch_lines_only_has_a_trend() -> None:
    """The loss by epoch takes the place of a curve; an epoch with NaN has its cross, whatever its loss."""
    assert trend(by_epoch([4.0, 3.0, 2.0, 1.0])) == "█▆▃▁"
    assert trend(by_epoch([4.0, 3.0, 2.0, 1.0], nan=5)) == "█▆×▁"
    assert trend(by_epoch([4.0, math.nan, 2.0, math.inf])) == "█×▁×"


def test_a_run_without_a_loss_shows_what_it_measures() -> None:
    """Without any loss the evaluations of the main metric are the trend, and the error to be made small the LOSS."""
    run = Run("x", "x", epoch=3, epochs=9, primary_metric="eval-rmse", primary_rises=False)
    run.evaluations = [Evaluation(n, 0.9 - n / 10, n) for n in range(4)]
    found = snapshot("x", RunView(run, [], "running", 2.0), values=())
    assert trend(entry_of(found.path, "x", found)) == "█▆▃▁"
    assert " 0.6000 " in cells(found)


def test_what_was_passed_over_is_as_before() -> None:
    """Cells of which nothing is known carry the value on; blank are only those before the first."""
    found = Curve()
    for position, value in ((20, 1.0), (40, 2.0), (99, 1.5)):
        found.add(position, value, position)
    assert sparkline(course_of_curve(found), 10, UNICODE_MARKS) == "  ▁▁█████▅"


def test_counted_nan_are_marked_though_the_loss_hides_them() -> None:
    """Where the curve shows no NaN, the batches that the run counted have their crosses, each in its place."""
    of = view(epoch=1, batches=100, batch=99, nan=2)
    of.run.table[1].nan_mask = 1 << 55 | 1 << 95
    assert trend(entry_of(FOLDER / "x", "x", snapshot("x", of, values=(1.0,) * 100)), 10) == "▅▅▅▅▅×▅▅▅×"
    of.run.batches = None
    of.run.table[2] = Epoch(2)
    assert trend(entry_of(FOLDER / "x", "x", snapshot("x", of, values=(1.0,) * 100)), 10) == "×××××▅▅▅▅▅"


@given(st.floats(), st.integers(0, 1 << 400), st.integers(1, 50), st.integers(0, 500))
def test_any_count_of_nan_has_a_trend(value: float, mask: int, cells: int, batches: int) -> None:
    """Whatever was counted wherever, a trend has no more cells than there are."""
    of = view(epoch=3, batches=batches, batch=9, nan=1)
    of.run.table[3].nan_mask = mask
    assert len(trend(entry_of(FOLDER / "x", "x", snapshot("x", of, values=(value, 1.0, value))), cells)) <= cells


def test_a_trend_takes_no_more_room_than_it_needs() -> None:
    """Three epochs need few cells, and where no run has a trend there is no column: names get the room."""
    few, name = by_epoch([3.0, 2.0, 1.0]), "n" * 60
    table = Table(UNICODE)
    table.fit(79, [replace(few, name=name)])
    assert next(p.cells for p in table.places if p.column.key == "trend") == len("TREND")
    before = table.name_cells
    table.fit(79, [entry_of(FOLDER / name, name, snapshot(name, failed(), values=()))])
    bare = Run("x", "x", epoch=1)
    table.fit(79, [entry_of(FOLDER / name, name, snapshot(name, RunView(bare, [], "running", 1.0), values=()))])
    assert "TREND" not in text([table.head("worst")])[0]
    assert table.name_cells > before


# -- the widest


@pytest.mark.parametrize("width", [170, 199, 240])
def test_the_reason_has_room(width: int) -> None:
    """From 170 columns WHY has at least 45 cells, however long names and metrics are; METRIC has what it needs."""
    found = []
    for number in range(3):
        of = sick()
        of.run.lr, of.run.metrics = 3e-4, {"val_loss": 0.4418}
        of.run.primary_metric = f"a_very_long_metric_name_{number}"
        found.append(snapshot(f"folder_{number}/a_long_name_of_a_run_of_{number}_that_goes_on_and_on_{number}", of))
    known = entries({item.path: item for item in found})
    table = Table(UNICODE)
    table.fit(width - 1, known)
    lines = text(table.lines(known, [], NOW))
    places = {place.column.key: place for place in table.places}
    assert places["why"].start + 45 <= width - 1
    assert places["why"].cells >= 45
    assert all("73 NaN since batch 32" in line for line in lines)
    if "metric" in places:
        assert places["metric"].cells == len("a_v…me_0 0.0022 ▾")


# -- sparkline


def test_a_sparkline_falls_with_its_curve() -> None:
    """The highest value has the highest block, the lowest the lowest."""
    assert sparkline(course_of_curve(curve(8, 7, 6, 5, 4, 3, 2, 1)), 8, UNICODE_MARKS) == "█▇▆▅▄▃▂▁"


def test_a_sparkline_marks_every_value_that_is_not_finite() -> None:
    """One NaN in a cell is enough, whatever else is there."""
    values = [1.0] * 400
    values[210] = math.nan
    found = sparkline(course_of_curve(curve(*values)), 8, UNICODE_MARKS)
    assert found == "▅▅▅▅×▅▅▅"
    assert sparkline(course_of_curve(curve(math.nan, math.inf)), 8, ASCII_MARKS) == "xx"


@given(st.lists(st.floats(), max_size=60), st.integers(1, 30))
def test_a_sparkline_never_exceeds_its_cells(values: list[float], room: int) -> None:
    """Whatever the values are, the sparkline has as many cells as there is room for, or fewer."""
    assert cell_len(sparkline(course_of_curve(curve(*values)), room, UNICODE_MARKS)) <= room


# -- around the list


def test_the_header_counts_all_runs() -> None:
    """The header counts by standing; where there is room, in words."""
    known = entries(scene())
    line = text([header_line(count(known), Scene(), Page(120, UNICODE), NOW)])[0]
    assert line.startswith(
        "nanwatch  10 runs  X 1 critical  ! 1 warning  · 2 ok  z 1 silenced  ? 2 unknown  x 1 seen  ✓ 1 finished"
    )
    assert line.endswith("14:02:51")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_header_fits(width: int) -> None:
    """Where room is short the header says less, never half a word; critical runs are told last of all."""
    known = entries(scene())
    behind = [entry.snapshot for entry in known if entry.snapshot.is_history]
    around = Scene(3, "nan>0 status:running", ["only problems"], "NaN", behind)
    line = text([header_line(count(known), around, Page(width, UNICODE), NOW)])[0]
    assert cell_len(line) <= width
    assert "X 1" in line


def test_the_header_tells_how_much_history_is_read() -> None:
    """While logs are read for the first time, their share and bytes are told."""
    behind = [entry.snapshot for entry in entries(scene()) if entry.snapshot.is_history]
    line = text([header_line(count([]), Scene(catching_up=behind), Page(120, UNICODE), NOW)])[0]
    assert "history 33 % (1.0 of 3.0 G)" in line


def test_one_line_is_enough_for_the_smallest_terminal() -> None:
    """The smallest terminals get the counts and the worst run."""
    known = entries(scene())
    assert text([tiny_line(count(known), known[0], Page(38, UNICODE))]) == ["X1 !1 ok2 unet-iou-v3 73 NaN"]


def test_the_strip_tells_why() -> None:
    """Below the list stand the alerts of the cursor's run in words, its log, and where it is."""
    found = strip_lines(entries(scene())[0], Page(80, UNICODE), 5, NOW)
    lines = text(found)
    assert lines[0].startswith("─ unet-iou-v3 ───")
    assert lines[0].endswith(" 2 alerts ─")
    assert lines[1] == " X 73 NaN in 1,420 batches (5.1 %) since batch 32"
    assert lines[2] == " ! VRAM 4.20 → 4.71 G (+12 %) since epoch 3"
    assert lines[3].endswith("epoch 4/50   batch 1,420/41,163   12.4 it/s   2s ago")
    assert all(line.cells <= 80 for line in found)


def test_the_strip_says_how_many_alerts_it_leaves_out() -> None:
    """Where there are more alerts than rows, the rule tells so."""
    many = view("running", *(alert(f"rule{n}", "warning", f"trouble {n} " * 20) for n in range(9)))
    lines = text(strip_lines(entry_of(FOLDER / "a", "a", snapshot("a", many)), Page(80, UNICODE), 5, NOW))
    assert len(lines) == 5
    assert "3 of 9 alerts" in lines[0]


def strip_of(of: RunView, rows: int = 5, width: int = 80) -> list[str]:
    """Return the strip of one run."""
    return text(strip_lines(entry_of(FOLDER / "a.log", "a", snapshot("a", of)), Page(width, UNICODE), rows, NOW))


def test_a_healthy_run_takes_one_line_of_the_strip() -> None:
    """Where there is nothing to explain, one line tells the name and where the run is."""
    (line,) = strip_of(view())
    assert line.startswith("─ a ──")
    assert line.endswith(" no trouble: no NaN, no step skipped   batch 12/100   5 it/s   2s ago ─")
    assert len(line) == 80


def test_the_strip_shows_as_many_alerts_as_there_is_room_for() -> None:
    """With more rows there are more alerts, up to all of them, and no row is left empty."""
    many = view("running", *(alert(f"rule{n}", "warning", f"trouble {n}") for n in range(9)))
    assert [len(strip_of(many, rows)) for rows in (5, 8, 11, 30)] == [5, 8, 11, 11]
    assert strip_of(many, 11)[0].endswith("─ 9 alerts ─")


def test_the_strip_says_until_when_somebody_keeps_quiet() -> None:
    """Why nobody is told, and until when, stands before a long message that is cut."""
    lines = strip_of(view("running", alert("slow", "warning", "slow " * 60, "silenced: until 17:30 by ana")), 3)
    assert lines[1].startswith(" z silenced: until 17:30 by ana: slow slow")


def test_the_name_of_a_metric_is_told_as_the_log_writes_it() -> None:
    """A sentence that begins with a metric's name does not change its letters."""
    of = view(epoch=4)
    of.run.primary_metric, of.run.best = "mAP_0.5:0.95", Best("mAP_0.5:0.95", 0.9, 1)
    of.run.evaluations = [Evaluation(1, 0.9, 1), Evaluation(2, 5.45e-5, 2)]
    assert any("mAP_0.5:0.95" in line for line in strip_of(of))
    assert not any("MAP" in line for line in strip_of(of))


def test_the_strip_of_a_log_that_is_being_read_says_how_far() -> None:
    """Before a log is read to its end, the strip tells how much of it is."""
    lines = text(strip_lines(entry_of(FOLDER / "a", "a", reading(failed())), Page(80, UNICODE), 5, NOW))
    assert lines[1] == " reading… history 33 %"
    whole = replace(reading(failed()), read=900)
    assert "history 99 %" in cells(whole)  # what is told only until the end was reached does not tell the end


def test_the_header_says_that_a_log_is_empty() -> None:
    """A log without a byte is not being opened."""
    known = entries({FOLDER / "e.log": Snapshot(FOLDER / "e.log", grew_at=NOW)})
    line = text([header_line(count(known), Scene(), Page(80, UNICODE), NOW)])[0]
    assert "1 empty" in line
    assert "being opened" not in line


def test_an_empty_list_says_what_it_waits_for() -> None:
    """Without a log the patterns are told, and how logs are named."""
    found = "\n".join(text(empty_lines(["logs/*.log"], Page(80, UNICODE))))
    assert "Nothing to watch yet." in found
    assert "logs/*.log" in found
    assert "nanwatch tail 'exp/**/*.log'" in found


# -- names


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [20, 59, 80, 200])
def test_hostile_names_stay_in_their_cells(name: str, width: int) -> None:
    """Escapes, markup, wide, combining and endless names neither leave their column nor reach the terminal."""
    logs = {FOLDER / f"{name}.log": snapshot(name, view()), FOLDER / "b.log": snapshot("b", view())}
    lines = listed(logs, width)
    assert all(line.isprintable() for line in lines)
    assert all(cell_len(line) <= width for line in lines)
    ends = {cell_len(line) for line in lines[1:]}
    assert len(ends) == 1


def label(name: str) -> str:
    """Return what a log of this name is called in the list."""
    return names_of([FOLDER / "x", Path("/" + name.replace("\0", ""))]).popitem()[1]


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.integers(5, 220))
def test_any_words_of_a_log_stay_in_their_cells(name: str, said: str, width: int) -> None:
    """Whatever a log says, the list, the strip and the header are printable and as wide as they may be."""
    of = view("failed", alert("crash", "critical", said))
    of.run.failure = RunFailure("exception", said, 1, 1)
    of.run.primary_metric, of.run.evaluations = said, [Evaluation(1, 0.5, 1)]
    entry = entry_of(FOLDER / "a", label(name), snapshot("a", of))
    table = Table(UNICODE)
    table.fit(width, [entry])
    page = Page(width, UNICODE)
    lines = [*table.lines([entry], [], NOW), *map(page.bound, strip_lines(entry, page, 5, NOW))]
    assert all(span.text.isprintable() for line in lines for span in line.spans)
    assert all(line.cells <= max(width, 5) for line in lines)


@pytest.mark.parametrize("log", LOGS[::3], ids=lambda log: log.stem)
def test_real_logs_are_listed(log: Path, tmp_path: Path) -> None:
    """Logs of real trainers fit at every width, and their epoch stands in the list."""
    path = tmp_path / log.name
    path.write_bytes(log.read_bytes())
    reading = read_log(path, Config(), None, NOW)
    if not reading.runs:
        pytest.skip("no training in it")
    run = reading.runs[-1]
    alerts = reading.alerts_of(run)
    found = Snapshot(path, RunView(run, alerts, status_of(run, alerts), 2.0), {}, NOW - 2, 10, 10)
    for width in WIDTHS:
        lines = listed({path: found}, width)
        assert all(cell_len(line) <= max(width, 5) for line in lines)
    if run.epoch is not None:
        assert f" {run.epoch}" in listed({path: found}, 120)[1]


EIGHTY = """\
H RUN            STATUS    EPOCH EP%   ETA   LOSS TREND           NaN  VRAM UPD
X unet-iou-v3    ▸running   4/50   3 1d19h    nan █▆▄▃▂▂▁▁▁××××××  73 4.71!  2s
!*seg-hrnet-aug2 ‖stalled   9/90  12     -  3.377 █▇▆▄▄▃▂▂▂▁▁▁▁▁▁   0   9.8 17m
? gone           ? missing  9/90  12     -  3.377 █▇▆▄▄▃▂▂▂▁▁▁▁▁▁   0   9.8  2s
? probe-linear   ? format      -   -     -      -                   -     -  5s
z vit-s-seed10   ▸running   9/90  12   27m  3.377 █▇▆▄▄▃▂▂▂▁▁▁▁▁▁   0   9.8  2s
· huge           ▸running  ~9/90 ~12  ~27m ~3.377 history 33 %      -  ~9.8  1s
· vit-s-seed1    ▸running   9/90  12   27m  3.377 █▇▆▄▄▃▂▂▂▁▁▁▁▁▁   0   9.8  2s
· resnet50-base  ✓finished 90/90   -  done 0.9012 █▇▆▄▄▃▂▂▂▁▁▁▁▁▁   0   7.9  6h
  new            reading…      -   -     -      -                   -     -   -
x tok-exp-11     ✗failed    1/20  12     -  3.377 ▁▅█               0   9.8  2h
""".splitlines()
HUNDRED_TWENTY = """\
H RUN             STATUS        EPOCH         BATCH  EP%    ETA    LOSS  TREND           NaN        VRAM       IoU  UPD
X unet-iou-v3     ▸running       4/50  1,420/41,163    3  1d19h     nan  █▆▄▃▂▁▁▁××××××   73  4.71 +0.51  0.0022 ▾   2s
!*seg-hrnet-aug2  ‖stalled 17m   9/90        12/100   12      -   3.377  █▇▅▄▃▃▂▂▁▁▁▁▁▁    0         9.8       -    17m
? gone            ? missing      9/90        12/100   12      -   3.377  █▇▅▄▃▃▂▂▁▁▁▁▁▁    0         9.8       -     2s
""".splitlines()
TWO_HUNDRED = """\
H RUN             STATUS        EPOCH         BATCH  EP%    ETA  IT/S    LOSS  TREND         NaN  SKIP        VRAM       IoU  UPD  WHY
X unet-iou-v3     ▸running       4/50  1,420/41,163    3  1d19h  12.4     nan  █▆▄▂▁▁▁×××××   73    61  4.71 +0.51  0.0022 ▾   2s  73 NaN since batch 32 of epoch 4; VRAM 4.20 → 4.71 G; IoU 0.6413 →…
!*seg-hrnet-aug2  ‖stalled 17m   9/90        12/100   12      -     -   3.377  █▇▅▄▃▂▂▁▁▁▁▁    0     0         9.8       -    17m  silent 17m at 12 % of epoch 9
? gone            ? missing      9/90        12/100   12      -     -   3.377  █▇▅▄▃▂▂▁▁▁▁▁    0     0         9.8       -     2s  file is missing
""".splitlines()  # noqa: E501
