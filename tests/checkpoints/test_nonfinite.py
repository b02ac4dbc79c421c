"""Finding NaN and Inf in bytes: every type, every bit pattern of the small ones, both byte orders."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.checkpoints.nonfinite import FORMATS, Detector
from tests.support.repeatable import repeatable

SMALL = [name for name, form in FORMATS.items() if form.width <= 2 and form.parts == 1]


def bits(values: list[int], width: int, big: bool = False) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(bytearray(np.array(values, f"{'>' if big else '<'}u{width}").tobytes()), np.uint8)


def test_every_pattern_of_the_small_types_is_what_pytorch_says_it_is() -> None:
    """NaN and Inf of the types of 8 and 16 bits are those that PyTorch sees, pattern by pattern."""
    torch = pytest.importorskip("torch")
    for name in SMALL:
        width = FORMATS[name].width
        patterns = list(range(1 << (8 * width)))
        raw = bits(patterns, width)
        values = torch.frombuffer(bytearray(raw.tobytes()), dtype=getattr(torch, name)).to(torch.float32)
        masks = Detector(name).masks(raw)
        assert (masks.nan == torch.isnan(values).numpy()).all(), name
        assert (masks.inf == torch.isinf(values).numpy()).all(), name


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("big", [False, True])
def test_the_quick_test_agrees_with_the_exact_one_for_every_pattern(name: str, big: bool) -> None:
    """A single pattern among zeros is a hit exactly when it is NaN or Inf."""
    width = FORMATS[name].width
    detector = Detector(name, big)
    exact = Detector(name).masks(bits(list(range(1 << (8 * width))), width))
    expected = exact.nan | exact.inf
    step = 1 if width == 1 else 13
    for pattern in [*range(0, len(expected), step), *np.flatnonzero(expected)[::37]]:
        assert detector.hits(bits([0, 0, int(pattern), 0], width, big)) == expected[pattern]


@repeatable
@given(st.lists(st.floats(width=32), min_size=1, max_size=20), st.booleans())
def test_float32_is_as_python_says(values: list[float], big: bool) -> None:
    """The counts of float32 are those of `math.isnan` and `math.isinf`, in both byte orders."""
    raw = np.frombuffer(bytearray(struct.pack(f"{'>' if big else '<'}{len(values)}f", *values)), np.uint8)
    detector = Detector("float32", big)
    assert detector.hits(raw) == any(not math.isfinite(value) for value in values)
    masks = detector.masks(raw)
    assert masks.nan.tolist() == [math.isnan(value) for value in values]
    assert masks.inf.tolist() == [math.isinf(value) for value in values]


@repeatable
@given(st.lists(st.floats(), min_size=1, max_size=20), st.booleans())
def test_float64_is_as_python_says(values: list[float], big: bool) -> None:
    """The counts of float64 are those of `math.isnan` and `math.isinf`, in both byte orders."""
    raw = np.frombuffer(bytearray(struct.pack(f"{'>' if big else '<'}{len(values)}d", *values)), np.uint8)
    detector = Detector("float64", big)
    assert detector.hits(raw) == any(not math.isfinite(value) for value in values)
    assert detector.masks(raw).nan.tolist() == [math.isnan(value) for value in values]


def test_a_complex_number_is_nan_if_either_part_is() -> None:
    """A complex number counts once: as NaN if a part is NaN, else as infinite if a part is."""
    values = np.array([complex(1, 2), complex(float("nan"), 1), complex(float("inf"), float("nan")),
                       complex(0, float("-inf"))], np.complex64)  # fmt: skip
    detector = Detector("complex64")
    raw = np.frombuffer(bytearray(values.tobytes()), np.uint8)
    assert detector.hits(raw)
    assert detector.masks(raw).nan.tolist() == [False, True, True, False]
    assert detector.masks(raw).inf.tolist() == [False, False, False, True]


@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_is_clean(name: str) -> None:
    """A piece without elements has no non-finite ones."""
    assert not Detector(name).hits(np.zeros(0, np.uint8))
