"""What it costs to follow 1,000 logs of which 50 grow 10 times a second: CPU, memory, and how soon a NaN is seen.

All programs follow the same files at the same time: the daemon with its store, `nanwatch tail --json`, `tail -F`, and
a bare watchdog observer that only takes the time. Once in the run a frame of each growing log turns NaN: awaited are
the alert, the frame's own text behind `tail -F`, and watchdog's call about the file.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import arguments, environment, machine, percentile, print_table, run_main
from benchmarks.idle import Follower, settle, start, watch

FILES, GROWING, RATE = 1000, 50, 10
EPOCHS, BATCHES = 5, 50

WATCHDOG = r"""
import os, sys, threading, time
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

class Handler(FileSystemEventHandler):
    def on_modified(self, event):
        os.write(1, b"%s %f\n" % (os.fsencode(event.src_path), time.time()))

observer = Observer()
observer.schedule(Handler(), sys.argv[1])
observer.start()
threading.Event().wait()
"""

Word = tuple[str, float]
"""A log's name, and when (Unix seconds) a program spoke of it."""


def frame(epoch: int, batch: int, loss: str) -> bytes:
    """A redraw of the tqdm bar of a custom trainer."""
    share = 100 * batch // BATCHES
    clock = f"[00:{batch:02d}<00:50, 1.00it/s, loss={loss}]"
    return f"\rEpoch {epoch}/900: {share:3d}%|{'#' * (share // 10):10s}| {batch}/{BATCHES} {clock}".encode()


def history() -> bytes:
    """Five healthy epochs and the beginning of a sixth."""
    epochs = [b"".join(frame(e, b, f"0.5{b:02d}") for b in range(1, BATCHES + 1)) for e in range(1, EPOCHS + 1)]
    return b"\n".join(epochs) + b"\n" + frame(EPOCHS + 1, 1, "0.5")


def alerts(out: IO[bytes]) -> Iterable[Word]:
    """Yield the alerts of `nanwatch tail --json`."""
    for line in out:
        said = json.loads(line)
        if said["rule"] == "nan_loss" and said["state"] == "firing":
            yield Path(said["run"]).name, time.time()


def marks(out: IO[bytes]) -> Iterable[Word]:
    """Yield the names that stand behind the NaN in what `tail -F` passes on."""
    rest = b""
    while data := out.read1(1 << 16):  # type: ignore[attr-defined]
        *whole, rest = (rest + data).split(b"]")
        for part in whole:
            if b"nan, mark=" in part:
                yield part.rpartition(b"mark=")[2].decode(), time.time()


def calls(out: IO[bytes]) -> Iterable[Word]:
    """Yield the calls of the observer."""
    for line in out:
        path, _, at = line.decode().rpartition(" ")
        yield Path(path).name, float(at)


class Listener:
    """Takes down what a program says of the logs."""

    def __init__(self, name: str, command: Sequence[str], words: Callable[[IO[bytes]], Iterable[Word]]) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
        )
        self.follower = Follower(name, process)
        self._words: dict[str, list[float]] = {}
        if process.stdout is not None:
            threading.Thread(target=self._listen, args=(words(process.stdout),), daemon=True).start()

    def _listen(self, words: Iterable[Word]) -> None:
        for name, at in words:
            self._words.setdefault(name, []).append(at)

    def milliseconds(self, written: dict[str, float]) -> list[float]:
        """Return how long after each write the first word about it came."""
        found = [(at, [word for word in self._words.get(name, []) if word >= at]) for name, at in written.items()]
        return [1000 * (min(words) - at) for at, words in found if words]


def grow(logs: Sequence[Path], seconds: float) -> dict[str, float]:
    """Let the logs grow for so long; return when each one's NaN was written."""
    files = [log.open("ab", buffering=0) for log in logs]
    turns, written, begun = int(seconds * RATE), dict[str, float](), time.perf_counter()
    for turn in range(turns):
        epoch, batch = EPOCHS + 1 + turn // (BATCHES - 2), 2 + turn % (BATCHES - 2)
        for number, file in enumerate(files):
            is_bad = turn == 1 + number * (turns - 1) // len(files)
            name = logs[number].name
            if is_bad:
                written[name] = time.time()
            file.write(frame(epoch, batch, f"nan, mark={name}" if is_bad else f"0.5{turn % 90:02d}"))
        time.sleep(max(0.0, begun + (turn + 1) / RATE - time.perf_counter()))
    for file in files:
        file.close()
    return written


def main() -> None:
    """Measure and print."""
    args = arguments("The cost of following many logs of which some grow.", runs=1)
    seconds = 5.0 if args.quick else 30.0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "logs")
        folder.mkdir()
        logs = [folder / f"run-{i:04d}.log" for i in range(FILES)]
        for log in logs:
            log.write_bytes(history())
        config = Path(place, "nanwatch.toml")
        config.write_text("logs = ['logs/*.log']\n[daemon]\nstate = 'state'\n")
        daemon = start("nanwatch daemon", [*args.command, "daemon", "--config", str(config)])
        listeners = [
            Listener("nanwatch tail --json", [*args.command, "tail", "--json", str(folder)], alerts),
            Listener("tail -F", ["tail", "-q", "-n", "0", "-F", *map(str, logs)], marks),
            Listener("bare watchdog observer", [sys.executable, "-c", WATCHDOG, str(folder)], calls),
        ]
        followers = [daemon, *(listener.follower for listener in listeners)]
        try:
            settle(followers)
            watch(followers, seconds / 2)
            thread = threading.Thread(target=watch, args=(followers, seconds))
            thread.start()
            written = grow(logs[:GROWING], seconds)
            thread.join()
            time.sleep(1)
        finally:
            for follower in followers:
                follower.process.terminate()
                follower.process.wait(10)
    rows = []
    for follower, listener in zip(followers, [None, *listeners], strict=True):
        times = listener.milliseconds(written) if listener is not None else []
        latency = [f"{statistics.median(times):.1f}", f"{percentile(times, 0.99):.1f}"] if times else ["", ""]
        seen = f"{len(times)}/{len(written)}" if listener is not None else ""
        rows.append(
            [
                follower.name,
                f"{follower.cpu[0]:.1f}",
                f"{follower.cpu[1]:.1f}",
                f"{follower.rss[1]:.1f}",
                *latency,
                seen,
            ]
        )
    header = ["program", "idle CPU %", "CPU %", "RSS MiB", "median ms", "p99 ms", "NaN seen"]
    title = f"{FILES} logs, {GROWING} of them growing {RATE} times a second for {seconds:.0f} s"
    print_table(f"{title} ({machine()})", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
