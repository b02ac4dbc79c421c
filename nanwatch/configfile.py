"""nanwatch.toml -> settings; what is no setting is refused with its file and place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from nanwatch.config import (
    AlertSettings,
    Config,
    CustomRule,
    DaemonSettings,
    Duration,
    Hold,
    Life,
    Moment,
    NotifySettings,
    QuietHours,
    Receiver,
    Rules,
    Tag,
)
from nanwatch.errors import UsageError
from nanwatch.model.alert import SEVERITIES, Severity, Silence
from nanwatch.secret import Secret

_T = TypeVar("_T")
_DEFAULTS, _AT_ONCE = Rules(), Life()
_TOP = ("logs", "rules", "alerts", "scenarios", "receivers", "tags", "notify", "daemon")
_LIFE = {"for": "hold", "keep_firing_for": "keep", "severity": "severity"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd] ?)+")
_HOLD = re.compile(r"(\d+) (epoch|batch|batche)(?:s)?")
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) ?- ?([01]?\d|2[0-3]):([0-5]\d)")


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
        _named(data.get("receivers", {}), f"{path}: receivers", _receiver(path)),
        _named(data.get("tags", {}), f"{path}: tags", _tag),
        _table(NotifySettings(), data.get("notify", {}), f"{path}: notify"),
        _daemon(data.get("daemon", {}), path),
    )


def _named(data: object, place: str, make: Callable[[str, Mapping[str, object], str], _T]) -> tuple[_T, ...]:
    """Make one thing of each table in *data*, by its name."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    made = []
    for name, table in data.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{place}.{name!r}: a name is made of letters, digits, -, _ and .")
        if not isinstance(table, Mapping):
            raise UsageError(f"{place}.{name}: expected a table")
        made.append(make(name, table, f"{place}.{name}"))
    return tuple(made)


def _receiver(path: Path) -> Callable[[str, Mapping[str, object], str], Receiver]:
    def make(name: str, data: Mapping[str, object], place: str) -> Receiver:
        own = dict(data)
        known = [key for key in ("urls", "alertmanager") if key in own]
        secret: dict[str, Any] = {key: _secrets(own.pop(key), f"{place}.{key}", path) for key in known}
        made: Receiver = _section(Receiver(name), own, place, ["urls", "alertmanager"], ("name",))
        made = made._replace(**secret)
        if made.command and os.sep in made.command[0]:  # a path is relative to the config, a name is looked up
            program = os.path.normpath(path.parent.absolute() / Path(made.command[0]).expanduser())
            made = made._replace(command=(program, *made.command[1:]))
        if not (made.urls or made.command or made.alertmanager):
            raise UsageError(f"{place}: it needs urls, a command or an alertmanager")
        return made

    return make


def _tag(name: str, data: Mapping[str, object], place: str) -> Tag:
    made: Tag = _section(Tag(name), data, place, [], ("name",))
    return made


def _secrets(value: object, place: str, path: Path) -> tuple[Secret, ...]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):  # what was found is not shown
        raise UsageError(f"{place}: expected a list of texts")
    return tuple(Secret(item, f"{place}[{n}]", str(path.parent.absolute())) for n, item in enumerate(items))


def _table(base: Any, data: object, place: str) -> Any:
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    return _section(base, data, place, [])


def _daemon(data: object, path: Path) -> DaemonSettings:
    made: DaemonSettings = _table(DaemonSettings(), data, f"{path}: daemon")
    if made.state:
        made = made._replace(state=os.path.normpath(path.parent.absolute() / Path(made.state).expanduser()))
    return made


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


def _section(
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
    if hint == QuietHours | None:
        return _quiet_hours(value, place)
    if hint == tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise UsageError(f"{place}: expected a list of texts")
        return tuple(items)
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


def _quiet_hours(value: object, place: str) -> QuietHours:
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise UsageError(f"{place}: expected hours such as '22:00-07:00', found {value!r}")
    start, end = 60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])
    if start == end:
        raise UsageError(f"{place}: {value!r} begins when it ends")
    return QuietHours(start, end)


def _hold(value: object, place: str) -> Hold:
    if isinstance(value, str) and (found := _HOLD.fullmatch(value)):
        return Hold(float(found[1]), "epochs" if found[2] == "epoch" else "batches")
    if isinstance(value, str) and not _DURATION.fullmatch(value):
        raise UsageError(f"{place}: expected '10m', '3 epochs' or '200 batches', found {value!r}")
    return Hold(float(_duration(value, place)))
