"""The NumPy reader finds what NumPy wrote, packed or not, and never looks at pickled objects."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.checkpoints.base import BadFile, Contents
from nanwatch.checkpoints.numpy_files import NumpyReader
from nanwatch.checkpoints.scan import scan_file


def read(data: bytes) -> Contents:
    return NumpyReader().read(io.BytesIO(data), len(data))


def npy(array: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(save: Callable[..., None] = np.savez, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def header(text: str) -> bytes:
    raw = text.encode()
    return b"\x93NUMPY\1\0" + len(raw).to_bytes(2, "little") + raw


def bytes_of(data: bytes, name: str) -> bytes:
    """Return a storage's bytes, from wherever the reader says that they lie."""
    storage = read(data).storages[name]
    if storage.member is None:
        return data[storage.offset : storage.offset + storage.size]
    with NumpyReader().unpacked(io.BytesIO(data), storage) as pieces:
        return b"".join(pieces)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f8", "<c8", ">c16", "<i8", "|b1", "|u1"])
def test_an_array_lies_where_it_says(dtype: str) -> None:
    """Type, byte order, shape and bytes are those that NumPy saved."""
    array = np.arange(12).reshape(3, 4).astype(dtype)
    data = npy(array)
    contents = read(data)
    storage, tensor = contents.storages["array"], contents.tensors[0]
    assert (storage.dtype, storage.big_endian) == (array.dtype.name, dtype.startswith(">"))
    assert (tensor.shape, tensor.strides, storage.elements) == ((3, 4), (4, 1), 12)
    assert bytes_of(data, "array") == array.tobytes()


def test_columns_first_are_told() -> None:
    """An array in Fortran's order has the strides of its columns."""
    tensor = read(npy(np.asfortranarray(np.ones((3, 4))))).tensors[0]
    assert (tensor.shape, tensor.strides) == ((3, 4), (1, 3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_every_array(save: Callable[..., None]) -> None:
    """Every member is there under its name, packed or not, single whole numbers as facts."""
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(300, 400)).astype("<f4"), np.zeros(5, "<f8")
    data = npz(save, **{"head/weight": weight, "bias": bias, "epoch": np.int64(7), "label": np.array("resnet")})
    contents = read(data)
    assert bytes_of(data, "head/weight") == weight.tobytes()
    assert bytes_of(data, "bias") == bias.tobytes()
    assert contents.facts == {"epoch": 7}
    assert contents.storages["label"].dtype == "uint8"
    assert [tensor.name for tensor in contents.tensors] == ["head/weight", "bias", "epoch", "label"]


def test_pickled_objects_are_left_alone() -> None:
    """An array of objects is a pickle: told, not read."""
    objects = npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadFile, match="pickled Python objects") as error:
        read(objects)
    assert error.value.state == "unreadable"
    contents = read(npz(objects=np.array([{"a": 1}], dtype=object), weight=np.ones(3)))
    assert contents.remarks == ["objects holds pickled Python objects: not looked at"]
    assert list(contents.storages) == ["weight"]


@pytest.mark.parametrize(
    ("data", "state", "words"),
    [
        (b"", "truncated", "empty"),
        (npy(np.ones(3)) + b"xyz", "", ""),
        (npy(np.zeros(2, [("a", "f4")])), "unreadable", "fields"),
        (npy(np.zeros(2, "V2")), "unreadable", "type"),
        (b"nothing of the kind", "corrupted", "no NumPy file"),
        (header("{}"), "corrupted", "not one"),
        (header("__import__('os')"), "corrupted", "not readable"),
        (header("(" * 9000), "corrupted", "not readable"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), "corrupted", "no shape"),
        (header("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}"), "corrupted", "no shape"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40,)}"), "corrupted", "not readable"),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({1 << 60},)}}"), "corrupted", "impossible"),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({1 << 40},)}}"), "truncated", "early"),
        (b"\x93NUMPY\2\0\xff\xff\xff\x7f" + bytes(99), "corrupted", "header of 2,147,483,647"),
        (b"\x93NUMPY\x09\0\x04\0abcd", "corrupted", "begins like no array"),
        (npz(), "unreadable", "without arrays"),
    ],
)
def test_what_is_no_array_is_refused(data: bytes, state: str, words: str) -> None:
    """A hostile or broken file gives one clear phrase; bytes behind an array are a remark."""
    if not state:
        assert read(data).remarks == ["3 bytes after the array were not looked at"]
        return
    with pytest.raises(BadFile, match=words) as error:
        read(data)
    assert error.value.state == state


def test_a_file_cut_anywhere_is_truncated() -> None:
    """Whatever byte an array or an archive was cut at, it is told to be truncated."""
    for data in (npy(np.ones((4, 5))), npz(a=np.ones(3), b=np.ones(2)), npz(np.savez_compressed, a=np.ones(3))):
        for length in range(len(data)):
            with pytest.raises(BadFile) as error:
                read(data[:length])
            assert error.value.state == "truncated", length


def test_a_packed_array_with_a_wrong_checksum_is_corrupted() -> None:
    """A changed byte in a packed member is found when it is unpacked."""
    array = np.random.default_rng(2).normal(size=5000)
    data = bytearray(npz(np.savez_compressed, a=array))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadFile) as error:
        bytes_of(bytes(data), "a")
    assert error.value.state == "corrupted"


def test_checksums_of_plain_members_are_checked_where_it_is_asked(tmp_path: Path) -> None:
    """A changed byte in a member that is not packed shows with `verify` only: reading all of it twice takes time."""
    array = np.zeros(5000)
    data = bytearray(npz(a=array, b=array))
    path = tmp_path / "x.npz"
    path.write_bytes(data)
    assert scan_file(path, verify=True).state == "clean"
    data[20_000] ^= 1
    path.write_bytes(data)
    assert scan_file(path).state == "clean"
    assert scan_file(path, verify=True).problem == "the checksum of a.npy is wrong"


def test_a_member_without_a_name_does_no_harm() -> None:
    """A member whose name is empty is not looked at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.npy"), npy(np.ones(2)))
        archive.writestr(zipfile.ZipInfo(""), b"x")
    assert list(read(buffer.getvalue()).storages) == ["a"]


def test_a_member_that_claims_more_than_it_can_hold_is_corrupted(tmp_path: Path) -> None:
    """An archive whose directory claims a terabyte in a few bytes is refused before it is unpacked."""
    data = bytearray(npz(np.savez_compressed, a=np.ones(3)))
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    with pytest.raises(BadFile, match="size that it cannot have"):
        read(bytes(data))
    path = tmp_path / "bz2.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", npy(np.ones(3)))
    with pytest.raises(BadFile, match="packed in a way"):
        read(path.read_bytes())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    """A file with changed bytes is read, or refused as a bad file, and nothing else happens."""
    raw = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadFile):
        for name in read(bytes(raw)).storages:
            bytes_of(bytes(raw), name)


SAMPLES = [npy(np.ones(3)), npz(a=np.ones(3), b=np.int64(3)), npz(np.savez_compressed, a=np.ones(30))]


def test_it_is_known_by_its_beginning_or_name() -> None:
    """Arrays and archives of arrays are NumPy's whatever they are called; other archives are not."""
    reader = NumpyReader()
    assert reader.matches(npy(np.ones(1))[:64], "x")
    assert reader.matches(npz(a=np.ones(1))[:64], "x")
    assert reader.matches(b"", "x.npz")
    assert not reader.matches(b"PK\3\4" + bytes(60), "x.pt")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_non_finite_numbers_are_counted(tmp_path: Path, save: Callable[..., None]) -> None:
    """A scan counts every NaN and infinity of packed and plain members, of any byte order."""
    weight = np.random.default_rng(3).normal(size=(500, 400))
    weight[3, :7], weight[400, 5] = np.nan, -np.inf
    path = tmp_path / "x.npz"
    path.write_bytes(npz(save, weight=weight.astype(">f8"), half=weight.T.astype("<f2"), count=np.arange(5)))
    checkpoint = scan_file(path)
    assert [(b.name, b.nan, b.inf) for b in checkpoint.bad] == [("weight", 7, 1), ("half", 7, 1)]
    assert checkpoint.format == "NumPy"
