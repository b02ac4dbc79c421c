"""Real servers on 127.0.0.1 for tests of what sends messages: they record what comes and answer as they are told."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

HOST = "127.0.0.1"
TIMEOUT = 20.0
"""Seconds that a test waits for what it expects; and a server that hangs for being let go."""

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAF7zstLCcIpclR0
XWLfu3NoPW5LKoXgc68ULNdru7qW+r/Ra8RFKwkPy9Jjnyw0hUGpuBIteA505RZN
aV5s15SjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBRx9AJ3PNo011MveRPi6Pt/vx9qMDAKBggqhkjOPQQD
AgNHADBEAiBm4DMkKJ6uhD7ZJ+2zVNBVdRZoSxe3luPO0ZZyB7WN3gIgZJCUB5Xz
N5Nnqk3LG4lXqeA3xJAtfEMTzHXQv/usZag=
-----END CERTIFICATE-----
"""
"""Of 127.0.0.1 and localhost, signed by itself, from 2020 to 2120: nobody trusts it unless told to."""
_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDFqvjlTEU2bHm1Yd
o/bSr76Z/b44JEow/7PS+Hwtk7ihRANCAAQBe87LSwnCKXJUdF1i37tzaD1uSyqF
4HOvFCzXa7u6lvq/0WvERSsJD8vSY58sNIVBqbgSLXgOdOUWTWlebNeU
-----END PRIVATE KEY-----
"""


@dataclass(frozen=True)
class Request:
    """A request as it came; names of headers are looked up in any case."""

    method: str
    path: str
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What a `WebServer` does with a request.

    `hang`: nothing, until it is released. `drip`: a header line now and then, until it is released. `close`: ends the
    connection without a word.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    drip: bool = False
    close: bool = False


class _Recorder:
    """A list that grows in one thread while another waits for it to have grown."""

    def __init__(self) -> None:
        self._grew = threading.Condition()

    def _record(self, items: list[Any], item: Any) -> int:
        with self._grew:
            items.append(item)
            self._grew.notify_all()
            return len(items)

    def _wait_for(self, items: list[Any], n: int, timeout: float) -> None:
        with self._grew:
            came = self._grew.wait_for(lambda: len(items) >= n, timeout)
        assert came, f"{len(items)} of {n} came within {timeout:g} s"


class WebServer(_Recorder):
    """An HTTP server, or HTTPS with `CERTIFICATE`: a context manager.

    Each of *answers* answers one request, the last one all that follow; without any, it is 200. `answers` may be
    changed while it runs. `requests` holds what came, in order, as soon as all of a request is read.
    """

    def __init__(self, *answers: Answer, tls: bool = False) -> None:
        super().__init__()
        self.answers = list(answers) or [Answer()]
        self.requests: list[Request] = []
        self.released = threading.Event()
        self.scheme = "https" if tls else "http"
        self._server = _Http(self, _server_context() if tls else None)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(TIMEOUT)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self._server.server_port

    @property
    def address(self) -> str:
        """Host and port, as they stand in a URL."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the server's root, without a slash at the end."""
        return f"{self.scheme}://{self.address}"

    def wait_for(self, n: int = 1, timeout: float = TIMEOUT) -> list[Request]:
        """Return the requests once there are *n* or more; fail after *timeout* seconds."""
        self._wait_for(self.requests, n, timeout)
        return self.requests

    def release(self) -> None:
        """Let go of the requests that hang."""
        self.released.set()

    def take(self, request: Request) -> Answer:
        """Record *request*; return what is to be done with it."""
        return self.answers[min(self._record(self.requests, request), len(self.answers)) - 1]


class _Http(ThreadingHTTPServer):
    """The HTTP server behind a `WebServer`: a thread for each connection."""

    daemon_threads = True

    def __init__(self, web: WebServer, context: ssl.SSLContext | None) -> None:
        self.web, self._context = web, context
        super().__init__((HOST, 0), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name, as HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return a connection; its handshake is done by the thread that reads it."""
        connection, peer = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a client that went away or does not trust the certificate; show anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection to a `WebServer`."""

    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def handle_any(self) -> None:
        """Record the request and do what is to be done with it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        web = self.server.web
        answer = web.take(Request(self.command, self.path, self.headers, body))
        self.close_connection = answer.close or answer.hang or answer.drip
        if answer.hang:
            web.released.wait(TIMEOUT)
        elif answer.drip:
            self._drip(web.released)
        elif not answer.close:
            self._say(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any  # noqa: N815

    def _say(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _drip(self, released: threading.Event) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not released.wait(0.05):
            self.wfile.write(b"X-Wait: a little\r\n")


@dataclass(frozen=True)
class Mail:
    """A mail as it came: from whom and to whom the envelope says, and the mail itself."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    def message(self) -> EmailMessage:
        """Return the mail, parsed."""
        return message_from_bytes(self.content, policy=policy.default)


class MailServer(_Recorder):
    """An SMTP server: a context manager.

    `at_auth`, `at_mail`, `at_rcpt` and `at_data` are the lines with which it answers there, instead of taking what
    comes (`451 4.3.0 try again`); they may be changed while it runs. With *tls* it speaks STARTTLS with
    `CERTIFICATE`. `mails` holds what came, `logins` the names and passwords.
    """

    def __init__(
        self, *, at_auth: str = "", at_mail: str = "", at_rcpt: str = "", at_data: str = "", tls: bool = False
    ) -> None:
        super().__init__()
        self.at_auth, self.at_mail, self.at_rcpt, self.at_data = at_auth, at_mail, at_rcpt, at_data
        self.mails: list[Mail] = []
        self.logins: list[tuple[str, str]] = []
        self.data_commands = 0
        logging.getLogger("mail.log").disabled = True  # it would tell what the client sent, passwords included
        self._controller = _Controller(self, _server_context() if tls else None)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self._controller.port

    @property
    def address(self) -> str:
        """Host and port, as they stand in a URL."""
        return f"{HOST}:{self.port}"

    def wait_for(self, n: int = 1, timeout: float = TIMEOUT) -> list[Mail]:
        """Return the mails once there are *n* or more; fail after *timeout* seconds."""
        self._wait_for(self.mails, n, timeout)
        return self.mails

    # -- what aiosmtpd asks; the names are its own

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        """Take any name and password, or none."""
        self.logins.append((data.login.decode(), data.password.decode()))
        if self.at_auth:
            return AuthResult(success=False, handled=False, message=self.at_auth)
        return AuthResult(success=True)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer a sender."""
        if self.at_mail:
            return self.at_mail
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer a recipient."""
        if self.at_rcpt:
            return self.at_rcpt
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer a mail."""
        self.data_commands += 1
        if self.at_data:
            return self.at_data
        content = envelope.content or b""
        content = content if isinstance(content, bytes) else content.encode()
        self._record(self.mails, Mail(envelope.mail_from or "", tuple(map(str, envelope.rcpt_tos)), content))
        return "250 OK"


class _Controller(Controller):
    """The thread behind a `MailServer`: its socket is bound before it starts, so nobody else can take the port."""

    def __init__(self, mail: MailServer, context: ssl.SSLContext | None) -> None:
        self._socket = socket.create_server((HOST, 0))
        super().__init__(
            mail,
            hostname=HOST,
            port=self._socket.getsockname()[1],
            ready_timeout=TIMEOUT,
            tls_context=context,
            authenticator=mail.authenticate,
            auth_require_tls=False,
        )

    def _create_server(self) -> Awaitable[Any]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port on 127.0.0.1 that refuses every connection, and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        yield bound.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port on 127.0.0.1 that accepts connections and never says a word: for TLS, SMTP, anything."""
    with socket.create_server((HOST, 0), backlog=64) as listening:
        yield listening.getsockname()[1]


@contextmanager
def certificate_file() -> Iterator[Path]:
    """A file with `CERTIFICATE`, for those that shall trust it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate.pem"
        path.write_text(CERTIFICATE, encoding="ascii")
        yield path


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate-and-key.pem"
        path.write_text(CERTIFICATE + _KEY, encoding="ascii")
        context.load_cert_chain(path)
    return context
