"""Formats as data: one TOML file with detection patterns and three shapes, `[[line]]`, `[[table]]`, `[[json]]`.

`[[line]]`  one frame; named groups. With `bar`, the frame must hold a progress bar: `regex` is matched with
            what stands before it, the bar's counter fills `batch` or `step`, its postfix gives metrics.
`[[table]]` a `header` row names the columns (group `columns`) of the rows below it (group `values`). With
            `counts_from_zero`, the number after an epoch's slash is the last epoch.
`[[json]]`  an object a line (JSON or a Python dict) that `has` the named keys.

Reserved names (`epoch`, `batch`, `step`, `lr`, `vram` ...: see `fields.py`) fill event fields, every other
name is a loss or a metric.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanwatch.formats.bars import Bar
from nanwatch.formats.counter import BatchCounter
from nanwatch.formats.fields import EMITTERS, Fields
from nanwatch.formats.numbers import read_number
from nanwatch.formats.pairs import object_pairs, read_object, read_pairs
from nanwatch.model.event import BatchDone, Event
from nanwatch.model.names import label, role_of

_FAR = 4096
"""Characters of a frame in which a pattern that may stand anywhere is looked for."""


class BadFormat(ValueError):
    """A declaration that cannot be used; the text names the file, the key and the reason."""


@dataclass(frozen=True, slots=True)
class Line:
    """A frame that one regular expression reads."""

    name: str
    regex: re.Pattern[str]
    emits: str
    bar: str = ""
    style: str = ""
    anywhere: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows whose columns a header names."""

    name: str
    header: re.Pattern[str]
    row: re.Pattern[str]
    emits: str
    bar: str = ""
    default: str = ""
    header_emits: str = ""
    counts_from_zero: bool = False
    rename: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object or Python dict a line."""

    name: str
    has: tuple[str, ...]
    emits: str
    rename: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One TOML file."""

    name: str
    title: str
    detect: tuple[re.Pattern[str], ...]
    lines: tuple[Line, ...]
    tables: tuple[Table, ...]
    objects: tuple[Object, ...]
    counter: str = "auto"


def load(path: Path) -> Declaration:
    """Read the declaration in *path*; raise `BadFormat` with file, key and reason if it cannot be used."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadFormat(f"{path.name}: {error}") from error
    try:
        return Declaration(
            name=data["name"],
            title=data.get("title", data["name"]),
            detect=tuple(_regex(path, "detect", r) for r in data.get("detect", {}).get("any", [])),
            lines=tuple(_line(path, item) for item in data.get("line", [])),
            tables=tuple(_table(path, item) for item in data.get("table", [])),
            objects=tuple(_object(path, item) for item in data.get("json", [])),
            counter=data.get("counter", "auto"),
        )
    except KeyError as error:
        raise BadFormat(f"{path.name}: key {error} is missing") from error


def _regex(path: Path, name: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadFormat(f"{path.name}: {name}: {error}: {text}") from error


def _emits(path: Path, item: Mapping[str, Any]) -> str:
    if item["emits"] not in EMITTERS:
        raise BadFormat(f"{path.name}: {item['name']}: unknown event {item['emits']!r}")
    return str(item["emits"])


def _line(path: Path, item: Mapping[str, Any]) -> Line:
    return Line(
        item["name"], _regex(path, item["name"], item["regex"]), _emits(path, item), item.get("bar", ""),
        item.get("style", ""), item.get("anywhere", False), item.get("rename", {}), item.get("text", {}),
    )  # fmt: skip


def _table(path: Path, item: Mapping[str, Any]) -> Table:
    return Table(
        item["name"], _regex(path, item["name"], item["header"]), _regex(path, item["name"], item["row"]),
        _emits(path, item), item.get("bar", ""), item.get("default", ""), item.get("header_emits", ""),
        item.get("counts_from_zero", False), item.get("rename", {}),
    )  # fmt: skip


def _object(path: Path, item: Mapping[str, Any]) -> Object:
    return Object(item["name"], tuple(item["has"]), _emits(path, item), item.get("rename", {}))


@dataclass(slots=True)
class ReaderState:
    """What a format remembers from frame to frame."""

    columns: dict[str, list[str]] = field(default_factory=dict)
    counter: BatchCounter = field(default_factory=BatchCounter)
    memory: dict[str, float] = field(default_factory=dict)


class Reader:
    """Reads frames as a declaration says. A format that needs a condition extends it (`NAME.py` beside `NAME.toml`)."""

    def __init__(self, declaration: Declaration, state: ReaderState | None = None) -> None:
        self.declaration = declaration
        self.name = declaration.name
        self.state = state or ReaderState()
        if declaration.counter != "auto":
            self.state.counter.exact = declaration.counter == "exact"
        self.matched = ""
        self._plans: dict[str, tuple[list[str], list[tuple[str, str]]]] = {}

    def claims(self, text: str) -> bool:
        """Tell whether *text* is printed by this trainer and by no other."""
        return any(pattern.search(text) for pattern in self.declaration.detect)

    def read(self, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        """Return the events of a frame, or None when no pattern knows it. `matched` is then the pattern's name."""
        self.matched = ""
        subject = bar.text if bar is not None else text
        for table in self.declaration.tables:
            events = self._read_table(table, subject, bar, offset)
            if events is not None:
                self.matched = table.name
                return events
        for line in self.declaration.lines:
            if bool(line.bar) == (bar is not None) or line.anywhere:
                events = self._read_line(line, text[:_FAR] if line.anywhere else subject, bar, offset)
                if events is not None:
                    self.matched = line.name
                    return events
        if self.declaration.objects and bar is None and text.rstrip().endswith("}"):
            return self._read_object(text, offset)
        return None

    def _read_line(self, line: Line, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        if line.style and (bar is None or bar.style != line.style):
            return None
        match = line.regex.search(text) if line.anywhere else line.regex.match(text)
        if match is None:
            return None
        fields = Fields(text=dict(line.text))
        for name, value in match.groupdict().items():
            if value is not None:
                fields.set(name, value, line.rename)
        if bar is not None and line.bar:
            self._take_bar(fields, bar, line.bar, line.rename)
        return self._emit(line.emits, offset, fields, bar)

    def _read_table(self, table: Table, text: str, bar: Bar | None, offset: int) -> list[Event] | None:
        header = table.header.match(text)
        if header is not None:
            self.state.columns[table.name] = group_columns(header["columns"].rstrip(": ").split())
            if bar is not None or not table.header_emits:
                return []
            self.state.counter.forget()
            return self._emit(table.header_emits, offset, Fields(), None)
        if bool(table.bar) != (bar is not None):
            return None
        row = table.row.match(text)
        if row is None:
            return None
        fields = Fields()
        for (name, role), value in zip(self._plan(table), row["values"].rstrip(": ").split(), strict=False):
            if role == "loss" or role == "metric":
                number = read_number(value)
                if number is not None:
                    (fields.losses if role == "loss" else fields.metrics)[name] = number
            elif name:
                self._set(table, fields, name, value)
        if bar is not None:
            self._take_bar(fields, bar, table.bar, table.rename)
        return self._emit(table.emits, offset, fields, bar)

    def _plan(self, table: Table) -> list[tuple[str, str]]:
        """Return what each column of *table* is: its name and its role; an empty name is passed over."""
        columns = self.state.columns.get(table.name) or group_columns(table.default.split())
        known = self._plans.get(table.name)
        if known is None or known[0] is not columns:
            names = [label(table.rename.get(c, c)) for c in columns]
            known = columns, [(n, role_of(n) if n else "ignore") for n in names]
            self._plans[table.name] = known
        return known[1]

    def _set(self, table: Table, fields: Fields, name: str, value: str) -> None:
        if name == "epoch" and "/" in value:
            value, _, total = value.partition("/")
            fields.set("epochs", total, {})
            if table.counts_from_zero and fields.epochs is not None:
                fields.epochs += 1  # `0/4` to `4/4` are five
        fields.set(name, value, {})

    def _read_object(self, text: str, offset: int) -> list[Event] | None:
        found = read_object(text)
        if found is None:
            return None
        for item in self.declaration.objects:
            if all(key in found for key in item.has):
                fields = Fields()
                fields.add(object_pairs(found), item.rename)
                self.matched = item.name
                return self._emit(item.emits, offset, fields, None)
        return None

    def _take_bar(self, fields: Fields, bar: Bar, unit: str, rename: Mapping[str, str]) -> None:
        if bar.postfix:
            fields.add(read_pairs(bar.postfix), rename)
        if unit == "step":
            fields.step, fields.steps = bar.n, bar.total
        else:
            has_values = bool(fields.losses or fields.metrics)
            if bar.style == "tqdm":
                key = f"{bar.text.split(':')[0] if bar.postfix else ''}{fields.epoch}"
                fields.batch = self.state.counter.number(bar, key, has_values)
            else:
                fields.batch = bar.n
            fields.batches = bar.total
        fields.rate = bar.rate
        fields.eta = bar.eta
        fields.time = bar.elapsed

    def _emit(self, emits: str, offset: int, fields: Fields, bar: Bar | None) -> list[Event]:
        events = EMITTERS[emits](offset, fields)
        if bar is not None:
            for event in events:
                if isinstance(event, BatchDone):
                    event.bar = True
        return events


def group_columns(tokens: list[str]) -> list[str]:
    """Return the names of a table's columns; `Box(P R mAP50)` groups them.

    Columns of the first group bear their plain names, those of a further group its initial: `mAP50(M)`.
    """
    names, group, groups = [], "", 0
    for token in tokens:
        head, opened, rest = token.partition("(")
        if opened and not token.endswith(")"):
            groups += 1
            group = "" if groups == 1 else f"({head[:1].upper()})"
            token = rest
        closes = token.endswith(")") and "(" not in token
        names.append(token.rstrip("):") + group)
        if closes:
            group = ""
    return names
