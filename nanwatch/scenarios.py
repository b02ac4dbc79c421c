"""Rule scenarios: a TOML time line of what a run does, and the alerts that it must raise, run through the real core.

    rule = "metric_decline"               # compare only this rule's alerts (a list: these; left out: all)

    [[scenario]]
    name = "fires at the third fall in a row"
    rules.metric_decline.epochs = 3       # settings that differ from the config's

    [[scenario.step]]
    at = "10m"                            # since the beginning; left out: when the step before was
    epoch = 4
    metrics = { IoU = 0.57 }
    expect = [{ severity = "warning", epoch = 4 }]   # what fires or is pending now; [] for nothing

A step says what happens, if anything: values (`epoch`, `batch`, `step`, `losses`, `metrics`, `vram_gb`, ...) as
an epoch's line, or as a batch's where it tells `batch` or `step` (`"1..400"` for many; `nan` tells which of them
have no finite loss); `log`, text as a trainer would write it; `event` with its own fields (`event = "failure",
kind = "exception", message = "..."`); `writer`, the process that holds the log open (`{ pid = 7, cpu = 100 }`, or
false for none). Then the time is told, and what fires is compared with `expect`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanwatch.config import Config, Rules
from nanwatch.configfile import parse_rules, read_toml
from nanwatch.configvalues import parse_duration
from nanwatch.errors import UsageError
from nanwatch.model import event as events
from nanwatch.model.alert import Alert
from nanwatch.model.event import BatchDone, EpochDone, Event
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline

_START = 1_000_000_000.0
_VALUES = ("epoch", "epochs", "batch", "batches", "step", "steps", "losses", "metrics", "lr", "grad_norm", "vram_gb",
           "rate", "elapsed", "eta", "seconds")  # fmt: skip
_EXPECTED = ("rule", "severity", "state", "epoch", "batch", "message", "suppressed")
_KINDS = {
    "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_"): kind
    for kind in events.Event.__args__
}
"""Every event by the name that `--events` prints."""


@dataclass(frozen=True, slots=True)
class Step:
    """At `at` seconds these events happen or this text is written, and these alerts are expected then.

    `expect` is None where nothing is compared. `writer` is None where nobody looks who writes the log.
    """

    number: int
    at: float
    events: list[Event]
    text: bytes
    writer: Process | bool | None
    expect: list[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A time line, the rules whose alerts are compared (none: all), and the settings it needs."""

    name: str
    rules: tuple[str, ...]
    settings: Mapping[str, Any]
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Difference:
    """What was expected after a step and did not come, and what came and was not expected; a line for each alert."""

    scenario: str
    step: int
    at: float
    missing: list[str]
    surplus: list[str]


def load_scenarios(path: Path) -> list[Scenario]:
    """Read the scenario file at *path*.

    Raises:
        UsageError: it cannot be read, or is no scenario file; says where and why.
    """
    data = read_toml(path)
    place = str(path)
    rules = data.get("rule", [])
    known = tuple([rules] if isinstance(rules, str) else rules)
    _refuse_unknown(data, ("rule", "scenario"), place)
    found = data.get("scenario", [])
    if not isinstance(found, list) or not found:
        raise UsageError(f"{place}: no [[scenario]] in it")
    return [_scenario(item, known, f"{place}: scenario {n}") for n, item in enumerate(found, start=1)]


def run_scenario(scenario: Scenario, config: Config, place: str) -> Iterator[Difference]:
    """Play *scenario* with the rules of *config*; yield each step that does not come out as expected.

    Raises:
        UsageError: its settings are none.
    """
    rules = _merged(config.rules, scenario.settings, f"{place}: {scenario.name}: rules")
    pipeline = LogPipeline("scenario.log", config._replace(rules=rules))
    written, line = 0, 0
    for step in scenario.steps:
        now = _START + step.at
        if step.text:
            _drain(pipeline.feed(Chunk(written, step.text), now))
            _drain(pipeline.catch_up(now))
            written += len(step.text)
        if step.events:
            _drain(pipeline.feed(Chunk(written, b""), now))  # bytes came
        for event in step.events:
            line += 1
            _drain(pipeline.tell(dataclasses.replace(event, offset=written), now, line))
            written += 100
        grew = now if step.text or step.events else None
        holders = [step.writer] if isinstance(step.writer, Process) else []
        _drain(pipeline.tick(now, grew, holders, has_looked=step.writer is not None))
        if step.expect is not None:
            difference = _compare(scenario, step, pipeline)
            if difference is not None:
                yield difference


def _merged(rules: Rules, settings: Mapping[str, Any], place: str) -> Rules:
    made = parse_rules(settings, place, rules)
    return made._replace(custom=(*rules.custom, *made.custom))


def _drain(notices: Iterator[object]) -> None:
    for _ in notices:
        pass


# -- what is expected


def _compare(scenario: Scenario, step: Step, pipeline: LogPipeline) -> Difference | None:
    found = [a for a in pipeline.open if not scenario.rules or a.rule in scenario.rules]
    default = scenario.rules[0] if len(scenario.rules) == 1 else None
    missing = []
    for wanted in step.expect or []:
        wanted = {"rule": default, "state": "firing", **wanted} if default else {"state": "firing", **wanted}
        match = next((a for a in found if _fits(a, wanted)), None)
        if match is None:
            missing.append(_words(wanted))
        else:
            found.remove(match)
    surplus = [
        _words({name: getattr(a, name) for name in _EXPECTED if getattr(a, name) not in (None, ())}) for a in found
    ]
    if not missing and not surplus:
        return None
    return Difference(scenario.name, step.number, step.at, missing, surplus)


def _fits(alert: Alert, wanted: Mapping[str, Any]) -> bool:
    for name, value in wanted.items():
        got = getattr(alert, name)
        if name == "message":
            if value not in got:
                return False
        elif name == "suppressed":
            if bool(got) is not value:
                return False
        elif got != value:
            return False
    return True


def _words(values: Mapping[str, Any]) -> str:
    parts = [str(values.get("rule", "any rule")), str(values.get("severity", ""))]
    parts += ["pending"] if values.get("state") == "pending" else []
    parts += [f"{name} {values[name]}" for name in ("epoch", "batch") if values.get(name) is not None]
    parts += ["suppressed"] if values.get("suppressed") else []
    text = " ".join(part for part in parts if part)
    return f"{text}: {values['message']}" if values.get("message") else text


# -- reading the file


def _refuse_unknown(data: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in data:
        if name not in known:
            raise UsageError(f"{place}: {name}: not known here (known: {', '.join(known)})")


def _scenario(data: Any, rules: tuple[str, ...], place: str) -> Scenario:
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise UsageError(f"{place}: it needs a name")
    place = f"{place} ({data['name']})"
    _refuse_unknown(data, ("name", "rules", "step"), place)
    steps: list[Step] = []
    at = 0.0
    for number, item in enumerate(data.get("step", []), start=1):
        step = _step(item, number, at, f"{place}: step {number}")
        at = step.at
        steps.append(step)
    if not any(step.expect is not None for step in steps):
        raise UsageError(f"{place}: no step expects anything")
    return Scenario(data["name"], rules, data.get("rules", {}), steps)


def _step(data: Any, number: int, before: float, place: str) -> Step:
    if not isinstance(data, Mapping):
        raise UsageError(f"{place}: expected a table")
    own = ("at", "log", "event", "nan", "writer", "expect")
    fields = {name: value for name, value in data.items() if name not in own}
    kind = _KINDS.get(data["event"]) if "event" in data else None
    if "event" in data and kind is None:
        raise UsageError(f"{place}: event: {data['event']!r} is none (known: {', '.join(sorted(_KINDS))})")
    known = _VALUES if kind is None else tuple(f.name for f in dataclasses.fields(kind) if f.name != "offset")
    _refuse_unknown(fields, (*own, *known), place)
    try:
        at = before if "at" not in data else _seconds(data["at"])
        made = [kind(0, **fields)] if kind is not None else list(_values(fields, data.get("nan", [])))
        writer = _writer(data.get("writer"))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from None
    if at < before:
        raise UsageError(f"{place}: at: time does not go back")
    return Step(number, at, made, str(data.get("log", "")).encode(), writer, _expected(data.get("expect"), place))


def _expected(data: Any, place: str) -> list[Mapping[str, Any]] | None:
    if data is None:
        return None
    if not isinstance(data, list) or not all(isinstance(item, Mapping) for item in data):
        raise UsageError(f"{place}: expect: expected a list of tables")
    for item in data:
        _refuse_unknown(item, _EXPECTED, f"{place}: expect")
    return data


def _seconds(value: Any) -> float:
    try:
        return float(parse_duration(value)) if isinstance(value, str) else float(value)
    except ValueError:
        raise ValueError(f"at: expected seconds or a duration such as '10m', found {value!r}") from None


def _writer(value: Any) -> Process | bool | None:
    if value is None or value is False:
        return value
    if not isinstance(value, Mapping):
        raise TypeError("writer: expected { pid = 7, command = 'python', cpu = 100 }, or false")
    return Process(value["pid"], value.get("command", "python"), value.get("started", _START), value.get("cpu"))


def _values(fields: Mapping[str, Any], nan: Any) -> Iterator[Event]:
    """Yield the events that values stand for: an epoch's line, or one for each batch or step."""
    if not fields:
        return
    counter = next((name for name in ("batch", "step") if name in fields), None)
    if counter is None:
        yield EpochDone(0, **fields)
        return
    bad = {n for item in ([nan] if isinstance(nan, str | int) else nan) for n in _range(item)}
    losses = fields.get("losses", {"loss": 1.0} if bad else {})
    for n in _range(fields[counter]):
        shown = dict.fromkeys(losses, math.nan) if n in bad else losses
        yield BatchDone(0, **{**fields, counter: n, "losses": shown})


def _range(value: Any) -> range:
    if isinstance(value, int):
        return range(value, value + 1)
    first, dots, last = str(value).partition("..")
    if not dots:
        raise ValueError(f"{value!r} is no number and no range such as '1..400'")
    return range(int(first), int(last) + 1)
