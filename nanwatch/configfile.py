"""nanwatch.toml -> settings; what is no setting is refused with its file and place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from nanwatch.config import (
    AlertSettings,
    CheckpointSettings,
    Config,
    CustomRule,
    DaemonSettings,
    Life,
    Moment,
    NotifySettings,
    Receiver,
    Rules,
    Tag,
)
from nanwatch.configvalues import read_path, read_section, read_value, shown_name
from nanwatch.errors import UsageError
from nanwatch.model.alert import Silence
from nanwatch.secret import Secret

_T = TypeVar("_T")
_DEFAULTS, _AT_ONCE = Rules(), Life()
_TOP = ("logs", "rules", "alerts", "scenarios", "receivers", "tags", "notify", "daemon", "checkpoints")
_LIFE = {"for": "hold", "keep_firing_for": "keep", "severity": "severity"}
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


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
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply") from None


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
            raise UsageError(f"{path}: {shown_name(name)}: no such setting (known here: {', '.join(_TOP)})")
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
        _checkpoints(data.get("checkpoints", {}), path),
    )


def _named(data: object, place: str, make: Callable[[str, Mapping[str, object], str], _T]) -> tuple[_T, ...]:
    """Make one thing of each table in *data*, by its name."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    made = []
    for name, table in data.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"{place}.{shown_name(name)!r}: a name is made of letters, digits, -, _ and .")
        if not isinstance(table, Mapping):
            raise UsageError(f"{place}.{name}: expected a table")
        made.append(make(name, table, f"{place}.{name}"))
    return tuple(made)


def _receiver(path: Path) -> Callable[[str, Mapping[str, object], str], Receiver]:
    def make(name: str, data: Mapping[str, object], place: str) -> Receiver:
        own = dict(data)
        known = [key for key in ("urls", "alertmanager") if key in own]
        secret: dict[str, Any] = {key: _secrets(own.pop(key), f"{place}.{key}", path) for key in known}
        made: Receiver = read_section(Receiver(name), own, place, ["urls", "alertmanager"], ("name",))
        made = made._replace(**secret)
        if made.command and os.sep in made.command[0]:  # a path is relative to the config, a name is looked up
            program = os.path.normpath(path.parent.absolute() / read_path(made.command[0], f"{place}.command"))
            made = made._replace(command=(program, *made.command[1:]))
        _check_receiver(made, place)
        return made

    return make


def _check_receiver(made: Receiver, place: str) -> None:
    """Refuse what would never tell anybody anything."""
    if not (made.urls or made.command or made.alertmanager):
        raise UsageError(f"{place}: it needs urls, a command or an alertmanager")
    if made.command and not made.command[0]:
        raise UsageError(f"{place}.command: expected a program and its arguments")
    if made.timeout <= 0:
        raise UsageError(f"{place}.timeout: must be more than 0")


def _tag(name: str, data: Mapping[str, object], place: str) -> Tag:
    made: Tag = read_section(Tag(name), data, place, [], ("name",))
    if not (made.runs or made.rules):
        raise UsageError(f"{place}: it needs runs or rules")
    return made


def _secrets(value: object, place: str, path: Path) -> tuple[Secret, ...]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):  # what was found is not shown
        raise UsageError(f"{place}: expected a list of texts")
    return tuple(Secret(item, f"{place}[{n}]", str(path.parent.absolute())) for n, item in enumerate(items))


def _table(base: Any, data: object, place: str) -> Any:
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    return read_section(base, data, place, [])


def _daemon(data: object, path: Path) -> DaemonSettings:
    made: DaemonSettings = _table(DaemonSettings(), data, f"{path}: daemon")
    if made.state:
        state = read_path(made.state, f"{path}: daemon.state")
        made = made._replace(state=os.path.normpath(path.parent.absolute() / state))
    return made


def _checkpoints(data: object, path: Path) -> CheckpointSettings:
    place = f"{path}: checkpoints"
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    folders = data.get("folders", {})
    own = {name: value for name, value in data.items() if name != "folders"}
    made: CheckpointSettings = read_section(CheckpointSettings(), own, place, ["folders"])
    if not isinstance(folders, Mapping) or not all(isinstance(folder, str) for folder in folders.values()):
        raise UsageError(f"{place}.folders: expected a folder for each pattern")
    found = [(pattern, read_path(folder, f"{place}.folders")) for pattern, folder in folders.items()]
    return made._replace(folders=tuple((pattern, os.path.normpath(path.parent / folder)) for pattern, folder in found))


def _paths(value: object, path: Path, name: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{path}: {name}: expected a list of paths")
    place = f"{path}: {name}"
    return tuple(i if i == "-" else os.path.normpath(path.parent / read_path(i, place)) for i in items)


def _rule(base: Any, data: object, place: str) -> Any:
    """Build a rule's settings: thresholds of its own, and the life of its alerts."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    own = {name: value for name, value in data.items() if name not in _LIFE}
    settings = read_section(base, own, place, [*_LIFE])
    return settings._replace(life=_life(data, place, base.life))


def _custom(name: str, data: Mapping[str, object], place: str) -> CustomRule:
    if not _RULE_NAME.fullmatch(name):
        raise UsageError(f"{place}: a rule's name is made of lower-case letters, digits and _")
    own = {key: value for key, value in data.items() if key not in _LIFE}
    known = ("condition", "enabled", "message", *_LIFE)
    for key, value in own.items():
        if key not in known:
            raise UsageError(f"{place}.{key}: no such setting (known here: {', '.join(known)})")
        own[key] = read_value(bool if key == "enabled" else str, value, f"{place}.{key}")
    return CustomRule(name, **own, life=_life(data, place), source=place)  # type: ignore[arg-type]


def _life(data: Mapping[str, object], place: str, base: Life = _AT_ONCE) -> Life:
    found: dict[str, Any] = {}
    for key, name in _LIFE.items():
        if key in data:
            found[name] = read_value(get_type_hints(Life)[name], data[key], f"{place}.{key}")
    return base._replace(**found)


def _alerts(data: object, place: str) -> AlertSettings:
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    silences = data.get("silences", [])
    own = {name: value for name, value in data.items() if name != "silences"}
    settings: AlertSettings = read_section(AlertSettings(), own, place, ["silences"])
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
    found: dict[str, Any] = {name: read_value(kinds[name], value, f"{place}.{name}") for name, value in data.items()}
    return Silence(**found)
