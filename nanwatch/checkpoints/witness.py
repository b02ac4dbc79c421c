"""What loading a pickle would do besides building data, said in words that are safe to print."""

from __future__ import annotations

from nanwatch.checkpoints.base import Contents
from nanwatch.checkpoints.records import Blob, Global, Instance, Stored
from nanwatch.checkpoints.trust import judge
from nanwatch.model.words import printable

_MOST_SAID = 5
_LONGEST_VALUE = 60
_MOST_VALUES = 3


class Suspicion:
    """Collects what a pickle tries: `hostile` what would do harm, `foreign` the classes of others that it needs."""

    def __init__(self) -> None:
        self._hostile: dict[str, None] = {}
        self._foreign: dict[str, None] = {}

    def names(self, what: Global) -> None:
        """Judge a name by what PyTorch, picklescan and fickling know of it."""
        verdict = judge(what.module, what.name)
        if verdict == "dangerous":
            self._accuse(f"refers to {_said(what)}")
        elif verdict == "foreign":
            _note(self._foreign, _said(what))

    def calls(self, what: object, args: object) -> None:
        """Judge a call: of a name, or of something that the pickle has built."""
        if not isinstance(what, Global):
            self._accuse(f"would call something that it builds: ({_arguments(args)})")
            return
        verdict = judge(what.module, what.name)
        if str(what) == "builtins.getattr":
            self._attribute(args)
        elif str(what) == "builtins.type" and not (isinstance(args, tuple) and len(args) == 1):
            self._accuse(f"would run builtins.type({_arguments(args)})")
        elif verdict == "dangerous" or (verdict == "inert" and not _is_class(what)):
            self._hostile.pop(f"refers to {_said(what)}", None)
            self._accuse(f"would run {_said(what)}({_arguments(args)})")

    def changes(self, what: object) -> None:
        """Judge the setting of attributes of a class, a function or a module: no checkpoint does it."""
        self._accuse(f"would change {_said(what)}")

    def _attribute(self, args: object) -> None:
        """Judge `getattr`: Python 3.11 pickles a member of an enumeration as an attribute of its class."""
        target, name, *more = args if isinstance(args, tuple) and len(args) >= 2 else (None, None)
        is_member = isinstance(name, str) and name.isidentifier() and not name.startswith("_") and not more
        self._hostile.pop("refers to builtins.getattr", None)
        if (
            not (is_member and isinstance(target, Global) and _is_class(target))
            or judge(target.module, target.name) == "dangerous"
        ):
            self._accuse(f"would run builtins.getattr({_arguments(args)})")

    def _accuse(self, said: str) -> None:
        _note(self._hostile, said)

    @property
    def hostile(self) -> list[str]:
        """What it tries, the first few."""
        return list(self._hostile)

    def report(self, contents: Contents) -> None:
        """Add to *contents* what was found."""
        contents.hostile += self._hostile
        if self._foreign:
            names = ", ".join(self._foreign)
            contents.remarks.append(f"holds objects of {names}: torch.load(weights_only=True) would refuse it")


def _note(notes: dict[str, None], said: str) -> None:
    if len(notes) < _MOST_SAID:
        notes[said] = None


def _is_class(what: Global) -> bool:
    return what.name.rpartition(".")[2].lstrip("_")[:1].isupper()


def _arguments(args: object) -> str:
    """Return the beginning of the arguments of a call."""
    values = args if isinstance(args, tuple) else (args,)
    shown = [_said(value) for value in values[:_MOST_VALUES]]
    return ", ".join([*shown, "..."] if len(values) > _MOST_VALUES else shown)


def _said(value: object) -> str:
    """Return *value* in a few plain characters."""
    if isinstance(value, str):
        return "'" + _cut(value) + "'"
    if isinstance(value, bytes):
        return "'" + _cut(value[: 4 * _LONGEST_VALUE].decode("latin-1")) + "'"
    if isinstance(value, Global):
        return _cut(str(value))
    if isinstance(value, bool | int | float | None):
        return str(value)[:_LONGEST_VALUE]
    if isinstance(value, Instance):
        return f"{_said(value.made_by)}(...)" if isinstance(value.made_by, Global) else "an object"
    return {Blob: "a long text", Stored: "a storage"}.get(type(value), f"a {type(value).__name__}")


def _cut(text: str) -> str:
    plain = printable(text[: 4 * _LONGEST_VALUE])
    return plain if len(plain) <= _LONGEST_VALUE else plain[:_LONGEST_VALUE].rstrip() + "..."
