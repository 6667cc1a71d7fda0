"""Every series that a rule reads comes from our exporter, another rule, or another exporter."""

import re

import pytest

from tests.rules.rulebook import (
    ROOT,
    Rule,
    adapter_files,
    alerts,
    all_rules,
    published_rules,
    rules_of,
    subsystem_files,
    threshold_names,
)
from tools.docs.metrics_tables import METRICS

WORDS = {"and", "or", "unless", "on", "by", "group_left", "bool", "offset", "without", "ignoring", "le"}
REMEDIATOR_METRICS = set(
    re.findall(r"`(\w+)`", (ROOT / "docs" / "reference" / "metrics" / "remediator.md").read_text())
)
OWN_METRICS = {metric.name for metrics in METRICS.values() for metric in metrics} | REMEDIATOR_METRICS
RECORDED = {str(rule.record) for rule in [*all_rules(), *published_rules()]}
PROMETHEUS_METRICS = {"up"}
OWNERS_SERIES = {"runbook:unmeasured"}
"""Series that no shipped file records; a stack may."""

ADAPTER_SERIES = {
    "prom_client": {"http_request_duration_seconds", "http_requests_total", "db_query_duration_seconds"},
    "opentelemetry": {
        "http_server_request_duration_seconds",
        "db_client_operation_duration_seconds",
        "db_client_connection_pending_requests",
    },
    "prisma": {"prisma_client_queries_wait"},
    "application_counters": {
        "app_errors_total",
        "app_rate_limit_requests_total",
        "app_rate_limiting_enabled",
        "app_payments_total",
        "app_feature_gate_checks_total",
        "app_maintenance_mode",
        "app_cache_requests_total",
        *("app_active_users", "custom_active_users", "number_value", "number_up"),
    },
    "processes": {"up", "process_start_time_seconds", "process_resident_memory_bytes"},
    "node_exporter": {
        "node_cpu_seconds_total",
        "node_memory_MemAvailable_bytes",
        "node_memory_MemTotal_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_size_bytes",
        "node_vmstat_oom_kill",
    },
    "windows_exporter": {
        "windows_cpu_time_total",
        "windows_memory_available_bytes",
        "windows_memory_physical_total_bytes",
        "windows_cs_physical_memory_bytes",
        "windows_logical_disk_free_bytes",
        "windows_logical_disk_size_bytes",
    },
    "cadvisor": {
        "container_cpu_usage_seconds_total",
        "container_spec_cpu_quota",
        "container_spec_cpu_period",
        "container_memory_working_set_bytes",
        "container_spec_memory_limit_bytes",
        "container_oom_events_total",
    },
    "kubernetes": {
        *("container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_oom_events_total"),
        *("container_spec_cpu_quota", "container_spec_cpu_period", "container_spec_memory_limit_bytes"),
        *("kube_pod_container_resource_limits", "kube_pod_container_status_restarts_total"),
        "kube_pod_container_status_last_terminated_reason",
        *("kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"),
    },
    "elasticsearch_exporter": {
        *("elasticsearch_up", "elasticsearch_exporter_build_info", "elasticsearch_cluster_health_status"),
        *("elasticsearch_cluster_health_number_of_data_nodes", "elasticsearch_cluster_health_unassigned_shards"),
        *("elasticsearch_cluster_health_initializing_shards", "elasticsearch_cluster_health_relocating_shards"),
    },
}
"""The series that each adapter reads; it reads no others, and only adapters read these."""


def series_read_by(rule: Rule) -> set[str]:
    """Return the series names in an expression, including those listed in a regular expression."""
    listed = {name for pattern in re.findall(r'__name__=~"([^"]+)"', rule.expr) for name in _names_in(pattern)}
    text = re.sub(r'\{[^}]*\}|"[^"]*"|\b(?:by|on|group_left) \([^)]*\)', "", rule.expr)
    return listed | {name for name in re.findall(r"\b[a-zA-Z_][\w:]*\b(?!\s*\()", text) if name not in WORDS}


@pytest.mark.parametrize("rule", [r for f in subsystem_files() for r in rules_of(f)], ids=str)
def test_subsystem_reads_only_known_series(rule: Rule) -> None:
    known = OWN_METRICS | RECORDED | PROMETHEUS_METRICS | OWNERS_SERIES | threshold_names(rule.expr)
    assert {name for name in _without_windows(series_read_by(rule)) if name not in known} == set()


def test_every_adapter_reads_exactly_its_convention() -> None:
    assert {file.stem for file in adapter_files()} == set(ADAPTER_SERIES)
    for file in adapter_files():
        names = {_base(name) for rule in rules_of(file) for name in _without_windows(series_read_by(rule))}
        assert names == ADAPTER_SERIES[file.stem], file.name


def test_alerts_on_applications_and_hosts_read_normalized_series_only() -> None:
    compared = [alert for alert in alerts() if alert.labels["component"] in {"application", "hosts"}]
    assert compared
    assert all(name.startswith(("stack", "runbook:")) for alert in compared for name in series_read_by(alert))


def _names_in(pattern: str) -> set[str]:
    if ".+" in pattern or ".*" in pattern or "[" in pattern:
        return set()
    with_and_without = [pattern.replace("(auto)?", "auto"), pattern.replace("(auto)?", "")]
    return {name for each in with_and_without for name in each.split("|")}


def _without_windows(names: set[str]) -> set[str]:
    return {name for name in names if not re.fullmatch(r"\d*[smhd]|_?\d.*", name)}


def _base(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)
