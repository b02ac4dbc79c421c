"""The guard in Ultralytics: through the public callbacks of a trainer shaped like the real one (8.0 to 8.4)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
from nanwatch import guard as guards  # noqa: E402

Callback = Callable[[Any], None]


class Model:
    """What is public of `ultralytics.YOLO`: callbacks by event, and `train`."""

    def __init__(self, **settings: Any) -> None:
        self.callbacks: dict[str, list[Callback]] = defaultdict(list)
        self.trainer = Trainer(self.callbacks, **settings)

    def add_callback(self, event: str, callback: Callback) -> None:
        self.callbacks[event].append(callback)

    def train(self) -> None:
        self.trainer.train()


class Trainer:
    """The parts of `BaseTrainer` that a step goes through, in its order."""

    def __init__(
        self, callbacks: dict[str, list[Callback]], poisoned: tuple[int, ...] = (), amp: bool = False, fails: int = -1
    ) -> None:
        torch.manual_seed(0)
        self.callbacks, self.poisoned, self.fails = callbacks, poisoned, fails
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
        self.scaler = torch.amp.GradScaler("cpu", enabled=amp, init_scale=8.0)
        self.ema = SimpleNamespace(weights=self._weights(), update=self._update_ema)
        self.epoch = 0
        self.build_optimizer()

    def build_optimizer(self) -> None:
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)

    def run_callbacks(self, event: str) -> None:
        for callback in self.callbacks[event]:
            callback(self)

    def train(self) -> None:
        self.run_callbacks("on_train_start")
        while self.epoch < 3:
            self.run_callbacks("on_train_epoch_start")
            if not self._train_epoch():
                continue
            self.run_callbacks("on_train_epoch_end")
            self.epoch += 1
        self.run_callbacks("on_train_end")

    def _train_epoch(self) -> bool:
        for batch in range(10):
            number = self.epoch * 10 + batch
            if number == self.fails:  # out of memory: a smaller batch, another optimizer, the epoch anew
                self.fails = -1
                self.build_optimizer()
                return False
            factor = math.nan if number in self.poisoned else 1.0
            self.scaler.scale(self.model(torch.randn(4, 4) * factor).mean()).backward()
            self.optimizer_step()
            self.run_callbacks("on_train_batch_end")
        return True

    def optimizer_step(self) -> None:
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=10.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.ema.update(self.model)

    def _weights(self) -> list[Any]:
        return [value.detach().clone().float() for value in self.model.state_dict().values()]

    def _update_ema(self, _: Any) -> None:
        for mean, value in zip(self.ema.weights, self._weights(), strict=True):
            mean.mul_(0.9).add_(value, alpha=0.1)


def is_finite(trainer: Trainer) -> bool:
    """Whether weights, running statistics and their moving average are all finite."""
    return all(bool(value.isfinite().all()) for value in [*trainer.model.state_dict().values(), *trainer.ema.weights])


@pytest.mark.parametrize("amp", [False, True])
def test_one_line_keeps_weights_statistics_and_their_average_finite(
    amp: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it three poisoned batches ruin them; with it they are left out, and stdout says so."""
    lost = Model(poisoned=(4, 5, 27), amp=amp)
    lost.train()
    assert not is_finite(lost.trainer)
    model = Model(poisoned=(4, 5, 27), amp=amp)
    guards.ultralytics(model, max_norm=5.0)
    model.train()
    out, said = capsys.readouterr()
    assert is_finite(model.trainer)
    assert said == ""
    assert out.count("skipping optimizer step") == (0 if amp else 3)
    assert out.count("overflow, skipping step") == (3 if amp else 0)
    assert out.count("nanwatch.guard: ") == 1


def test_a_rebuilt_optimizer_is_guarded_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    """After out of memory the trainer makes another optimizer in the middle of a training."""
    model = Model(poisoned=(2, 14), fails=7)
    guards.ultralytics(model)
    model.train()
    assert is_finite(model.trainer)
    # The epoch that was begun anew meets its poisoned batch twice.
    assert capsys.readouterr().out.count("skipping optimizer step") == 3


def test_the_guard_is_gone_after_the_training_and_comes_back_with_the_next() -> None:
    """Steps that somebody else takes afterwards are their own; a second training is guarded anew."""
    model = Model()
    guards.ultralytics(model, limit=1)
    model.train()
    assert not model.trainer.optimizer._optimizer_step_pre_hooks
    assert "step" not in vars(model.trainer.scaler)
    model.trainer.epoch, model.trainer.poisoned = 0, (3,)
    with pytest.raises(guards.NonFiniteLimit):
        model.train()
    assert is_finite(model.trainer)
