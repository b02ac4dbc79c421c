"""A real browser without a window (Chromium, driven over the DevTools protocol), and what is served to it."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.command import environment
from tests.support.prometheus import program

TIMEOUT = 30.0
_PAUSE_S = 0.05
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-port=0", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--disable-dev-shm-usage", "--disable-3d-apis",
)  # fmt: skip
"""Among them: no WebGL, which takes all of a machine that has no graphics card."""
_CODES = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("\t", 9)}
_FIND_TERMINAL = """
Object.defineProperty(Object.prototype, "fitAddon", {
  configurable: true,
  set(addon) {
    window.shown = this.terminal;
    Object.defineProperty(this, "fitAddon", { value: addon, writable: true });
  },
});
"""
"""The page keeps its terminal to itself: this takes note of it, as it is made."""
_TEXT = """
(() => {
  const shown = window.shown && window.shown.buffer.active;
  if (!shown) return "";
  return Array.from({ length: window.shown.rows }, (_, row) => {
    const line = shown.getLine(shown.baseY + row);
    return line ? line.translateToString(true) : "";
  }).join("\\n");
})()
"""


class Page:
    """A page in the browser; `asked` are the addresses that it has fetched from."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.asked: list[str] = []
        self._socket, self._numbers = socket, count(1)

    async def open(self, url: str) -> None:
        """Go to *url*."""
        for domain in ("Page", "Network", "Runtime"):
            await self.call(f"{domain}.enable")
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=_FIND_TERMINAL)
        await self.call("Page.navigate", url=url)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive(TIMEOUT)).data)
            if message.get("method") == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.asked.append(message["params"]["url"])
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    async def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def text(self) -> str:
        """Return what the terminal in the page shows."""
        return str(await self.value(_TEXT))

    async def wait_for(self, *wanted: str) -> str:
        """Wait until the terminal shows all that is *wanted*, and return what it shows."""
        text = ""
        try:
            async with asyncio.timeout(TIMEOUT):
                while True:
                    text = await self.text()
                    if all(part in text for part in wanted):
                        return text
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            raise AssertionError(f"no {wanted} in the browser:\n{text}") from None

    async def wait_until(self, expression: str) -> None:
        """Wait until an expression in the page is true."""
        async with asyncio.timeout(TIMEOUT):
            while not await self.value(expression):
                await asyncio.sleep(_PAUSE_S)

    async def press(self, *keys: str) -> None:
        """Press keys: characters, or names such as Enter."""
        for key in keys:
            text, code = _CODES.get(key, (key, ord(key[0].upper())))
            event = {"key": key, "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code}
            await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def picture(self) -> bytes:
        """Return the page as a PNG."""
        result = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(result["data"])


@asynccontextmanager
async def browser_page(folder: Path, width: int = 1000, height: int = 600) -> AsyncIterator[Page]:
    """Run a browser with its profile in *folder*, and give its page; the test is skipped where there is none."""
    command = [program("chromium"), *_OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={folder}"]
    with subprocess.Popen([*command, "about:blank"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            port = await asyncio.wait_for(_port(folder), TIMEOUT)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [target for target in await answer.json() if target["type"] == "page"]
                url = pages[0]["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    yield Page(socket)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


async def _port(folder: Path) -> int:
    """Wait until the browser has written down the port at which it listens, and return it."""
    note = folder / "DevToolsActivePort"
    while not (note.exists() and "\n" in note.read_text()):
        await asyncio.sleep(_PAUSE_S)
    return int(note.read_text().split()[0])


@contextmanager
def served(home: Path, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `nanwatch tail --serve` in the folder *home*, on a free port; give its process and its address."""
    argv = [sys.executable, "-m", "nanwatch", "tail", *arguments, "--serve", ":0"]
    with subprocess.Popen(
        argv, cwd=home, env=environment(home, XDG_STATE_HOME=str(home / "state"), **more),
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            first, second = (process.stderr.readline().decode() for _ in range(2))
            assert first.startswith("nanwatch: the dashboard is at http://127.0.0.1:")
            url = first.split()[5].rstrip("/")
            port = url.rpartition(":")[2]
            assert second.rstrip().endswith(f"ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}")
            yield process, url
        finally:
            if process.poll() is None:
                process.kill()
