"""How a dashboard speaks to the server that started it, and that it ends with it."""

from __future__ import annotations

from functools import partial

from textual import messages
from textual.drivers.web_driver import WebDriver


class ServedDriver(WebDriver):
    """Textual's driver for browsers; the dashboard ends when its server is gone, even if that was killed."""

    def run_input_thread(self) -> None:
        """Pass on what the visitor does, until there is nobody left who could tell."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._write = partial(len)  # takes all and writes nothing: the pipe could only be broken
            self._app.post_message(messages.ExitApp())
