"""The committed routes in a real Alertmanager: inhibition, and mail in working hours."""

import copy
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from demo.paths import CHECKOUT
from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.http import request

AlertLabels = Mapping[str, str]
ALWAYS = {"times": [{"start_time": "00:00", "end_time": "24:00"}], "location": "Etc/UTC"}
NEVER = {"years": ["2001"], "location": "Etc/UTC"}
QUICK = {"group_wait": "0s", "group_interval": "1s"}


class RecordingReceiver(ThreadingHTTPServer):
    """A server that records the alerts of each receiver by its name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.alerts_by_receiver: dict[str, list[str]] = {}

    def names(self, receiver: str) -> set[str]:
        return set(self.alerts_by_receiver.get(receiver, []))


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, RecordingReceiver)
        names = [alert["labels"]["alertname"] for alert in body["alerts"]]
        self.server.alerts_by_receiver.setdefault(self.path.strip("/"), []).extend(names)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    server = RecordingReceiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


StartAlertmanager = Callable[[Mapping[str, Any]], AlertmanagerServer]


@pytest.fixture
def start(start_alertmanager: Callable[[str], AlertmanagerServer], receiver: RecordingReceiver) -> StartAlertmanager:
    """Return a function that starts Alertmanager with the committed routes and the given working hours."""
    return lambda hours: start_alertmanager(yaml.safe_dump(_committed(receiver.server_port, hours)))


def test_target_down_inhibits_symptoms_in_its_stack_but_no_remediation(
    start: StartAlertmanager,
) -> None:
    server = start(ALWAYS)
    down = {"alertname": "DatabaseDown", "severity": "critical", "component": "database", "target": "main"}
    long = {"alertname": "LongRunningQuery", "severity": "warning", "component": "database", "target": "main"}
    idle = {**long, "alertname": "IdleInTransactionTooLong", "remediation": "terminate_idle_transactions"}
    errors = {"alertname": "HighErrorRate", "component": "application"}
    blind = {"alertname": "MetricMissing", "severity": "warning", "component": "monitoring"}
    search = {"component": "search", "severity": "warning", "stack": "a"}
    inhibited = [
        {**long, "stack": "a"},
        {**search, "alertname": "ElasticsearchIndexStale", "index": "contacts", "target": "gone"},
        {**search, "alertname": "ElasticsearchShardsUnassigned", "target": "red"},
        {**search, "alertname": "ElasticsearchClusterYellow", "target": "stuck"},
        {**errors, "severity": "critical", "stack": "a"},
        {**blind, "quantity": "pg_query_max_age_seconds", "stack": "a"},
        {
            "alertname": "CollectorFailing",
            "severity": "warning",
            "collector": "postgres",
            "target": "main",
            "stack": "a",
        },
        {**errors, "severity": "warning", "stack": "b"},
        {"alertname": "SlowDatabaseQueries", "severity": "info", "target": "main", "stack": "c"},
        {"alertname": "QueueHighWaitingCount", "severity": "warning", "target": "jobs", "queue": "mail", "stack": "a"},
    ]
    notified = [
        {**down, "stack": "a"},
        {**search, "alertname": "ElasticsearchDown", "severity": "critical", "target": "gone"},
        {**search, "alertname": "ElasticsearchClusterRed", "severity": "critical", "target": "red"},
        {**search, "alertname": "ElasticsearchShardsUnassigned", "target": "stuck"},
        {**search, "alertname": "ElasticsearchClusterYellow", "target": "gone yellow"},
        {**idle, "stack": "a"},
        {**long, "stack": "a", "target": "replica"},
        {**long, "stack": "b"},
        {"alertname": "HealthCheckFailing", "severity": "critical", "component": "http", "target": "api", "stack": "a"},
        {**blind, "quantity": "redis_up", "stack": "a"},
        {**errors, "severity": "critical", "stack": "b"},
        {**errors, "severity": "warning", "stack": "c"},
        {"alertname": "SlowDatabaseQueries", "severity": "warning", "target": "main", "stack": "c"},
        {"alertname": "SlowDatabaseQueries", "severity": "info", "target": "replica", "stack": "c"},
        # The same name and severities, with a remediation: both are notified.
        {"alertname": "BackupTooOld", "severity": "critical", "remediation": "run_backup", "target": "n", "stack": "a"},
        {"alertname": "BackupTooOld", "severity": "warning", "remediation": "run_backup", "target": "n", "stack": "a"},
        {"alertname": "QueueHighLag", "severity": "critical", "target": "jobs", "queue": "mail", "stack": "a"},
        {"alertname": "QueueHighWaitingCount", "severity": "warning", "target": "jobs", "queue": "sms", "stack": "a"},
    ]
    _send(server, inhibited + notified)
    assert _by_state(server) == {"inhibited": _set(inhibited), "notified": _set(notified)}


def test_info_alerts_outside_working_hours_reach_the_remediator_but_no_mail(
    start: StartAlertmanager, receiver: RecordingReceiver
) -> None:
    server = start(NEVER)
    note = {"severity": "info", "priority": "P3", "stack": "a"}
    _send(server, [{**note, "alertname": "Note", "remediation": "run_backup"}])
    _until(lambda: "Note" in receiver.names("chat") & receiver.names("remediator"))
    _send(server, [{**note, "alertname": "Warned", "severity": "warning", "priority": "P2"}])
    _until(lambda: "Warned" in receiver.names("mail"))
    assert receiver.names("mail") == {"Warned"}
    assert receiver.names("pager") == set()


def test_info_alerts_in_working_hours_are_mailed(start: StartAlertmanager, receiver: RecordingReceiver) -> None:
    server = start(ALWAYS)
    _send(server, [{"alertname": "Note", "severity": "info", "priority": "P3", "stack": "a"}])
    _send(server, [{"alertname": "Wakes", "severity": "critical", "priority": "P0", "stack": "a"}])
    _until(lambda: "Note" in receiver.names("mail"))
    _until(lambda: "Wakes" in receiver.names("pager"))
    assert receiver.names("mail") == {"Note"}


def _committed(port: int, hours: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = copy.deepcopy(yaml.safe_load((CHECKOUT / "deploy" / "alertmanager.yml").read_text()))
    del content["global"]
    content["receivers"] = [
        {"name": entry["name"], "webhook_configs": [{"url": f"http://127.0.0.1:{port}/{entry['name']}"}]}
        for entry in content["receivers"]
    ]
    _hurry(content["route"])
    for interval in content["time_intervals"]:
        interval["time_intervals"] = [dict(hours)]
    return content


def _hurry(route: dict[str, Any]) -> None:
    """Let a route and those below it notify at once."""
    route |= QUICK
    for each in route.get("routes", []):
        _hurry(each)


def _send(server: AlertmanagerServer, alerts: list[dict[str, str]]) -> None:
    url, kind = f"{server.url}/api/v2/alerts", {"Content-Type": "application/json"}
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    http_request = urllib.request.Request(url, body, kind)  # noqa: S310 - our own server
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(http_request, timeout=5) as response:
        assert response.status == 200


def _by_state(server: AlertmanagerServer) -> dict[str, set[tuple[tuple[str, str], ...]]]:
    alerts = json.loads(request(f"{server.url}/api/v2/alerts"))
    inhibited = [alert["labels"] for alert in alerts if alert["status"]["inhibitedBy"]]
    return {
        "inhibited": _set(inhibited),
        "notified": _set([alert["labels"] for alert in alerts if alert["labels"] not in inhibited]),
    }


def _set(alerts: list[dict[str, str]]) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(labels.items())) for labels in alerts}


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "condition not met within 60 seconds"
        time.sleep(0.05)
