"""What of a folder is a checkpoint, which one is the newest, and which is the last clean one."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.checkpoints.folder import find_checkpoints, found_file, in_order, last_clean, scan_folder
from nanwatch.checkpoints.found import Found, newest_first, number_of
from nanwatch.checkpoints.scan import scan_file
from nanwatch.checkpoints.shards import Scan, scan_found
from nanwatch.model.checkpoint import BadTensor, Checkpoint, CheckpointState, Part

PICKLED = b"\x80\2}q\0."


def put(folder: Path, *names: str, at: float = 1000.0) -> None:
    """Write files that differ in time by ten minutes, the first the oldest."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICKLED)
        os.utime(path, (at + 600 * number,) * 2)


def shown(folder: Path) -> list[str]:
    return [str(item.path.relative_to(folder)) for item in find_checkpoints(folder)]


def result(path: str = "x.pt", state: CheckpointState = "clean", optimizer: bool = True, **more: object) -> Checkpoint:
    parts = (Part("model", 2, 10), *([Part("optimizer", 4, 20)] if optimizer else []))
    return replace(Checkpoint(path, state, "PyTorch", parts=parts, size=9), **more)  # type: ignore[arg-type]


def scanner(*bad: str, weights: tuple[str, ...] = ()) -> Scan:
    """Return a scan that finds NaN in the files called *bad*, and no optimizer in *weights*."""

    def scan(path: Path, *, seconds: float = math.inf) -> Checkpoint:  # noqa: ARG001 - it takes no time
        found = result(str(path), "nonfinite" if path.name in bad else "clean", path.name not in weights)
        if path.name in bad:
            tensor = BadTensor("a.weight", "model", "float32", (10,), 10, 3, 0)
            parts = (replace(found.parts[0], nan=3), *found.parts[1:])
            return replace(found, parts=parts, bad=(tensor,), bad_tensors=1)
        return found

    return scan


# -- what is one


def test_weights_are_known_by_their_endings(tmp_path: Path) -> None:
    """Every format's ending counts; temporary, hidden and other files do not."""
    good = ["a.pt", "b.pth", "c.ckpt", "d.safetensors", "e.npz", "f.npy", "g.h5", "h.hdf5", "i.keras", "j.bin"]
    bad = ["k.pt.tmp", "l.pt.part", "m.pt~", ".n.pt", "o.log", "rng_state.pth", "scheduler.pt", "training_args.bin"]
    put(tmp_path, *good, *bad, "tmp-checkpoint-5/model.safetensors", ".cache/p.pt")
    assert sorted(shown(tmp_path)) == good


def test_a_data_set_called_bin_is_none(tmp_path: Path) -> None:
    """Of files called .bin, only those that begin as weights do are taken."""
    put(tmp_path, "weights.bin")
    (tmp_path / "train.bin").write_bytes(b"\1\2\3\4" * 100)
    assert shown(tmp_path) == ["weights.bin"]


def test_a_folder_of_the_hugging_face_trainer_is_one(tmp_path: Path) -> None:
    """Model and optimizer of `checkpoint-500` are one checkpoint, scheduler and random states left out."""
    for step in (500, 1000):
        names = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin")
        put(tmp_path, *(f"out/checkpoint-{step}/{name}" for name in names))
    put(tmp_path, "out/model.safetensors", at=9000)
    assert shown(tmp_path) == ["out/model.safetensors", "out/checkpoint-1000", "out/checkpoint-500"]
    files = find_checkpoints(tmp_path)[1].files
    assert [file.name for file in files] == ["model.safetensors", "optimizer.pt"]
    assert [str(item.path) for item in find_checkpoints(tmp_path / "out/checkpoint-500")] == [
        str(tmp_path / "out/checkpoint-500")
    ]


def test_the_same_weights_in_two_formats_count_once(tmp_path: Path) -> None:
    """Beside safetensors, a pickled copy of the model is left out."""
    put(tmp_path, "checkpoint-1/model.safetensors", "checkpoint-1/pytorch_model.bin", "checkpoint-1/optimizer.bin")
    (found,) = find_checkpoints(tmp_path)
    assert [file.name for file in found.files] == ["model.safetensors", "optimizer.bin"]


def test_a_link_is_another_name_of_the_same(tmp_path: Path) -> None:
    """A link to a checkpoint is left out beside it; one that leads nowhere, or round in a circle, does no harm."""
    put(tmp_path, "epoch=3.ckpt")
    (tmp_path / "last.ckpt").symlink_to("epoch=3.ckpt")
    (tmp_path / "lost.ckpt").symlink_to("nothing")
    (tmp_path / "round.ckpt").symlink_to("round.ckpt")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert shown(tmp_path) == ["epoch=3.ckpt"]


def test_pipes_are_left_alone(tmp_path: Path) -> None:
    """A pipe that is called as a checkpoint is never opened; named by itself, it is unreadable."""
    put(tmp_path, "a.pt")
    os.mkfifo(tmp_path / "b.pt")
    os.mkfifo(tmp_path / "c.bin")
    assert shown(tmp_path) == ["a.pt"]
    assert scan_found(found_file(tmp_path / "b.pt"), scanner(), 3).problem == "is no regular file"


def test_ten_thousand_files_are_listed(tmp_path: Path) -> None:
    """A folder of 10,000 files costs no more than looking at their names."""
    for number in range(10_000):
        (tmp_path / f"sample_{number}.jpg").touch()
    put(tmp_path, "last.pt")
    assert shown(tmp_path) == ["last.pt"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A missing folder is told apart from one without checkpoints."""
    with pytest.raises(FileNotFoundError):
        find_checkpoints(tmp_path / "nothing")
    options = {"limit": 5, "seconds": 9.0, "steady": lambda: 0.0}
    assert scan_folder(tmp_path / "nothing", scanner(), **options).problem == "folder is missing"  # type: ignore[arg-type]
    assert scan_folder(tmp_path, scanner(), **options).problem == "no checkpoints in this folder"  # type: ignore[arg-type]


# -- sets


def test_an_index_names_its_shards(tmp_path: Path) -> None:
    """A set with an index is one checkpoint; a shard that is missing is named, and the set truncated."""
    shards = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    put(tmp_path, shards[0], shards[2])
    weight_map = {f"layer.{number}": shard for number, shard in enumerate(shards)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (found,) = find_checkpoints(tmp_path)
    assert found.path.name == "model.safetensors.index.json"
    checkpoint = scan_found(found, scanner(), 3)
    assert (checkpoint.state, checkpoint.problem) == ("truncated", "shard 2 of 3 is missing")
    assert checkpoint.parts == (Part("model", 4, 20), Part("optimizer", 8, 40))
    assert (checkpoint.size, len(checkpoint.files)) == (18, 2)
    put(tmp_path, shards[1])
    assert scan_found(found_file(tmp_path / "model.safetensors.index.json"), scanner(), 3).state == "clean"


def test_numbered_shards_need_no_index(tmp_path: Path) -> None:
    """Files called `-00002-of-00009` are one set, of which the first few missing ones are named."""
    put(tmp_path, "pytorch_model-00002-of-00009.bin", "pytorch_model-00003-of-00009.bin")
    (found,) = find_checkpoints(tmp_path)
    assert found.missing == ("shard 1 of 9 is missing", "shard 4 of 9 is missing", "shard 5 of 9 is missing",
                             "4 more are missing")  # fmt: skip


@pytest.mark.parametrize(
    "index", ["", "[]", "{}", '{"weight_map": {"a": "../../etc/passwd"}}', '{"weight_map": {"a": 3}}', "[" * 99_999]
)
def test_a_hostile_index_leads_nowhere(tmp_path: Path, index: str) -> None:
    """An index that is none, or names files elsewhere, is passed over."""
    put(tmp_path, "model.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert shown(tmp_path) == ["model.safetensors"]


def test_of_a_set_the_worst_counts(tmp_path: Path) -> None:
    """NaN in one file makes the set non-finite; the optimizer's file counts as the optimizer whatever is in it."""
    put(tmp_path, "checkpoint-7/model.safetensors", "checkpoint-7/optimizer.pt")
    state = {"global_step": 7, "epoch": 2.5, "best_metric": 0.75}
    (tmp_path / "checkpoint-7/trainer_state.json").write_text(json.dumps(state))
    (found,) = find_checkpoints(tmp_path)
    checkpoint = scan_found(found, scanner("optimizer.pt"), 3)
    assert (checkpoint.state, checkpoint.path) == ("nonfinite", str(tmp_path / "checkpoint-7"))
    assert [(part.name, part.nan) for part in checkpoint.parts] == [("model", 0), ("optimizer", 3)]
    assert [tensor.part for tensor in checkpoint.bad] == ["optimizer"]
    assert (checkpoint.step, checkpoint.epoch, checkpoint.best) == (7, 2, ("best_metric", 0.75))


def test_a_file_that_vanishes_is_unreadable(tmp_path: Path) -> None:
    """A checkpoint that is deleted between the listing and the scan is told, and nothing is raised."""
    put(tmp_path, "a.pt")
    (found,) = find_checkpoints(tmp_path)
    (tmp_path / "a.pt").unlink()
    assert scan_found(found, scanner(), 3).state == "unreadable"


# -- order


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("epoch3.pt", (3,)), ("e02.pt", (2,)), ("epoch=03-step=500.ckpt", (3, 500)), ("checkpoint-500", (500,)),
        ("epoch=4-val_loss=0.25.ckpt", (4,)), ("model_0012.pth", (12,)), ("last.pt", None), ("vit16-b32.pt", None),
        ("global_step100", (100,)), ("resnet50_ep7.pt", (7,)),
    ],
)  # fmt: skip
def test_a_name_tells_epoch_and_step(name: str, number: tuple[int, ...] | None) -> None:
    """Epoch and step are read from names as trainers write them."""
    assert number_of(name) == number


def test_numbers_outrank_times_that_a_copy_has_lost(tmp_path: Path) -> None:
    """Files of one kind stand in the order of their numbers, whatever their times."""
    put(tmp_path, "epoch10.pt", "epoch9.pt", "epoch2.pt")
    assert shown(tmp_path) == ["epoch10.pt", "epoch9.pt", "epoch2.pt"]


def test_last_comes_before_what_was_saved_with_it(tmp_path: Path) -> None:
    """Of files of one moment `last` is first and `best` the last; an old `best` is older."""
    for name, at in (("last.pt", 1000), ("best.pt", 1001), ("epoch3.pt", 1002), ("epoch2.pt", 400)):
        put(tmp_path, name, at=at)
    assert shown(tmp_path) == ["last.pt", "epoch3.pt", "best.pt", "epoch2.pt"]


@given(st.lists(st.tuples(st.sampled_from("abce"), st.integers(0, 99), st.integers(0, 10**9)), unique=True))
def test_the_order_is_one_and_the_same(items: list[tuple[str, int, int]]) -> None:
    """However files are listed, their order is the same, and within a kind it is that of the numbers."""
    found = [Found(Path(f"{kind}poch{number}-{at}.pt"), (), float(at)) for kind, number, at in items]
    ordered = newest_first(found)
    assert ordered == newest_first(reversed(found))
    assert sorted(map(str, ordered)) == sorted(map(str, found))


def test_what_files_say_outranks_their_names() -> None:
    """Where contents tell the epoch, they stand in its order; those that do not tell keep their places."""
    found = [result("a", epoch=2), result("b"), result("c", epoch=5)]
    assert [item.path for item in in_order(found)] == ["c", "b", "a"]
    by_step = [result("a", step=200), result("b", step=500)]
    assert [item.path for item in in_order(by_step)] == ["b", "a"]


def test_epochs_of_other_folders_are_not_compared() -> None:
    """A later epoch in another folder, which may be another run's, changes nothing."""
    found = [result("new/a", epoch=2), result("old/b", epoch=90), result("new/c", epoch=3)]
    assert [item.path for item in in_order(found)] == ["new/c", "old/b", "new/a"]
    bare = result("new/a", optimizer=False, epoch=2)
    assert last_clean([bare, result("old/b", epoch=2)]) == bare


# -- the last clean one


def test_the_newest_clean_one_is_chosen() -> None:
    """What is broken or not finite is passed over."""
    found = [result("a", "nonfinite"), result("b", "truncated"), result("c"), result("d")]
    assert last_clean(found) == found[2]
    assert last_clean(found[:2]) is None


def test_of_one_epoch_the_full_one_is_chosen() -> None:
    """A file of weights alone comes after one with the optimizer's state of the same epoch, not of an older one."""
    bare, full, old = result("bare", optimizer=False, epoch=3), result("full", epoch=3), result("old", epoch=2)
    assert last_clean([bare, full]) == full
    chosen = last_clean([bare, old])
    assert chosen is not None
    assert chosen.path == "bare"
    assert chosen.remarks == ("weights only: the optimizer would start anew; old has its state too",)
    assert last_clean([bare]) == bare
    poisoned = replace(full, state="nonfinite")
    assert last_clean([poisoned, bare]) == replace(bare, remarks=("weights only: the optimizer would start anew",))


def test_a_search_ends_at_the_first_clean_one(tmp_path: Path) -> None:
    """Older ones are not looked at once a clean one is found, unless every one is asked for."""
    put(tmp_path, "epoch1.pt", "epoch2.pt", "epoch3.pt", "epoch4.pt")
    weights = scan_folder(tmp_path, scanner("epoch4.pt"), limit=9, seconds=60, steady=lambda: 0.0, now=5.0)
    assert [Path(item.path).name for item in weights.checkpoints] == ["epoch4.pt", "epoch3.pt"]
    assert (weights.skipped, weights.scanned_at) == (2, 5.0)
    assert weights.last_clean == weights.checkpoints[1]
    every = scan_folder(tmp_path, scanner(), limit=9, seconds=60, steady=lambda: 0.0, every=True)
    assert len(every.checkpoints) == 4


def test_after_bare_weights_one_more_is_looked_at(tmp_path: Path) -> None:
    """Behind a clean file of weights alone, the next may be the full one of the same epoch."""
    put(tmp_path, "epoch1.pt", "epoch2.pt", "epoch3.pt")
    scan = scanner(weights=("epoch3.pt", "epoch2.pt"))
    weights = scan_folder(tmp_path, scan, limit=9, seconds=60, steady=lambda: 0.0)
    assert len(weights.checkpoints) == 2


def test_a_search_is_bounded_in_number_and_time(tmp_path: Path) -> None:
    """No more than the limit are looked at, and none is begun once the time is over."""
    names = [f"epoch{number}.pt" for number in range(9)]
    put(tmp_path, *names)
    bounded = scan_folder(tmp_path, scanner(*names), limit=3, seconds=math.inf, steady=lambda: 0.0)
    assert (len(bounded.checkpoints), bounded.skipped) == (3, 6)
    ticks = iter(range(100))
    late = scan_folder(tmp_path, scanner(*names), limit=9, seconds=8, steady=lambda: next(ticks))
    assert (len(late.checkpoints), late.last_clean) == (4, None)


def test_the_epoch_inside_decides_where_times_are_lost(tmp_path: Path) -> None:
    """A copy has lost its times: the file that says it is the latest is looked at first, and is the last clean one."""
    torch = pytest.importorskip("torch")
    for name, epoch, at in (("last.pt", 2, 1000.0), ("best.pt", 0, 9000.0)):
        torch.save({"epoch": epoch, "model": {"w": torch.ones(1000, 1000)}}, tmp_path / name)
        os.utime(tmp_path / name, (at, at))
    found = scan_folder(tmp_path, scan_file, limit=9, seconds=60.0, steady=time.monotonic)
    assert found.last_clean is not None
    assert Path(found.last_clean.path).name == "last.pt"
    whole = scan_folder(tmp_path, scan_file, limit=9, seconds=60.0, steady=time.monotonic, every=True)
    assert whole.last_clean is not None
    assert whole.last_clean.path == found.last_clean.path
