"""Where the dashboard is served: how an address is written, and who may ask for it by which name."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from nanwatch.errors import UsageError

_HOST, _PORT, _MOST_PORT = "127.0.0.1", 8000, 65535


@dataclass(frozen=True)
class Address:
    """A host and a port to listen at; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for every address of this machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    def url(self, port: int) -> str:
        """Return what to open in a browser when it listens at *port*."""
        return f"http://{_in_brackets(socket.gethostname() if self.is_everywhere else self.host)}:{port}/"

    def tunnel(self, port: int) -> str:
        """Return the command with which another machine reaches *port* here."""
        return f"ssh -L {port}:{_in_brackets(self.host)}:{port} {socket.gethostname()}"


def read_address(text: str) -> Address:
    """Return the address that is written as HOST:PORT, :PORT, PORT or [::1]:PORT, or as nothing.

    Raises UsageError where it is anything else.
    """
    if not text:
        return Address(_HOST, _PORT)
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= len(str(_MOST_PORT)) and int(port) <= _MOST_PORT):
        raise _wrong(text)
    bare = host.removeprefix("[").removesuffix("]")
    is_bracketed = host == f"[{bare}]"
    if (":" in bare) != is_bracketed or (colon and host != "" and not bare) or any(c in bare for c in "[]/ "):
        raise _wrong(text)
    # One address for the name: ::1 may be in the table of hosts and yet not be there.
    return Address(_HOST if bare.lower() in ("", "localhost") else bare, int(port))


def _wrong(text: str) -> UsageError:
    return UsageError(f"--serve {text}: write HOST:PORT, :PORT, PORT or [::1]:PORT")


def is_loopback(host: str) -> bool:
    """Tell whether *host*, a name or an address without brackets, is this machine for itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_loopback_asked(host: str) -> bool:
    """Tell whether the Host header *host* names this machine for itself, at any port.

    A page of somebody else can make a name of its own point here; it cannot make a browser ask for another name.
    """
    try:
        parts = urlsplit(f"//{host}")
        return parts.netloc == host and "@" not in host and is_loopback(parts.hostname or "")
    except ValueError:
        return False


def is_own_origin(origin: str, host: str) -> bool:
    """Tell whether a page from *origin* came from the server that was asked as *host*.

    The scheme is not compared: behind a proxy that speaks TLS, it is https there and http here.
    """
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and place != "" and place.lower() == host.lower()


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
