"""The series of a healthy stack: those of each target of a set's inventory, and of each job that it scrapes."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import yaml

from tests.rules.rulebook import ROOT

SETS = ROOT / "deploy" / "runbooks"
STACKS = sorted(folder.name for folder in SETS.iterdir())
MINUTES = 300
"""The length of each series, in steps of one minute."""

Value = float | str | None
"""A constant, a sum per minute (0+60), values as promtool writes them (1x60 0x60), or no such series."""
Series = Mapping[str, Value]
"""Series with T for the labels of a target and S for that of the stack."""

# What a healthy target gives, per kind of the inventory.
POSTGRES: Series = {
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
REDIS: Series = {
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
QUEUES: Series = {
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
BACKUPS: Series = {
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
# One node, which is always yellow, and an index that nothing fills since the alias was switched.
SEARCH: Series = {
    "elasticsearch_up{T}": 1,
    'elasticsearch_cluster_health_status{T,color="red"}': 0,
    'elasticsearch_cluster_health_status{T,color="yellow"}': 1,
    "elasticsearch_cluster_health_number_of_data_nodes{T}": 1,
    "elasticsearch_cluster_health_unassigned_shards{T}": 4,
    "elasticsearch_cluster_health_initializing_shards{T}": 0,
    "elasticsearch_cluster_health_relocating_shards{T}": 0,
    'elasticsearch_alias_indices{T,alias="contacts"}': 1,
    'elasticsearch_indices_aliases{T,index="contacts_v2",alias="contacts"}': 1,
    'elasticsearch_index_last_change_timestamp_seconds{T,index="contacts_v2"}': "0+60",
    'elasticsearch_index_last_change_timestamp_seconds{T,index="contacts_v1"}': -10_000_000,
}
KINDS: Mapping[str, Series] = {
    "postgres": POSTGRES,
    "redis": REDIS,
    "queues": QUEUES,
    "backups": BACKUPS,
    "http": {"probe_success{T}": 1, "probe_ssl_earliest_cert_expiry{T}": 90 * 24 * 3600},
    "services": {"service_up{T}": 1},
    "search": SEARCH,
    "numbers": {"number_up{T}": 1, 'number_value{T,number="errors_per_hour"}': 3},
}
SHARED_WITH_QUEUES: Series = {"redis_keyspace_hits_include_queues{T}": 1}
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
    "runbook_remediator": [],
}
BROUGHT: Mapping[str, Series] = {
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
    "runbook_remediator": {'remediation_ledger_up{instance="r"}': 1},
}


@cache
def targets_of(stack: str) -> dict[str, Any]:
    document = yaml.safe_load((SETS / stack / "inventory.yml").read_text())["stacks"][stack]
    return {kind: document.get(kind, {}) for kind in KINDS}


@cache
def jobs_of(stack: str) -> list[str]:
    config = yaml.safe_load((SETS / stack / "prometheus.yml").read_text())
    return [job["job_name"] for job in config["scrape_configs"] if job["job_name"] in BROUGHT]


def healthy_series(stack: str, more_jobs: Iterable[str] = ()) -> dict[str, str]:
    """Return the values of each series, by name."""
    jobs = [*jobs_of(stack), *more_jobs]
    return {
        **{name: values for kind in KINDS for name, values in expanded(stack, kind, KINDS[kind]).items()},
        **{name: values for job in jobs for name, values in expanded(stack, job, BROUGHT[job]).items()},
        **(expanded(stack, "redis", SHARED_WITH_QUEUES) if targets_of(stack)["queues"] else {}),
        "runbook_exporter_build_info": f"1x{MINUTES}",
    }


def expanded(stack: str, source: str, series: Series) -> dict[str, str]:
    """Return series of every target of a kind, or of one job, with their labels and values."""
    labels = target_labels(stack, source) if source in KINDS else [f'stack="{stack}"']
    place = re.compile(r"(?<=[{,])[TS](?=[,}])")
    names = {"S": f'stack="{stack}"'}
    return {
        place.sub(lambda found, label=label: names.get(found[0], label), name): values
        if "x" in str(values)
        else f"{values}x{MINUTES}"
        for label in labels
        for name, values in series.items()
        if values is not None
    }


def target_labels(stack: str, kind: str) -> list[str]:
    targets = targets_of(stack)[kind]
    labels = {target: f'stack="{stack}",target="{target}"' for target in targets}
    if kind != "backups":
        return list(labels.values())
    return [f'{label},kind="{targets[target].get("kind", "full")}"' for target, label in labels.items()]
