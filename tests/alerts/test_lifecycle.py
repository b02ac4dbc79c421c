"""The life of an alert: pending, firing, worse, ended, and perhaps again; nothing is told twice."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.alerts.lifecycle import Alerts
from nanwatch.config import Hold, Life
from nanwatch.model.alert import SEVERITIES, Alert, Evidence, Finding, Mark, Severity
from tests.support.repeatable import repeatable

HOLDS = [Hold(10, "seconds"), Hold(2, "epochs"), Hold(100, "batches")]
EARLY = {"seconds": Mark(109.9, 9, 9000), "epochs": Mark(900.0, 2, 9000), "batches": Mark(900.0, 9, 599)}
LATE = {"seconds": Mark(110.0, 1, 500), "epochs": Mark(100.0, 3, 500), "batches": Mark(100.0, 1, 600)}
BEGIN = Mark(100.0, 1, 500)
"""A moment, and for each unit the last one at which nothing has lasted since, and the first at which it has."""
each_unit = pytest.mark.parametrize("hold", HOLDS, ids=lambda hold: hold.unit)


def finding(
    severity: Severity = "warning", key: str = "", rule: str = "nan_loss", message: str = "m",
    offset: int | None = 1000, **evidence: int,
) -> Finding:  # fmt: skip
    """Return a finding."""
    return Finding(rule, severity, message, key, 4, 32, offset, evidence)


def at(time: float | None) -> Mark:
    """Return a moment of which only the time matters."""
    return Mark(time)


def told(changed: list[Alert]) -> list[tuple[str, str, str]]:
    """Return what the changes say."""
    return [(alert.key, alert.severity, alert.state) for alert in changed]


def states(life: Alerts) -> list[str]:
    """Return the state of all that is remembered."""
    return [alert.state for alert in life.state]


# -- begin, grow worse, end


def test_begin() -> None:
    """A finding that is new fires, with all that it says, its line, and when it was seen."""
    life = Alerts()
    now = Mark(100.0, 4, 132)
    (alert,) = life.update("nan_loss", [finding(key="epoch 4", nan_batches=1)], now, Life(), {1000: 17}.get)
    assert alert == Alert(
        alert.id, "nan_loss", "epoch 4", "warning", "firing", "m", 4, 32, 1000, 17, {"nan_batches": 1}, 100.0,
        since=now,
    )  # fmt: skip
    assert life.history == life.firing == life.state == [alert]


def test_renew() -> None:
    """While the finding holds, words and numbers follow it, its place stays the onset's, and nothing is told."""
    life = Alerts()
    (alert,) = life.update("nan_loss", [finding(nan_batches=1)], at(100.0))
    later = Finding("nan_loss", "warning", "more", "", 5, 1, 9000, {"nan_batches": 7})
    assert life.update("nan_loss", [later], at(101.0)) == []
    assert (alert.message, alert.evidence, alert.started_at) == ("more", {"nan_batches": 7}, 100.0)
    assert (alert.epoch, alert.batch, alert.offset) == (4, 32, 1000)


def test_escalate() -> None:
    """A finding that grew worse is told; one that grew better is not, and keeps its worst severity."""
    life = Alerts()
    life.update("grad_skip", [finding("warning", rule="grad_skip")], at(1.0))
    worse = life.update("grad_skip", [finding("critical", rule="grad_skip")], at(2.0))
    assert told(worse) == [("", "critical", "firing")]
    assert life.update("grad_skip", [finding("critical", rule="grad_skip")], at(3.0)) == []
    assert life.update("grad_skip", [finding("warning", rule="grad_skip")], at(4.0)) == []
    assert [(a.severity, a.started_at) for a in life.history] == [("critical", 1.0)]


def test_resolve() -> None:
    """An alert ends when its finding is gone, and keeps its last words."""
    life = Alerts()
    life.update("nan_loss", [finding(message="last")], at(1.0))
    (alert,) = life.update("nan_loss", [], at(9.0))
    assert (alert.state, alert.resolved_at, alert.message) == ("resolved", 9.0, "last")
    assert life.update("nan_loss", [], at(10.0)) == []
    assert alert.resolved_at == 9.0
    assert life.firing == []


def test_again() -> None:
    """What comes back is a new alert; the old one stays in the history."""
    life = Alerts()
    for now, found in enumerate([[finding()], [], [finding()]]):
        life.update("nan_loss", found, at(now))
    assert [(a.state, a.started_at, a.resolved_at) for a in life.history] == [
        ("resolved", 0.0, 1.0),
        ("firing", 2.0, None),
    ]


def test_keys_live_side_by_side() -> None:
    """Findings of one rule with different keys are different alerts, and one that follows another ends it."""
    life = Alerts()
    life.update("nan_loss", [finding(key="epoch 1")], at(1.0))
    changed = life.update("nan_loss", [finding(key="epoch 2")], at(2.0))
    assert told(changed) == [("epoch 2", "warning", "firing"), ("epoch 1", "warning", "resolved")]
    assert told(life.update("nan_loss", [finding(key=k) for k in ("epoch 2", "epoch 3")], at(3.0))) == [
        ("epoch 3", "warning", "firing")
    ]
    assert [a.key for a in life.firing] == ["epoch 2", "epoch 3"]


def test_a_rule_ends_only_its_own() -> None:
    """What one rule no longer finds says nothing of another's."""
    life = Alerts()
    life.update("nan_loss", [finding()], at(1.0))
    life.update("crash", [finding("critical", rule="crash")], at(1.0))
    assert [a.rule for a in life.update("crash", [], at(2.0))] == ["crash"]
    assert states(life) == ["firing", "resolved"]


def test_without_times() -> None:
    """In a replay of a log without times, alerts have none."""
    life = Alerts()
    life.update("nan_loss", [finding()], Mark(None, 4, 32))
    (alert,) = life.update("nan_loss", [], Mark(None, 5, 1))
    assert (alert.started_at, alert.resolved_at) == (None, None)


def test_evidence_is_its_own() -> None:
    """An alert does not share its evidence with the finding it came from."""
    evidence: dict[str, float | int | str | None] = {"n": 1}
    shared: Evidence = evidence
    life = Alerts()
    (alert,) = life.update("x", [Finding("x", "info", "m", evidence=shared)], at(None))
    evidence["n"] = 2
    assert alert.evidence == {"n": 1}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_severity_of_the_config(severity: Severity) -> None:
    """The severity that the config sets takes the place of the rule's own, and does not grow worse."""
    life, settings = Alerts(), Life(severity=severity)
    assert told(life.update("x", [finding("warning", rule="x")], at(1.0), settings)) == [("", severity, "firing")]
    assert life.update("x", [finding("critical", rule="x")], at(2.0), settings) == []


# -- it must hold for a while


@each_unit
def test_pending_until_it_has_held(hold: Hold) -> None:
    """A finding with a hold is no news until it has lasted; then it fires from that moment on."""
    life, settings = Alerts(), Life(hold)
    assert life.update("x", [finding(rule="x")], BEGIN, settings) == []
    assert life.update("x", [finding(rule="x")], EARLY[hold.unit], settings) == []
    assert (states(life), life.history, life.firing) == (["pending"], [], [])
    assert life.pending == life.waiting == life.state
    (alert,) = life.update("x", [finding(rule="x", message="still")], LATE[hold.unit], settings)
    assert (alert.state, alert.message, alert.since) == ("firing", "still", BEGIN)
    assert alert.started_at == LATE[hold.unit].time
    assert (life.pending, life.waiting, life.history) == ([], [], [alert])
    assert life.update("x", [finding(rule="x")], LATE[hold.unit], settings) == []


@each_unit
def test_a_pending_one_that_ends_was_never_news(hold: Hold) -> None:
    """What is gone before it has held is not told, leaves no trace, and begins to hold anew when it comes back."""
    life, settings = Alerts(), Life(hold)
    life.update("x", [finding(rule="x")], BEGIN, settings)
    assert life.update("x", [], EARLY[hold.unit], settings) == []
    assert (life.state, life.history, life.waiting) == ([], [], [])
    assert life.update("x", [finding(rule="x")], LATE[hold.unit], settings) == []
    assert states(life) == ["pending"]


def test_escalation_only_while_firing() -> None:
    """A pending finding that grows worse is told once, as bad as it was, when it has held."""
    life, settings = Alerts(), Life(Hold(10))
    life.update("x", [finding("warning", rule="x")], at(0.0), settings)
    assert life.update("x", [finding("critical", rule="x")], at(5.0), settings) == []
    assert life.update("x", [finding("info", rule="x")], at(9.0), settings) == []
    assert told(life.update("x", [finding("warning", rule="x")], at(10.0), settings)) == [("", "critical", "firing")]
    assert life.update("x", [finding("critical", rule="x")], at(11.0), settings) == []


def test_pending_ones_do_not_wait_for_each_other() -> None:
    """Each key holds for itself."""
    life, settings = Alerts(), Life(Hold(10))
    both = [finding(rule="x", key="a"), finding(rule="x", key="b")]
    life.update("x", both[:1], at(0.0), settings)
    life.update("x", both, at(6.0), settings)
    assert told(life.update("x", both, at(10.0), settings)) == [("a", "warning", "firing")]
    assert told(life.update("x", both[1:], at(16.0), settings)) == [
        ("b", "warning", "firing"),
        ("a", "warning", "resolved"),
    ]


@pytest.mark.parametrize("times", [(None, None), (None, 5.0), (5.0, None)])
def test_where_no_clock_tells_the_time(times: tuple[float | None, float | None]) -> None:
    """A time whose beginning or end no clock tells has always passed: an alert held by it fires, and ends."""
    life, settings = Alerts(), Life(Hold(3600), Hold(3600))
    first, second = map(at, times)
    fired = [*life.update("x", [finding(rule="x")], first, settings)]
    fired += life.update("x", [finding(rule="x")], second, settings)
    assert told(fired) == [("", "warning", "firing")]
    ended = [*life.update("x", [], first, settings), *life.update("x", [], second, settings)]
    assert told(ended) == [("", "warning", "resolved")]


@pytest.mark.parametrize("hold", HOLDS[1:], ids=lambda hold: hold.unit)
def test_epochs_and_batches_need_no_clock(hold: Hold) -> None:
    """In a replay without times a hold in epochs or batches counts all the same."""
    life, settings = Alerts(), Life(hold)
    assert life.update("x", [finding(rule="x")], Mark(None, 1, 500), settings) == []
    assert len(life.update("x", [finding(rule="x")], Mark(None, 3, 600), settings)) == 1


@pytest.mark.parametrize("back", [Mark(50.0, 0, 100), Mark(100.0, 1, 500)])
@each_unit
def test_going_back_is_no_progress(hold: Hold, back: Mark) -> None:
    """Neither a clock that is set back nor an epoch that is repeated lets anything last longer."""
    life, settings = Alerts(), Life(hold)
    life.update("x", [finding(rule="x")], BEGIN, settings)
    assert life.update("x", [finding(rule="x")], back, settings) == []
    assert states(life) == ["pending"]


# -- it may be gone for a while


@each_unit
def test_keep_firing(hold: Hold) -> None:
    """An alert that is kept fires on after its finding is gone, and ends when that has lasted."""
    life, settings = Alerts(), Life(keep=hold)
    (alert,) = life.update("x", [finding(rule="x", message="last")], at(0.0), settings)
    assert life.waiting == []
    assert life.update("x", [], BEGIN, settings) == []
    assert life.update("x", [], EARLY[hold.unit], settings) == []
    assert (alert.state, alert.cleared, alert.resolved_at) == ("firing", BEGIN, None)
    assert life.firing == life.waiting == [alert]
    assert told(life.update("x", [], LATE[hold.unit], settings)) == [("", "warning", "resolved")]
    assert (alert.resolved_at, alert.message, life.waiting) == (LATE[hold.unit].time, "last", [])


@each_unit
def test_back_in_time(hold: Hold) -> None:
    """A finding that comes back while its alert is kept goes on with it, untold; the next absence counts anew."""
    life, settings = Alerts(), Life(keep=hold)
    (alert,) = life.update("x", [finding(rule="x")], at(0.0), settings)
    life.update("x", [], BEGIN, settings)
    assert life.update("x", [finding(rule="x", message="again")], EARLY[hold.unit], settings) == []
    assert (life.state, alert.message, alert.cleared, life.waiting) == ([alert], "again", None, [])
    assert life.update("x", [], LATE[hold.unit], settings) == []
    assert alert.state == "firing"


def test_worse_when_it_comes_back() -> None:
    """What comes back worse than it was is told."""
    life, settings = Alerts(), Life(keep=Hold(10))
    life.update("x", [finding("warning", rule="x")], at(0.0), settings)
    life.update("x", [], at(5.0), settings)
    worse = life.update("x", [finding("critical", rule="x")], at(6.0), settings)
    assert told(worse) == [("", "critical", "firing")]


def test_held_and_kept() -> None:
    """What comes back after it was kept for long enough is pending again."""
    life, settings = Alerts(), Life(Hold(10), Hold(5))
    for time in (0.0, 10.0):
        life.update("x", [finding(rule="x")], at(time), settings)
    for time in (11.0, 16.0):
        life.update("x", [], at(time), settings)
    assert life.update("x", [finding(rule="x")], at(17.0), settings) == []
    assert states(life) == ["resolved", "pending"]


# -- ids, restarts, bounds


def ids(life: Alerts) -> list[str]:
    """Return the ids of all that is remembered."""
    return [alert.id for alert in life.state]


def filled(number: int = 1, time: float | None = None, **changes: str | int) -> Alerts:
    """Return the alerts of three findings, of which *changes* change the first."""
    life = Alerts(None, number)
    first = finding(**{"rule": "a", "key": "epoch 4", "offset": 7, **changes})  # type: ignore[arg-type]
    for found in (first, finding(rule="b", key="epoch 4", offset=7), finding(rule="c", key="", offset=None)):
        life.update(found.rule, [found], at(time))
    return life


def test_ids_are_stable() -> None:
    """Whoever reads the same log again, whenever, finds the same ids: short words of letters and digits."""
    assert ids(filled()) == ids(filled(time=99.0)) == ids(filled(message="x", severity="critical", n=3))
    assert all(re.fullmatch(r"[0-9a-f]{12}", name) for name in ids(filled()))
    assert len({*ids(filled())}) == 3


def test_ids_do_not_change_in_a_life() -> None:
    """From pending to its end an alert bears one id, that of one which fires at once."""
    life, settings = Alerts(), Life(Hold(10), Hold(10))
    seen = []
    for time, there in ((0.0, True), (10.0, True), (11.0, False), (12.0, True), (13.0, False), (23.0, False)):
        life.update("a", [finding(rule="a", key="epoch 4", offset=int(time) + 7)] if there else [], at(time), settings)
        seen += ids(life)
    assert {*seen} == {ids(filled())[0]}
    assert states(life) == ["resolved"]


@pytest.mark.parametrize("change", [{"key": "epoch 5"}, {"offset": 8}, {"rule": "d"}])
def test_another_finding_has_another_id(change: dict[str, str | int]) -> None:
    """Another key, another place in the log or another rule is another alert."""
    here, there = ids(filled()), ids(filled(**change))  # type: ignore[arg-type]
    assert here[0] not in there
    assert here[1:] == there[1:]


def test_another_run_has_other_ids() -> None:
    """The same findings in another run of the same log bear other ids."""
    assert not {*ids(filled(1))} & {*ids(filled(2))}


def test_line_numbers() -> None:
    """An alert knows the line of the offset that began it; where that is not known, none."""
    life, lines = Alerts(), {10: 3, 20: 5}
    life.update("x", [finding(rule="x", key=str(o), offset=o) for o in (10, 20, 30, None)], at(0.0), Life(), lines.get)
    assert [alert.line for alert in life.state] == [3, 5, None, None]
    life.update("x", [finding(rule="x", key="10", offset=20)], at(1.0), Life(), lines.get)
    assert life.firing[0].line == 3


def test_taken_up_again() -> None:
    """Alerts that fired before a restart fire on, and are not told again."""
    first = Alerts()
    first.update("nan_loss", [finding()], at(1.0))
    second = Alerts(first.state)
    assert second.update("nan_loss", [finding()], at(2.0)) == []
    assert told(second.update("nan_loss", [], at(3.0))) == [("", "warning", "resolved")]


def test_pending_and_kept_are_taken_up_again() -> None:
    """A restart shortens no hold and lengthens none."""
    settings = Life(Hold(10), Hold(10))
    life = Alerts()
    life.update("x", [finding(rule="x")], at(0.0), settings)
    life = Alerts(life.state)
    assert life.update("x", [finding(rule="x")], at(9.0), settings) == []
    assert len(life.update("x", [finding(rule="x")], at(10.0), settings)) == 1
    life.update("x", [], at(20.0), settings)
    life = Alerts(life.state)
    assert [a.rule for a in life.waiting] == ["x"]
    assert life.update("x", [], at(29.0), settings) == []
    assert told(life.update("x", [], at(30.0), settings)) == [("", "warning", "resolved")]


def test_history_is_bounded() -> None:
    """Of an endless run the oldest ended alerts go; those that fire stay."""
    life = Alerts()
    life.update("crash", [finding("critical", rule="crash")], at(0.0))
    for n in range(5000):
        life.update("nan_loss", [finding(key=f"epoch {n}")], at(n))
    assert len(life.history) <= 2000
    assert life.history[0].rule == "crash"
    assert life.history[-1].key == "epoch 4999"


def test_more_fire_than_are_kept() -> None:
    """Where too many fire at once, the oldest go: memory is bounded in any case."""
    life = Alerts()
    life.update("x", [finding(rule="x", key=str(n)) for n in range(2500)], at(0.0))
    assert len(life.state) == len(life.firing) <= 2000
    assert life.firing[-1].key == "2499"


# -- whatever is found when

SEVERITY = st.sampled_from(SEVERITIES)
FOUND = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), SEVERITY, max_size=4)
UNIT = st.sampled_from([Hold(), Hold(3, "seconds"), Hold(2, "epochs"), Hold(4, "batches")])
LIFE = st.builds(Life, UNIT, UNIT, st.none() | SEVERITY)
MOVE = st.tuples(st.none() | st.integers(-1, 4), st.integers(-1, 2), st.integers(-2, 5))
Steps = list[tuple[dict[tuple[str, str], Severity], tuple[int | None, int, int]]]


def marks(moves: list[tuple[int | None, int, int]]) -> list[Mark]:
    """Return a moment after each of *moves*: how much later, how many epochs and batches on; None: no clock."""
    found, now = [], Mark(100.0)
    for seconds, epochs, batches in moves:
        now = Mark((now.time or 0.0) + (seconds or 0), now.epoch + epochs, now.position + batches)
        found.append(now if seconds is not None else Mark(None, now.epoch, now.position))
    return found


def found_of(rule: str, found: dict[tuple[str, str], Severity]) -> list[Finding]:
    """Return the findings of one rule."""
    return [finding(severity, key[1], rule) for key, severity in found.items() if key[0] == rule]


def check_words(words: list[str]) -> None:
    """Check what was told of one rule and key: it begins, worsens perhaps, ends, and so on."""
    assert words[0] != "resolved"
    for before, after in pairwise(words):
        assert before != after
        if "resolved" not in (before, after):
            assert SEVERITIES.index(after) > SEVERITIES.index(before)


@given(st.lists(st.tuples(FOUND, MOVE), max_size=20), st.tuples(LIFE, LIFE))
@repeatable
def test_firing_and_resolved_alternate(steps: Steps, lives: tuple[Life, Life]) -> None:
    """Whatever is found when: what is told of a rule and key alternates, worsens in between, and is remembered."""
    life, words, announced = Alerts(), dict[tuple[str, str], list[str]](), set[int]()
    for (found, _), now in zip(steps, marks([move for _, move in steps]), strict=True):
        for rule, settings in zip("ab", lives, strict=True):
            changed = life.update(rule, found_of(rule, found), now, settings)
            assert len({id(a) for a in changed}) == len(changed)
            announced |= {id(a) for a in changed}
            for alert in changed:
                told_now = "resolved" if alert.state == "resolved" else alert.severity
                words.setdefault((alert.rule, alert.key), []).append(told_now)
        known = [(a.rule, a.key) for a in (*life.firing, *life.pending)]
        assert len({*known}) == len(known)
        assert found.keys() <= {*known}
        assert {id(a) for a in life.waiting} <= {id(a) for a in (*life.firing, *life.pending)}
    for told_of_it in words.values():
        check_words(told_of_it)
    assert announced == {id(a) for a in life.history}


@given(st.lists(st.tuples(FOUND, MOVE), max_size=20))
@repeatable
def test_without_holds_alerts_are_what_is_found(steps: Steps) -> None:
    """Where nothing is held and nothing kept, exactly what is found fires, and nothing is pending."""
    life = Alerts()
    for (found, _), now in zip(steps, marks([move for _, move in steps]), strict=True):
        for rule in "ab":
            life.update(rule, found_of(rule, found), now)
        assert {(a.rule, a.key) for a in life.firing} == found.keys()
        assert len(life.firing) == len(found)
        assert life.pending == life.waiting == []


@given(st.lists(st.tuples(FOUND, MOVE), max_size=20), LIFE, st.integers(0, 19))
@repeatable
def test_a_restart_changes_nothing(steps: Steps, settings: Life, restart: int) -> None:
    """Alerts that are taken up from their state go on as if nothing had happened."""
    straight, restarted = Alerts(), Alerts()
    for n, ((found, _), now) in enumerate(zip(steps, marks([move for _, move in steps]), strict=True)):
        if n == restart:
            restarted = Alerts([*restarted.state])
        for rule in "ab":
            findings = found_of(rule, found)
            assert straight.update(rule, findings, now, settings) == restarted.update(rule, findings, now, settings)
    assert straight.state == restarted.state


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=30), st.integers(0, 6), st.integers(0, 6))
@repeatable
def test_held_for_and_kept_for(steps: list[tuple[bool, int]], hold: int, keep: int) -> None:
    """It fires once it has been there for the hold without a gap, until it is gone for the keep without a return."""
    life, settings = Alerts(), Life(Hold(hold), Hold(keep))
    there_since: int | None = None
    gone_since: int | None = None
    now, fires = 0, False
    for there, seconds in steps:
        now += seconds
        there_since = None if not there else now if there_since is None else there_since
        gone_since = None if there else now if gone_since is None else gone_since
        if there_since is not None:
            fires = fires or now - there_since >= hold
        if gone_since is not None:
            fires = fires and now - gone_since < keep
        life.update("a", [finding(rule="a")] if there else [], at(now), settings)
        assert (len(life.firing), len(life.pending)) == (fires, there and not fires)


# -- what nobody will ask about again


def test_another_run_ends_what_was_open() -> None:
    """When another training begins, what waited is dropped and what fired is over; news stays what it is."""
    life = Alerts()
    life.update("crash", [finding("critical", rule="crash")], at(1))
    life.update("finished", [finding("info", rule="finished")], at(1))
    life.update("stall", [finding("critical", rule="stall")], at(1), Life(Hold(60)))
    ended = life.close(at(5))
    assert [(a.rule, a.state, a.resolved_at) for a in ended] == [("crash", "resolved", 5.0)]
    assert [(a.rule, a.state) for a in life.history] == [("crash", "resolved"), ("finished", "firing")]
    assert (life.pending, life.waiting, life.close(at(6))) == ([], [], [])


def test_a_rule_that_is_off_now() -> None:
    """What fired of a rule that was switched off meanwhile does not fire for ever."""
    life = Alerts()
    life.update("crash", [finding("critical", rule="crash")], at(1))
    life.update("stall", [finding("critical", rule="stall")], at(1))
    life.forget({"stall"})
    assert [(a.rule, a.state) for a in life.history] == [("crash", "resolved"), ("stall", "firing")]


def test_what_comes_back_at_the_same_place_has_another_id() -> None:
    """An epoch that is repeated may find the same at the same byte: that is another alert."""
    life, other = Alerts(), Alerts()
    for each in (life, other):
        for found in ([finding()], [], [finding()], []):
            each.update("nan_loss", found, at(1))
    assert len({a.id for a in life.history}) == 2
    assert [a.id for a in life.history] == [a.id for a in other.history]
