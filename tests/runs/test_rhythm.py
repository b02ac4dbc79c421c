"""When a log speaks and who writes it: what is learned of silences, and of processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.event import BatchDone, EpochDone, EpochStarted, Event, Interrupted, RunResumed, SessionStarted
from nanwatch.model.run import Process, Run
from nanwatch.runs.rhythm import is_same, note_growth, note_pause, note_processes, note_silence
from tests.support.logs import fold
from tests.support.repeatable import repeatable

BATCH = BatchDone(1, epoch=3, batch=4, batches=9, losses={"loss": 1.0})


def training(*events: Event) -> Run:
    """Return a run that *events* (none: one batch) made, and that grew a second ago."""
    run = fold(*(events or (BATCH,))).current
    note_growth(run, 100.0)
    note_silence(run, 101.0, None)
    return run


# -- silences


def test_growth_ends_a_silence() -> None:
    """The silence before it is measured, and the new one begins."""
    run = training()
    assert (run.silence, run.longest_silence) == (1.0, 0.0)
    note_growth(run, 107.0)
    assert (run.silence, run.grew_at, run.longest_silence, run.longest_pause) == (0.0, 107.0, 7.0, 7.0)


def test_growth_at_an_unknown_time() -> None:
    """Where the bytes came some time since the last look, the silence lasted at least until that look."""
    run = training()
    note_silence(run, 130.0, None)
    note_growth(run, None)
    assert (run.silence, run.grew_at, run.longest_silence) == (None, 100.0, 30.0)


def test_when_a_log_grew_is_known_better() -> None:
    """The time of the file counts, and no silence is negative."""
    run = training()
    note_silence(run, 200.0, 140.0)
    assert (run.silence, run.grew_at) == (60.0, 140.0)
    note_silence(run, 130.0, None)
    assert run.silence == 0.0


def test_a_log_that_never_grew_has_no_silence() -> None:
    """Nothing is known of it."""
    run = Run("x", "x")
    note_silence(run, 5.0, None)
    assert run.silence is None
    note_growth(run, None)
    assert (run.longest_silence, run.longest_pause) == (0.0, 0.0)


@pytest.mark.parametrize(
    "events",
    [
        (EpochStarted(1, 1, 9),),
        (BATCH, SessionStarted(2)),
        (BATCH, RunResumed(2)),
        (BATCH, Interrupted(2)),
    ],
)
def test_silences_that_are_no_rhythm(events: tuple[Event, ...]) -> None:
    """Before the first batch, while a run is resumed, and after its end, nothing is learned."""
    run = training(*events)
    note_growth(run, 5000.0)
    assert (run.longest_silence, run.longest_pause) == (0.0, 0.0)


def test_the_time_until_a_run_is_resumed_is_forgotten() -> None:
    """What seemed a long silence of its own was the time in which nobody trained."""
    runs = fold(BATCH)
    run = runs.current
    note_growth(run, 100.0)
    note_growth(run, 105.0)
    note_growth(run, 20_000.0)
    assert run.longest_pause == 19_895.0
    runs.apply(RunResumed(2))
    note_growth(run, 20_060.0)
    assert (run.longest_silence, run.longest_pause) == (5.0, 0.0)


@pytest.mark.parametrize(
    ("pauses", "silence"),
    [
        ([1.0, 3.0, 2.0], 3.0),
        ([600.0], 600.0),
        ([601.0], 0.0),
        ([300.0, 1500.0], 1500.0),
        ([300.0, 1501.0], 300.0),
        ([1500.0, 1500.0], 1500.0),
        ([1500.0, 2400.0], 0.0),
    ],
)
def test_which_silences_are_healthy(pauses: list[float], silence: float) -> None:
    """Up to ten minutes, or five times the longest before; or what has happened once already."""
    run = Run("x", "x")
    for pause in pauses:
        note_pause(run, pause)
    assert run.longest_silence == silence


def test_a_survived_silence_is_forgotten_in_time() -> None:
    """After fifty times its length nothing of it is left."""
    run = Run("x", "x")
    note_pause(run, 1000.0)
    for _ in range(25_000):
        note_pause(run, 1.0)
    assert run.longest_pause == pytest.approx(500.0)
    for _ in range(25_000):
        note_pause(run, 1.0)
    assert (run.longest_pause, run.longest_silence) == (1.0, 1.0)


@given(st.lists(st.floats(0.001, 1e5)))
@repeatable
def test_what_is_learned_is_never_longer_than_what_was(pauses: list[float]) -> None:
    """No silence is made up, and the last one counts."""
    run = Run("x", "x")
    for pause in pauses:
        note_pause(run, pause)
        assert pause <= run.longest_pause
    assert max(run.longest_silence, run.longest_pause) <= max(pauses, default=0.0)


def test_lines_that_tell_the_time() -> None:
    """The times that a log prints are watched silences too."""
    lines = [EpochDone(n, n, losses={"loss": 1.0}, logged_at=300.0 * n) for n in (1, 2, 3)]
    assert fold(*lines).current.longest_silence == 300.0


# -- processes


def test_the_first_writer_is_remembered() -> None:
    """The trainer stands first; what it uses of the processor is kept up to date."""
    run = training()
    note_processes(run, [Process(7, "python", 1.0, 90.0), Process(8, "python", 2.0)])
    note_processes(run, [Process(8, "python", 2.0), Process(7, "python", 1.5, 100.0)])
    assert (run.process, run.is_held) == (Process(7, "python", 1.5, 100.0), True)


def test_a_writer_that_is_gone() -> None:
    """It is gone when it does not hold the log, be there another one or none."""
    for holders in ([], [Process(8, "python", 2.0)], [Process(7, "sleep", 9.0)]):
        run = training()
        note_processes(run, [Process(7, "python", 1.0, 90.0)])
        note_processes(run, holders)
        assert run.process == Process(7, "python", 1.0, None, alive=False)
        assert run.is_held is bool(holders)


def test_who_holds_a_log_that_grows_again_has_taken_over() -> None:
    """The one that was gone is forgotten with the next bytes."""
    run = training()
    note_processes(run, [Process(7, "python", 1.0)])
    note_processes(run, [])
    note_growth(run, 500.0)
    assert run.process is None
    assert run.longest_pause == 0.0  # nobody was silent: nobody was there
    note_processes(run, [Process(9, "python", 450.0)])
    assert run.process == Process(9, "python", 450.0)


def test_the_writer_of_a_run_that_has_ended_counts_no_more() -> None:
    """Whoever resumes an interrupted run is another process."""
    run = training(BATCH, Interrupted(2))
    note_processes(run, [Process(7, "python", 1.0)])
    note_growth(run, 500.0)
    assert run.process is None


def test_nobody_can_know() -> None:
    """Where writers cannot be seen, what was known stays, but not that somebody holds the log."""
    run = training()
    note_processes(run, [Process(7, "python", 1.0)])
    note_processes(run, None)
    assert (run.process, run.is_held) == (Process(7, "python", 1.0), None)


def test_a_process_is_more_than_its_number() -> None:
    """Its start belongs to it, which the system tells to about a second."""
    one = Process(7, "python", 100.0)
    assert is_same(one, Process(7, "python", 101.0))
    assert not is_same(one, Process(7, "python", 103.0))
    assert not is_same(one, Process(8, "python", 100.0))
