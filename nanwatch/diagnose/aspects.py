"""What happened in a run, one aspect at a time: NaN, skipped steps, memory, the trend, silence, the end."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from nanwatch.diagnose.words import Value
from nanwatch.model.alert import Alert
from nanwatch.model.run import Epoch, Run
from nanwatch.model.snapshot import RunView
from nanwatch.rules.words import clean_before, has_passed, nan_stretch, projection

Facts = dict[str, Value]

_WARNED = 3
"""Falls in a row after which a careful person lowers the learning rate."""
_HOST_MEMORY = re.compile(r"oom[-_ ]?kill|killed process|OOM killer", re.IGNORECASE)
"""What the kernel and schedulers say that end a process for want of the host's memory, not of the GPU's."""
_ENDED_BY_NAN = re.compile(r"\b(?:nan|non-?finite)\b", re.IGNORECASE)
"""What a trainer says that gives up because its loss is not finite: no finite one came after it."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in the log that a sentence of evidence may point to."""

    epoch: int | None = None
    batch: int | None = None
    offset: int | None = None
    line: int | None = None


Anchors = dict[str, Anchor]


def anchor(run: Run, epoch: int | None, batch: int | None, offset: int | None) -> Anchor:
    """Return a place, with the line of its offset where the run remembers it."""
    number = None if epoch is None or epoch < 0 else epoch
    return Anchor(number, batch, offset, None if offset is None else run.lines.get(offset))


def anchor_of(run: Run, alert: Alert) -> Anchor:
    """Return the place that *alert* points to."""
    found = anchor(run, alert.epoch, alert.batch, alert.offset)
    return found if found.line is not None else Anchor(found.epoch, found.batch, found.offset, alert.line)


def rows_of(run: Run) -> list[Epoch]:
    """Return the rows of the table in the order of their numbers, that of a run without epochs among them."""
    return [run.table[number] for number in sorted(run.table)]


def alert_of(view: RunView, *rules: str, state: str = "") -> Alert | None:
    """Return the first alert of any of *rules* in this *state*; without one, over or not."""
    states = (state,) if state else ("firing", "resolved")
    return next((a for a in view.alerts if a.rule in rules and a.state in states), None)


def told(alert: Alert | None, name: str) -> float | None:
    """Return a number of the evidence of *alert*."""
    value = None if alert is None else alert.evidence.get(name)
    return value if isinstance(value, int | float) else None


def whole(value: float | None) -> int | None:
    """Return *value* as a whole number, None where it is none."""
    return None if value is None or not math.isfinite(value) else int(value)


# -- NaN


def nan_facts(view: RunView, anchors: Anchors) -> Facts:
    """Return how many losses were not finite, where that began, and whether it lasts."""
    run = view.run
    bad = [row for row in rows_of(run) if row.nan_batches]
    facts: Facts = {
        "nan_batches": run.nan_batches, "nan_epochs": len(bad), "batches_trained": run.position,
        "hidden_nan": run.hidden_nan, "nan_recoveries": sum(f.kind == "nan" for f in run.recoveries),
    }  # fmt: skip
    lasting = nan_stretch(run) if run.nan_batches else []
    is_ended = run.failure is not None and _ENDED_BY_NAN.search(run.failure.message) is not None
    shows_nan = run.hidden_nan or is_ended or any(not math.isfinite(value) for value in run.losses.values())
    facts |= {"nan_lasts": bool(lasting) and shows_nan, "nan_lasting_epochs": len(lasting)}
    facts |= {"nan_recovered": bool(run.nan_batches) and not facts["nan_lasts"]}
    first = bad[0] if bad else None
    facts |= _onset(run, first)
    facts |= {
        "nan_longest": max((row.nan_longest for row in bad), default=0),
        "nan_lasting_longest": max((row.nan_longest for row in lasting), default=0),
        "nan_to_the_end": bool(bad) and all(_runs_to_the_end(row) for row in bad if row.batch),
        "nan_is_counted": first is not None and first.nan_onset is not None and bool(first.batch),
        "trouble_goes_on": bool(lasting) or _is_recent(run),
    }
    if first is not None:
        anchors["nan"] = anchor(run, first.epoch, first.nan_onset, first.nan_offset)
    return facts


def _is_recent(run: Run) -> bool:
    """Tell whether a loss was not finite or a step was skipped in the latest two epochs (or the latest steps)."""
    if run.epoch is None:
        row = run.table.get(-1)
        bad = [] if row is None else [*row.nan_last[-1:], *run.skip_positions[-1:]]
        return any(not has_passed(run, place) for place in bad)
    rows = (run.table.get(run.epoch), run.table.get(run.epoch - 1))
    return any(row.nan_batches or row.grad_skips for row in rows if row is not None)


def _onset(run: Run, first: Epoch | None) -> Facts:
    """Return where the first epoch with NaN stands and how bad it was."""
    names = ("nan_epoch", "nan_batch", "nan_seen", "nan_share", "nan_expected", "onset_share", "epochs_clean_before")
    facts: Facts = dict.fromkeys(names)
    if first is None:
        return facts
    before = [row for row in rows_of(run) if 0 <= row.epoch < first.epoch]
    facts["epochs_clean_before"] = sum(not row.nan_batches and not row.grad_skips for row in before)
    facts["nan_epoch"] = first.epoch if first.epoch >= 0 else None
    facts["nan_batch"] = first.nan_onset
    if first.batch and first.nan_batches <= first.batch:
        facts |= {"nan_seen": first.batch, "nan_share": first.nan_batches / first.batch}
        facts["nan_expected"] = projection(first, first.nan_batches)
    length = first.batches if first.epoch >= 0 else run.steps
    if length and first.nan_onset is not None:
        facts["onset_share"] = first.nan_onset / length
    return facts


def _runs_to_the_end(row: Epoch) -> bool:
    """Tell whether every loss was NaN from the first bad batch to the last batch of the epoch."""
    last = row.nan_last[-1] if row.nan_last else row.nan_onset
    return row.nan_onset is not None and row.nan_longest == row.batch - row.nan_onset + 1 and last == row.batch


# -- steps that were skipped


def skip_facts(view: RunView, anchors: Anchors) -> Facts:
    """Return how many optimizer steps a guard or a loss scaler skipped."""
    run = view.run
    rows = [row for row in rows_of(run) if row.grad_skips]
    scaler = sum(row.skip_kinds.get("scaler", 0) for row in rows)
    if rows:
        anchors["skip"] = anchor(run, rows[0].epoch, rows[0].skip_first, rows[0].skip_offset)
    nan = run.nan_batches
    return {
        "grad_skips": run.grad_skips, "scaler_skips": scaler, "guard_skips": run.grad_skips - scaler,
        "skip_ratio": min(1.0, run.grad_skips / nan) if nan else None, "skip_epochs": len(rows),
        "skip_epoch": rows[0].epoch if rows and rows[0].epoch >= 0 else None,
    }  # fmt: skip


# -- memory


def memory_facts(view: RunView, anchors: Anchors) -> Facts:
    """Return how the GPU's memory changed, and whether the run ran out of it."""
    run, alert = view.run, alert_of(view, "vram_jump")
    ends = [f for f in (run.failure, *run.recoveries) if f is not None and f.kind == "oom"]
    is_host = run.failure is not None and _HOST_MEMORY.search(run.failure.message) is not None
    if alert is not None:
        anchors["vram"] = anchor_of(run, alert)
    if ends:
        anchors["oom"] = anchor(run, ends[0].epoch, None, ends[0].offset)
    first_nan = next((row.epoch for row in rows_of(run) if row.nan_batches), None)
    return {
        "vram_gb": run.vram_gb, "vram_before_gb": told(alert, "usual_gb"), "vram_after_gb": told(alert, "peak_gb"),
        "vram_change_gb": told(alert, "change_gb") if alert is not None else 0.0,
        "vram_epoch": None if alert is None else alert.epoch,
        "vram_with_nan": alert is not None and first_nan is not None and alert.epoch == first_nan,
        "is_oom": run.failure is not None and run.failure.kind == "oom" and not is_host, "is_host_oom": is_host,
        "oom_recoveries": sum(f.kind == "oom" for f in run.recoveries),
        "oom_text": ends[0].message if ends else None,
    }  # fmt: skip


# -- the trend of losses and metrics


def trend_facts(view: RunView, anchors: Anchors) -> Facts:
    """Return how the loss and the main metric went: explosion, decline, collapse, overfitting."""
    run = view.run
    rules = ("loss_explosion", "metric_decline", "metric_collapse")
    boom, fall, collapse = (alert_of(view, rule, state="firing") for rule in rules)
    past = alert_of(view, "loss_explosion", "metric_collapse", state="resolved")
    for name, alert in (("explosion", boom), ("decline", fall), ("collapse", collapse)):
        if alert is not None:
            anchors[name] = anchor_of(run, alert)
    usual, value, since = told(boom, "usual"), told(boom, "value"), whole(told(fall, "since_epoch"))
    facts: Facts = {
        "is_exploded": boom is not None, "explosion_from": usual, "explosion_to": value,
        "explosion_factor": value / usual if usual and value is not None else None,
        "explosion_epoch": None if boom is None else boom.epoch,
        "explosion_batch": None if boom is None else boom.batch,
        "is_collapsed": collapse is not None, "collapse_value": _collapsed_to(run, collapse),
        "collapse_epoch": None if collapse is None else collapse.epoch,
        "is_declining": fall is not None, "decline_epoch": since,
        "warned_epoch": None if since is None else since + _WARNED - 1,
        "metric": run.primary_metric, "best": None if run.best is None else run.best.value,
        "best_epoch": None if run.best is None else run.best.epoch,
        "is_overfit": alert_of(view, "overfit", state="firing") is not None,
        "over_epoch": None if past is None or boom is not None or collapse is not None else past.epoch,
        "epochs": run.epochs, "epoch": run.epoch,
    }  # fmt: skip
    facts |= _epoch_losses(run, boom)
    troubles = [a.epoch for a in (boom, collapse) if a is not None and a.epoch is not None]
    facts["trouble_epoch"] = min(troubles, default=run.nan_onset[0] if run.nan_onset else None)
    facts["is_unstable"] = boom is not None or collapse is not None
    facts["clean_epoch"] = _clean_epoch(run, facts)
    return facts | _stage(run, boom or collapse)


def _collapsed_to(run: Run, collapse: Alert | None) -> float | None:
    """Return what the main metric fell to at first; an alert tells what it is now."""
    row = run.table.get(collapse.epoch) if collapse is not None and collapse.epoch is not None else None
    value = None if row is None or run.primary_metric is None else row.metrics.get(run.primary_metric)
    return told(collapse, "value") if value is None else value


def _clean_epoch(run: Run, facts: Facts) -> int | None:
    """Return the last finished epoch that one may start again from: before NaN that last, the best of a bad trend."""
    rows, lasting = rows_of(run), nan_stretch(run)
    recent = [row for row in rows if row.nan_batches or row.grad_skips] if _is_recent(run) else []
    bad = lasting[0] if lasting else recent[-1] if recent else None
    clean = [row.epoch for row in rows if row.epoch >= 0 and row.done and not row.grad_skips and not row.nan_batches]
    last = clean_before(run, bad) if bad is not None else max(clean, default=None)
    best = None if run.best is None else run.best.epoch
    if (facts["is_unstable"] or facts["is_declining"]) and best is not None and run.epoch is not None:
        return best if last is None and bad is None else None if last is None else min(best, last)
    return last


def _epoch_losses(run: Run, boom: Alert | None) -> Facts:
    """Return an epoch's mean loss before and in the epoch of the explosion, where the trainer tells it."""
    facts: Facts = {"mean_before": None, "mean_after": None}
    if boom is None or boom.epoch is None:
        return facts
    now, before = run.table.get(boom.epoch), run.table.get(boom.epoch - 1)
    if now is None or before is None:
        return facts
    name = next((n for n in now.means if n in before.means), None)
    if name is not None and math.isfinite(now.means[name]) and now.means[name] > before.means[name] > 0:
        facts |= {"mean_before": before.means[name], "mean_after": now.means[name]}
    return facts


def _stage(run: Run, trouble: Alert | None) -> Facts:
    """Return the first epoch of the present stage of the training, and how soon after it the trouble came."""
    facts: Facts = {"stage_epoch": None, "epochs_after_stage": None}
    rows = [row for row in rows_of(run) if row.offset >= run.stage_offset and row.epoch >= 0]
    if not run.stage_offset or not rows:
        return facts
    facts["stage_epoch"] = rows[0].epoch
    if trouble is not None and trouble.epoch is not None and trouble.epoch >= rows[0].epoch:
        facts["epochs_after_stage"] = trouble.epoch - rows[0].epoch
    return facts


# -- silence and the end


def end_facts(view: RunView, anchors: Anchors) -> Facts:
    """Return how the run stands: silent, failed, thrown back, resumed."""
    run, stall = view.run, alert_of(view, "stall")
    failure = run.failure
    if failure is not None:
        anchors["failure"] = anchor(run, failure.epoch, None, failure.offset)
    if run.rollbacks:
        anchors["rollback"] = anchor(run, run.rollbacks[0].from_epoch, run.rollbacks[0].batch, run.rollbacks[0].offset)
    anchors["last"] = anchor(run, run.epoch, run.batch, None)
    return {
        "is_stalled": view.status == "stalled" or (stall is not None and stall.state == "firing"),
        "stuck_share": run.batch / run.batches if run.batch and run.batches else None,
        "silence_minutes": None if view.silence is None else view.silence / 60,
        "is_held": run.is_held, "cpu": None if run.process is None else run.process.cpu,
        "has_begun": run.epoch is not None or run.step is not None,
        "failure_kind": failure.kind if failure is not None else "",
        "failure_text": failure.message if failure is not None else "", "exit_code": run.exit_code,
        "rollbacks": len(run.rollbacks), "resumes": run.resumes, "is_unsaved": bool(run.unsaved),
        "is_finished": run.finished is not None, "is_interrupted": run.interrupted is not None,
    }  # fmt: skip
