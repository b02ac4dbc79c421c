"""Python's pickle machine: its stack, its memo and all that its opcodes do, with records in place of objects."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from nanwatch.checkpoints.base import BadFile
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.records import Global, Instance, Stored, Witness

_MOST_SPENT = 40 << 20
_LONGEST_KEPT = 1 << 16
_LONGEST_INT = 1 << 10
_LARGEST_KEY = 1 << 60


class _Mark:
    """What lies below a MARK on the stack."""


MARK = _Mark()


def nonsense(what: str) -> NoReturn:
    """Refuse the pickle.

    Raises:
        BadFile: always.
    """
    raise BadFile("corrupted", f"its pickle makes no sense: {what}")


class Machine:
    """Python's pickle machine, with records in place of objects, and an account of the memory that it spends."""

    def __init__(self, stream: Stream, witness: Witness) -> None:
        self.stream = stream
        self._witness = witness
        self._stack: list[object] = []
        self._memo: list[object] = []
        self._far: dict[int, object] = {}
        self._spent = 0

    def run(self, actions: Mapping[bytes, Action]) -> object:
        """Obey opcodes, each by its action, up to STOP; return what is left on the stack."""
        read = self.stream.read
        while (code := read(1)) != b".":
            action = actions.get(code)
            if action is None:
                nonsense(f"opcode {code[0]:#04x}")
            self._spent += 8
            action(self)
            if self._spent > _MOST_SPENT:
                raise BadFile("unreadable", "its pickle is larger than that of any checkpoint")
        return self.pop()

    # -- the stack

    def push(self, value: object, cost: int = 32) -> None:
        """Put *value* on the stack; *cost* is about what it takes in bytes."""
        self._spent += cost
        self._stack.append(value)

    def pop(self) -> object:
        """Take the topmost value."""
        if not self._stack or self._stack[-1] is MARK:
            nonsense("the stack is empty")
        return self._stack.pop()

    def top(self) -> object:
        """Look at the topmost value."""
        if not self._stack or self._stack[-1] is MARK:
            nonsense("the stack is empty")
        return self._stack[-1]

    def to_mark(self) -> list[object]:
        """Take everything above the last mark, and the mark."""
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is MARK:
                values = self._stack[at + 1 :]
                del self._stack[at:]
                return values
        nonsense("no mark")

    # -- scalars

    def fixed(self, form: str) -> int | float:
        """Return one number of this `struct` format."""
        value: int | float = struct.unpack(form, self.stream.read(struct.calcsize(form)))[0]
        return value

    def size(self, form: str) -> int:
        """Return a length."""
        value = int(self.fixed(form))
        return value if value >= 0 else nonsense("a negative length")

    def push_text(self, text: str) -> None:
        """Push text; a single character from far away makes all of it four times as large."""
        self.push(text, sys.getsizeof(text))

    def sized_text(self, form: str) -> None:
        """Push text in UTF-8."""
        size = self.size(form)
        if size > _LONGEST_KEPT:
            return self.push(self.stream.skip(size))
        return self.push_text(self.stream.read(size).decode("utf-8", "replace"))

    def sized_bytes(self, form: str) -> None:
        """Push bytes."""
        size = self.size(form)
        if size > _LONGEST_KEPT:
            return self.push(self.stream.skip(size))
        return self.push(self.stream.read(size), 40 + size)

    def sized_latin(self, form: str) -> None:
        """Push a string of Python 2."""
        size = self.size(form)
        if size > _LONGEST_KEPT:
            return self.push(self.stream.skip(size))
        return self.push_text(self.stream.read(size).decode("latin-1"))

    def sized_int(self, form: str) -> None:
        """Push a long integer."""
        size = self.size(form)
        if size > _LONGEST_INT:
            nonsense("an integer without end")
        self.push(int.from_bytes(self.stream.read(size), "little", signed=True), 32 + size)

    def line_int(self) -> None:
        """Push an integer that is written in digits; `00` and `01` are the truth values."""
        text = self.stream.line().removesuffix("L")
        if len(text) > _LONGEST_INT:
            nonsense("an integer without end")
        self.push({"00": False, "01": True}[text] if text in ("00", "01") else number(int, text), 64)

    def line_float(self) -> None:
        """Push a float that is written in digits."""
        self.push(number(float, self.stream.line()))

    def line_text(self) -> None:
        """Push text that is written as a line: raw, or between quotes."""
        text = self.stream.line("raw-unicode-escape")
        quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
        self.push_text(text[1:-1] if quoted else text)

    # -- containers

    def tuple_of(self, count: int) -> None:
        """Put the last *count* values into a tuple."""
        self.push(tuple(reversed([self.pop() for _ in range(count)])), 40 + 8 * count)

    def put(self, target: object, values: list[object]) -> None:
        """Append *values* to a list, or to what will be like one."""
        self._spent += 8 * len(values)
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Instance):
            target.items = [] if target.items is None else target.items
            target.items.extend(values)
        else:
            nonsense("items for what holds none")

    def put_entries(self, target: object, values: list[object]) -> None:
        """Set entries, keys and values by turns, of a dictionary or of what will be like one."""
        if isinstance(target, Instance) and target.entries is None:
            target.entries = {}
        entries = target.entries if isinstance(target, Instance) else target
        if not isinstance(entries, dict) or len(values) % 2:
            nonsense("entries for what holds none")
        self._spent += 50 * len(values)
        for key, value in zip(values[::2], values[1::2], strict=True):
            entries[_key(key)] = value

    def appends(self) -> None:
        """Append everything above the mark."""
        values = self.to_mark()
        self.put(self.top(), values)

    def append(self) -> None:
        """Append the topmost value."""
        value = self.pop()
        self.put(self.top(), [value])

    def set_items(self) -> None:
        """Set the entries above the mark."""
        values = self.to_mark()
        self.put_entries(self.top(), values)

    def set_item(self) -> None:
        """Set one entry."""
        value, key = self.pop(), self.pop()
        self.put_entries(self.top(), [key, value])

    def marked(self, build: Callable[[list[object]], object]) -> None:
        """Put everything above the mark into what *build* makes."""
        values = self.to_mark()
        self.push(build(values), 56 + 8 * len(values))

    def marked_dict(self) -> None:
        """Push a dictionary of what lies above the mark."""
        values = self.to_mark()
        self.push({}, 64)
        self.put_entries(self.top(), values)

    # -- the memo

    @property
    def remembered(self) -> int:
        """How many values are kept."""
        return len(self._memo)

    def remember(self, at: int) -> None:
        """Keep the topmost value under a number."""
        if at < 0:
            nonsense("a negative number to keep something under")
        if at == len(self._memo):  # as all picklers count
            self._memo.append(self.top())
        elif at < len(self._memo):
            self._memo[at] = self.top()
        else:
            self._spent += 120
            self._far[at] = self.top()

    def recall(self, at: int) -> None:
        """Push the value that was kept under a number."""
        if 0 <= at < len(self._memo):
            self.again(self._memo[at])
        elif at in self._far:
            self.again(self._far[at])
        else:
            nonsense("nothing is kept under the number that it asks for")

    def again(self, value: object) -> None:
        """Push what is there already; a name is one more use of that name."""
        if isinstance(value, Global):
            self._witness.names(value)
        self.push(value, 0)

    # -- names and calls

    def ask(self, module: object, name: object) -> None:
        """Push a name, and tell the witness."""
        if not isinstance(module, str) or not isinstance(name, str):
            nonsense("a name that is no text")
        what = Global(*_today(module, name))
        self._witness.names(what)
        self.push(what, 160 + sys.getsizeof(what.module) + sys.getsizeof(what.name))

    def ask_stack(self) -> None:
        """Push the name that lies on the stack."""
        name, module = self.pop(), self.pop()
        self.ask(module, name)

    def ask_line(self) -> None:
        """Push the name that two lines give."""
        self.ask(self.stream.line(), self.stream.line())

    def ask_code(self, form: str) -> None:
        """Push a name that only a registry of the loading program knows: no checkpoint uses it."""
        self.ask("copyreg", f"extension_{self.size(form)}")

    def make(self, what: object, args: object, is_set_up: bool = True) -> None:
        """Push what a call would give, or a class's own `__new__` where it is not *is_set_up*."""
        if not isinstance(args, tuple | Instance):
            nonsense("a call without arguments")
        self._witness.calls(what, args, is_set_up)
        self.push(Instance(what, args), 96)

    def reduce(self) -> None:
        """Call the second value with the first."""
        args, what = self.pop(), self.pop()
        self.make(what, args)

    def new_object(self) -> None:
        """Make an object of a class without setting it up, as most objects are pickled."""
        args, what = self.pop(), self.pop()
        self.make(what, args, is_set_up=False)

    def new_object_ex(self) -> None:
        """Make an object of a class, with keywords."""
        keywords, args, what = self.pop(), self.pop(), self.pop()
        self.make(what, args, is_set_up=False)
        self.push(keywords)
        self.build()

    def make_marked(self) -> None:
        """Call what lies at the mark with all above it."""
        what, *args = self.to_mark() or nonsense("nothing to call")
        self.make(what, tuple(args))

    def make_line(self) -> None:
        """Call the name that two lines give with all above the mark."""
        args = self.to_mark()
        self.ask_line()
        self.make(self.pop(), tuple(args))

    def build(self) -> None:
        """Give the second value its state."""
        state, target = self.pop(), self.top()
        if isinstance(target, Instance):
            target.state = state if target.state is None else (target.state, state)
        elif isinstance(target, Global):
            self._witness.changes(target)

    def store(self, key: object) -> None:
        """Push a thing that lies outside; PyTorch's old format puts the classes of modules there, with their source."""
        if isinstance(key, tuple) and key[:1] == ("module",) and len(key) > 1 and isinstance(key[1], Global):
            return self.push(key[1], 0)
        return self.push(Stored(key), 48 + (sys.getsizeof(key) if isinstance(key, str) else 0))


def number(kind: type[int] | type[float], text: str) -> int | float:
    """Return the number that *text* is."""
    try:
        return kind(text)
    except ValueError:
        nonsense("a number that is none")


def _key(value: object) -> object:
    """Return *value* as a key that costs nothing to hash: neither nested, nor one of many with the same hash."""
    if isinstance(value, str | bytes | float | None | Global):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_KEY:
        return value
    return Stored(value)


def _today(module: str, name: str) -> tuple[str, str]:
    """Return the name that Python 3 loads for one of Python 2, as `pickle` does."""
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


Action = Callable[[Machine], object]
"""What an opcode does to the machine."""
