"""The series of a stack of which everything was measured: by the exporter, the remediator, the application, its host.

Every query of the boards finds data in them. Each value differs from the others where a query computes.
"""

from collections.abc import Iterator, Mapping

T = 'stack="shop",target="main"'
QUEUE = f'{T},queue="email"'
DATABASE = f'{T},datname="shop"'
STATEMENT = f'{DATABASE},queryid="42"'
TABLE = f'{DATABASE},schemaname="public",relname="orders"'
BACKUP = 'stack="shop",target="nightly",kind="full"'
REMEDIATION = 'stack="shop",remediation="run_backup"'
DUTY = 'stack="shop",duty="restore_drill"'
HOST = 'stack="shop",instance="a:9100",job="node"'
APP = 'stack="shop",instance="a:3000",job="application"'
NOW = 600
"""The moment of the evaluation, in seconds."""

_EXPORTER = {
    'stack_info{stack="shop",runbook_url="https://runbooks.example/shop",dashboard_url=""}': "1",
    "runbook_exporter_build_info": "1",
    "runbook_exporter_config_last_reload_success": "1",
    f'runbook_exporter_collector_success{{{T},collector="postgres"}}': "1",
    f'runbook_exporter_collector_duration_seconds{{{T},collector="postgres"}}': "0.01",
}
_FAULTS = {
    f'backup_listing_failed{{{BACKUP},reason="timeout"}}': "1",
    f"pg_role_can_see_all_sessions{{{T}}}": "0",
    f'runbook_exporter_dropped_series{{{T},collector="postgres"}}': "7",
}
_POSTGRES = {
    f"pg_up{{{T}}}": "1",
    f'pg_connections{{{DATABASE},state="active"}}': "3",
    f'pg_connections{{{DATABASE},state="idle"}}': "7",
    f"pg_settings_max_connections{{{T}}}": "103",
    f"pg_settings_superuser_reserved_connections{{{T}}}": "3",
    f"pg_idle_in_transaction_max_age_seconds{{{DATABASE}}}": "9",
    f"pg_query_max_age_seconds{{{DATABASE}}}": "4",
    f"pg_blocked_max_age_seconds{{{T}}}": "2",
    f"pg_sessions_blocked{{{T}}}": "1",
    f"pg_sessions_blocking{{{T}}}": "1",
    f"pg_stat_database_checksum_failures_total{{{DATABASE}}}": "0",
    f"pg_stat_database_blks_hit_total{{{DATABASE}}}": "0+99",
    f"pg_stat_database_blks_read_total{{{DATABASE}}}": "0+1",
    f"pg_invalid_indexes{{{DATABASE}}}": "0",
    f"pg_xid_age{{{DATABASE}}}": "5000000",
    f"pg_tables{{{DATABASE}}}": "1",
    f"pg_stat_statements_calls_total{{{STATEMENT}}}": "0+30",
    f"pg_stat_statements_seconds_total{{{STATEMENT}}}": "0+6",
    f'pg_stat_statements_query_info{{{STATEMENT},query="SELECT 1"}}': "1",
    f"pg_stat_user_tables_table_size_bytes{{{TABLE}}}": "8192",
    f"pg_table_bloat_bytes{{{TABLE}}}": "1024",
    f"pg_stat_user_tables_n_dead_tup{{{TABLE}}}": "5",
    f"pg_stat_user_tables_n_live_tup{{{TABLE}}}": "100",
    f"pg_stat_user_tables_n_mod_since_analyze{{{TABLE}}}": "5",
    f"pg_stat_user_tables_last_vacuum_timestamp_seconds{{{TABLE}}}": "60",
    f"pg_stat_user_tables_last_analyze_timestamp_seconds{{{TABLE}}}": "120",
    f"pg_database_size_bytes{{{DATABASE}}}": "1000+15",
    f"pg_settings_archive_mode{{{T}}}": "1",
    f"pg_stat_archiver_last_archived_timestamp_seconds{{{T}}}": "540",
    f"pg_wal_size_bytes{{{T}}}": "16777216",
    f"pg_wal_segments{{{T}}}": "1",
    f"pg_stat_wal_bytes_total{{{T}}}": "0+1",
}
_REDIS = {
    f"redis_up{{{T}}}": "1",
    f"redis_rdb_last_bgsave_status{{{T}}}": "1",
    f"redis_maxmemory_policy_noeviction{{{T}}}": "1",
    f"redis_memory_used_bytes{{{T}}}": "50",
    f"redis_memory_used_rss_bytes{{{T}}}": "60",
    f"redis_memory_max_bytes{{{T}}}": "200",
    f"redis_evicted_keys_total{{{T}}}": "0",
    f"redis_rejected_connections_total{{{T}}}": "0",
    f"redis_keyspace_hits_total{{{T}}}": "0+3",
    f"redis_keyspace_misses_total{{{T}}}": "0+1",
    f"redis_keyspace_hits_include_queues{{{T}}}": "0",
    f'redis_keys_count{{{T},db="db0",key="rl:*"}}': "4",
    f'redis_key_value{{{T},db="db0",key="rl:1"}}': "17",
    f'redis_db_keys{{{T},db="db0"}}': "10",
    f'redis_db_keys_expiring{{{T},db="db0"}}': "6",
    f"redis_slowlog_length{{{T}}}": "2",
    f'redis_commands_total{{{T},cmd="get"}}': "0+10",
    f'redis_commands_duration_seconds_total{{{T},cmd="get"}}': "0+0.02",
    f"redis_commands_processed_total{{{T}}}": "0+30",
    f"redis_connected_clients{{{T}}}": "5",
    f"redis_blocked_clients{{{T}}}": "1",
    f"redis_rdb_last_save_timestamp_seconds{{{T}}}": "300",
    f"redis_rdb_changes_since_last_save{{{T}}}": "3",
    f"redis_aof_enabled{{{T}}}": "0",
}
_QUEUES = {
    f"bullmq_up{{{T}}}": "1",
    **{
        f'bullmq_queue_jobs{{{QUEUE},state="{state}"}}': str(number)
        for number, state in enumerate(("waiting", "active", "delayed", "failed", "completed"), start=4)
    },
    f"bullmq_queue_oldest_waiting_age_seconds{{{QUEUE}}}": "5",
    f"bullmq_queue_oldest_active_age_seconds{{{QUEUE}}}": "3",
    f"bullmq_queue_active_unlocked_jobs{{{QUEUE}}}": "0",
    f"bullmq_queue_delayed_overdue_max_seconds{{{QUEUE}}}": "0",
    f"bullmq_queue_dead_letter_jobs{{{QUEUE}}}": "0",
    f"bullmq_queue_workers{{{QUEUE}}}": "2",
    f"bullmq_queue_paused{{{QUEUE}}}": "0",
    f"bullmq_schedulers_missed{{{QUEUE}}}": "0",
    f"bullmq_schedulers{{{QUEUE}}}": "1",
    f"bullmq_scheduler_next_run_timestamp_seconds{{{QUEUE}}}": "900",
    f"bullmq_jobs_added_total{{{QUEUE}}}": "0+30",
    f"bullmq_jobs_completed_total{{{QUEUE}}}": "0+15",
    f"bullmq_jobs_failed_total{{{QUEUE}}}": "0+1",
}
_BACKUPS = {
    f"backup_up{{{BACKUP}}}": "1",
    f"backup_found{{{BACKUP}}}": "1",
    f"backup_last_success_timestamp_seconds{{{BACKUP}}}": "0",
    f"backup_oldest_timestamp_seconds{{{BACKUP}}}": "0",
    f"backup_last_check_timestamp_seconds{{{BACKUP}}}": "590",
    f"backup_last_size_bytes{{{BACKUP}}}": "90",
    f"backup_size_median_bytes{{{BACKUP}}}": "100",
    f"backup_objects{{{BACKUP}}}": "3",
    f"backup_bytes{{{BACKUP}}}": "290",
    f"backup_unmatched_objects{{{BACKUP}}}": "0",
    f'backup_incomplete_objects{{{BACKUP},state="empty"}}': "0",
    f'backup_proofs{{{BACKUP},proof="verified",state="valid"}}': "1",
    f"backup_last_verified_timestamp_seconds{{{BACKUP}}}": "480",
    f"backup_last_restored_timestamp_seconds{{{BACKUP}}}": "360",
    f"backup_last_restore_duration_seconds{{{BACKUP}}}": "33",
    f"backup_encrypted{{{BACKUP}}}": "1",
    f"backup_listing_truncated{{{BACKUP}}}": "0",
}
_APPLICATION = {
    'probe_success{stack="shop",target="api"}': "1",
    f"up{{{APP}}}": "1",
    f"process_start_time_seconds{{{APP}}}": "1",
    f"process_resident_memory_bytes{{{APP}}}": "1000",
    **{
        f'http_request_duration_seconds_bucket{{{APP},status_code="200",le="{le}"}}': count
        for le, count in (("0.1", "0+20"), ("0.5", "0+30"), ("+Inf", "0+30"))
    },
    f'http_request_duration_seconds_count{{{APP},status_code="200"}}': "0+27",
    f'http_request_duration_seconds_count{{{APP},status_code="500"}}': "0+3",
    f'http_request_duration_seconds_sum{{{APP},status_code="200"}}': "0+3",
    **{
        f'db_query_duration_seconds_bucket{{{APP},le="{le}"}}': count
        for le, count in (("0.1", "0+20"), ("0.5", "0+30"), ("+Inf", "0+30"))
    },
    f"prisma_client_queries_wait{{{APP}}}": "1",
    f"app_errors_total{{{APP}}}": "0+1",
    f"app_active_users{{{APP}}}": "12",
    'runbook:silent{stack="shop",quantity="application_active_users"}': "1",
    f'app_rate_limit_requests_total{{{APP},result="rejected"}}': "0+15",
    f"app_rate_limiting_enabled{{{APP}}}": "1",
    f'app_payments_total{{{APP},result="failed"}}': "0+1",
    f'app_payments_total{{{APP},result="paid"}}': "0+3",
    f'app_feature_gate_checks_total{{{APP},result="error"}}': "0+15",
    f"app_maintenance_mode{{{APP}}}": "0",
    'probe_ssl_earliest_cert_expiry{stack="shop",target="api"}': "864600",
    f"elasticsearch_up{{{T}}}": "1",
    **{f'elasticsearch_cluster_health_status{{{T},color="{color}"}}': "0" for color in ("red", "yellow")},
    f"elasticsearch_cluster_health_number_of_data_nodes{{{T}}}": "3",
    f"elasticsearch_cluster_health_unassigned_shards{{{T}}}": "2",
    f"elasticsearch_cluster_health_initializing_shards{{{T}}}": "0",
    f"elasticsearch_cluster_health_relocating_shards{{{T}}}": "0",
    f'elasticsearch_alias_indices{{{T},alias="contacts"}}': "1",
    f'elasticsearch_indices_aliases{{{T},alias="contacts",index="contacts_v2"}}': "1",
    f'elasticsearch_index_last_change_timestamp_seconds{{{T},index="contacts_v2"}}': "540",
    f'elasticsearch_indices_docs_primary{{{T},index="contacts_v2"}}': "40000",
    f'elasticsearch_indices_store_size_bytes_primary{{{T},index="contacts_v2"}}': "9000",
    f'elasticsearch_index_stats_indexing_index_total{{{T},index="contacts_v2"}}': "0+15",
    f"elasticsearch_cluster_health_delayed_unassigned_shards{{{T}}}": "0",
    f'elasticsearch_index_stats_search_query_total{{{T},index="contacts_v2"}}': "0+30",
    f'elasticsearch_index_stats_search_query_time_seconds_total{{{T},index="contacts_v2"}}': "0+3",
    f'node_cpu_seconds_total{{{HOST},cpu="0",mode="idle"}}': "0+9",
    f"node_memory_MemAvailable_bytes{{{HOST}}}": "30",
    f"node_memory_MemTotal_bytes{{{HOST}}}": "100",
    f'node_filesystem_avail_bytes{{{HOST},mountpoint="/",fstype="ext4"}}': "20",
    f'node_filesystem_size_bytes{{{HOST},mountpoint="/",fstype="ext4"}}': "100",
    f"node_vmstat_oom_kill{{{HOST}}}": "0",
}


def _of_replica(name: str, series: Mapping[str, str]) -> dict[str, str]:
    labels = f'job="runbook_remediator",instance="{name}"'
    return {f"{metric.partition('{')[0]}{{{_joined(labels, metric)}}}": values for metric, values in series.items()}


def _joined(labels: str, metric: str) -> str:
    own = metric.partition("{")[2].rstrip("}")
    return f"{own},{labels}" if own else labels


_LEDGER = {
    f'remediation_runs_total{{{REMEDIATION},outcome="succeeded"}}': "2",
    f'remediation_runs_total{{{REMEDIATION},outcome="shadow"}}': "5",
    f'remediation_refusals_total{{{REMEDIATION},bound="max_items"}}': "1",
    f'remediation_deferrals_total{{{REMEDIATION},bound="windows"}}': "1",
    f'remediation_run_duration_seconds_sum{{{REMEDIATION},outcome="succeeded"}}': "50",
    f'remediation_run_duration_seconds_count{{{REMEDIATION},outcome="succeeded"}}': "2",
    f'remediation_last_run_timestamp_seconds{{{REMEDIATION},target="nightly",outcome="succeeded"}}': "60",
    f'remediation_run_active{{{REMEDIATION},target="nightly",state="verifying"}}': "1",
    f'remediation_run_active{{{REMEDIATION},target="weekly",state="awaiting_approval"}}': "1",
    f"remediation_open_episodes{{{REMEDIATION}}}": "1",
    f'remediation_recurrences{{{REMEDIATION},target="nightly"}}': "4",
    f'remediation_recurrences{{{REMEDIATION},target="weekly"}}': "1",
    'remediation_acknowledge_seconds_sum{stack="shop",priority="P1"}': "90",
    'remediation_acknowledge_seconds_count{stack="shop",priority="P1"}': "3",
    f'remediation_unacknowledged_since_timestamp_seconds{{{REMEDIATION},priority="P0"}}': "60",
    "remediation_approvals_waiting": "1",
    "remediation_escalations_unsent": "0",
    'remediation_contact_unsent{contact="oncall"}': "0",
    'remediation_paused{stack="shop"}': "0",
    'service_up{stack="shop",target="api"}': "1",
    'stack_last_deploy_timestamp_seconds{stack="shop",version="1.2"}': "30",
    'stack_window_active{stack="shop",window="maintenance"}': "1",
    'stack_freeze_active{stack="shop",freeze="sale"}': "0",
    f"duty_last_done_timestamp_seconds{{{DUTY}}}": "100",
    f"duty_interval_seconds{{{DUTY}}}": "400",
    f"duty_grace_seconds{{{DUTY}}}": "50",
    f'duty_info{{{DUTY},priority="P2"}}': "1",
}
_REPLICA = {
    "remediation_engine_up": "1",
    "remediation_ledger_up": "1",
    "runbook_remediator_config_last_reload_success": "1",
}
# The first has just taken over from the second, whose last series Prometheus still has; the third waits.
_REMEDIATOR = {
    **_of_replica("a", {**_LEDGER, **_REPLICA, "remediation_leader": "1"}),
    **_of_replica("b", {**_LEDGER, **_REPLICA, "remediation_leader": "0"}),
    **_of_replica("c", {**_REPLICA, "remediation_leader": "0"}),
    'remediation_deliveries_total{instance="c",answer="accepted"}': "0+1",
    'runbook:respond_within_seconds{stack="shop",priority="P1"}': "900",
}


def input_series(step: int = 15) -> Iterator[Mapping[str, str]]:
    """Yield the series for promtool, from 0 to beyond NOW; `0+3` rises by 3 at each step."""
    steps = 2 * NOW // step
    groups = (_EXPORTER, _FAULTS, _POSTGRES, _REDIS, _QUEUES, _BACKUPS, _APPLICATION, _REMEDIATOR)
    for name, values in (item for group in groups for item in group.items()):
        yield {"series": name, "values": f"{values}x{steps}"}
