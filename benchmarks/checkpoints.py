"""How fast and in how much memory `nanwatch` looks through weights, beside `torch.load` and `isnan` of every tensor.

Files of 800 MB in float32, bfloat16 and float16, page cache warm, by turns; then one of 4 GB for its memory. Both must
say that a clean file is clean, and count one poisoned element in another. Needs PyTorch; 6 GB in `benchmarks/.data`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    DATA,
    BenchmarkError,
    Case,
    Sample,
    arguments,
    machine,
    measure,
    print_table,
    run_interleaved,
    run_main,
    spread,
)

MAKE = r"""
import sys, torch
path, dtype, count, bad = sys.argv[1], getattr(torch, sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.manual_seed(0)
torch.set_default_dtype(dtype)
weights = {f"layer.{i}.weight": torch.randn(2048, 2048) for i in range(count)}
if bad:
    weights[f"layer.{count // 2}.weight"][7, 7] = float("nan")
torch.save(weights, path)
"""

TORCH = r"""
import json, sys, time, torch
begun = time.perf_counter()
weights = torch.load(sys.argv[1], weights_only=True)
nan = sum(int(torch.isnan(tensor).sum()) for tensor in weights.values())
print(json.dumps({"nan": nan, "seconds": time.perf_counter() - begun}))
"""

MAPPED = TORCH.replace("weights_only=True", "weights_only=True, mmap=True")

OWN = r"""
import json, sys, time
from pathlib import Path
import numpy
from nanwatch.checkpoints.scan import scan_file
begun = time.perf_counter()
found = scan_file(Path(sys.argv[1]))
assert found.state in ("clean", "nonfinite"), found
print(json.dumps({"nan": found.nan, "seconds": time.perf_counter() - begun}))
"""

READ = r"""
import json, sys, time
begun = time.perf_counter()
buffer = bytearray(1 << 18)
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.readinto(buffer):
        pass
print(json.dumps({"nan": None, "seconds": time.perf_counter() - begun}))
"""


COMMAND = "nanwatch checkpoint, all of it"


def weights(dtype: str, megabytes: int, bad: bool = False) -> Path:
    """A file of that many MB, written once by PyTorch in a process of its own."""
    width = {"float32": 4, "bfloat16": 2, "float16": 2}[dtype]
    count = max(1, megabytes * 1_000_000 // (2048 * 2048 * width))
    path = DATA / f"weights-{dtype}-{megabytes}M{'-bad' if bad else ''}.pt"
    if not path.exists():
        DATA.mkdir(exist_ok=True)
        print(f"writing {path.name} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-c", MAKE, str(path), dtype, str(count), str(int(bad))], check=True)
    return path


def check(sample: Sample, nan: int) -> None:
    """Fail when a program did not find what is there."""
    if sample.status:
        raise BenchmarkError(sample.err.strip()[-300:])
    found = json.loads(sample.out)["nan"]
    if found is not None and found != nan:
        raise BenchmarkError(f"found {found} NaN, there are {nan}")


def check_command(sample: Sample, nan: int) -> None:
    """Fail when the command did not say by its exit code what is there."""
    if sample.status != (2 if nan else 0):
        raise BenchmarkError(f"nanwatch checkpoint: exit {sample.status}: {sample.err.strip()[-300:]}")


def seconds_of(case: Case) -> list[float]:
    """What each run took: as the program measured itself, without its start; of the command, all of it."""
    if case.name == COMMAND:
        return case.values("wall")
    return [float(json.loads(sample.out)["seconds"]) for sample in case.samples]


def compare(path: Path, command: list[str], runs: int, nan: int) -> None:
    """Print the programs' figures for one file."""
    programs = {
        "reading alone": READ,
        "nanwatch": OWN,
        "torch.load + isnan": TORCH,
        "torch.load(mmap) + isnan": MAPPED,
    }
    cases = [
        Case(name, [sys.executable, "-c", program, str(path)], lambda sample: check(sample, nan))
        for name, program in programs.items()
    ]
    cases.append(Case(COMMAND, [*command, "checkpoint", str(path)], lambda sample: check_command(sample, nan)))
    run_interleaved(cases[:1], 1)  # warms the page cache
    cases[0].samples.clear()
    run_interleaved(cases, runs)
    gigabytes = path.stat().st_size / 1e9
    seconds = {case.name: seconds_of(case) for case in cases}
    own = statistics.median(seconds["nanwatch"])
    rows = []
    for case in cases:
        middle = statistics.median(seconds[case.name])
        figures = [*spread(seconds[case.name]), f"{gigabytes / middle:.2f}", f"{middle / own:.1f}x"]
        rows.append([case.name, *figures, spread(case.values("wall"), 2)[1], spread(case.values("rss"), 0)[2]])
    title = f"{path.name}, {gigabytes:.2f} GB, page cache warm, {runs} interleaved rounds ({machine()})"
    header = ["program", "min s", "median s", "max s", "GB/s", "time / nanwatch", "whole process s", "peak RSS MiB"]
    print_table(title, header, rows)


def main() -> None:
    """Measure and print."""
    args = arguments("Speed and memory of looking through weights.")
    size = 80 if args.quick else 800
    for dtype in ("float32", "bfloat16", "float16"):
        compare(weights(dtype, size), args.command, args.runs, 0)
    compare(weights("float32", size, bad=True), args.command, args.runs, 1)
    big = weights("float32", 400 if args.quick else 4000)
    sample = measure([sys.executable, "-c", OWN, str(big)])
    check(sample, 0)
    print(f"\n{big.name}: {sample.rss:.1f} MiB at the peak, {json.loads(sample.out)['seconds']:.2f} s.")


if __name__ == "__main__":
    sys.exit(run_main(main))
