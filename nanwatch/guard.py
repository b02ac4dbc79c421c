"""Prevention inside a PyTorch trainer: gradients are clipped, steps with non-finite ones are left out and counted.

One line in a loop of one's own, after the optimizer was built and the model is on its device:

    guard = Guard(optimizer, max_norm=10.0, scaler=scaler, model=model)

and one for Ultralytics: `nanwatch.guard.ultralytics(model)`. A step is left out by taking the gradients away in a
hook before it: optimizers pass over parameters without a gradient, so neither momentum nor weight decay moves them.
What was left out is printed as nanwatch reads it. Only torch is imported, nothing else of nanwatch.
"""

from __future__ import annotations

import atexit
import math
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

try:
    import torch
except ImportError as error:
    raise ImportError("nanwatch.guard works inside PyTorch: pip install torch") from error

_TINY = 1e-6
"""Added to a norm before dividing by it, as torch.nn.utils.clip_grad_norm_ does."""


class NonFiniteLimit(ArithmeticError):
    """So many steps in a row had non-finite gradients that training on is of no use; the weights are still finite."""


class Guard:
    """Watches the gradients of one optimizer from when it is built until `close`.

    `max_norm` is what the L2 norm of all gradients together is clipped to; None: they are only looked at. After
    `limit` steps in a row without a finite gradient, `optimizer.step()` raises `NonFiniteLimit`; None: never. Steps
    that `scaler` (a GradScaler) leaves out count as well. The running statistics of `model`'s normalisation layers are
    put back where a forward pass made them non-finite. With `sync_every` above 1 the decision stays on the device,
    which only fused optimizers can do, and the host looks at the counts every so many steps. Lines go to `stream`
    (default: stderr), of the first rank alone.
    """

    def __init__(
        self, optimizer: Any, max_norm: float | None = 10.0, limit: int | None = 100, scaler: Any = None,
        *, model: Any = None, sync_every: int = 1, stream: TextIO | None = None,
    ) -> None:  # fmt: skip
        if (max_norm is not None and not max_norm > 0) or (limit is not None and limit < 1) or sync_every < 1:
            raise ValueError("max_norm must be above 0, limit and sync_every at least 1")
        if sync_every > 1 and (model is not None or not getattr(optimizer, "_step_supports_amp_scaling", False)):
            raise ValueError("sync_every above 1 needs an optimizer with fused=True, and no model")
        self.optimizer, self.max_norm, self.limit, self.stream = optimizer, max_norm, limit, stream
        self.steps = 0
        """Steps that the optimizer was asked for, those that the scaler left out included."""
        self.skipped = 0
        """Steps left out for a non-finite gradient."""
        self.overflowed = 0
        """Steps that the loss scaler left out."""
        self.clipped = 0
        self.in_a_row = 0
        """Steps left out since the last one that was taken."""
        self.norm = math.nan
        """The L2 norm of the gradients before clipping, as the host last saw it."""
        running = [] if model is None else _running_of(model)
        self._statistics = _Statistics(running) if running else None
        self._sync_every = sync_every
        self._tally: _Tally | None = None
        self._scaler = scaler
        self._hooks: list[Any] = [optimizer.register_step_pre_hook(self._before_step)]
        if scaler is not None:
            self._hooks.append(_ScalerHook(scaler, self))
        _OPEN.add(self)

    def __call__(self, loss: Any) -> Any:
        """Return *loss* as it is; if it is not finite, its gradients will not be either: `guard(loss).backward()`.

        It makes nobody wait: the loss times zero is added to its own gradient, and that is zero or NaN.
        """
        if loss.requires_grad:
            mark = loss.detach() * 0
            loss.register_hook(lambda gradient: gradient + mark)
        return loss

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def summary(self) -> str:
        """Return what was done so far, in one line."""
        said = [f"{self.skipped:,} of {self.steps:,} optimizer steps dropped for non-finite gradients"]
        if self._scaler is not None:
            said.append(f"{self.overflowed:,} dropped by the loss scaler")
        if self.max_norm is not None:
            said.append(f"{self.clipped:,} clipped to norm {self.max_norm:g}")
        return f"nanwatch.guard: {', '.join(said)}"

    def close(self) -> None:
        """Stop watching; if steps were left out, say how many."""
        if not self._hooks:
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._read_tally()
        if self.skipped or self.overflowed:
            self._print(self.summary())

    # -- one step

    def _before_step(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self._judge()
            return None

        def judged() -> Any:
            loss = closure()
            self._judge()
            return loss

        if "closure" in kwargs:
            return args, {**kwargs, "closure": judged}
        return (args[0], judged, *args[2:]), kwargs

    def _judge(self) -> None:
        """Decide on the gradients that the step is about to use."""
        gradients = _gradients(self.optimizer)
        if not gradients:
            return
        self.steps += 1
        total, scale = _norm(gradients), self._scale()
        if scale is not None:
            total = total / scale.to(total.device)
        # Until a step was taken the host decides: fused SGD would keep a momentum that nobody has set.
        if self._sync_every > 1 and self.steps > self.skipped + self.overflowed + 1:
            self._judge_on_device(gradients, total)
        else:
            self._judge_on_host(gradients, total)
        self._check_limit()

    def _judge_on_host(self, gradients: Sequence[Any], total: Any) -> None:
        self.norm = total.item() if self._statistics is None else self._statistics.keep_finite(total)
        if math.isfinite(self.norm):
            self.in_a_row = 0
            if self.max_norm is not None and self.norm > self.max_norm:
                torch._foreach_mul_(gradients, self.max_norm / (self.norm + _TINY))
                self.clipped += 1
            return
        if self.max_norm is not None and self._clip_huge(gradients, self.max_norm):
            return
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        found = getattr(self.optimizer, "found_inf", None)
        if found is not None and found.item():  # a scaler has found them, and tells a fused optimizer
            self._dropped(by_scaler=1)
        else:
            self._dropped(by_guard=1)

    def _clip_huge(self, gradients: Sequence[Any], max_norm: float) -> bool:
        """Clip gradients that are finite though their squares are not; return whether these are such."""
        largest = _largest(gradients)
        if not math.isfinite(largest):
            return False
        scale = self._scale()
        scaled_by = 1.0 if scale is None else scale.item()
        torch._foreach_div_(gradients, largest)  # multiplied by its inverse, they could vanish
        rest = _norm(gradients).item()
        self.norm, self.in_a_row = largest / scaled_by * rest, 0
        torch._foreach_mul_(gradients, min(max_norm, self.norm) * scaled_by / rest)
        self.clipped += 1
        return True

    def _scale(self) -> Any:
        """Return the loss scale that a fused optimizer divides the gradients by itself, else None."""
        return getattr(self.optimizer, "grad_scale", None)

    def _judge_on_device(self, gradients: Sequence[Any], total: Any) -> None:
        if self._tally is None:
            self._tally = _Tally(total.device)
            self._hooks.append(self.optimizer.register_step_post_hook(self._tally.after_step))
        self._tally.judge(self.optimizer, gradients, total, self.max_norm)
        if self.steps % self._sync_every == 0:
            self._read_tally()

    def _read_tally(self) -> None:
        """Take over what was counted on the device: here, and only here, the host waits for it."""
        if self._tally is None:
            return
        by_guard, by_scaler, self.clipped, in_a_row, self.norm = self._tally.read(self.clipped)
        self._dropped(by_guard, by_scaler, in_a_row)

    def _dropped(self, by_guard: int = 0, by_scaler: int = 0, in_a_row: int | None = None) -> None:
        self.skipped += by_guard
        self.overflowed += by_scaler
        self.in_a_row = self.in_a_row + by_guard + by_scaler if in_a_row is None else in_a_row
        for _ in range(by_guard):
            self._print(f"WARNING: Non-finite gradient detected (norm={self.norm:.4g}), skipping optimizer step")
        for _ in range(by_scaler):
            self._print("WARNING: Gradient overflow, skipping step: the loss scaler lowers its scale")

    def _check_limit(self) -> None:
        if self.limit is not None and self.in_a_row >= self.limit:
            raise NonFiniteLimit(
                f"{self.in_a_row:,} optimizer steps in a row had no finite gradient and were dropped; the weights are"
                f" those from before them. In all: {self.summary()}"
            )

    def _after_scaler(self, steps: int) -> None:
        """Notice a step that the scaler left out: it never came to the optimizer, so *steps* is still their number."""
        if self.steps == steps and _gradients(self.optimizer):
            self.steps += 1
            if self._statistics is not None:  # a moving average of the model may be taken right after this
                self._statistics.keep_finite()
            self._dropped(by_scaler=1)
            self._check_limit()

    def _print(self, line: str) -> None:
        ranks = torch.distributed
        if not (ranks.is_available() and ranks.is_initialized() and ranks.get_rank()):
            with suppress(OSError, ValueError):  # nobody reads any more, or it is closed: that ends no training
                print(line, file=self.stream or sys.stderr, flush=True)


_OPEN: weakref.WeakSet[Guard] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for guard in list(_OPEN):
        guard.close()


class _ScalerHook:
    """Tells a guard of the steps that a GradScaler leaves out by itself: it then never calls the optimizer."""

    def __init__(self, scaler: Any, guard: Guard) -> None:
        self._scaler, self._guard = scaler, guard
        self._inner, self._before = scaler.step, scaler.__dict__.get("step")
        self._own: Any = self
        scaler.step = self._own

    def __call__(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the scaler step; notice where it does not."""
        steps = self._guard.steps
        result = self._inner(optimizer, *args, **kwargs)
        if self._own is not None and optimizer is self._guard.optimizer:
            self._guard._after_scaler(steps)
        return result

    def remove(self) -> None:
        """Take it away; one that another was put over stays, and does nothing."""
        if self._scaler.__dict__.get("step") is self._own:
            if self._before is None:
                del self._scaler.step
            else:
                self._scaler.step = self._before
        self._own = None

    def __reduce__(self) -> Any:
        """Let copies of the scaler, saved or deep, be without a guard."""
        return _PlainStep, (self._scaler,)


class _PlainStep:
    """The step of a copied scaler: its own."""

    def __init__(self, scaler: Any) -> None:
        self._scaler = scaler

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what the scaler's class does."""
        return type(self._scaler).step(self._scaler, *args, **kwargs)


class _Tally:
    """Counts that stay on the device, where a fused optimizer is told to leave a step out."""

    def __init__(self, device: Any) -> None:
        self._counts = torch.zeros(5, device=device)
        """Left out by the guard, by the scaler, clipped, in a row, last norm: the first three since the last look."""
        self._is_ours = False

    def judge(self, optimizer: Any, gradients: Sequence[Any], total: Any, max_norm: float | None) -> None:
        """Clip, count, and set `found_inf`, which a fused optimizer obeys; nothing here waits for the device."""
        found = getattr(optimizer, "found_inf", None)
        self._is_ours = found is None
        is_bad = (~torch.isfinite(total)).float()
        by_scaler = torch.zeros_like(is_bad) if found is None else (found.to(total.device) > 0).float()
        is_left_out = torch.maximum(is_bad, by_scaler)
        is_clipped = torch.zeros_like(is_bad)
        if max_norm is not None:
            factor = (max_norm / (total + _TINY)).clamp(max=1.0)
            is_clipped = (factor < 1).float() * (1 - is_left_out)
            torch._foreach_mul_(gradients, factor)
        since, row = self._counts[:3], (self._counts[3] + 1) * is_left_out
        norm = torch.where(is_bad > by_scaler, total.float(), self._counts[4])
        now = torch.stack([is_left_out - by_scaler, by_scaler, is_clipped])
        self._counts = torch.cat([since + now, torch.stack([row, norm])])
        optimizer.found_inf = is_left_out

    def after_step(self, optimizer: Any, *_: object) -> None:
        """Take `found_inf` away again, unless a scaler set it, which does so itself."""
        if self._is_ours and hasattr(optimizer, "found_inf"):
            del optimizer.found_inf

    def read(self, clipped: int) -> tuple[int, int, int, int, float]:
        """Return the counts since the last look, with *clipped* added to the third, and begin anew."""
        by_guard, by_scaler, newly, row, norm = self._counts.tolist()
        self._counts[:3] = 0
        return int(by_guard), int(by_scaler), clipped + int(newly), int(row), norm


class _Statistics:
    """Running means and variances, and their last finite values."""

    def __init__(self, running: Sequence[Any]) -> None:
        self._running = running
        self._kept = [tensor.clone() for tensor in running]

    def keep_finite(self, total: Any = None) -> float:
        """Put all back if one is non-finite, else remember them; return *total*, fetched in the same transfer."""
        size = _norm(self._running)
        norm, size = torch.stack([size if total is None else total.to(size.device), size]).tolist()
        source, target = (self._running, self._kept) if math.isfinite(size) else (self._kept, self._running)
        with torch.no_grad():
            torch._foreach_copy_(target, source)
        return float(norm)


def _running_of(model: Any) -> list[Any]:
    """Return the running statistics of a model's normalisation layers."""
    named = [getattr(module, name, None) for module in model.modules() for name in ("running_mean", "running_var")]
    return [tensor for tensor in named if tensor is not None]


def _gradients(optimizer: Any) -> list[Any]:
    """Return the gradients' values; of sparse ones what they hold, with doubles added up."""
    found = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                found.append(parameter.grad._values())
            else:
                found.append(parameter.grad)
    return found


def _norm(tensors: Sequence[Any]) -> Any:
    """Return the L2 norm of all together, on the first one's device; in half precision it would overflow."""
    whole = [tensor for tensor in tensors if tensor.dtype is not torch.float16]
    norms = list(torch._foreach_norm(whole)) if whole else []
    norms += [torch.linalg.vector_norm(t, dtype=torch.float32) for t in tensors if t.dtype is torch.float16]
    return torch.linalg.vector_norm(torch.stack([norm.to(tensors[0].device) for norm in norms]))


def _largest(tensors: Sequence[Any]) -> float:
    """Return the largest absolute value of all."""
    found = [torch.linalg.vector_norm(tensor, math.inf).double() for tensor in tensors if tensor.numel()]
    return float(torch.stack([value.to(found[0].device) for value in found]).max())


def ultralytics(model: Any, max_norm: float | None = 10.0, limit: int | None = 100) -> None:
    """Guard every training of an Ultralytics *model* (or trainer), through its public callbacks.

    The trainer clips to 10 itself and then steps; the guard comes between the two. Training on several GPUs starts
    processes of its own, which Ultralytics does not give the callbacks of a model: there, subclass the trainer.
    """
    held: list[Guard] = []

    def close(_: Any) -> None:
        while held:
            held.pop().close()

    def watch(trainer: Any) -> None:
        if held and held[-1].optimizer is trainer.optimizer:
            return
        close(trainer)  # after out of memory the trainer builds another optimizer
        # Its progress goes to stdout, or its bars to stderr and the rest to stdout.
        held.append(
            Guard(trainer.optimizer, max_norm, limit, trainer.scaler, model=trainer.model, stream=sys.stdout),
        )

    model.add_callback("on_train_epoch_start", watch)
    model.add_callback("on_train_end", close)
