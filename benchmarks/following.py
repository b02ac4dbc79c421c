"""What it costs to follow 1,000 logs of which 50 grow ten times a second, beside `tail -F` and bare watchdog."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import BenchmarkError, arguments, machine, percentile, print_table, ratio, run_main, spread

FILES, GROWING, HERTZ = 1000, 50, 10
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MARK = b"@"

Seen = Callable[[bytes], None]


# -- the programs, each in a process of its own; at the end it prints the nanoseconds from each write to its notice,
#    or which log was noticed when


def ours(folder: str, seen: Seen) -> None:
    """Our tailer, woken by our native wake."""
    from nanwatch.model.frame import Chunk
    from nanwatch.tail.tailer import Tailer
    from nanwatch.tail.wake import NativeWake

    tailer = Tailer([f"{folder}/*.log"], NativeWake(), recheck_s=10.0)
    only: set[Path] | None = None
    while True:
        for _, item in tailer.poll(only):
            if isinstance(item, Chunk):
                seen(item.data)
        only = tailer.wait(1.0)


def bare(folder: str, seen: Seen) -> None:
    """A watchdog observer whose callback does nothing but look at the clock: the floor of what we build upon."""
    from watchdog.events import FileModifiedEvent, FileSystemEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    del seen  # it does not read: which write an event was for is found out afterwards

    class Handler(FileSystemEventHandler):
        def dispatch(self, event: FileSystemEvent) -> None:
            SEEN.append(f"{os.fsdecode(event.src_path)}={time.time_ns()}")

    observer = Observer()
    observer.schedule(Handler(), folder, event_filter=[FileModifiedEvent])
    observer.start()
    threading.Event().wait()


def tail_f(folder: str, seen: Seen) -> None:
    """`tail -F` of the same files, read through a pipe; its reader is not counted."""
    paths = sorted(map(str, Path(folder).glob("*.log")))
    command = ["tail", "-q", "-n", "0", "-F", *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        print(process.pid, flush=True)
        assert process.stdout is not None
        while data := os.read(process.stdout.fileno(), 1 << 16):
            seen(data)


PROGRAMS = {"nanwatch": ours, "watchdog": bare, "tail -F": tail_f}
SEEN: list[object] = []


def see(data: bytes) -> None:
    """Note how old the writes in *data* are."""
    now = time.time_ns()
    for part in data.split(MARK)[1:]:
        stamp = part.split(b"\n", 1)[0]
        if len(stamp) == 19:
            SEEN.append(now - int(stamp))


def child(name: str, folder: str) -> None:
    """Run one of the programs until standard input is closed, then print what it saw."""

    def stop() -> None:
        for line in sys.stdin:
            if line == "from now\n":
                SEEN.clear()
        print(*SEEN, flush=True)
        os._exit(0)

    if name != "tail -F":
        print(os.getpid(), flush=True)
    threading.Thread(target=stop, daemon=True).start()
    PROGRAMS[name](folder, see)


# -- measuring


@dataclass(slots=True)
class Program:
    """A program under way, and its figures, one a round."""

    name: str
    process: subprocess.Popen[str]
    pid: int
    cpu: list[float] = field(default_factory=list)  # per cent of one core
    rss: list[float] = field(default_factory=list)  # MiB
    descriptors: int = 0
    delays: list[float] = field(default_factory=list)  # milliseconds

    def ticks(self) -> int:
        """User and system time used so far."""
        return _stat(self.pid, 11) + _stat(self.pid, 12)


def _stat(pid: int, index: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[index])


def start(name: str, folder: str) -> Program:
    """Start a program and wait until it says which process is to be measured."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--child", name, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return Program(name, process, int(process.stdout.readline()))


def write(logs: Sequence[Path], seconds: float) -> list[tuple[str, int]]:
    """Append to the logs in turn, evenly spread, and return which was written when."""
    files = [os.open(log, os.O_WRONLY | os.O_APPEND) for log in logs]
    begun = time.perf_counter()
    written: list[tuple[str, int]] = []
    try:
        while (due := len(written) / (HERTZ * len(files))) < seconds:
            time.sleep(max(0.0, begun + due - time.perf_counter()))
            number, now = len(written) % len(files), time.time_ns()
            os.write(files[number], b"epoch 1 loss 0.1 " + MARK + b"%d\n" % now)
            written.append((str(logs[number]), now))
    finally:
        for fd in files:
            os.close(fd)
    return written


def delays(words: Sequence[str], written: Sequence[tuple[str, int]]) -> list[float]:
    """Return the milliseconds from each write to its notice."""
    if not words or "=" not in words[0]:
        return [int(word) / 1e6 for word in words]
    noticed: dict[str, list[int]] = {}
    for word in words:
        path, _, at = word.rpartition("=")
        noticed.setdefault(path, []).append(int(at))
    found = [next((t - at for t in noticed.get(path, ()) if t >= at), None) for path, at in written]
    return [delay / 1e6 for delay in found if delay is not None]


def measure(program: Program, logs: Sequence[Path], seconds: float) -> None:
    """Let the logs grow for *seconds* under one program alone: the others would take its core."""
    assert program.process.stdin is not None
    assert program.process.stdout is not None
    time.sleep(3 if program.name != "nanwatch" else 4)  # the first look, and until no time stamp is young
    program.process.stdin.write("from now\n")
    program.process.stdin.flush()
    before, begun = program.ticks(), time.perf_counter()
    written = write(logs, seconds)
    time.sleep(0.5)
    elapsed = time.perf_counter() - begun
    program.cpu.append(100 * (program.ticks() - before) / TICK / elapsed)
    program.rss.append(_stat(program.pid, 21) * PAGE / 2**20)
    program.descriptors = len(os.listdir(f"/proc/{program.pid}/fd"))  # noqa: PTH208
    program.process.stdin.close()
    seen = delays(program.process.stdout.readline().split(), written)
    if program.name == "nanwatch" and len(seen) != len(written):
        raise BenchmarkError(f"{len(written)} lines were written, {len(seen)} were seen")
    program.delays += seen


def finish(program: Program) -> None:
    """End what was started."""
    program.process.kill()
    program.process.wait()
    if program.process.stdout is not None:
        program.process.stdout.close()
    if program.name == "tail -F":
        subprocess.run(["kill", str(program.pid)], check=False, stderr=subprocess.DEVNULL)


def rounds(folder: str, runs: int, seconds: float) -> dict[str, Program]:
    """Measure the programs in turns; return their figures."""
    logs = [Path(folder, f"run-{number:04}.log") for number in range(FILES)]
    for log in logs:
        log.write_bytes(b"epoch 0 loss 0.1\n")
    found: dict[str, Program] = {}
    for _ in range(runs):
        for name in PROGRAMS:
            program = start(name, folder)
            try:
                measure(program, logs[:: FILES // GROWING], seconds)
            finally:
                finish(program)
            before = found.setdefault(name, program)
            if before is not program:
                before.cpu += program.cpu
                before.rss += program.rss
                before.delays += program.delays
    return found


def main() -> None:
    """Measure and print."""
    args = arguments("The cost of following growing logs.", runs=3)
    if sys.platform != "linux":
        raise BenchmarkError("needs /proc, so Linux")
    seconds = 3.0 if args.quick else 10.0
    with tempfile.TemporaryDirectory() as folder:
        found = rounds(folder, 1 if args.quick else args.runs, seconds)
    base, floor = found["tail -F"], found["watchdog"]
    header = ["program", "min CPU %", "median", "max", "/ tail", "/ watchdog", "RSS MiB", "/ tail", "files open"]
    header += ["median ms", "p99 ms"]
    rows = []
    for program in found.values():
        latency = [percentile(program.delays, share) if program.delays else 0.0 for share in (0.5, 0.99)]
        row = [program.name, *spread(program.cpu, 1), ratio(program.cpu, base.cpu), ratio(program.cpu, floor.cpu)]
        row += [spread(program.rss, 1)[1], ratio(program.rss, base.rss), str(program.descriptors)]
        rows.append([*row, *(f"{delay:.2f}" for delay in latency)])
    title = f"{FILES} logs, {GROWING} growing {HERTZ} times a second, {seconds:.0f} s a round ({machine()})"
    print_table(title, header, rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    sys.exit(run_main(main))
