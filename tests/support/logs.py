"""Logs as bytes for tests: small stories, captures, cuts, and what the pipeline makes of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from fixtures.stories import Facts, write_cod, write_yolo
from nanwatch.config import Rules
from nanwatch.framing import SAMPLED, Framer
from nanwatch.model.alert import Alert, Finding
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk, Frame
from nanwatch.pipeline import LogPipeline
from nanwatch.rules.base import rule_types
from nanwatch.runs.fold import LogRuns

Told = tuple[str, str, int | None, int | None]
"""A change of an alert: its rule, its severity or `resolved`, and the epoch and batch that it names."""

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


@cache
def yolo_story(batches: int = 100) -> tuple[bytes, Facts]:
    """Return the yolo story with small epochs, and its facts."""
    out = io.BytesIO()
    facts = write_yolo(out, batches=batches)
    return out.getvalue(), facts


@cache
def cod_story(batches: int = 10) -> tuple[bytes, Facts]:
    """Return the cod story with small epochs, and its facts."""
    out = io.BytesIO()
    facts = write_cod(out, batches=batches)
    return out.getvalue(), facts


@cache
def capture(name: str) -> bytes:
    """Return the genuine log `FAMILY/NAME`."""
    return (CAPTURES / f"{name}.log").read_bytes()


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[Chunk]:
    """Yield *data* cut at the positions *cuts* (each taken modulo its length)."""
    begin = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        if end > begin:
            yield Chunk(begin, data[begin:end])
        begin = max(begin, end)


def frames_of(data: bytes, cuts: Iterable[int] = ()) -> list[Frame]:
    """Return every frame of *data*, the unfinished one included."""
    framer = Framer()
    found = [f for chunk in pieces(data, cuts) for f in framer.feed(*chunk) if isinstance(f, Frame)]
    return [*found, *framer.reset()]


def texts(data: bytes, cuts: Iterable[int] = ()) -> list[str]:
    """Return the text of every frame of *data*."""
    return [frame.text for frame in frames_of(data, cuts)]


def read(data: bytes, cuts: Iterable[int] = (), *, every_event: bool = False, detail: int = SAMPLED) -> LogPipeline:
    """Return a pipeline that has read *data* to its end."""
    pipeline = LogPipeline("x.log", every_event=every_event, detail=detail)
    for chunk in pieces(data, cuts):
        for _ in pipeline.feed(chunk):
            pass
    for _ in pipeline.finish():
        pass
    return pipeline


def outcome(pipeline: LogPipeline) -> list[str]:
    """Return all that the pipeline says of its log, in comparable form (a NaN is not equal to itself)."""
    return [text for run in pipeline.runs for text in (repr(run), *map(repr, pipeline.alerts_of(run)))]


def alerts(pipeline: LogPipeline) -> list[Alert]:
    """Return every alert of every run, oldest first."""
    return [alert for run in pipeline.runs for alert in pipeline.alerts_of(run)]


def told(data: bytes, rule: str | None = None) -> list[Told]:
    """Return each change of an alert in the order of the log: rule, severity or `resolved`, epoch, batch."""
    pipeline = LogPipeline("x.log")
    found: list[Told] = []
    for step in (pipeline.feed(Chunk(0, data)), pipeline.finish()):
        for _, notice in step:
            if isinstance(notice, Alert) and rule in (None, notice.rule):
                word = notice.severity if notice.state == "firing" else "resolved"
                found.append((notice.rule, word, notice.epoch, notice.batch))
    return found


def fold(*events: Event) -> LogRuns:
    """Return the runs that *events* make."""
    runs = LogRuns("x.log")
    for event in events:
        runs.apply(event)
    return runs


def lines(texts: Sequence[str]) -> bytes:
    """Return *texts* as lines of bytes."""
    return "".join(f"{text}\n" for text in texts).encode()


def findings(rule: str, *events: Event, settings: object = None) -> list[Finding]:
    """Return what the rule of this name finds in the run that *events* make."""
    made = rule_types()[rule](settings if settings is not None else getattr(Rules(), rule))
    return list(made.evaluate(fold(*events).current, None))


def bars(epoch: int, *losses: str, total: int | None = None, more: str = "", epochs: int = 5) -> bytes:
    """Return an epoch's bar as tqdm draws it, a redraw for each of *losses*."""
    total = total or len(losses)
    text = f"\rEpoch {epoch}/{epochs}:   0%|          | 0/{total} [00:00<?, ?it/s]"
    for n, loss in enumerate(losses, start=1):
        clock = f"[00:{n % 60:02}<00:09,  1.00it/s, loss={loss}{more}]"
        text += f"\rEpoch {epoch}/{epochs}: {100 * n // total:3}%|{'#' * (10 * n // total):10}| {n}/{total} {clock}"
    return (text + "\n").encode()


def some(changes: Iterable[Told]) -> list[tuple[str, int | None]]:
    """Return only what each change of `told` says it is, and its epoch."""
    return [(word, epoch) for _, word, epoch, _ in changes]


def facts_of(pipeline: LogPipeline) -> list[object]:
    """Return the counters and alerts that live reading must agree on."""
    found: list[object] = []
    for run in pipeline.runs:
        rows = [(e.epoch, e.batch, e.nan_batches, e.nan_onset, e.grad_skips, e.vram_gb) for e in run.table.values()]
        told = [(a.rule, a.key, a.severity, a.state, a.epoch, a.batch) for a in pipeline.alerts_of(run)]
        found += [run.epoch, run.batch, run.nan_batches, run.nan_onset, run.grad_skips, run.resumes, rows, told]
        found += [repr(run.metrics), run.finished is None, run.failure is None, run.interrupted]
    return found
