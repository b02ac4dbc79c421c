"""What to do about an alert: one line of advice, which several runs may have in common."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.model.news import News
from nanwatch.notify.phrases import began_and_ended, filled, terms
from nanwatch.notify.wording import Wording, wording_of

_NOTHING = "Nothing to do."


def to_do(item: News, host: str) -> str:
    """Return the advice on *item*: its rule's own, but for what was told before and is over."""
    if not _asks(item):
        return _NOTHING
    return filled(_templates(item), terms(item, host)) or "Look at the log."


def common_to_do(news: Sequence[News], host: str) -> str:
    """Return the one advice on all of *news*, in words that fit each run; nothing where there is none."""
    advice = {to_do(item, host) for item in news}
    if len(advice) == 1:
        return advice.pop()
    wordings = {wording_of(item.alert.rule) for item in news}
    if len(wordings) > 1 or not all(
        _asks(item) and _templates(item) is wording_of(item.alert.rule).to_do for item in news
    ):
        return ""
    known = [terms(item, host).items() for item in news]
    return filled(wordings.pop().together, dict(set.intersection(*map(set, known))))


def _asks(item: News) -> bool:
    """Tell whether somebody may have to do something: it fires, or nobody has been told that it did."""
    return item.alert.severity != "info" and (not item.is_over or began_and_ended(item))


def _templates(item: News) -> tuple[str, ...]:
    """Return the templates that fit the state of the run and of the alert."""
    wording: Wording = wording_of(item.alert.rule)
    if item.run.status == "finished" and wording.at_end:
        return wording.at_end
    return wording.passed if item.is_over and wording.passed else wording.to_do
