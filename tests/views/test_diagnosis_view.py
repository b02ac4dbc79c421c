"""A diagnosis reads well in any terminal, in a pipe and as JSON, and nothing of a log is obeyed in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nanwatch.cli import main
from nanwatch.diagnose import diagnose
from nanwatch.model.checkpoint import Checkpoint, Weights
from nanwatch.model.diagnosis import Cause, Diagnosis, Observation, Resume, SettingChange
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView
from nanwatch.runs.status import status_of
from nanwatch.views.diagnosis import diagnosis_json, render_diagnosis
from tests.support.logs import capture, cod_story, read, yolo_story

HOSTILE = "\x1b]0;title\x07[red]x[/red] <b>&\u202eabc\r\n"


def view_of(data: bytes) -> RunView:
    """Return the last run of *data*."""
    pipeline = read(data)
    run = pipeline.runs[-1]
    return RunView(run, pipeline.alerts_of(run), status_of(run, pipeline.alerts_of(run)), None)


def page(view: RunView, found: Diagnosis, weights: Weights | None = None, **look: Any) -> str:
    """Return the page, 80 cells wide in ASCII unless *look* says otherwise."""
    return render_diagnosis(view, found, weights, **{"width": 80, "color": False, "ascii_only": True, **look})


def hostile(text: str) -> Diagnosis:
    """Return a diagnosis whose every text is *text*."""
    said = Observation(text, 1, 2, 3, 4)
    return Diagnosis(
        (said,), (Cause(text, text, "certain", (said,), (said,), (text,), text),),
        (SettingChange(text, text, text, text, text), SettingChange(text, None, None, text, text)),
        Resume(text, text, False, text), (text,), (text,),
    )  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("story", ["yolo", "cod"])
def test_no_line_but_the_command_is_too_wide(story: str, width: int) -> None:
    """Every line fits the terminal; the command stands whole on the last one, to be copied."""
    view = view_of((yolo_story if story == "yolo" else cod_story)(100)[0])
    found = diagnose(view)
    lines = page(view, found, width=width).splitlines()
    command = found.resume.command if found.resume is not None else ""
    assert all(cell_len(line) <= width for line in lines if line != command)
    assert not command or lines[-1] == command


def test_every_part_is_on_the_page() -> None:
    """What happened, causes, settings before and after, steps, the checkpoint, what is not known: all is told."""
    view = view_of(yolo_story(400)[0])
    text = page(view, diagnose(view))
    for part in (
        "What happened", "Probable causes, likeliest first", "1. probable:", "     for ", "     do ", "     source ",
        "Settings to change", "10 -> 5", "0.0005 -> 0.001", "What to do next", "How to go on", "(not checked)",
        "Not known", "(line ", "yolo detect train model=",
    ):  # fmt: skip
        assert part in text, part


def test_healthy_run_has_nothing_to_diagnose() -> None:
    """A run that is well gets one sentence."""
    view = view_of(capture("keras/keras_3.15_redirect"))
    assert page(view, diagnose(view)).splitlines()[1:] == ["", "Nothing to diagnose: the log shows nothing wrong."]


def test_ascii_is_ascii() -> None:
    """A terminal that shows only ASCII gets only that; another one gets an arrow."""
    view = view_of(yolo_story(100)[0])
    assert page(view, diagnose(view)).isascii()
    assert "→" in page(view, diagnose(view), ascii_only=False)


def test_colour_only_where_asked() -> None:
    """Without colour there is no escape in the text; with it, the words are the same."""
    view = view_of(yolo_story(100)[0])
    plain, colored = page(view, diagnose(view)), page(view, diagnose(view), color=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored


@pytest.mark.parametrize("color", [False, True])
def test_hostile_text_is_inert(color: bool) -> None:
    """Escapes, controls and bidi overrides of a log never reach the terminal; brackets are only letters."""
    view = RunView(Run(HOSTILE, HOSTILE, epoch=1), [], "running", None)
    text = page(view, hostile(HOSTILE), Weights(HOSTILE, problem=HOSTILE), color=color)
    for sign in ("\x07", "\x1b]", "\u202e", "\r"):
        assert sign not in text
    assert "[red]x[/red]" in text


@given(st.text(), st.integers(1, 200))
def test_any_text_fits_and_is_inert(text: str, width: int) -> None:
    """Whatever a diagnosis says, it fits and is printable."""
    shown = page(RunView(Run(text, text), [], "unknown", None), hostile(text), width=width)
    assert all(line.isprintable() for line in shown.split("\n"))


def test_scanned_checkpoints_are_told() -> None:
    """The last clean one of those that were scanned is named; without a clean one that is said."""
    clean = Checkpoint("/w/epoch3.pt", "clean")
    view = view_of(yolo_story(100)[0])
    weights = Weights("/w", (Checkpoint("/w/last.pt", "nonfinite"), clean), clean)
    assert "2 checkpoints scanned in /w; clean: /w/epoch3.pt" in page(view, diagnose(view, weights), weights)
    assert "(scanned, clean)" in page(view, diagnose(view, weights), weights)
    none = Weights("/w", (Checkpoint("/w/last.pt", "nonfinite"),))
    assert "1 checkpoint scanned in /w; none of them clean" in page(view, diagnose(view, none), none)
    missing = Weights("/w", problem="folder is missing")
    assert "/w: folder is missing" in page(view, diagnose(view, missing), missing)


def test_json_holds_everything() -> None:
    """The JSON object has each field of the diagnosis, the run, and the checkpoints."""
    view = view_of(yolo_story(400)[0])
    found = json.loads(json.dumps(diagnosis_json(view, diagnose(view), None), allow_nan=False))
    assert set(found) == {
        "run", "log", "format", "status", "findings", "causes", "changes", "resume", "steps", "unknown", "checkpoints",
    }  # fmt: skip
    assert found["causes"][0]["id"] == "nan_at_epoch_start_with_memory"
    assert {"name": "gradient clipping", "before": "10", "after": "5"}.items() <= next(
        change for change in found["changes"] if change["name"] == "gradient clipping"
    ).items()


# -- the command


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a small yolo story as a file."""
    path = tmp_path / "yolo.log"
    path.write_bytes(yolo_story(200)[0])
    return path


def test_command_prints_a_page(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`nanwatch diagnose LOG` prints the page and ends with 0 though it found something."""
    assert main(["diagnose", str(log)]) == 0
    out, err = capsys.readouterr()
    assert "Something changed as the epoch began" in out
    assert err == ""


def test_command_prints_json(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one JSON object."""
    assert main(["diagnose", "--json", str(log)]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "ultralytics"


def test_command_scans_a_folder(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--checkpoints DIR` looks there; where there is nothing, that is one line and exit code 3."""
    assert main(["diagnose", str(log), "--checkpoints", str(tmp_path / "none")]) == 3
    assert capsys.readouterr().err == f"nanwatch: {tmp_path / 'none'}: folder is missing\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "file is missing"), (b"", "empty"), (b"\x7fELF\x00\x01\x02", "binary file"), (b"hello\n", "no training")],
)
def test_nothing_to_read_is_one_line(
    tmp_path: Path, content: bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that gives no run is one clear line, and exit code 3."""
    path = tmp_path / "x.log"
    if content is not None:
        path.write_bytes(content)
    assert main(["diagnose", str(path)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize(("words", "code"), [(["-"], 2), (["x.log", "--run", "7"], 3)])
def test_what_cannot_be_asked_is_one_line(
    log: Path, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard input is wrong usage; a run that is not there is nothing to read."""
    assert main(["diagnose", *[str(log) if word == "x.log" else word for word in words]]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_wrong_in_checkpoints_is_told() -> None:
    """Files that are not clean are named with what is wrong in them, a hostile one with what it would run."""
    bad = Checkpoint("/w/last.pt", "hostile", problem="would run posix.system('x')")
    weights = Weights("/w", (bad,), None, skipped=4, since=1.0, later=1)
    view = view_of(yolo_story(100)[0])
    text = " ".join(page(view, diagnose(view, weights), weights).split())
    assert "/w/last.pt: hostile: would run posix.system('x')" in text
    assert "1 checkpoint written after the trouble began left out, finite or not; 4 older not looked at" in text
    shown = diagnosis_json(view, diagnose(view, weights), weights)["checkpoints"]
    assert (shown["skipped"], shown["later"], shown["since"]) == (4, 1, 1.0)


def test_finding_without_a_cause_says_so() -> None:
    """A page of nothing but findings ends with a sentence that nothing more is known."""
    view = view_of(capture("ultralytics/v8n_8.3.200_redirect"))
    text = page(view, diagnose(view))
    assert "VRAM 4.20 -> 4.71 GB" in text
    assert text.rstrip().endswith("The log shows no cause for it.")


def test_empty_name_of_a_folder_is_refused(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--checkpoints "$UNSET"` does not look through the folder that one happens to be in."""
    assert main(["diagnose", str(log), "--checkpoints", ""]) == 2
    assert "the name of the folder is empty" in capsys.readouterr().err


def test_alerts_without_a_cause_are_told() -> None:
    """A run with an alert that no cause is known for is not called well."""
    lines = (f"Epoch {n}/100 | loss {0.5 / n:.4f} | val_acc {0.5 + 0.01 * min(n, 10):.4f}\n" for n in range(1, 41))
    view = view_of("".join(lines).encode())
    text = page(view, diagnose(view))
    assert "shows nothing wrong" not in text
    assert "frozen_metric: validation is the same to the last digit" in text
