"""Numbers as bytes -> how many are NaN or infinite, for every floating-point type that weights are stored in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """How a type writes numbers: one is `width` bytes, and a complex one has two of them (`parts`).

    With the sign masked away, `infinite` is infinity (None: the type has none) and all from `first_nan` on are NaN.
    """

    width: int
    magnitude: int
    infinite: int | None
    first_nan: int
    parts: int = 1

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return self.width * self.parts


def _ieee(width: int, mantissa: int, parts: int = 1) -> FloatFormat:
    """Sign, exponent, mantissa: the exponent that is all ones is infinity, and with a mantissa beside it NaN."""
    magnitude = (1 << (8 * width - 1)) - 1
    infinite = magnitude >> mantissa << mantissa
    return FloatFormat(width, magnitude, infinite, infinite + 1, parts)


# The types of 8 bits: "FP8 Formats for Deep Learning" (E4M3 has no infinity), and the OCP Microscaling specification
# (E8M0: no sign, 0xff is NaN). The "fnuz" types have one NaN, where others have minus zero.
FORMATS = {
    "float64": _ieee(8, 52),
    "float32": _ieee(4, 23),
    "float16": _ieee(2, 10),
    "bfloat16": _ieee(2, 7),
    "complex128": _ieee(8, 52, parts=2),
    "complex64": _ieee(4, 23, parts=2),
    "complex32": _ieee(2, 10, parts=2),
    "float8_e5m2": _ieee(1, 2),
    "float8_e4m3fn": FloatFormat(1, 0x7F, None, 0x7F),
    "float8_e8m0fnu": FloatFormat(1, 0xFF, None, 0xFF),
    "float8_e4m3fnuz": FloatFormat(1, 0xFF, None, 0x80),
    "float8_e5m2fnuz": FloatFormat(1, 0xFF, None, 0x80),
}
"""By PyTorch's name: the types that can hold a non-finite number."""

_ONLY_MINUS_ZERO = {"float8_e4m3fnuz", "float8_e5m2fnuz"}
_WHOLE = {
    1: ("bool", "uint8", "int8", "quint8", "qint8", "quint4x2", "quint2x4", "float4_e2m1fn_x2", "bits8"),
    2: ("uint16", "int16", "bits16"),
    4: ("uint32", "int32", "qint32"),
    8: ("uint64", "int64"),
}
SIZES = {name: size for size, names in _WHOLE.items() for name in names} | {n: f.size for n, f in FORMATS.items()}
"""Bytes of one element, by PyTorch's name of the type."""


class Masks(NamedTuple):
    """Which elements are NaN, and which are infinite and not NaN."""

    nan: Mask
    inf: Mask


class Detector:
    """Looks at pieces of one type. The quick test is exact: it misses nothing, and finds nothing that is not there.

    Read as integers, non-finite numbers are the largest: those with a sign among unsigned ones, those without among
    signed ones. Two maxima tell whether there is any, without a copy, an exception or a rounding mode.
    """

    def __init__(self, dtype: str, big_endian: bool = False) -> None:
        import numpy as np

        self._format = form = FORMATS[dtype]
        self._np = np
        self._is_swapped = big_endian and form.width > 1
        self._unsigned = np.dtype(f"u{form.width}")
        self._signed = np.dtype(f"i{form.width}")
        self._only = form.first_nan if dtype in _ONLY_MINUS_ZERO else None
        self._limit = form.first_nan if form.infinite is None else form.infinite
        self._sign = form.magnitude + 1 if form.magnitude < (1 << 8 * form.width) - 1 else 0

    def hits(self, piece: Bytes) -> bool:
        """Tell whether any number of *piece* (whole elements) is not finite. Other byte orders are turned in place."""
        np, bits = self._np, piece.view(self._unsigned)
        if not bits.size:
            return False
        if self._is_swapped:
            bits.byteswap(inplace=True)
        signed = piece.view(self._signed)
        if self._only is not None:
            return int(np.minimum.reduce(signed)) == -self._only
        if int(np.maximum.reduce(bits)) >= self._sign + self._limit:
            return True
        return bool(self._sign) and int(np.maximum.reduce(signed)) >= self._limit

    def masks(self, piece: Bytes) -> Masks:
        """Tell of each element of *piece*, which `hits` has seen before, whether it is NaN or infinite."""
        form, np = self._format, self._np
        bits: Any = piece.view(self._unsigned) & self._unsigned.type(form.magnitude)
        nan = bits == form.first_nan if self._only is not None else bits >= form.first_nan
        inf = np.zeros(len(bits), bool) if form.infinite is None else bits == form.infinite
        if form.parts > 1:
            nan, inf = nan.reshape(-1, form.parts).any(axis=1), inf.reshape(-1, form.parts).any(axis=1)
            inf &= ~nan
        return Masks(nan, inf)
