"""One alert in full: its words, where it stands in the log, its evidence, and what its rule looks for."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator
from functools import cache

from nanwatch.config import Rules
from nanwatch.model.alert import Alert
from nanwatch.model.snapshot import RunView
from nanwatch.notify.evidence import WORDS
from nanwatch.rules.base import rule_types
from nanwatch.views.dashboard.alerts_list import began, lasted_of, mark_of, reasons_of, state_of, words_of
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.words import clean, moment, number, plural

_LABEL = 10


def detail_lines(
    view: RunView, alert: Alert, now: float, page: Page, rules: Rules, is_ascii: bool, is_explained: bool
) -> list[Line]:
    """Return all that is known of *alert*; with *is_explained*, its rule's explanation too."""
    lines = page.prose(words_of(view, alert), "title", mark=mark_of(alert, is_ascii), indent=1)
    rows = [
        ("rule", [clean(alert.rule), alert.severity, *([] if is_explained else ["i explains it"])]),
        ("where", list(_where(view, alert))),
        ("time", list(_times(view, alert, now))),
        ("quiet", reasons_of(alert) if alert.state == "firing" else []),
        ("evidence", [f"{name} {value}" for name, value in evidence(alert)]),
    ]
    for label, texts in rows:
        if texts:
            lines += page.items(label, [Span(text) for text in texts], indent=1, column=_LABEL)
    if is_explained:
        lines += page.items("meaning", [Span(explanation(alert.rule, rules))], indent=1)
    return [page.bound(line) for line in lines]


def _where(view: RunView, alert: Alert) -> Iterator[str]:
    run = view.run
    if alert.epoch is not None:
        yield f"epoch {alert.epoch:,}"
    if alert.batch is not None:
        yield f"{'step' if run.epoch is None else 'batch'} {alert.batch:,}"
    line = alert.line if alert.line is not None or alert.offset is None else run.lines.get(alert.offset)
    if line is not None:
        yield f"log line {line:,}"
    if alert.offset is not None:
        yield f"byte {alert.offset:,}"


def _times(view: RunView, alert: Alert, now: float) -> Iterator[str]:
    state, at = state_of(alert), began(view, alert, now)
    yield state if state == "FIRING" or alert.state == "resolved" else f"{state}, still firing"
    if at is not None:
        yield f"since {moment(at, now)}"
        yield f"for {lasted_of(view, alert, now)}"
    else:
        yield "the log has no times"
    if alert.resolved_at is not None and math.isfinite(alert.resolved_at):
        yield f"over at {moment(alert.resolved_at, now)}"
    if alert.acknowledged_at is not None:
        yield f"acknowledged {moment(alert.acknowledged_at, now)}"
    if alert.notified is not None:
        when = "" if alert.notified_at is None else f" at {moment(alert.notified_at, now)}"
        yield f"told as {alert.notified}{when}"


def evidence(alert: Alert) -> Iterator[tuple[str, str]]:
    """Yield what each piece of the evidence is called, and its value in words; what says nothing is left out."""
    for name, value in alert.evidence.items():
        words, worded = WORDS.get(name, (clean(name).replace("_", " "), None))
        if value is None or not words:
            continue
        if worded is None:
            text = value if isinstance(value, str) else number(value)
        else:
            text = worded(value) if isinstance(value, str) or math.isfinite(value) else number(value)
        if text:
            yield words, clean(text)


def explanation(rule: str, rules: Rules) -> str:
    """Return what *rule* looks for: a built-in one in the words of its own module, the user's as its condition."""
    own = next((custom for custom in rules.custom if custom.name == rule), None)
    if own is not None:
        return f"your own rule, while {clean(own.condition)}"
    return _built_in(rule) or f"nothing is known of a rule named {clean(rule)}"


@cache
def _built_in(rule: str) -> str:
    kind = rule_types().get(rule)
    if kind is None:
        return ""
    what = inspect.cleandoc(sys.modules[kind.__module__].__doc__ or "").partition(": ")[2]
    return " ".join(f"{what} {inspect.getdoc(kind) or ''}".split())


def rules_at_work(rules: Rules) -> str:
    """Return `18 rules watch`: as many as are enabled."""
    count = sum(getattr(rules, name).enabled for name in rule_types()) + sum(own.enabled for own in rules.custom)
    return f"{plural(count, 'rule')} {'watches' if count == 1 else 'watch'}"


def as_text(view: RunView, alert: Alert, now: float) -> str:
    """Return *alert* in words, as it would stand in a message to somebody."""
    where = ", ".join(_where(view, alert))
    lines = [
        f"{alert.severity} {clean(alert.rule)}: {words_of(view, alert)}",
        f"{clean(view.run.id)}: {where}" if where else clean(view.run.id),
        ", ".join(_times(view, alert, now)),
        *(f"{name}: {value}" for name, value in evidence(alert)),
    ]
    return "".join(f"{line}\n" for line in lines)
