"""What the summary remembers: warm equals cold, only new bytes are read, and a bad cache counts as none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanwatch import cache as cache_module
from nanwatch import reading
from nanwatch.cache import Cache
from nanwatch.config import Config, Rules
from nanwatch.model.frame import Chunk
from nanwatch.reading import LogReading, read_log
from nanwatch.tail.follower import Follower, Item
from tests.support.logs import capture, cod_story, yolo_story
from tests.support.repeatable import repeatable

NOW = 2_000_000_000.0


class Counted(Follower):
    """A follower that counts the bytes it hands out."""

    handed_out = 0

    def poll(self) -> Iterator[Item]:
        """Yield what the follower yields."""
        for item in super().poll():
            if isinstance(item, Chunk):
                Counted.handed_out += len(item.data)
            yield item


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what is read, and let nobody write the logs."""
    monkeypatch.setattr(reading, "Follower", Counted)
    monkeypatch.setattr(reading, "writers_of", lambda _: [])


def look(log: Path, cache: Cache | None) -> tuple[LogReading, int]:
    """Return the reading of *log*, and how many bytes of it were read."""
    Counted.handed_out = 0
    if log.exists() and log.stat().st_mtime < NOW - 1e7:
        os.utime(log, (NOW, NOW))  # written just now, not years ago: what a silence teaches is another test's
    return read_log(log, Config(), cache, NOW), Counted.handed_out


def same(one: LogReading, other: LogReading) -> bool:
    """Tell whether two readings say the same, but for what each has seen of the silence before."""
    looks = re.compile(r"(?:grew_at|silence|is_held)=[\w.]+")
    shown = [looks.sub("", repr((r.runs, r.alerts, r.problem))) for r in (one, other)]
    return shown[0] == shown[1]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that holds the first half of the yolo story's incident."""
    path = tmp_path / "x.log"
    data = yolo_story()[0]
    path.write_bytes(data[: data.index(b"nan") + 2000])
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache in a folder that does not exist yet."""
    return Cache(tmp_path / "cache" / "summary", Rules())


def only_file(tmp_path: Path) -> Path:
    """Return the one file of the cache."""
    (path,) = (tmp_path / "cache" / "summary").iterdir()
    return path


def test_unchanged_log_is_not_read_again(log: Path, cache: Cache) -> None:
    """The second look at an unchanged log reads no byte, and says the same."""
    cold, size = look(log, cache)
    assert size == log.stat().st_size
    warm, size = look(log, cache)
    assert size == 0
    assert same(warm, cold)
    assert warm.silence == cold.silence


def test_only_new_bytes_are_read(log: Path, cache: Cache) -> None:
    """When the log has grown, only what is new is read, and the whole is told as if read at once."""
    look(log, cache)
    data, before = yolo_story()[0], log.stat().st_size
    log.write_bytes(data)
    warm, size = look(log, cache)
    assert size == len(data) - before
    assert same(warm, look(log, None)[0])


@given(
    cuts=st.lists(st.integers(0, 1 << 30), min_size=1, max_size=4),
    name=st.sampled_from(["cod", "redirect", "gradguard"]),
)
@settings(repeatable, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_warm_equals_cold(tmp_path_factory: pytest.TempPathFactory, cuts: list[int], name: str) -> None:
    """However a log grew between looks, the last look says what one look at the whole says."""
    data = {
        "cod": cod_story()[0][-60_000:],
        "redirect": capture("ultralytics/v8n_8.3.200_redirect"),
        "gradguard": capture("ultralytics/v8n_8.3.100_redirect_gradguard")[:80_000],
    }[name]
    folder = tmp_path_factory.mktemp("warm")
    cache, log = Cache(folder / "cache", Rules()), folder / "x.log"
    for cut in sorted(cut % len(data) for cut in cuts):
        log.write_bytes(data[: cut + 1])
        look(log, cache)
    log.write_bytes(data)
    assert same(look(log, cache)[0], look(log, None)[0])


def test_an_unfinished_frame_is_read_once(log: Path, cache: Cache) -> None:
    """A redraw that was looked at before its end is not counted again when it has ended."""
    data = yolo_story()[0]
    end = data.index(b"\r", data.index(b" nan "))
    for size in (end - 1, end, end + 1, end + 300):
        log.write_bytes(data[:size])
        assert same(look(log, cache)[0], look(log, None)[0])


def test_rewritten_log_is_read_anew(log: Path, cache: Cache) -> None:
    """A log with other bytes under the same name is another log, longer or not."""
    look(log, cache)
    other = capture("ultralytics/v8n_8.3.100_redirect_oom") + b"\n" * log.stat().st_size
    log.write_bytes(other)
    found, size = look(log, cache)
    assert size == len(other)
    assert same(found, look(log, None)[0])
    assert found.runs[0].failure is not None


def test_truncated_log_is_read_anew(log: Path, cache: Cache) -> None:
    """A log that has become shorter is read from its start."""
    look(log, cache)
    log.write_bytes(log.read_bytes()[:20_000])
    found, size = look(log, cache)
    assert size == 20_000
    assert same(found, look(log, None)[0])


def test_replaced_log_is_read_anew(log: Path, cache: Cache, tmp_path: Path) -> None:
    """A log that was moved away and begun again is another log."""
    look(log, cache)
    log.rename(tmp_path / "old")
    log.write_bytes(cod_story()[0][:30_000])
    found, size = look(log, cache)
    assert size == 30_000
    assert same(found, look(log, None)[0])


def test_a_log_that_vanished(log: Path, cache: Cache) -> None:
    """What is remembered of a log that is gone is not shown as if it were there."""
    look(log, cache)
    log.unlink()
    found, size = look(log, cache)
    assert (found.runs, found.problem, size) == ([], "file is missing", 0)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"\x00\xff",
        b"null\nnull\n",
        b'{"stamp": 1}\n',
        b"[" * 50_000,
        "é".encode(),
    ],
    ids=range(7),
)
def test_damaged_cache_is_none(log: Path, cache: Cache, tmp_path: Path, damage: bytes) -> None:
    """A file that is no cache is ignored, and replaced by a good one."""
    cold = look(log, cache)[0]
    only_file(tmp_path).write_bytes(damage)
    found, size = look(log, cache)
    assert size == log.stat().st_size
    assert same(found, cold)
    assert look(log, cache)[1] == 0


def test_a_torn_cache_is_none(log: Path, cache: Cache, tmp_path: Path) -> None:
    """Wherever a cache file breaks off, the log is told as without it, also when it has grown."""
    look(log, cache)
    whole = only_file(tmp_path).read_bytes()
    with log.open("ab") as file:
        file.write(b"\n")
    truth = look(log, None)[0]
    state = whole.index(b"\n") + 1
    for end in (1, state // 2, state - 1, state, state + 1, state + 100, len(whole) - 5, len(whole) - 2):
        only_file(tmp_path).write_bytes(whole[:end])
        assert same(look(log, cache)[0], truth), end


def test_a_state_of_another_kind_is_none(log: Path, cache: Cache, tmp_path: Path) -> None:
    """A state whose classes have other fields is not believed."""
    look(log, cache)
    path = only_file(tmp_path)
    head, state, *_ = path.read_bytes().split(b"\n")
    with log.open("ab") as file:
        file.write(b"\n")
    truth = look(log, None)[0]
    path.write_bytes(head + b"\n" + state.replace(b'"FramerState","v":[', b'"FramerState","v":[7,') + b"\n")
    assert same(look(log, cache)[0], truth)


def test_another_version_is_none(log: Path, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version or other settings remembered is not used."""
    look(log, cache)
    other = Rules()._replace(nan_loss=Rules().nan_loss._replace(enabled=False))
    assert Cache(tmp_path / "cache" / "summary", other).get(log) is None
    monkeypatch.setattr(cache_module, "__version__", "999")
    assert Cache(tmp_path / "cache" / "summary", Rules()).get(log) is None


def test_another_log_is_none(log: Path, cache: Cache, tmp_path: Path) -> None:
    """A cache file under the name of another log is not taken for it."""
    look(log, cache)
    path, other = only_file(tmp_path), tmp_path / "y.log"
    other.write_bytes(cod_story()[0][:30_000])
    look(other, cache)
    (second,) = {*path.parent.iterdir()} - {path}
    second.write_bytes(path.read_bytes())
    assert same(look(other, cache)[0], look(other, None)[0])


@pytest.mark.parametrize("obstacle", ["read-only", "a file"])
def test_no_place_to_write(log: Path, tmp_path: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be remembered, the summary is the same and only reads more."""
    if obstacle == "a file":
        (tmp_path / "cache").write_text("")
    else:  # root may write anywhere

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkstemp", refuse)
    cache = Cache(tmp_path / "cache" / "summary", Rules())
    truth = look(log, None)[0]
    for _ in range(2):
        found, size = look(log, cache)
        assert size == log.stat().st_size
        assert same(found, truth)


def test_a_full_disk_leaves_no_litter(log: Path, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file cannot be put in its place, what was written of it is removed."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    look(log, cache)
    assert list((tmp_path / "cache" / "summary").iterdir()) == []


def test_nobody_else_may_read_it(log: Path, cache: Cache, tmp_path: Path) -> None:
    """Cache files are readable by their owner only, and so is their folder."""
    mask = os.umask(0o022)
    try:
        look(log, cache)
    finally:
        os.umask(mask)
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert only_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_the_path_is_as_given(log: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is named in another way is remembered all the same, and shown under the name that was given."""
    look(log, cache)
    monkeypatch.chdir(log.parent)
    warm, size = look(Path("x.log"), cache)
    assert size == 0
    assert (warm.log, warm.runs[0].log, warm.runs[0].id) == ("x.log", "x.log", "x.log")
    with log.open("ab") as file:
        file.write(b"\n")
    grown, _ = look(Path("x.log"), cache)
    assert (grown.runs[0].log, grown.runs[0].id) == ("x.log", "x.log")
