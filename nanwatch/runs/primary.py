"""Which metric a run is judged by, and its best value."""

from __future__ import annotations

import math

from nanwatch.model.names import direction_of, is_training, is_validation, plain, role_of
from nanwatch.model.run import Best, Epoch, Evaluation, Run

_FAVOURITES = ("map50_95", "map_0.5:0.95", "map50_95(m)", "iou", "miou", "mean_iou", "accuracy_top1")
_EVALUATIONS = 512


def choose_primary(run: Run, metrics: dict[str, float]) -> None:
    """Choose the metric that the trainer itself optimises for, as far as *metrics* tell.

    The first of: a known favourite (mAP50-95, IoU), a rising validation metric, a rising metric, a falling
    validation metric, the loss. A better kind that comes later takes over.
    """
    name = min(metrics, key=lambda n: (_rank(n), list(metrics).index(n)), default=None)
    if name is None or _rank(name) > 4:
        return
    now = run.primary_metric
    if now is not None and (now == name or _rank(now) <= _rank(name)):
        return
    if now is not None:
        run.evaluations, run.best = [], None
    run.primary_metric, run.primary_rises = name, direction_of(name) > 0


def _rank(name: str) -> int:
    low = plain(name)
    role, direction = role_of(name), direction_of(name)
    if role not in ("metric", "loss") or not direction or is_training(name):
        return 4 if role == "loss" and direction else 9
    if low in _FAVOURITES or low.removeprefix("val_") in _FAVOURITES or low.endswith("bbox_map"):
        return 0
    if direction > 0:
        return 1 if is_validation(name) else 2
    return 3 if is_validation(name) else 4


def evaluate(run: Run, row: Epoch, offset: int) -> None:
    """Record the primary metric that *row* holds now; an epoch that is repeated replaces what it said."""
    values = {**row.losses, **row.metrics}
    choose_primary(run, {n: v for n, v in values.items() if n in row.metrics or row.done})
    if run.primary_metric is None:
        return
    # Of a loss, what the trainer tells for the whole epoch counts, not what its last batch showed under the same name.
    own = (told for name, told in row.means.items() if name.lower() == run.primary_metric.lower())
    value = next(own, values.get(run.primary_metric))
    if value is not None:
        record(run, row.epoch, value, offset)


def record(run: Run, position: int, value: float, offset: int) -> None:
    """Record *value* of the primary metric at *position* (an epoch, or a step where there are none)."""
    history = run.evaluations
    if history and history[-1].epoch == position and history[-1].value == value:
        return  # told already, in a line of its own
    replaced = bool(history) and history[-1].epoch >= position
    while history and history[-1].epoch >= position:
        history.pop()
    history.append(Evaluation(position, value, offset))
    if len(history) > _EVALUATIONS:
        del history[: _EVALUATIONS // 2]
    if replaced and run.best is not None and (run.best.epoch or 0) >= position:
        run.best = None
        for item in history:
            _challenge(run, item.epoch, item.value)
    else:
        _challenge(run, position, value)


def _challenge(run: Run, position: int, value: float) -> None:
    if run.primary_metric is None or not math.isfinite(value):
        return
    best = run.best
    better = best is None or (value > best.value if run.primary_rises else value < best.value)
    if better:
        run.best = Best(run.primary_metric, value, position)
