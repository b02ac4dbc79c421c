"""A rule of the user's own: a condition is asked of a run, and what it found is worded."""

from __future__ import annotations

import ast
import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain, islice, pairwise
from typing import Any

from simpleeval import SimpleEval  # type: ignore[import-untyped]

from nanwatch.config import CustomRule
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Epoch, Run
from nanwatch.rules.condition import Condition, Use, check, is_result, shortened, suggestion
from nanwatch.rules.vocabulary import FIELDS, FUNCTIONS, KNOWN_FIELDS, Value

__all__ = ["FIELDS", "FUNCTIONS", "Rule"]

_SEEN_EPOCHS = 64
"""A name that so many epochs did not show is not known any more."""
_TOLD_NAMES = 12
_TOLD_TEXT = 200
_NODES = (
    ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Call, ast.UnaryOp, ast.BinOp, ast.BoolOp,
    ast.Compare, ast.IfExp,
)  # fmt: skip


class _NotKnown(Exception):
    """A value is not known (yet), so that the condition cannot be told. *never* is a name the run has not shown."""

    def __init__(self, never: str | None = None) -> None:
        super().__init__(never)
        self.never = never


class _NoNumber(Exception):
    """What stands at *node* has no result."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(what)
        self.node = node


class Rule:
    """Fires while the condition holds; resolves when it does not, or can no longer be told.

    `reads_batches` tells that the condition asks for what changes with every batch. `problem` says in one line why
    the condition could not be told of the run that was asked last, None if that is nothing to worry about.

    Raises:
        UsageError: the condition is none.
    """

    def __init__(self, settings: CustomRule) -> None:
        self.settings = settings
        self.name = settings.name
        self.problem: str | None = None
        self._place = f"rules.{settings.name}"
        self._condition = check(settings.condition, settings.source or self._place)
        self._evaluator = _evaluator()
        self._missed: tuple[object, str] = (None, "")
        self.wakes = self._condition.wakes
        self.reads_batches = bool(self.wakes & Change.PROGRESS)

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        values = _Values(run)
        self.problem = None
        try:
            holds = self._ask(values)
        except _NotKnown as error:
            if error.never is not None and _is_measured(run):
                self.problem = f"{self._place}: {self._not_shown(run, error.never)}"
            return
        except _NoNumber as error:
            at = f"column {self._condition.column(error.node)}: `{self._condition.piece(error.node)}`"
            self.problem = f"{self._place}: condition: {error} in {_printable(run.id)}, at {at}"
            return
        if holds:
            yield self._finding(run, values)

    def _ask(self, values: _Values) -> bool:
        """Return whether the condition holds.

        Raises:
            _NotKnown: a value is not known, or a list is shorter than the condition counts.
            _NoNumber: a division by zero, or a number too large.
        """
        self._evaluator.names = values
        self._evaluator.functions = values.functions
        try:
            return bool(self._evaluator.eval(self._condition.text, self._condition.tree))
        except IndexError:
            raise _NotKnown from None

    def _not_shown(self, run: Run, name: str) -> str:
        """Return the words for a *name* that the run has not shown: made once an epoch, not with every batch."""
        now = (run.id, run.epoch, name)
        if self._missed[0] != now:
            self._missed = (now, _not_shown(run, name))
        return self._missed[1]

    def _finding(self, run: Run, values: _Values) -> Finding:
        evidence = {label: values.evidence(use) for label, use in self._condition.uses.items()}
        return Finding(
            self.name, self.settings.life.severity or "warning",
            _printable(self.settings.message) or _sentence(self._condition, evidence),
            "", run.epoch, run.batch, run.offset, evidence,
        )  # fmt: skip


class _Values:
    """What a run knows, by the names of a condition; what it does not know raises `_NotKnown`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.functions: dict[str, Callable[..., Any]] = {
            **_FUNCTIONS, "last": self.last, "falls": self.falls, "rises": self.rises, "change": self.change,
            "known": self.known,
        }  # fmt: skip

    def __getitem__(self, name: str) -> Value | _Part:
        if name == "best":
            return _Part(lambda part: self.field(f"best.{part}"))
        if name in ("losses", "metrics"):
            return _Part(partial(self.shown, metrics_first=name == "metrics"))
        return self.field(name) if name in KNOWN_FIELDS else self.shown(name)

    def field(self, name: str) -> Value:
        """Return what every run has."""
        value = KNOWN_FIELDS[name].read(self._run)
        if value is None:
            raise _NotKnown
        return value

    def shown(self, name: str, metrics_first: bool = False) -> float:
        """Return the latest value of a loss or metric.

        What is measured once an epoch, and is still being measured in this one, is the value of the epoch before.
        """
        run, name = self._run, self._spelled(name)
        row = run.current
        if is_result(name) and row is not None and name in row.metrics and not _is_told(row):
            for value in self._history(name):
                return value
        latest = (run.metrics, run.losses) if metrics_first else (run.losses, run.metrics)
        for values in chain(latest, _values_of(_rows(run))):
            if name in values:
                return values[name]
        raise _NotKnown

    def known(self, name: str) -> bool:
        """Tell whether the run has shown this loss or metric."""
        return _spelling(self._run, name) is not None

    def last(self, name: str, count: int) -> list[float]:
        """Return the values of the last *count* epochs, oldest first."""
        return [*islice(self._history(self._spelled(name)), count)][::-1]

    def falls(self, name: str, count: int) -> bool:
        """Tell whether the value fell *count* times in a row."""
        values = self.last(name, count + 1)
        return len(values) > count and all(a > b for a, b in pairwise(values))

    def rises(self, name: str, count: int) -> bool:
        """Tell whether the value rose *count* times in a row."""
        values = self.last(name, count + 1)
        return len(values) > count and all(a < b for a, b in pairwise(values))

    def change(self, name: str, count: int) -> float:
        """Return the latest value less the one *count* epochs before."""
        values = self.last(name, count + 1)
        if len(values) <= count:
            raise _NotKnown
        return values[-1] - values[0]

    def evidence(self, use: Use) -> Value:
        """Return the value that a condition asked for, None where it is not known."""
        try:
            if use.part == "field":
                return self.field(use.name)
            if use.part == "epochs":
                return self.last(use.name, 1)[-1]
            return self.shown(use.name, metrics_first=use.part == "metrics")
        except (_NotKnown, IndexError):
            return None

    def _spelled(self, name: str) -> str:
        spelled = _spelling(self._run, name)
        if spelled is None:
            raise _NotKnown(name)
        return spelled

    def _history(self, name: str) -> Iterator[float]:
        """Yield the epochs' values of a loss or metric, the latest first.

        An epoch in progress has only what was told of it as a whole.
        """
        run = self._run
        if run.epoch is None:
            yield from (item.value for item in reversed(run.evaluations) if name == run.primary_metric)
            return
        for row in _rows(run):
            if name in row.metrics and _is_told(row):
                yield row.metrics[name]
            elif name in row.means:
                yield row.means[name]
            elif name in row.losses and row.done:
                yield row.losses[name]


class _Part:
    """`best`, `losses` or `metrics`: may be asked for a part, and for nothing else."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[str], Value]) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> Value:
        return self._ask(name)


# -- names


def _rows(run: Run) -> Iterator[Epoch]:
    """Yield the rows of the epochs, the latest first, without those that a rollback took back."""
    now = run.current
    for epoch in sorted(run.table, reverse=True):
        row = run.table[epoch]
        if epoch >= 0 and (now is None or epoch <= now.epoch or row.offset > now.offset):
            yield row


def _seen(run: Run) -> Iterator[Epoch]:
    return islice(_rows(run), _SEEN_EPOCHS)


def _values_of(rows: Iterable[Epoch]) -> Iterator[dict[str, float]]:
    """Yield what *rows* tell of metrics and losses, in their order."""
    for row in rows:
        yield from (row.metrics, row.means, row.losses)


def _is_told(row: Epoch) -> bool:
    """Tell whether the metrics of *row* are the epoch's, and not what a bar shows on its way."""
    return row.done or row.validated or bool(row.means)


def _names(run: Run) -> dict[str, None]:
    """Return the names of the run's losses and metrics, the latest first."""
    return dict.fromkeys(name for values in (run.metrics, run.losses, *_values_of(_seen(run))) for name in values)


def _spelling(run: Run, name: str) -> str | None:
    """Return how the run spells *name*: the same, or the only one that differs in case and punctuation."""
    if name in run.losses or name in run.metrics:
        return name
    if any(name in values for values in _values_of(_seen(run))):
        return name
    for names in ((*run.metrics, *run.losses), _names(run)):
        alike = {n for n in names if _squeezed(n) == _squeezed(name)}
        if alike:
            return alike.pop() if len(alike) == 1 else None
    return None


@lru_cache(maxsize=4096)
def _squeezed(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _is_measured(run: Run) -> bool:
    """Tell whether an epoch was evaluated, so that its names should be known."""
    return bool(run.evaluations) or any(row.done for row in run.table.values())


# -- arithmetic


def _evaluator() -> Any:
    """Return an evaluator that knows the operators and the kinds of nodes of a condition, and no others."""
    evaluator = SimpleEval(operators=dict(_OPERATORS), functions={}, names={})
    evaluator.nodes = {kind: partial(_placed, evaluator.nodes[kind]) for kind in _NODES}
    return evaluator


def _placed(handler: Callable[[Any], Any], node: ast.AST) -> Any:
    """Return the value of *node*, or tell that it has none."""
    try:
        return handler(node)
    except ZeroDivisionError:
        raise _NoNumber(node, "division by zero") from None
    except ArithmeticError:
        raise _NoNumber(node, "a number too large") from None


def _power(base: float, exponent: float) -> float:
    """Return the power as a float: bounded, whatever is asked for; nan where there is no real one."""
    try:
        return math.pow(base, exponent)
    except ValueError:
        if base == 0:
            raise ZeroDivisionError from None
        return math.nan


def _numbers(call: Callable[[list[float]], float]) -> Callable[..., float]:
    """Let *call* take numbers or one list; without any it is not known, and nan if one of them is."""

    def called(*given: Any) -> float:
        values = given[0] if isinstance(given[0], list) else [*given]
        if not values:
            raise _NotKnown
        return math.nan if any(map(_is_nan, values)) else call(values)

    return called


def _is_nan(x: float) -> bool:
    return isinstance(x, float) and math.isnan(x)


def _round(x: float, digits: int | None = None) -> float:
    return x if not math.isfinite(x) else round(x, digits)


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b, ast.Pow: _power,
    ast.Eq: lambda a, b: a == b, ast.NotEq: lambda a, b: a != b, ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b, ast.Gt: lambda a, b: a > b, ast.GtE: lambda a, b: a >= b,
    ast.Not: lambda a: not a, ast.USub: lambda a: -a, ast.UAdd: lambda a: +a,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "round": _round, "is_nan": _is_nan, "min": _numbers(min), "max": _numbers(max),
    "mean": _numbers(lambda values: sum(values) / len(values)), "median": _numbers(statistics.median),
}  # fmt: skip


# -- words


def _sentence(condition: Condition, evidence: dict[str, Value]) -> str:
    """Return the condition, and the values that made it hold."""
    told = ", ".join(f"{label} {_word(value)}" for label, value in evidence.items() if value is not None)
    text = shortened(condition.text, _TOLD_TEXT)
    return f"{text}: {told}" if told else text


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _not_shown(run: Run, name: str) -> str:
    """Return that the run does not know *name*, what it knows, and what may be meant."""
    names = [*_names(run), *KNOWN_FIELDS]
    meant = suggestion(name, [n for n in names if n != name])
    more = " ..." if len(names) > _TOLD_NAMES else ""
    hint = f"; did you mean {meant}?" if meant else ""
    return f"`{name}` is not known in {_printable(run.id)} (known there: {_listed(names)}{more}{hint})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(islice(names, _TOLD_NAMES))


def _printable(text: str) -> str:
    """Return *text* as one line, without what a terminal obeys."""
    return "".join(c if c.isprintable() else " " for c in text).strip()
