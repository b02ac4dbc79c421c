"""Facts: copies of runs and alerts as they stood, with ids that tell the logs apart."""

from __future__ import annotations

from nanwatch.facts import alert_facts, alert_id, run_facts
from nanwatch.model.run import Run
from nanwatch.runs.status import status_of
from tests.support.logs import read, yolo_story


def story() -> Run:
    """Return the run of the first incident, after its end."""
    data, _ = yolo_story()
    return read(data).runs[-1]


def test_a_run_is_told_as_it_stood() -> None:
    """Where it is, what it lost, what was last clean; and what happens later changes nothing of that."""
    run = story()
    facts = run_facts(run, status_of(run), 1_000.0)
    assert (facts.id, facts.format, facts.updated_at) == (run.id, "ultralytics", 1_000.0)
    assert (facts.epoch, facts.epochs, facts.nan_batches, facts.grad_skips) == (
        run.epoch, run.epochs, run.nan_batches, run.grad_skips
    )  # fmt: skip
    losses = dict(facts.losses)
    run.losses.clear()
    assert facts.losses == losses
    assert losses


def test_the_last_clean_epoch_is_complete_and_without_nan_or_skips() -> None:
    """An epoch in progress is not clean yet; one with NaN or skipped steps never is."""
    data, _ = yolo_story()
    until_nan = data[: data.index(b" nan ") + 40]
    run = read(until_nan).runs[-1]
    assert run_facts(run, "running", 0.0).last_clean_epoch == 3
    assert run_facts(read(data[:200]).runs[-1], "running", 0.0).last_clean_epoch is None


def test_the_same_alert_of_two_logs_has_two_ids() -> None:
    """Twelve runs that fail at the same byte are twelve alerts; each keeps its id at every reading."""
    data, _ = yolo_story()
    alert = read(data).alerts_of(story())[0]
    ids = {alert_facts(alert, f"logs/{n}.log", 0.0).id for n in range(100)}
    assert len(ids) == 100
    assert alert_facts(alert, "logs/1.log", 5.0, ("tag",)).id == alert_id("logs/1.log", alert.id)
    assert alert_id("logs/\udcff.log", alert.id) != alert_id("logs/.log", alert.id)


def test_an_alert_is_told_as_it_stood() -> None:
    """With all that a message may need; a later change of the alert does not reach it."""
    data, _ = yolo_story()
    alert = next(a for a in read(data).alerts_of(story()) if a.rule == "nan_burst")
    facts = alert_facts(alert, "a.log", 7.0, ("mine",))
    assert (facts.rule, facts.severity, facts.message) == (alert.rule, alert.severity, alert.message)
    assert (facts.noticed_at, facts.tags, facts.evidence) == (7.0, ("mine",), alert.evidence)
    alert.evidence["more"] = 1
    assert "more" not in facts.evidence
