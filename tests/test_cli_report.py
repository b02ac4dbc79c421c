"""`nanwatch report` as a user runs it: forms, files, exit codes, one line for what is wrong, and a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.stories import write_cod, write_yolo
from nanwatch.cli import main
from nanwatch.console import write_whole
from nanwatch.errors import UsageError
from nanwatch.reportcommand import since_of
from tests.support.browser import browser_page
from tests.test_layers import loaded

NOW = 1_763_733_771.0  # Friday 21 November 2025, 14:02:51 UTC
CAPTURES = Path(__file__).parents[1] / "fixtures" / "captures"
HOSTILE = "</script><img src=x onerror=alert(1)>_loss"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own with both incidents and a healthy log."""
    with (tmp_path / "yolo.log").open("wb") as file:
        write_yolo(file, batches=400)
    with (tmp_path / "cod.log").open("wb") as file:
        write_cod(file, batches=20)
    (tmp_path / "well.log").write_bytes((CAPTURES / "ultralytics" / "v8n_8.3.200_redirect.log").read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def test_the_terminal_gets_plain_text_without_a_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where stdout is a pipe there are no colours, no line is wider than 80 columns, and the sections are there."""
    assert main(["report", "yolo.log"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    for title in ("Status", "What happened", "Epochs", "Alerts", "Diagnosis", "Next steps"):
        assert f"\n{title}\n" in out
    assert home.exists()


@pytest.mark.usefixtures("home")
def test_the_suffix_decides_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    """`.md` is Markdown, `.html` a page; nothing is printed then, and `-` writes Markdown to stdout."""
    assert main(["report", "cod.log", "-o", "a.md"]) == 0
    assert main(["report", "cod.log", "yolo.log", "-o", "a.HTML"]) == 0
    assert capsys.readouterr() == ("", "")
    assert Path("a.md").read_text().startswith("# nanwatch report: `cod.log`\n")
    page = Path("a.HTML").read_text()
    assert page.startswith("<!doctype html>")
    assert '<nav aria-label="Runs">' in page
    assert main(["report", "cod.log", "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("# nanwatch report: `cod.log`\n")
    assert main(["report", "cod.log", "--format", "html"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "a.pdf"], 2, "-o a.pdf: the name must end in .md or .html"),
        (["-o", "a.md", "--format", "html"], 2, "-o a.md: its name says other than --format html"),
        (["-o", "no/such/a.md"], 2, "no/such/a.md: cannot be written: no such file or directory"),
        (["--since", "yesterday"], 2, "--since: expected a time such as 22:00, 8h or 2026-11-20T22:00"),
        (["--since", "2999-01-01"], 2, "--since: 2999-01-01 has not come yet"),
        (["--run", "0"], 2, "--run: runs are counted from 1, found 0"),
        (["--run", "7"], 3, "cod.log: has no run 7"),
    ],
)
def test_what_is_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:  # fmt: skip
    """A wrong argument is one line on stderr that says what and where, with the exit code of its kind."""
    assert main(["report", "cod.log", *arguments]) == code
    out, said = capsys.readouterr()
    assert out == ""
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("home")
def test_logs_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty, a missing and a binary log are a line each and exit code 3; beside a readable one they are listed."""
    Path("empty.log").touch()
    Path("binary.log").write_bytes(bytes(range(256)) * 8)
    assert main(["report", "empty.log", "gone.log", "binary.log"]) == 3
    out, said = capsys.readouterr()
    assert out == ""
    assert said.splitlines() == [
        "nanwatch: binary.log: binary file", "nanwatch: empty.log: empty", "nanwatch: gone.log: file is missing",
    ]  # fmt: skip
    assert main(["report", "empty.log", "cod.log", "-o", "-"]) == 0
    assert "| `empty.log` | empty |" in " ".join(capsys.readouterr().out.split())
    assert main(["report", "-"]) == 2


@pytest.mark.usefixtures("home")
def test_a_run_is_asked_for_by_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    """A log with two runs gives its last one, and with --run another."""
    Path("two.log").write_bytes(2 * Path("well.log").read_bytes())
    assert main(["report", "two.log"]) == 0
    assert "report: two.log (run 2)\n" in capsys.readouterr().out
    assert main(["report", "two.log", "--run", "1"]) == 0
    assert "report: two.log\n" in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_the_morning_report_covers_all_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """With --since all logs of the config are looked at; what ended before is counted in one line."""
    Path("nanwatch.toml").write_text("logs = ['*.log']\n")
    os.utime("well.log", (1e9, 1e9))
    assert main(["report", "--since", "8h"]) == 0
    out = capsys.readouterr().out
    assert "1 run did nothing in this time." in out
    assert re.search(r"^ +cod .*\n", out, re.MULTILINE)
    for form in ("md", "html"):
        assert main(["report", "--since", "8h", "--format", form]) == 0
        assert "1 run did nothing in this time." in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_without_plotly_the_page_has_no_plots(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Where Plotly is missing the page is written without plots, runs no script, and says how to get them."""
    for module in ("plots", "html"):
        monkeypatch.setattr(f"nanwatch.views.report.{module}.has_plots", lambda: False)
    assert main(["report", "yolo.log", "-o", "a.html"]) == 0
    said = capsys.readouterr().err
    assert said == "nanwatch: the report is written without plots; with them: pip install plotly\n"
    page = Path("a.html").read_text()
    assert "<script" not in page
    assert "script-src &#x27;none&#x27;" in page
    assert "pip install plotly" in page


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("8h", 8 * 3600), ("1h 30m", 5400), ("14:00", 171), ("22:00", 16 * 3600 + 171), ("2025-11-21T12:02:51", 7200),
        ("2025-11-21T13:02:51+01:00", 7200), ("2025-11-21", 14 * 3600 + 171),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("home")
def test_since_is_a_time_of_day_a_duration_or_a_date(text: str, ago: float) -> None:
    """A time of the day is its last coming; a duration so long ago; a date and time as it stands."""
    assert since_of(text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["", "h", "25:00", "8x", "9999999999999999d", "0001-01-01", "-8h", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """What cannot be read as a time is refused in one line."""
    with pytest.raises(UsageError, match=r"^--since: expected a time"):
        since_of(text, NOW)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report takes the place of an old one at once, with the mode of any new file; a failure leaves the old one."""
    path = tmp_path / "a.md"
    mask = os.umask(0o027)
    try:
        write_whole(path, "one")
    finally:
        os.umask(mask)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one", 0o640)

    def fail(self: Path, target: Path) -> Path:
        del self, target
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(UsageError, match="no space left on device"):
        write_whole(path, "two")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["one"]


def test_plotly_is_loaded_for_plots_alone(home: Path) -> None:
    """The terminal's form and Markdown load neither Plotly nor numpy for a run that is well."""
    for arguments in (["report", "well.log"], ["report", "well.log", "-o", "a.md"]):
        code, names = loaded(home, *arguments)
        assert code == 0
        assert not names & {"plotly", "numpy", "textual", "apprise"}


# -- a real browser


def test_the_page_works_in_a_browser(home: Path) -> None:
    """Opened as a file, it draws every plot in light and dark, says nothing on its console, and fetches nothing."""
    text = (home / "yolo.log").read_bytes().replace(b"box_loss", HOSTILE.encode())
    (home / "hostile.log").write_bytes(text)
    assert main(["report", "yolo.log", "hostile.log", "-o", "a.html"]) == 0
    asyncio.run(_look((home / "a.html").as_uri(), home / "profile"))


async def _look(url: str, profile: Path) -> None:
    async with browser_page(profile, 1000, 1200) as page:
        await page.call("Page.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=_WITNESS)
        await page.open(url)
        await page.wait_until('document.querySelectorAll(".plot.drawn").length > 0')
        await page.value("window.dispatchEvent(new Event('beforeprint')) && 0")
        await page.wait_until('document.querySelectorAll(".plot").length > 10')
        await page.wait_until('!document.querySelector(".plot:not(.drawn)")')
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        await page.wait_until('getComputedStyle(document.body).backgroundColor === "rgb(21, 24, 28)"')
        assert not await page.value("document.querySelector('.plot:not(.js-plotly-plot)')")
        assert await page.value("window.witness") == []
        assert await page.value("document.images.length") == 0
        assert await page.value("document.querySelectorAll('a[href]:not([href^=\"#\"])').length") == 0
        assert [asked for asked in page.asked if not asked.startswith(("data:", "blob:"))] == [url]


_WITNESS = """
window.witness = [];
for (const name of ["error", "warn"]) {
  console[name] = (...words) => window.witness.push(words.map(String).join(" "));
}
window.addEventListener("error", (event) => window.witness.push(event.message));
window.addEventListener("unhandledrejection", (event) => window.witness.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => window.witness.push(event.violatedDirective));
"""
"""Takes note of what a page complains of, and of what its policy forbids it."""


def test_a_log_is_not_overwritten(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that would take the log's own place is refused, also through a link; the log stays."""
    before = (home / "cod.log").read_bytes()
    (home / "cod.log").rename(home / "cod.md")
    (home / "link.md").symlink_to("cod.md")
    for name in ("cod.md", "./cod.md", "link.md"):
        assert main(["report", "cod.md", "-o", name]) == 2
        assert "is the log itself" in capsys.readouterr().err
    assert (home / "cod.md").read_bytes() == before


@pytest.mark.usefixtures("home")
def test_a_link_stays_a_link(home: Path) -> None:
    """`-o` through a link writes the file that it points to."""
    (home / "latest.md").symlink_to("night.md")
    assert main(["report", "cod.log", "-o", "latest.md"]) == 0
    assert (home / "latest.md").is_symlink()
    assert (home / "night.md").read_text(encoding="utf-8").startswith("# nanwatch report")
