"""Numbers, durations, rates and amounts of memory, as trainers print them."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.formats.numbers import NUMBER, as_counter, read_duration, read_gb, read_int, read_number, read_rate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.22", 0.22), ("-1", -1), ("+3.5", 3.5), (".5", 0.5), ("5.", 5), ("1e-3", 1e-3), ("6.9012e+00", 6.9012), ("'3.83'", 3.83),
        ("1,420", 1420), ("1,234,567.5", 1234567.5), (" 7 ", 7), ("inf", math.inf), ("-inf", -math.inf), ("-Infinity", -math.inf),
    ],
)  # fmt: skip
def test_number(text: str, value: float) -> None:
    """Each spelling of a number is read."""
    assert read_number(text) == value


@pytest.mark.parametrize("text", ["nan", "NaN", "NAN", "nan.0", "-nan", "'nan'", "+nan"])
def test_nan(text: str) -> None:
    """Each spelling of NaN is read."""
    value = read_number(text)
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text", ["", "nano", "info", "finance", "1.2.3", "0x10", "12ms", "--", "1e", "N/A", "None", "1" * 100]
)
def test_no_number(text: str) -> None:
    """What only looks like a number is none."""
    assert read_number(text) is None


@pytest.mark.parametrize("text", ["nano", "info", "infer", "nan_policy", "infinite"])
def test_pattern_ends_before_a_word(text: str) -> None:
    """The pattern of a number never matches the head of a word."""
    assert re.match(NUMBER, text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("41163", 41163),
        ("1,420", 1420),
        ("2.5k", 2500),
        ("1.2M", 1_200_000),
        ("?", None),
        ("", None),
        ("1.5", None),
        ("9" * 5000, None),
    ],
)
def test_int(text: str, value: int | None) -> None:
    """Counters are whole, with thousands separators or a scale."""
    assert read_int(text) == value


@pytest.mark.parametrize(
    ("number", "value"),
    [(3.0, 3), (0.0, 0), (None, None), (math.nan, None), (math.inf, None), (-1.0, None), (1e300, None)],
)
def test_counter_of(number: float | None, value: int | None) -> None:
    """A number that cannot count anything is no counter."""
    assert as_counter(number) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("4.71G", 4.71), ("4.71GB", 4.71), ("512 MiB", 0.5), ("2048M", 2), ("1T", 1024), ("4.2", 4.2), ("4096", 4), ("0G", 0), ("nan", None), ("big", None)],
)  # fmt: skip
def test_gb(text: str, value: float | None) -> None:
    """An amount of memory is told in GB, whatever its unit; a large bare number is megabytes."""
    assert read_gb(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("02:30", 150), ("1:02:03", 3723), ("1 day, 2:03:04", 93784), ("2 days, 1:00:00", 176400), ("0.5s", 0.5), ("23ms", 0.023),
        ("5m12s", 312), ("1h02m", 3720), ("12.3 s", 12.3), ("5 min", 300), ("?", None), ("", None), ("soon", None), ("..s", None),
    ],
)  # fmt: skip
def test_duration(text: str, value: float | None) -> None:
    """Clocks and amounts with units are seconds."""
    assert read_duration(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [("2.14it/s", 2.14), ("4s/it", 0.25), (" 5.00it/s", 5), ("5.2Kit/s", 5200), ("8ms/step", 125), ("2s/epoch", 0.5), ("?it/s", None), ("0s/it", None), ("", None)],
)  # fmt: skip
def test_rate(text: str, value: float | None) -> None:
    """Rates are units a second, from either way of printing them."""
    assert read_rate(text) == (None if value is None else pytest.approx(value))


@given(st.text())
def test_nothing_raises(text: str) -> None:
    """No text makes a reader raise."""
    for read in (read_number, read_int, read_gb, read_duration, read_rate):
        assert isinstance(read(text), int | float | None)


@given(st.from_regex(re.compile(r"[\d.,eE+\-_smhdGMKTi%/: ]{1,60}", re.ASCII), fullmatch=True))
def test_nothing_numeric_raises(text: str) -> None:
    """No heap of digits, points and units makes a reader raise."""
    for read in (read_number, read_int, read_gb, read_duration, read_rate):
        assert isinstance(read(text), int | float | None)


@given(st.floats())
def test_printed_float_is_read(value: float) -> None:
    """What Python prints of a float is read as that float."""
    found = read_number(repr(value))
    assert found is not None
    assert found == value or (math.isnan(found) and math.isnan(value))
