"""nanwatch.toml -> frozen, validated settings. Every default lives here.

Named tuples, because they are made in a third of the time of dataclasses, and every command starts with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from nanwatch.errors import UsageError


class NanLoss(NamedTuple):
    """A batch's loss is non-finite: told once an epoch, with its first batch."""

    enabled: bool = True


class NanBurst(NamedTuple):
    """`batches` non-finite ones within `within`, or none finite for `streak`."""

    enabled: bool = True
    batches: int = 3
    within: int = 100
    streak: int = 20


class GradSkip(NamedTuple):
    """Optimizer steps skipped; a loss scaler may adjust itself fewer than `scaler` times an epoch."""

    enabled: bool = True
    scaler: int = 3


class VramJump(NamedTuple):
    """Peak VRAM of an epoch above the median of the epochs before by `percent` and by `gb`."""

    enabled: bool = True
    percent: float = 10.0
    gb: float = 0.25


class MetricDecline(NamedTuple):
    """The primary metric got worse in `epochs` epochs in a row; critical beyond `critical_percent` of its best.

    A change of less than `min_percent` of the best, or a rising metric whose best is below `noise`, is none.
    """

    enabled: bool = True
    epochs: int = 3
    critical_percent: float = 5.0
    min_percent: float = 0.2
    noise: float = 0.01


class MetricCollapse(NamedTuple):
    """A rising primary metric below `share` of its best, which was at least `least_best`."""

    enabled: bool = True
    share: float = 0.5
    least_best: float = 0.1


class Switch(NamedTuple):
    """A rule without thresholds."""

    enabled: bool = True


class Rules(NamedTuple):
    """Thresholds of each rule."""

    nan_loss: NanLoss = NanLoss()
    nan_burst: NanBurst = NanBurst()
    grad_skip: GradSkip = GradSkip()
    vram_jump: VramJump = VramJump()
    metric_decline: MetricDecline = MetricDecline()
    metric_collapse: MetricCollapse = MetricCollapse()
    oom: Switch = Switch()
    oom_recovered: Switch = Switch()
    crash: Switch = Switch()
    finished: Switch = Switch()


class Config(NamedTuple):
    """All settings. `logs` are files, globs and folders, relative to the config's own folder."""

    logs: tuple[str, ...] = ("logs/*.log",)
    rules: Rules = Rules()
    path: str | None = None


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


def _read(path: Path) -> Config:
    import tomllib  # only where there is a config: a summary starts every 30 seconds

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such config file") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a text file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    logs = data.pop("logs", ["logs/*.log"])
    if isinstance(logs, str):
        logs = [logs]
    if not isinstance(logs, list) or not all(isinstance(item, str) for item in logs):
        raise UsageError(f"{path}: logs: expected a list of paths")
    rules = data.pop("rules", {})
    if data:
        raise UsageError(f"{path}: {next(iter(data))}: no such setting (known here: logs, rules)")
    folder = path.parent
    return Config(
        tuple(log if log == "-" else os.path.normpath(folder / Path(log).expanduser()) for log in logs),
        _section(Rules, rules, f"{path}: rules"),
        str(path),
    )


def _section(kind: Any, data: object, place: str) -> Any:
    """Build the frozen settings *kind* from a TOML table, field by field."""
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    hints = get_type_hints(kind)
    known = set(kind._fields)
    values = {}
    for name, value in data.items():
        if name not in known:
            raise UsageError(f"{place}.{name}: no such setting (known here: {', '.join(sorted(known))})")
        hint = hints[name]
        if hint in (bool, int, float):
            values[name] = _scalar(hint, value, f"{place}.{name}")
        else:
            values[name] = _section(hint, value, f"{place}.{name}")
    return kind(**values)


def _scalar(hint: type, value: object, place: str) -> object:
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        words = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UsageError(f"{place}: expected {words[hint]}, found {value!r}")
    if not isinstance(value, bool) and isinstance(value, int | float) and not 0 <= value < 1e12:
        raise UsageError(f"{place}: {value!r} is out of range")
    return value
