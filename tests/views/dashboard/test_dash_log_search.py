"""Line numbers, patterns and scans of a log, and what is noticed of its file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.views.dashboard.log import index, search
from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.index import LineIndex
from nanwatch.views.dashboard.log.pattern import Pattern, Trouble
from nanwatch.views.dashboard.log.search import Scan
from tests.support.repeatable import repeatable

LINES = "".join(f"step {n} loss {n / 7:.4}\n" for n in range(500)).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "train.log"


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    """A descriptor of 500 lines."""
    path.write_bytes(LINES)
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


def never() -> bool:
    """Nothing is cancelled."""
    return False


# -- line numbers


def test_index_knows_lines_both_ways(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line's number gives its offset, and each offset its line's number."""
    monkeypatch.setattr(index, "BLOCK", 256)
    counted = LineIndex()
    counted.extend(fd, len(LINES), never)
    assert (counted.counted_to, counted.lines, counted.total) == (len(LINES), 500, 500)
    offset = 0
    for number, line in enumerate(LINES.splitlines(keepends=True), start=1):
        assert counted.offset_of(fd, number) == offset
        assert counted.line_of(fd, offset) == counted.line_of(fd, offset + len(line) - 1) == number
        offset += len(line)
    assert counted.offset_of(fd, 502) is None


def test_index_goes_on_as_the_log_grows(fd: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added is counted on from where counting stopped; a torn last line is a line."""
    monkeypatch.setattr(index, "BLOCK", 256)
    counted = LineIndex()
    for size in range(0, len(LINES) + 100, 100):
        counted.extend(fd, min(size, len(LINES)), never)
    with path.open("ab") as out:
        out.write(b"torn")
    counted.extend(fd, len(LINES) + 4, never)
    assert (counted.lines, counted.total) == (500, 501)
    assert counted.line_of(fd, len(LINES) + 2) == 501


def test_index_can_be_cancelled(fd: int) -> None:
    """Nothing is counted once it is cancelled, and what is not counted has no number."""
    counted = LineIndex()
    counted.extend(fd, len(LINES), lambda: True)
    assert counted.counted_to == 0
    assert counted.line_of(fd, 100) is None


# -- patterns


@pytest.mark.parametrize(
    ("text", "data", "found"),
    [
        ("nan", b"loss NaN\nloss 1\nnan nan\n", [5, 16]),
        ("NaN", b"loss NaN\nnan\n", [5]),
        (r"loss \d+", b"loss x\nLOSS 12\n", [7]),
        ("^b", b"ab\nba\n", [3]),
        ("a|b", b"xa\nxb\n", [1, 4]),
        ("é", "né\n".encode(), [1]),
        ("x", b"x\rx\rx\n", [0, 2, 4]),
        ("absent", b"", []),
    ],
)
def test_pattern_finds(text: str, data: bytes, found: list[int]) -> None:
    """The first hit of each line and redraw is found; a capital in the pattern asks for case."""
    pattern = Pattern(text)
    assert list(pattern.find(data)) == found
    assert not pattern.note


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|a)*b", r"(\w+\s?)*$", r"(a)\1+", "[", "(", "*", "a{5}{6}{7}{99999}", "(?:a?){50}b", ".*.*.*.*.*=",
     "(" * 300],
)  # fmt: skip
def test_dangerous_patterns_are_literal(text: str) -> None:
    """What is invalid, or could run for ever, is taken literally, and it says why."""
    pattern = Pattern(text)
    assert "taken literally" in pattern.note
    assert list(pattern.find(f"aaa {text}\n".encode())) == [4]
    assert not list(pattern.find(b"a" * 50_000 + b"!\n"))


@pytest.mark.parametrize("text", [r"a+b", r"a.*b.*c", r"\d+x", r"(?i:a*)=", r"a+a+b", "a.*a.*a.*b"])
def test_slow_patterns_see_the_beginning_of_a_line(text: str) -> None:
    """Patterns with open-ended repeats end soon on a line that is made to slow them down."""
    assert not list(Pattern(text).find(b"a" * 60_000 + b"1" * 1000 + b"\n"))
    assert not Pattern(text).spans("a" * 1000)


def test_spans_of_a_row() -> None:
    """Hits in a row's text are told by their characters; an empty match is none."""
    assert Pattern("é").spans("aéÉb") == [(1, 2), (2, 3)]
    assert Pattern("x*").spans("axx") == [(1, 3)]


@pytest.mark.parametrize(
    ("line", "is_trouble"),
    [
        (b"loss nan", True), (b"loss=NaN,", True), (b"\x1b[31mnan\x1b[0m", True), (b"inf", True), (b"-Infinity", True),
        (b"\x1b[33mWARNING\x1b[0m x", True), (b"UserWarning: y", True), (b"ValueError: z", True),
        (b"Traceback (most", True), (b"CUDA out of memory", True),
        (b"INFO fine", False), (b"nano inference", False), (b"finance", False),
    ],
)  # fmt: skip
def test_trouble(line: bytes, is_trouble: bool) -> None:
    """NaN, warnings and errors are trouble; words that hold `nan` or `inf` are none."""
    assert bool(list(Trouble().find(line + b"\n"))) == is_trouble


def test_utf_16_is_searched_literally() -> None:
    """In a log of UTF-16 text is found as it is written there, and that is said."""
    pattern = Pattern("loss", "utf-16-le")
    assert list(pattern.find("a loss".encode("utf-16-le"))) == [4]
    assert "UTF-16" in pattern.note


# -- scans


@repeatable
@given(st.integers(0, 3000), st.sampled_from(["step", "7", "loss 1", "absent", "1$"]))
def test_scan_finds_every_hit_from_anywhere(origin: int, text: str) -> None:
    """A scan from any place finds the hits that a plain loop finds, each once."""
    with tempfile.TemporaryFile() as out:
        out.write(LINES)
        out.flush()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "BLOCK", 128)
            patch.setattr(search, "OVERLAP", 64)
            scan = Scan(Pattern(text), origin, len(LINES))
            scan.run(out.fileno(), never, lambda: None)
    expected = list(Pattern(text).find(LINES))
    assert list(walk(scan)) == expected
    assert len(scan) == len(expected)
    assert [scan.before(hit + 1) for hit in expected] == expected
    assert [scan.count_before(hit) for hit in expected] == list(range(len(expected)))


def walk(scan: Scan) -> Iterator[int]:
    """Yield all hits in their order."""
    hit = scan.after(-1)
    while hit is not None:
        yield hit
        hit = scan.after(hit)


def test_scan_does_not_know_yet(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a place was looked at, the next hit is not known; at the end it is searched on from the start."""
    monkeypatch.setattr(search, "BLOCK", 512)
    scan = Scan(Pattern("step 3 "), 5000, len(LINES))
    scan.step(fd)
    assert scan.find(5000, is_forward=True) is None
    assert 0 < scan.share < 1
    scan.run(fd, never, lambda: None)
    assert scan.is_complete
    assert scan.find(5000, is_forward=True) == LINES.index(b"step 3 ")
    assert Scan(Pattern("x"), 0, 0).find(0, is_forward=True) == -1


def test_scan_goes_on_as_the_log_grows(fd: int, path: Path) -> None:
    """What is added is looked at, also where a word was torn; no hit is counted twice."""
    scan = Scan(Pattern("step 50"), len(LINES), len(LINES))
    scan.run(fd, never, lambda: None)
    before = len(scan)
    size = len(LINES)
    for piece in (b"step 5", b"00 x\n", b"step 501\n"):
        with path.open("ab") as out:
            out.write(piece)
        size += len(piece)
        scan.grow(size)
        scan.run(fd, never, lambda: None)
    assert len(scan) == before + 2


def test_scan_keeps_a_bounded_number_of_hits(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that is everywhere stops the scan, which then says so."""
    monkeypatch.setattr(search, "MOST_HITS", 100)
    monkeypatch.setattr(search, "BLOCK", 512)
    scan = Scan(Pattern("s"), 0, len(LINES))
    scan.run(fd, never, lambda: None)
    assert scan.is_full
    assert 100 <= len(scan) < 200


# -- the file


def test_file_tells_what_happened(path: Path) -> None:
    """Growth, truncation, loss, return and rotation each have their word."""
    file = LogFile(path)
    assert file.problem == "file gone, waiting for it"
    path.write_bytes(b"one\n")
    assert file.refresh() == "returned"
    assert (file.problem, file.size, file.read(0, 99)) == ("", 4, b"one\n")
    assert file.refresh() == ""
    path.write_bytes(b"one\ntwo\n")
    assert file.refresh() == "grown"
    path.write_bytes(b"x")
    assert file.refresh() == "cut"
    path.rename(path.with_suffix(".1"))
    assert file.refresh() == "gone"
    assert file.read(0, 9) == b"x"
    path.write_bytes(b"new\n")
    assert file.refresh() == "rotated"
    assert file.read(0, 9) == b"new\n"
    file.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read(path: Path) -> None:
    """A file without permission says so."""
    path.write_bytes(b"x")
    path.chmod(0)
    file = LogFile(path)
    assert file.problem == "permission denied"
    assert file.read(0, 9) == b""


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    """What is no file gives nothing to read, and harms nothing."""
    file = LogFile(tmp_path)
    assert file.read(0, 9) == b""
    file.close()
