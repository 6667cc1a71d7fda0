"""The checks of the runbooks' daily and weekly lists: one line each on the board of the morning check.

A check is a quantity of the alert rules, in words and in a unit that people read. `python -m grafana.build` writes
them to alert_rules/boards.yml as series, so that one query of the board shows them all.
"""

from dataclasses import dataclass

DAILY, WEEKLY = "daily", "weekly"
SECONDS, MINUTES, HOURS, DAYS = 1.0, 1 / 60, 1 / 3600, 1 / 86400
MILLISECONDS, PERCENT, MEGABYTES, MILLIONS = 1000.0, 100.0, 1 / 1024**2, 1e-6


@dataclass(frozen=True)
class Check:
    """A line: its quantity, its words with the unit, and what one unit of the quantity is in that unit."""

    quantity: str
    words: str
    scale: float = 1.0
    often: str = DAILY


CHECKS = (
    Check("probe_success", "Endpoints answer (1)"),
    Check("application_up", "Services and processes run (1)"),
    Check("application_restarts", "Restarts within an hour"),
    Check("application_errors_per_hour", "Errors within an hour"),
    Check("application_error_ratio", "Failed requests, %", PERCENT),
    Check("application_response_p95_seconds", "Response time p95, ms", MILLISECONDS),
    Check("application_response_mean_seconds", "Response time, mean, ms", MILLISECONDS),
    Check("application_database_query_p95_seconds", "Database query p95, ms", MILLISECONDS),
    Check("application_requests_per_second", "Requests per second"),
    Check("application_active_users", "Active users within a day"),
    Check("application_payment_failure_ratio", "Failed payments, %", PERCENT),
    Check("application_rate_limit_rejections", "Rejected by the limiter, per second"),
    Check("application_feature_gate_failures", "Feature gates without an answer, per second"),
    Check("host_cpu_used_ratio", "CPU used, %", PERCENT),
    Check("host_memory_used_ratio", "Memory used, %", PERCENT),
    Check("host_disk_used_ratio", "Disk used, %", PERCENT),
    Check("pg_up", "PostgreSQL answers (1)"),
    Check("pg_connections_used_ratio", "PostgreSQL connections used, %", PERCENT),
    Check("pg_idle_in_transaction_max_age_seconds", "Longest idle in transaction, s", SECONDS),
    Check("pg_query_max_age_seconds", "Longest query, s", SECONDS),
    Check("redis_up", "Redis answers (1)"),
    Check("redis_memory_used_ratio", "Redis memory used, %", PERCENT),
    Check("redis_hit_ratio", "Cache hit rate, %", PERCENT),
    Check("bullmq_queue_failed_jobs", "Failed jobs"),
    Check("bullmq_queue_dead_letter_jobs", "Dead-letter jobs"),
    Check("bullmq_queue_waiting_jobs", "Waiting jobs"),
    Check("bullmq_queue_oldest_waiting_age_seconds", "Oldest waiting job, s", SECONDS),
    Check("bullmq_queue_workers", "Workers of the emptiest queue"),
    Check("backup_age_seconds", "Newest backup, hours old", HOURS),
    Check("elasticsearch_up", "Search answers (1)"),
    Check("pg_statement_mean_seconds", "Slowest statement, mean, ms", MILLISECONDS, WEEKLY),
    Check("pg_statement_runaway_seconds", "Slowest statement of two hours, ms", MILLISECONDS, WEEKLY),
    Check("pg_table_analyze_age_seconds", "Oldest analyze, days", DAYS, WEEKLY),
    Check("pg_table_vacuum_age_seconds", "Oldest vacuum, days", DAYS, WEEKLY),
    Check("pg_invalid_indexes", "Invalid indexes", often=WEEKLY),
    Check("pg_checksum_failures", "Damaged pages within a day", often=WEEKLY),
    Check("pg_transaction_id_age", "Transaction id age, millions", MILLIONS, WEEKLY),
    Check("pg_replication_lag_seconds", "Replication lag, s", SECONDS, WEEKLY),
    Check("pg_replication_slot_retained_bytes", "WAL held by slots, MiB", MEGABYTES, WEEKLY),
    Check("pg_wal_archive_age_seconds", "Unarchived WAL, minutes old", MINUTES, WEEKLY),
    Check("application_resident_memory_bytes", "Memory of the largest process, MiB", MEGABYTES, WEEKLY),
    Check("host_disk_full_in_seconds", "Disk full in, days", DAYS, WEEKLY),
    Check("redis_evicted_keys", "Redis keys evicted, per second", often=WEEKLY),
    Check("redis_snapshot_age_seconds", "Unsaved Redis changes, minutes old", MINUTES, WEEKLY),
    Check("bullmq_schedulers_missed", "Missed schedulers", often=WEEKLY),
    Check("bullmq_queue_paused", "Paused queues (1)", often=WEEKLY),
    Check("bullmq_queue_delayed_overdue_seconds", "Overdue delayed jobs, minutes", MINUTES, WEEKLY),
    Check("backup_size_ratio", "Newest backup by the median, %", PERCENT, WEEKLY),
    Check("backup_verified_age_seconds", "Backup verified, days ago", DAYS, WEEKLY),
    Check("backup_restored_age_seconds", "Backup restored, days ago", DAYS, WEEKLY),
    Check("backup_restore_duration_seconds", "Restore time, minutes", MINUTES, WEEKLY),
    Check("backup_kept_seconds", "Backups kept, days", DAYS, WEEKLY),
    Check("backup_oldest_age_seconds", "Oldest backup, days", DAYS, WEEKLY),
    Check("backup_encrypted", "Backups encrypted (1)", often=WEEKLY),
    Check("tls_certificate_remaining_seconds", "Certificate expires in, days", DAYS, WEEKLY),
    Check("elasticsearch_alias_indices", "Indices behind the emptiest alias"),
    Check("elasticsearch_red", "Search cluster red (1)", often=WEEKLY),
    Check("elasticsearch_yellow", "Search cluster yellow (1)", often=WEEKLY),
    Check("elasticsearch_unassigned_shards", "Shards without a node", often=WEEKLY),
    Check("elasticsearch_index_change_age_seconds", "Quietest index, days", DAYS, WEEKLY),
)
