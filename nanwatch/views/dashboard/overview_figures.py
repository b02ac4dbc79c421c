"""Where a run stands: its progress and speed, what was not finite, GPU memory, the process and the log."""

from __future__ import annotations

import math
import statistics

from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Epoch
from nanwatch.rules.words import loss_row
from nanwatch.views.block import epoch_of, training_time
from nanwatch.views.dashboard.overview_rows import Figures, Row, mark_of, one, spark_of
from nanwatch.views.dashboard.overview_signs import Signs, bar, size
from nanwatch.views.dashboard.overview_standing import is_silent, process_text, silence_text
from nanwatch.views.page import Role, Span
from nanwatch.views.words import clean, duration, moment, number, pad, percent, speed, whole_percent

_LEAST_BAR, _MOST_BAR = 8, 40
_GAP = 2


# -- where it stands


def progress_rows(figures: Figures, label: int) -> list[Row]:
    """Return how far the run and its epoch have come, and when they will be done; *label* cells are for the labels."""
    run = figures.run
    bars: list[tuple[str, str, float | None, str]] = []
    if run.epoch is not None:
        bars.append(("epoch", epoch_of(run), progress_of(run), _end(figures)))
        if run.batch is not None:
            share = min(1.0, run.batch / run.batches) if run.batches else None
            bars.append(("batch", _of(run.batch, run.batches), share, _epoch_end(figures)))
    elif run.step is not None:
        bars.append(("step", _of(run.step, run.steps), progress_of(run), _end(figures)))
    widest = max((len(text) for _, text, _, _ in bars), default=0)
    tail = max((len(end) for *_, end in bars), default=0)
    cells = max(_LEAST_BAR, min(_MOST_BAR, figures.page.width - label - widest - tail - 10 - 2 * _GAP))
    return [Row(name, _bar(text, widest, share, end, cells, figures.signs)) for name, text, share, end in bars]


def _of(count: int, whole: int | None) -> str:
    return f"{count:,}/{whole:,}" if whole else f"{count:,}"


def _bar(text: str, widest: int, share: float | None, end: str, cells: int, signs: Signs) -> list[list[Span]]:
    items = [one(pad(text, widest))]
    if share is not None:
        items.append([*bar(share, cells, signs), Span(f" {pad(whole_percent(share), 5, right=True)}")])
    return [*items, one(end)] if end else items


def _end(figures: Figures) -> str:
    """Return `ETA 1d19h, Sun 09:20` of a run that goes on; of one that is silent, when it was due."""
    view = figures.view
    left = eta_of(figures.run) if view.status == "running" else None
    if left is None or not math.isfinite(left):
        return ""
    if is_silent(view) and view.silence is not None:
        due = figures.now - view.silence + left
        return f"was due at {moment(due, figures.now)}" if due < figures.now else "ETA -"
    return f"ETA {duration(left)}, {moment(figures.now + left, figures.now)}"


def _epoch_end(figures: Figures) -> str:
    run = figures.run
    if figures.view.status != "running" or is_silent(figures.view) or not (run.batches and run.rate):
        return ""
    left = max(0, run.batches - (run.batch or 0)) / run.rate
    return f"{duration(left)} left in epoch" if math.isfinite(left) else ""


def speed_row(figures: Figures) -> Row:
    """Return the speed, its median and what it was, and for how long the run has trained."""
    run, items = figures.run, []
    pace = speed(run.rate)
    if pace is not None:
        is_now = figures.view.status == "running" and not is_silent(figures.view)
        items.append(one(pace if is_now else f"last {pace}"))
    usual = [1 / stretch.seconds for stretch in run.stretches if stretch.seconds > 0]
    if len(usual) >= 3 and (median := speed(statistics.median(usual))) is not None:
        items.append(one(f"median {median}", "quiet"))
    items += spark_of(figures, "it/s")
    spent = training_time(run)
    if spent is not None and spent >= 1:
        items.append(one(f"{figures.about}{duration(spent)} of training"))
    return Row("speed", items)


# -- what went wrong


def trouble_rows(figures: Figures) -> list[Row]:
    """Return NaN, skipped steps and GPU memory: of this epoch, of those before, of the run."""
    run, about = figures.run, figures.about
    row = loss_row(run)
    rows = []
    if run.epoch is not None or run.step is not None or run.losses:
        unit = "step" if run.epoch is None else "batch"
        onset = "" if row is None or row.nan_onset is None else f" since {unit} {row.nan_onset:,}"
        here = 0 if row is None else row.nan_batches
        items = _counted(row, here, run.nan_batches, onset, about, "critical", figures.is_early)
        rows.append(Row("NaN", items, mark_of(figures.view, "nan_burst", "nan_loss")))
    if run.grad_skips:
        here = 0 if row is None else row.grad_skips
        share = f" ({percent(here / row.batch)})" if row is not None and row.batch and here else ""
        items = _counted(row, here, run.grad_skips, share, about, "warning")
        rows.append(Row("skips", items, mark_of(figures.view, "grad_skip")))
    rows.append(Row("VRAM", _vram(figures), mark_of(figures.view, "vram_jump")))
    return rows


def _counted(
    row: Epoch | None, here: int, total: int, more: str, about: str, role: Role, is_early: bool = False
) -> list[list[Span]]:
    if not total:
        return [one(f"{about}none{' so far' if is_early else ''}")]
    if row is None or row.epoch < 0:
        return [one(f"{about}{total:,} in the run{more}", role)]
    now = f"{about}{here:,} in epoch {row.epoch}{more}" if here else f"none in epoch {row.epoch}"
    return [one(now, role if here else ""), one(f"{about}{total - here:,} before"), one(f"{about}{total:,} in all")]


def _vram(figures: Figures) -> list[list[Span]]:
    run = figures.run
    row = run.current
    peak = (row.vram_gb if row is not None else None) or run.vram_gb
    if not peak:
        return []
    known = [e for e in run.table.values() if row is not None and 0 <= e.epoch < row.epoch and e.vram_gb]
    before = max(known, key=lambda e: e.epoch, default=None)
    items = [one(f"{peak:.4g} G peak")]
    if before is not None and before.vram_gb is not None:
        change = peak - before.vram_gb
        if abs(change) < 0.005:
            items.append(one(f"as in epoch {before.epoch}", "quiet"))
        else:
            text = f"{before.vram_gb:.4g} -> {peak:.4g} ({change:+.2f} G against epoch {before.epoch})"
            items.append(one(figures.page.arrows(text)))
    return items + spark_of(figures, "VRAM")


# -- the rest


def more_rows(figures: Figures) -> list[Row]:
    """Return the learning rate and what else the trainer tells, the process, and the log: all in one row."""
    run, view = figures.run, figures.view
    items = [] if run.lr is None else [[Span(f"lr {run.lr:.3g}"), *_beside_it(spark_of(figures, "lr"))]]
    if run.grad_norm is not None:
        role: Role = "" if math.isfinite(run.grad_norm) else "critical"
        items.append(one(f"gradient norm {number(run.grad_norm)}", role))
    if run.resumes:
        items.append(one("resumed " + ("once" if run.resumes == 1 else f"{run.resumes} times")))
    process, silent = process_text(run), silence_text(view)
    items += [one(process)] if process and view.status != "stalled" else []  # else told above
    items.append(one(f"format {clean(run.format)}"))
    items += [one(size(figures.whole))] if figures.whole else []
    items += [one(silent, "warning" if view.status == "stalled" else "")] if silent else []
    items += [one(f"run {run.number} of the log", "quiet")] if run.number > 1 else []
    return [Row("more", items)]


def _beside_it(found: list[list[Span]]) -> list[Span]:
    return [Span(" "), *found[0]] if found else []
