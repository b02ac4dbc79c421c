"""Files that somebody plants in a training folder: no trick makes them clean, slow, large or a traceback."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from nanwatch.checkpoints.folder import find_checkpoints, scan_folder
from nanwatch.checkpoints.scan import scan_file
from nanwatch.checkpoints.shards import scan_found, sets_in
from nanwatch.checkpoints.trust import judge
from tests.checkpoints.making import FINITE, POISONED, archive, name, scanned, small, state_dict, tensor, text, tried

REBUILD = name("torch._tensor", "_rebuild_from_type_v2")
MEMBER = b"(" + name("mypkg", "Mode") + text("FAST") + b"tR"
GETATTR = name("builtins", "getattr") + b"q\x05"


def call(module: str, what: str, *args: bytes) -> bytes:
    return name(module, what) + b"(" + b"".join(args) + b"tR"


def hostile(*opcodes: bytes) -> bool:
    return bool(tried(b"\x80\x02" + b"".join(opcodes) + b".").hostile)


# -- names and calls


def test_a_harmless_getattr_excuses_no_other() -> None:
    """A name that may be called harmlessly is an accusation wherever it is used in another way, before or after."""
    assert not hostile(GETATTR, MEMBER)
    assert not hostile(GETATTR, MEMBER, b"0h\x05", MEMBER)
    assert hostile(GETATTR, MEMBER, b"0", name("functools", "partial"), b"(h\x05tR")
    assert hostile(GETATTR, b"20", MEMBER)
    assert hostile(name("builtins", "getattr"))


def test_a_rebuilder_is_judged_by_what_it_calls() -> None:
    """PyTorch's rebuilder calls its first argument: that is judged as a call."""
    kind, state = name("torch", "Tensor"), b"}tR"
    assert not hostile(REBUILD, b"(", name("torch._utils", "_rebuild_tensor_v2"), kind, b")", state)
    assert hostile(REBUILD, b"(", name("torch", "from_file"), kind, b"(", text("/etc/passwd"), b"t", state)
    assert hostile(REBUILD, b"(", call("functools", "partial", name("torch", "relu")), kind, b")", state)
    assert hostile(REBUILD, b"(", name("builtins", "type"), kind, b"(NNNt", state)
    assert hostile(REBUILD, b")R")


def test_constructors_of_numpy_call_only_their_own() -> None:
    """NumPy's constructors call what they are given: only its own may be given."""
    own = name("numpy.random._pickle", "__bit_generator_ctor")
    assert not hostile(call("numpy.random._pickle", "__generator_ctor", text("PCG64"), own))
    assert hostile(call("numpy.random._pickle", "__generator_ctor", text("x"), name("mypkg", "run")))


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("test.support.script_helper", "assert_python_ok"), ("_pyrepl.pager", "pipe_pager"), ("mailcap", "findmatch"),
        ("ultralytics", "YOLO"), ("models.common", "DetectMultiBackend"), ("hydra.utils", "instantiate"),
        ("jinja2.utils", "import_string"), ("torchvision.datasets.utils", "download_url"), ("uu", "decode"),
    ],
)  # fmt: skip
def test_functions_of_other_versions_and_libraries_are_hostile(module: str, what: str) -> None:
    """What runs or loads a file is known also where this Python does not have it."""
    assert hostile(call(module, what, text("id")))


def test_a_class_in_a_module_called_test_is_somebodys() -> None:
    """People call modules of their own as some of Python's: classes there are no alarm."""
    assert judge("test.model", "Net") == judge("parser", "Args") == "foreign"


def test_a_foreign_function_that_is_called_is_remarked(tmp_path: Path) -> None:
    """Nobody here knows what a stranger's function does: that it is called is said."""
    found = scanned(tmp_path, state_dict({"w": tensor(), "x": call("mypkg", "build", text("a"))}), {"0": FINITE})
    assert "loading it would call mypkg.build: what that does is not known" in found.remarks


def test_an_argument_does_not_excuse_a_raw_pickle(tmp_path: Path) -> None:
    """A raw pickle that runs code is hostile, whatever stands in the arguments."""
    path = tmp_path / "raw.pkl"
    path.write_bytes(b"\x80\x02" + call("os", "system", text("torch.storage._load_from_bytes")) + b".")
    assert scan_file(path).state == "hostile"


def test_a_second_state_hides_no_tensor(tmp_path: Path) -> None:
    """Of an object that is given its state twice, both are looked through."""
    twice = call("mypkg", "Net") + b"}" + text("w") + tensor() + b"sb}" + text("x") + b"K\1sb"
    assert scanned(tmp_path, state_dict({"model": twice}), {"0": POISONED}).nan == 1


def test_a_storage_of_a_type_that_is_none_is_refused(tmp_path: Path) -> None:
    """A known type of numbers in a storage of no known type is one clear line."""
    new = tensor().replace(name("torch._utils", "_rebuild_tensor_v2"), name("torch._utils", "_rebuild_tensor_v3"))
    other = new.replace(b"FloatStorage", b"float99")[:-2] + name("torch", "uint16") + b"tR"
    assert scanned(tmp_path, state_dict({"w": other}), {"0": FINITE}).state == "unreadable"


# -- files that are several things


def test_an_archive_that_begins_with_an_array_is_no_way_past(tmp_path: Path) -> None:
    """A PyTorch archive that begins as one of NumPy's is never clean."""
    path, raw = tmp_path / "a.pt", io.BytesIO()
    np.save(raw, np.ones(3))
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a/x.npy", raw.getvalue())
        made.writestr("a/data.pkl", state_dict({"x": call("os", "system", text("id"))}))
    assert scan_file(path).state == "unreadable"


def test_a_tar_archive_is_not_taken_for_its_first_bytes(tmp_path: Path) -> None:
    """`torch.load` runs the pickles in a tar archive; its first bytes may look like anything."""
    path = tmp_path / "a.pt"
    with tarfile.open(path, "w") as made:
        made.addfile(tarfile.TarInfo("\x80\x02}.storages"))
    found = scan_file(path)
    assert (found.state, found.problem) == ("unreadable", "is a tar archive: not looked at")


def test_safetensors_that_are_a_pickle_too_are_hostile(tmp_path: Path) -> None:
    """The length of the directory can be the beginning of a pickle that runs code."""
    evil, skipped = b"0cos\nsystem\n(S'id'\ntR.", 26
    length = ord("X") + (skipped << 8)  # X, and the length of a text that ends within the directory
    begin = b'{"__metadata__":{"a":"'.ljust(5 + skipped - 8, b"a")
    end = b'"},"w":{"dtype":"U8","shape":[300],"data_offsets":[0,300]}}'
    hops, rest = divmod(length - len(begin), 128)  # U and ~: the next 126 bytes are a text
    header = begin + (b"U~" + b"b" * 126) * hops + b"U~" + b"b" * (rest - 2 - len(end)) + end
    path = tmp_path / "a.pt"
    path.write_bytes(struct.pack("<Q", length) + header + (b"N" * 200 + evil).ljust(300, b"."))
    assert scan_file(path).problem == "would run os.system('id')"


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("id",)


def test_pickled_arrays_are_judged_by_what_they_would_run(tmp_path: Path) -> None:
    """Arrays of objects are pickles, alone or in an archive: what they would run is said."""
    array = np.array([Evil()], dtype=object)
    np.savez(tmp_path / "a.npz", w=np.ones(3), x=array)
    np.save(tmp_path / "a.npy", array)
    for suffix in ("npz", "npy"):
        found = scan_file(tmp_path / f"a.{suffix}")
        assert found.problem.endswith("system('id')")
        assert found.state == "hostile"


def test_names_of_records_are_told_apart_as_pytorch_does(tmp_path: Path) -> None:
    """PyTorch does not tell upper from lower case in names: two that differ in it only are refused."""
    path = archive(tmp_path / "a.pt", state_dict({"w": tensor()}), {"0": FINITE})
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("archive/DATA/0", POISONED)
    assert scan_file(path).state == "corrupted"


# -- memory and time


FLOODS = {
    "text with one wide character": b"(" + (b"X" + struct.pack("<I", 64_004) + b"a" * 64_000 + "😀".encode()) * 900,
    "lines of ids": b"(" + (b"P" + b"a" * 64_000 + b"\n") * 2000,
    "lines of names": b"(" + (b"c" + b"a" * 64_000 + b"\n" + b"b" * 64_000 + b"\n") * 800,
    "old strings": b"(" + (b"V" + b"a" * 60_000 + b"\\U0001f600\n") * 800,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_a_pickle_spends_is_counted_in_full(tmp_path: Path, flood: bytes) -> None:
    """Long lines and wide characters cost what they take: the memory stays bounded."""
    path = archive(tmp_path / "a.pt", b"\x80\x02" + flood + b"t.")
    scan_file(small(tmp_path / "warm.pt"))
    tracemalloc.start()
    try:
        assert scan_file(path).state == "unreadable"
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pickle_", [b"\x80\x02Np-1\n.", b"\x80\x02p-1\n.", b"\x80\x02g-1\n."])
def test_negative_places_are_refused(tmp_path: Path, pickle_: bytes) -> None:
    """A place below zero to keep something under is a contradiction."""
    assert scanned(tmp_path, pickle_).state == "corrupted"


def test_rebuilders_within_rebuilders_are_no_recursion(tmp_path: Path) -> None:
    """Arguments that nest without end are neither walked nor judged by recursion."""
    inner = b")"
    for _ in range(3000):
        inner = b"(" + REBUILD + name("torch", "Tensor") + inner + b"Nt"
    assert scanned(tmp_path, b"\x80\x02" + REBUILD + inner + b"R.").state == "hostile"


def test_dimensions_without_end_are_refused(tmp_path: Path) -> None:
    """Thousands of tensors of 64 dimensions each would take more memory than their file."""
    many, one = b"(" + b"K\2" * 64 + b"tq\1", b"(" + b"K\1" * 64 + b"tq\2"
    stored = b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"M\xe8\3tQq\3"
    shared = many + b"0" + one + b"0" + stored + b"0" + name("torch._utils", "_rebuild_tensor_v2") + b"q\x040"
    entries = b"".join(text(str(number)) + b"h\4(h\3K\0h\1h\2\x89}tR" for number in range(6000))
    found = scanned(tmp_path, b"\x80\x02" + shared + b"}(" + entries + b"u.", {"0": bytes(4000)})
    assert (found.state, found.problem) == (
        "unreadable",
        "its tensors have more dimensions than those of any checkpoint",
    )


def zipped(path: Path, members: list[tuple[str, bytes, int, int]]) -> Path:
    """An archive of packed members (name, packed, size, offset or -1), as its directory claims them."""
    body, directory = io.BytesIO(), b""
    for member, packed, size, offset in members:
        raw, method = member.encode(), 0 if len(packed) == size else 8
        crc = zlib.crc32(packed) if not method else 0
        fields = (crc, len(packed), size, len(raw))
        at = body.tell() if offset < 0 else offset
        if offset < 0:
            body.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, method, 0, 0, *fields, 0) + raw + packed)
        directory += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, method, 0, 0, *fields, *[0] * 5, at) + raw
    count, at = len(members), body.tell()
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(directory), at, 0)
    path.write_bytes(body.getvalue() + directory + end)
    return path


def deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Many members that are the same bytes in the file would be read again and again."""
    pickled, raw = state_dict({str(n): tensor(str(n), 25_000, (25_000,)) for n in range(50)}), bytes(100_000)
    members = [("a/data.pkl", pickled, len(pickled), -1), ("a/data/0", raw, len(raw), -1)]
    members += [(f"a/data/{n}", raw, len(raw), 40 + len(pickled)) for n in range(1, 50)]
    found = scan_file(zipped(tmp_path / "a.pt", members))
    assert (found.state, found.problem) == ("corrupted", "the members of its zip archive overlap")


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    """A few megabytes that unpack to gigabytes are not unpacked."""
    packed = deflated(bytes(1 << 24))
    pickled = state_dict({str(n): tensor(str(n), 1 << 22, (1 << 22,)) for n in range(80)})
    members = [("a/data.pkl", pickled, len(pickled), -1)] + [(f"a/data/{n}", packed, 1 << 24, -1) for n in range(80)]
    found = scan_file(zipped(tmp_path / "a.pt", members))
    assert (found.state, found.seconds < 5) == ("unreadable", True)


def test_bytes_behind_the_end_of_a_packed_member_are_not_collected(tmp_path: Path) -> None:
    """What is packed ends, and much follows: that is a contradiction, found at once."""
    pickled = state_dict({"w": tensor("0", 5_000_000, (5_000_000,))})
    members = [
        ("a/data.pkl", pickled, len(pickled), -1),
        ("a/data/0", deflated(bytes(4)) + bytes(30 << 20), 20_000_000, -1),
    ]
    assert scan_file(zipped(tmp_path / "a.pt", members)).state == "corrupted"


def test_shards_that_claim_a_hundred_thousand_are_counted_at_once() -> None:
    """A name may claim any number of shards: what is missing is counted, not listed."""
    begun = time.perf_counter()
    sets = sets_in(Path(), [f"m{number}-00002-of-99999.bin" for number in range(2000)])
    assert sets[0].missing == (
        "shard 1 of 99999 is missing", "shard 3 of 99999 is missing", "shard 4 of 99999 is missing",
        "99,995 more are missing",
    )  # fmt: skip
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("state", [{"best_metric": 10**400, "global_step": 10**400, "epoch": 1e300}, {"epoch": -1}])
def test_numbers_beside_the_weights_may_be_anything(tmp_path: Path, state: dict[str, float]) -> None:
    """A step, epoch or metric that cannot be is not known."""
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    small(folder / "model.bin")
    (folder / "trainer_state.json").write_text(json.dumps(state))
    (item,) = find_checkpoints(tmp_path)
    found = scan_found(item, scan_file, 3)
    assert (found.state, found.epoch, found.step, found.best) == ("clean", None, None, None)


def test_what_trainers_note_is_found_before_a_long_history(tmp_path: Path) -> None:
    """A history of any length is neither needed nor taken apart; lists without end are not either."""
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    small(folder / "model.bin")
    (item,) = find_checkpoints(tmp_path)
    for history, step in ((',"log_history":[' + "[]," * 500_000 + "[]]}", 7), (',"x":[' + "[]," * 500_000 + "[]]}", 1)):
        (folder / "trainer_state.json").write_text('{"global_step":7' + history)
        assert scan_found(item, scan_file, 3).step == (7 if step == 7 else None)


# -- time


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """When the time is over in the middle of a file, that is said, and nothing is claimed of it."""
    path = tmp_path / "a.npy"
    np.save(path, np.ones(6_000_000))
    found = scan_file(path, seconds=0.0)
    assert (found.state, found.problem) == ("unreadable", "not looked at to its end: there was no time")
    weights = scan_folder(tmp_path, scan_file, limit=9, seconds=0.0, steady=time.monotonic)
    assert [item.state for item in weights.checkpoints] == ["unreadable"]
    assert weights.last_clean is None


def test_a_look_that_is_broken_off_leaves_no_work_behind(tmp_path: Path) -> None:
    """An interruption ends the threads after the pieces that they are at, and not after the whole file."""
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": ((1 << 36) // 4,)})
        file.truncate(file.tell() + (1 << 36))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt(done, total)

    begun = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        scan_file(path, progress=interrupt)
    assert time.perf_counter() - begun < 5


def test_the_pickle_of_an_honest_enumeration_stays_harmless() -> None:
    """What Python itself pickles of types and members is no alarm."""
    assert not tried(state_dict({"x": pickle.dumps(int, 2)[2:-1]})).hostile
    union = call("functools", "reduce", name("_operator", "or_"), b"(" + name("builtins", "int") + b"Nt")
    optional = call("_operator", "getitem", name("typing", "Optional"), name("builtins", "int"))
    assert not tried(state_dict({"a": union, "b": optional})).hostile
    assert tried(state_dict({"c": call("_operator", "getitem", text("a"), text("b"))})).hostile
