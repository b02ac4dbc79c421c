"""Who hears of an alert: the tags that it bears, and the receivers whose patterns match."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

from nanwatch.config import Receiver, Tag
from nanwatch.model.alert import SEVERITIES, Reason, Severity


def tags_of(rule: str, run_id: str, log: str, tags: Sequence[Tag]) -> tuple[str, ...]:
    """Return the names of those *tags* that an alert of *rule* in this run bears, each once, in their order."""
    names = (tag.name for tag in tags if _matches_run(run_id, log, tag.runs) and _matches(rule, tag.rules))
    return tuple(dict.fromkeys(names))


def hears(
    receiver: Receiver,
    *,
    rule: str,
    severity: Severity,
    run_id: str,
    log: str,
    tags: Sequence[str],
    reason: Reason,
) -> bool:
    """Tell whether *receiver* is told of an alert for *reason*; *tags* are the names of those that it bears."""
    return (
        SEVERITIES.index(severity) >= SEVERITIES.index(receiver.min_severity)
        and (receiver.resolved or reason != "resolved")
        and (not receiver.tags or not set(receiver.tags).isdisjoint(tags))
        and _matches(rule, receiver.rules)
        and _matches_run(run_id, log, receiver.runs)
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether *name* matches one of the shell patterns; where there are none, everything does."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _matches_run(run_id: str, log: str, patterns: Sequence[str]) -> bool:
    return any(_matches(name, patterns) for name in (run_id, log, PurePath(log).name))
