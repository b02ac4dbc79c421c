"""The HDF5 reader finds what h5py and Keras write, and follows nothing that leads out of the file."""

from __future__ import annotations

import io
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.checkpoints.base import BadFile, Contents
from nanwatch.checkpoints.hdf5 import Hdf5Reader
from nanwatch.checkpoints.scan import scan_file

h5py = pytest.importorskip("h5py")

KERNEL = np.arange(12, dtype="<f4").reshape(3, 4)


def read(data: bytes) -> Contents:
    return Hdf5Reader().read(io.BytesIO(data), len(data))


def made(fill: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def keras(file: Any) -> None:
    """Write weights as Keras 3 lays them out."""
    file["layers/dense/vars/0"] = KERNEL
    file["layers/dense/vars/1"] = np.zeros(4, "<f4")
    file["optimizer/vars/0"] = np.int64(250)
    file["optimizer/vars/1"] = np.float32(0.001)


def packed(file: Any) -> None:
    file.create_dataset("gzip", data=np.arange(1000.0).reshape(100, 10), chunks=(30, 7), compression="gzip")
    file.create_dataset("lzf", data=np.ones(50, ">f2"), chunks=(8,), compression="lzf", shuffle=True)
    file["plain"] = np.ones((2, 2), ">f8")


def bytes_of(data: bytes, name: str) -> bytes:
    """Return a storage's bytes, from wherever the reader says that they lie."""
    storage = read(data).storages[name]
    if storage.member is None:
        return data[storage.offset : storage.offset + storage.size]
    with Hdf5Reader().unpacked(io.BytesIO(data), storage) as pieces:
        return b"".join(pieces)


def test_keras_weights_lie_where_it_says() -> None:
    """Names have dots, numbers lie in the file as they are, and the optimizer's count is the step."""
    data = made(keras)
    contents = read(data)
    assert contents.format == "Keras"
    assert contents.facts["step"] == 250
    assert next(tensor.name for tensor in contents.tensors) == "model.layers.dense.vars.0"
    storage = contents.storages["layers/dense/vars/0"]
    assert (storage.member, storage.dtype, storage.elements) == (None, "float32", 12)
    assert bytes_of(data, "layers/dense/vars/0") == KERNEL.tobytes()


def test_parts_of_keras_are_told_apart(tmp_path: Path) -> None:
    """A scan counts layers as the model and the optimizer's variables as the optimizer."""
    path = tmp_path / "model.weights.h5"
    path.write_bytes(made(keras))
    checkpoint = scan_file(path)
    assert [(part.name, part.elements) for part in checkpoint.parts] == [("model", 16), ("optimizer", 1)]
    assert (checkpoint.state, checkpoint.step) == ("clean", 250)


def test_a_keras_archive_is_read_in_place(tmp_path: Path) -> None:
    """Of a .keras archive the weights within are read where they lie, with the date of its saving."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.5.0", "date_saved": "2026-11-20@03:12:00"}')
        archive.writestr("model.weights.h5", made(keras))
    data = path.read_bytes()
    contents = read(data)
    assert (contents.format, contents.facts["date"]) == ("Keras", "2026-11-20 03:12:00")
    assert bytes_of(data, "layers/dense/vars/0") == KERNEL.tobytes()


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_an_archive_that_keras_would_not_write_is_unreadable(tmp_path: Path, member: str) -> None:
    """Without weights in it, or with packed ones, an archive is refused."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, made(keras))
    with pytest.raises(BadFile, match=r"archive without|is packed") as error:
        read(path.read_bytes())
    assert error.value.state == "unreadable"


def test_chunks_are_unpacked() -> None:
    """Packed datasets give every number once, byte order and type as told; others lie in the file."""
    data = made(packed)
    contents = read(data)
    values = np.frombuffer(bytes_of(data, "gzip"), "<f8")
    assert sorted(values) == list(range(1000))
    assert contents.storages["lzf"].big_endian
    assert bytes_of(data, "lzf") == np.ones(50, ">f2").tobytes()
    assert contents.storages["plain"].member is None
    assert bytes_of(data, "plain") == np.ones((2, 2), ">f8").tobytes()


def test_nothing_outside_the_file_is_followed(tmp_path: Path) -> None:
    """External links, virtual datasets and numbers in other files are told, and never read."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["a"] = np.full(4, np.nan)
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(secret, "a", shape=(4,))

    def fill(file: Any) -> None:
        file["good"] = np.ones(2)
        file["link"] = h5py.ExternalLink(str(secret), "/a")
        file["soft"] = h5py.SoftLink("/good")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (4,), "f8", external=[(str(secret), 0, 32)])

    contents = read(made(fill))
    assert list(contents.storages) == ["good"]
    assert sorted(contents.remarks) == [
        "link points into another file: not followed",
        "the numbers of outside lie in another file: not looked at",
        "the numbers of virtual lie in another file: not looked at",
    ]


def test_a_loop_of_groups_ends() -> None:
    """A group that contains itself is walked once, a dataset of two names counted once."""

    def fill(file: Any) -> None:
        file["a/x"] = np.ones(2)
        file["a/again"] = file["a"]
        file["b"] = file["a/x"]

    assert len(read(made(fill)).tensors) == 1


@pytest.mark.parametrize(
    ("fill", "state", "words"),
    [
        (lambda f: f.create_dataset("x", (1 << 40,), "f4", chunks=(1 << 10,)), "unreadable", "chunks, more than"),
        (lambda f: f.create_dataset("x", (1 << 30,), "f4", chunks=(1 << 28,)), "unreadable", "pieces of more than 16"),
        (lambda f: f.create_dataset("x", (100,), "f4", chunks=(10,)), "truncated", "0 of 10 chunks"),
        (lambda f: f.create_dataset("x", (100,), "f4"), "truncated", "never written"),
    ],
)
def test_a_claim_without_numbers_is_not_believed(fill: Callable[[Any], None], state: str, words: str) -> None:
    """Huge shapes with nothing behind them, and datasets that were never written, are refused without reading."""
    with pytest.raises(BadFile, match=words) as error:
        read(made(fill))
    assert error.value.state == state


def test_text_and_fields_are_no_weights() -> None:
    """Text is passed over; of a type that cannot be looked at, a remark is made."""

    def fill(file: Any) -> None:
        file["names"] = ["conv", "dense"]
        file["empty"] = np.zeros((0, 3))
        file["fields"] = np.zeros(2, [("a", "f4")])
        file.attrs["epoch"] = 4
        file.attrs["model_config"] = "{}" * 1000

    contents = read(made(fill))
    assert contents.tensors == []
    assert contents.facts == {"epoch": 4}
    assert len(contents.remarks) == 1


def test_a_file_cut_anywhere_is_never_read_as_whole() -> None:
    """Whatever byte it was cut at, the file is refused."""
    data = made(keras)
    for length in [*range(600), *range(600, len(data), 37)]:
        with pytest.raises(BadFile) as error:
            read(data[:length])
        assert error.value.state == "truncated", length


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_of_hdf5_never_raise_anything_else(data: st.DataObject) -> None:
    """A file with changed bytes is read, or refused as a bad file, and nothing else happens."""
    raw = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    with suppress(BadFile):
        for name in read(bytes(raw)).storages:
            bytes_of(bytes(raw), name)


SAMPLES = [made(keras), made(packed)]


def test_code_in_a_keras_model_is_remarked(tmp_path: Path) -> None:
    """Keras can run code that a Lambda layer brings: that there is one is said."""
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"layers": [{"class_name": "Lambda", "config": {}}]}')
        archive.writestr("model.weights.h5", made(keras))
    (remark,) = scan_file(path).remarks
    assert "Lambda" in remark


@pytest.mark.parametrize(("kept", "problem"), [(1 << 26, "unpacks to more than"), (4096, "")])
def test_a_chunk_that_unpacks_without_end_is_refused(tmp_path: Path, kept: int, problem: str) -> None:
    """HDF5 would unpack a chunk to any length: one that holds more than it should is not given to it."""

    def bomb(file: Any) -> None:
        dataset = file.create_dataset("w", shape=(1 << 18,), chunks=(1 << 18,), dtype="f4", compression="gzip")
        dataset.id.write_direct_chunk((0,), zlib.compress(bytes(kept if problem else 1 << 20)))

    path = tmp_path / "a.h5"
    path.write_bytes(made(bomb))
    found = scan_file(path)
    assert (found.state, problem in found.problem) == ("corrupted" if problem else "clean", True)


def test_without_h5py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where h5py is missing, the file is unreadable, with the command that mends it."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(BadFile, match=r"pip install h5py") as error:
        read(SAMPLES[0])
    assert error.value.state == "unreadable"
