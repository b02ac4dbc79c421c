"""Which part of a checkpoint a tensor belongs to, and what the file says of itself, as frameworks write it."""

from __future__ import annotations

import pytest

from nanwatch.checkpoints.parts import Parting, facts_of, is_weights, nan_facts

WHOLE = [
    ("model.0.weight", "model"), ("ema.0.weight", "EMA"), ("optimizer.state.0.exp_avg", "optimizer"),
    ("state_dict.net.weight", "model"), ("model_state_dict.w", "model"), ("net.w", "model"), ("module.w", "model"),
    ("model_ema.w", "EMA"), ("state_dict_ema.w", "EMA"), ("ema_state_dict.w", "EMA"), ("ema_model.w", "EMA"),
    ("state_dict.model_ema.w", "EMA"), ("callbacks.EMACallback.ema_weights.w", "EMA"),
    ("optimizer_states.0.state.0.m", "optimizer"),
    ("optimizer_state_dict.state.1.momentum_buffer", "optimizer"), ("optim.state.0.exp_avg", "optimizer"),
    ("lr_schedulers.0.x", "lr_schedulers"), ("scaler.scale", "scaler"), ("rng_state", "rng_state"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "part"), WHOLE)
def test_a_tensor_belongs_to_a_part(name: str, part: str) -> None:
    """In a whole checkpoint, the first names of a path tell the part."""
    parting = Parting([known for known, _ in WHOLE], {"epoch": 3})
    assert parting.part_of(name) == part


@pytest.mark.parametrize("names", [["layer1.weight", "head.bias"], ["model.0.weight", "criterion.weight"], ["weight"]])
def test_bare_weights_are_all_the_model(names: list[str]) -> None:
    """A file that is a state dict and no more is the model's."""
    parting = Parting(names, {})
    assert {parting.part_of(name) for name in names} == {"model"}


def test_a_bare_optimizer_is_one() -> None:
    """The state dict of an optimizer, saved alone, is told by its parameter groups."""
    parting = Parting(["state.0.exp_avg"], {"param_groups.0.lr": 0.1})
    assert parting.part_of("state.0.exp_avg") == "optimizer"


@pytest.mark.parametrize(
    ("facts", "epoch", "step", "best", "date"),
    [
        ({"epoch": 12, "best_fitness": 0.5, "date": "2026-05-01"}, 12, None, ("fitness", 0.5), "2026-05-01"),
        ({"epoch": 2, "train_args.task": "detect"}, 3, None, None, None),
        ({"epoch": -1, "best_fitness": None}, None, None, None, None),
        ({"epoch": 3.0, "global_step": 900}, 3, 900, None, None),
        ({"iter_num": 2000, "best_val_loss": 1.25}, None, 2000, ("val_loss", 1.25), None),
        ({"epoch": True, "best_iou": float("nan"), "best_metric": 2}, None, None, ("metric", 2.0), None),
        ({"epoch": 10**400, "best_iou": 10**400}, None, None, None, None),
        ({"epoch": "x", "step": float("inf"), "date": 3}, None, None, None, None),
    ],
)
def test_what_a_file_says_of_itself(
    facts: dict[str, object], epoch: int | None, step: int | None, best: tuple[str, float] | None, date: str | None
) -> None:
    """Epoch, step, best value and date are read where they make sense."""
    assert facts_of(facts) == (epoch, step, best, date)


def test_only_the_first_nan_is_named() -> None:
    """Of many values that are NaN, the first are named and the others counted."""
    facts: dict[str, object] = {f"loss{index}": float("nan") for index in range(5)}
    assert nan_facts(facts) == [
        "loss0 is nan",
        "loss1 is nan",
        "loss2 is nan",
        "2 more values beside the tensors are nan",
    ]


@pytest.mark.parametrize("part", ["callbacks", "lr_schedulers", "scaler", "loops", "rng_state", "train_results"])
def test_what_lies_beside_the_weights_decides_nothing(part: str) -> None:
    """A callback's best value is infinite before the first epoch; nobody goes on from it."""
    assert not is_weights(part)


@pytest.mark.parametrize("part", ["model", "EMA", "optimizer", "generator", "encoder", "teacher"])
def test_what_is_not_known_may_be_weights(part: str) -> None:
    """Networks have many names."""
    assert is_weights(part)
