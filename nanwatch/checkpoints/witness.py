"""What loading a pickle would do besides building data, said in words that are safe to print."""

from __future__ import annotations

from nanwatch.checkpoints.base import Contents
from nanwatch.checkpoints.records import Blob, Global, Instance, Stored
from nanwatch.checkpoints.trust import is_loader, judge
from nanwatch.model.words import printable

_MOST_SAID = 5
_LONGEST_VALUE = 60
_MOST_VALUES = 3

_GETATTR, _GETITEM = "builtins.getattr", "_operator.getitem"
_REDUCES = ("functools.reduce", "_functools.reduce")
_REBUILDS = ("torch._tensor._rebuild_from_type_v2", "torch._tensor._rebuild_from_type")
"""They call their first argument with their third."""
_NUMPY_RANDOM = "numpy.random"
"""The constructors there call what they are given."""


class Suspicion:
    """Collects what a pickle tries: `hostile` what would do harm, `foreign` the classes of others that it needs."""

    def __init__(self) -> None:
        self._hostile: dict[str, None] = {}
        self._foreign: dict[str, None] = {}
        self._called: dict[str, None] = {}
        self._unused = dict.fromkeys(
            (_GETATTR, _GETITEM, *_REDUCES), 0
        )  # how often named and not called harmlessly since

    def names(self, what: Global) -> None:
        """Judge a name by what PyTorch, picklescan and fickling know of it."""
        verdict = judge(what.module, what.name)
        if str(what) in self._unused:
            self._unused[str(what)] += 1
        elif verdict == "dangerous":
            self._accuse(f"refers to {_said(what)}")
        elif verdict == "foreign" and len(self._foreign) < _MOST_SAID:
            _note(self._foreign, _said(what))

    def calls(self, what: object, args: object, is_set_up: bool = True) -> None:
        """Judge a call: of a name, or of something that the pickle has built."""
        if len(self._hostile) >= _MOST_SAID:
            return  # enough is known
        if not isinstance(what, Global):
            self._accuse(f"would call something that it builds: ({_arguments(args)})")
            return
        values = args if isinstance(args, tuple) else ()
        if str(what) in self._unused:
            self._unused[str(what)] -= 1
        if str(what) in _REBUILDS:
            inner = values[0] if len(values) > 2 else None
            if isinstance(inner, Global) and str(inner) in _REBUILDS:  # no end of them
                self._accuse(f"would run {_said(what)}({_arguments(args)})")
            else:
                self.calls(inner, values[2] if len(values) > 2 else args)
        elif not _is_harmless(what, values, is_set_up):
            self._hostile.pop(f"refers to {_said(what)}", None)
            self._accuse(f"would run {_said(what)}({_arguments(args)})")
        elif not _is_class(what) and len(self._called) < _MOST_SAID and judge(what.module, what.name) == "foreign":
            _note(self._called, _said(what))

    def changes(self, what: object) -> None:
        """Judge the setting of attributes of a class, a function or a module: no checkpoint does it."""
        self._accuse(f"would change {_said(what)}")

    def _accuse(self, said: str) -> None:
        _note(self._hostile, said)

    @property
    def hostile(self) -> list[str]:
        """What it tries, the first few."""
        unused = [f"refers to {name}" for name, times in self._unused.items() if times > 0]
        return [*self._hostile, *unused]

    def report(self, contents: Contents) -> None:
        """Add to *contents* what was found."""
        contents.hostile += self.hostile
        if self._foreign:
            names = ", ".join(self._foreign)
            contents.remarks.append(f"holds objects of {names}: torch.load(weights_only=True) would refuse it")
        if self._called:
            contents.remarks.append(f"loading it would call {', '.join(self._called)}: what that does is not known")


def _is_harmless(what: Global, args: tuple[object, ...], is_set_up: bool) -> bool:
    """Tell whether a call of this name does no more than build data."""
    verdict = judge(what.module, what.name)
    if str(what) == _GETATTR:
        return _is_attribute(args)
    if str(what) == _GETITEM:  # `Optional[int]`
        return len(args) == 2 and isinstance(args[0], Global) and args[0].module == "typing"
    if str(what) in _REDUCES:  # `int | None`
        return len(args) == 2 and args[0] == Global("_operator", "or_") and isinstance(args[1], tuple)
    if str(what) == "builtins.type":
        return len(args) == 1
    if what.module.startswith(_NUMPY_RANDOM) and not _is_class(what):
        names = [value for value in args if isinstance(value, Global)]
        others = [value for value in args[1:] if isinstance(value, Instance)]
        return verdict == "known" and not others and all(name.module.startswith(_NUMPY_RANDOM) for name in names)
    is_loader_run = is_set_up and is_loader(what.module, what.name)
    return not is_loader_run and verdict != "dangerous" and (verdict != "inert" or _is_class(what))


def _is_attribute(args: tuple[object, ...]) -> bool:
    """Judge `getattr`: so members of enumerations (by Python 3.11) and bound methods are pickled.

    What it gives is data as long as nothing calls it.
    """
    target, name, *more = args if len(args) >= 2 else (None, None)
    owner = target.made_by if isinstance(target, Instance) else target
    is_plain = isinstance(name, str) and name.isidentifier() and not name.startswith("__") and not more
    return (
        is_plain and isinstance(owner, Global) and _is_class(owner) and judge(owner.module, owner.name) != "dangerous"
    )


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
