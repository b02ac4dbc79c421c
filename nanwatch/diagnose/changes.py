"""What to change: the rules of the probable causes, applied to the settings of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nanwatch.diagnose.knowledge import Change, Entry, Rule
from nanwatch.diagnose.settings import Settings, Shown, as_text, option_of
from nanwatch.diagnose.words import Value
from nanwatch.model.diagnosis import SettingChange

SAFETY = 0.8
"""What the linear rule is multiplied by, as it holds only roughly."""
_WHOLE = {"batch": 1, "accumulation": 1, "image_size": 32}
"""Settings that are whole numbers, and what they are a multiple of."""
_UNLIMITED = 1e9


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change of the family `setting`; `strength` tells how far it goes, to choose between two of them."""

    setting: str
    change: SettingChange
    strength: float


def proposals(entries: Iterable[Entry], settings: Settings, facts: Mapping[str, Value]) -> list[Proposal]:
    """Return what *entries*, likeliest first, ask to change: each setting once, by the stronger one."""
    found: dict[str, Proposal] = {}
    for entry in entries:
        for change in entry.changes:
            if change.condition is not None and change.condition.holds(facts) is not True:
                continue
            proposal = _proposal(change, entry.id, settings, facts)
            known = found.get(change.setting)
            if proposal is not None and (known is None or proposal.strength > known.strength):
                found[change.setting] = proposal
    return _with_pin(list(found.values()), settings)


def _proposal(change: Change, cause: str, settings: Settings, facts: Mapping[str, Value]) -> Proposal | None:
    """Return what *change* makes of the run's setting, None where there is nothing to change."""
    trainer = settings.trainer
    if trainer.title and change.setting not in {*trainer.options, *trainer.absent}:
        return None
    shown, why = _before(change.setting, settings, facts), change.why
    if note := trainer.absent.get(change.setting):
        why = f"{why}. {note}"
    elif shown is not None and shown.says:
        why = f"{why} (before: {shown.says})"
    after, strength = _changed(change, shown, settings, facts)
    if after is None:
        return None
    before = None if shown is None else shown.text
    return Proposal(
        change.setting, SettingChange(option_of(trainer, change.setting), before, after, why, cause), strength
    )


def _changed(
    change: Change, shown: Shown | None, settings: Settings, facts: Mapping[str, Value]
) -> tuple[str | None, float]:
    """Return what becomes of a setting, None where it stays as it is, and how far that goes."""
    if change.rule.verb == "set":
        word = settings.trainer.values.get(change.setting, change.rule.value)
        return None if shown is not None and shown.text.lower() == word.lower() else word, _UNLIMITED
    if change.rule.verb == "fact":
        value = facts[change.rule.value]
        return (as_text(value), _UNLIMITED) if isinstance(value, int | float) else (None, 0.0)
    if shown is None or shown.value is None or shown.value <= 0:
        return change.otherwise or None, _strength(_factor(change.rule, 1.0, facts))
    factor = _factor(change.rule, shown.value, facts)
    text = None if factor is None else _after(change.setting, shown.text, shown.value * factor)
    return None if text is None or float(text) == shown.value else text, _strength(factor)


def _before(setting: str, settings: Settings, facts: Mapping[str, Value]) -> Shown | None:
    """Return what the run was trained with; of the learning rate, what the log shows of it if not how it was set."""
    shown = settings.shown(setting)
    if shown is not None or setting != "learning_rate":
        return shown
    clean, now = facts["lr_when_clean"], facts["lr_now"]
    if isinstance(clean, float) and facts["lr_clean_epoch"] is not None:
        return Shown(as_text(clean), f"the log at epoch {facts['lr_clean_epoch']}")
    return Shown(as_text(now), "the end of the log") if isinstance(now, float) else None


def _factor(rule: Rule, before: float, facts: Mapping[str, Value]) -> float | None:
    """Return what *rule* multiplies a setting of the value *before* with; None if it leaves it, or cannot tell."""
    if rule.verb == "times":
        return float(rule.value)
    if rule.verb == "at most":
        return float(rule.value) / before if before > float(rule.value) else None
    batch, base = facts["effective_batch"], facts["base_batch"]
    if isinstance(batch, int | float) and isinstance(base, int | float) and base > 0:
        return SAFETY * batch / base
    return None


def _after(setting: str, before: str, value: float) -> str | None:
    """Return *value* as the trainer takes it, written as *before* is; None where there is no such value."""
    if not math.isfinite(value) or not 0 < value < 1e12:
        return None
    multiple = _WHOLE.get(setting)
    if multiple is not None:
        return str(max(multiple, int(value // multiple) * multiple))
    text = as_text(value)
    return f"{text}.0" if "." in before and text.isdecimal() else text


def _strength(factor: float | None) -> float:
    return 0.0 if not factor or factor <= 0 else abs(math.log(factor))


def _with_pin(found: list[Proposal], settings: Settings) -> list[Proposal]:
    """Add the setting without which the trainer ignores some of the others."""
    ignored = settings.trainer.ignored
    names = [proposal.change.name for proposal in found]
    if ignored is None or not settings.is_overridden or not set(names) & set(ignored.keys):
        return found
    shown = settings.shown(ignored.pin)
    after = None if shown is None else shown.text
    first = next(n for n, name in enumerate(names) if name in ignored.keys)
    cause = found[first].change.cause
    pin = SettingChange(ignored.pin, settings.given(ignored.pin), after, f"{ignored.why}: name the optimizer", cause)
    return [*found[: first + 1], Proposal(ignored.pin, pin, 0.0), *found[first + 1 :]]
