"""Cutting bytes into frames: what a terminal would overwrite is a frame, wherever the bytes were cut."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch import framing
from nanwatch.framing import MAX_FRAME, Framer, clean
from nanwatch.model.frame import Chunk, Frame, FrameEnd, Passed
from tests.support.logs import frames_of, pieces, texts
from tests.support.repeatable import repeatable

TOKENS = [
    b"\n", b"\r", b"\r\n", b"\x08", b"\x08" * 3, b"\x08" * 20,
    b"\x1b[K", b"\x1b[2K", b"\x1b[A", b"\x1b[12A", b"\x1b[999F", b"\x1b[H", b"\x1b[2J", b"\x1b[32m", b"\x1b[0m",
    b"\x1b]0;title\x07", b"\x1b]52;c;ZXZpbA==\x07", b"\x1b]8;;http://x\x1b\\", b"\x1b(B", b"\x1b", b"\x1b[", b"\x1b[3",
    b"\x00", b"\x00\x00", b"\t", b" ", b"a", b"loss nan", b"1234", b"[2K",
    "é".encode(), "█".encode(), "🚀".encode(), "\u202e".encode(),
    b"\xe2", b"\x96\x88", b"\xff", b"\xc3", b"\xf0\x9f", b"\xc2\x9b",
]  # fmt: skip
BYTES = st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)
TEXT = st.text(st.sampled_from("a1 \n\r\té█🚀\x08\x1b[K2A"), max_size=60)
CUTS = st.lists(st.integers(0, 10_000), max_size=8)


def shown(frames: Iterable[Frame | Passed | None]) -> list[tuple[str, int, FrameEnd]]:
    """Return text, offset and end of each frame."""
    return [(f.text, f.offset, f.end) for f in frames if isinstance(f, Frame)]


def feed(framer: Framer, data: bytes, offset: int = 0) -> list[str]:
    """Return the texts of the frames that end within *data*."""
    return [frame.text for frame in framer.feed(offset, data) if isinstance(frame, Frame)]


# -- what ends a frame


def test_lines_with_their_offsets() -> None:
    """A newline ends a frame, and its offset is that of its first byte."""
    assert shown(frames_of(b"one\ntwo\n\nthree\n")) == [
        ("one", 0, FrameEnd.NEWLINE),
        ("two", 4, FrameEnd.NEWLINE),
        ("three", 9, FrameEnd.NEWLINE),
    ]


def test_carriage_return_ends_a_redraw() -> None:
    """Each state of a bar is a frame of its own, although the whole is one line."""
    assert shown(frames_of(b"\r 0%\r 50%\r100%\nend\n")) == [
        (" 0%", 1, FrameEnd.REDRAW),
        (" 50%", 5, FrameEnd.REDRAW),
        ("100%", 10, FrameEnd.NEWLINE),
        ("end", 15, FrameEnd.NEWLINE),
    ]


def test_windows_line_end_is_one_newline() -> None:
    """A carriage return right before a newline belongs to it, and makes no redraw."""
    assert shown(frames_of(b"one\r\ntwo\r\n")) == [("one", 0, FrameEnd.NEWLINE), ("two", 5, FrameEnd.NEWLINE)]


@pytest.mark.parametrize("cut", range(1, 10))
def test_windows_line_end_may_be_torn(cut: int) -> None:
    """A carriage return at the end of a chunk waits for the newline that may follow."""
    assert frames_of(b"one\r\ntwo\r\n", [cut]) == frames_of(b"one\r\ntwo\r\n")


@pytest.mark.parametrize(
    "separator",
    [b"\x08" * 30, b"\x1b[A", b"\x1b[1A", b"\x1b[12F", b"\x1b[1K", b"\x1b[2K", b"\x1b[J", b"\x1b[2J", b"\x1b[H"],
    ids=repr,
)  # fmt: skip
def test_what_begins_to_overwrite_ends_a_frame(separator: bytes) -> None:
    """Backspaces, cursor-up, erase-line, erase-screen and home end a frame, as a carriage return does."""
    assert shown(frames_of(b"step 1" + separator + b"step 2\n")) == [
        ("step 1", 0, FrameEnd.REDRAW),
        ("step 2", 6 + len(separator), FrameEnd.NEWLINE),
    ]


def test_erasing_what_stands_behind_ends_nothing() -> None:
    """Erase-to-the-end leaves the text before it, so it does not end a frame."""
    assert texts(b"loss=0.5\x1b[K, acc=0.9\x1b[0K\n") == ["loss=0.5, acc=0.9"]


def test_nan_in_an_overwritten_frame_is_not_lost() -> None:
    """Every state that the terminal showed can be read, not only the last one."""
    assert texts(b"loss=0.4\rloss=nan\rloss=0.5\n") == ["loss=0.4", "loss=nan", "loss=0.5"]


def test_blank_frames_are_none() -> None:
    """Frames of blanks, and those of escape sequences only, are passed over."""
    assert texts(b"\n \n\t\r\x1b[32m\x1b[0m\n\x1b[K\r\x00\n") == []


# -- what a person would see


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[34m\x1b[1mAMP: \x1b[0mok", "AMP: ok"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://host\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b]52;c;ZXZpbA==\x07x", "x"),
        (b"\x1b]52;c;ZXZpbA==", ""),
        (b"\x1bP+q544e\x1b\\x", "x"),
        (b"\x1b_Gf=100;AAAA\x1b\\x", "x"),
        (b"\x1b(B\x1b)0x", "x"),
        (b"\x1b[?25lx\x1b[?25h", "x"),
        (b"\x1b[38;2;1;2;3mx", "x"),
        (b"a\x07b\x0cc\x7fd", "abcd"),
        (b"a\tb", "a\tb"),
        ("a\u202eb\u2066c\ufeffd\u2028e".encode(), "abcde"),
        ("a\x9b31mb\x85c".encode(), "a31mbc"),
        (b"caf\xc3\xa9 \xff\xfe", "café \ufffd\ufffd"),
        (b"torn \xe2\x96", "torn \ufffd"),
        (b"[bold red]x[/]", "[bold red]x[/]"),
    ],
)
def test_clean_leaves_what_is_visible(raw: bytes, text: str) -> None:
    """Escape sequences, control characters and text-direction marks are gone; broken UTF-8 is marked."""
    assert clean(raw) == text


@given(st.binary(max_size=80) | BYTES)
@repeatable
def test_clean_leaves_nothing_to_act_on(raw: bytes) -> None:
    """Whatever the bytes, no control character but tab is left of them."""
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", clean(raw))


def test_hole_of_zeros_is_invisible() -> None:
    """Zeros that a truncation under the writer left in front of a line are no text."""
    assert texts(b"\x00" * 5000 + b"loss 1.0\nloss 2.0\n") == ["loss 1.0", "loss 2.0"]


# -- UTF-16, as PowerShell's `>` writes it


@pytest.mark.parametrize(("encoding", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_is_read_with_offsets_of_the_file(encoding: str, mark: bytes) -> None:
    """A byte order mark tells UTF-16; offsets are those of the bytes in the file."""
    data = mark + "one\r\n█ 🚀 two\rthree\nend".encode(encoding)
    assert shown(frames_of(data)) == [
        ("one", 0, FrameEnd.NEWLINE),
        ("█ 🚀 two", 2 + 10, FrameEnd.REDRAW),
        ("three", 2 + 10 + 18, FrameEnd.NEWLINE),
        ("end", 2 + 10 + 18 + 12, FrameEnd.TAIL),
    ]
    for cut in range(len(data)):
        assert frames_of(data, [cut]) == frames_of(data)


@given(TEXT, CUTS, st.sampled_from([("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]))
@repeatable
def test_utf_16_gives_the_frames_of_utf_8(text: str, cuts: list[int], encoding: tuple[str, bytes]) -> None:
    """The same text in UTF-16 gives the same frames, wherever it is cut, each at its own place in the file."""
    name, mark = encoding
    data = mark + text.encode(name)
    plain, wide = frames_of(text.encode()), frames_of(data, cuts)
    assert [(f.text, f.end) for f in wide] == [(f.text, f.end) for f in plain]
    for frame, other in zip(wide, plain, strict=True):
        before = text.encode()[: other.offset].decode()
        assert frame.offset == (2 + len(before.encode(name)) if before else 0)


@given(st.binary(max_size=60), CUTS, st.sampled_from([b"\xff\xfe", b"\xfe\xff"]))
@repeatable
def test_broken_utf_16_is_read_all_the_same(raw: bytes, cuts: list[int], mark: bytes) -> None:
    """Lone surrogates and a torn last character neither raise nor depend on the cutting."""
    assert frames_of(mark + raw, cuts) == frames_of(mark + raw)


@pytest.mark.parametrize("data", [b"\xff", b"\xfe", b"\xffa\n", b"\xfea\n", b"\xef\xbb\xbfa\n"])
def test_what_only_looks_like_a_mark(data: bytes) -> None:
    """A stray first byte is no UTF-16, and a UTF-8 byte order mark is not shown."""
    assert [t.replace("\ufffd", "") for t in texts(data, [1])] == (["a"] if b"a" in data else [])
    assert frames_of(data, [1]) == frames_of(data, [])


# -- any cutting


@given(BYTES, CUTS)
@repeatable
def test_any_cutting_gives_the_same_frames(data: bytes, cuts: list[int]) -> None:
    """The same bytes cut anywhere give the same frames, their offsets included."""
    assert frames_of(data, cuts) == frames_of(data)


@given(BYTES)
@repeatable
def test_byte_by_byte_gives_the_same_frames(data: bytes) -> None:
    """Even a stream that comes byte by byte gives the same frames."""
    assert frames_of(data, range(len(data))) == frames_of(data)


@given(BYTES)
@repeatable
def test_offset_points_at_the_first_byte(data: bytes) -> None:
    """The bytes at a frame's offset begin with what the frame shows."""
    for frame in frames_of(data):
        rest = data[frame.offset :]
        end = framing._SEPARATOR.search(rest)
        assert clean(rest[: end.start()] if end else rest) == frame.text
        assert frame.offset == 0 or framing._SEPARATOR.search(data[max(0, frame.offset - 400) : frame.offset])


@given(BYTES, CUTS, st.integers(4, 12))
@repeatable
def test_long_frames_do_not_depend_on_the_cutting(data: bytes, cuts: list[int], longest: int) -> None:
    """Where frames are longer than what is kept, text, loss and offsets are the same for any cutting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "MAX_FRAME", longest)
        whole, cut = frames_of(data), frames_of(data, cuts)
    assert [(f.text, f.offset) for f in cut] == [(f.text, f.offset) for f in whole]
    assert [f.lost for f in cut] == [f.lost for f in whole]


@given(st.lists(BYTES, max_size=10), st.integers(4, 12))
@repeatable
def test_the_state_stays_small(chunks: list[bytes], longest: int) -> None:
    """What is carried from chunk to chunk never holds more than one frame and half a separator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "MAX_FRAME", longest)
        framer, offset = Framer(), 0
        for chunk in chunks:
            for _ in framer.feed(offset, chunk):
                pass
            offset += len(chunk)
            assert len(framer.state.pending) <= longest + 8
            assert len(framer.state.undecoded) < 4
            assert framer.state.offset <= offset


# -- over-long frames


@pytest.mark.parametrize("chunk", [1000, 1 << 16, 1 << 20])
def test_a_huge_line_costs_no_memory(chunk: int) -> None:
    """A line without end is cut off, what is lost of it is counted, and the next frame is at its right place."""
    size = 3_000_000
    data = b"head " + b"x" * (size - 5) + b"\nnext\n"
    framer, found = Framer(), []
    for offset in range(0, len(data), chunk):
        found += [f for f in framer.feed(offset, data[offset : offset + chunk]) if isinstance(f, Frame)]
        assert len(framer.state.pending) <= MAX_FRAME + 8
    assert [(f.offset, len(f.text), f.lost) for f in found] == [(0, MAX_FRAME, size - MAX_FRAME), (size + 1, 4, 0)]


def test_a_huge_unfinished_line_is_told_at_the_end() -> None:
    """An over-long frame that nothing ends is given out by `reset`, with what was lost."""
    framer = Framer()
    assert feed(framer, b"y" * (MAX_FRAME + 100)) == []
    assert framer.tail() is None
    (frame,) = framer.reset()
    assert (len(frame.text), frame.offset, frame.end) == (MAX_FRAME, 0, FrameEnd.TAIL)
    assert framer.state.pending == b""


def test_huge_utf_16_frames_keep_their_offsets() -> None:
    """The frame after an over-long one in UTF-16 is at its right place too."""
    data = b"\xff\xfe" + ("x" * 200_000 + "\nnext\n").encode("utf-16-le")
    for size in (len(data), 777):
        assert [(f.offset, f.text[:4]) for f in frames_of(data, range(0, len(data), size))] == [
            (0, "xxxx"),
            (2 + 400_002, "next"),
        ]


# -- the unfinished frame


def test_tail_shows_a_redraw_before_its_end() -> None:
    """A redraw that nothing has ended yet can be read, once."""
    framer = Framer()
    assert feed(framer, b"\rloss=0.4\rloss=nan") == ["loss=0.4"]
    assert shown([framer.tail()])[0] == ("loss=nan", 10, FrameEnd.TAIL)
    framer.take_tail()
    assert framer.tail() is None
    assert feed(framer, b"\rloss=0.5\n", 18) == ["loss=0.5"]


def test_tail_of_a_frame_with_its_carriage_return() -> None:
    """A frame that ends in a carriage return is whole, although a newline may still follow."""
    framer = Framer()
    assert feed(framer, b"loss=nan\r") == []
    assert shown([framer.tail()])[0] == ("loss=nan", 0, FrameEnd.TAIL)
    framer.take_tail()
    assert feed(framer, b"loss=0.5\n", 9) == ["loss=0.5"]


def test_tail_leaves_lines_alone() -> None:
    """A line that is being put together piece by piece is not read before its newline."""
    framer = Framer()
    assert feed(framer, b"epoch 1, loss 0.") == []
    assert framer.tail() is None
    assert feed(framer, b"42\n", 16) == ["epoch 1, loss 0.42"]


@pytest.mark.parametrize("torn", [b"\x1b", b"\x1b[", b"\x1b[2", "█".encode()[:2], b"\xc3", "🚀".encode()[:3]])
def test_tail_waits_for_torn_ends(torn: bytes) -> None:
    """A redraw that ends amid an escape sequence or a character is still being written."""
    framer = Framer()
    feed(framer, b"\rstep 1 " + torn)
    assert framer.tail() is None


def test_text_after_a_taken_tail_is_a_frame_of_its_own() -> None:
    """What follows a frame that was taken is read apart from it, at its own offset."""
    framer = Framer()
    feed(framer, b"\rstep 1")
    framer.take_tail()
    framer_frames = list(framer.feed(7, b" and more\n"))
    assert shown(framer_frames) == [(" and more", 7, FrameEnd.NEWLINE)]


def test_reset_gives_out_what_is_left() -> None:
    """A torn line is given out where another stream follows, and the state begins anew."""
    framer = Framer()
    feed(framer, b"one\ntor")
    assert shown(framer.reset()) == [("tor", 4, FrameEnd.TAIL)]
    assert list(framer.reset()) == []
    assert feed(framer, b"new\n") == ["new"]


# -- passing over what is quiet

NEWS = re.compile(rb"\r(?=[^\r]*nan)")


def passed_and_read(data: bytes, cuts: list[int]) -> tuple[list[str], bytes]:
    """Return the frames that were read and the bytes that were passed over."""
    framer, read, passed = Framer(), list[str](), b""
    for chunk in pieces(data, cuts):
        for part in framer.feed(*chunk, lambda: NEWS):
            if isinstance(part, Passed):
                assert data[part.offset : part.offset + len(part.data)] == part.data
                passed += part.data
            else:
                assert data[part.offset :].startswith(part.text.encode())
                read.append(part.text)
    read += [frame.text for frame in framer.reset()]
    return read, passed


def test_quiet_redraws_are_passed_over() -> None:
    """Superseded frames that are no news are not given out, save for the last one before news or the line's end."""
    data = b"start\r 1%\r 2%\r 3%\r 4% nan\r 5%\r 6%\r 7%\nend\n"
    read, passed = passed_and_read(data, [])
    assert read == ["start", " 3%", " 4% nan", " 6%", " 7%", "end"]
    assert passed == b"\r 1%\r 2%\r 5%"


@given(st.lists(st.sampled_from(["1%", "2%", "3% nan", "é", "", "\n"]), max_size=30), CUTS)
@repeatable
def test_news_is_never_passed_over(parts: list[str], cuts: list[int]) -> None:
    """Wherever the bytes are cut, each frame is either read or passed over, and news is read."""
    data = "\r".join(parts).encode()
    read, passed = passed_and_read(data, cuts)
    every = [text for text in texts(data) if text.strip()]
    assert [t for t in read if "nan" in t] == [t for t in every if "nan" in t]
    hidden = [t for t in passed.decode().split("\r") if t]
    assert sorted(read + hidden) == sorted(every)


def test_chunk_of_nothing() -> None:
    """An empty chunk changes nothing."""
    framer = Framer()
    assert list(framer.feed(0, b"")) == []
    assert list(framer.feed(*Chunk(0, b"a\n"))) == [Frame("a", 0, is_sample=True)]


# -- where a frame stands


def test_frames_tell_their_line() -> None:
    """Lines are counted from 1, however often one is redrawn; so is the unfinished one."""
    data = b"one\n\r 1%\r 2%\r 3%\n\n\r\ntwo\r\nthree"
    assert [(f.text, f.line) for f in frames_of(data)] == [
        ("one", 1), (" 1%", 2), (" 2%", 2), (" 3%", 2), ("two", 5), ("three", 6)
    ]  # fmt: skip
    for place in range(len(data)):
        assert frames_of(data, [place]) == frames_of(data)


@given(st.lists(st.sampled_from([b"\rquiet", b"\rloud", b"\nline\n", b"\r", b"\rq\rq\rq"]), max_size=60), CUTS)
@repeatable
def test_samples_are_read_whatever_is_passed_over(parts: list[bytes], cuts: list[int]) -> None:
    """The first frame of each stretch of the log is read and marked, with and without passing over the quiet ones."""
    data = b"".join(parts) + b"\n"
    quiet = re.compile(rb"\r(?!q)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "SAMPLED", 32)
        samples = [(f.text, f.offset, f.line) for f in frames_of(data) if f.is_sample]
        framer = Framer()
        read = [f for chunk in pieces(data, cuts) for f in framer.feed(*chunk, lambda: quiet) if isinstance(f, Frame)]
        assert [(f.text, f.offset, f.line) for f in [*read, *framer.reset()] if f.is_sample] == samples
    assert all(len({offset // 32 for _, offset, _ in samples}) == len(samples) for _ in samples[:1])
