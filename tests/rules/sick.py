"""The series of a sick stack: for each quantity, what its source reports when the stack's number is passed.

The source is a kind of the inventory or a scrape job of the set, so a sickness shows that a whole set can see it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.rules.healthy import MINUTES, Series, expanded, jobs_of, target_labels, targets_of
from tests.rules.rulebook import Rule, alerts, number_of, threshold_names, thresholds

LATE = MINUTES * 2 // 5
"""The minute at which a change begins."""
SURGE = LATE + 35
"""The minute at which requests rise: the mean before it must be long."""

COUNT = 'http_request_duration_seconds_count{status_code="200",instance="a",S}'
BUCKET = 'http_request_duration_seconds_bucket{le="LE",instance="a",S}'
HALF_FAILED: Series = {COUNT.replace("200", "500"): f"0x{LATE} 0+600x{MINUTES}"}
SLOW: Series = {
    BUCKET.replace("LE", "0.25"): f"0+600x{LATE} {600 * LATE}x{MINUTES}",
    BUCKET.replace("LE", "10"): "0+600",
}
THREE_SECONDS: Series = {'pg_stat_statements_seconds_total{T,datname="app",queryid="1"}': "0+180"}
FILLING: Series = {
    'node_filesystem_avail_bytes{instance="n",mountpoint="/",fstype="ext4",S}': f"60-0.6x95 2.7x{MINUTES}"
}
TWO_NODES: Series = {
    'elasticsearch_cluster_health_status{T,color="yellow"}': 1,
    "elasticsearch_cluster_health_number_of_data_nodes{T}": 2,
}
TABLE = '{T,datname="app",schemaname="public",relname="orders"}'


def _jobs(state: str, number: float) -> Series:
    return {f'bullmq_queue_jobs{{T,queue="email",state="{state}"}}': number}


def _queue(metric: str, value: float | str) -> Series:
    return {f'{metric}{{T,queue="email"}}': value}


# By quantity, or by alert where it compares with no number: the source, and its series past the limit. The alerts that
# act on services compare with the numbers of others, so the remediation stands before the quantity.
SICK: Mapping[str, tuple[str, Callable[[float], Series]]] = {
    "application_error_ratio": ("application", lambda _: HALF_FAILED),
    "application_rollback_error_ratio": ("application", lambda _: HALF_FAILED),
    "application_error_ratio_rise": ("application", lambda _: HALF_FAILED),
    "application_response_p95_seconds": ("application", lambda _: SLOW),
    "application_response_p95_rise_ratio": ("application", lambda _: SLOW),
    "application_response_mean_seconds": (
        "application",
        lambda limit: {'http_request_duration_seconds_sum{status_code="200",instance="a",S}': f"0+{3000 * limit}"},
    ),
    "application_request_rise_ratio": (
        "application",
        lambda limit: {COUNT: f"0+600x{SURGE} {600 * SURGE}+{1800 * limit}x{MINUTES}"},
    ),
    "application_database_query_p95_seconds": (
        "application",
        lambda limit: {
            f'db_query_duration_seconds_bucket{{le="{2 * limit}",S}}': "0+600",
            'db_query_duration_seconds_bucket{le="+Inf",S}': "0+600",
        },
    ),
    "application_pool_waiting_requests": ("application", lambda limit: {"prisma_client_queries_wait{S}": limit + 1}),
    "application_errors_per_hour": ("numbers", lambda limit: {'number_value{T,number="errors_per_hour"}': limit + 1}),
    "application_up": ("application", lambda _: {'up{job="application",instance="a",S}': 0}),
    "application_restarts": (
        "application",
        lambda _: {'process_start_time_seconds{job="application",instance="a",S}': "0+1"},
    ),
    "application_resident_memory_bytes": (
        "application",
        lambda limit: {'process_resident_memory_bytes{job="application",instance="a",S}': limit + 1},
    ),
    "application_rate_limit_rejections": (
        "application",
        lambda _: {'app_rate_limit_requests_total{result="rejected",S}': "0+60"},
    ),
    "application_payment_failure_ratio": ("application", lambda _: {'app_payments_total{result="failed",S}': "0+60"}),
    "application_feature_gate_failures": (
        "application",
        lambda _: {'app_feature_gate_checks_total{result="error",S}': "0+60"},
    ),
    "application_rate_limiting_enabled": ("application", lambda _: {"app_rate_limiting_enabled{S}": 0}),
    "application_maintenance_mode": ("application", lambda _: {"app_maintenance_mode{S}": 1}),
    "redis_hit_ratio": (
        "application",
        lambda limit: {
            'app_cache_requests_total{result="miss",S}': "0+600",
            'app_cache_requests_total{result="hit",S}': f"0+{300 * limit}",
        },
    ),
    "elasticsearch_up": (
        "search",
        lambda _: {
            **{f'elasticsearch_cluster_health_status{{T,color="{color}"}}': None for color in ("red", "yellow")},
            "elasticsearch_up{T}": 0,
        },
    ),
    "elasticsearch_red": ("search", lambda _: {'elasticsearch_cluster_health_status{T,color="red"}': 1}),
    "elasticsearch_yellow": ("search", lambda _: TWO_NODES),
    "elasticsearch_unassigned_shards": ("search", lambda _: TWO_NODES),
    "elasticsearch_alias_indices": ("search", lambda _: {'elasticsearch_alias_indices{T,alias="contacts"}': 0}),
    "elasticsearch_index_change_age_seconds": (
        "search",
        lambda limit: {'elasticsearch_index_last_change_timestamp_seconds{T,index="contacts_v2"}': -limit},
    ),
    "host_cpu_used_ratio": (
        "node",
        lambda limit: {'node_cpu_seconds_total{mode="idle",instance="n",S}': f"0+{30 * (1 - limit)}"},
    ),
    "host_memory_used_ratio": (
        "node",
        lambda limit: {'node_memory_MemAvailable_bytes{instance="n",S}': 50 * (1 - limit)},
    ),
    "host_disk_used_ratio": ("node", lambda _: FILLING),
    "host_disk_full_in_seconds": ("node", lambda _: FILLING),
    "host_oom_kills": ("node", lambda _: {'node_vmstat_oom_kill{instance="n",S}': "0+1"}),
    "tls_certificate_remaining_seconds": ("http", lambda limit: {"probe_ssl_earliest_cert_expiry{T}": limit}),
    "pg_up": ("postgres", lambda _: {"pg_up{T}": 0}),
    "pg_connections_used_ratio": (
        "postgres",
        lambda limit: {'pg_connections{T,datname="app",state="idle"}': 97 * limit + 1},
    ),
    "pg_idle_in_transaction_max_age_seconds": (
        "postgres",
        lambda limit: {'pg_idle_in_transaction_max_age_seconds{T,datname="app"}': limit + 1},
    ),
    "pg_query_max_age_seconds": ("postgres", lambda limit: {'pg_query_max_age_seconds{T,datname="app"}': limit + 1}),
    "pg_blocked_max_age_seconds": ("postgres", lambda limit: {"pg_blocked_max_age_seconds{T}": limit + 1}),
    "pg_statement_mean_seconds": ("postgres", lambda _: THREE_SECONDS),
    "pg_statement_runaway_seconds": ("postgres", lambda _: THREE_SECONDS),
    "pg_replication_lag_seconds": ("postgres", lambda limit: {"pg_replication_lag_seconds{T}": limit + 1}),
    "pg_checksum_failures": (
        "postgres",
        lambda limit: {'pg_stat_database_checksum_failures_total{T,datname="app"}': limit + 1},
    ),
    "pg_invalid_indexes": ("postgres", lambda limit: {'pg_invalid_indexes{T,datname="app"}': limit + 1}),
    "pg_transaction_id_age": ("postgres", lambda limit: {'pg_xid_age{T,datname="app"}': limit + 1}),
    "pg_replication_slot_retained_bytes": (
        "postgres",
        lambda limit: {'pg_replication_slot_retained_bytes{T,slot_name="standby"}': limit + 1},
    ),
    "pg_table_analyze_age_seconds": (
        "postgres",
        lambda limit: {
            f"pg_stat_user_tables_n_mod_since_analyze{TABLE}": 10,
            f"pg_stat_user_tables_n_live_tup{TABLE}": 10,
            f"pg_stat_user_tables_last_analyze_timestamp_seconds{TABLE}": -limit,
        },
    ),
    "pg_table_vacuum_age_seconds": (
        "postgres",
        lambda limit: {
            f"pg_stat_user_tables_n_dead_tup{TABLE}": 10,
            f"pg_stat_user_tables_last_vacuum_timestamp_seconds{TABLE}": -limit,
        },
    ),
    "pg_wal_archive_age_seconds": (
        "postgres",
        lambda limit: {
            "pg_stat_archiver_last_archived_timestamp_seconds{T}": -limit,
            "pg_stat_archiver_last_failed_timestamp_seconds{T}": "0+60",
        },
    ),
    "redis_up": ("redis", lambda _: {"redis_up{T}": 0}),
    "redis_maxmemory_policy_noeviction": ("redis", lambda _: {"redis_maxmemory_policy_noeviction{T}": 0}),
    "redis_rdb_last_bgsave_status": ("redis", lambda _: {"redis_rdb_last_bgsave_status{T}": 0}),
    "redis_snapshot_age_seconds": ("redis", lambda limit: {"redis_rdb_last_save_timestamp_seconds{T}": -limit}),
    "redis_memory_used_ratio": ("redis", lambda limit: {"redis_memory_used_bytes{T}": 100 * limit + 1}),
    "redis_evicted_keys": ("redis", lambda _: {"redis_evicted_keys_total{T}": "0+60"}),
    "redis_rejected_connections": ("redis", lambda _: {"redis_rejected_connections_total{T}": "0+60"}),
    "bullmq_queue_failed_jobs": ("queues", lambda limit: _jobs("failed", limit + 1)),
    "bullmq_queue_dead_letter_jobs": ("queues", lambda limit: _queue("bullmq_queue_dead_letter_jobs", f"{limit}+1")),
    "bullmq_queue_waiting_jobs": ("queues", lambda limit: _jobs("waiting", limit + 1)),
    "bullmq_queue_oldest_waiting_age_seconds": (
        "queues",
        lambda limit: _queue("bullmq_queue_oldest_waiting_age_seconds", limit + 1),
    ),
    "bullmq_queue_workers": ("queues", lambda _: _queue("bullmq_queue_workers", 0)),
    "bullmq_queue_paused": ("queues", lambda _: _queue("bullmq_queue_paused", 1)),
    "bullmq_schedulers_missed": ("queues", lambda limit: _queue("bullmq_schedulers_missed", limit + 1)),
    "bullmq_queue_delayed_overdue_seconds": (
        "queues",
        lambda limit: _queue("bullmq_queue_delayed_overdue_max_seconds", limit + 1),
    ),
    "bullmq_queue_active_unlocked_jobs": (
        "queues",
        lambda limit: _queue("bullmq_queue_active_unlocked_jobs", limit + 1),
    ),
    "restart_service application_up": ("services", lambda _: {"service_up{T}": 0}),
    "restart_service probe_success": (
        "services",
        lambda _: {'service_info{T,health="web",queues=""}': 1, 'probe_success{S,target="web"}': 0},
    ),
    "scale_workers bullmq_queue_oldest_waiting_age_seconds": (
        "services",
        lambda limit: {
            'service_info{T,health="",queues="mail"}': 1,
            'bullmq_queue_oldest_waiting_age_seconds{S,target="mail",queue="mail"}': limit + 1,
        },
    ),
    "scale_workers bullmq_queue_waiting_jobs": (
        "services",
        lambda limit: {
            'service_info{T,health="",queues="mail"}': 1,
            'bullmq_queue_jobs{S,target="mail",queue="mail",state="waiting"}': limit + 1,
        },
    ),
    "probe_success": ("http", lambda _: {"probe_success{T}": 0}),
    "backup_age_seconds": ("backups", lambda limit: {"backup_last_success_timestamp_seconds{T}": -limit}),
    "backup_size_ratio": ("backups", lambda limit: {"backup_last_size_bytes{T}": 50 * limit}),
    "backup_verified_age_seconds": ("backups", lambda limit: {"backup_last_verified_timestamp_seconds{T}": -limit}),
    "backup_restored_age_seconds": ("backups", lambda limit: {"backup_last_restored_timestamp_seconds{T}": -limit}),
    "backup_restore_duration_seconds": (
        "backups",
        lambda limit: {"backup_last_restore_duration_seconds{T}": limit + 1},
    ),
    "backup_oldest_age_seconds": ("backups", lambda limit: {"backup_oldest_timestamp_seconds{T}": -limit}),
    "backup_kept_seconds": (
        "backups",
        lambda limit: {"backup_oldest_timestamp_seconds{T}": f"{-2 * limit}x100 0x{MINUTES}"},
    ),
    "backup_encrypted": ("backups", lambda _: {"backup_encrypted{T}": 0}),
    "EpisodeUnacknowledged": (
        "runbook_remediator",
        lambda _: {
            'remediation_unacknowledged_since_timestamp_seconds{instance="r",target="a",priority="P0",S}': -90_000
        },
    ),
    "BackupMissing": ("backups", lambda _: {"backup_last_success_timestamp_seconds{T}": None}),
    "BackupNeverVerified": ("backups", lambda _: {"backup_last_verified_timestamp_seconds{T}": None}),
    "BackupNeverRestored": ("backups", lambda _: {"backup_last_restored_timestamp_seconds{T}": None}),
    "BackupListingFailed": ("backups", lambda _: {'backup_listing_failed{T,reason="endpoint"}': 1}),
    "BackupBroken": ("backups", lambda _: {'backup_incomplete_objects{T,state="empty"}': 1}),
    "BackupDatedInFuture": ("backups", lambda _: {'backup_incomplete_objects{T,state="future"}': 1}),
    "BackupProofBroken": ("backups", lambda _: {'backup_proofs{T,proof="verified",state="failed"}': 1}),
}


@dataclass(frozen=True)
class Sickness:
    """An alert that must fire, and the series that make it fire; None removes a series."""

    alert: Rule
    source: str
    series: Mapping[str, str | None]

    def fits(self, others: Mapping[str, str | None]) -> bool:
        return all(others.get(name, values) == values for name, values in self.series.items())


def sicknesses(stack: str, name: str) -> Iterator[Sickness]:
    """Yield a sickness per severity, and per kind of backup, with which an alert can fire in a stack."""
    for rule in alerts():
        if rule.alert == name and not threshold_names(rule.expr):
            yield _sickness(stack, rule, None)
        elif rule.alert == name:
            numbers = [each for each in thresholds() if _belongs(each, rule, stack)]
            yield from (_sickness(stack, rule, number) for number in numbers)


def scenarios(every: list[Sickness]) -> list[list[Sickness]]:
    """Group sicknesses whose series do not contradict each other, so that few stacks show all."""
    groups: list[tuple[dict[str, str | None], list[Sickness]]] = []
    for sickness in every:
        series, members = next((group for group in groups if sickness.fits(group[0])), ({}, []))
        if not members:
            groups.append((series, members))
        series.update(sickness.series)
        members.append(sickness)
    return [members for _, members in groups]


def _belongs(number: Rule, rule: Rule, stack: str) -> bool:
    lasting = 'sustained="' in rule.expr, 'sustained!="' in rule.expr
    return (
        number.labels["stack"] == stack
        and number.record in threshold_names(rule.expr)
        and not (lasting[0] and "sustained" not in number.labels)
        and not (lasting[1] and "sustained" in number.labels)
    )


def _sickness(stack: str, rule: Rule, number: Rule | None) -> Sickness:
    key = rule.alert if rule.alert in SICK or number is None else number.quantity
    of_services = f"{rule.labels.get('remediation')} {key}"
    key = of_services if of_services in SICK else key
    source, series_past = SICK[str(key)]
    series = series_past(_highest(number) if number else 0.0)
    present = expanded(stack, source, series)
    absent = expanded(stack, source, {name: 0 for name, values in series.items() if values is None})
    of_kind = f'kind="{number.labels["kind"]}"' if number and "kind" in number.labels else ""
    both = {**present, **dict.fromkeys(absent)}
    return Sickness(rule, source, {name: values for name, values in both.items() if of_kind in name})


def _highest(number: Rule) -> float:
    """Return the number of the worst severity, at which the alerts of all severities fire."""
    return max(
        number_of(each)
        for each in thresholds()
        if each.quantity == number.quantity
        and all(each.labels.get(label) == number.labels.get(label) for label in ("stack", "kind"))
    )


def is_observed(stack: str, source: str) -> bool:
    """Return whether a set has a target of that kind, or scrapes that job."""
    return source in jobs_of(stack) or bool(targets_of(stack).get(source) and target_labels(stack, source))
