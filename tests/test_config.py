"""The config: frozen settings, or one line that says which file and which key is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanwatch.config import (
    CheckpointSettings,
    Config,
    DaemonSettings,
    Duration,
    NotifySettings,
    QuietHours,
    Receiver,
    Rules,
    Tag,
)
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


# -- receivers, tags, notify, daemon


def test_what_a_service_is_told_is_set(tmp_path: Path) -> None:
    """Each setting of receivers, tags, notify and daemon is taken; what is not said is as the code says."""
    text = """
    [receivers.team]
    urls = "slack://${TOKENS}"
    command = ["true", "--gently"]
    alertmanager = ["http://am1:9093", "http://am2:9093"]
    min_severity = "warning"
    runs = "*/seg-*"
    rules = ["nan_*", "stall"]
    tags = ["vision"]
    resolved = false
    quiet_hours = "22:00 - 7:00"
    rate_limit = 0
    timeout = "1m 30s"
    [receivers."a.b-c_1"]
    command = "true"
    [tags.vision]
    runs = ["*/yolo-*"]
    [tags.nan]
    rules = "nan_*"
    [notify]
    group_wait = 0
    group_wait_critical = "1s"
    give_up = "1d"
    host = "gpu-a3"
    [daemon]
    metrics = "127.0.0.1:9464"
    history = "2h"
    """
    config = load_config(str(write(tmp_path, text)))
    team, other = config.receivers
    assert [secret.reveal() for secret in team.alertmanager] == ["http://am1:9093", "http://am2:9093"]
    assert [secret.place for secret in team.urls] == [f"{tmp_path}/nanwatch.toml: receivers.team.urls[0]"]
    assert team._replace(urls=(), alertmanager=()) == Receiver(
        "team", (), ("true", "--gently"), (), "warning", ("*/seg-*",), ("nan_*", "stall"), ("vision",), False,
        QuietHours(22 * 60, 7 * 60), 0, Duration(90),
    )  # fmt: skip
    assert other == Receiver("a.b-c_1", command=("true",))
    assert config.tags == (Tag("vision", ("*/yolo-*",)), Tag("nan", (), ("nan_*",)))
    assert config.notify == NotifySettings(Duration(0), Duration(1), Duration(86400), "gpu-a3")
    assert config.daemon == DaemonSettings("", "127.0.0.1:9464", Duration(7200))


def test_paths_of_a_service_are_relative_to_the_config(tmp_path: Path) -> None:
    """So are a command with a slash in it, the state's folder and a file with a secret; a bare name is looked up."""
    (tmp_path / "slack.url").write_text("slack://a/b/c\n")
    text = """
    [receivers.a]
    command = ["./bin/../stop.sh", "./as-it-is"]
    [receivers.b]
    command = ["~/stop.sh"]
    [receivers.c]
    command = ["stop"]
    [receivers.d]
    urls = ["file:slack.url"]
    [daemon]
    state = "var/./state"
    """
    config = load_config(str(write(tmp_path, text)))
    home = str(Path("~").expanduser())
    assert [receiver.command for receiver in config.receivers] == [
        (f"{tmp_path}/stop.sh", "./as-it-is"), (f"{home}/stop.sh",), ("stop",), ()
    ]  # fmt: skip
    assert config.receivers[3].urls[0].reveal() == "slack://a/b/c"
    assert config.daemon.state == f"{tmp_path}/var/state"


def test_a_service_sees_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the config is named, `absolute` holds wherever the service goes; standard input stays what it is."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 'logs = ["runs/*.log", "-"]\n[receivers.a]\ncommand = "./stop.sh"\n[daemon]\nstate = "here"\n')
    config = load_config("nanwatch.toml").absolute()
    assert config.logs == (f"{tmp_path}/runs/*.log", "-")
    assert (config.receivers[0].command, config.daemon.state) == ((f"{tmp_path}/stop.sh",), f"{tmp_path}/here")


URL = "slack://T0KEN/S3CRET"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"receivers = '{URL}'", ["receivers: expected a table"]),
        (f"[receivers]\nphone = '{URL}'", ["receivers.phone: expected a table"]),
        (f"[[receivers]]\nurls = '{URL}'", ["receivers: expected a table"]),
        (f"[receivers.phone]\nurl = '{URL}'", ["receivers.phone.url: no such setting", "urls", "alertmanager"]),
        (f"[receivers.phone]\nname = '{URL}'", ["receivers.phone.name: no such setting"]),
        (f"[receivers.phone]\n'{URL}' = true", ["receivers.phone....: no such setting"]),
        (f"[receivers]\n'{URL}' = true", ["receivers.'...': a name is made of letters, digits, -, _ and ."]),
        (f"'{URL}' = true", ["...: no such setting"]),
        ("[receivers.'a b']\ncommand = 'true'", ["receivers.'a b': a name is made of letters, digits, -, _ and ."]),
        ("[receivers.'']\ncommand = 'true'", ["receivers.'': a name"]),
        ('[receivers."a\\nb"]\ncommand = "true"', ["receivers.'a\\nb': a name is made of"]),
        ("[receivers.phone]", ["receivers.phone: it needs urls, a command or an alertmanager"]),
        ("[receivers.phone]\nurls = []", ["receivers.phone: it needs urls, a command or an alertmanager"]),
        (f"[receivers.phone]\nurls = ['{URL}', 3]", ["receivers.phone.urls: expected a list of texts"]),
        (f"[receivers.phone]\nurls = {{a = '{URL}'}}", ["receivers.phone.urls: expected a list of texts"]),
        (f"[receivers.phone]\nalertmanager = [['{URL}']]", ["receivers.phone.alertmanager: expected a list of texts"]),
        (f"[receivers.phone]\nurls = '{URL}", ["Expected"]),
        (f"[receivers.phone]\nurls = ['{URL}'\n[tags]", ["line 3"]),
        ("[receivers.phone]\ncommand = 3", ["receivers.phone.command: expected a list of texts"]),
        ("[receivers.phone]\ncommand = ''", ["receivers.phone.command: expected a program"]),
        ("[receivers.phone]\ncommand = ['', 'x']", ["receivers.phone.command: expected a program"]),
        ("[receivers.phone]\ncommand = '~nobody-here/x'", ["receivers.phone.command: ", "home folder"]),
        ('[receivers.phone]\ncommand = "./a\\u0000"', ["receivers.phone.command: ", "not the name of a file"]),
        *(
            (f"[receivers.phone]\nurls = '{URL}'\n{key} = {value}", [f"receivers.phone.{key}: {said}"])
            for key, value, said in [
                ("min_severity", "'high'", "expected one of info, warning, critical, found 'high'"),
                ("min_severity", "1", "expected one of info, warning, critical, found 1"),
                ("min_severity", f"'{URL}'", "expected one of info, warning, critical, found an address"),
                ("runs", "3", "expected a list of texts"),
                ("rules", "[3]", "expected a list of texts"),
                ("tags", "{a = 1}", "expected a list of texts"),
                ("resolved", "'no'", "expected true or false, found 'no'"),
                ("resolved", "0", "expected true or false, found 0"),
                ("rate_limit", "true", "expected a whole number, found True"),
                ("rate_limit", "2.5", "expected a whole number, found 2.5"),
                ("rate_limit", "-1", "-1 is out of range"),
                ("rate_limit", f"'{URL}'", "expected a whole number, found an address"),
                ("timeout", "'soon'", "expected a duration such as '10m' or '1h 30m', found 'soon'"),
                ("timeout", "-1", "expected a duration"),
                ("timeout", "0", "must be more than 0"),
                ("timeout", f"['{URL}']", "expected a duration such as '10m' or '1h 30m', found an address"),
                ("quiet_hours", "'22-7'", "expected hours such as '22:00-07:00', found '22-7'"),
                ("quiet_hours", "'24:00-07:00'", "expected hours"),
                ("quiet_hours", "'22:60-07:00'", "expected hours"),
                ("quiet_hours", "'22:00-07:00 '", "expected hours"),
                ("quiet_hours", "22", "expected hours such as '22:00-07:00', found 22"),
                ("quiet_hours", "22:00:00", "expected hours"),
                ("quiet_hours", "'7:00-07:00'", "'7:00-07:00' begins when it ends"),
            ]
        ),
        ("tags = 3", ["tags: expected a table"]),
        ("[tags]\nvision = '*/seg-*'", ["tags.vision: expected a table"]),
        ("[tags.vision]", ["tags.vision: it needs runs or rules"]),
        ("[tags.vision]\nruns = []", ["tags.vision: it needs runs or rules"]),
        ("[tags.vision]\nrun = 'x'", ["tags.vision.run: no such setting", "runs, rules"]),
        ("[tags.vision]\nruns = 3", ["tags.vision.runs: expected a list of texts"]),
        ("[tags.'a b']\nruns = 'x'", ["tags.'a b': a name is made of"]),
        ("notify = 3", ["notify: expected a table"]),
        ("[notify]\ngroup_waits = 3", ["notify.group_waits: no such setting", "group_wait_critical"]),
        ("[notify]\ngroup_wait = 'x'", ["notify.group_wait: expected a duration"]),
        ("[notify]\ngive_up = inf", ["notify.give_up: expected a duration"]),
        ("[notify]\nhost = 3", ["notify.host: expected a text, found 3"]),
        ("daemon = 'x'", ["daemon: expected a table"]),
        ("[daemon]\nlog = 'x'", ["daemon.log: no such setting", "state, metrics, history"]),
        ("[daemon]\nstate = 3", ["daemon.state: expected a text, found 3"]),
        ("[daemon]\nstate = '~nobody-here/x'", ["daemon.state: '~nobody-here/x': nobody here has such a home folder"]),
        ('[daemon]\nstate = "a\\u0000"', ["daemon.state: ", "not the name of a file"]),
        ("[daemon]\nmetrics = 9464", ["daemon.metrics: expected a text, found 9464"]),
        ("[daemon]\nhistory = false", ["daemon.history: expected a duration"]),
        ("logs = '~nobody-here/*.log'", ["logs: '~nobody-here/*.log': nobody here has such a home folder"]),
        ('logs = "a\\u0000"', ["logs: ", "not the name of a file"]),
        ("a = " + "[" * 10_000, ["nested too deeply"]),
    ],
)  # fmt: skip
def test_what_is_wrong_about_a_service(tmp_path: Path, text: str, words: list[str]) -> None:
    """Every mistake is one line that names the file and the key, and never shows an address."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_config(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert all(word in message for word in words), message
    assert not {"slack", "T0KEN", "S3CRET"} & set(message.replace("/", " ").replace(":", " ").replace("'", " ").split())


def test_checkpoints_are_where_the_config_says(tmp_path: Path) -> None:
    """Folders are relative to the config; what is no folder is refused with its place."""
    path = tmp_path / "nanwatch.toml"
    path.write_text(
        '[checkpoints]\nscan = false\ntimeout = "5m"\n[checkpoints.folders]\n"*seg*" = "w/seg"\n"b" = "/b"\n'
    )
    settings = load_config(str(path)).checkpoints
    assert settings == CheckpointSettings(
        scan=False, timeout=Duration(300), folders=(("*seg*", str(tmp_path / "w/seg")), ("b", "/b"))
    )
    for text, words in (
        ('folders = "w"', "checkpoints.folders: expected"),
        ("folder = 1", "checkpoints.folder: no such"),
    ):
        path.write_text(f"[checkpoints]\n{text}\n")
        with pytest.raises(UsageError, match=words):
            load_config(str(path))
