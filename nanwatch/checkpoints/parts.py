"""Names of tensors -> the part of a checkpoint that they belong to; facts -> its epoch, step, best value and date."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MODEL, EMA, OPTIMIZER = "model", "EMA", "optimizer"

_MODEL = re.compile(
    r"(ema_)?(model|module|net|network|weights|params|state_dict|student|policy|layers|vars)(_state_dict|_state|_weights)?$"
)
_EMA = re.compile(r"(.*_)?ema(_.*)?$|EMA.*|(model_)?(shadow|averaged)(_.*)?$|.*WeightAverag.*")
_OPTIMIZER = re.compile(
    r"(.*_)?optim(iz|is)?(er)?s?(_.*)?$|opt(_state)?$|exp_avg(_sq)?$|momentum_buffer$", re.IGNORECASE
)
_BESIDE = re.compile(
    r"(callbacks|loops|(lr_)?sched(uler)?s?|(grad_|loss_)?scaler|amp|native_amp_scaling_state|mixed_?precision\w*|"
    r"rng\w*|random\w*|(cuda_|torch_|numpy_)?rng_states?|hparams|hyper_parameters|(train_|val_)?(metrics|results|history|losses)|"
    r"stopper|datamodule|dataloaders?|sampler|trainer_state)$",
    re.IGNORECASE,
)
"""What trainers keep beside the weights: an infinity there, such as a best loss before the first, is theirs to keep."""
_HOLDS_EMA = ("state_dict", "model", "callbacks", "module")

_EPOCH = ("epoch", "current_epoch", "epochs", "trainer_state.epoch")
_STEP = ("global_step", "iter_num", "step", "steps", "iteration", "iter", "num_steps", "trainer_state.global_step")
_DATE = ("date", "saved_at", "timestamp")
_BEST = re.compile(r"best_?(.*)")
_MOST_NAN = 3
_LARGEST = 1e300


class Facts(NamedTuple):
    """What a checkpoint says of itself."""

    epoch: int | None
    step: int | None
    best: tuple[str, float] | None
    saved_at: str | None


class Parting:
    """Tells the parts of one checkpoint apart by the first names of its tensors' paths.

    A file of bare weights begins with the names of layers: without an optimizer, an EMA or an epoch beside them, all
    is the model's.
    """

    def __init__(self, names: Iterable[str], facts: Mapping[str, object]) -> None:
        tops = {_first(name) for name in names}
        self._is_optimizer = "state" in tops and any(fact.startswith("param_groups") for fact in facts)
        wrapped = any(_EMA.match(top) or _OPTIMIZER.match(top) for top in tops) or _known(facts)
        self._is_bare = not self._is_optimizer and not (wrapped and any(_MODEL.match(top) for top in tops))
        self._is_bare = self._is_bare and not any(_EMA.match(top) or _OPTIMIZER.match(top) for top in tops)

    def part_of(self, name: str) -> str:
        """Return the part that the tensor *name* belongs to: model, EMA, optimizer, or another by its own name."""
        if self._is_optimizer:
            return OPTIMIZER
        if self._is_bare:
            return MODEL
        top, second = _first(name), _first(name.partition(".")[2])
        if _EMA.match(top) or (top in _HOLDS_EMA and _EMA.match(second)):
            return EMA
        if _OPTIMIZER.match(top):
            return OPTIMIZER
        return MODEL if _MODEL.match(top) else top


def _first(name: str) -> str:
    return name.partition(".")[0]


def _known(facts: Mapping[str, object]) -> bool:
    return any(fact in facts for fact in (*_EPOCH, *_STEP))


def is_weights(part: str) -> bool:
    """Tell whether a training goes on from the numbers of *part*: those beside the weights may be infinite."""
    return _BESIDE.match(part) is None


def facts_of(facts: Mapping[str, object]) -> Facts:
    """Return what *facts*, as frameworks name them, say of epoch (as it is printed), step, best value and date."""
    epoch = _counter(facts, _EPOCH)
    if epoch is not None and any(name.startswith("train_args.") for name in facts):
        epoch += 1  # Ultralytics counts from 0 here and prints from 1
    date = next((value for name in _DATE if isinstance(value := facts.get(name), str) and value), None)
    return Facts(epoch, _counter(facts, _STEP), _best(facts), date)


def nan_facts(facts: Mapping[str, object]) -> list[str]:
    """Return a remark for each number beside the tensors that is NaN, the first few."""
    found = [name for name, value in facts.items() if isinstance(value, float) and math.isnan(value)]
    more = [f"{len(found) - _MOST_NAN:,} more values beside the tensors are nan"] if len(found) > _MOST_NAN else []
    return [f"{name} is nan" for name in found[:_MOST_NAN]] + more


def _counter(facts: Mapping[str, object], names: tuple[str, ...]) -> int | None:
    """Return the first of *names* that is a count; Ultralytics writes -1 when it has stripped a file."""
    for name in names:
        value = facts.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            return value
    return None


def _best(facts: Mapping[str, object]) -> tuple[str, float] | None:
    for name, value in facts.items():
        match = _BEST.fullmatch(name)
        if not match or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if abs(value) < _LARGEST:
            return match[1] or "best", float(value)
    return None
