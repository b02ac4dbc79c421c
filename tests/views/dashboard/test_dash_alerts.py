"""The alerts of a run: their order, their words, every key, every size, and hostile messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual import events
from textual.pilot import Pilot

from nanwatch.config import CustomRule, Rules, Stall
from nanwatch.model.alert import Alert
from nanwatch.model.snapshot import RunView
from nanwatch.rules.base import rule_types
from nanwatch.views.dashboard.alerts import AlertsPanel
from nanwatch.views.dashboard.alerts_details import as_text, detail_lines, evidence, explanation, rules_at_work
from nanwatch.views.dashboard.alerts_list import Order, counted, list_lines, ordered
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import AckWanted, CopyWanted, LogWanted, SilenceWanted
from nanwatch.views.dashboard.panel import glyphs_of
from nanwatch.views.page import Page
from tests.views.dashboard.test_dash_overview import (
    CAPTURES,
    HOSTILE,
    LOGS,
    NOW,
    SIZES,
    PanelApp,
    alert,
    capture,
    cod,
    hand_made,
    screen,
    snapshot,
    texts,
    using,
    yolo,
)

FIRING = alert("nan_burst", "critical", message="many NaN", epoch=1, started_at=NOW - 120)
OLDER = alert("vram_jump", message="more VRAM", epoch=1, started_at=NOW - 3720)
NEWS = alert("finished", "info", message="done", epoch=3, started_at=NOW - 1)
SEEN = alert("stall", "critical", message="silent", acknowledged_at=NOW, suppressed=("acknowledged",))
QUIET = alert("slowdown", message="slow", suppressed=("silenced: until I am back",))
INHIBITED = alert("nan_loss", message="a NaN", epoch=1, suppressed=("inhibited by nan_burst",))
OVER = alert("oom_recovered", "critical", "resolved", "was full", started_at=NOW - 9000, resolved_at=NOW - 8460)
ALL = [OVER, QUIET, INHIBITED, SEEN, OLDER, FIRING, NEWS]


def page(width: int = 80, is_ascii: bool = False) -> Page:
    """Return what lines have to fit into."""
    return Page(width, glyphs_of(is_ascii))


def listed(view: RunView, width: int = 80, is_ascii: bool = False, **order: bool) -> list[str]:
    """Return the list, its head first."""
    head, lines = list_lines(view, ordered(view.alerts, Order(**order)), NOW, page(width, is_ascii), is_ascii)
    return texts([*head, *lines])


def details(view: RunView, one: Alert, width: int = 80, is_explained: bool = False) -> list[str]:
    """Return the details of an alert."""
    return texts(detail_lines(view, one, NOW, page(width), Rules(), False, is_explained))


# -- the list


def test_list_is_ordered_by_what_needs_somebody() -> None:
    """First what fires, then news, then what nobody is told of and why, then what is over; the newest first in each."""
    assert listed(hand_made(alerts=ALL)) == [
        "   STATE     SINCE FOR   WHAT",
        " X FIRING    14:00 2m    many NaN",
        " ! FIRING    13:00 1h02  more VRAM",
        " i news      14:02 1s    done",
        " x seen      14:02 3s    silent",
        " z covered   e1 b7 -     nan_loss, told by nan_burst: a NaN",
        " z silenced  e2 b7 -     until I am back: slow",
        " ✓ resolved  11:32 9m    was full",
    ]
    assert counted(ALL) == "2 firing, 1 news, 2 silenced or seen, 1 told by another, 1 resolved"


def test_list_can_be_sorted_by_severity_and_cut_to_what_fires() -> None:
    """By severity the worst comes first, however old; only what fires can be left. Pending alerts are none yet."""
    newer = alert(message="newer", started_at=NOW)
    view = hand_made(alerts=[*ALL, newer, alert(state="pending")])
    assert [a.message for a in ordered(view.alerts, Order())][:3] == ["newer", "many NaN", "more VRAM"]
    assert [a.message for a in ordered(view.alerts, Order(is_by_severity=True))][:2] == ["many NaN", "newer"]
    assert [a.message for a in ordered(view.alerts, Order(is_firing_only=True))] == ["newer", "many NaN", "more VRAM"]
    assert len(ordered(view.alerts, Order())) == 8


def test_yolo_story_without_times_tells_places() -> None:
    """Where nothing tells the time, alerts are told by epoch and batch, with counts as of now.

    One for which another stands names itself and that other first: the rest of its words are the same.
    """
    assert listed(yolo()) == [
        "   STATE     SINCE  FOR  WHAT",
        " X FIRING    e4 b36 -    73 NaN in 246 batches (30 %) since batch 32, the last…",
        " X FIRING    e4 b31 -    72 optimizer steps skipped (29 %) since batch 31…",
        " ! FIRING    e4 b3  -    VRAM 4.2 → 4.71 G (+0.51 G, +12 %) in epoch 4",
        " z covered   e4 b32 -    nan_loss, told by nan_burst: 73 NaN in 246 batches (30…",
    ]


def test_cod_story_names_collapse_and_silence() -> None:
    """The collapse: what stands for it, and what is inhibited by it."""
    assert [line[:18].rstrip() for line in listed(cod())[1:]] == [
        " X FIRING    04:52", " X FIRING    e98", " X FIRING    e98", " z covered   e91"
    ]  # fmt: skip


def test_silence_counts_from_the_last_output() -> None:
    """A stall began with the last output, not when it was noticed; one that is over keeps its length."""
    stall = alert("stall", "critical", message="silent", started_at=NOW - 46, evidence={"silence_seconds": 1140})
    view = replace(hand_made("stalled", [stall]), silence=1140.0)
    assert listed(view)[1] == " X FIRING    13:43 19m  silent"
    assert details(view, stall)[-2] == " time      FIRING  since 13:43  for 19m"
    assert "since 13:43" in as_text(view, stall, NOW)
    over = replace(stall, state="resolved", resolved_at=NOW - 60)
    assert listed(hand_made(alerts=[over]))[1] == " ✓ resolved  13:42 19m  silent"


def test_how_a_log_ended_is_dated_by_its_last_byte() -> None:
    """A crash in a log without times is as old as the log's last byte; what happened before in it is not."""
    crash = alert("crash", "critical", message="crashed")
    view = replace(hand_made("crashed", [crash, alert()]), silence=2460.0)
    assert listed(view)[1:] == [" ! FIRING    e2 b7 -    a message", " X FIRING    13:21 41m  crashed"]
    assert details(view, crash)[-1] == " time      FIRING  since 13:21  for 41m"


def test_reasons_are_told_in_words() -> None:
    """The details say which alert stands for one; the line of one that is silenced says until when, if that is told."""
    assert details(hand_made(), INHIBITED)[-1] == " quiet     told by nan_burst"
    both = alert(suppressed=("silenced: until 17:30", "inhibited by oom", "inhibited by crash"))
    view = hand_made(alerts=[both, alert(suppressed=("silenced",))])
    assert details(view, both)[-1] == " quiet     silenced: until 17:30  told by oom and crash"
    assert listed(view)[2] == " z silenced  e2 b7 -    nan_loss, told by oom and crash: a message"
    assert listed(view)[1] == " z silenced  e2 b7 -    a message"
    head, (line,) = list_lines(hand_made(), [INHIBITED], NOW, page(), False)
    assert {span.role for span in line.spans if span.text.strip()} == {"quiet"}
    assert len(head) == 1


def test_steps_are_told_where_there_are_no_epochs() -> None:
    """A run without epochs has alerts at steps."""
    assert " X FIRING    step 122 -    131 NaN losses since step 120" in listed(capture("nanogpt/nanogpt_tee_nan.log"))


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_every_capture_fits_its_screen(log: Path) -> None:
    """Whatever the log and the width, no line is longer than the screen, and each is printable."""
    view = capture(str(log.relative_to(CAPTURES)))
    for width in (1, 20, 80, 200):
        lines = listed(view, width, is_ascii=True)
        lines += [line for one in view.alerts for line in details(view, one, width, is_explained=True)]
        for line in lines:
            assert cell_len(line) <= width
            assert line.isprintable()


# -- the details


def test_details_tell_all_that_is_known() -> None:
    """The words in full, rule and severity, the place in the run and in the log, times, evidence in words."""
    view = yolo()
    burst = next(a for a in view.alerts if a.rule == "nan_burst")
    assert details(view, burst) == [
        " X 73 NaN in 246 batches (30 %) since batch 32, the last at 244, about 120 by",
        "   the epoch's end",
        " rule      nan_burst  critical  i explains it",
        f" where     epoch 4  batch 36  log line {burst.line}  byte {burst.offset:,}",
        " time      FIRING  the log has no times",
        " evidence  NaN losses 73  batches seen 244  first at batch 32",
        "           three NaN within 5 batches  expected by its end 123",
    ]
    assert details(hand_made(), OVER)[-1] == " time      resolved  since 11:32  for 9m  over at 11:41"
    assert details(hand_made(), QUIET)[-2:] == [
        " time      silenced, still firing  the log has no times", " quiet     silenced: until I am back"
    ]  # fmt: skip


def test_every_rule_explains_itself() -> None:
    """The explanation is the rule's own, from where it is written; a rule of the user's is its condition."""
    for rule in rule_types():
        text = explanation(rule, Rules())
        assert text.count(". ") >= 1
        assert "  " not in text
    assert explanation("nan_loss", Rules()).startswith("a batch's loss is non-finite.")
    own = Rules(custom=(CustomRule("mine", "loss > 3"),))
    assert explanation("mine", own) == "your own rule, while loss > 3"
    assert explanation("gone", own) == "nothing is known of a rule named gone"


def test_rules_at_work_are_counted() -> None:
    """Rules that are switched off do not watch, the user's own do."""
    count = int(rules_at_work(Rules()).split()[0])
    own = Rules(stall=Stall(enabled=False), custom=(CustomRule("a", "x"), CustomRule("b", "x", enabled=False)))
    assert count >= 18
    assert rules_at_work(own) == f"{count} rules watch"


def test_evidence_is_worded() -> None:
    """What is known is called by its words; what is not, by its name; what says nothing is left out."""
    told = {"nan_batches": 73, "my_count": 1200.0, "kind": "x", "loss": "loss", "to": None, "value": float("nan")}
    assert list(evidence(alert(evidence=told))) == [
        ("NaN losses", "73"), ("my count", "1200"), ("loss", "loss"), ("value now", "nan")
    ]  # fmt: skip


def test_hostile_alerts_stay_text() -> None:
    """Escapes, markup, wide and bidirectional text in messages, names and reasons stand there inert."""
    bad = alert(HOSTILE, message=HOSTILE, evidence={HOSTILE: HOSTILE, "loss": HOSTILE}, suppressed=(HOSTILE,))
    view = hand_made(alerts=[bad])
    for width in (20, 80):
        lines = [*listed(view, width), *details(view, bad, width, is_explained=True)]
        assert all(line.isprintable() and "\u202e" not in line and cell_len(line) <= width for line in lines)
    copied = as_text(view, bad, NOW)
    assert all(line.isprintable() and "\u202e" not in line for line in copied.splitlines())


def test_times_that_are_none_are_survived() -> None:
    """A clock that told nonsense does no harm."""
    odd = [alert(started_at=time, resolved_at=0.0, state="resolved") for time in (float("inf"), -1e18, 1e300)]
    view = hand_made(alerts=odd)
    assert len(listed(view)) == 4
    assert all(details(view, one) for one in odd)


# -- the panel


def at(app: PanelApp) -> str:
    """Return the words of the alert at the cursor."""
    assert isinstance(app.panel, AlertsPanel)
    assert app.panel.alert is not None
    return app.panel.alert.message


def panel_of(app: PanelApp) -> AlertsPanel:
    """Return the panel."""
    assert isinstance(app.panel, AlertsPanel)
    return app.panel


def test_wishes_are_about_the_alert_at_the_cursor() -> None:
    """Enter, `a`, `A`, `x` and `y` ask for its place in the log, quiet, its end, a silence, a copy."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("j", "enter", "a", "A", "x", "y")
        log, seen, undone, silence, copy = app.wishes
        assert isinstance(log, LogWanted)
        assert log.offset == 4711
        assert isinstance(seen, AckWanted)
        assert (seen.alerts, seen.undo) == ([OLDER], False)
        assert isinstance(undone, AckWanted)
        assert undone.undo
        assert isinstance(silence, SilenceWanted)
        assert (silence.path, silence.alerts) == (Path("/logs/x.log"), [OLDER])
        assert isinstance(copy, CopyWanted)
        assert copy.text.startswith("warning vram_jump: more VRAM\nexp/x: epoch 1")

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_severities_are_gone_through() -> None:
    """`e` and `E` go to the next and the previous critical alert, `w` and `W` to warnings; the last is the last."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        found = []
        for key in ("e", "e", "e", "E", "w", "W", "w"):
            await pilot.press(key)
            found.append(at(app))
        assert found == ["silent", "was full", "was full", "silent", "a NaN", "more VRAM", "a NaN"]

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_filter_sort_and_rule_are_remembered() -> None:
    """`!` leaves what fires, `s` sorts by severity, `i` explains the rule."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("!", "s", "i")
        await pilot.pause()
        assert [line.split()[1] for line in screen(app)[1:3]] == ["FIRING", "FIRING"]
        assert any(line.startswith(" meaning   non-finite losses come in a burst") for line in screen(app))
        remembered = {"by_severity": True, "firing": True, "explain": True}
        assert panel_of(app).settings == remembered
        other = AlertsPanel()
        other.restore(remembered)
        assert other.settings == remembered
        other.restore({"firing": "nonsense"})
        assert other.settings == {"by_severity": False, "firing": False, "explain": False}

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_cursor_stays_on_its_alert() -> None:
    """When others come, the cursor stays on its alert, and so do the details; also where it was never moved."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("j")
        newer = alert("oom", "critical", message="newer", started_at=NOW)
        panel_of(app).show_run(snapshot(hand_made(alerts=[*ALL, newer])), NOW)
        await pilot.pause()
        assert at(app) == "more VRAM"
        assert " ! more VRAM" in screen(app)

    async def look(app: PanelApp, pilot: Pilot[None]) -> None:
        newer = alert("oom", "critical", message="newer", started_at=NOW)
        panel_of(app).show_run(snapshot(hand_made(alerts=[*ALL, newer])), NOW)
        await pilot.pause()
        assert at(app) == "many NaN"

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), look, (80, 24))
    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_cursor_goes_down_with_an_alert_that_is_acknowledged() -> None:
    """After `a` the alert sinks, the cursor with it, moved before or not: `A` takes that back, and no other's."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("a")
        seen = replace(FIRING, suppressed=("acknowledged",), acknowledged_at=NOW)
        panel_of(app).show_run(snapshot(hand_made(alerts=[a for a in ALL if a is not FIRING] + [seen])), NOW)
        await pilot.pause()
        assert at(app) == "many NaN"
        await pilot.press("A", "a")
        assert [wish.alerts[0].rule for wish in app.wishes if isinstance(wish, AckWanted)] == ["nan_burst"] * 3

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_filter_spares_the_alert_that_was_just_acknowledged() -> None:
    """Where only what fires is shown, an alert stays until the cursor leaves it: `A` is to find it."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("!", "a")
        seen = replace(FIRING, suppressed=("acknowledged",), acknowledged_at=NOW)
        shown = snapshot(hand_made(alerts=[OLDER, seen, QUIET]))
        panel_of(app).show_run(shown, NOW)
        await pilot.pause()
        assert [line.split()[1] for line in screen(app)[1:3]] == ["FIRING", "seen"]
        assert at(app) == "many NaN"
        await pilot.press("k")
        await pilot.pause()
        panel_of(app).show_run(shown, NOW)
        await pilot.pause()
        assert screen(app)[1:3] == [" ! FIRING    13:00 1h02  more VRAM", ""]
        assert at(app) == "more VRAM"

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_keys_of_one_packet_act_where_the_cursor_then_is() -> None:
    """`j` and `a` at once, and a snapshot between them: it is the second alert that is acknowledged."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        view = app.query_one("#alerts-list", LinesView)
        view.action_move(1)
        newer = alert("oom", "critical", message="newer", started_at=NOW)
        panel_of(app).show_run(snapshot(hand_made(alerts=[*ALL, newer])), NOW)
        panel_of(app).action_acknowledge(False)
        await pilot.pause()
        (wish,) = app.wishes
        assert isinstance(wish, AckWanted)
        assert wish.alerts == [OLDER]
        for key in ("j", "a"):
            app.post_message(events.Key(key, key))
        await pilot.pause()
        wish = app.wishes[-1]
        assert isinstance(wish, AckWanted)
        assert wish.alerts == [NEWS]

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


def test_nothing_to_see_is_told() -> None:
    """Without alerts the number of rules that watch is told; with none that fires, how many others there are."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        assert screen(app)[0] == f" no alert so far; {rules_at_work(Rules())}"
        await pilot.press("enter", "a", "x", "y", "e", "i")
        assert app.wishes == []
        await pilot.press("!")
        panel_of(app).show_run(snapshot(hand_made(alerts=[OVER])), NOW)
        await pilot.pause()
        assert screen(app)[0] == " no alert is firing (1 resolved); ! shows all"
        panel_of(app).show_run(snapshot(None), NOW)
        await pilot.pause()
        assert screen(app)[0] == " reading…"

    using(AlertsPanel(), snapshot(hand_made()), use, (80, 24))


def test_mouse_points_opens_and_sorts() -> None:
    """A click points and shows the details, a second one opens; a click on the head sorts."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.click("#alerts-list", offset=(20, 2))
        await pilot.pause()
        assert " ! more VRAM" in screen(app)
        await pilot.click("#alerts-list", offset=(20, 2))
        assert [wish.offset for wish in app.wishes if isinstance(wish, LogWanted)] == [4711]
        await pilot.click("#alerts-list", offset=(20, 0))
        assert panel_of(app).settings["by_severity"] is True

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, (80, 24))


@pytest.mark.parametrize("cells", SIZES)
def test_it_is_laid_out_for_every_size(cells: tuple[int, int]) -> None:
    """The details are below the list, from 130 cells on beside it; where there is no room, there are none."""

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        lines = screen(app)
        assert "many NaN" in lines[1]
        assert ("1 of 7: 2 firing" in lines[0]) == (cells[0] >= 130)
        for width, height in ((200, 20), (80, 24), (40, 8), (30, 4)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert ("1 of 7: 2 firing" in screen(app)[0]) == (width == 200)
            assert any("rule      nan_burst" in line for line in screen(app)) == (height > 4)

    using(AlertsPanel(), snapshot(hand_made(alerts=ALL)), use, cells)


def test_cursor_is_seen_when_details_grow() -> None:
    """The list scrolls so far that the alert at the cursor is seen above its details."""
    many = [alert(message=f"number {n}", offset=n, evidence={f"x{m}": m for m in range(60)}) for n in range(40)]

    async def use(app: PanelApp, pilot: Pilot[None]) -> None:
        await pilot.press("G")
        await pilot.pause()
        assert at(app) == "number 0"
        height = app.query_one("#alerts-list", LinesView).size.height
        assert any(line.endswith("number 0") for line in screen(app)[1:height])

    using(AlertsPanel(), snapshot(hand_made(alerts=many)), use, (80, 24))
