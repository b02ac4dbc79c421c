"""A pickle's opcodes -> inert records of what it would build: nothing is imported, nothing is called."""

from __future__ import annotations

from nanwatch.checkpoints.machine import MARK, Action, Machine, number
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.records import Witness

_ACTIONS: dict[bytes, Action] = {
    # scalars
    b"N": lambda m: m.push(None, 0),
    b"\x88": lambda m: m.push(True, 0),
    b"\x89": lambda m: m.push(False, 0),
    b"I": Machine.line_int,
    b"L": Machine.line_int,
    b"K": lambda m: m.push(m.fixed("B"), 0),
    b"M": lambda m: m.push(m.fixed("<H")),
    b"J": lambda m: m.push(m.fixed("<i")),
    b"\x8a": lambda m: m.sized_int("B"),
    b"\x8b": lambda m: m.sized_int("<i"),
    b"F": Machine.line_float,
    b"G": lambda m: m.push(m.fixed(">d")),
    b"S": Machine.line_text,
    b"V": Machine.line_text,
    b"U": lambda m: m.sized_latin("B"),
    b"T": lambda m: m.sized_latin("<i"),
    b"X": lambda m: m.sized_text("<I"),
    b"\x8c": lambda m: m.sized_text("B"),
    b"\x8d": lambda m: m.sized_text("<Q"),
    b"C": lambda m: m.sized_bytes("B"),
    b"B": lambda m: m.sized_bytes("<I"),
    b"\x8e": lambda m: m.sized_bytes("<Q"),
    b"\x96": lambda m: m.sized_bytes("<Q"),
    # containers
    b")": lambda m: m.push((), 0),
    b"]": lambda m: m.push([], 64),
    b"}": lambda m: m.push({}, 72),
    b"\x8f": lambda m: m.push([], 64),
    b"t": lambda m: m.marked(tuple),
    b"l": lambda m: m.marked(list),
    b"d": Machine.marked_dict,
    b"\x91": lambda m: m.marked(list),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"a": Machine.append,
    b"e": Machine.appends,
    b"\x90": Machine.appends,
    b"s": Machine.set_item,
    b"u": Machine.set_items,
    # the stack and the memo
    b"(": lambda m: m.push(MARK, 0),
    b"0": Machine.pop,
    b"1": Machine.to_mark,
    b"2": lambda m: m.again(m.top()),
    b"p": lambda m: m.remember(int(number(int, m.stream.line()))),
    b"q": lambda m: m.remember(m.size("B")),
    b"r": lambda m: m.remember(m.size("<I")),
    b"\x94": lambda m: m.remember(m.remembered),
    b"g": lambda m: m.recall(int(number(int, m.stream.line()))),
    b"h": lambda m: m.recall(m.size("B")),
    b"j": lambda m: m.recall(m.size("<I")),
    # names, calls, objects
    b"c": Machine.ask_line,
    b"\x93": Machine.ask_stack,
    b"\x82": lambda m: m.ask_code("B"),
    b"\x83": lambda m: m.ask_code("<H"),
    b"\x84": lambda m: m.ask_code("<i"),
    b"R": Machine.reduce,
    b"\x81": Machine.new_object,
    b"\x92": Machine.new_object_ex,
    b"o": Machine.make_marked,
    b"i": Machine.make_line,
    b"b": Machine.build,
    b"P": lambda m: m.store(m.stream.line()),
    b"Q": lambda m: m.store(m.pop()),
    # the frame of the stream
    b"\x80": lambda m: m.size("B"),
    b"\x95": lambda m: m.size("<Q"),
}
"""What each opcode of the protocols 0 to 5 does; `0x97` and `0x98` (buffers beside the stream) have no place in a file.
"""


def load(stream: Stream, witness: Witness) -> object:
    """Return what the pickle at *stream* would build, of inert records; *stream* then stands behind it.

    Raises:
        BadFile: it ends early, is no pickle, or would need more memory than any checkpoint.
    """
    return Machine(stream, witness).run(_ACTIONS)
