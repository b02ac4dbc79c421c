"""The safetensors reader finds what the format's own library wrote, and refuses what contradicts itself."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.checkpoints.base import BadFile, Contents
from nanwatch.checkpoints.safetensors import SafetensorsReader
from nanwatch.checkpoints.scan import scan_file


def read(data: bytes) -> Contents:
    return SafetensorsReader().read(io.BytesIO(data), len(data))


def made(header: object, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def entry(begin: int, end: int, dtype: str = "F32", shape: object = None) -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def written(tmp_path: Path) -> bytes:
    save = pytest.importorskip("safetensors.numpy").save_file
    arrays = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "head.bias": np.ones(3, np.float16)}
    save(arrays, tmp_path / "model.safetensors", metadata={"epoch": "3", "format": "pt", "best": "0.5"})
    return (tmp_path / "model.safetensors").read_bytes()


def test_it_reads_what_the_library_wrote(tmp_path: Path) -> None:
    """Names, types, shapes and bytes are those that were saved; metadata become facts, numbers among them."""
    data = written(tmp_path)
    contents = read(data)
    tensors = {tensor.name: tensor for tensor in contents.tensors}
    weight = contents.storages[tensors["head.weight"].storage]
    assert (weight.dtype, weight.elements, tensors["head.weight"].shape) == ("float32", 6, (2, 3))
    assert tensors["head.weight"].strides == (3, 1)
    assert np.frombuffer(data, "<f4", 6, weight.offset).tolist() == [0, 1, 2, 3, 4, 5]
    assert contents.storages[tensors["head.bias"].storage].dtype == "float16"
    assert contents.facts == {"epoch": 3, "format": "pt", "best": 0.5}


def test_every_type_of_torch_keeps_its_name(tmp_path: Path) -> None:
    """A tensor's type is called as PyTorch calls it, the 8-bit ones and bfloat16 too."""
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    names = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float64", "int64", "int8", "bool", "float16", "uint8")
    save({name: torch.zeros(2, 2).to(getattr(torch, name)) for name in names}, tmp_path / "x.safetensors")
    contents = read((tmp_path / "x.safetensors").read_bytes())
    assert {tensor.name: contents.storages[tensor.storage].dtype for tensor in contents.tensors} == {
        n: n for n in names
    }


def test_a_file_cut_anywhere_is_truncated(tmp_path: Path) -> None:
    """Whatever byte it was cut at, in the directory or in the numbers, it is told to be truncated."""
    data = written(tmp_path)
    for length in range(len(data)):
        with pytest.raises(BadFile) as error:
            read(data[:length])
        assert error.value.state == "truncated", length


@pytest.mark.parametrize(
    ("data", "state", "words"),
    [
        (b"", "truncated", "empty"),
        (bytes(4096), "truncated", "never written"),
        (made(b"[1, 2]"), "corrupted", "no directory"),
        (made(b'{"a": '), "corrupted", "JSON"),
        (made(b'{"a":' + b"[" * 100_000), "corrupted", "JSON"),
        (made(b'{"a":\xff}'), "corrupted", "JSON"),
        (made(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}'), "corrupted", "twice"),
        (made({"a": 3}), "corrupted", "says nothing of a"),
        (made({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "corrupted", "overlaps b"),
        (made({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), "corrupted", "hole before b"),
        (made({"a": entry(4, 8)}, bytes(8)), "corrupted", "hole before a"),
        (made({"a": entry(0, 4)}, bytes(8)), "corrupted", "4 bytes that belong to no tensor"),
        (made({"a": entry(0, 8)}, bytes(4)), "truncated", "ends in a, 4 bytes early"),
        (made({"a": entry(0, 8, shape=[3])}, bytes(8)), "corrupted", "do not match its shape"),
        (made({"a": entry(8, 4, shape=[-1])}, bytes(8)), "corrupted", "wrongly"),
        (made({"a": entry(0, 4, shape=[True])}, bytes(4)), "corrupted", "wrongly"),
        (made({"a": entry(0, 4, shape=[1 << 62, 1 << 62])}, bytes(4)), "corrupted", "impossible"),
        (made({"a": entry(0, 4, shape=[0] * 1000)}, bytes(4)), "corrupted", "dimensions"),
        (made({"a": entry(0, 4, dtype="F128")}, bytes(4)), "unreadable", "F128"),
        (made(b'{"a":[' + b"0," * 500_000 + b"0]}"), "unreadable", "more tensors than"),
        ((1 << 62).to_bytes(8, "little") + b"{" + bytes(100), "truncated", "directory"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes, state: str, words: str) -> None:
    """A hostile or broken directory gives one clear phrase."""
    with pytest.raises(BadFile, match=words) as error:
        read(data)
    assert error.value.state == state


def test_a_directory_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    """A directory of a gigabyte, in a sparse file that costs nothing, is refused before it is read."""
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.write((1 << 30).to_bytes(8, "little") + b"{")
        file.truncate((1 << 30) + 8)
    with path.open("rb") as file, pytest.raises(BadFile, match="more than are read"):
        SafetensorsReader().read(file, path.stat().st_size)


def test_types_without_a_code_for_nan_are_bytes() -> None:
    """4-bit and 6-bit numbers are accepted as what cannot be non-finite."""
    contents = read(made({"a": entry(0, 4, "F4", [8]), "b": entry(4, 7, "F6_E2M3", [4])}, bytes(7)))
    assert [(s.dtype, s.size) for s in contents.storages.values()] == [("uint8", 4), ("uint8", 3)]


@pytest.mark.parametrize("metadata", [{"a": 1}, [], "x", {"a": {"b": "c"}}])
def test_metadata_of_another_kind_are_no_facts(metadata: object) -> None:
    """Only texts are taken from what the file says of itself."""
    assert read(made({"__metadata__": metadata})).facts == {}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    """A file with changed bytes is read, or refused as a bad file, and nothing else happens."""
    raw = bytearray(made({"a": entry(0, 8), "b": entry(8, 12)}, bytes(12)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadFile):
        assert all(s.offset + s.size <= len(raw) for s in read(bytes(raw)).storages.values())


def test_it_is_known_by_name_or_by_its_beginning() -> None:
    """A file is taken for safetensors by its name, or by a plausible length before a JSON object."""
    reader = SafetensorsReader()
    assert reader.matches(b"", "model.safetensors")
    assert reader.matches(made({"a": 1}), "weights")
    assert not reader.matches(b"PK\3\4" + bytes(60), "model.pt")
    assert not reader.matches(b"\xff" * 8 + b'{"', "weights")


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("float32", 0x7FC00000),
        ("bfloat16", 0x7FC0),
        ("float16", 0x7E00),
        ("float8_e4m3fn", 0x7F),
        ("float8_e5m2", 0x7E),
    ],
)
def test_one_nan_of_every_type_is_found(tmp_path: Path, name: str, bits: int) -> None:
    """A single NaN is found in its tensor, whatever its type, and no other one is."""
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    dtype = getattr(torch, name)
    integer = {4: torch.int32, 2: torch.int16, 1: torch.uint8}[dtype.itemsize]
    bad = torch.ones(30, 50).to(dtype)
    bad.view(integer)[17, 3] = bits
    save({"good": torch.ones(99).to(dtype), "bad": bad}, tmp_path / "x.safetensors")
    checkpoint = scan_file(tmp_path / "x.safetensors")
    assert [(b.name, b.dtype, b.shape, b.nan, b.inf) for b in checkpoint.bad] == [("bad", name, (30, 50), 1, 0)]
    assert (checkpoint.state, checkpoint.nan) == ("nonfinite", 1)
