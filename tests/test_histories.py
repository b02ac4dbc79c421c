"""1,000 random histories of a log, through the runs, the rules and the alerts: nothing is lost, nothing told twice."""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanwatch.alerts.dispatch import decide, mark_told
from nanwatch.config import (
    AlertSettings,
    CheckpointUnsaved,
    Config,
    CustomRule,
    Deadline,
    FrozenMetric,
    Goal,
    Hold,
    Life,
    LossExplosion,
    MetricDecline,
    Moment,
    Overfit,
    Plateau,
    Rules,
    Slowdown,
    Switch,
)
from nanwatch.model.alert import SEVERITIES, Alert, Reason, Severity, Silence
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
    StageChanged,
    StepSkipped,
    ValidationDone,
)
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline, Notice, dump_state, load_state
from tests.support.logs import outcome
from tests.support.repeatable import repeatable

NAN, INF = math.nan, math.inf
BEGIN = 1_700_000_000.0
OFFSET = 40
"""Bytes of each frame."""
REPEAT = 3600.0
"""Seconds after which people are told again."""

# -- what happens besides events


class Tick(NamedTuple):
    """So many seconds pass; then the time is told, and, if somebody has looked, who holds the log open."""

    seconds: float
    holders: tuple[int, ...] | None = None
    has_looked: bool = False


class Growth(NamedTuple):
    """So many seconds pass; then bytes come that tell nothing."""

    seconds: float


class Closing(NamedTuple):
    """Nobody writes the log any more."""

    only_planned: bool


class Acknowledgement(NamedTuple):
    """Somebody acknowledges the alert of this number among those that fire, or takes that back."""

    which: int
    back: bool


Step = Event | Tick | Growth | Closing | Acknowledgement

# -- scenes: what a trainer does, as steps


@dataclass
class Scribe:
    """Where the trainer stands while its history is written."""

    epoch: int | None = None
    batch: int = 0
    step: int = 0
    offset: int = 0

    def at(self) -> int:
        """Return the offset of the next frame."""
        self.offset += OFFSET
        return self.offset


Scene = Callable[[Scribe], Iterable[Step]]


class Batches(NamedTuple):
    """A stretch of batches, each with one of the losses in turn, and one of the rates after the other."""

    losses: tuple[float, ...]
    number: int
    total: int
    rates: tuple[float, ...]
    extra: tuple[str, float] | None
    bar: bool
    counts_steps: bool

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield them."""
        for n in range(self.number):
            scribe.batch += 1
            scribe.step += 1
            yield self._batch(scribe, n)

    def _batch(self, scribe: Scribe, n: int) -> BatchDone:
        loss = self.losses[n % len(self.losses)]
        rate = self.rates[n * len(self.rates) // self.number] if self.rates else None
        event = BatchDone(scribe.at(), scribe.epoch, losses={"loss": loss}, rate=rate, bar=self.bar)
        if self.counts_steps:
            event.step, event.steps = scribe.step, 4 * self.total
        else:
            event.batch, event.batches = scribe.batch, self.total
        if rate:
            event.elapsed = scribe.batch / rate
        if self.extra is not None:
            name, value = self.extra
            if name in ("vram_gb", "lr", "grad_norm", "logged_at", "eta"):
                setattr(event, name, value)
            else:
                event.metrics = {name: value}
        return event


class Session(NamedTuple):
    """A training process begins, with its settings; it resumes at an epoch, or counts anew."""

    resumed: bool
    name: str

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield its banner."""
        yield SessionStarted(scribe.at(), self.resumed)
        yield Hyperparameters(scribe.at(), {"lr": "0.01", "name": self.name})
        if not self.resumed:
            scribe.epoch, scribe.batch, scribe.step = None, 0, 0


class Turn(NamedTuple):
    """The trainer goes to another epoch: so many on, none (it is repeated), or back; with a line or without."""

    by: int
    epochs: int | None
    is_said: bool

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield its header."""
        scribe.epoch = max(0, (scribe.epoch or 0) + self.by)
        scribe.batch = 0
        if self.is_said:
            yield EpochStarted(scribe.at(), scribe.epoch, self.epochs)


class Summary(NamedTuple):
    """The epoch's own line, or a validation's, or both, with these values."""

    values: tuple[tuple[str, float], ...]
    vram_gb: float | None
    kind: int

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield them."""
        values = dict(self.values)
        losses = {name: value for name, value in values.items() if "loss" in name}
        metrics = {name: value for name, value in values.items() if name not in losses}
        if self.kind & 1:
            yield ValidationDone(scribe.at(), scribe.epoch, scribe.step or None, losses, metrics)
        if self.kind & 2:
            yield EpochDone(scribe.at(), scribe.epoch, None, losses, metrics, None, self.vram_gb, 60.0)


class Epochs(NamedTuple):
    """A few epochs in a row, a line each, whose metric and losses follow a trend."""

    number: int
    metric: float
    by: float
    loss: float
    saves: int
    batches: int
    vram: tuple[float, ...]

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield them."""
        metric, loss = self.metric, self.loss
        for n in range(self.number):
            scribe.epoch = (scribe.epoch or 0) + 1
            scribe.batch = self.batches
            if self.batches:
                yield BatchDone(
                    scribe.at(), scribe.epoch, 12, self.batches, self.batches, losses={"loss": loss}, bar=True,
                    rate=2.0, elapsed=self.batches / 2,
                )  # fmt: skip
            losses = {"loss": loss, "val_loss": 1.0 - loss / 2}
            vram = self.vram[n % len(self.vram)] if self.vram else None
            yield EpochDone(scribe.at(), scribe.epoch, 12, losses, {"IoU": metric}, 1e-3, vram, 60.0)
            if n < self.saves:
                yield CheckpointSaved(scribe.at(), "last.pt")
            metric, loss = metric + self.by, loss * 0.9


class Said(NamedTuple):
    """One event of a kind that says little more than that it happened."""

    make: Callable[[int, str], Event]
    words: str

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield it."""
        yield self.make(scribe.at(), self.words)


class Happens(NamedTuple):
    """Something that is no event, or several such things."""

    steps: tuple[Step, ...]

    def __call__(self, scribe: Scribe) -> Iterator[Step]:
        """Yield them."""
        del scribe
        yield from self.steps


SAID: list[Callable[[int, str], Event]] = [
    lambda o, _: RunResumed(o, 3),
    lambda o, _: RunPlanned(o, 8, 10, None),
    lambda o, _: RunPlanned(o, None, None, 40),
    lambda o, _: Hyperparameters(o, {"epochs": "8"}),
    lambda o, _: EpochStarted(o),
    lambda o, _: FinalValidationStarted(o),
    lambda o, _: StepSkipped(o),
    lambda o, _: StepSkipped(o, "scaler", 12),
    lambda o, w: Recovery(o, "nan", w),
    lambda o, w: Recovery(o, "oom", w),
    StageChanged,
    lambda o, _: CheckpointSaved(o, "last.pt"),
    lambda o, _: CheckpointSaved(o, None, best=True),
    CheckpointSkipped,
    lambda o, w: Failure(o, "exception", w),
    lambda o, w: Failure(o, "oom", w),
    lambda o, w: Failure(o, "killed", w),
    lambda o, w: Failure(o, "nan", w),
    Interrupted,
    lambda o, _: Interrupted(o, "KeyboardInterrupt"),
    lambda o, _: ProcessExited(o, 0),
    lambda o, _: ProcessExited(o, 1),
    lambda o, _: ProcessExited(o, 137),
    lambda o, _: ProcessExited(o, 143),
    RunFinished,
]

# -- any history

LOSS = st.sampled_from([0.5, 0.5, 0.4, 0.3, 5.5, 40.0, 0.0, -1.0, NAN, NAN, INF, -INF, 1e-12, 1e30, 1.7e308, 5e-324])
METRIC = st.sampled_from([0.1, 0.31, 0.3154321, 0.6, 0.85, 0.0, -1.0, 1.0, NAN, INF, -INF, 1e30, 1e-300])
NAME = st.sampled_from(["IoU", "IoU", "val_loss", "loss", "accuracy", "mAP50-95", "wer", "my loss", "data_time"])
VRAM = st.sampled_from([None, None, 0.0, 1.0, 4.2, 4.2, 4.71, 11.0, -1.0, -1.0, 1e-9])
EXTRA = st.sampled_from(
    [None, None, ("vram_gb", 4.2), ("vram_gb", 4.71), ("vram_gb", -1.0), ("vram_gb", 1.0), ("lr", 1e-3), ("lr", 0.0),
     ("lr", NAN), ("grad_norm", NAN), ("grad_norm", 1.5), ("grad_norm", INF), ("logged_at", BEGIN), ("eta", 3600.0),
     ("logged_at", BEGIN + 9e5), ("IoU", 0.6), ("IoU", NAN), ("accuracy", 0.5)],
)  # fmt: skip
RATES = st.sampled_from([(), (), (2.0,), (2.0, 0.01), (0.01, 5000.0), (0.0,), (1e-12,)])
WORDS = st.sampled_from(
    ["", "RuntimeError: boom", "CUDA out of memory, tried 2 GiB", "x" * 900, "a\tb", "\u26a0 \u5b8c\u4e86 ..."]
)
SECONDS = st.sampled_from([0.0, 1.0, 59.0, 300.0, 601.0, 1801.0, 7200.0, 200_000.0, -5.0])
HOLDERS = st.sampled_from([None, (), (7,), (8, 7), (8,)])

SCENES: st.SearchStrategy[Scene] = st.one_of(
    st.builds(
        Batches, st.lists(LOSS, min_size=1, max_size=4).map(tuple), st.integers(1, 12), st.sampled_from([4, 10, 120]),
        RATES, EXTRA, st.booleans(), st.sampled_from([False, False, False, True]),
    ),
    st.builds(Turn, st.sampled_from([1, 1, 1, 0, -1, -3, 5, -99]), st.sampled_from([None, 8]), st.booleans()),
    st.builds(Summary, st.lists(st.tuples(NAME, METRIC), max_size=3).map(tuple), VRAM, st.integers(1, 3)),
    st.builds(
        Epochs, st.integers(2, 8), st.sampled_from([0.2, 0.6, 0.9]), st.sampled_from([0.0, 0.05, -0.05, -0.2]),
        st.sampled_from([0.5, 30.0]), st.integers(0, 8), st.sampled_from([0, 0, 10]),
        st.sampled_from([(), (4.2, 4.2, 4.71), (-1.0, 1.0, 4.2), (-1.0,)]),
    ),
    st.builds(Session, st.booleans(), st.sampled_from("ab")),
    st.builds(Said, st.sampled_from(SAID), WORDS),
    st.builds(Said, st.sampled_from(SAID), WORDS),
    st.builds(Happens, st.tuples(st.builds(Tick, SECONDS, HOLDERS, st.booleans()))),
    st.builds(Happens, st.sampled_from([(Tick(1.0, (7,), True), Tick(60.0, (), True)), (Tick(700.0), Tick(5e4))])),
    st.builds(Happens, st.tuples(st.one_of(
        st.builds(Growth, SECONDS), st.builds(Closing, st.booleans()),
        st.builds(Acknowledgement, st.integers(0, 3), st.sampled_from([False, False, True])),
    ))),
)  # fmt: skip

HOLD = st.sampled_from([Hold(), Hold(), Hold(600.0), Hold(2, "epochs"), Hold(6, "batches")])
LIVES = st.builds(Life, HOLD, HOLD, st.sampled_from([None, None, *SEVERITIES]))
BUILT_IN = [name for name in Rules._fields if name != "custom"]
CUSTOM = [
    CustomRule("my_iou", 'IoU < 0.5 and epoch > 2 or change("IoU", 2) < -0.3'),
    CustomRule("my_loss", "loss > 3 * best.value or is_nan(loss)", message="the loss\nis \x1b[31mred\x1b[0m"),
]
SILENCES = st.sampled_from(
    [(), (), (Silence("nan_*"),), (Silence(severity="warning", starts_at=BEGIN + 60, ends_at=BEGIN + 3600),)]
)
TUNED = Rules(
    metric_decline=MetricDecline(epochs=2), loss_explosion=LossExplosion(batches=2), slowdown=Slowdown(batches=3),
    plateau=Plateau(enabled=True, epochs=2), overfit=Overfit(enabled=True, epochs=2),
    deadline=Deadline(at=Moment(BEGIN + 3600)), goal=Goal(value=0.84), frozen_metric=FrozenMetric(epochs=2),
    checkpoint_unsaved=CheckpointUnsaved(epochs=2, missing=1),
)  # fmt: skip
"""Every rule is on, and fires within a few epochs."""


class History(NamedTuple):
    """What happens to a log, an event every `pace` seconds.

    From the scene `live_from` on a clock is there; before the step `cut` the state is put aside, and taken up again.
    """

    chapters: list[list[Scene]]
    live_from: int
    cut: int
    pace: float
    lives: Mapping[str, Life]
    silences: tuple[Silence, ...]

    def config(self) -> Config:
        """Return the settings under which it is watched."""
        tuned = {name: getattr(TUNED, name)._replace(life=self.lives[name]) for name in BUILT_IN if name in self.lives}
        custom = tuple(rule._replace(life=self.lives.get(rule.name, Life())) for rule in CUSTOM)
        return Config(rules=TUNED._replace(**tuned, custom=custom), alerts=AlertSettings(silences=self.silences))

    def steps(self) -> list[tuple[Step, bool]]:
        """Return what happens in its order, and whether a clock is there."""
        scribe = Scribe()
        scenes = enumerate(chain.from_iterable(self.chapters))
        return [(step, n >= self.live_from) for n, scene in scenes for step in scene(scribe)]


HISTORIES = st.builds(
    History, st.lists(st.lists(SCENES, min_size=1, max_size=8), min_size=1, max_size=6),
    st.sampled_from([0, 0, 0, 5, 99]), st.integers(0, 80), st.sampled_from([0.0, 1.0, 30.0]),
    st.dictionaries(st.sampled_from([*BUILT_IN, *(rule.name for rule in CUSTOM)]), LIVES, max_size=6), SILENCES,
)  # fmt: skip

# -- watching it


class Told(NamedTuple):
    """A notice as it was when it came."""

    run: str
    rule: str
    key: str
    id: str
    state: str
    severity: Severity
    message: str
    started_at: float | None
    resolved_at: float | None
    suppressed: tuple[str, ...]


def told_of(run: str, alert: Alert) -> Told:
    """Return what *alert* of *run* says now."""
    return Told(
        run, alert.rule, alert.key, alert.id, alert.state, alert.severity, alert.message, alert.started_at,
        alert.resolved_at, alert.suppressed,
    )  # fmt: skip


@dataclass
class Watcher:
    """Plays a history to a pipeline, and writes down what it tells."""

    pipeline: LogPipeline
    pace: float
    now: float = BEGIN
    told: list[Told] = field(default_factory=list)
    messages: list[tuple[str, str, str, Reason]] = field(default_factory=list)

    def take(self, step: Step, is_live: bool, number: int) -> None:
        """Let *step* happen, the one of this number."""
        self.now += step.seconds if isinstance(step, Tick | Growth) else self.pace
        now = self.now if is_live else None
        for run, notice in self._notices(step, now, number):
            if isinstance(notice, Alert):
                self.told.append(told_of(run.id, notice))
                check_words(notice)
        self._tell_people(now)

    def _tell_people(self, now: float | None) -> None:
        for run in self.pipeline.runs:
            for alert in self.pipeline.alerts_of(run):
                reason = decide(alert, now, REPEAT)
                if reason is not None:
                    self.messages.append((run.id, alert.rule, alert.key, reason))
                    mark_told(alert, now)

    def _notices(self, step: Step, now: float | None, number: int) -> Iterator[Notice]:
        pipeline = self.pipeline
        match step:
            case Tick() | Acknowledgement() if now is None:
                return iter(())
            case Tick():
                holders = None if step.holders is None else [Process(p, "python", BEGIN) for p in step.holders]
                return pipeline.tick(now or 0.0, None, holders, step.has_looked)
            case Growth():
                return pipeline.feed(Chunk(OFFSET * number, b""), now)
            case Closing():
                return pipeline.finish(now, step.only_planned)
            case Acknowledgement():
                firing = pipeline.firing
                if firing:
                    alert = firing[step.which % len(firing)]
                    assert pipeline.acknowledge(alert.id, None if step.back else now, now or BEGIN) is alert
                return iter(())
            case _:
                growth = pipeline.feed(Chunk(step.offset, b""), now)
                return chain(growth, pipeline.tell(step, now, number, is_sample=number % 3 == 0))


def watch(history: History, cut: int | None = None, check: Callable[[Watcher], None] = lambda _: None) -> Watcher:
    """Play *history*, putting the state aside at the step *cut*; *check* after each step."""
    config = history.config()
    watcher = Watcher(LogPipeline("x.log", config), history.pace)
    for number, (step, is_live) in enumerate(history.steps(), start=1):
        if number == cut:
            state = load_state(dump_state(watcher.pipeline.state))
            assert state is not None
            watcher.pipeline = LogPipeline("x.log", config, state)
        watcher.take(step, is_live, number)
        check(watcher)
    return watcher


# -- what must hold


def check_words(alert: Alert) -> None:
    """Check that an alert can be printed in one line and put into JSON."""
    assert alert.message.strip()
    assert not {unicodedata.category(c) for c in alert.message} & {"Cc", "Zl", "Zp", "Cs"}, alert.message
    for value in alert.evidence.values():
        assert type(value) in (int, float, str, type(None)), alert.evidence
    json.dumps(alert.evidence)


def check_open(watcher: Watcher) -> None:
    """Check that what is pending or fires now does so once."""
    pipeline = watcher.pipeline
    assert [a.state for a in pipeline.open] == [a.state for a in pipeline.firing] + ["pending"] * (
        len(pipeline.open) - len(pipeline.firing)
    )
    open_now = [(alert.rule, alert.key) for alert in pipeline.open]
    assert len({*open_now}) == len(open_now)
    assert len({alert.id for alert in pipeline.open}) == len(open_now)


def check_told(watcher: Watcher) -> None:
    """Check that firing and resolved alternate, and that what was told is what there is."""
    lives: dict[tuple[str, str, str], list[Told]] = defaultdict(list)
    for notice in watcher.told:
        known = lives[notice.run, notice.rule, notice.key]
        before = known[-1] if known and known[-1].state == "firing" else None
        if before is None:
            assert notice.state == "firing"
            known.append(notice)
            continue
        assert notice.id == before.id
        if notice.state == "firing":
            assert SEVERITIES.index(notice.severity) > SEVERITIES.index(before.severity)
        known[-1] = notice
    pipeline = watcher.pipeline
    there = [told_of(run.id, alert) for run in pipeline.runs for alert in pipeline.alerts_of(run)]
    assert Counter(map(essence, there)) == Counter(map(essence, chain.from_iterable(lives.values())))
    check_messages(watcher, lives)


def check_messages(watcher: Watcher, lives: Mapping[tuple[str, str, str], list[Told]]) -> None:
    """Check that people were told of a beginning and of an end at most once for each of the *lives*."""
    for (*name, reason), count in Counter(watcher.messages).items():
        known = lives[name[0], name[1], name[2]]
        if reason in ("first", "resolved"):
            assert count <= sum(reason == "first" or life.state == "resolved" for life in known)


def essence(notice: Told) -> tuple[object, ...]:
    """Return what of a notice does not change until the next one."""
    return (*notice[:6], notice.started_at, notice.resolved_at)


@pytest.mark.timeout(400)  # a minute or two are needed to make a failing history short
def test_a_thousand_histories() -> None:
    """Whatever happens to a log: no rule stumbles, every change of an alert is told once, and a restart is no news."""
    fired: Counter[str] = Counter()

    @settings(repeatable, max_examples=1000, report_multiple_bugs=False, suppress_health_check=[HealthCheck.too_slow])
    @given(HISTORIES)
    def check(history: History) -> None:
        straight = watch(history, check=check_open)
        check_told(straight)
        again = watch(history, history.cut)
        assert (again.told, again.messages) == (straight.told, straight.messages)
        assert outcome(again.pipeline) == outcome(straight.pipeline)
        fired.update({notice.rule for notice in straight.told})

    check()
    assert fired.keys() == {*BUILT_IN, *(rule.name for rule in CUSTOM)}


# -- what such histories have shown


def alerts_in(pipeline: LogPipeline, *events: Event, now: float = BEGIN) -> list[Told]:
    """Return what *pipeline* tells of alerts when *events* happen at *now*."""
    seen = chain.from_iterable(pipeline.tell(event, now) for event in events)
    return [told_of(run.id, notice) for run, notice in seen if isinstance(notice, Alert)]


def epoch_lines(*values: dict[str, float], vram: tuple[float, ...] = ()) -> list[Event]:
    """Return an epoch's line for each of *values*: losses and a metric, and memory where *vram* tells it."""
    return [
        EpochDone(
            OFFSET * n, n, None, {k: v for k, v in found.items() if "loss" in k},
            {k: v for k, v in found.items() if "loss" not in k}, None, vram[n - 1] if vram else None,
        )
        for n, found in enumerate(values, start=1)
    ]  # fmt: skip


def test_a_kept_alert_ends_without_its_rule_being_woken() -> None:
    """An alert that is kept for some batches after its finding is gone ends with the batch that completes them."""
    config = Config(rules=Rules(oom=Switch(life=Life(keep=Hold(6, "batches")))))
    pipeline = LogPipeline("x.log", config)
    batches = [BatchDone(OFFSET * (n + 1), 1, batch=n, batches=10, losses={"loss": 0.5}) for n in range(1, 10)]
    told = alerts_in(pipeline, Failure(1, "oom", "out of memory"), *batches)
    assert [(notice.rule, notice.state) for notice in told] == [("oom", "firing"), ("oom", "resolved")]


def test_a_later_run_leaves_an_earlier_one_alone() -> None:
    """Settings and the process of a new run are not written into the run before it."""
    pipeline = LogPipeline("x.log")
    lines = epoch_lines({"loss": 0.5}, {"loss": 0.4})
    alerts_in(pipeline, Hyperparameters(0, {"name": "a"}), *lines)
    list(pipeline.tick(BEGIN, BEGIN, [Process(7, "python", BEGIN)], has_looked=True))
    alerts_in(pipeline, SessionStarted(200), *lines, Hyperparameters(300, {"name": "b"}))
    list(pipeline.tick(BEGIN + 1, BEGIN, [], has_looked=True))
    first, second = pipeline.runs
    assert (first.hyperparameters, second.hyperparameters) == ({"name": "a"}, {"name": "b"})
    assert first.process is not None
    assert second.process is not None
    assert (first.process.alive, second.process.alive) == (True, False)


@pytest.mark.parametrize("vram", [(-1.0, 1.0, 4.2), (-1.0, 4.2, 4.2)])
def test_a_negative_amount_of_memory_is_none(vram: tuple[float, ...]) -> None:
    """A trainer that prints -1 where it cannot tell its memory has said nothing of it."""
    lines = epoch_lines(*[{"loss": 0.5}] * 3, vram=vram)
    told = alerts_in(LogPipeline("x.log"), *lines)
    assert all(notice.rule == "vram_jump" and " -1 " not in notice.message for notice in told)


@pytest.mark.parametrize(
    "event",
    [
        Failure(OFFSET, "exception", "ValueError: a\tb"),
        Failure(OFFSET, "oom", "CUDA\tout of memory"),
        Recovery(OFFSET, "oom", "a\tb"),
        Recovery(OFFSET, "nan", "a\tb"),
        CheckpointSkipped(OFFSET, "a\tb"),
        Interrupted(OFFSET, "a\tb"),
    ],
)
def test_a_tab_of_the_log_stays_out_of_messages(event: Event) -> None:
    """What a message quotes of the log is printed in one line, tabs included."""
    told = alerts_in(LogPipeline("x.log"), EpochStarted(0, 3), event)
    assert len(told) == 1
    assert told[0].message.isprintable()


def test_one_cause_has_one_message_at_its_end() -> None:
    """A burst of NaN and its first batch end together: the burst speaks for both, at its beginning and at its end."""
    watcher = Watcher(LogPipeline("x.log"), 1.0)
    for n, loss in enumerate((0.5, NAN, NAN, NAN), start=1):
        watcher.take(BatchDone(OFFSET * n, 1, batch=n, batches=10, losses={"loss": loss}), True, n)
    watcher.take(BatchDone(OFFSET * 5, 2, batch=1, batches=10, losses={"loss": 0.5}), True, 5)
    assert [(rule, reason) for _, rule, _, reason in watcher.messages] == [
        ("nan_loss", "first"), ("nan_burst", "first"), ("nan_burst", "resolved"),
    ]  # fmt: skip


def test_an_acknowledgement_taken_back_ends_no_silence() -> None:
    """A silence that has an end keeps an alert quiet until then, whoever takes back what."""
    pipeline = LogPipeline("x.log", Config(alerts=AlertSettings(silences=(Silence(ends_at=BEGIN + 60),))))
    (crash,) = alerts_in(pipeline, Failure(OFFSET, "exception", "boom"))
    pipeline.acknowledge(crash.id, BEGIN, BEGIN)
    pipeline.acknowledge(crash.id, None, BEGIN)
    assert pipeline.firing[0].suppressed == ("silenced",)


def test_a_silence_ends_whatever_rules_are_on() -> None:
    """When its time is over, an alert is no longer silenced, also where no rule asks for the time."""
    off = {name: getattr(Rules(), name)._replace(enabled=False) for name in BUILT_IN if name != "crash"}
    alerts = AlertSettings(silences=(Silence(ends_at=BEGIN + 60),))
    pipeline = LogPipeline("x.log", Config(rules=Rules(**off), alerts=alerts))
    alerts_in(pipeline, Failure(OFFSET, "exception", "boom"))
    assert pipeline.firing[0].suppressed == ("silenced",)
    list(pipeline.tick(BEGIN + 60))
    assert not pipeline.firing[0].suppressed
