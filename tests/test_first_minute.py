"""A person's first minute with the dashboard, in a real terminal and in a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.browser import TIMEOUT, browser_page, served
from tests.support.command import environment
from tests.support.logs import capture, yolo_story
from tests.support.tmux import Terminal, terminal

HEALTHY = ("custom_cod/cod_pty_healthy", "keras/keras_3.15_redirect", "lightning/pl_2.6_pty_tqdm")
TAIL = f"{sys.executable} -m nanwatch tail"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with logs of which one is bad."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in HEALTHY:
        (logs / f"{Path(name).name}.log").write_bytes(capture(name))
    (logs / "yolo.log").write_bytes(yolo_story()[0])
    return tmp_path


@contextmanager
def clean_terminal(home: Path, term: str = "tmux-256color", **more: str) -> Iterator[Terminal]:
    """Open a terminal, and see to it that it is found as it was."""
    own = environment(home, XDG_STATE_HOME=str(home / "state"), **more)
    kept = ("PATH", "HOME", "PYTHON", "XDG_", "NO_COLOR")
    env = {name: value for name, value in own.items() if name.startswith(kept)}
    with terminal(home, {**env, "LANG": "C.UTF-8"}, term=term) as shown:
        before = shown.run("stty -a"), shown.modes
        yield shown
        shown.wait_for_prompt()
        assert (shown.run("stty -a"), shown.modes) == before
        shown.tmux("set-buffer", "pasted")
        shown.tmux("paste-buffer", "-p")
        assert "200~" not in shown.wait_for("pasted")


def wait_for_bad_run(shown: Terminal, name: str = "yolo") -> str:
    """Wait until the bad run stands first, with its reason."""
    return shown.wait_until(lambda text: f"\nX {name} " in text and "VRAM 4.2" in text, "bad run")


def first_row(text: str) -> str:
    """Return the first row under the heading of the list."""
    lines = text.splitlines()
    return lines[[line[:5] for line in lines].index("H RUN") + 1]


def colours(text: str) -> set[int]:
    """Return the numbers of the colours that *text* sets, other than the terminal's own two."""
    codes = (int(code) for sent in re.findall(r"\x1b\[([\d;]+)m", text) for code in sent.split(";"))
    return {code for code in codes if (30 <= code <= 49 or code >= 90) and code not in (39, 49)}


def test_the_first_minute_in_a_terminal(home: Path) -> None:
    """The bad run is first; Enter leads to it, 4 to its alerts, Enter to the line, x silences, q leaves it clean."""
    with clean_terminal(home) as shown:
        shown.line(f"{TAIL} logs")
        assert first_row(wait_for_bad_run(shown)).startswith("X yolo")
        shown.type("Enter")
        shown.wait_for("[1 Overview]", "4.71 G")
        shown.type("4")
        shown.wait_for("[4 Alerts", "nan_burst", "X FIRING")
        shown.type("Enter")
        text = shown.wait_until(lambda text: re.search(r"\[5 Log\](?s:.)*\n›", text), "line of the alert")
        assert "nan" in next(line for line in text.splitlines() if line.startswith("›"))
        shown.type("4")
        shown.wait_for("[4 Alerts", "nan_burst")
        shown.type("x")
        shown.wait_for("Silence nan_burst", "for 1 hour")
        shown.type("Enter")
        shown.wait_for("z silenced", "nan_burst silenced for 1 hour")
        shown.type("q")
        shown.wait_for("H RUN")
        shown.type("q")
        assert shown.code() == 0


def test_the_first_minute_in_a_browser(home: Path, tmp_path: Path) -> None:
    """The same in a browser: keys arrive without a click, nothing is fetched from elsewhere, q ends only the page."""

    async def main(url: str) -> None:
        async with browser_page(tmp_path / "browser") as page:
            await page.open(url)
            assert first_row(await page.wait_for("X yolo ", "VRAM 4.2")).startswith("X yolo")
            await page.press("Enter")
            await page.wait_for("[1 Overview]", "4.71 G")
            await page.press("4")
            await page.wait_for("[4 Alerts", "nan_burst", "X FIRING")
            await page.press("Enter")
            text = await page.wait_for("[5 Log]", "\n›")
            assert "nan" in next(line for line in text.splitlines() if line.startswith("›"))
            await page.press("4")
            await page.wait_for("[4 Alerts", "nan_burst")
            await page.press("x")
            await page.wait_for("Silence nan_burst")
            await page.press("Enter")
            await page.wait_for("z silenced")
            await page.press("q")
            await page.wait_for("H RUN")
            assert (await page.picture()).startswith(b"\x89PNG")
            await page.press("q")
            await page.wait_until("getComputedStyle(document.querySelector('#ended')).display === 'block'")
            await page.press("Enter")
            await page.wait_for("yolo", "H RUN")
            assert await page.value("document.title") == "nanwatch"
            places = {address.split("://")[1].split("/")[0] for address in page.asked if "://" in address}
            assert places == {url.removeprefix("http://")}

    with served(home, "logs") as (process, url):
        asyncio.run(main(url))
        process.terminate()
        assert process.communicate(timeout=TIMEOUT) == (b"", b"")
        assert process.returncode == 0


@pytest.mark.parametrize(("term", "more", "most"), [("screen", {}, 107), ("tmux-256color", {"NO_COLOR": "1"}, 0)])
def test_few_colours_or_none(home: Path, term: str, more: dict[str, str], most: int) -> None:
    """Where a terminal has 16 colours, only these are used; with NO_COLOR none is; letters tell what is bad."""
    with clean_terminal(home, term, **more) as shown:
        shown.line(f"{TAIL} logs")
        assert first_row(wait_for_bad_run(shown)).startswith("X yolo")
        used = colours(shown.screen(escapes=True))
        assert bool(used) is bool(most)
        assert not used & {38, 48}
        shown.type("q")
        assert shown.code() == 0


def test_other_sizes(home: Path) -> None:
    """The dashboard stays whole in a window of 40 by 10, and fills the old one again."""
    with clean_terminal(home) as shown:
        shown.line(f"{TAIL} logs")
        wait_for_bad_run(shown)
        shown.resize(40, 10)
        shown.wait_until(lambda text: "yolo" in text and len(text.splitlines()) <= 10, "small dashboard")
        shown.type("Enter")
        shown.wait_for("◂")
        shown.resize(80, 24)
        shown.wait_for("[1 Overview]", "4.71 G")
        shown.type("q")
        wait_for_bad_run(shown)
        shown.type("C-c")
        assert shown.code() == 0


@pytest.mark.parametrize("end", ["C-c", "TERM"])
def test_an_abrupt_end(home: Path, end: str) -> None:
    """Ctrl-C and SIGTERM, in the middle of reading as well, leave the terminal as it was."""
    with clean_terminal(home) as shown:
        shown.line(f"sh -c 'echo $$ > pid; exec {TAIL} logs'")
        shown.wait_for("H RUN")
        if end == "C-c":
            shown.type(end)
        else:
            os.kill(int((home / "pid").read_text()), signal.SIGTERM)
        assert shown.code() in (0, 143)


def test_a_pipe_is_shown(home: Path) -> None:
    """A log from a pipe is shown as it comes, keys come from the terminal, and the end of the pipe is told."""
    fifo = home / "more"
    os.mkfifo(fifo)
    with clean_terminal(home) as shown:
        shown.line(f"cat {fifo} | {TAIL} -")
        with fifo.open("wb", buffering=0) as pipe:
            shown.wait_for("H RUN")
            pipe.write(yolo_story()[0])
            wait_for_bad_run(shown, "stdin")
            shown.type("Enter")
            shown.wait_for("[1 Overview]")
            pipe.write(b"Traceback (most recent call last):\nRuntimeError: CUDA out of memory\n")
            shown.wait_for("out of memory")
        shown.wait_for("the pipe was closed")
        shown.type("q")
        shown.wait_for("H RUN")
        shown.type("q")
        assert shown.code() == 0
