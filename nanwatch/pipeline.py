"""The wiring: bytes -> frames -> events -> runs -> findings -> alerts, for one log. Read this first.

Every face (summary, tail, replay) drives the same `LogPipeline`, so they cannot disagree about a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nanwatch.alerts.lifecycle import Alerts
from nanwatch.config import Rules
from nanwatch.formats.counter import BatchCounter
from nanwatch.formats.declared import ReaderState
from nanwatch.formats.decode import Decoder, DecoderState
from nanwatch.formats.traceback import TracebackState
from nanwatch.framing import Framer, FramerState, NewsPattern
from nanwatch.model.alert import Alert
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk, Discontinuity, Frame, Passed
from nanwatch.model.run import Best, Change, Epoch, Evaluation, Run, RunFailure
from nanwatch.rules.base import Rule, make_rules
from nanwatch.runs.fold import LogRuns
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


_STATE_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        PipelineState, FramerState, DecoderState, ReaderState, BatchCounter, TracebackState,
        Run, Epoch, Best, Evaluation, RunFailure, Alert,
    )
}  # fmt: skip


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
    """Reads one log.

    With `every_event`, every frame is read; without it, superseded frames that are quiet are passed over,
    and the runs and alerts come out the same.
    """

    def __init__(
        self, log: str, rules: Rules | None = None, state: PipelineState | None = None, every_event: bool = False
    ) -> None:
        state = state or PipelineState()
        self.framer = Framer(state.framer)
        self.decoder = Decoder(state.decoder)
        self.log_runs = LogRuns(log, state.runs or None)
        self.every_event = every_event
        self.decoder.seeks_news = not every_event
        self.frames = 0
        self._alerts = {number: Alerts(history) for number, history in state.alerts.items()}
        self._rules: list[tuple[Rule, int]] = [(r, r.wakes) for r in make_rules(rules or Rules())]
        self.decoder.ceilings = self.log_runs.current.ceilings

    @property
    def state(self) -> PipelineState:
        """The state to be put aside."""
        alerts = {number: life.history for number, life in self._alerts.items()}
        return PipelineState(self.framer.state, self.decoder.state, self.log_runs.runs, alerts)

    @property
    def runs(self) -> list[Run]:
        """The runs found so far, oldest first."""
        return self.log_runs.runs

    def alerts_of(self, run: Run) -> list[Alert]:
        """Return the alerts of *run*, oldest first."""
        return self._life(run).history

    def feed(self, item: Chunk | Discontinuity, now: float | None = None) -> Iterator[Notice]:
        """Read *item*; yield what it tells, in the order of the log."""
        if isinstance(item, Discontinuity):
            for frame in self.framer.reset():
                yield from self._frame(frame, now)
            return
        for part in self.framer.feed(item.offset, item.data, self._news()):
            if isinstance(part, Passed):
                self.decoder.pass_over(part)
            else:
                yield from self._frame(part, now)

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

    @property
    def may_be_finished(self) -> bool:
        """Whether the current run is over if nobody writes the log any more, without having said so."""
        return self.log_runs.may_settle

    def _news(self) -> Callable[[], NewsPattern | None] | None:
        return None if self.every_event else lambda: self.decoder.news

    def _frame(self, frame: Frame, now: float | None) -> Iterator[Notice]:
        self.frames += 1
        for event in self.decoder.decode(frame):
            change = self.log_runs.apply(event, now)
            run = self.log_runs.current
            run.format = self.decoder.format
            self.decoder.ceilings = run.ceilings
            yield run, event
            yield from self._judge(change, now)
            if change & (Change.NAN | Change.EPOCH | Change.CLEAN):
                self.decoder.mind_nan(self._nan_matters(run))

    def _judge(self, change: int, now: float | None) -> Iterator[Notice]:
        run = self.log_runs.current
        life = self._life(run)
        for rule, wakes in self._rules:
            if change & wakes:
                for alert in life.update(rule.name, rule.evaluate(run, now), now):
                    yield run, alert

    def _nan_matters(self, run: Run) -> bool:
        """Tell whether one more non-finite batch says something new: an onset, or an alert that does not fire yet."""
        if run.current is None or run.current.nan_onset is None:
            return True
        rules = {rule.name for rule, wakes in self._rules if wakes & Change.NAN}
        firing = {a.rule for a in self._life(run).history if a.state == "firing"}
        return not rules <= firing

    def _life(self, run: Run) -> Alerts:
        life = self._alerts.get(run.number)
        if life is None:
            life = self._alerts[run.number] = Alerts()
            kept = {r.number for r in self.runs}
            for number in [n for n in self._alerts if n not in kept]:
                del self._alerts[number]
        return life
