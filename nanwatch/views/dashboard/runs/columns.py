"""The columns of the list: how each words a run, and which of them a width has room for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.run import Run
from nanwatch.views.block import STATUS_ROLES, epoch_of
from nanwatch.views.dashboard.runs.entry import FIGURES, Entry, Standing, validation_loss, vram_change
from nanwatch.views.dashboard.runs.sparkline import ASCII_MARKS, UNICODE_MARKS, sparkline
from nanwatch.views.dashboard.runs.trend import course_of, share_read
from nanwatch.views.page import Role, Span
from nanwatch.views.reasons import reason
from nanwatch.views.words import Glyphs, age, clean, cut_middle, duration, number, whole_percent

LETTERS: dict[Standing, Span] = {
    "critical": Span("X", "critical"), "warning": Span("!", "warning"), "unknown": Span("?", "warning"),
    "silenced": Span("z", "quiet"), "ok": Span("·"), "unread": Span(" "), "seen": Span("x", "quiet"),
}  # fmt: skip
_SIGNS = {
    "running": "▸", "stalled": "‖", "finished": "✓", "failed": "✗", "crashed": "†", "interrupted": "■",
    "unknown": "? ", "missing": "? ", "denied": "? ", "unreadable": "? ",
}  # fmt: skip
_ASCII_SIGNS = {"running": ">", "stalled": "=", "finished": "+", "failed": "x", "crashed": "%", "interrupted": "#"}
_WHY_WORDS, WHY_LEAST = 24, 45
METRIC_NAME = 8
"""Cells of a metric's name."""
_NARROW, _ROOMY, _WIDE, _WIDEST = 60, 100, 130, 170
"""Terminal widths from which there is more to see."""


class Signs(NamedTuple):
    """What words depend on beside the run: the terminal's signs, the trend's cells, and the metric all runs share."""

    glyphs: Glyphs
    is_roomy: bool = False
    trend: int = 8
    metric: str | None = None

    @property
    def is_ascii(self) -> bool:
        """Whether the terminal shows nothing but ASCII."""
        return self.glyphs.more.isascii()


class Column(NamedTuple):
    """A column: what it is called, its head, how it words a run, and the cells that it has and may grow to."""

    key: str
    head: str
    word: Callable[[Entry, Signs], Span]
    least: int
    most: int
    right: bool = True


# -- what every list has


def letter(entry: Entry, is_ascii: bool) -> Span:
    """Return the one sign that tells how bad it is."""
    found = LETTERS[entry.standing]
    return Span(".") if is_ascii and found.text == "·" else found


def _status(entry: Entry, signs: Signs) -> Span:
    status = entry.status
    if status == "reading":
        return Span(f"reading{signs.glyphs.more}", "quiet")
    if status == "empty":
        return Span(status, "quiet")
    known = _ASCII_SIGNS if signs.is_ascii else _SIGNS
    word = "format" if status == "unknown" else status
    view = entry.told
    if status == "stalled" and view is not None and view.silence is not None and signs.is_roomy:
        word = f"stalled {age(view.silence)}"
    role: Role = "quiet" if entry.standing == "seen" else STATUS_ROLES.get(status, "warning")
    return Span(known.get(status, _SIGNS[status]) + word, role)


def updated(entry: Entry, now: float) -> str:
    """Return how long ago the log grew."""
    grew_at = entry.snapshot.grew_at
    return "-" if grew_at is None else age(now - grew_at)


# -- figures


def _number_of(key: str, word: Callable[[float], str] = number) -> Callable[[Entry, Signs], Span]:
    def cell(entry: Entry, _: Signs) -> Span:
        value = FIGURES[key](entry)
        return Span("-" if value is None else _rough(entry, word(value)))

    return cell


def _rough(entry: Entry, text: str) -> str:
    """Mark what may be another number when the whole log was read."""
    return f"~{text}" if entry.is_rough and text != "-" else text


def _counted(key: str, role: Role) -> Callable[[Entry, Signs], Span]:
    def cell(entry: Entry, _: Signs) -> Span:
        value = FIGURES[key](entry)
        if value is None or (not value and entry.is_rough):  # what was not read is not known to be none
            return Span("-")
        return Span(_rough(entry, f"{value:,.0f}"), role if value else "")

    return cell


def _epoch(entry: Entry, _: Signs) -> Span:
    run = entry.told_run
    if run is None or (run.epoch is None and run.step is None):
        return Span("-")
    return Span(_rough(entry, epoch_of(run) if run.epoch is not None else f"s{run.step:,}"))


def _batch(entry: Entry, _: Signs) -> Span:
    run = entry.told_run
    if run is None or run.batch is None or entry.is_finished:
        return Span("-")
    return Span(_rough(entry, f"{run.batch:,}/{run.batches:,}" if run.batches else f"{run.batch:,}"))


def _percent(entry: Entry, _: Signs) -> Span:
    share = None if entry.is_finished else FIGURES["progress"](entry)
    return Span("-" if share is None else _rough(entry, whole_percent(share).removesuffix(" %")))


def _eta(entry: Entry, _: Signs) -> Span:
    if entry.is_finished:
        return Span("done")
    left = FIGURES["eta"](entry)
    return Span("-" if left is None else _rough(entry, duration(left)))


def _loss(entry: Entry, _: Signs) -> Span:
    value = FIGURES["loss"](entry)
    if value is None:
        return Span("-")
    return Span(_rough(entry, number(value, aligned=True)), "" if math.isfinite(value) else "critical")


def _vram(entry: Entry, signs: Signs) -> Span:
    value = FIGURES["vram"](entry)
    if value is None or entry.told is None:
        return Span("-")
    text, change = _rough(entry, f"{value:.3g}" if value < 1000 else f"{value:,.0f}"), vram_change(entry.told)
    if not change:
        return Span(text)
    return Span(f"{text} {change:+.2f}" if signs.is_roomy else f"{text}!", "warning")


def _speed(entry: Entry, _: Signs) -> Span:
    value = FIGURES["speed"](entry)
    if not value or not math.isfinite(value) or entry.status != "running":
        return Span("-")
    return Span(_rough(entry, f"{value:.3g}" if value < 1000 else f"{value:,.0f}"))


def _metric(entry: Entry, signs: Signs) -> Span:
    run = entry.told_run
    if run is None or run.primary_metric is None or not run.evaluations:
        return Span("-  ")
    name = cut_middle(clean(run.primary_metric), METRIC_NAME, signs.glyphs.more)
    told = "" if name == signs.metric else f"{name} "
    return Span(
        f"{told}{_rough(entry, number(run.evaluations[-1].value, aligned=True))} {metric_sign(run, signs.glyphs)}"
    )


def metric_sign(run: Run, glyphs: Glyphs) -> str:
    """Return whether the primary metric is its best (`*`), or got better, worse, or neither (` `) since before."""
    now = run.evaluations[-1]
    if run.best is not None and run.best.epoch == now.epoch:
        return "*"
    before = run.evaluations[-2].value if len(run.evaluations) > 1 else now.value
    if now.value == before or not math.isfinite(now.value - before):
        return " "
    return glyphs.better if (now.value > before) == run.primary_rises else glyphs.worse


def _trend(entry: Entry, signs: Signs) -> Span:
    share = share_read(entry.snapshot, signs.trend)
    if share is not None:
        return Span(share, "quiet")
    course = course_of(entry)
    if course is None:
        return Span("")
    return Span(sparkline(course, signs.trend, ASCII_MARKS if signs.is_ascii else UNICODE_MARKS))


def _why(entry: Entry, signs: Signs) -> Span:
    return Span(why(entry).replace(" -> ", f" {signs.glyphs.arrow} "), LETTERS[entry.standing].role)


def why(entry: Entry) -> str:
    """Return in a few words why a run is not well."""
    if entry.snapshot.problem is not None:
        return clean(entry.snapshot.problem)
    if entry.told is None or entry.standing in ("ok", "unread"):
        return ""
    told = reason(entry.told)
    if entry.standing in ("seen", "silenced"):
        taken = "acknowledged" if entry.standing == "seen" else "silenced"
        return f"{taken}: {told}" if told else taken
    return told


def _validation(entry: Entry, _: Signs) -> Span:
    run = entry.told_run
    return Span("-" if run is None else _rough(entry, number(validation_loss(run), aligned=True)))


def _nothing(_: Entry, __: Signs) -> Span:
    return Span("")  # the list fills it in: it depends on the time


STATUS = Column("status", "STATUS", _status, 9, 12, right=False)
UPDATED = Column("updated", "UPD", _nothing, 3, 4)
TREND = Column("trend", "TREND", _trend, 5, 20, right=False)
WHY = Column("why", "WHY", _why, _WHY_WORDS, 1000, right=False)
COLUMNS: tuple[Column, ...] = (
    STATUS,
    Column("epoch", "EPOCH", _epoch, 5, 12),
    Column("batch", "BATCH", _batch, 9, 21),
    Column("progress", "EP%", _percent, 3, 4),
    Column("eta", "ETA", _eta, 5, 7),
    Column("speed", "IT/S", _speed, 4, 7),
    Column("loss", "LOSS", _loss, 6, 10),
    TREND,
    Column("nan", "NaN", _counted("nan", "critical"), 3, 11),
    Column("skips", "SKIP", _counted("skips", "warning"), 4, 11),
    Column("vram", "VRAM", _vram, 4, 12),
    Column("metric", "METRIC", _metric, 6, 20),
    Column("lr", "LR", _number_of("lr", lambda v: f"{v:.3g}"), 6, 10),
    Column("val", "VAL LOSS", _validation, 8, 10),
    UPDATED,
    WHY,
)
"""As they stand on the screen."""

SORTABLE: tuple[str, ...] = ("run", *(c.key for c in COLUMNS if c.key not in ("trend", "why")))
"""The columns by which runs can be sorted."""

_PRIORITY: Sequence[tuple[str, int]] = (
    ("status", 0), ("nan", 0), ("updated", 0), ("epoch", _NARROW), ("loss", _NARROW), ("progress", _NARROW),
    ("eta", _NARROW), ("trend", _NARROW), ("vram", _NARROW), ("why", _WIDE), ("batch", _ROOMY), ("metric", _ROOMY),
    ("speed", _WIDE), ("skips", _WIDE), ("lr", _WIDEST), ("val", _WIDEST),
)  # fmt: skip
"""Which columns come first where room is short, and from which width there is one for them at all."""


def columns_for(width: int) -> list[Column]:
    """Return the columns that a screen of this width may have, the most telling first."""
    known = {column.key: column for column in COLUMNS}
    return [known[key] for key, least in _PRIORITY if width >= least]


def fits(text: str, cells: int) -> bool:
    """Tell whether *text* has room: what has not is left out whole, for half a number is another number."""
    return cell_len(text) <= cells
