"""The dashboard's web server: its addresses, who may visit, how many, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType

from nanwatch.errors import UsageError
from nanwatch.views.dashboard.web import server, visitor
from nanwatch.views.dashboard.web.address import Address, is_loopback_asked, is_own_origin, read_address
from tests.support.browser import served
from tests.support.command import ROOT, TIMEOUT, environment, run
from tests.support.prometheus import program

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound to it
STUB = """
import os, sys, signal
if "hang" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def show(text):
    data = text.encode()
    sys.stdout.buffer.write(b"D" + len(data).to_bytes(4, "big") + data)
    sys.stdout.buffer.flush()
if "fail" in sys.argv:
    sys.exit("no such config")
if "nonsense" in sys.argv:
    print("." * 100000, flush=True)
sys.stdout.buffer.write(b"__GANGLION__\\n")
show(f"pid {os.getpid()} size {os.environ['COLUMNS']}x{os.environ['ROWS']}")
print("a word on stderr", file=sys.stderr)
while "hang" in sys.argv:
    signal.pause()
while "flood" in sys.argv:
    show("." * 60000)
while head := sys.stdin.buffer.read(5):
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if b"quit" in data:
        break
    show("got " + data.decode())
"""
"""Speaks as Textual's driver for browsers does, and says what it was told."""


class Site:
    """A server that is running, and what it said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.session = aiohttp.ClientSession()

    @property
    def url(self) -> str:
        """Where its page is, without the slash."""
        return next(word for word in self.said[0].split() if word.startswith("http")).rstrip("/")

    def visit(
        self, query: str = "", **headers: str
    ) -> aiohttp.client._BaseRequestContextManager[aiohttp.ClientWebSocketResponse[bool]]:
        """Open a dashboard as the page does."""
        return self.session.ws_connect(f"{self.url}/ws{query}", headers={"Origin": self.url, **headers})


async def said(site: Site, wanted: str) -> str:
    """Wait until the server has said *wanted*, and return that line."""
    async with asyncio.timeout(TIMEOUT):
        while not (lines := [line for line in site.said if wanted in line]):
            await asyncio.sleep(0.01)
    return lines[0]


@asynccontextmanager
async def serving(*stub: str) -> AsyncIterator[Site]:
    """Serve stubs instead of dashboards, on a port of their own."""
    site = Site()
    argv = [sys.executable, "-c", STUB, *stub]
    task = asyncio.create_task(server.DashboardServer(argv, Address("127.0.0.1", 0), site.said.append).run())
    try:
        async with site.session:
            await said(site, "http://")
            yield site
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asyncio.wait_for(task, TIMEOUT) == 0
    finally:
        task.cancel()


async def shown(visit: aiohttp.ClientWebSocketResponse[bool]) -> str:
    """Return the next that is shown to a visitor."""
    message = await visit.receive(TIMEOUT)
    assert message.type is WSMsgType.BINARY, message
    return str(message.data.decode())


async def close_code(visit: aiohttp.ClientWebSocketResponse[bool]) -> int | None:
    """Wait until the server closes, and return with which code."""
    while (await visit.receive(TIMEOUT)).type is WSMsgType.BINARY:
        pass
    return visit.close_code


def is_running(pid: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- addresses


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("", "127.0.0.1", 8000), ("9000", "127.0.0.1", 9000), (":9000", "127.0.0.1", 9000), ("gpu-a3:80", "gpu-a3", 80),
     (f"{EVERYWHERE}:8000", EVERYWHERE, 8000), ("[::1]:8000", "::1", 8000), ("localhost:0", "127.0.0.1", 0)],
)  # fmt: skip
def test_addresses(text: str, host: str, port: int) -> None:
    """An address is a host, a port, or both; what is left out is 127.0.0.1 and 8000."""
    assert read_address(text) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    ["x.log", "localhost", "localhost:", "::1", "::1:8000", "[::1]", "[]:80", "[::1:80", ":65536", "-1", "٣", "a b:1",
     "http://x:1", "[x]:1", " 80", "99999999999999999999"],
)  # fmt: skip
def test_wrong_addresses(text: str) -> None:
    """Anything else is refused in one line that names it."""
    with pytest.raises(UsageError) as error:
        read_address(text)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost", True), ("LOCALHOST:9", True), ("127.0.0.1:8000", True), ("127.3.2.1", True), ("[::1]:80", True),
     ("evil.example:8000", False), ("192.168.0.7", False), ("", False), ("localhost.evil.example", False),
     ("127.0.0.1.evil.example", False), ("localhost@evil.example", False), ("localhost/x", False),
     ("[::1", False), (EVERYWHERE, False)],
)  # fmt: skip
def test_names_of_this_machine(host: str, is_ours: bool) -> None:
    """Only localhost and loopback addresses are this machine for itself, at any port."""
    assert is_loopback_asked(host) is is_ours


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [("http://localhost:9", "localhost:9", True), ("https://a.example", "A.example", True),
     ("http://localhost:9", "localhost:8", False), ("http://evil.example", "localhost", False), ("null", "null", False),
     ("", "localhost", False), ("http://", "", False), ("file://localhost", "localhost", False)],
)  # fmt: skip
def test_own_origin(origin: str, host: str, is_own: bool) -> None:
    """A page is the server's own where it was asked for by the same name and port."""
    assert is_own_origin(origin, host) is is_own


def test_a_taken_port_is_said_in_a_line(tmp_path: Path) -> None:
    """A port that is taken ends the command with one line that names another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(tmp_path, "tail", "x.log", "--serve", f":{port}")
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.decode().startswith(f"nanwatch: --serve: port {port} of 127.0.0.1 is taken")
    assert result.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("x.log", "--serve", "198.51.100.1:8000"), b"198.51.100.1 is no address of this machine"),
     (("x.log", "--serve", "localhost:http"), b"--serve localhost:http: write HOST:PORT"),
     (("--serve", "--", "-"), b"standard input cannot be served")],
)  # fmt: skip
def test_what_cannot_be_served(tmp_path: Path, arguments: tuple[str, ...], said: bytes) -> None:
    """What cannot be served is refused with one line and exit code 2."""
    result = run(tmp_path, "tail", *arguments)
    assert (result.returncode, result.stdout, result.stderr.count(b"\n")) == (2, b"", 1)
    assert said in result.stderr


# -- who may visit


def test_the_page_stands_alone() -> None:
    """The page is called nanwatch, takes nothing from elsewhere, and cannot be shown inside another one."""

    async def main() -> None:
        async with serving() as site, site.session.get(f"{site.url}/") as answer:
            page = await answer.text()
            assert "<title>nanwatch</title>" in page
            assert "://" not in page
            assert site.url.removeprefix("http:") not in page
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy

    asyncio.run(main())


def test_strange_pages_open_no_dashboard() -> None:
    """A page of another origin, or what names none, gets no dashboard."""

    async def main() -> None:
        async with serving() as site:
            for origin in ("http://evil.example", "http://localhost:1", "null", ""):
                with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                    await site.visit(Origin=origin)
                assert error.value.status == 403

    asyncio.run(main())


def test_strange_names_are_refused() -> None:
    """A name that somebody made point at this machine gets neither the page nor a dashboard."""

    async def main() -> None:
        async with serving() as site:
            for path in ("/", "/ws", "/static/js/textual.js", "/download/x"):
                headers = {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}
                async with site.session.get(site.url + path, headers=headers) as answer:
                    assert answer.status == 403

    asyncio.run(main())


def test_a_tunnel_may_have_another_port() -> None:
    """At the other end of a tunnel the server has another port, and is visited all the same."""

    async def main() -> None:
        tunnel = {"Host": "localhost:9999", "Origin": "http://localhost:9999"}
        async with serving() as site, site.visit(**tunnel) as visit:
            assert "size" in await shown(visit)

    asyncio.run(main())


def test_no_more_than_eight() -> None:
    """The ninth visitor is told that eight dashboards are open, and may come when one is closed."""

    async def main() -> None:
        async with serving() as site:
            visits = [await site.visit() for _ in range(8)]
            for visit in visits:
                await shown(visit)
            async with site.visit() as ninth:
                assert "8 dashboards are open" in await shown(ninth)
                assert await close_code(ninth) == 1013
            await visits[0].close()
            async with asyncio.timeout(TIMEOUT):
                text = ""
                while not text.startswith("pid"):
                    async with site.visit() as another:
                        text = await shown(another)

    asyncio.run(main())


# -- what passes through


def test_a_dashboard_has_the_size_of_the_window() -> None:
    """A dashboard starts with as many cells as the browser has, within reason, and hears of another size."""

    async def main() -> None:
        async with serving() as site:
            async with site.visit("?width=111&height=33") as visit:
                assert "size 111x33" in await shown(visit)
                await visit.send_json(["resize", {"width": 90, "height": 10**9}])
                assert await shown(visit) == 'got {"type": "resize", "width": 90, "height": 1000}'
                await visit.send_json(["stdin", "ä"])
                assert await shown(visit) == "got ä"
            async with site.visit("?width=999999999&height=-5") as visit:
                assert "size 1000x1" in await shown(visit)

    asyncio.run(main())


def test_what_is_said_on_stderr_is_said() -> None:
    """What a dashboard writes to stderr reaches the terminal of the server, with its number."""

    async def main() -> None:
        async with serving() as site, site.visit() as visit:
            pid = (await shown(visit)).split()[1]
            assert await said(site, "stderr") == f"dashboard {pid}: a word on stderr"

    asyncio.run(main())


def test_a_dashboard_that_does_not_start_says_why() -> None:
    """Where a dashboard does not start, visitor and server are told why, and the visitor is let go."""

    async def main() -> None:
        async with serving("fail") as site, site.visit() as visit:
            assert await shown(visit) == "The dashboard did not start.\r\nno such config"
            assert await close_code(visit) == 1000
            assert "no such config" in await said(site, "no such config")

    asyncio.run(main())


@pytest.mark.parametrize("text", ["{", "[]", "3", '["resize"]', '["resize", {}]', '["stdin", 5]'])
def test_nonsense_closes_the_visit(text: str) -> None:
    """A visitor that sends what no page sends is let go; others are not disturbed, and nothing is said."""

    async def main() -> None:
        async with serving() as site, site.visit() as calm, site.visit() as visit:
            await shown(calm)
            await shown(visit)
            await visit.send_str(text)
            assert await close_code(visit) == 1007
            await calm.send_json(["stdin", "x"])
            assert await shown(calm) == "got x"
            assert [line for line in site.said[2:] if "a word on stderr" not in line] == []

    asyncio.run(main())


# -- the end


@pytest.mark.parametrize("stub", ["", "hang", "flood"])
def test_a_visitor_that_leaves_ends_the_dashboard(stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a visitor leaves, the dashboard's process ends, even one that does not listen or has much to say."""
    monkeypatch.setattr(visitor, "_GRACE_S", 0.2)

    async def main() -> None:
        async with serving(stub) as site:
            async with site.visit() as visit:
                pid = int((await shown(visit)).split()[1])
                assert is_running(pid)
            async with asyncio.timeout(TIMEOUT):
                while is_running(pid):
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_nonsense_ends_the_dashboard() -> None:
    """What does not speak as a dashboard does is ended, its visitor is let go, and the server says so."""

    async def main() -> None:
        async with serving("nonsense") as site:
            async with site.visit() as visit:
                assert await close_code(visit) == 1000
            assert "chunk" in await said(site, "dashboard failed")

    asyncio.run(main())


@pytest.mark.parametrize("stub", ["", "hang", "flood"])
def test_the_server_takes_its_dashboards_along(stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server has ended, no process of a dashboard is left, and the visitors were told."""
    monkeypatch.setattr(visitor, "_GRACE_S", 0.2)

    async def main() -> None:
        async with serving(stub) as site:
            visits = [await site.visit(), await site.visit()]
            pids = [int((await shown(visit)).split()[1]) for visit in visits]
            os.kill(os.getpid(), signal.SIGTERM)
            if stub != "flood":
                assert [await close_code(visit) for visit in visits] == [1001, 1001]
        assert not any(is_running(pid) for pid in pids)

    asyncio.run(main())


def children(pid: int) -> list[int]:
    """Return the processes that *pid* has started."""
    listed = subprocess.run(
        [program("ps"), "-A", "-o", "pid=,ppid="], capture_output=True, check=True, timeout=TIMEOUT
    ).stdout
    return [int(own) for own, parent in (line.split() for line in listed.splitlines()) if int(parent) == pid]


# -- the real dashboard


@asynccontextmanager
async def real_visit(url: str) -> AsyncIterator[tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse[bool]]]:
    """Open a real dashboard, and wait until it shows its list."""
    socket_url = f"{url}/ws?width=80&height=24"
    async with aiohttp.ClientSession() as session, session.ws_connect(socket_url, headers={"Origin": url}) as visit:
        await shown_until(visit, "x.log")
        yield session, visit


async def shown_until(visit: aiohttp.ClientWebSocketResponse[bool], wanted: str) -> str:
    """Return all that is shown until *wanted* is."""
    text = ""
    async with asyncio.timeout(TIMEOUT):
        while wanted not in text:
            text += await shown(visit)
    return text


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The name of a log in the test's folder."""
    (tmp_path / "x.log").write_text("Epoch 1/3: loss=0.5\n")
    return "x.log"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9)]
)
def test_the_command_ends_with_its_dashboards(tmp_path: Path, log: str, number: signal.Signals, code: int) -> None:
    """Ctrl-C, SIGTERM, a lost connection, even SIGKILL: the real dashboard goes with the server, without a word."""

    async def main(url: str) -> None:
        async with real_visit(url):
            pids = children(process.pid)
            assert len(pids) == 1
            process.send_signal(number)
            assert await asyncio.to_thread(process.wait, TIMEOUT) == code
            async with asyncio.timeout(TIMEOUT):
                while any(is_running(pid) for pid in pids):
                    await asyncio.sleep(0.02)

    with served(tmp_path, log) as (process, url):
        asyncio.run(main(url))
        assert process.communicate(timeout=TIMEOUT) == (b"", b"")


def test_a_visitor_cannot_name_files(tmp_path: Path, log: str) -> None:
    """A visitor adds no log, for a name could be that of any file of the machine: the key does nothing."""

    async def main(url: str) -> None:
        async with real_visit(url) as (_, visit):
            await visit.send_json(["stdin", "o"])
            await visit.send_json(["stdin", "p"])
            assert "Add a log" not in await shown_until(visit, "FROZEN")

    with served(tmp_path, log) as (_, url):
        asyncio.run(main(url))


def test_a_visitor_saves_at_home(tmp_path: Path, log: str) -> None:
    """A picture of the screen goes to the visitor, as a download; the machine of the server keeps no file."""

    async def main(url: str) -> None:
        async with real_visit(url) as (session, visit):
            await visit.send_json(["stdin", "V"])
            async with asyncio.timeout(TIMEOUT):
                while (message := await visit.receive()).type is WSMsgType.BINARY:
                    pass
            kind, key = message.json()
            assert kind == "deliver_file_start"
            async with session.get(f"{url}/download/{key}") as answer:
                assert answer.headers["Content-Disposition"].startswith("attachment;")
                assert (await answer.text()).startswith("<svg")

    with served(tmp_path, log) as (_, url):
        asyncio.run(main(url))
    assert list(tmp_path.glob("*.svg")) == []


def test_dashboards_need_no_web_server(tmp_path: Path) -> None:
    """What a visitor's process takes from the package of the server loads no web server."""
    code = "import sys, nanwatch.views.dashboard.web.driver; sys.exit('aiohttp' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), timeout=TIMEOUT, check=False, cwd=ROOT
    )
    assert result.returncode == 0
