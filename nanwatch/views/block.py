"""One run in full: where it stands, what is wrong, its figures, and its last epochs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nanwatch.model.names import role_of
from nanwatch.model.outlook import eta_of, progress_of
from nanwatch.model.run import Epoch, Run
from nanwatch.rules.words import loss_row
from nanwatch.views.epochs import table_lines
from nanwatch.views.health import Health, RunView, firing, health, kept_quiet, losses_of, sentence
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.reasons import alert_text
from nanwatch.views.words import age, clean, duration, moment, number, percent, speed, whole_percent

MARKS: dict[Health, Span] = {
    "critical": Span("X", "critical"),
    "warning": Span("!", "warning"),
    "unknown": Span("?", "warning"),
    "ok": Span("."),
}
STATUS_ROLES: dict[str, Role] = {
    "running": "running", "finished": "finished", "stalled": "warning", "interrupted": "warning",
    "failed": "critical", "crashed": "critical", "unknown": "warning",
}  # fmt: skip
_SHOWN = 6


def block_lines(view: RunView, page: Page, now: float | None) -> list[Line]:
    """Return everything that is to be told of one run."""
    lines = _title(view, page)
    worst = health(view)
    lines += page.prose(sentence(view), "critical" if worst == "critical" else "")
    lines += _alerts(view, page)
    facts = list(_facts(view, page, now))
    lines += [Line([], 9), *facts] if facts else []
    return lines + table_lines(view, page)


def _title(view: RunView, page: Page) -> list[Line]:
    mark, name = MARKS[health(view)], clean(view.run.id)
    rest = [Span(view.status, STATUS_ROLES[view.status]), *(Span(text) for text in _where(view))]
    tail = sum(len(span.text) + 2 for span in rest)
    room = page.width - len(mark.text) - 1 - tail
    if len(name) > room:
        name = name.replace("\\", "/").rpartition("/")[2]
    head = [mark, Span(" ")]
    if room >= min(len(name), 16):
        head.append(Span(page.name(name, room), "title"))
        return [Line([*head, *(Span(f"  {span.text}", span.role) for span in rest)])]
    first = Line([*head, Span(page.name(name, page.width - 2), "title")])
    return [first, *page.items("", rest, column=0)]


def _where(view: RunView) -> Iterator[str]:
    run = view.run
    if run.epoch is not None:
        yield f"epoch {epoch_of(run)}"
    if run.batch is not None:
        share = f" ({whole_percent(min(1.0, run.batch / run.batches))})" if run.batches else ""
        yield f"batch {run.batch:,}" + (f"/{run.batches:,}" if run.batches else "") + share
    elif run.step is not None:
        share = f" ({whole_percent(min(1.0, run.step / run.steps))})" if run.steps else ""
        yield f"step {run.step:,}" + (f"/{run.steps:,}" if run.steps else "") + share
    if view.silence is not None and view.status not in ("running", "stalled"):
        yield f"{age(view.silence)} ago"


def epoch_of(run: Run) -> str:
    """Return `4/50`; a trainer that counts from 0 prints the last of five epochs as `4/4`."""
    return f"{run.epoch}/{run.epochs - (run.first_epoch == 0)}" if run.epochs else f"{run.epoch}"


def _alerts(view: RunView, page: Page) -> list[Line]:
    lines = []
    for alert in firing(view):
        text = alert_text(view, alert)
        role: Role = "critical" if alert.severity == "critical" else "warning"
        mark = Span("X" if role == "critical" else "!", role)
        rank = 1 if role == "critical" else 2
        lines += page.prose(f"{clean(alert.rule)}: {text}", mark=mark, rank=rank)
    failure = view.run.failure
    if failure is not None and not any(a.rule in ("oom", "crash") for a in firing(view)):
        lines += page.prose(clean(failure.message), mark=Span("X", "critical"), rank=1)
    for alert in kept_quiet(view):
        text = f"{clean(alert.rule)}: {clean(alert.message)} ({clean('; '.join(alert.suppressed))})"
        lines += page.prose(text, "quiet", mark=Span("-", "quiet"), rank=6)
    return lines


# -- figures


def _facts(view: RunView, page: Page, now: float | None) -> Iterator[Line]:
    run = view.run
    rows: list[tuple[str, list[Span], int]] = [
        ("time", [Span(t) for t in _times(view, now)], 3),
        ("loss", list(_losses(run, page)), 3),
        ("NaN", list(_counts(run)), 6),
        ("VRAM", [Span(t) for t in _vram(run)], 6),
        ("metric", [Span(t) for t in _metric(run, page)], 3),
        ("final", [Span(t) for t in _final(run, page)], 6),
        ("more", [Span(t) for t in _more(run)], 7),
    ]
    for label, items, rank in rows:
        if items:
            yield from page.items(label, items, rank)


def _times(view: RunView, now: float | None) -> Iterator[str]:
    run = view.run
    spent = training_time(run)
    if spent is not None and spent >= 1:
        yield f"{duration(spent)} of training"
    if view.status != "running":
        return
    pace = speed(run.rate)
    if pace is not None:
        yield pace
    share = progress_of(run)
    if share is not None:
        yield f"{percent(share)} of the run"
    if run.epoch is not None and run.batches and run.batch is not None and pace is not None and run.rate:
        yield f"epoch ends in {duration(max(0, run.batches - run.batch) / run.rate)}"
    left = eta_of(run)
    if left is not None and math.isfinite(left):
        yield f"ETA {duration(left)}" + ("" if now is None else f" ({moment(now + left, now)})")


def training_time(run: Run) -> float | None:
    """Return the seconds spent training, where the log tells them of every epoch."""
    rows = [row for row in run.table.values() if row.epoch >= 0]
    times = [row.seconds for row in rows if row.seconds is not None]
    if rows and len(times) == len(rows) and not run.epochs_dropped and any(times):
        return sum(times)
    return run.elapsed if run.epoch is None else None


def _losses(run: Run, page: Page) -> Iterator[Span]:
    row = run.current
    values = run.losses if row is None or not row.losses else losses_of(row)
    if len(values) == 1 and next(iter(values)).lower() == "loss":
        yield from (Span(number(v), "" if math.isfinite(v) else "critical") for v in values.values())
        return
    for name, value in list(values.items())[:_SHOWN]:
        yield _value(page, name, value)
    if len(values) > _SHOWN:
        yield Span(f"and {len(values) - _SHOWN} more")


def _value(page: Page, name: str, value: float) -> Span:
    text = number(value)
    name = page.name(clean(name), max(4, page.width - 14 - len(text)))
    return Span(f"{name} {text}", "" if math.isfinite(value) else "critical")


def _counts(run: Run) -> Iterator[Span]:
    """Tell how many batches were NaN and how many steps skipped, in this epoch and in the run."""
    if run.epoch is None and run.step is None:
        return
    row = loss_row(run)
    here = "" if row is None or row.epoch < 0 else f"{row.nan_batches:,} in epoch {row.epoch}, "
    yield Span(f"{here}{run.nan_batches:,} in the run", "critical") if run.nan_batches else Span("none")
    if run.grad_skips:
        here = "" if row is None or row.epoch < 0 else f"{row.grad_skips:,} in epoch {row.epoch}, "
        yield Span(f"steps skipped: {here}{run.grad_skips:,} in the run", "warning")


def _vram(run: Run) -> Iterator[str]:
    row = run.current
    peak = (row.vram_gb if row is not None else None) or run.vram_gb
    if not peak:
        return
    before = _before(run, row)
    if before is None or before.vram_gb is None:
        yield f"{peak:.4g} G"
    elif abs(peak - before.vram_gb) < 0.005:
        yield f"{peak:.4g} G, as in epoch {before.epoch}"
    else:
        change = peak - before.vram_gb
        yield f"{before.vram_gb:.4g} -> {peak:.4g} G ({change:+.2f} G against epoch {before.epoch})"


def _before(run: Run, row: Epoch | None) -> Epoch | None:
    """Return the last epoch before *row* that tells its VRAM."""
    if row is None:
        return None
    known = [e for e in run.table.values() if 0 <= e.epoch < row.epoch and e.vram_gb]
    return max(known, key=lambda e: e.epoch, default=None)


def _metric(run: Run, page: Page) -> Iterator[str]:
    if run.primary_metric is None or not run.evaluations:
        known = [n for n in run.metrics if role_of(n) in ("loss", "metric")]
        yield from (_value(page, name, run.metrics[name]).text for name in known[:4])
        return
    now, best = run.evaluations[-1], run.best
    unit = "epoch" if run.epoch is not None else "step"
    name = page.name(clean(run.primary_metric), max(8, page.width - 40))
    here = f"{name} {number(now.value)} at {unit} {now.epoch:,}"
    if best is None or best.epoch is None:
        yield here
    elif best.epoch == now.epoch:
        yield f"{here}, its best"
    elif best.value == now.value:
        yield f"{here}, like its best at {unit} {best.epoch:,}"
    else:
        yield here
        yield f"best {number(best.value)} at {unit} {best.epoch:,}"


def _final(run: Run, page: Page) -> Iterator[str]:
    known = [n for n in run.final_metrics if role_of(n) in ("loss", "metric")]
    known.sort(key=lambda n: n != run.primary_metric)
    for name in known[:4]:
        yield _value(page, name, run.final_metrics[name]).text


def _more(run: Run) -> Iterator[str]:
    if run.lr is not None:
        yield f"learning rate {run.lr:.3g}"
    if run.grad_norm is not None:
        yield f"gradient norm {number(run.grad_norm)}"
    if run.resumes:
        yield "resumed " + ("once" if run.resumes == 1 else f"{run.resumes} times")
