"""Any state of a run gives a diagnosis, however odd: logs are hostile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.diagnose import diagnose
from nanwatch.diagnose.trainers import trainers
from nanwatch.model.alert import Alert
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Diagnosis
from nanwatch.model.run import Best, Epoch, Rollback, Run, RunFailure
from nanwatch.model.snapshot import RunView
from nanwatch.rules.base import rule_types

COUNT = st.integers(0, 10**12)
SMALL = st.integers(0, 200)
FLOAT = st.floats()
TEXT = st.text(max_size=40)
KEYS = sorted({key for setting in trainers().settings.values() for key in setting.keys} | {"nbs", "task", "save_dir"})
SETTINGS = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(TEXT, FLOAT.map(str), st.sampled_from(["auto", "True", "1e-3", "0"])), max_size=9
)
STATUS: Any = st.sampled_from(["running", "stalled", "finished", "failed", "crashed", "interrupted", "unknown"])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return None or what *strategy* gives."""
    return st.none() | strategy


ROWS = st.builds(
    Epoch, epoch=st.integers(-1, 12), batch=COUNT, batches=maybe(COUNT), nan_batches=SMALL, nan_onset=maybe(COUNT),
    nan_offset=maybe(COUNT), nan_longest=COUNT, nan_last=st.lists(COUNT, max_size=3), grad_skips=SMALL,
    skip_kinds=st.dictionaries(st.sampled_from(["guard", "scaler"]), SMALL), lr=maybe(FLOAT), vram_gb=maybe(FLOAT),
    losses=st.dictionaries(TEXT, FLOAT, max_size=2), means=st.dictionaries(TEXT, FLOAT, max_size=2),
    metrics=st.dictionaries(TEXT, FLOAT, max_size=2), done=st.booleans(), began_clean=st.booleans(), offset=COUNT,
)  # fmt: skip
FAILURES = st.builds(
    RunFailure, st.sampled_from(["oom", "nan", "exception", "killed", "nccl", "signal"]), TEXT, COUNT, maybe(SMALL)
)
EVIDENCE = st.dictionaries(
    st.sampled_from(["usual", "value", "since_epoch", "usual_gb", "peak_gb", "change_gb"]), maybe(FLOAT | TEXT)
)
ALERTS = st.builds(
    Alert, id=TEXT, rule=st.sampled_from(sorted(rule_types())), key=TEXT, severity=st.just("critical"),
    state=st.sampled_from(["pending", "firing", "resolved"]), message=TEXT, epoch=maybe(st.integers(-1, 12)),
    batch=maybe(COUNT), offset=maybe(COUNT), line=maybe(COUNT), evidence=EVIDENCE, started_at=maybe(FLOAT),
)  # fmt: skip
RUNS = st.builds(
    Run, id=TEXT, log=TEXT, format=st.sampled_from([*trainers().trainers, "generic", "unknown"]),
    epoch=maybe(st.integers(-1, 12)), epochs=maybe(COUNT), batch=maybe(COUNT), batches=maybe(COUNT), step=maybe(COUNT),
    steps=maybe(COUNT), first_epoch=maybe(SMALL), lr=maybe(FLOAT), losses=st.dictionaries(TEXT, FLOAT, max_size=2),
    table=st.lists(ROWS, max_size=5).map(lambda rows: {row.epoch: row for row in rows}), nan_batches=COUNT,
    best=maybe(st.builds(Best, TEXT, FLOAT, maybe(SMALL))), grad_skips=COUNT, hidden_nan=st.booleans(),
    hyperparameters=SETTINGS, failure=maybe(FAILURES), recoveries=st.lists(FAILURES, max_size=3),
    rollbacks=st.lists(st.builds(Rollback, SMALL, SMALL, maybe(COUNT), COUNT, TEXT), max_size=2),
    finished=maybe(TEXT), interrupted=maybe(TEXT), stage_offset=COUNT, saved=st.lists(TEXT, max_size=2),
    output_folder=TEXT, resumes=SMALL, primary_metric=maybe(TEXT), is_held=maybe(st.booleans()),
)  # fmt: skip
STATES: Any = st.sampled_from(["clean", "nonfinite", "hostile", "truncated"])
CHECKPOINTS = st.lists(st.builds(Checkpoint, TEXT, STATES), max_size=3)


def texts(found: Diagnosis) -> list[str]:
    """Return every sentence of a diagnosis."""
    observations = [*found.findings, *(o for c in found.causes for o in (*c.because, *c.against))]
    return [*(o.text for o in observations), *found.steps, *found.unknown, *(c.why for c in found.changes)]


@given(RUNS, st.lists(ALERTS, max_size=4), STATUS, maybe(st.floats(0, 1e12)), maybe(CHECKPOINTS), maybe(FLOAT))
def test_any_run_gives_a_diagnosis(
    run: Run, alerts: list[Alert], status: Any, silence: float | None, files: list[Checkpoint] | None, now: float | None
) -> None:
    """No state of a run raises, and no sentence holds what a terminal obeys."""
    weights = (
        None if files is None else Weights("w", tuple(files), next((c for c in files if c.state == "clean"), None))
    )
    found = diagnose(RunView(run, alerts, status, silence), weights, now)
    assert len(found.causes) <= 6
    assert all(text.isprintable() for text in texts(found))
    assert found.resume is None or found.resume.command.isprintable()
    assert len({change.name for change in found.changes}) == len(found.changes)


@pytest.mark.parametrize("text", ["\x1b]0;x\x07boom", "[red]boom[/red]", "{nan_batches}", "%s %(x)s {0}", "a\nb\rc"])
def test_text_of_the_log_is_inert(text: str) -> None:
    """What a log says is repeated as one line, and never taken as a template."""
    run = Run("x.log", "x.log", epoch=1, failure=RunFailure("exception", text, 0, 1))
    found = diagnose(RunView(run, [], "crashed", None))
    assert found.causes[0].id == "error_in_code"
    told = found.findings[0].text
    assert told.isprintable()
    assert "boom" in told or "x" in told or "nan_batches" in told or "c" in told
