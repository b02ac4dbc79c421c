"""nanwatch.toml -> settings; what is no setting is refused with its file and place."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

from nanwatch.config import AlertSettings, Config, CustomRule, Duration, Hold, Life, Moment, Rules
from nanwatch.errors import UsageError
from nanwatch.model.alert import SEVERITIES, Severity, Silence

_DEFAULTS, _AT_ONCE = Rules(), Life()
_TOP = ("logs", "rules", "alerts", "scenarios")
_LIFE = {"for": "hold", "keep_firing_for": "keep", "severity": "severity"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd] ?)+")
_HOLD = re.compile(r"(\d+) (epoch|batch|batche)(?:s)?")
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def load_config(named: str | None = None, user_folder: Path | None = None) -> Config:
    """Read the config *named*, else `nanwatch.toml` here, else in *user_folder*; without any, the defaults.

    Raises:
        UsageError: the file cannot be read or holds something that is no setting; says what and where.
    """
    if named is not None:
        return _read(Path(named))
    for path in (Path("nanwatch.toml"), *([user_folder / "nanwatch.toml"] if user_folder else [])):
        if path.is_file():
            return _read(path)
    return Config()


def read_toml(path: Path) -> dict[str, Any]:
    """Return what the TOML file at *path* holds.

    Raises:
        UsageError: it cannot be read; says why.
    """
    import tomllib  # only where there is a config: a summary starts every 30 seconds

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None


def parse_duration(text: str) -> Duration:
    """Return the seconds of `10m`, `1h 30m` or `90s`.

    Raises:
        ValueError: it is none.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(text)
    return Duration(sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([\d.]+)([smhd])", text)))


def parse_rules(data: object, place: str, base: Rules = _DEFAULTS) -> Rules:
    """Build the rules' settings from the TOML table at *place*; what it does not say is as in *base*.

    Raises:
        UsageError: something in it is no setting.
    """
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    known = [name for name in Rules._fields if name != "custom"]
    made: dict[str, Any] = {}
    custom = []
    for name, table in data.items():
        if name in known:
            made[name] = _rule(getattr(base, name), table, f"{place}.{name}")
        elif isinstance(table, Mapping) and "condition" in table:
            custom.append(_custom(name, table, f"{place}.{name}"))
        else:
            raise UsageError(
                f"{place}.{name}: no such setting (known here: {', '.join(sorted(known))}; "
                "a rule of your own needs a condition)"
            )
    return base._replace(**made, custom=tuple(custom))


def _read(path: Path) -> Config:
    data = read_toml(path)
    for name in data:
        if name not in _TOP:
            raise UsageError(f"{path}: {name}: no such setting (known here: {', '.join(_TOP)})")
    return Config(
        _paths(data.get("logs", ["logs/*.log"]), path, "logs"),
        parse_rules(data.get("rules", {}), f"{path}: rules"),
        _alerts(data.get("alerts", {}), f"{path}: alerts"),
        _paths(data.get("scenarios", []), path, "scenarios"),
        str(path),
    )


def _paths(value: object, path: Path, name: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{path}: {name}: expected a list of paths")
    return tuple(i if i == "-" else os.path.normpath(path.parent / Path(i).expanduser()) for i in items)


def _rule(base: Any, data: object, place: str) -> Any:
    """Build a rule's settings: thresholds of its own, and the life of its alerts."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    own = {name: value for name, value in data.items() if name not in _LIFE}
    settings = _section(base, own, place, [*_LIFE])
    return settings._replace(life=_life(data, place, base.life))


def _custom(name: str, data: Mapping[str, object], place: str) -> CustomRule:
    if not _RULE_NAME.fullmatch(name):
        raise UsageError(f"{place}: a rule's name is made of lower-case letters, digits and _")
    own = {key: value for key, value in data.items() if key not in _LIFE}
    known = ("condition", "enabled", "message", *_LIFE)
    for key, value in own.items():
        if key not in known:
            raise UsageError(f"{place}.{key}: no such setting (known here: {', '.join(known)})")
        own[key] = _value(bool if key == "enabled" else str, value, f"{place}.{key}")
    return CustomRule(name, **own, life=_life(data, place), source=place)  # type: ignore[arg-type]


def _life(data: Mapping[str, object], place: str, base: Life = _AT_ONCE) -> Life:
    found: dict[str, Any] = {}
    for key, name in _LIFE.items():
        if key in data:
            found[name] = _value(get_type_hints(Life)[name], data[key], f"{place}.{key}")
    return base._replace(**found)


def _alerts(data: object, place: str) -> AlertSettings:
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    silences = data.get("silences", [])
    own = {name: value for name, value in data.items() if name != "silences"}
    settings: AlertSettings = _section(AlertSettings(), own, place, ["silences"])
    if not isinstance(silences, list):
        raise UsageError(f"{place}.silences: expected [[alerts.silences]]")
    return settings._replace(silences=tuple(_silence(s, f"{place}.silences[{n}]") for n, s in enumerate(silences)))


def _silence(data: object, place: str) -> Silence:
    kinds: dict[str, Any] = {
        "rule": str, "run": str, "severity": get_type_hints(Silence)["severity"],
        "starts_at": Moment, "ends_at": Moment, "comment": str,
    }  # fmt: skip
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    for name in data:
        if name not in kinds:
            raise UsageError(f"{place}.{name}: no such setting (known here: {', '.join(kinds)})")
    found: dict[str, Any] = {name: _value(kinds[name], value, f"{place}.{name}") for name, value in data.items()}
    return Silence(**found)


def _section(base: Any, data: Mapping[str, object], place: str, more: list[str]) -> Any:
    """Return the frozen settings *base* with what a TOML table sets, field by field; *more* is known there too."""
    hints = get_type_hints(type(base))
    known = [name for name in base._fields if name not in ("life", *more)]
    values = {}
    for name, value in data.items():
        if name not in known:
            raise UsageError(f"{place}.{name}: no such setting (known here: {', '.join([*known, *more])})")
        values[name] = _value(hints[name], value, f"{place}.{name}")
    return base._replace(**values)


def _value(hint: Any, value: object, place: str) -> object:
    """Return *value* as what *hint* asks for."""
    if hint is Moment:
        if not isinstance(value, datetime):
            raise UsageError(f"{place}: expected a date and time such as 2026-12-24T08:00:00, found {value!r}")
        return Moment(value.timestamp())
    if hint is Duration:
        return _duration(value, place)
    if hint is Hold:
        return _hold(value, place)
    if hint is str:
        if not isinstance(value, str):
            raise UsageError(f"{place}: expected a text, found {value!r}")
        return value
    if hint in (Severity, Severity | None):
        if value not in SEVERITIES:
            raise UsageError(f"{place}: expected one of {', '.join(SEVERITIES)}, found {value!r}")
        return value
    return _number(float if type(None) in get_args(hint) else hint, value, place)


def _number(hint: type, value: object, place: str) -> object:
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        words = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UsageError(f"{place}: expected {words[hint]}, found {value!r}")
    if not isinstance(value, bool) and isinstance(value, int | float) and not 0 <= value < 1e12:
        raise UsageError(f"{place}: {value!r} is out of range")
    return value


def _duration(value: object, place: str) -> Duration:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return Duration(value)
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return parse_duration(value)
    raise UsageError(f"{place}: expected a duration such as '10m' or '1h 30m', found {value!r}")


def _hold(value: object, place: str) -> Hold:
    if isinstance(value, str) and (found := _HOLD.fullmatch(value)):
        return Hold(float(found[1]), "epochs" if found[2] == "epoch" else "batches")
    if isinstance(value, str) and not _DURATION.fullmatch(value):
        raise UsageError(f"{place}: expected '10m', '3 epochs' or '200 batches', found {value!r}")
    return Hold(float(_duration(value, place)))
