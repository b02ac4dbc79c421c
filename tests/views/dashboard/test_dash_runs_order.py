"""The order of the list: worst first or by a column, filtered, and still while somebody looks at it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.views.dashboard.runs.columns import SORTABLE
from nanwatch.views.dashboard.runs.entry import Entry, Standing, entry_of
from nanwatch.views.dashboard.runs.filters import WrongFilter, parse_filter
from nanwatch.views.dashboard.runs.order import Order, count, natural

NOW = 1_763_733_771.0


def entry(name: str, standing: Standing = "ok", **figures: object) -> Entry:
    """Return a run of this standing; *figures* are fields of its Run, and `status`, `ago`."""
    status = figures.pop("status", "running")
    ago = figures.pop("ago", 2.0)
    assert isinstance(ago, float)
    run = Run(name, name)
    for field, value in figures.items():
        setattr(run, field, value)
    view = None if standing == "unread" else RunView(run, [], status, ago)  # type: ignore[arg-type]
    path = Path("/logs") / name
    return replace(entry_of(path, name, Snapshot(path, view, grew_at=NOW - ago)), standing=standing)


def known(*entries: Entry) -> dict[Path, Entry]:
    """Return entries by their paths."""
    return {item.path: item for item in entries}


def shown(order: Order, entries: dict[Path, Entry], now: float = NOW) -> list[str]:
    """Return the names that an order shows, first to last."""
    return [path.name for path in order.arrange(entries, now)]


# -- what stands first


def test_the_worst_stand_first_and_the_seen_last() -> None:
    """Critical, warning, unknown, silenced, well and running, finished, not yet read, seen."""
    runs = known(
        entry("seen", "seen", status="failed"), entry("done", status="finished"), entry("run10"), entry("run9"),
        entry("new", "unread"), entry("quiet", "silenced"), entry("what", "unknown"), entry("warn", "warning"),
        entry("bad", "critical", status="failed"),
    )  # fmt: skip
    expected = ["bad", "warn", "what", "quiet", "run9", "run10", "done", "new", "seen"]
    assert shown(Order(), runs) == expected


def critical(name: str, began: float | None, status: str = "running", ago: float = 2.0, epoch: int = 4) -> Entry:
    """Return a run with a critical alert that fires since *began* in epoch 4."""
    found = Alert("nan", "nan", "", "critical", "firing", "NaN", 4, None, 1, 1, {}, began)
    base = entry(name, "critical", status=status, ago=ago, epoch=epoch)
    assert base.view is not None
    return replace(base, snapshot=replace(base.snapshot, view=replace(base.view, alerts=[found])))


def test_trouble_that_goes_on_stands_above_what_has_ended() -> None:
    """Of critical runs those that burst now come first, the newest trouble first; then what ended, the latest first."""
    runs = known(
        critical("a-finished", NOW - 9000, "finished", 9000.0), critical("b-failed", NOW - 10, "failed", 10.0),
        critical("c-stalled", NOW - 500, "stalled", 600.0), critical("d-old", NOW - 4000), critical("e-new", NOW - 60),
        critical("f-earlier", NOW - 5, epoch=9), critical("g-unknown-since", None), entry("h", "warning"),
    )  # fmt: skip
    expected = ["e-new", "d-old", "g-unknown-since", "f-earlier", "b-failed", "c-stalled", "a-finished", "h"]
    assert shown(Order(), runs) == expected


def test_growing_logs_do_not_change_places() -> None:
    """Runs whose trouble began before anybody looked stand by name, whichever log grew last."""
    for ago in (1.0, 3.0):
        runs = known(critical("b", None, ago=4.0 - ago), critical("a", None, ago=ago))
        assert shown(Order(), runs) == ["a", "b"]


def test_an_empty_log_is_no_longer_being_opened() -> None:
    """A log without a byte is counted as empty, not as one that is still to be read."""
    empty = entry_of(Path("/logs/e"), "e", Snapshot(Path("/logs/e"), grew_at=NOW))
    counts = count([empty, entry_of(Path("/logs/n"), "n", Snapshot(Path("/logs/n"), grew_at=NOW, size=10))])
    assert (counts.empty, counts.standings["unread"]) == (1, 1)


def test_names_sort_as_people_count() -> None:
    """`run9` comes before `run10`, whatever stands between digits."""
    assert sorted(["run10", "run9", "Run1b", "run1a", "9", "\u0663"], key=natural) == [
        "9", "run1a", "Run1b", "run9", "run10", "\u0663",
    ]  # fmt: skip


@pytest.mark.parametrize(("column", "expected"), [
    ("nan", ["b", "a", "c"]), ("loss", ["c", "a", "b"]), ("epoch", ["a", "b", "c"]), ("run", ["a", "b", "c"]),
    ("updated", ["c", "a", "b"]), ("vram", ["b", "a", "c"]), ("lr", ["a", "b", "c"]),
])  # fmt: skip
def test_columns_sort_with_what_one_looks_for_first(column: str, expected: list[str]) -> None:
    """Counts begin with the highest, losses with NaN and then the lowest, ages with the newest; nothing is last."""
    runs = known(
        entry("a", nan_batches=3, losses={"loss": 0.1}, epoch=9, vram_gb=1.0, lr=0.1, ago=5.0),
        entry("b", nan_batches=7, losses={"loss": 0.5}, epoch=2, vram_gb=4.0, lr=0.01, ago=9.0),
        entry("c", nan_batches=0, losses={"loss": math.nan}, epoch=1, ago=1.0),
    )
    order = Order()
    order.sort_by(column)
    assert shown(order, runs) == expected


@pytest.mark.parametrize("column", SORTABLE)
def test_every_column_sorts_both_ways(column: str) -> None:
    """Reversed, the runs that have the figure stand the other way round, and those without it are still last."""
    runs = known(*(entry(f"r{n}", nan_batches=n, epoch=n, losses={"loss": float(n)}) for n in range(5)))
    runs |= known(entry("none", "unread"))
    order = Order()
    order.sort_by(column)
    there = shown(order, runs)
    order.sort_by(column)
    assert order.is_reversed
    assert set(shown(order, runs)) == set(there)
    assert column in ("run", "status", "updated") or shown(order, runs)[-1] == there[-1] == "none"


# -- it holds still


def test_the_order_holds_for_five_seconds() -> None:
    """A run that turns critical rises at the next sorting, five seconds after the last one."""
    order, runs = Order(), known(entry("a"), entry("b"))
    assert shown(order, runs, NOW) == ["a", "b"]
    runs = known(entry("a"), entry("b", "critical"))
    assert shown(order, runs, NOW + 4.9) == ["a", "b"]
    assert shown(order, runs, NOW + 5) == ["b", "a"]


def test_the_order_holds_while_keys_are_used() -> None:
    """Nothing moves within five seconds of a key press, however long that goes on."""
    order, runs = Order(), known(entry("a"), entry("b"))
    shown(order, runs)
    runs = known(entry("a"), entry("b", "critical"))
    for second in range(20):
        order.touch(NOW + second)
        assert shown(order, runs, NOW + second + 0.9) == ["a", "b"]
    assert shown(order, runs, NOW + 24) == ["b", "a"]


def test_sorting_on_request_is_at_once() -> None:
    """Somebody who asks for another order gets it, keys or not."""
    order, runs = Order(), known(entry("a"), entry("b", nan_batches=1))
    shown(order, runs)
    order.touch(NOW)
    order.sort_by("nan")
    assert shown(order, runs, NOW + 0.1) == ["b", "a"]


def test_new_runs_are_put_where_they_belong() -> None:
    """A new run takes its place at once, and moves no other; one that is gone leaves."""
    order = Order()
    shown(order, known(entry("a"), entry("c")))
    runs = known(entry("a", "critical"), entry("c"), entry("b"))
    assert shown(order, runs, NOW + 1) == ["a", "b", "c"]
    assert shown(order, known(entry("c"), entry("b")), NOW + 2) == ["b", "c"]


def test_a_run_that_is_read_at_last_takes_its_place() -> None:
    """What was read first of a log puts it where it belongs, unless somebody uses the keys."""
    order, late = Order(), known(entry("a"), entry("z", "critical"))
    assert shown(order, known(entry("a"), entry("z", "unread"))) == ["a", "z"]
    order.touch(NOW)
    assert shown(order, late, NOW + 1) == ["a", "z"]
    order = Order()
    shown(order, known(entry("a"), entry("z", "unread")))
    assert shown(order, late, NOW + 1) == ["z", "a"]


def test_a_clock_that_was_put_back_does_not_freeze_the_order() -> None:
    """The order is renewed though the clock shows an earlier time."""
    order = Order()
    shown(order, known(entry("a"), entry("b")))
    assert shown(order, known(entry("a"), entry("b", "critical")), NOW - 3600) == ["b", "a"]


# -- what is left out


def test_finished_runs_and_healthy_ones_can_be_hidden() -> None:
    """Two switches: without the finished runs, and only those with problems."""
    runs = known(entry("a"), entry("b", "warning"), entry("c", status="finished"), entry("d", "unknown"))
    order = Order()
    order.hides_finished = True
    assert shown(order, runs) == ["b", "d", "a"]
    order.only_problems = True
    order.renew()
    assert shown(order, runs) == ["b", "d"]


def test_settings_come_back() -> None:
    """What was chosen can be remembered; what is not understood of it is left out."""
    order = Order()
    order.sort_by("nan")
    order.is_reversed = order.only_problems = True
    other = Order()
    other.restore(order.settings, SORTABLE)
    assert other.settings == order.settings
    other.restore({"sort": "no such column", "reverse": "yes"}, SORTABLE)
    assert (other.sort, other.is_reversed) == ("nan", False)


def test_counts_are_of_all_runs() -> None:
    """Every run counts once; one that finished well is not counted as ok."""
    counts = count([entry("a"), entry("b", status="finished"), entry("c", "critical"), entry("d", "seen")])
    assert (counts.total, counts.finished) == (4, 1)
    assert (counts.standings["ok"], counts.standings["critical"], counts.standings["seen"]) == (1, 1, 1)


# -- the filter's language

RUNS = (
    entry("unet-a", "critical", nan_batches=73, epoch=4, losses={"loss": math.nan}, rate=12.4, format="tqdm"),
    entry("unet-b", status="stalled", epoch=12, losses={"loss": 0.3}, ago=1020.0),
    entry("vit bs=64", status="finished", epoch=90, lr=3e-4, vram_gb=22.4),
    entry("new", "unread"),
)


@pytest.mark.parametrize(("text", "expected"), [
    ("", "0123"), ("unet", "01"), ("UNET", "01"), ("!unet", "23"), ("!!unet", "01"), ("unet a", "0"),
    ("status:stalled", "1"), ("!status:stalled", "023"), ("status:fin", "2"), ("health:critical", "0"),
    ("health:crit", "0"), ("nan>0", "0"), ("nan=0", "12"), ("epoch>=12", "12"), ("epoch<12", "0"), ("epoch!=4", "12"),
    ("loss=nan", "0"), ("loss!=nan", "1"), ("loss<1", "1"), ("lr=3e-4", "2"), ("bs=64", "2"), ("vram>20", "2"),
    ("age>15m", "1"), ("age<1h", "0123"), ("speed>10", "0"), ("format:tqdm", "0"), ("name:vit", "2"),
    ('"bs=64"', "2"), ('!"vit bs"', "013"), ("nan>0 epoch>=12", ""), ("epoch>0.01k", "12"), ("!", ""),
])  # fmt: skip
def test_the_filter_understands(text: str, expected: str) -> None:
    """Words, their opposites, statuses, healths and figures; all words of a filter together."""
    test = parse_filter(text)
    assert "".join(str(n) for n, run in enumerate(RUNS) if test(run, NOW)) == expected


@pytest.mark.parametrize(("text", "told"), [
    ("nan>", "nan> needs a number"), ("nan>x", "nan> needs a number, not 'x'"), ("loss>nan", "not nan"),
    ("foo>1", "no figure is called foo"), ("foo:bar", "nothing is called foo"), ("status:lazy", "status: is one of"),
    ("health:", "health: is one of"), ("nan:3", "write nan>1"),
])  # fmt: skip
def test_a_wrong_filter_says_what_is_wrong(text: str, told: str) -> None:
    """What is not understood is told in words."""
    with pytest.raises(WrongFilter, match="^.*" + told.replace("?", r"\?")):
        parse_filter(text)


def test_a_wrong_filter_changes_nothing() -> None:
    """The filter before stays until the new one is understood."""
    order, runs = Order(), known(*RUNS)
    order.set_filter("unet")
    with pytest.raises(WrongFilter):
        order.set_filter("unet nan>")
    assert order.filter == "unet"
    assert shown(order, runs) == ["unet-a", "unet-b"]


FILTERS = st.text(max_size=80) | st.lists(
    st.sampled_from(["nan", "loss", "age", ">", "<=", "=", ":", "!", '"', " ", "1e999", "-", "nan", "m", "%", "status"])
).map("".join)


@given(FILTERS)
def test_any_text_is_a_filter_or_a_wrong_one(text: str) -> None:
    """Whatever is typed is understood or refused in words; nothing else happens."""
    try:
        test = parse_filter(text)
    except WrongFilter:
        return
    for run in RUNS:
        assert test(run, NOW) in (True, False)


def test_many_exclamation_marks_are_no_trouble() -> None:
    """A key that hangs is survived."""
    assert parse_filter("!" * 100_001 + "unet")(RUNS[2], NOW)
