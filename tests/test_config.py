"""The config: frozen settings, or one line that says which file and which key is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.config import Config, Rules
from nanwatch.configfile import load_config
from nanwatch.errors import UsageError


def write(folder: Path, text: str | bytes, name: str = "nanwatch.toml") -> Path:
    """Write a config."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder without a config."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_defaults(tmp_path: Path) -> None:
    """Without any config, and with an empty one, everything is as the code says."""
    assert load_config() == Config()
    assert load_config(None, tmp_path) == Config()
    path = write(tmp_path, "")
    assert load_config(str(path)).rules == Rules()
    burst = Config().rules.nan_burst
    assert (burst.enabled, burst.batches, burst.within, burst.streak) == (True, 3, 100, 20)


def test_what_is_set_is_set(tmp_path: Path) -> None:
    """Each key changes its setting and nothing else; a whole number will do where a number is asked for."""
    path = write(tmp_path, "[rules.vram_jump]\npercent = 20\ngb = 0.5\n[rules.nan_loss]\nenabled = false\n")
    config = load_config(str(path))
    assert config.rules == Rules()._replace(
        vram_jump=Rules().vram_jump._replace(percent=20.0, gb=0.5), nan_loss=Rules().nan_loss._replace(enabled=False)
    )
    assert isinstance(config.rules.vram_jump.percent, float)
    assert config.path == str(path)


def test_logs_are_relative_to_the_config(tmp_path: Path) -> None:
    """A config means the logs beside itself, wherever it is used from; `~`, absolute paths and `-` are kept."""
    path = write(tmp_path, 'logs = ["runs/*.log", "./x/../a.log", "/var/b.log", "-", "~/c.log"]\n')
    home = str(Path("~").expanduser())
    assert load_config(str(path)).logs == (
        f"{tmp_path}/runs/*.log", f"{tmp_path}/a.log", "/var/b.log", "-", f"{home}/c.log"
    )  # fmt: skip
    assert load_config(str(write(tmp_path, 'logs = "one.log"\n'))).logs == (f"{tmp_path}/one.log",)


def test_the_config_here_comes_before_the_users(tmp_path: Path) -> None:
    """`nanwatch.toml` here is taken, else that of the user's folder; one that is named, before both."""
    user = tmp_path / "user"
    user.mkdir()
    write(user, 'logs = ["user.log"]\n')
    assert load_config(None, user).logs == (f"{user}/user.log",)
    write(Path.cwd(), 'logs = ["here.log"]\n')
    assert load_config(None, user).logs == ("here.log",)
    named = write(tmp_path, 'logs = ["named.log"]\n', "other.toml")
    assert load_config(str(named), user).logs == (f"{tmp_path}/named.log",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lgos = []\n", ["lgos: no such setting", "logs, rules"]),
        ("[rules.nan_lost]\n", ["rules.nan_lost: no such setting", "nan_loss"]),
        ("[rules.nan_burst]\nbatch = 3\n", ["rules.nan_burst.batch: no such setting", "batches"]),
        ("[rules.nan_burst]\nbatches = '3'\n", ["rules.nan_burst.batches: expected a whole number, found '3'"]),
        ("[rules.nan_burst]\nbatches = 3.5\n", ["rules.nan_burst.batches: expected a whole number, found 3.5"]),
        ("[rules.nan_burst]\nbatches = true\n", ["rules.nan_burst.batches: expected a whole number, found True"]),
        ("[rules.nan_burst]\nenabled = 1\n", ["rules.nan_burst.enabled: expected true or false, found 1"]),
        ("[rules.vram_jump]\ngb = true\n", ["rules.vram_jump.gb: expected a number, found True"]),
        ("[rules.vram_jump]\ngb = 'x'\n", ["rules.vram_jump.gb: expected a number, found 'x'"]),
        ("[rules.vram_jump]\ngb = -1\n", ["rules.vram_jump.gb: -1", "out of range"]),
        ("[rules.vram_jump]\ngb = nan\n", ["rules.vram_jump.gb: nan is out of range"]),
        ("[rules.vram_jump]\ngb = inf\n", ["rules.vram_jump.gb: inf is out of range"]),
        ("[rules.nan_burst]\nbatches = -3\n", ["rules.nan_burst.batches: -3 is out of range"]),
        ("[rules]\nnan_burst = 3\n", ["rules.nan_burst: expected a table"]),
        ("rules = 3\n", ["rules: expected a table"]),
        ("logs = 3\n", ["logs: expected a list of paths"]),
        ("logs = [3]\n", ["logs: expected a list of paths"]),
        ("logs = [\n", ["Invalid value"]),
        ("[rules.nan_loss]\nenabled = maybe\n", ["line 2"]),
        (b"\xff\xfe\x00", ["not a text file"]),
        (b"\x7fELF\x00\x01", ["nanwatch.toml"]),
        ("a = 1\n" * 2, ["overwrite a value"]),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str | bytes, words: list[str]) -> None:
    """Every mistake is one line that names the file, the key and what was expected."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A config that is named must exist."""
    with pytest.raises(UsageError, match=r"gone\.toml: no such file"):
        load_config(str(tmp_path / "gone.toml"))


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    """What cannot be read as a file is said to be so."""
    with pytest.raises(UsageError, match="directory"):
        load_config(str(tmp_path))


def test_a_config_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lack of permission is told with the file."""

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, "")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UsageError, match=r"nanwatch\.toml: Permission denied"):
        load_config(str(path))
