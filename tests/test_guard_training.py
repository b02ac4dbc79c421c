"""The guard in whole trainings: programs of their own, that write a log which nanwatch then reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nanwatch.config import Config
from nanwatch.model.run import Run
from nanwatch.reading import read_log
from tests.support.command import following

torch: Any = pytest.importorskip("torch")
ROOT = Path(__file__).parents[1]
TIMEOUT = 100.0
BATCHES = 40

TRAINING = """
import json, math, sys
import torch
from nanwatch.guard import Guard

settings = json.loads(sys.argv[1])
torch.manual_seed(0)
inputs = torch.randn(40, 16, 4)
targets = inputs.sin().sum(2, keepdim=True)
model = torch.nn.Sequential(
    torch.nn.Linear(4, 64), torch.nn.BatchNorm1d(64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", enabled=settings.get("amp", False), growth_interval=10)
guard = lambda loss: loss
if settings["guarded"]:
    guard = Guard(optimizer, max_norm=10.0, limit=settings.get("limit", 100), scaler=scaler, model=model)
for epoch in range(1, 5):
    for batch, (x, y) in enumerate(zip(inputs, targets), 1):
        number = epoch * 100 + batch
        if number in settings["poisoned"] or settings.get("lost", math.inf) <= number:
            x = x * math.nan
        loss = (model(x) - y).square().mean()
        if number in settings.get("exploding", ()):
            loss = loss * 1e38
        optimizer.zero_grad()
        scaler.scale(guard(loss)).backward()
        scaler.step(optimizer)
        scaler.update()
        share = batch * 100 // 40
        print(
            f"\\rEpoch {epoch}/4: {share:3d}%|{'#' * (share // 10):10}| {batch}/40 "
            f"[00:01<00:01, 30.00it/s, loss={loss.item():.4f}]", end="", file=sys.stderr, flush=True,
        )
    print(file=sys.stderr)
model.eval()
with torch.no_grad():
    final = (model(inputs.flatten(0, 1)) - targets.flatten(0, 1)).square().mean().item() / targets.var().item()
finite = all(value.isfinite().all().item() for value in model.state_dict().values())
counts = [guard.steps, guard.skipped, guard.overflowed] if settings["guarded"] else []
with open(sys.argv[2], "w") as file:
    json.dump({"final": final, "finite": finite, "counts": counts}, file)
"""


def train(folder: Path, **settings: Any) -> tuple[int, dict[str, Any], Run]:
    """Train in a process of its own; return its exit code, what it found, and the run as nanwatch reads its log."""
    script, log, result = (folder / name for name in ("train.py", "train.log", "result.json"))
    script.write_text(TRAINING)
    with log.open("wb") as file:
        done = subprocess.run(
            [sys.executable, str(script), json.dumps(settings), str(result)],
            stdout=file, stderr=subprocess.STDOUT, check=False, timeout=TIMEOUT, cwd=folder,
            env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    reading = read_log(log, Config(), None, 2_000_000_000.0)
    assert reading.problem is None
    (run,) = reading.runs
    return done.returncode, json.loads(result.read_text()) if result.exists() else {}, run


def by_scaler(run: Run) -> int:
    """Return how many of a run's skipped steps a loss scaler skipped."""
    return sum(row.skip_kinds.get("scaler", 0) for row in run.table.values())


def test_with_the_guard_it_converges_and_without_it_does_not(tmp_path: Path) -> None:
    """Poisoned batches: without the guard the weights are lost; with it they stay finite, and nanwatch counts alike."""
    poisoned = [105, 217, 218, 219, 333]
    (tmp_path / "without").mkdir()
    code, lost, run = train(tmp_path / "without", guarded=False, poisoned=poisoned)
    assert (code, lost["finite"], run.grad_skips) == (0, False, 0)
    assert run.nan_batches == 4 * BATCHES - 4
    code, kept, run = train(tmp_path, guarded=True, poisoned=poisoned)
    assert (code, kept["finite"], kept["counts"]) == (0, True, [4 * BATCHES, 5, 0])
    assert kept["final"] < 0.2
    assert run.grad_skips == run.nan_batches == 5
    assert [run.table[epoch].grad_skips for epoch in (1, 2, 3, 4)] == [1, 3, 1, 0]
    assert by_scaler(run) == 0


def test_under_a_scaler_the_counts_are_the_same_as_well(tmp_path: Path) -> None:
    """What the scaler leaves out is read as its own, a poisoned batch under it included."""
    code, kept, run = train(tmp_path, guarded=True, amp=True, poisoned=[217, 218], exploding=[110, 305])
    steps, skipped, overflowed = kept["counts"]
    assert (code, steps, skipped, kept["finite"]) == (0, 4 * BATCHES, 0, True)
    assert overflowed >= 4
    assert run.grad_skips == by_scaler(run) == overflowed
    assert kept["final"] < 0.2


def test_a_training_that_is_lost_is_stopped(tmp_path: Path) -> None:
    """At the limit the program ends with NonFiniteLimit, which nanwatch reads as its failure; no line counts twice."""
    code, _, run = train(tmp_path, guarded=True, poisoned=[], lost=301, limit=20)
    assert code == 1
    assert run.grad_skips == 20
    assert run.failure is not None
    assert "NonFiniteLimit" in run.failure.message


def test_a_follower_sees_each_step_that_is_left_out(tmp_path: Path) -> None:
    """While the training runs, `nanwatch tail` tells as many skipped steps as the guard counts."""
    log = tmp_path / "train.log"
    log.touch()
    with following(tmp_path, "--json", "--events", str(log)) as tail:
        code, kept, _ = train(tmp_path, guarded=True, poisoned=[105, 217, 218])
        events = [json.loads(tail.line(b'"step_skipped"')) for _ in range(3)]
        assert (code, kept["counts"][1]) == (0, sum(event["count"] for event in events))
        assert b'"step_skipped"' not in tail.interrupt()[1]


RANKS = """
import sys
import torch
import torch.distributed as dist
from nanwatch.guard import Guard

rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
parallel = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
guard = Guard(optimizer)
for number in range(6):
    optimizer.zero_grad()
    loss = parallel(torch.ones(2, 4) * (rank + 1)).mean()
    guard(loss + (float("inf") if (number, rank) == (3, 1) else 0.0)).backward()
    optimizer.step()
guard.close()
print("RESULT", guard.skipped, model.weight.detach().sum().item(), file=sys.stdout)
dist.destroy_process_group()
"""


def test_all_ranks_decide_alike_and_one_speaks(tmp_path: Path) -> None:
    """A loss that is infinite on one rank makes the shared gradients non-finite, so all leave the step out."""
    (tmp_path / "ranks.py").write_text(RANKS)
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, "ranks.py", str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=TIMEOUT) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    results = [out.splitlines()[-1] for out, _ in outputs]
    assert results[0] == results[1]
    assert results[0].startswith("RESULT 1 ")
    assert [said.count("skipping optimizer step") for _, said in outputs] == [1, 0]
    assert [said.count("nanwatch.guard: 1 of 6") for _, said in outputs] == [1, 0]
