"""The words of a message: what stands in its title, what its body says, and that nothing in it is alive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch import scenarios
from nanwatch.config import Config
from nanwatch.model.alert import SEVERITIES, Alert, Reason, Severity
from nanwatch.model.news import AlertFacts, Message, News
from nanwatch.model.run import Status
from nanwatch.notify import render
from nanwatch.notify.render import WORDINGS, inert, short_name
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.base import rule_types
from tests.notify.making import NOON, news, run_facts
from tests.support.repeatable import repeatable

HOST = "gpu-a3"
SCENARIOS = Path(scenarios.__file__).parent / "rules" / "scenarios"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let local time be UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def compose(*items: News, now: float = NOON + 60) -> Message:
    """Return the message that tells of *items*."""
    return render.compose(items, key="k", host=HOST, now=now)


def cod(rule: str, **changes: Any) -> News:
    """Return that *rule* fires in epoch 98 of 120."""
    return news(rule, log="/data/sinet-cod.log", epoch=98, run={"epochs": 120, "last_clean_epoch": None}, **changes)


def title(*items: News) -> str:
    """Return the title of the message that tells of *items*."""
    return compose(*items).title


def over(rule: str = "stall", seconds: float = 720, **changes: Any) -> News:
    """Return that an alert ended *seconds* after it began."""
    fields: dict[str, Any] = {"reasons": ("resolved",), "started_at": NOON - seconds, "resolved_at": NOON}
    return news(rule, state="resolved", **(fields | changes))


# -- titles


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            news("nan_burst", evidence={"nan_batches": 73}),
            "CRIT 73 NaN losses, unet-iou-v3, epoch 4/50", id="nan_burst",
        ),
        pytest.param(
            news("nan_loss", severity="warning", evidence={"nan_batches": 1, "last_clean_epoch": 3}),
            "WARN loss is NaN, unet-iou-v3, epoch 4/50", id="nan_loss",
        ),
        pytest.param(
            news("grad_skip", evidence={"grad_skips": 72}),
            "CRIT 72 steps skipped, unet-iou-v3, epoch 4/50", id="grad_skip",
        ),
        pytest.param(
            news("vram_jump", severity="warning", evidence={"change_gb": 0.51, "peak_gb": 4.71}),
            "WARN VRAM +0.51 G, unet-iou-v3, epoch 4/50", id="vram_jump",
        ),
        pytest.param(
            cod("metric_decline", severity="warning", message="IoU fell 3 epochs in a row",
                 evidence={"metric": "IoU", "from": 0.7104, "to": 0.6603}),
            "WARN IoU worse 3 epochs, sinet-cod, 0.7104 to 0.6603", id="metric_decline",
        ),
        pytest.param(
            cod("metric_collapse", evidence={"metric": "IoU", "value": 0.0022, "best": 0.6413, "best_epoch": 88}),
            "CRIT IoU 0.0022, was 0.6413, sinet-cod, epoch 98/120", id="metric_collapse",
        ),
        pytest.param(
            cod("loss_explosion", evidence={"loss": "loss", "usual": 0.2234, "value": 15.3}),
            "CRIT loss 0.2234 -> 15.3, sinet-cod, epoch 98/120", id="loss_explosion",
        ),
        pytest.param(
            cod("stall", evidence={"silence_seconds": 1320, "pid": 48121}),
            "CRIT silent 22 min, sinet-cod, epoch 98/120", id="stall",
        ),
        pytest.param(cod("process_gone"), "CRIT its process is gone, sinet-cod, epoch 98/120", id="process_gone"),
        pytest.param(cod("oom"), "CRIT out of memory, sinet-cod, epoch 98/120", id="oom"),
        pytest.param(
            cod("oom_recovered", severity="warning"), "WARN out of memory, recovered, sinet-cod, epoch 98/120",
            id="oom_recovered",
        ),
        pytest.param(
            cod("crash", message="crashed in epoch 98: _pickle.UnpicklingError: Weights only load failed.",
                 evidence={"kind": "exception"}),
            "CRIT crashed: UnpicklingError, sinet-cod, epoch 98/120", id="crash",
        ),
        pytest.param(
            cod("crash", message="killed in epoch 98: Killed", evidence={"kind": "killed"}),
            "CRIT killed, sinet-cod, epoch 98/120", id="killed",
        ),
        pytest.param(
            cod("interrupted", severity="warning"), "WARN interrupted, sinet-cod, epoch 98/120", id="interrupted"
        ),
        pytest.param(
            cod("rollback", severity="warning", evidence={"from_epoch": 98, "to_epoch": 95}),
            "WARN went back to epoch 95, sinet-cod, epoch 98/120", id="rollback",
        ),
        pytest.param(
            cod("rollback", severity="warning", evidence={"from_epoch": 98, "to_epoch": 98}),
            "WARN began epoch 98 again, sinet-cod, epoch 98/120", id="rollback within the epoch",
        ),
        pytest.param(
            cod("slowdown", severity="warning", evidence={"usual_rate": 12.4, "rate": 4.1}),
            "WARN 12.4 -> 4.1 it/s, sinet-cod, epoch 98/120", id="slowdown",
        ),
        pytest.param(
            cod("frozen_metric", severity="warning", evidence={"epochs": 3}),
            "WARN metrics frozen 3 epochs, sinet-cod, epoch 98/120", id="frozen_metric",
        ),
        pytest.param(
            cod("checkpoint_unsaved", severity="warning", evidence={"epochs": 4, "last_saved_epoch": 94}),
            "WARN no checkpoint for 4 epochs, sinet-cod, epoch 98/120", id="checkpoint_unsaved",
        ),
        pytest.param(
            cod("deadline", severity="warning", evidence={"late_seconds": 9000}),
            "WARN 2 h 30 min late, sinet-cod, epoch 98/120", id="deadline",
        ),
        pytest.param(
            cod("goal", severity="info", evidence={"metric": "IoU", "goal": 0.64, "value": 0.6413}),
            "INFO IoU reached 0.6413, sinet-cod, epoch 98/120", id="goal",
        ),
        pytest.param(
            cod("goal", severity="info", evidence={"metric": "IoU", "goal": 0.7, "best": 0.64, "hoped": 0.66}),
            "INFO IoU will hardly be 0.7, sinet-cod, epoch 98/120", id="goal out of reach",
        ),
        pytest.param(
            cod("plateau", severity="info", evidence={"metric": "IoU", "epochs": 20}),
            "INFO IoU flat 20 epochs, sinet-cod, epoch 98/120", id="plateau",
        ),
        pytest.param(
            cod("overfit", severity="info"), "INFO overfitting, sinet-cod, epoch 98/120", id="overfit"
        ),
        pytest.param(
            news("finished", severity="info", log="/data/resnet50-base.log", epoch=90,
                 run={"epoch": 90, "epochs": 90, "primary_metric": "top1", "primary_value": 0.7612,
                      "best_value": 0.7612}),
            "DONE resnet50-base, 90/90, top1 0.7612 (best)", id="finished",
        ),
        pytest.param(
            news("finished", severity="info", log="/data/resnet50-base.log", epoch=90,
                 run={"epoch": None, "step": 5000, "steps": 5000, "best_value": None}),
            "DONE resnet50-base, 5,000/5,000", id="finished, in steps",
        ),
        pytest.param(
            cod("low_iou", severity="warning", message="IoU is 0.3 and the epoch is 12, which is too late"),
            "WARN IoU is 0.3 and the epoch is 12…, sinet-cod", id="a rule of the user's own",
        ),
        pytest.param(
            cod("low_iou", severity="warning", message=""), "WARN low iou, sinet-cod, epoch 98/120",
            id="a rule of the user's own that says nothing",
        ),
    ],
)  # fmt: skip
def test_a_title_says_how_bad_what_which_run_and_where(item: News, expected: str) -> None:
    """The title of one alert: severity, symptom with its number, run, place."""
    assert title(item) == expected
    assert len(expected) <= 60


def test_every_rule_is_worded() -> None:
    """No rule is without words of its own, and no words are for a rule that is gone."""
    assert set(WORDINGS) == set(rule_types())


def test_the_words_of_every_rule_fit_what_it_really_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each template can be filled from an alert that the rule's own scenarios raise, and the titles fit a phone."""
    raised = list(_raised_by_scenarios(monkeypatch))
    assert {item.alert.rule for item in raised} == set(WORDINGS)
    assert max((len(title(item)), title(item)) for item in raised)[0] <= 60
    never = [
        (rule, template)
        for rule, wording in WORDINGS.items()
        for templates in wording
        for template in templates
        if not any(render._filled((template,), _facts(item)) for item in raised if item.alert.rule == rule)
    ]
    assert [item for item in never if item[1]] == []


def _facts(item: News) -> dict[str, str]:
    return render._facts(item, HOST)


def _raised_by_scenarios(monkeypatch: pytest.MonkeyPatch) -> Iterator[News]:
    """Play every scenario; yield each alert that a rule raises in its own, as it stood at any time."""
    raised: list[News] = []

    class Recording(LogPipeline):
        """A pipeline that puts aside what fires."""

        def tick(self, *args: Any, **more: Any) -> Iterator[Any]:
            yield from super().tick(*args, **more)
            raised.extend(_news_of(alert) for alert in self.open)

    monkeypatch.setattr(scenarios, "LogPipeline", Recording)
    for path in sorted(SCENARIOS.glob("*.toml")):
        for scenario in scenarios.load_scenarios(path):
            assert list(scenarios.run_scenario(scenario, Config(), path.name)) == []
        yield from [item for item in raised if item.alert.rule == path.stem]
        raised.clear()


def _news_of(alert: Alert) -> News:
    facts = AlertFacts(
        "id", alert.rule, alert.severity, alert.state, alert.message, NOON, alert.epoch, alert.batch, alert.offset,
        alert.line, dict(alert.evidence),
    )  # fmt: skip
    return News(facts, run_facts("/data/resnet50-imagenet-lr3e-4-s1.log"), ("first",))


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            over("stall", evidence={"silence_seconds": 1140}, log="/d/seg-hrnet.log"),
            "OK again, seg-hrnet, was silent 19 min", id="it goes on",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 73}),
            "OK again, unet-iou-v3, after 73 NaN losses", id="after NaN",
        ),
        pytest.param(
            over("stall", evidence={"silence_seconds": 1140}, run={"status": "crashed"}),
            "OVER silent 19 min, unet-iou-v3, run crashed", id="the run is dead",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 3}, reasons=("first", "resolved")),
            "OVER 3 NaN losses, unet-iou-v3, lasted 12 min", id="it began and ended",
        ),
        pytest.param(
            over("nan_burst", evidence={"nan_batches": 3}, reasons=("first", "resolved"), started_at=None),
            "OVER 3 NaN losses, unet-iou-v3, epoch 4/50", id="nobody knows when it began",
        ),
        pytest.param(
            news("stall", evidence={"silence_seconds": 14400}, reasons=("repeated",)),
            "CRIT still silent 4 h, unet-iou-v3, epoch 4/50", id="it goes on firing",
        ),
        pytest.param(
            news(epoch=None, batch=1200, evidence={"nan_batches": 3}), "CRIT 3 NaN losses, unet-iou-v3, step 1,200",
            id="a run without epochs",
        ),
    ],
)  # fmt: skip
def test_a_title_says_whether_it_is_over(item: News, expected: str) -> None:
    """`OK again` only where the run goes on; `still` where it was told before."""
    assert title(item) == expected


def test_the_worst_of_several_alerts_of_a_run_comes_first() -> None:
    """One alert makes the title, and the others are counted."""
    items = [
        news("vram_jump", severity="warning", evidence={"change_gb": 0.51}),
        news("grad_skip", evidence={"grad_skips": 61}),
        news("nan_burst", evidence={"nan_batches": 73}),
    ]
    assert title(*items) == "CRIT 73 NaN losses, unet-iou-v3, epoch 4/50, +2 more"


@pytest.mark.parametrize(
    ("logs", "where"),
    [
        pytest.param([f"/data/sweep-17/lr{n}e-4.log" for n in range(20)], "sweep-17, gpu-a3", id="one folder"),
        pytest.param([f"/d/sweep-17/lr{n}e-4/train.log" for n in range(20)], "sweep-17, gpu-a3", id="folders in one"),
        pytest.param([f"/logs/vit-s-seed{n}.log" for n in range(20)], "vit-s-seed*, gpu-a3", id="names alike"),
        pytest.param([f"/logs/{n}-vit.log" for n in range(20)], "0-vit +19, gpu-a3", id="nothing in common"),
    ],
)
def test_many_runs_are_named_by_what_they_have_in_common(logs: list[str], where: str) -> None:
    """Many runs with one rule are one title, with their count and the part of the names that they share."""
    assert title(*(news("oom", log=log) for log in logs)) == f"CRIT 20 runs failed: oom, {where}"


def test_what_all_crashed_of_is_named() -> None:
    """The error stands in the title of a group where it is the same in all."""
    items = [
        news("crash", log=f"/d/sweep-17/lr{n}.log", message="crashed: OSError: No space left on device")
        for n in range(3)
    ]
    assert title(*items) == "CRIT 3 runs crashed: OSError, sweep-17, gpu-a3"
    items[0] = news("crash", log="/d/sweep-17/lr0.log", message="crashed: ValueError: x")
    assert title(*items) == "CRIT 3 runs crashed, sweep-17, gpu-a3"


def test_a_digest_counts() -> None:
    """Many runs with many rules are told by how many are how bad."""
    items = [news("stall", log=f"/d/{n}.log") for n in range(3)]
    items += [news("vram_jump", severity="warning", log=f"/d/{n}.log") for n in range(5)]
    items += [over("nan_burst", log=f"/d/{n}.log") for n in (6, 7)]
    assert title(*items) == "3 critical, 5 warnings, 2 over: 7 runs, gpu-a3"


def test_two_alerts_of_two_runs_are_no_digest() -> None:
    """Of a few alerts the worst is told all the same."""
    items = [news("vram_jump", severity="warning", log="/d/a-run.log"), news("oom", log="/d/b-run.log")]
    assert title(*items) == "CRIT out of memory, b-run, epoch 4/50, +1 more"


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("/data/unet-iou-v3.log", "unet-iou-v3"),
        ("/data/unet-iou-v3.out", "unet-iou-v3"),
        ("/data/unet.v3", "unet.v3"),
        ("/data/unet-iou-v3/train.log", "unet-iou-v3/train"),
        ("/data/unet-iou-v3/logs/output.log", "unet-iou-v3/output"),
        ("/data/unet/slurm-123.out", "unet/slurm-123"),
        ("/data/unet/nohup.out", "unet/nohup"),
        ("/data/unet/log.txt", "unet/log"),
        ("/data/unet/stdout.log", "unet/stdout"),
        ("train.log", "train"),
        ("-", "stdin"),
    ],
)
def test_a_run_is_called_as_people_call_it(log: str, name: str) -> None:
    """The log's name without its suffix; with the folder's where every run's log is called so."""
    assert short_name(run_facts(log)) == name
    assert short_name(run_facts(log, id=f"{log}#2")) == f"{name}#2"


def test_a_long_name_loses_its_middle() -> None:
    """Both ends of a name tell runs apart, and no number is cut in two."""
    log = "/d/resnet50-imagenet-augmix-2048px-cosine-lr0.00025-seed42.log"
    burst, recovered = news(log=log, evidence={"nan_batches": 73}), news("oom_recovered", severity="warning", log=log)
    assert title(burst) == "CRIT 73 NaN losses, resnet50-imag…0.00025-seed42, epoch 4/50"
    assert title(recovered) == "WARN out of memory, recovered, resnet50…-seed42, epoch 4/50"


# -- bodies


def test_the_body_of_a_burst() -> None:
    """One alert: what it says, what to do, the evidence, the place and time, and where the run stands."""
    item = news(
        "nan_burst",
        message="73 NaN of 1,420 batches (5.14 %) since batch 32 of epoch 4, about 2,116 by its end",
        evidence={"nan_batches": 73, "batches_seen": 1420, "onset_batch": 32, "tightest_span": 3, "projected": None},
        reasons=("escalated",),
        run={"losses": {"box_loss": float("nan"), "cls_loss": 0.5}, "nan_batches": 73, "grad_skips": 72},
    )
    assert (
        compose(item).body
        == """\
Now critical: 73 NaN of 1,420 batches (5.14 %) since batch 32 of epoch
4, about 2,116 by its end
Do     Epoch 3 was clean: resume from its checkpoint.
Evidence
  nan_batches    73
  batches_seen   1,420
  onset_batch    32
  tightest_span  3
At     epoch 4, batch 32, log line 1,203, byte 8,812,345
Since  2026-11-23 12:00:00 UTC
Quiet  nanwatch daemon ack 0a1b2c3d4e5f
Run    unet-iou-v3: running, epoch 4/50, batch 1,420/41,163
       12.4 it/s, ETA 43 h
       box_loss nan, cls_loss 0.5
       73 NaN batches, 72 steps skipped, VRAM 4.71 G
       mAP50-95 0.6413, best 0.6413 (epoch 3)
Clean  epoch 3 was the last without NaN
Grew   2026-11-23 12:00:00 UTC, 60 s ago
Log    /data/unet-iou-v3.log
Look   nanwatch summary /data/unet-iou-v3.log

Host   gpu-a3"""
    )


def test_the_body_of_a_stall_that_goes_on() -> None:
    """What is told again says for how long; a start that nobody saw is not made up."""
    item = news(
        "stall",
        message="alive, pid 48121, 100 % CPU, silent for 4 h at 30 % of epoch 4",
        evidence={"silence_seconds": 14400, "pid": 48121, "cpu_percent": 100},
        batch=None,
        line=None,
        reasons=("repeated",),
        started_at=None,
        run={"status": "stalled", "updated_at": NOON - 14400, "vram_gb": None},
    )
    assert (
        compose(item, now=NOON + 14400).body
        == """\
Still firing, for 4 h: alive, pid 48121, 100 % CPU, silent for 4 h at
30 % of epoch 4
Do     Look at process 48121 on gpu-a3.
Evidence
  silence_seconds  14,400
  pid              48121
  cpu_percent      100
At     epoch 4, byte 8,812,345
Since  while nanwatch was not watching; seen 2026-11-23 12:00:00 UTC
Quiet  nanwatch daemon ack 0a1b2c3d4e5f
Run    unet-iou-v3: stalled, epoch 4/50, batch 1,420/41,163
       box_loss 0.3127
       no NaN
       mAP50-95 0.6413, best 0.6413 (epoch 3)
Grew   2026-11-23 08:00:00 UTC, 8 h ago
Log    /data/unet-iou-v3.log
Look   nanwatch summary /data/unet-iou-v3.log

Host   gpu-a3"""
    )


def test_the_body_of_what_began_and_ended() -> None:
    """An alert that is over says so first, asks for nothing, and cannot be acknowledged."""
    item = over("nan_burst", message="3 NaN batches since epoch 4", reasons=("first", "resolved"))
    told = compose(item)
    assert told.kind == "resolved"
    assert (
        told.body
        == """\
Began and ended, over after 12 min: 3 NaN batches since epoch 4
Do     Nothing to do.
At     epoch 4, batch 32, log line 1,203, byte 8,812,345
Since  2026-11-23 11:48:00 UTC, until 2026-11-23 12:00:00 UTC
Run    unet-iou-v3: running, epoch 4/50, batch 1,420/41,163
       12.4 it/s, ETA 43 h
       box_loss 0.3127
       no NaN, VRAM 4.71 G
       mAP50-95 0.6413, best 0.6413 (epoch 3)
Clean  epoch 3 was the last without NaN
Grew   2026-11-23 12:00:00 UTC, 60 s ago
Log    /data/unet-iou-v3.log
Look   nanwatch summary /data/unet-iou-v3.log

Host   gpu-a3"""
    )


def test_the_body_of_two_alerts_of_a_run() -> None:
    """Each alert stands for itself; where their run stands is told once."""
    first = news("nan_burst", message="73 NaN of 1,420 batches", evidence={"nan_batches": 73})
    items = (news("vram_jump", severity="warning", message="VRAM 4.2 -> 4.71 G", id="ffff"), first)
    body = compose(*items).body
    assert body.startswith("""\
CRIT: 73 NaN of 1,420 batches
Do     Epoch 3 was clean: resume from its checkpoint.
""")
    assert "\n\nWARN: VRAM 4.2 -> 4.71 G\nDo     Look what changed there; watch how much memory is left.\n" in body
    assert body.count("Run    ") == 1


def test_the_body_of_twenty_failures() -> None:
    """The shared part comes first: how many, five names, when it began; then ten in full, and the others as a count."""
    items = [
        news(
            "oom",
            log=f"/data/sweep-17/lr{n}.log",
            message="out of memory ended the run",
            started_at=NOON - n,
            id=f"{n}",
        )
        for n in range(20)
    ]
    body = compose(*items).body
    assert body.startswith("""\
20 runs on gpu-a3: lr0, lr1, lr2, lr3, lr4, and 15 more; 20 critical.
First  lr19, 2026-11-23 11:59:41 UTC

CRIT lr0: out of memory ended the run
Do     Take a smaller batch, or free memory on gpu-a3; then resume.
At     epoch 4, batch 32, log line 1,203, byte 8,812,345
Since  2026-11-23 12:00:00 UTC
Quiet  nanwatch daemon ack 0
Run    lr0: running, epoch 4/50, batch 1,420/41,163
""")
    assert body.endswith("""
Look   nanwatch summary /data/sweep-17/lr9.log

and 10 more: 10 critical

Host   gpu-a3""")


def test_lines_fit_an_email() -> None:
    """No line of a usual message is wider than 72 columns."""
    item = news("oom", message="out of memory ended the run: torch.OutOfMemoryError: CUDA out of memory. " * 4)
    assert max(map(len, compose(item).body.splitlines())) <= 72


def test_the_first_characters_say_it() -> None:
    """What a phone shows of the body holds whether it is over and what was said."""
    item = over("stall", message="alive, pid 48121, silent for 22 minutes at 30 % of epoch 4")
    assert " ".join(compose(item).body[:120].split()).startswith(
        "Over after 12 min: alive, pid 48121, silent for 22 minutes at 30 % of epoch 4"
    )


@pytest.mark.parametrize(
    ("item", "to_do"),
    [
        (news("nan_burst", run={"last_clean_epoch": None}), "No complete epoch was seen to be clean."),
        (news("stall"), "Look at its process on gpu-a3."),
        (news("crash"), "Read the error at line 1,203 of the log; then resume."),
        (
            news("checkpoint_unsaved", evidence={"last_saved_epoch": 2}),
            "Until it saves again, a crash throws it back to",
        ),
        (news("low_iou"), "low_iou is a rule of your own."),
        (news("finished", severity="info"), "Nothing to do."),
    ],
)
def test_what_to_do_promises_nothing_that_the_log_does_not_tell(item: News, to_do: str) -> None:
    """One line of advice, of what is known only."""
    assert f"\nDo     {to_do}" in compose(item).body


@pytest.mark.parametrize(
    ("log", "pasted"),
    [
        ("/data/unet.log", "/data/unet.log"),
        ("/data/my runs/unet.log", "'/data/my runs/unet.log'"),
        ("/data/@here/unet.log", "'/data/?here/unet.log'"),
        ("/data/`id`/$(id).log", "'/data/?id?/??id?.log'"),
        ("/data/a\u202eb.log", "'/data/a?b.log'"),
    ],
)
def test_a_line_can_be_pasted(log: str, pasted: str) -> None:
    """The command names the log as a shell takes it, and runs nothing that a name says."""
    assert f"\nLook   nanwatch summary {pasted}\n" in compose(news(log=log)).body


def test_a_test_message_says_that_it_is_one() -> None:
    """A test names the receiver and the host, and asks for nothing."""
    told = render.test_message("phone", HOST, NOON, "t1")
    assert (told.kind, told.severity, told.key, told.news) == ("test", "info", "t1", ())
    assert told.title == "TEST of receiver, phone, gpu-a3"
    assert (
        told.body
        == """\
This is a test of the receiver phone, sent by nanwatch on gpu-a3.
Nothing to do.
Sent   2026-11-23 12:00:00 UTC"""
    )


def test_the_severity_is_that_of_what_still_fires() -> None:
    """What is over does not make a message more urgent, unless all of it is over."""
    items = (over("nan_burst"), news("vram_jump", severity="warning"))
    assert (compose(*items).severity, compose(*items).kind) == ("warning", "firing")
    assert (compose(over("nan_burst")).severity, compose(over("nan_burst")).kind) == ("critical", "resolved")


def test_nothing_can_be_told() -> None:
    """A message of no news says so."""
    told = compose()
    assert (told.title, told.body, told.severity) == ("Nothing fires, gpu-a3", "Nothing fires.\nHost   gpu-a3", "info")


# -- hostile text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc\x00d", "a b cd"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("evil\u202egol.exe\u2066", "evilgol.exe"),
        ("@everyone", "@\u2060everyone"),
        ("<!channel> <@U1>", "<\u2060!channel> <\u2060@\u2060U1>"),
        ("[a](http://b)", "[a]\u2060(http://b)"),
        ("`code`", "'code'"),
        ("||hidden||", "|\u2060|hidden|\u2060|"),
        ("loss < 0.5 | IoU: 0.6 [12/50]", "loss < 0.5 | IoU: 0.6 [12/50]"),
        ("z" + "\u0301" * 9, "z\u0301\u0301"),
        ("损失 naïve", "损失 naïve"),
    ],
)
def test_inert_text_is_readable_and_dead(text: str, expected: str) -> None:
    """Controls, bidi overrides, mentions, links and code are harmless; what is harmless stays as it was."""
    assert inert(text) == expected
    assert inert(expected) == expected


def test_inert_text_has_an_end() -> None:
    """A field is cut, and shows that it was."""
    assert inert("x" * 5000, 10) == "xxxxxxxxx…"


TEXT = st.one_of(
    st.text(st.characters(), max_size=80),
    st.lists(
        st.sampled_from([
            "@everyone", "@here", "<!channel>", "<@U1>", "](", "`", "||", "\n", "\r", "\x1b[2J", "{0}", "#2", "\u202e",
            "\u2067", "\x00", "\u2060", " ", "a/b", "1.5", "Error", "x" * 700, "@" * 300, "\ud800",
        ]),
        max_size=12,
    ).map("".join),
)  # fmt: skip
EVIDENCE = st.dictionaries(
    st.one_of(
        TEXT, st.sampled_from(["metric", "value", "best", "nan_batches", "silence_seconds", "pid", "from", "to"])
    ),
    st.one_of(TEXT, st.none(), st.integers(), st.floats()),
    max_size=15,
)
NUMBER = st.one_of(st.none(), st.floats())


@st.composite
def _news(draw: st.DrawFn) -> News:
    made = news(
        draw(st.one_of(st.sampled_from(sorted(WORDINGS)), TEXT)),
        log=draw(TEXT),
        run={
            "status": draw(st.sampled_from(get_args(Status))),
            "losses": draw(st.dictionaries(TEXT, st.floats(), max_size=6)),
            "primary_metric": draw(TEXT),
            "best_value": draw(NUMBER),
            "rate": draw(NUMBER),
            "eta_seconds": draw(NUMBER),
            "updated_at": draw(NUMBER),
            "epoch": draw(st.one_of(st.none(), st.integers())),
        },
        reasons=tuple(draw(st.lists(st.sampled_from(get_args(Reason)), min_size=1, max_size=2, unique=True))),
        message=draw(TEXT),
        severity=draw(st.sampled_from(SEVERITIES)),
        state=draw(st.sampled_from(["firing", "resolved"])),
        evidence=draw(EVIDENCE),
        started_at=draw(NUMBER),
        resolved_at=draw(NUMBER),
    )
    return replace(made, alert=replace(made.alert, epoch=draw(st.one_of(st.none(), st.integers()))))


@repeatable
@given(items=st.lists(_news(), max_size=14), host=TEXT)
def test_no_text_is_obeyed_by_anybody(items: list[News], host: str) -> None:
    """Whatever logs say: one line of title, a bounded body, no control, no mention, no link."""
    told = render.compose(items, key="k", host=host, now=NOON)
    assert len(told.title) <= 120
    assert told.title.isprintable() or told.title.replace("\u2060", "").isprintable()
    assert len(told.body.encode()) <= 8192
    for line in told.body.split("\n"):
        assert line.replace("\u2060", "").isprintable()
    for text in (told.title, told.body):
        for live in ("@everyone", "@here", "<!channel>", "<@", "](", "`", "||"):
            assert live not in text


@repeatable
@given(text=TEXT)
def test_what_is_inert_stays_so(text: str) -> None:
    """Twice inert is once inert."""
    assert inert(inert(text), 1200) == inert(text)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_severity_has_its_word(severity: Severity) -> None:
    """The first word of a title is how bad it is."""
    assert (
        title(news(severity=severity)).split()[0] == {"critical": "CRIT", "warning": "WARN", "info": "INFO"}[severity]
    )
