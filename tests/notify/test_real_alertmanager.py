"""A real Alertmanager and a real Prometheus take what nanwatch tells them, and their checkers its configs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from nanwatch.metrics import serve
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import Message, News
from nanwatch.notify.via_alertmanager import AlertmanagerNotifier
from tests.notify.making import alert_facts, news, run_facts
from tests.support.prometheus import SHIPPED, FixedSource, alertmanager, ask, awaited, check, prometheus
from tests.support.servers import Request, WebServer

CONFIG = """
route: {receiver: people, group_by: [host, rule], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: people
    webhook_configs: [{url: "%s", send_resolved: true}]
"""
SCRAPE = """
global: {scrape_interval: 250ms, evaluation_interval: 250ms}
rule_files: ["%s"]
scrape_configs:
  - job_name: nanwatch
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


@dataclass
class Running:
    """An Alertmanager, what it tells people, and the notifier that tells it."""

    url: str
    people: WebServer
    notifier: AlertmanagerNotifier

    def tell(self, *told: News) -> None:
        """Deliver *told* now."""
        message = Message("k", "firing", "critical", "", "", "gpu-a3", time.time(), told)
        assert self.notifier.send(message).kind == "sent"

    def told(self, holds: Callable[[dict[str, str]], bool]) -> Request:
        """Wait until people were told of states of runs for which *holds* is true; return the notification."""
        return awaited(lambda: next((r for r in self.people.requests if holds(states(r))), None), "a notification")

    def alerts(self, run: str) -> list[dict[str, Any]]:
        """Return the alerts of *run* that the Alertmanager holds to be firing."""
        where = quote(f'run="{run}"')
        found: list[dict[str, Any]] = json.loads(ask(f"{self.url}/api/v2/alerts?filter={where}"))
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return an Alertmanager that all tests share: each uses runs of its own."""
    folder = tmp_path_factory.mktemp("alertmanager")
    with WebServer() as people, alertmanager(folder, CONFIG % people.url) as url:
        yield Running(url, people, AlertmanagerNotifier("ops/alertmanager", url, 10.0))


def fires(rule: str, run: str, **changes: Any) -> News:
    """Return that *rule* fires in *run* since now: an older one an Alertmanager tells at once, not in a group."""
    at = time.time()
    return news(rule, log=run, noticed_at=at, started_at=at, **changes)


def states(request: Request) -> dict[str, str]:
    """Return the state of each run that a notification tells of."""
    return {alert["labels"]["run"]: alert["status"] for alert in request.json()["alerts"]}


def test_two_runs_are_one_notification_and_their_ends_another(running: Running) -> None:
    """People hear of both at once, with their annotations, and later that both are over."""
    running.tell(fires("crash", "a1"), fires("crash", "a2"))
    first = running.told(lambda states: "a1" in states)
    assert states(first) == {"a1": "firing", "a2": "firing"}
    assert first.json()["commonLabels"]["alertname"] == "NanwatchCrash"
    assert first.json()["commonAnnotations"]["summary"] == "crash says so"
    over = {"state": "resolved", "resolved_at": time.time(), "reasons": ("resolved",)}
    running.tell(fires("crash", "a1", **over), fires("crash", "a2", **over))
    last = running.told(lambda states: states == {"a1": "resolved", "a2": "resolved"})
    assert last.json()["status"] == "resolved"
    assert running.alerts("a1") == []


def test_a_silence_there_keeps_an_alert_quiet(running: Running) -> None:
    """The alert is held as suppressed by the silence, while another one gets through."""
    now = time.time()
    silence = {
        "matchers": [{"name": "run", "value": "b1", "isRegex": False, "isEqual": True}],
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "endsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 600)),
        "createdBy": "test",
        "comment": "known",
    }
    made = json.loads(ask(f"{running.url}/api/v2/silences", silence))
    running.tell(fires("stall", "b1"), fires("stall", "b2"))
    told = running.told(lambda states: "b2" in states)
    assert states(told) == {"b2": "firing"}
    (alert,) = running.alerts("b1")
    assert alert["status"]["state"] == "suppressed"
    assert alert["status"]["silencedBy"] == [made["silenceID"]]


def test_an_escalation_leaves_one_alert(running: Running) -> None:
    """The warning has ended when the critical alert fires."""
    running.tell(fires("grad_skip", "c1", severity="warning"))
    awaited(lambda: running.alerts("c1"), "the warning")
    running.tell(fires("grad_skip", "c1", told="warning", reasons=("escalated",)))
    awaited(lambda: [a["labels"]["severity"] for a in running.alerts("c1")] == ["critical"], "the escalation")


def test_what_began_and_ended_is_told_all_the_same(running: Running) -> None:
    """An alert that was over before anybody heard of it reaches people as firing."""
    now = time.time()
    running.tell(fires("oom", "d1", state="resolved", resolved_at=now - 5, reasons=("first", "resolved")))
    told = running.told(lambda states: "d1" in states)
    assert states(told) == {"d1": "firing"}


def test_an_alert_told_again_is_the_same_one(running: Running) -> None:
    """It keeps its beginning, and its end moves on."""
    one = fires("vram_jump", "e1")
    running.tell(one)
    (before,) = awaited(lambda: running.alerts("e1"), "the alert")
    running.tell(one)
    awaited(lambda: running.alerts("e1")[0]["endsAt"] > before["endsAt"], "its end to move on")
    (after,) = running.alerts("e1")
    assert (after["startsAt"], after["fingerprint"]) == (before["startsAt"], before["fingerprint"])


def test_prometheus_reads_the_metrics_and_raises_the_shipped_alerts(tmp_path: Path) -> None:
    """A query finds the alert and a loss of NaN, and the rule for critical alerts fires."""
    run = run_facts(losses={"box_loss": float("nan")}, nan_batches=73, updated_at=time.time())
    health = Health(1, "gpu-a3", "1.0", time.time(), time.time(), followed=1)
    source = FixedSource([run], [(run, alert_facts())], health, [DestinationHealth("phone/ntfy", sent=2)])
    server = serve("127.0.0.1:0", source)
    try:
        with prometheus(tmp_path, SCRAPE % (SHIPPED / "nanwatch.rules.yml", server.port)) as url:

            def query(expression: str) -> list[dict[str, Any]]:
                told = json.loads(ask(f"{url}/api/v1/query?query={quote(expression)}"))
                found: list[dict[str, Any]] = told["data"]["result"]
                return found

            (found,) = awaited(lambda: query("nanwatch_alerts"), "the alert to be scraped")
            assert found["metric"].items() >= {"rule": "nan_burst", "severity": "critical", "state": "firing"}.items()
            assert query("nanwatch_run_loss")[0]["value"][1] == "NaN"
            assert query("nanwatch_messages_total{result='sent'}")[0]["value"][1] == "2"
            fired = awaited(lambda: query("ALERTS{alertname=~'Nanwatch.*',alertstate='firing'}"), "the rule to fire")
            assert [alert["metric"]["alertname"] for alert in fired] == ["NanwatchCriticalAlert"]
    finally:
        server.close()


def test_the_metrics_are_named_as_prometheus_wants_them() -> None:
    """Its own checker has nothing to say about any of them."""
    run = run_facts(step=7, steps=8, nan_batches=1)
    health = Health(1, "gpu-a3", "1.0", 1.0, 2.0)
    destination = DestinationHealth("phone/ntfy", sent=2, last_sent_at=3.0, last_failed_at=4.0)
    server = serve(":0", FixedSource([run], [(run, alert_facts())], health, [destination]))
    try:
        assert check("promtool", "check", "metrics", stdin=ask(f"http://127.0.0.1:{server.port}/metrics")) == ""
    finally:
        server.close()


def test_the_shipped_configs_are_valid() -> None:
    """The rules, and the examples of both programs' configs, pass the programs' own checks."""
    check("promtool", "check", "rules", "--lint-fatal", str(SHIPPED / "nanwatch.rules.yml"))
    check("promtool", "check", "config", str(SHIPPED / "prometheus.yml"))
    check("amtool", "check-config", str(SHIPPED / "alertmanager.yml"))


RUN = 'run="a", log="a.log", instance="h:1", job="nanwatch"'
TO = 'destination="phone/ntfy", instance="h:1", job="nanwatch"'
RULE_CASES: list[tuple[str, dict[str, str], bool]] = [
    ("NanwatchDown", {'up{job="nanwatch", instance="h:1"}': "1x5 0x60"}, True),
    ("NanwatchDown", {'up{job="other"}': "1x60"}, True),
    ("NanwatchDown", {'up{job="nanwatch", instance="h:1"}': "1x60"}, False),
    ("NanwatchStale", {'nanwatch_last_look_timestamp_seconds{instance="h:1"}': "0x60"}, True),
    ("NanwatchStale", {'nanwatch_last_look_timestamp_seconds{instance="h:1"}': "0+60x60"}, False),
    ("NanwatchBehind", {'nanwatch_bytes_behind{instance="h:1"}': "2e9x60"}, True),
    ("NanwatchBehind", {'nanwatch_bytes_behind{instance="h:1"}': "0x15 2e9x3 0x60"}, False),
    ("NanwatchCannotRead", {'nanwatch_problems{instance="h:1"}': "2x60"}, True),
    ("NanwatchCannotRead", {'nanwatch_degraded{instance="h:1"}': "0x60"}, False),
    (
        "NanwatchDeliveryFailing",
        {f'nanwatch_messages_total{{{TO}, result="failed"}}': "0+1x60", f"nanwatch_news_waiting{{{TO}}}": "1x60"},
        True,
    ),
    (
        "NanwatchDeliveryFailing",
        {f'nanwatch_messages_total{{{TO}, result="failed"}}': "0+1x60", f"nanwatch_news_waiting{{{TO}}}": "0x60"},
        False,
    ),
    ("NanwatchDeliveryFailing", {f'nanwatch_messages_total{{{TO}, result="given_up"}}': "0x10 1x50"}, True),
    (
        "NanwatchCriticalAlert",
        {f'nanwatch_alerts{{{RUN}, rule="oom", severity="critical", state="firing", suppressed="false"}}': "1x60"},
        True,
    ),
    (
        "NanwatchCriticalAlert",
        {f'nanwatch_alerts{{{RUN}, rule="oom", severity="critical", state="firing", suppressed="true"}}': "1x60"},
        False,
    ),
    ("NanwatchRunNaNGrowing", {f"nanwatch_run_nan_batches{{{RUN}}}": "0+3x60"}, True),
    ("NanwatchRunNaNGrowing", {f"nanwatch_run_nan_batches{{{RUN}}}": "73x60"}, False),
    (
        "NanwatchRunSilent",
        {
            f"nanwatch_run_updated_timestamp_seconds{{{RUN}}}": "-9000x60",
            f'nanwatch_run_info{{{RUN}, status="stalled"}}': "1x60",
        },
        True,
    ),
    (
        "NanwatchRunSilent",
        {
            f"nanwatch_run_updated_timestamp_seconds{{{RUN}}}": "-9000x60",
            f'nanwatch_run_info{{{RUN}, status="finished"}}': "1x60",
        },
        False,
    ),
]


@pytest.mark.parametrize(("rule", "series", "is_firing"), RULE_CASES)
def test_the_shipped_rules_fire_when_they_should(
    tmp_path: Path, rule: str, series: dict[str, str], is_firing: bool
) -> None:
    """After half an hour of these metrics the alert fires, or is silent for a look-alike."""
    expression = f"count(ALERTS{{alertname='{rule}', alertstate='firing'}}) or vector(0)"
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": "30m", "exp_samples": [{"labels": "{}", "value": int(is_firing)}]}
        ],
    }
    told = {"rule_files": [str(SHIPPED / "nanwatch.rules.yml")], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "case.yml").write_text(json.dumps(told))  # JSON is YAML
    check("promtool", "test", "rules", str(tmp_path / "case.yml"))
