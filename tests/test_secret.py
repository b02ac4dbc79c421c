"""Secrets: where they come from, and that nobody sees them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nanwatch.errors import UsageError
from nanwatch.secret import Secret


def test_literal() -> None:
    """A secret may stand in the config itself, and is not shown by its repr, str or format."""
    secret = Secret("ntfy://host/topic", "notify.ops.urls[0]")
    assert secret.reveal() == "ntfy://host/topic"
    assert secret.written == "ntfy://host/topic"
    assert f"{secret} {secret!r} {secret!s}" == " ".join(["Secret(notify.ops.urls[0])"] * 3)


def test_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret may be or hold an environment variable; its value is taken as it is."""
    monkeypatch.setenv("TOKEN", "ab${HOME}cd")
    secret = Secret("ntfy://${TOKEN}@host/topic")
    assert secret.reveal() == "ntfy://ab${HOME}cd@host/topic"
    assert secret.written == "ntfy://@host/topic"


@pytest.mark.parametrize("value", [None, ""])
def test_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A variable that is missing or empty is an error that names it and its place."""
    monkeypatch.delenv("TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("TOKEN", value)
    with pytest.raises(UsageError, match=r"^notify\.x: the environment variable TOKEN is not set$"):
        Secret("${TOKEN}", "notify.x").reveal()


def test_file(tmp_path: Path) -> None:
    """A secret may stand in a file, beside the config or elsewhere; space around it does not count."""
    (tmp_path / "token").write_text("  json://me:pass@host \n", encoding="utf-8")
    assert Secret("file:token", folder=str(tmp_path)).reveal() == "json://me:pass@host"
    assert Secret(f"file:{tmp_path}/token", folder="/nowhere").reveal() == "json://me:pass@host"
    assert Secret("file:token").written == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no such file or directory"),
        (b" \n", "empty"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a\nb", "more than one line"),
    ],
)
def test_file_that_holds_no_secret(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """A file that is missing, empty, binary or of several lines is an error that names it, never its content."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Secret("file:token", "notify.x", str(tmp_path)).reveal()
    assert str(caught.value) == f"notify.x: {tmp_path}/token: {problem}"


@pytest.mark.parametrize("name", ["~nobody-of-this-name/token", "a\0b"])
def test_file_name_that_is_none(name: str) -> None:
    """A name that no file can have is an error of the config too."""
    with pytest.raises(UsageError, match="not the name of a file"):
        Secret(f"file:{name}", "notify.x").reveal()


def test_equal_secrets() -> None:
    """Two secrets are the same when they say the same, wherever they stand: a reload asks that."""
    assert Secret("a", "x") == Secret("a", "y") != Secret("b", "x")
    assert hash(Secret("a", "x")) == hash(Secret("a", "y"))


def test_import_is_quick() -> None:
    """Every command reads the config, and does not wait for modules that only those need who send something."""
    late = {"logging", "json", "base64", "nanwatch.redaction"}
    code = f"import sys, nanwatch.config; sys.exit(bool({late} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
