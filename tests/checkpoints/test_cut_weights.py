"""Half-written and damaged files: wherever they end, they are never called clean, and nothing is raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.checkpoints.scan import scan_file
from tests.checkpoints.making import FINITE, archive, small, state_dict, tensor
from tests.checkpoints.test_scan import legacy_pickles
from tests.support.repeatable import repeatable

READABLE = {"clean", "nonfinite", "hostile", "truncated", "corrupted", "unreadable"}


def zipped(folder: Path) -> bytes:
    entries = {"a.weight": tensor("0"), "b.weight": tensor("1", 4, (2, 2), (2, 1))}
    return archive(folder / "whole.pt", state_dict(entries), {"0": FINITE, "1": FINITE}).read_bytes()


def legacy() -> bytes:
    return legacy_pickles(4) + (4).to_bytes(8, "little") + FINITE


@pytest.mark.parametrize("name", ["cut.pt", "cut.bin", "cut"])
def test_an_archive_cut_at_any_byte_is_truncated(tmp_path: Path, name: str) -> None:
    """An archive that ends anywhere before its end is truncated: its directory comes last."""
    whole, path = zipped(tmp_path), tmp_path / name
    for size in range(4, len(whole)):
        path.write_bytes(whole[:size])
        found = scan_file(path)
        assert (found.state, bool(found.problem)) == ("truncated", True), size
    path.write_bytes(whole)
    assert scan_file(path).state == "clean"


def test_an_old_file_cut_at_any_byte_is_truncated(tmp_path: Path) -> None:
    """A file of the old format that ends anywhere before its end is truncated, or none."""
    whole, path = legacy(), tmp_path / "cut.pt"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert scan_file(path).state == "truncated", size
    path.write_bytes(whole)
    assert scan_file(path).state == "clean"


def test_a_preallocated_file_is_truncated(tmp_path: Path) -> None:
    """A file whose rest is zeros, as a writer leaves it that had reserved the room, is truncated."""
    whole, path = zipped(tmp_path), tmp_path / "sparse.pt"
    for written in (200, len(whole) - 300):
        path.write_bytes(whole[:written] + bytes(100_000))
        found = scan_file(path)
        assert found.state == "truncated"
        assert "zeros" in found.problem


def test_a_missing_end_of_a_storage_is_told(tmp_path: Path) -> None:
    """Of an old file it is said how much is missing."""
    path = tmp_path / "cut.pt"
    path.write_bytes(legacy()[:-6])
    assert scan_file(path).problem == "half-written or cut: a storage lacks its last 6 bytes"


def test_a_flipped_bit_in_the_directory_is_never_raised(tmp_path: Path) -> None:
    """A flipped bit anywhere is never an exception; in the pickle it is found by its checksum."""
    whole, path = zipped(tmp_path), tmp_path / "flipped.pt"
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        assert scan_file(path).state in READABLE
    begin = whole.index(b"\x80\x02}(")
    for at in range(begin, begin + 100):
        damaged = bytearray(whole)
        damaged[at] ^= 4
        path.write_bytes(damaged)
        assert scan_file(path).state in ("corrupted", "hostile"), at


@settings(repeatable, max_examples=300)
@given(data=st.data())
def test_any_damage_ends_in_a_state(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bytes are changed, taken away or put in, there is a state and no exception."""
    folder = tmp_path_factory.getbasetemp() / "damage"
    folder.mkdir(exist_ok=True)
    raw = bytearray(data.draw(st.sampled_from([zipped(folder), legacy()])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    path = folder / data.draw(st.sampled_from(["x.pt", "x.bin", "x"]))
    path.write_bytes(raw)
    assert scan_file(path).state in READABLE


@repeatable
@given(
    raw=st.binary(max_size=300),
    start=st.sampled_from([b"PK\3\4", b"\x80\2", b"PK\5\6", b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."]),
)
def test_any_bytes_end_in_a_state(tmp_path_factory: pytest.TempPathFactory, raw: bytes, start: bytes) -> None:
    """Bytes that only begin like weights have a state, and are not clean."""
    path = tmp_path_factory.getbasetemp() / "any.pt"
    path.write_bytes(start + raw)
    assert scan_file(path).state not in ("clean", "nonfinite")


def test_a_directory_that_contradicts_its_members_is_corrupted(tmp_path: Path) -> None:
    """Where the directory and the headers before the members tell two stories, the file is corrupted."""
    path = small(tmp_path / "w.pt")
    whole = path.read_bytes()
    first = whole.index(b"archive/data/0")
    path.write_bytes(whole[: first + 13] + b"7" + whole[first + 14 :])
    assert (scan_file(path).state, scan_file(path).problem) == (
        "corrupted", "its zip directory names other members than it holds",
    )  # fmt: skip
