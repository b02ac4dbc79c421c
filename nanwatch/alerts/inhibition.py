"""Which alerts make others of the same run not worth telling: one cause, one message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nanwatch.model.alert import Alert

INHIBITS: Mapping[str, frozenset[str]] = {
    "nan_burst": frozenset({"nan_loss"}),
    "metric_collapse": frozenset({"metric_decline", "frozen_metric", "plateau"}),
    "crash": frozenset({"stall", "process_gone", "slowdown", "deadline"}),
    "oom": frozenset({"stall", "process_gone", "slowdown", "deadline", "oom_recovered"}),
    "process_gone": frozenset({"stall", "slowdown", "deadline"}),
    "stall": frozenset({"slowdown", "deadline"}),
    "interrupted": frozenset({"stall", "process_gone", "slowdown", "deadline"}),
}
"""The rule that fires, and the rules that are not told while it does."""

_INHIBITED = "inhibited by "


def inhibitors(alert: Alert, firing: Iterable[Alert]) -> Iterator[str]:
    """Yield why *alert* is not told: the rules among *firing* that stand for it."""
    for other in firing:
        if alert.rule in INHIBITS.get(other.rule, ()):
            yield f"{_INHIBITED}{other.rule}"


def is_inhibited(alert: Alert) -> bool:
    """Tell whether another alert stood for *alert* when its reasons were last written."""
    return any(reason.startswith(_INHIBITED) for reason in alert.suppressed)
