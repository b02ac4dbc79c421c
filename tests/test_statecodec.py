"""State as text and back: exactly what it was, and nothing that this version does not know."""

from __future__ import annotations

import math
import pickle
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.statecodec import BadState, dump, load
from tests.support.repeatable import repeatable


@dataclass(slots=True)
class Thing:
    """A dataclass that is known."""

    name: str
    rest: object = None
    more: list[object] = field(default_factory=list)


@dataclass(slots=True)
class Other:
    """A dataclass that is not known."""

    name: str = ""


KINDS: dict[str, type[object]] = {"Thing": Thing}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.binary(max_size=8)
)
KEYS = st.text(max_size=4) | st.integers() | st.none() | st.tuples(st.text(max_size=2), st.integers())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(Thing, st.text(max_size=4), inner, st.lists(inner, max_size=2))
    ),
    max_leaves=12,
)


@given(VALUES)
@repeatable
def test_what_is_put_in_comes_out(value: object) -> None:
    """Any nesting of the known kinds comes back equal, types included, and is one line of ASCII."""
    text = dump(value)
    assert text.isascii()
    assert "\n" not in text
    assert repr(load(text, KINDS)) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        {"~": "tuple", "v": [1]},
        {"~": "Thing"},
        {1: "a", None: "b", ("x", 2): "c"},
        -(1 << 60),
        1 << 53,
        b"\x00\xff\x1b[",
        "\ud800 \u2028 \x00",
        (),
        [(), [], {}],
        -0.0,
        1e308,
    ],
    ids=range(11),
)
def test_odd_values(value: object) -> None:
    """Dictionaries like its own marks, huge integers, raw bytes and lone surrogates come back as they were."""
    assert repr(load(dump(value), KINDS)) == repr(value)


def test_a_mask_of_a_whole_epoch() -> None:
    """An integer with a bit for each of many batches comes back, although it is too long to be printed."""
    assert load(dump(1 << 41_163 | 1), KINDS) == 1 << 41_163 | 1


def test_what_is_not_finite() -> None:
    """NaN and infinities are legal values of a state."""
    found = load(dump([math.nan, math.inf, -math.inf]), KINDS)
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("value", [{1, 2}, object(), Thing, 1j])
def test_what_cannot_be_kept(value: object) -> None:
    """A kind of value that has no form is refused when it is written, not when it is read."""
    with pytest.raises(TypeError, match="cannot keep"):
        dump(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nope",
        dump(Other("x")),
        '{"~":"Thing"}',
        '{"~":"Thing","v":["too few"]}',
        '{"~":"Thing","v":[1,2,3,4]}',
        '{"~":"Thing","v":7}',
        '{"~":"int","v":"zz"}',
        '{"~":"int","v":7}',
        '{"~":"bytes","v":"\u20ac"}',
        '{"~":"bytes","v":[1]}',
        '{"~":"dict","v":[[1]]}',
        '{"~":"dict","v":[[[],1]]}',
        '{"~":"os.system","v":["id"]}',
        '{"~":["Thing"],"v":[]}',
        "[" * 100_000,
        '{"~":"tuple","v":' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=range(18),
)
def test_what_is_no_state(text: str) -> None:
    """Damaged text, unknown classes, other fields and endless nesting are one kind of error."""
    with pytest.raises(BadState):
        load(text, KINDS)


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda b: b.decode("latin-1")))
@repeatable
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, it is a value or a `BadState`."""
    with suppress(BadState):
        load(text, KINDS)


def test_a_pickle_is_nothing_to_it() -> None:
    """A file from elsewhere can build nothing."""
    with pytest.raises(BadState):
        load(pickle.dumps(Other()).decode("latin-1"), KINDS)
