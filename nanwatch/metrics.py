"""The `/metrics` endpoint: runs, alerts, deliveries and the daemon itself as Prometheus reads them."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

from nanwatch.errors import UsageError
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, RunFacts

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import CollectorRegistry

_PLACE = "daemon.metrics"
_LOOPBACK = "127.0.0.1"
_PATIENCE = 10.0
"""Seconds that a client may take to say what it wants."""
_BYTES_PER_GB = 1e9


class Source(Protocol):
    """Where the endpoint finds what it tells. It is asked at each scrape, by any thread."""

    def runs(self) -> Sequence[RunFacts]:
        """Return every run that is followed."""
        ...

    def alerts(self) -> Sequence[tuple[RunFacts, AlertFacts]]:
        """Return every alert that fires, suppressed ones too, with its run."""
        ...

    def health(self) -> Health | None:
        """Return how the daemon fares; None before its first look."""
        ...

    def destinations(self) -> Sequence[DestinationHealth]:
        """Return what became of the deliveries to each destination."""
        ...


class Server:
    """The endpoint while it is served, by threads of its own. `port` is the one that it listens on."""

    def __init__(self, httpd: ThreadingHTTPServer) -> None:
        self._httpd = httpd
        self.port: int = httpd.server_address[1]
        self._thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a scrape that is being answered is not waited for."""
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()


def serve(address: str, source: Source) -> Server:
    """Serve `/metrics` at *address*: `HOST:PORT`, or `:PORT` or `PORT` for this machine alone; port 0 is any free one.

    Raises:
        UsageError: *address* is none, or cannot be listened on.
    """
    host, port = parse_address(address)
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return Server(_httpd(family, where, source))
    except OSError as error:
        reason = (error.strerror or "cannot be listened on").lower()
        raise UsageError(f"{_PLACE}: {address}: {reason}") from None


def parse_address(address: str) -> tuple[str, int]:
    """Return the host and the port of *address*; an IPv6 address stands in brackets.

    Raises:
        UsageError: it is not an address.
    """
    host, _, port = address.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if in_brackets else host
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 1 << 16
    if not is_port or in_brackets is not (":" in name) or any(c.isspace() or c in "/[]@" for c in name):
        raise UsageError(f"{_PLACE}: {address!r} is not an address such as 127.0.0.1:9464")
    return name or _LOOPBACK, int(port)


# -- the server


def _httpd(family: int, where: tuple[Any, ...], source: Source) -> ThreadingHTTPServer:
    # All of this is loaded only where metrics are served.
    from http.server import ThreadingHTTPServer
    from socketserver import TCPServer

    from prometheus_client.registry import CollectorRegistry

    class Httpd(ThreadingHTTPServer):
        address_family = family

        def server_bind(self) -> None:
            """Listen, without asking a name server what this machine is called."""
            TCPServer.server_bind(self)
            self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
            """Say in a line what went wrong with a scrape; one that hung up is no news."""
            error = sys.exception()
            if not isinstance(error, ConnectionError):
                sys.stderr.write(f"nanwatch: metrics: {type(error).__name__}: {_label(str(error))}\n")

    registry = CollectorRegistry()
    registry.register(_Collector(source))
    return Httpd(where, _handler(registry))


def _handler(registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    from http import HTTPStatus

    from prometheus_client import MetricsHandler

    class Handler(MetricsHandler):
        timeout = _PATIENCE
        server_version, sys_version = "nanwatch", ""

        def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
            """Answer a scrape."""
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND, "it is at /metrics")
                return
            try:
                super().do_GET()
            except ConnectionError:
                raise
            except Exception:
                self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
                raise

    return Handler.factory(registry)


# -- what is told

_Number = float | None
_Samples = Iterable[tuple[tuple[str, ...], _Number]]

_RUN = ("run", "log")
_ALERT = ("rule", "severity", "run", "log", "state", "suppressed")

_HEALTH: tuple[tuple[str, str, Callable[[Health], _Number]], ...] = (
    ("start_timestamp_seconds", "When the daemon started.", lambda h: h.started_at),
    ("last_look_timestamp_seconds", "When the daemon last looked at the logs.", lambda h: h.seen_at),
    ("followed_logs", "Logs that are followed.", lambda h: h.followed),
    ("bytes_behind", "Bytes of the logs that were not read yet.", lambda h: h.bytes_behind),
    ("problems", "What cannot be read.", lambda h: len(h.problems)),
    ("degraded", "1 while the daemon does without something that it should have.", lambda h: bool(h.degraded)),
)
_RUNS: tuple[tuple[str, str, Callable[[RunFacts], _Number]], ...] = (
    ("epoch", "Epoch that the run is in, as its trainer counts.", lambda r: r.epoch),
    ("epochs", "Epochs that the run is meant to last.", lambda r: r.epochs),
    ("batch", "Batch within the epoch, as the trainer counts.", lambda r: r.batch),
    ("batches", "Batches of an epoch.", lambda r: r.batches),
    ("step", "Step over the whole run, as the trainer counts.", lambda r: r.step),
    ("steps", "Steps that the run is meant to last.", lambda r: r.steps),
    ("progress_ratio", "Part of the run that is done, 0 to 1.", lambda r: r.progress),
    ("batches_per_second", "Speed of the run.", lambda r: r.rate),
    ("eta_seconds", "Time until the run is done.", lambda r: r.eta_seconds),
    ("updated_timestamp_seconds", "When the run's log last grew.", lambda r: r.updated_at),
    ("nan_batches", "Batches of the run with a non-finite loss.", lambda r: r.nan_batches),
    ("gradient_skips", "Optimizer steps skipped for non-finite gradients.", lambda r: r.grad_skips),
    ("vram_bytes", "GPU memory as the trainer prints it.", lambda r: _bytes(r.vram_gb)),
    ("last_clean_epoch", "Last complete epoch without a non-finite batch.", lambda r: r.last_clean_epoch),
)
_NAMED: tuple[tuple[str, str, Callable[[RunFacts], Mapping[str, _Number]]], ...] = (
    ("loss", "Last value of each loss; NaN where the trainer printed that.", lambda r: r.losses),
    ("metric", "Last value of the run's primary metric.", lambda r: _primary(r, r.primary_value)),
    ("best_metric", "Best value of the run's primary metric.", lambda r: _primary(r, r.best_value)),
)
_DESTINATIONS: tuple[tuple[str, str, Callable[[DestinationHealth], _Number]], ...] = (
    ("news_waiting", "Alerts that a destination has still to be told of.", lambda d: d.waiting),
    ("last_delivery_timestamp_seconds", "When a message was last delivered.", lambda d: d.last_sent_at),
    ("last_failure_timestamp_seconds", "When a delivery last failed.", lambda d: d.last_failed_at),
)


class _Collector:
    """Asks the source at each scrape, so that what is told is never older than that."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Return what there is to tell now: no number stands for what is not known."""
        yield from _daemon(self._source.health())
        yield from _runs(self._source.runs())
        yield from _alerts(self._source.alerts())
        yield from _deliveries(self._source.destinations())


def _daemon(health: Health | None) -> Iterator[Metric]:
    yield from _gauge("up", "1 once the daemon has looked at the logs, 0 before.", (), [((), health is not None)])
    if health is None:
        return
    about = {"version": health.version, "wake": health.wake}
    yield from _info("daemon", "Version of the daemon, and how it learns of growth.", (), {(): about})
    for name, text, value in _HEALTH:
        yield from _gauge(name, text, (), [((), value(health))])
    yield from _counter("read_bytes", "Bytes of logs that were read.", (), [((), health.bytes_read)])
    yield from _counter("frames", "Lines, and redraws of lines, that were read.", (), [((), health.frames)])


def _runs(runs: Sequence[RunFacts]) -> Iterator[Metric]:
    about: dict[tuple[str, ...], dict[str, str]] = {
        (r.id, r.log): {"format": r.format, "status": r.status} for r in runs
    }
    yield from _info("run", "Format and status of each run.", _RUN, about)
    for name, text, value in _RUNS:
        yield from _gauge(f"run_{name}", text, _RUN, (((r.id, r.log), value(r)) for r in runs))
    for name, text, values in _NAMED:
        named = (((r.id, r.log, of), number) for r in runs for of, number in values(r).items())
        yield from _gauge(f"run_{name}", text, (*_RUN, "name"), named)


def _alerts(alerts: Sequence[tuple[RunFacts, AlertFacts]]) -> Iterator[Metric]:
    """Return how many alerts of a rule fire in a run: one, where the rule does not tell epochs apart."""
    counts = Counter(
        (a.rule, a.severity, run.id, run.log, a.state, "true" if a.suppressed else "false") for run, a in alerts
    )
    yield from _gauge("alerts", "Alerts that fire.", _ALERT, counts.items())


def _deliveries(destinations: Sequence[DestinationHealth]) -> Iterator[Metric]:
    for name, text, value in _DESTINATIONS:
        yield from _gauge(name, text, ("destination",), (((d.name,), value(d)) for d in destinations))
    results = (
        ((d.name, result), count)
        for d in destinations
        for result, count in (("sent", d.sent), ("failed", d.failed), ("given_up", d.given_up))
    )
    yield from _counter("messages", "Attempts to deliver a message.", ("destination", "result"), results)


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield from _filled(GaugeMetricFamily(f"nanwatch_{name}", text, labels=labels), samples)


def _counter(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    yield from _filled(CounterMetricFamily(f"nanwatch_{name}", text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: _Samples) -> Iterator[Metric]:
    """Return *family* with each set of labels once, or nothing: names that differ in control characters are one."""
    for labels, number in {tuple(map(_label, labels)): number for labels, number in samples}.items():
        if number is not None:
            family.add_metric(labels, _float(number))
    if family.samples:
        yield family


def _info(
    name: str, text: str, labels: tuple[str, ...], about: Mapping[tuple[str, ...], dict[str, str]]
) -> Iterator[Metric]:
    from prometheus_client.core import InfoMetricFamily

    family = InfoMetricFamily(f"nanwatch_{name}", text, labels=labels)
    for of, values in {tuple(map(_label, of)): values for of, values in about.items()}.items():
        family.add_metric(of, {key: _label(value) for key, value in values.items()})
    if family.samples:
        yield family


def _primary(run: RunFacts, value: _Number) -> Mapping[str, _Number]:
    return {} if run.primary_metric is None else {run.primary_metric: value}


def _bytes(gigabytes: _Number) -> _Number:
    return None if gigabytes is None else gigabytes * _BYTES_PER_GB


def _float(number: float) -> float:
    """Return *number*; a log may print a counter that no float holds."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _label(text: str) -> str:
    """Return *text* without control characters and halves of characters."""
    return "".join(c if c.isprintable() else " " for c in text)
