"""Checkpoints that PyTorch wrote, of trained models: counted tensor by tensor as `torch.isnan` counts them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.checkpoints.scan import scan_file
from nanwatch.model.checkpoint import Checkpoint
from tests.support.repeatable import repeatable

torch = pytest.importorskip("torch")

FORMATS = [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 5}]
FLOATS = ["float64", "float32", "float16", "bfloat16", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
          "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]  # fmt: skip


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 2)
    )


def trained(optimizer: Callable[..., Any]) -> dict[str, Any]:
    """A whole checkpoint after three steps."""
    net = model()
    ema = copy.deepcopy(net)
    stepper = optimizer(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(stepper, 2)
    for _ in range(3):
        stepper.zero_grad()
        net(torch.randn(2, 3, 8, 8)).square().mean().backward()
        stepper.step()
        scheduler.step()
    says = {"epoch": 12, "global_step": 3400, "best_fitness": 0.64, "date": "2026-05-01T10:00:00"}
    states = {"model": net, "ema": ema, "optimizer": stepper, "scheduler": scheduler}
    return {**says, **{name: held.state_dict() for name, held in states.items()}}


def saved(path: Path, what: object, **options: Any) -> Checkpoint:
    file = path / "made.pt"
    torch.save(what, file, **options)
    return scan_file(file, first_bad=1000)


def counts(tensors: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """What PyTorch counts, by name: NaN, and Inf."""
    found = {}
    for name, tensor in tensors.items():
        value = tensor if tensor.dtype.itemsize > 1 else tensor.to(torch.float32)
        if tensor.is_floating_point() or tensor.is_complex():
            nan = torch.isnan(value)
            found[name] = int(nan.sum()), int((torch.isinf(value) & ~nan).sum())
    return {name: both for name, both in found.items() if any(both)}


def bad(found: Checkpoint) -> dict[str, tuple[int, int]]:
    return {tensor.name: (tensor.nan, tensor.inf) for tensor in found.bad}


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "AdamW"])
def test_a_trained_checkpoint_is_clean(tmp_path: Path, optimizer: str, options: dict[str, Any]) -> None:
    """A whole checkpoint of a training is clean; its parts and what it says of itself are found."""
    found = saved(tmp_path, trained(getattr(torch.optim, optimizer)), **options)
    assert (found.state, found.problem, found.remarks) == ("clean", "", ())
    assert (found.epoch, found.step, found.best, found.saved_at) == (12, 3400, ("fitness", 0.64), "2026-05-01T10:00:00")
    parts = {part.name: part for part in found.parts}
    assert list(parts)[:2] == ["model", "EMA"]
    assert ("optimizer" in parts) == (optimizer != "SGD")
    assert parts["model"].elements == sum(t.numel() for t in model().state_dict().values() if t.is_floating_point())


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize(
    ("part", "keys"),
    [("model", ("model", "3.weight")), ("EMA", ("ema", "0.bias")), ("optimizer", ("optimizer", "state", 4, "exp_avg"))],
)
def test_one_poisoned_element_is_found(
    tmp_path: Path, part: str, keys: tuple[str | int, ...], options: dict[str, Any]
) -> None:
    """One NaN in the weights, the EMA or the optimizer is found, under its name and in its part."""
    whole = trained(torch.optim.Adam)
    tensor: Any = whole
    for key in keys:
        tensor = tensor[key]
    tensor.view(-1)[1] = float("nan")
    found = saved(tmp_path, whole, **options)
    assert found.state == "nonfinite"
    assert [(t.name, t.part, t.dtype, t.nan, t.inf) for t in found.bad] == [
        (".".join(str(key) for key in keys), part, "float32", 1, 0)
    ]
    assert found.bad[0].shape == tuple(tensor.shape)
    assert {p.name: p.nan for p in found.parts if p.nan} == {part: 1}


@pytest.mark.parametrize("options", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_type_is_counted_as_pytorch_counts(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    """Of every type PyTorch can save, NaN and Inf are counted as PyTorch does."""
    torch.manual_seed(1)
    raw = torch.randn(64, 33)
    raw[3, 4], raw[5], raw[7, 7] = float("nan"), float("inf"), float("-inf")
    kind = getattr(torch, dtype)
    tensors = {"good": torch.ones(100).to(kind), "bad": raw.to(kind), "whole": torch.arange(9), "flags": raw > 0}
    found = saved(tmp_path, tensors, **options)
    assert bad(found) == counts(tensors)
    assert found.bad[0].dtype == dtype


VIEWS: list[Callable[[Any], Any]] = [
    lambda t: t.t(), lambda t: t[2:9], lambda t: t[:, 3], lambda t: t[::2, ::3], lambda t: t[4, 4],
    lambda t: t[:, :1].expand(20, 5), lambda t: t.as_strided((6, 4), (2, 1)), lambda t: t.flatten().unfold(0, 7, 2),
    lambda t: t.reshape(4, 5, 20).permute(2, 0, 1), lambda t: t[:0], lambda t: t.reshape(5, 4, 5, 4)[:, 1, :, 2],
    lambda t: t.as_strided((3, 3, 3), (5, 5, 5)), lambda t: t[:, :, None].expand(20, 20, 3)[::3],
]  # fmt: skip


@settings(repeatable, max_examples=60)
@given(
    st.lists(st.integers(0, 399), max_size=40), st.lists(st.sampled_from(range(len(VIEWS))), min_size=1, unique=True)
)
def test_views_are_counted_as_they_show(
    tmp_path_factory: pytest.TempPathFactory, places: list[int], which: list[int]
) -> None:
    """Whatever views share a storage, each is counted as `torch.isnan` counts it."""
    base = torch.randn(20, 20)
    for place in places:
        base.view(-1)[place] = float("nan") if place % 3 else float("inf")
    tensors = {f"view{index}": VIEWS[index](base) for index in which}
    found = saved(tmp_path_factory.mktemp("views"), tensors)
    expected = counts(tensors)
    assert bad(found) == expected
    if not expected:
        assert found.state == "clean"
        hidden = not torch.isfinite(base).all()
        assert any(remark.startswith("no tensor shows ") for remark in found.remarks) == bool(hidden)


def test_bad_numbers_are_counted_across_pieces(tmp_path: Path) -> None:
    """Tensors longer than what is read at a time are counted exactly, at the borders as well."""
    long = torch.zeros(400_001)
    for place in (0, 65_535, 65_536, 131_071, 262_144, 400_000):
        long[place] = float("nan")
    tensors = {"long": long, "right": long[65_536:], "left": long[:65_536], "every": long[::7]}
    assert bad(saved(tmp_path, tensors)) == counts(tensors)


def test_a_tensor_under_two_names_is_counted_once(tmp_path: Path) -> None:
    """Tied weights are one tensor: its numbers are counted once, under the first name."""
    tied = torch.full((3,), float("nan"))
    found = saved(tmp_path, {"wte.weight": tied, "lm_head.weight": tied, "again": tied.view(3)})
    assert (found.nan, found.bad_tensors, found.bad[0].name) == (3, 1, "wte.weight")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", FORMATS)
def test_a_whole_pickled_model_is_walked(tmp_path: Path, options: dict[str, Any]) -> None:
    """A model saved as an object is looked through; its tensors have the names of its state dict."""
    net = model()
    net[3].bias.data[1] = float("inf")
    found = saved(tmp_path, {"epoch": -1, "model": net, "ema": None, "best_fitness": None}, **options)
    assert found.state == "nonfinite"
    assert bad(found) == {"model.3.bias": (0, 1)}
    assert (found.epoch, found.best) == (None, None)
    assert sum(part.tensors for part in found.parts) == len(net.state_dict())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_parameters_and_sparse_tensors_are_found(tmp_path: Path) -> None:
    """A Parameter is a tensor; a sparse tensor is its indices and its values."""
    sparse = torch.sparse_coo_tensor(torch.tensor([[0, 1]]), torch.tensor([1.0, float("nan")]), (4,))
    parameter = torch.nn.Parameter(torch.tensor([float("inf")]))
    found = saved(tmp_path, {"sparse": sparse, "parameter": parameter, "compressed": torch.eye(2).to_sparse_csr()})
    assert bad(found) == {"sparse.values": (1, 0), "parameter": (0, 1)}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantized_and_tagged_tensors_are_read(tmp_path: Path) -> None:
    """Quantized tensors hold no floats; a tensor with attributes is still a tensor."""
    tagged = torch.nn.Parameter(torch.tensor([float("nan")]))
    tagged.note = "mine"
    quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    found = saved(tmp_path, {"tagged": tagged, "quantized": quantized})
    assert bad(found) == {"tagged": (1, 0)}


def test_a_lone_tensor_is_a_file_of_weights(tmp_path: Path) -> None:
    """A file of one tensor has one tensor."""
    assert bad(saved(tmp_path, torch.tensor([float("nan")]))) == {"tensor": (1, 0)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_looked_through(tmp_path: Path) -> None:
    """An archive of TorchScript is read like others, with its constants."""
    net = torch.nn.Linear(2, 2)
    net.weight.data[0, 0] = float("nan")
    torch.jit.script(net).save(str(tmp_path / "script.pt"))
    found = scan_file(tmp_path / "script.pt")
    assert (found.format, bad(found)) == ("TorchScript", {"weight": (1, 0)})


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    """What was saved on a machine of the other byte order is read in that order."""
    file = tmp_path / "big.pt"
    torch.save({"w": torch.tensor([1.0, float("nan")])}, file)
    raw = file.read_bytes()
    little = b"\0\0\x80\x3f\0\0\xc0\x7f"
    assert raw.count(little) == 1
    import zipfile

    with zipfile.ZipFile(file) as old, zipfile.ZipFile(tmp_path / "other.pt", "w") as new:
        for name in old.namelist():
            swapped = {"big/byteorder": b"big", "big/data/0": b"\x3f\x80\0\0\x7f\xc0\0\0"}
            new.writestr(name, swapped.get(name, old.read(name)))
    assert bad(scan_file(tmp_path / "other.pt")) == {"w": (1, 0)}


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    """PyTorch can leave out the checksums: such a file is not corrupted."""
    torch.serialization.set_crc32_options(False)
    try:
        assert saved(tmp_path, {"w": torch.ones(3)}).state == "clean"
    finally:
        torch.serialization.set_crc32_options(True)


def test_a_wrong_number_shows_when_it_is_verified(tmp_path: Path) -> None:
    """A flipped bit in a weight leaves the file clean to a quick look, and corrupted when checksums are verified."""
    file = tmp_path / "flipped.pt"
    torch.save({"w": torch.full((100,), 1.5)}, file)
    raw = bytearray(file.read_bytes())
    raw[raw.find(b"\0\0\xc0\x3f" * 50)] ^= 1
    file.write_bytes(raw)
    assert scan_file(file).state == "clean"
    assert scan_file(file, verify=True).state == "corrupted"


def test_nan_beside_the_tensors_is_remarked(tmp_path: Path) -> None:
    """A best value that is NaN is said; the state tells of the weights."""
    import numpy as np

    found = saved(
        tmp_path, {"epoch": 3, "best_fitness": float("nan"), "loss": np.float64("nan"), "model": {"w": torch.ones(1)}}
    )
    assert found.state == "clean"
    assert found.remarks == ("best_fitness is nan", "loss is nan")


def test_arrays_inside_the_pickle_are_remarked(tmp_path: Path) -> None:
    """NumPy arrays that lie in the pickle are not looked at, and the reader is told."""
    import numpy as np

    found = saved(tmp_path, {"model": {"w": torch.ones(1)}, "history": np.zeros(1000)})
    assert found.state == "clean"
    assert found.remarks == ("NumPy arrays inside its pickle were not looked at: 1",)


def test_many_tagged_parameters_are_all_found(tmp_path: Path) -> None:
    """Tensors with attributes are told apart, however many there are."""
    tensors = {f"layer{index}": torch.nn.Parameter(torch.full((2,), float("nan"))) for index in range(50)}
    for index, tensor in enumerate(tensors.values()):
        tensor.note = index
    assert len(bad(saved(tmp_path, tensors))) == 50


def test_a_best_value_may_be_a_tensor(tmp_path: Path) -> None:
    """nanoGPT stores its best loss as a tensor of one number: it is a fact, no part of the weights."""
    whole = {"model": {"w": torch.ones(2)}, "optimizer": {"m": torch.ones(2)}, "iter_num": 2000}
    found = saved(tmp_path, {**whole, "best_val_loss": torch.tensor(1.5)})
    assert (found.step, found.best) == (2000, ("val_loss", 1.5))
    assert [part.name for part in found.parts] == ["model", "optimizer"]
    found = saved(tmp_path, {**whole, "best_val_loss": torch.tensor(float("nan"))})
    assert (found.state, found.remarks) == ("clean", ("best_val_loss is nan",))


@settings(repeatable, max_examples=15)
@given(st.lists(st.integers(0, 199_999), max_size=20), st.sampled_from(FLOATS), st.integers(1, 7))
def test_threads_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, places: list[int], dtype: str, step: int
) -> None:
    """With one thread or with several, in stretches of any size, the same numbers are found as PyTorch finds."""
    base = torch.ones(200_000)
    base[places] = float("nan")
    base = base.to(getattr(torch, dtype))
    tensors = {"base": base, "every": base[::step], "none": base[:0], "one": base[7], "tied": base.view(-1)}
    file = tmp_path_factory.mktemp("threads") / "made.pt"
    torch.save(tensors, file)
    results = []
    for threads, share in ((1, 1 << 23), (4, 1 << 19), (3, 1 << 20)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nanwatch.checkpoints.numbers._THREADS", threads)
            patch.setattr("nanwatch.checkpoints.numbers._SHARE", share)
            patch.setattr("os.sched_getaffinity", lambda _: range(8))
            results.append(replace(scan_file(file, first_bad=9), seconds=0.0))
    assert results[1:] == results[:1] * 2
    counted = counts(tensors)
    shown = {name: both for name, both in counted.items() if name != "tied" and not (name == "every" and step == 1)}
    assert bad(results[0]) == shown


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", FORMATS)
def test_rare_but_honest_objects_are_no_alarm(tmp_path: Path, options: dict[str, Any]) -> None:
    """What PyTorch itself saves is clean: nested and scaled tensors, new types, lazy layers, functions as settings."""
    import numpy as np

    scales = torch.tensor([1.0, 2.0, 3.0]), torch.zeros(3, dtype=torch.int64)
    parts = [torch.ones(2), torch.ones(3)]
    rare = {
        "scaled": torch.quantize_per_channel(torch.ones(3, 2), *scales, 0, torch.quint8),
        "nested": torch.nested.nested_tensor(parts),
        "jagged": torch.nested.nested_tensor(parts, layout=torch.jagged),
        "uint16": torch.ones(2).to(torch.uint16),
        "lazy": torch.nn.LazyLinear(3),
        "settings": [torch.relu, torch.lt, max, abs, int | None, ValueError("x")],
        "generator": np.random.default_rng(1),
    }
    found = saved(tmp_path, rare, **options)
    assert (found.state, found.problem) == ("clean", "")
