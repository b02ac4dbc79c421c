"""How soon the dashboard shows something, how soon it obeys a key, and what it costs, in a terminal of its own.

The program is the real one, `nanwatch tail` in a pseudo-terminal. What it draws is read as bytes, redraw by redraw;
a time ends with the last byte of the redraw that shows what was waited for. One round to warm up is not counted: it
writes the byte code, and reads the logs into the page cache. `python benchmarks/dashboard.py first keys` measures
these two parts only; the others are `memory`, `growth` and `log`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    BenchmarkError,
    arguments,
    environment,
    machine,
    measure,
    percentile,
    print_table,
    ratio,
    run_main,
    story_log,
)
from benchmarks.screen import Frame, Seen, Terminal, shows

SMALL, LARGE = (80, 24), (200, 60)
SPEED = 120  # simulated seconds in one
HERTZ = 10  # lines a second and run
WRITTEN = 50  # runs
TEXTUAL = """
from textual.app import App
from textual.widgets import Static

class Least(App):
    def compose(self):
        yield Static("run-000 1/150")

Least().run()
"""
LEAST = [sys.executable, "-c", TEXTUAL]
TABS = ((b"1", r"\[1 Ov"), (b"2", r"\[2 C"), (b"3", r"\[3 Ep"), (b"4", r"\[4 Al"), (b"5", "FOLLOW"))
PIECE = re.compile(rb"[\r\n][^\r\n]*")
BATCH = re.compile(rb"Epoch (\d+)/150 \[Train\]:.*\| ([1-9]\d*)/\d+ ")


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part of the benchmark needs: the command, its environment, a folder, and how much is to be done."""

    command: list[str]
    env: dict[str, str]
    folder: Path
    quick: bool
    runs: int

    def tail(self, *logs: Path | str, size: tuple[int, int] = SMALL) -> Terminal:
        """Start the dashboard on *logs*; it remembers nothing of the time before."""
        state = tempfile.mkdtemp(dir=self.folder)
        return Terminal([*self.command, "tail", *map(str, logs)], {**self.env, "XDG_STATE_HOME": state}, *size)

    def least(self) -> Terminal:
        """Start the smallest program that Textual allows."""
        return Terminal(LEAST, self.env, *SMALL)

    def copies(self, name: str, count: int, data: bytes) -> str:
        """Write *count* logs with *data* in a folder of their own; return the pattern that finds them."""
        folder = self.folder / name
        folder.mkdir()
        for number in range(count):
            (folder / f"run-{number:03}.log").write_bytes(data)
        return f"{folder}/*.log"


def terminal_environment(folder: Path) -> dict[str, str]:
    """A terminal with colours, folders of its own, and byte code that is kept."""
    env = {**environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env |= {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    return {name: value for name, value in env.items() if name not in ("NO_COLOR", "PYTHONDONTWRITEBYTECODE")}


def is_caught_up(runs: int) -> Seen:
    """Return what tells whether the first row says that all *runs* were read to their ends."""
    counted = re.compile(rf"nanwatch +{runs} runs?\b")
    return lambda frame: (
        counted.search(row := frame.rows.get(1, "")) is not None and not re.search("opened|history|behind", row)
    )


def _twenty_epochs(story: bytes) -> int:
    """Return how many bytes of the cod story of 1 MB tell of twenty epochs: some 200 kB."""
    return story.index(b"\rEpoch 21/150 [Train]")


# -- 1. the first picture


@dataclass(slots=True)
class Opened:
    """Milliseconds from the start of a program to its first picture, its first value, and until all is read."""

    name: str
    picture: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)


def first_picture(bench: Bench) -> None:
    """Measure how long nothing, or nothing of worth, is seen."""
    large, _ = story_log("yolo", "1M" if bench.quick else "1G")
    data = story_log("yolo", "100K")[0].read_bytes()
    few, many = (3, 6) if bench.quick else (50, 200)
    cases = {
        f"one log of {large.name.split('-')[1]}": (str(large), 1),
        f"{few} logs of 100 kB": (bench.copies("few", few, data), few),
        f"{many} logs of 100 kB": (bench.copies("many", many, data), many),
    }
    found = {name: Opened(name) for name in ["`python -c pass`", "Textual, one Static", *cases]}
    cold: list[float] = []
    for number in range(bench.runs + 1):  # the first one is to warm up
        if number == 1:
            cold, found = [], {name: Opened(name) for name in found}
        found["`python -c pass`"].picture.append(1000 * measure([sys.executable, "-c", "pass"], bench.env).wall)
        with bench.least() as least:
            found["Textual, one Static"].picture.append(_since_start(least, shows("run-000")))
        for name, (logs, count) in cases.items():
            _open(bench, logs, count, found[name])
        cold.append(1000 * measure([*bench.command, "summary", "--no-cache", str(large)], bench.env).wall)
    rows = [[o.name, *_middle(o.picture), *_middle(o.value), *_middle(o.all)] for o in found.values()]
    rows.append(["`summary --no-cache` of that one log", "-", "-", "-", "-", *_middle(cold)])
    header = ["program, 80x24", "first picture ms", "max", "first value ms", "max", "all read ms", "max"]
    print_table(f"From its start to what is seen, median of {bench.runs} ({machine()})", header, rows)


def _open(bench: Bench, logs: str, count: int, found: Opened) -> None:
    with bench.tail(logs) as tail:
        found.picture.append(_since_start(tail, shows(r"run-\d|yolo-")))
        found.value.append(_since_start(tail, shows(r"\d/(50|100|150)\b")))
        found.all.append(_since_start(tail, is_caught_up(count)))


def _since_start(terminal: Terminal, seen: Seen) -> float:
    return 1000 * (terminal.wait(seen, patience=120).at - terminal.begun)


def _middle(values: Sequence[float]) -> list[str]:
    return [f"{statistics.median(values):.0f}", f"{max(values):.0f}"] if values else ["-", "-"]


# -- 2. keys


@contextlib.contextmanager
def writing(pattern: str, at: int) -> Iterator[None]:
    """Let the logs grow by the rest of the story, which they hold up to byte *at*, in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__, "--write", pattern, str(at)], start_new_session=True)
    try:
        yield
        if process.poll() is not None:
            raise BenchmarkError("the writer has ended")
    finally:
        process.kill()
        process.wait()


def write(pattern: str, at: int) -> None:
    """Append a line to each log in turn, evenly spread, until the story ends."""
    files = [os.open(log, os.O_WRONLY | os.O_APPEND) for log in sorted(Path(pattern).parent.glob("*.log"))]
    begun, written, parent = time.perf_counter(), 0, os.getppid()
    for piece in PIECE.findall(story_log("cod", "1M")[0].read_bytes()[at:]):
        if os.getppid() != parent:
            return  # it was killed
        for fd in files:
            time.sleep(max(0.0, begun + written / (HERTZ * len(files)) - time.perf_counter()))
            os.write(fd, piece)
            written += 1


@dataclass(slots=True)
class Load:
    """What a dashboard under one load answered, and what it cost."""

    name: str
    keys: dict[str, list[float]] = field(default_factory=dict)  # milliseconds
    resting: tuple[float, float] = (0.0, 0.0)  # per cent of a core, bytes a second
    pressed: tuple[float, float] = (0.0, 0.0)


def keys(bench: Bench) -> None:
    """Measure how long a key takes to show, and what that costs."""
    story = story_log("cod", "1M")[0].read_bytes()
    at = _twenty_epochs(story)
    loads, runs = [], 5 if bench.quick else WRITTEN
    for size in (SMALL,) if bench.quick else (SMALL, LARGE):
        for is_written in (False, True):
            pattern = bench.copies(f"{size[0]}-{is_written}", runs, story[:at])
            load = Load(f"{size[0]}x{size[1]}, {f'{runs * HERTZ} lines a second' if is_written else 'idle'}")
            with writing(pattern, at) if is_written else contextlib.nullcontext(), bench.tail(pattern, size=size) as t:
                t.wait(is_caught_up(runs), patience=120)
                time.sleep(0.5 if bench.quick else 5)  # what was put off at the start
                load.resting = _cost(t, lambda: time.sleep(1 if bench.quick else 10))
                load.pressed = _cost(t, lambda: _press_all(t, 2 if bench.quick else 100, load.keys))  # noqa: B023
            loads.append(load)
    _report_keys(loads, runs)


def _cost(terminal: Terminal, work: Callable[[], None]) -> tuple[float, float]:
    cpu, written, begun = terminal.cpu, terminal.written, time.perf_counter()
    work()
    passed = time.perf_counter() - begun
    return 100 * (terminal.cpu - cpu) / passed, (terminal.written - written) / passed


def _press_all(t: Terminal, count: int, found: dict[str, list[float]]) -> None:
    rng = random.Random(1)

    def press(name: str, key: bytes, seen: Seen) -> None:
        time.sleep(rng.uniform(0.05, 0.15))
        found.setdefault(name, []).append(t.press(key, seen))

    for number in range(count):
        press("list: `j`, `k`", b"k" if number // 10 % 2 else b"j", _at_other_run(t))
    for _ in range(count // 2):
        press("list: `enter`", b"\r", shows("log at the trouble"))
        press("run: `escape`", b"\x1b", shows("enter open"))
    for _ in range(count // 2):
        press("list: `2`", b"2", shows("h l cursor"))
        press("run: `q`", b"q", shows("enter open"))
    t.press(b"2", shows("h l cursor"))
    t.press(b"h" * 8, shows(r"cursor e\d+ b"))
    for number in range(count):
        is_back = number // 2 % 2 == 0
        press("curves: `h`, `l`", b"h" if is_back else b"l", _cursor_moved(t, is_back))
    t.press(b"5", shows("FOLLOW"))
    for _ in range(count // 2):
        press("log: `ctrl+u`", b"\x15", shows("PAUSED"))
        press("log: `G`", b"G", shows("FOLLOW"))


def _at_other_run(t: Terminal) -> Seen:
    """Return what tells whether the cursor is at another run than now: a redraw of what came in leaves it there."""

    def run(frame: Frame) -> str:
        found = re.search(r"run-\d+", frame.chosen)
        return found[0] if found else ""

    before = run(t.last(lambda frame: run(frame) != ""))
    return lambda frame: run(frame) not in ("", before)


def _cursor_moved(t: Terminal, is_back: bool) -> Seen:
    """Return what tells whether the cursor of the curve went further than what comes in between could push it."""

    def place(frame: Frame) -> int | None:
        found = re.search(r"cursor e(\d+) b(\d+)", frame.text)
        return int(found[1]) * 46 + int(found[2]) if found else None

    before = place(t.last(lambda frame: place(frame) is not None)) or 0

    def has_moved(frame: Frame) -> bool:
        now = place(frame)
        return now is not None and (before - now if is_back else now - before) > 3

    return has_moved


def _report_keys(loads: Sequence[Load], runs: int) -> None:
    rows = []
    for key in loads[0].keys:
        for idle, busy in zip(loads[::2], loads[1::2], strict=True):
            figures = [f"{percentile(load.keys[key], share):.1f}" for load in (idle, busy) for share in (0.5, 0.95)]
            size = idle.name.partition(",")[0]
            rows.append([key, size, *figures, ratio(busy.keys[key], idle.keys[key]), str(len(busy.keys[key]))])
    header = ["key", "size", "idle median ms", "p95", "written median ms", "p95", "/ idle", "presses"]
    title = f"From a key to the last byte of its redraw; {runs} runs, idle and at {runs * HERTZ} lines a second"
    print_table(f"{title} ({machine()})", header, rows)
    rows = [[x.name, *(f"{v:.1f}" for p in (x.resting, x.pressed) for v in (p[0], p[1] / 1000))] for x in loads]
    header = ["size and load", "CPU % of a core", "kB/s drawn", "CPU % with keys", "kB/s drawn"]
    print_table(f"What that costs, in the list and while keys are pressed ({machine()})", header, rows)


# -- 3. and 4. memory


def memory(bench: Bench) -> None:
    """Measure the memory that many runs take."""
    count = 5 if bench.quick else 200
    story = story_log("cod", "1M")[0].read_bytes()
    pattern = bench.copies("memory", count, story[: _twenty_epochs(story)])
    with bench.least() as least:
        least.wait(shows("run-000"))
        time.sleep(1)
        base = [least.rss]
    with bench.tail(pattern, size=(120, 40)) as tail:
        tail.wait(is_caught_up(count), patience=120)
        tail.wait(shows("run-"))
        found = [("the list, all read", tail.rss)]
        for key, text in TABS:
            tail.press(key, shows(text))
            time.sleep(0.2 if bench.quick else 1)
        found.append(("each tab of a run was opened once", tail.rss))
    rows = [["Textual, one Static", f"{base[0]:.1f}", "1.00x"]]
    rows += [[f"{count} runs, {name}", f"{rss:.1f}", ratio([rss], base)] for name, rss in found]
    print_table(f"Resident memory ({machine()})", ["program", "MiB", "/ Textual"], rows)


def growth(bench: Bench) -> None:
    """Measure what an hour of writing adds to the memory, with the hour made short."""
    count, minutes = (2, 4) if bench.quick else (10, 60)
    story = story_log("cod", "1M" if bench.quick else "5M")[0].read_bytes()
    first = story.index(b"\rEpoch 2/150 [Train]")
    pieces = PIECE.findall(story[first:])[: minutes * 60 * HERTZ]
    pattern = bench.copies("growth", count, story[:first])
    with bench.tail(pattern) as tail:
        tail.wait(is_caught_up(count), patience=60)
        begun, cpu, found = time.perf_counter(), tail.cpu, [("before", tail.rss)]
        minute = 0
        for minute in _minutes(sorted(Path(pattern).parent.glob("*.log")), pieces, tail):
            if minute % (minutes // 4) == 0:
                found.append((f"minute {minute}", tail.rss))
        if minute < minutes - 1:
            raise BenchmarkError(f"the story ends after {minute} minutes")
        seconds, cpu = time.perf_counter() - begun, tail.cpu - cpu
    rows = [[name, f"{rss:.1f}", f"{rss - found[1][1]:+.1f}"] for name, rss in found]
    title = f"Resident memory, {count} runs that write {len(pieces):,} lines each, {minutes} minutes in {seconds:.0f} s"
    print_table(f"{title}, CPU {cpu:.0f} s ({machine()})", ["after", "MiB", "since the first quarter"], rows)


def _minutes(logs: Sequence[Path], pieces: Sequence[bytes], tail: Terminal) -> Iterator[int]:
    """Write *pieces* to all logs and yield each minute once the dashboard shows its last batch."""
    minute, due = 1, time.perf_counter()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(log.open("ab", buffering=0)) for log in logs]
        for number, piece in enumerate(pieces, start=1):
            begun = time.perf_counter()
            for file in files:
                file.write(piece)
            if number % HERTZ == 0:
                due = max(due + 1 / SPEED, begun)
                time.sleep(max(0.0, due - time.perf_counter()))
            is_last = number == len(pieces)
            if (number >= minute * 60 * HERTZ or is_last) and (batch := BATCH.search(piece)):
                epoch, place = map(int, batch.groups())
                told = rf"epoch {epoch}/150 +batch ({place:,}|{place + 1:,})/"  # the one that is done, or under way
                tail.wait(shows(told), begun, what=told)
                yield minute
                minute += 1


# -- 5. the log


def log(bench: Bench) -> None:
    """Measure how long it takes to get about in a log."""
    small = story_log("yolo", "1M")
    cases = [small] if bench.quick else [small, story_log("yolo", "1G")]
    rows = []
    for path, facts in cases:
        literal = _literal(path, facts["metrics"])
        found, seconds = _get_about(bench, path, literal)
        name = path.name.split("-")[1]
        for key, values in found.items():
            figures = (statistics.median(values), percentile(values, 0.95))
            rows.append([f"{name}: {key}", *(f"{v:.1f}" for v in figures), str(len(values))])
        grep = 1000 * measure(["grep", "-c", "-a", "-F", literal, str(path)], bench.env).wall
        rows.append([f"{name}: the first search for it", f"{seconds:.1f}", "-", "1"])
        rows.append([f"{name}: `grep -c -a -F`", f"{grep:.1f}", "-", "1"])
    title = f"From the last key to the last byte of what it shows, 80x24 ({machine()})"
    print_table(title, ["log: key", "median ms", "p95 ms", "times"], rows)


def _literal(path: Path, metrics: dict[str, float]) -> str:
    """Return what stands once in the log, late if the log has metrics."""
    literal = f"{metrics['R']:.3g}{metrics['mAP50']:11.3g}" if metrics else "Starting training"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if not 0 <= data.find(literal.encode()) == data.rfind(literal.encode()):
            raise BenchmarkError(f"{literal!r} does not stand once in {path.name}")
    return literal


def _get_about(bench: Bench, path: Path, literal: str) -> tuple[dict[str, list[float]], float]:
    start, end, elsewhere = shows("PAUSED.*line 1 of"), shows("FOLLOW"), shows(r"PAUSED.*line (?!1 of)\d")
    found: dict[str, list[float]] = {"`g`, start": [], "`G`, end": [], "`:50%`": [], "`n`, to the hit": []}

    rounds, pause = (2, 0.1) if bench.quick else (20, 0.3)

    def press(name: str, key: bytes, seen: Seen) -> None:
        time.sleep(pause)
        milliseconds = tail.press(key, seen)
        if name:
            found[name].append(milliseconds)

    def type_in(sign: str, text: str) -> None:
        press("", sign.encode(), shows(rf"^\{sign}"))
        press("", text.encode(), shows(re.escape(text)))

    with bench.tail(path) as tail:
        tail.wait(is_caught_up(1), patience=120)
        tail.press(b"5", end)
        tail.wait(shows(r"line [\d,]+ of [\d,]+"), patience=120)
        for _ in range(rounds):
            press("`g`, start", b"g", start)
            press("`G`, end", b"G", end)
            type_in(":", "50%")
            press("`:50%`", b"\r", elsewhere)
        press("", b"g", start)
        type_in("/", literal)
        first = tail.press(b"\r", elsewhere, patience=60)
        tail.wait(shows("hit 1 of 1"), patience=60)
        for _ in range(rounds):
            press("", b"g", start)
            press("`n`, to the hit", b"n", elsewhere)
    return found, first


PARTS: dict[str, Callable[[Bench], None]] = {
    "first": first_picture, "keys": keys, "memory": memory, "growth": growth, "log": log,
}  # fmt: skip


def main() -> None:
    """Measure and print the parts that are named, or all."""
    parts = [word for word in sys.argv[1:] if word in PARTS]
    sys.argv[1:] = [word for word in sys.argv[1:] if word not in PARTS]
    args = arguments("How soon the dashboard shows something, and what it costs.", runs=5)
    if sys.platform != "linux":
        raise BenchmarkError("needs /proc, so Linux")
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit(130))  # what was started is ended on the way out
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(args.command, terminal_environment(folder), folder, args.quick, 1 if args.quick else args.runs)
        for part in parts or PARTS:
            load = " ".join(f"{value:.1f}" for value in os.getloadavg())
            print(f"{part}: load average {load}", file=sys.stderr, flush=True)
            PARTS[part](bench)
            sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(run_main(main))
