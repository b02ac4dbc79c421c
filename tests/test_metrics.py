"""The metrics endpoint: what is exported and what is not, both text formats, and where it listens."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.error import HTTPError

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from nanwatch.errors import UsageError
from nanwatch.metrics import Server, Source, parse_address, serve
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import RunFacts
from tests.notify.making import NOON, alert_facts, run_facts
from tests.support.prometheus import FixedSource, ask, awaited

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
HEALTH = Health(
    pid=7, host="gpu-a3", version="0.4.0", started_at=NOON, seen_at=NOON + 60, followed=3, bytes_behind=10,
    bytes_read=5000, frames=40, wake="native", problems=("a: gone",), degraded="polling",
)  # fmt: skip
DESTINATION = DestinationHealth("phone/ntfy", sent=5, failed=2, given_up=1, waiting=4, last_sent_at=NOON)
LINE = "nanwatch: metrics: OSError: disk I/O error\n"
RUN = {"run": "a", "log": "/x/a.log"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def serving(source: Source, address: str = "127.0.0.1:0") -> Iterator[Server]:
    """Serve *source* until the end of the block."""
    server = serve(address, source)
    try:
        yield server
    finally:
        server.close()


def scraped(source: Source) -> Samples:
    """Return every sample of *source*, which is the same in both text formats."""
    with serving(source) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        text, openmetrics = ask(url, accept="text/plain").decode(), ask(url, accept=OPENMETRICS).decode()
    classic = [s for family in parse_text(text) for s in family.samples]
    modern = [s for family in parse_openmetrics(openmetrics) for s in family.samples]  # type: ignore[no-untyped-call]
    found: Samples = {(s.name, frozenset(s.labels.items())): s.value for s in classic}
    assert len(found) == len(classic)
    assert repr(found) == repr({(s.name, frozenset(s.labels.items())): s.value for s in modern})
    return found


def value(samples: Samples, name: str, /, **labels: str) -> float | None:
    """Return the value of the sample of that name with exactly these labels."""
    return samples.get((f"nanwatch_{name}", frozenset(labels.items())))


def test_a_run_is_exported_in_base_units() -> None:
    """Where it is, how it gets on, and its health, each under the run and its log."""
    run = run_facts("/x/a.log", id="a", nan_batches=73, grad_skips=72, step=9, steps=90)
    found = scraped(FixedSource([run]))
    assert value(found, "run_info", **RUN, format="ultralytics", status="running") == 1
    expected = {
        "epoch": 4, "epochs": 50, "batch": 1420, "batches": 41163, "step": 9, "steps": 90, "progress_ratio": 0.06,
        "batches_per_second": 12.4, "eta_seconds": 154800, "updated_timestamp_seconds": NOON, "nan_batches": 73,
        "gradient_skips": 72, "vram_bytes": 4.71e9, "last_clean_epoch": 3,
    }  # fmt: skip
    assert {name: value(found, f"run_{name}", **RUN) for name in expected} == pytest.approx(expected)
    assert value(found, "run_loss", **RUN, name="box_loss") == 0.3127
    assert value(found, "run_metric", **RUN, name="mAP50-95") == 0.6413
    assert value(found, "run_best_metric", **RUN, name="mAP50-95") == 0.6413


def test_what_is_not_known_has_no_sample() -> None:
    """Zero would be a lie; only counts of what was seen are zero."""
    names = {name for name, _ in scraped(FixedSource([RunFacts("a", "/x/a.log")]))}
    assert names == {"nanwatch_up", "nanwatch_run_info", "nanwatch_run_nan_batches", "nanwatch_run_gradient_skips"}


def test_a_loss_of_nan_is_exported_as_nan() -> None:
    """That is the point."""
    found = scraped(FixedSource([run_facts("/x/a.log", id="a", losses={"l": math.nan, "m": math.inf, "n": -math.inf})]))
    assert math.isnan(value(found, "run_loss", **RUN, name="l") or 0)
    assert value(found, "run_loss", **RUN, name="m") == math.inf
    assert value(found, "run_loss", **RUN, name="n") == -math.inf


def test_alerts_that_fire_are_counted() -> None:
    """A rule that tells epochs apart has several in one run; suppressed ones are told apart."""
    run = run_facts("/x/a.log", id="a")
    alerts = [alert_facts("nan_loss", id="1"), alert_facts("nan_loss", id="2"), alert_facts("oom", suppressed=("ack",))]
    found = scraped(FixedSource([run], [(run, alert) for alert in alerts]))
    labels = RUN | {"severity": "critical", "state": "firing"}
    assert value(found, "alerts", **labels, rule="nan_loss", suppressed="false") == 2
    assert value(found, "alerts", **labels, rule="oom", suppressed="true") == 1


def test_the_daemon_tells_how_it_fares() -> None:
    """Also how far behind it is, and what it cannot do."""
    found = scraped(FixedSource(told_health=HEALTH))
    expected = {
        "up": 1, "start_timestamp_seconds": NOON, "last_look_timestamp_seconds": NOON + 60, "followed_logs": 3,
        "bytes_behind": 10, "read_bytes_total": 5000, "frames_total": 40, "problems": 1, "degraded": 1,
    }  # fmt: skip
    assert {name: value(found, name) for name in expected} == expected
    assert value(found, "daemon_info", version="0.4.0", wake="native") == 1


def test_before_its_first_look_the_daemon_is_not_up() -> None:
    """It answers all the same."""
    assert scraped(FixedSource()) == {("nanwatch_up", frozenset()): 0.0}


def test_deliveries_are_counted_by_result() -> None:
    """With what waits, and when one last worked."""
    found = scraped(FixedSource(told_destinations=[DESTINATION]))
    counts = [
        value(found, "messages_total", destination="phone/ntfy", result=r) for r in ("sent", "failed", "given_up")
    ]
    assert counts == [5, 2, 1]
    assert value(found, "news_waiting", destination="phone/ntfy") == 4
    assert value(found, "last_delivery_timestamp_seconds", destination="phone/ntfy") == NOON
    assert value(found, "last_failure_timestamp_seconds", destination="phone/ntfy") is None


def test_hostile_names_stay_labels() -> None:
    """Control characters and halves of characters are gone, quotes are escaped, and one name comes once."""
    twins = {"l\x1b": 1.0, "l\x07": 2.0}
    runs = [run_facts('/x/"\\\n\udcff}.log', id=i, losses=twins, epoch=10**400) for i in ("a\x00", "a\x01", "a\n")]
    found = scraped(FixedSource(runs))
    labels = {"run": "a ", "log": '/x/"\\  }.log'}
    assert value(found, "run_loss", **labels, name="l ") == 2.0
    assert value(found, "run_epoch", **labels) == math.inf


def test_each_scrape_asks_anew() -> None:
    """What is told is what is so at that moment."""
    source = FixedSource()
    with serving(source) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        assert b"nanwatch_run_info" not in ask(url)
        source.told_runs = [run_facts()]
        assert b"nanwatch_run_info" in ask(url)


def test_it_is_at_metrics_only() -> None:
    """Any other path is not found."""
    with serving(FixedSource()) as server, pytest.raises(HTTPError, match="404"):
        ask(f"http://127.0.0.1:{server.port}/")


def test_a_source_that_fails_is_an_error_of_this_scrape(capsys: pytest.CaptureFixture[str]) -> None:
    """The next one is answered; the daemon says in a line what was wrong."""

    class Failing(FixedSource):
        def runs(self) -> Sequence[RunFacts]:
            if not self.told_runs:
                raise OSError("disk I/O error")
            return self.told_runs

    source = Failing()
    with serving(source) as server:
        url = f"http://127.0.0.1:{server.port}/metrics"
        with pytest.raises(HTTPError, match="500"):
            ask(url)
        source.told_runs = [run_facts()]
        assert b"nanwatch_run_info" in ask(url)
        assert awaited(lambda: capsys.readouterr().err, "a line on stderr") == LINE


def test_a_client_that_hangs_up_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said about it, and others are answered."""
    with serving(FixedSource()) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert b"nanwatch_up" in ask(f"http://127.0.0.1:{server.port}/metrics")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [(":9464", "127.0.0.1", 9464), ("9464", "127.0.0.1", 9464), ("10.0.0.7:9464", "10.0.0.7", 9464),
     ("localhost:1", "localhost", 1), ("[::1]:9464", "::1", 9464), ("[::]:0", "::", 0)],
)  # fmt: skip
def test_only_this_machine_is_answered_unless_told_otherwise(address: str, host: str, port: int) -> None:
    """A bare port listens on the loopback address."""
    assert parse_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    ["", ":", "x", "host:", "host:65536", "host:-1", "::1:9464", "[::1]", "[x]:1", "http://x:1", "a b:1", "x:\u0663"],
)
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    """It says which setting is meant."""
    with pytest.raises(UsageError, match=r"^daemon\.metrics: "):
        serve(address, FixedSource())


def test_a_port_in_use_is_a_usage_error() -> None:
    """It says so in a line; once the other has ended the port is free again."""
    with serving(FixedSource()) as server:
        with pytest.raises(UsageError, match=rf"^daemon\.metrics: :{server.port}: address already in use$"):
            serve(f":{server.port}", FixedSource())
        port = server.port
    with serving(FixedSource(), f":{port}") as again:
        assert again.port == port


@pytest.mark.skipif(not socket.has_ipv6, reason="this system knows no IPv6")
def test_ipv6_is_served() -> None:
    """An address in brackets is listened on as it stands."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serving(FixedSource(), "[::1]:0") as server:
        assert b"nanwatch_up" in ask(f"http://[::1]:{server.port}/metrics")


def test_the_client_library_is_loaded_only_to_serve() -> None:
    """Every other command does without it."""
    code = "import sys, nanwatch.metrics; sys.exit('prometheus_client' in sys.modules or 'http.server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0
