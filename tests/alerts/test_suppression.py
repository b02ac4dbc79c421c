"""Whom nobody is told of: silences that match, acknowledgements, inhibition; the flag goes with its cause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.alerts.dispatch import acknowledge, unacknowledge
from nanwatch.alerts.suppression import is_silenced, reasons, suppress
from nanwatch.model.alert import SEVERITIES, Alert, Severity, Silence
from tests.alerts.making import alert
from tests.support.repeatable import repeatable

RUN = "logs/cod.log#2"


# -- silences


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        ("nan_loss", True),
        ("nan_*", True),
        ("*_loss", True),
        ("nan_????", True),
        ("nan_[kl]oss", True),
        ("nan", False),
        ("NAN_LOSS", False),
        ("nan_burst", False),
        ("", False),
    ],
)
def test_a_silence_of_rules(pattern: str, expected: bool) -> None:
    """The rule's whole name must match the shell pattern, upper and lower case told apart."""
    assert is_silenced(alert("nan_loss"), RUN, Silence(rule=pattern), 1.0) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        (RUN, True),
        ("logs/*", True),
        ("*cod*", True),
        ("*#2", True),
        ("cod.log", False),
        ("logs/cod.log", False),
        ("*#1", False),
    ],
)
def test_a_silence_of_runs(pattern: str, expected: bool) -> None:
    """The run's whole id must match the shell pattern."""
    assert is_silenced(alert(), RUN, Silence(run=pattern), 1.0) is expected


def test_rule_and_run_must_both_match() -> None:
    """A silence of one rule in one run leaves the rule in other runs and the run's other rules alone."""
    silence = Silence(rule="stall", run="*cod*")
    found = [is_silenced(alert(rule), run, silence, 1.0) for rule in ("stall", "crash") for run in (RUN, "yolo.log")]
    assert found == [True, False, False, False]


@pytest.mark.parametrize("highest", SEVERITIES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_silence_up_to_a_severity(severity: Severity, highest: Severity) -> None:
    """What is worse than the highest severity that is kept quiet is told all the same."""
    expected = SEVERITIES.index(severity) <= SEVERITIES.index(highest)
    assert is_silenced(alert(severity=severity), RUN, Silence(severity=highest), 1.0) is expected


@pytest.mark.parametrize(
    ("starts", "ends", "now", "expected"),
    [
        (None, None, 5.0, True),
        (5.0, None, 4.9, False),
        (5.0, None, 5.0, True),
        (None, 9.0, 8.9, True),
        (None, 9.0, 9.0, False),
        (5.0, 9.0, 7.0, True),
        (9.0, 5.0, 7.0, False),
        (0.0, None, 0.0, True),
        (None, 0.0, 0.0, False),
        (None, None, None, True),
        (0.0, None, None, False),
        (None, 9.0, None, False),
        (0.0, 9.0, None, False),
    ],
)
def test_a_silence_has_its_time(starts: float | None, ends: float | None, now: float | None, expected: bool) -> None:
    """A silence holds from its start until before its end; without a clock only one that has neither holds."""
    assert is_silenced(alert(), RUN, Silence(starts_at=starts, ends_at=ends), now) is expected


# -- reasons


def test_no_reason() -> None:
    """An alert that nothing keeps quiet bears no reason."""
    assert reasons(alert(), RUN, [alert()], [], 1.0) == ()


def test_words_of_every_reason() -> None:
    """Silences with their comments come first, then the acknowledgement, then what inhibits."""
    here = alert("stall", acknowledged_at=1.0)
    silences = [Silence(comment="moving house"), Silence(rule="crash", comment="another"), Silence(rule="st*")]
    assert reasons(here, RUN, [alert("crash"), here, alert("oom")], silences, 5.0) == (
        "silenced: moving house", "silenced", "acknowledged", "inhibited by crash", "inhibited by oom",
    )  # fmt: skip


def test_a_reason_is_told_once() -> None:
    """Two silences without a comment, or two alerts of the rule that inhibits, are one reason each."""
    firing = [alert("nan_burst", key="epoch 4"), alert("nan_burst", key="epoch 5"), alert("nan_loss")]
    found = reasons(firing[2], RUN, firing, [Silence(), Silence(rule="nan_*")], 1.0)
    assert found == ("silenced", "inhibited by nan_burst")


def test_acknowledged_only_while_it_fires() -> None:
    """An acknowledgement keeps an alert quiet as long as it fires; its end is nobody's to keep quiet."""
    assert reasons(alert(acknowledged_at=1.0), RUN, [], [], 2.0) == ("acknowledged",)
    assert reasons(alert(acknowledged_at=1.0, state="resolved"), RUN, [], [], 2.0) == ()


# -- the flag


def test_the_flag_comes_and_goes_with_a_silence() -> None:
    """An alert is silenced while the silence holds, and not after it."""
    here = alert()
    silence = Silence(starts_at=5.0, ends_at=9.0, comment="night")
    seen = []
    for now in (4.0, 5.0, 8.0, 9.0):
        suppress([here], RUN, [silence], now)
        seen.append(here.suppressed)
    assert seen == [(), ("silenced: night",), ("silenced: night",), ()]


def test_an_alert_grows_out_of_its_silence() -> None:
    """What grows worse than a silence covers is told."""
    here = alert(severity="warning")
    for severity, expected in (("warning", ("silenced",)), ("critical", ())):
        here.severity = severity  # type: ignore[assignment]
        suppress([here], RUN, [Silence(severity="warning")], 1.0)
        assert here.suppressed == expected


def test_the_flag_goes_when_an_acknowledgement_is_taken_back() -> None:
    """Acknowledged is quiet; taken back, it is not, save for other reasons: those stay without asking the time."""
    here = alert()
    acknowledge(here, 5.0)
    suppress([here], RUN, [Silence(ends_at=9.0)], 5.0)
    assert (here.acknowledged_at, here.suppressed) == (5.0, ("silenced", "acknowledged"))
    unacknowledge(here)
    assert (here.acknowledged_at, here.suppressed) == (None, ("silenced",))
    suppress([here], RUN, [Silence(ends_at=9.0)], 9.0)
    assert here.suppressed == ()


def test_the_flag_goes_with_its_inhibitor() -> None:
    """When the alert that stands for another has ended, the other is on its own again."""
    crash, stall = alert("crash", "critical"), alert("stall", "critical")
    suppress([crash, stall], RUN, [], 1.0)
    assert (crash.suppressed, stall.suppressed) == ((), ("inhibited by crash",))
    crash.state = "resolved"
    suppress([crash, stall], RUN, [], 2.0)
    assert stall.suppressed == ()


def test_a_silenced_alert_still_stands_for_others() -> None:
    """Whoever silences a crash does not ask to be told of its stall instead."""
    crash, stall = alert("crash", "critical"), alert("stall", "critical")
    suppress([crash, stall], RUN, [Silence(rule="crash")], 1.0)
    assert (crash.suppressed, stall.suppressed) == (("silenced",), ("inhibited by crash",))


@pytest.mark.parametrize("state", ["pending", "resolved"])
def test_only_what_fires_inhibits_and_is_flagged(state: str) -> None:
    """What is pending stands for nobody; what has ended keeps the reasons that it ended with."""
    crash = alert("crash", state=state, suppressed=("silenced: before",))
    stall = alert("stall")
    suppress([crash, stall], RUN, [Silence(rule="crash")], 1.0)
    assert (crash.suppressed, stall.suppressed) == (("silenced: before",), ())


SOME_ALERTS = st.lists(
    st.builds(
        alert,
        st.sampled_from(["crash", "oom", "stall", "deadline", "nan_burst", "nan_loss", "my_rule"]),
        st.sampled_from(SEVERITIES),
        st.sampled_from(["", "epoch 4"]),
        state=st.sampled_from(["pending", "firing", "firing", "resolved"]),
        acknowledged_at=st.sampled_from([None, None, 1.0]),
    ),
    max_size=6,
)
TIMES = st.none() | st.integers(0, 10).map(float)
SILENCES = st.lists(
    st.builds(
        Silence,
        st.sampled_from(["*", "crash", "nan_*"]),
        st.sampled_from(["*", RUN, "other"]),
        st.sampled_from(SEVERITIES),
        TIMES,
        TIMES,
    ),
    max_size=3,
)


@given(SOME_ALERTS, SILENCES, TIMES)
@repeatable
def test_reasons_are_of_now(alerts: list[Alert], silences: list[Silence], now: float | None) -> None:
    """Whatever was flagged before: the reasons depend on what holds now, in whatever order alerts are asked."""
    stale = [replace(a, suppressed=("silenced: long ago",)) if a.state == "firing" else replace(a) for a in alerts]
    suppress(stale[::-1], RUN, silences, now)
    suppress(alerts, RUN, silences, now)
    assert [sorted(a.suppressed) for a in stale] == [sorted(a.suppressed) for a in alerts]
    for found in alerts:
        assert len({*found.suppressed}) == len(found.suppressed)
        assert found.state == "firing" or not found.suppressed
        assert ("acknowledged" in found.suppressed) == (found.state == "firing" and found.acknowledged_at is not None)
