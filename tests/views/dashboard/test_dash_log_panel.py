"""The log viewer's panel: each key, the mouse, what is typed, and what happens to the file meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from textual.app import ComposeResult
from textual.events import Key
from textual.message import Message
from textual.pilot import Pilot

from nanwatch.views.dashboard.log import search
from nanwatch.views.dashboard.log.desk import Desk
from nanwatch.views.dashboard.log.panel import LogPanel
from nanwatch.views.dashboard.themes import ThemedApp

Story = Callable[["Stage"], Awaitable[None]]
LINES = "".join(
    f"{'WARNING ' if n % 50 == 7 else ''}step {n} loss {'nan' if n == 120 else n / 7:.4}\n" for n in range(200)
)


class LogApp(ThemedApp):
    """An app that is nothing but the panel, and keeps its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        yield LogPanel()

    def on_log_panel_copied(self, event: LogPanel.Copied) -> None:
        self.told.append(event)

    def on_log_panel_back(self, event: LogPanel.Back) -> None:
        self.told.append(event)


class Stage:
    """The panel on a screen, with a hand on its keys."""

    def __init__(self, pilot: Pilot[None], path: Path) -> None:
        self.pilot, self.path = pilot, path
        app = pilot.app
        assert isinstance(app, LogApp)
        self.app = app
        self.panel = app.query_one(LogPanel)

    @property
    def desk(self) -> Desk:
        assert self.panel.desk is not None
        return self.panel.desk

    @property
    def lines(self) -> list[str]:
        """What stands on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    @property
    def backs(self) -> list[bool]:
        """Whether one had come by a jump, each time one left."""
        return [told.jumped for told in self.app.told if isinstance(told, LogPanel.Back)]

    @property
    def cursor(self) -> str:
        """The text of the row at the cursor."""
        row = self.desk.view.row
        return row.text if row else ""

    @property
    def top(self) -> str:
        """The text of the first row."""
        return self.desk.view.rows[0].text

    async def press(self, *keys: str) -> None:
        """Press *keys*, and wait until the threads have done what that asked for."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait for threads and for the screen."""
        while self.panel._jobs:
            await self.app.workers.wait_for_complete()
            await self.pilot.pause()
        await self.pilot.pause()

    async def type(self, sign: str, text: str) -> None:
        """Type *text* behind the prompt that *sign* opens."""
        await self.pilot.press(sign, *text)
        await self.press("enter")


def play(
    path: Path,
    story: Story,
    alerts: Sequence[tuple[int, str]] = (),
    data: bytes | None = None,
    size: tuple[int, int] = (80, 24),
) -> None:
    """Run *story* with a panel that shows *data*, or 200 lines."""
    path.write_bytes(LINES.encode() if data is None else data)

    async def main() -> None:
        async with LogApp().run_test(size=size) as pilot:
            stage = Stage(pilot, path)
            stage.panel.focus()
            stage.panel.show_log(path, alerts)
            await stage.settle()
            await story(stage)

    asyncio.run(main())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "train.log"


# -- moving


def test_opens_at_the_end_and_follows(log: Path) -> None:
    """The first picture is the end of the log, with line numbers, and new lines push it up."""

    async def story(stage: Stage) -> None:
        assert "FOLLOW" in stage.lines[0]
        assert "line 200 of 200" in stage.lines[0]
        assert "200 step 199" in stage.lines[23]
        with stage.path.open("a") as out:
            out.write("step 200 new\n")
        stage.panel.poll()
        await stage.settle()
        assert "step 200 new" in stage.lines[23]

    play(log, story)


@pytest.mark.parametrize(
    ("keys", "cursor"),
    [
        (["k"], "step 198"),
        (["up", "k"], "step 197"),
        (["g"], "step 0 "),
        (["home", "j", "down"], "step 2 "),
        (["g", "ctrl+d"], "step 12 "),
        (["g", "pagedown"], "step 23 "),
        (["ctrl+u"], "step 187"),
        (["pageup"], "step 176"),
        (["g", "G"], "step 199"),
        (["g", "end"], "step 199"),
        (["g", "f"], "step 199"),
    ],
)
def test_keys_that_move(log: Path, keys: list[str], cursor: str) -> None:
    """Each moving key puts the cursor where vim and lnav would."""

    async def story(stage: Stage) -> None:
        await stage.press(*keys)
        assert f"{stage.cursor} ".startswith(("WARNING " if "WARNING" in stage.cursor else "") + cursor)

    play(log, story)


def test_any_way_up_stops_following(log: Path) -> None:
    """New output then moves nothing that is being read, but is counted; `G` and `f` resume."""

    async def story(stage: Stage) -> None:
        await stage.press("k")
        assert "PAUSED" in stage.lines[0]
        before = [line[:79] for line in stage.lines[1:22]]
        with stage.path.open("a") as out:
            out.write("more\n" * 412)
        stage.panel.poll()
        await stage.settle()
        assert [line[:79] for line in stage.lines[1:22]] == before
        assert "412 new ↓" in stage.lines[23]
        await stage.press("G")
        assert "FOLLOW" in stage.lines[0]
        assert "more" in stage.lines[22]
        await stage.press("f")
        assert "PAUSED" in stage.lines[0]

    play(log, story)


def test_sideways_by_half_pages(log: Path) -> None:
    """`l` and `h` move by half a screen; what a line has more than 1,000 characters is told."""

    async def story(stage: Stage) -> None:
        await stage.press("l")
        assert "column 40" in stage.lines[0]
        await stage.press("right", *["l"] * 22)
        assert "…+81,204" in stage.lines[1]
        await stage.press(*["h"] * 30)
        assert "xxx" in stage.lines[1]

    play(log, story, data=b"x" * 82_204 + b"\n")


def test_enter_opens_the_whole_row(log: Path) -> None:
    """A long row is laid over the log, wrapped; Esc comes back."""

    async def story(stage: Stage) -> None:
        await stage.press("enter")
        assert "whole row, 2,994 characters" in stage.lines[0]
        assert stage.lines[1].startswith("xxxx")
        await stage.press("G")
        assert any("tail" in line for line in stage.lines)
        await stage.press("escape")
        assert "FOLLOW" in stage.lines[0]
        assert not stage.app.told

    play(log, story, data=b"x" * 2990 + b"tail\n")


def test_enter_on_a_bar_opens_its_redraws(log: Path) -> None:
    """A bar's row shows what the terminal showed; Enter shows each redraw, Esc comes back to the same place."""

    async def story(stage: Stage) -> None:
        await stage.press("g", "j")
        assert stage.cursor == "100% loss 0.5"
        await stage.press("enter")
        assert "every redraw" in stage.lines[0]
        assert [row.text for row in stage.desk.view.rows] == [
            "start",
            "10% loss nan",
            "50% loss 0.7",
            "100% loss 0.5",
            "end",
        ]
        await stage.press("escape")
        assert stage.cursor == "100% loss 0.5"
        await stage.press("r")
        assert "every redraw" in stage.lines[0]
        await stage.press("r")
        assert "every redraw" not in stage.lines[0]

    play(log, story, data=b"start\n\r10% loss nan\r50% loss 0.7\r100% loss 0.5\nend\n")


# -- searching


def test_search_and_next(log: Path) -> None:
    """`/` finds from the cursor on and round the end, `n` and `N` go on, hits are counted."""

    async def story(stage: Stage) -> None:
        await stage.press("g")
        await stage.type("slash", "warning")
        assert stage.cursor.startswith("WARNING step 7 ")
        assert "hit 1 of 4" in stage.lines[23]
        await stage.press("n")
        assert stage.cursor.startswith("WARNING step 57 ")
        await stage.press("N", "N")
        assert stage.cursor.startswith("WARNING step 157 ")
        assert "searched on from the end" in stage.lines[23]
        await stage.press("escape")
        assert stage.cursor.startswith("step 0 ")

    play(log, story)


def test_search_that_is_no_pattern(log: Path) -> None:
    """An invalid pattern, or one that could run for ever, is taken literally, and that is said."""

    async def story(stage: Stage) -> None:
        await stage.type("slash", "loss [")
        assert "taken literally" in stage.lines[23]
        assert stage.cursor == "loss [ open"
        await stage.type("slash", "(a+)+$")
        assert "repeats within repeats: taken literally" in stage.lines[23]

    play(log, story, data=b"a\nloss [ open\n" + b"a" * 60 + b"!\n")


def test_typing_shows_hits_at_once(log: Path) -> None:
    """While one types, the hits among the rows that are seen are reversed, and nothing moves; Esc takes it back."""

    async def story(stage: Stage) -> None:
        await stage.pilot.press("slash", *"step 19")
        await stage.pilot.pause()
        strip = stage.panel.render_line(22)
        assert [segment.text for segment in strip if segment.style and segment.style.reverse] == ["step 19"]
        assert stage.lines[23].startswith("/ step 19")
        await stage.press("escape")
        assert stage.cursor.startswith("step 199")
        assert not any(segment.style and segment.style.reverse for segment in stage.panel.render_line(22))

    play(log, story)


def test_search_without_hit(log: Path) -> None:
    """What is not there is said to be not found."""

    async def story(stage: Stage) -> None:
        await stage.type("slash", "absent")
        assert "not found" in stage.lines[23]

    play(log, story)


# -- filters


def test_only_warnings_and_nan(log: Path) -> None:
    """`!` leaves rows of trouble, each with its sign, and the cursor's row; again shows all."""

    async def story(stage: Stage) -> None:
        await stage.press("exclamation_mark")
        texts = [row.text.split(" loss")[0] for row in stage.desk.view.rows]
        assert texts == [
            "WARNING step 7",
            "WARNING step 57",
            "WARNING step 107",
            "step 120",
            "WARNING step 157",
            "step 199",
        ]
        assert [line[1] for line in stage.lines[1:6]] == ["!", "!", "!", "×", "!"]
        assert "only warnings and NaN: 5 hits" in stage.lines[23]
        await stage.press("exclamation_mark")
        assert len(stage.desk.view.rows) == 23

    play(log, story)


def test_filter_by_pattern(log: Path) -> None:
    """`&` leaves the rows that match; Esc shows all again."""

    async def story(stage: Stage) -> None:
        await stage.press("g")
        await stage.type("ampersand", "step 1[45]3")
        assert [row.text.split(" loss")[0] for row in stage.desk.view.rows] == ["step 0", "step 143", "step 153"]
        await stage.press("j", "j")
        assert stage.cursor.startswith("step 153")
        await stage.press("escape")
        assert len(stage.desk.view.rows) == 23
        assert stage.cursor.startswith("step 153")

    play(log, story)


def test_filter_follows(log: Path) -> None:
    """A filtered log that is followed shows new rows that match."""

    async def story(stage: Stage) -> None:
        await stage.press("exclamation_mark")
        with stage.path.open("a") as out:
            out.write("step 200 fine\nstep 201 WARNING late\n")
        stage.panel.poll()
        await stage.settle()
        assert stage.desk.view.rows[-1].text == "step 201 WARNING late"
        assert not any("fine" in row.text for row in stage.desk.view.rows)

    play(log, story)


# -- going to places


def test_warnings_forward_and_back(log: Path) -> None:
    """`w` and `W` go to rows of trouble."""

    async def story(stage: Stage) -> None:
        await stage.press("g", "w", "w")
        assert stage.cursor.startswith("WARNING step 57 ")
        await stage.press("W")
        assert stage.cursor.startswith("WARNING step 7 ")

    play(log, story)


def test_alerts_forward_and_back(log: Path) -> None:
    """`e` and `E` go to the rows that alerts point at, which bear the alert's sign."""
    alerts = [(LINES.index("step 60 "), "warning"), (LINES.index("step 30 "), "critical")]

    async def story(stage: Stage) -> None:
        await stage.press("g", "e")
        assert stage.cursor.startswith("step 30 ")
        line = next(line for line in stage.lines if "step 30 " in line)
        assert line.startswith("›X")
        await stage.press("e")
        assert stage.cursor.startswith("step 60 ")
        await stage.press("E")
        assert stage.cursor.startswith("step 30 ")
        await stage.press("escape", "escape", "escape")
        assert stage.cursor.startswith("step 0 ")

    play(log, story, alerts)


def test_alerts_stand_in_the_scrollbar(log: Path) -> None:
    """The scrollbar marks alerts where they are in the log."""

    async def story(stage: Stage) -> None:
        await stage.press("end")
        assert stage.lines[1][79] == "X"
        assert "!" in {line[79] for line in stage.lines[2:22]}
        assert stage.lines[22][79] == "█"

    play(log, story, [(0, "critical")])


def test_marks(log: Path) -> None:
    """`m` marks a row, `u` and `U` go to marks, `m` again takes the mark away."""

    async def story(stage: Stage) -> None:
        await stage.press("g", "j", "m", "j", "j", "m", "g", "u")
        assert stage.cursor.startswith("step 1 ")
        await stage.press("u")
        assert stage.cursor.startswith("step 3 ")
        assert any(line.startswith("m  ") for line in stage.lines)
        await stage.press("U", "m", "u")
        assert stage.cursor.startswith("step 3 ")
        assert len(stage.desk.bookmarks) == 1

    play(log, story)


@pytest.mark.parametrize(
    ("place", "cursor"),
    [("31", "step 30 "), ("1,00", "step 99 "), ("0%", "step 0 "), ("@0", "step 0 "), ("100%", "step 199")],
)
def test_go_to_a_place(log: Path, place: str, cursor: str) -> None:
    """`:` goes to a line, a share or a byte; Esc comes back."""

    async def story(stage: Stage) -> None:
        await stage.press("k")
        await stage.type("colon", place)
        assert f"{stage.cursor} ".startswith(cursor)
        await stage.press("escape")
        assert stage.cursor.startswith("step 198")

    play(log, story)


@pytest.mark.parametrize("place", ["31 miles", "999999", ""])
def test_no_such_place(log: Path, place: str) -> None:
    """A place that does not exist is named as such, and nothing moves."""

    async def story(stage: Stage) -> None:
        await stage.type("colon", place)
        assert stage.cursor.startswith("step 199")
        assert "needed" in stage.lines[23] or "the log has 200 lines" in stage.lines[23]

    play(log, story)


def test_jump_puts_the_row_a_third_down(log: Path) -> None:
    """A jump from elsewhere shows the row a third down the screen; Esc leaves, and the log is followed again."""

    async def story(stage: Stage) -> None:
        stage.panel.jump(LINES.index("step 100 ") + 3)
        await stage.settle()
        assert "step 100 " in stage.lines[1 + 22 // 3]
        assert stage.cursor.startswith("step 100 ")
        await stage.press("escape")
        assert "FOLLOW" in stage.lines[0]
        assert stage.backs == [True]
        await stage.press("escape")
        assert stage.backs == [True, False]

    play(log, story)


def test_jump_before_there_is_a_screen(log: Path) -> None:
    """A jump in a panel that is not laid out yet puts the row a third down once it is."""
    log.write_text(LINES)

    async def main() -> None:
        app = LogApp()
        async with app.run_test(size=(80, 24)) as pilot:
            panel = app.query_one(LogPanel)
            panel.display = False
            await pilot.pause()
            panel.show_log(log)
            panel.jump(LINES.index("step 100 "))
            panel.display = True
            async with asyncio.timeout(10):
                while "step 100 " not in panel.render_line(1 + 22 // 3).text:
                    await pilot.pause()

    asyncio.run(main())


def test_resize_keeps_what_is_read(log: Path) -> None:
    """The cursor's row stays in sight whatever the size."""

    async def story(stage: Stage) -> None:
        await stage.press("g", *["j"] * 20)
        for size in ((80, 10), (40, 6), (160, 45), (12, 3), (80, 24)):
            await stage.pilot.resize_terminal(*size)
            await stage.settle()
            assert stage.cursor.startswith("step 20 ")
            assert stage.cursor in [row.text for row in stage.desk.view.rows]

    play(log, story)


def test_jump_to_what_was_drawn_over(log: Path) -> None:
    """A jump to a superseded redraw shows that very redraw."""
    data = b"start\n\r10% loss nan\r50% loss 0.7\r100% loss 0.5\nend\n"

    async def story(stage: Stage) -> None:
        stage.panel.jump(data.index(b"10%"))
        await stage.settle()
        assert stage.cursor == "10% loss nan"
        assert "every redraw" in stage.lines[0]
        await stage.press("escape")
        assert "every redraw" not in stage.lines[0]
        stage.panel.jump(data.index(b"100%"))
        await stage.settle()
        assert "every redraw" not in stage.lines[0]
        assert stage.cursor == "100% loss 0.5"

    play(log, story, data=data)


def test_copy(log: Path) -> None:
    """`y` asks for the whole row to be copied."""

    async def story(stage: Stage) -> None:
        await stage.press("y")
        told = stage.app.told[-1]
        assert isinstance(told, LogPanel.Copied)
        assert told.text == "x" * 3000

    play(log, story, data=b"x" * 3000 + b"\n")


# -- mouse


def test_mouse(log: Path) -> None:
    """The wheel moves three rows, a click points at a row, the scrollbar can be dragged."""

    async def story(stage: Stage) -> None:
        await stage.pilot._post_mouse_events([_scroll_up()], stage.panel, offset=(5, 5))
        await stage.settle()
        assert stage.top.startswith("step 174")
        await stage.pilot.click(stage.panel, offset=(10, 2))
        assert stage.cursor.startswith("step 175")
        await stage.pilot.mouse_down(stage.panel, offset=(79, 1))
        await stage.pilot.mouse_up(stage.panel, offset=(79, 1))
        assert stage.top.startswith("step 0 ")

    play(log, story)


def _scroll_up() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


# -- what happens to files


def test_standard_input_is_not_kept() -> None:
    """Without a file it is said why there is nothing to see, and no key breaks that."""

    async def main() -> None:
        async with LogApp().run_test(size=(80, 24)) as pilot:
            panel = pilot.app.query_one(LogPanel)
            panel.focus()
            panel.show_log(None)
            panel.jump(3)
            panel.poll()
            await pilot.press(*"jkGgfhlnNeEwWmuUy!r/&:", "enter", "pageup", "pagedown", "escape")
            await pilot.pause()
            assert "standard input is not kept" in panel.render_line(0).text

    asyncio.run(main())


def test_empty_log_and_its_first_line(log: Path) -> None:
    """An empty log says so, and shows what comes."""

    async def story(stage: Stage) -> None:
        assert "the log is empty" in stage.lines[1]
        await stage.press(*"jkGgflhnNeEwWmuUy!!r", "enter", "escape")
        stage.path.write_text("first\n")
        stage.panel.poll()
        await stage.settle()
        assert "first" in stage.lines[1]

    play(log, story, data=b"")


def test_truncated_log(log: Path) -> None:
    """A log that became shorter is read anew, and that is said."""

    async def story(stage: Stage) -> None:
        stage.path.write_text("fresh\n")
        stage.panel.poll()
        await stage.settle()
        assert "shorter than before" in stage.lines[0]
        assert "fresh" in stage.lines[1]
        assert "line 1 of 1" in stage.lines[0]

    play(log, story)


def test_rotated_log(log: Path) -> None:
    """A new file in the place of the old one is shown, and that is said."""

    async def story(stage: Stage) -> None:
        stage.path.rename(stage.path.with_suffix(".1"))
        stage.panel.poll()
        await stage.settle()
        assert "file gone" in stage.lines[0]
        assert "step 199" in stage.lines[23]
        stage.path.write_text("new file\n")
        stage.panel.poll()
        await stage.settle()
        assert "rotated" in stage.lines[0]
        assert "new file" in stage.lines[1]

    play(log, story)


def test_hostile_log_leaves_the_screen_intact(log: Path) -> None:
    """Escapes, markup, wide and combining characters, and huge lines keep every line as wide as the screen."""
    data = (
        b"\x1b[2J\x1b[999;999Hgone\x1b[31m\n[red]markup[/red] [@click=app.quit]x[/]\n"
        + "日本語" .encode() * 40 + b"\n" + b"e" + "\u0301".encode() * 500 + b"\n"
        + "\u202eevil\u202c \u200b\u2066x\n".encode() + b"\xff\xfe\x00\x9b31m\n" + b"y" * 3_000_000 + b"\n"
        + b"\x1b]52;c;ZXZpbA==\x07clip\n" + "مرحبا بالعالم\n".encode()
    )  # fmt: skip

    async def story(stage: Stage) -> None:
        from rich.cells import cell_len

        for size in ((80, 24), (40, 8), (20, 4), (160, 45)):
            await stage.pilot.resize_terminal(*size)
            await stage.press("g", "l", "j", "h", "r", "r", "G")
            for y in range(stage.panel.size.height):
                strip = stage.panel.render_line(y)
                assert cell_len(strip.text) == size[0]
                assert strip.text.isprintable()
        assert any("[red]markup[/red]" in line for line in stage.lines)

    play(log, story, data=data)


def test_ascii_signs(log: Path) -> None:
    """Where the terminal is ASCII only, no sign of the panel's own is anything else."""
    log.write_text(LINES)

    async def main() -> None:
        class AsciiApp(ThemedApp):
            def compose(self) -> ComposeResult:
                yield LogPanel(is_ascii=True)

        async with AsciiApp().run_test(size=(80, 24)) as pilot:
            panel = pilot.app.query_one(LogPanel)
            panel.show_log(log, [(0, "critical")])
            await pilot.pause()
            assert all(panel.render_line(y).text.isascii() for y in range(24))

    asyncio.run(main())


# -- coming from elsewhere


def test_esc_takes_back_own_ways_before_it_leaves(log: Path) -> None:
    """After a jump from elsewhere, Esc undoes what one did in the log since, and nothing of earlier visits."""

    async def story(stage: Stage) -> None:
        await stage.press("g", "w", "w")
        await stage.type("ampersand", "step")
        stage.panel.jump(LINES.index("step 100 "))
        await stage.press("escape")
        assert stage.backs == [True]
        stage.panel.jump(LINES.index("step 100 "))
        await stage.press("j", "slash", "escape")
        await stage.type("slash", "step 150")
        await stage.press("escape")
        assert stage.cursor.startswith("step 101 ")
        await stage.press("escape")
        assert stage.desk.search is None
        assert stage.backs == [True]
        await stage.press("escape")
        assert stage.backs == [True, True]

    play(log, story)


def test_every_redraw_ends_with_what_asked_for_it(log: Path) -> None:
    """What was drawn over is shown for the jump alone: the next jump, or following, shows rows as a terminal does."""
    data = b"start\n\r10% loss nan\r50% loss 0.7\r100% loss 0.5\nend\n"

    async def story(stage: Stage) -> None:
        stage.panel.jump(data.index(b"10%"))
        assert stage.desk.view.every_redraw
        stage.panel.jump(data.index(b"end"))
        assert not stage.desk.view.every_redraw
        stage.panel.jump(data.index(b"50%"))
        await stage.press("G")
        assert not stage.desk.view.every_redraw

    play(log, story, data=data)


def test_a_finished_run_is_no_trouble(log: Path) -> None:
    """An alert that only tells that a run finished leads to its row, which bears no sign."""

    async def story(stage: Stage) -> None:
        await stage.press("g", "e")
        assert stage.cursor.startswith("step 60 ")
        line = next(line for line in stage.lines if "step 60 " in line)
        assert line.startswith("›  ")

    play(log, story, [(LINES.index("step 60 "), "info")])


# -- what is typed, and what is told


@pytest.mark.parametrize("keys", [("slash", *"warning", "enter", "n"), ("slash", *"warx", "backspace", "enter", "n")])
def test_keys_that_come_together_act_in_their_order(log: Path, keys: tuple[str, ...]) -> None:
    """Keys of one packet are typed, entered and obeyed one after the other."""

    async def story(stage: Stage) -> None:
        await stage.press("g")
        for key in keys:
            stage.app.post_message(Key(key, key if len(key) == 1 else None))
        await stage.settle()
        await stage.settle()
        assert stage.cursor.startswith("WARNING step 57 ")
        for key in ("j", "enter"):
            stage.app.post_message(Key(key, None))
        await stage.settle()
        assert stage.panel.sheet is not None
        assert stage.panel.sheet.text.startswith("step 58 ")

    play(log, story)


def test_the_bottom_line_is_there_only_for_news(log: Path) -> None:
    """Without anything to tell, the last row is the log's; a search takes it, and gives it back."""

    async def story(stage: Stage) -> None:
        assert "step 199" in stage.lines[23]
        await stage.type("slash", "step 19")
        assert "/step 19" in stage.lines[23]
        await stage.press("escape", "escape")
        assert "step 199" in stage.lines[23]

    play(log, story)


def test_a_cut_line_bears_a_mark(log: Path) -> None:
    """Where a row goes on beyond the screen, a sign says so, and of very long lines how much there is."""

    async def story(stage: Stage) -> None:
        assert stage.lines[1][77:79] == "x…"
        assert stage.lines[2][:79].endswith("…+999,937")
        assert "…" not in stage.lines[3]
        await stage.press("l")
        assert stage.lines[1][7] == "…"
        assert stage.lines[2][7] == "…"

    play(log, story, data=b"loss=0.503" + b"x" * 100 + b"\n" + b"y" * 1_000_000 + b"\nshort\n")


def test_a_filter_at_its_limit_says_so(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that keeps no more hits says how many it keeps."""
    monkeypatch.setattr(search, "MOST_HITS", 50)

    async def story(stage: Stage) -> None:
        await stage.type("ampersand", "step")
        assert "no more than" in stage.lines[23]

    play(log, story)


def test_go_to_a_time(log: Path) -> None:
    """`:` with a time goes to the first line of that time or later."""
    data = "".join(
        f"2026-01-02 {n // 60:02}:{n % 60:02}:30 line {n}\n" + "no time here\n" * (n % 3) for n in range(1440)
    ).encode()

    async def story(stage: Stage) -> None:
        for time, line in (("14:01", 841), ("14:01:31", 842), ("0:00", 0), ("23:59:30", 1439)):
            await stage.type("colon", time)
            assert stage.cursor.endswith(f"line {line}")
        await stage.type("colon", "23:59:31")
        assert "no line holds 23:59:31" in stage.lines[23]

    play(log, story, data=data)


def test_a_thread_that_never_starts_leaks_nothing(log: Path) -> None:
    """Work that is cancelled before it begins leaves no descriptor open."""
    log.write_text(LINES)

    async def main() -> None:
        async with LogApp().run_test(size=(80, 24)) as pilot:
            panel = pilot.app.query_one(LogPanel)
            before = len(list(Path("/proc/self/fd").iterdir()))
            for _ in range(5):
                panel.show_log(log)
                panel.show_log(None)
            await pilot.pause()
            await pilot.app.workers.wait_for_complete()
            assert len(list(Path("/proc/self/fd").iterdir())) <= before

    asyncio.run(main())
