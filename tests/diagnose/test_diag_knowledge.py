"""The knowledge can be used as it stands: each cause has a case that fires it and a look-alike that does not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from nanwatch.diagnose.aspects import Facts
from nanwatch.diagnose.conditions import parse
from nanwatch.diagnose.engine import diagnose, judge
from nanwatch.diagnose.facts import MEANING, UNKNOWN, facts_of
from nanwatch.diagnose.knowledge import knowledge, read_knowledge
from nanwatch.diagnose.trainers import trainers
from nanwatch.diagnose.words import fill, number, percent, rough
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView

CASES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))["case"]
IDS = [entry.id for entry in knowledge().entries]
PAGE = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text(encoding="utf-8")
PLACES = {"", "nan", "skip", "vram", "oom", "explosion", "decline", "collapse", "failure", "rollback", "last"}

ENTRY = """
[[cause]]
id = "x"
title = "x"
weight = 3
when = ["nan_batches > 0"]
source = "x"
advice = ["x"]
"""


def healthy() -> Facts:
    """Return the facts of a run in its third epoch that is well."""
    run = Run("x.log", "x.log", epoch=3, epochs=10, batch=5, batches=10)
    return facts_of(RunView(run, [], "running", None)).facts


def told(facts: dict[str, Any]) -> list[str]:
    """Return the causes that are told of a healthy run with these *facts*."""
    return [item.entry.id for item in judge({**healthy(), **facts})]


@pytest.mark.parametrize("case", CASES, ids=[f"{c['cause']}: {c['what']}" for c in CASES])
def test_case_comes_out_as_it_says(case: dict[str, Any]) -> None:
    """A cause is told where its case says so, and not in the look-alike."""
    assert set(case["facts"]) <= set(MEANING)
    assert (case["cause"] in told(case["facts"])) is case["fires"]


@pytest.mark.parametrize("cause", IDS)
def test_every_cause_has_both_cases(cause: str) -> None:
    """A new cause needs a case that fires it and one that stays silent."""
    assert {case["fires"] for case in CASES if case["cause"] == cause} == {True, False}


def test_cases_are_of_causes_that_exist() -> None:
    """No case speaks of a cause that is not there any more."""
    assert {case["cause"] for case in CASES} == set(IDS)


def test_healthy_run_has_no_cause() -> None:
    """Nothing is told of a run that is well."""
    assert told({}) == []
    found = diagnose(RunView(Run("x.log", "x.log", epoch=3, epochs=10, batch=5, batches=10), [], "running", None))
    assert (found.findings, found.causes, found.changes, found.resume, found.steps) == ((), (), (), None, ())


def test_every_place_is_one_that_facts_have() -> None:
    """Evidence and findings point only to places that the facts know."""
    evidence = [e for entry in knowledge().entries for e in (*entry.supports, *entry.against)]
    assert {item.at for item in evidence} | {item.at for item in knowledge().findings} <= PLACES


def test_every_cause_says_why_and_what_to_do() -> None:
    """Each cause has evidence, advice and a source."""
    for entry in knowledge().entries:
        assert entry.supports, entry.id
        assert entry.advice, entry.id
        assert entry.source, entry.id


def test_facts_are_the_ones_that_are_described() -> None:
    """Every fact has a meaning and every meaning a fact, and what may be unknown is a fact."""
    assert set(healthy()) == set(MEANING)
    assert set(UNKNOWN) <= set(MEANING)


@pytest.mark.parametrize("entry", knowledge().entries, ids=IDS)
def test_the_guide_lists_every_cause(entry: Any) -> None:
    """docs/diagnosis.md has each cause with its title and its source."""
    assert f"| `{entry.id}` | {entry.title} | {entry.source} |" in PAGE


def test_the_guide_lists_no_other_cause() -> None:
    """A cause that is gone is gone from the guide."""
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(IDS)


def test_the_guide_lists_settings_and_trainers() -> None:
    """Each family of settings is there with its names, and each trainer with its commands."""
    for setting in trainers().settings.values():
        assert f"| {setting.title} | {', '.join(f'`{key}`' for key in setting.keys)} |" in PAGE
    for trainer in trainers().trainers.values():
        for way in (trainer.resume, trainer.restart):
            assert way is None or f"`{way.command}`" in PAGE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('title = "x"\n', "title is missing"),
        ('when = ["nan_batches > 0"]', "when is missing"),
        ('source = "x"\n', "source is missing"),
    ],
)
def test_entry_without_a_part_is_refused(change: str, says: str) -> None:
    """An entry that lacks something is refused by its name."""
    with pytest.raises(ValueError, match=f"cause x: {says}"):
        read_knowledge(ENTRY.replace(change, ""))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('[[cause.for]]\nif = "no_such > 1"\nweight = 1\ntext = "x"', "no such fact: no_such"),
        ('[[cause.for]]\nif = "nan_batches > 1"\nweight = 1\ntext = "{no_such}"', "no such fact: no_such"),
        ('[[cause.for]]\nif = "open(1)"\nweight = 1\ntext = "x"', "Call is not allowed"),
        ('[[cause.for]]\nif = "nan_batches >"\nweight = 1\ntext = "x"', "invalid syntax"),
        ('[[cause.change]]\nsetting = "no_such"\nto = "times 2"\nwhy = "x"', "no such change"),
        ('[[cause.change]]\nsetting = "batch"\nto = "twice"\nwhy = "x"', "no such change"),
        ('[[cause.change]]\nsetting = "batch"\nto = "times two"\nwhy = "x"', "could not convert"),
    ],
)
def test_wrong_part_is_refused(more: str, says: str) -> None:
    """A condition, a template or a rule that cannot be used is refused when it is read."""
    with pytest.raises(ValueError, match=says):
        read_knowledge(ENTRY + more)


def test_two_entries_of_one_name_are_refused() -> None:
    """An id names one cause."""
    with pytest.raises(ValueError, match="two causes are called x"):
        read_knowledge(ENTRY + ENTRY)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("nan_batches > 0", None),
        ("nan_batches > 0 and grad_skips > 5", False),
        ("nan_batches > 0 or grad_skips == 2", True),
        ("not nan_batches > 0", None),
        ("nan_batches is None", True),
        ("nan_batches is not None", False),
        ("grad_skips is not None", True),
        ("'No space' in failure_text", True),
        ("failure_kind in ('killed', 'signal')", False),
        ("grad_skips / (grad_skips - 2) > 1", None),
        ("failure_text > 3", None),
    ],
)
def test_condition_is_true_false_or_not_known(text: str, holds: bool | None) -> None:
    """What asks for a fact that is not known is not known, unless another part decides alone."""
    facts = {**healthy(), "nan_batches": None, "grad_skips": 2, "failure_text": "No space left", "failure_kind": "oom"}
    assert parse(text, MEANING).holds(facts) is holds


def test_weight_decides_how_likely_a_cause_is() -> None:
    """More evidence makes a cause likelier, evidence against it less likely."""
    base: Facts = {"nan_batches": 20, "precision": "fp16", "trouble_goes_on": True}
    more: Facts = {**base, "scaler_skips": 9, "grad_skips": 9}
    weights = [
        next(item.weight for item in judge({**healthy(), **facts}) if item.entry.id == "half_precision")
        for facts in (base, more)
    ]
    assert weights[0] < weights[1]


def test_trainers_are_consistent() -> None:
    """The data on trainers can be read, and each way to go on has a command and a note."""
    for trainer in trainers().trainers.values():
        for way in (trainer.resume, trainer.restart):
            assert way is None or (way.command and way.note)


def test_sentence_is_filled_with_facts() -> None:
    """Numbers read as a person writes them; without a fact there is no sentence."""
    facts: Facts = {"a": 41163, "b": 0.0097, "c": None, "d": "x\x1b[31my", "e": 398}
    assert fill("{a} {b:%} {d} {e:~} {b:.3f}", facts) == "41,163 0.97 % xy 400 0.010"
    assert fill("{a} {c}", facts) is None
    assert (number(15.3), number(6.0), percent(0.3), rough(42), rough(398)) == ("15.3", "6", "30 %", "42", "400")
