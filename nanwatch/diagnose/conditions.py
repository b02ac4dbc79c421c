"""Conditions of the knowledge: Python expressions over the facts of a run, checked when they are read."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from simpleeval import EvalWithCompoundTypes  # type: ignore[import-untyped]

from nanwatch.diagnose.words import Value

_NODES = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.Div, ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is,
    ast.IsNot, ast.Name, ast.Load, ast.Constant, ast.Tuple,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression over facts: true, false, or not known where it asks for a fact that is not.

    `names` are the facts that it asks for, without those of which it only asks whether they are known.
    """

    text: str
    names: tuple[str, ...]

    def holds(self, facts: Mapping[str, Value]) -> bool | None:
        """Tell whether it holds, None if that is not known; a part that is enough alone decides."""
        return _truth(_tree(self.text), facts)

    def missing(self, facts: Mapping[str, Value]) -> list[str]:
        """Return the names that it asks for and that are not known."""
        return [name for name in self.names if facts[name] is None]


def parse(text: str, known: Collection[str]) -> Condition:
    """Return the condition that *text* is.

    Raises:
        ValueError: it is no expression, holds something else than comparisons, or names an unknown fact.
    """
    try:
        tree = _tree(text)
    except SyntaxError as error:
        raise ValueError(f"`{text}`: {error.msg}") from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise ValueError(f"`{text}`: {type(node).__name__} is not allowed")  # noqa: TRY004 (it is the text's fault)
    unknown = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(known))
    if unknown:
        raise ValueError(f"`{text}`: no such fact: {', '.join(unknown)}")
    return Condition(text, tuple(dict.fromkeys(_asked(tree))))


def _asked(node: ast.AST) -> list[str]:
    """Return the names of the facts whose values *node* needs."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
        return []
    own = [node.id] if isinstance(node, ast.Name) else []
    return own + [name for child in ast.iter_child_nodes(node) for name in _asked(child)]


@cache
def _tree(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _truth(node: ast.expr, facts: Mapping[str, Value]) -> bool | None:
    """Return the truth of *node*: `and` is false as soon as a part is, `or` true, whatever is not known."""
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, facts) for part in node.values]
        decides = isinstance(node.op, ast.Or)
        return decides if decides in parts else None if None in parts else not decides
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _truth(node.operand, facts)
        return None if inner is None else not inner
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
        is_unknown = isinstance(node.left, ast.Name) and facts[node.left.id] is None
        return is_unknown == isinstance(node.ops[0], ast.Is)
    asked = _asked(node)
    if any(facts[name] is None for name in asked):
        return None
    evaluator: Any = EvalWithCompoundTypes(names={name: facts[name] for name in asked}, functions={})
    try:
        return bool(evaluator.eval("", node))
    except (ArithmeticError, TypeError):
        return None  # a division by nothing, or a setting that is a word where a number was expected
