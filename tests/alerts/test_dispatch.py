"""Whether somebody is to be told now, and why: the same twice is a defect, one that is lost is worse."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.alerts.dispatch import acknowledge, decide, mark_told, unacknowledge
from nanwatch.alerts.suppression import suppress
from nanwatch.model.alert import SEVERITIES, Alert, Reason, Severity, Silence
from tests.alerts.making import alert
from tests.support.repeatable import repeatable

EVERY = 3600.0
ACKNOWLEDGED = {"acknowledged_at": 50.0, "suppressed": ("acknowledged",)}
TOLD = {"notified": "warning", "notified_at": 100.0}
ENDED = {"state": "resolved", "resolved_at": 200.0}


@pytest.mark.parametrize(
    ("changes", "now", "expected"),
    [
        pytest.param({}, 100.0, "first", id="it fires"),
        pytest.param({}, None, "first", id="it fires, without a clock"),
        pytest.param({"severity": "info"}, 100.0, "first", id="news"),
        pytest.param({"state": "pending"}, 100.0, None, id="pending"),
        pytest.param({"suppressed": ("silenced",)}, 100.0, None, id="silenced"),
        pytest.param({"suppressed": ("inhibited by crash",)}, 100.0, None, id="inhibited"),
        pytest.param(ACKNOWLEDGED, 100.0, None, id="acknowledged before it was told"),
        pytest.param(TOLD, 101.0, None, id="told"),
        pytest.param({**TOLD, "severity": "critical"}, 101.0, "escalated", id="worse than told"),
        pytest.param({**TOLD, "severity": "critical"}, None, "escalated", id="worse than told, without a clock"),
        pytest.param({**TOLD, "severity": "critical"}, 9000.0, "escalated", id="worse, and long ago"),
        pytest.param({**TOLD, "severity": "critical", "suppressed": ("silenced",)}, 101.0, None, id="worse, silenced"),
        pytest.param({**TOLD, "severity": "critical", **ACKNOWLEDGED}, 101.0, None, id="worse, acknowledged"),
        pytest.param({**TOLD, "notified": "critical"}, 101.0, None, id="better than told"),
        pytest.param(TOLD, 100.0 + EVERY - 0.1, None, id="not long enough ago"),
        pytest.param(TOLD, 100.0 + EVERY, "repeated", id="long enough ago"),
        pytest.param({**TOLD, "severity": "critical", "notified": "critical"}, 1e9, "repeated", id="long ago, bad"),
        pytest.param({**TOLD, "severity": "info", "notified": "info"}, 1e9, None, id="news is never repeated"),
        pytest.param({**TOLD, "suppressed": ("silenced",)}, 1e9, None, id="long ago, silenced"),
        pytest.param({**TOLD, **ACKNOWLEDGED}, 1e9, None, id="long ago, acknowledged"),
        pytest.param(TOLD, None, None, id="long ago, who knows"),
        pytest.param({**TOLD, "notified_at": None}, 1e9, None, id="told who knows when"),
        pytest.param(TOLD, 0.0, None, id="the clock was set back"),
        pytest.param({**TOLD, **ENDED}, 200.0, "resolved", id="ended"),
        pytest.param({**TOLD, **ENDED}, None, "resolved", id="ended, without a clock"),
        pytest.param({**TOLD, **ENDED, "severity": "critical"}, 200.0, "resolved", id="ended worse than told"),
        pytest.param({**TOLD, **ENDED, "notified": "info", "severity": "info"}, 200.0, "resolved", id="news ended"),
        pytest.param(ENDED, 200.0, None, id="ended, and nobody knew of it"),
        pytest.param({**ENDED, "suppressed": ("silenced",)}, 200.0, None, id="ended silenced, and nobody knew"),
        pytest.param({**TOLD, **ENDED, "suppressed": ("silenced",)}, 200.0, "resolved", id="ended while silenced"),
        pytest.param({**TOLD, **ENDED, **ACKNOWLEDGED}, 200.0, "resolved", id="acknowledged, ended"),
        pytest.param({**ENDED, **ACKNOWLEDGED}, 200.0, "resolved", id="acknowledged without having been told, ended"),
        pytest.param(
            {**TOLD, **ENDED, "suppressed": ("inhibited by crash",)}, 200.0, None, id="ended while inhibited"
        ),
        pytest.param(
            {**TOLD, **ENDED, "suppressed": ("silenced: x", "inhibited by crash")}, 200.0, None,
            id="ended while silenced and inhibited",
        ),
        pytest.param(
            {**TOLD, **ENDED, "suppressed": ("silenced: inhibited by me",)}, 200.0, "resolved",
            id="a comment is no inhibitor",
        ),
        pytest.param({**TOLD, **ENDED, "notified": "resolved"}, 300.0, None, id="its end was told"),
        pytest.param({**ENDED, **ACKNOWLEDGED, "notified": "resolved"}, 1e9, None, id="acknowledged, its end was told"),
    ],
)  # fmt: skip
def test_every_reason(changes: dict[str, Any], now: float | None, expected: Reason | None) -> None:
    """Each state of an alert, and whether it is told then, and why."""
    assert decide(alert(**changes), now, EVERY) == expected


@pytest.mark.parametrize(
    ("changes", "notified"),
    [({}, "warning"), ({"severity": "critical"}, "critical"), ({**TOLD, **ENDED}, "resolved")],
)
def test_what_was_told_is_remembered(changes: dict[str, Any], notified: str) -> None:
    """After it was told, an alert knows as what and when, and is not told again at once."""
    here = alert(**changes)
    mark_told(here, 500.0)
    assert (here.notified, here.notified_at) == (notified, 500.0)
    assert decide(here, 500.0, EVERY) is None


def test_what_was_not_delivered_is_decided_again() -> None:
    """To decide changes nothing: only what was told counts as told."""
    here = alert()
    assert [decide(here, now, EVERY) for now in (1.0, 2.0)] == ["first", "first"]


# -- whole lives


@dataclass
class Life:
    """An alert, the silences that are set, and what its people were told."""

    alert: Alert = field(default_factory=alert)
    others: list[Alert] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    told: list[tuple[float, Reason]] = field(default_factory=list)

    def look(self, *times: float) -> None:
        """Decide at each of *times*, and tell."""
        for now in times:
            suppress([self.alert, *self.others], "run", self.silences, now)
            reason = decide(self.alert, now, EVERY)
            if reason is not None:
                self.told.append((now, reason))
                mark_told(self.alert, now)

    def end(self) -> None:
        """The finding is gone."""
        self.alert.state = "resolved"


def test_a_life_in_full() -> None:
    """Told when it fires, when it grows worse, after each interval since it was told last, and when it ends."""
    life = Life()
    life.look(0.0, 1.0, 1800.0)
    life.alert.severity = "critical"
    life.look(1801.0, 1802.0, 3600.0, 5400.0, 5401.0, 9000.0, 9001.0)
    life.end()
    life.look(9002.0, 9003.0, 99999.0)
    assert life.told == [
        (0.0, "first"), (1801.0, "escalated"), (5401.0, "repeated"), (9001.0, "repeated"), (9002.0, "resolved"),
    ]  # fmt: skip


def test_first_when_the_silence_has_ended() -> None:
    """What began while it was silenced is told when the silence ends, if it fires still."""
    life = Life(silences=[Silence(starts_at=0.0, ends_at=60.0)])
    life.look(10.0, 59.9, 60.0, 61.0)
    assert life.told == [(60.0, "first")]


def test_escalated_when_the_silence_has_ended() -> None:
    """What grew worse while it was silenced is told as that when the silence ends."""
    life = Life(silences=[Silence(starts_at=10.0, ends_at=60.0)])
    life.look(0.0)
    life.alert.severity = "critical"
    life.look(20.0, 60.0, 61.0)
    assert life.told == [(0.0, "first"), (60.0, "escalated")]


def test_silenced_from_end_to_end() -> None:
    """What begins and ends within a silence was nobody's business."""
    life = Life(silences=[Silence()])
    life.look(10.0)
    life.end()
    life.look(20.0)
    life.silences.clear()
    life.look(30.0)
    assert life.told == []


def test_the_end_is_told_through_a_silence() -> None:
    """Whoever was told that it began is told that it ended, silence or not: good news closes the case."""
    life = Life()
    life.look(0.0)
    life.silences.append(Silence())
    life.look(9000.0)
    life.end()
    life.look(9001.0)
    assert life.told == [(0.0, "first"), (9001.0, "resolved")]


def test_acknowledged() -> None:
    """An acknowledged alert is quiet, whatever becomes of it, until it ends; and that is told."""
    life = Life()
    life.look(0.0)
    acknowledge(life.alert, 5.0)
    life.alert.severity = "critical"
    life.look(6.0, 9000.0)
    life.end()
    life.look(9001.0, 9002.0)
    assert life.told == [(0.0, "first"), (9001.0, "resolved")]


def test_an_acknowledgement_taken_back() -> None:
    """What was missed while it was acknowledged is told then."""
    life = Life()
    life.look(0.0)
    acknowledge(life.alert, 5.0)
    life.look(9000.0)
    unacknowledge(life.alert)
    life.look(9001.0)
    assert life.told == [(0.0, "first"), (9001.0, "repeated")]


def test_inhibited_before_it_is_told() -> None:
    """What another alert stands for is told when that one has ended, and not before."""
    life = Life(alert("stall", "critical"), [alert("crash", "critical")])
    life.look(0.0, 1.0)
    life.others[0].state = "resolved"
    life.look(2.0, 3.0)
    assert life.told == [(2.0, "first")]


def test_inhibited_when_it_ends() -> None:
    """An alert that was told, then stood for by another, ends without a word: the other one speaks for it."""
    life = Life(alert("stall", "critical"))
    life.look(0.0)
    life.others.append(alert("crash", "critical"))
    life.look(1.0)
    life.end()
    life.look(2.0)
    life.others[0].state = "resolved"
    life.look(3.0)
    assert life.told == [(0.0, "first")]


# -- whatever happens when

KEEPS_QUIET = [(), (), (), ("silenced",), ("inhibited by crash",), ("silenced", "inhibited by crash")]


@dataclass
class People:
    """What an alert's people have been told, and what they must be told next: the reference."""

    heard: str | None = None
    at: float = 0.0

    def expect(self, here: Alert, now: float) -> str | None:
        """Return what they would ask for, from what they have heard and what is the case."""
        quiet = bool(here.suppressed) or here.acknowledged_at is not None
        inhibited = any(word.startswith("inhibited") for word in here.suppressed)
        if here.state == "resolved":
            cares = self.heard is not None or here.acknowledged_at is not None
            return "resolved" if cares and self.heard != "resolved" and not inhibited else None
        if quiet:
            return None
        if self.heard is None:
            return "first"
        if here.severity != self.heard:
            return "escalated"
        return "repeated" if here.severity != "info" and now >= self.at + EVERY else None


STEP = st.tuples(
    st.sampled_from([0.0, 1.0, 1799.0, EVERY - 1, EVERY, 9999.0]),
    st.sampled_from(["nothing", "nothing", "worsen", "acknowledge", "take back", "end"]),
    st.sampled_from(KEEPS_QUIET),
    st.booleans(),
)


def change(here: Alert, what: str, now: float, reasons: tuple[str, ...]) -> None:
    """Let *what* happen to an alert, and write the reasons why it is quiet."""
    if here.state == "resolved":
        return
    if what == "worsen":
        here.severity = SEVERITIES[min(2, SEVERITIES.index(here.severity) + 1)]
    elif what == "acknowledge":
        acknowledge(here, now)
    elif what == "take back":
        unacknowledge(here)
    here.suppressed = (*reasons, *(["acknowledged"] if here.acknowledged_at is not None else []))
    if what == "end":
        here.state = "resolved"


@given(st.sampled_from(SEVERITIES), st.lists(STEP, max_size=25))
@repeatable
def test_people_are_told_what_they_must_know(
    severity: Severity, steps: list[tuple[float, str, tuple[str, ...], bool]]
) -> None:
    """At whatever times one looks: each change is told once, at the first look that may; nothing else is."""
    here, people, now = alert(severity=severity), People(), 0.0
    for seconds, what, quiet, looks in steps:
        now += seconds
        change(here, what, now, quiet)
        if not looks:
            continue
        reason = decide(here, now, EVERY)
        assert reason == people.expect(here, now)
        if reason is not None:
            mark_told(here, now)
            people.heard, people.at = ("resolved" if here.state == "resolved" else here.severity), now
        assert decide(here, now, EVERY) is None


@given(st.sampled_from(SEVERITIES), st.lists(STEP, max_size=25))
@repeatable
def test_what_is_told_makes_sense(severity: Severity, steps: list[tuple[float, str, tuple[str, ...], bool]]) -> None:
    """Whatever happens: `first` comes first and once, nothing after `resolved`, no repetition before its time."""
    here, now = alert(severity=severity), 0.0
    told: list[tuple[Reason, float, Severity]] = []
    for seconds, what, quiet, _ in steps:
        now += seconds
        change(here, what, now, quiet)
        reason = decide(here, now, EVERY)
        if reason is not None:
            mark_told(here, now)
            told.append((reason, now, here.severity))
    words = [reason for reason, _, _ in told]
    assert words.count("first") == (words[:1] == ["first"])
    assert "resolved" not in words[:-1]
    assert words[:1] in ([], ["first"], ["resolved"])
    for (_, before, was), (reason, after, worse) in pairwise(told):
        assert reason != "repeated" or (after - before >= EVERY and was == worse != "info")
        assert reason != "escalated" or SEVERITIES.index(worse) > SEVERITIES.index(was)
