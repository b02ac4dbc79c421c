"""Drives the formats: who prints this log, what does each frame say, and which frames need not be read."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from nanwatch.formats.bars import Bar, read_bar
from nanwatch.formats.closing import read_closing
from nanwatch.formats.declared import Declaration, Reader, ReaderState, load
from nanwatch.formats.generic import Generic
from nanwatch.formats.prefix import split_prefix
from nanwatch.formats.quiet import news_source
from nanwatch.formats.traceback import TracebackReader, TracebackState
from nanwatch.model.event import BatchDone, Event
from nanwatch.model.frame import Frame, FrameEnd, Passed

_SPEAKERS = "speakers"
_TRIGGER = re.compile(
    r"(?i)skip|overflow|average precision|memory|script |nohup|oom|killed|segmentation|bus error|"
    r"fatal python|dataloader worker|aborted|nccl|collective|loss is|cancelled|interrupt|\^c|terminated|"
    r"resum|continu|restored|loaded|sigterm|sigint|training|saved|saving|early stopping|exhausted|illegal|"
    r"stage|phase \d|frozen|freez|floating point|memoryallocation|exitcode|cuda error|hip error|errno 28"
)
_MOST_PARTS = 16  # bars and lines glued to one another in one frame
_DETECTED_IN = 20_000
_RIVAL_CLAIMS = 3


class FrameReader(Protocol):
    """What a format is to the decoder."""

    name: str
    matched: str
    state: ReaderState

    def claims(self, text: str) -> bool:
        """Tell whether *text* is printed by this trainer and by no other."""
        ...

    def read(self, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        """Return the events of a frame, or None when no pattern knows it."""
        ...


@cache
def declarations() -> dict[str, Declaration]:
    """Return every declared format by name, as the files of this folder tell; nothing is registered."""
    folder = Path(str(files(__package__)))
    return {d.name: d for d in (load(path) for path in sorted(folder.glob("*.toml")))}


def make_reader(name: str, state: ReaderState | None = None) -> FrameReader:
    """Return the reader of the format *name*: its class where `NAME.py` stands beside `NAME.toml`."""
    if name == Generic.name:
        return Generic(state)
    declaration = declarations()[name]
    module = f"{__package__}.{name}"
    if find_spec(module) is None:
        return Reader(declaration, state)
    maker: Callable[[Declaration, ReaderState | None], FrameReader] = importlib.import_module(module).Format
    return maker(declaration, state)


@dataclass(slots=True)
class DecoderState:
    """What the decoder carries from frame to frame: the format that was recognised and what it remembers.

    `draws_bars` tells whether the last redraw was a bar's.
    """

    format: str = ""
    frames: int = 0
    rival: str = ""
    rival_claims: int = 0
    draws_bars: bool = False
    readers: dict[str, ReaderState] = field(default_factory=dict)
    traceback: TracebackState = field(default_factory=TracebackState)


class Decoder:
    """Turns the frames of one log into events.

    `format` is the name of the format that was recognised, `matched` says what the last frame was taken for.
    `news` is the pattern by which framing may pass over frames that are none (None: read each of them);
    `ceilings` are the highest losses that are no news; where `nan_is_news` is False, nor are losses that stay
    non-finite. Without `seeks_news` no pattern is offered and every frame is read; the run that comes of it is
    the same.
    """

    def __init__(self, state: DecoderState | None = None) -> None:
        self.state = state or DecoderState()
        self.ceilings: Mapping[str, float] = {}
        self.nan_is_news = True
        self.seeks_news = True
        self.matched = ""
        self.news: re.Pattern[bytes] | None = None
        self._news_source = b""
        self._passed: Passed | None = None
        self._last_batch = 0
        self._news_pattern: re.Pattern[bytes] | None = None
        self._readers: dict[str, FrameReader] = {}
        self._traceback = TracebackReader(self.state.traceback)
        self._speakers = make_reader(_SPEAKERS)
        self._generic = self._reader(Generic.name)
        self._reader_now = self._reader(self.state.format or Generic.name)

    @property
    def format(self) -> str:
        """The name of the format that is read now."""
        return self._reader_now.name

    def decode(self, frame: Frame) -> list[Event]:
        """Return what *frame* says, in order; nothing for a frame that no pattern knows."""
        self.state.frames += 1
        self.news = None
        self.matched = ""
        closing = read_closing(frame.text, frame.offset)
        if closing is not None:
            self.matched = "nanwatch run"
            self._traceback.drop()
            return closing
        return self._decode(frame.text, frame.offset, frame.end)

    def pass_over(self, passed: Passed) -> None:
        """Take frames that framing passed over: they count when the next one is read."""
        self._reader_now.state.counter.passed = self._passed = passed

    def mind_nan(self, news: bool) -> None:
        """Say whether losses that stay non-finite are news; what was decided without knowing is undone."""
        if news and not self.nan_is_news:
            self.news = None
        self.nan_is_news = news

    def is_whole(self, frame: Frame) -> bool:
        """Tell whether an unfinished redraw has all its text, so that it may be read before what ends it."""
        bar = read_bar(frame.text)
        if bar is None:  # where bars are drawn, what is none yet is one that is still being written
            return self.format == Generic.name and not self.state.draws_bars
        # What stands behind a bar is somebody else's line, which is whole when its newline has come.
        return (bar.whole or bar.style in ("keras", "rich")) and not frame.text[bar.end :].strip()

    def _decode(self, text: str, offset: int, end: FrameEnd, parts: int = _MOST_PARTS) -> list[Event]:
        traceback = self._traceback
        if not traceback.reading and ("Traceback (most" in text or text.startswith(("Exception ig", "--- Log"))):
            start = traceback.begin(text, offset)
            self.matched = "traceback"
            return self._decode(text[:start], offset, end) if start and text[:start].strip() else []
        if not traceback.reading:
            traceback.state.is_harmless = False  # what would have been begun did not come
        bar = read_bar(text)
        if traceback.reading and bar is None:
            events = traceback.read(text, offset)
            if events is not None:
                self.matched = "traceback"
                return events
        rest = text[bar.end :] if bar is not None else ""
        if bar is not None and rest.strip():
            events = self._read(text[: bar.end], bar, offset)
            matched = self.matched
            events = [*events, *(self._decode(rest, offset, end, parts - 1) if parts else ())]
            self.matched = " + ".join(m for m in (matched, self.matched) if m)
            self.news = None
            return events
        events = self._read(text, bar, offset)
        if bar is not None:
            self._tell_passed(bar, events)
            if end is FrameEnd.REDRAW:
                self.state.draws_bars = True
                if self.seeks_news:
                    self._find_quiet(bar, events)
        elif end is FrameEnd.REDRAW:
            self.state.draws_bars = False
        return events

    def _read(self, text: str, bar: Bar | None, offset: int) -> list[Event]:
        self._detect(text, bar)
        reader = self._reader_now
        if reader is not self._generic:
            events = reader.read(text, bar, offset)
            if events is not None:
                self.matched = f"{reader.name}: {reader.matched}"
                self.state.rival_claims = 0
                return events
        if bar is None and _TRIGGER.search(text):
            events = self._speakers.read(split_prefix(text)[1], None, offset)
            if events is not None:
                self.matched = f"speaker: {self._speakers.matched}"
                return events
        if reader is self._generic:
            events = reader.read(text, bar, offset)
            if events is not None:
                self.matched = f"generic: {reader.matched}"
                return events
        return []

    def _detect(self, text: str, bar: Bar | None) -> None:
        state = self.state
        if state.frames > _DETECTED_IN and (bar is not None or not state.format):
            return
        if bar is not None and state.format:
            return
        for name in declarations():
            if name not in (_SPEAKERS, state.format) and self._reader(name).claims(text):
                self._claim(name)
                return

    def _claim(self, name: str) -> None:
        state = self.state
        if state.format:
            state.rival_claims = state.rival_claims + 1 if state.rival == name else 1
            state.rival = name
            if state.rival_claims < _RIVAL_CLAIMS:
                return
        state.format, state.rival, state.rival_claims = name, "", 0
        self._reader_now = self._reader(name)
        steps = self._generic.state.memory.get("steps")
        if steps is not None:  # a bar that was drawn before it was known whose it is
            self._reader_now.state.memory.setdefault("steps", steps)

    def _reader(self, name: str) -> FrameReader:
        if name not in self._readers:
            self._readers[name] = make_reader(name, self.state.readers.setdefault(name, ReaderState()))
        return self._readers[name]

    def _tell_passed(self, bar: Bar, events: list[Event]) -> None:
        """Say in the event which batches were passed over, if they were non-finite as it is."""
        passed, self._passed = self._passed, None
        last = self._last_batch
        event = events[0] if events else None
        if not isinstance(event, BatchDone) or event.batch is None:
            return
        self._last_batch = event.batch
        if passed and not all(math.isfinite(v) for v in event.losses.values()):
            if bar.style == "tqdm" and not self._reader_now.state.counter.exact:
                event.passed = range(last + 1, event.batch)
            else:
                event.passed = sorted({int(n) for n in re.findall(rb" (\d+)/%d " % (bar.total or 0), passed.data)})

    def _find_quiet(self, bar: Bar, events: list[Event]) -> None:
        if len(events) != 1 or not isinstance(events[0], BatchDone):
            return
        event = events[0]
        counter = self._reader_now.state.counter
        if (bar.style == "tqdm" and counter.exact is None) or not math.isfinite(event.grad_norm or 0.0):
            return
        source = news_source(bar, event, self.ceilings, self.nan_is_news)
        if source is None:
            return
        if source != self._news_source:
            self._news_source = source
            self._news_pattern = re.compile(source)
        self.news = self._news_pattern
