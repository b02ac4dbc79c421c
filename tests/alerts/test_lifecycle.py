"""The life of an alert: it fires, grows worse, ends, and may come again; nothing is told twice."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nanwatch.alerts.lifecycle import Alerts
from nanwatch.model.alert import Alert, Finding, Severity
from tests.support.repeatable import repeatable


def finding(
    severity: Severity = "warning", key: str = "", rule: str = "nan_loss", message: str = "m", **evidence: int
) -> Finding:
    """Return a finding."""
    return Finding(rule, severity, message, key, 4, 32, 1000, evidence)


def told(changed: list[Alert]) -> list[tuple[str, str, str]]:
    """Return what the changes say."""
    return [(alert.key, alert.severity, alert.state) for alert in changed]


def test_begin() -> None:
    """A finding that is new fires, with all that it says and the time it was seen."""
    life = Alerts()
    (alert,) = life.update("nan_loss", [finding(key="epoch 4", nan_batches=1)], 100.0)
    assert alert == Alert(
        "nan_loss", "epoch 4", "warning", "firing", "m", 4, 32, 1000, {"nan_batches": 1}, 100.0, None
    )  # fmt: skip
    assert life.history == [alert]


def test_renew() -> None:
    """While the finding holds, words and numbers follow it, and nothing is told."""
    life = Alerts()
    (alert,) = life.update("nan_loss", [finding(nan_batches=1)], 100.0)
    assert life.update("nan_loss", [finding(message="more", nan_batches=7)], 101.0) == []
    assert (alert.message, alert.evidence, alert.started_at) == ("more", {"nan_batches": 7}, 100.0)


def test_escalate() -> None:
    """A finding that grew worse is told; one that grew better is not, and keeps its worst severity."""
    life = Alerts()
    life.update("grad_skip", [finding("warning", rule="grad_skip")], 1.0)
    assert told(life.update("grad_skip", [finding("critical", rule="grad_skip")], 2.0)) == [("", "critical", "firing")]
    assert life.update("grad_skip", [finding("critical", rule="grad_skip")], 3.0) == []
    assert life.update("grad_skip", [finding("warning", rule="grad_skip")], 4.0) == []
    assert [(a.severity, a.started_at) for a in life.history] == [("critical", 1.0)]


def test_resolve() -> None:
    """An alert ends when its finding is gone, and keeps its last words."""
    life = Alerts()
    life.update("nan_loss", [finding(message="last")], 1.0)
    (alert,) = life.update("nan_loss", [], 9.0)
    assert (alert.state, alert.resolved_at, alert.message) == ("resolved", 9.0, "last")
    assert life.update("nan_loss", [], 10.0) == []
    assert alert.resolved_at == 9.0


def test_again() -> None:
    """What comes back is a new alert; the old one stays in the history."""
    life = Alerts()
    for now, found in enumerate([[finding()], [], [finding()]]):
        life.update("nan_loss", found, float(now))
    assert [(a.state, a.started_at, a.resolved_at) for a in life.history] == [
        ("resolved", 0.0, 1.0),
        ("firing", 2.0, None),
    ]


def test_keys_live_side_by_side() -> None:
    """Findings of one rule with different keys are different alerts, and one that follows another ends it."""
    life = Alerts()
    life.update("nan_loss", [finding(key="epoch 1")], 1.0)
    changed = life.update("nan_loss", [finding(key="epoch 2")], 2.0)
    assert told(changed) == [("epoch 2", "warning", "firing"), ("epoch 1", "warning", "resolved")]


def test_a_rule_ends_only_its_own() -> None:
    """What one rule no longer finds says nothing of another's."""
    life = Alerts()
    life.update("nan_loss", [finding()], 1.0)
    life.update("crash", [finding("critical", rule="crash")], 1.0)
    assert [a.rule for a in life.update("crash", [], 2.0)] == ["crash"]
    assert [a.state for a in life.history] == ["firing", "resolved"]


def test_without_times() -> None:
    """In a replay of a log without times, alerts have none."""
    life = Alerts()
    life.update("nan_loss", [finding()], None)
    (alert,) = life.update("nan_loss", [], None)
    assert (alert.started_at, alert.resolved_at) == (None, None)


def test_evidence_is_its_own() -> None:
    """An alert does not share its evidence with the finding it came from."""
    evidence: dict[str, float | int | str | None] = {"n": 1}
    life = Alerts()
    (alert,) = life.update("x", [Finding("x", "info", "m", evidence=evidence)], None)
    evidence["n"] = 2
    assert alert.evidence == {"n": 1}


def test_taken_up_again() -> None:
    """Alerts that fired before a restart fire on, and are not told again."""
    first = Alerts()
    first.update("nan_loss", [finding()], 1.0)
    second = Alerts(first.history)
    assert second.update("nan_loss", [finding()], 2.0) == []
    assert told(second.update("nan_loss", [], 3.0)) == [("", "warning", "resolved")]


def test_history_is_bounded() -> None:
    """Of an endless run the oldest ended alerts go; those that fire stay."""
    life = Alerts()
    life.update("crash", [finding("critical", rule="crash")], 0.0)
    for n in range(5000):
        life.update("nan_loss", [finding(key=f"epoch {n}")], float(n))
    assert len(life.history) <= 2000
    assert life.history[0].rule == "crash"
    assert life.history[-1].key == "epoch 4999"


SEVERITY = st.sampled_from(["info", "warning", "critical"])
FOUND = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), SEVERITY, max_size=4)


@given(st.lists(FOUND, max_size=20))
@repeatable
def test_firing_and_resolved_alternate(steps: list[dict[tuple[str, str], Severity]]) -> None:
    """Whatever is found when: for each rule and key the told states alternate, and worsen in between."""
    life, lives = Alerts(), dict[tuple[str, str], list[str]]()
    rank = ["info", "warning", "critical"]
    for now, found in enumerate(steps):
        for rule in "ab":
            now_found = {key: severity for key, severity in found.items() if key[0] == rule}
            changed = life.update(rule, [finding(s, k[1], k[0]) for k, s in now_found.items()], float(now))
            for alert in changed:
                lives.setdefault((alert.rule, alert.key), []).append(
                    "resolved" if alert.state == "resolved" else alert.severity
                )
            assert len({(a.rule, a.key) for a in changed}) == len(changed)
        firing = {(a.rule, a.key) for a in life.history if a.state == "firing"}
        assert firing == found.keys()
        assert len(firing) == sum(a.state == "firing" for a in life.history)
    for words in lives.values():
        assert words[0] != "resolved"
        for before, after in pairwise(words):
            assert before != after
            if before != "resolved" and after != "resolved":
                assert rank.index(after) > rank.index(before)
