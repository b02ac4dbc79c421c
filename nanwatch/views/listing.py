"""Many runs: a line each, worst first, with reasons for what is not well; the healthy ones fold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.views.block import MARKS, STATUS_ROLES, epoch_of
from nanwatch.views.folding import counted_lines, folded_lines, main_loss
from nanwatch.views.health import HEALTHS, RunView, health
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import reason
from nanwatch.views.words import age, clean, cut_end, duration, number, pad, whole_percent

_LONGEST_NAME = 40
_WORDS = 22
_WIDE = 110
_HEALTHY = 20


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
    ranks = {id(v): (HEALTHS.index(h), ends.index(v.status) if h == "ok" else 0) for v in views for h in [health(v)]}
    return sorted(views, key=lambda v: ranks[id(v)])


def list_lines(views: list[RunView], page: Page, limit: int | None) -> list[Line]:
    """Return the list in at most *limit* lines: the healthy fold, reasons move up, the rest is counted."""
    views = worst_first(views)
    names = short_names(views)
    ill = [v for v in views if health(v) != "ok"]
    well = views[len(ill) :]
    if limit is not None or len(well) <= _HEALTHY:
        everything = _rows(views, names, page, reasons=True)
        if limit is None or len(everything) <= limit:
            return everything
    folded, counted = folded_lines(well, names, page), counted_lines(well)
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
    bad = (column.head == "NaN" and view.run.nan_batches) or (column.head == "LOSS" and cell in ("nan", "inf", "-inf"))
    return "critical" if bad else ""


def _layout(views: list[RunView], page: Page, longest: int, beside: bool) -> tuple[list[Column], list[int], int]:
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
    return "-" if left is None or not math.isfinite(left) else duration(left)


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
