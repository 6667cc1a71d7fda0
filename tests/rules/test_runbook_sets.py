"""The five sets in deploy/runbooks load in real servers, and a healthy stack is quiet with each."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import pytest
import yaml

from demo.servers.alertmanager import AlertmanagerServer
from demo.servers.prometheus import PrometheusServer
from runbookctl.runbook_sets import Runbook, runbook_set
from tests.rules.rulebook import ROOT, THRESHOLDS, adapter_files, subsystem_files, thresholds
from tests.rules.tools import RunTool
from tools.docs.runbook_routes import runbook_routes

SETS = ROOT / "deploy" / "runbooks"
STACKS = sorted(folder.name for folder in SETS.iterdir())
OTHERS = re.compile(r"(application|host|service|elasticsearch|tls)_.+|pg_checksum_failures|redis_hit_ratio")

# What a healthy target gives, per kind of the inventory.
POSTGRES: dict[str, int | str] = {
    "pg_up{T}": 1,
    "pg_role_can_see_all_sessions{T}": 1,
    'pg_connections{T,datname="app",state="idle"}': 5,
    "pg_settings_max_connections{T}": 100,
    "pg_settings_superuser_reserved_connections{T}": 3,
    'pg_idle_in_transaction_max_age_seconds{T,datname="app"}': 0,
    'pg_query_max_age_seconds{T,datname="app"}': 1,
    "pg_blocked_max_age_seconds{T}": 0,
    'pg_stat_statements_calls_total{T,datname="app",queryid="1"}': "0+60",
    'pg_stat_statements_seconds_total{T,datname="app",queryid="1"}': "0+1",
    'pg_tables{T,datname="app"}': 3,
    'pg_xid_age{T,datname="app"}': 1000,
    'pg_invalid_indexes{T,datname="app"}': 0,
    "pg_settings_archive_mode{T}": 1,
    "pg_stat_archiver_last_archived_timestamp_seconds{T}": "0+60",
    "pg_stat_wal_bytes_total{T}": "0+90000000",
}
REDIS: dict[str, int | str] = {
    "redis_up{T}": 1,
    "redis_maxmemory_policy_noeviction{T}": 1,
    "redis_rdb_last_bgsave_status{T}": 1,
    "redis_rdb_last_save_timestamp_seconds{T}": "0+60",
    "redis_rdb_changes_since_last_save{T}": 3,
    "redis_aof_enabled{T}": 0,
    "redis_keyspace_hits_total{T}": "0+600",
    "redis_keyspace_misses_total{T}": "0+60",
    "redis_memory_used_bytes{T}": 10,
    "redis_memory_max_bytes{T}": 100,
    "redis_evicted_keys_total{T}": 0,
    "redis_rejected_connections_total{T}": 0,
}
QUEUES: dict[str, int | str] = {
    'bullmq_queue_jobs{T,queue="email",state="waiting"}': 1,
    'bullmq_queue_jobs{T,queue="email",state="failed"}': 1,
    'bullmq_queue_dead_letter_jobs{T,queue="email"}': 0,
    'bullmq_queue_oldest_waiting_age_seconds{T,queue="email"}': 2,
    'bullmq_queue_workers{T,queue="email"}': 2,
    'bullmq_queue_paused{T,queue="email"}': 0,
    'bullmq_schedulers_missed{T,queue="email"}': 0,
    'bullmq_queue_delayed_overdue_max_seconds{T,queue="email"}': 0,
    'bullmq_queue_active_unlocked_jobs{T,queue="email"}': 0,
}
BACKUPS: dict[str, int | str] = {
    "backup_up{T}": 1,
    "backup_found{T}": 1,
    "backup_last_success_timestamp_seconds{T}": "0+60",
    "backup_oldest_timestamp_seconds{T}": "-500000+60",
    "backup_last_size_bytes{T}": 100,
    "backup_size_median_bytes{T}": 100,
    "backup_last_verified_timestamp_seconds{T}": "0+60",
    "backup_last_restored_timestamp_seconds{T}": "0+60",
    "backup_last_restore_duration_seconds{T}": 600,
    "backup_encrypted{T}": 1,
}
KINDS: dict[str, dict[str, int | str]] = {
    "postgres": POSTGRES,
    "redis": REDIS,
    "queues": QUEUES,
    "backups": BACKUPS,
    "http": {"probe_success{T}": 1},
}
# The quantities that each scrape job brings.
JOBS = {
    "application": [
        *("application_up", "application_restarts", "application_resident_memory_bytes"),
        *("application_error_ratio", "application_error_ratio_rise", "application_rollback_error_ratio"),
        *("application_response_p95_seconds", "application_response_p95_rise_ratio"),
        *("application_response_mean_seconds", "application_request_rise_ratio"),
    ],
    "worker": [],
    "node": [
        *("host_cpu_used_ratio", "host_memory_used_ratio", "host_oom_kills"),
        *("host_disk_used_ratio", "host_disk_full_in_seconds"),
    ],
    "windows": ["host_cpu_used_ratio", "host_memory_used_ratio", "host_disk_used_ratio", "host_disk_full_in_seconds"],
    "cadvisor": ["host_cpu_used_ratio", "host_memory_used_ratio", "host_oom_kills"],
    "elasticsearch": ["elasticsearch_up", "elasticsearch_red"],
    "blackbox": ["tls_certificate_remaining_seconds"],
}
BROUGHT: dict[str, dict[str, int | str]] = {
    "application": {
        'up{job="application",instance="a",S}': 1,
        'process_start_time_seconds{job="application",instance="a",S}': 1,
        'process_resident_memory_bytes{job="application",instance="a",S}': 100,
        'http_request_duration_seconds_count{status_code="200",instance="a",S}': "0+600",
        'http_request_duration_seconds_sum{status_code="200",instance="a",S}': "0+60",
        'http_request_duration_seconds_bucket{le="0.25",instance="a",S}': "0+600",
        'http_request_duration_seconds_bucket{le="+Inf",instance="a",S}': "0+600",
    },
    "worker": {'up{job="worker",instance="w",S}': 1},
    "node": {
        'up{job="node",instance="n",S}': 1,
        'node_cpu_seconds_total{mode="idle",instance="n",S}': "0+50",
        'node_memory_MemAvailable_bytes{instance="n",S}': 60,
        'node_memory_MemTotal_bytes{instance="n",S}': 100,
        'node_filesystem_avail_bytes{instance="n",mountpoint="/",fstype="ext4",S}': 60,
        'node_filesystem_size_bytes{instance="n",mountpoint="/",fstype="ext4",S}': 100,
        'node_vmstat_oom_kill{instance="n",S}': 0,
    },
    "windows": {'up{job="windows",instance="n",S}': 1},
    "cadvisor": {'up{job="cadvisor",instance="n",S}': 1},
    "elasticsearch": {'elasticsearch_cluster_health_status{color="red",S}': 0},
    "blackbox": {'probe_ssl_earliest_cert_expiry{target="web",S}': 90 * 24 * 3600},
}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[PrometheusServer, AlertmanagerServer]]]:
    """Start a Prometheus and an Alertmanager of each set, all at once."""
    pairs = {stack: _pair(stack, tmp_path_factory.mktemp(stack)) for stack in STACKS}
    servers = [server for pair in pairs.values() for server in pair]
    with ExitStack() as stopped:
        for server in servers:
            stopped.callback(server.stop)
            server.launch()
        for server in servers:
            server.wait()
        yield pairs


@pytest.mark.parametrize("stack", STACKS)
def test_prometheus_evaluates_every_rule_of_a_set_without_error(running: Any, stack: str) -> None:
    prometheus, alertmanager = running[stack]
    expected = [f"{alertmanager.url}/api/v2/alerts"]
    deadline = time.monotonic() + 60
    while (rules := _unhealthy_rules(prometheus)) or _alertmanagers(prometheus) != expected:
        assert time.monotonic() < deadline, rules[:3]
        assert not [rule for rule in rules if rule["health"] == "err"]
        time.sleep(0.5)


@pytest.mark.parametrize("stack", STACKS)
def test_alertmanager_runs_with_the_routes_of_a_set(running: Any, stack: str) -> None:
    loaded = yaml.safe_load(_answer(f"{running[stack][1].url}/api/v2/status")["config"]["original"])
    written = yaml.safe_load((SETS / stack / "alertmanager.yml").read_text())
    assert [route["receiver"] for route in loaded["route"]["routes"]] == [
        route["receiver"] for route in written["route"]["routes"]
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_healthy_stack_is_quiet_but_for_what_its_set_does_not_scrape(
    promtool: RunTool, tmp_path: Path, stack: str
) -> None:
    """Four hours of a healthy stack, with the targets of the inventory and the jobs of the set."""
    file = tmp_path / "healthy.yml"
    file.write_text(yaml.safe_dump(_healthy(stack), width=1000))
    result = promtool("test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_set_has_every_target_that_its_thresholds_judge(stack: str) -> None:
    inventory = _inventory(stack)
    kinds = {target.get("kind", "full") for target in inventory["backups"].values()}
    for number in (rule for rule in thresholds() if rule.labels["stack"] == stack):
        kind = {"pg": "postgres", "redis": "redis", "bullmq": "queues", "probe": "http"}.get(
            number.quantity.split("_")[0]
        )
        assert kind is None or inventory[kind], number.quantity
        assert "kind" not in number.labels or number.labels["kind"] in kinds, number


@pytest.mark.parametrize("stack", STACKS)
def test_every_mode_of_a_set_is_shadow_and_names_what_the_runbook_implies(stack: str) -> None:
    text = (SETS / stack / "inventory.yml").read_text()
    lines = [line for line in text.splitlines() if "mode:" in line]
    assert lines
    assert all(re.search(r"mode: shadow\b.*# runbook: (auto|approve)$", line) for line in lines)
    written = yaml.safe_load(runbook_set(cast("Runbook", stack), stack, "runbook")["inventory.yml"])
    modes = written["stacks"][stack]["remediations"]
    assert {settings["mode"] for settings in modes.values()} <= {"auto", "approve"}


@pytest.mark.parametrize("stack", STACKS)
def test_set_contains_no_number_that_a_threshold_states(stack: str) -> None:
    assert not re.search(r"\b(record|expr):", "".join(file.read_text() for file in (SETS / stack).iterdir()))


@pytest.mark.parametrize("stack", STACKS)
def test_page_reaches_the_pager_once(stack: str) -> None:
    """Alertmanager pages, so the ladder begins with the chat."""
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())
    assert document["stacks"][stack]["escalation"]["first"] == {"contacts": ["chat"]}
    assert not [name for name in document["contacts"] if "pager" in name]


def test_alertmanager_files_match_the_common_routes() -> None:
    """Run `make docs` to fix it."""
    for file, text in runbook_routes():
        assert file.read_text(encoding="utf-8") == text, file


def _pair(stack: str, folder: Path) -> tuple[PrometheusServer, AlertmanagerServer]:
    alertmanager = AlertmanagerServer(folder / "alertmanager", SETS / stack / "alertmanager.yml")
    config = yaml.safe_load((SETS / stack / "prometheus.yml").read_text())
    config["rule_files"] = [str(ROOT / pattern) for pattern in config["rule_files"]]
    address = alertmanager.url.removeprefix("http://")
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [address]}]}]
    # Groups are evaluated at a random time within their interval, so this makes the first evaluation come soon.
    config["global"] |= {"evaluation_interval": "1s"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return PrometheusServer(folder / "prometheus", file), alertmanager


def _unhealthy_rules(prometheus: PrometheusServer) -> list[dict[str, Any]]:
    """Return the rules with an error or, in groups of a short interval, not evaluated yet."""
    groups = _answer(f"{prometheus.url}/api/v1/rules")["data"]["groups"]
    return [
        rule
        for group in groups
        for rule in group["rules"]
        if rule["health"] == "err" or (rule["health"] != "ok" and group["interval"] <= 1)
    ]


def _alertmanagers(prometheus: PrometheusServer) -> list[str]:
    active = _answer(f"{prometheus.url}/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    return [entry["url"] for entry in active]


def _answer(url: str) -> Any:
    with urlopen(url, timeout=10) as response:  # noqa: S310 a server of this test
        return json.load(response)


def _inventory(stack: str) -> dict[str, Any]:
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())["stacks"][stack]
    return {kind: document.get(kind, {}) for kind in KINDS}


def _jobs(stack: str) -> list[str]:
    config = yaml.safe_load((SETS / stack / "prometheus.yml").read_text())
    return [job["job_name"] for job in config["scrape_configs"] if job["job_name"] in BROUGHT]


def _healthy(stack: str) -> dict[str, Any]:
    series = dict(_series(stack))
    unmeasured = sorted(_unmeasured(stack))
    quiet = 'ALERTS{alertname!="ThresholdUnmeasured"}'
    return {
        "rule_files": [str(file) for file in [*subsystem_files(), *adapter_files(), THRESHOLDS / f"{stack}.yml"]],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": quiet, "eval_time": "4h", "exp_samples": []},
                    {
                        "expr": "count by (quantity) (stack_quantity:unmeasured:group)",
                        "eval_time": "4h",
                        "exp_samples": [{"labels": f'{{quantity="{name}"}}', "value": 1} for name in unmeasured],
                    },
                ],
            }
        ],
    }


def _series(stack: str) -> Iterator[tuple[str, str]]:
    for kind, targets in _inventory(stack).items():
        for target, settings in targets.items():
            labels = f'stack="{stack}",target="{target}"'
            if kind == "backups":
                labels += f',kind="{settings.get("kind", "full")}"'
            if kind == "redis" and _inventory(stack)["queues"]:
                yield f"redis_keyspace_hits_include_queues{{{labels}}}", "1x300"
            for name, value in KINDS[kind].items():
                yield name.replace("{T", "{" + labels), f"{value}x300"
    for job in _jobs(stack):
        for name, value in BROUGHT[job].items():
            yield name.replace("S}", f'stack="{stack}"}}'), f"{value}x300"
    yield "runbook_exporter_build_info", "1x300"


def _unmeasured(stack: str) -> set[str]:
    needed = {
        rule.quantity for rule in thresholds() if rule.labels["stack"] == stack and OTHERS.fullmatch(rule.quantity)
    }
    brought = {quantity for job in _jobs(stack) for quantity in JOBS[job]}
    shared = bool(_inventory(stack)["queues"])
    return needed - brought - ({"redis_hit_ratio"} if not shared else set())
