"""The wiring: bytes -> frames -> events -> runs -> findings -> alerts, for one log. Read this first.

Every face (summary, tail, replay) drives the same `LogPipeline`, so they cannot disagree about a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nanwatch.alerts.dispatch import acknowledge, unacknowledge
from nanwatch.alerts.lifecycle import Alerts
from nanwatch.alerts.suppression import suppress
from nanwatch.config import Config
from nanwatch.formats.counter import BatchCounter
from nanwatch.formats.declared import ReaderState
from nanwatch.formats.decode import Decoder, DecoderState
from nanwatch.formats.traceback import TracebackState
from nanwatch.framing import SAMPLED, Framer, FramerState, NewsPattern
from nanwatch.model.alert import Alert, Mark, Silence
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk, Discontinuity, Frame, Passed
from nanwatch.model.kept import KEPT_KINDS
from nanwatch.model.run import Change, Process, Run
from nanwatch.rules.base import Rule, make_rules
from nanwatch.runs.fold import LogRuns
from nanwatch.runs.rhythm import note_growth, note_processes, note_silence
from nanwatch.statecodec import BadState, dump, load

Notice = tuple[Run, Event | Alert]
"""What the pipeline reports while it reads: an event or an alert that changed, and the run it belongs to."""


@dataclass(slots=True)
class PipelineState:
    """All that is remembered of one log, to be put aside and taken up again."""

    framer: FramerState = field(default_factory=FramerState)
    decoder: DecoderState = field(default_factory=DecoderState)
    runs: list[Run] = field(default_factory=list)
    alerts: dict[int, list[Alert]] = field(default_factory=dict)


_STATE_KINDS: dict[str, type[Any]] = KEPT_KINDS | {
    kind.__name__: kind
    for kind in (PipelineState, FramerState, DecoderState, ReaderState, BatchCounter, TracebackState)
}


def dump_state(state: PipelineState) -> str:
    """Return *state* as one line of text."""
    return dump(state)


def load_state(text: str) -> PipelineState | None:
    """Return the state that `dump_state` wrote, or None when this version cannot use it."""
    try:
        state = load(text, _STATE_KINDS)
    except BadState:
        return None
    return state if isinstance(state, PipelineState) else None


class LogPipeline:
    """Reads one log and judges what it tells.

    With `every_event`, every frame is read; without it, superseded frames that are quiet are passed over,
    and the runs and alerts come out the same; one of every *detail* bytes is read all the same. `silences` are those
    that people have set.

    Raises:
        UsageError: a rule of the user's own cannot be read.
    """

    def __init__(
        self,
        log: str,
        config: Config | None = None,
        state: PipelineState | None = None,
        every_event: bool = False,
        detail: int = SAMPLED,
    ) -> None:
        state, config = state or PipelineState(), config or Config()
        self.framer = Framer(state.framer, detail)
        self.decoder = Decoder(state.decoder)
        self.log_runs = LogRuns(log, state.runs or None)
        self.every_event = every_event
        self.frames = 0
        self.silences: Sequence[Silence] = config.alerts.silences
        self._alerts = {number: Alerts(history, number) for number, history in state.alerts.items()}
        self._rules: list[tuple[Rule, int]] = [(r, r.wakes) for r in make_rules(config.rules)]
        self._asks_of_batches = any(getattr(rule, "reads_batches", False) for rule, _ in self._rules)
        self.decoder.seeks_news = not (every_event or self._asks_of_batches)
        self._waiting: frozenset[str] = frozenset()
        self.decoder.ceilings = self.log_runs.current.ceilings
        known = {rule.name for rule, _ in self._rules}
        for life in self._alerts.values():
            life.forget(known)
        self._note_waiting(self._life(self.log_runs.current))

    @property
    def state(self) -> PipelineState:
        """The state to be put aside."""
        alerts = {number: life.state for number, life in self._alerts.items()}
        return PipelineState(self.framer.state, self.decoder.state, self.log_runs.runs, alerts)

    @property
    def runs(self) -> list[Run]:
        """The runs found so far, oldest first."""
        return self.log_runs.runs

    @property
    def problems(self) -> list[str]:
        """What the user's own rules ask that this log cannot answer, a line each."""
        found = [getattr(rule, "problem", None) for rule, _ in self._rules]
        return [problem for problem in found if problem]

    def alerts_of(self, run: Run) -> list[Alert]:
        """Return the alerts of *run* that fire or have fired, oldest first."""
        return self._life(run).history

    @property
    def open(self) -> list[Alert]:
        """The alerts of the current run that are pending or fire now."""
        life = self._life(self.log_runs.current)
        return [*life.firing, *life.pending]

    @property
    def firing(self) -> list[Alert]:
        """The alerts of the current run that fire now."""
        return self._life(self.log_runs.current).firing

    def feed(self, item: Chunk | Discontinuity, now: float | None = None) -> Iterator[Notice]:
        """Read *item*; yield what it tells, in the order of the log."""
        if isinstance(item, Discontinuity):
            for frame in self.framer.reset():
                yield from self._frame(frame, now)
            return
        run = self.log_runs.current
        was_silent = run.silence
        note_growth(run, now)
        if was_silent and self._life(run).firing:
            yield from self._judge(Change.CLOCK, now)
        for part in self.framer.feed(item.offset, item.data, self._news()):
            if isinstance(part, Passed):
                self.decoder.pass_over(part)
            else:
                yield from self._frame(part, now)

    def tell(self, event: Event, now: float | None = None, line: int = 1, is_sample: bool = False) -> Iterator[Notice]:
        """Take *event*, seen at *now* in this *line*, as if the log had told it; yield what it leads to."""
        before = self.log_runs.current
        change = self.log_runs.apply(event, now, line, is_sample)
        run = self.log_runs.current
        if run is not before:
            # Another training has begun: what was wrong with the last one is over.
            mark = Mark(before.logged_at if now is None else now, before.epoch or 0, before.position)
            for alert in self._life(before).close(mark):
                yield before, alert
            self._note_waiting(self._life(run))
        run.format = self.decoder.format
        self.decoder.ceilings = run.ceilings
        yield run, event
        yield from self._judge(change, now)
        if change & (Change.NAN | Change.EPOCH | Change.CLEAN):
            self.decoder.mind_nan(self._nan_matters(run))

    def catch_up(self, now: float | None = None) -> Iterator[Notice]:
        """Read the unfinished redraw at the end of the stream, when nothing more is there to be read."""
        frame = self.framer.tail()
        if frame is not None and self.decoder.is_whole(frame):
            self.framer.take_tail()
            yield from self._frame(frame, now)

    def finish(self, now: float | None = None, only_planned: bool = False) -> Iterator[Notice]:
        """Take note that nobody writes the log any more: what stands at its end is all there will be.

        With *only_planned*, a run that did not print how long it means to train is not taken for finished: its
        trainer may open the log for each line.
        """
        frame = self.framer.tail()
        if frame is not None:
            self.framer.take_tail()
            yield from self._frame(frame, now)
        change = self.log_runs.settle(only_planned)
        if change:
            yield from self._judge(change, now)

    def tick(
        self,
        now: float,
        grew_at: float | None = None,
        holders: Sequence[Process] | None = None,
        has_looked: bool = False,
    ) -> Iterator[Notice]:
        """Take note of the time: silence is a signal too.

        *grew_at* is when the log's last byte came, where that is known better than from `feed`. *holders* are
        the processes that hold the log open for writing, the trainer first (None: cannot be known); they count
        only if somebody *has looked*.
        """
        run = self.log_runs.current
        note_silence(run, now, grew_at)
        if has_looked:
            note_processes(run, holders)
        yield from self._judge(Change.CLOCK, now)

    def acknowledge(self, alert_id: str, at: float | None, now: float) -> Alert | None:
        """Keep the alert with this id quiet from *at* until it ends (None: take that back); return it."""
        for run in self.runs:
            life = self._life(run)
            for alert in life.firing:
                if alert.id == alert_id:
                    if at is None:
                        unacknowledge(alert)
                    else:
                        acknowledge(alert, at)
                    suppress(life.firing, run.id, self.silences, now)
                    return alert
        return None

    def silence(self, silences: Sequence[Silence], now: float) -> None:
        """Let exactly *silences* hold from *now* on."""
        self.silences = silences
        firing = self.firing
        suppress(firing, self.log_runs.current.id, silences, now)

    def shift_time(self, seconds: float) -> None:
        """Take note that the clock was set by so many *seconds*: what was measured with it moves along."""
        run = self.log_runs.current
        if run.grew_at is not None:
            run.grew_at += seconds
        self._life(run).shift_time(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether the log has told of the end of its last run."""
        run = self.log_runs.current
        return bool(run.finished or run.failure or run.interrupted) and not run.session_pending

    @property
    def needs_time(self) -> bool:
        """Whether something may change as time goes by, though the log has ended or does not grow."""
        return not self.has_ended or bool(self._waiting) or (bool(self.silences) and bool(self.firing))

    @property
    def is_waiting(self) -> bool:
        """Whether an alert is pending, or fires on for a while: time alone changes it."""
        return bool(self._waiting)

    @property
    def may_be_finished(self) -> bool:
        """Whether the current run is over if nobody writes the log any more, without having said so."""
        return self.log_runs.may_settle

    def _news(self) -> Callable[[], NewsPattern | None] | None:
        if self.every_event or self._asks_of_batches:
            return None
        # What is pending is looked at with every frame: none may be passed over.
        return lambda: None if self._waiting else self.decoder.news

    def _frame(self, frame: Frame, now: float | None) -> Iterator[Notice]:
        self.frames += 1
        for event in self.decoder.decode(frame):
            yield from self.tell(event, now, frame.line, frame.is_sample)

    def _judge(self, change: int, now: float | None) -> Iterator[Notice]:
        run = self.log_runs.current
        life = self._life(run)
        time = run.logged_at if now is None else now
        asked = [rule for rule, wakes in self._rules if change & wakes or rule.name in self._waiting]
        changes: list[Alert] = []
        if asked:
            mark = Mark(time, run.epoch or 0, run.position)
            for rule in asked:
                changes += life.update(rule.name, rule.evaluate(run, now), mark, rule.settings.life, _lines_of(run))
            self._note_waiting(life)
        if (asked or self.silences) and life.firing:
            # Once for all that changed: what ends together with its inhibitor was inhibited when it ended.
            suppress(life.firing, run.id, self.silences, time)
        for alert in changes:
            yield run, alert

    def _note_waiting(self, life: Alerts) -> None:
        self._waiting = frozenset(a.rule for a in life.waiting)

    def _nan_matters(self, run: Run) -> bool:
        """Tell whether one more non-finite batch says something new: an onset, or an alert that does not fire yet."""
        if run.current is None or run.current.nan_onset is None:
            return True
        rules = {rule.name for rule, wakes in self._rules if wakes & Change.NAN}
        firing = {a.rule for a in self._life(run).firing}
        return not rules <= firing

    def _life(self, run: Run) -> Alerts:
        life = self._alerts.get(run.number)
        if life is None:
            life = self._alerts[run.number] = Alerts(None, run.number)
            kept = {r.number for r in self.runs}
            for number in [n for n in self._alerts if n not in kept]:
                del self._alerts[number]
        return life


def _lines_of(run: Run) -> Callable[[int], int | None]:
    return lambda offset: run.line if offset == run.offset else run.lines.get(offset)
