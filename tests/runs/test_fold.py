"""Events become runs: epochs and their repeats, sessions and their resumes, counters that count once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.event import (
    BatchDone,
    CheckpointSaved,
    CheckpointSkipped,
    EpochDone,
    EpochStarted,
    Event,
    Failure,
    FinalValidationStarted,
    Hyperparameters,
    Interrupted,
    ProcessExited,
    Recovery,
    RunFinished,
    RunPlanned,
    RunResumed,
    SessionStarted,
    StepSkipped,
    ValidationDone,
)
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.runs.epochs import is_complete
from nanwatch.runs.fold import LogRuns
from tests.support.logs import fold
from tests.support.repeatable import repeatable

NAN = math.nan


def batch(epoch: int | None, number: int, loss: float = 0.5, total: int = 10, **more: float) -> BatchDone:
    """Return a bar's event; keyword arguments are further fields."""
    event = BatchDone(1, epoch=epoch, batch=number, batches=total, losses={"loss": loss}, bar=True)
    for name, value in more.items():
        setattr(event, name, value)
    return event


def epoch_of(number: int, batches: int = 10, *, nan: tuple[int, ...] = (), **metrics: float) -> list[Event]:
    """Return the events of a whole epoch, validation included where *metrics* are given."""
    bars: list[Event] = [batch(number, b, NAN if b in nan else 0.5, batches) for b in range(1, batches + 1)]
    return [*bars, ValidationDone(1, metrics=metrics)] if metrics else bars


def only(*events: Event) -> Run:
    """Return the one run that *events* make."""
    (run,) = fold(*events).runs
    return run


def row(run: Run, epoch: int) -> Epoch:
    """Return one row of the run's table."""
    return run.table[epoch]


# -- epochs


def test_a_run_before_its_first_event() -> None:
    """A log has one run from the start, of which nothing is known."""
    run = LogRuns("x.log").current
    assert (run.id, run.number, run.epoch, run.table) == ("x.log", 1, None, {})
    assert run.current is None


def test_batches_move_the_run() -> None:
    """The run stands where its last bar stands, and the row of the epoch keeps what it showed."""
    run = only(batch(1, 1), batch(1, 7, 0.25, lr=0.01, vram_gb=4.2, rate=2.0, elapsed=3.5))
    assert (run.epoch, run.batch, run.batches, run.losses, run.lr, run.vram_gb) == (1, 7, 10, {"loss": 0.25}, 0.01, 4.2)
    assert (run.rate, run.elapsed) == (2.0, 3.5)
    here = row(run, 1)
    assert (here.batch, here.batches, here.losses, here.vram_gb, here.seconds) == (7, 10, {"loss": 0.25}, 4.2, 3.5)


def test_the_next_epoch_closes_the_one_before() -> None:
    """An epoch is done when the next begins; counters begin anew."""
    run = only(*epoch_of(1), EpochStarted(1, 2, 50))
    assert (row(run, 1).done, row(run, 2).done, run.epoch, run.epochs, run.batch) == (True, False, 2, 50, 0)


def test_a_header_without_a_number_announces_a_repeat_or_the_next() -> None:
    """A header that bears no number tells only that what follows is no redraw."""
    run = only(*epoch_of(1), EpochStarted(1), batch(1, 5))
    assert (row(run, 1).attempts, row(run, 1).batch) == (2, 5)
    run = only(*epoch_of(1), EpochStarted(1), batch(2, 1))
    assert (row(run, 1).attempts, row(run, 2).attempts) == (1, 1)


def test_fractions_of_an_epoch() -> None:
    """A trainer that prints epoch 0.5 is in its first, at 1.25 in its second."""
    run = only(BatchDone(1, epoch=0.5, losses={"loss": 1.0}), BatchDone(2, epoch=1.25, losses={"loss": 0.9}))
    assert list(run.table) == [1, 2]
    assert run.epoch == 2


def test_zero_based_epochs_stay_as_printed() -> None:
    """Epoch 0 is the first epoch where the trainer says so."""
    run = only(RunPlanned(1, epochs=3), *epoch_of(0), *epoch_of(1))
    assert (run.first_epoch, run.epoch, run.epochs) == (0, 1, 3)


def test_the_plan_and_the_settings() -> None:
    """What the trainer means to do is kept; a number of epochs among the settings counts as the plan."""
    run = only(Hyperparameters(1, {"epochs": "30", "lr0": "0.01"}), RunPlanned(2, steps=900, batches=30))
    assert (run.epochs, run.steps, run.batches, run.hyperparameters["lr0"]) == (30, 900, 30, "0.01")
    assert only(Hyperparameters(1, {"epochs": "many"})).epochs is None


def test_a_late_summary_of_an_earlier_epoch() -> None:
    """An epoch's own line may come after the next has begun, from another buffer: it belongs to its epoch."""
    run = only(*epoch_of(1), batch(2, 3), EpochDone(9, 1, losses={"Loss": 0.4}, metrics={"IoU": 0.6}))
    assert (run.epoch, run.batch) == (2, 3)
    assert row(run, 1).metrics == {"IoU": 0.6}
    assert row(run, 1).losses["Loss"] == 0.4
    assert row(run, 2).metrics == {}
    assert run.losses == {"loss": 0.5}


def test_epoch_lines_alone() -> None:
    """A trainer that prints a line an epoch and nothing else is followed by these."""
    run = only(*(EpochDone(n, n, 5, {"Loss": 1.0 / n}, {"IoU": 0.1 * n}, lr=0.1, seconds=9.0) for n in (1, 2, 3)))
    assert (run.epoch, run.epochs, run.lr) == (3, 5, 0.1)
    assert [row(run, n).done for n in (1, 2, 3)] == [True, True, True]
    assert row(run, 2).seconds == 9.0


def test_epoch_lines_with_nan() -> None:
    """Where no batch is shown, an epoch's own non-finite loss counts as one."""
    run = only(EpochDone(1, 1, losses={"Loss": 0.5}), EpochDone(2, 2, losses={"Loss": NAN}))
    assert (run.nan_batches, row(run, 2).nan_batches) == (1, 1)


def test_epoch_line_without_a_number() -> None:
    """A summary without a number is about the epoch in progress; before any, it is about nothing."""
    assert only(EpochDone(1, None, metrics={"IoU": 0.5})).table == {}
    assert row(only(batch(2, 10), EpochDone(1, None, metrics={"IoU": 0.5})), 2).metrics == {"IoU": 0.5}


# -- repeats


def test_a_bar_that_begins_anew_repeats_the_epoch() -> None:
    """The same epoch again, from its first batch, is another attempt, and its values replace the old ones."""
    run = only(*epoch_of(1), *epoch_of(2), batch(2, 1, 0.9))
    assert (row(run, 2).attempts, row(run, 2).batch, row(run, 2).losses) == (2, 1, {"loss": 0.9})


def test_a_redraw_is_no_repeat() -> None:
    """A bar that is drawn again, or steps back by one, goes on."""
    run = only(batch(1, 5), batch(1, 5), batch(1, 4), batch(1, 6))
    assert (row(run, 1).attempts, row(run, 1).batch) == (1, 6)


def test_a_bar_put_back_to_its_start() -> None:
    """A bar at 0 shows what is over: nothing counts."""
    run = only(*epoch_of(1), batch(1, 0, NAN))
    assert (run.nan_batches, row(run, 1).attempts, run.batch) == (0, 1, 10)


def test_nan_recovery_repeats_the_epoch() -> None:
    """A trainer that goes back to a checkpoint after NaN repeats the epoch; its first attempt still counts."""
    run = only(*epoch_of(1), *epoch_of(2, nan=(4, 5)), Recovery(5, "nan", "rolled back"), EpochStarted(6), *epoch_of(2))
    assert (row(run, 2).attempts, row(run, 2).nan_batches, run.nan_batches) == (2, 2, 2)
    assert [(r.kind, r.message, r.epoch) for r in run.recoveries] == [("nan", "rolled back", 2)]
    assert run.failure is None


def test_distinct_batches_count_once_over_attempts() -> None:
    """A batch that is NaN in both attempts at an epoch is one, in two different batches it is two."""
    run = only(*epoch_of(2, nan=(3, 4)), EpochStarted(1), *epoch_of(2, nan=(4, 7)))
    assert (row(run, 2).nan_batches, run.nan_batches) == (3, 3)
    assert row(run, 2).nan_mask == 1 << 3 | 1 << 4 | 1 << 7
    assert run.nan_onset == (2, 3)


def test_going_back_to_an_earlier_epoch() -> None:
    """An epoch that is repeated from a checkpoint replaces its row, and later ones are no longer done."""
    run = only(*epoch_of(1), *epoch_of(2), *epoch_of(3), RunResumed(7), *epoch_of(2, 10))
    assert (run.epoch, row(run, 2).attempts, row(run, 3).done, run.resumes) == (2, 2, False, 1)


# -- NaN


def test_the_same_nan_drawn_twice_is_one() -> None:
    """A bar is drawn several times for a batch; it counts once."""
    run = only(batch(1, 3, NAN), batch(1, 3, NAN), batch(1, 4, math.inf), batch(1, 5, 0.5))
    assert (run.nan_batches, row(run, 1).nan_batches, row(run, 1).nan_onset) == (2, 2, 3)


def test_a_redraw_with_a_finite_loss_takes_the_nan_back() -> None:
    """NaN under the old counter, then the same counter finite: what was seen was the batch before."""
    run = only(batch(1, 3, NAN), batch(1, 4, NAN), batch(1, 4, 0.5))
    assert (run.nan_batches, row(run, 1).nan_batches, row(run, 1).nan_mask) == (1, 1, 1 << 3)


def test_only_losses_and_gradients_count() -> None:
    """A metric that is NaN is no NaN loss; a gradient norm that is counts, and says that the loss hides it."""
    run = only(batch(1, 1), BatchDone(2, epoch=1, batch=2, metrics={"IoU": NAN}))
    assert run.nan_batches == 0
    run = only(BatchDone(2, epoch=1, batch=2, losses={"loss": 0.0}, grad_norm=NAN))
    assert (run.nan_batches, run.hidden_nan) == (1, True)
    run = only(BatchDone(2, epoch=1, batch=2, losses={"loss": NAN}, grad_norm=NAN))
    assert (run.nan_batches, run.hidden_nan) == (1, False)


def test_batches_that_were_passed_over_count() -> None:
    """Batches whose frames nobody read, because they look like this one, are counted with it."""
    run = only(batch(1, 3, NAN), BatchDone(2, epoch=1, batch=9, losses={"loss": NAN}, bar=True, passed=range(4, 9)))
    assert (run.nan_batches, row(run, 1).nan_longest, row(run, 1).nan_onset) == (7, 7, 3)
    run = only(batch(1, 3), BatchDone(2, epoch=1, batch=9, losses={"loss": 0.5}, bar=True, passed=range(4, 9)))
    assert run.nan_batches == 0


def test_how_tight_and_how_long() -> None:
    """The tightest span of three and the longest stretch without a finite loss are kept for the rules."""
    run = only(*(batch(1, b, NAN if b in (10, 50, 60, 61, 62) else 0.5, 100) for b in range(1, 101)))
    assert (row(run, 1).nan_tightest, row(run, 1).nan_longest) == (3, 3)
    run = only(*(batch(1, b, NAN if b in (10, 50) else 0.5, 100) for b in range(1, 101)))
    assert (row(run, 1).nan_tightest, row(run, 1).nan_longest) == (None, 1)


def test_a_run_without_epochs_keeps_its_counters() -> None:
    """Steps without epochs are counted too; their NaN has a step and no epoch."""
    steps = [BatchDone(n, step=n * 10, losses={"loss": NAN if n == 4 else 1.0}) for n in range(1, 8)]
    run = only(*steps)
    assert (run.epoch, run.step, run.nan_batches, run.nan_onset) == (None, 70, 1, (None, 40))
    assert run.current is None


def test_lines_without_any_counter() -> None:
    """Where a trainer prints no position, its lines are counted."""
    run = only(*(BatchDone(n, losses={"loss": loss}) for n, loss in enumerate([1.0, NAN, NAN, 1.0])))
    assert (run.observations, run.nan_batches, run.nan_onset) == (4, 2, (None, 2))


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.booleans()), max_size=60))
@repeatable
def test_counters_agree_with_one_another(frames: list[tuple[int, int, bool]]) -> None:
    """Whatever order batches come in, the run's count is the sum of its rows', and each row's that of its mask."""
    runs = fold(*(batch(e, b, NAN if bad else 0.5, 30) for e, b, bad in frames))
    for run in runs.runs:
        assert run.nan_batches == sum(r.nan_batches for r in run.table.values())
        for item in run.table.values():
            assert item.nan_batches == item.nan_mask.bit_count()
            assert (item.nan_onset is None) <= (item.nan_batches == 0)
        assert (run.nan_onset is None) <= (run.nan_batches == 0)


def test_positions_beyond_the_mask_are_counted_all_the_same() -> None:
    """A position of many millions costs no memory, and still counts."""
    run = only(*(BatchDone(n, step=10**9 + n, losses={"loss": NAN}) for n in range(3)))
    assert run.nan_batches == 3
    assert run.table[-1].nan_mask == 0


# -- skipped steps and VRAM


def test_skipped_steps_belong_to_the_epoch() -> None:
    """Skips are counted an epoch and a kind, with the batch of the first."""
    run = only(batch(1, 5), StepSkipped(7), StepSkipped(8, "scaler"), *epoch_of(2), StepSkipped(9, count=3))
    assert (run.grad_skips, row(run, 1).grad_skips, row(run, 2).grad_skips) == (5, 2, 3)
    assert (row(run, 1).skip_first, row(run, 1).skip_offset, row(run, 1).skip_kinds) == (
        5,
        7,
        {"guard": 1, "scaler": 1},
    )


def test_skips_before_the_first_epoch() -> None:
    """A skip before any epoch is kept for the run."""
    run = only(StepSkipped(7))
    assert (run.grad_skips, run.table[-1].grad_skips) == (1, 1)


@pytest.mark.parametrize(("apart", "dense"), [(100, True), (112, False)])
def test_dense_skips(apart: int, dense: bool) -> None:
    """Ten skips within a thousand batches are dense, over more than that they are not."""
    events = [e for n in range(1, 11) for e in (batch(1, n * apart, total=5000), StepSkipped(1))]
    assert row(only(*events), 1).skips_dense is dense


def test_vram_is_a_peak() -> None:
    """An epoch keeps its highest figure; a machine without a GPU prints 0 and has none."""
    run = only(*(batch(1, n, vram_gb=v) for n, v in enumerate([4.2, 4.7, 4.3], start=1)))
    assert (row(run, 1).vram_gb, run.vram_gb) == (4.7, 4.3)
    assert only(batch(1, 1, vram_gb=0.0)).vram_gb is None


# -- metrics


def test_a_bar_carries_metrics_of_the_epoch_before() -> None:
    """What a bar still shows of the last validation belongs to the epoch before, until it changes."""
    events = [*epoch_of(1, iou=0.4), *(batch(2, n, metrics={"iou": 0.4}) for n in range(1, 6))]  # type: ignore[arg-type]
    run = only(*events)
    assert (row(run, 1).metrics, row(run, 2).metrics) == ({"iou": 0.4}, {})
    run = only(*events, batch(2, 6, metrics={"iou": 0.5}))  # type: ignore[arg-type]
    assert row(run, 2).metrics == {"iou": 0.5}


def test_an_unchanged_metric_counts_when_the_epoch_is_over() -> None:
    """A metric that a whole epoch showed unchanged was measured as the same value after all."""
    bars = [batch(2, n, metrics={"iou": 0.4}) for n in range(1, 11)]  # type: ignore[arg-type]
    run = only(*epoch_of(1, iou=0.4), *bars, batch(3, 1))
    assert row(run, 2).metrics == {"iou": 0.4}
    run = only(*epoch_of(1, iou=0.4), *bars[:5], batch(3, 1))
    assert row(run, 2).metrics == {}


def test_validation_belongs_to_its_epoch() -> None:
    """A validation row is the current epoch's, or that which it names."""
    run = only(*epoch_of(1, mAP50=0.5), *epoch_of(2), ValidationDone(9, epoch=1, metrics={"mAP50": 0.6}))
    assert (row(run, 1).metrics, row(run, 2).metrics) == ({"mAP50": 0.6}, {})
    assert row(run, 1).validated


def test_final_validation_is_no_epoch() -> None:
    """The check of the best weights after training changes no epoch and is no decline."""
    run = only(
        *epoch_of(1, mAP50=0.5),
        *epoch_of(2, mAP50=0.6),
        FinalValidationStarted(5),
        ValidationDone(6, metrics={"mAP50": 0.4}),
    )
    assert (row(run, 2).metrics, run.final_metrics, run.metrics) == ({"mAP50": 0.6}, {"mAP50": 0.4}, {"mAP50": 0.6})
    assert [e.value for e in run.evaluations] == [0.5, 0.6]
    run = only(*epoch_of(1, mAP50=0.5), ValidationDone(6, metrics={"mAP50": 0.4}, final=True))
    assert (row(run, 1).metrics, run.final_metrics) == ({"mAP50": 0.5}, {"mAP50": 0.4})


def test_validation_after_the_end_is_no_epoch() -> None:
    """Metrics that come after the trainer said that it is done are of the best weights."""
    run = only(*epoch_of(1, mAP50=0.5), RunFinished(5), ValidationDone(6, metrics={"mAP50": 0.4}))
    assert (row(run, 1).metrics, run.final_metrics) == ({"mAP50": 0.5}, {"mAP50": 0.4})
    assert run.finished == "the trainer said so"


def test_spikes_are_kept() -> None:
    """A loss ten times above what the last epoch ended with is kept with the epoch."""
    run = only(*epoch_of(1), batch(2, 1, 0.6), batch(2, 2, 7.5), batch(2, 3, 6.0), batch(2, 4, 0.5))
    peak = row(run, 2).peaks["loss"]
    assert (peak.batch, peak.usual, peak.highest, peak.batches, peak.last) == (2, 0.5, 7.5, 2, [2, 3])
    assert row(run, 1).peaks == {}


# -- sessions


def test_a_new_run_after_the_end() -> None:
    """A banner and the first epoch again, after a run that finished, is another run."""
    runs = fold(*epoch_of(1), *epoch_of(2), RunFinished(5), SessionStarted(6), *epoch_of(1)).runs
    assert [(r.id, r.number, r.epoch) for r in runs] == [("x.log", 1, 2), ("x.log#2", 2, 1)]
    assert runs[0].finished
    assert not runs[1].finished


def test_a_new_run_without_a_banner() -> None:
    """Epoch 1 after the last planned epoch is another run, banner or not."""
    plan = RunPlanned(1, epochs=3)
    runs = fold(plan, *epoch_of(1), *epoch_of(2), *epoch_of(3), *epoch_of(1)).runs
    assert [r.epoch for r in runs] == [3, 1]


def test_a_new_run_after_a_failure() -> None:
    """Epoch 1 again after a crash is another run; the first keeps its failure."""
    runs = fold(*epoch_of(1), *epoch_of(2), Failure(5, "exception", "boom"), SessionStarted(6), *epoch_of(1)).runs
    assert [bool(r.failure) for r in runs] == [True, False]
    assert runs[1].resumes == 0


def test_a_resumed_session_is_the_same_run() -> None:
    """A banner after which the epochs go on is the old run; its interruption is over."""
    events = [*epoch_of(1), batch(2, 4), Interrupted(5, "^C"), SessionStarted(6), *epoch_of(2), batch(3, 1)]
    run = only(*events)
    assert (run.resumes, run.interrupted, run.epoch, row(run, 2).attempts, row(run, 2).batch) == (1, None, 3, 2, 10)


def test_a_resume_that_the_trainer_tells() -> None:
    """A trainer that says that it resumes is believed; the first progress afterwards counts no second time."""
    run = only(*epoch_of(1), batch(2, 4), SessionStarted(6, resumed=True), RunResumed(7, 2), batch(2, 1))
    assert (run.resumes, run.epoch, row(run, 2).attempts) == (1, 2, 2)
    run = only(RunResumed(1, 5), batch(5, 1))
    assert run.resumes == 0


def test_interrupted_and_started_from_the_beginning() -> None:
    """A run that was stopped and begins with epoch 1 again is another run."""
    runs = fold(*epoch_of(1), *epoch_of(2), Interrupted(5), SessionStarted(6), *epoch_of(1)).runs
    assert [(r.interrupted, r.epoch) for r in runs] == [("interrupted", 2), (None, 1)]


def test_out_of_memory_and_again() -> None:
    """A trainer that runs out of memory and tries the epoch again goes on: the failure becomes a recovery."""
    run = only(*epoch_of(1), batch(2, 3), Failure(5, "oom", "CUDA out of memory"), *epoch_of(2))
    assert run.failure is None
    assert [(r.kind, r.epoch) for r in run.recoveries] == [("oom", 2)]
    assert (row(run, 2).batch, run.epoch) == (10, 2)


def test_out_of_memory_is_the_reason_that_stays() -> None:
    """The traceback that ends in an out-of-memory error does not hide it."""
    run = only(
        batch(2, 3),
        Failure(5, "oom", "CUDA out of memory"),
        Failure(9, "exception", "RuntimeError"),
        ProcessExited(10, 1),
    )
    assert run.failure is not None
    assert (run.failure.kind, run.failure.offset, run.failure.epoch, run.exit_code) == ("oom", 5, 2, 1)


def test_a_redraw_after_the_end_is_none() -> None:
    """A bar that is drawn once more as it is closed does not bring an ended run back to life."""
    for end in (Failure(5, "exception", "boom"), Interrupted(5, "^C"), RunFinished(5)):
        run = only(*epoch_of(1), batch(2, 3), end, batch(2, 3), batch(2, 4))
        assert (run.failure or run.interrupted or run.finished) is not None
        assert run.batch == 3
        assert run.resumes == 0


@pytest.mark.parametrize(
    ("code", "status"), [(0, "finished"), (130, "interrupted"), (143, "interrupted"), (1, "exception"), (137, "killed")]
)
def test_exit_codes(code: int, status: str) -> None:
    """What the recorder of the log says of the exit code ends the run."""
    run = only(*epoch_of(1), ProcessExited(5, code))
    kind = run.failure.kind if run.failure else "interrupted" if run.interrupted else "finished"
    assert (kind, run.exit_code) == (status, code)


def test_exit_code_of_nothing() -> None:
    """A recording in which no training began has not finished one."""
    assert only(ProcessExited(5, 0)).finished is None


def test_steps_that_begin_anew() -> None:
    """A bar at step 0 announces a session; a lower step then is another run, a higher one the same."""
    steps: list[Event] = [BatchDone(n, step=n, steps=9, losses={"loss": 1.0}) for n in range(1, 8)]
    again = fold(*steps, BatchDone(8, step=0, steps=9), BatchDone(9, step=1, steps=9, losses={"loss": 1.0})).runs
    assert [r.step for r in again] == [7, 1]
    (same,) = fold(*steps, BatchDone(8, step=0, steps=9), BatchDone(9, step=8, steps=9, losses={"loss": 1.0})).runs
    assert (same.step, same.resumes) == (8, 1)


def test_old_runs_are_dropped() -> None:
    """A log of hundreds of runs keeps the last ones."""
    runs = fold(*(e for _ in range(100) for e in (*epoch_of(1, 1), *epoch_of(2, 1), RunFinished(1), SessionStarted(1))))
    assert len(runs.runs) == 64
    assert runs.current.number == 100


def test_checkpoints() -> None:
    """Checkpoints count for their epoch, save those that are written only when they are the best."""
    runs = fold(*epoch_of(1))
    assert runs.apply(CheckpointSaved(1, "best.pt", best=True)) == Change.CHECKPOINT
    assert row(runs.current, 1).saves == 0
    assert runs.apply(CheckpointSkipped(2, "no space")) == Change.CHECKPOINT
    assert (runs.current.unsaved, runs.current.unsaved_offset) == ("no space", 2)
    runs.apply(CheckpointSaved(3, "last.pt"))
    assert (row(runs.current, 1).saves, runs.current.unsaved, runs.current.unsaved_offset) == (1, "", None)


# -- the end, and times


def test_settle_needs_a_whole_training() -> None:
    """When nobody writes any more, a run with its last epoch complete has finished, and another has not."""
    whole = fold(RunPlanned(1, epochs=2), *epoch_of(1, iou=0.1), *epoch_of(2, iou=0.2))
    assert whole.settle() == Change.END
    assert whole.current.finished
    assert whole.settle() == Change.NOTHING
    for events in (
        [RunPlanned(1, epochs=3), *epoch_of(1), *epoch_of(2)],
        [RunPlanned(1, epochs=2), *epoch_of(1), *epoch_of(2)[:-1]],
        [RunPlanned(1, epochs=2), *epoch_of(1, iou=0.1), *epoch_of(2)],
        [],
    ):
        part = fold(*events)
        assert part.settle() == Change.NOTHING
        assert part.current.finished is None


def test_settle_of_steps_and_of_epoch_lines() -> None:
    """A run is whole at its last planned step, or after an epoch line where no plan is printed."""
    assert is_complete(only(BatchDone(1, step=9, steps=9, losses={"loss": 1.0})))
    assert not is_complete(only(BatchDone(1, step=8, steps=9, losses={"loss": 1.0})))
    assert is_complete(only(EpochDone(1, 1, losses={"Loss": 1.0})))
    assert is_complete(
        only(RunPlanned(1, epochs=2), EpochDone(1, 0, losses={"L": 1.0}), EpochDone(1, 1, losses={"L": 1.0}))
    )


def test_the_time_is_the_callers() -> None:
    """A run bears the time of its first and last event as they were given, and none in a replay."""
    runs = LogRuns("x.log")
    runs.apply(batch(1, 1), 100.0)
    runs.apply(batch(1, 2), 101.0)
    assert (runs.current.started_at, runs.current.updated_at) == (100.0, 101.0)
    assert fold(batch(1, 1)).current.updated_at is None


# -- bounded memory


def test_the_table_is_thinned() -> None:
    """A run of very many epochs keeps a bounded table: the recent half whole, and every row with NaN or the best."""
    runs = LogRuns("x.log")
    for n in range(1, 12_001):
        runs.apply(EpochDone(n, n, losses={"Loss": NAN if n == 77 else 1.0}, metrics={"IoU": 0.9 if n == 50 else 0.5}))
    run = runs.current
    assert len(run.table) <= 4097
    assert run.epochs_dropped == 12_000 - len(run.table)
    assert set(range(10_000, 12_001)) <= run.table.keys()
    assert {50, 77} <= run.table.keys()
    assert len(run.evaluations) <= 512
    assert run.best is not None
    assert run.best.epoch == 50


def test_history_is_bounded() -> None:
    """Recoveries and skip positions of an endless run do not pile up."""
    run = only(batch(1, 1), *(e for n in range(200) for e in (Recovery(n, "oom", "again"), StepSkipped(n))))
    assert len(run.recoveries) <= 32
    assert len(run.skip_positions) <= 10
    assert run.grad_skips == 200


def test_a_skip_after_an_epoch_s_line_is_the_next_one_s() -> None:
    """A guard speaks before the line of its batch: with the first batch of an epoch, before any line of that epoch."""
    run = fold(
        EpochDone(1, 1, epochs=3, losses={"loss": 0.5}), EpochDone(2, 2, epochs=3, losses={"loss": 0.4}),
        StepSkipped(3), StepSkipped(4), BatchDone(5, 3, 3, batch=1, batches=10, losses={"loss": 0.4}),
        EpochDone(6, 3, epochs=3, losses={"loss": 0.3}), StepSkipped(7),
    ).current  # fmt: skip
    assert [(row.epoch, row.grad_skips, row.attempts) for row in run.table.values()] == [
        (1, 0, 1),
        (2, 0, 1),
        (3, 3, 1),
    ]
    assert run.rollbacks == []


def test_the_epoch_s_own_loss_is_what_it_is_judged_by() -> None:
    """The last batch's loss bears the same name, and says little of the epoch."""
    run = fold(
        *(
            event
            for n, (batch, own) in enumerate(((0.9, 0.6), (0.1, 0.5), (0.8, 0.4)), start=1)
            for event in (BatchDone(n, n, batch=10, losses={"loss": batch}), EpochDone(n, n, losses={"Loss": own}))
        )
    ).current
    assert [item.value for item in run.evaluations] == [0.6, 0.5, 0.4]
    assert run.best is not None
    assert (run.best.value, run.best.epoch) == (0.4, 3)
