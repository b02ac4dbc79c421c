"""What all faces word alike: text that no screen obeys, counts, speeds, and spans of time in every style."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from nanwatch.model.words import age, brief_duration, duration, plural, printable, speed, spoken_duration
from nanwatch.views.words import clean


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m \x9b1mbold", "red bold"),
        ("red\x1b[31", "red"),
        ("\x1b]0;title\x07a", "a"),
        ("\x9d0;title\x9ca", "a"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\\x1b^private\x1b\\\x1b_program\x1b\\\x1bXstart\x1b\\a", "a"),
        ("\x1b]8;;http://evil.exam", ""),
        ("\x1b]8;;http://evil.exam\nnext", " next"),
        ("\x1b]8;;http\x1b[31mred", "red"),
        ("\x1b(Ba\x1bcb", "ab"),
        ("\x1bé\x1b", "é"),
        ("don\x92t\x9d say", "dont say"),
        ("a\u2028b\u200bc\ud800", "a bc"),
        ("\u0e01\u0e31" + "\u0e31" * 9, "\u0e01\u0e31\u0e31"),
        ("\u1100" + "\u1161" * 9, "\u1100\u1161\u1161"),
        ("न्यू ज़", "न्यू ज़"),
    ],
)
def test_no_screen_obeys_what_is_printable(text: str, expected: str) -> None:
    """Sequences go as a whole, cut ones too; letters of any script stay."""
    assert printable(text) == expected
    assert clean(text) == " ".join(expected.split())


@pytest.mark.parametrize("piece", ["\x1b]", "\x9d", "\x1b[", "\x1b", "\x9b0", "\x1bP\x9d", "e\u0301"])
def test_no_text_takes_long(piece: str) -> None:
    """However long and twisted it is, a text is made printable in no time."""
    before = time.process_time()
    assert len(printable(piece * 500_000)) <= 2400
    assert time.process_time() - before < 0.5


def test_every_style_words_the_same_time() -> None:
    """A cell, an age, a message and a sentence each have their style."""
    spans = (0, 42, 95, 2460, 25_920, 154_800, 1e8)
    assert [brief_duration(s) for s in spans] == ["0s", "42s", "1m", "41m", "7h12", "1d19h", "1157d"]
    assert [age(s) for s in spans] == ["0s", "42s", "1m", "41m", "7h", "43h", "1157d"]
    assert [duration(s) for s in spans] == ["0 s", "42 s", "2 min", "41 min", "7 h 12 min", "43 h", "1157 d 9 h"]
    spoken = ["0 seconds", "42 seconds", "95 seconds", "41 minutes", "7 h 12 min", "43 h", "1157.4 days"]
    assert [spoken_duration(s) for s in spans] == spoken
    assert [brief_duration(float("inf")), age(float("nan")), duration(float("nan"))] == ["ages", "0s", "ages"]


def test_counts_and_speeds() -> None:
    """One has no plural; a batch that takes longer than a second is told in seconds."""
    assert [plural(n, "epoch") for n in (0, 1, 1200)] == ["0 epochs", "1 epoch", "1,200 epochs"]
    assert [plural(n, "NaN loss", "NaN losses") for n in (1, 2.0)] == ["1 NaN loss", "2 NaN losses"]
    assert plural(10**400, "step").endswith(",000 steps")
    assert [speed(rate) for rate in (12.4, 0.5, 0, None, float("inf"))] == ["12.4 it/s", "2 s/it", None, None, None]


def test_words_load_next_to_nothing() -> None:
    """A summary starts every 30 seconds: words need neither Rich nor tables of all characters."""
    code = "import sys; import nanwatch.model.words as w; w.printable('a\\x1b[0m'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60).stdout.split()
    assert not {b"rich", b"unicodedata", b"rich.cells"} & set(loaded)
