"""What a store tells of its daemon, and how `daemon status` words what all of its blocks have."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, RunFacts
from nanwatch.store import StoredSilence
from nanwatch.views.page import Page
from nanwatch.views.words import clean, cut_end, moment

_LONGEST_WORDS = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """What a store tells of its daemon; `holder` is None where no daemon runs, `alerts` are those that fire.

    `health` is what a daemon last said of itself: the one that runs, or an earlier one. `receivers` are the names in
    the config, `destinations` what became of the messages to each.
    """

    folder: str
    holder: str | None
    health: Health | None
    alerts: list[tuple[RunFacts, AlertFacts]]
    runs: list[RunFacts]
    silences: list[StoredSilence]
    destinations: list[DestinationHealth]
    receivers: tuple[str, ...] = ()


def own_health(standing: Standing) -> Health | None:
    """Return what the daemon that runs says of itself; what an earlier one said is no word about it."""
    health, holder = standing.health, standing.holder
    if health is None or holder is None:
        return health
    if health.stopped_at is not None:  # in a container every daemon has the same number
        return None
    is_other = holder.startswith("process ") and not holder.startswith(f"process {health.pid} ")
    return None if is_other else health


def theirs(text: str, page: Page) -> str:
    """Return what somebody else wrote (a comment, a reason, a problem), harmless and not too long."""
    return cut_end(clean(text), _LONGEST_WORDS, page.glyphs.more)


def to_the_second(at: float, now: float) -> str:
    """Return the local time *at* with its seconds; a date is enough by itself."""
    text = moment(at, now)
    return time.strftime("%H:%M:%S", time.localtime(at)) if len(text) == len("21:41") else text
