"""Healthy runs, folded: named by the pattern of their names, counted, and told in ranges."""

from __future__ import annotations

import math
import re

from nanwatch.model.outlook import eta_of
from nanwatch.views.health import RunView, losses_of
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.words import duration, number, plural

_WELL = ("running", "interrupted", "finished")
_NUMBERS = re.compile(r"\d+")


def counted_lines(views: list[RunView]) -> list[Line]:
    """Return the shortest form: one line with their number."""
    counts = [f"{n} {status}" for status in _WELL if (n := sum(v.status == status for v in views))]
    return [Line([Span(f"ok {', '.join(counts)}")])] if counts else []


def folded_lines(views: list[RunView], names: dict[int, str], page: Page) -> list[Line]:
    """Return the groups of running runs with their ranges, and the finished ones with their best."""
    lines: list[Line] = []
    for status in _WELL:
        some = [v for v in views if v.status == status]
        if some:
            items = _finished(some, names, page) if status == "finished" else _groups(some, names, page)
            lines += page.items(f"ok {len(some)} {status}", [Span(text) for text in items], indent=0, column=17)
    return lines


def _groups(views: list[RunView], names: dict[int, str], page: Page) -> list[str]:
    groups: dict[str, list[RunView]] = {}
    for view in views:
        groups.setdefault(_NUMBERS.sub("0", names[id(view)]), []).append(view)
    ranked = sorted((g for g in groups.values() if len(g) > 1), key=lambda g: -len(g))[:6]
    found = [
        f"{len(some)} {page.name(_pattern([names[id(v)] for v in some]), 24)}"
        f"{_span('epoch', [v.run.epoch for v in some])}{_losses(some)}{_ends(some)}"
        for some in ranked
    ]
    told = {id(v) for some in ranked for v in some}
    rest = [v for v in views if id(v) not in told]
    if len(rest) > 3:
        return [*found, f"{plural(len(rest), 'other')}{_ends(rest)}"]
    return found + [page.name(names[id(v)], 24) + _ends([v]) for v in rest]


def _pattern(names: list[str]) -> str:
    """Return what *names* have in common, but for their numbers: `lr*e-4` of `lr1e-4` and `lr3e-4`."""
    slots = list(zip(*(_NUMBERS.findall(name) for name in names), strict=True))
    numbers = iter("*" if len(set(slot)) > 1 else slot[0] for slot in slots)
    return _NUMBERS.sub(lambda _: next(numbers), names[0])


def _losses(views: list[RunView]) -> str:
    known = [v for v in map(main_loss, views) if v is not None and math.isfinite(v)]
    if not known:
        return ""
    low, high = number(min(known)), number(max(known))
    return f" loss {low}" + (f"-{high}" if high != low else "")


def _span(word: str, values: list[int | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return f" {word} {low}" + (f"-{high}" if high > low else "")


def _ends(views: list[RunView]) -> str:
    left = [t for t in (eta_of(v.run) for v in views) if t is not None and math.isfinite(t)]
    return f" ETA {duration(max(left))}" if left else ""


def _finished(views: list[RunView], names: dict[int, str], page: Page) -> list[str]:
    found = []
    for view in views[:8]:
        best = view.run.best
        found.append(page.name(names[id(view)], 24) + ("" if best is None else f" {number(best.value)}"))
    return found + ([f"and {len(views) - 8} more"] if len(views) > 8 else [])


def main_loss(view: RunView) -> float | None:
    """Return the loss that stands for all: a non-finite one, else the one called so, else the first."""
    row = view.run.current
    losses = losses_of(row) if row is not None and row.losses else view.run.losses
    bad = [v for v in losses.values() if not math.isfinite(v)]
    if bad:
        return bad[0]
    named = [v for n, v in losses.items() if n.lower() in ("loss", "train_loss", "total_loss")]
    return named[0] if named else next(iter(losses.values()), None)
