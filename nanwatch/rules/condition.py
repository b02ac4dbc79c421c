"""The language of a user's own rules: a condition is parsed, and it is checked that it asks for nothing else."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal, NamedTuple

from nanwatch.errors import UsageError
from nanwatch.model.names import direction_of, is_validation, role_of
from nanwatch.model.run import Change
from nanwatch.rules.vocabulary import BATCH, FIELDS, KNOWN_FIELDS, KNOWN_FUNCTIONS, RESULT, Function, Kind

Part = Literal["field", "shown", "losses", "metrics", "epochs"]

_LONGEST = 1000
_DEEPEST = 50
_MOST_EPOCHS = 4096
_MOST_DIGITS = 15
_QUOTED = 40


class Use(NamedTuple):
    """One value that a condition asks for: a field, a loss or metric, or one of the epochs' values."""

    part: Part
    name: str


class Condition(NamedTuple):
    """A condition that was checked. `uses` are the values it asks for, by the words that a message calls them."""

    text: str
    tree: ast.expr
    uses: dict[str, Use]
    wakes: int

    def column(self, node: ast.AST) -> int:
        """Return where *node* begins, counted from 1."""
        return _column(self.text, node)

    def piece(self, node: ast.AST) -> str:
        """Return the words of *node*."""
        return shortened(_piece(self.text, node), _QUOTED)


_BEST = [name.removeprefix("best.") for name in KNOWN_FIELDS if name.startswith("best.")]
_PARTS = ("best", "losses", "metrics")
_OPERATORS = ("<", "<=", "==", "!=", ">=", ">", "and", "or", "not", "+", "-", "*", "/", "//", "%", "**", "if else")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_EQUAL = (ast.Eq, ast.NotEq)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_MEANT = {
    "nan": "is_nan(x)", "inf": "1e999", "true": "True", "false": "False",
    "none": 'known("name")', "null": 'known("name")',
    "=": "==", "===": "==", "=<": "<=", "=>": ">=", "<>": "!=", "!": "not", "NOT": "not",
    "&&": "and", "AND": "and", "||": "or", "OR": "or",
}  # fmt: skip
_FOREIGN = re.compile(r"===|&&|\|\||=<|=>|<>|(?<![=!<>:])=(?!=)|!(?!=)|\b(?:AND|OR|NOT)\b")
_DASHED = re.compile(r"[A-Za-z_]\w*\d-\d{2,}")
"""A difference written as `mAP50-95` is: with blanks around its sign it is one."""
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_MEANT_SIGNS: dict[type[ast.AST], str] = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "**", ast.Invert: "not"}
_REFUSED: dict[type[ast.AST], str] = {
    ast.Lambda: "a lambda", ast.NamedExpr: "an assignment", ast.JoinedStr: "an f-string", ast.Starred: "a star",
    ast.ListComp: "a comprehension", ast.SetComp: "a comprehension", ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension", ast.List: "a list", ast.Tuple: "a tuple", ast.Dict: "a dict",
    ast.Set: "a set",
}  # fmt: skip


@lru_cache(maxsize=4096)
def is_result(name: str) -> bool:
    """Tell whether *name* is measured once an epoch, as `IoU` and `val_loss` are, and not with each batch."""
    return is_validation(name) or (role_of(name) == "metric" and direction_of(name) != 0)


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *word* is most like, or None."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    close = get_close_matches(word.casefold(), folded, 1)
    return folded[close[0]] if close else None


def shortened(text: str, most: int) -> str:
    """Return the beginning of *text*, in at most so many characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def check(condition: str, place: str) -> Condition:
    """Parse *condition* and check everything that stands in it.

    Raises:
        UsageError: it is no condition; begins with *place*, says what is wrong at which column, and what is known.
    """
    text = re.sub(r"[\t\r\n]", " ", condition).strip()
    if len(text) > _LONGEST:
        raise _error(place, f"longer than {_LONGEST:,} characters")
    if not text:
        raise _error(place, "nothing stands in it", known=KNOWN_FIELDS)
    for column, char in enumerate(text, start=1):
        if not char.isprintable():
            raise _error(place, "not printable", column, ascii(char))
    tree = _parse(text, place)
    if _depth(tree) > _DEEPEST:
        raise _error(place, "nested too deeply")
    checker = _Checker(text, place)
    checker.whole(tree)
    return Condition(text, tree, checker.uses, checker.wakes)


def _parse(text: str, place: str) -> ast.expr:
    """Return the syntax tree of *text*, in which no comment stands."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python doubts, such as a call of a number, is refused below
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise _syntax_error(text, place, error) from None
    except (RecursionError, MemoryError):
        raise _error(place, "nested too deeply") from None
    end = len(text.encode()[: tree.end_col_offset or 0].decode())
    if rest := text[end:].strip(" )"):
        raise _error(place, "a comment is not allowed", text.index(rest, end) + 1, rest)
    return tree


def _syntax_error(text: str, place: str, error: SyntaxError) -> UsageError:
    """Return the error for what cannot be parsed: the operator of another language, or Python's own words."""
    foreign = _FOREIGN.search(_STRING.sub(lambda found: " " * len(found[0]), text))
    if foreign is not None:
        sign = foreign[0]
        return _error(place, "no such operator", foreign.start() + 1, sign, _OPERATORS, _MEANT[sign])
    column = error.offset if error.offset and error.offset <= len(text) else len(text) + 1
    return _error(place, error.msg, column, text[column - 1 :].strip())


def _error(
    place: str, what: str, column: int | None = None, piece: str = "", known: Iterable[str] = (), meant: str = ""
) -> UsageError:
    """Return the error that says *what* is wrong where, what is *known* there, and what may be *meant*."""
    piece = shortened(piece, _QUOTED)
    at = "" if column is None else f" at column {column}: {f'`{piece}`' if piece else 'the end'}"
    hints = [f"known here: {', '.join(known)}"] if known else []
    hints += [f"did you mean {meant}?"] if meant else []
    return UsageError(f"{place}: condition: {what}{at}" + (f" ({'; '.join(hints)})" if hints else ""))


def _column(text: str, node: ast.AST) -> int:
    return len(text.encode()[: getattr(node, "col_offset", 0)].decode()) + 1


def _piece(text: str, node: ast.AST) -> str:
    begin, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
    return text.encode()[begin:end].decode()


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


class _Checker:
    """Walks over a condition once: what each piece gives, which values it asks for, what wakes it."""

    def __init__(self, text: str, place: str) -> None:
        self.text = text
        self.place = place
        self.uses: dict[str, Use] = {}
        self.wakes = Change.NOTHING

    def whole(self, tree: ast.expr) -> None:
        """Check the whole condition: it must be true or false, and of a run."""
        self.expect("number", tree)
        if not self.uses:
            raise self.error(tree, "nothing of a run", KNOWN_FIELDS)

    def expect(self, kind: Kind, *nodes: ast.expr) -> Kind:
        """Check that each of *nodes* gives a *kind*."""
        for node in nodes:
            found = self.kind(node)
            if found != kind:
                raise self.error(node, f"a {found} where a {kind} is needed")
        return kind

    def kind(self, node: ast.expr) -> Kind:
        """Check *node* and return what it gives; truth is a number."""
        match node:
            case ast.Constant():
                return self.literal(node)
            case ast.Name():
                return self.name(node)
            case ast.Attribute():
                return self.attribute(node)
            case ast.Subscript():
                return self.subscript(node)
            case ast.Call():
                return self.call(node)
            case ast.BoolOp():
                return self.expect("number", *node.values)
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                return self.expect("number", node.operand)
            case ast.BinOp() if isinstance(node.op, _ARITHMETIC):
                if isinstance(node.op, ast.Sub) and _DASHED.fullmatch(_piece(self.text, node)):
                    name = _piece(self.text, node)
                    raise self.error(node, "a difference, where a name is meant?", (), f'metrics["{name}"]')
                return self.expect("number", node.left, node.right)
            case ast.Compare():
                return self.compare(node)
            case ast.IfExp():
                self.expect("number", node.test)
                return self.expect(self.kind(node.body), node.orelse)
        raise self.foreign(node)

    def foreign(self, node: ast.expr) -> UsageError:
        """Return the error for what is Python and no condition."""
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            return self.error(node, "no such operator", _OPERATORS, _MEANT_SIGNS.get(type(node.op)))
        return self.error(node, f"{_REFUSED.get(type(node), 'this')} is not allowed", _OPERATORS)

    def literal(self, node: ast.Constant) -> Kind:
        """Check a number, a text, True or False."""
        if isinstance(node.value, bool | int | float):
            return "number"
        if isinstance(node.value, str):
            if not node.value.isprintable():
                raise self.error(node, "not printable")
            return "text"
        raise self.error(node, "no number and no text", (), _MEANT["none"] if node.value is None else None)

    def name(self, node: ast.Name) -> Kind:
        """Check a bare name: a field, else a loss or metric that a run may show."""
        name = node.id
        field = KNOWN_FIELDS.get(name)
        if field is not None:
            return self.use(name, Use("field", name), field.wakes)
        if name in _PARTS:
            known = [f for f in FIELDS if f.startswith(name)]
            raise self.error(node, "only a part of a name", known)
        if name in KNOWN_FUNCTIONS:
            raise self.error(node, "a function without its brackets", (), KNOWN_FUNCTIONS[name].call)
        if name.casefold() in _MEANT:
            raise self.error(node, "no such name", (), _MEANT[name.casefold()])
        if name.startswith("_"):
            raise self.error(node, "no such name", (), f'metrics["{name}"]' if not name.startswith("__") else None)
        return self.use(name, Use("shown", name), RESULT if is_result(name) else BATCH)

    def attribute(self, node: ast.Attribute) -> Kind:
        """Check a dotted name; only `best` has any."""
        if not (isinstance(node.value, ast.Name) and node.value.id == "best"):
            raise self.error(node, "no such name", [n for n in KNOWN_FIELDS if "." in n], _subscripted(node))
        name = f"best.{node.attr}"
        field = KNOWN_FIELDS.get(name)
        if field is None:
            raise self.error(node, "no such name", [f"best.{n}" for n in _BEST], suggestion(name, KNOWN_FIELDS))
        self.use(name, Use("field", name), field.wakes)
        return "text" if node.attr == "metric" else "number"

    def subscript(self, node: ast.Subscript) -> Kind:
        """Check `losses["name"]`, `metrics["name"]`, or a place in a list."""
        if not (isinstance(node.value, ast.Name) and node.value.id in ("losses", "metrics")):
            self.expect("list", node.value)
            return self.place_in_list(node)
        name = self.quoted(node.slice)
        label = f'{node.value.id}["{name}"]' if name in KNOWN_FIELDS else name
        if node.value.id == "losses":
            return self.use(label, Use("losses", name), RESULT if is_result(name) else BATCH)
        return self.use(label, Use("metrics", name), RESULT)

    def place_in_list(self, node: ast.Subscript) -> Kind:
        """Check the place of one value, or of a stretch of a list."""
        if not isinstance(node.slice, ast.Slice):
            self.whole_number(node.slice, -_MOST_EPOCHS, _MOST_EPOCHS)
            return "number"
        for bound in (node.slice.lower, node.slice.upper):
            if bound is not None:
                self.whole_number(bound, -_MOST_EPOCHS, _MOST_EPOCHS)
        if node.slice.step is not None:
            raise self.error(node.slice.step, "a step is not allowed")
        return "list"

    def compare(self, node: ast.Compare) -> Kind:
        """Check a comparison: numbers in any way, texts for being the same."""
        sides = [node.left, *node.comparators]
        if not all(isinstance(op, _EQUAL + _ORDER) for op in node.ops):
            raise self.error(node, "no such operator", _OPERATORS)
        if any(isinstance(op, _ORDER) for op in node.ops):
            return self.expect("number", *sides)
        kind = self.kind(sides[0])
        if kind == "list":
            raise self.error(sides[0], "a list where a number is needed")
        self.expect(kind, *sides[1:])
        return "number"

    def call(self, node: ast.Call) -> Kind:
        """Check a call of one of the functions."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        known = KNOWN_FUNCTIONS.get(name)
        if known is None:
            raise self.error(node.func, "no such function", KNOWN_FUNCTIONS, suggestion(name, KNOWN_FUNCTIONS))
        least, most = {"numbers": (1, _LONGEST), "number and digits": (1, 2), "name and epochs": (2, 2)}.get(
            known.takes, (1, 1)
        )
        if node.keywords or not least <= len(node.args) <= most:
            raise self.error(node, "not called so", [known.call])
        self.arguments(known, node.args)
        return known.gives

    def arguments(self, known: Function, given: list[ast.expr]) -> None:
        """Check what a function is given; how many there are was checked."""
        if known.takes.startswith("name"):
            name = self.quoted(given[0])
            self.uses.setdefault(name, Use("epochs", name))
            self.wakes |= RESULT
        elif known.takes == "numbers" and len(given) == 1:
            if self.kind(given[0]) == "text":
                raise self.error(given[0], "a text where numbers are needed")
        else:
            self.expect("number", *given)
        if known.takes == "name and epochs":
            self.whole_number(given[1], 1, _MOST_EPOCHS)
        if known.takes == "number and digits" and len(given) == 2:
            self.whole_number(given[1], 0, _MOST_DIGITS)

    def quoted(self, node: ast.expr) -> str:
        """Check the name of a loss or metric, in quotes, and return it."""
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            name = node.id if isinstance(node, ast.Name) else "name"
            raise self.error(node, "a name in quotes is needed", (), f'"{name}"')
        self.literal(node)
        return node.value

    def whole_number(self, node: ast.expr, least: int, most: int) -> None:
        """Check a whole number that is written out."""
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        digits = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        value = digits.value if isinstance(digits, ast.Constant) else None
        if type(value) is not int or not least <= (-value if negative else value) <= most:
            raise self.error(node, f"a whole number of {least} to {most} is needed")

    def use(self, label: str, use: Use, wakes: int) -> Kind:
        """Take note of a value that the condition asks for."""
        self.uses[label] = use
        self.wakes |= wakes
        return "number"

    def error(self, node: ast.AST, what: str, known: Iterable[str] = (), meant: str | None = None) -> UsageError:
        """Return the error that says what is wrong with *node*, what is *known*, and what may be *meant*."""
        column, piece = _column(self.text, node), _piece(self.text, node)
        return _error(self.place, what, column, piece, known, meant or "")


def _subscripted(node: ast.Attribute) -> str | None:
    """Return how the name of a loss or metric is written that was written with a dot."""
    if isinstance(node.value, ast.Name) and node.value.id in ("losses", "metrics"):
        return f'{node.value.id}["{node.attr}"]'
    return None
