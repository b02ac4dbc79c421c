"""What `nanwatch.guard` adds to a training step, beside clip_grad_norm_ and a bare step, on the CPU."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.common import BenchmarkError, machine, print_table, ratio, run_main
from nanwatch.guard import Guard

NORM = 1e9  # never reached: every way then does the same to the weights
SYNC_EVERY = 50


@dataclass(slots=True)
class Way:
    """A way to take a step, with a model of its own."""

    name: str
    model: Any
    optimizer: Any
    step: Callable[[], None]
    guard: Guard | None = None
    seconds: list[float] = field(default_factory=list)  # of a step


def small() -> tuple[Any, Any]:
    """Three linear layers, and a batch for them."""
    layers = torch.nn
    return layers.Sequential(
        layers.Linear(32, 128), layers.BatchNorm1d(128), layers.ReLU(), layers.Linear(128, 128), layers.ReLU(),
        layers.Linear(128, 10),
    ), torch.randn(32, 32)  # fmt: skip


def middle() -> tuple[Any, Any]:
    """Fifty convolutions with BatchNorm, and a batch for them: about as many weights and tensors as a ResNet-50."""
    layers, widths = torch.nn, [3, *[64] * 6, *[128] * 10, *[256] * 20, *[512] * 7]
    blocks = [
        layers.Sequential(
            layers.Conv2d(a, b, 3, padding=1, stride=2 if b != a else 1), layers.BatchNorm2d(b), layers.ReLU()
        )
        for a, b in pairwise(widths)
    ]
    return layers.Sequential(*blocks, layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(512, 10)), (
        torch.randn(8, 3, 64, 64)
    )


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {"small": small, "middle": middle}


def ways(make: Callable[[], tuple[Any, Any]]) -> list[Way]:
    """Every way, each with the same gradients in a model of its own."""

    def way(name: str, clips: dict[str, Any] | None = None, guards: dict[str, Any] | None = None, **more: Any) -> Way:
        torch.manual_seed(0)
        model, batch = make()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, **more)
        model(batch).square().mean().backward()
        parameters = list(model.parameters())

        def clipped() -> None:
            torch.nn.utils.clip_grad_norm_(parameters, NORM, **(clips or {}))
            optimizer.step()

        settings = {**(guards or {}), **({"model": model} if guards and "model" in guards else {})}
        guard = None if guards is None else Guard(optimizer, NORM, **settings)
        return Way(name, model, optimizer, optimizer.step if clips is None else clipped, guard)

    return [
        way("clip_grad_norm_, step", {}),
        way("step alone"),
        way("clip_grad_norm_(error_if_nonfinite), step", {"error_if_nonfinite": True}),
        way("guard", guards={}),
        way("guard, running statistics", guards={"model": None}),
        way("fused: clip_grad_norm_, step", {}, fused=True),
        way("fused: guard", guards={}, fused=True),
        way(f"fused: guard, sync_every={SYNC_EVERY}", guards={"sync_every": SYNC_EVERY}, fused=True),
    ]


def measure(found: list[Way], steps: int, rounds: int) -> None:
    """Take turns, so that a busy moment of the machine hits all of them."""
    for number in range(rounds + 1):
        for way in found:
            begun = time.perf_counter()
            for _ in range(steps):
                way.step()
            if number:  # the first round only warms up
                way.seconds.append((time.perf_counter() - begun) / steps)


def whole_step(make: Callable[[], tuple[Any, Any]], rounds: int) -> float:
    """Return the median time of forward, backward and step."""
    model, batch = make()
    optimizer, seconds = torch.optim.AdamW(model.parameters(), lr=1e-6), []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def check(found: list[Way], total: int) -> None:
    """All ways have taken the same steps."""
    expected = torch.cat([p.detach().flatten() for p in found[0].model.parameters()])
    for way in found:
        weights = torch.cat([p.detach().flatten() for p in way.model.parameters()])
        if not torch.allclose(weights, expected, atol=1e-5):
            raise BenchmarkError(f"{way.name}: other weights")
        if way.guard is not None and (way.guard.steps, way.guard.skipped) != (total, 0):
            raise BenchmarkError(f"{way.name}: {way.guard.summary()}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps, to try the benchmark itself")
    parser.add_argument("--runs", type=int, default=7, help="measured rounds (default 7)")
    args = parser.parse_args()
    for name, make in MODELS.items():
        steps = {"small": 1000, "middle": 3}[name] // (10 if args.quick else 1) or 1
        found = ways(make)
        measure(found, steps, args.runs)
        check(found, steps * (args.runs + 1))
        whole = whole_step(make, 3 if args.quick else 7)
        base = statistics.median(found[0].seconds)
        rows = []
        for way in found:
            median = statistics.median(way.seconds)
            rows.append([
                way.name, *(f"{f(way.seconds) * 1e6:,.0f}" for f in (min, statistics.median, max)),
                ratio(way.seconds, found[0].seconds), f"{100 * (median - base) / whole:+.1f} %",
            ])  # fmt: skip
        weights = [p.numel() for p in found[0].model.parameters()]
        title = f"{name}: {sum(weights):,} weights in {len(weights)} tensors; forward, backward and step take"
        header = ["clip, decide, step", "min us", "median us", "max us", "/ clip", "of a whole step"]
        print_table(f"{title} {whole * 1e3:.2f} ms ({machine()}, torch {torch.__version__}, no GPU)", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
