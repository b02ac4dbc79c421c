"""A dashboard on real logs, driven by a test: it waits for what it wants to see, and for nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from nanwatch.clock import SystemClock
from nanwatch.config import Config
from nanwatch.following import Following
from nanwatch.live import Live
from nanwatch.model.update import Update
from nanwatch.sharing import Sharing
from nanwatch.tail.discover import Discovery
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import open_wake
from nanwatch.views.dashboard.app import Dashboard
from nanwatch.views.dashboard.preferences import Preferences
from nanwatch.views.dashboard.themes import DARK
from nanwatch.watch import Watch

PATIENCE_S = 10.0
Scenario = Callable[["Driver"], Awaitable[None]]


class Driver:
    """A dashboard under test, with the keys that a person presses."""

    def __init__(self, app: Dashboard, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def text(self) -> str:
        """What stands on the screen, a line each."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips(self.app.size)
        shown = ["".join(segment.text for segment in strip) for strip in lines]
        if len(shown) != height:
            return ""  # it was not laid out yet
        assert all(strip.cell_length == width for strip in lines)
        return "\n".join(line.rstrip() for line in shown)

    async def until(self, what: Callable[[], object], why: str = "") -> None:
        """Wait until *what* holds."""
        until = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < until, f"not seen: {why}\n{self.text}"
            await self.pilot.pause(0.02)

    async def see(self, *texts: str) -> None:
        """Wait until all of *texts* stand on the screen."""
        await self.until(lambda: all(text in self.text for text in texts), ", ".join(texts))

    async def miss(self, text: str) -> None:
        """Wait until *text* stands on the screen no more."""
        await self.until(lambda: text not in self.text, f"the end of {text}")

    async def press(self, *keys: str) -> None:
        """Press *keys*."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type *text*."""
        for character in text:  # without waiting for a pause after each, as a person does not either
            self.app.simulate_key("space" if character == " " else character)
        await self.pilot.pause()


def live_on(folder: Path, state: Path | None, patterns: tuple[str, ...] = ("*.log",)) -> Live:
    """Return what follows the logs of *folder*, and shares wishes through the store in *state*."""

    def begin(hand_over: Callable[[Update], None]) -> Following:
        chosen = [p if Path(p).is_absolute() else str(folder / p) for p in patterns]
        wake = open_wake(Discovery(chosen).folders())
        watch = Watch(Tailer(chosen, wake), Config(), turn_s=0.1, is_service=True)
        sharing = None if state is None else Sharing(state)
        return Following(watch, Config(), SystemClock(), hand_over, sharing)

    return Live(begin)


@asynccontextmanager
async def dashboard(
    folder: Path,
    size: tuple[int, int] = (80, 24),
    *,
    state: Path | None = None,
    preferences: Preferences | None = None,
    theme: str | None = DARK,
    is_ascii: bool = False,
) -> AsyncIterator[Driver]:
    """Run a dashboard on the logs in *folder*, up to the end of the block."""
    app = Dashboard(
        lambda added: live_on(folder, state, ("*.log", *added)), SystemClock(), preferences or Preferences(None),
        theme=theme, is_ascii=is_ascii,
    )  # fmt: skip
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.is_live and app.main.run_pane is not None, "the end of the first look")
        await driver.until(lambda: not app._is_due, "the first picture")
        yield driver


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run *scenario* to its end."""

    async def main() -> None:
        await scenario()

    asyncio.run(main())
