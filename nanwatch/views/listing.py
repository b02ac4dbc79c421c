"""Many runs: a line each, worst first, with reasons for what is not well; the healthy ones fold."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.views.block import MARKS, STATUS_ROLES, epoch_of
from nanwatch.views.contract import eta_of, progress_of
from nanwatch.views.health import HEALTHS, RunView, health, losses_of
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import reason
from nanwatch.views.words import age, clean, cut_end, duration, number, pad, plural, whole_percent

_LONGEST_NAME = 40
_WORDS = 22
_WIDE = 110
_HEALTHY = 20
_WELL = ("running", "interrupted", "finished")
_NUMBERS = re.compile(r"\d+")


class Column(NamedTuple):
    """A column: its head, its least width, and how it words a run. The least *worth* gives way first."""

    head: str
    least: int
    word: Callable[[RunView], str]
    worth: int
    right: bool = True


def worst_first(views: list[RunView]) -> list[RunView]:
    """Return *views*, worst first, then running before finished, else in the given order."""
    ends = ("running", "stalled", "unknown", "failed", "crashed", "interrupted", "finished")
    ranks = {
        id(v): (HEALTHS.index(h), ends.index(v.status) if h == "ok" else 0)
        for v in views
        for h in [health(v)]
    }
    return sorted(views, key=lambda v: ranks[id(v)])


def list_lines(views: list[RunView], page: Page, limit: int | None) -> list[Line]:
    """Return the list in at most *limit* lines: the healthy fold, then reasons move up, then all is counted."""
    views = worst_first(views)
    names = short_names(views)
    ill = [v for v in views if health(v) != "ok"]
    well = views[len(ill) :]
    if limit is not None or len(well) <= _HEALTHY:
        everything = _rows(views, names, page, reasons=True)
        if limit is None or len(everything) <= limit:
            return everything
    folded, counted = _folded(well, names, page), _counted(well)
    for reasons, rest in ((True, folded), (False, folded), (False, counted)):
        lines = [*_rows(ill, names, page, reasons), *rest]
        if limit is None or len(lines) <= limit:
            return lines
    room = max(1, (limit or 1) - len(counted))
    shown = _rows(ill, names, page, reasons=False)[: max(1, room - 1)]
    hidden = len(ill) - (len(shown) - 1)
    more = Line([Span(f"  and {hidden:,} more with trouble", "warning")])
    return [*shown, more, *counted][: max(1, limit or 1)]


def short_names(views: list[RunView]) -> dict[int, str]:
    """Return each view's name (by its identity) without the folders and the ending that all of them share."""
    names = {id(v): clean(v.run.id) for v in views}
    if len(names) < 2:
        return names
    folders = [name.split("/")[:-1] for name in names.values()]
    common = 0
    while all(len(f) > common and f[common] == folders[0][common] for f in folders):
        common += 1
    names = {key: "/".join(name.split("/")[common:]) for key, name in names.items()}
    ending = next(iter(names.values())).rpartition(".")[2]
    if all(name.endswith(f".{ending}") and name != f".{ending}" for name in names.values()):
        names = {key: name.removesuffix(f".{ending}") for key, name in names.items()}
    return names


# -- a line each


def _rows(views: list[RunView], names: dict[int, str], page: Page, reasons: bool) -> list[Line]:
    """Return a head and a line each; *reasons* may take lines of their own where they do not fit beside."""
    if not views:
        return []
    why = [page.arrows(reason(view)) for view in views]
    longest = max(cell_len(names[id(v)]) for v in views)
    beside = not reasons or page.width >= _WIDE
    while True:
        columns, widths, room = _layout(views, page, longest, beside)
        name_width = max(3, min(longest, room))
        used = 4 + name_width + sum(width + 2 for width in widths)
        if not (beside and reasons and any(cell_len(text) > page.width - used for text in why)):
            break
        beside = False
    heads = [pad(c.head, w, c.right) for c, w in zip(columns, widths, strict=True)]
    heads = [f"H {pad('RUN', name_width)}", *heads, *(["WHY"] if beside and any(why) else [])]
    lines = [Line([Span("  ".join(heads), "quiet")])]
    for view, text in zip(views, why, strict=True):
        worst = health(view)
        role: Role = "critical" if worst == "critical" else "" if worst == "ok" else "warning"
        name = page.name(names[id(view)], name_width)
        spans = [MARKS[worst], Span(" "), Span(pad(name, name_width), "title" if role else "")]
        for column, width in zip(columns, widths, strict=True):
            cell = column.word(view)
            spans.append(Span("  " + pad(cell, width, column.right), _role(column, cell, view)))
        if text and beside:
            spans.append(Span("  " + cut_end(text, max(0, page.width - used), page.glyphs.more), role))
        lines.append(Line(spans))
        if text and not beside:
            lines.append(Line([Span("  "), Span(cut_end(text, page.width - 2, page.glyphs.more), role)]))
    return lines


def _role(column: Column, cell: str, view: RunView) -> Role:
    if column.head == "STATUS":
        return STATUS_ROLES[view.status]
    bad = (column.head == "NaN" and view.run.nan_batches) or (
        column.head == "LOSS" and cell in ("nan", "inf", "-inf")
    )
    return "critical" if bad else ""


def _layout(
    views: list[RunView], page: Page, longest: int, beside: bool
) -> tuple[list[Column], list[int], int]:
    """Choose the columns that leave room for the names, and (with reasons beside them) for a few words."""
    other = ("%",) if page.width >= _WIDE else ("BATCH", "METRIC")
    columns = [c for c in _columns(page) if c.head not in other]
    while True:
        widths = [max([c.least, cell_len(c.head), *(cell_len(c.word(v)) for v in views)]) for c in columns]
        room = page.width - 2 - sum(width + 2 for width in widths) - (_WORDS if beside else 0)
        if room >= min(longest, max(10, page.width // 4)) or len(columns) <= 2:
            return columns, widths, min(room, _LONGEST_NAME)
        columns.remove(min(columns, key=lambda c: c.worth))


def _columns(page: Page) -> list[Column]:
    return [
        Column("STATUS", 8, lambda v: v.status, 9, right=False),
        Column("EPOCH", 6, _epoch, 8),
        Column("BATCH", 6, _batch, 2),
        Column("%", 3, _percent, 4),
        Column("ETA", 6, _eta, 5),
        Column("LOSS", 6, _loss, 6),
        Column("NaN", 3, lambda v: "-" if v.status == "unknown" else f"{v.run.nan_batches:,}", 7),
        Column("VRAM", 4, lambda v: "-" if not v.run.vram_gb else f"{v.run.vram_gb:.3g}", 1),
        Column("METRIC", 8, lambda v: _metric(v, page), 3, right=False),
        Column("AGE", 3, _age, 2),
    ]


def _epoch(view: RunView) -> str:
    run = view.run
    if run.epoch is not None:
        return epoch_of(run)
    if run.step is not None:
        return f"s{run.step:,}"
    return "-"


def _batch(view: RunView) -> str:
    run = view.run
    if run.batch is None or view.status == "finished":
        return "-"
    return f"{run.batch:,}/{run.batches:,}" if run.batches else f"{run.batch:,}"


def _percent(view: RunView) -> str:
    share = progress_of(view.run)
    return "-" if share is None else whole_percent(share).removesuffix(" %")


def _eta(view: RunView) -> str:
    if view.status == "finished":
        return "done"
    left = eta_of(view.run) if view.status == "running" else None
    return "-" if left is None else duration(left)


def main_loss(view: RunView) -> float | None:
    """Return the loss that stands for all: a non-finite one, else the one called so, else the first."""
    row = view.run.current
    losses = losses_of(row) if row is not None and row.losses else view.run.losses
    bad = [v for v in losses.values() if not math.isfinite(v)]
    if bad:
        return bad[0]
    named = [v for n, v in losses.items() if n.lower() in ("loss", "train_loss", "total_loss")]
    return named[0] if named else next(iter(losses.values()), None)


def _loss(view: RunView) -> str:
    return number(main_loss(view))


def _metric(view: RunView, page: Page) -> str:
    run = view.run
    if run.primary_metric is None or not run.evaluations:
        return "-"
    name = page.name(clean(run.primary_metric), 12)
    now = run.evaluations[-1]
    mark = ""
    if run.best is not None and run.best.epoch == now.epoch:
        mark = " *"
    elif len(run.evaluations) > 1 and now.value != run.evaluations[-2].value:
        better = (now.value > run.evaluations[-2].value) == run.primary_rises
        mark = f" {page.glyphs.better if better else page.glyphs.worse}"
    return f"{name} {number(now.value)}{mark}"


def _age(view: RunView) -> str:
    """Return how long the log has been silent, where that is news."""
    if view.silence is None or (view.status == "running" and health(view) == "ok"):
        return ""
    return age(view.silence)


# -- the healthy ones, folded


def _counted(views: list[RunView]) -> list[Line]:
    counts = [f"{n} {status}" for status in _WELL if (n := sum(v.status == status for v in views))]
    return [Line([Span(f"ok {', '.join(counts)}")])] if counts else []


def _folded(views: list[RunView], names: dict[int, str], page: Page) -> list[Line]:
    lines: list[Line] = []
    for status in _WELL:
        some = [v for v in views if v.status == status]
        if some:
            items = _finished(some, names, page) if status == "finished" else _groups(some, names, page)
            lines += page.items(
                f"ok {len(some)} {status}", [Span(text) for text in items], indent=0, column=17
            )
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
    """Return what *names* have in common, which differ in their numbers only: `lr*e-4` of `lr1e-4` and `lr3e-4`."""
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
