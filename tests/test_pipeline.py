"""The whole core, from bytes to alerts: nothing depends on the cutting, on shortcuts, or on a restart."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.config import Config, CustomRule, Hold, Life, Rules, VramJump
from nanwatch.framing import SAMPLED
from nanwatch.model.alert import Alert
from nanwatch.model.event import BatchDone, EpochDone
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.pipeline import LogPipeline, dump_state, load_state
from tests.support.logs import alerts, capture, cod_story, facts_of, lines, outcome, pieces, read, told, yolo_story
from tests.support.repeatable import repeatable

SAMPLES = [
    "yolo",
    "cod",
    "ultralytics/v8n_8.3.100_redirect_gradguard",
    "ultralytics/v8n_8.3.235_tee_nan_recovers",
    "ultralytics/v8n_8.4.190_redirect_oom_recovers",
    "ultralytics/v8n_8.2.100_pty120",
    "ultralytics/cls_8.2.100_redirect",
    "ultralytics/seg_8.4.190_redirect",
    "yolov5/yolov5_redirect",
    "custom_cod/cod_nohup_nanburst_buffered",
    "custom_cod/cod_redirect_interrupt_resume",
    "lightning/pl_2.6_redirect_tqdm_nan",
    "lightning/pl_2.6_redirect_rich",
    "hf_trainer/hf_5.23_pty_nan_nofilter",
    "hf_trainer/hf_4.46_tee_killed_resume",
    "keras/keras_3.15_pty_nan",
    "nanogpt/nanogpt_tee_nan",
    "sklearn/sk_mlp_tee_diverges",
    "xgboost/xgb_redirect",
]
BARS = [
    "yolo",
    "cod",
    "ultralytics/v8n_8.3.100_redirect_gradguard",
    "ultralytics/v8n_8.3.235_tee_nan_recovers",
    "ultralytics/v8n_8.4.190_redirect_oom_recovers",
    "yolov5/yolov5_redirect",
    "custom_cod/cod_nohup_nanburst_buffered",
    "lightning/pl_2.6_redirect_tqdm_nan",
]
CUTS = st.lists(st.integers(0, 1 << 40), max_size=12)
LOSS = re.compile(rb"(?<=[ =])\d\.\d\d\d(?=[ ,\]])")
VRAM = re.compile(rb"(?<= )\d\.\d+(?=G )")
few = settings(repeatable, max_examples=6)


def sample(name: str) -> bytes:
    """Return a story or a capture by its name."""
    if name == "yolo":
        return yolo_story(40)[0]
    return cod_story()[0] if name == "cod" else capture(name)


@cache
def truth(name: str) -> list[str]:
    """Return what reading every frame of the whole log at once makes of it."""
    return outcome(read(sample(name), every_event=True))


# -- the same whatever the cutting and the shortcuts


@pytest.mark.parametrize("name", SAMPLES)
@given(cuts=CUTS, every_event=st.booleans(), detail=st.sampled_from([512, 4096, SAMPLED]))
@few
def test_cutting_and_shortcuts_change_nothing(name: str, cuts: list[int], every_event: bool, detail: int) -> None:
    """Runs and alerts are the same whether quiet frames are passed over or not, wherever the bytes are cut."""
    assert outcome(read(sample(name), cuts, every_event=every_event, detail=detail)) == truth(name)


@pytest.mark.parametrize("name", ["yolo", "ultralytics/v8n_8.2.100_pty120", "lightning/pl_2.6_redirect_tqdm_nan"])
@pytest.mark.parametrize("size", [61, 4096])
def test_small_chunks_change_nothing(name: str, size: int) -> None:
    """A log that comes in many small pieces tells the same."""
    data = sample(name)[:120_000]
    assert outcome(read(data, range(0, len(data), size))) == outcome(read(data, every_event=True))


@pytest.mark.parametrize("name", BARS)
@given(data=st.data())
@settings(repeatable, max_examples=8)
def test_one_odd_frame_is_never_missed(name: str, data: st.DataObject) -> None:
    """A single frame with a spike, a NaN or another VRAM figure counts the same with and without shortcuts."""
    log = sample(name)
    pattern, words = data.draw(
        st.sampled_from([(LOSS, (b"99.51", b"  nan", b" 9e+5", b"0.000", b"  inf")), (VRAM, (b"9.99", b"0.01"))])
    )
    places = [found.span() for found in pattern.finditer(log)]
    if not places:
        return
    begin, end = data.draw(st.sampled_from(places))
    word = data.draw(st.sampled_from(words))[: end - begin].rjust(end - begin, b" ")
    changed = log[:begin] + word + log[end:]
    cuts = data.draw(CUTS)
    assert outcome(read(changed, cuts)) == outcome(read(changed, every_event=True))


def test_one_nan_among_quiet_frames_is_told() -> None:
    """One frame that shows NaN, amid an epoch that is passed over, raises the alert at its batch."""
    data = yolo_story(200)[0].split(b"      4/50")[0]
    frame = re.search(rb"\r +2/50 [^\r]*\| 77/200 ", data)
    assert frame is not None
    value = re.compile(rb" \d\.\d+ ").search(data, frame.start() + 25)
    assert value is not None
    changed = data[: value.start()] + b"nan".rjust(len(value[0]) - 1) + b" " + data[value.end() :]
    assert ("nan_loss", "warning", 2, 77) in told(changed)
    pipeline = read(changed)
    assert pipeline.runs[0].nan_onset == (2, 77)
    assert pipeline.frames < read(changed, every_event=True).frames / 2


def test_quiet_frames_are_really_passed_over() -> None:
    """Without --events most frames of a bar are never read."""
    data = yolo_story(400)[0].split(b"      4/50")[0]
    assert read(data).frames * 3 < read(data, every_event=True).frames


# -- put aside and taken up again


def test_curves_have_as_many_points_as_are_asked_for() -> None:
    """Where one frame of every few kilobytes is asked for, so many are read, wherever the bytes are cut."""
    data, _ = yolo_story(2000)
    coarse, fine = read(data).frames, read(data, detail=4096).frames
    assert fine > coarse + len(data) // 4096 * 0.9
    assert fine < read(data, every_event=True).frames / 2
    assert abs(read(data, range(0, len(data), 100_000), detail=4096).frames - fine) < 0.1 * fine


@pytest.mark.parametrize("name", SAMPLES)
@given(cuts=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=3), every_event=st.booleans())
@few
def test_a_restart_in_the_middle_changes_nothing(name: str, cuts: list[int], every_event: bool) -> None:
    """A pipeline that goes on from its dumped state comes to the same end."""
    pipeline = LogPipeline("x.log", every_event=every_event)
    for chunk in pieces(sample(name), cuts):
        for _ in pipeline.feed(chunk):
            pass
        state = load_state(dump_state(pipeline.state))
        assert state is not None
        pipeline = LogPipeline("x.log", None, state, every_event)
    for _ in pipeline.finish():
        pass
    assert outcome(pipeline) == truth(name)


def test_a_restart_tells_nothing_again() -> None:
    """Alerts that fired before the state was put aside are not announced again after it."""
    data = yolo_story()[0]
    middle = data.rindex(b"nan") + 3
    before = LogPipeline("x.log")
    first = [n for _, n in before.feed(Chunk(0, data[:middle])) if isinstance(n, Alert)]
    after = LogPipeline("x.log", None, load_state(dump_state(before.state)))
    second = [n for _, n in after.feed(Chunk(middle, data[middle:])) if isinstance(n, Alert)]
    assert len(first) >= 3
    assert second == []
    assert len(alerts(after)) == len(alerts(before))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"~":"Run","v":[1]}', '{"~":"Popen","v":["ls"]}', "x" * 9])
def test_a_state_that_is_none(text: str) -> None:
    """Text that is no state of this version is refused, not believed."""
    assert load_state(text) is None


# -- live


def live(data: bytes, cuts: list[int]) -> LogPipeline:
    """Return a pipeline that read *data* as it came, looking at the unfinished end after each piece."""
    pipeline = LogPipeline("x.log")
    for chunk in pieces(data, cuts):
        for step in (pipeline.feed(chunk, 1.0), pipeline.catch_up(1.0)):
            for _ in step:
                pass
    for _ in pipeline.finish(1.0):
        pass
    return pipeline


@pytest.mark.parametrize("name", BARS)
@given(cuts=CUTS)
@settings(repeatable, max_examples=12)
def test_reading_along_agrees_with_reading_afterwards(name: str, cuts: list[int]) -> None:
    """Whoever reads a bar while it is drawn, torn anywhere, counts and alerts as whoever reads it later."""
    assert facts_of(live(sample(name), cuts)) == facts_of(read(sample(name)))


DRAW = "\rEpoch 12/150 [%s]:  %d0%%|###| %d/9 [00:01<00:09,  1.00it/s%s]"
TRAIN = "".join(DRAW % ("Train", n, n, ", loss=0.5") for n in range(1, 10))


@pytest.mark.parametrize(
    "torn", ["Epoch 12/1", "[Val]: ", "1.00i", "1.00it/s]\u26a0 Non-finite gradient, skipping opt"]
)
def test_a_torn_bar_waits_for_its_rest(torn: str) -> None:
    """A bar that is torn within its text, or in a line glued to it, is still being written: it waits."""
    guard = "\u26a0 Non-finite gradient, skipping optimizer step\n"
    raw = f"{TRAIN}\n{DRAW % ('Val', 4, 4, '')}{guard}{DRAW % ('Val', 5, 5, '')}\r".encode()
    end = raw.rindex(torn.encode()) + len(torn.encode())
    pipeline = LogPipeline("x.log")
    list(pipeline.feed(Chunk(0, raw[:end])))
    assert list(pipeline.catch_up()) == []
    assert raw[:end].endswith(pipeline.framer.state.pending)
    assert pipeline.framer.state.pending
    assert facts_of(live(raw, [end])) == facts_of(read(raw))


def test_a_nan_in_the_unfinished_frame_is_told_at_once() -> None:
    """The frame that the trainer draws now is read before anything ends it."""
    data = yolo_story()[0]
    end = data.index(b"\r", data.index(b" nan "))
    pipeline = LogPipeline("x.log")
    seen = [n for _, n in pipeline.feed(Chunk(0, data[:end]), 5.0) if isinstance(n, Alert)]
    assert "nan_loss" not in {a.rule for a in seen}
    seen = [n for _, n in pipeline.catch_up(6.0) if isinstance(n, Alert)]
    assert [(a.rule, a.epoch, a.batch, a.started_at) for a in seen if a.rule == "nan_loss"] == [
        ("nan_loss", 4, 30, 6.0)
    ]
    assert list(pipeline.catch_up(7.0)) == []


def test_times_come_from_the_caller() -> None:
    """Alerts and runs bear the time that was given; without one, none."""
    data = yolo_story()[0]
    assert {a.started_at for a in alerts(read(data))} == {None}
    pipeline = LogPipeline("x.log")
    list(pipeline.feed(Chunk(0, data), 1000.0))
    assert {a.started_at for a in alerts(pipeline)} == {1000.0}
    assert pipeline.runs[0].updated_at == 1000.0


def test_another_file_behind_the_name_ends_the_torn_frame() -> None:
    """What stood unfinished when the log was rotated is read, and not glued to the next file's first line."""
    pipeline = LogPipeline("x.log")
    line = b"Epoch 1: Loss: 0.5000 | IoU: 0.4000 | LR: 0.000100\n"
    list(pipeline.feed(Chunk(0, line + line.replace(b"1:", b"2:")[:-1])))
    events = [e for _, e in pipeline.feed(Discontinuity("rotated"))]
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [2]
    list(pipeline.feed(Chunk(0, line.replace(b"1:", b"3:"))))
    assert pipeline.runs[0].epoch == 3


# -- the two incidents


def test_story_of_the_nan_burst() -> None:
    """YOLO: NaN, skipped steps and more VRAM are told at the batch where each begins, and nothing else."""
    data, known = yolo_story()
    onset = known["nan_onset"]["batch"]
    assert onset == 30
    changes = told(data)
    assert changes[0] == ("vram_jump", "warning", 4, 3)
    assert ("nan_loss", "warning", 4, onset) in changes
    assert {c[0] for c in changes} == {"vram_jump", "nan_loss", "nan_burst", "grad_skip"}
    assert all(word != "resolved" for _, word, _, _ in changes)
    run = read(data).runs[0]
    assert (run.epoch, run.batch, run.nan_batches, run.grad_skips) == (
        4, known["batch"], known["nan_batches"], known["grad_skips"]
    )  # fmt: skip
    assert run.nan_onset == (4, onset)


def test_story_of_the_nan_burst_at_its_full_size() -> None:
    """With epochs of 41,163 batches, the first NaN is batch 32 of epoch 4, as it was."""
    data, known = yolo_story(15_000)
    begin = data.index(b"\n      Epoch", data.index(b" 2/50"))
    log = data[: data.index(b"\n      Epoch")] + data[begin:]  # epochs 3 and 4
    changes = told(log)
    assert changes[:3] == [
        ("vram_jump", "warning", 4, 3),
        ("grad_skip", "warning", 4, 31),  # the guard's line comes before the bar has counted its batch
        ("nan_loss", "warning", 4, 32),
    ]
    found = {a.rule: a for a in alerts(read(log))}
    assert found["nan_loss"].evidence == {"nan_batches": known["nan_batches"], "last_clean_epoch": 3}
    assert found["nan_burst"].evidence["nan_batches"] == 73
    assert found["grad_skip"].evidence["grad_skips"] == 72
    assert found["grad_skip"].severity == "critical"
    assert found["vram_jump"].evidence == {"peak_gb": 4.71, "usual_gb": 4.2, "change_gb": 0.51}


def test_story_of_the_decline() -> None:
    """COD: the third fall in a row is told at epoch 91, and grows critical when the IoU collapses at 98."""
    changes = [c for c in told(cod_story()[0]) if c[0] == "metric_decline"]
    assert changes[0] == ("metric_decline", "warning", 91, None)
    assert changes[1][:2] == ("metric_decline", "critical")
    run = read(cod_story()[0]).runs[0]
    assert (run.epoch, run.batch, run.epochs) == (101, 3, 150)
    assert run.best is not None
    assert (run.best.metric, run.best.value, run.best.epoch) == ("IoU", 0.6413, 88)
    assert run.finished is None


def test_every_event_is_reported_in_the_order_of_the_log() -> None:
    """With every event, each batch is reported, at offsets that never go back."""
    data = yolo_story(40)[0]
    pipeline = LogPipeline("x.log", every_event=True)
    events = [n for _, n in pipeline.feed(Chunk(0, data)) if not isinstance(n, Alert)]
    assert {e.batch for e in events if isinstance(e, BatchDone) and e.epoch == 2} >= set(range(1, 41))
    offsets = [e.offset for e in events]
    assert offsets == sorted(offsets)
    assert all(data[e.offset - 1 : e.offset] in b"\r\n" for e in events if isinstance(e, BatchDone) and e.epoch)


# -- more than one run


def test_another_training_ends_the_alerts_of_the_last() -> None:
    """A log to which a second training is appended: what was wrong with the first is over when the second begins."""
    crash = b"Traceback (most recent call last):\n  File x\nValueError: no\n"
    first = lines(["Epoch 1/3: Loss: 0.5 | IoU: 0.5", "Epoch 2/3: Loss: 0.5 | IoU: 0.5"]) + crash
    second = b"Script started on 2026-01-01 [COMMAND=x]\n" + lines(["Epoch 1/3: Loss: 0.6 | IoU: 0.4"])
    assert [(c[0], c[1]) for c in told(first)] == [("crash", "critical")]
    assert [(c[0], c[1]) for c in told(first + second)] == [("crash", "critical"), ("crash", "resolved")]


@pytest.mark.parametrize("name", ["yolo", "cod", "ultralytics/v8n_8.3.235_tee_nan_recovers"])
@given(cuts=CUTS, waits=st.lists(st.floats(0.0, 500.0), min_size=13, max_size=13))
@few
def test_the_speed_changes_nothing(name: str, cuts: list[int], waits: list[float]) -> None:
    """However slowly a log comes, as long as no silence is one, the same alerts come at the same places."""
    data = sample(name)
    pipeline, now = LogPipeline("x.log"), 1e9
    for chunk, wait in zip(pieces(data, cuts), waits, strict=False):
        now += wait
        for step in (pipeline.feed(chunk, now), pipeline.catch_up(now), pipeline.tick(now, now)):
            for _ in step:
                pass
    for _ in pipeline.finish(now):
        pass
    assert facts_of(pipeline) == facts_of(read(data))


def test_the_same_bytes_give_the_same_ids() -> None:
    """An alert is known by its id, however and whenever its log is read."""
    data = yolo_story()[0]
    ids = [alert.id for alert in alerts(read(data))]
    assert len(set(ids)) == len(ids) >= 4
    for other in (read(data, [1000, 90_000]), read(data, every_event=True), live(data, [5000])):
        assert [alert.id for alert in alerts(other)] == ids


def test_the_lines_of_alerts() -> None:
    """Each alert tells the line of the log that it points to."""
    data = yolo_story(40)[0]
    for alert in alerts(read(data)):
        assert alert.offset is not None
        assert alert.line == data[: alert.offset].count(b"\n") + 1, alert.rule


def test_the_stories_exactly() -> None:
    """Both incidents give the alerts that a careful person would send, where they belong, and nothing else."""
    assert [(c[0], c[1], c[2]) for c in told(yolo_story(400)[0])] == [
        ("vram_jump", "warning", 4),
        ("grad_skip", "warning", 4),
        ("nan_loss", "warning", 4),
        ("nan_burst", "critical", 4),
        ("grad_skip", "critical", 4),
    ]
    pipeline = LogPipeline("x.log")
    list(pipeline.feed(Chunk(0, cod_story(60)[0])))
    list(pipeline.catch_up())
    list(pipeline.tick(1e9, 1e9 - 22 * 60))
    assert [(a.rule, a.severity, a.epoch, bool(a.suppressed)) for a in alerts(pipeline)] == [
        ("metric_decline", "critical", 91, True),
        ("loss_explosion", "critical", 98, False),
        ("metric_collapse", "critical", 98, False),
        ("stall", "critical", 101, False),
    ]


# -- rules of the user's own


def test_a_rule_of_one_s_own_reads_as_all_do() -> None:
    """A condition on what a bar shows is asked of every frame; one on results leaves the bars unread."""
    data = yolo_story(400)[0].split(b"      4/50")[0]
    slow = Config(rules=Rules(custom=(CustomRule("high", "box_loss > 2.0 and batch > 5"),)))
    fast = Config(rules=Rules(custom=(CustomRule("low", "best.value < 0.5 and epoch > 1"),)))
    read_all, read_few = LogPipeline("x.log", slow), LogPipeline("x.log", fast)
    for pipeline in (read_all, read_few):
        list(pipeline.feed(Chunk(0, data)))
    assert next((a.rule, a.epoch) for a in alerts(read_all)) == ("high", 1)
    assert next((a.rule, a.epoch) for a in alerts(read_few)) == ("low", 2)
    assert read_all.frames > 2 * read_few.frames


@pytest.mark.parametrize("unit", ["5 batches", "1 epochs"])
@given(cuts=CUTS, every_event=st.booleans())
@few
def test_what_is_pending_fires_at_the_same_place(unit: str, cuts: list[int], every_event: bool) -> None:
    """While an alert waits for its time no frame is passed over, so that it fires where it does when all are read."""
    amount, _, name = unit.partition(" ")
    life = Life(hold=Hold(float(amount), "batches" if name == "batches" else "epochs"))
    config = Config(rules=Rules(vram_jump=VramJump(life=life)))
    found = []
    for every, where in ((every_event, cuts), (True, [])):
        pipeline = LogPipeline("x.log", config, every_event=every)
        for chunk in pieces(yolo_story(40)[0], where):
            list(pipeline.feed(chunk))
        list(pipeline.finish())
        found.append(outcome(pipeline))
    assert found[0] == found[1]
