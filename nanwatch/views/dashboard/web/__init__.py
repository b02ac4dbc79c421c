"""The dashboard in a browser: each visitor gets a process of their own, through textual-serve."""

from __future__ import annotations

from collections.abc import Callable


def serve(options: list[str], address: str, say: Callable[[str], None]) -> int:
    """Serve dashboards at *address* until Ctrl-C or SIGTERM; return the exit code.

    Each visitor gets one of their own, with these options of `nanwatch tail`. What is to be known goes to *say*.
    Raises UsageError where *address* is wrong, taken or not permitted.
    """
    # A visitor's process takes only its driver from this package: it needs no web server, and starts sooner.
    from nanwatch.views.dashboard.web.server import run_server

    return run_server(options, address, say)
