"""Which metric a run is judged by, which way it should go, and its best value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.event import BatchDone, EpochDone, RunResumed, ValidationDone
from nanwatch.model.run import Run
from nanwatch.runs.primary import choose_primary, record
from tests.support.logs import fold
from tests.support.repeatable import repeatable


def chosen(*names: str) -> tuple[str | None, bool]:
    """Return the metric that is chosen among *names*, and whether it rises."""
    run = Run("x", "x")
    choose_primary(run, dict.fromkeys(names, 0.5))
    return run.primary_metric, run.primary_rises


def judged(*values: float, metric: str = "IoU") -> Run:
    """Return a run whose epochs ended with *values* of *metric*."""
    return fold(*(EpochDone(n, n, metrics={metric: v}) for n, v in enumerate(values, start=1))).current


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["P", "R", "mAP50", "mAP50-95"], ("mAP50-95", True)),
        (["accuracy", "IoU", "val_loss"], ("IoU", True)),
        (["loss", "val_loss", "val_acc", "acc"], ("val_acc", True)),
        (["loss", "val_loss", "acc"], ("acc", True)),
        (["loss", "val_loss"], ("val_loss", False)),
        (["loss"], ("loss", False)),
        (["train_acc", "val_loss"], ("val_loss", False)),
        (["perplexity", "bleu"], ("bleu", True)),
        (["wer"], ("wer", False)),
        (["speed", "epoch", "lr"], (None, True)),
        ([], (None, True)),
    ],
)
def test_choice(names: list[str], expected: tuple[str | None, bool]) -> None:
    """What the trainer optimises for: a known favourite, else a rising validation metric, else the loss."""
    assert chosen(*names) == expected


@given(st.permutations(["loss", "val_loss", "acc", "mAP50", "mAP50-95"]))
@repeatable
def test_the_order_of_names_does_not_choose(names: list[str]) -> None:
    """The favourite is chosen wherever it stands."""
    assert chosen(*names) == ("mAP50-95", True)


def test_the_first_of_equals() -> None:
    """Of metrics of the same kind, the one printed first is chosen, and stays."""
    assert chosen("f1", "recall")[0] == "f1"
    run = Run("x", "x")
    choose_primary(run, {"recall": 0.5})
    choose_primary(run, {"f1": 0.5, "recall": 0.5})
    assert run.primary_metric == "recall"


def test_a_better_kind_takes_over() -> None:
    """When a metric appears that says more, it is judged by that one, from then on."""
    events = [EpochDone(1, 1, losses={"loss": 0.5}), EpochDone(2, 2, losses={"loss": 0.4}, metrics={"IoU": 0.3})]
    run = fold(*events).current
    assert (run.primary_metric, run.primary_rises) == ("IoU", True)
    assert [(e.epoch, e.value) for e in run.evaluations] == [(2, 0.3)]
    assert run.best is not None
    assert (run.best.metric, run.best.value, run.best.epoch) == ("IoU", 0.3, 2)


def test_a_bars_loss_is_judged_when_its_epoch_is_over() -> None:
    """The loss of a batch is no evaluation; what an epoch ends with is, where there is nothing better."""
    bars = [
        BatchDone(1, epoch=e, batch=b, batches=2, losses={"loss": 1.0 / e}, bar=True) for e in (1, 2) for b in (1, 2)
    ]
    run = fold(*bars).current
    assert [(e.epoch, e.value) for e in run.evaluations] == [(1, 1.0)]


def test_best_of_a_rising_metric() -> None:
    """The best is the highest, and the first of equal ones."""
    run = judged(0.1, 0.6, 0.6, 0.4)
    assert run.best is not None
    assert (run.best.value, run.best.epoch) == (0.6, 2)


def test_best_of_a_falling_metric() -> None:
    """The best loss is the lowest."""
    run = judged(0.9, 0.2, 0.5, metric="val_loss")
    assert run.best is not None
    assert (run.best.value, run.best.epoch, run.primary_rises) == (0.2, 2, False)


def test_nothing_is_best_of_nan() -> None:
    """A value that is not finite is kept in the history, but never the best."""
    run = judged(math.nan, 0.3, math.inf)
    assert run.best is not None
    assert (run.best.value, run.best.epoch) == (0.3, 2)
    assert len(run.evaluations) == 3
    assert judged(math.nan).best is None


def test_an_epoch_that_is_repeated_replaces_its_value() -> None:
    """After a resume, what the repeated epochs said before no longer counts, nor does their best."""
    events = [EpochDone(n, n, metrics={"IoU": v}) for n, v in [(1, 0.3), (2, 0.9), (3, 0.5)]]
    run = fold(*events, RunResumed(9), EpochDone(10, 2, metrics={"IoU": 0.4})).current
    assert [(e.epoch, e.value) for e in run.evaluations] == [(1, 0.3), (2, 0.4)]
    assert run.best is not None
    assert (run.best.value, run.best.epoch) == (0.4, 2)


def test_a_value_told_twice_is_one_evaluation() -> None:
    """A validation row and the epoch's own line give one evaluation of the epoch."""
    run = fold(
        BatchDone(1, epoch=1, batch=1, losses={"loss": 1.0}), ValidationDone(2, metrics={"IoU": 0.5}),
        EpochDone(3, 1, metrics={"IoU": 0.5}),
    ).current  # fmt: skip
    assert [(e.epoch, e.value, e.offset) for e in run.evaluations] == [(1, 0.5, 2)]


def test_evaluations_by_step() -> None:
    """Without epochs, evaluations stand at their steps."""
    run = fold(*(ValidationDone(s, step=s, losses={"val_loss": 1 / s}) for s in (100, 200))).current
    assert [(e.epoch, e.value) for e in run.evaluations] == [(100, 0.01), (200, 0.005)]


@given(st.lists(st.tuples(st.integers(1, 20), st.floats(0, 1)), min_size=1, max_size=60))
@repeatable
def test_history_is_ascending_and_holds_the_best(values: list[tuple[int, float]]) -> None:
    """However epochs repeat, the history ascends, and the best is the best of it."""
    run = Run("x", "x", primary_metric="IoU")
    for epoch, value in values:
        record(run, epoch, value, 0)
    epochs = [e.epoch for e in run.evaluations]
    assert epochs == sorted(set(epochs))
    assert run.best is not None
    assert run.best.value == max(e.value for e in run.evaluations)


def test_history_is_bounded_and_keeps_the_best() -> None:
    """Thousands of evaluations keep the last ones, and the best of all."""
    run = judged(*(0.9 if n == 3 else 0.5 for n in range(3000)))
    assert len(run.evaluations) <= 512
    assert run.best is not None
    assert (run.best.value, run.best.epoch) == (0.9, 4)
