"""One value of a TOML file -> what a setting asks for, or one line that says what and where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

from nanwatch.config import Duration, Hold, Moment, QuietHours
from nanwatch.errors import UsageError
from nanwatch.model.alert import SEVERITIES, Severity

_ADDRESS = "://"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd] ?)+")
_HOLD = re.compile(r"(\d+) (epoch|batch|batche)(?:s)?")
_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) ?- ?([01]?\d|2[0-3]):([0-5]\d)")


def parse_duration(text: str) -> Duration:
    """Return the seconds of `10m`, `1h 30m` or `90s`.

    Raises:
        ValueError: it is none.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    return Duration(sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([\d.]+)([smhd])", text)))


def read_path(text: str, place: str) -> Path:
    """Return the path that *text* names, with `~` as the home folder that it stands for."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{place}: {_shown(text)}: nobody here has such a home folder") from None
    if "\0" in text:
        raise UsageError(f"{place}: {_shown(text)}: not the name of a file")
    return path


def shown_name(name: str) -> str:
    """Return *name* as it may be shown, where somebody may have written an address in its place."""
    return "..." if _ADDRESS in name else name


def read_section(
    base: Any, data: Mapping[str, object], place: str, more: list[str], fixed: tuple[str, ...] = ("life",)
) -> Any:
    """Return the frozen settings *base* with what a TOML table sets, field by field.

    *more* is known there too; what is *fixed* is no setting.
    """
    hints = get_type_hints(type(base))
    known = [name for name in base._fields if name not in (*fixed, *more)]
    values = {}
    for name, value in data.items():
        if name not in known:
            raise UsageError(f"{place}.{shown_name(name)}: no such setting (known here: {', '.join([*known, *more])})")
        values[name] = read_value(hints[name], value, f"{place}.{name}")
    return base._replace(**values)


def read_value(hint: Any, value: object, place: str) -> object:
    """Return *value* as what *hint* asks for."""
    if hint is Moment:
        if not isinstance(value, datetime):
            raise UsageError(f"{place}: expected a date and time such as 2026-12-24T08:00:00, found {_shown(value)}")
        return Moment(value.timestamp())
    if hint is Duration:
        return _duration(value, place)
    if hint is Hold:
        return _hold(value, place)
    if hint == QuietHours | None:
        return _quiet_hours(value, place)
    if hint == tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise UsageError(f"{place}: expected a list of texts")
        return tuple(items)
    if hint is str:
        if not isinstance(value, str):
            raise UsageError(f"{place}: expected a text, found {_shown(value)}")
        return value
    if hint in (Severity, Severity | None):
        if value not in SEVERITIES:
            raise UsageError(f"{place}: expected one of {', '.join(SEVERITIES)}, found {_shown(value)}")
        return value
    return _number(float if type(None) in get_args(hint) else hint, value, place)


def _shown(value: object) -> str:
    """Return *value* for a message: an address in the wrong place may hold a secret."""
    text = repr(value)
    return "an address" if _ADDRESS in text else text


def _number(hint: type, value: object, place: str) -> object:
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        words = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UsageError(f"{place}: expected {words[hint]}, found {_shown(value)}")
    if not isinstance(value, bool) and isinstance(value, int | float) and not 0 <= value < 1e12:
        raise UsageError(f"{place}: {_shown(value)} is out of range")
    return value


def _duration(value: object, place: str) -> Duration:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return Duration(value)
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return parse_duration(value)
    raise UsageError(f"{place}: expected a duration such as '10m' or '1h 30m', found {_shown(value)}")


def _quiet_hours(value: object, place: str) -> QuietHours:
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UsageError(f"{place}: expected hours such as '22:00-07:00', found {_shown(value)}")
    start, end = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    if start == end:
        raise UsageError(f"{place}: {_shown(value)} begins when it ends")
    return QuietHours(start, end)


def _hold(value: object, place: str) -> Hold:
    if isinstance(value, str) and (found := _HOLD.fullmatch(value)):
        return Hold(float(found[1]), "epochs" if found[2] == "epoch" else "batches")
    if isinstance(value, str) and not _DURATION.fullmatch(value):
        raise UsageError(f"{place}: expected '10m', '3 epochs' or '200 batches', found {_shown(value)}")
    return Hold(float(_duration(value, place)))
