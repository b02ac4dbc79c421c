"""How rules are worded: each has words, and they can be filled from what it really tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanwatch import scenarios
from nanwatch.config import Config
from nanwatch.model.alert import Alert
from nanwatch.model.news import AlertFacts, News, WeightsFacts
from nanwatch.notify.evidence import WORDS
from nanwatch.notify.phrases import filled, terms
from nanwatch.notify.wording import WORDINGS
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.base import rule_types
from tests.notify.composing import HOST, compose
from tests.notify.making import NOON, run_facts

FOUND = WeightsFacts("/data/weights", "/data/weights/epoch3.pt", 3)
SCENARIOS = Path(scenarios.__file__).parent / "rules" / "scenarios"


def test_every_rule_is_worded() -> None:
    """No rule is without words of its own, and no words are for a rule that is gone."""
    assert set(WORDINGS) == set(rule_types())


def test_what_stands_for_runs_that_differ_names_nothing() -> None:
    """The title of a group can be worded whatever the evidence is."""
    assert [rule for rule, wording in WORDINGS.items() if "{" in wording.many[-1]] == []


def test_the_words_of_every_rule_fit_what_it_really_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each template can be filled from an alert that the rule's own scenarios raise, and the titles fit a phone."""
    raised = list(_raised_by_scenarios(monkeypatch))
    assert {item.alert.rule for item in raised} == set(WORDINGS)
    assert max(len(compose(item).title) for item in raised) <= 60
    never = [
        (rule, template)
        for rule, wording in WORDINGS.items()
        for templates in wording
        for template in templates
        if not any(filled((template,), terms(item, HOST)) for item in raised if item.alert.rule == rule)
    ]
    assert [item for item in never if item[1]] == []


def test_the_evidence_of_every_rule_is_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message names what a rule tells by our names; only metrics are called as the log calls them."""
    raised = [item for item in _raised_by_scenarios(monkeypatch) if item.alert.rule != "frozen_metric"]
    assert {name for item in raised for name in item.alert.evidence} - set(WORDS) == set()


def _raised_by_scenarios(monkeypatch: pytest.MonkeyPatch) -> Iterator[News]:
    """Play every scenario; yield each alert that a rule raises in its own, as it stood at any time."""
    raised: list[News] = []

    class Recording(LogPipeline):
        """A pipeline that puts aside what fires."""

        def tick(self, *args: Any, **more: Any) -> Iterator[Any]:
            yield from super().tick(*args, **more)
            raised.extend(_news_of(alert, weights) for alert in self.open for weights in (None, FOUND))

    monkeypatch.setattr(scenarios, "LogPipeline", Recording)
    for path in sorted(SCENARIOS.glob("*.toml")):
        for scenario in scenarios.load_scenarios(path):
            assert list(scenarios.run_scenario(scenario, Config(), path.name)) == []
        yield from [item for item in raised if item.alert.rule == path.stem]
        raised.clear()


def _news_of(alert: Alert, weights: WeightsFacts | None) -> News:
    facts = AlertFacts(
        "id", alert.rule, alert.severity, alert.state, alert.message, NOON, alert.epoch, alert.batch, alert.offset,
        alert.line, dict(alert.evidence),
    )  # fmt: skip
    return News(facts, run_facts("/data/resnet50-imagenet-lr3e-4-s1.log", weights=weights), ("first",))
