"""Numbers as trainers print them: the one place where text becomes a float, a duration or an amount of memory."""

from __future__ import annotations

import math
import re

NUMBER = (
    r"[-+]?(?:(?:\d[\d_]*+(?:,\d{3}(?!\d))*+(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"
    r"|(?i:nan|inf(?:inity)?)(?:\.0)?(?![A-Za-z_]))"
)
"""Regular expression of a number; it does not match the head of a word such as `nano` or `info`."""

LARGEST = 1e15
"""Counters above this are none."""
_LONGEST = 64  # characters of a number or a duration

_NUMBER = re.compile(NUMBER)
_SPECIAL = {"nan": float("nan"), "inf": float("inf"), "infinity": float("inf")}
_SCALE = {"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_MEMORY = re.compile(rf"\s*({NUMBER})\s*([KMGT]?)i?(B?)\Z", re.IGNORECASE)
_RATE = re.compile(r"\s*([\d.]{1,20})\s*([kKMG]?)\s*(?:(s)/\w+|[a-zA-Z]+/s)")
_STEP_TIME = re.compile(r"([\d.]{1,20})(us|µs|ms|s|min|h)/\w")
_UNIT_SECONDS = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip


def read_number(text: str) -> float | None:
    """Return the number that *text* is, or None: `nan`, `nan.0`, `-inf`, `1e-3`, `'3.83'` and `1,420` are numbers."""
    text = text.strip().strip("'\"")
    if len(text) > _LONGEST:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    bare = text.lower().lstrip("+-").removesuffix(".0")
    if bare in _SPECIAL:
        return -_SPECIAL[bare] if text.startswith("-") else _SPECIAL[bare]
    match = _NUMBER.fullmatch(text)
    return float(text.replace(",", "").replace("_", "")) if match else None


def read_int(text: str) -> int | None:
    """Return the whole number that *text* is (`41163`, `1,420`, `2.5k`), or None."""
    text = text.strip().replace(",", "")
    if len(text) > 15:
        return None
    if text.isdecimal():
        return int(text)
    scale = _SCALE.get(text[-1:].lower())
    number = read_number(text[:-1]) if scale else None
    return round(number * scale) if scale and number is not None and abs(number) < 1e12 else None


def as_counter(number: float | None) -> int | None:
    """Return *number* as a counter, or None where it cannot be one (NaN, infinite, negative, absurd)."""
    return int(number) if number is not None and 0 <= number <= LARGEST else None


def read_gb(text: str) -> float | None:
    """Return an amount of memory in GB: `4.71G`, `4710 MiB`, `4.2`; a bare number above 200 is megabytes."""
    match = _MEMORY.match(text)
    number = read_number(match[1]) if match else None
    if match is None or number is None or not math.isfinite(number):
        return None
    unit = match[2].upper()
    if not unit:
        return number if number <= 200 else number / 1024
    return {"K": number / 1024**2, "M": number / 1024, "G": number, "T": number * 1024}[unit]


def read_duration(text: str) -> float | None:
    """Return seconds: `02:30`, `1:02:03`, `1 day, 2:03:04`, `0.5s`, `23ms`, `5m12s`."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    days = 0.0
    if "day" in text:
        head, _, text = text.partition("day")
        days = read_number(head) or 0.0
        text = text.lstrip("s, ")
    if ":" in text:
        seconds = 0.0
        for part in text.split(":"):
            number = read_number(part)
            if number is None:
                return None
            seconds = seconds * 60 + number
        return days * 86400 + seconds
    parts = re.findall(r"([\d.]+)\s*(us|µs|ms|s|sec\w*|min|m|h|d)\b|([\d.]+)(h|m)(?=\d)", text)
    numbers = [(read_number(a or c), (b or d)[:3]) for a, b, c, d in parts]
    if not numbers or any(n is None for n, _ in numbers):
        return None
    return days * 86400 + sum((n or 0.0) * _UNIT_SECONDS[unit] for n, unit in numbers)


def read_rate(text: str) -> float | None:
    """Return units a second: `2.14it/s`, `1.5s/it`, `5.2Kit/s`, `9ms/step`."""
    match = _STEP_TIME.match(text.strip())
    if match:
        seconds = (read_number(match[1]) or 0.0) * _UNIT_SECONDS[match[2]]
        return 1 / seconds if seconds > 0 else None
    match = _RATE.match(text)
    if match is None:
        return None
    number = read_number(match[1])
    if number is None:
        return None
    if match[3]:
        return 1 / number if number > 0 else None
    return number * _SCALE.get(match[2].lower(), 1.0)
