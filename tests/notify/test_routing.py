"""Who hears of an alert: tags that match, and receivers whose patterns do."""

from __future__ import annotations

from typing import Any

import pytest

from nanwatch.config import Receiver, Tag
from nanwatch.model.alert import SEVERITIES, Reason, Severity
from nanwatch.notify.routing import hears, tags_of

LOG = "/data/logs/cod.log"
RUN = f"{LOG}#2"


def is_heard(receiver: Receiver, **changes: Any) -> bool:
    """Return whether *receiver* hears of a warning of `nan_loss`; keyword arguments change it."""
    alert: dict[str, Any] = {
        "rule": "nan_loss", "severity": "warning", "run_id": RUN, "log": LOG, "tags": (), "reason": "first",
    }  # fmt: skip
    return hears(receiver, **(alert | changes))


# -- patterns

RUN_PATTERNS = [
    ((), True),
    ((RUN,), True),
    (("*#2",), True),
    ((LOG,), True),
    (("/data/*",), True),
    (("cod.log",), True),
    (("cod*",), True),
    (("yolo*", "cod.*"), True),
    (("cod",), False),
    (("COD.log",), False),
    (("logs/cod.log",), False),
    (("*#1",), False),
    (("",), False),
]
RULE_PATTERNS = [
    ((), True),
    (("nan_loss",), True),
    (("nan_*",), True),
    (("stall", "*_loss"), True),
    (("nan",), False),
    (("NAN_LOSS",), False),
    (("stall", "crash"), False),
]


@pytest.mark.parametrize(("patterns", "expected"), RUN_PATTERNS)
def test_runs(patterns: tuple[str, ...], expected: bool) -> None:
    """A run matches by its id, by its log's path, or by the log's name, in receivers and tags alike."""
    assert is_heard(Receiver("phone", runs=patterns)) is expected
    assert tags_of("nan_loss", RUN, LOG, [Tag("night", runs=patterns)]) == (("night",) if expected else ())


@pytest.mark.parametrize(("patterns", "expected"), RULE_PATTERNS)
def test_rules(patterns: tuple[str, ...], expected: bool) -> None:
    """The rule's whole name must match one of the patterns, in receivers and tags alike."""
    assert is_heard(Receiver("phone", rules=patterns)) is expected
    assert tags_of("nan_loss", RUN, LOG, [Tag("night", rules=patterns)]) == (("night",) if expected else ())


@pytest.mark.parametrize("rules", [("nan_*",), ("stall",)])
@pytest.mark.parametrize("runs", [("cod*",), ("yolo*",)])
def test_runs_and_rules_together(runs: tuple[str, ...], rules: tuple[str, ...]) -> None:
    """Where both runs and rules are given, both must match."""
    expected = runs == ("cod*",) and rules == ("nan_*",)
    assert is_heard(Receiver("phone", runs=runs, rules=rules)) is expected
    assert tags_of("nan_loss", RUN, LOG, [Tag("night", runs, rules)]) == (("night",) if expected else ())


# -- tags


def test_tags_in_order_each_once() -> None:
    """An alert bears the tags that match in the order in which they are given, and none twice."""
    tags = [Tag("b", rules=("nan_*",)), Tag("a", runs=("cod*",)), Tag("c", runs=("yolo*",)), Tag("b")]
    assert tags_of("nan_loss", RUN, LOG, tags) == ("b", "a")


@pytest.mark.parametrize(
    ("wanted", "borne", "expected"),
    [
        ((), (), True),
        ((), ("night",), True),
        (("night",), ("night",), True),
        (("night", "big"), ("gpu", "big"), True),
        (("night",), (), False),
        (("night",), ("nightly",), False),
        (("n*",), ("night",), False),
    ],
)
def test_receivers_of_tags(wanted: tuple[str, ...], borne: tuple[str, ...], expected: bool) -> None:
    """A receiver of tags hears of an alert that bears any of them; their names are no patterns."""
    assert is_heard(Receiver("phone", tags=wanted), tags=borne) is expected


def test_tags_runs_and_rules_must_all_match() -> None:
    """A tag that matches does not open what the receiver's runs or rules shut out."""
    assert not is_heard(Receiver("phone", tags=("night",), runs=("yolo*",)), tags=("night",))
    assert not is_heard(Receiver("phone", tags=("night",), rules=("stall",)), tags=("night",))


# -- severities and reasons


@pytest.mark.parametrize("least", SEVERITIES)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_severities(severity: Severity, least: Severity) -> None:
    """A receiver hears of what is at least as severe as it asks for: of news such as `finished` only from info."""
    expected = SEVERITIES.index(severity) >= SEVERITIES.index(least)
    assert is_heard(Receiver("phone", min_severity=least), severity=severity) is expected


@pytest.mark.parametrize("reason", ["first", "escalated", "resolved", "repeated"])
def test_no_ends(reason: Reason) -> None:
    """A receiver that wants no ends hears of everything else, and by default of ends too."""
    assert is_heard(Receiver("phone", resolved=False), reason=reason) is (reason != "resolved")
    assert is_heard(Receiver("phone"), reason=reason)
