"""custom: a rule of the user's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.config import CustomRule, Life
from nanwatch.errors import UsageError
from nanwatch.model.alert import Finding
from nanwatch.model.run import Best, Change, Epoch, Evaluation, Run, RunFailure
from nanwatch.rules.custom import FIELDS, FUNCTIONS, Rule
from tests.support.repeatable import repeatable

NAN, INF = math.nan, math.inf
RESULT = Change.METRICS | Change.EPOCH | Change.END
BATCH = Change.PROGRESS | RESULT
NANS = Change.NAN | Change.EPOCH | Change.CLEAN
ENDS = Change.END | Change.FAILURE


def make(condition: str, **more: Any) -> Rule:
    """Return the rule `low_iou` of a config."""
    return Rule(CustomRule("low_iou", condition, source="nanwatch.toml: rules.low_iou", **more))


def found(condition: str, run: Run, **more: Any) -> list[Finding]:
    """Return what a condition finds in *run*, of which it must have no problem."""
    rule = make(condition, **more)
    findings = list(rule.evaluate(run, None))
    assert rule.problem is None
    return findings


def problem(condition: str, run: Run) -> str | None:
    """Return why a condition could not be told of *run*."""
    rule = make(condition)
    assert list(rule.evaluate(run, None)) == []
    return rule.problem


def refusal(condition: str) -> str:
    """Return why a condition is refused."""
    with pytest.raises(UsageError) as caught:
        make(condition)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith("nanwatch.toml: rules.low_iou: condition: ")
    return message.removeprefix("nanwatch.toml: rules.low_iou: condition: ")


def rows(**values: list[float]) -> dict[int, Epoch]:
    """Return the rows of whole epochs, by the values of each metric."""
    count = max(map(len, values.values()))
    return {
        e: Epoch(e, metrics={n: v[e - 1] for n, v in values.items() if e <= len(v)}, done=True, offset=e)
        for e in range(1, count + 1)
    }


def a_run() -> Run:
    """Return a run in its twelfth epoch that has shown most of what a run can show."""
    run = Run(
        "logs/train.log", "logs/train.log", epoch=12, epochs=50, batch=30, batches=100, step=1130, steps=5000,
        first_epoch=1, losses={"box_loss": 1.5, "loss": 4.0, "train/dfl": 0.9},
        metrics={"IoU": 0.4312, "mAP50-95": 0.29, "val_loss": 0.7, "lr": 9.0, "mAP50(B)": 0.61},
        lr=1e-4, grad_norm=2.5, vram_gb=15.6, rate=2.0, best=Best("IoU", 0.64, 3), primary_metric="IoU",
        nan_batches=7, grad_skips=5, resumes=1, silence=42.0, offset=12345,
    )  # fmt: skip
    run.table = rows(IoU=[0.5, 0.6, 0.64, 0.6, 0.58, 0.55, 0.5, 0.49, 0.48, 0.45, 0.4312])
    for epoch, row in run.table.items():
        row.means = {"loss": 4.0 + 0.1 * epoch}
    run.table[12] = Epoch(12, 30, 100, nan_batches=2, grad_skips=3, vram_gb=15.71, seconds=15.0, losses={"loss": 4.0})
    run.evaluations = [Evaluation(e, row.metrics["IoU"], e) for e, row in run.table.items() if row.done]
    return run


# -- what holds


FIELD_CASES: list[tuple[str, float | str]] = [
    ("epoch", 12), ("epochs", 50), ("batch", 30), ("batches", 100), ("step", 1130), ("steps", 5000),
    ("position", 1130), ("progress", (11 + 0.3) / 50), ("eta", (70 + 38 * 100) / 2.0), ("rate", 2.0),
    ("lr", 1e-4), ("grad_norm", 2.5), ("vram_gb", 15.6), ("nan_batches", 7), ("grad_skips", 5), ("resumes", 1),
    ("finished", False), ("failed", False), ("interrupted", False), ("silence", 42.0), ("epoch_nan", 2),
    ("epoch_skips", 3), ("epoch_vram_gb", 15.71), ("epoch_seconds", 15.0), ("best.value", 0.64),
    ("best.epoch", 3), ("best.age", 8), ("best.metric", "IoU"), ('losses["name"]', 1.0),
    ('metrics["name"]', 2.0), ("any other name", 3.0),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), FIELD_CASES)
def test_every_field(field: str, value: float | str) -> None:
    """Each name of the reference is read from the run, and told as evidence under its own name."""
    run = a_run()
    run.losses["name"], run.metrics["name"], run.metrics["other"] = 1.0, 2.0, 3.0
    name = "other" if field == "any other name" else field
    literal = f"{value!r}"
    (finding,) = found(f"{name} == {literal}", run)
    assert list(finding.evidence.values()) == [value]
    assert not found(f"{name} != {literal}", run)


FUNCTION_CASES = [
    "abs(-3) == 3 and abs(IoU - 1) < 0.57",
    "min(3, 1, 2) == 1 and max(3, 1, 2) == 3 and min(5) == 5",
    "max(last('IoU', 3)) == 0.48 and min(last('IoU', 3)) == 0.4312",
    "round(IoU, 2) == 0.43 and round(IoU) == 0 and round(1e999) == 1e999",
    "mean(1, 2, 6) == 3 and round(mean(last('IoU', 2)), 4) == 0.4406",
    "median(1, 9, 2) == 2 and round(median(last('IoU', 4)), 6) == 0.465",
    "last('IoU', 1)[0] == 0.4312 and last('IoU', 3)[-1] == 0.4312 and last('IoU', 3)[0] == 0.48",
    "max(last('IoU', 11)[:3]) == 0.64 and max(last('IoU', 11)[1:2]) == 0.6",
    "last('loss', 2)[1] == 5.1",
    "falls('IoU', 8) and not falls('IoU', 9) and not falls('IoU', 11)",
    "rises('IoU', 8) or rises('loss', 10)",
    "round(change('IoU', 1), 4) == -0.0188 and round(change('loss', 10), 4) == 1",
    "is_nan(1e999 - 1e999) and not is_nan(IoU) and not is_nan(1e999) and not is_nan(3)",
    "known('IoU') and known('iou') and known('mAP50_95') and not known('IuO')",
    "is_nan(max(1, 1e999 - 1e999)) and is_nan(median(1e999 - 1e999, 1, 2)) and is_nan(mean(1e999, -1e999))",
]


@pytest.mark.parametrize("condition", FUNCTION_CASES)
def test_every_function(condition: str) -> None:
    """Each function of the reference computes what it says."""
    condition = f"{condition} and epoch"
    assert found(condition, a_run())


def test_the_reference() -> None:
    """The tables above hold the whole reference, each name and function with what it means."""
    assert [name for name, _ in FIELD_CASES] == list(FIELDS)
    assert all(any(f"{name}(" in condition for condition in FUNCTION_CASES) for name in FUNCTIONS)
    assert all(meaning.startswith(f"{name}(") and ": " in meaning for name, meaning in FUNCTIONS.items())
    assert all(meaning and meaning.isprintable() for meaning in FIELDS.values())


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("IoU < 0.5 and epoch > 10", True),
        ("IoU < 0.4 and epoch > 10", False),
        ("IoU < 0.4 or epoch > 10", True),
        ("not IoU < 0.4", True),
        ("0.4 < IoU <= 0.4312 < 0.5", True),
        ("vram_gb > 15.5", True),
        ('metrics["mAP50-95"] < 0.3', True),
        ("falls('IoU', 4)", True),
        ("loss > 3 * median(last('loss', 5))", False),
        ("best.age > 7 and best.metric == 'IoU'", True),
        ("best.metric != 'IoU'", False),
        ("IoU < (0.5 if epoch > 10 else 0.1)", True),
        ("IoU < (0.5 if epoch > 12 else 0.1)", False),
        ("epoch % 4 == 0 and epoch // 5 == 2 and 2 ** 3 == 8 and epoch / 5 == 2.4 and -epoch + 12 == +0", True),
        ("nan_batches", True),
        ("finished", False),
        ("finished == False and True", True),
        ("  \n IoU < 0.5\n\tand epoch > 10 \n", True),
        ("((IoU < 0.5))", True),
        ("(-8) ** 0.5 < 0 or (-8) ** 0.5 >= 0 or epoch < 0", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    """A condition is Python's arithmetic, comparisons and logic."""
    assert bool(found(condition, a_run())) is holds


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("mAP50_95", 0.29),
        ("map5095", 0.29),
        ("iou", 0.4312),
        ("IOU", 0.4312),
        ("val_loss", 0.7),
        ("ValLoss", 0.7),
        ("train_dfl", 0.9),
        ("Loss", 4.0),
        ("lr", 1e-4),
        ('metrics["lr"]', 9.0),
        ('losses["val_loss"]', 0.7),
        ('metrics["box_loss"]', 1.5),
        ('metrics["map50_95"]', 0.29),
        ("mAP50B", 0.61),
    ],
)
def test_names(condition: str, value: float) -> None:
    """A field wins over a metric; a name may differ from the log's in case and punctuation if only one does."""
    assert found(f"{condition} == {value!r}", a_run())


def test_two_names_alike() -> None:
    """A name that means two of the log's is not known; spelled as in the log, it is."""
    run = Run("x", "x", epoch=3, losses={"Loss": 1.0, "loss": 2.0})
    assert found("loss == 2", run)
    assert found("Loss == 1", run)
    assert not found("LOSS > 0", run)


def test_a_name_that_the_last_frame_did_not_show() -> None:
    """What an epoch's line told stays known while the bar of the next shows other losses."""
    run = Run("x", "x", epoch=2, losses={"loss": 2.0})
    run.table = {1: Epoch(1, means={"train_loss": 1.5}, losses={"train_loss": 1.5}, done=True), 2: Epoch(2)}
    assert found("train_loss == 1.5 and Train_Loss == 1.5", run)


def test_what_is_still_being_measured() -> None:
    """A result that the bar shows on its way through an epoch is not the epoch's: the one before counts."""
    run = Run("x", "x", epoch=2, metrics={"accuracy": 0.1})
    run.table = rows(accuracy=[0.8])
    run.table[2] = Epoch(2, metrics={"accuracy": 0.1})
    assert found("accuracy == 0.8 and last('accuracy', 5)[-1] == 0.8", run)
    run.table[2].validated = True
    assert found("accuracy == 0.1 and change('accuracy', 1) < 0", run)


def test_epochs_that_were_taken_back() -> None:
    """After a rollback, the epochs that are to be repeated do not count any more."""
    run = Run("x", "x", epoch=3, metrics={"IoU": 0.5})
    run.table = rows(IoU=[0.5, 0.4, 0.3, 0.2, 0.1])
    run.table[3] = Epoch(3, offset=9)
    assert found("last('IoU', 9)[-1] == 0.4 and not falls('IoU', 2)", run)


def test_a_validation_that_is_ahead() -> None:
    """An epoch whose validation comes before its first batch counts."""
    run = Run("x", "x", epoch=2, metrics={"IoU": 0.5})
    run.table = rows(IoU=[0.5, 0.4])
    run.table[3] = Epoch(3, metrics={"IoU": 0.3}, validated=True, offset=9)
    assert found("falls('IoU', 2)", run)


def test_a_run_without_epochs() -> None:
    """Where there are steps only, the evaluations of the primary metric take the place of epochs."""
    run = Run("x", "x", step=500, metrics={"val_loss": 2.5}, primary_metric="val_loss", best=Best("val_loss", 2.0, 200))
    run.evaluations = [Evaluation(step, value, 0) for step, value in [(100, 3.0), (200, 2.0), (300, 2.2), (400, 2.5)]]
    run.table[-1] = Epoch(-1, nan_batches=3)
    assert found("rises('val_loss', 2) and best.age == 2 and best.epoch == 200 and epoch_nan == 3", run)
    assert not found("rises('val_loss', 3)", run)


def test_the_end() -> None:
    """A run is finished, failed or interrupted when the log says so."""
    assert found("finished and progress == 1", Run("x", "x", finished="done"))
    assert found("failed and not finished", Run("x", "x", failure=RunFailure("oom", "x", 0)))
    assert found("interrupted", Run("x", "x", interrupted="^C"))


# -- what is not known


@pytest.mark.parametrize(
    "condition",
    [
        "epoch > 0", "not epoch > 0", "IoU < 1", "not IoU < 1", "IoU == 0 or position == 0", "IoU != 0", "-IoU < 1",
        "IoU + 1 > 0", "best.value > 0", "best.age >= 0", "best.metric == 'IoU'", "best.metric != 'IoU'",
        'losses["x"] != 0', 'metrics["x"] != 0', "not falls('IoU', 1)", "mean(last('IoU', 3)) != 0", "is_nan(IoU)",
        "not is_nan(IoU)", "eta != 0", "silence < 9", "vram_gb < 9", "epoch_seconds < 9", "1 if IoU else 1",
        "abs(IoU) >= 0", "min(1, IoU) < 9", "change('IoU', 1) != 0",
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_finding(condition: str) -> None:
    """A run of which nothing is known gives no finding, no error and no problem, whichever way one asks."""
    assert not found(condition, Run("x", "x"))


def test_what_is_not_needed_need_not_be_known() -> None:
    """What the rest of the condition settles is not asked for."""
    assert found("position == 0 or IoU > 3", Run("x", "x"))
    assert found("not (known('IoU') and IoU > 3) and epoch_nan == 0 and epoch_skips == 0", Run("x", "x"))


@pytest.mark.parametrize(
    "condition",
    ["change('IoU', 2) < 9", "last('IoU', 5)[3] < 9", "falls('IoU', 2)", "rises('IoU', 2)",
     "mean(last('IoU', 2)[2:]) < 9"],
)  # fmt: skip
def test_too_few_epochs(condition: str) -> None:
    """What asks for more epochs than there are is no finding, and no problem."""
    run = Run("x", "x", epoch=2, metrics={"IoU": 0.4}, table=rows(IoU=[0.5, 0.4]))
    assert not found(condition, run)
    assert found("falls('IoU', 1) and last('IoU', 9)[0] == 0.5", run)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [("loss < 1", False), ("loss > 1", False), ("loss == loss", False), ("loss != 1", True), ("is_nan(loss)", True),
     ("is_nan(loss * 0 + 1)", True), ("max(loss, 1) > 0", False), ("falls('loss', 1)", False)],
)  # fmt: skip
def test_nan(condition: str, holds: bool) -> None:
    """NaN compares as in Python, and goes through arithmetic."""
    run = Run("x", "x", epoch=3, losses={"loss": NAN})
    run.table = {e: Epoch(e, losses={"loss": v}, done=True) for e, v in [(1, 1.0), (2, NAN)]}
    assert bool(found(condition, run)) is holds


# -- the finding


def test_the_finding() -> None:
    """It bears the rule's name, the place where the run is, the values of the names used, and a sentence."""
    (finding,) = found("IoU < 0.5 and epoch > 10", a_run())
    assert finding == Finding(
        "low_iou", "warning", "IoU < 0.5 and epoch > 10: IoU 0.4312, epoch 12", "", 12, 30, 12345,
        {"IoU": 0.4312, "epoch": 12},
    )  # fmt: skip


def test_the_users_own_words() -> None:
    """Severity and message are the user's where there are any; a message is one printable line."""
    life = Life(severity="critical")
    (finding,) = found("IoU < 0.5", a_run(), message="IoU is\ntoo \x1blow ", life=life)
    assert (finding.severity, finding.message) == ("critical", "IoU is too  low")
    assert finding.evidence == {"IoU": 0.4312}


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("step > 3 and not finished", "step 1,130, finished no"),
        ("best.age > 7 and best.metric == 'IoU'", "best.age 8, best.metric IoU"),
        ("falls('IoU', 4)", "IoU 0.4312"),
        ("falls('loss', 4) or loss > 3", "loss 4"),
        ("loss > 3 and rises('loss', 4)", "loss 4"),
        ('metrics["mAP50-95"] < 0.3 or x > 3', "mAP50-95 0.29"),
        ('metrics["lr"] > lr', 'metrics["lr"] 9, lr 0.0001'),
        ("mAP50_95 < 0.3 and rate < 1e9", "mAP50_95 0.29, rate 2"),
        ("not known('IuO')", ""),
    ],
)
def test_the_sentence(condition: str, told: str) -> None:
    """The sentence tells the condition and the values that are known, shortly."""
    (finding,) = found(condition, a_run())
    assert finding.message == (f"{condition}: {told}" if told else condition)


def test_a_long_sentence() -> None:
    """A long condition is cut in the sentence."""
    condition = " and ".join(["IoU < 0.5"] * 40)
    (finding,) = found(condition, a_run())
    assert finding.message == f"{condition[:197]}...: IoU 0.4312"


def test_evidence_of_what_is_not_known() -> None:
    """A name that decided nothing and is not known stands in the evidence as such."""
    (finding,) = found("epoch > 10 or falls('IuO', 3) or best.age > 3", Run("x", "x", epoch=11))
    assert finding.evidence == {"epoch": 11, "IuO": None, "best.age": None}


# -- problems


def test_a_name_that_the_run_never_shows() -> None:
    """Once an epoch was evaluated, a name that is still not known is a problem; before that it is none."""
    run = Run("logs/a.log", "logs/a.log", epoch=1, metrics={"IoU": 0.4}, losses={"Loss": 0.3})
    assert problem("IuO < 0.5", run) is None
    run.table[1] = Epoch(1, metrics={"IoU": 0.4}, done=True)
    told = problem("IuO < 0.5", run)
    assert told is not None
    assert told.startswith("rules.low_iou: `IuO` is not known in logs/a.log (known there: IoU, Loss, epoch, epochs, ")
    assert told.endswith(" ...; did you mean IoU?)")


@pytest.mark.parametrize(
    ("condition", "name", "meant"),
    [
        ("IuO < 0.5", "IuO", "IoU"), ("falls('IuO', 3)", "IuO", "IoU"),
        ('metrics["mAP50-96"] < 1', "mAP50-96", "mAP50-95"),
        ("vram > 3", "vram", "vram_gb"), ("Epoch > 3", "Epoch", "epoch"), ("vram_bg > 3", "vram_bg", "vram_gb"),
        ("rises('rate', 3)", "rate", None), ("boxloss2 > 1", "boxloss2", "box_loss"),
        ('losses["nothing like it"] > 1', "nothing like it", None),
    ],
)  # fmt: skip
def test_did_you_mean(condition: str, name: str, meant: str | None) -> None:
    """The problem names what is not known, and what may be meant."""
    told = problem(condition, a_run()) or ""
    assert told.startswith(f"rules.low_iou: `{name}` is not known in logs/train.log (known there: IoU, ")
    assert told.endswith(f"; did you mean {meant}?)" if meant else "...)")


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("IoU / (epoch - 12) > 1", "division by zero in logs/train.log, at column 1: `IoU / (epoch - 12)`"),
        ("epoch > 1 and epoch % 0 > 1", "division by zero in logs/train.log, at column 15: `epoch % 0`"),
        ("(epoch - 12) ** -1 > 1", "division by zero in logs/train.log, at column 1: `(epoch - 12) ** -1`"),
        ("epoch and 9**9**9 > 1", "a number too large in logs/train.log, at column 11: `9**9**9`"),
        ("mean(1" + 320 * "0" + ") > IoU", "a number too large in logs/train.log, at column 1: `mean(1"),
    ],
)
def test_what_cannot_be_computed(condition: str, told: str) -> None:
    """A division by zero and a number too large are problems with their place, and no finding."""
    said = problem(condition, a_run())
    assert said is not None
    assert said.startswith(f"rules.low_iou: condition: {told}")
    assert len(said) < 120


def test_a_problem_goes() -> None:
    """A problem is that of the run that was asked last."""
    rule = make("IoU / rate > 0.1")
    run = a_run()
    run.rate = 0.0
    assert list(rule.evaluate(run, None)) == []
    assert rule.problem
    run.rate = 1.0
    assert list(rule.evaluate(run, None))
    assert rule.problem is None


def test_a_problem_of_the_next_epoch() -> None:
    """What is known is told anew with each epoch."""
    rule, run = make("IuO > 1"), a_run()
    run.metrics = {}
    assert list(rule.evaluate(run, None)) == []
    run.epoch, run.metrics = 13, {"IUO2": 0.3}
    assert list(rule.evaluate(run, None)) == []
    assert (rule.problem or "").endswith("did you mean IUO2?)")


# -- refusals


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("", "nothing stands in it (known here: epoch, epochs, "),
        (" \n", "nothing stands in it (known here: epoch, "),
        ("IoU = 0.5", "no such operator at column 5: `=` (known here: <, <=, "),
        ("IoU = 0.5", "; did you mean ==?)"),
        ("metrics['a=b'] =< 3", "no such operator at column 16: `=<`"),
        ("IoU < 1 && epoch > 3", "no such operator at column 9: `&&`"),
        ("IoU < 1 && epoch > 3", "; did you mean and?)"),
        ("IoU < 1 AND epoch > 3", "no such operator at column 9: `AND`"),
        ("!finished", "no such operator at column 1: `!` (known here: <, "),
        ("IoU & 1", "no such operator at column 1: `IoU & 1` (known here: <, "),
        ("IoU | 1", "; did you mean or?)"),
        ("~IoU", "; did you mean not?)"),
        ("IoU ^ 2 > 1", "; did you mean **?)"),
        ("IoU << 2 > 1", "no such operator at column 1: `IoU << 2` (known here: "),
        ("IoU @ 2 > 1", "no such operator at column 1: `IoU @ 2`"),
        ("IoU in 3", "no such operator at column 1: `IoU in 3` (known here: "),
        ("IoU is 3", "no such operator at column 1: `IoU is 3` (known here: "),
        ("IoU <", "invalid syntax at column 6: the end"),
        ("(IoU < 3", "'(' was never closed at column 1: `(IoU < 3`"),
        ("IoU < 3)", "at column 8: `)`"),
        ("IoU 3", "at column 5: `3`"),
        ("émIoU > 3 and 'x", "at column 15: `'x`"),
        ("IoU < 1 # low", "a comment is not allowed at column 9: `# low`"),
        ("(IoU < 1) # ) low", "a comment is not allowed at column 11: `# ) low`"),
        ("IoU < 1\n# low\n", "a comment is not allowed at column 9: `# low`"),
        ("medain(last('IoU', 3)) > 1", "no such function at column 1: `medain` (known here: abs, min, max, "),
        ("medain(last('IoU', 3)) > 1", "; did you mean median?)"),
        ("epoch > 1 and é.f(3)", "no such function at column 15: `é.f` (known here: abs, "),
        ("(3)(4)", "no such function at column 2: `3` (known here: abs, "),
        ("best.aeg > 3", "no such name at column 1: `best.aeg` (known here: best.value, best.epoch, best.age, best.me"),
        ("best.aeg > 3", ", best.metric; did you mean best.age?)"),
        ("best > 3", "only a part of a name at column 1: `best` (known here: best.value, best.epoch, "),
        ("losses > 3", 'only a part of a name at column 1: `losses` (known here: losses["name"])'),
        ("metrics.IoU > 3", '; did you mean metrics["IoU"]?)'),
        ("metrics[IoU] > 3", 'a name in quotes is needed at column 9: `IoU` (did you mean "IoU"?)'),
        ("metrics[3] > 3", 'a name in quotes is needed at column 9: `3` (did you mean "name"?)'),
        ("falls(IoU, 3)", 'a name in quotes is needed at column 7: `IoU` (did you mean "IoU"?)'),
        ("falls('IoU')", "not called so at column 1: `falls('IoU')` (known here: falls(\"name\", n))"),
        ("falls('IoU', n=3)", "not called so at column 1: "),
        ("falls('IoU', 0)", "a whole number of 1 to 4096 is needed at column 14: `0`"),
        ("falls('IoU', 1.5)", "a whole number of 1 to 4096 is needed at column 14: `1.5`"),
        ("falls('IoU', True)", "a whole number of 1 to 4096 is needed at column 14: `True`"),
        ("falls('IoU', epoch)", "a whole number of 1 to 4096 is needed at column 14: `epoch`"),
        ("falls('IoU', +3)", "a whole number of 1 to 4096 is needed at column 14: `+3`"),
        ("last('IoU', 3)[x] > 1", "a whole number of -4096 to 4096 is needed at column 16: `x`"),
        ("max(last('IoU', 3)[::2]) > 1", "a step is not allowed at column 22: `2`"),
        ("round(IoU, -9999999999) > 1", "a whole number of 0 to 15 is needed at column 12: `-9999999999`"),
        ("min() > 1", "not called so at column 1: `min()` (known here: min(a, b, ...))"),
        ("abs(1, 2) > IoU", "not called so at column 1: `abs(1, 2)` (known here: abs(x))"),
        ("abs(*IoU) > IoU", "a star is not allowed at column 5: `*IoU`"),
        ("last('IoU', 3) > 1", "a list where a number is needed at column 1: `last('IoU', 3)`"),
        ("last('IoU', 3) == last('IoU', 4)", "a list where a number is needed at column 1: `last('IoU', 3)`"),
        ("last('IoU', 3)", "a list where a number is needed at column 1: `last('IoU', 3)`"),
        ("max(last('IoU', 3), 1) > 1", "a list where a number is needed at column 5: `last('IoU', 3)`"),
        ("max('a') > 1", "a text where numbers are needed at column 5: `'a'`"),
        ("IoU < '0.5'", "a text where a number is needed at column 7: `'0.5'`"),
        ("IoU == '0.5'", "a text where a number is needed at column 8: `'0.5'`"),
        ("best.metric == 3", "a number where a text is needed at column 16: `3`"),
        ("best.metric < 'IoU'", "a text where a number is needed at column 1: `best.metric`"),
        ("best.metric", "a text where a number is needed at column 1: `best.metric`"),
        ("epoch['a'] > 3", "a number where a list is needed at column 1: `epoch`"),
        ("IoU.real > 3", "no such name at column 1: `IoU.real` (known here: best.value, "),
        ("IoU == None", "no number and no text at column 8: `None` (did you mean known(\"name\")?)"),
        ("IoU == 1j", "no number and no text at column 8: `1j`"),
        ("IoU == ...", "no number and no text at column 8: `...`"),
        ("IoU == b'a'", "no number and no text at column 8: `b'a'`"),
        ("loss == nan", "no such name at column 9: `nan` (did you mean is_nan(x)?)"),
        ("finished == true", "no such name at column 13: `true` (did you mean True?)"),
        ("median > 3", "a function without its brackets at column 1: `median` (did you mean median(a, b, ...)?)"),
        ("_loss > 3", 'no such name at column 1: `_loss` (did you mean metrics["_loss"]?)'),
        ("1 < 2", "nothing of a run at column 1: `1 < 2` (known here: epoch, "),
        ("True", "nothing of a run at column 1: `True` (known here: epoch, "),
        ("IoU\x1b[2J > 3", "not printable at column 4: `'\\x1b'`"),
        ("IoU\x00 > 3", "not printable at column 4: `'\\x00'`"),
        ("metrics['\\x1b[2J'] > 3", "not printable at column 9: `'\\x1b[2J'`"),
        ("IoU\ud800", "not printable at column 4: `'\\ud800'`"),
    ],
)  # fmt: skip
def test_refusals(condition: str, told: str) -> None:
    """What is no condition is refused with the place, what is wrong, and what is known there."""
    assert told in refusal(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "__import__('os')", "__import__('os').system('id')", "().__class__", "''.__class__.__mro__", "epoch.__class__",
        "best.__class__", "metrics.__class__", "metrics.keys()", "metrics.get('x') > 1",
        "'{0.__class__}'.format(epoch)", "f'{epoch!r:>999999999}'",
        "'a'*10**9", "'a' * epoch", "'%099999999d' % epoch", "last('IoU', 3) * 10**9", "[1] * 10**9 == epoch",
        "[x for x in last('IoU', 3)]", "max(x for x in last('IoU', 3))", "{x for x in epoch}", "{1: 2}[epoch]",
        "(lambda: epoch)()", "(lambda x: x)(epoch) > 1", "(x := epoch) > 1", "f'{epoch}' == 'a'",
        "open('/etc/passwd')", "eval('epoch')", "exec('epoch')", "getattr(best, 'x')", "print(epoch)", "rand() > epoch",
        "randint(3)", "int('9' * 99)", "str(epoch)", "float(epoch)", "range(10**9)", "sum(last('IoU', 3))", "x = 3",
        "epoch += 1", "import os", "epoch; epoch", "del epoch", "await epoch", "yield epoch", "*epoch", "epoch,", "()",
        "last(last, 3)", "last('IoU', 10**9)", "abs(abs)", "best.value.real > 1", "metrics['a']['b'] > 1",
        "last('IoU', 3).pop()", "last('IoU', 3).__len__() > 1", "1 << 99999", "epoch << 99999", "True.real", "1 .real",
        "None", "epoch if True", "__builtins__", "__name__ == 'x'", "self.run", "run.id == 'x'", "names", "epoch(3)",
    ],
)  # fmt: skip
def test_hostile_conditions(condition: str) -> None:
    """What reaches for anything but the run's numbers is refused, or is only a name that no run shows."""
    try:
        rule = make(condition)
    except UsageError:
        return
    assert condition == "names"
    assert list(rule.evaluate(a_run(), None)) == []


@pytest.mark.parametrize(
    "condition",
    ["(" * 5000 + "epoch" + ")" * 5000, "epoch and " * 5000 + "epoch", "epoch" + " " * 10 + "x" * 1000],
    ids=["nested", "long", "name"],
)
def test_long_conditions(condition: str) -> None:
    """A condition has at most a thousand characters."""
    assert refusal(condition) == "longer than 1,000 characters"


@pytest.mark.parametrize(
    "condition",
    ["(" * 450 + "epoch" + ")" * 450, "-" * 900 + "epoch", "not " * 200 + "epoch", "+".join(["epoch"] * 150),
     "abs(" * 150 + "epoch" + ")" * 150, "epoch" + "[0]" * 300, "epoch" + ".x" * 400, "~" * 990 + "epoch",
     "1 if epoch else " * 60 + "1", "epoch**" * 120 + "1"],
)  # fmt: skip
def test_deep_conditions(condition: str) -> None:
    """A condition that nests more deeply than anybody writes is refused, however the parser takes it."""
    assert any(word in refusal(condition) for word in ("nested too deeply", "too many nested parentheses"))


def test_without_a_source() -> None:
    """A rule that comes from no file is named all the same."""
    with pytest.raises(UsageError, match=r"^rules\.mine: condition: no such function at column 1: `f`"):
        Rule(CustomRule("mine", "f(3)"))


# -- what wakes it


@pytest.mark.parametrize(
    ("condition", "wakes"),
    [
        ("epoch > 3", RESULT), ("epochs > 3", RESULT), ("batches > 3", RESULT), ("resumes > 3", RESULT),
        ("IoU < 0.5 and epoch > 10", RESULT), ("val_loss > 3", RESULT), ("mAP50_95 > 3", RESULT),
        ('metrics["mAP50-95"] > 3', RESULT), ('metrics["x"] > 3', RESULT), ('losses["val_loss"] > 3', RESULT),
        ("best.value > best.age + best.epoch and best.metric == 'x'", RESULT),
        ("falls('loss', 4)", RESULT), ("rises('loss', 4)", RESULT), ("change('x', 4) > 1", RESULT),
        ("median(last('loss', 3)) > 1", RESULT), ("known('loss')", RESULT),
        ("vram_gb > 3", Change.VRAM | Change.EPOCH), ("epoch_vram_gb > 3", Change.VRAM | Change.EPOCH),
        ("nan_batches", NANS), ("epoch_nan", NANS), ("silence > 3", Change.CLOCK),
        ("grad_skips > 3", Change.SKIP | Change.EPOCH), ("epoch_skips > 3", Change.SKIP | Change.EPOCH),
        ("finished", ENDS), ("failed", ENDS), ("interrupted", ENDS), ("failed and silence > 3", ENDS | Change.CLOCK),
        ("batch > 3", BATCH), ("step > 3", BATCH), ("steps > 3", BATCH), ("position > 3", BATCH),
        ("progress > 3", BATCH),
        ("rate > 3", BATCH), ("lr > 3", BATCH), ("grad_norm > 3", BATCH), ("epoch_seconds > 3", BATCH),
        ("eta > 3", BATCH | Change.CLOCK), ("loss > 3", BATCH), ("box_loss > 3", BATCH), ("foo > 3", BATCH),
        ('losses["loss"] > 3', BATCH), ('losses["x"] > 3', BATCH), ("loss > 3 * median(last('loss', 5))", BATCH),
        ("IoU < 0.5 and loss > 3", BATCH),
    ],
)  # fmt: skip
def test_wakes(condition: str, wakes: int) -> None:
    """A rule is asked after what can change its names, and asks for every batch only where one changes with it."""
    rule = make(condition)
    assert rule.wakes == wakes
    assert rule.reads_batches is bool(wakes & Change.PROGRESS)


def test_the_protocol() -> None:
    """It bears the name that the user gave it, and its settings."""
    rule = make("epoch > 3")
    assert (rule.name, rule.settings.condition) == ("low_iou", "epoch > 3")


# -- whatever is written

PIECES = [
    *"()[].,:+-*/%<>=!&|~^'\"#\\ \n019eé", "epoch", "IoU", "loss", "best", ".age", ".metric", "metrics", "'IoU'",
    "last(", "falls(", "mean(", "max(", "round(", "is_nan(", "known(", " and ", " or ", "not ", " if ", " else ",
    "<", "==", "**", "None", "True", "1e999", "lambda", " for ", " in ", "['loss']", "__class__", "{", "}", "@",
]  # fmt: skip
RUNS = [
    Run("x", "x"),
    a_run(),
    Run("x", "x", epoch=2, losses={"loss": NAN}, metrics={"IoU": INF}, table=rows(IoU=[NAN, -INF], loss=[0.0, NAN])),
]


@settings(repeatable, max_examples=1500)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30))
def test_any_text(condition: str) -> None:
    """Any text is refused in one printable line, or asks any run without an error."""
    try:
        rule = make(condition)
    except UsageError:
        assert refusal(condition)
        return
    check_all_runs(rule)


NUMBERS = st.sampled_from(
    ["0", "1", "-1", "0.5", "1e308", "1e999", "epoch", "batch", "IoU", "loss", "lr", "best.age", "nan_batches",
     "metrics['mAP50-95']", "change('IoU', 1)", "last('IoU', 2)[0]", "median(last('loss', 3))", "known('loss')", "IuO",
     "99999999999999999999999999", "finished"]
)  # fmt: skip
SIGNS = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", ">=", ">", "and", "or"]
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(SIGNS), inner),
        st.builds("({}({}))".format, st.sampled_from(["abs", "round", "is_nan", "not ", "-", "max", "mean"]), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max", "mean", "median"]), inner, inner),
    ),
    max_leaves=8,
)


@settings(repeatable, max_examples=1000)
@given(EXPRESSIONS)
def test_any_condition(expression: str) -> None:
    """Any well-formed condition is accepted, and asks any run without an error."""
    check_all_runs(make(f"epoch > -1 and {expression}"))


def check_all_runs(rule: Rule) -> None:
    assert rule.wakes > Change.NOTHING
    for run in RUNS:
        findings = list(rule.evaluate(run, None))
        assert len(findings) <= 1
        assert not (findings and rule.problem)
        assert (rule.problem or "").isprintable()
        assert all(f.message.isprintable() and isinstance(f.evidence, dict) for f in findings)
