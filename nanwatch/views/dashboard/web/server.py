"""The web server: what it answers to whom, how many visitors there may be, and when it ends."""

from __future__ import annotations

import asyncio
import errno
import logging
import shlex
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import WSCloseCode, web
from textual_serve.server import Server, to_int

from nanwatch.errors import UsageError
from nanwatch.views.dashboard.web.address import Address, is_loopback_asked, is_own_origin, read_address
from nanwatch.views.dashboard.web.visitor import VisitorDashboard, command

_MOST_VISITORS = 8
"""So many dashboards at once: each is a process that reads every log."""
_HEARTBEAT_S, _CLOSE_S = 15.0, 2.0
"""Seconds between two looks whether a visitor is still there, and for a visitor's goodbye."""
_LONGEST_MESSAGE = 1 << 20
_PAGE = Path(__file__).with_name("page.html")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}  # fmt: skip
"""Nothing is fetched from elsewhere, and no page of somebody else can show ours inside it and steal a click."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run_server(options: list[str], address: str, say: Callable[[str], None]) -> int:
    """Do what `serve` of this package says."""
    told = _Told(say)
    logging.getLogger().addHandler(told)
    try:
        return asyncio.run(DashboardServer(command(options), read_address(address), say).run())
    finally:
        logging.getLogger().removeHandler(told)


class _Told(logging.Handler):
    """Says in one line what a library finds worth a warning."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        error = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._say(" ".join(f"{record.getMessage()}{error}".split()))


class DashboardServer(Server):
    """Runs *argv* for each visitor, within the bounds of who may visit."""

    def __init__(self, argv: Sequence[str], address: Address, say: Callable[[str], None]) -> None:
        super().__init__(shlex.join(argv), host=address.host, port=address.port, title="nanwatch")
        self._argv, self._address, self._say = argv, address, say
        self._visitors: dict[VisitorDashboard, web.WebSocketResponse] = {}
        self._is_ending = False

    # -- life

    async def run(self) -> int:
        """Serve until a signal says to end; return the exit code."""
        ended = _ending()
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        try:
            await self._listen(runner)
            self._introduce(runner.addresses[0][1])
            return 130 if await ended == signal.SIGINT else 0
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        host, port = self._address.host, self._address.port
        try:
            await web.TCPSite(runner, host, port).start()
        except socket.gaierror:
            raise UsageError(f"--serve: no host {host} is known") from None
        except OSError as error:
            raise UsageError(f"--serve: {_reason(error, host, port)}") from None

    def _introduce(self, port: int) -> None:
        self._say(f"the dashboard is at {self._address.url(port)} until Ctrl-C")
        if self._address.is_loopback:
            self._say(f"to reach it from elsewhere: {self._address.tunnel(port)}")
        else:
            self._say("whoever reaches this address sees the logs, and can acknowledge and silence alerts")

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._check_host)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: the greeting follows once the port is ours."""

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - of the library
        """End every dashboard, and close what its visitor sees."""
        self._is_ending = True
        await asyncio.gather(*(self._end(*visitor) for visitor in self._visitors.items()))

    async def _end(self, dashboard: VisitorDashboard, websocket: web.WebSocketResponse) -> None:
        await asyncio.gather(dashboard.stop(), websocket.close(code=WSCloseCode.GOING_AWAY))

    # -- requests

    @web.middleware
    async def _check_host(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer only who asked for this machine by a name of its own, where nobody else may visit."""
        if self._address.is_loopback and not is_loopback_asked(request.host):
            raise web.HTTPForbidden(text="403: ask for this machine as localhost or 127.0.0.1\n")
        return await handler(request)

    async def handle_index(self, request: web.Request) -> web.Response:  # noqa: ARG002 - of the library
        """Return the page; it takes every address in it from where it was loaded, so a tunnel may have any port."""
        return web.Response(text=_PAGE.read_text(encoding="utf-8"), content_type="text/html", headers=_HEADERS)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run a dashboard for as long as its visitor stays."""
        if not is_own_origin(request.headers.get("Origin", ""), request.host):
            raise web.HTTPForbidden(text="403: only the page of this server may open a dashboard\n")
        websocket = web.WebSocketResponse(heartbeat=_HEARTBEAT_S, timeout=_CLOSE_S, max_msg_size=_LONGEST_MESSAGE)
        await websocket.prepare(request)
        if self._is_ending or len(self._visitors) >= _MOST_VISITORS:
            await websocket.send_bytes(f"{_MOST_VISITORS} dashboards are open: close one, then reload".encode())
            await websocket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too many dashboards are open")
            return websocket
        dashboard = VisitorDashboard(
            self._argv, write_bytes=websocket.send_bytes, write_str=websocket.send_str, close=websocket.close,
            cut=lambda: _cut(request), download_manager=self.download_manager, say=self._say,
        )  # fmt: skip
        self._visitors[dashboard] = websocket
        try:
            await self._attend(request, websocket, dashboard)
        finally:
            await dashboard.stop()
            del self._visitors[dashboard]
        return websocket

    async def _attend(
        self, request: web.Request, websocket: web.WebSocketResponse, dashboard: VisitorDashboard
    ) -> None:
        width, height = (to_int(request.query.get(name, ""), least) for name, least in (("width", 80), ("height", 24)))
        try:
            await dashboard.start(width, height)
            await self._process_messages(websocket, dashboard)
        except ConnectionError:
            return  # the visitor left while something was sent
        except (ValueError, TypeError, LookupError, AttributeError, AssertionError):
            await websocket.close(code=WSCloseCode.INVALID_TEXT, message=b"not a message of this page")
        except OSError as error:
            self._say(f"no dashboard for a visitor: {error.strerror or error}")
            await websocket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"the dashboard could not be started")


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _ending() -> asyncio.Future[int]:
    """Return what comes true with the number of the first signal that ends this process."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(number: int) -> None:
        if not ended.done():
            ended.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            loop.add_signal_handler(number, end, number)
    return ended


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; another one: --serve :{port % 65535 + 1}"
    if error.errno == errno.EACCES:
        return f"port {port} is not permitted; one from 1024 on is"
    if error.errno in (errno.EADDRNOTAVAIL, None):  # from Python 3.13 on, asyncio has its own words for it
        return f"{host} is no address of this machine"
    return (error.strerror or str(error)).lower()
