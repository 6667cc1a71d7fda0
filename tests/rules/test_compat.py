"""The names that postgres_exporter's and redis_exporter's dashboards and alerts use are on our page or in the file."""

import re

import yaml

from exporter.postgres.collector import PostgresCollector
from exporter.redis.collector import RedisCollector
from exporter.scrape import TARGET_METRICS
from tests.rules.rulebook import RULES
from tests.rules.tools import RunTool

FILE = RULES / "compat" / "postgres_exporter.yml"
# grafana.com 9628, without the exporter's own process metrics.
DASHBOARD_9628 = """
pg_static pg_postmaster_start_time_seconds pg_settings_max_connections pg_settings_shared_buffers_bytes
pg_settings_effective_cache_size_bytes pg_settings_maintenance_work_mem_bytes pg_settings_work_mem_bytes
pg_settings_max_wal_size_bytes pg_settings_random_page_cost pg_settings_seq_page_cost pg_settings_max_worker_processes
pg_settings_max_parallel_workers pg_stat_database_tup_fetched pg_stat_database_tup_inserted pg_stat_database_tup_updated
pg_stat_database_tup_deleted pg_stat_database_tup_returned pg_stat_activity_count pg_stat_database_xact_commit
pg_stat_database_xact_rollback pg_locks_count pg_stat_database_blks_hit pg_stat_database_blks_read
pg_stat_bgwriter_buffers_backend pg_stat_bgwriter_buffers_alloc pg_stat_bgwriter_buffers_backend_fsync
pg_stat_bgwriter_buffers_checkpoint pg_stat_bgwriter_buffers_clean pg_stat_database_conflicts
pg_stat_database_deadlocks pg_stat_database_temp_bytes pg_stat_bgwriter_checkpoint_write_time
pg_stat_bgwriter_checkpoint_sync_time pg_exporter_last_scrape_duration_seconds
"""
MIXIN = """
pg_up pg_stat_activity_count pg_settings_max_connections pg_settings_superuser_reserved_connections
pg_stat_activity_max_tx_duration pg_stat_database_xact_commit pg_stat_database_xact_rollback pg_stat_database_blks_hit
pg_stat_database_blks_read pg_stat_database_deadlocks pg_locks_count pg_settings_max_locks_per_transaction
pg_xlog_position_bytes pg_replication_is_replica pg_stat_replication_pg_xlog_location_diff pg_replication_lag
pg_replication_slots_active pg_replication_slots_xmin_age pg_exporter_last_scrape_error pg_stat_user_tables_n_dead_tup
pg_stat_user_tables_n_live_tup pg_settings_autovacuum_vacuum_scale_factor pg_settings_autovacuum_vacuum_threshold
pg_stat_bgwriter_checkpoints_timed_total pg_stat_bgwriter_checkpoints_req_total pg_stat_bgwriter_buffers_alloc_total
pg_stat_bgwriter_buffers_backend_fsync_total pg_stat_bgwriter_buffers_backend_total
pg_stat_bgwriter_buffers_clean_total pg_stat_bgwriter_buffers_checkpoint_total pg_stat_database_conflicts
pg_stat_database_numbackends pg_stat_database_tup_fetched pg_stat_database_tup_returned
"""
REDIS_MIXIN_AND_763 = """
redis_up redis_uptime_in_seconds redis_connected_clients redis_blocked_clients redis_max_clients
redis_memory_used_bytes redis_memory_max_bytes redis_memory_used_rss_bytes redis_commands_processed_total
redis_commands_total redis_commands_duration_seconds_total redis_keyspace_hits_total redis_keyspace_misses_total
redis_net_input_bytes_total redis_net_output_bytes_total redis_db_keys redis_db_keys_expiring redis_expired_keys_total
redis_evicted_keys_total redis_connected_slaves redis_master_last_io_seconds_ago redis_memory_fragmentation_ratio
redis_rejected_connections_total redis_total_system_memory_bytes redis_rdb_last_save_timestamp_seconds
"""


def rules() -> dict[str, str]:
    groups = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def own_names() -> set[str]:
    return {metric.name for metric in (*PostgresCollector.metrics, *TARGET_METRICS)}


def test_names_of_the_dashboard_and_the_mixin_are_exported_or_recorded() -> None:
    assert {*DASHBOARD_9628.split(), *MIXIN.split()} - own_names() - set(rules()) == set()


def test_recorded_names_are_not_exported_and_read_only_exported_ones() -> None:
    assert not set(rules()) & own_names()
    read = {name for expr in rules().values() for name in re.findall(r"\b(?:pg|runbook)_\w+", expr)}
    assert read <= own_names()


def test_names_of_redis_dashboards_are_exported() -> None:
    assert set(REDIS_MIXIN_AND_763.split()) <= {metric.name for metric in RedisCollector.metrics}


def test_rules_pass_promtool(promtool: RunTool) -> None:
    result = promtool("check", "rules", "--lint-fatal", FILE)
    assert result.returncode == 0, result.stdout + result.stderr
