"""Reading pickles without running them: all protocols build the same records; nonsense ends in one clear line."""

from __future__ import annotations

import collections
import io
import pickle
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.checkpoints.base import BadFile
from nanwatch.checkpoints.pickles import load
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.records import Blob, Global, Instance, Stored
from nanwatch.checkpoints.witness import Suspicion
from tests.support.repeatable import repeatable

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(0, 99), inner),
    max_leaves=30,
)


def loaded(raw: bytes) -> object:
    return load(Stream(io.BytesIO(raw), 0, len(raw)), Suspicion())


def ends_well(raw: bytes) -> bool:
    """Tell that *raw* is read, or refused with a reason."""
    try:
        loaded(raw)
    except BadFile as error:
        return bool(error.problem)
    return True


def plain(value: Any) -> Any:
    """*value* with the records of Python 2's bytes and empty text as what they stand for."""
    if isinstance(value, Instance):
        args: Any = value.args
        return args[0].encode("latin-1") if args else b""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items()}
    return type(value)(plain(held) for held in value) if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("protocol", range(6))
@repeatable
@given(value=PLAIN)
def test_plain_data_comes_back_as_it_was(protocol: int, value: object) -> None:
    """What holds no objects is read as `pickle` reads it, whatever protocol wrote it."""
    if protocol == 0 and "\\" in repr(value):
        return  # escapes of the text protocol are not needed for names
    assert plain(loaded(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", range(6))
def test_objects_become_records(protocol: int) -> None:
    """An object of a class is a record of the class and its items; the class is not imported."""
    found = loaded(pickle.dumps(collections.OrderedDict(a=1), protocol))
    assert isinstance(found, Instance)
    assert found.made_by == Global("collections", "OrderedDict")
    assert found.entries == {"a": 1} or protocol < 2


def test_a_recursive_object_is_read() -> None:
    """A list that holds itself is read as such."""
    value: list[object] = []
    value.append(value)
    found = loaded(pickle.dumps(value))
    assert isinstance(found, list)
    assert found[0] is found


def test_long_texts_stay_where_they_are() -> None:
    """A text or bytes longer than any name are not held in memory."""
    assert loaded(pickle.dumps(b"x" * 100_000, 5)) == Blob(7, 100_000)


def test_names_of_python_2_are_those_of_python_3() -> None:
    """`__builtin__.eval` is `builtins.eval`, as `pickle` loads it."""
    assert loaded(b"c__builtin__\neval\n.") == Global("builtins", "eval")


def test_things_outside_are_known_by_their_id() -> None:
    """A persistent id is kept as a reference to something stored elsewhere."""
    found = loaded(b"\x80\x02X\x03\0\0\0abcQ.")
    assert isinstance(found, Stored)
    assert found.key == "abc"


BOMB = b"(lp0\n" + b"".join(b"(l" + f"p{i}\n".encode() + b"g%d\na" % (i - 1) * 10 for i in range(1, 60)) + b"."


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "ends early"),
        (b"\x80\x02}", "ends early"),
        (b"\x80\x02X\xff\xff\xff\x7fabc", "ends early"),
        (b"\x80\x02B\xff\xff\xff\xffabc", "ends early"),
        (b".", "stack is empty"),
        (b"a.", "stack is empty"),
        (b"(a.", "stack is empty"),
        (b"t.", "no mark"),
        (b"K\1K\2a.", "items for what holds none"),
        (b"}K\1K\2K\3u.", "no mark"),
        (b"}(K\1u.", "entries for what holds none"),
        (b"h\7.", "nothing is kept"),
        (b"\xfe.", "opcode 0xfe"),
        (b"\x97.", "opcode 0x97"),
        (b"I12x\n.", "a number that is none"),
        (b"I" + b"9" * 5000 + b"\n.", "an integer without end"),
        (b"\x8b\xff\xff\xff\x7f" + b"\1" * 50 + b".", "an integer without end"),
        (b"\x8b\xff\xff\xff\xff.", "a negative length"),
        (b"K\1K\2\x93.", "a name that is no text"),
        (b"cos\nsystem\nK\1R.", "a call without arguments"),
        (b"(o.", "nothing to call"),
        (b"V" + b"x" * 200_000, "does not end"),
    ],
)
def test_nonsense_is_one_clear_line(raw: bytes, problem: str) -> None:
    """What no pickler writes is refused with the reason."""
    with pytest.raises(BadFile, match=problem):
        loaded(raw)


@pytest.mark.parametrize(
    "raw",
    ids=["lists", "memo", "marks", "numbers", "tuple"],
    argvalues=[
        b"]" * 10_000_000,
        b"}q\0" * 2_000_000,
        b"(" * 10_000_000,
        b"K\1" * 6_000_000,
        b"(" + b"N" * 5_000_000 + b"t2" * 3 + b".",
    ],
)
def test_a_pickle_without_end_is_refused(raw: bytes) -> None:
    """What would fill the memory is refused before it does."""
    with pytest.raises(BadFile, match=r"larger than that of any checkpoint|makes no sense"):
        loaded(raw + b".")


def test_a_bomb_of_references_is_harmless() -> None:
    """Sixty lists of ten references each to the one before take the memory of sixty lists."""
    assert isinstance(loaded(BOMB), list)


def test_keys_that_collide_cost_nothing() -> None:
    """Integers with one hash, and tuples nested without end, are no keys to compare."""
    keys = [(2**61 - 1) * n for n in range(3000)]
    body = b"".join(b"\x8a\x0a" + key.to_bytes(10, "little") + b"N" for key in keys)
    found = loaded(b"\x80\x02}(" + body + b"u.")
    assert isinstance(found, dict)
    assert len(found) == 3000
    deep = b"\x80\x02})" + b"\x85" * 100_000 + b"Ns."
    assert isinstance(loaded(deep), dict)


@repeatable
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Whatever the bytes, they are read, or refused with one line."""
    assert ends_well(raw)


@repeatable
@given(st.lists(st.sampled_from(list(b"()]}lt0122ahjqrsueRbQPoic\x81\x85\x86\x87\x88\x93\x94NK")), max_size=60))
def test_any_opcodes_are_read_or_refused(codes: list[int]) -> None:
    """Whatever the order of opcodes, they are read, or refused with one line."""
    raw = b"".join(
        bytes([code]) + (b"\1" if code in b"hqK" else b"os\nsystem\n" if code in b"ci" else b"") for code in codes
    )
    assert ends_well(raw + b".")


def test_a_length_is_what_struct_says() -> None:
    """A text of 8-byte length is read like others."""
    assert loaded(b"\x8d" + struct.pack("<Q", 2) + b"hi.") == "hi"
