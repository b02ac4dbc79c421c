"""A run -> its diagnosis: the knowledge asked of the facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from nanwatch.diagnose.changes import Proposal, proposals
from nanwatch.diagnose.facts import UNKNOWN, Known, facts_of
from nanwatch.diagnose.knowledge import Entry, Evidence, Sentence, knowledge
from nanwatch.diagnose.resume import resume_of
from nanwatch.diagnose.words import Value, fill
from nanwatch.model.checkpoint import Weights
from nanwatch.model.diagnosis import Cause, Diagnosis, Likelihood, Observation, SettingChange
from nanwatch.model.snapshot import RunView

LIKELIHOODS: tuple[tuple[float, Likelihood], ...] = ((8, "certain"), (4, "probable"), (1, "possible"))
"""From which weight on a cause is how likely; below the last, it is not told."""
_MOST_CAUSES = 6
_MOST_UNKNOWN = 8
_EPOCHS, _IN_A_ROW = 2, 5
"""Epochs, or batches in a row, from which on NaN are taken to stay."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A cause and the weight of its evidence."""

    entry: Entry
    weight: float
    supports: tuple[Evidence, ...]
    against: tuple[Evidence, ...]


def diagnose(view: RunView, weights: Weights | None = None, now: float | None = None) -> Diagnosis:
    """Return why the run of *view* went wrong as far as its log and the scanned *weights* show it, and what to do.

    The same run gives the same diagnosis. *now* (Unix seconds) tells how long the log has been silent.
    """
    run = view.run
    if now is not None and run.grew_at is not None and view.silence is None:
        view = replace(view, silence=max(0.0, now - run.grew_at))
    known = facts_of(view, weights)
    judged = sorted(judge(known.facts), key=lambda item: -item.weight)[:_MOST_CAUSES]
    likely = [item.entry for item in judged if _likelihood(item.weight) != "possible"]
    changes = proposals(likely, known.settings, known.facts)
    known.facts["has_changes"] = bool(changes)
    known.facts["is_lost"] = _is_lost(known.facts)
    known.facts["has_to_go_on"] = has_to_go_on = _has_to_go_on(known.facts)
    findings = tuple(_sentences(knowledge().findings, known))
    return Diagnosis(
        findings,
        tuple(_cause(item, known) for item in judged),
        tuple(proposal.change for proposal in changes),
        resume_of(run, known.settings, known.facts, changes, weights) if has_to_go_on else None,
        tuple(item.text for item in _sentences(knowledge().steps, known)),
        tuple(_unknown(judged, changes, known)) if findings else (),
    )  # fmt: skip


def judge(facts: Mapping[str, Value]) -> Iterator[Judged]:
    """Yield the causes that fit *facts*, in the order of the knowledge."""
    for entry in knowledge().entries:
        if all(condition.holds(facts) is True for condition in entry.when):
            supports = tuple(e for e in entry.supports if e.condition.holds(facts) is True)
            against = tuple(e for e in entry.against if e.condition.holds(facts) is True)
            weight = entry.weight + sum(e.weight for e in supports) - sum(e.weight for e in against)
            if supports and _likelihood(weight) is not None:
                yield Judged(entry, weight, supports, against)


def _likelihood(weight: float) -> Likelihood | None:
    return next((word for least, word in LIKELIHOODS if weight >= least), None)


def _cause(item: Judged, known: Known) -> Cause:
    likelihood = _likelihood(item.weight)
    entry = item.entry
    return Cause(
        entry.id, entry.title, likelihood or "possible",
        tuple(_observations(item.supports, known)), tuple(_observations(item.against, known)),
        entry.advice, entry.source,
    )  # fmt: skip


def _observations(evidence: Iterable[Evidence], known: Known) -> Iterator[Observation]:
    for item in evidence:
        text = fill(item.text, known.facts)
        if text is not None:
            yield _observation(text, item.at, known)


def _sentences(sentences: Iterable[Sentence], known: Known) -> Iterator[Observation]:
    """Yield those of *sentences* that hold and whose facts are known."""
    for sentence in sentences:
        if all(condition.holds(known.facts) is True for condition in sentence.when):
            text = fill(sentence.text, known.facts)
            if text is not None:
                yield _observation(text, sentence.at, known)


def _observation(text: str, at: str, known: Known) -> Observation:
    place = known.anchors.get(at)
    if place is None:
        return Observation(text)
    return Observation(text, place.epoch, place.batch, place.offset, place.line)


def _is_lost(facts: Mapping[str, Value]) -> bool:
    """Tell whether what the run computes now is of no use: it went bad for good, or has trouble that asks for changes.

    A NaN or two at the end of a log that grows may be single ones, and so may running means of one epoch.
    """
    lasting, longest = facts["nan_lasting_epochs"], facts["nan_lasting_longest"]
    is_long = isinstance(lasting, int) and lasting >= _EPOCHS
    is_mean = bool(facts["shows_means"] and facts["nan_to_the_end"])
    is_stretch = isinstance(longest, int) and longest >= _IN_A_ROW and not is_mean
    is_over = bool(facts["is_finished"] or facts["failure_kind"]) and not is_mean
    is_bad = bool(facts["nan_lasts"]) and (is_long or is_stretch or is_over)
    is_troubled = bool(facts["has_changes"] and facts["trouble_goes_on"]) and not facts["is_finished"]
    return bool(facts["is_unstable"]) or is_bad or is_troubled


def _has_to_go_on(facts: Mapping[str, Value]) -> bool:
    """Tell whether the training has to be started again: it ended early, or goes nowhere."""
    is_short = bool(facts["failure_kind"] or facts["is_interrupted"] or facts["is_stalled"])
    is_worse = bool(facts["is_declining"] and facts["has_changes"]) and not facts["is_finished"]
    return bool(facts["has_begun"]) and (bool(facts["is_lost"]) or is_short or is_worse)


def _unknown(judged: Iterable[Judged], changes: Iterable[Proposal], known: Known) -> list[str]:
    """Return what would make the diagnosis surer and is not in the log."""
    asked: dict[str, None] = {}
    for entry in knowledge().entries:
        verdicts = [condition.holds(known.facts) for condition in entry.when]
        if False not in verdicts and None in verdicts:
            asked |= dict.fromkeys(name for c in entry.when for name in c.missing(known.facts))
    for item in judged:
        evidence = (*item.entry.supports, *item.entry.against)
        asked |= dict.fromkeys(name for e in evidence for name in e.condition.missing(known.facts))
    words = [f"The log does not show {UNKNOWN[name]}." for name in asked if name in UNKNOWN]
    words += [_value_unknown(p.change) for p in changes if p.change.before is None]
    return list(dict.fromkeys(words))[:_MOST_UNKNOWN]


def _value_unknown(change: SettingChange) -> str:
    return f"The log does not show the present value of {change.name}."
