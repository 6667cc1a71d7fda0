"""The metrics of a Redis server; those from INFO have redis_exporter's names."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from exporter.metric import Metric, Sample, counter, gauge
from exporter.redis.scan import MOST_STEPS, STEP_KEYS

UP = gauge("redis_up", "Whether the Redis server answers (1).", source="INFO")
CERT_EXPIRY = gauge(
    "redis_tls_certificate_expiry_timestamp_seconds",
    "Earliest end of validity of the certificates of this connection, in seconds since 1970; none without TLS.",
)
SLOWLOG = gauge(
    "redis_slowlog_length", "Entries in the slow log; absent if Redis refuses to show it.", source="SLOWLOG LEN"
)
SPIKE = gauge(
    "redis_latency_spike_duration_seconds",
    "Duration of the last latency spike of this kind, in seconds; recorded only if latency-monitor-threshold is set.",
    "event_name",
    source="LATENCY LATEST",
)
SPIKE_AT = gauge(
    "redis_latency_spike_last",
    "Time of the last latency spike of this kind, in seconds since 1970.",
    "event_name",
    source="LATENCY LATEST",
)
HITS_MIXED = gauge(
    "redis_keyspace_hits_include_queues",
    "Whether the inventory lists queues on this server, or its clients have waited for jobs (1). Hits and misses are "
    "then mostly those of the queues, because the server does not count them separately.",
    source="inventory, INFO commandstats",
)
# Metrics that are a number of INFO, by its field.
_FIELDS = {
    "uptime_in_seconds": gauge("redis_uptime_in_seconds", "Seconds since the server started."),
    "connected_clients": gauge("redis_connected_clients", "Client connections, without those of replicas."),
    "blocked_clients": gauge("redis_blocked_clients", "Clients waiting in a blocking command."),
    "maxclients": gauge("redis_max_clients", "Client connections that the server allows."),
    "used_memory": gauge("redis_memory_used_bytes", "Bytes that the server has allocated."),
    "used_memory_rss": gauge("redis_memory_used_rss_bytes", "Bytes of memory that the server occupies in the system."),
    "used_memory_peak": gauge("redis_memory_used_peak_bytes", "Peak of the bytes that the server has allocated."),
    "used_memory_overhead": gauge(
        "redis_memory_used_overhead_bytes", "Bytes for buffers and internal tables, without data."
    ),
    "used_memory_dataset": gauge("redis_memory_used_dataset_bytes", "Bytes for data."),
    "used_memory_scripts": gauge("redis_memory_used_scripts_bytes", "Bytes for cached scripts."),
    "total_system_memory": gauge("redis_total_system_memory_bytes", "Bytes of memory that the server's host has."),
    "maxmemory": gauge("redis_memory_max_bytes", "Bytes that the server may allocate for data; 0 means no limit."),
    "mem_fragmentation_ratio": gauge(
        "redis_mem_fragmentation_ratio", "Bytes that the server occupies per byte that it has allocated."
    ),
    "mem_not_counted_for_evict": gauge(
        "redis_mem_not_counted_for_eviction_bytes", "Bytes of buffers that do not count against the limit."
    ),
    "keyspace_hits": counter("redis_keyspace_hits_total", "Lookups that found their key."),
    "keyspace_misses": counter("redis_keyspace_misses_total", "Lookups that did not find their key."),
    "evicted_keys": counter("redis_evicted_keys_total", "Keys removed because memory was full."),
    "expired_keys": counter("redis_expired_keys_total", "Keys removed because they expired."),
    "rejected_connections": counter("redis_rejected_connections_total", "Connections refused because of maxclients."),
    "total_connections_received": counter("redis_connections_received_total", "Connections accepted."),
    "total_commands_processed": counter("redis_commands_processed_total", "Commands processed."),
    "total_net_input_bytes": counter("redis_net_input_bytes_total", "Bytes received."),
    "total_net_output_bytes": counter("redis_net_output_bytes_total", "Bytes sent."),
    "used_cpu_sys": counter("redis_cpu_sys_seconds_total", "CPU time spent in the system, in seconds."),
    "used_cpu_user": counter("redis_cpu_user_seconds_total", "CPU time spent in the server itself, in seconds."),
    "loading": gauge("redis_loading_dump_file", "Whether the server is reading its data from disk (1)."),
    "rdb_changes_since_last_save": gauge("redis_rdb_changes_since_last_save", "Changes since the last snapshot."),
    "rdb_bgsave_in_progress": gauge("redis_rdb_bgsave_in_progress", "Whether a snapshot is being written (1)."),
    "rdb_last_save_time": gauge(
        "redis_rdb_last_save_timestamp_seconds", "When the last snapshot was saved, in seconds since 1970."
    ),
    "rdb_last_bgsave_time_sec": gauge(
        "redis_rdb_last_bgsave_duration_sec", "Duration of the last snapshot, in seconds; -1 if there is none."
    ),
    "aof_enabled": gauge("redis_aof_enabled", "Whether the append-only file is on (1)."),
    "aof_rewrite_in_progress": gauge(
        "redis_aof_rewrite_in_progress", "Whether the append-only file is being rewritten (1)."
    ),
    "aof_current_size": gauge(
        "redis_aof_current_size_bytes", "Size of the append-only file, in bytes; absent without one."
    ),
    "aof_delayed_fsync": gauge(
        "redis_aof_delayed_fsync", "Writes of the append-only file that waited for the disk; absent without one."
    ),
    "latest_fork_usec": gauge("redis_latest_fork_usec", "Duration of the last fork, in microseconds."),
    "connected_slaves": gauge("redis_connected_slaves", "Connected replicas."),
    "master_repl_offset": gauge("redis_master_repl_offset", "Replication offset: bytes of changes for replicas."),
}
# Metrics that are 1 if a field of INFO holds a given word.
_WORDS = {
    ("rdb_last_bgsave_status", "ok"): gauge(
        "redis_rdb_last_bgsave_status", "Whether the last background snapshot succeeded (1)."
    ),
    ("aof_last_write_status", "ok"): gauge(
        "redis_aof_last_write_status", "Whether the last write of the append-only file succeeded (1)."
    ),
    ("aof_last_bgrewrite_status", "ok"): gauge(
        "redis_aof_last_bgrewrite_status", "Whether the last rewrite of the append-only file succeeded (1)."
    ),
    ("maxmemory_policy", "noeviction"): gauge(
        "redis_maxmemory_policy_noeviction",
        "Whether keys are never evicted (1); job queues need this, or they lose jobs when memory is full.",
    ),
}
FIELDS: dict[str, Metric] = {field: replace(metric, source=f"INFO: {field}") for field, metric in _FIELDS.items()}
WORDS: dict[tuple[str, str], Metric] = {
    (field, word): replace(metric, source=f"INFO: {field}") for (field, word), metric in _WORDS.items()
}
FRAGMENTATION = gauge(
    "redis_memory_fragmentation_ratio",
    "The same as redis_mem_fragmentation_ratio, under the name of older dashboards.",
    source="INFO: mem_fragmentation_ratio",
)
INSTANCE = gauge(
    "redis_instance_info",
    "Always 1; the labels describe the server. Valkey reports the Redis version that it is compatible with.",
    "role",
    "redis_version",
    "redis_mode",
    "os",
    "maxmemory_policy",
    source="INFO",
)
DB_KEYS = gauge("redis_db_keys", "Keys in the database.", "db", source="INFO keyspace")
DB_EXPIRING = gauge("redis_db_keys_expiring", "Keys in the database with a time to live.", "db", source="INFO keyspace")
DB_TTL = gauge(
    "redis_db_avg_ttl_seconds",
    "Average time to live of these keys, estimated by the server, in seconds; 0 without an estimate.",
    "db",
    source="INFO keyspace",
)
COMMANDS = counter(
    "redis_commands_total", "Calls of the command, including those in scripts.", "cmd", source="INFO commandstats"
)
COMMAND_SECONDS = counter(
    "redis_commands_duration_seconds_total",
    "Time spent in the command, in seconds.",
    "cmd",
    source="INFO commandstats",
)
COMMAND_REJECTED = counter(
    "redis_commands_rejected_calls_total",
    "Calls of the command that Redis rejected before running it.",
    "cmd",
    source="INFO commandstats",
)
COMMAND_FAILED = counter(
    "redis_commands_failed_calls_total",
    "Calls of the command that failed.",
    "cmd",
    source="INFO commandstats",
)
ERRORS = counter(
    "redis_errors_total",
    "Error replies of the server by code; those with a text of a script as their code count as `other`.",
    "err",
    source="INFO errorstats",
)
REPLICA_LAG = gauge(
    "redis_connected_slave_lag_seconds",
    "Time since the replica's last confirmation, in seconds.",
    "slave_ip",
    "slave_port",
    "slave_state",
    source="INFO replication",
)
REPLICA_OFFSET = gauge(
    "redis_connected_slave_offset_bytes",
    "Replication offset of the replica: bytes of changes that it has; absent while it loads its first copy.",
    "slave_ip",
    "slave_port",
    "slave_state",
    source="INFO replication",
)
LINK_UP = gauge(
    "redis_master_link_up",
    "Whether this replica is connected to its primary (1).",
    "master_host",
    "master_port",
    source="INFO replication",
)
LAST_IO = gauge(
    "redis_master_last_io_seconds_ago",
    "Seconds since this replica last heard from its primary; absent while it is not connected.",
    "master_host",
    "master_port",
    source="INFO replication",
)
INFO_METRICS = (
    *FIELDS.values(),
    *WORDS.values(),
    FRAGMENTATION,
    INSTANCE,
    DB_KEYS,
    DB_EXPIRING,
    DB_TTL,
    COMMANDS,
    COMMAND_SECONDS,
    COMMAND_REJECTED,
    COMMAND_FAILED,
    ERRORS,
    REPLICA_LAG,
    REPLICA_OFFSET,
    LINK_UP,
    LAST_IO,
)
KEYS = gauge(
    "redis_keys_count",
    "Keys with the prefix: counted, or estimated from a sample in a large database. Cached.",
    "db",
    "key",
    source="SCAN, DBSIZE",
)
SAMPLED = gauge(
    "redis_keys_sampled_ratio",
    f"Share of the database's keys in the sample for the counts by prefix; 1 for a database of fewer than "
    f"{MOST_STEPS * STEP_KEYS:,} keys. Cached.",
    "db",
    source="SCAN, DBSIZE",
)
VALUE = gauge(
    "redis_key_value",
    "Highest counters in the sample, for prefixes with `top`. Cached.",
    "db",
    "key",
    source="MGET",
)
READABLE = gauge(
    "redis_keys_readable",
    "Whether the user may read the keys with the prefix (1), for prefixes with `top`. Cached.",
    "db",
    "key",
    source="MGET",
)
PREFIX_METRICS = (KEYS, SAMPLED, VALUE, READABLE)
METRICS = (UP, CERT_EXPIRY, *INFO_METRICS, HITS_MIXED, SLOWLOG, SPIKE, SPIKE_AT, *PREFIX_METRICS)


def slowlog_samples(length: Any) -> Iterator[Sample]:
    """Yield the sample of a reply to SLOWLOG LEN; an error or another reply gives none."""
    if isinstance(length, int):
        yield SLOWLOG(length)


def latency_samples(spikes: Any) -> Iterator[Sample]:
    """Yield the samples of a reply to LATENCY LATEST; an error or an odd entry gives none."""
    for spike in spikes if isinstance(spikes, list) else ():
        with suppress(ValueError, TypeError, AttributeError):
            event, at, milliseconds, *_ = spike
            samples = (SPIKE(milliseconds / 1000, event.decode()), SPIKE_AT(at, event.decode()))
            yield from samples
