"""The guard on one optimizer: what is left out, what is clipped, what is counted, and what stays as it was."""

from __future__ import annotations

import io
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")
from nanwatch.guard import Guard, NonFiniteLimit  # noqa: E402

SKIPPED = "WARNING: Non-finite gradient detected (norm=nan), skipping optimizer step"
MAKERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "SGD foreach": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, foreach=True),
    "SGD fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1, amsgrad=True),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=0.1, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.1, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1),
}
FUSED = ["SGD fused", "AdamW fused"]


def net(seed: int = 0) -> Any:
    """Return a small model."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def give(model: Any, *values: float) -> None:
    """Set every gradient: to the values in turn, repeated."""
    for place, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, values[place % len(values)])


def values_of(model: Any, optimizer: Any) -> list[Any]:
    """Return a copy of the weights and of all that the optimizer keeps of them."""
    kept = [state[name] for state in optimizer.state.values() for name in sorted(state)]
    return [torch.as_tensor(value).detach().clone() for value in [*model.parameters(), *kept] if value is not None]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_step_with_a_non_finite_gradient_moves_nothing(name: str, bad: float) -> None:
    """Weights, momentum, second moments and step counts are as before: no weight decay, no bias from zeros."""
    model = net()
    optimizer = MAKERS[name](model.parameters())
    said = io.StringIO()
    guard = Guard(optimizer, stream=said)
    give(model, 0.5)
    optimizer.step()
    before = values_of(model, optimizer)
    give(model, 0.5, bad)
    optimizer.step()
    assert all(map(torch.equal, before, values_of(model, optimizer)))
    assert (guard.steps, guard.skipped, guard.in_a_row) == (2, 1, 1)
    assert said.getvalue().startswith("WARNING: Non-finite gradient detected (norm=")
    give(model, 0.5)
    optimizer.step()
    assert (guard.steps, guard.skipped, guard.in_a_row) == (3, 1, 0)
    assert not torch.equal(before[0], next(model.parameters()))


@pytest.mark.parametrize("name", MAKERS)
def test_trains_as_clipping_by_hand_does(name: str) -> None:
    """Where all gradients are finite, the weights are those of clip_grad_norm_ and a step."""
    models = [net(), net()]
    optimizers = [MAKERS[name](model.parameters()) for model in models]
    guard = Guard(optimizers[0], max_norm=0.1)
    for number in range(8):
        torch.manual_seed(number)
        batch = torch.randn(16, 4) * number
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            (model(batch).square().mean() * 1e-5 ** (number % 2)).backward()
            if optimizer is optimizers[1]:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
    torch.testing.assert_close(list(models[0].parameters()), list(models[1].parameters()))
    assert (guard.steps, guard.skipped) == (8, 0)
    assert 0 < guard.clipped < 8


def test_without_a_norm_gradients_are_only_looked_at() -> None:
    """`max_norm=None` leaves finite gradients as they are, and says their norm."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    guard = Guard(optimizer, max_norm=None)
    give(model, 1000.0)
    optimizer.step()
    assert guard.norm == pytest.approx(1000 * math.sqrt(sum(p.numel() for p in model.parameters())))
    assert all((p.grad == 1000.0).all() for p in model.parameters())
    assert guard.clipped == 0


def test_one_poisoned_batch_of_several_drops_the_whole_step() -> None:
    """Gradients that are accumulated over batches are one step: they are judged once, and dropped together."""
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    guard = Guard(optimizer, stream=io.StringIO())
    for number in range(12):
        batch = torch.ones(2, 4) * (math.nan if number == 5 else 1.0)
        model(batch).mean().backward()
        if number % 4 == 3:
            optimizer.step()
            optimizer.zero_grad()
    assert (guard.steps, guard.skipped) == (3, 1)
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_loss_that_is_not_finite_makes_the_step_be_left_out() -> None:
    """A loss may be infinite and its gradients finite: given to the guard, it counts; finite ones pass unchanged."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = Guard(optimizer, stream=io.StringIO())
    for constant, skipped in ((0.0, 0), (math.inf, 1), (0.0, 1), (math.nan, 2)):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 4)).mean() + constant
        assert guard(loss) is loss
        loss.backward()
        optimizer.step()
        assert guard.skipped == skipped
    with torch.no_grad():
        assert guard(model(torch.ones(2, 4)).mean()).isfinite()


def test_after_so_many_in_a_row_it_stops() -> None:
    """Steps without a finite gradient in a row raise; one good step between them starts the count anew."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = Guard(optimizer, limit=3, stream=io.StringIO())
    for value in (math.nan, math.nan, 1.0, math.nan, math.nan):
        give(model, value)
        optimizer.step()
    give(model, math.nan)
    with pytest.raises(NonFiniteLimit, match=r"^3 optimizer steps in a row .* In all: nanwatch.guard: 5 of 6 "):
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())
    assert guard.in_a_row == 3


def test_without_a_limit_it_goes_on() -> None:
    """`limit=None` never raises."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = Guard(optimizer, limit=None, stream=io.StringIO())
    for _ in range(200):
        give(model, math.nan)
        optimizer.step()
    assert guard.skipped == guard.in_a_row == 200


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscales", [False, True])
def test_works_under_a_gradient_scaler(fused: bool, unscales: bool) -> None:
    """Clipping sees unscaled gradients; what the scaler leaves out is counted as its own, and its scale still falls."""
    models = [net(), net()]
    optimizers = [torch.optim.AdamW(model.parameters(), lr=0.1, fused=fused) for model in models]
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    said = io.StringIO()
    guard = Guard(optimizers[0], max_norm=0.5, scaler=scaler, stream=said)
    for number in range(6):
        batch = torch.ones(2, 4) * (math.inf if number in (0, 3) else 1.0)
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = model(batch).mean()
            if optimizer is optimizers[0]:
                scaler.scale(loss).backward()
                if unscales:
                    scaler.unscale_(optimizer)
                scaler.step(optimizer)
                scaler.update()
            elif number not in (0, 3):
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                optimizer.step()
    torch.testing.assert_close(list(models[0].parameters()), list(models[1].parameters()))
    assert (guard.steps, guard.skipped, guard.overflowed) == (6, 0, 2)
    assert guard.clipped > 0
    assert scaler.get_scale() == 256.0
    line = "WARNING: Gradient overflow, skipping step: the loss scaler lowers its scale\n"
    assert said.getvalue() == line * 2
    guard.close()
    assert "step" not in vars(scaler)


def test_a_scaler_that_never_finds_a_finite_gradient_reaches_the_limit() -> None:
    """Weights that are lost under a scaler make it leave out every step in silence: the guard stops that, too."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    Guard(optimizer, limit=5, scaler=scaler, stream=io.StringIO())

    def train() -> None:
        optimizer.zero_grad()
        scaler.scale(model(torch.ones(2, 4)).mean() * math.nan).backward()
        scaler.step(optimizer)
        scaler.update()

    for _ in range(4):
        train()
    with pytest.raises(NonFiniteLimit):
        train()


def test_two_optimizers_share_a_scaler() -> None:
    """Each guard counts its own optimizer's steps, in whatever order they are closed."""
    models = [net(), net(1)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    scaler = torch.amp.GradScaler("cpu")
    guards = [Guard(optimizer, scaler=scaler, stream=io.StringIO()) for optimizer in optimizers]

    def train() -> None:
        for place, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
            optimizer.zero_grad()
            scaler.scale(model(torch.ones(2, 4)).mean() * (math.inf if place else 1.0)).backward()
            scaler.step(optimizer)
        scaler.update()

    train()
    guards[0].close()
    train()
    guards[1].close()
    assert [(guard.steps, guard.overflowed) for guard in guards] == [(1, 0), (2, 2)]


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("has_scaler", [False, True])
def test_the_decision_can_stay_on_the_device(name: str, has_scaler: bool) -> None:
    """A fused optimizer is told on the device; weights and counts are those of a decision by the host."""
    models = [net(), net()]
    optimizers = [MAKERS[name](model.parameters()) for model in models]
    scalers = [torch.amp.GradScaler("cpu", init_scale=4.0, enabled=has_scaler) for _ in models]
    said = [io.StringIO(), io.StringIO()]
    guards = [
        Guard(optimizers[0], 0.1, scaler=scalers[0], stream=said[0]),
        Guard(optimizers[1], 0.1, scaler=scalers[1], stream=said[1], sync_every=5),
    ]
    for number in range(22):
        batch = torch.ones(2, 4) * (math.nan if number in (0, 1, 6, 7, 14, 21) else number / 10)
        for model, optimizer, scaler in zip(models, optimizers, scalers, strict=True):
            optimizer.zero_grad()
            scaler.scale(model(batch).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    for guard in guards:
        guard.close()
    torch.testing.assert_close(list(models[0].parameters()), list(models[1].parameters()))
    assert guards[0].summary() == guards[1].summary()
    assert guards[1].skipped + guards[1].overflowed == 6
    assert guards[1].clipped > 0
    assert guards[1].in_a_row == guards[0].in_a_row == 1
    assert said[0].getvalue() == said[1].getvalue()
    assert not hasattr(optimizers[1], "found_inf")


def test_a_limit_is_seen_where_the_decision_stays_on_the_device() -> None:
    """The host learns of it when it looks at the counts."""
    model = net()
    optimizer = MAKERS["SGD fused"](model.parameters())
    Guard(optimizer, limit=4, sync_every=10, stream=io.StringIO())
    give(model, 1.0)
    optimizer.step()
    for _ in range(8):
        give(model, math.nan)
        optimizer.step()
    give(model, math.nan)
    with pytest.raises(NonFiniteLimit, match=r"^9 optimizer steps"):
        optimizer.step()


def test_lbfgs_and_other_closures() -> None:
    """A closure's gradients are judged when it has been called: LBFGS takes no step on bad ones, then goes on."""
    torch.manual_seed(0)
    inputs, model = torch.randn(32, 4), torch.nn.Linear(4, 1)
    targets = inputs.sum(1, keepdim=True)
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    guard = Guard(optimizer, max_norm=None, stream=io.StringIO())

    def step(factor: float) -> float:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = (model(inputs) - targets).square().mean() * factor
            loss.backward()
            return loss

        return float(optimizer.step(closure).detach())

    before = deepcopy(model.state_dict())
    assert math.isnan(step(math.nan))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert guard.skipped == 1
    for _ in range(3):
        step(1.0)
    assert step(1.0) < 1e-6


@pytest.mark.parametrize("as_keyword", [False, True])
def test_a_closure_reaches_any_optimizer(as_keyword: bool) -> None:
    """By place or by name, and its loss is returned."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    guard = Guard(optimizer, stream=io.StringIO())

    def closure() -> Any:
        give(model, math.nan)
        return torch.tensor(7.0)

    found = optimizer.step(closure=closure) if as_keyword else optimizer.step(closure)
    assert (float(found), guard.skipped) == (7.0, 1)
    assert all(p.isfinite().all() for p in model.parameters())


def test_running_statistics_are_put_back() -> None:
    """A forward pass with NaN ruins BatchNorm's running mean although the step is left out; the guard heals it."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Guard(optimizer, model=model, stream=io.StringIO())
    norm = model[1]

    def train(factor: float) -> None:
        optimizer.zero_grad()
        model(torch.randn(8, 4) * factor).mean().backward()
        optimizer.step()

    train(1.0)
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    train(math.nan)
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.running_var, variance)
    train(1.0)
    assert not torch.equal(norm.running_mean, mean)
    assert model.eval()(torch.randn(8, 4)).isfinite().all()


@pytest.mark.parametrize("is_known", [True, False])
def test_statistics_are_put_back_where_the_scaler_leaves_out_the_step(is_known: bool) -> None:
    """At once if the guard knows the scaler; else with the next step, since the optimizer was not even called."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    Guard(optimizer, scaler=scaler if is_known else None, model=model, stream=io.StringIO())
    finite = []
    for factor in (1.0, math.nan, 1.0):
        optimizer.zero_grad()
        scaler.scale(model(torch.randn(8, 4) * factor).mean()).backward()
        scaler.step(optimizer)
        scaler.update()
        finite.append(bool(model[1].running_mean.isfinite().all()))
    assert finite == [True, is_known, True]


def test_parameters_without_gradients_and_several_groups() -> None:
    """All groups make one norm; frozen and unused parameters are passed over; a step without gradients is none."""
    model, unused = net(), torch.nn.Linear(2, 2)
    first, *others = model.parameters()
    groups = [{"params": [first], "lr": 1.0}, {"params": [*others, *unused.parameters()], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups)
    guard = Guard(optimizer, max_norm=1.0, stream=io.StringIO())
    optimizer.step()
    assert guard.steps == 0
    give(model, 3.0, 4.0)
    optimizer.step()
    kept = math.sqrt(sum(float(p.grad.square().sum()) for p in model.parameters()))
    assert kept == pytest.approx(1.0, rel=1e-5)
    give(model, 1.0, 1.0, 1.0, math.nan)
    optimizer.step()
    assert guard.skipped == 1


def test_sparse_gradients() -> None:
    """An embedding's sparse gradients, with doubles in them, have the norm of the dense ones."""
    indices = torch.tensor([1, 1, 3])
    norms = []
    for is_sparse in (True, False):
        torch.manual_seed(0)
        table = torch.nn.Embedding(5, 3, sparse=is_sparse)
        optimizer = torch.optim.SGD(table.parameters(), lr=1.0)
        guard = Guard(optimizer, max_norm=0.5)
        table(indices).square().sum().backward()
        optimizer.step()
        norms.append((guard.norm, guard.clipped, table.weight.detach().sum().item()))
    assert norms[0] == pytest.approx(norms[1])


def test_half_precision_gradients_do_not_overflow_in_the_norm() -> None:
    """Gradients of 30,000 fit float16 and their norm does not: that is no reason to leave a step out."""
    parameter = torch.nn.Parameter(torch.zeros(100, dtype=torch.float16))
    optimizer = torch.optim.SGD([parameter], lr=1e-4)
    guard = Guard(optimizer, max_norm=None)
    parameter.grad = torch.full_like(parameter, 30_000)
    optimizer.step()
    assert guard.norm == pytest.approx(300_000)
    assert guard.skipped == 0


@pytest.mark.parametrize("value", [1e20, 1e30, 3e38])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.complex64])
def test_huge_gradients_are_clipped_though_their_squares_overflow(value: float, kind: Any) -> None:
    """They are finite: the step is taken, in their direction, with the norm that is asked for."""
    parameters = [torch.nn.Parameter(torch.zeros(size, dtype=kind)) for size in (2, 0, 2)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    guard = Guard(optimizer, max_norm=6.0, stream=io.StringIO())
    for parameter, factor in zip(parameters, (1.0, 1.0, -0.5), strict=True):
        parameter.grad = torch.full_like(parameter, value * factor)
    optimizer.step()
    assert (guard.skipped, guard.clipped, guard.in_a_row) == (0, 1, 0)
    assert guard.norm == pytest.approx(value * math.sqrt(2.5), rel=1e-2)
    expected = 6.0 / math.sqrt(2.5)
    assert [p.real.mean().item() for p in parameters[::2]] == pytest.approx([-expected, expected / 2], rel=1e-2)


def test_huge_gradients_are_clipped_where_a_fused_optimizer_unscales_them() -> None:
    """The norm is that of the gradients without the loss scale."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    guard = Guard(optimizer, max_norm=2.0, scaler=scaler, stream=io.StringIO())
    scaler.scale(model(torch.full((1, 1), 1e30)).mean()).backward()
    scaler.step(optimizer)
    assert guard.norm == pytest.approx(1e30)
    assert (guard.clipped, guard.skipped, guard.overflowed) == (1, 0, 0)
    assert model.weight.item() == pytest.approx(-2.0)


def test_huge_gradients_that_are_not_clipped_are_left_out() -> None:
    """Without a norm to clip to, the squares that Adam keeps would be infinite for good."""
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    guard = Guard(optimizer, max_norm=None, stream=io.StringIO())
    give(model, 1e30)
    optimizer.step()
    assert guard.skipped == 1
    assert not optimizer.state


@pytest.mark.parametrize("copied", [deepcopy, lambda made: pickle.loads(pickle.dumps(made))])  # noqa: S301
def test_copies_of_optimizer_and_scaler_are_without_a_guard(copied: Callable[[Any], Any]) -> None:
    """They neither carry the guard and all that it holds along, nor are counted; they work as without it."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    guard = Guard(optimizer, scaler=scaler)
    give(model, 1.0)
    before = model[0].weight.detach().clone()
    found = copied(scaler)
    assert list(vars(found.step).values()) == [found]
    found.scale(torch.ones(1))
    found.step(optimizer)
    assert not torch.equal(model[0].weight, before)
    copied(optimizer).step()
    assert guard.steps == 1


def test_a_stream_that_is_closed_ends_no_training() -> None:
    """Nobody reads what is said, or its file is closed: the step is left out all the same."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    said = io.StringIO()
    guard = Guard(optimizer, stream=said)
    said.close()
    give(model, math.nan)
    optimizer.step()
    guard.close()
    assert guard.skipped == 1


def test_gradients_of_several_types_make_one_norm() -> None:
    """Half, bfloat16, single and double precision are clipped together."""
    types = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    parameters = [torch.nn.Parameter(torch.zeros(4, dtype=kind)) for kind in types]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    guard = Guard(optimizer, max_norm=2.0)
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 2.0)
    optimizer.step()
    assert guard.norm == pytest.approx(8.0)
    assert all(p.grad.float().mean().item() == pytest.approx(0.5, rel=1e-2) for p in parameters)


def test_schedulers_and_states_go_on_as_without_it() -> None:
    """A scheduler does not complain, and the optimizer's state can be saved, loaded and copied."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    guard = Guard(optimizer, stream=io.StringIO())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for value in (math.nan, 1.0):
        give(model, value)
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.25
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    optimizer.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
    deepcopy(optimizer.state_dict())
    assert guard.skipped == 1


def test_a_compiled_model() -> None:
    """The guard stands outside of what is compiled."""
    model = net()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = Guard(optimizer, model=compiled, stream=io.StringIO())
    for factor in (1.0, math.nan):
        optimizer.zero_grad()
        guard(compiled(torch.ones(2, 4) * factor).mean()).backward()
        optimizer.step()
    assert (guard.steps, guard.skipped) == (2, 1)
    assert all(p.isfinite().all() for p in model.parameters())


def test_closing_says_what_was_left_out_and_takes_the_guard_away() -> None:
    """The summary comes once, and only if there is something to say; afterwards steps are the optimizer's own."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    said = io.StringIO()
    with Guard(optimizer, max_norm=5.0, stream=said) as guard:
        for value in (1000.0, math.nan):
            give(model, value)
            optimizer.step()
    guard.close()
    summary = "nanwatch.guard: 1 of 2 optimizer steps dropped for non-finite gradients, 1 clipped to norm 5"
    assert said.getvalue().splitlines() == [SKIPPED, summary]
    give(model, math.nan)
    optimizer.step()
    assert guard.steps == 2
    assert all(p.isnan().all() for p in model.parameters())


def test_nothing_is_said_of_a_training_without_trouble() -> None:
    """Clipping alone is no news."""
    model = net()
    said = io.StringIO()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Guard(optimizer, stream=said):
        give(model, 1000.0)
        optimizer.step()
    assert said.getvalue() == ""


@pytest.mark.parametrize(
    "settings", [{"max_norm": 0.0}, {"max_norm": math.nan}, {"limit": 0}, {"sync_every": 0}, {"sync_every": 2}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    """Before anything is trained with them."""
    with pytest.raises(ValueError, match=r"must be above 0|fused=True"):
        Guard(torch.optim.SGD(net().parameters(), lr=0.1), **settings)


def test_nothing_else_of_nanwatch_is_imported() -> None:
    """A trainer that imports the guard gets torch and the guard."""
    code = "import sys, nanwatch.guard; print(sorted(m for m in sys.modules if m.startswith('nanwatch')))"
    root = Path(__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == "['nanwatch', 'nanwatch.guard']"
