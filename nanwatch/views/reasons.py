"""Alerts and reasons in words: what fires, with counts as of now."""

from __future__ import annotations

from nanwatch.model.alert import Alert
from nanwatch.model.run import Epoch, Run
from nanwatch.rules.words import loss_row, place, projection
from nanwatch.views.health import RunView, explain, firing, health, metric_moved, position
from nanwatch.views.words import age, clean, percent, plural, rough


def alert_text(view: RunView, alert: Alert) -> str:
    """Return an alert in words; counts that go on are told as of now, not as of the alert's last change."""
    run, row = view.run, loss_row(view.run)
    if row is not None and alert.epoch in (None, row.epoch):
        if alert.rule in ("nan_burst", "nan_loss") and row.nan_batches:
            return _nan_text(run, row)
        if alert.rule == "grad_skip" and row.grad_skips:
            return _skip_text(run, row)
    return clean(alert.message)


def _nan_text(run: Run, row: Epoch) -> str:
    count, onset = row.nan_batches, row.nan_onset
    if not row.batch or onset is None:
        where = f"in epoch {row.epoch}" if row.epoch >= 0 else f"since {place(row, onset)}"
        text = f"{plural(count, 'NaN loss', 'NaN losses')} {where}"
    elif count >= 3 and row.nan_streak_from == onset:
        text = f"NaN in every batch drawn from {onset:,} to {row.batch:,} of epoch {row.epoch}"
    else:
        share = percent(count / row.batch)
        text = f"{count:,} NaN in {plural(row.batch, 'batch', 'batches')} ({share}) since batch {onset:,}"
        text += f", the last at {row.nan_last[-1]:,}" if row.nan_last and row.nan_last[-1] != onset else ""
        text += _ahead(row, count)
    return text + _in_all(run.nan_batches, count)


def _skip_text(run: Run, row: Epoch) -> str:
    count = row.grad_skips
    share = f" ({percent(count / row.batch)})" if row.batch else ""
    since = f" since batch {row.skip_first:,}" if row.skip_first is not None and row.batch else ""
    text = f"{plural(count, 'optimizer step')} skipped{share}{since}{_ahead(row, count)}"
    return text + _in_all(run.grad_skips, count)


def _ahead(row: Epoch, count: int) -> str:
    end = projection(row, count)
    return f", about {rough(end)} by the epoch's end" if end is not None and end > count + 1 else ""


def _in_all(total: int, here: int) -> str:
    return f"; {total:,} in the run" if total > here else ""


# -- reasons, for a list


def reason(view: RunView) -> str:
    """Return why a run is not well in as few words as carry it, the worst first."""
    run, row = view.run, loss_row(view.run)
    parts = []
    if view.status == "unknown":
        parts.append(f"not understood: {explain(run)}")
    if view.status == "stalled":
        silent = "" if view.silence is None else f"silent {age(view.silence)} "
        process = run.process
        alive = f", pid {process.pid} lives" if process is not None and process.alive else ""
        parts.append((f"{silent}{position(run)}".strip() or "silent") + alive)
    if run.failure is not None and view.status in ("failed", "crashed"):
        parts.append(clean(run.failure.message))
    told = [a.rule for a in firing(view)]
    for alert in firing(view):
        if alert.rule in ("oom", "crash") and run.failure is not None:
            continue
        if alert.rule == "stall" and view.status == "stalled":
            continue
        if alert.rule in ("nan_burst", "nan_loss") and row is not None and row.nan_batches:
            parts.append(f"{row.nan_batches:,} NaN since {place(row, row.nan_onset)}")
        elif alert.rule == "grad_skip" and row is not None and row.grad_skips:
            parts.append(f"{plural(row.grad_skips, 'step')} skipped")
        elif alert.rule == "vram_jump":
            parts.append(clean(alert.message.partition(" (")[0]))
        else:
            parts.append(clean(alert.message))
    if not any(rule.startswith("metric") for rule in told) and health(view) != "ok":
        parts += metric_moved(run)
    return "; ".join(parts)
