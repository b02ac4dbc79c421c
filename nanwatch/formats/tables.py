"""Tables of custom trainers: a header above rows, a rule of dashes that cuts columns, a box of names and values."""

from __future__ import annotations

import re

from nanwatch.formats.declared import ReaderState
from nanwatch.formats.fields import Fields, as_epoch, batch_done
from nanwatch.formats.numbers import as_counter, read_number
from nanwatch.formats.pairs import Pair
from nanwatch.model.event import EpochDone, Event, ValidationDone
from nanwatch.model.names import direction_of, role_of

_NAME = re.compile(r"[A-Za-z][\w@./\-]*:?")
_DASHES = re.compile(r"-{1,200}")
_RULE = re.compile(r"^ *-+(?: +-+)+ *$")
_BOX_EDGE = re.compile(r"^-{10,}$")
_BOX_ROW = re.compile(r"^\| *([A-Za-z][\w/ .\-]{0,60}?) *\| *([^| ]*) *\|$")
_COUNTERS = {"e": "epoch", "#": "step"}  # spaCy's
_FIRST = frozenset({"epoch", "ep", "step", "iter", "iteration"})
_LONGEST = 400


def read_table_line(text: str, offset: int, state: ReaderState) -> tuple[str, list[Event]] | None:
    """Return what a line of a table is and says, or None when it belongs to none."""
    if len(text) > _LONGEST:
        return None
    first = text[:1]
    if first == "|" or (first == "-" and "box" in state.columns):
        found = _read_box(text, offset, state)
        if found is not None:
            return found
    else:
        state.columns.pop("box", None)
    if "--" in text and _RULE.match(text):
        return _read_rule(text, state)
    if "ends" in state.columns:
        events = _read_cut_row(text, offset, state)
        if events is not None:
            return "table row", events
    state.columns["above"] = [text]
    return _read_row(text, offset, state)


def _read_rule(text: str, state: ReaderState) -> tuple[str, list[Event]] | None:
    """Take a rule of dashes: the line above it names the columns, the ends of its dashes cut the rows."""
    above = state.columns.get("above", [""])[0]
    ends = [match.end() for match in _DASHES.finditer(text)]
    names = _cut(above, ends)
    roles = [_role(name) for name in names]
    if not ("epoch" in roles or "step" in roles) or not any(role in ("loss", "metric") for role in roles):
        return None
    state.columns.pop("table", None)
    state.columns["columns"], state.columns["ends"] = names, [str(end) for end in ends]
    return "table rule", []


def _read_cut_row(text: str, offset: int, state: ReaderState) -> list[Event] | None:
    names = state.columns["columns"]
    cells = _cut(text, [int(end) for end in state.columns["ends"]])
    numbers = [read_number(cell) for cell in cells]
    counted = [n for n, number in zip(names, numbers, strict=True) if number is not None and _is_counter(n)]
    if not counted or len(text) > int(state.columns["ends"][-1]) + 20:
        return None
    return _row_events(names, cells, offset, state)


def _cut(text: str, ends: list[int]) -> list[str]:
    return [text[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)]


def _read_row(text: str, offset: int, state: ReaderState) -> tuple[str, list[Event]] | None:
    """Read a header of an aligned table, or a row below one."""
    cells = text.replace("|", " ").split()
    if not 3 <= len(cells) <= 30:
        return None
    if cells[0].lower().rstrip(":") in _FIRST and all(_NAME.fullmatch(cell) for cell in cells):
        if not any("loss" in cell.lower() or direction_of(cell) for cell in cells):
            return None
        state.columns["table"] = cells
        state.columns.pop("ends", None)
        return "table header", []
    columns = state.columns.get("table", [])
    if len(cells) == len(columns) and cells[0].replace("/", "").isdecimal():
        return "table row", _row_events(columns, cells, offset, state)
    return None


def _row_events(columns: list[str], cells: list[str], offset: int, state: ReaderState) -> list[Event]:
    """Return what a row says: an epoch's summary, or a step and what was measured after it."""
    fields = Fields()
    for column, cell in zip(columns, cells, strict=True):
        role = _role(column)
        if role in ("epoch", "step"):
            value, _, total = cell.partition("/")
            if role == "epoch":
                fields.epoch, fields.epochs = as_epoch(read_number(value)), as_counter(read_number(total))
            else:
                fields.step = as_counter(read_number(value))
        else:
            number = read_number(cell)
            if number is not None:
                fields.add([Pair(column, number, cell, "")], {})
    if fields.epoch is not None:
        state.memory["epoch"] = fields.epoch
    if fields.step is None:
        epoch = as_counter(fields.epoch)
        return [EpochDone(offset, epoch, fields.epochs, fields.losses, fields.metrics, fields.lr)]
    metrics, fields.metrics = fields.metrics, {}
    events = batch_done(offset, fields)
    return [*events, ValidationDone(offset, fields.epoch, fields.step, metrics=metrics)] if metrics else events


def _read_box(text: str, offset: int, state: ReaderState) -> tuple[str, list[Event]] | None:
    """Read `| name | value |` between two rules; the box counts if it bears a step."""
    row = _BOX_ROW.match(text)
    if row is not None:
        state.columns.setdefault("box", []).extend([row[1], row[2]])
        return ("box", []) if read_number(row[2]) is not None else None
    box = state.columns.pop("box", [])
    if not _BOX_EDGE.match(text):
        return None
    pairs = [Pair(n, v, t, "") for n, t in zip(box[::2], box[1::2], strict=True) if (v := read_number(t)) is not None]
    fields = Fields()
    fields.add(pairs, {})
    if fields.step is None:
        return None
    return "box", batch_done(offset, fields)


def _role(name: str) -> str:
    return _COUNTERS.get(name.lower()) or role_of(name.rstrip(":")) if name else "ignore"


def _is_counter(name: str) -> bool:
    return _role(name) in ("epoch", "step")
