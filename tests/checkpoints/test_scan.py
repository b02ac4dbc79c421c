"""Scanning one file: what is no file of weights, what changes meanwhile, and how little memory it takes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanwatch.checkpoints import numbers, views
from nanwatch.checkpoints.scan import scan_file
from nanwatch.checkpoints.torch_zip import TorchZipReader
from tests.checkpoints.making import FINITE, POISONED, archive, small, state_dict, tensor


def test_a_clean_file_is_clean(tmp_path: Path) -> None:
    """The smallest file of weights is clean; it is described in full."""
    path = small(tmp_path / "w.pt")
    found = scan_file(path)
    assert (found.state, found.problem, found.format, found.files) == ("clean", "", "PyTorch", (str(path),))
    assert (found.size, found.modified_at) == (path.stat().st_size, path.stat().st_mtime)
    assert [(part.name, part.tensors, part.elements) for part in found.parts] == [("model", 1, 4)]
    assert found.seconds > 0


def test_a_bad_file_is_nonfinite(tmp_path: Path) -> None:
    """Non-finite numbers are counted, and the tensor is named."""
    found = scan_file(small(tmp_path / "w.pt", POISONED))
    assert (found.state, found.nan, found.inf, found.bad_tensors) == ("nonfinite", 1, 1, 1)
    assert [(t.name, t.part, t.dtype, t.shape, t.elements) for t in found.bad] == [
        ("weight", "model", "float32", (4,), 4)
    ]


def test_only_the_first_bad_tensors_are_named(tmp_path: Path) -> None:
    """As many bad tensors are named as asked for; all are counted."""
    names = [f"layer{index}" for index in range(30)]
    pickled = state_dict({name: tensor(name) for name in names})
    found = scan_file(archive(tmp_path / "w.pt", pickled, dict.fromkeys(names, POISONED)), first_bad=3)
    assert [tensor.name for tensor in found.bad] == ["layer0", "layer1", "layer2"]
    assert (found.bad_tensors, found.nan) == (30, 30)


@pytest.mark.parametrize(
    ("content", "state", "problem"),
    [
        (b"", "truncated", "is empty"),
        (bytes(10_000), "truncated", "half-written: it begins with zeros"),
        (b"hello, this is text\n" * 100, "unreadable", "is no file of weights of a known format"),
        (bytes(range(255, 191, -1)) * 100, "unreadable", None),
        (b"\x80\x02\xff", "corrupted", "its pickle makes no sense: opcode 0xff"),
    ],
    ids=["empty", "zeros", "text", "noise", "pickle"],
)
def test_other_files_are_told_in_one_line(tmp_path: Path, content: bytes, state: str, problem: str | None) -> None:
    """What is no file of weights is said to be none."""
    path = tmp_path / "x.dat"
    path.write_bytes(b"~" + content if problem is None else content)
    found = scan_file(path)
    assert found.state == state
    assert found.problem == (problem or "is no file of weights of a known format")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe and an impossible name are told, at once."""
    os.mkfifo(tmp_path / "pipe.pt")
    assert scan_file(tmp_path / "none.pt").problem == "is missing"
    assert scan_file(tmp_path).problem == "is a folder"
    assert scan_file(tmp_path / "pipe.pt").problem == "is not a file"
    assert scan_file(Path("a\0b")).state == "unreadable"
    assert scan_file(tmp_path / ("x" * 5000)).state == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    """A file that may not be read is told."""
    path = small(tmp_path / "w.pt")
    path.chmod(0)
    assert scan_file(path).problem == "may not be read: no permission"


def test_a_zip_of_something_else_is_told(tmp_path: Path) -> None:
    """An archive without a pickle of PyTorch is none of its files."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pt", "w") as made:
        made.writestr("readme.txt", "hello")
    assert scan_file(tmp_path / "x.pt").problem == "is a zip archive without data.pkl: no file of PyTorch"


class Meddling(TorchZipReader):
    """Changes the file after it has read its directory, as often as told."""

    def __init__(self, path: Path, change: str, times: int) -> None:
        self._path, self._change, self._left = path, change, times

    def read(self, file, size):  # type: ignore[no-untyped-def]
        contents = super().read(file, size)
        if self._left:
            self._left -= 1
            getattr(self, self._change)()
        return contents

    def replaced(self) -> None:
        small(self._path.with_suffix(".tmp"), POISONED).replace(self._path)

    def cut(self) -> None:
        os.truncate(self._path, 40)

    def appended(self) -> None:
        with self._path.open("ab") as file:
            file.write(b"x")

    def removed(self) -> None:
        self._path.unlink()


@pytest.mark.parametrize("change", ["replaced", "cut", "appended", "removed"])
def test_a_file_that_changes_is_read_again_and_then_told(tmp_path: Path, change: str) -> None:
    """A file that is rewritten meanwhile is never called clean."""
    path = small(tmp_path / "w.pt")
    found = scan_file(path, readers=(Meddling(path, change, 2),))
    expected = {"replaced": "changing", "cut": "truncated", "appended": "changing", "removed": "unreadable"}
    assert found.state in (expected[change], "unreadable", "truncated")
    assert found.state != "clean"


def test_a_file_that_was_replaced_once_is_read_anew(tmp_path: Path) -> None:
    """What was replaced by another file while it was read is read once more: the new file's state counts."""
    path = small(tmp_path / "w.pt")
    assert scan_file(path, readers=(Meddling(path, "replaced", 1),)).state == "nonfinite"


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks is told how far it is, up to the end."""
    monkeypatch.setattr(numbers, "_SHARE", 8)
    told: list[tuple[int, int]] = []
    scan_file(small(tmp_path / "w.pt"), progress=lambda done, total: told.append((done, total)))
    assert told == [(8, 16), (16, 16)]


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
MEMORY = """
import sys
from pathlib import Path
from nanwatch.checkpoints.scan import scan_file
found = scan_file(Path(sys.argv[1]))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(found.state, int(peak.split()[1]) / 1024)
"""


def measured(path: Path) -> tuple[str, float]:
    """The state of a file, and the peak memory in MiB of a process that found it."""
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    state, peak = done.stdout.split()
    return state, float(peak)


@LINUX
def test_a_big_file_takes_little_memory(tmp_path: Path) -> None:
    """A storage of 600 MB is looked through in less than 100 MB."""
    count = 150_000_000
    big = tmp_path / "big.pth"
    with big.open("wb") as file:
        file.write(legacy_pickles(count) + count.to_bytes(8, "little"))
        file.truncate(file.tell() + 4 * count)
    state, peak = measured(big)
    assert state == "clean"
    assert peak < 100


def legacy_pickles(count: int) -> bytes:
    """The pickles of a file before PyTorch 1.6, with one storage of so many float32."""
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    system = b"\x80\x02}(X\x0d\0\0\0little_endian\x88u."
    root = state_dict({"w": tensor("0", count, (count,))})
    return magic + b"\x80\x02M\xe9\x03." + system + root + b"\x80\x02](X\x01\0\0\x000e."


@LINUX
def test_a_huge_directory_takes_little_memory(tmp_path: Path) -> None:
    """A directory as large as is read at all takes less than 100 MB."""
    entries = {f"layer.{index}.weight": tensor() for index in range(60_000)}
    path = archive(tmp_path / "many.pt", state_dict(entries), {"0": FINITE})
    state, peak = measured(path)
    assert state in ("clean", "unreadable")
    assert peak < 100


def test_a_file_without_tensors_is_told(tmp_path: Path) -> None:
    """A file that holds settings only is no clean checkpoint."""
    found = scan_file(archive(tmp_path / "w.pt", state_dict({"epoch": b"K\3"})))
    assert (found.state, found.problem) == ("unreadable", "holds no tensors")


def test_what_was_not_counted_is_not_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tensors share bad numbers in more ways than are followed, the file is not clean, and that is said."""
    monkeypatch.setattr(views, "_MOST_WORK", 10)
    found = scan_file(small(tmp_path / "w.pt", POISONED))
    assert found.state == "nonfinite"
    assert found.remarks == ("so many tensors share their numbers that not all were counted",)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "is a web page"),
    ],
)
def test_what_often_lies_there_instead_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    """A pointer that was never fetched and a page instead of a download are told as what they are."""
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    found = scan_file(path)
    assert found.state == "unreadable"
    assert found.problem.startswith(problem)


def test_an_attention_mask_may_be_infinite(tmp_path: Path) -> None:
    """It hides what is not to be seen; a NaN in it, or an infinity elsewhere, is none the less bad."""
    torch = pytest.importorskip("torch")
    mask = torch.full((4, 4), -math.inf).triu(1)
    for name, state, expected in (
        ("a.pt", {"attn.attn_mask": mask, "w": torch.ones(3)}, "clean"),
        ("b.pt", {"attn.attn_mask": mask * 0}, "nonfinite"),
        ("c.pt", {"attn.weight": mask}, "nonfinite"),
    ):
        torch.save(state, tmp_path / name)
        assert scan_file(tmp_path / name).state == expected
