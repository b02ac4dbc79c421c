"""The body of a message: what fires, what to do, the evidence, and where the runs stand."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nanwatch.model.alert import Severity
from nanwatch.model.news import News, WeightsFacts
from nanwatch.notify import render
from nanwatch.notify.wording import WORDINGS
from tests.notify.composing import HOST, compose, over
from tests.notify.making import NOON, news


def advice(item: News) -> str:
    """Return what the body of *item* says that is to be done."""
    _, _, rest = compose(item).body.partition("\nDo     ")
    return " ".join(re.split(r"\n(?! )", rest)[0].split())


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let local time be UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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
  three NaN within  3 batches
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
        evidence={"silence_seconds": 14400, "pid": 48121, "cpu_percent": 100, "longest_silence_seconds": 84.2},
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
  longest healthy silence  84 s
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
    """What nobody was told of says first that it is over, what there is to do even so, and asks for no answer."""
    item = over("nan_burst", message="3 NaN batches since epoch 4", reasons=("first", "resolved"))
    assert (
        compose(item).body
        == """\
Began and ended, over after 12 min: 3 NaN batches since epoch 4
Do     Epoch 3 was clean: resume from its checkpoint.
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
Do     Take a smaller batch, or free memory on gpu-a3; then resume.
First  lr19, 2026-11-23 11:59:41 UTC

CRIT lr0: out of memory ended the run
At     epoch 4, batch 32, log line 1,203, byte 8,812,345
Since  2026-11-23 12:00:00 UTC
Quiet  nanwatch daemon ack 0
Run    lr0: running, epoch 4/50, batch 1,420/41,163
""")
    assert body.endswith("""
Look   nanwatch summary /data/sweep-17/lr9.log

and 10 more: 10 critical

Host   gpu-a3""")


def crashes(**run: Any) -> list[News]:
    """Return that three runs crashed, each at another line of its log; *run* are fields of the last run."""
    items = [news("crash", log=f"/d/lr{n}.log", message="crashed: OSError: x", line=n + 7) for n in range(3)]
    return [*items[:2], news("crash", log="/d/lr2.log", message="crashed: OSError: x", line=9, run=run)]


@pytest.mark.parametrize(
    ("items", "advice"),
    [
        (crashes(), "Do     Read the error in each log; then resume."),
        (crashes(epoch=None, step=None), "Do     Read the error in each log."),
        (
            [news("nan_burst", log=f"/d/{n}.log", run={"last_clean_epoch": n}) for n in range(3)],
            "Do     Resume each from the checkpoint of a clean epoch, where one is\n       told below.",
        ),
        ([over("stall", log=f"/d/{n}.log") for n in range(3)], "Do     Nothing to do."),
    ],
)
def test_advice_for_several_runs_is_told_once(items: list[News], advice: str) -> None:
    """The same alert of several runs has one advice above all of them, in words that hold for each."""
    body = compose(*items).body
    assert body.count("\nDo  ") == 1
    assert body.split("\n", 1)[1].startswith(f"{advice}\nFirst")


@pytest.mark.parametrize(
    "items",
    [
        crashes(status="finished"),
        [news("oom", log="/d/1.log"), news("stall", log="/d/2.log", evidence={"pid": 1})],
        [news("loss_explosion", log="/d/1.log"), over("loss_explosion", log="/d/2.log")],
    ],
)
def test_advice_that_differs_stands_with_each_run(items: list[News]) -> None:
    """What is to be done about one run but not about another stands with each."""
    body = compose(*items).body
    assert body.count("\nDo  ") == len(items)
    assert body.index("First  ") < body.index("Do  ")


def evidence_of(item: News) -> list[str]:
    """Return the lines of the evidence in the body of *item*."""
    _, _, rest = compose(item).body.partition("\nEvidence\n")
    return [" ".join(line.split()) for line in rest.split("\nAt ")[0].splitlines()]


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ({"longest_streak": 12, "by_scaler": 0, "times": 1, "batches_seen": 0}, ["most in a row 12"]),
        ({"tightest_span": 1, "batches": 1, "epochs": 2}, ["three NaN within 1 batch", "batches 1", "epochs 2"]),
        ({"percent_of_best": 88.4321, "cpu_percent": 3.456}, ["worse than its best by 88 %", "CPU use 3.5 %"]),
        ({"rate": 4.12345, "usual_rate": 0.512345}, ["speed 4.12 it/s", "usual speed 1.95 s/it"]),
        ({"rate": 81234.5, "usual_rate": 12.0}, ["usual speed 12 it/s"]),
        ({"patience_seconds": 7200, "longest_silence_seconds": 0.4, "held_open": 1}, ["told after a silence of 2 h"]),
        ({"pid": 48121, "exit_code": 1, "kind": "exception"}, ["process 48121", "exit code 1"]),
        ({"peak_gb": 4.71234, "progress": 0.3}, ["peak 4.71 G", "done 30 %"]),
        ({"my_own_value": 0.123456, "name": "a_b"}, ["my own value 0.1235", "name a_b"]),
        ({"rate": "fast", "silence": "long", "peak_gb": "much", "progress": "far", "times": "often",
          "tightest_span": "few"},
         ["speed fast", "silent for long", "peak much", "done far", "how often often",
          "three NaN within few"]),
        ({"cpu_percent": float("nan"), "rate": float("inf")}, ["CPU use nan"]),
    ],
)  # fmt: skip
def test_evidence_is_in_words(evidence: dict[str, float | int | str | None], told: list[str]) -> None:
    """Names are words, numbers are rounded and have units, and what is absurd or only for programs is left out."""
    assert evidence_of(news("low_iou", message="so it is", evidence=evidence)) == told


@pytest.mark.parametrize(
    ("message", "evidence", "told"),
    [
        ("IoU 0.7104 -> 0.6600 (best 0.71)", {"metric": "IoU", "from": 0.7104, "to": 0.66, "best": 0.71}, []),
        ("73 NaN of 1,420 batches", {"batches_seen": 1420, "onset_batch": 142}, ["first at batch 142"]),
        ("silent for 22 minutes", {"silence_seconds": 1320}, []),
        ("silent for 3 h 25 min", {"silence_seconds": 12_300, "eta": 10_800}, ["time left 3 h"]),
        ("VRAM 4.2 -> 4.71 G (+0.51 G)", {"peak_gb": 4.71, "usual_gb": 4.2, "change_gb": 0.5101}, []),
        ("12.4 -> 4.1 batches/s", {"usual_rate": 12.3987, "rate": 4.1021}, []),
        ("3 NaN batches since epoch 3", {"tightest_span": 3}, ["three NaN within 3 batches"]),
        ("5 -> 2 batches/s for 600 batches", {"batches": 600}, []),
        ("loss 0.2 -> 15.3 in epoch 2", {"batches": 10, "epochs": 2}, ["batches 10"]),
        ("crashed in epoch 2: exit code 1", {"exit_code": 1}, []),
        ("crashed in epoch 1", {"exit_code": 1}, ["exit code 1"]),
        ("pid 48121 (python3) has exited", {"pid": 48121, "command": "python"}, ["its command python"]),
    ],
)
def test_evidence_does_not_repeat_the_message(
    message: str, evidence: dict[str, float | int | str | None], told: list[str]
) -> None:
    """What the message says stands in it only, however it is rounded there."""
    assert evidence_of(news("low_iou", message=message, evidence=evidence)) == told


def test_an_absurd_rate_is_told_nowhere() -> None:
    """A log that was written at once has neither a speed nor a time of arrival."""
    body = compose(news("slowdown", evidence={"usual_rate": 12.4, "rate": 2e6}, run={"rate": 81_234.0})).body
    assert "it/s\nAt" in body
    assert body.count("it/s") == 1
    assert "ETA" not in body


@pytest.mark.parametrize(
    ("item", "to_do"),
    [
        (over("nan_burst", reasons=("first", "resolved")), "Epoch 3 was clean: resume from its checkpoint."),
        (over("stall", reasons=("first", "resolved")), "Should it come again: look what else ran on gpu-a3."),
        (over("crash", reasons=("first", "resolved")), "Read the error at line 1,203 of the log."),
        (
            over("oom", reasons=("first", "resolved"), run={"status": "finished"}),
            "Nothing to do: the run has finished.",
        ),
        (over("plateau", severity="info", reasons=("first", "resolved")), "Nothing to do."),
        (over("nan_burst", reasons=("resolved",)), "Nothing to do."),
        (over("nan_burst", reasons=("escalated", "resolved")), "Nothing to do."),
    ],
)
def test_what_nobody_was_told_of_has_advice_though_it_is_over(item: News, to_do: str) -> None:
    """Only what people were told of before needs nothing more once it is over."""
    assert advice(item) == to_do


def test_where_a_run_stands_is_told_whatever_finds_no_room() -> None:
    """The lines of a run follow its alerts that are shown, though others of them are only counted."""
    first, second = "/data/first.log", "/data/second.log"
    long = {f"name_{n}": "x" * 200 for n in range(12)}
    items = [news("oom", log=first), *(news("stall", log=second, evidence=long, id=f"{n}") for n in range(4))]
    body = compose(*items).body
    assert body.index("nanwatch daemon ack 1") < body.index("Look   nanwatch summary /data/second.log")
    assert "nanwatch daemon ack 3" not in body
    assert [body.count(f"\n{label}") for label in ("Run  ", "Log  ", "Look ")] == [2, 2, 2]
    assert "\n\nand 2 more: 2 critical\n\nHost" in body


def test_an_alert_too_long_for_a_message_loses_its_evidence_only() -> None:
    """Where it began, how to quiet it and where its run stands stay."""
    item = news("stall", evidence={f"name_{n}": "\N{FIRE}" * 200 for n in range(12)})
    body = compose(item).body
    labels = ("At", "Since", "Quiet", "Run", "Grew", "Log", "Look", "Host")
    assert [body.count(f"\n{label} ") for label in labels] == [1] * len(labels)
    assert " more lines\nAt " in body
    assert len(body.encode()) <= 8000


def test_the_last_clean_epoch_is_told_for_any_alert_about_nan() -> None:
    """It is told with the run, though the last alert of it is about something else."""
    assert "\nClean  epoch 3" in compose(news("nan_burst"), news("vram_jump", severity="warning")).body
    assert "\nClean  epoch 3" not in compose(news("vram_jump", severity="warning")).body


LAST_CLEAN = WeightsFacts("/r/weights", "/r/weights/epoch 3.pt", 3, NOON, ("last.pt: 1,204 NaN",), scanned_at=NOON)


def test_the_last_clean_checkpoint_is_told_in_one_piece() -> None:
    """Who is woken at night learns what to resume from, and what is wrong with the newer checkpoints."""
    body = compose(news("nan_burst", run={"weights": LAST_CLEAN})).body
    assert "\nDo     Resume from epoch 3.pt, the last clean checkpoint.\n" in body
    assert "\nResume /r/weights/epoch 3.pt\n       the last clean checkpoint, epoch 3, written " in body
    assert "newer ones: last.pt: 1,204 NaN" in " ".join(body.split())


def test_that_no_checkpoint_is_clean_is_told_too() -> None:
    """Then it says where it looked, and what it found there; or why it could not."""
    found = replace(LAST_CLEAN, last_clean="", epoch=None)
    assert (
        "\nResume no clean checkpoint in /r/weights\n       last.pt: 1,204 NaN\n"
        in compose(news("nan_burst", run={"weights": found})).body
    )
    slow = WeightsFacts("", problem="looking through its checkpoints took too long")
    assert (
        "\nResume looking through its checkpoints took too long\n" in compose(news("crash", run={"weights": slow})).body
    )


def test_a_hostile_checkpoint_is_told_inertly() -> None:
    """The names of files obey the same rules as the names of logs."""
    evil = replace(LAST_CLEAN, last_clean="/r/@everyone\x1b[2J\n[a](b).pt", worse=("<!channel>: 3 NaN",))
    body = compose(news("nan_burst", run={"weights": evil})).body
    assert "\x1b" not in body
    assert "@everyone" not in body
    assert "<!channel>" not in body
    assert "](b)" not in body


def test_a_run_is_told_as_it_stood_last() -> None:
    """Alerts of one run may have been noted at different times: the latest one knows best where it stands."""
    later = news("nan_burst", run={"batch": 2000, "updated_at": NOON + 30})
    body = compose(later, news("vram_jump", severity="warning")).body
    assert "\nRun    unet-iou-v3: running, epoch 4/50, batch 2,000/41,163\n" in body


def test_only_the_first_word_of_an_alert_is_capital() -> None:
    """Behind how bad it is, the sentence goes on."""
    items = [news("stall", message="silent", reasons=("repeated",)), news("vram_jump", severity="warning")]
    assert compose(*items).body.startswith("CRIT: still firing, for 60 s: silent\n")


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
        (
            news(
                "nan_burst", epoch=None, evidence={"onset_batch": 1200}, run={"epoch": None, "last_clean_epoch": None}
            ),
            "It began at step 1,200: resume from a checkpoint before that.",
        ),
        (news("loss_explosion"), "If it stays there, resume from before epoch 4."),
        (news("loss_explosion", epoch=None, batch=1200), "If it stays there, resume from before step 1,200."),
        (
            news("metric_collapse", evidence={"best_epoch": 3}),
            "The checkpoint of epoch 3, the best so far, is the one to keep.",
        ),
        (
            news("metric_collapse", epoch=None, batch=9000, evidence={"best_epoch": 7500}, run={"epoch": None}),
            "The checkpoint of step 7,500, the best so far, is the one to keep.",
        ),
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
    assert to_do in advice(item)


@pytest.mark.parametrize(
    ("log", "pasted"),
    [
        ("/data/unet.log", "/data/unet.log"),
        ("/data/my runs/unet.log", "'/data/my runs/unet.log'"),
        ("/data/@here/unet.log", "'/data/?here/unet.log'"),
        ("/data/`id`/$(id).log", "'/data/?id?/??id?.log'"),
        ("/data/a\u202eb.log", "'/data/a?b.log'"),
        ("-v.log", "./-v.log"),
        ("--check", "./--check"),
        ("runs/-v.log", "runs/-v.log"),
    ],
)
def test_a_line_can_be_pasted(log: str, pasted: str) -> None:
    """The command names the log as a shell takes it, and runs nothing that a name says."""
    assert f"\nLook   nanwatch summary {pasted}\n" in compose(news(log=log)).body


def test_a_run_that_has_not_begun_is_told_without_what_is_not_known() -> None:
    """Before the first loss nobody can say that there is no NaN, nor is there anything to resume."""
    blank: dict[str, Any] = {"epoch": None, "batch": None, "losses": {}, "primary_metric": None, "vram_gb": None}
    item = news("crash", epoch=None, batch=None, run={"status": "failed", **blank})
    assert advice(item) == "Read the error at line 1,203 of the log; then start again."
    assert "\nRun    unet-iou-v3: failed\nGrew" in compose(item).body


def test_a_loss_is_told_once() -> None:
    """A run that is judged by its loss tells it again only with the best one."""
    run = {"losses": {"loss": float("nan")}, "primary_metric": "loss", "primary_value": float("nan")}
    assert compose(news(run={**run, "best_value": None, "best_epoch": None})).body.count("loss nan\n") == 1
    assert "\n       loss nan, best 0.3 (epoch 3)\n" in compose(news(run={**run, "best_value": 0.3})).body


@pytest.mark.parametrize("log", ["-", ""])
def test_what_has_no_path_cannot_be_looked_at(log: str) -> None:
    """Standard input is named, and no command is offered that would wait for it."""
    body = compose(news(log=log)).body
    assert "\nRun    stdin: running" in body
    assert "\nLog    standard input\n" in body
    assert "Look " not in body


@pytest.mark.parametrize("rule", [*WORDINGS, "low_iou"])
@pytest.mark.parametrize("epoch", [4, None])
@pytest.mark.parametrize("evidence", [{}, {"pid": 48121, "last_saved_epoch": 3, "onset_batch": 7, "best_epoch": 3}])
def test_a_run_that_has_finished_is_not_to_be_resumed_or_stopped(
    rule: str, epoch: int | None, evidence: dict[str, float | int | str | None]
) -> None:
    """What still fires when the training is done asks for nothing that only a run under way can be given."""
    severity: Severity = "info" if rule == "finished" else "warning"
    for clean in (3, None):
        item = news(
            rule,
            severity=severity,
            epoch=epoch,
            evidence=evidence,
            run={"status": "finished", "last_clean_epoch": clean},
        )
        assert not re.search(
            r"(?i)resume|start again|stop|kill|shorten|more time|process|until|on gpu-a3", advice(item)
        )


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
