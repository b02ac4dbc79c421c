"""What goes into one message: news that waits, what others speak for, and what belongs together."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from nanwatch.model.alert import SEVERITIES, Reason
from nanwatch.model.news import AlertFacts, News, RunFacts

_MANY_RUNS = 3
"""So many runs with the same alert are one story, not as many."""
_INHIBITED, _SILENCED, _ACKNOWLEDGED = "inhibited by ", "silenced", "acknowledged"
"""How the reasons begin for which nobody is told of an alert."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """News that a destination is still to be told of, at `due` at the earliest; `ids` are its rows of the outbox.

    `due` and `created_at`, when the first of them was made, are Unix seconds.
    """

    ids: tuple[int, ...]
    news: News
    due: float
    created_at: float


Row = tuple[int, Reason, AlertFacts, RunFacts, float, float]
"""A row of the outbox: its id, why, the alert and the run as they stood, when it was made, when it is due."""


def merge(rows: Sequence[Row]) -> list[Waiting]:
    """Return the news of *rows*, one for each alert, in the order of their ids: all reasons, the latest facts.

    It is due when the first of its rows is.
    """
    by_alert: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[0]):
        by_alert[row[2].id].append(row)
    return [_merged(same) for same in by_alert.values()]


def take_due(waiting: Sequence[Waiting], now: float) -> list[Waiting]:
    """Return what is due at *now* and what may go along with it, in the order of *waiting*; nothing if nothing is due.

    What waits for the same run may, and so may what happened to three runs or more, one of which is due.
    """
    due = [w for w in waiting if w.due <= now]
    runs = {w.news.run.id for w in due}
    alike = {_likeness(w) for w in due} & _widespread(waiting)
    return [w for w in waiting if w.due <= now or w.news.run.id in runs or _likeness(w) in alike]


def ready(messages: Sequence[Sequence[Waiting]], now: float) -> list[list[Waiting]]:
    """Return those of *messages* that hold something due at *now*; the others would come early, so they wait on."""
    return [list(message) for message in messages if any(w.due <= now for w in message)]


def drop_covered(waiting: Iterable[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Return what is still to be told of *waiting*, and what is not: it was suppressed before anybody was told.

    What is silenced is in neither: it waits on, since the silence may end before the alert does.
    """
    kept: list[Waiting] = []
    covered: list[Waiting] = []
    for one in waiting:
        if _is_covered(one.news):
            covered.append(one)
        elif not _is_held(one.news):
            kept.append(one)
    return kept, covered


def group(
    waiting: Sequence[Waiting], style: Literal["grouped", "single", "state"], at_most: int = 5
) -> list[list[Waiting]]:
    """Return the messages that tell of *waiting*, each as its news: the worst first, then the oldest.

    `single` makes one message of each alert, `state` one of all. `grouped` makes one of what happened to three runs
    or more and one of each run's rest, or a single digest where these would be more than *at_most*.
    """
    ordered = sorted(waiting, key=_rank)
    match style:
        case "single":
            return [[one] for one in ordered]
        case "state":
            return [ordered] if ordered else []
        case "grouped":
            messages = _grouped(ordered)
            return messages if len(messages) <= at_most else [ordered]


def message_key(host: str, destination: str, ids_and_reasons: Iterable[tuple[str, Reason]]) -> str:
    """Return the key of the message that tells *destination* of these alert ids and reasons, in any order.

    It is the same whenever the message is made again: 32 hexadecimal digits.
    """
    text = json.dumps([host, destination, sorted(set(ids_and_reasons))])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _merged(rows: Sequence[Row]) -> Waiting:
    """Return one piece of news of the *rows* of one alert, in the order in which they were made."""
    _, _, alert, run, _, _ = rows[-1]
    reasons = tuple(dict.fromkeys(row[1] for row in rows))
    return Waiting(
        tuple(row[0] for row in rows),
        News(alert, run, reasons),
        due=min(row[5] for row in rows),
        created_at=min(row[4] for row in rows),
    )


def _grouped(ordered: Sequence[Waiting]) -> list[list[Waiting]]:
    """Return messages of *ordered* news, which is in order within them, and they by their first."""
    widespread = _widespread(ordered)
    messages: dict[object, list[Waiting]] = defaultdict(list)  # in the order of their first news
    for one in ordered:
        likeness = _likeness(one)
        messages[likeness if likeness in widespread else one.news.run.id].append(one)
    return list(messages.values())


def _likeness(one: Waiting) -> tuple[str, bool]:
    """Return what makes news of several runs the same: the rule, and whether it is over."""
    return one.news.alert.rule, one.news.is_over


def _widespread(waiting: Iterable[Waiting]) -> set[tuple[str, bool]]:
    """Return what happened to so many runs that it is told once for all of them."""
    runs: dict[tuple[str, bool], set[str]] = defaultdict(set)
    for one in waiting:
        runs[_likeness(one)].add(one.news.run.id)
    return {likeness for likeness, ids in runs.items() if len(ids) >= _MANY_RUNS}


def _rank(one: Waiting) -> tuple[int, float, tuple[int, ...], str]:
    """Return what news is sorted by; the ids decide where severity and age do not."""
    alert = one.news.alert
    return -SEVERITIES.index(alert.severity), one.created_at, one.ids, alert.id


def _is_covered(news: News) -> bool:
    """Tell whether nobody is to be told of *news* any more: another alert speaks for it, or it was to be quiet.

    Its end is told even so; but not where its beginning was not, and it was suppressed then.
    """
    suppressed, reasons = news.alert.suppressed, news.reasons
    is_untold = "first" in reasons or news.alert.told is None
    if "resolved" in reasons:
        return "first" in reasons and (_is_spoken_for(suppressed) or _is_silenced(suppressed))
    if _is_silenced(suppressed):
        return reasons == ("repeated",)
    return _ACKNOWLEDGED in suppressed or (is_untold and _is_spoken_for(suppressed))


def _is_held(news: News) -> bool:
    return "resolved" not in news.reasons and _is_silenced(news.alert.suppressed)


def _is_spoken_for(suppressed: Iterable[str]) -> bool:
    """Tell whether one of the reasons is another alert of the same run."""
    return any(reason.startswith(_INHIBITED) for reason in suppressed)


def _is_silenced(suppressed: Iterable[str]) -> bool:
    return any(reason.startswith(_SILENCED) for reason in suppressed)
