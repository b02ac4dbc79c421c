"""Rows of a log as a terminal would have shown them, at any place, from either side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.views.dashboard.log import cutting, edges, reader
from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.reader import Reader
from nanwatch.views.dashboard.log.rows import SHOWN, Row, inert
from tests.support.repeatable import repeatable

TOKENS = [
    b"\n", b"\n", b"\r", b"\r\n", b"\x08", b"\t", b"\x00", b"\x1b[K", b"\x1b[2K", b"\x1b[A", b"\x1b[2A", b"\x1b[F",
    b"\x1b[B", b"\x1b[J", b"\x1b[32m", b"\x1b[0m", b"\x1b[4G", b"\x1b[3C", b"\x1b[2D", b"\x1b]0;title\x07",
    b"\x1b]52;c;ZXZpbA==\x07", b"\x1b(B", b"\x1b", b"\x1b[", b"\x1b[3", b" ", b"a", b"loss nan", b"1234", b"[2K",
    b"\xe2", b"\x96\x88", b"\xff",
    b"\xc2\x9b", "é".encode(), "█".encode(), "🚀".encode(), "\u202e".encode(), "e\u0301\u0301\u0301".encode(),
]  # fmt: skip
PLAIN = [b"a", b"bc", b"12345", b"\r", b"\n", b"\x1b[K", b"\x1b[2K", b"\x1b[3D", b"\x08", b"\t", "é".encode()]
NESTED = b"\n\rinner\x1b[A"
BYTES = st.lists(st.sampled_from([*TOKENS, NESTED, NESTED * 3]), max_size=60).map(b"".join)


@contextmanager
def reading(data: bytes, every_redraw: bool = False) -> Iterator[Reader]:
    """Yield a reader of a file that holds *data*."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        path.write_bytes(data)
        file = LogFile(path)
        yield Reader(file, every_redraw)
        file.close()


@contextmanager
def small_limits() -> Iterator[None]:
    """Let a few bytes be long, so that every limit is met."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (cutting, "HORIZON", 24), (edges, "HORIZON", 24), (reader, "HORIZON", 24),
            (edges, "CELL", 64), (edges, "GLUED", 32),
            (edges, "_WINDOW", 8), (edges, "_WIDEST", 16), (reader, "_WHOLE", 40), (reader, "_TAIL", 20),
            (reader, "_HEAD", 12),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        yield


def texts(data: bytes, every_redraw: bool = False) -> list[str]:
    """Return the texts of all rows of *data*."""
    with reading(data, every_redraw) as rows:
        return [row.text for row in rows.forward(0, 10_000)]


# -- what a terminal shows


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one\ntwo\n\nthree", ["one", "two", "", "three"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\r 0%\r 50%\r100%\nend\n", ["100%", "end"]),
        (b"\r100% long\r 5%\n", [" 5%% long"]),
        (b"\r100% long\r\x1b[K 5%\n", [" 5%"]),
        (b"12345\x08\x08ab\n", ["123ab"]),
        (b"a\tb\n", ["a       b"]),
        (b"\x1b[31mred\x1b[0m\n", ["red"]),
        (b"x\x1b[3Cy\x1b[1Gz\n", ["z   y"]),
        (b"\x1b]0;title\x07text\n", ["text"]),
        (b"[bold]text[/bold]\n", ["[bold]text[/bold]"]),
        ("日本\rab\n".encode(), ["ab本"]),
        ("日本\ra\n".encode(), ["a 本"]),
        ("日本\x08x\n".encode(), ["日 x"]),
        ("a\u202eb\u200bc\n".encode(), ["abc"]),
        (b"", []),
    ],
)
def test_rows_of_bytes(data: bytes, expected: list[str]) -> None:
    """A bar is one row that shows what the last redraws left; colours and titles are dropped, markup is text."""
    assert texts(data) == expected


def test_nested_bars_are_one_group() -> None:
    """Lines that cursor-up glues together show what each row shows last, not what was drawn over."""
    data = b"start\nouter 0\n\rinner 1\x1b[A\n\rinner 2\x1b[A\router 1\n\rinner 3\x1b[A\n\nend\n"
    assert texts(data) == ["start", "outer 1", "inner 3", "end"]


def test_docker_like_redraws() -> None:
    """Rows below the cursor stay when it comes back down, and the next line is a row of its own."""
    assert texts(b"a\nb\n\x1b[2A\rA\x1b[2B\rnext\nlast\n") == ["A", "b", "next", "last"]


def test_every_redraw_is_a_row() -> None:
    """The second mode shows each frame, so that a NaN that was drawn over can be seen."""
    assert texts(b"x\n\r 0% nan\r 50%\r100%\nend\n", every_redraw=True) == ["x", " 0% nan", " 50%", "100%", "end"]


def test_long_line_is_cut_and_counted() -> None:
    """Of a long line the first characters are kept, and how many follow is told."""
    with reading(b"y" * 5000 + b"\n") as rows:
        row = rows.forward(0, 1)[0]
        assert (len(row.text), row.more) == (SHOWN, 5000 - SHOWN)
        assert rows.whole(row, 1 << 20) == "y" * 5000


def test_endless_line_is_cut_at_a_limit() -> None:
    """A line without an end costs a few reads, and its parts say that they were cut."""
    with reading(b"z" * (3 * edges.CELL) + b"\nend\n") as rows:
        found = rows.backward(1 << 40, 10)
    assert [row.is_cut for row in found] == [True, True, True, False]
    assert found[-1].text == "end"
    assert [row.start % edges.CELL for row in found[:3]] == [0, 0, 0]


def test_utf_16_is_read() -> None:
    """A log that PowerShell wrote is shown like any other."""
    data = "epoch 1\r\nloss nan é\r\n".encode("utf-16")
    assert [text.strip() for text in texts(data)][:2] == ["epoch 1", "loss nan é"]


def test_trouble_is_named() -> None:
    """A row tells whether it holds a NaN, an error or a warning; words that hold `nan` are none."""
    with reading(b"loss nan\nnano info\nWARNING x\nValueError: y\n") as rows:
        assert [row.trouble for row in rows.forward(0, 9)] == ["nan", "", "warning", "error"]


def test_superseded_byte_is_not_shown() -> None:
    """A byte of a frame that was drawn over is told from one that can still be seen."""
    data = b"\r 10% nan\r100% 0.5\n"
    with reading(data) as rows:
        assert not rows.shows(1, 9)
        assert rows.shows(10, len(data))


def test_byte_of_a_nested_bar_finds_its_row() -> None:
    """The row that holds a byte is the one it was written to."""
    data = b"start\nouter 0\n\rinner 1\x1b[A\n\rinner 2\x1b[A\router 1\n\rinner 3\x1b[A\n\nend\n"
    with reading(data) as rows:
        for word, text in ((b"inner 2", "inner 3"), (b"outer 0", "outer 1"), (b"start", "start")):
            row = rows.holding(data.index(word))
            assert row is not None
            assert row.text == text


# -- from wherever one comes


def walk(rows: Reader) -> list[Row]:
    """Return all rows, one at a time from the beginning."""
    found: list[Row] = []
    while group := rows.group_of(found[-1].end if found else 0):
        if found and group.start < found[-1].end:
            break
        found += group.rows
    return found


@settings(repeatable, max_examples=150)
@given(BYTES, st.booleans(), st.booleans())
def test_any_way_gives_the_same_rows(data: bytes, every_redraw: bool, is_small: bool) -> None:
    """Forward covers the file once, backward is its reverse, and each byte's group is the one that walking gives."""
    with reading(data, every_redraw) as rows:
        if is_small:
            with small_limits():
                check_ways(data, rows)
        else:
            check_ways(data, rows)


def check_ways(data: bytes, rows: Reader) -> None:
    """Compare walking forward, backward, and asking at each byte."""
    forward = walk(rows)
    groups = sorted({(row.start, row.end) for row in forward})
    bounds = [0, *(end for _, end in groups)] if data else [0]
    assert [start for start, _ in groups] == bounds[:-1]
    assert bounds[-1] == len(data)
    offsets = [row.offset for row in forward]
    assert offsets == sorted(set(offsets))
    assert rows.forward(0, 10_000) == forward
    assert rows.backward(len(data) + 1, 10_000) == forward
    for row in forward:
        assert row.text.isprintable()
        assert rows.at(row.offset) == row
        assert rows.backward(row.offset, 1) == forward[: forward.index(row)][-1:]
    for start, end in groups:
        for offset in range(start, end):
            rows.forget()
            group = rows.group_of(offset)
            held = rows.holding(offset)
            assert group is not None
            assert held in group.rows
            assert (group.start, group.end) == (start, end)


@settings(repeatable, max_examples=60)
@given(BYTES, BYTES)
def test_growth_gives_what_reading_anew_gives(before: bytes, after: bytes) -> None:
    """Rows that were read before the file grew do not differ from those of a reader that sees it grown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        path.write_bytes(before)
        file = LogFile(path)
        rows = Reader(file)
        rows.forward(0, 10_000)
        with path.open("ab") as out:
            out.write(after)
        file.refresh()
        assert rows.forward(0, 10_000) == Reader(file).forward(0, 10_000)
        file.close()


@repeatable
@given(st.text(max_size=80))
def test_inert_text_is_printable(text: str) -> None:
    """No text keeps a control, an escape, or anything that turns the direction of writing."""
    assert inert(text).isprintable()


@settings(repeatable, max_examples=100)
@given(
    st.lists(
        st.sampled_from(PLAIN),
        max_size=40,
    ).map(b"".join)
)  # fmt: skip
def test_an_independent_terminal_shows_the_same(data: bytes) -> None:
    """Where the terminal emulator pyte is installed, it shows the same rows."""
    pyte = pytest.importorskip("pyte")
    screen = pyte.Screen(400, 60)
    pyte.ByteStream(screen).feed(data.replace(b"\n", b"\r\n"))
    shown = [line.rstrip() for line in screen.display]
    rows = [text.rstrip() for text in texts(data)]
    assert rows == shown[: len(rows)]
