"""One cause, one message: which alerts stand for others of the same run."""

from __future__ import annotations

import pytest

from nanwatch.alerts.inhibition import INHIBITS, inhibitors, is_inhibited
from nanwatch.rules.base import rule_types
from tests.alerts.making import alert

PAIRS = [(rule, other) for rule, others in INHIBITS.items() for other in sorted(others)]


@pytest.mark.parametrize(("rule", "other"), PAIRS)
def test_an_inhibitor_says_that_it_is_one(rule: str, other: str) -> None:
    """While the one fires, the other bears its name as the reason."""
    assert list(inhibitors(alert(other), [alert(rule), alert(other)])) == [f"inhibited by {rule}"]


@pytest.mark.parametrize(("rule", "other"), PAIRS)
def test_nobody_inhibits_back(rule: str, other: str) -> None:
    """Of two alerts that fire together at least one is told, however many stand for others."""
    assert other not in INHIBITS or rule not in INHIBITS[other]
    assert list(inhibitors(alert(rule), [alert(rule), alert(other)])) == []


@pytest.mark.parametrize("start", sorted(INHIBITS))
def test_somebody_is_always_told(start: str) -> None:
    """No rule stands for itself, not even by way of others: a circle would be told by nobody."""
    reached: set[str] = set()
    ahead = {*INHIBITS[start]}
    while ahead:
        reached |= ahead
        ahead = {after for rule in ahead for after in INHIBITS.get(rule, ())} - reached
    assert start not in reached


def test_every_name_is_a_rule() -> None:
    """Only rules that there are inhibit or are inhibited."""
    names = {*INHIBITS, *(other for _, other in PAIRS)}
    assert names <= rule_types().keys()


def test_the_promises_of_the_design() -> None:
    """A crash stands for the stall that follows it, a burst of NaN for the single ones, a collapse for the decline."""
    assert {("crash", "stall"), ("nan_burst", "nan_loss"), ("metric_collapse", "metric_decline")} <= {*PAIRS}


def test_several_inhibitors() -> None:
    """Each rule that stands for an alert is named, in the order in which they fire."""
    firing = [alert("stall"), alert("crash"), alert("vram_jump"), alert("deadline")]
    assert list(inhibitors(firing[3], firing)) == ["inhibited by stall", "inhibited by crash"]


def test_a_stranger_inhibits_nothing() -> None:
    """Rules that are not in the table, such as a user's own, leave others alone."""
    assert list(inhibitors(alert("nan_loss"), [alert("my_rule"), alert("nan_loss"), alert("crash")])) == []


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ((), False),
        (("silenced", "acknowledged"), False),
        (("silenced: inhibited by nobody",), False),
        (("inhibited by crash",), True),
        (("silenced", "acknowledged", "inhibited by crash"), True),
    ],
)
def test_is_inhibited(reasons: tuple[str, ...], expected: bool) -> None:
    """Only the reason of an inhibitor counts, whatever stands beside it."""
    assert is_inhibited(alert("stall", suppressed=reasons)) is expected
