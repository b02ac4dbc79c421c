"""How long after a NaN frame is written its alert comes out of the pipe.

The frame is a redraw of a tqdm bar that no newline ends. Each NaN is the first of a new epoch, after more
than a hundred clean batches, so that each is an alert of its own. A bare watchdog callback follows the same
file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    BenchmarkError,
    arguments,
    environment,
    machine,
    percentile,
    print_table,
    ratio,
    run_main,
)

BATCHES = 1000
CLEAN = 120  # batches before each NaN, so that no two of them are a burst
HEADER = "\n\n      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
PATIENCE = 10.0  # seconds after which an alert counts as lost

WATCHDOG = r"""
import json, re, sys, threading
from pathlib import Path
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

path = Path(sys.argv[1])
log = path.open("rb")
log.seek(0, 2)
nan = re.compile(rb"(\d+)/\d+ +[\d.]+G +nan ")

class Handler(FileSystemEventHandler):
    def on_modified(self, event):
        for epoch in nan.findall(log.read())[:1]:
            print(json.dumps({"type": "alert", "rule": "nan_loss", "epoch": int(epoch)}), flush=True)

observer = Observer()
observer.schedule(Handler(), str(path.parent))
observer.start()
threading.Event().wait()
"""


def frame(epoch: int, batch: int, *, nan: bool = False) -> str:
    """A frame of an Ultralytics bar, without its end."""
    losses = f"{'nan':>11}" * 3 if nan else f"{1.617:11.4g}{1.057:11.4g}{1.07:11.4g}"
    full, eighths = divmod(batch * 80 // BATCHES, 8)
    bar = ("█" * full + " ▏▎▍▌▋▊▉"[eighths]).ljust(10)[:10]
    head = f"{f'{epoch}/5000':>11}{'4.2G':>11}{losses}{17:11d}{640:11d}"
    clock = f"{batch // 128:02d}:{batch * 60 // 128 % 60:02d}"
    return f"\r{head}: {100 * batch // BATCHES:3d}%|{bar}| {batch}/{BATCHES} [{clock}<06:40,  2.14it/s]"


class Reader:
    """A program that follows the log and prints alerts; its lines are timed as they come."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.milliseconds: list[float] = []
        self.lost = 0
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        self._alerts: queue.Queue[tuple[float, int]] = queue.Queue()
        if self.process.stdout is not None:
            threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()

    def _listen(self, out: IO[bytes]) -> None:
        for line in out:
            now = time.perf_counter()
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if said.get("type") == "alert" and said.get("rule") == "nan_loss":
                    self._alerts.put((now, said.get("epoch")))

    def wait(self, epoch: int, patience: float) -> float | None:
        """When the alert of this epoch came, or None."""
        end = time.perf_counter() + patience
        while (left := end - time.perf_counter()) > 0:
            if self.process.poll() is not None:
                error = self.process.stderr.read().decode() if self.process.stderr else ""
                raise BenchmarkError(f"{self.name} ended with {self.process.returncode}: {error.strip()[-300:]}")
            try:
                when, found = self._alerts.get(timeout=min(left, 0.5))
            except queue.Empty:
                continue
            if found == epoch:
                return when
        return None

    def stop(self) -> None:
        """End the program that this reader started."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def following(log: Path, command: list[str]) -> Iterator[list[Reader]]:
    """Nanwatch and, where it is installed, a bare watchdog, both on the same log."""
    readers = [Reader("nanwatch tail --json", [*command, "tail", "--json", str(log)])]
    if importlib.util.find_spec("watchdog"):
        readers.append(Reader("bare watchdog callback", [sys.executable, "-c", WATCHDOG, str(log)]))
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stop()


def clean_start(epoch: int) -> bytes:
    """The end of the epoch before, the header, and the clean batches of this one."""
    return (HEADER + "".join(frame(epoch, batch) for batch in range(1, CLEAN + 1))).encode()


def warm_up(log: int, readers: list[Reader]) -> int:
    """Write NaN frames until every reader has answered one; returns the epochs used."""
    waiting = list(readers)
    for epoch in range(1, 21):
        os.write(log, clean_start(epoch))
        time.sleep(0.5)
        os.write(log, frame(epoch, CLEAN + 1, nan=True).encode())
        waiting = [reader for reader in waiting if reader.wait(epoch, 1.5) is None]
        if not waiting:
            return epoch
    names = ", ".join(reader.name for reader in waiting)
    raise BenchmarkError(f"no alert in 20 tries from: {names}")


def probe(log: int, epoch: int, readers: list[Reader], rng: random.Random) -> None:
    """One NaN frame, timed for every reader."""
    os.write(log, clean_start(epoch))
    time.sleep(rng.uniform(0.1, 0.4))
    written = time.perf_counter()
    os.write(log, frame(epoch, CLEAN + 1, nan=True).encode())
    for reader in readers:
        when = reader.wait(epoch, PATIENCE)
        if when is None:
            reader.lost += 1
        else:
            reader.milliseconds.append(1000 * (when - written))


def main() -> None:
    """Measure and print."""
    args = arguments("From a NaN frame to its alert.", runs=100)
    runs = min(args.runs, 10) if args.quick else args.runs
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        path.write_text("Ultralytics YOLOv8.2.100 🚀 Python-3.11.7\nStarting training for 5000 epochs...\n")
        log = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            with following(path, args.command) as readers:
                used = warm_up(log, readers)
                for epoch in range(used + 1, used + 1 + runs):
                    probe(log, epoch, readers, rng)
        finally:
            os.close(log)
    report(readers, runs)


def report(readers: list[Reader], runs: int) -> None:
    """Print the table; no answer at all is a failure."""
    rows = []
    base = readers[-1].milliseconds
    for reader in readers:
        found = reader.milliseconds
        if not found:
            raise BenchmarkError(f"{reader.name}: all {runs} alerts were lost")
        figures = (min(found), statistics.median(found), percentile(found, 0.95), max(found))
        rows.append([reader.name, *(f"{value:.2f}" for value in figures), ratio(found, base), str(reader.lost)])
    header = ["reader", "min ms", "median ms", "p95 ms", "max ms", "/ watchdog", "lost"]
    print_table(f"From the write of an unterminated NaN frame to its alert, {runs} times ({machine()})", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
