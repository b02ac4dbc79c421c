"""The contract of every declared format, walked over the folder with nothing to register."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from nanwatch.formats.bars import Bar, read_bar
from nanwatch.formats.decode import Decoder, declarations, make_reader
from nanwatch.framing import Framer
from nanwatch.model.event import Event
from nanwatch.model.frame import Frame

FIXTURES = Path(__file__).parents[2] / "fixtures"
LOGS = sorted([*FIXTURES.glob("captures/*/*.log"), *FIXTURES.glob("formats/*.log")])
SPEAKERS = "speakers"
TRAINERS = sorted(name for name in declarations() if name != SPEAKERS)
CHUNKS = (1 << 20, 1009)


class Reading(NamedTuple):
    """What reading a whole log, every frame of it, told."""

    format: str
    matched: frozenset[str]
    quiet_frames: int
    events: list[Event]


def frames_of(log: Path, chunk: int = CHUNKS[0]) -> list[Frame]:
    """Return the frames of *log*, read in pieces of *chunk* bytes."""
    framer, data, frames = Framer(), log.read_bytes(), []
    for offset in range(0, len(data), chunk):
        frames += [f for f in framer.feed(offset, data[offset : offset + chunk]) if isinstance(f, Frame)]
    return [*frames, *framer.reset()]


@cache
def read(log: Path, chunk: int = CHUNKS[0]) -> Reading:
    """Read *log* with a fresh decoder."""
    decoder, matched, quiet, events = Decoder(), set[str](), 0, list[Event]()
    for frame in frames_of(log, chunk):
        found = decoder.decode(frame)
        quiet += not found
        matched.update(decoder.matched.split(" + "))
        events += found
    return Reading(decoder.format, frozenset(matched), quiet, events)


@cache
def parts() -> dict[str, list[tuple[str, Bar | None]]]:
    """Return, for each log, what its frames hold: the bars drawn in them and the text around them."""
    found: dict[str, list[tuple[str, Bar | None]]] = {}
    for log in LOGS:
        texts = found[f"{log.parent.name}/{log.stem}"] = []
        for text in {frame.text for frame in frames_of(log)}:
            bar = read_bar(text)
            while bar is not None and text[bar.end :].strip():
                texts.append((text[: bar.end], bar))
                text = text[bar.end :]
                bar = read_bar(text)
            texts.append((text, bar))
    return found


def test_samples_are_here() -> None:
    """There are logs to walk over, and formats to walk through."""
    assert len(LOGS) > 90
    assert len(TRAINERS) >= 8


@pytest.mark.parametrize("name", sorted(declarations()))
def test_every_pattern_is_exercised(name: str) -> None:
    """Each line, table and object of a declaration is what some frame of some sample was taken for."""
    declaration = declarations()[name]
    matched = frozenset[str]().union(*(read(log).matched for log in LOGS))
    prefix = "speaker" if name == SPEAKERS else name
    items = [line.name for line in declaration.lines]
    items += [table.name for table in declaration.tables] + [item.name for item in declaration.objects]
    assert len(items) == len(set(items))
    assert [item for item in items if f"{prefix}: {item}" not in matched] == []


@pytest.mark.parametrize("name", TRAINERS)
def test_every_detection_is_exercised(name: str) -> None:
    """Each detection pattern of a format finds a frame in some sample."""
    texts = [text for rows in parts().values() for text, _ in rows]
    idle = [p.pattern for p in declarations()[name].detect if not any(p.search(text) for text in texts)]
    assert idle == []


def test_no_frame_is_claimed_twice() -> None:
    """No frame of any sample is claimed by the detection of two formats."""
    readers = [make_reader(name) for name in TRAINERS]
    for rows in parts().values():
        for text, _ in rows:
            assert len([reader.name for reader in readers if reader.claims(text)]) <= 1, text


@pytest.mark.parametrize("name", TRAINERS)
def test_no_sample_of_another_is_claimed(name: str) -> None:
    """A format claims frames of the logs that are read as its own, and of no other log."""
    reader = make_reader(name)
    formats = {f"{log.parent.name}/{log.stem}": read(log).format for log in LOGS}
    claimed = {log for log, rows in parts().items() if any(reader.claims(text) for text, _ in rows)}
    assert claimed
    assert {formats[log] for log in claimed} == {name}


@pytest.mark.parametrize("log", LOGS, ids=[f"{log.parent.name}/{log.stem}" for log in LOGS])
def test_chunks_do_not_matter(log: Path) -> None:
    """The bytes of a log, cut anywhere, give the same events, down to their offsets."""
    assert list(map(repr, read(log, CHUNKS[1]).events)) == list(map(repr, read(log).events))


def test_every_sample_has_frames_that_say_nothing() -> None:
    """In the samples of each format stand frames that yield nothing, as in every genuine log."""
    quiet: dict[str, int] = {}
    for log in LOGS:
        reading = read(log)
        quiet[reading.format] = quiet.get(reading.format, 0) + reading.quiet_frames
    assert all(quiet.values())
    assert set(TRAINERS) <= set(quiet)
